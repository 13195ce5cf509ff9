package brazetest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// TestMemoryDoorLeavesNothingBehind ends a bubble with connections idle, requests waiting and bodies half read. The bubble
// fails if any goroutine stays.
func TestMemoryDoorLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var workers sync.WaitGroup
		for range 5 {
			workers.Go(func() { w.users(t, `[]`) })
		}
		workers.Wait()
		w.Inject(brazetest.Naming(), brazetest.Delay(24*time.Hour))
		waiting := make(chan reply, 1)
		go func() { waiting <- w.name(t, "Spring") }()
		w.Inject(brazetest.Users(), brazetest.EndlessBody())
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint+"/partners/tinyclues/cohorts/users", strings.NewReader(w.changes(`[]`)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := w.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		start := time.Now()
		if err := w.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("Close waited %v", took)
		}
		if got := <-waiting; got.err == nil {
			t.Errorf("the waiting request got status %d", got.status)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err == nil {
			t.Error("the endless body ended well")
		}
		_ = resp.Body.Close()
		if got := w.users(t, `[]`); got.err == nil {
			t.Error("a request after Close was answered")
		}
		if n := w.Counters().Requests; n != 7 {
			t.Errorf("%d requests are counted, want 7", n)
		}
	})
}

func TestClientAfterClose(t *testing.T) {
	t.Parallel()
	s, err := brazetest.Start()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := do(t, s.Client(), http.MethodGet, endpoint, "", ""); got.err == nil || !strings.Contains(got.err.Error(), "closed") {
		t.Errorf("got %v, want an error that says the server is closed", got.err)
	}
}

func TestDialGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	transport := memoryTransport(t, w)
	for range 100 { // a server that is ready to accept may win
		c, err := transport.DialContext(ctx, "tcp", "rest.fra-01.braze.eu:443")
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
			return
		}
		_ = c.Close()
	}
	t.Error("100 dials with an ended context succeeded")
}

func memoryTransport(t *testing.T, w world) *http.Transport {
	t.Helper()
	transport, ok := w.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatalf("the transport is a %T", w.Client().Transport)
	}
	return transport
}

// TestClientLeavesWithinItsBody drops the connection in the middle of a request.
func TestClientLeavesWithinItsBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c, err := memoryTransport(t, w).DialContext(t.Context(), "tcp", "rest.fra-01.braze.eu:443")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "POST /partners/tinyclues/cohorts HTTP/1.1\r\nHost: rest.fra-01.braze.eu\r\nContent-Length: 100\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		_ = c.Close()
		synctest.Wait()
		got := w.Requests()
		if len(got) != 1 || got[0].Status != 0 || got[0].Applied {
			t.Errorf("the log has %+v, want one request without an answer", got)
		}
		if diff := cmp.Diff(map[int]int{0: 1}, w.Counters().ByStatus); diff != "" {
			t.Errorf("statuses (-want +got):\n%s", diff)
		}
	})
}

func TestCompressedBodyIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/partners/tinyclues/cohorts/users", strings.NewReader(w.changes(`[]`)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Content-Encoding", "gzip")
	recorder := httptest.NewRecorder()
	w.Server.ServeHTTP(recorder, r)
	if recorder.Code != http.StatusUnsupportedMediaType {
		t.Errorf("status %d, want 415", recorder.Code)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		got  fmt.Stringer
		want string
	}{
		{brazetest.ExternalIDKind, "external_id"},
		{brazetest.AliasKind, "alias"},
		{brazetest.DeviceIDKind, "device_id"},
		{brazetest.Kind(0), "unknown kind"},
		{brazetest.NameCohort, "name a cohort"},
		{brazetest.ChangeUsers, "change users"},
		{brazetest.OtherPath, "other path"},
		{brazetest.SkippedUnknown, "no such profile"},
		{brazetest.SkippedIdentifiedDevice, "device of an identified profile"},
		{brazetest.SkippedSharedDevice, "device shared with an identified profile"},
		{brazetest.SkippedUnidentifiedAlias, "alias of an unidentified profile"},
		{brazetest.SkippedDeprecatedID, "deprecated external ID"},
		{brazetest.SkipReason(0), "unknown reason"},
		{brazetest.Refusal(0), "unknown cause"},
		{brazetest.Target{}, "any request"},
		{brazetest.Target{}.Cohort("camp-481"), "any request of one cohort"},
		{brazetest.Fault{}, "no fault"},
	} {
		if got := tt.got.String(); got != tt.want {
			t.Errorf("String = %q, want %q", got, tt.want)
		}
	}
	if w.partner.Name() != "Tinyclues" || w.partner.Slug() != "tinyclues" || w.workspace.Name() != "acme" || w.workspace.Instance() != "EU-01" {
		t.Error("a name is not the one given")
	}
	if _, ok := w.workspace.Cohort(w.partner, "camp-481"); ok {
		t.Error("there is a cohort before any request")
	}
}

func TestMemoryConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		transport := memoryTransport(t, w)
		c, err := transport.DialContext(t.Context(), "tcp", "rest.fra-01.braze.eu:443")
		if err != nil {
			t.Fatal(err)
		}
		if got := c.LocalAddr().Network() + " " + c.LocalAddr().String() + " " + c.RemoteAddr().String(); got != "memory client rest.fra-01.braze.eu:443" {
			t.Errorf("addresses: %q", got)
		}
		var b [1]byte
		timesOut := func(step string, after time.Duration) {
			t.Helper()
			start := time.Now()
			_, err := c.Read(b[:])
			var timeout interface{ Timeout() bool }
			if !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(start) != after {
				t.Errorf("%s: %v after %v, want a timeout after %v", step, err, time.Since(start), after)
			}
		}
		set := func(d time.Duration) {
			t.Helper()
			if err := c.SetDeadline(time.Now().Add(d)); err != nil {
				t.Error(err)
			}
		}
		set(time.Second)
		timesOut("deadline ahead", time.Second)
		timesOut("deadline passed", 0)
		set(-time.Second)
		timesOut("deadline in the past", 0)
		set(time.Hour)
		set(2 * time.Second)
		timesOut("deadline brought forward", 2*time.Second)
		if _, err := c.Write(b[:]); err == nil {
			t.Error("a write after the deadline succeeded")
		}
		if err := c.SetDeadline(time.Time{}); err != nil {
			t.Error(err)
		}
		// Nobody reads the answer to this, so in the end the writing has to wait and its deadline ends it.
		if err := c.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Error(err)
		}
		request := []byte("GET / HTTP/1.1\r\nHost: rest.fra-01.braze.eu\r\n\r\n")
		start, n := time.Now(), 0
		for ; n < 1_000_000; n++ {
			if _, err := c.Write(request); err != nil {
				break
			}
		}
		if n < 100 || n == 1_000_000 || time.Since(start) != time.Minute {
			t.Errorf("%d requests were taken in %v, want the buffers' worth and a minute", n, time.Since(start))
		}
		if _, err := io.ReadFull(c, b[:]); err != nil {
			t.Errorf("the answers are lost: %v", err)
		}
		_ = c.Close()
		if _, err := c.Read(b[:]); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("read after close: %v", err)
		}
		if _, err := c.Write(b[:]); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("write after close: %v", err)
		}
	})
}

func TestServeHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/partners/tinyclues/cohorts/users", strings.NewReader(w.changes(`[]`)))
	r.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	w.Server.ServeHTTP(recorder, r)
	if recorder.Code != 201 {
		t.Errorf("status %d, want 201", recorder.Code)
	}
}

