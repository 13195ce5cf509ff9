package transport

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// longest is the wait that stands for every hint too large to be one.
const longest = time.Duration(math.MaxInt64)

// retryAfter reads how long an answer asks to stay away. ok is false when it does not ask, or asks in no form that HTTP knows.
// A number too large for a Duration is the longest Duration, so that it can only be refused, never overflow into haste.
func retryAfter(h http.Header, now time.Time) (wait time.Duration, ok bool) {
	s := strings.TrimSpace(h.Get("Retry-After"))
	if s == "" {
		return 0, false
	}
	if strings.Trim(s, "0123456789") == "" {
		seconds, err := strconv.ParseInt(s, 10, 64)
		if err != nil || seconds > int64(longest/time.Second) {
			return longest, true
		}
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(s)
	if err != nil {
		return 0, false
	}
	// Both dates are the server's, so a wrong clock on this side does not matter.
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(0, at.Sub(now)), true
}

// serverDelay is how long an answer asks to stay away, by Retry-After or, on a 429 that exhausted the window, by the window's end.
func serverDelay(status int, h http.Header, limit RateLimit, now time.Time) time.Duration {
	if wait, ok := retryAfter(h, now); ok {
		return wait
	}
	if status == http.StatusTooManyRequests && !limit.IsZero() && limit.Remaining == 0 {
		return max(0, limit.Reset.Sub(now))
	}
	return 0
}

// clockSkew is by how much the Date of an answer is later than the clock here, which read came when the answer did.
func clockSkew(date string, came time.Time) time.Duration {
	at, err := http.ParseTime(date)
	if err != nil {
		return 0
	}
	return at.Sub(came.Truncate(time.Second)) // a Date has whole seconds
}
