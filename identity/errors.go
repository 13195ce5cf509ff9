package identity

import (
	"errors"
	"strconv"

	"github.com/cohortkit/cohortkit/internal/text"
)

// The names of the fields of a [RejectError] of this package.
const (
	fieldExternalID = "external_id"
	fieldAliasLabel = "alias_label"
	fieldAliasName  = "alias_name"
	fieldDeviceID   = "device_id"
	fieldIdentifier = "identifier"
	fieldPerson     = "person"
)

// ErrMalformed is the error of [ParseID].
var ErrMalformed = errors.New("identity: parse ID: not the storage form of an identifier: " +
	"pass what ID.Encode returned, whole and unchanged")

// Reason says why a row was rejected. It is a word to count by, such as a label of a metric, and must never carry an
// identifier. Callers may use reasons of their own.
type Reason string

// The reasons of this package.
const (
	ReasonEmpty            Reason = "empty"             // an identifier or a label without a byte
	ReasonInvalidUTF8      Reason = "invalid_utf8"      // not UTF-8, the encoding of every identifier
	ReasonControlCharacter Reason = "control_character" // a line break or another control character inside
	ReasonNoIdentifier     Reason = "no_identifier"     // nothing that the rules allow to be sent
	ReasonOnlyDevices      Reason = "only_devices"      // an identified person of whom nothing but devices can be sent
	ReasonUnreadable       Reason = "unreadable"        // a row that could not be read; for callers that read rows
)

// RejectError says that one person or identifier is not sent. It concerns one row: a source that yields it goes on.
//
// Whoever reads rows may make one, which [Rules.IDs] then passes on:
//
//	&identity.RejectError{Field: "row", Reason: identity.ReasonUnreadable}
//
// No field may carry an identifier, since rejects are logged and counted.
type RejectError struct {
	// Field names what is wrong: "external_id", "alias_label", "alias_name", "device_id", "identifier" or "person", or
	// a name of the caller's, such as that of a column.
	Field string
	// Reason says what is wrong with it.
	Reason Reason
	// Hint is the next step. It may be empty for a reason of this package, which has one of its own.
	Hint string
}

// Error returns the field, the reason and the next step. It names no package, because it is about a row.
func (e *RejectError) Error() string {
	s := e.Field + " rejected: " + string(e.Reason)
	next := e.Hint
	if next == "" {
		next = e.Reason.Next()
	}
	if next != "" {
		s += ": " + next
	}
	return s
}

// Next returns what to do about the reason, as part of a sentence without its full stop, or "" for a reason that is not
// one of this package.
func (r Reason) Next() string {
	switch r {
	case ReasonEmpty:
		return "fill the field, or leave out the identifier"
	case ReasonInvalidUTF8:
		return text.InvalidUTF8.Next()
	case ReasonControlCharacter:
		return text.Control.Next()
	case ReasonNoIdentifier:
		return "give an external ID, an alias or a device ID that the rules allow"
	case ReasonOnlyDevices:
		return "an identified user is not matched by device ID; give the external ID or an alias that the rules allow"
	case ReasonUnreadable:
		return "look at this row in the source"
	default:
		return ""
	}
}

func reject(field string, fault text.Fault) *RejectError {
	switch fault {
	case text.Empty:
		return &RejectError{Field: field, Reason: ReasonEmpty}
	case text.InvalidUTF8:
		return &RejectError{Field: field, Reason: ReasonInvalidUTF8}
	default:
		return &RejectError{Field: field, Reason: ReasonControlCharacter}
	}
}

// RulesError says that [Rules] contradict themselves.
type RulesError struct {
	// Field is the field of Rules, such as "Order" or "AliasLabels".
	Field string
	// Index is the position of the element that is wrong, or -1 when the field is no list.
	Index int
	// Problem says what is wrong, as the tail of a sentence.
	Problem string
	// Hint is the next step.
	Hint string
}

// Error returns the field, the problem and the next step. Labels are not repeated.
func (e *RulesError) Error() string {
	s := "identity: rules: " + e.Field
	if e.Index >= 0 {
		s += "[" + strconv.Itoa(e.Index) + "]"
	}
	return s + " " + e.Problem + ": " + e.Hint
}