func TestLoopbackClosesWithTheServer(t *testing.T) {
	t.Parallel()
	s, err := brazetest.Start()
	if err != nil {
		t.Fatal(err)
	}
	url := s.URL()
	if again := s.URL(); again != url {
		t.Errorf("URL changed from %s to %s", url, again)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if got := do(t, client, http.MethodPost, url, "", ""); got.err == nil {
		t.Errorf("status %d after Close", got.status)
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]brazetest.Option{
		"success":     brazetest.Success(404, ""),
		"order":       brazetest.ApplyChanges(9),
		"rate limit":  brazetest.RateLimit(0),
		"of a call":   brazetest.RateLimitOf(brazetest.ListSegments, 0),
		"of no call":  brazetest.RateLimitOf(brazetest.OtherPath, 1),
		"broadcasts":  brazetest.BroadcastLimit(1, 0),
		"propagation": brazetest.PropagationDelay(-1),
	} {
		if _, err := brazetest.Start(opt); err == nil || !strings.HasPrefix(err.Error(), "brazetest: start: ") {
			t.Errorf("%s: got %v, want an error", name, err)
		}
		tb := &recordingTB{}
		caught(func() { brazetest.NewServer(tb, opt) })
		if len(tb.fatals) != 1 {
			t.Errorf("%s: NewServer did not end the test", name)
		}
	}
	if _, err := brazetest.Start(brazetest.CheckBodyFirst(), brazetest.CountRefused()); err == nil {
		t.Error("options that exclude each other were accepted")
	}
}

// TestOptionGivenTwice gives each option twice, the second time as it should be.
func TestOptionGivenTwice(t *testing.T) {
	t.Parallel()
	s := newScene(t, brazetest.RateLimit(0), brazetest.RateLimit(7), brazetest.RateLimitOf(brazetest.ExportUsers, -1), brazetest.RateLimitOf(brazetest.ExportUsers, 8),
		brazetest.BroadcastLimit(0, 0), brazetest.BroadcastLimit(9, 9), brazetest.BlockExternalIDs("guest"), brazetest.BlockExternalIDs("nobody"))
	if got := left(t, s.users(t, `[]`)); got[0] != 7 {
		t.Errorf("limit %d, want 7", got[0])
	}
	got := s.send(t, "/users/track", `{"attributes":[{"external_id":"guest"},{"external_id":"nobody"}]}`)
	if !strings.Contains(got.body, `"attributes_processed":1`) || !strings.Contains(got.body, `"index":1`) {
		t.Errorf("blocked is not what was given last: %s", got.body)
	}
}

// TestSetupMistakes is what ends a test at once, because nothing sensible could follow.
func TestSetupMistakes(t *testing.T) {
	t.Parallel()
	key := keys.NewImportKey("cs-ws-0001")
	tests := []struct {
		name string
		make func(*brazetest.Server)
	}{
		{"empty slug", func(s *brazetest.Server) { s.AddPartner("", "Tinyclues") }},
		{"slug with a slash", func(s *brazetest.Server) { s.AddPartner("tiny/clues", "Tinyclues") }},
		{"slug taken", func(s *brazetest.Server) { s.AddPartner("a", "A"); s.AddPartner("a", "B") }},
		{"key for an unknown instance", func(s *brazetest.Server) { s.AddPartner("a", "A", brazetest.OneKeyFor("US-09")) }},
		{"two keys for an instance", func(s *brazetest.Server) { s.AddPartner("a", "A", brazetest.OneKeyFor(), brazetest.OneKeyFor("US-01")) }},
		{"unknown instance", func(s *brazetest.Server) { s.AddWorkspace("acme", brazetest.OnInstance("EU-09")) }},
		{"adopted key of another workspace", func(s *brazetest.Server) {
			p := s.AddPartner("a", "A")
			s.AddWorkspace("acme").AdoptKey(p, key)
			s.AddWorkspace("beta").AdoptKey(p, key)
		}},
		{"adopted key is empty", func(s *brazetest.Server) { s.AddWorkspace("acme").AdoptKey(s.AddPartner("a", "A"), keys.ImportKey{}) }},
		{"invalidated key is unknown", func(s *brazetest.Server) { s.AddWorkspace("acme").InvalidateKey(s.AddPartner("a", "A"), key) }},
		{"URL after Close", func(s *brazetest.Server) { _ = s.Close(); s.URL() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tb := &recordingTB{}
			caught(func() { tt.make(brazetest.NewServer(tb)) })
			if len(tb.fatals) != 1 || !strings.HasPrefix(tb.fatals[0], "brazetest: ") || strings.Contains(tb.fatals[0], key.Reveal()) {
				t.Errorf("failures: %q, want one", tb.fatals)
			}
			s, err := brazetest.Start()
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			defer func() {
				if recover() == nil {
					t.Error("a server of Start did not panic")
				}
			}()
			tt.make(s)
		})
	}
}

func TestInspection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, brazetest.KeepIdentifiers())
		w.add(t, brazetest.Profile{ExternalID: "u-17"})
		w.name(t, "Spring")
		w.Inject(brazetest.Users(), brazetest.Delay(time.Second))
		w.users(t, `[{"user_ids":["u-17","u-18"],"aliases":[{"alias_name":"c-90","alias_label":"crm"}]},{"device_ids":["d-1"],"should_remove":true}]`)
		do(t, w.Client(), http.MethodGet, "https://Other.example:8443/partners/tinyclues/cohorts?client_secret=cs", "", "")
		w.Inject(brazetest.Users(), brazetest.DropConnection())
		w.users(t, `[{"user_ids":["u-17"]}]`)

		start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		known := brazetest.Request{
			At: start, Method: "POST", Host: "rest.fra-01.braze.eu", Partner: "tinyclues", Instance: "EU-01",
			Workspace: "acme", KeyFingerprint: w.key.Fingerprint(), CohortID: "camp-481",
		}
		naming, users, dropped := known, known, known
		naming.Number, naming.Body, naming.Path, naming.Operation, naming.CohortName, naming.Status, naming.Applied = 1, len(w.naming("Spring")), "/partners/tinyclues/cohorts", brazetest.NameCohort, "Spring", 201, true
		users.Number, users.Path, users.Operation, users.Status, users.Applied = 2, "/partners/tinyclues/cohorts/users", brazetest.ChangeUsers, 201, true
		users.Changes = []brazetest.ChangeCount{{ExternalIDs: 2, Aliases: 1}, {Remove: true, DeviceIDs: 1}}
		users.Fault, users.Took = "delay 1s, not applied", time.Second
		dropped.Number, dropped.At, dropped.Path, dropped.Operation, dropped.Fault = 4, start.Add(time.Second), users.Path, brazetest.ChangeUsers, "dropped connection, not applied"
		dropped.Changes = []brazetest.ChangeCount{{ExternalIDs: 1}}
		strange := brazetest.Request{Number: 3, At: start.Add(time.Second), Method: "GET", Host: "Other.example:8443", Path: "/partners/tinyclues/cohorts", Operation: brazetest.NameCohort, Partner: "tinyclues", Status: 405}
		got := w.Requests()
		users.Body, dropped.Body = got[1].Body, got[3].Body
		if diff := cmp.Diff([]brazetest.Request{naming, users, strange, dropped}, got); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
		printed := fmt.Sprintf("%+v", got)
		for _, secret := range []string{w.key.Reveal(), w.partner.Key("EU-01").Reveal(), "u-17", "c-90", "d-1", "client_secret"} {
			if strings.Contains(printed, secret) {
				t.Error("the request log shows a secret or an identifier")
			}
		}
		if diff := cmp.Diff(brazetest.Counters{Requests: 4, Identifiers: 4, ByStatus: map[int]int{0: 1, 201: 2, 405: 1}}, w.Counters()); diff != "" {
			t.Errorf("counters (-want +got):\n%s", diff)
		}
		wantChanges := []brazetest.Change{
			{Identifiers: []brazetest.Identifier{{Kind: brazetest.ExternalIDKind, Value: "u-17"}, {Kind: brazetest.ExternalIDKind, Value: "u-18"}, {Kind: brazetest.AliasKind, Value: "c-90", Label: "crm"}}},
			{Remove: true, Identifiers: []brazetest.Identifier{{Kind: brazetest.DeviceIDKind, Value: "d-1"}}},
		}
		if diff := cmp.Diff(wantChanges, w.Changes(2)); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		wantSkipped := []brazetest.Skip{
			{Identifier: wantChanges[0].Identifiers[1], Reason: brazetest.SkippedUnknown, Request: 2},
			{Identifier: wantChanges[0].Identifiers[2], Reason: brazetest.SkippedUnknown, Request: 2},
			{Identifier: wantChanges[1].Identifiers[0], Reason: brazetest.SkippedUnknown, Remove: true, Request: 2},
		}
		cohorts := w.workspace.Cohorts()
		if len(cohorts) != 1 {
			t.Fatalf("%d cohorts, want 1", len(cohorts))
		}
		if diff := cmp.Diff(wantSkipped, cohorts[0].Skipped); diff != "" {
			t.Errorf("skipped (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"u-17"}, cohorts[0].ExternalIDs()); diff != "" {
			t.Errorf("external IDs (-want +got):\n%s", diff)
		}
		// What was returned is the caller's.
		got[1].Changes[0].ExternalIDs = 99
		cohorts[0].Members[0].ExternalID, cohorts[0].SkippedByReason[brazetest.SkippedUnknown] = "changed", 99
		w.Changes(2)[0].Identifiers[0].Value = "changed"
		w.Counters().ByStatus[201] = 99
		again, _ := w.workspace.Cohort(w.partner, "camp-481")
		if w.Requests()[1].Changes[0].ExternalIDs != 2 || again.Members[0].ExternalID != "u-17" || again.SkippedByReason[brazetest.SkippedUnknown] != 3 ||
			w.Changes(2)[0].Identifiers[0].Value != "u-17" || w.Counters().ByStatus[201] != 2 {
			t.Error("a returned value is not a copy")
		}
		w.ForgetRequests()
		if len(w.Requests()) != 0 || w.Changes(2) != nil || w.Counters().Requests != 4 {
			t.Error("ForgetRequests left something, or took the counters")
		}
		w.users(t, `[]`)
		if n := w.Requests()[0].Number; n != 5 {
			t.Errorf("the next request has number %d, want 5", n)
		}
	})
}

func TestCohortsAreInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.AddPartner("splio", "Splio")
	w.workspace.Enable(other)
	for _, p := range []*brazetest.Partner{w.partner, other} {
		key := w.workspace.GenerateKey(p)
		for _, id := range []string{"c", "a", "b"} {
			body := fmt.Sprintf(`{"partner_api_key":%q,"client_secret":%q,"cohort_id":%q,"name":"same","created_at":"2025-03-02T08:15:00Z"}`, p.Key("EU-01").Reveal(), key.Reveal(), id)
			if got := do(t, w.Client(), http.MethodPost, endpoint+"/partners/"+p.Slug()+"/cohorts", "application/json", body); got.status != 201 {
				t.Fatalf("status %d", got.status)
			}
		}
	}
	var got []string
	for _, c := range w.workspace.Cohorts() {
		got = append(got, c.Partner+"/"+c.ID)
	}
	if !slices.IsSorted(got) || len(got) != 6 {
		t.Errorf("cohorts in the order %q", got)
	}
	if diff := cmp.Diff([]string{"same", "same", "same"}, w.workspace.DropDown(other)); diff != "" {
		t.Errorf("drop-down (-want +got):\n%s", diff)
	}
}

// TestConcurrentUse changes everything at once; the race detector does the checking, and the members must be right in
// the end.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const workers, each = 8, 25
	var all sync.WaitGroup
	for n := range workers {
		all.Go(func() {
			for i := range each {
				id := fmt.Sprintf("u-%d-%d", n, i)
				braze, err := w.workspace.AddProfile(brazetest.Profile{DeviceIDs: []string{"d-" + id}})
				if err != nil {
					t.Error(err)
					return
				}
				w.users(t, `[{"device_ids":["d-`+id+`"]}]`)
				if _, err := w.workspace.Identify(braze, id); err != nil {
					t.Error(err)
				}
				if i%5 == 0 {
					w.users(t, `[{"user_ids":["`+id+`"],"should_remove":true}]`)
				}
				w.workspace.Cohort(w.partner, "camp-481")
				w.Requests()
				w.Counters()
			}
		})
	}
	all.Wait()
	if n := w.workspace.CohortSize(w.partner, "camp-481"); n != workers*each*4/5 {
		t.Errorf("%d members, want %d", n, workers*each*4/5)
	}
}
