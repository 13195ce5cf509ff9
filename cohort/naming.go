package cohort

import (
	"errors"
	"fmt"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/transport"
)

// Naming is what a run did about the name of its cohort.
type Naming uint8

// What a run can do about a name.
const (
	NotNamed     Naming = iota // no name was acknowledged: it was known already, or the run ended before
	Created                    // the cohort got its first name
	Renamed                    // the cohort got another name
	NameRepeated               // the name was sent again, because nobody knew whether it had arrived
)

// String describes it: "renamed".
func (n Naming) String() string {
	switch n {
	case Created:
		return "created"
	case Renamed:
		return "renamed"
	case NameRepeated:
		return "named again"
	default:
		return "not named"
	}
}

// namingDue reports whether the endpoint has yet to acknowledge the name.
func namingDue(h ledger.Header, c Cohort) bool { return h.Naming != ledger.Named || h.Name != c.Name }

// name makes what the ledger says of the cohort true before anybody is sent: it sends the name, if that is due, and notes when all members of a cohort
// that had none were sent.
func (t *task) name(c Cohort, audience Audience, d *ledger.Difference) error {
	before := t.header
	due := namingDue(before, c)
	if due {
		if err := t.warnOfName(c); err != nil {
			return err
		}
	}
	h := before
	if d.Members == 0 && d.Adds.Count > 0 {
		h.Rules = audience.rules
		for i := range h.Sent {
			h.Sent[i] = t.start.Unix()
		}
	}
	if due {
		h.Name, h.Naming, h.CreatedAt = c.Name, ledger.NamingUnknown, createdAt(before, c, t.start)
		h.NamedAt, h.FormerName = time.Time{}, formerName(before, c.Name)
	}
	if err := t.setHeader(h); err != nil || !due {
		return err
	}
	end, err := t.syncer.importer.name(t.ctx, Cohort{ID: c.ID, Name: h.Name, CreatedAt: h.CreatedAt})
	t.report.Requests += end.attempts
	if err != nil {
		// What surely did not arrive is as it was, so that the next run can say whether it creates or renames.
		if end.outcome != transport.OutcomeUnknown && t.ctx.Err() == nil {
			err = both(err, t.setHeader(before))
		}
		return fmt.Errorf("name the cohort: %w", err)
	}
	switch {
	case before.Naming == ledger.Unnamed:
		t.report.Named = Created
	case before.Name != c.Name:
		t.report.Named = Renamed
	default:
		t.report.Named = NameRepeated
	}
	h.Naming, h.NamedAt = ledger.Named, time.Now().UTC().Truncate(time.Millisecond)
	return t.setHeader(h)
}

// formerName returns the name by which people may look for a cohort that gets another one: the last that was acknowledged.
func formerName(before ledger.Header, name string) string {
	acknowledged := before.Naming == ledger.Named || before.FormerName == "" || before.FormerName == name
	if acknowledged && before.Name != name {
		return before.Name
	}
	return before.FormerName
}

// createdAt returns the time that goes with a name: the first one sent, else the caller's, else now. It is what the wire can carry.
func createdAt(h ledger.Header, c Cohort, now time.Time) time.Time {
	at := now
	switch {
	case !h.CreatedAt.IsZero():
		at = h.CreatedAt
	case !c.CreatedAt.IsZero():
		at = c.CreatedAt
	}
	return at.UTC().Truncate(time.Millisecond)
}

// warnOfRules warns if other rules chose the members.
func (t *task) warnOfRules(d *ledger.Difference, audience Audience) {
	if d.Members > 0 && t.header.Rules != "" && audience.rules != "" && t.header.Rules != audience.rules {
		t.warn(WarnRules, d.Members)
	}
}

// warnOfName warns if other cohorts have the name already.
func (t *task) warnOfName(c Cohort) error {
	others := 0
	for e, err := range t.syncer.state.Entries(t.ctx) {
		if _, ofOne := errors.AsType[*ledger.DamagedError](err); ofOne {
			continue // another cohort's trouble
		}
		if err != nil {
			return fmt.Errorf("look for the name in the ledger: %w", err)
		}
		if t.syncer.keeps(e.Key) && e.Key.CohortID != c.ID && e.Header.Naming != ledger.Unnamed && e.Header.Name == c.Name {
			others++
		}
	}
	if others > 0 {
		t.warn(WarnName, others)
	}
	return nil
}
