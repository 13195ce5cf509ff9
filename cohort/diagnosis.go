package cohort

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// Diagnosis is what a ledger says of a cohort that somebody looks for by its name. It holds names, times and counts, and never an identifier.
type Diagnosis struct {
	// Name is the name that was looked for.
	Name string
	// Workspace and Partner are where it was looked for, Partner being what the dashboard calls it.
	Workspace, Partner string
	// Candidates are the cohorts that the name may mean, the likeliest first.
	Candidates []Candidate
	// Recorded is how many cohorts of the workspace the ledger knows.
	Recorded int
	// Damaged are entries of the ledger that cannot be read, of whatever workspace. Any of them may be the one looked for.
	Damaged []*ledger.DamagedError
}

// Relation says how a name that somebody looks for and a cohort belong together.
type Relation uint8

// The relations, the likeliest first.
const (
	SameName    Relation = iota + 1 // the cohort was last sent this name
	FormerName                      // the cohort had this name before it was renamed
	SimilarName                     // its name, or the former one, differs in nothing but case, spaces and invisible characters
	SameID                          // it is the id of the cohort
)

// String returns the relation in words: "same name", "former name", "similar name" or "same id".
func (r Relation) String() string {
	switch r {
	case SameName:
		return "same name"
	case FormerName:
		return "former name"
	case SimilarName:
		return "similar name"
	case SameID:
		return "same id"
	default:
		return "invalid relation"
	}
}

// Candidate is a cohort that a name may mean.
type Candidate struct {
	// CohortID is the partner's own name for the cohort.
	CohortID string
	// Relation says why it was found.
	Relation Relation
	// Name is the name that was last sent, and Naming says whether it was acknowledged: a [ledger.NamingUnknown] one may not show yet. FormerName is the
	// one before.
	Name       string
	Naming     ledger.Naming
	FormerName string
	// CreatedAt is the time of creation as it was sent with the first name, and NamedAt is when the name was last acknowledged; the zero time where the
	// ledger does not say.
	CreatedAt, NamedAt time.Time
	// SentFrom and SentTo are the first and the last time at which a slice of the members was last sent as a whole, by the first [Syncer.Sync] or by
	// [Syncer.Reassert]. When single members came or went the ledger does not record. The zero time means that nobody knows.
	SentFrom, SentTo time.Time
	// Retired says that the cohort was drained.
	Retired bool
	// Members is how many members the ledger records, InDoubt how many of them are in doubt. Uncounted says why that is not known: a [*ledger.HeldError]
	// while a run has the cohort, or a [*ledger.DamagedError].
	Members, InDoubt int
	Uncounted        error
	// Filter is what the marketer picks in the dashboard: see [Report.Filter]. It is empty as long as no name was acknowledged.
	Filter string
	// Next is what to check or do, each as a sentence without its full stop.
	Next []string
}

