package transport_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/transport"
)

func newQuota(tb testing.TB, perHour int) *transport.Quota {
	tb.Helper()
	q, err := transport.NewQuota(perHour)
	if err != nil {
		tb.Fatal(err)
	}
	return q
}

// passes notes who passed when.
type passes struct {
	started time.Time

	mu  sync.Mutex
	at  []time.Duration
	who map[string][]time.Duration
}

// each returns how often each workspace passed.
func (p *passes) each() []float64 {
	var each []float64
	for _, at := range p.who {
		each = append(each, float64(len(at)))
	}
	return each
}

func (p *passes) note(workspace string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	since := time.Since(p.started)
	p.at = append(p.at, since)
	p.who[workspace] = append(p.who[workspace], since)
}

// crowd lets so many workers of each workspace pass as often as they may, for so long.
func crowd(t *testing.T, q *transport.Quota, workers map[string]int, d time.Duration) *passes {
	t.Helper()
	p := &passes{started: time.Now(), who: make(map[string][]time.Duration)}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var wg sync.WaitGroup
	for workspace, n := range workers {
		share := q.Share(workspace)
		for range n {
			wg.Go(func() {
				for share.Wait(ctx) == nil {
					p.note(workspace)
				}
			})
		}
	}
	wg.Wait()
	return p
}

// wait lets time pass in a bubble, or returns early with the context.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// most returns the largest number of moments within any window of this length, sliding or of the clock. The first window of the clock ends after early.
func most(at []time.Duration, window, early time.Duration) int {
	most, first := 0, 0
	windows := make(map[time.Duration]int)
	for i, when := range at {
		for when-at[first] >= window {
			first++
		}
		of := (when - early + window).Truncate(window)
		windows[of]++
		most = max(most, i-first+1, windows[of])
	}
	return most
}

// jain is Jain's index of fairness: 1 when all have the same, 1/n when one has all.
func jain(each []float64) float64 {
	sum, squares := 0.0, 0.0
	for _, n := range each {
		sum += n
		squares += n * n
	}
	return sum * sum / (float64(len(each)) * squares)
}

func workspaces(n, workers int) map[string]int {
	all := make(map[string]int)
	for i := range n {
		all[fmt.Sprint("workspace ", i)] = workers
	}
	return all
}

func TestQuotaIsNeverOverstepped(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		perHour int
		workers map[string]int
		d       time.Duration
		least   float64 // share of the limit that is used
	}{
		{"documented rate, one workspace", transport.CohortRequestsPerHour, workspaces(1, 8), 5 * time.Minute, 0.9998},
		{"documented rate, a thousand workspaces", transport.CohortRequestsPerHour, workspaces(1000, 1), 5 * time.Minute, 0.9998},
		{"3200 for half a day", 3200, workspaces(10, 2), 12 * time.Hour, 0.99},
		{"3199 for half a day", 3199, workspaces(10, 2), 12 * time.Hour, 0.99},
		{"1000 for two days", 1000, workspaces(3, 2), 48 * time.Hour, 0.99},
		{"100 for two days", 100, workspaces(3, 2), 48 * time.Hour, 0.99},
		{"2 for a week", 2, workspaces(3, 2), 168 * time.Hour, 0.99},
		{"1 for a week", 1, workspaces(3, 2), 168 * time.Hour, 0.99},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := crowd(t, newQuota(t, tt.perHour), tt.workers, tt.d)
				if got := most(p.at, time.Hour, time.Hour); got > tt.perHour {
					t.Errorf("%d requests within an hour", got)
				}
				used := float64(len(p.at)) / (float64(tt.perHour) * tt.d.Hours())
				if used < tt.least {
					t.Errorf("used %.4f of the limit, want at least %.4f", used, tt.least)
				}
				if got := jain(p.each()); got < 0.99 && len(p.at) > 1000 {
					t.Errorf("Jain's index is %.3f", got)
				}
				if len(p.who) != len(tt.workers) {
					t.Errorf("%d of %d workspaces passed", len(p.who), len(tt.workers))
				}
			})
		})
	}
}

