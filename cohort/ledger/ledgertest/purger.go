package ledgertest

import (
	"github.com/cohortkit/cohortkit/cohort/ledger"
)

func purge(t *trial) {
	s := t.open(key("a"))
	t.fill(s, ledger.In, external("a"), external("b"))
	t.fill(s, ledger.Unknown, external("c"))
	t.settle(s, t.begin(s, batch(ledger.In, external("a")), nil), ledger.Accepted)
	h := header()
	t.setHeader(s, h)
	h.Generation = 1
	expect := states{"e:b": ledger.In, "e:c": ledger.Unknown}
	for range 2 {
		t.purge(s)
		t.wantMembers("Purger.Purge keeps the members", s, expect)
		t.wantHeader("Purger.Purge keeps the header and is no change of the entry", h, s.Header())
	}
	t.settle(s, t.begin(s, nil, batch(ledger.Out, external("d"))), ledger.Accepted)
	expect["e:d"] = ledger.In
	s = t.reopen(s, key("a"))
	t.wantMembers("a session goes on after Purger.Purge", s, expect)
	t.wantHeader("Purger.Purge keeps the header", h, s.Header())
}

// purge purges a session that is a Purger.
func (t *trial) purge(s ledger.Session) {
	t.Helper()
	if p, ok := s.(ledger.Purger); ok {
		if err := p.Purge(t.Context()); err != nil {
			t.Fatalf("Purger.Purge: %v", err)
		}
	}
}
