package cohort_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// TestApplyLockedOnOverlap imports into an endpoint that locks a cohort for every overlap. Everything is accepted, because the run narrows down
// to a request at a time, and the endpoint is not asked again and again whether it still locks.
func TestApplyLockedOnOverlap(t *testing.T) {
	t.Parallel()
	for _, trip := range []time.Duration{5 * time.Millisecond, 50 * time.Millisecond, 200 * time.Millisecond, 2 * time.Second} {
		t.Run(trip.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.server.Inject(brazetest.Users(), brazetest.LockedOnOverlap()).Always().Optional() // short trips do not overlap at the default pace
				s.server.Inject(brazetest.Users(), brazetest.Delay(trip)).Always()
				const batches = 250
				report, err := apply(t.Context(), t, s.importer(t), adds(batches*1000))
				if err != nil || report.Adds.Accepted != batches*1000 {
					t.Fatalf("want everything accepted: %v, %v", report, err)
				}
				locked := 0
				tail := 0
				for _, r := range s.server.Requests() {
					if r.Status != http.StatusLocked {
						continue
					}
					locked++
					if r.Number > 120 {
						tail++
					}
				}
				t.Logf("%d of %d requests were locked out, %d of them late", locked, report.Requests, tail)
				if locked > 60 || tail > 6 {
					t.Errorf("%d requests were locked out, %d of them after the first 120", locked, tail)
				}
				if trip >= 50*time.Millisecond && locked == 0 {
					t.Error("no request was locked out: nothing was tested")
				}
			})
		})
	}
}

// TestApplyWidensAgain shows that a lock that has gone is forgotten.
func TestApplyWidensAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.server.Inject(brazetest.Users(), brazetest.LockedOnOverlap()).For(5 * time.Second)
		trip := 200 * time.Millisecond
		s.server.Inject(brazetest.Users(), brazetest.Delay(trip)).Always()
		report, err := apply(t.Context(), t, s.importer(t, cohort.WithInFlight(4)), adds(600_000))
		if err != nil {
			t.Fatalf("%v: %v", report, err)
		}
		requests := s.server.Requests()
		at := func(i int) time.Duration { return requests[i].At.Sub(requests[0].At) }
		// The beginning and the end take a hundred requests each.
		first, last := at(100)-at(0), at(len(requests)-1)-at(len(requests)-101)
		even := 100 * trip / 4 // with all 4 in flight
		t.Logf("100 requests took %s at first, %s at last", first, last)
		if first < 2*even {
			t.Errorf("the first hundred requests took %s: the run did not narrow", first)
		}
		if last > even*5/4 {
			t.Errorf("the last hundred requests took %s, want about %s: the run did not widen again", last, even)
		}
	})
}

// TestApplyRateLimited shows that nobody asks again before the time that a 429 tells.
func TestApplyRateLimited(t *testing.T) {
	t.Parallel()
	for _, hint := range []struct {
		name  string
		fault brazetest.Fault
	}{
		{"Retry-After", brazetest.RateLimited("90")},
		{"reset", brazetest.RateLimitedUntil(time.Date(2000, 1, 1, 0, 1, 30, 0, time.UTC))},
	} {
		t.Run(hint.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				start := time.Now()
				s.server.Inject(brazetest.Users().Nth(20), hint.fault)
				report, err := apply(t.Context(), t, s.importer(t), adds(100_000))
				if err != nil || report.Adds.Accepted != 100_000 || report.Requests != 101 {
					t.Fatalf("want everything accepted in 101 requests: %v, %v", report, err)
				}
				for _, r := range s.server.Requests()[20:] {
					if r.At.Sub(start) < 90*time.Second {
						t.Errorf("request %d came %s after the start, within the pause", r.Number, r.At.Sub(start))
					}
				}
			})
		})
	}
}

// TestApplyInFlight shows that no run has more on the wire than it was told.
func TestApplyInFlight(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 16} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.server.Inject(brazetest.Users(), brazetest.Delay(time.Second)).Always()
				if _, err := apply(t.Context(), t, s.importer(t, cohort.WithInFlight(n)), adds(60_000)); err != nil {
					t.Fatal(err)
				}
				if got := s.workspace.MaxOverlap(s.partner, campaign); got != n {
					t.Errorf("%d requests were in progress at once, want %d", got, n)
				}
			})
		})
	}
}
