package cohort

import (
	"fmt"
	"strings"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/segment"
	"github.com/cohortkit/cohortkit/transport"
)

// Report accounts for a run: every row read is counted once in Rows, and every change made of them once in Adds or
// Removals. It holds counts and never an identifier. The sums hold on every way out of a run:
//
//	Rows.Read == Rows.Added + Rows.Removed + Rows.Kept + Rows.Duplicate + Rows.Suppressed + Rows.Rejected + Rows.Unprocessed
//	Rows.Added == Adds.Total()
//
// Of Apply, Rows.Removed == Removals.Total(). Every other removal comes from no row: the Removals of [Syncer.Sync], [Syncer.Drain] and
// [Syncer.Erase] sum up to the members that were to be removed. The rows of [Syncer.Reassert] are the members in the ledger; Drain and Erase
// have none.
type Report struct {
	// CohortID is the cohort of the run.
	CohortID string
	// Name is the name of the cohort, as far as it is known: [Importer.Apply] knows none. Named is what the run did about it.
	Name  string
	Named Naming
	// Partner is what the dashboard calls the partner: see [WithPartnerName].
	Partner string
	// Rows is what became of the rows of the source.
	Rows Rows
	// Adds and Removals are what became of the changes. Adds has additions that were repeated, too.
	Adds, Removals Tally
	// Requests counts the requests made, repeats and that of the name included. It is what the rate limit counts.
	Requests int
	// Warnings lists what is legal but likely wrong. It is empty for a clean run.
	Warnings []Warning
}

// Rows counts the rows of a source by what they became.
type Rows struct {
	Read        int // rows read
	Added       int // became an addition, of somebody new or repeated for a member in doubt
	Removed     int // became a removal
	Kept        int // name a member that is in already; only a run with a ledger can tell
	Duplicate   int // were replaced by a later row of the same member before they were sent
	Suppressed  int // name somebody on a do-not-send list
	Rejected    int // cannot be sent
	Unprocessed int // were read when the run had ended
}

// Tally counts changes by what became of them. Accepted is not matched: see the package documentation.
type Tally struct {
	Accepted int // the endpoint accepted them
	Refused  int // the endpoint refused them, and surely none was applied
	Unknown  int // they may have been applied, and may not
	Held     int // were held back by a guard
	Unsent   int // never left
}

// Total returns the number of changes.
func (t Tally) Total() int { return t.Accepted + t.Refused + t.Unknown + t.Held + t.Unsent }

// merge adds another tally.
func (t *Tally) merge(other Tally) {
	t.Accepted += other.Accepted
	t.Refused += other.Refused
	t.Unknown += other.Unknown
	t.Held += other.Held
	t.Unsent += other.Unsent
}

func (t *Tally) count(outcome transport.Outcome, n int) {
	switch outcome {
	case transport.OutcomeAccepted:
		t.Accepted += n
	case transport.OutcomeRefused:
		t.Refused += n
	case transport.OutcomeUnknown:
		t.Unknown += n
	default:
		t.Unsent += n
	}
}

// DataPoints estimates how many data points the run cost the customer: one for every change accepted, and for every unknown one, since it may
// have been accepted. Cohort import is documented to consume data points; whether a change that matches nobody, changes nothing or was repeated after a
// lost answer consumes one is not.
func (r Report) DataPoints() int {
	return r.Adds.Accepted + r.Adds.Unknown + r.Removals.Accepted + r.Removals.Unknown
}

// Filter returns what the marketer picks in the dashboard to find the cohort, such as: Tinyclues Cohorts includes "Spring sale". It is the text of
// [segment.Cohort]'s filter, and empty where the report has no name. A cohort shows there once it was named.
func (r Report) Filter() string {
	if r.Name == "" {
		return ""
	}
	return segment.Cohort(r.Partner).Includes(r.Name).String()
}

// String returns the report in one line, without the counts that are 0.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cohort %q", r.CohortID)
	if r.Named != NotNamed {
		fmt.Fprintf(&b, ", %v %q", r.Named, r.Name)
	}
	fmt.Fprintf(&b, ": %s", plural(r.Rows.Read, "row"))
	if rest := listCounts([]count{
		{r.Rows.Kept, "kept"}, {r.Rows.Duplicate, "duplicate"}, {r.Rows.Suppressed, "suppressed"},
		{r.Rows.Rejected, "rejected"}, {r.Rows.Unprocessed, "unprocessed"},
	}); rest != "" {
		b.WriteString(" (" + rest + ")")
	}
	if n := r.Adds.Total(); n > 0 {
		fmt.Fprintf(&b, "; %s: %v", plural(n, "add"), r.Adds)
	}
	if n := r.Removals.Total(); n > 0 {
		fmt.Fprintf(&b, "; %s: %v", plural(n, "removal"), r.Removals)
	}
	b.WriteString("; " + plural(r.Requests, "request"))
	for _, w := range r.Warnings {
		b.WriteString("; " + w.String())
	}
	return b.String()
}

// String lists the counts that are not 0.
func (t Tally) String() string {
	return listCounts([]count{{t.Accepted, "accepted"}, {t.Refused, "refused"}, {t.Unknown, "unknown"}, {t.Held, "held"}, {t.Unsent, "unsent"}})
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

type count struct {
	n    int
	what string
}

func listCounts(counts []count) string {
	var parts []string
	for _, c := range counts {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return strings.Join(parts, ", ")
}

// Warning is something legal that is likely wrong.
type Warning struct {
	Kind  WarningKind
	Count int // how many
}

// String returns the count, what it is about and what to do.
func (w Warning) String() string { return fmt.Sprintf("%d %s", w.Count, w.Kind) }

// WarningKind says what a [Warning] is about.
type WarningKind uint8

// The kinds of warnings.
const (
	// WarnOverlong is about external IDs of more than [identity.MaxExternalIDBytes] bytes: Braze's REST endpoints create no user with so
	// long an ID, so they can hardly match anyone. They are sent all the same.
	WarnOverlong WarningKind = iota + 1
	// WarnRules is about members that other rules chose: whoever is known by another identifier now is removed and added again, at two data points each.
	WarnRules
	// WarnName is about other cohorts of the workspace that have, or were sent, the same name: whether Braze allows that is undocumented, and
	// marketers cannot tell them apart.
	WarnName
)

// String describes the kind.
func (k WarningKind) String() string {
	switch k {
	case WarnOverlong:
		return fmt.Sprintf("external IDs are longer than %d bytes and will hardly match: check the column they come from", identity.MaxExternalIDBytes)
	case WarnRules:
		return "members were chosen by other rules: whoever is known by another identifier now is removed and added again"
	case WarnName:
		return "other cohorts of the workspace have this name: give each its own, since the dashboard's filter shows names alone"
	default:
		return "unknown warning"
	}
}
