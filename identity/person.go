package identity

import (
	"fmt"
	"io"
	"log/slog"
)

// Person is what the caller knows of one user. [Rules.Choose] makes of it the one identifier that is sent.
//
// An empty text stands for an identifier that is not known, as an empty cell of a table does: an ExternalID, a device ID
// or the Name of an alias that is "" counts as absent. An alias with a Name and no Label is not absent but invalid.
//
// A Person does not show its identifiers when it is printed or logged; encoding it as JSON does.
type Person struct {
	// ExternalID is the customer's own ID of the user, or "". A person who has one is identified.
	ExternalID string
	// FormerExternalIDs are external IDs that the user had before ExternalID, in any order. They are never chosen. Whoever keeps a record of
	// what was sent finds the user by them, since a former external ID resolves until it is removed.
	FormerExternalIDs []string
	// Aliases are the aliases of the user, in any order.
	Aliases []Alias
	// DeviceIDs are the devices of the user, in any order.
	DeviceIDs []string
	// Identified says that the user has an external ID at the endpoint even if ExternalID is "" because the caller
	// does not know it. No device ID is sent then; an alias may serve.
	Identified bool
}

// String returns a fixed text.
func (p Person) String() string { return "person(redacted)" }

// GoString returns the text of String.
func (p Person) GoString() string { return p.String() }

// Format prints the text of String under the verbs that [ID.Format] does.
func (p Person) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }

// LogValue returns the text of String.
func (p Person) LogValue() slog.Value { return slog.StringValue(p.String()) }

func (p *Person) identified() bool { return p.Identified || p.ExternalID != "" }
