package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// DatabaseError is a call that the database, or the way to it, did not carry out. It has the database's code and never its message, which may
// quote the row it is about: identifiers are personal data and belong in no log. The server's own log has the message.
type DatabaseError struct {
	Operation string // what was to be done: "open", "write", "compare"
	Code      string // the SQLSTATE of the database's answer, or "" if none came
}

// Error names the operation, the code and the next step.
func (e *DatabaseError) Error() string {
	if e.Code == "" {
		return "postgres: " + e.Operation + ": no answer of use from the database: check that it can be reached, and open the entry again"
	}
	next := "look the code up in PostgreSQL's list of error codes, and its time in the server's log"
	switch e.Code {
	case undefinedTable, "42703":
		next = "run postgres.Migrate, and check the search_path"
	case "42501":
		next = "let the role write to the tables cohortkit_*, and create tables in their schema"
	case "55P03":
		next = "somebody is still reading a table of a comparison; try again"
	case "57P01", "57P02", "57P03":
		next = "the server is shutting down or starting; open the entry again"
	}
	return "postgres: " + e.Operation + ": the database answers " + e.Code + ": " + next
}

// undefinedTable is the SQLSTATE for a table that does not exist.
const undefinedTable = "42P01"

// ErrComparisonLost means that the database crashed and started again, or a standby took over, while a comparison was going on or its result was
// read. The tables of a comparison do not outlast that, and what is missing in them must not be taken for nobody. Compare again.
var ErrComparisonLost = errors.New("postgres: the database has crashed, or a standby has taken over, and the comparison is lost: run it again")

// failure returns an error of pgx as one that quotes nothing, or nil for nil.
func failure(operation string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("postgres: %s: %w", operation, context.Canceled)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("postgres: %s: %w", operation, context.DeadlineExceeded)
	case errors.Is(err, ledger.ErrLeaseLost):
		return fmt.Errorf("postgres: %s: %w", operation, ledger.ErrLeaseLost)
	case errors.Is(err, ledger.ErrClosed):
		return fmt.Errorf("postgres: %s: %w", operation, ledger.ErrClosed)
	case errors.Is(err, ErrComparisonLost):
		return ErrComparisonLost
	}
	if known, ok := errors.AsType[*DatabaseError](err); ok {
		return known // it has its operation
	}
	if known, ok := errors.AsType[*ledger.DamagedError](err); ok {
		return known
	}
	e := &DatabaseError{Operation: operation}
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		e.Code = answer.Code
	}
	return e
}
