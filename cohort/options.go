package cohort

import (
	"fmt"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport"
)

const (
	// defaultInFlight is enough for the documented ceiling of 250,000 requests an hour at a round trip of 200 ms, which takes 14 to 15.
	defaultInFlight = 16
	maxInFlight     = 1024
)

// Option changes how an [Importer] works. The order of options does not matter.
type Option interface{ apply(*config) error }

type config struct {
	limiter   transport.Limiter
	inFlight  int
	observers observers
}

type optionFunc func(*config) error

func (f optionFunc) apply(c *config) error { return f(c) }

// WithLimiter paces the requests with this limiter in place of the workspace's share of the Client's quota. The limiter is asked before
// every attempt.
func WithLimiter(l transport.Limiter) Option {
	return optionFunc(func(c *config) error {
		if l == nil {
			return &InvalidError{Field: "WithLimiter", Problem: "has no limiter", Next: "leave the option out for the Client's quota"}
		}
		c.limiter = l
		return nil
	})
}

// WithInFlight sets how many requests of changes to one cohort may be under way at once, over all runs on it, 1 to 1024. After a 423 or 429 there
// are fewer for a while; after a 423 also in runs that begin within an hour. Default 16, enough for the documented ceiling at a round trip of 200 ms.
func WithInFlight(n int) Option {
	return optionFunc(func(c *config) error {
		if n < 1 || n > maxInFlight {
			return &InvalidError{Field: "WithInFlight", Problem: fmt.Sprintf("is out of range: %d", n), Next: "use 1 to 1024"}
		}
		c.inFlight = n
		return nil
	})
}

// WithObserver adds an observer; the option may be given several times. See [Observer].
func WithObserver(o Observer) Option {
	return optionFunc(func(c *config) error {
		if !c.observers.add(o) {
			return &InvalidError{Field: "WithObserver", Problem: fmt.Sprintf("is a %T, which implements no observer interface of package cohort", o), Next: "implement BatchObserver"}
		}
		return nil
	})
}

// RunOption changes one run, such as one of [Importer.Apply]. The order of options does not matter.
type RunOption interface{ applyRun(*runConfig) }

type runConfig struct {
	strict     bool
	onReject   []func(Rejection)
	onProgress []func(Progress)
	approval   int // removals approved; -1 without an approval
	invalid    *InvalidError

	suppressed func(identity.ID) bool // set by a Syncer
}

func newRunConfig(opts []RunOption) (runConfig, error) {
	c := runConfig{approval: -1}
	for _, o := range opts {
		if o == nil {
			return c, &InvalidError{Field: "option", Problem: "is nil", Next: "leave it out"}
		}
		o.applyRun(&c)
	}
	if c.invalid != nil {
		return c, c.invalid
	}
	return c, nil
}

// suppresses reports whether the change would put in somebody who is on a do-not-send list.
func (c *runConfig) suppresses(change Change) bool {
	return c.suppressed != nil && change.direction == addition && c.suppressed(change.ID())
}

type runOptionFunc func(*runConfig)

func (f runOptionFunc) applyRun(c *runConfig) { f(c) }

// Strict ends the run at the first rejected row, with a [*RowError]. Default: rejected rows are counted and the run goes on.
func Strict() RunOption { return runOptionFunc(func(c *runConfig) { c.strict = true }) }

// OnReject is called for every rejected row, in the order of the rows, from the goroutine that made the call. [Syncer.SyncAll] calls it from
// various goroutines but never from two at once. Nil calls nobody.
func OnReject(f func(Rejection)) RunOption {
	return runOptionFunc(func(c *runConfig) {
		if f != nil {
			c.onReject = append(c.onReject, f)
		}
	})
}

// OnProgress is called after every request of changes that came to its end, and by a [Syncer] every 65,536 rows while it reads: from various
// goroutines but never from two at once, over all cohorts of a [Syncer.SyncAll] too; it may run beside OnReject. It should be quick, and must not
// end its goroutine, as a test's FailNow does: the request's place in flight stays taken until it returns. Nil calls nobody.
func OnProgress(f func(Progress)) RunOption {
	return runOptionFunc(func(c *runConfig) {
		if f != nil {
			c.onProgress = append(c.onProgress, f)
		}
	})
}

// ApproveRemovals lets a run of a [Syncer] remove up to n members that its removal guard would hold, and lets an empty source empty a cohort of
// up to n members. It counts for one run. The errors of the guard name the number to give. Given twice, the smaller number counts; a negative
// one is an [*InvalidError]. It has no effect on what has no guard.
func ApproveRemovals(n int) RunOption {
	return runOptionFunc(func(c *runConfig) {
		switch {
		case n < 0:
			c.invalid = &InvalidError{Field: "ApproveRemovals", Problem: fmt.Sprintf("is negative: %d", n), Next: "give the number that the guard's error names"}
		case c.approval < 0 || n < c.approval:
			c.approval = n
		}
	})
}
