package segment

import "fmt"

// Validate returns nil, or a [*FilterError] for the first filter that is wrong: what no builder can refuse, since it returns no error. It checks
// what holds for a [Segment] and a [ConnectedAudience] alike; [New] and [NewConnectedAudience] check it too.
func (f Filter) Validate() error {
	if err := f.node().validate(); err != nil {
		return err
	}
	return nil
}

func (n *node) validate() *FilterError {
	if excess := n.excess(); excess.problem != "" {
		return n.errorAt("", excess)
	}
	if path, bad := n.find(func(n *node) bool { return n.fault != fault{} }); bad != nil {
		return bad.errorAt(path, bad.fault)
	}
	return nil
}

// excess returns what makes the tree too deep or too large to be walked. It does not walk it.
func (n *node) excess() fault {
	switch {
	case n.levels > MaxDepth:
		return fault{fmt.Sprintf("has filters that lie more than %d levels deep", MaxDepth), "flatten them"}
	case n.size() > MaxFilters:
		return fault{"comes to more than 100,000 filters", "use fewer; one that is joined several times counts each time"}
	default:
		return fault{}
	}
}

func (n *node) errorAt(path string, f fault) *FilterError {
	return &FilterError{Path: path, Filter: n.label(), Problem: f.problem, Next: f.next}
}

// validateGroups checks what holds in the dashboard alone: filters lie in groups, and are of limited size.
func (n *node) validateGroups(levels int) *FilterError {
	if err := n.validate(); err != nil {
		return err
	}
	if path, deep := n.deeper(levels); deep != nil {
		return deep.errorAt(path, fault{fmt.Sprintf("lies deeper than the dashboard's %s", plural(levels, "level")),
			"keep to groups of filters, or move the inner part into a segment of its own and use InSegment"})
	}
	if path, large := n.find(func(n *node) bool { return n.bytes() > MaxFilterBytes }); large != nil {
		return large.errorAt(path, fault{fmt.Sprintf("has %d bytes, more than 10,000", large.bytes()), "split it over several filters"})
	}
	return nil
}

// deeper returns the first And or Or that lies deeper than so many levels, and its path.
func (n *node) deeper(levels int) (string, *node) {
	if !n.composite() {
		return "", nil
	}
	if levels == 0 {
		return "", n
	}
	for i, child := range n.children {
		if path, found := child.deeper(levels - 1); found != nil {
			return joinPath(step(n.kind, i), path), found
		}
	}
	return "", nil
}

// bytes returns the size of a filter that joins no others: see [MaxFilterBytes].
func (n *node) bytes() int {
	size := len(n.name) + len(n.literal)
	for _, v := range n.values {
		size += len(v)
	}
	return size
}
