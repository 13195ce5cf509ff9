package cohort

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// Direction says what an [Event] is about. The zero value says nothing, and an event with it is refused: a flag that is missing from a message must
// not be read as an exit.
type Direction uint8

// The directions.
const (
	Enter Direction = iota + 1 // the member is in the cohort from now on
	Leave                      // the member is out of it from now on
)

// String returns "enter" or "leave".
func (d Direction) String() string {
	switch d {
	case Enter:
		return "enter"
	case Leave:
		return "leave"
	default:
		return "no direction"
	}
}

// Event says that somebody entered a cohort, or left it, and when. Printed it shows its direction and the kind of its identifier alone.
type Event struct {
	// ID is who entered or left.
	ID identity.ID
	// At is when that happened, as the producer of the event says; when it was read from a queue, or sent again, makes no difference. Of two events
	// of one member the one with the later time counts, to the nanosecond. Of two with the same time Leave counts.
	At time.Time
	// Direction is Enter or Leave.
	Direction Direction
	// Token is the caller's own, such as the offset of a message. A Stream hands it back with the event.
	Token any
}

// The reasons for which a [Stream] refuses an event, besides those of an [Importer].
const (
	// ReasonNoTime refuses an event whose time is the zero time, or no later than the beginning of 1970, as of a field that nobody filled.
	ReasonNoTime identity.Reason = "no_time"
	// ReasonFuture refuses an event from further ahead than clocks differ (see [WithSkew]): every true event of its member would be late from then on.
	ReasonFuture identity.Reason = "future"
)

// validateEvent reports why a Stream cannot take the event, as an [*identity.RejectError]. Latest is when an event can have happened at most.
func validateEvent(e *Event, latest time.Time) error {
	switch {
	case e.Direction != Enter && e.Direction != Leave:
		return &identity.RejectError{Field: "direction", Reason: ReasonNoDirection, Hint: "say Enter or Leave, and look for the reason why it is missing"}
	case e.At.Unix() <= 0:
		return &identity.RejectError{Field: "time", Reason: ReasonNoTime, Hint: "give the time of the event, in the unit that it is counted in"}
	case e.At.After(latest):
		return &identity.RejectError{
			Field: "time", Reason: ReasonFuture, Hint: "look at the producer's clock and at the unit of the time; WithSkew says how far ahead is allowed",
		}
	}
	return validateMember(e.ID)
}

// eventChange returns what has to be sent for the event.
func eventChange(e *Event) Change {
	d := addition
	if e.Direction == Leave {
		d = removal
	}
	c := newChange(e.ID, d)
	c.former = ledger.Unknown // nobody has asked the ledger
	return c
}

// String returns the direction and the kind of the identifier: "enter external_id(redacted)".
func (e Event) String() string { return e.Direction.String() + " " + e.ID.String() }

// Format prints String under every verb.
func (e Event) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.String()) }

// LogValue shows String.
func (e Event) LogValue() slog.Value { return slog.StringValue(e.String()) }
