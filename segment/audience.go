package segment

import (
	"slices"
	"time"
)

// A ConnectedAudience is the object that a send of the REST API takes as its audience. It is immutable and safe for concurrent use, and its zero
// value invalid. Unlike in a [Segment], And and Or nest up to [MaxDepth] levels. All its filters can be carried.
type ConnectedAudience struct {
	rule rule
	json []byte
}

// NewConnectedAudience returns the audience of a filter.
//
// The REST API has no operator of several values. So "is any of" and "includes any of" with several become an Or of single ones, "is none of" and
// "includes none of" an And, which means the same; [ConnectedAudience.Filter] returns what came of it.
//
// A filter by cohort or by segment membership is an [*UncarriableError], another fault a [*FilterError].
func NewConnectedAudience(filter Filter, opts ...AudienceOption) (*ConnectedAudience, error) {
	return newAudience(filter, Semantics{}, opts)
}

// newAudience makes an audience with these semantics, unless an option says otherwise.
func newAudience(filter Filter, semantics Semantics, opts []AudienceOption) (*ConnectedAudience, error) {
	c := audienceConfig{commonConfig: commonConfig{semantics: semantics}}
	for i, o := range opts {
		if o == nil {
			return nil, nilOption(i)
		}
		o.applyAudience(&c)
	}
	if c.invalid != nil {
		return nil, c.invalid
	}
	root := filter.node()
	if err := root.validate(); err != nil {
		return nil, err
	}
	if err := root.uncarriable(); err != nil {
		return nil, err
	}
	root = root.carried(c.spelling)
	if err := root.validate(); err != nil { // it may be a level deeper now
		return nil, err
	}
	a := &ConnectedAudience{rule: newRule(root, nil, c.semantics), json: root.appendJSON(nil)}
	if len(a.json) > MaxAudienceBytes {
		return nil, root.errorAt("", fault{"takes more than 4 MB as JSON", "no request may; use fewer filters"})
	}
	return a, nil
}

// ParseConnectedAudience reads an audience as a send carries it. It is strict: whatever is not documented of the object is a [*SyntaxError] with its
// path, and a filter that is over a limit is a [*FilterError].
//
// A time needs an offset, as in 2025-06-01T00:00:00Z, since nothing says in which time zone it would be read without.
//
// What is written in more than one way stays as it came: the spelling of the inequality of booleans, the offset of a time, the digits of a number.
func ParseConnectedAudience(data []byte, opts ...AudienceOption) (*ConnectedAudience, error) {
	n, err := parse(data)
	if err != nil {
		return nil, err
	}
	return NewConnectedAudience(Filter{n}, opts...)
}

// MarshalJSON returns the audience as a send carries it, without spaces. It fails on the zero value alone.
func (a ConnectedAudience) MarshalJSON() ([]byte, error) {
	if a.json == nil {
		return nil, Filter{}.Validate()
	}
	return slices.Clone(a.json), nil
}

// MarshalJSON returns the filter as [NewConnectedAudience] makes it into an audience without options, and fails as that does: an empty object in
// place of an audience would be a message to everyone.
func (f Filter) MarshalJSON() ([]byte, error) {
	a, err := NewConnectedAudience(f)
	if err != nil {
		return nil, err
	}
	return a.json, nil
}

// MarshalJSON returns the segment as [Segment.ConnectedAudience] makes it into an audience without options, and fails as that does.
func (s Segment) MarshalJSON() ([]byte, error) {
	a, err := s.ConnectedAudience()
	if err != nil {
		return nil, err
	}
	return a.json, nil
}

// UnmarshalJSON sets the audience, which nobody else may use yet, to what [ParseConnectedAudience] reads without options.
func (a *ConnectedAudience) UnmarshalJSON(data []byte) error {
	parsed, err := ParseConnectedAudience(data)
	if err != nil {
		return err
	}
	*a = *parsed
	return nil
}

// Filter returns the filter of the audience.
func (a *ConnectedAudience) Filter() Filter { return Filter{a.rule.root} }

// String returns the audience in the words of the dashboard, on one line.
func (a *ConnectedAudience) String() string { return a.Filter().String() }

// Match reports whether the profile is in the audience at that time; it must not be nil. It does not allocate. The error is an [*EvaluationError],
// the same for every profile, or a [*FilterError] for the zero ConnectedAudience.
func (a *ConnectedAudience) Match(p *Profile, at time.Time) (bool, error) { return a.rule.match(p, at) }
