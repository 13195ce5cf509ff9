package postgres

import (
	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// largestIntent is the most bytes of identifiers that one intent may have. PostgreSQL takes messages of up to 1 GB, in which they are written in
// binary, and keeps them in memory.
const largestIntent = 128 << 20

// intent is what the session remembers of an intent until it is settled. It need not outlast the session: the next one finds the members Unknown,
// and whoever knew what became of them is gone.
type intent struct {
	members []former
	removed int // how many of the members are removals; those come first
}

// former is a member of an intent as it was before.
type former struct {
	digest digest
	state  ledger.State
}

// begin returns an intent, and the record that makes its members Unknown.
func begin(removals, adds []ledger.Member) (*intent, *record) {
	n := len(removals) + len(adds)
	i := &intent{members: make([]former, 0, n), removed: len(removals)}
	r := &record{wrote: true, changes: make([]change, 0, n)}
	for _, list := range [...][]ledger.Member{removals, adds} {
		for _, m := range list {
			storage := []byte(m.ID.Encode())
			c := change{digest: digestOf(storage), state: ledger.Unknown, id: storage}
			r.changes = append(r.changes, c)
			r.size += len(storage)
			i.members = append(i.members, former{c.digest, m.State})
		}
	}
	return i, r
}

// settle returns the record of what became of the intent.
func (i *intent) settle(n ledger.Intent, outcome ledger.Outcome) *record {
	r := &record{wrote: true, intent: n, outcome: outcome, settled: true}
	for at, m := range i.members {
		state := outcome.AfterAddition(m.state)
		if at < i.removed {
			state = outcome.AfterRemoval(m.state)
		}
		if state != ledger.Unknown { // which they are already
			r.changes = append(r.changes, change{digest: m.digest, state: state})
		}
	}
	return r
}
