package transport

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// RetryPolicy says how often and how patiently a call is repeated. Every zero field stands for its default, so the zero
// value is the default policy. [NoRepeat] is the policy of one attempt.
type RetryPolicy struct {
	// MaxAttempts counts tries, the first one included. Default 8.
	MaxAttempts int
	// BaseDelay is the upper bound of the wait before the second attempt; it doubles with each further one. Half of every wait is
	// random, so that callers that failed together do not return together. Default 500 ms.
	BaseDelay time.Duration
	// MaxDelay bounds the waits that grow from BaseDelay. Default 30 s.
	MaxDelay time.Duration
	// MaxServerDelay is the longest wait that the endpoint may ask for, by Retry-After or, on a 429, by the end of its rate window.
	// A longer one ends the call at once with the wait in the error: coming back earlier than asked is never tried.
	// Default 1 h, the length of the documented rate-limit window.
	MaxServerDelay time.Duration
	// AttemptTimeout bounds one attempt from its first byte to the end of its answer, waits excluded. Default 30 s.
	AttemptTimeout time.Duration
	// Budget bounds the repeats that all calls of a Client spend on an endpoint in trouble (no answer, 408, 5xx), so that an outage
	// is not multiplied. A repeat costs one, ten successful calls give one back, up to Budget; time alone gives none back.
	// Repeats after 423 and 429 are free. Default 100.
	Budget int
}

// NoRepeat returns the policy of a single attempt.
func NoRepeat() RetryPolicy { return RetryPolicy{MaxAttempts: 1} }

func (p RetryPolicy) withDefaults() RetryPolicy {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if p.MaxAttempts == 0 {
		p.MaxAttempts = 8
	}
	if p.Budget == 0 {
		p.Budget = 100
	}
	def(&p.BaseDelay, 500*time.Millisecond)
	def(&p.MaxDelay, 30*time.Second)
	def(&p.MaxServerDelay, time.Hour)
	def(&p.AttemptTimeout, 30*time.Second)
	return p
}

func (p RetryPolicy) validate() error {
	for _, f := range []struct {
		name string
		bad  bool
	}{
		{"MaxAttempts", p.MaxAttempts < 0 || p.MaxAttempts > 1000},
		{"BaseDelay", p.BaseDelay < 0},
		{"MaxDelay", p.MaxDelay < 0},
		{"MaxServerDelay", p.MaxServerDelay < 0},
		{"AttemptTimeout", p.AttemptTimeout < 0},
		{"Budget", p.Budget < 0},
	} {
		if f.bad {
			return fmt.Errorf("RetryPolicy.%s is out of range; use 0 for its default, or a positive value (MaxAttempts: up to 1000)", f.name)
		}
	}
	return nil
}

// backoff returns the wait after the given number of attempts: half of the doubling bound, plus a random share of the other half.
func (p RetryPolicy) backoff(attempts int) time.Duration {
	bound := min(p.BaseDelay, p.MaxDelay)
	for range attempts - 1 {
		if bound > p.MaxDelay/2 { // doubling it could overflow
			bound = p.MaxDelay
			break
		}
		bound *= 2
	}
	return bound/2 + rand.N(bound/2+1)
}
