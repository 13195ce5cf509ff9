package cohort_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// What must not show. Each of them has a character that JSON escapes, and no piece of them is a word.
const (
	secretPartner  = `Zq7vKx2m"Wp9tRb4nLs8d`
	secretImport   = `Hf3jGc6y\Te1uYo5iVa0w`
	secretExternal = `Xk5pQw8z"Vn3bMr7cJh2f`
	secretAlias    = `Dg4sUe9l\Bt6xNy1kCo8r`
	secretDevice   = `Pm0aSf5h"Ij3vEz7qAw2g`
)

var (
	secretKeys = []string{secretPartner, secretImport}
	secretIDs  = []string{secretExternal, secretAlias, secretDevice}
	secretHuge = identity.ExternalID(strings.Repeat(secretExternal, 24_000)) // made once: more than 500,000 bytes
)

// exposure collects what a program could print of the values it gets.
type exposure struct {
	mu    sync.Mutex
	shown strings.Builder
	known map[string]bool // of what show has printed
}

// Write takes log records.
func (e *exposure) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shown.Write(p)
}

// isNew reports whether a text comes for the first time.
func (e *exposure) isNew(text string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.known == nil {
		e.known = make(map[string]bool)
	}
	known := e.known[text]
	e.known[text] = true
	return !known
}

// show prints values in every way there is, and what looks the same in all of them once: a run repeats itself.
func (e *exposure) show(values ...any) {
	for _, v := range values {
		var b strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s", "%x", "%X", "%d"} {
			fmt.Fprintf(&b, verb+"\n", v)
		}
		if text, err := json.Marshal(v); err == nil {
			b.Write(text)
		}
		if !e.isNew(b.String()) {
			continue
		}
		for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
			slog.New(h).Info("a value", slog.Any("value", v))
		}
		_, _ = e.Write([]byte(b.String()))
	}
}

// showError prints an error and everything that it wraps.
func (e *exposure) showError(err error) {
	if err == nil {
		return
	}
	e.show(err)
	switch err := err.(type) { //nolint:errorlint // it walks the tree itself
	case interface{ Unwrap() error }:
		e.showError(err.Unwrap())
	case interface{ Unwrap() []error }:
		for _, wrapped := range err.Unwrap() {
			e.showError(wrapped)
		}
	}
	switch err := err.(type) { //nolint:errorlint // as above
	case *transport.APIError:
		e.show(*err)
	case *transport.NoAnswerError:
		e.show(*err)
	case *cohort.CheckError:
		e.show(*err, err.Suspects)
	}
}

