package brazetest_test

import (
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// left reads the rate-limit headers: the limit, what remains, and the time until the reset.
func left(t *testing.T, r reply) [3]int {
	t.Helper()
	var n [3]int
	for i, name := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} {
		v, err := strconv.Atoi(r.header.Get(name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		n[i] = v
	}
	n[2] -= int(time.Now().Unix())
	return n
}

func TestRateLimitIsOfTheClockHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, brazetest.RateLimit(3))
		w.add(t, brazetest.Profile{ExternalID: "u-17"})
		time.Sleep(50 * time.Minute) // a bubble starts on the hour
		type step struct {
			Status int
			Left   [3]int
		}
		var got []step
		send := func() {
			r := w.users(t, `[]`)
			got = append(got, step{r.status, left(t, r)})
		}
		send()
		r := w.name(t, "Spring") // both paths draw on one limit
		got = append(got, step{r.status, left(t, r)})
		send()
		if r := w.users(t, `[{"user_ids":["u-17"]}]`); r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") != "" {
			t.Errorf("over the limit: status %d, Retry-After %q, want a bare 429", r.status, r.header.Get("Retry-After"))
		}
		send()
		time.Sleep(10*time.Minute - time.Second)
		send()
		time.Sleep(time.Second)
		send()
		want := []step{
			{201, [3]int{3, 2, 600}}, {201, [3]int{3, 1, 600}}, {201, [3]int{3, 0, 600}},
			{429, [3]int{3, 0, 600}}, {429, [3]int{3, 0, 1}}, {201, [3]int{3, 2, 3600}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		if n := w.workspace.CohortSize(w.partner, "camp-481"); n != 0 {
			t.Error("a request over the limit was applied")
		}
	})
}

func TestDefaultRateLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.users(t, `[]`)
	if got := left(t, r); got[0] != 250_000 || got[1] != 249_999 {
		t.Errorf("limit %d, remaining %d, want 250000 and 249999", got[0], got[1])
	}
}

// TestWhatDrawsOnTheLimit sends one request of each kind and looks at what remains.
func TestWhatDrawsOnTheLimit(t *testing.T) {
	t.Parallel()
	const good, bad, strange = `[]`, `null`, "wrong key"
	tests := []struct {
		name string
		opts []brazetest.Option
		send string
		want int // remaining of 10, by the next good request
	}{
		{"accepted", nil, good, 8},
		{"400", nil, bad, 9},
		{"400, counted", []brazetest.Option{brazetest.CountRefused()}, bad, 8},
		{"401", nil, strange, 9},
		{"401, although refusals count", []brazetest.Option{brazetest.CountRefused()}, strange, 9},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, append(tt.opts, brazetest.RateLimit(10))...)
				if tt.send == strange {
					do(t, w.Client(), http.MethodPost, endpoint+"/partners/tinyclues/cohorts/users", "application/json", `{}`)
				} else {
					w.users(t, tt.send)
				}
				if got := left(t, w.users(t, good))[1]; got != tt.want {
					t.Errorf("%d remain, want %d", got, tt.want)
				}
			})
		})
	}
}

func TestFaultsDrawOnTheLimitWhenApplied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, brazetest.RateLimit(10))
		w.Inject(brazetest.Users(), brazetest.Locked())
		w.Inject(brazetest.Users(), brazetest.Queued())
		a, b := left(t, w.users(t, `[]`))[1], left(t, w.users(t, `[]`))[1]
		if a != 10 || b != 9 {
			t.Errorf("%d and %d remain, want 10 and 9", a, b)
		}
	})
}

func TestWhoseLimit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opts []brazetest.Option
		want [3]int // remaining of 10: second workspace, other instance, other partner
	}{
		{"of partner and workspace", nil, [3]int{9, 9, 9}},
		{"of partner and instance", []brazetest.Option{brazetest.LimitPartners()}, [3]int{8, 9, 9}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, append(tt.opts, brazetest.RateLimit(10))...)
				other := w.AddPartner("splio", "Splio")
				send := func(ws *brazetest.Workspace, p *brazetest.Partner) int {
					ws.Enable(p)
					body := `{"partner_api_key":"` + p.Key(ws.Instance()).Reveal() + `","client_secret":"` + ws.GenerateKey(p).Reveal() + `","cohort_id":"camp-481","cohort_changes":[]}`
					return left(t, do(t, w.Client(), http.MethodPost, "https://any.example/partners/"+p.Slug()+"/cohorts/users", "application/json", body))[1]
				}
				if first := send(w.workspace, w.partner); first != 9 {
					t.Fatalf("%d remain of the first, want 9", first)
				}
				got := [3]int{
					send(w.AddWorkspace("beta"), w.partner),
					send(w.AddWorkspace("gamma", brazetest.OnInstance("US-01")), w.partner),
					send(w.workspace, other),
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("remaining (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestPropagationDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, brazetest.PropagationDelay(time.Minute))
		ids := w.add(t, brazetest.Profile{ExternalID: "u-17"}, brazetest.Profile{ExternalID: "u-18"}, brazetest.Profile{DeviceIDs: []string{"d-1"}}, brazetest.Profile{DeviceIDs: []string{"d-2"}})
		w.users(t, `[{"user_ids":["u-17","u-18"],"device_ids":["d-1","d-2"]}]`)
		var got [][]string
		look := func(after time.Duration) {
			time.Sleep(after)
			got = append(got, w.members(t))
		}
		look(0)
		look(time.Minute - 1)
		w.users(t, `[{"user_ids":["u-17"],"should_remove":true}]`)
		if err := w.workspace.Delete(ids[3]); err != nil { // what is on its way goes with the profile
			t.Fatal(err)
		}
		if _, err := w.workspace.Identify(ids[2], "u-19"); err != nil { // and follows a promoted one
			t.Fatal(err)
		}
		look(1)
		look(time.Minute)
		want := [][]string{nil, nil, {"u-17", "u-18", "u-19"}, {"u-18", "u-19"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("members over time (-want +got):\n%s", diff)
		}
		w.users(t, `[{"user_ids":["u-17"]}]`)
		if err := w.workspace.Merge(ids[1], ids[0]); err != nil { // what is on its way to a merged profile reaches the kept one
			t.Fatal(err)
		}
		w.users(t, `[{"user_ids":["u-19"],"should_remove":true}]`)
		if err := w.workspace.Delete(ids[1]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]string(nil), w.members(t)); diff != "" {
			t.Errorf("members after merge and deletion (-want +got):\n%s", diff)
		}
	})
}

// TestPropagationDelayBeforeMerge merges profiles after changes of both became visible, which nobody has looked at.
func TestPropagationDelayBeforeMerge(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		life func(w world, ids []string) error
		want []string
	}{
		{"merged", func(w world, ids []string) error { return w.workspace.Merge(ids[0], ids[1]) }, []string{"u-17"}},
		{"identified", func(w world, ids []string) error {
			_, err := w.workspace.Identify(ids[1], "u-17")
			return err
		}, []string{"u-17"}},
		{"deleted", func(w world, ids []string) error { return w.workspace.Delete(ids[1]) }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, brazetest.PropagationDelay(time.Minute))
				ids := w.add(t, brazetest.Profile{ExternalID: "u-17"}, brazetest.Profile{DeviceIDs: []string{"d-1"}})
				w.users(t, `[{"device_ids":["d-1"]},{"user_ids":["u-17"],"should_remove":true}]`)
				time.Sleep(time.Hour)
				if err := tt.life(w, ids); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, w.members(t)); diff != "" {
					t.Errorf("members (-want +got):\n%s", diff)
				}
			})
		})
	}
}
