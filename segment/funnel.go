package segment

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
)

// A Funnel says how many profiles are left after each filter, so that a segment of nobody shows where it lost everybody. Its counts are exact.
type Funnel struct {
	// Profiles are those that the source gave.
	Profiles int
	// InApps are those left by the choice of apps: all of them, where it is all apps.
	InApps int
	// Groups are the filter groups. Each starts from InApps anew, whatever came of the groups before.
	Groups []FunnelGroup
	// Included are those that the groups together match.
	Included int
	// Exclusions are the exclusion groups. Each starts from Included anew.
	Exclusions []FunnelGroup
	// Matched are those that Match matches.
	Matched int
}

// A FunnelGroup is a group of filters in a [Funnel].
type FunnelGroup struct {
	// Operator is how the group is joined to the one before: AND, OR or, for every exclusion group, AND NOT. It is empty for the first filter group.
	Operator string
	// Steps are the filters of the group, in their order.
	Steps []FunnelStep
}

// A FunnelStep is a filter in a [Funnel].
type FunnelStep struct {
	// Operator is how the filter is joined to those before it: AND or OR. It is empty for the first.
	Operator string
	// Path leads to the filter, as in [FilterError].
	Path string
	// Filter is the filter in the words of the dashboard.
	Filter string
	// Count is how many profiles this filter and those before it in the group match together. It falls with AND and rises with OR.
	Count int
}

// String returns the funnel as a table: a filter a line, with the count and its part of all profiles.
func (f Funnel) String() string {
	var b strings.Builder
	f.line(&b, f.Profiles, "profiles")
	if f.InApps != f.Profiles {
		f.line(&b, f.InApps, "in the apps")
	}
	f.lines(&b, "Filter group", f.Groups)
	if len(f.Exclusions) > 0 {
		f.line(&b, f.Included, "before exclusion")
		f.lines(&b, "Exclusion group", f.Exclusions)
	}
	f.line(&b, f.Matched, "match")
	return strings.TrimSuffix(b.String(), "\n")
}

func (f Funnel) lines(b *strings.Builder, title string, groups []FunnelGroup) {
	for i, g := range groups {
		b.WriteString(strings.TrimSpace(fmt.Sprintf("%s %s %d", g.Operator, title, i+1)) + "\n")
		for _, s := range g.Steps {
			f.line(b, s.Count, strings.TrimSpace(s.Operator+" "+s.Filter))
		}
	}
}

func (f Funnel) line(b *strings.Builder, count int, text string) {
	share := 100 * float64(count) / float64(max(f.Profiles, 1))
	fmt.Fprintf(b, "%*d %5.1f %%  %s\n", len(strconv.Itoa(f.Profiles)), count, share, text)
}

// Funnel counts the profiles of a source that each filter leaves. It ends at the first error of the source, which it returns with the counts so far;
// an [*EvaluationError] comes before the first profile. The source is ranged over once. It must not yield nil, and no profile is kept.
func (s *Segment) Funnel(profiles iter.Seq2[*Profile, error], at time.Time) (Funnel, error) {
	return s.rule.funnel(profiles, at)
}

// Funnel counts the profiles of a source that each filter leaves. A filter of several levels counts as one where it lies in a group. It ends at the
// first error of the source, which it returns with the counts so far; an [*EvaluationError] comes before the first profile. The source is ranged over
// once. It must not yield nil, and no profile is kept.
func (a *ConnectedAudience) Funnel(profiles iter.Seq2[*Profile, error], at time.Time) (Funnel, error) {
	return a.rule.funnel(profiles, at)
}

func (r *rule) funnel(profiles iter.Seq2[*Profile, error], at time.Time) (Funnel, error) {
	var f Funnel
	if err := r.ready(); err != nil {
		return f, err
	}
	operator, groups := r.root.groups()
	f.Groups = newFunnelGroups(groups, operator.String())
	f.Groups[0].Operator = ""
	var exclusions []group
	for i, n := range r.exclusions {
		g := newGroup(n)
		g.path = exclusionStep(i)
		exclusions = append(exclusions, g)
	}
	f.Exclusions = newFunnelGroups(exclusions, "AND NOT")
	now := instantOf(at)
	for p, err := range profiles {
		if err != nil {
			return f, fmt.Errorf("segment: funnel: the source failed after %s: %w", plural(f.Profiles, "profile"), err)
		}
		f.Profiles++
		if !r.usesApp(p) {
			continue
		}
		f.InApps++
		for i, g := range groups {
			g.count(f.Groups[i].Steps, p, now, r.semantics)
		}
		if !r.root.matches(p, now, r.semantics) {
			continue
		}
		f.Included++
		excluded := false
		for i, g := range exclusions {
			excluded = g.count(f.Exclusions[i].Steps, p, now, r.semantics) || excluded
		}
		if !excluded {
			f.Matched++
		}
	}
	return f, nil
}

func newFunnelGroups(groups []group, operator string) []FunnelGroup {
	var counted []FunnelGroup
	for _, g := range groups {
		steps := make([]FunnelStep, len(g.filters))
		for i, n := range g.filters {
			steps[i] = FunnelStep{Path: g.path, Filter: Filter{n}.String()}
			if g.joins {
				steps[i].Path = joinPath(g.path, step(g.operator, i))
			}
			if i > 0 {
				steps[i].Operator = g.operator.String()
			}
		}
		counted = append(counted, FunnelGroup{Operator: operator, Steps: steps})
	}
	return counted
}

// count counts the profile at each step that it reaches, and reports whether the group matches it.
func (g group) count(steps []FunnelStep, p *Profile, at instant, s Semantics) bool {
	matched := g.operator == kindAnd
	for i, n := range g.filters {
		if matched == (g.operator == kindAnd) { // and not decided yet
			matched = n.matches(p, at, s)
		}
		if matched {
			steps[i].Count++
		}
	}
	return matched
}
