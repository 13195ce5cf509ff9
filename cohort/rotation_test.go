package cohort_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// rotation is an import under load: sixteen goroutines that send one user a request, and what happens to the key meanwhile.
type rotation struct {
	*stage
	t        *testing.T
	ring     *keys.Ring
	importer *cohort.Importer
	newKey   keys.ImportKey
	inFlight atomic.Int64
}

// invalidate invalidates the old key at the endpoint, while requests are on their way to it that carry the old key.
func (r *rotation) invalidate() {
	if n := r.inFlight.Load(); n < 8 {
		r.t.Errorf("%d requests were in flight when the key was invalidated, want 8 or more", n)
	}
	r.workspace.InvalidateKey(r.partner, r.importKey)
}

func (r *rotation) promote(verify keys.VerifyFunc) {
	if err := r.ring.Promote(r.t.Context(), verify); err != nil {
		r.t.Error(err)
	}
}

// TestRotation replaces the key in the middle of an import. No change is lost and none is refused to the caller, however the rotation goes.
func TestRotation(t *testing.T) {
	t.Parallel()
	wrongKey := keys.NewImportKey("cs-ws-0001")
	tests := []struct {
		name     string
		requests int
		wrong    bool            // the new key is one that the endpoint does not know
		during   func(*rotation) // in the middle of the load
		silent   bool            // the endpoint names no cause of a 401
		want     map[string]keys.KeyState
		refused  string // the key for which the endpoint must have seen a 401
	}{
		{name: "verified, promoted, then the old one invalidated", requests: 5000,
			during: func(r *rotation) {
				r.promote(r.importer.CheckKey)
				r.invalidate()
			},
			want: map[string]keys.KeyState{"old": keys.KeyInvalidated, "new": keys.KeyActive}, refused: "old"},
		{name: "the old one invalidated too early", requests: 1000,
			during: (*rotation).invalidate,
			want:   map[string]keys.KeyState{"old": keys.KeyInvalidated, "new": keys.KeyActive}, refused: "old"},
		{name: "a wrong one is not promoted", requests: wrongKeyRequests, wrong: true,
			during: func(r *rotation) {
				err := r.ring.Promote(r.t.Context(), r.importer.CheckKey)
				if !errors.Is(err, transport.ErrUnauthorized) || !strings.Contains(err.Error(), "likely the data import key") {
					r.t.Errorf("error %v, want one that suspects the new data import key", err)
				}
			},
			want: map[string]keys.KeyState{"old": keys.KeyActive, "new": keys.KeyStaged}, refused: "new"},
		{name: "a wrong one is promoted unverified", requests: 500, wrong: true,
			during: func(r *rotation) { r.promote(func(context.Context, keys.ImportKey) error { return nil }) },
			want:   map[string]keys.KeyState{"old": keys.KeyActive, "new": keys.KeyInvalidated}, refused: "new"},
		{name: "an endpoint that names no cause", requests: 500, silent: true,
			during: (*rotation).invalidate,
			want:   map[string]keys.KeyState{"old": keys.KeyActive, "new": keys.KeyStaged}, refused: "old"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := &rotation{stage: newStage(t), t: t, newKey: wrongKey}
				if !tt.wrong {
					r.newKey = r.workspace.GenerateKey(r.partner)
				}
				r.people(t, tt.requests)
				var err error
				if r.ring, err = keys.NewRing(r.importKey); err != nil {
					t.Fatal(err)
				}
				if err := r.ring.Stage(r.newKey); err != nil {
					t.Fatal(err)
				}
				door := r.server.Client().Transport
				client := r.client(t, transport.WithHTTPClient(&http.Client{Transport: roundTripper(func(q *http.Request) (*http.Response, error) {
					r.inFlight.Add(1)
					defer r.inFlight.Add(-1)
					resp, err := door.RoundTrip(q)
					if err == nil && resp.StatusCode == http.StatusUnauthorized && tt.silent {
						_ = resp.Body.Close()
						resp = answer(http.StatusUnauthorized, `{"message":"Unauthorized access"}`)
					}
					return resp, err
				})}))
				credentials := r.credentials()
				credentials.ImportKey = r.ring
				r.importer = newImporter(t, client, credentials, cohort.WithLimiter(open{}))
				r.server.Inject(brazetest.Users().Cohort(campaign), brazetest.Delay(time.Millisecond)).Always()

				const workers = 16
				var wg sync.WaitGroup
				for w := range workers {
					wg.Go(func() {
						for i := w; i < tt.requests; i += workers {
							report, err := r.importer.Apply(t.Context(), campaign, list(add(i+1)))
							if err != nil || report.Adds.Accepted != 1 {
								t.Errorf("a change is lost: %v, %v", report, err)
								return
							}
						}
					})
				}
				// Between two ticks of the delay every goroutine has a request on its way.
				time.Sleep(time.Duration(tt.requests/workers/2)*time.Millisecond + 500*time.Microsecond)
				tt.during(r)
				wg.Wait()

				if n := r.workspace.CohortSize(r.partner, campaign); n != tt.requests {
					t.Errorf("%d members, want %d", n, tt.requests)
				}
				got := make(map[string]keys.KeyState)
				for _, k := range r.ring.Snapshot().Keys {
					got[map[string]string{r.importKey.Fingerprint(): "old", r.newKey.Fingerprint(): "new"}[k.Fingerprint]] = k.State
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("states (-want +got):\n%s", diff)
				}
				seen := make(map[string]int) // refusals by key
				for _, q := range r.server.Requests() {
					if q.Status == http.StatusUnauthorized {
						seen[map[string]string{r.importKey.Fingerprint(): "old", "": "new", r.newKey.Fingerprint(): "new"}[q.KeyFingerprint]]++
					}
				}
				if len(seen) != 1 || seen[tt.refused] == 0 {
					t.Errorf("the endpoint saw a 401 for %v, want for the %s key alone", seen, tt.refused)
				}
				if posts := r.posts(); posts < tt.requests+1 {
					t.Errorf("the endpoint saw %d requests, want more than %d", posts, tt.requests)
				}
				t.Logf("%d requests, refused: %v", r.posts(), seen)
			})
		})
	}
}
