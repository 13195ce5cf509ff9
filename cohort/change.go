package cohort

import (
	"fmt"
	"io"
	"iter"
	"log/slog"
	"unique"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// direction says what a change does. The zero value is invalid on purpose: a change whose direction somebody forgot must not be
// read as an exit.
type direction uint8

const (
	noDirection direction = iota
	removal
	addition
)

// Change puts one identifier into a cohort or takes it out. Make one with [Add] or [Remove]; the zero value is invalid and is
// rejected as a row. A Change shows its direction and the kind of its identifier when printed, never the identifier.
type Change struct {
	// The parts of an identity.ID, side by side: with the ID itself, or with more fields, a Change would be too large to be kept in registers.
	value string
	label unique.Handle[string] // of an alias
	facts
}

// facts are what is small about a Change.
type facts struct {
	kind      identity.Kind
	direction direction
	former    ledger.State // what a ledger says of the identifier; used only where a run has a journal
	serial    uint32       // the event that it comes from, counted by a Stream and by nobody else
}

// Add returns the change that puts the user with this identifier into the cohort. For a member it changes nothing.
func Add(id identity.ID) Change { return newChange(id, addition) }

// Remove returns the change that takes the user with this identifier out of the cohort. What it does for a user who is not a member is
// undocumented.
func Remove(id identity.ID) Change { return newChange(id, removal) }

func newChange(id identity.ID, d direction) Change {
	c := Change{value: id.Value(), facts: facts{kind: id.Kind(), direction: d}}
	if alias, ok := id.Alias(); ok {
		c.label = unique.Make(alias.Label)
	}
	return c
}

// changeOf returns a change of a member, of whom a ledger told the state.
func changeOf(m ledger.Member, d direction) Change {
	c := newChange(m.ID, d)
	c.former = m.State
	return c
}

// ID returns the identifier.
func (c Change) ID() identity.ID {
	switch c.kind {
	case identity.ExternalIDKind:
		return identity.ExternalID(c.value)
	case identity.DeviceIDKind:
		return identity.DeviceID(c.value)
	case identity.AliasKind:
		return identity.Alias{Label: c.label.Value(), Name: c.value}.ID()
	default:
		return identity.ID{}
	}
}

// IsAdd reports whether the change puts somebody in.
func (c Change) IsAdd() bool { return c.direction == addition }

// IsRemove reports whether the change takes somebody out.
func (c Change) IsRemove() bool { return c.direction == removal }

func (c Change) sameMember(other Change) bool {
	other.direction, other.former, other.serial = c.direction, c.former, c.serial
	return c == other
}

func (c Change) overlong() bool {
	return c.kind == identity.ExternalIDKind && len(c.value) > identity.MaxExternalIDBytes
}

// String returns the direction and the kind: "add external_id(redacted)".
func (c Change) String() string {
	switch c.direction {
	case addition:
		return "add " + c.ID().String()
	case removal:
		return "remove " + c.ID().String()
	default:
		return "invalid change"
	}
}

// Format prints String under every verb.
func (c Change) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue shows String.
func (c Change) LogValue() slog.Value { return slog.StringValue(c.String()) }

// AddAll turns identifiers, such as those of [identity.Rules.IDs], into additions. Errors pass through.
func AddAll(ids iter.Seq2[identity.ID, error]) iter.Seq2[Change, error] {
	return changes(ids, addition)
}

// RemoveAll turns identifiers into removals. Errors pass through.
func RemoveAll(ids iter.Seq2[identity.ID, error]) iter.Seq2[Change, error] {
	return changes(ids, removal)
}

func changes(ids iter.Seq2[identity.ID, error], d direction) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		if ids == nil {
			yield(Change{}, &InvalidError{Field: "identifiers", Problem: "are nil", Next: "give a sequence; an empty one is fine"})
			return
		}
		for id, err := range ids {
			c := newChange(id, d)
			if err != nil {
				c = Change{}
			}
			if !yield(c, err) {
				return
			}
		}
	}
}
