package segment

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Filter is one condition on a profile, or several joined by [And] or [Or]. It is an immutable value, safe for concurrent use, and may stand in
// several segments. The zero value is invalid.
//
// The builders return no error, so that they nest. What was wrong in building is kept and comes out, with its path, from [New],
// [NewConnectedAudience] and [Filter.Validate].
type Filter struct{ n *node }

// node is a filter as it was built. It never changes.
type node struct {
	kind       kind
	comparison comparison
	name       string   // of the attribute, the partner or the segment
	values     []string // strings to compare with, the names of cohorts, or the pattern
	number     float64
	truth      bool
	state      Subscription
	days       int
	time       time.Time
	instant    instant // of the time
	literal    string  // the number, the days or the time as JSON has it, without quotation marks
	spelling   spelling
	pattern    *regexp.Regexp // nil where Go cannot run it
	children   []*node
	cheap      []*node // the children, what costs least to match first
	sum        int     // of the children's cost
	levels     int     // of And and Or, this one included
	joined     int     // see size
	fault      fault
}

// fault is what was wrong in building a node; the zero value is nothing.
type fault struct{ problem, next string }

// spelling is how the inequality of booleans is written on the wire.
type spelling uint8

const (
	spellingOpen  spelling = iota // as the audience says
	spellingNewer                 // not_equal, as it came
	spellingOlder                 // does_not_equal, as it came
)

// And matches a profile that every one of the filters matches. It takes at least one.
func And(filters ...Filter) Filter { return join(kindAnd, filters) }

// Or matches a profile that at least one of the filters matches. It takes at least one.
//
// Two negative filters on one attribute that are joined by Or match everyone: who is not "gold" or not "silver" is everybody. Join them by And.
func Or(filters ...Filter) Filter { return join(kindOr, filters) }

func join(k kind, filters []Filter) Filter {
	n := &node{kind: k, children: make([]*node, len(filters))}
	for i, f := range filters {
		n.children[i] = f.node()
		n.levels = max(n.levels, n.children[i].levels)
	}
	n.levels++
	n.arrange()
	if len(filters) == 0 {
		n.fault = fault{"joins no filters", "give it at least one"}
	}
	return Filter{n}
}

// arrange sets the order in which the children are matched: what decides without a look at an attribute may spare the rest. It adds up what follows
// from the children.
func (n *node) arrange() {
	n.cheap = slices.Clone(n.children)
	slices.SortStableFunc(n.cheap, func(a, b *node) int { return cmp.Compare(a.cost(), b.cost()) })
	const plenty = 1 << 29 // beyond which no sum has to be exact
	n.sum, n.joined = 0, 1
	for _, child := range n.children {
		n.sum = min(n.sum+child.cost(), plenty)
		n.joined = min(n.joined+child.size(), plenty)
	}
}

// size returns how many filters the node comes to, those that stand in it several times counted each time. See [MaxFilters].
func (n *node) size() int {
	if n.composite() {
		return n.joined
	}
	return min(max(1, len(n.values)), MaxValues) // more values are a fault of their own
}

// cost says roughly, and in no unit, what it costs to match a profile with the node.
func (n *node) cost() int {
	switch {
	case n.composite():
		return n.sum
	case n.pattern != nil:
		return 20
	case n.kind >= kindAttribute && n.kind <= kindTime:
		return 4 + len(n.values)
	default:
		return 1
	}
}

// node returns the node of the filter, for the zero value one that says so.
func (f Filter) node() *node {
	if f.n == nil {
		return &node{fault: fault{"is the zero Filter", "build it with a builder such as StringAttribute(name).Equals"}}
	}
	return f.n
}

// composite reports whether the node joins others.
func (n *node) composite() bool { return n.kind == kindAnd || n.kind == kindOr }

// find returns the first node of the tree, in the order in which it is read, that the function picks, and its path; nil if there is none.
func (n *node) find(picks func(*node) bool) (string, *node) {
	if picks(n) {
		return "", n
	}
	for i, child := range n.children {
		if path, found := child.find(picks); found != nil {
			return joinPath(step(n.kind, i), path), found
		}
	}
	return "", nil
}

// String returns the filter in the words of the dashboard, on one line. Filters that Or or And joined within another are in parentheses.
func (f Filter) String() string {
	n := f.node()
	if excess := n.excess(); excess.problem != "" {
		return "filter that " + excess.problem
	}
	var b strings.Builder
	n.write(&b)
	return b.String()
}

func (n *node) write(b *strings.Builder) {
	n = n.single()
	if !n.composite() {
		b.WriteString(n.words())
		return
	}
	for i, child := range n.children {
		if i > 0 {
			b.WriteString(" " + n.kind.String() + " ")
		}
		if child = child.single(); child.composite() {
			b.WriteByte('(')
			child.write(b)
			b.WriteByte(')')
			continue
		}
		child.write(b)
	}
}

// single returns the node that it comes to where And and Or join one filter alone.
func (n *node) single() *node {
	for len(n.children) == 1 {
		n = n.children[0]
	}
	return n
}
