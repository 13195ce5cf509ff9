package cohort

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/identity"
)

// TestBacklogFind looks for positions by their low bits where these begin anew.
func TestBacklogFind(t *testing.T) {
	t.Parallel()
	for _, head := range []uint64{1, 1<<32 - 200, 1 << 32, 5<<32 - 1} {
		b := newBacklog()
		b.head, b.next, b.tail = head, head, head
		for i := range uint64(400) {
			if position := b.push(&Event{Token: i}); position != head+i {
				t.Fatalf("event %d from %d on got the position %d", i, head, position)
			}
		}
		for i := range uint64(400) {
			if p := b.find(uint32(head + i)); p != head+i || b.at(p).event.Token != i {
				t.Errorf("position %d was found at %d", head+i, p)
			}
		}
	}
}

// TestBacklogTake has events arrive while a batch is filled: what overtakes one that was not yet taken goes in its place, and what follows one that was
// goes into the next batch, which waits.
func TestBacklogTake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		endpoint := &recorder{in: make(map[string]bool)}
		s, err := newStream(t.Context(), importerTo(t, endpoint), Cohort{ID: "camp-481", Name: "Spring sale"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		put := func(user string, d Direction) {
			at = at.Add(1)
			e := Event{ID: identity.ExternalID(user), At: at, Direction: d}
			if err := s.put(&e, s.keys.of(e.ID)); err != nil {
				t.Fatal(err)
			}
		}
		r := newRun(s.ctx, s.importer, s.cohort.ID)
		defer r.end()
		put("u-1", Enter)
		put("u-2", Enter)
		if !s.backlog.take(r, 1) || len(r.open.changes) != 1 {
			t.Errorf("%d changes were taken of one event", len(r.open.changes))
		}
		put("u-2", Leave) // overtakes
		put("u-1", Leave) // follows
		put("u-3", Enter)
		for _, want := range []struct{ taken, waiting int }{{2, 2}, {2, 0}, {0, 0}} {
			s.fill(r)
			if len(r.open.changes) != want.taken || s.backlog.waiting != want.waiting {
				t.Errorf("%d changes were taken and %d wait, want %+v", len(r.open.changes), s.backlog.waiting, want)
			}
			if want.waiting > 0 {
				put("u-1", Enter) // overtakes that which follows
			}
			if want.taken > 0 && !r.dispatch() {
				t.Error("the run has ended")
			}
		}
		if err := r.senders.Wait(); err != nil {
			t.Error(err)
		}
		if want := []string{"-u-2 +u-1", "+u-3 +u-1"}; !slices.Equal(endpoint.requests, want) {
			t.Errorf("requests %q, want %q", endpoint.requests, want)
		}
	})
}
