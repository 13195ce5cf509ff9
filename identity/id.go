package identity

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"unique"

	"github.com/cohortkit/cohortkit/internal/text"
)

// MaxExternalIDBytes is the length of an external ID, in bytes of UTF-8, beyond which the REST endpoints that create
// users refuse it. The mobile SDKs draw the line at 997 bytes, and what the cohort endpoints do is undocumented. A longer
// external ID is therefore worth a warning and no reason to reject it; see [ID.Overlong].
const MaxExternalIDBytes = 987

// ID is one identifier of one user, as a cohort change carries it: an external ID, an alias or a device ID. It is
// immutable, comparable by ==, and fit to be the key of a map. The zero value is no identifier.
//
// An ID shows its kind and nothing else when it is printed or logged, and it encodes as an empty JSON object. Where it
// is to be stored, [ID.Encode] and [ParseID] do so explicitly.
type ID struct {
	value string                // external ID, device ID, or name of the alias
	label unique.Handle[string] // of an alias; there are few, and a handle keeps an ID small enough for registers
	kind  Kind
}

// ExternalID returns the identifier for the user with this external ID. The text is kept byte for byte and not looked
// at; [ID.Validate] tells whether it can be sent.
func ExternalID(s string) ID { return ID{kind: ExternalIDKind, value: s} }

// DeviceID returns the identifier for the anonymous user of the device with this ID. The text is kept byte for byte and
// not looked at; [ID.Validate] tells whether it can be sent.
func DeviceID(s string) ID { return ID{kind: DeviceIDKind, value: s} }

// Kind returns the kind of the identifier, or 0 for the zero ID.
func (id ID) Kind() Kind { return id.kind }

// IsZero reports whether id is the zero value, which is no identifier.
func (id ID) IsZero() bool { return id == ID{} }

// Value returns the external ID, the device ID or the name of the alias. It is personal data: it belongs on the wire
// and in a protected store, and not in a log or an error.
func (id ID) Value() string { return id.value }

// Alias returns the alias, and false for an identifier of another kind. It is personal data, as [ID.Value] is.
func (id ID) Alias() (Alias, bool) {
	if id.kind != AliasKind {
		return Alias{}, false
	}
	return Alias{Label: id.label.Value(), Name: id.value}, true
}

// Overlong reports whether id is an external ID of more than [MaxExternalIDBytes] bytes. It may be sent, but it will
// hardly match anyone, so a caller should warn about it.
func (id ID) Overlong() bool { return id.kind == ExternalIDKind && len(id.value) > MaxExternalIDBytes }

// Validate returns nil or a [*RejectError]. The identifier, and the label too for an alias, must not be empty, must be
// valid UTF-8, and must not hold a control character, since those come from a row that was read wrongly. Which other
// characters Braze allows is undocumented, and so are the limits of length for this use, so neither is looked at.
//
// Validate allocates nothing for a valid identifier.
func (id ID) Validate() error {
	field := fieldAliasName
	switch id.kind {
	case ExternalIDKind:
		field = fieldExternalID
	case DeviceIDKind:
		field = fieldDeviceID
	case AliasKind:
		if fault := text.Check(id.label.Value()); fault != text.None {
			return reject(fieldAliasLabel, fault)
		}
	default:
		return &RejectError{Field: fieldIdentifier, Reason: ReasonNoIdentifier}
	}
	if fault := text.Check(id.value); fault != text.None {
		return reject(field, fault)
	}
	return nil
}

// Encode returns the storage form of the identifier, from which [ParseID] makes the same ID again:
//
//	e:u-17          an external ID
//	d:5b2c9f0e      a device ID
//	a:3:crm:c-90    an alias: the length of the label in bytes, the label, the name
//
// Different IDs have different storage forms, whatever they hold, and the form will not change. The zero ID has none
// and gives "". The result is personal data, as [ID.Value] is.
func (id ID) Encode() string {
	switch id.kind {
	case ExternalIDKind:
		return "e:" + id.value
	case DeviceIDKind:
		return "d:" + id.value
	case AliasKind:
		label := id.label.Value()
		return "a:" + strconv.Itoa(len(label)) + ":" + label + ":" + id.value
	default:
		return ""
	}
}

// AppendEncode appends the text of [ID.Encode] to b and returns the extended slice.
func (id ID) AppendEncode(b []byte) []byte {
	switch id.kind {
	case ExternalIDKind:
		b = append(b, "e:"...)
	case DeviceIDKind:
		b = append(b, "d:"...)
	case AliasKind:
		label := id.label.Value()
		b = append(b, "a:"...)
		b = strconv.AppendInt(b, int64(len(label)), 10)
		b = append(b, ':')
		b = append(b, label...)
		b = append(b, ':')
	default:
		return b
	}
	return append(b, id.value...)
}

// ParseID returns the ID whose [ID.Encode] is s, and for any other text [ErrMalformed], which holds nothing of it.
//
// It takes every storage form, also that of an identifier which [ID.Validate] rejects: a store has to stay readable
// when the rules of validation change. The ID shares the memory of s.
func ParseID(s string) (ID, error) {
	if len(s) < 2 || s[1] != ':' {
		return ID{}, ErrMalformed
	}
	rest := s[2:]
	switch s[0] {
	case 'e':
		return ExternalID(rest), nil
	case 'd':
		return DeviceID(rest), nil
	case 'a':
		digits, rest, _ := strings.Cut(rest, ":")
		length, err := strconv.ParseUint(digits, 10, 31)
		// The shortest spelling is the only one: no sign, no zero in front.
		if err != nil || (digits[0] == '0' && len(digits) > 1) {
			return ID{}, ErrMalformed
		}
		if n := int(length); n < len(rest) && rest[n] == ':' {
			return Alias{Label: rest[:n], Name: rest[n+1:]}.ID(), nil
		}
	}
	return ID{}, ErrMalformed
}

// String returns the kind and a fixed text, such as "external_id(redacted)", or "none" for the zero ID.
func (id ID) String() string {
	switch id.kind {
	case ExternalIDKind:
		return fieldExternalID + "(redacted)"
	case DeviceIDKind:
		return fieldDeviceID + "(redacted)"
	case AliasKind:
		return "alias(redacted)"
	default:
		return id.kind.String()
	}
}

// GoString returns the text of String.
func (id ID) GoString() string { return id.String() }

// Format prints the text of String under every verb and flag that package fmt asks it about. It is not asked for %T,
// which shows the type, nor for %p and %w, which are mistakes for a value that is no pointer and no error, and which
// print the fields; go vet reports both.
func (id ID) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, id.String()) }

// LogValue returns the text of String.
func (id ID) LogValue() slog.Value { return slog.StringValue(id.String()) }