// Troubleshoot looks in the ledger for a cohort by its name: the answer to "I cannot find my cohort". The name of an export is the name of its
// cohort. It finds the cohorts of the Importer's endpoint, partner and workspace that were last sent this name, those that had it before, those whose
// name is nearly the same, and the one whose id it is. It makes no request and writes nothing.
//
// A name that nobody was sent is no error: the Diagnosis has no Candidates then and says what to check. Nor is a run that has the cohort: its members
// are not counted then. To count members Troubleshoot holds the lease on their cohort, so that a run on it fails meanwhile: about a second for ten
// million of them.
//
// It fails with an [*InvalidError] for a blank name, and with an error of the ledger or the context.
func (s *Syncer) Troubleshoot(ctx context.Context, name string) (Diagnosis, error) {
	d := Diagnosis{Name: name, Workspace: s.importer.workspace, Partner: s.partner}
	if normal(name) == "" {
		return d, &InvalidError{Field: "cohort name", Problem: "is blank", Next: "give the name of the export, as far as it is known"}
	}
	fail := func(err error) (Diagnosis, error) {
		return d, fmt.Errorf("cohort: troubleshoot %q: %w", name, err)
	}
	for e, err := range s.state.Entries(ctx) {
		if damaged, ofOne := errors.AsType[*ledger.DamagedError](err); ofOne {
			d.Damaged = append(d.Damaged, damaged)
			continue
		}
		if err != nil {
			return fail(fmt.Errorf("list the ledger: %w", err))
		}
		if !s.keeps(e.Key) {
			continue
		}
		d.Recorded++
		if r := relationOf(name, e); r != 0 {
			d.Candidates = append(d.Candidates, s.candidate(r, e))
		}
	}
	slices.SortStableFunc(d.Candidates, func(a, b Candidate) int { return cmp.Compare(a.Relation, b.Relation) })
	same := 0
	for i := range d.Candidates {
		c := &d.Candidates[i]
		if err := s.countMembers(ctx, c); err != nil {
			return fail(err)
		}
		if c.Relation == SameName {
			same++
		}
	}
	for i := range d.Candidates {
		d.Candidates[i].advise(same)
	}
	return d, nil
}

// relationOf returns how a name and an entry belong together, or 0.
func relationOf(name string, e ledger.Entry) Relation {
	h := e.Header
	switch {
	case name == h.Name:
		return SameName
	case name == h.FormerName:
		return FormerName
	case strings.EqualFold(normal(name), normal(h.Name)), strings.EqualFold(normal(name), normal(h.FormerName)):
		return SimilarName
	case name == e.Key.CohortID:
		return SameID
	default:
		return 0
	}
}

// normal returns a name without what is easily mistyped or copied along: spaces, and characters that do not show.
func normal(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.In(r, unicode.C, unicode.Z) {
			return -1
		}
		return r
	}, name)
}

// candidate tells what the header of an entry says.
func (s *Syncer) candidate(r Relation, e ledger.Entry) Candidate {
	h := e.Header
	c := Candidate{
		CohortID: e.Key.CohortID, Relation: r, Name: h.Name, Naming: h.Naming, FormerName: h.FormerName,
		CreatedAt: h.CreatedAt, NamedAt: h.NamedAt, Retired: h.Retired,
	}
	from, to := slices.Min(h.Sent[:]), slices.Max(h.Sent[:])
	if from != 0 {
		c.SentFrom = time.Unix(from, 0).UTC()
	}
	if to != 0 {
		c.SentTo = time.Unix(to, 0).UTC()
	}
	if h.Naming == ledger.Named {
		c.Filter = Report{Name: h.Name, Partner: s.partner}.Filter()
	}
	return c
}

// countMembers counts the members of a candidate, if nobody else has its cohort.
func (s *Syncer) countMembers(ctx context.Context, c *Candidate) error {
	for m, err := range ledger.Members(ctx, s.state, s.key(c.CohortID)) {
		_, held := errors.AsType[*ledger.HeldError](err)
		_, damaged := errors.AsType[*ledger.DamagedError](err)
		if held || damaged {
			c.Members, c.InDoubt, c.Uncounted = 0, 0, err
			return nil
		}
		if err != nil {
			return readError(err)
		}
		if c.Members++; m.State != ledger.In {
			c.InDoubt++
		}
	}
	if err := contextError(ctx); err != nil {
		return readError(err)
	}
	return nil
}