func TestQuotaBurst(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ perHour, burst int }{{transport.CohortRequestsPerHour, 4}, {3200, 4}, {3199, 1}, {1, 1}} {
		synctest.Test(t, func(t *testing.T) {
			q := newQuota(t, tt.perHour)
			for round := range 3 {
				<-time.After(2 * time.Hour)
				p := crowd(t, q, workspaces(2, 10), time.Second)
				together := 0
				for _, at := range p.at {
					if at == 0 {
						together++
					}
				}
				if together != tt.burst {
					t.Errorf("%d an hour, round %d: %d passed together, want %d", tt.perHour, round, together, tt.burst)
				}
			}
		})
	}
}

func TestQuotaIsFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		workers := map[string]int{"one": 1, "two": 2, "ten": 10, "hundred": 100, "thousand": 1000}
		p := crowd(t, newQuota(t, transport.CohortRequestsPerHour), workers, 2*time.Minute)
		if got := jain(p.each()); got < 0.999 {
			counts := make(map[string]int)
			for workspace, at := range p.who {
				counts[workspace] = len(at)
			}
			t.Errorf("Jain's index is %.4f: %v", got, counts)
		}
	})
}

func TestSmallImportBesideLargeOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(t, transport.CohortRequestsPerHour)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		const large, requests = 9, 20
		for i := range large {
			share := q.Share(fmt.Sprint(i))
			for range 100 {
				wg.Go(func() {
					for share.Wait(ctx) == nil {
					}
				})
			}
		}
		<-time.After(time.Minute)
		started := time.Now()
		small := q.Share("small")
		for range requests {
			if err := small.Wait(ctx); err != nil {
				t.Fatal(err)
			}
		}
		took := time.Since(started)
		cancel()
		wg.Wait()
		fair := requests * (large + 1) * time.Hour / transport.CohortRequestsPerHour
		if took > fair+time.Second {
			t.Errorf("a small import took %s, its fair time is %s", took, fair)
		}
	})
}

func TestSharesOfOneName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(t, 3600)
		p := &passes{started: time.Now(), who: make(map[string][]time.Duration)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var wg sync.WaitGroup
		for i, name := range []string{"acme", "acme", "acme", "other"} {
			share := q.Share(name)
			wg.Go(func() {
				for share.Wait(ctx) == nil {
					p.note(fmt.Sprint(i))
				}
			})
		}
		wg.Wait()
		acme := len(p.who["0"]) + len(p.who["1"]) + len(p.who["2"])
		if other := len(p.who["3"]); acme-other > 8 || other-acme > 8 { // whoever came first had the burst
			t.Errorf("three shares of one name passed %d times, the other one %d times", acme, other)
		}
	})
}

func TestQuotaWithdraws(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(t, 60)
		started := time.Now()
		if err := q.Share("first").Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		left := make(chan error, 10)
		for i := range 10 {
			share := q.Share(fmt.Sprint(i % 3))
			go func() { left <- share.Wait(ctx) }()
		}
		synctest.Wait()
		if got, want := q.State(), (transport.QuotaState{Limit: 60, Window: time.Hour, Passed: 1, Waiting: 10, Workspaces: 3}); got != want {
			t.Errorf("State = %+v, want %+v", got, want)
		}
		cancel(errors.New("gone"))
		for range 10 {
			if err := <-left; !errors.Is(err, context.Canceled) {
				t.Errorf("Wait = %v", err)
			}
		}
		if got, want := q.State(), (transport.QuotaState{Limit: 60, Window: time.Hour, Passed: 1}); got != want {
			t.Errorf("after all have left, State = %+v, want %+v", got, want)
		}
		// None of them was counted.
		if err := q.Share("last").Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(started).Round(time.Millisecond); took != time.Minute {
			t.Errorf("the next one passed after %s", took)
		}
		if err := q.Share("late").Wait(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Wait with a context that is done = %v", err)
		}
	})
}

