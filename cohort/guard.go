package cohort

import (
	"errors"
	"fmt"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

var (
	// ErrRemovalsHeld is the kind of a [*HeldRemovalsError].
	ErrRemovalsHeld = errors.New("cohort: removals are held back by the removal guard")
	// ErrEmptySource is the kind of an [*EmptySourceError].
	ErrEmptySource = errors.New("cohort: the source named nobody")
	// ErrRetired means that the cohort was drained. Who filled it again would confuse those who were told that it is gone.
	ErrRetired = errors.New("the cohort was drained and is retired: fill a cohort with another id")
	// ErrUnrecorded means that the ledger has no record of the cohort, so nobody can say who is in it.
	ErrUnrecorded = errors.New("the ledger has no record of this cohort: check the cohort id, the workspace and the ledger; " +
		"if the ledger was lost, import a known list of members first, or fill a cohort with a new id")
)

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

// isEmpty reports whether nobody was wanted.
func isEmpty(d *ledger.Difference) bool { return d.Kept+d.Duplicate+d.Adds.Count+d.Repeats.Count == 0 }

// emptyUnapproved reports whether a difference that nobody is wanted in was not approved.
func (t *task) emptyUnapproved(d *ledger.Difference) bool {
	return isEmpty(d) && t.config.approval < d.Removals.Count
}

// guarded returns how many removals the guard holds: none, or all but those of people on the do-not-send list.
func (t *task) guarded(d *ledger.Difference) (int, error) {
	s := t.syncer
	trips := func(n int) bool {
		return float64(n) > s.share*float64(d.Members) && n > s.count && n > t.config.approval
	}
	n := d.Removals.Count
	if !trips(n) {
		return 0, nil
	}
	if s.suppressed != nil {
		for m, err := range d.Removals.Members {
			if err != nil {
				return 0, readError(err)
			}
			if t.suppressed(m) {
				n--
			}
		}
	}
	if !trips(n) {
		return 0, nil
	}
	return n, nil
}
