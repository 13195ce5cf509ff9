package cohort

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cohortkit/cohortkit/transport"
)

// Plan is what a run would do. It holds counts and never an identifier.
type Plan struct {
	// CohortID and Name are the cohort, as the run would name it.
	CohortID, Name string
	// Naming says whether the run would send the name.
	Naming bool
	// Rows is what would become of the rows of the source.
	Rows Rows
	// Members is how many there are before the run, including those in doubt.
	Members int
	// Kept is how many members would need no change.
	Kept int
	// Adds and Removals are the changes the run would make. Repeats are additions that it would send again, for members in doubt.
	Adds, Repeats, Removals int
	// Held is how many of Removals the removal guard would hold, with what was approved. The other figures are those of the run after the approval.
	Held int
	// Empty says that nobody is wanted, so that the run would send nothing without an approval.
	Empty bool
	// Requests is how many requests the run would make, that of the name included, as long as none has to be repeated and the
	// identifiers are not so long that fewer than 1,000 fit into 4 MB.
	Requests int
	// Warnings lists what is legal but likely wrong.
	Warnings []Warning
}

// DataPoints estimates how many data points the run would cost the customer: one for every change. See [Report.DataPoints].
func (p Plan) DataPoints() int { return p.Adds + p.Repeats + p.Removals }

// AtQuota returns how long the requests take at the documented limit of 250,000 an hour, if nothing else draws on it.
func (p Plan) AtQuota() time.Duration {
	return time.Duration(p.Requests) * (time.Hour / transport.CohortRequestsPerHour)
}

// String returns the plan in one line, without the counts that are 0.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cohort %q", p.CohortID)
	if p.Naming {
		fmt.Fprintf(&b, ", to be named %q", p.Name)
	}
	fmt.Fprintf(&b, ": %s", plural(p.Members, "member"))
	if rest := listCounts([]count{
		{p.Kept, "kept"}, {p.Adds, "to add"}, {p.Repeats, "to add again"}, {p.Removals, "to remove"},
	}); rest != "" {
		b.WriteString("; " + rest)
	}
	fmt.Fprintf(&b, "; %s, %s, %v at the quota", plural(p.Requests, "request"), plural(p.DataPoints(), "data point"), p.AtQuota())
	if p.Held > 0 {
		fmt.Fprintf(&b, "; the removal guard would hold %s", plural(p.Held, "removal"))
	}
	if p.Empty {
		b.WriteString("; the source named nobody, which needs an approval")
	}
	for _, w := range p.Warnings {
		b.WriteString("; " + w.String())
	}
	return b.String()
}

// requestsFor returns how many requests so many changes take.
func requestsFor(changes int) int { return (changes + MaxIdentifiers - 1) / MaxIdentifiers }

// Plan tells what [Syncer.Sync] would do with the same arguments. It makes no request, keeps nothing, and leaves the ledger as it is; it needs the
// lease meanwhile. It fails as Sync does before anything is sent, except that what the guard or an empty source would hold back is no error:
// see the fields of [Plan].
func (s *Syncer) Plan(ctx context.Context, c Cohort, audience Audience, opts ...RunOption) (Plan, error) {
	p := Plan{CohortID: c.ID, Name: c.Name}
	config, err := s.validSync(c, audience, opts)
	if err != nil {
		return p, err
	}
	report, err := s.perform(ctx, "plan", c.ID, config, func(t *task) error { return t.plan(&p, c, audience) })
	p.Rows, p.Warnings = report.Rows, report.Warnings
	return p, err
}

func (t *task) plan(p *Plan, c Cohort, audience Audience) error {
	if t.header.Retired {
		return ErrRetired
	}
	d, err := t.compare(audience)
	if err != nil {
		return err
	}
	if err := t.findAlso(d); err != nil {
		return err
	}
	p.Members, p.Kept, p.Adds, p.Repeats, p.Removals = d.Members, d.Kept, d.Adds.Count, d.Repeats.Count, d.Removals.Count+len(t.also)
	p.Empty = t.emptyUnapproved(d)
	if p.Held, err = t.guarded(d); err != nil {
		return err
	}
	t.warnOfRules(d, audience)
	if p.Naming = namingDue(t.header, c); p.Naming {
		if err := t.warnOfName(c); err != nil {
			return err
		}
	}
	if p.Requests = requestsFor(p.Removals) + requestsFor(p.Adds+p.Repeats); p.Naming {
		p.Requests++
	}
	return nil
}

// PlanReassert tells what [Syncer.Reassert] would do with the same arguments, as Plan does for Sync.
func (s *Syncer) PlanReassert(ctx context.Context, cohortID string, which Reassertion, opts ...RunOption) (Plan, error) {
	p := Plan{CohortID: cohortID}
	config, err := validReassert(cohortID, which, opts)
	if err != nil {
		return p, err
	}
	report, err := s.perform(ctx, "plan reassert", cohortID, config, func(t *task) error {
		chosen, _, err := t.again(which)
		if err != nil {
			return err
		}
		p.Members, p.Kept, p.Repeats = t.report.Rows.Read, t.report.Rows.Kept, chosen.Count
		p.Requests = requestsFor(p.Repeats)
		return nil
	})
	p.Name, p.Rows = report.Name, report.Rows
	return p, err
}