// TestQuotaBesideThoseWhoLeave has workspaces whose waits mostly end before their turn comes. They cost the others nothing: no place is lost, and nobody
// is passed over.
func TestQuotaBesideThoseWhoLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const perHour, d = 3600, 50 * time.Minute
		q := newQuota(t, perHour)
		steady := &passes{started: time.Now(), who: make(map[string][]time.Duration)}
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		var mu sync.Mutex
		left, passed := 0, 0
		var wg sync.WaitGroup
		for i := range 20 {
			workspace := fmt.Sprint(i)
			share := q.Share(workspace)
			if i%2 == 0 {
				wg.Go(func() {
					for share.Wait(ctx) == nil {
						steady.note(workspace)
					}
				})
				continue
			}
			for j := range 5 {
				random := rand.New(rand.NewPCG(uint64(i), uint64(j)))
				wg.Go(func() {
					for ctx.Err() == nil {
						impatient, leave := context.WithTimeout(ctx, time.Duration(random.Int64N(int64(30*time.Second))))
						err := share.Wait(impatient)
						leave()
						mu.Lock()
						if err == nil {
							passed++
						} else {
							left++
						}
						mu.Unlock()
					}
				})
			}
		}
		wg.Wait()
		total := passed + len(steady.at)
		if used := float64(total) / (perHour * d.Hours()); used < 0.99 {
			t.Errorf("%d requests passed, %.3f of the limit", total, used)
		}
		if got := jain(steady.each()); got < 0.999 || len(steady.who) != 10 {
			t.Errorf("Jain's index of those who stay is %.4f", got)
		}
		if fair := total / 20; len(steady.who["0"]) < fair {
			t.Errorf("one who stays passed %d times, the fair number is %d", len(steady.who["0"]), fair)
		}
		if left < 1000 || passed < 500 {
			t.Errorf("%d left and %d passed: nothing was tested", left, passed)
		}
		t.Logf("%d left; %d of them and %d of the others passed", left, passed, len(steady.at))
	})
}

// TestQuotaPassesPlacesOn ends a wait in the very moment of its turn. Whichever of both wins, no place is lost.
func TestQuotaPassesPlacesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lost := 0
		for range 300 {
			q := newQuota(t, 60)
			if err := q.Share("first").Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			started := time.Now()
			place := time.Minute + 1 // of the next one
			ctx, cancel := context.WithTimeout(t.Context(), place)
			second := make(chan error)
			go func() { second <- q.Share("second").Wait(ctx) }()
			synctest.Wait()
			third := make(chan time.Duration)
			go func() {
				_ = q.Share("third").Wait(t.Context())
				third <- time.Since(started)
			}()
			err, at := <-second, <-third
			cancel()
			want := 2 * place
			if err != nil {
				want = place
				lost++
			}
			if at != want {
				t.Fatalf("the second one got %v, and the third one passed after %s, want %s", err, at, want)
			}
		}
		t.Logf("the context won %d of 300 times", lost)
	})
}

// waitOf returns how long the next request of a quota has to wait.
func waitOf(t *testing.T, q *transport.Quota) time.Duration {
	t.Helper()
	started := time.Now()
	if err := q.Share("anybody").Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	return time.Since(started)
}

func TestQuotaPauses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		hear transport.Feedback
		want time.Duration
	}{
		{"no answer", transport.Feedback{}, 0},
		{"success", transport.Feedback{Status: 201}, 0},
		{"refused", transport.Feedback{Status: 400, RetryAfter: time.Minute}, 0},
		{"locked for a while", transport.Feedback{Status: 423, RetryAfter: time.Minute}, 0},
		{"429", transport.Feedback{Status: 429}, time.Second},
		{"429 with a hint", transport.Feedback{Status: 429, RetryAfter: 90 * time.Second}, 90 * time.Second},
		{"429 with a day", transport.Feedback{Status: 429, RetryAfter: 24 * time.Hour}, time.Hour},
		{"429 without end", transport.Feedback{Status: 429, RetryAfter: 1<<63 - 1}, time.Hour},
		{"429 below zero", transport.Feedback{Status: 429, RetryAfter: -time.Hour}, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := newQuota(t, transport.CohortRequestsPerHour)
				q.Share("one").Feedback(tt.hear)
				if until := q.State().PausedUntil; until.IsZero() != (tt.want == 0) || tt.want > 0 && time.Until(until) != tt.want {
					t.Errorf("paused until %s", until)
				}
				if got := waitOf(t, q); got != tt.want {
					t.Errorf("another workspace waits %s, want %s", got, tt.want)
				}
				if got, want := q.State(), (transport.QuotaState{Limit: transport.CohortRequestsPerHour, Window: time.Hour, Passed: 1}); got != want {
					t.Errorf("afterwards State = %+v, want %+v", got, want)
				}
			})
		})
	}
}

func TestQuotaPausesThoseWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(t, transport.CohortRequestsPerHour)
		time.AfterFunc(30*time.Second, func() { q.Share("a").Feedback(transport.Feedback{Status: 429, RetryAfter: 20 * time.Second}) })
		// A shorter hint, of an earlier request, does not shorten the pause.
		time.AfterFunc(31*time.Second, func() { q.Share("b").Feedback(transport.Feedback{Status: 429, RetryAfter: time.Second}) })
		p := crowd(t, q, workspaces(5, 3), time.Minute)
		resumed := 0
		for _, at := range p.at {
			if at > 30*time.Second && at < 50*time.Second {
				t.Fatalf("a request passed after %s", at)
			}
			if at == 50*time.Second {
				resumed++
			}
		}
		if resumed < 1 || resumed > 4 {
			t.Errorf("%d passed together after the pause", resumed)
		}
	})
}

func TestQuotaPausesLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(t, transport.CohortRequestsPerHour)
		refused := transport.Feedback{Status: 429}
		share := q.Share("one")
		var got []time.Duration
		for range 8 {
			share.Feedback(refused)
			share.Feedback(refused) // another request that was under way
			share.Feedback(transport.Feedback{Status: 201})
			got = append(got, waitOf(t, q))
		}
		share.Feedback(transport.Feedback{})
		share.Feedback(refused)
		got = append(got, waitOf(t, q))
		share.Feedback(transport.Feedback{Status: 201})
		share.Feedback(refused)
		got = append(got, waitOf(t, q))
		var want []time.Duration
		for _, seconds := range []int{1, 2, 4, 8, 16, 32, 60, 60, 60, 1} {
			want = append(want, time.Duration(seconds)*time.Second)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pauses (-want +got):\n%s", diff)
		}
	})
}