// pieces returns the forms in which a piece of so many bytes of a text may show, of the pieces that begin at every so manieth byte.
func pieces(text string, size, every int) []string {
	var all []string
	for i := 0; i+size <= len(text); i += every {
		piece := text[i : i+size]
		quoted := strconv.Quote(piece)
		all = append(all, piece, quoted[1:len(quoted)-1], hex.EncodeToString([]byte(piece)), strings.ToUpper(hex.EncodeToString([]byte(piece))), url.QueryEscape(piece))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// shows returns where a text shows eight bytes of a secret, or -1.
//
// Eight bytes in a row have four in them that begin at a multiple of four, in whatever form: only if a text has such a four is it
// searched for every eight, of which there are three times as many.
func shows(text, secret string) int {
	in := func(piece string) bool { return strings.Contains(text, piece) }
	if !slices.ContainsFunc(pieces(secret, 4, 4), in) {
		return -1
	}
	for _, piece := range pieces(secret, 8, 1) {
		if i := strings.Index(text, piece); i >= 0 {
			return i
		}
	}
	return -1
}

// checkHidden fails the test if a text shows a piece of a secret.
func checkHidden(t *testing.T, where, shown string, secrets []string) {
	t.Helper()
	for _, secret := range secrets {
		if i := shows(shown, secret); i >= 0 {
			t.Errorf("%s shows a piece of a secret: …%s…", where, shown[max(0, i-60):min(len(shown), i+60)])
			return
		}
	}
}

// StartAttempt, ObserveAttempt, ObserveWait and ObserveBatch show what observers hear.
func (e *exposure) StartAttempt(ctx context.Context, start transport.AttemptStart) context.Context {
	e.show(start)
	return ctx
}
func (e *exposure) ObserveAttempt(_ context.Context, end transport.AttemptEnd) { e.show(end) }
func (e *exposure) ObserveWait(_ context.Context, w transport.Wait)            { e.show(w) }
func (e *exposure) ObserveBatch(_ context.Context, end cohort.BatchEnd)        { e.show(end) }

func secretCredentials() keys.Credentials {
	return keys.Credentials{Partner: "tinyclues", PartnerKey: keys.NewPartnerKey(secretPartner), ImportKey: keys.NewImportKey(secretImport)}
}

// newSecretStage is a stage whose keys are the secrets, on every instance.
func newSecretStage(t *testing.T, opts ...brazetest.Option) *stage {
	t.Helper()
	s := &stage{server: brazetest.NewServer(t, opts...), importKey: keys.NewImportKey(secretImport)}
	s.partner = s.server.AddPartner("tinyclues", "Tinyclues", brazetest.WithPartnerKey(keys.NewPartnerKey(secretPartner)))
	s.workspace = s.server.AddWorkspace("acme")
	s.workspace.Enable(s.partner)
	s.workspace.AdoptKey(s.partner, s.importKey)
	return s
}

// secretChanges yields good rows, bad rows and, if it is not nil, an error at the end.
func secretChanges(err error) func(func(cohort.Change, error) bool) {
	return func(yield func(cohort.Change, error) bool) {
		for _, row := range []struct {
			change cohort.Change
			err    error
		}{
			{change: cohort.Add(identity.ExternalID(secretExternal))},
			{change: cohort.Remove(identity.Alias{Label: "crm", Name: secretAlias}.ID())},
			{change: cohort.Add(identity.DeviceID(secretDevice))},
			{change: cohort.Add(identity.ExternalID(secretExternal + strings.Repeat("x", 1000)))},
			{change: cohort.Add(identity.ExternalID(secretExternal + "\n"))},
			{change: cohort.Add(identity.Alias{Name: secretAlias}.ID())},
			{change: cohort.Add(identity.DeviceID(secretDevice + "\xff"))},
			{change: cohort.Add(secretHuge)},
			{err: fmt.Errorf("row of %s: %w", secretExternal, &identity.RejectError{Field: "row", Reason: identity.ReasonUnreadable})},
		} {
			if !yield(row.change, row.err) {
				return
			}
		}
		if err != nil {
			yield(cohort.Change{}, err)
		}
	}
}

// drive makes every call there is and shows what comes of it. It returns what the errors hold for the person who looks into them.
func (e *exposure) drive(t *testing.T, address string, transporter http.RoundTripper, credentials keys.Credentials, policy transport.RetryPolicy) string {
	t.Helper()
	handler := slog.NewMultiHandler(
		slog.NewTextHandler(e, &slog.HandlerOptions{Level: slog.LevelDebug}),
		slog.NewJSONHandler(e, &slog.HandlerOptions{Level: slog.LevelDebug}),
	)
	client := newClient(t, address, transport.WithHTTPClient(&http.Client{Transport: transporter}), transport.WithRetryPolicy(policy),
		transport.WithLogger(slog.New(handler)), transport.WithObserver(e))
	defer client.CloseIdleConnections()
	im := newImporter(t, client, credentials, cohort.WithObserver(e))
	e.show(client, im, credentials, credentials.ImportKey, credentials.PartnerKey, struct{ Importer *cohort.Importer }{im})
	tell := []cohort.RunOption{
		cohort.OnReject(func(r cohort.Rejection) { e.show(r); e.showError(r.Err) }),
		cohort.OnProgress(func(p cohort.Progress) { e.show(p) }),
	}
	var details strings.Builder
	hear := func(err error) {
		e.showError(err)
		if api, ok := errors.AsType[*transport.APIError](err); ok {
			details.WriteString(api.Detail() + "\n")
		}
		if none, ok := errors.AsType[*transport.NoAnswerError](err); ok {
			details.WriteString(none.Detail() + "\n")
		}
	}
	hear(im.Check(t.Context()))
	hear(im.SetName(t.Context(), cohort.Cohort{ID: campaign, Name: "Spring sale", CreatedAt: time.Unix(1, 0)}))
	for _, sourceErr := range []error{nil, errSource} {
		report, err := apply(t.Context(), t, im, secretChanges(sourceErr), tell...)
		e.show(report, &report, report.Warnings)
		hear(err)
	}
	report, err := apply(t.Context(), t, im, secretChanges(nil), append(tell, cohort.Strict())...)
	e.show(report)
	hear(err)
	e.driveSyncer(t, im, hear, tell)
	e.driveStream(t, im, hear)
	return details.String()
}

// secretPeople are people who can be sent, and some who cannot.
func secretPeople(err error) cohort.Audience {
	return cohort.People(identity.Rules{}, func(yield func(identity.Person, error) bool) {
		_ = yield(identity.Person{ExternalID: secretExternal, Aliases: []identity.Alias{{Label: "crm", Name: secretAlias}}, DeviceIDs: []string{secretDevice}}, nil) &&
			yield(identity.Person{ExternalID: secretExternal + "\n"}, nil) &&
			yield(identity.Person{DeviceIDs: []string{secretDevice}}, nil) &&
			yield(identity.Person{}, fmt.Errorf("row of %s: %w", secretExternal, &identity.RejectError{Field: "row", Reason: identity.ReasonUnreadable})) &&
			(err == nil || yield(identity.Person{}, err))
	})
}

// driveSyncer makes every call of a Syncer whose ledger knows some members already, so that there is something to remove.
func (e *exposure) driveSyncer(t *testing.T, im *cohort.Importer, hear func(error), tell []cohort.RunOption) {
	t.Helper()
	state := newLedger(t)
	syncer := newSyncer(t, im, state, cohort.WithRemovalGuard(0, 0), cohort.WithSuppression(func(id identity.ID) bool { return id.Kind() == identity.DeviceIDKind }))
	key := ledger.Key{Endpoint: "https://rest.fra-01.braze.eu", Partner: "tinyclues", Workspace: "acme", CohortID: campaign}
	err := ledger.Import(t.Context(), state, ledger.Entry{Key: key}, func(yield func(ledger.Member, error) bool) {
		_ = yield(ledger.Member{ID: identity.Alias{Label: "crm", Name: secretAlias}.ID(), State: ledger.In}, nil) &&
			yield(ledger.Member{ID: identity.ExternalID(secretExternal + "2"), State: ledger.Unknown}, nil)
	})
	hear(err)
	job := cohort.Job{Cohort: sale(), Audience: secretPeople(nil)}
	e.show(syncer, job, &job, job.Audience, []cohort.Job{job}, struct{ Syncer *cohort.Syncer }{syncer}, cohort.Share(0.5), cohort.Audience{}, cohort.Identifiers(nil))
	show := func(v any, err error) {
		e.show(v)
		hear(err)
	}
	for _, sourceErr := range []error{nil, errSource} {
		plan, err := syncer.Plan(t.Context(), sale(), secretPeople(sourceErr), tell...)
		show(plan, err)
		report, err := syncer.Sync(t.Context(), sale(), secretPeople(sourceErr), tell...)
		show(report, err)
		report, err = syncer.Sync(t.Context(), sale(), secretPeople(sourceErr), append(tell, cohort.ApproveRemovals(9))...)
		show(report, err)
	}
	report, err := syncer.Sync(t.Context(), sale(), secretPeople(nil), append(tell, cohort.Strict())...)
	show(report, err)
	report, err = syncer.Apply(t.Context(), campaign, secretChanges(nil), tell...)
	show(report, err)
	plan, err := syncer.PlanReassert(t.Context(), campaign, cohort.Share(1), tell...)
	show(plan, err)
	report, err = syncer.Reassert(t.Context(), campaign, cohort.Share(1), tell...)
	show(report, err)
	reports, err := syncer.SyncAll(t.Context(), []cohort.Job{job}, tell...)
	show(reports, err)
	reports, err = syncer.Rebuild(t.Context(), campaign, cohort.Cohort{ID: "camp-500", Name: "Rebuilt"}, secretPeople(nil), tell...)
	show(reports, err)
	reports, err = syncer.Erase(t.Context(), func(yield func(identity.ID, error) bool) {
		_ = yield(identity.Alias{Label: "crm", Name: secretAlias}.ID(), nil) && yield(identity.ExternalID(secretExternal+"\n"), nil)
	}, tell...)
	show(reports, err)
	reports, err = syncer.Erase(t.Context(), func(yield func(identity.ID, error) bool) { yield(identity.ExternalID(secretExternal), nil) }, tell...)
	show(reports, err)
	report, err = syncer.Drain(t.Context(), campaign, tell...)
	show(report, err)
}

// driveStream makes every call of a stream, with events that are taken, refused and late.
func (e *exposure) driveStream(t *testing.T, im *cohort.Importer, hear func(error)) {
	t.Helper()
	s, err := newSyncer(t, im, newLedger(t)).Stream(t.Context(), sale(), cohort.WithMemory(0),
		cohort.OnAcknowledge(func(events []cohort.Event) { e.show(events) }), cohort.OnFailure(e.showError))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	event := func(id identity.ID, at time.Time) cohort.Event {
		return cohort.Event{ID: id, At: at, Direction: cohort.Leave}
	}
	taken := []cohort.Event{
		event(identity.ExternalID(secretExternal), at), event(identity.Alias{Label: "crm", Name: secretAlias}.ID(), at), event(identity.DeviceID(secretDevice), at),
		event(identity.ExternalID(secretExternal+strings.Repeat("x", 1000)), at),
	}
	returned := []cohort.Event{
		event(identity.ExternalID(secretExternal), at.Add(-1)), event(identity.DeviceID(secretDevice), at.Add(time.Hour)), event(identity.DeviceID(secretDevice), time.Time{}),
		{ID: identity.ExternalID(secretExternal), At: at}, event(identity.ExternalID(secretExternal+"\n"), at), event(identity.Alias{Name: secretAlias}.ID(), at),
		event(identity.DeviceID(secretDevice+"\xff"), at), event(secretHuge, at),
	}
	tell := func(ev cohort.Event, err error) {
		e.show(ev, &ev, ev.Direction)
		hear(err)
		if late, ok := errors.AsType[*cohort.LateError](err); ok {
			e.show(*late)
		}
	}
	for _, ev := range slices.Concat(taken, returned) {
		tell(ev, s.Send(t.Context(), ev))
	}
	e.show(s, struct{ Stream *cohort.Stream }{s}, s.State())
	hear(s.Flush(t.Context()))
	if _, err := s.SendAll(t.Context(), slices.Concat(taken, returned), tell); err != nil {
		hear(err)
	}
	ended, end := context.WithCancel(t.Context())
	end() // trouble may last
	left, err := s.Close(ended)
	e.show(left, s.State(), s.State().Warnings)
	hear(err)
	hear(s.Send(t.Context(), taken[0]))
}

// TestSecretsStayHidden drives every way in which a call can go wrong, formats everything that a program can get hold of, and looks for pieces of the
// keys and of the identifiers. With -every=N the key is cut, and the connection breaks, after every Nth byte. With the race detector it is every second way.
func TestSecretsStayHidden(t *testing.T) {
	t.Parallel()
	everything := append(slices.Clone(secretKeys), secretIDs...)
	repeated := func() string {
		text, _ := json.Marshal(map[string]any{"message": "refused " + strings.Join(everything, " and "), "errors": everything})
		return string(text)
	}()
	unicode := func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&b, `\u%04x`, c)
		}
		return b.String()
	}

	t.Run("changes", func(t *testing.T) {
		t.Parallel()
		var e exposure
		for change, err := range secretChanges(nil) {
			e.show(change, &change, []cohort.Change{change}, struct{ Change cohort.Change }{change}, change.ID())
			if _, rejected := errors.AsType[*identity.RejectError](err); !rejected {
				e.showError(err)
			}
		}
		checkHidden(t, "what is printed", e.shown.String(), everything)
	})

	// Against the fake.
	type scenario struct {
		name        string
		prepare     func(*testing.T, *stage)
		fault       brazetest.Fault
		credentials func(*testing.T) keys.Credentials
	}
	var scenarios []scenario
	for _, f := range faults() {
		scenarios = append(scenarios, scenario{name: f.name, fault: f.fault})
	}
	for _, status := range []int{200, 201, 302, 400, 401, 403, 404, 409, 413, 423, 429, 500, 503} {
		scenarios = append(scenarios,
			scenario{name: fmt.Sprintf("%d that repeats everything", status), fault: brazetest.StatusBody(status, repeated)},
			scenario{name: fmt.Sprintf("%d that repeats everything as plain text", status), fault: brazetest.StatusBody(status, strings.Join(everything, " "))},
			scenario{name: fmt.Sprintf("%d that repeats everything in escapes", status), fault: brazetest.StatusBody(status, `{"message":"`+unicode(strings.Join(everything, " "))+`"}`)},
		)
	}
	scenarios = append(scenarios,
		scenario{name: "not enabled", prepare: func(_ *testing.T, s *stage) { s.workspace.Disable(s.partner) }},
		scenario{name: "invalidated key", prepare: func(_ *testing.T, s *stage) { s.workspace.InvalidateKey(s.partner, s.importKey) }},
		scenario{name: "redirect with the keys in its address", fault: brazetest.Redirect("https://rest.fra-02.braze.eu/?k=" + url.QueryEscape(secretImport+secretPartner))},
		scenario{name: "headers with the keys", fault: brazetest.RateLimited(secretImport).Header("X-RateLimit-Reset", secretPartner).Header("Date", secretImport)},
		scenario{name: "a success that lists identifiers", fault: brazetest.SuccessWithErrors(everything...)},
		scenario{name: "a key that cannot be sent", credentials: func(t *testing.T) keys.Credentials {
			t.Helper()
			path := filepath.Join(t.TempDir(), "import-key")
			if err := os.WriteFile(path, []byte(secretImport+"\n\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			c := secretCredentials()
			c.ImportKey = keys.File(path)
			return c
		}},
		scenario{name: "a ring whose next key is refused", fault: brazetest.Unauthorized(brazetest.WrongImportKey), credentials: func(t *testing.T) keys.Credentials {
			t.Helper()
			ring, err := keys.NewRing(keys.NewImportKey(secretImport))
			if err == nil {
				err = ring.Stage(keys.NewImportKey(secretPartner))
			}
			if err != nil {
				t.Fatal(err)
			}
			c := secretCredentials()
			c.ImportKey = ring
			return c
		}},
		scenario{name: "no key", credentials: func(*testing.T) keys.Credentials {
			c := secretCredentials()
			c.ImportKey = keys.Func(func(context.Context) (keys.ImportKey, error) { return keys.NewImportKey(secretImport + "\t"), nil })
			return c
		}},
	)
	echo := `{"message":"partner not enabled for client secret ` + secretImport
	for n := first(); n <= len(secretImport); n += stride() {
		scenarios = append(scenarios, scenario{name: fmt.Sprintf("cut after %d bytes of the key", n), fault: brazetest.StatusBody(http.StatusUnauthorized, echo[:len(echo)-n])})
	}
	for n := first(); n < 160; n += stride() {
		scenarios = append(scenarios, scenario{
			name: fmt.Sprintf("the connection breaks after %d bytes", n), fault: brazetest.TruncateBody(n),
			prepare: func(_ *testing.T, s *stage) { s.workspace.Disable(s.partner) },
		})
	}
	for _, sc := range some(scenarios, defaultSome) {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSecretStage(t)
				if sc.prepare != nil {
					sc.prepare(t, s)
				}
				s.server.Inject(brazetest.AnyRequest(), sc.fault).Always().Optional()
				credentials := secretCredentials()
				if sc.credentials != nil {
					credentials = sc.credentials(t)
				}
				var e exposure
				details := e.drive(t, "EU-01", s.server.Client().Transport, credentials, transport.RetryPolicy{MaxAttempts: 2})
				checkHidden(t, "what is printed", e.shown.String(), everything)
				checkHidden(t, "Detail", details, secretKeys)
				checkHidden(t, "Detail, unescaped,", unescape(details), secretKeys)
			})
		})
	}

	// Against what the fake cannot do: faults of HTTP itself, which net/http tells with what it has read.
	for _, line := range []string{
		"%s\r\n\r\n",
		"HTTP/1.1 %s\r\n\r\n",
		"HTTP/9.9 %s OK\r\n\r\n",
		"HTTP/1.1 400 %s\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n%s\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n",
		"HTTP/1.1 307 Temporary Redirect\r\nLocation: https://%s:x:y\r\nContent-Length: 0\r\n\r\n",
	} {
		for _, text := range []string{secretImport, secretPartner + " " + secretExternal} {
			t.Run(fmt.Sprintf("%.24q with %d bytes", line, len(text)), func(t *testing.T) {
				t.Parallel()
				var e exposure
				address := rawEndpoint(t, fmt.Sprintf(line, text))
				details := e.drive(t, address, &http.Transport{DisableKeepAlives: true}, secretCredentials(), transport.NoRepeat())
				checkHidden(t, "what is printed", e.shown.String(), everything)
				checkHidden(t, "Detail", details, secretKeys)
			})
		}
	}
	for name, err := range map[string]error{
		"plain":     errors.New("no route to " + strings.Join(everything, " ")),
		"wrapped":   fmt.Errorf("proxy said %s: %w", secretImport, io.ErrUnexpectedEOF),
		"URL":       &url.Error{Op: "Post", URL: "https://rest.fra-01.braze.eu/" + url.QueryEscape(secretImport), Err: errors.New(secretExternal)},
		"operation": &net.OpError{Op: "read", Net: "tcp", Err: errors.New(secretPartner)},
	} {
		t.Run("the transport fails with a text: "+name, func(t *testing.T) {
			t.Parallel()
			var e exposure
			details := e.drive(t, "EU-01", roundTripper(func(*http.Request) (*http.Response, error) { return nil, err }), secretCredentials(), transport.NoRepeat())
			checkHidden(t, "what is printed", e.shown.String(), everything)
			checkHidden(t, "Detail", details, secretKeys)
		})
	}
}

