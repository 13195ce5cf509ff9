package cohort_test

import (
	"flag"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport"
)

var atCeiling = flag.Bool("ceiling", false, "run TestCeiling with the documented rate limit and full requests: some 600 million changes")

// TestCeiling imports for an hour and a quarter across two clock hours, with default options. The run uses at least 99 % of the rate limit and never
// more than all of it, in no clock hour and in no sliding one.
//
// Without the flag -ceiling everything is ten times slower, with the race detector forty, the rate as well as the endpoint, and requests are small because
// the endpoint says so.
func TestCeiling(t *testing.T) {
	t.Parallel()
	quota, slower, most := transport.CohortRequestsPerHour/defaultSlower, defaultSlower, 500
	if *atCeiling {
		quota, slower, most = transport.CohortRequestsPerHour, 1, 4_000_000
	}
	var members [100_000]identity.ID // more than can be in flight, so that no change waits for an earlier one
	for i := range members {
		members[i] = identity.ExternalID(user(i))
	}
	for _, trip := range []time.Duration{50 * time.Millisecond, 200 * time.Millisecond} {
		t.Run(trip.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const early, length = 10 * time.Minute, 75 * time.Minute // the first clock hour ends after early
				if err := wait(t.Context(), time.Hour-early); err != nil {
					t.Fatal(err)
				}
				var mu sync.Mutex
				var arrivals []time.Duration // after the start
				start := time.Now()
				endpoint := roundTripper(func(r *http.Request) (*http.Response, error) {
					n, err := io.Copy(io.Discard, r.Body)
					if err != nil {
						return nil, err
					}
					_ = r.Body.Close()
					mu.Lock()
					arrivals = append(arrivals, time.Since(start))
					mu.Unlock()
					if err := wait(r.Context(), trip*time.Duration(slower)); err != nil {
						return nil, err
					}
					if n > int64(most) {
						return answer(http.StatusRequestEntityTooLarge, `{"message":"too large"}`), nil
					}
					return answer(http.StatusCreated, success), nil
				})
				q, err := transport.NewQuota(quota)
				if err != nil {
					t.Fatal(err)
				}
				im := newImporter(t, newClient(t, "EU-01", transport.WithHTTPClient(&http.Client{Transport: endpoint}), transport.WithQuota(q)), plainCredentials())

				report, err := apply(t.Context(), t, im, func(yield func(cohort.Change, error) bool) {
					for i := 0; i%1000 > 0 || time.Since(start) < length; i++ {
						if !yield(cohort.Add(members[i%len(members)]), nil) {
							return
						}
					}
				})
				if err != nil || report.Adds.Accepted != report.Rows.Read || report.Requests != len(arrivals) {
					t.Fatalf("want everything accepted in %d requests: %v, %v", len(arrivals), report, err)
				}

				clock := make(map[time.Duration]int)
				sliding, oldest := 0, 0
				for i, at := range arrivals {
					clock[(at-early+time.Hour)/time.Hour]++
					for at-arrivals[oldest] >= time.Hour {
						oldest++
					}
					sliding = max(sliding, i-oldest+1)
				}
				if len(clock) != 3 {
					t.Errorf("requests came in %d clock hours, want 3", len(clock))
				}
				for hour, n := range clock {
					if n > quota {
						t.Errorf("%d requests in clock hour %d, more than %d", n, hour, quota)
					}
				}
				if sliding > quota {
					t.Errorf("%d requests in some hour, more than %d", sliding, quota)
				}
				span := arrivals[len(arrivals)-1] - arrivals[0]
				used := float64(len(arrivals)-1) / span.Hours() / float64(quota)
				t.Logf("%d requests with %d changes in %s: %.3f %% of the ceiling, at most %d in an hour", len(arrivals), report.Rows.Read, span.Round(time.Second), 100*used, sliding)
				if used < 0.99 {
					t.Errorf("%.3f %% of the ceiling was used, want at least 99 %%", 100*used)
				}
			})
		})
	}
}