func TestQuotaListens(t *testing.T) {
	t.Parallel()
	says := func(remaining int, reset time.Duration) transport.Feedback {
		return transport.Feedback{Status: 201, RateLimit: transport.RateLimit{Limit: 250_000, Remaining: remaining, Reset: time.Now().Add(reset)}}
	}
	tests := []struct {
		name  string
		hear  func() []transport.Feedback
		waits []time.Duration
	}{
		{"plenty", func() []transport.Feedback { return []transport.Feedback{says(249_000, time.Minute)} }, []time.Duration{0, 0, 0, 0}},
		{"few", func() []transport.Feedback { return []transport.Feedback{says(10, 30*time.Minute)} }, []time.Duration{0, 200 * time.Second, 200 * time.Second}},
		{"one", func() []transport.Feedback { return []transport.Feedback{says(1, 30*time.Minute)} }, []time.Duration{0, 30 * time.Minute}},
		{"none", func() []transport.Feedback { return []transport.Feedback{says(0, 30*time.Minute)} }, []time.Duration{30 * time.Minute, 0, 0, 0}},
		{"none of an hour", func() []transport.Feedback { return []transport.Feedback{says(0, time.Hour)} }, []time.Duration{time.Hour}},
		{"none of more than an hour", func() []transport.Feedback { return []transport.Feedback{says(0, 62*time.Minute)} }, []time.Duration{0}},
		{"none of another age", func() []transport.Feedback { return []transport.Feedback{says(0, 290*365*24*time.Hour)} }, []time.Duration{0}},
		{"none of the past", func() []transport.Feedback { return []transport.Feedback{says(0, -time.Second)} }, []time.Duration{0}},
		{"none of now", func() []transport.Feedback { return []transport.Feedback{says(0, 0)} }, []time.Duration{0}},
		{"the lower one counts", func() []transport.Feedback {
			return []transport.Feedback{says(0, 30*time.Minute), says(5000, 30*time.Minute+time.Second), says(6000, 30*time.Minute-time.Second)}
		}, []time.Duration{30 * time.Minute}},
		{"a new window", func() []transport.Feedback {
			return []transport.Feedback{says(0, 3*time.Second), says(250_000, time.Hour)}
		}, []time.Duration{0}},
		{"an answer of the window before", func() []transport.Feedback {
			return []transport.Feedback{says(250_000, time.Hour), says(0, 5*time.Second)}
		}, []time.Duration{0}},
		{"no headers", func() []transport.Feedback { return []transport.Feedback{{Status: 201}} }, []time.Duration{0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := newQuota(t, transport.CohortRequestsPerHour)
				for _, f := range tt.hear() {
					q.Share("one").Feedback(f)
				}
				var got []time.Duration
				for range tt.waits {
					got = append(got, waitOf(t, q).Round(time.Second))
				}
				if diff := cmp.Diff(tt.waits, got); diff != "" {
					t.Errorf("waits (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestQuotaState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(t, 3600)
		const early = 10 * time.Minute // before the clock hour ends
		<-time.After(time.Hour - early)
		reset := time.Now().Add(early)
		for range 3 {
			waitOf(t, q)
		}
		q.Share("one").Feedback(transport.Feedback{Status: 201, RateLimit: transport.RateLimit{Limit: 9, Remaining: 700, Reset: reset}})
		waitOf(t, q)
		if got, want := q.State(), (transport.QuotaState{Limit: 3600, Window: time.Hour, Passed: 4, Remaining: 699, Reset: reset}); got != want {
			t.Errorf("State = %+v, want %+v", got, want)
		}
		<-time.After(early)
		if got, want := q.State(), (transport.QuotaState{Limit: 3600, Window: time.Hour}); got != want {
			t.Errorf("after the clock hour, State = %+v, want %+v", got, want)
		}
		waitOf(t, q)
		until := time.Now().Add(time.Minute)
		q.Share("one").Feedback(transport.Feedback{Status: 429, RetryAfter: time.Minute})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() { _ = q.Share(fmt.Sprint(i % 2)).Wait(ctx) })
		}
		synctest.Wait()
		if got, want := q.State(), (transport.QuotaState{Limit: 3600, Window: time.Hour, Passed: 1, Waiting: 4, Workspaces: 2, PausedUntil: until}); got != want {
			t.Errorf("in a pause, State = %+v, want %+v", got, want)
		}
		cancel()
		wg.Wait()
	})
}

// TestQuotaBesideAnotherConsumer has an endpoint that counts by the clock hour, and somebody else who takes half of what it allows.
func TestQuotaBesideAnotherConsumer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = 4000
		var mu sync.Mutex
		counts := make(map[time.Time]int)
		count := func() (remaining int, reset time.Time) {
			hour := time.Now().Truncate(time.Hour)
			mu.Lock()
			defer mu.Unlock()
			if counts[hour] == limit {
				return -1, hour.Add(time.Hour)
			}
			counts[hour]++
			return limit - counts[hour], hour.Add(time.Hour)
		}
		rt := roundTrip(func(r *http.Request) (*http.Response, error) {
			_ = r.Body.Close()
			remaining, reset := count()
			status := http.StatusCreated
			if remaining < 0 {
				status = http.StatusTooManyRequests
			}
			return answer(status, success, "X-RateLimit-Limit", fmt.Sprint(limit), "X-RateLimit-Remaining", fmt.Sprint(max(0, remaining)), "X-RateLimit-Reset", fmt.Sprint(reset.Unix()))(r)
		})
		c := newClient(t, rt, transport.WithQuota(newQuota(t, limit)))
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Hour-time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			tick := time.NewTicker(2 * time.Hour / limit)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					count()
				case <-ctx.Done():
					return
				}
			}
		})
		refused := 0
		for i := range 3 {
			wg.Go(func() {
				req := request(transport.RepeatSafe)
				req.Limiter = c.Quota().Share(fmt.Sprint(i))
				for {
					ans, err := c.Do(ctx, req)
					if err != nil {
						return
					}
					mu.Lock()
					refused += ans.Attempts - 1
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		total := 0
		for _, n := range counts {
			total += n
		}
		if used := float64(total) / (4 * limit); refused > 12 || used < 0.99 {
			t.Errorf("%d requests were refused, used %.3f of the limit", refused, used)
		}
		t.Logf("%d of %d requests were refused", refused, total)
	})
}

// TestQuotaOverHTTP shows that a 429 to one workspace stops all clients that share the Quota.
func TestQuotaOverHTTP(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(t, transport.CohortRequestsPerHour)
		busy, idle := following(answer(429, "", "Retry-After", "40"), accept), following(accept)
		started := time.Now()
		var wg sync.WaitGroup
		for i, rt := range []*script{busy, idle} {
			c := newClient(t, rt, transport.WithQuota(q))
			wg.Go(func() {
				<-time.After(time.Duration(i) * time.Second)
				req := request(transport.RepeatUnsent)
				req.Limiter = c.Quota().Share(fmt.Sprint(i))
				if _, err := c.Do(t.Context(), req); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if at := idle.seen()[0].At.Sub(started); at != 40*time.Second {
			t.Errorf("the other client's request came after %s", at)
		}
		if at := busy.seen()[1].At.Sub(started); at < 40*time.Second || at > 41*time.Second {
			t.Errorf("the repeat came after %s", at)
		}
	})
}

// TestQuotaPerWindow has limits that are counted in minutes and seconds.
func TestQuotaPerWindow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		requests int
		per      time.Duration
		d        time.Duration
	}{
		{"250 a minute", 250, time.Minute, time.Hour},
		{"40 a second", 40, time.Second, 5 * time.Minute},
		{"20,000 a minute", 20_000, time.Minute, 3 * time.Minute},
		{"1 a second", 1, time.Second, time.Hour},
		{"100 an hour", 100, time.Hour, 48 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, err := transport.NewQuotaPer(tt.requests, tt.per)
				if err != nil {
					t.Fatal(err)
				}
				p := crowd(t, q, workspaces(3, 2), tt.d)
				if got := most(p.at, tt.per, tt.per); got > tt.requests {
					t.Errorf("%d requests within %s", got, tt.per)
				}
				if least := int(0.98 * float64(tt.requests) * float64(tt.d/tt.per)); len(p.at) < least {
					t.Errorf("%d requests passed, want at least %d", len(p.at), least)
				}
			})
		})
	}
}

func TestNewQuotaPer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		requests int
		per      time.Duration
	}{{0, time.Minute}, {-1, time.Minute}, {1_000_000_001, time.Minute}, {1, time.Second - 1}, {1, time.Hour + 1}} {
		if q, err := transport.NewQuotaPer(tt.requests, tt.per); err == nil || q != nil || !contains(err, "transport: quota: ") {
			t.Errorf("NewQuotaPer(%d, %s) = %v, %v", tt.requests, tt.per, q, err)
		}
	}
}

func TestNewQuota(t *testing.T) {
	t.Parallel()
	for _, perHour := range []int{-1, 0, 1_000_000_001} {
		if q, err := transport.NewQuota(perHour); err == nil || q != nil || !contains(err, "transport: quota: ") {
			t.Errorf("NewQuota(%d) = %v, %v", perHour, q, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		if got := waitOf(t, newQuota(t, 1_000_000_000)); got != 0 {
			t.Errorf("the first request waits %s", got)
		}
	})
}
