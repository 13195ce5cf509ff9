package identity

import (
	"fmt"
	"io"
	"log/slog"
)

// Profile is what matching needs to know of a user as the endpoint holds it. It is identified when it has an external
// ID, and anonymous or alias-only otherwise.
//
// A Profile does not show its identifiers when it is printed or logged; encoding it as JSON does.
type Profile struct {
	// ExternalID is the current external ID, or "".
	ExternalID string
	// DeprecatedExternalIDs are the former external IDs of a profile whose external ID was renamed.
	DeprecatedExternalIDs []string
	// Aliases are the aliases of the profile.
	Aliases []Alias
	// DeviceIDs are the devices on which the user was seen.
	DeviceIDs []string
}

// String returns a fixed text.
func (p Profile) String() string { return "profile(redacted)" }

// GoString returns the text of String.
func (p Profile) GoString() string { return p.String() }

// Format prints the text of String under the verbs that [ID.Format] does.
func (p Profile) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }

// LogValue returns the text of String.
func (p Profile) LogValue() slog.Value { return slog.StringValue(p.String()) }
