package rest

import (
	"errors"
	"fmt"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/internal/text"
)

var (
	// ErrSegmentNotFound is the kind of a [*FindError] without a segment.
	ErrSegmentNotFound = errors.New("rest: no segment has the name")
	// ErrSegmentAmbiguous is the kind of a [*FindError] with several segments.
	ErrSegmentAmbiguous = errors.New("rest: several segments have the name")
	// ErrEndlessList means that a list did not end: the endpoint repeated a page, or went on after the thousandth.
	ErrEndlessList = errors.New("the list does not end: check that no proxy between here and the endpoint drops the query of a request")
)

// InvalidError is an argument that cannot be sent. It comes before any request, and holds nothing of the argument.
type InvalidError struct {
	Field   string // the argument: "target", "recipients[3]", "send ID"
	Problem string // what is wrong with it, as the tail of a sentence
	Next    string // what to do, as a sentence without its full stop
}

// Error names the field, the problem and the next step.
func (e *InvalidError) Error() string { return "rest: " + e.Field + " " + e.Problem + ": " + e.Next }

// AnswerError says what a 2xx lacks that the endpoint promises. It comes wrapped in a [*transport.APIError] that matches
// [transport.ErrBadAnswer] and, since a send may have been made all the same, [transport.ErrOutcomeUnknown]. It holds nothing of the answer.
type AnswerError struct {
	Field   string // the field of the answer: "dispatch_id", "segments[3].id"
	Problem string // what is wrong with it, as the tail of a sentence
}

// Error names the field and the problem.
func (e *AnswerError) Error() string { return "in which " + e.Field + " " + e.Problem }

// FindError means that [Client.FindSegment] did not find exactly one segment.
type FindError struct {
	Name  string    // the name that was asked for
	Found []Segment // the segments that have it: none, or more than one
}

// Error tells how many segments have the name and what to do.
func (e *FindError) Error() string {
	if len(e.Found) == 0 {
		return fmt.Sprintf("rest: find segment: no segment is named %q: compare the name in the dashboard, byte for byte; archived segments are not listed", e.Name)
	}
	return fmt.Sprintf("rest: find segment: %d segments are named %q: choose one of Found and use its ID, or rename the others", len(e.Found), e.Name)
}

// Is matches [ErrSegmentNotFound] or [ErrSegmentAmbiguous].
func (e *FindError) Is(target error) bool {
	if len(e.Found) == 0 {
		return target == ErrSegmentNotFound
	}
	return target == ErrSegmentAmbiguous
}

// checkText refuses what no field of a request can be.
func checkText(field, s, next string) error {
	fault := text.Check(s)
	switch fault {
	case text.None:
		return nil
	case text.Empty:
	default:
		next = fault.Next()
	}
	return &InvalidError{Field: field, Problem: fault.String(), Next: next}
}

// checkID refuses an identifier that cannot be sent.
func checkID(field string, id identity.ID) error {
	rejected, ok := errors.AsType[*identity.RejectError](id.Validate())
	if !ok {
		return nil
	}
	next := rejected.Hint
	if next == "" {
		next = rejected.Reason.Next()
	}
	return &InvalidError{Field: field, Problem: fmt.Sprintf("is no identifier (%s: %s)", rejected.Field, rejected.Reason), Next: next}
}
