package transport

import (
	"context"
	"time"
)

// Observer is any value that implements one or more of the observer interfaces of this package: [AttemptStarter],
// [AttemptObserver], [WaitObserver]. New interfaces may come; an Observer is asked only for those it has. Observers are
// called by many goroutines at once, must be quick, and never see a key, an identifier, a body or a URL.
type Observer any

// AttemptStart describes an attempt that is about to be made.
type AttemptStart struct {
	Operation string // the request's operation
	Instance  string // the endpoint's instance name
	Attempt   int    // 1 for the first
}

// AttemptStarter hears that an attempt begins. The context it returns is the one the attempt runs with, so a tracing span can nest.
type AttemptStarter interface {
	StartAttempt(context.Context, AttemptStart) context.Context
}

// AttemptEnd describes an attempt that has ended.
type AttemptEnd struct {
	Operation string        // the request's operation
	Instance  string        // the endpoint's instance name
	Attempt   int           // 1 for the first
	Status    int           // the HTTP status, 0 when there was no answer
	Class     Class         // what the answer meant
	Duration  time.Duration // from the attempt's first byte to the end of its answer, waits excluded
	RateLimit RateLimit     // what the answer's headers said
}

// AttemptObserver hears that an attempt ended. The context is the one that StartAttempt returned.
type AttemptObserver interface {
	ObserveAttempt(context.Context, AttemptEnd)
}

// Wait describes a wait between two attempts that is about to begin.
type Wait struct {
	Operation string        // the request's operation
	Instance  string        // the endpoint's instance name
	Attempt   int           // the attempt that failed
	Duration  time.Duration // how long the wait will be
	Class     Class         // why
}

// WaitObserver hears that a call waits before it repeats. Waits for a [Limiter] are the limiter's to tell.
type WaitObserver interface {
	ObserveWait(context.Context, Wait)
}

// observers holds what each Observer turned out to be, so that no call pays for the question again.
type observers struct {
	starters []AttemptStarter
	ends     []AttemptObserver
	waits    []WaitObserver
}

// add files an observer and reports whether it is one.
func (o *observers) add(observer Observer) bool {
	starter, isStarter := observer.(AttemptStarter)
	if isStarter {
		o.starters = append(o.starters, starter)
	}
	end, isEnd := observer.(AttemptObserver)
	if isEnd {
		o.ends = append(o.ends, end)
	}
	wait, isWait := observer.(WaitObserver)
	if isWait {
		o.waits = append(o.waits, wait)
	}
	return isStarter || isEnd || isWait
}
