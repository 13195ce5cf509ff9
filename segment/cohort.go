package segment

import (
	"strings"

	"github.com/cohortkit/cohortkit/internal/text"
)

// CohortName is a cohort as the dashboard knows it. A cohort that was renamed is known by the name last sent.
type CohortName struct {
	// Partner is the partner, as for [Cohort]. Case does not count.
	Partner string
	// Name is the cohort's name, compared byte for byte.
	Name string
}

// CohortFilter makes filters on the cohorts of one partner. It comes from [Cohort].
type CohortFilter struct{ partner string }

// Cohort filters by the cohorts of a partner. The partner is named as the dashboard does, such as "Tinyclues" or "Treasure Data"; the filter is then
// called "Tinyclues Cohorts". Partners whose filter does not follow that rule are known.
func Cohort(partner string) CohortFilter { return CohortFilter{partner} }

// String returns the name of the filter in the dashboard: "Tinyclues Cohorts".
func (c CohortFilter) String() string { return dashboardName(c.partner) }

// Includes matches whoever is in the cohort of that name, as the drop-down of the dashboard's filter shows it.
func (c CohortFilter) Includes(name string) Filter { return c.filter(includes, name) }

// DoesNotInclude matches whoever is not in the cohort of that name.
func (c CohortFilter) DoesNotInclude(name string) Filter { return c.filter(doesNotInclude, name) }

func (c CohortFilter) filter(op comparison, name string) Filter {
	n := &node{kind: kindCohort, comparison: op, name: c.partner, values: []string{name}}
	n.require("partner", c.partner)
	n.require("cohort name", name)
	if strings.EqualFold(c.partner, "mParticle") {
		n.blame("does not exist: mParticle imports no cohorts, it writes custom attributes", "use StringAttribute or ArrayAttribute")
	}
	return Filter{n}
}

// dashboardName returns what the dashboard calls a partner's cohort filter.
func dashboardName(partner string) string {
	switch strings.ToLower(partner) {
	case "mixpanel":
		return "Mixpanel_Cohorts"
	case "kubit":
		return "Kubit cohorts"
	default: // Census's page shows no name; the glossary has one that follows the rule
		return partner + " Cohorts"
	}
}

// InSegment matches whoever is in the segment of that name. In the dashboard, a segment that has such a filter cannot be named by another one.
func InSegment(name string) Filter { return membership(includes, name) }

// NotInSegment matches whoever is not in the segment of that name. See [InSegment].
func NotInSegment(name string) Filter { return membership(doesNotInclude, name) }

func membership(op comparison, name string) Filter {
	n := &node{kind: kindMembership, comparison: op, name: name}
	n.require("segment name", name)
	return Filter{n}
}

// blame notes what is wrong with the node, unless something was noted before.
func (n *node) blame(problem, next string) {
	if n.fault.problem == "" {
		n.fault = fault{problem, next}
	}
}

// require blames the node for a text that cannot be sent, or is empty.
func (n *node) require(what, s string) {
	if f := text.Check(s); f != text.None {
		n.blame("has a "+what+" that "+f.String(), f.Next())
	}
}
