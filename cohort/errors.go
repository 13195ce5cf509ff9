package cohort

import (
	"errors"
	"fmt"
	"time"

	"github.com/cohortkit/cohortkit/identity"
)

// ErrInconclusive means that [Importer.Check] could neither confirm nor deny the credentials.
var ErrInconclusive = errors.New("cohort: the check is inconclusive")

// InvalidError is an argument that cannot be sent. It comes before any request.
type InvalidError struct {
	Field   string // the argument: "cohort id", "cohort name", "cohort created-at", "changes", "workspace", "client" or an option
	Problem string // what is wrong with it, as the tail of a sentence
	Next    string // what to do, as a sentence without its full stop
}

// Error names the field, the problem and the next step.
func (e *InvalidError) Error() string {
	return "cohort: " + e.Field + " " + e.Problem + ": " + e.Next
}

// RowError ends a run at a row: the source failed there, or, in a [Strict] run, the row was rejected.
type RowError struct {
	Row int   // the number of the row, counted from 1 in the order of the source
	Err error // the source's own error, or the row's *identity.RejectError
}

// Error gives the row's number and the source's own text.
func (e *RowError) Error() string { return fmt.Sprintf("row %d: %v", e.Row, e.Err) }

// Unwrap returns the source's own error.
func (e *RowError) Unwrap() error { return e.Err }

// The reasons for which an Importer rejects a row, besides those of package identity.
const (
	// ReasonNoDirection rejects the zero [Change]: it neither adds nor removes.
	ReasonNoDirection identity.Reason = "no_direction"
	// ReasonTooLong rejects an identifier of more than 500,000 bytes, label included: it may not fit into a request of 4 MB.
	ReasonTooLong identity.Reason = "too_long"
)

var (
	// ErrRemovalsHeld is the kind of a [*HeldRemovalsError].
	ErrRemovalsHeld = errors.New("cohort: removals are held back by the removal guard")
	// ErrEmptySource is the kind of an [*EmptySourceError].
	ErrEmptySource = errors.New("cohort: the source named nobody")
	// ErrLate is the kind of a [*LateError].
	ErrLate = errors.New("cohort: the event is late")
	// ErrStreamClosed means that a [Stream] takes no more events.
	ErrStreamClosed = errors.New("cohort: the stream is closed: open another one")
	// ErrRetired means that the cohort was drained. Who filled it again would confuse those who were told that it is gone.
	ErrRetired = errors.New("the cohort was drained and is retired: fill a cohort with another id")
	// ErrUnrecorded means that the ledger has no record of the cohort, so nobody can say who is in it.
	ErrUnrecorded = errors.New("the ledger has no record of this cohort: check the cohort id, the workspace and the ledger; " +
		"if the ledger was lost, import a known list of members first, or fill a cohort with a new id")
	// ErrNoMembers means that the ledger records nobody in the cohort, so there is nothing to estimate.
	ErrNoMembers = errors.New("the ledger records nobody in this cohort: look at the report of its last Sync")
)

// LookupError means that a sample could not be looked up as a whole, so there is no estimate.
type LookupError struct {
	Sampled int   // how many members were to be looked up
	Err     error // the Lookup's own error, or that of the context
}

// Error gives the Lookup's own text and the next step.
func (e *LookupError) Error() string {
	return fmt.Sprintf("look up %s: %v: a part of a sample gives no estimate, and nothing was changed: estimate again", plural(e.Sampled, "member"), e.Err)
}

// Unwrap returns the Lookup's own error.
func (e *LookupError) Unwrap() error { return e.Err }

// HeldRemovalsError means that the removal guard held removals back. Additions were sent; those removals were not, and neither were additions that
// had to be repeated after them.
type HeldRemovalsError struct {
	CohortID string // the cohort
	Removals int    // removals held: the number for [ApproveRemovals]
	Members  int    // members before the run
}

// Error tells how many removals are held and what to do.
func (e *HeldRemovalsError) Error() string {
	return fmt.Sprintf("%d of %d members would be removed, more than the removal guard allows, so their removals are held: "+
		"look whether the source is complete; if it is, run again with ApproveRemovals(%d)", e.Removals, e.Members, e.Removals)
}

// Is matches [ErrRemovalsHeld].
func (e *HeldRemovalsError) Is(target error) bool { return target == ErrRemovalsHeld }

// EmptySourceError means that the source named nobody who can be sent: it had no rows, or all of them were rejected or suppressed. Nothing was sent.
type EmptySourceError struct {
	CohortID string // the cohort
	Removals int    // members that would be removed: the number for [ApproveRemovals]
}

// Error tells how many members the cohort has and what to do.
func (e *EmptySourceError) Error() string {
	return fmt.Sprintf("the source named nobody who can be sent, and %s would be removed: look at the source; "+
		"to end the cohort use Drain, and to empty it run again with ApproveRemovals(%d)", plural(e.Removals, "member"), e.Removals)
}

// Is matches [ErrEmptySource].
func (e *EmptySourceError) Is(target error) bool { return target == ErrEmptySource }

// LateError means that an event is older than what a [Stream] knows, so it was not applied. It is settled, and to send it again leads to the same.
type LateError struct {
	At    time.Time // when the event happened
	Known time.Time // when the newest event of the member happened, or the watermark
	// Forgotten says that nothing is known of the member and Known is the watermark: something newer may have been forgotten, or not.
	Forgotten bool
}

// Error tells how late the event is and what it was compared with.
func (e *LateError) Error() string {
	behind := e.Known.Sub(e.At)
	switch {
	case e.Forgotten:
		return fmt.Sprintf("the event is late: it lies %v behind the watermark, below which times of members are forgotten: "+
			"if it should count, give the stream a longer horizon and more memory", behind)
	case behind == 0:
		return "the event is late: its member left at the very same time, and leaving counts"
	default:
		return fmt.Sprintf("the event is late: one of the same member is known that happened %v after it", behind)
	}
}

// Is matches [ErrLate].
func (e *LateError) Is(target error) bool { return target == ErrLate }
