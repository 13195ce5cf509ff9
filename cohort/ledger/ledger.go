package ledger

import (
	"context"
	"iter"

	"github.com/cohortkit/cohortkit/identity"
)

// Ledger is a store of entries, one for each cohort. [Memory] and [Dir] are Ledgers; others, such as a database, implement it.
// A Ledger is safe for concurrent use.
type Ledger interface {
	// Open takes the lease on an entry, which need not exist yet, and returns the right to change it. It fails with an
	// [*InvalidError] for a bad key, a [*HeldError] while another session is open, and a [*DamagedError] if what is stored cannot be
	// trusted. An entry comes into being with the first thing recorded in it.
	Open(ctx context.Context, key Key) (Session, error)
	// Entries yields the entries that exist, in an order that stays the same, without taking a lease. An entry that is being
	// written to is yielded as it was at some moment. An error ends the sequence, except a [*DamagedError], which concerns one entry.
	Entries(ctx context.Context) iter.Seq2[Entry, error]
}

// Session is the right to change one entry, from [Ledger.Open] to Close. Begin and Settle may be called by many goroutines at once,
// also while somebody ranges over a part of a Difference; everything else is for one goroutine at a time.
//
// After an error of Begin, Settle or SetHeader the session records nothing more and answers with that error; open a new one. Only an
// [*InvalidError] and the end of a call's context do not end it: the intent of such a Begin counts as refused, since nothing leaves.
// A backend whose leases can be lost answers [ErrLeaseLost]. An interface with more than these methods is an optional one, as
// [Purger] and [Timekeeper] are.
type Session interface {
	// Header returns what is recorded of the cohort besides its members.
	Header() Header
	// SetHeader records another header, except for its Generation, which the ledger counts. It is durable when SetHeader returns. It fails with the
	// [*InvalidError] of [Header.Validate], after which the session goes on.
	SetHeader(ctx context.Context, h Header) error
	// Compare ranges once over the wanted members and returns what has to change for the cohort to have them and nobody else. It
	// records nothing. An error of the source ends it and is returned as it is. So does a context that is done, even if the source ended with it: what
	// it did not yield is not unwanted. The Difference is good until the next call of Compare, Members or Purge, and until the session is closed.
	Compare(ctx context.Context, wanted iter.Seq2[Wanted, error]) (*Difference, error)
	// Begin records that these members are about to be removed and added. It is durable when Begin returns without error: only then may the
	// request leave. The state of each Member is the one before, as the Difference told it, or Unknown where nobody asked. No member
	// may be in two open intents. The slices are not kept.
	Begin(ctx context.Context, removals, adds []Member) (Intent, error)
	// Settle records what became of an intent, once. It may become durable later than Settle returns.
	Settle(intent Intent, outcome Outcome) error
	// Members yields everybody who is In or Unknown, in no particular order. Begin and Settle must not be called meanwhile.
	Members(ctx context.Context) iter.Seq2[Member, error]
	// Close ends the lease. What was settled is durable when it returns without error; after an error it may not be, which costs repeats.
	// Closing again does nothing.
	Close() error
}

// Purger is a [Session] that can remove the traces of former members from its storage, such as logs that are not yet rewritten. A Session
// that is none keeps no such traces.
type Purger interface {
	// Purge rewrites the storage so that it holds the identifiers of members alone.
	Purge(ctx context.Context) error
}

// Intent is a set of changes that is about to leave.
type Intent uint64

// Wanted is somebody who is wanted in a cohort.
type Wanted struct {
	// ID is the identifier by which the person is sent.
	ID identity.ID
	// Others are further identifiers of the same person, as far as the caller knows. They are not sent. If one of them is a
	// member that has to be removed, the addition of ID is repeated afterwards, since that removal may take the person out. The slice is
	// read before the next element of the sequence is asked for, and not kept.
	Others []identity.ID
}

// Difference is what has to change for a cohort to have the wanted members. Send Removals first and wait until they are acknowledged,
// then Adds and Repeats.
type Difference struct {
	// Members is how many were In or Unknown before.
	Members int
	// Kept is how many wanted members are In and need no change.
	Kept int
	// Duplicate is how many elements of the sequence named somebody that another one had named.
	Duplicate int
	// Removals are members that are not wanted.
	Removals Part
	// Adds are the wanted who are out.
	Adds Part
	// Repeats are the wanted whose addition has to be repeated: those Unknown, and those In of whom one of Removals is another identifier. Of
	// the latter Begin must be called before the first removal leaves, so that a crash in between is not forgotten.
	Repeats Part
}

// Part is one part of a [Difference].
type Part struct {
	// Count is how many there are.
	Count int
	// Members yields them, each with its state before the change. It can be ranged over several times.
	Members iter.Seq2[Member, error]
}

// Member is an identifier and what is known of it. A ledger keeps identifiers byte for byte and tells them apart so, whatever their length, and also
// those that [identity.ID.Validate] would refuse: its rules may change, and what was stored before has to stay readable.
type Member struct {
	ID    identity.ID
	State State
}

// State is what is known of an identifier.
type State uint8

// The states. Only In and Unknown are stored.
const (
	Out     State = iota // surely not a member, as far as was sent
	In                   // the endpoint acknowledged the addition; whether it matched anybody, nobody knows
	Unknown              // a change left, or was about to, and nobody knows whether it arrived
)

// String returns "out", "in" or "unknown".
func (s State) String() string {
	switch s {
	case Out:
		return "out"
	case In:
		return "in"
	default:
		return "unknown"
	}
}

// Outcome is what became of an [Intent].
type Outcome uint8

// The outcomes. The zero value is the cautious one.
const (
	Lost     Outcome = iota // it may have been applied, and may not: the members are Unknown from now on
	Accepted                // the endpoint acknowledged it
	Refused                 // every attempt was answered, and surely nothing was applied: the members are what they were before
)

// String returns "lost", "accepted" or "refused".
func (o Outcome) String() string {
	switch o {
	case Accepted:
		return "accepted"
	case Refused:
		return "refused"
	default:
		return "lost"
	}
}

// AfterRemoval returns the state of a member after an intent that removes it came to this end. Before is the state that Begin was given.
func (o Outcome) AfterRemoval(before State) State { return o.after(before, Out) }

// AfterAddition returns the state of a member after an intent that adds it came to this end. Before is the state that Begin was given.
func (o Outcome) AfterAddition(before State) State { return o.after(before, In) }

func (o Outcome) after(before, accepted State) State {
	switch o {
	case Accepted:
		return accepted
	case Refused:
		return before
	default:
		return Unknown
	}
}
