package cohort

import (
	"fmt"
	"iter"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// Two identifiers can be one person's, so a removal may take out more than whom it names. What a removal can do is noted in the ledger
// before it leaves; after a failure, or a crash, it would be forgotten otherwise.

// How many members are marked at once, and how many bytes of them. No request waits for them, and each batch has to be made durable.
const (
	markBatch = 1 << 13
	markBytes = 1 << 20
)

// doubt records that those who are in may be taken out by the removals that are about to leave.
func (t *task) doubt(members iter.Seq2[ledger.Member, error]) error {
	return t.mark(members, ledger.Lost)
}

// trust takes doubt back, when surely no removal had an effect.
func (t *task) trust(members iter.Seq2[ledger.Member, error]) error {
	return t.mark(members, ledger.Accepted)
}

// mark records those who are in as members whose addition came to this end, without sending anything.
func (t *task) mark(members iter.Seq2[ledger.Member, error], outcome ledger.Outcome) error {
	var batch []ledger.Member
	size := 0
	flush := func() error {
		intent, err := t.session.Begin(t.ctx, nil, batch)
		if err == nil {
			err = t.session.Settle(intent, outcome)
		}
		if err != nil {
			return fmt.Errorf("record who may be taken out by the removals: %w", err)
		}
		batch, size = batch[:0], 0
		return nil
	}
	for m, err := range members {
		if err != nil {
			return readError(err)
		}
		if m.State != ledger.In {
			continue
		}
		batch = append(batch, m)
		if size += len(m.ID.Value()); len(batch) == markBatch || size >= markBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return flush()
}

// inDoubt yields members as they are once doubt has recorded them.
func inDoubt(members iter.Seq2[ledger.Member, error]) iter.Seq2[ledger.Member, error] {
	return func(yield func(ledger.Member, error) bool) {
		for m, err := range members {
			if m.State == ledger.In {
				m.State = ledger.Unknown
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

// takeOut sends removals of n members. Those who stay, and may be taken out all the same, are put in doubt before. If the removals take several requests,
// some of these may be accepted and others not; then of those that were not, too, nobody knows whether they are still in.
func (t *task) takeOut(r *run, n int, members, stay iter.Seq2[ledger.Member, error]) error {
	if err := t.doubt(stay); err != nil {
		return err
	}
	leave := members
	if n > MaxIdentifiers {
		if err := t.doubt(members); err != nil {
			return err
		}
		leave = inDoubt(members)
	}
	err := r.phase(changesOf(leave, removal))
	if err == nil || r.removed() {
		return err
	}
	// The usual failure is a key that is refused: then everybody is what they were.
	trustErr := t.trust(stay)
	if trustErr == nil && n > MaxIdentifiers {
		trustErr = t.trust(members)
	}
	return both(err, trustErr)
}

// removed reports whether any removal may have had an effect.
func (r *run) removed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.removals.Accepted+r.removals.Unknown > 0
}

// note remembers somebody who is not to be sent by their other identifiers. A device of theirs may have been sent before they signed up: its removal
// would reach nobody now, so it has to be followed by that of the identifier which does.
func (t *task) note(w ledger.Wanted) {
	for _, other := range w.Others {
		if t.known == nil {
			t.known = map[identity.ID]identity.ID{}
		}
		t.known[other] = w.ID
	}
}

// findAlso finds who has to be removed besides the members of the ledger: people on the do-not-send list of whom another identifier is a member.
func (t *task) findAlso(d *ledger.Difference) error {
	if len(t.known) == 0 {
		return nil
	}
	named := make(map[identity.ID]bool, len(t.known)) // and whether the ledger names them itself
	for _, id := range t.known {
		named[id] = false
	}
	var also []ledger.Member
	for m, err := range d.Removals.Members {
		if err != nil {
			return readError(err)
		}
		if _, ok := named[m.ID]; ok {
			named[m.ID] = true
		}
		if id, ok := t.known[m.ID]; ok {
			also = append(also, ledger.Member{ID: id, State: ledger.Out})
		}
	}
	for _, m := range also {
		if !named[m.ID] {
			named[m.ID] = true
			t.also = append(t.also, m)
		}
	}
	return nil
}

// leaving yields whom the task removes. Those whom the ledger does not name come first: as long as it names their other identifier, they are found
// again after a crash.
func (t *task) leaving(d *ledger.Difference) iter.Seq2[ledger.Member, error] {
	return chain(membersOf(t.also), d.Removals.Members)
}

// suppressed reports whether a member is on the do-not-send list, by whichever identifier is known.
func (t *task) suppressed(m ledger.Member) bool {
	if t.syncer.suppressed == nil {
		return false
	}
	if _, ok := t.known[m.ID]; ok || t.syncer.suppressed(m.ID) {
		return true
	}
	return m.State == ledger.Out // of those to be removed, only people on the list are
}

// changesOf turns members into changes of one direction.
func changesOf(members iter.Seq2[ledger.Member, error], d direction) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		for m, err := range members {
			if !yield(changeOf(m, d), err) {
				return
			}
		}
	}
}

// chain yields the members of one sequence after those of the other, up to an error.
func chain(first, second iter.Seq2[ledger.Member, error]) iter.Seq2[ledger.Member, error] {
	return func(yield func(ledger.Member, error) bool) {
		for _, members := range [...]iter.Seq2[ledger.Member, error]{first, second} {
			for m, err := range members {
				if !yield(m, err) || err != nil {
					return
				}
			}
		}
	}
}

// membersOf turns a slice into a sequence.
func membersOf(members []ledger.Member) iter.Seq2[ledger.Member, error] {
	return func(yield func(ledger.Member, error) bool) {
		for _, m := range members {
			if !yield(m, nil) {
				return
			}
		}
	}
}

func readError(err error) error { return fmt.Errorf("read the ledger: %w", err) }
