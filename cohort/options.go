package cohort

import (
	"fmt"
	"time"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport"
)

const (
	// defaultInFlight is enough for the documented ceiling of 250,000 requests an hour at a round trip of 200 ms, which takes 14 to 15.
	defaultInFlight = 16
	maxInFlight     = 1024
)

// Option changes how an [Importer] works. The order of options does not matter, but of a setting that is given twice
// the last one counts.
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

// RunOption changes one run, such as one of [Importer.Apply]. The order of options does not matter, but of a setting that is given twice the last one
// counts.
type RunOption interface{ applyRun(*runConfig) }

type runConfig struct {
	strict     bool
	onReject   []func(Rejection)
	onProgress []func(Progress)
	approval   int // removals approved; -1 without an approval
	invalid    *InvalidError

	suppressed func(identity.ID) bool                                          // set by a Syncer
	settled    func(changes []Change, outcome transport.Outcome, attempts int) // set by a Stream; called by many goroutines
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

const (
	defaultDelay   = 5 * time.Second
	maxDelay       = time.Hour
	defaultHorizon = 7 * 24 * time.Hour
	maxHorizon     = 10 * 365 * 24 * time.Hour
	defaultMemory  = 1_000_000
	maxMemory      = 100_000_000
	defaultSkew    = 5 * time.Minute
	maxSkew        = 24 * time.Hour
	defaultBacklog = 2 * defaultInFlight * MaxIdentifiers
	maxBacklog     = 10_000_000
)

// StreamOption changes how a [Stream] works. The order of options does not matter, but of a setting that is given twice
// the last one counts.
type StreamOption interface{ applyStream(*streamConfig) error }

type streamConfig struct {
	delay, horizon, skew time.Duration
	memory, backlog      int
	onAcknowledge        []func([]Event)
	onFailure            []func(error)
}

func newStreamConfig(opts []StreamOption) (streamConfig, error) {
	c := streamConfig{delay: defaultDelay, horizon: defaultHorizon, skew: defaultSkew, memory: defaultMemory, backlog: defaultBacklog}
	for _, o := range opts {
		if o == nil {
			return c, &InvalidError{Field: "option", Problem: "is nil", Next: "leave it out"}
		}
		if err := o.applyStream(&c); err != nil {
			return c, err
		}
	}
	return c, nil
}

type streamOptionFunc func(*streamConfig) error

func (f streamOptionFunc) applyStream(c *streamConfig) error { return f(c) }

// within returns the option that sets a value which has to lie between two others.
func within[T int | time.Duration](name string, v, least, most T, set func(*streamConfig)) StreamOption {
	return streamOptionFunc(func(c *streamConfig) error {
		if v < least || v > most {
			return &InvalidError{Field: name, Problem: fmt.Sprintf("is out of range: %v", v), Next: fmt.Sprintf("use %v to %v", least, most)}
		}
		set(c)
		return nil
	})
}

// WithDelay sets how long a change waits for others to share its request with, 0 to an hour. Each request counts against the rate limit, however few
// changes it has. Default 5 s.
func WithDelay(d time.Duration) StreamOption {
	return within("WithDelay", d, 0, maxDelay, func(c *streamConfig) { c.delay = d })
}

// WithHorizon sets how far behind the newest event of all the times of members are kept, up to ten years: how late an event may arrive and still be
// put in its place. If a topic has several partitions, allow for how far apart they can be while a backlog is read. Default 7 days.
func WithHorizon(d time.Duration) StreamOption {
	return within("WithHorizon", d, 0, maxHorizon, func(c *streamConfig) { c.horizon = d })
}

// WithMemory sets of how many members the times are kept besides those in the backlog, and besides those of whom an earlier stream lost an answer, up
// to 100 million, at about 100 bytes each, and 25 bytes in a ledger. Default 1,000,000.
func WithMemory(members int) StreamOption {
	return within("WithMemory", members, 0, maxMemory, func(c *streamConfig) { c.memory = members })
}

// WithSkew sets how far the time of an event may lie ahead of this machine's clock, 0 to 24 hours. Default 5 minutes.
func WithSkew(d time.Duration) StreamOption {
	return within("WithSkew", d, 0, maxSkew, func(c *streamConfig) { c.skew = d })
}

// WithBacklog sets how many events may be unacknowledged before [Stream.Send] waits, 1 to 10 million, at about 150 bytes each and their identifiers and
// tokens. Default 32,000, twice what 16 requests under way hold.
func WithBacklog(events int) StreamOption {
	return within("WithBacklog", events, 1, maxBacklog, func(c *streamConfig) { c.backlog = events })
}

// OnAcknowledge is called with settled events, some at a time, in the order in which they arrived and never by two goroutines at once: everything up
// to the last of them is settled, so its offset can be committed to a queue. See [Stream]. The slice is used again after the call. While it runs
// nothing else is acknowledged, but changes go on until the backlog is full. It must not call the stream, nor end its goroutine, as a test's FailNow
// does. Nil calls nobody.
func OnAcknowledge(f func([]Event)) StreamOption {
	return streamOptionFunc(func(c *streamConfig) error {
		if f != nil {
			c.onAcknowledge = append(c.onAcknowledge, f)
		}
		return nil
	})
}

// OnFailure is called with the error of each attempt that failed, one after the other. Events that were not accepted are kept, and sent again after a
// pause. It must not call Flush or Close, nor end its goroutine. Nil calls nobody.
func OnFailure(f func(error)) StreamOption {
	return streamOptionFunc(func(c *streamConfig) error {
		if f != nil {
			c.onFailure = append(c.onFailure, f)
		}
		return nil
	})
}
