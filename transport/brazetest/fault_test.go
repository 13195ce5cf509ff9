package brazetest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// TestFaults fires every fault once, and says of each what the client sees and whether the member was added.
func TestFaults(t *testing.T) {
	t.Parallel()
	refuseRedirects := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	tests := []struct {
		name    string
		fault   brazetest.Fault
		status  int // 0: no answer at all
		token   string
		header  map[string]string // "" for none
		cut     bool              // the body cannot be read to its end
		applied bool
	}{
		{name: "status", fault: brazetest.Status(503), status: 503, token: "Service Unavailable"},
		{name: "status without a name", fault: brazetest.Status(599), status: 599, token: "599"},
		{name: "status applied", fault: brazetest.Status(500).Applied(), status: 500, applied: true},
		{name: "status with body", fault: brazetest.StatusBody(500, `{"message":"oops"}`), status: 500, token: "oops"},
		{name: "locked", fault: brazetest.Locked(), status: 423, token: "Resource locked"},
		{name: "rate limited", fault: brazetest.RateLimited("30"), status: 429, header: map[string]string{"Retry-After": "30", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "946688400"}},
		{name: "rate limited without Retry-After", fault: brazetest.RateLimited(""), status: 429, header: map[string]string{"Retry-After": ""}},
		{name: "rate limited with any Retry-After", fault: brazetest.RateLimited("soon; maybe"), status: 429, header: map[string]string{"Retry-After": "soon; maybe"}},
		{name: "rate limited until", fault: brazetest.RateLimitedUntil(time.Unix(1700000000, 0)), status: 429, header: map[string]string{"X-RateLimit-Reset": "1700000000"}},
		{name: "header left out", fault: brazetest.RateLimited("1").Header("x-ratelimit-reset", ""), status: 429, header: map[string]string{"X-RateLimit-Reset": "", "Retry-After": "1"}},
		{name: "dropped", fault: brazetest.DropConnection()},
		{name: "applied then lost", fault: brazetest.AppliedThenLost(), applied: true},
		{name: "truncated", fault: brazetest.TruncateBody(5), status: 201, token: `{"mes`, cut: true, applied: true},
		{name: "truncated to nothing", fault: brazetest.TruncateBody(0), status: 201, cut: true, applied: true},
		{name: "truncated beyond its length", fault: brazetest.TruncateBody(99), status: 201, token: "success", applied: true},
		{name: "truncated, not applied", fault: brazetest.TruncateBody(5).NotApplied(), status: 201, cut: true},
		{name: "malformed", fault: brazetest.MalformedBody(), status: 201, token: `"succ`, applied: true},
		{name: "success with errors", fault: brazetest.SuccessWithErrors("late", "odd"), status: 201, token: `{"errors":["late","odd"],"message":"success"}`, applied: true},
		{name: "queued", fault: brazetest.Queued(), status: 202, token: "queued", applied: true},
		{name: "gateway", fault: brazetest.HTML(502), status: 502, token: "<!DOCTYPE html>", header: map[string]string{"Content-Type": "text/html; charset=utf-8", "X-RateLimit-Limit": ""}},
		{name: "portal", fault: brazetest.HTML(200), status: 200, token: "<h1>OK</h1>"},
		{name: "redirect", fault: brazetest.Redirect("https://elsewhere.example/"), status: 307, header: map[string]string{"Location": "https://elsewhere.example/"}},
		{name: "endless", fault: brazetest.EndlessBody(), status: 201, applied: true},
		{name: "slow", fault: brazetest.SlowBody(time.Second), status: 201, token: "success", applied: true},
		{name: "delay", fault: brazetest.Delay(time.Minute), status: 201, token: "success", applied: true},
		{name: "delay of the answer", fault: brazetest.Delay(time.Minute).Applied(), status: 201, applied: true},
		{name: "wrong partner key", fault: brazetest.Unauthorized(brazetest.WrongPartnerKey), status: 401, token: "Partner API key"},
		{name: "wrong import key", fault: brazetest.Unauthorized(brazetest.WrongImportKey), status: 401, token: "client secret"},
		{name: "not enabled", fault: brazetest.Unauthorized(brazetest.NotEnabled), status: 401, token: "not enabled"},
		{name: "unauthorized access", fault: brazetest.Unauthorized(brazetest.GenericRefusal), status: 401, token: "Unauthorized access"},
		{name: "echo", fault: brazetest.BadRequestEchoing(), status: 400, token: "u-17"},
		{name: "nothing", fault: brazetest.Fault{}, status: 201, token: "success", applied: true},
		{name: "custom", fault: brazetest.Custom("teapot", func(w http.ResponseWriter, r *http.Request) bool {
			b, _ := io.ReadAll(r.Body)
			w.WriteHeader(http.StatusTeapot)
			_, _ = fmt.Fprintf(w, "%d changes", strings.Count(string(b), "user_ids"))
			return true
		}), status: 418, token: "1 changes"},
		{name: "custom that declines", fault: brazetest.Custom("nothing", func(http.ResponseWriter, *http.Request) bool { return false }), status: 201, token: "success", applied: true},
		{name: "custom after applying", fault: brazetest.Custom("plain", func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = io.WriteString(w, "fine")
			return true
		}).Applied(), status: 200, token: "fine", applied: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.add(t, brazetest.Profile{ExternalID: "u-17"})
				injected := w.Inject(brazetest.Users(), tt.fault)
				client := w.Client()
				client.CheckRedirect = refuseRedirects
				got := do(t, client, http.MethodPost, endpoint+"/partners/tinyclues/cohorts/users", "application/json", w.changes(`[{"user_ids":["u-17"]}]`))
				if tt.status == 0 {
					if got.err == nil {
						t.Errorf("got status %d, want no answer", got.status)
					}
				} else if got.status != tt.status || !strings.Contains(got.body, tt.token) || (got.err != nil) != tt.cut {
					t.Errorf("got %d %.80q, error %v; want %d with %q, cut %v", got.status, got.body, got.err, tt.status, tt.token, tt.cut)
				}
				for name, want := range tt.header {
					if got := got.header.Get(name); got != want {
						t.Errorf("%s: %q, want %q", name, got, want)
					}
				}
				if in := w.workspace.CohortSize(w.partner, "camp-481") == 1; in != tt.applied {
					t.Errorf("added %v, want %v", in, tt.applied)
				}
				log := w.Requests()[0]
				if log.Status != tt.status || log.Applied != tt.applied {
					t.Errorf("the log has status %d, applied %v", log.Status, log.Applied)
				}
				if log.Fault != tt.fault.String() {
					t.Errorf("the log has the fault %q, want %q", log.Fault, tt.fault)
				}
				if injected.Fired() != 1 {
					t.Errorf("fired %d times, want 1", injected.Fired())
				}
				// The next request is none of its business.
				if got := w.users(t, `[]`); got.status != 201 {
					t.Errorf("the next request: %d, %v", got.status, got.err)
				}
			})
		})
	}
}

func TestNotEnabledFaultRepeatsTheSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Inject(brazetest.AnyRequest(), brazetest.Unauthorized(brazetest.NotEnabled))
	if got := w.users(t, `[]`); !strings.Contains(got.body, w.key.Reveal()) {
		t.Error("the import key is not repeated")
	}
}

func TestDelaysAddUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.Inject(brazetest.Users(), brazetest.Delay(time.Second))
		w.Inject(brazetest.Users(), brazetest.Delay(2*time.Second).Applied())
		w.Inject(brazetest.Users(), brazetest.Locked())
		start := time.Now()
		if got := w.users(t, `[]`); got.status != http.StatusLocked {
			t.Errorf("status %d, want the 423 that follows the delays", got.status)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v, want 3s", took)
		}
		if got, want := w.Requests()[0].Fault, "delay 1s, not applied; delay 2s, applied; locked, not applied"; got != want {
			t.Errorf("the log has the fault %q, want %q", got, want)
		}
	})
}

func TestDelayEndsWithTheClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.add(t, brazetest.Profile{ExternalID: "u-17"}, brazetest.Profile{ExternalID: "u-18"})
		w.Inject(brazetest.Users(), brazetest.Delay(time.Hour))
		w.Inject(brazetest.Users().Nth(2), brazetest.Delay(time.Hour).Applied())
		post := func(id string) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+"/partners/tinyclues/cohorts/users", strings.NewReader(w.changes(`[{"user_ids":["`+id+`"]}]`)))
			if err != nil {
				return err
			}
			req.Header.Set("Content-Type", "application/json")
			resp, err := w.Client().Do(req)
			if err == nil {
				_ = resp.Body.Close()
			}
			return err
		}
		for _, id := range []string{"u-17", "u-18"} {
			if err := post(id); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the deadline", err)
			}
		}
		synctest.Wait()
		if diff := cmp.Diff([]string{"u-18"}, w.members(t)); diff != "" {
			t.Errorf("members: want only the one applied before the wait (-want +got):\n%s", diff)
		}
		for _, r := range w.Requests() {
			if r.Status != 0 || r.Took != time.Minute {
				t.Errorf("request %d: status %d after %v, want none after a minute", r.Number, r.Status, r.Took)
			}
		}
	})
}

func TestLockedOnOverlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.Inject(brazetest.Users(), brazetest.LockedOnOverlap()).Always()
		w.Inject(brazetest.Users(), brazetest.Delay(time.Second)).Always()
		users := func(cohort string) int {
			body := strings.Replace(w.changes(`[]`), "camp-481", cohort, 1)
			return do(t, w.Client(), http.MethodPost, endpoint+"/partners/tinyclues/cohorts/users", "application/json", body).status
		}
		first, other := make(chan int, 1), make(chan int, 1)
		go func() { first <- users("camp-481") }()
		go func() { other <- users("camp-482") }()
		synctest.Wait()
		if got := users("camp-481"); got != http.StatusLocked {
			t.Errorf("overlapping: status %d, want 423", got)
		}
		if a, b := <-first, <-other; a != 201 || b != 201 {
			t.Errorf("first to each cohort: %d and %d, want 201", a, b)
		}
		if got := users("camp-481"); got != 201 {
			t.Errorf("afterwards: status %d, want 201", got)
		}
		if a, b := w.workspace.MaxOverlap(w.partner, "camp-481"), w.workspace.MaxOverlap(w.partner, "camp-482"); a != 2 || b != 1 {
			t.Errorf("overlaps %d and %d, want 2 and 1", a, b)
		}
		if n := w.workspace.MaxOverlap(w.partner, "camp-483"); n != 0 {
			t.Errorf("overlap of a cohort nobody wrote to: %d", n)
		}
	})
}

func TestInjections(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		inject func(world)
		want   []int // statuses of: naming, users camp-481, users camp-482, users camp-481
	}{
		{"once", func(w world) { w.Inject(brazetest.Users(), brazetest.Status(500)) }, []int{201, 500, 201, 201}},
		{"twice", func(w world) { w.Inject(brazetest.Users(), brazetest.Status(500)).Times(2) }, []int{201, 500, 500, 201}},
		{"at least once", func(w world) { w.Inject(brazetest.Users(), brazetest.Status(500)).Times(-1) }, []int{201, 500, 201, 201}},
		{"always", func(w world) { w.Inject(brazetest.AnyRequest(), brazetest.Status(500)).Always() }, []int{500, 500, 500, 500}},
		{"naming", func(w world) { w.Inject(brazetest.Naming(), brazetest.Status(500)).Always() }, []int{500, 201, 201, 201}},
		{"one cohort", func(w world) { w.Inject(brazetest.AnyRequest().Cohort("camp-482"), brazetest.Status(500)) }, []int{201, 201, 500, 201}},
		{"second of one cohort", func(w world) { w.Inject(brazetest.Users().Cohort("camp-481").Nth(2), brazetest.Status(500)) }, []int{201, 201, 201, 500}},
		{"first in, first out", func(w world) {
			w.Inject(brazetest.Users(), brazetest.Status(500))
			w.Inject(brazetest.AnyRequest(), brazetest.Status(502))
			w.Inject(brazetest.Users(), brazetest.Status(503))
		}, []int{502, 500, 503, 201}},
		{"nth counts what others take", func(w world) {
			w.Inject(brazetest.Users(), brazetest.Status(500))
			w.Inject(brazetest.Users().Nth(2), brazetest.Status(503))
		}, []int{201, 500, 503, 201}},
		{"by a condition", func(w world) {
			w.Inject(brazetest.Users().Where(func(r brazetest.Request) bool { return r.Identifiers() == 3 }), brazetest.Status(500))
		}, []int{201, 201, 500, 201}},
		{"by partner and workspace", func(w world) {
			w.Inject(brazetest.Users().Partner(w.partner).Workspace(w.workspace), brazetest.Status(500))
			w.Inject(brazetest.Users().Partner(w.AddPartner("splio", "Splio")), brazetest.Status(502)).Optional()
			w.Inject(brazetest.Users().Workspace(w.AddWorkspace("acme")), brazetest.Status(503)).Optional()
		}, []int{201, 500, 201, 201}},
		{"removed", func(w world) { w.Inject(brazetest.AnyRequest(), brazetest.Status(500)).Remove() }, []int{201, 201, 201, 201}},
		{"shared target stays as it was", func(w world) {
			users := brazetest.Users()
			_ = users.Cohort("camp-999")
			w.Inject(users.Cohort("camp-482"), brazetest.Status(500))
			w.Inject(users.Cohort("camp-481"), brazetest.Status(502))
		}, []int{201, 502, 500, 201}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.inject(w)
			three := strings.Replace(w.changes(`[{"user_ids":["u-17"],"device_ids":["d-1"],"aliases":[{"alias_name":"c-90","alias_label":"crm"}]}]`), "camp-481", "camp-482", 1)
			got := []int{
				w.name(t, "Spring").status,
				w.users(t, `[{"user_ids":["u-17"]}]`).status,
				do(t, w.Client(), http.MethodPost, endpoint+"/partners/tinyclues/cohorts/users", "application/json", three).status,
				w.users(t, `[]`).status,
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestInjectionFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		locked := w.Inject(brazetest.Users(), brazetest.Locked()).For(10 * time.Second)
		time.Sleep(time.Hour) // the time runs from the first request
		var got []int
		for range 4 {
			got = append(got, w.users(t, `[]`).status)
			time.Sleep(4 * time.Second)
		}
		if diff := cmp.Diff([]int{423, 423, 423, 201}, got); diff != "" {
			t.Errorf("statuses (-want +got):\n%s", diff)
		}
		if locked.Fired() != 3 {
			t.Errorf("fired %d times, want 3", locked.Fired())
		}
	})
}

