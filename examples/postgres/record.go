package postgres

import (
	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// record is one thing that a session records.
type record struct {
	wrote   bool // it changes something; a record that does not waits for those before it
	size    int  // bytes of identifiers
	changes []change

	intent    ledger.Intent
	stamps    []ledger.Stamp
	watermark int64
	settled   bool // outcome says what became of the intent
	outcome   ledger.Outcome

	header *ledger.Header

	written chan error // takes what came of it; nil if nobody waits for it
}

// change is the state that a member is to have.
type change struct {
	digest digest
	state  ledger.State
	id     []byte // of who is begun, and may have no row
}

// batch is what is written at once: records, of which the later count.
type batch struct {
	records []*record
	header  *ledger.Header

	out, in, unknown []digest
	ids              [][]byte // of the unknown

	stamps            stampColumns
	watermark         int64
	accepted, refused []int64
}

// batchOf makes one batch of records. One statement changes a row once, so of several changes of a member only the last is in it.
func batchOf(records []*record) *batch {
	b := &batch{records: records}
	refused := map[ledger.Intent]bool{}
	n := 0
	for _, r := range records {
		n += len(r.changes)
		if r.header != nil {
			b.header = r.header
		}
		b.watermark = max(b.watermark, r.watermark)
		if r.settled && r.outcome == ledger.Accepted {
			b.accepted = append(b.accepted, int64(r.intent))
		}
		if r.settled && r.outcome == ledger.Refused {
			b.refused = append(b.refused, int64(r.intent))
			refused[r.intent] = true
		}
	}
	last := make(map[digest]*change, n)
	for _, r := range records {
		for i := range r.changes {
			last[r.changes[i].digest] = &r.changes[i]
		}
		if !refused[r.intent] {
			b.stamps.add(r.intent, r.stamps)
		}
	}
	for _, r := range records {
		for i := range r.changes {
			if c := &r.changes[i]; last[c.digest] == c {
				b.add(c)
			}
		}
	}
	return b
}

func (b *batch) add(c *change) {
	switch c.state {
	case ledger.Out:
		b.out = append(b.out, c.digest)
	case ledger.In:
		b.in = append(b.in, c.digest)
	case ledger.Unknown:
		b.unknown = append(b.unknown, c.digest)
		b.ids = append(b.ids, c.id)
	}
}
