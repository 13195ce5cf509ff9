package ledger

import (
	"context"
	"fmt"
	"iter"

	"github.com/cohortkit/cohortkit/identity"
)

// Members yields the members that an entry records. It holds the lease while the caller ranges over them, so nobody writes
// meanwhile. It fails as [Ledger.Open] does.
func Members(ctx context.Context, l Ledger, key Key) iter.Seq2[Member, error] {
	return func(yield func(Member, error) bool) {
		s, err := l.Open(ctx, key)
		if err != nil {
			yield(Member{}, err)
			return
		}
		defer func() { _ = s.Close() }() // nothing was recorded
		for m, err := range s.Members(ctx) {
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// Side says where a [Deviation] was found.
type Side uint8

// The sides.
const (
	OnlyInLedger  Side = iota + 1 // recorded as a member, and not in the list
	OnlyInList                    // in the list, and not recorded
	UnknownInBoth                 // in the list, and recorded as Unknown
)

// String returns "only in the ledger", "only in the list" or "in both, but unknown".
func (s Side) String() string {
	switch s {
	case OnlyInLedger:
		return "only in the ledger"
	case OnlyInList:
		return "only in the list"
	default:
		return "in both, but unknown"
	}
}

// Deviation is somebody about whom a ledger and a list do not agree.
type Deviation struct {
	ID   identity.ID
	Side Side
}

// Diff compares an entry with a list, such as one that the customer exported, and yields where they differ. It changes nothing, and holds the
// lease until the caller has ranged over the result. An error of the list ends it.
func Diff(ctx context.Context, l Ledger, key Key, list iter.Seq2[identity.ID, error]) iter.Seq2[Deviation, error] {
	return func(yield func(Deviation, error) bool) {
		s, err := l.Open(ctx, key)
		if err != nil {
			yield(Deviation{}, err)
			return
		}
		defer func() { _ = s.Close() }() // nothing was recorded
		d, err := s.Compare(ctx, wantedOf(list))
		if err != nil {
			yield(Deviation{}, err)
			return
		}
		for _, part := range [...]struct {
			side Side
			Part
		}{{OnlyInLedger, d.Removals}, {OnlyInList, d.Adds}, {UnknownInBoth, d.Repeats}} {
			for m, err := range part.Members {
				if !yield(Deviation{m.ID, part.side}, err) || err != nil {
					return
				}
			}
		}
	}
}

func wantedOf(ids iter.Seq2[identity.ID, error]) iter.Seq2[Wanted, error] {
	return func(yield func(Wanted, error) bool) {
		for id, err := range ids {
			if !yield(Wanted{ID: id}, err) {
				return
			}
		}
	}
}

// How many members are recorded at once, and how many bytes of them. No request waits for them, and each batch costs an fsync.
const (
	importBatch = 1 << 12
	importBytes = 1 << 20
)

// Import records a header and members that nothing was sent of: those of another ledger, or, when a ledger was lost, a list of whoever is known
// to be in the cohort. Give members [In] where that is sure, and [Unknown] where not: then the next sync sends them again, whichever side they
// are on. Members that the entry records already are kept, so an interrupted import can be repeated. The header is
// recorded at the end; its Generation is the entry's own.
//
// Who is in the cohort and in neither the ledger nor the list stays in it, and nobody can tell: Braze cannot list a cohort. Without a list
// that is known to be complete, fill a new cohort instead.
func Import(ctx context.Context, l Ledger, entry Entry, members iter.Seq2[Member, error]) error {
	s, err := l.Open(ctx, entry.Key)
	if err != nil {
		return err
	}
	if err := importInto(ctx, s, entry.Header, members); err != nil {
		_ = s.Close() // the import is repeated anyway
		return fmt.Errorf("ledger: import: %w", err)
	}
	return s.Close()
}

func importInto(ctx context.Context, s Session, h Header, members iter.Seq2[Member, error]) error {
	outcomes := [...]Outcome{In: Accepted, Unknown: Lost}
	var batches [len(outcomes)][]Member
	var sizes [len(outcomes)]int
	flush := func(state State) error {
		intent, err := s.Begin(ctx, nil, batches[state])
		if err != nil {
			return err
		}
		batches[state], sizes[state] = batches[state][:0], 0
		return s.Settle(intent, outcomes[state])
	}
	row := 0
	for m, err := range members {
		row++
		if err == nil {
			err = m.ID.Validate()
		}
		if err != nil {
			return fmt.Errorf("row %d: %w", row, err)
		}
		if m.State != In && m.State != Unknown {
			return fmt.Errorf("row %d: %w", row, &InvalidError{Field: "state", Problem: "is " + m.State.String(), Next: "give In or Unknown, and leave out who is out"})
		}
		batches[m.State] = append(batches[m.State], Member{m.ID, Unknown})
		sizes[m.State] += len(m.ID.Value())
		if len(batches[m.State]) == importBatch || sizes[m.State] >= importBytes {
			if err := flush(m.State); err != nil {
				return err
			}
		}
	}
	for _, state := range [...]State{In, Unknown} {
		if len(batches[state]) > 0 {
			if err := flush(state); err != nil {
				return err
			}
		}
	}
	return s.SetHeader(ctx, h)
}
