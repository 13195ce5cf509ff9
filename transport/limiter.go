package transport

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Limiter decides when an attempt may begin. It is asked once for every attempt, repeats included, because the endpoint counts
// those too. An error ends the call before anything is sent. The limiter of golang.org/x/time/rate is a Limiter; so is [Share].
//
// Limiters are used by many goroutines at once.
type Limiter interface {
	Wait(ctx context.Context) error
}

// FeedbackLimiter is what a [Limiter] may also be. Feedback is called exactly once for every Wait that returned nil, when that
// attempt has ended.
type FeedbackLimiter interface {
	Limiter
	Feedback(Feedback)
}

// Feedback is how an attempt ended, as far as pacing is concerned.
type Feedback struct {
	// Status is the HTTP status, or 0 when there was no answer.
	Status int
	// RateLimit is what the answer's headers said.
	RateLimit RateLimit
	// RetryAfter is how long the endpoint asked to stay away; 0 when it did not ask. It is not bounded.
	RetryAfter time.Duration
}

// RateLimit is the state of the endpoint's rate window, as its X-RateLimit-* headers tell. The zero value means that the answer had none.
type RateLimit struct {
	// Limit is the number of requests allowed in the window.
	Limit int
	// Remaining is the number of requests left in the window.
	Remaining int
	// Reset is when the window ends, on the local clock: the header's epoch seconds, corrected by the answer's Date.
	Reset time.Time
}

// IsZero reports whether the answer carried no complete set of rate-limit headers.
func (r RateLimit) IsZero() bool { return r == RateLimit{} }

func parseRateLimit(h http.Header, now time.Time) RateLimit {
	if h.Get("X-Ratelimit-Reset") == "" {
		return RateLimit{} // spares the endpoints without limits three errors an answer
	}
	number := func(name string) (int64, bool) {
		n, err := strconv.ParseInt(strings.TrimSpace(h.Get(name)), 10, 64)
		return n, err == nil && n >= 0
	}
	limit, okLimit := number("X-Ratelimit-Limit")
	remaining, okRemaining := number("X-Ratelimit-Remaining")
	reset, okReset := number("X-Ratelimit-Reset")
	const farthest = 1 << 40 // seconds; beyond any date that time.Time subtracts safely
	if !okLimit || !okRemaining || !okReset || limit > 1<<31-1 || remaining > 1<<31-1 || reset > farthest {
		return RateLimit{}
	}
	at := time.Unix(reset, 0)
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		at = now.Add(at.Sub(date))
	}
	return RateLimit{Limit: int(limit), Remaining: int(remaining), Reset: at}
}
