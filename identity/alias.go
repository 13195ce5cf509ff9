package identity

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unique"
)

// Alias is a user alias: a name under a label, such as the customer number under the label "crm". A profile has at most
// one name under a label, and a pair of both belongs to at most one profile of a workspace. Names are case-sensitive.
// An Alias is comparable by == and does not show its fields when it is printed or logged; encoding it as JSON does.
type Alias struct {
	Label string
	Name  string
}

// ID returns the identifier that stands for the alias. Like [ExternalID] it looks at nothing; see [ID.Validate].
func (a Alias) ID() ID { return ID{kind: AliasKind, value: a.Name, label: unique.Make(a.Label)} }

// String returns a fixed text.
func (a Alias) String() string { return "alias(redacted)" }

// GoString returns the text of String.
func (a Alias) GoString() string { return a.String() }

// Format prints the text of String under the verbs that [ID.Format] does.
func (a Alias) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue returns the text of String.
func (a Alias) LogValue() slog.Value { return slog.StringValue(a.String()) }

// compare orders aliases by label, then by name, in byte order.
func (a Alias) compare(b Alias) int {
	if c := strings.Compare(a.Label, b.Label); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}
