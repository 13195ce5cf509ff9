package cohort

import (
	"errors"
	"fmt"

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
