package cohort

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// Audience is who is wanted in a cohort. Make one with [People] or [Identifiers]; the zero value is not valid. Each run ranges over the source
// once, so an Audience is good for one run unless its sequence can be ranged over again. It prints what it is made of, and nobody who is in it.
type Audience struct {
	people  iter.Seq2[ledger.Wanted, error]
	ids     iter.Seq2[identity.ID, error] // in place of people
	rules   string                        // the fingerprint, or "" if nobody chose by rules
	invalid error
}

// People is an audience of which more than one identifier may be known. For each person the rules choose the identifier that is sent.
//
// The other identifiers of a person are looked up among the members too, whatever the rules allow, since earlier rules or earlier data may have sent
// them: if one of them is to be removed, the removal may take the same person out, so the addition is repeated after it. Give all that
// are known, former external IDs too.
//
// A person whom the rules reject is a rejected row, and so is an error of the source that is or wraps an [*identity.RejectError]. Any other error
// ends the run with a [*RowError]. The ledger remembers the fingerprint of the rules, so that a run with others can warn.
func People(rules identity.Rules, people iter.Seq2[identity.Person, error]) Audience {
	if people == nil {
		return Audience{invalid: &InvalidError{Field: "people", Problem: "are nil", Next: "give a sequence; to empty a cohort, use Drain"}}
	}
	if err := rules.Validate(); err != nil {
		return Audience{invalid: fmt.Errorf("cohort: people: %w", err)}
	}
	rows := func(yield func(ledger.Wanted, error) bool) {
		var others []identity.ID
		for person, err := range people {
			w := ledger.Wanted{}
			if err == nil {
				w.ID, err = rules.Choose(person)
			}
			if err == nil {
				others = appendOthers(others[:0], person, w.ID)
				w.Others = others
			}
			if !yield(w, err) {
				return
			}
		}
	}
	return Audience{people: rows, rules: rules.Fingerprint()}
}

// appendOthers appends the identifiers of a person, other than the chosen one, that may ever have been sent.
func appendOthers(dst []identity.ID, person identity.Person, chosen identity.ID) []identity.ID {
	other := func(id identity.ID) {
		if id != chosen && validateMember(id) == nil {
			dst = append(dst, id)
		}
	}
	if person.ExternalID != "" {
		other(identity.ExternalID(person.ExternalID))
	}
	for _, former := range person.FormerExternalIDs {
		if former != "" {
			other(identity.ExternalID(former))
		}
	}
	for _, alias := range person.Aliases {
		if alias.Name != "" {
			other(alias.ID())
		}
	}
	for _, device := range person.DeviceIDs {
		if device != "" {
			other(identity.DeviceID(device))
		}
	}
	return dst
}

// Identifiers is an audience of which one identifier each is known. Errors of the source are treated as by [People].
//
// Prefer [People] wherever one user may come with several identifiers over time: when an alias is replaced by an external ID, nobody can tell from
// the identifiers that the removal of the one takes out whoever was added by the other.
func Identifiers(ids iter.Seq2[identity.ID, error]) Audience {
	if ids == nil {
		return Audience{invalid: &InvalidError{Field: "identifiers", Problem: "are nil", Next: "give a sequence; to empty a cohort, use Drain"}}
	}
	return Audience{ids: ids}
}

func (a Audience) validate() error {
	if a.people == nil && a.ids == nil && a.invalid == nil {
		return &InvalidError{Field: "audience", Problem: "is the zero value", Next: "make it with People or Identifiers"}
	}
	return a.invalid
}

// String says what the audience is made of: "an audience of identifiers".
func (a Audience) String() string {
	switch {
	case a.ids != nil:
		return "an audience of identifiers"
	case a.people != nil:
		return "an audience of people, by rules " + a.rules
	default:
		return "no valid audience"
	}
}

// Format prints String under every verb.
func (a Audience) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue shows String.
func (a Audience) LogValue() slog.Value { return slog.StringValue(a.String()) }

// wanted adapts an audience for a ledger: it counts the rows, and passes on those that are to be members.
func (t *task) wanted(a Audience) iter.Seq2[ledger.Wanted, error] {
	return func(yield func(ledger.Wanted, error) bool) {
		ended := false // with an error, after which nothing may be yielded
		row := func(w ledger.Wanted, err error) bool {
			rows := &t.report.Rows
			rows.Read++
			if rows.Read%pauseRows == 0 && !t.pause() {
				return false
			}
			if err == nil {
				err = validateMember(w.ID)
			}
			if err != nil {
				if err = t.config.reject(t.report.CohortID, rows, err); err != nil {
					ended = true
					yield(ledger.Wanted{}, err)
				}
				return err == nil
			}
			if t.syncer.suppressed != nil && t.syncer.suppresses(w) {
				rows.Suppressed++
				t.note(w)
				return true
			}
			if w.ID.Overlong() {
				t.overlong++
			}
			ended = !yield(w, nil)
			return !ended
		}
		// Most audiences are of identifiers, and a sequence around theirs would cost each of them a call.
		if a.ids != nil {
			for id, err := range a.ids {
				if !row(ledger.Wanted{ID: id}, err) {
					break
				}
			}
		} else {
			for w, err := range a.people {
				if !row(w, err) {
					break
				}
			}
		}
		// A source that heeds the context may have ended in the middle, without a word: whoever is missing must not count as unwanted.
		if err := contextError(t.ctx); err != nil && !ended {
			yield(ledger.Wanted{}, err)
		}
	}
}

// pauseRows is after how many rows a run that is reading looks up: a divisor of progressRows.
const pauseRows = 1 << 8

// pause tells the progress if it is time to, and reports whether to go on.
func (t *task) pause() bool {
	if read := t.report.Rows.Read; read%progressRows == 0 {
		t.config.tell(Progress{CohortID: t.report.CohortID, Rows: read})
	}
	return t.ctx.Err() == nil
}

// compare reads the audience and returns what has to change. Without a difference the rows that were read count as unprocessed.
func (t *task) compare(a Audience) (*ledger.Difference, error) {
	d, err := t.session.Compare(t.ctx, t.wanted(a))
	rows := &t.report.Rows
	if t.overlong > 0 {
		t.warn(WarnOverlong, t.overlong)
	}
	if err != nil {
		rows.Unprocessed = rows.Read - rows.Rejected - rows.Suppressed
		if _, ofSource := errors.AsType[*RowError](err); !ofSource && t.ctx.Err() == nil {
			err = fmt.Errorf("compare with the ledger: %w", err)
		}
		return nil, err
	}
	rows.Added, rows.Kept, rows.Duplicate = d.Adds.Count+d.Repeats.Count, d.Kept, d.Duplicate
	return d, nil
}
