package segment

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Segment is what the marketer builds in the dashboard: a choice of apps, groups of filters, and groups that exclude. It is immutable and safe for
// concurrent use, and its zero value invalid.
type Segment struct{ rule rule }

// New returns the segment of a filter. As in the dashboard, filters lie in groups: joined by And or Or within a group, and groups joined by And or
// Or, so at most two levels. The error is a [*FilterError].
func New(filter Filter, opts ...Option) (*Segment, error) {
	var c segmentConfig
	for i, o := range opts {
		if o == nil {
			return nil, nilOption(i)
		}
		o.applySegment(&c)
	}
	root := filter.node()
	if err := root.validateGroups(2); err != nil {
		return nil, err
	}
	for i, group := range c.exclusions {
		if err := group.validateGroups(1); err != nil {
			err.Path = joinPath(exclusionStep(i), err.Path)
			return nil, err
		}
	}
	if c.specific && c.none {
		c.fail("OnNoApps", "app selection", "contradicts OnApps", "give one of them")
	}
	if c.invalid != nil {
		return nil, c.invalid
	}
	s := &Segment{newRule(root, c.exclusions, c.semantics)}
	switch {
	case c.none:
		s.rule.selection = noApps
	case c.specific:
		s.rule.selection, s.rule.apps = selectedApps, c.apps
	}
	return s, nil
}

// Match reports whether the profile is in the segment at that time; it must not be nil. It does not allocate. The error is an [*EvaluationError], the
// same for every profile, or a [*FilterError] for the zero Segment.
func (s *Segment) Match(p *Profile, at time.Time) (bool, error) { return s.rule.match(p, at) }

// Filter returns the filter of the segment, without its exclusion groups.
func (s *Segment) Filter() Filter { return Filter{s.rule.root} }

// Memberships returns the names of the segments that this one asks about, sorted, each once: those that must be evaluated before it. The dashboard
// allows no segment here that has such a filter itself.
func (s *Segment) Memberships() []string {
	var names []string
	for _, root := range append([]*node{s.Filter().node()}, s.rule.exclusions...) {
		root.find(func(n *node) bool {
			if n.kind == kindMembership {
				names = append(names, n.name)
			}
			return false
		})
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ConnectedAudience returns the segment as the audience of a send, with the semantics of the segment unless an option gives others. A cohort filter,
// a filter by segment membership, an exclusion group and a choice of apps cannot be carried: each is an [*UncarriableError] that says which way
// works.
func (s *Segment) ConnectedAudience(opts ...AudienceOption) (*ConnectedAudience, error) {
	a, err := newAudience(s.Filter(), s.rule.semantics, opts)
	switch {
	case err != nil:
		return nil, err
	case len(s.rule.exclusions) > 0:
		return nil, &UncarriableError{Path: exclusionStep(0), Filter: "an exclusion group", Next: wayAround}
	case s.rule.selection != allApps:
		return nil, &UncarriableError{Path: s.rule.selection.option(), Filter: "a choice of apps", Next: wayAround}
	}
	return a, nil
}

// String returns what to click in the dashboard, on several lines: the apps, the groups and how they are joined, the exclusion groups.
func (s *Segment) String() string {
	var b strings.Builder
	b.WriteString("Apps: " + s.rule.appWords())
	operator, groups := s.Filter().node().groups()
	for i, g := range groups {
		if i > 0 {
			b.WriteString("\n" + operator.String())
		}
		g.write(&b, fmt.Sprintf("Filter group %d", i+1))
	}
	for i, n := range s.rule.exclusions {
		b.WriteString("\nAND NOT")
		newGroup(n).write(&b, fmt.Sprintf("Exclusion group %d", i+1))
	}
	return b.String()
}

func (r *rule) appWords() string {
	switch r.selection {
	case selectedApps:
		return "specific apps " + quoteList(r.apps)
	case noApps:
		return "no apps"
	default:
		return "all apps"
	}
}

// group is a group of filters, joined by And or Or.
type group struct {
	operator kind
	joins    bool   // whether a node joins the filters, or the only filter stands alone
	path     string // of that node, or of the only filter
	filters  []*node
}

// newGroup makes a group of a node: of what it joins, or of itself alone.
func newGroup(n *node) group {
	if n.composite() {
		return group{operator: n.kind, joins: true, filters: n.children}
	}
	return group{operator: kindAnd, filters: []*node{n}}
}

// groups returns the tree as groups and how they are joined. What joins nothing but single filters is one group.
func (n *node) groups() (operator kind, groups []group) {
	if n.levels < 2 {
		return kindAnd, []group{newGroup(n)}
	}
	for i, child := range n.children {
		g := newGroup(child)
		g.path = step(n.kind, i)
		groups = append(groups, g)
	}
	return n.kind, groups
}

// write writes the group, a filter a line.
func (g group) write(b *strings.Builder, title string) {
	b.WriteString("\n" + title)
	for i, f := range g.filters {
		b.WriteString("\n    ")
		if i > 0 {
			b.WriteString(g.operator.String() + " ")
		}
		f.write(b)
	}
}
