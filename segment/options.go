package segment

import (
	"fmt"

	"github.com/cohortkit/cohortkit/internal/text"
)

// Option changes a [Segment]. The order of options does not matter, but that exclusion groups are numbered by it.
type Option interface{ applySegment(*segmentConfig) }

// AudienceOption changes a [ConnectedAudience]. The order of options does not matter.
type AudienceOption interface{ applyAudience(*audienceConfig) }

// CommonOption is an option of both.
type CommonOption interface {
	Option
	AudienceOption
}

type segmentConfig struct {
	commonConfig
	exclusions []*node
	apps       []string
	specific   bool // OnApps was given
	none       bool // OnNoApps was given
}

type audienceConfig struct {
	commonConfig
	spelling spelling
}

type commonConfig struct {
	semantics Semantics
	chosen    bool // WithSemantics was given
	invalid   *FilterError
}

type optionFunc func(*segmentConfig)

func (f optionFunc) applySegment(c *segmentConfig) { f(c) }

type audienceOptionFunc func(*audienceConfig)

func (f audienceOptionFunc) applyAudience(c *audienceConfig) { f(c) }

type semanticsOption struct{ s Semantics }

func (o semanticsOption) applySegment(c *segmentConfig)   { c.choose(o.s) }
func (o semanticsOption) applyAudience(c *audienceConfig) { c.choose(o.s) }

// WithSemantics sets how the points are read that are undocumented. It is given at most once. Default: the zero value of [Semantics].
func WithSemantics(s Semantics) CommonOption { return semanticsOption{s} }

// WithDoesNotEqual spells the inequality of booleans does_not_equal, as older texts of Braze do. Default: not_equal. What was parsed keeps its
// spelling.
func WithDoesNotEqual() AudienceOption {
	return audienceOptionFunc(func(c *audienceConfig) { c.spelling = spellingOlder })
}

// Exclude adds an exclusion group: whoever it matches is not in the segment, whatever else matches. The group is one filter, or several joined by one
// And or one Or. The option may be given several times; any of the groups excludes.
func Exclude(group Filter) Option {
	return optionFunc(func(c *segmentConfig) { c.exclusions = append(c.exclusions, group.node()) })
}

// OnApps asks for a session in at least one of the apps. Given twice, the apps of both count. Default: all apps, with those who never had a session.
func OnApps(names ...string) Option {
	return optionFunc(func(c *segmentConfig) {
		c.specific = true
		if len(names) == 0 {
			c.fail("OnApps", "app selection", "names no app", "name one, or leave the option out for all apps")
		}
		for _, name := range names {
			if f := text.Check(name); f != text.None {
				c.fail(fmt.Sprintf("OnApps[%d]", len(c.apps)), "app name", f.String(), f.Next())
			}
			c.apps = append(c.apps, name)
		}
	})
}

// OnNoApps asks for users who never had a session in any app, which is how this package reads the dashboard's "no apps".
func OnNoApps() Option { return optionFunc(func(c *segmentConfig) { c.none = true }) }

func (c *commonConfig) choose(s Semantics) {
	switch {
	case c.chosen:
		c.fail("WithSemantics", "option", "is given twice", "put all choices into one Semantics")
	case !s.known():
		c.fail("WithSemantics", "option", "has a choice that is not known", "use the constants of package segment")
	}
	c.semantics, c.chosen = s, true
}

func (c *commonConfig) fail(path, what, problem, next string) {
	if c.invalid == nil {
		c.invalid = &FilterError{Path: path, Filter: what, Problem: problem, Next: next}
	}
}

func nilOption(i int) *FilterError {
	return &FilterError{Path: fmt.Sprintf("options[%d]", i), Filter: "option", Problem: "is nil", Next: "leave it out"}
}