// advise fills in what to do. Same is how many cohorts have the name that was looked for.
func (c *Candidate) advise(same int) {
	next := func(when bool, format string, args ...any) {
		if when {
			c.Next = append(c.Next, fmt.Sprintf(format, args...))
		}
	}
	named := c.Naming == ledger.Named
	next(c.Relation == FormerName && named, "it was renamed: look for %q", c.Name)
	next(c.Relation == SimilarName && named, "the dashboard shows names as they were sent: look for %q", c.Name)
	next(c.Relation == SameID && named, "this is its id, and the dashboard shows its name: look for %q", c.Name)
	next(c.Naming == ledger.Unnamed, "it has no name yet, and the dashboard shows names alone: run Sync, which names it")
	next(c.Naming == ledger.NamingUnknown, "nobody knows whether its name arrived: run Sync again, which repeats it")
	next(c.Naming == ledger.NamingUnknown && c.FormerName != "", "until then the dashboard may show it as %q", c.FormerName)
	next(c.Relation == SameName && same > 1,
		"%d cohorts of the workspace have this name: give each its own, since the dashboard's filter shows names alone", same)
	next(c.Uncounted != nil, "its members are not counted: %v", c.Uncounted)
	next(c.Retired, "it was drained and is retired, so nobody is in it: fill a cohort with another id")
	next(!c.Retired && c.Uncounted == nil && c.Members == 0, "it has no members: look at the report of its last Sync")
	next(c.InDoubt > 0, "members are in doubt: the next Sync settles whether they are in the cohort")
	next(named && c.Relation == SameName, "not in the drop-down: check the filter of the right partner, and the workspace that the import key belongs to")
	next(!c.Retired && c.Members > 0, "smaller than the audience: EstimateMatches tells how many members would match, and why the others would not")
}

// String returns the diagnosis in words: a line that sums it up, and for each candidate what the ledger records and what to do next.
func (d Diagnosis) String() string {
	var b strings.Builder
	same := 0
	for _, c := range d.Candidates {
		if c.Relation == SameName {
			same++
		}
	}
	switch same {
	case 0:
		fmt.Fprintf(&b, "no cohort of workspace %q has the name %q (%s recorded)", d.Workspace, d.Name, plural(d.Recorded, "cohort"))
	case 1:
		fmt.Fprintf(&b, "one cohort of workspace %q has the name %q", d.Workspace, d.Name)
	default:
		fmt.Fprintf(&b, "%d cohorts of workspace %q have the name %q", same, d.Workspace, d.Name)
	}
	if len(d.Candidates) == 0 {
		fmt.Fprintf(&b, "\n  next: check the name as it was last sent, the workspace, the partner (%s) and the ledger; "+
			"a name that was sent without a ledger is not recorded", d.Partner)
	}
	for _, c := range d.Candidates {
		b.WriteString("\n" + c.String())
	}
	for _, damaged := range d.Damaged {
		fmt.Fprintf(&b, "\nan entry cannot be read, and may be the one: %v", damaged)
	}
	return b.String()
}

// String returns the candidate in words, a line for each thing.
func (c Candidate) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cohort %q", c.CohortID)
	switch c.Naming {
	case ledger.Named:
		fmt.Fprintf(&b, ", named %q%s", c.Name, on(" on ", c.NamedAt))
	case ledger.NamingUnknown:
		fmt.Fprintf(&b, ", perhaps named %q", c.Name)
	default:
		b.WriteString(", not named")
	}
	if c.FormerName != "" {
		fmt.Fprintf(&b, ", before that %q", c.FormerName)
	}
	if c.Retired {
		b.WriteString(", retired")
	}
	if c.Uncounted == nil {
		b.WriteString("; " + plural(c.Members, "member"))
		if c.InDoubt > 0 {
			fmt.Fprintf(&b, ", %d of them in doubt", c.InDoubt)
		}
	}
	if c.SentFrom.Equal(c.SentTo) {
		b.WriteString(on("; last sent as a whole on ", c.SentTo))
	} else {
		b.WriteString(on("; sent again bit by bit, last on ", c.SentTo))
	}
	b.WriteString(on("; created on ", c.CreatedAt))
	if c.Filter != "" {
		b.WriteString("\n  segment: " + c.Filter)
	}
	for _, next := range c.Next {
		b.WriteString("\n  next: " + next)
	}
	return b.String()
}

// on returns a time in UTC, to the second, after these words, or nothing for the zero time.
func on(words string, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return words + at.UTC().Format(time.DateTime) + " UTC"
}