// unescape resolves the escapes of JSON, wherever they are.
func unescape(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		c, _, tail, err := strconv.UnquoteChar(s, '"')
		if err != nil {
			c, tail = rune(s[0]), s[1:]
		}
		b.WriteRune(c)
		s = tail
	}
	return b.String()
}

// rawEndpoint answers every connection with these bytes.
func rawEndpoint(t *testing.T, text string) (address string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				request := make([]byte, 64<<10)
				_, _ = conn.Read(request)
				_, _ = io.WriteString(conn, text)
				if tcp, ok := conn.(*net.TCPConn); ok {
					_ = tcp.CloseWrite()
				}
				_, _ = io.Copy(io.Discard, conn)
			})
		}
	})
	return "http://" + listener.Addr().String()
}

// TestSecretsAreLookedFor shows that the search finds what it looks for.
func TestSecretsAreLookedFor(t *testing.T) {
	t.Parallel()
	for _, value := range []any{
		secretImport, []byte(secretImport), errors.New(secretImport), fmt.Errorf("wrapped: %w", errors.New(secretImport[3:12])),
		struct{ key string }{secretImport}, map[string]int{secretImport: 1},
	} {
		var e exposure
		e.show(value)
		if shows(e.shown.String(), secretImport) < 0 {
			t.Errorf("a secret in a %T was not found", value)
		}
	}
	for i := range len(secretImport) - 7 {
		for _, form := range pieces(secretImport[i:i+8], 8, 1) {
			if at := shows("<"+form+">", secretImport); at < 0 {
				t.Errorf("the eight bytes from %d on were not found as %d bytes", i, len(form))
			}
		}
		if at := shows("<"+secretImport[i:i+7]+">", secretImport); at >= 0 {
			t.Errorf("the seven bytes from %d on were found, at %d", i, at)
		}
	}
	if got := unescape(`a\u0062c\"d\\e`); got != `abc"d\e` {
		t.Errorf("unescape gives %q", got)
	}
}
