package cohort

import (
	"errors"
	"fmt"

	"github.com/cohortkit/cohortkit/identity"
)

// Rejection is a row that cannot be sent.
type Rejection struct {
	// CohortID is the cohort of the run.
	CohortID string
	// Row is the number of the row, counted from 1 in the order of the source.
	Row int
	// Err says why.
	Err *identity.RejectError
}

// String returns the row and the reason.
func (r Rejection) String() string { return fmt.Sprintf("row %d: %v", r.Row, r.Err) }

// reject counts the row last read as one that cannot be sent, or returns the error that ends the run.
func (c *runConfig) reject(cohortID string, rows *Rows, err error) error {
	rejection, ok := errors.AsType[*identity.RejectError](err)
	if !ok {
		rows.Unprocessed++
		return &RowError{Row: rows.Read, Err: err}
	}
	rows.Rejected++
	for _, f := range c.onReject {
		f(Rejection{CohortID: cohortID, Row: rows.Read, Err: rejection})
	}
	if c.strict {
		return &RowError{Row: rows.Read, Err: rejection}
	}
	return nil
}
