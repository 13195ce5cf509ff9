package segment

import (
	"slices"
	"strings"
)

// A Reason says why a filter matched a profile or did not. It never carries a value of the profile.
type Reason uint8

// The reasons. The first three mean that the filter did not match.
const (
	ReasonDiffers       Reason = iota // it was compared, and the comparison does not hold
	ReasonMissing                     // the profile has nothing to compare with
	ReasonOtherType                   // the profile's value is of another data type
	ReasonHolds                       // it was compared, and the comparison holds
	ReasonMissingCounts               // the profile has nothing to compare with, which this filter matches: see [Semantics]
)

// Matched reports whether the filter matched.
func (r Reason) Matched() bool { return r >= ReasonHolds }

// String returns the reason in words.
func (r Reason) String() string {
	switch r {
	case ReasonDiffers:
		return "does not hold"
	case ReasonMissing:
		return "the profile has no value"
	case ReasonOtherType:
		return "the profile's value has another data type"
	case ReasonHolds:
		return "holds"
	case ReasonMissingCounts:
		return "the profile has no value, which counts"
	default:
		return "unknown reason"
	}
}

func holds(b bool) Reason { //nolint:revive // flag-parameter: it gives the flag its name
	if b {
		return ReasonHolds
	}
	return ReasonDiffers
}

func missing(counts bool) Reason { //nolint:revive // flag-parameter: it gives the flag its name
	if counts {
		return ReasonMissingCounts
	}
	return ReasonMissing
}

// matches evaluates no more than it must. It does not allocate.
func (n *node) matches(p *Profile, at instant, s Semantics) bool {
	switch n.kind {
	case kindAnd:
		for _, child := range n.cheap {
			if !child.matches(p, at, s) {
				return false
			}
		}
		return true
	case kindOr:
		for _, child := range n.cheap {
			if child.matches(p, at, s) {
				return true
			}
		}
		return false
	default:
		return n.judge(p, at, s).Matched()
	}
}

// judge compares a filter that joins no others.
func (n *node) judge(p *Profile, at instant, s Semantics) Reason {
	switch n.kind {
	case kindCohort:
		return holds(n.inCohort(p) == (n.comparison == includes))
	case kindMembership:
		return holds(slices.Contains(p.Segments, n.name) == (n.comparison == includes))
	case kindPush:
		return n.judgeSubscription(p.Push, s)
	case kindEmail:
		return n.judgeSubscription(p.Email, s)
	case kindLastUsed:
		switch {
		case p.LastUsedApp.IsZero():
			return missing(n.comparison == before && s.NeverUsed == NeverUsedIsBefore)
		default:
			return n.judgeTime(instantOf(p.LastUsedApp), at)
		}
	default:
		v := p.Attributes[n.name]
		return n.judgeAttribute(&v, at, s)
	}
}

func (n *node) inCohort(p *Profile) bool {
	for i := range p.Cohorts {
		if c := &p.Cohorts[i]; c.Name == n.values[0] && strings.EqualFold(c.Partner, n.name) {
			return true
		}
	}
	return false
}

func (n *node) judgeSubscription(state Subscription, s Semantics) Reason {
	if state.wire() == "" {
		return missing(n.comparison == isNot && s.UnknownSubscription == UnknownSubscriptionMatches)
	}
	same := state == n.state || n.state == Subscribed && state == OptedIn && s.Subscribed == SubscribedIncludesOptedIn
	return holds(same == (n.comparison == is))
}

// judgeAttribute compares a custom attribute. A value of another data type matches no comparison, not even a negative one; what is blank has no data
// type.
func (n *node) judgeAttribute(v *Value, at instant, s Semantics) Reason {
	blank := v.blank(s)
	if n.kind == kindAttribute {
		switch {
		case !blank:
			return holds(n.comparison == exists)
		default:
			return missing(n.comparison == doesNotExist)
		}
	}
	if blank {
		return n.judgeMissing(s)
	}
	switch {
	case n.kind == kindString && v.kind == stringKind:
		switch n.comparison {
		case matchesRegex, doesNotMatchRegex:
			return holds(n.pattern.MatchString(v.text) == (n.comparison == matchesRegex))
		default:
			return holds(slices.Contains(n.values, v.text) == (n.comparison == equals))
		}
	case n.kind == kindArray && v.kind == arrayKind:
		return holds(n.anyOf(v.text) == (n.comparison == includes))
	case n.kind == kindNumber && v.kind == numberKind:
		return holds(n.compareNumber(v.number()))
	case n.kind == kindBoolean && v.kind == booleanKind:
		return holds((v.truth() == n.truth) == (n.comparison == equals))
	case n.kind == kindTime && v.kind == timeKind:
		return n.judgeTime(v.instant(), at)
	default:
		return ReasonOtherType
	}
}

// judgeMissing compares with a custom attribute that is blank.
func (n *node) judgeMissing(s Semantics) Reason {
	if n.kind == kindNumber {
		switch s.MissingNumber {
		case MissingNumberIsZero:
			return missing(n.compareNumber(0))
		case MissingNumberIsLow:
			switch {
			case n.comparison == lessThan:
				return ReasonMissingCounts
			case n.number == 0 && (n.comparison == equals || n.comparison == notEqual):
				return missing(n.comparison == equals)
			}
		}
	}
	negative := n.comparison == notEqual || n.comparison == doesNotInclude
	return missing(negative && s.Missing == MissingMatches)
}

func (n *node) anyOf(array string) bool {
	for array != "" {
		var element string
		if element, array = next(array); slices.Contains(n.values, element) {
			return true
		}
	}
	return false
}

func (n *node) compareNumber(x float64) bool {
	switch n.comparison {
	case equals:
		return x == n.number
	case notEqual:
		return x != n.number
	case greaterThan:
		return x > n.number
	case greaterThanOrEqualTo:
		return x >= n.number
	case lessThan:
		return x < n.number
	default:
		return x <= n.number
	}
}

func (n *node) judgeTime(t, at instant) Reason {
	switch n.comparison {
	case before:
		return holds(t.before(n.instant))
	case after:
		return holds(n.instant.before(t))
	case lessThanDaysAgo:
		return holds(!t.before(at.daysLater(-n.days)) && !at.before(t))
	case greaterThanDaysAgo:
		return holds(t.before(at.daysLater(-n.days)))
	case lessThanDaysAhead:
		return holds(!at.daysLater(n.days).before(t) && !t.before(at))
	default:
		return holds(at.daysLater(n.days).before(t))
	}
}

// evaluable returns an error for the first filter of the tree that cannot be matched.
func (n *node) evaluable() *EvaluationError {
	path, bad := n.find(func(n *node) bool {
		return (n.comparison == matchesRegex || n.comparison == doesNotMatchRegex) && n.pattern == nil
	})
	if bad == nil {
		return nil
	}
	return &EvaluationError{Path: path, Filter: bad.label()}
}
