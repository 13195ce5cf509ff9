package ledgertest

import (
	"errors"
	"iter"
	"maps"
	"testing"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// trial is a case at work: the test that hears of it, and the store that it has for itself.
type trial struct {
	testing.TB

	store Store
}

func newTrial(tb testing.TB, fresh func(testing.TB) Store) *trial {
	tb.Helper()
	store := fresh(tb)
	if store.Open == nil {
		tb.Fatal("ledgertest: Store.Open is nil: give a function that opens the store")
	}
	return &trial{tb, store}
}

// again opens the store, as another process would.
func (t *trial) again() ledger.Ledger {
	t.Helper()
	l, err := t.store.Open()
	if err != nil {
		t.Fatalf("Store.Open: %v", err)
	}
	return l
}

// open opens an entry as another process would.
func (t *trial) open(k ledger.Key) ledger.Session {
	t.Helper()
	return t.openOn(t.again(), k)
}

func (t *trial) openOn(l ledger.Ledger, k ledger.Key) ledger.Session {
	t.Helper()
	s, err := l.Open(t.Context(), k)
	if err != nil {
		t.Fatalf("Ledger.Open of an entry that no session has open, for Session.Close ends the lease: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (t *trial) shut(s ledger.Session) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("Session.Close: %v", err)
	}
}

// reopen closes a session and opens the entry as another process would.
func (t *trial) reopen(s ledger.Session, k ledger.Key) ledger.Session {
	t.Helper()
	t.shut(s)
	return t.open(k)
}

func (t *trial) begin(s ledger.Session, removals, adds []ledger.Member) ledger.Intent {
	t.Helper()
	intent, err := s.Begin(t.Context(), removals, adds)
	if err != nil {
		t.Fatalf("Session.Begin of %d removals and %d additions: %v", len(removals), len(adds), err)
	}
	return intent
}

func (t *trial) settle(s ledger.Session, intent ledger.Intent, o ledger.Outcome) {
	t.Helper()
	if err := s.Settle(intent, o); err != nil {
		t.Fatalf("Session.Settle of an intent as %v: %v", o, err)
	}
}

func (t *trial) setHeader(s ledger.Session, h ledger.Header) {
	t.Helper()
	if err := s.SetHeader(t.Context(), h); err != nil {
		t.Fatalf("Session.SetHeader: %v", err)
	}
}

// fill brings members into a state, from out.
func (t *trial) fill(s ledger.Session, state ledger.State, ids ...identity.ID) {
	t.Helper()
	if state == ledger.Out || len(ids) == 0 {
		return
	}
	outcome := ledger.Accepted
	if state == ledger.Unknown {
		outcome = ledger.Lost
	}
	t.settle(s, t.begin(s, nil, batch(ledger.Out, ids...)), outcome)
}

// read reads a sequence of members, of whom none may come twice.
func (t *trial) read(what string, seq iter.Seq2[ledger.Member, error]) states {
	t.Helper()
	got := states{}
	for m, err := range seq {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		id := show(m.ID)
		if _, twice := got[id]; twice {
			t.Fatalf("%s yields %q twice, and nobody may come twice", what, id)
		}
		got[id] = m.State
	}
	return got
}

func (t *trial) members(s ledger.Session) states {
	t.Helper()
	return t.read("Session.Members", s.Members(t.Context()))
}

// recorded returns the members that another process finds.
func (t *trial) recorded(k ledger.Key) states {
	t.Helper()
	return t.read("Session.Members of the next session", ledger.Members(t.Context(), t.again(), k))
}

func (t *trial) part(name string, p ledger.Part) states {
	t.Helper()
	got := t.read("Difference."+name+".Members", p.Members)
	if len(got) != p.Count {
		t.Fatalf("Difference.%s.Count is %d, and Members yields %d: Count is how many there are", name, p.Count, len(got))
	}
	return got
}

func (t *trial) readAll(d *ledger.Difference) difference {
	t.Helper()
	return difference{
		d.Members, d.Kept, d.Duplicate, t.part("Removals", d.Removals), t.part("Adds", d.Adds), t.part("Repeats", d.Repeats),
	}
}

func (t *trial) compareWith(s ledger.Session, wanted iter.Seq2[ledger.Wanted, error]) *ledger.Difference {
	t.Helper()
	d, err := s.Compare(t.Context(), wanted)
	if err != nil {
		t.Fatalf("Session.Compare: %v", err)
	}
	return d
}

func (t *trial) compare(s ledger.Session, wanted ...ledger.Wanted) difference {
	t.Helper()
	return t.readAll(t.compareWith(s, source(wanted...)))
}

func (t *trial) entries() []ledger.Entry {
	t.Helper()
	var list []ledger.Entry
	for e, err := range t.again().Entries(t.Context()) {
		if err != nil {
			t.Fatalf("Ledger.Entries: %v", err)
		}
		list = append(list, e)
	}
	return list
}

// wantMembers holds what a session says of its members to a promise.
func (t *trial) wantMembers(promise string, s ledger.Session, want states) {
	t.Helper()
	t.wantStates(promise, want, t.members(s))
}

// wantRecorded holds what the next session says of its members to a promise.
func (t *trial) wantRecorded(promise string, k ledger.Key, want states) {
	t.Helper()
	t.wantStates(promise+"; the next session", want, t.recorded(k))
}

func (t *trial) wantStates(promise string, want, got states) {
	t.Helper()
	if !maps.Equal(want, got) { // lines are dear
		t.same(promise+": members", want.lines(""), got.lines(""))
	}
}

func (t *trial) wantDifference(promise string, want, got difference) {
	t.Helper()
	if !want.equal(got) {
		t.same(promise+": difference", want.lines(), got.lines())
	}
}

func (t *trial) wantHeader(promise string, want, got ledger.Header) {
	t.Helper()
	if want != got { // and even then two times can be equal and not the same
		t.same(promise+": header", headerLines(&want), headerLines(&got))
	}
}

func (t *trial) wantEntries(promise string, want, got []ledger.Entry) {
	t.Helper()
	t.same(promise+": entries", entryLines(want), entryLines(got))
}

// same reports a promise that is not kept.
func (t *trial) same(promise string, want, got []string) {
	t.Helper()
	if d := diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", promise, d)
	}
}

// wantHeld reports an answer that does not say that the entry is held.
func (t *trial) wantHeld(call string, k ledger.Key, err error) {
	t.Helper()
	held, ok := errors.AsType[*ledger.HeldError](err)
	switch {
	case !ok:
		t.Errorf("%s, while a session has the entry open: error %v, want a *ledger.HeldError: an entry has one writer at a time", call, err)
	case held.Key != k || held.Holder == "":
		t.Errorf("%s: HeldError of %v with holder %q, want the key that was asked for and some words on who holds it", call, held.Key, held.Holder)
	}
}
