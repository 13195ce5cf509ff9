package rest

// Option changes how a [Client] works. The order of options does not matter.
type Option interface{ apply(*config) error }

type config struct {
	limits Limits
	given  bool
}

type optionFunc func(*config) error

func (f optionFunc) apply(c *config) error { return f(c) }

// WithLimits sets the limiters of the calls: those of another Client of the same workspace, or other numbers. Default: the zero [Limits].
func WithLimits(l Limits) Option {
	return optionFunc(func(c *config) error {
		if c.given {
			return &InvalidError{Field: "WithLimits", Problem: "is given twice", Next: "put all limiters into one Limits"}
		}
		c.limits, c.given = l, true
		return nil
	})
}
