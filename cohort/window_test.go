package cohort_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// TestApplyLockedOnOverlap imports into an endpoint that locks a cohort for every overlap. Everything is accepted, because the run narrows down
// to a request at a time, and the endpoint is not asked again and again whether it still locks.
func TestApplyLockedOnOverlap(t *testing.T) {
	t.Parallel()
	trips := []time.Duration{5 * time.Millisecond, 50 * time.Millisecond, 200 * time.Millisecond, 2 * time.Second}
	for _, i := range rand.Perm(len(trips))[:defaultTrips] {
		trip := trips[i]
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
		report, err := apply(t.Context(), t, s.importer(t, cohort.WithInFlight(4)), adds(400_000))
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

// TestLocksAreRemembered runs again and again on a cohort that its endpoint locks for every overlap. The first run finds out, those within the hour after
// it know, and runs on other cohorts are not concerned.
func TestLocksAreRemembered(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, s *stage, im *cohort.Importer) func(cohortID string) error
	}{
		{"Apply", func(t *testing.T, _ *stage, im *cohort.Importer) func(string) error {
			t.Helper()
			return func(cohortID string) error {
				_, err := im.Apply(t.Context(), cohortID, adds(12_000))
				return err
			}
		}},
		{"Sync", func(t *testing.T, _ *stage, im *cohort.Importer) func(string) error {
			t.Helper()
			syncer, err := cohort.NewSyncer(im, ledger.NewMemory(), cohort.WithRemovalGuard(1, 0))
			if err != nil {
				t.Fatal(err)
			}
			day := 0
			return func(cohortID string) error {
				day++
				_, err := syncer.Sync(t.Context(), cohort.Cohort{ID: cohortID, Name: cohortID}, cohort.Identifiers(func(yield func(identity.ID, error) bool) {
					for i := range 12_000 { // all others than the day before
						if !yield(identity.ExternalID(fmt.Sprint(day, "-", i)), nil) {
							return
						}
					}
				}))
				return err
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.server.Inject(brazetest.Users(), brazetest.LockedOnOverlap()).Always()
				s.server.Inject(brazetest.Users(), brazetest.Delay(200*time.Millisecond)).Always()
				run := tt.run(t, s, s.importer(t))
				locked := func(cohortID string) int {
					t.Helper()
					before := len(s.server.Requests())
					if err := run(cohortID); err != nil {
						t.Fatal(err)
					}
					n := 0
					for _, r := range s.server.Requests()[before:] {
						if r.Status == http.StatusLocked {
							n++
						}
					}
					return n
				}
				const many = 8
				if n := locked(campaign); n < many {
					t.Fatalf("the first run was locked out %d times: nothing was tested", n)
				}
				for i := range 3 {
					if n := locked(campaign); n > 4 {
						t.Errorf("run %d was locked out %d times", i+2, n)
					}
				}
				if n := locked("camp-482"); n < many {
					t.Errorf("another cohort was locked out %d times: it had to make good for the first one", n)
				}
				if err := wait(t.Context(), time.Hour); err != nil {
					t.Fatal(err)
				}
				if n := locked(campaign); n < many {
					t.Errorf("after an hour the cohort was locked out %d times: it is narrow for ever", n)
				}
			})
		})
	}
}

// TestRunsOnOneCohort has several runs on a cohort at the same time. They share what one may have in flight.
func TestRunsOnOneCohort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.server.Inject(brazetest.Users(), brazetest.Delay(time.Second)).Always()
		im := s.importer(t, cohort.WithInFlight(4))
		var wg sync.WaitGroup
		for _, cohortID := range []string{campaign, campaign, campaign, "camp-482"} {
			wg.Go(func() {
				if report, err := im.Apply(t.Context(), cohortID, adds(20_000)); err != nil {
					t.Errorf("%v: %v", report, err)
				}
			})
		}
		wg.Wait()
		for _, cohortID := range []string{campaign, "camp-482"} {
			if got := s.workspace.MaxOverlap(s.partner, cohortID); got != 4 {
				t.Errorf("%s: %d requests were in progress at once, want 4", cohortID, got)
			}
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
				report, err := apply(t.Context(), t, s.importer(t), adds(40_000))
				if err != nil || report.Adds.Accepted != 40_000 || report.Requests != 41 {
					t.Fatalf("want everything accepted in 41 requests: %v, %v", report, err)
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
				if _, err := apply(t.Context(), t, s.importer(t, cohort.WithInFlight(n)), adds(20_000)); err != nil {
					t.Fatal(err)
				}
				if got := s.workspace.MaxOverlap(s.partner, campaign); got != n {
					t.Errorf("%d requests were in progress at once, want %d", got, n)
				}
			})
		})
	}
}