func TestUnfiredFaultFailsTheTest(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		inject func(world)
		want   []string // what the failure says; nil for none
	}{
		{"fired", func(w world) { w.Inject(brazetest.Users(), brazetest.Locked()) }, nil},
		{"optional", func(w world) { w.Inject(brazetest.Naming(), brazetest.Locked()).Optional() }, nil},
		{"never fired", func(w world) { w.Inject(brazetest.Naming(), brazetest.Locked()) }, []string{"1 of 1 left: locked, not applied, on cohort naming"}},
		{"not often enough", func(w world) { w.Inject(brazetest.Users(), brazetest.Status(503)).Times(3) }, []string{"2 of 3 left: status 503, not applied, on cohort users"}},
		{"always, but never", func(w world) { w.Inject(brazetest.Users().Cohort("camp-999"), brazetest.Locked()).Always() }, []string{"on cohort users of one cohort"}},
		{"several", func(w world) {
			w.Inject(brazetest.Naming(), brazetest.DropConnection())
			w.Inject(brazetest.Naming(), brazetest.AppliedThenLost())
		}, []string{"dropped connection, not applied", "dropped connection, applied"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tb := &recordingTB{}
			s := brazetest.NewServer(tb)
			w := world{Server: s, partner: s.AddPartner("tinyclues", "Tinyclues"), workspace: s.AddWorkspace("acme")}
			w.key = w.workspace.GenerateKey(w.partner)
			w.workspace.Enable(w.partner)
			tt.inject(w)
			w.users(t, `[]`)
			tb.finish()
			if (len(tb.errors) > 0) != (tt.want != nil) || len(tb.fatals) > 0 {
				t.Fatalf("failures: %q", tb.errors)
			}
			for _, want := range tt.want {
				if !strings.Contains(tb.errors[0], want) {
					t.Errorf("the failure %q does not say %q", tb.errors[0], want)
				}
			}
			var unfired *brazetest.UnfiredError
			if err := s.Close(); errors.As(err, &unfired) != (tt.want != nil) {
				t.Errorf("Close again: %v", err)
			} else if unfired != nil && len(unfired.Injections) != len(tt.want) {
				t.Errorf("%d injections are listed, want %d", len(unfired.Injections), len(tt.want))
			}
		})
	}
}
