package segment

import (
	"slices"
	"strconv"
	"time"
)

// rule is what a segment and a Connected Audience have in common: it decides about profiles.
type rule struct {
	root       *node
	exclusions []*node
	selection  selection
	apps       []string // of selectedApps
	semantics  Semantics
	broken     *EvaluationError // why it decides about none
}

// ready returns why the rule decides about no profile, or nil.
func (r *rule) ready() error {
	switch {
	case r.root == nil:
		return Filter{}.Validate()
	case r.broken != nil:
		return r.broken
	default:
		return nil
	}
}

// selection is the choice of apps.
type selection uint8

const (
	allApps selection = iota
	selectedApps
	noApps
)

// option returns the name of the option that makes the choice.
func (s selection) option() string {
	if s == noApps {
		return "OnNoApps"
	}
	return "OnApps"
}

func newRule(root *node, exclusions []*node, s Semantics) rule {
	r := rule{root: root, exclusions: exclusions, semantics: s, broken: root.evaluable()}
	for i, group := range exclusions {
		if r.broken == nil {
			if r.broken = group.evaluable(); r.broken != nil {
				r.broken.Path = joinPath(exclusionStep(i), r.broken.Path)
			}
		}
	}
	return r
}

func exclusionStep(i int) string { return "Exclude[" + strconv.Itoa(i) + "]" }

// match returns apps AND filter AND NOT any exclusion group.
func (r *rule) match(p *Profile, at time.Time) (bool, error) {
	if r.root == nil || r.broken != nil {
		return false, r.ready()
	}
	now := instantOf(at)
	if !r.usesApp(p) || !r.root.matches(p, now, r.semantics) {
		return false, nil
	}
	for _, group := range r.exclusions {
		if group.matches(p, now, r.semantics) {
			return false, nil
		}
	}
	return true, nil
}

// usesApp reports whether the profile is among the chosen apps' users.
func (r *rule) usesApp(p *Profile) bool {
	switch r.selection {
	case selectedApps:
		for _, app := range p.Apps {
			if slices.Contains(r.apps, app) {
				return true
			}
		}
		return false
	case noApps:
		return len(p.Apps) == 0
	default:
		return true
	}
}
