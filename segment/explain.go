package segment

import (
	"fmt"
	"strings"
	"time"
)

// An Explanation says of one profile what each filter found. It holds no value of the profile and no identifier.
type Explanation struct {
	// Matched is what Match says.
	Matched bool
	// Findings are those of the choice of apps, unless it is all apps, of the filter, and of each exclusion group, in the order in which they are read.
	// A filter that joins others comes before them.
	Findings []Finding
}

// A Finding is what one filter found.
type Finding struct {
	// Path leads to the filter, as in [FilterError].
	Path string
	// Depth is how many filters it lies in.
	Depth int
	// Filter is the filter in the words of the dashboard; of one that joins others, AND or OR.
	Filter string
	// Reason says whether the filter matched, and why. That an exclusion group matched means that the profile is out.
	Reason Reason
}

// String returns the explanation with a finding a line.
func (e Explanation) String() string {
	var b strings.Builder
	b.WriteString("does not match")
	if e.Matched {
		b.Reset()
		b.WriteString("matches")
	}
	for _, f := range e.Findings {
		answer := "no "
		if f.Reason.Matched() {
			answer = "yes"
		}
		fmt.Fprintf(&b, "\n  %s  %s%s", answer, strings.Repeat("  ", f.Depth), f.Filter)
		if f.Reason != ReasonHolds && f.Reason != ReasonDiffers {
			b.WriteString(": " + f.Reason.String())
		}
	}
	return b.String()
}

// Explain is Match with every filter's own finding. The error is an [*EvaluationError], the same for every profile.
func (s *Segment) Explain(p *Profile, at time.Time) (Explanation, error) {
	return s.rule.explain(p, at)
}

// Explain is Match with every filter's own finding. The error is an [*EvaluationError], the same for every profile.
func (a *ConnectedAudience) Explain(p *Profile, at time.Time) (Explanation, error) {
	return a.rule.explain(p, at)
}

func (r *rule) explain(p *Profile, at time.Time) (Explanation, error) {
	matched, err := r.match(p, at)
	if err != nil {
		return Explanation{}, err
	}
	now := instantOf(at)
	e := Explanation{Matched: matched}
	if r.selection != allApps {
		e.Findings = append(e.Findings, Finding{Path: r.selection.option(), Filter: "Apps: " + r.appWords(), Reason: holds(r.usesApp(p))})
	}
	e.explain(r.root, "", 0, p, now, r.semantics)
	for i, group := range r.exclusions {
		header := len(e.Findings)
		e.Findings = append(e.Findings, Finding{Path: exclusionStep(i), Filter: fmt.Sprintf("Exclusion group %d", i+1)})
		e.Findings[header].Reason = holds(e.explain(group, exclusionStep(i), 1, p, now, r.semantics))
	}
	return e, nil
}

// explain appends the findings of a tree and reports whether it matched.
func (e *Explanation) explain(n *node, path string, depth int, p *Profile, at instant, s Semantics) bool {
	if !n.composite() {
		reason := n.judge(p, at, s)
		e.Findings = append(e.Findings, Finding{path, depth, n.words(), reason})
		return reason.Matched()
	}
	own := len(e.Findings)
	e.Findings = append(e.Findings, Finding{Path: path, Depth: depth, Filter: n.kind.String()})
	matched := 0
	for i, child := range n.children {
		if e.explain(child, joinPath(path, step(n.kind, i)), depth+1, p, at, s) {
			matched++
		}
	}
	result := n.kind == kindOr && matched > 0 || n.kind == kindAnd && matched == len(n.children)
	e.Findings[own].Reason = holds(result)
	return result
}
