package cohort

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// sweeper counts how often its sessions are tidied.
type sweeper struct {
	ledger.Ledger
	swept int
}

func (l *sweeper) Open(ctx context.Context, key ledger.Key) (ledger.Session, error) {
	s, err := l.Ledger.Open(ctx, key)
	keeper, _ := s.(ledger.Timekeeper)
	return &sweptSession{s, keeper, l}, err
}

type sweptSession struct {
	ledger.Session
	ledger.Timekeeper
	of *sweeper
}

func (s *sweptSession) Tidy(ctx context.Context) error {
	s.of.swept++
	return s.Timekeeper.Tidy(ctx)
}

// refuser is an endpoint that can refuse one request.
type refuser struct {
	recorder
	refuses bool
}

func (e *refuser) RoundTrip(r *http.Request) (*http.Response, error) {
	if e.refuses {
		e.refuses = false
		return &http.Response{StatusCode: http.StatusUnauthorized, Body: http.NoBody}, nil
	}
	return e.recorder.RoundTrip(r)
}

// TestStreamTidies has a stream fail before it has sent enough for its ledger to be tidied. What it sends afterwards counts from there on.
func TestStreamTidies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		endpoint := &refuser{recorder: recorder{in: make(map[string]bool)}}
		state := &sweeper{Ledger: ledger.NewMemory()}
		syncer, err := NewSyncer(importerTo(t, endpoint), state)
		if err != nil {
			t.Fatal(err)
		}
		c := Cohort{ID: "camp-481", Name: "Spring sale"}
		s, err := newStream(t.Context(), syncer.importer, c, []StreamOption{WithDelay(0)})
		if err != nil {
			t.Fatal(err)
		}
		session, err := state.Open(t.Context(), syncer.key(c.ID))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.adopt(t.Context(), session); err != nil {
			t.Fatal(err)
		}
		s.syncer, s.untidied = syncer, tidyAfter-3
		s.start()
		send := func(user string) error {
			if err := s.Send(t.Context(), Event{ID: identity.ExternalID(user), At: time.Now(), Direction: Enter}); err != nil {
				t.Fatal(err)
			}
			return s.Flush(t.Context())
		}
		if err := send("u-1"); err != nil || state.swept != 0 {
			t.Errorf("before it is time: %v, tidied %d times", err, state.swept)
		}
		endpoint.refuses = true
		if err := send("u-2"); err == nil || state.swept != 0 {
			t.Errorf("in trouble: %v, tidied %d times", err, state.swept)
		}
		if err := send("u-3"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if state.swept != 1 {
			t.Errorf("afterwards: tidied %d times, want once", state.swept)
		}
		if left, err := s.Close(t.Context()); len(left) > 0 || err != nil {
			t.Errorf("Close = %d events, %v", len(left), err)
		}
	})
}
