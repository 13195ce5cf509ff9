package ledgertest

import (
	"context"
	"errors"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// takeOver ends the lease of whoever has the entry open, and opens it as another process would.
func (t *trial) takeOver(k ledger.Key) ledger.Session {
	t.Helper()
	if err := t.store.Expire(t.Context(), k); err != nil {
		t.Fatalf("Store.Expire: %v", err)
	}
	s, err := t.again().Open(t.Context(), k)
	if err != nil {
		t.Fatalf("Ledger.Open after Store.Expire of the entry: %v, want a session: the lease is free", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// write is a call that records something. It fails at once when the lease is lost.
type write struct {
	name string
	do   func(context.Context) error
}

// writes are those of a session. Settle is not among them, for it may be recorded later than it returns.
func writes(s ledger.Session) []write {
	late := batch(ledger.Out, external("late"))
	all := []write{
		{"Session.Begin", func(ctx context.Context) error { _, err := s.Begin(ctx, nil, late); return err }},
		{"Session.SetHeader", func(ctx context.Context) error { return s.SetHeader(ctx, ledger.Header{Name: "late"}) }},
	}
	if k, ok := s.(ledger.Timekeeper); ok {
		all = append(all, write{"Timekeeper.BeginStamped", func(ctx context.Context) error {
			_, err := k.BeginStamped(ctx, nil, late, []ledger.Stamp{stampOf('l', 1)}, 0)
			return err
		}})
	}
	return all
}

const lostLease = "a session that has lost its lease records nothing more"

// wantLost reports a call of a session that has lost its lease and does not say so.
func (t *trial) wantLost(call string, err error) {
	t.Helper()
	if !errors.Is(err, ledger.ErrLeaseLost) {
		t.Errorf("%s: error %v, want ledger.ErrLeaseLost: another session has the lease now", call, err)
	}
}

// lostLeaseWrites makes each write the one that finds out, and tries all of them afterwards.
func lostLeaseWrites(t *trial) {
	for first, w := range writes(t.open(key("a"))) {
		k := key(w.name)
		old := t.open(k)
		t.fill(old, ledger.In, external("a"))
		old = t.reopen(old, k) // what was settled is durable then
		t.setHeader(old, ledger.Header{Name: "before"})
		intent := t.begin(old, nil, batch(ledger.Out, external("b")))
		next := t.takeOver(k)
		all := writes(old)
		t.wantLost(all[first].name+", as the first call after the lease was lost", all[first].do(t.Context()))
		for _, w := range all {
			t.wantLost(w.name+", after a call that answered so", w.do(t.Context()))
		}
		t.wantLost("Session.Settle, after a call that answered so", old.Settle(intent, ledger.Accepted))
		// These may have nothing to write.
		if p, ok := old.(ledger.Purger); ok {
			if err := p.Purge(t.Context()); err != nil {
				t.wantLost("Purger.Purge, which fails", err)
			}
		}
		if keeper, ok := old.(ledger.Timekeeper); ok {
			if err := keeper.Tidy(t.Context()); err != nil {
				t.wantLost("Timekeeper.Tidy, which fails", err)
			}
		}
		expect := states{"e:a": ledger.In, "e:b": ledger.Unknown}
		t.wantMembers(lostLease, next, expect)
		t.wantHeader(lostLease, ledger.Header{Name: "before", Generation: 2}, next.Header())
		t.fill(next, ledger.In, external("c"))
		_ = old.Close()
		t.shut(next)
		expect["e:c"] = ledger.In
		t.wantRecorded(lostLease, k, expect)
		t.wantHeader(lostLease, ledger.Header{Name: "before", Generation: 3}, t.open(k).Header())
	}
}

// lostLeaseSettle has the former session settle an intent whose number its successor may have given out too.
func lostLeaseSettle(t *trial) {
	k := key("a")
	old := t.open(k)
	intent := t.begin(old, nil, batch(ledger.Out, external("a")))
	next := t.takeOver(k)
	under := t.begin(next, nil, batch(ledger.Out, external("b")))
	settled := old.Settle(intent, ledger.Accepted)
	if settled != nil {
		t.wantLost("Session.Settle, which fails", settled)
	}
	closed := old.Close()
	if settled == nil {
		t.wantLost("Session.Close after Settle, which answered nil and was not recorded", closed)
	}
	t.wantMembers(lostLease+", and its intents are not those of the next session", next, states{"e:a": ledger.Unknown, "e:b": ledger.Unknown})
	t.settle(next, under, ledger.Refused)
	t.shut(next)
	t.wantRecorded(lostLease, k, states{"e:a": ledger.Unknown})
}

// lostLeaseSettled loses the lease after Settle, which may not be durable yet.
func lostLeaseSettled(t *trial) {
	k := key("a")
	old := t.open(k)
	t.fill(old, ledger.In, external("a"))
	next := t.takeOver(k)
	got := t.members(next)
	closed := old.Close()
	switch {
	case len(got) != 1 || got["e:a"] == ledger.Out:
		t.wantStates("what was begun before the lease was lost is recorded, and is In or Unknown after it was settled as accepted", states{"e:a": ledger.Unknown}, got)
	case got["e:a"] == ledger.Unknown:
		t.wantLost("Session.Close, without whose error what was settled is durable, and here it is not", closed)
	}
}

func lostLeaseClose(t *trial) {
	k := key("a")
	old := t.open(k)
	t.fill(old, ledger.In, external("a"))
	next := t.takeOver(k)
	expect := t.members(next) // what was settled may have been lost
	for range 2 {
		if err := old.Close(); err != nil {
			t.wantLost("Session.Close, which fails", err)
		}
		_, err := t.again().Open(t.Context(), k)
		t.wantHeld("Ledger.Open after a session that had lost its lease was closed", k, err)
	}
	t.fill(next, ledger.In, external("b"))
	t.shut(next)
	expect["e:b"] = ledger.In
	t.wantRecorded("Session.Close of a session that has lost its lease leaves its successor alone", k, expect)
}
