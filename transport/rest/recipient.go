package rest

import (
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/cohortkit/cohortkit/identity"
)

// MaxRecipients is how many users one send may name, and how many external IDs and aliases one export.
const MaxRecipients = 50

// Prioritization says which user an e-mail address stands for when several have it. Braze applies them in their order. A tie, or no match, sends
// nothing.
type Prioritization string

// The prioritizations.
const (
	Identified           Prioritization = "identified"             // only users with an external ID; not together with Unidentified
	Unidentified         Prioritization = "unidentified"           // only users without one
	MostRecentlyUpdated  Prioritization = "most_recently_updated"  // of those left, the one that changed last
	LeastRecentlyUpdated Prioritization = "least_recently_updated" // of those left, the one that did not change for longest
)

// Recipient is one user whom a triggered campaign or Canvas goes to. Exactly one of ID, Email and BrazeID is set. A Recipient does not show its
// fields when it is printed or logged.
type Recipient struct {
	// ID is an external ID or an alias. A device ID cannot be a recipient.
	ID identity.ID
	// Email is an e-mail address, and Prioritization, which it requires, picks one of the users who have it.
	Email          string
	Prioritization []Prioritization
	// BrazeID is what Braze itself names a profile by; for a user who has neither external ID nor alias, see [User].
	BrazeID string
	// Properties are keys for the message's templates that hold for this recipient alone, and win over those of [WithProperties].
	Properties map[string]any
	// Attributes are set on the user's profile.
	Attributes map[string]any
	// Create has Braze create a user who does not exist, with the Attributes, which it then requires. It cannot be used with an alias. Default: a
	// recipient who does not exist gets nothing. On the wire it is send_to_existing_only, the other way round.
	Create bool
}

// String returns a fixed text.
func (r Recipient) String() string { return "recipient(redacted)" }

// GoString returns the text of String.
func (r Recipient) GoString() string { return r.String() }

// Format prints the text of String under every verb.
func (r Recipient) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue returns the text of String.
func (r Recipient) LogValue() slog.Value { return slog.StringValue(r.String()) }

// aliasBody is an alias on the wire.
type aliasBody struct {
	Name  string `json:"alias_name"`
	Label string `json:"alias_label"`
}

// recipientBody is a recipient on the wire.
type recipientBody struct {
	ExternalID     string           `json:"external_user_id,omitempty"`
	Alias          *aliasBody       `json:"user_alias,omitempty"`
	Email          string           `json:"email,omitempty"`
	BrazeID        string           `json:"braze_id,omitempty"`
	Prioritization []Prioritization `json:"prioritization,omitempty"`
	ExistingOnly   *bool            `json:"send_to_existing_only,omitempty"`
	Attributes     map[string]any   `json:"attributes,omitzero"`
	Properties     map[string]any   `json:"trigger_properties,omitempty"` // of a campaign
	Context        map[string]any   `json:"context,omitempty"`            // of a Canvas
}

// body returns the recipient on the wire, its properties left to the kind of send.
func (r Recipient) body(field string) (recipientBody, error) {
	b := recipientBody{Email: r.Email, BrazeID: r.BrazeID, Prioritization: r.Prioritization, Attributes: r.Attributes}
	identifiers := 0
	for _, set := range []bool{!r.ID.IsZero(), r.Email != "", r.BrazeID != ""} {
		if set {
			identifiers++
		}
	}
	switch {
	case identifiers == 0:
		return b, &InvalidError{Field: field, Problem: "has no identifier", Next: "set one of ID, Email and BrazeID"}
	case identifiers > 1:
		return b, &InvalidError{Field: field, Problem: "has more than one identifier", Next: "set one of ID, Email and BrazeID"}
	}
	switch r.ID.Kind() {
	case identity.ExternalIDKind:
		b.ExternalID = r.ID.Value()
	case identity.AliasKind:
		alias, _ := r.ID.Alias()
		b.Alias = &aliasBody{Name: alias.Name, Label: alias.Label}
	case identity.DeviceIDKind:
		return b, &InvalidError{Field: field + ".ID", Problem: "is a device ID", Next: "look the user up and give the external ID, an alias or the Braze ID"}
	}
	return b, r.check(field, &b)
}

func (r Recipient) check(field string, b *recipientBody) error {
	switch {
	case !r.ID.IsZero():
		if err := checkID(field+".ID", r.ID); err != nil {
			return err
		}
	case r.Email != "":
		if err := checkText(field+".Email", r.Email, ""); err != nil {
			return err
		}
		if err := checkPrioritization(field+".Prioritization", r.Prioritization); err != nil {
			return err
		}
	default:
		if err := checkText(field+".BrazeID", r.BrazeID, ""); err != nil {
			return err
		}
	}
	if r.Email == "" && len(r.Prioritization) > 0 {
		return &InvalidError{Field: field + ".Prioritization", Problem: "is given without an e-mail address", Next: "leave it out: other identifiers belong to one user"}
	}
	if !r.Create {
		return nil
	}
	if b.Alias != nil {
		return &InvalidError{Field: field + ".Create", Problem: "cannot be used with an alias", Next: "give the external ID, or leave Create out"}
	}
	if r.Attributes == nil {
		return &InvalidError{Field: field + ".Create", Problem: "requires attributes", Next: "set Attributes, be they empty, or leave Create out"}
	}
	b.ExistingOnly = new(bool)
	return nil
}

func checkPrioritization(field string, given []Prioritization) error {
	if len(given) == 0 {
		return &InvalidError{Field: field, Problem: "must not be empty beside an e-mail address", Next: "say which of several users with the address is meant"}
	}
	for i, p := range given {
		switch p {
		case Identified, Unidentified, MostRecentlyUpdated, LeastRecentlyUpdated:
		default:
			return &InvalidError{Field: field, Problem: "has a value that is not known", Next: "use the constants of package rest"}
		}
		if slices.Contains(given[:i], p) {
			return &InvalidError{Field: field, Problem: "names " + string(p) + " twice", Next: "leave one out"}
		}
	}
	if slices.Contains(given, Identified) && slices.Contains(given, Unidentified) {
		return &InvalidError{Field: field, Problem: "asks for identified and unidentified users", Next: "leave one of them out"}
	}
	return nil
}
