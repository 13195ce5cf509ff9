package brazetest

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// limiter counts requests in windows of a clock hour, as Braze documents its windows: they do not slide.
type limiter struct {
	size int

	mu      sync.Mutex
	windows map[limitKey]*window
}

// limitKey is whose limit it is. The workspace is nil when all of an instance share one.
type limitKey struct {
	partner   *Partner
	workspace *Workspace
	instance  string
}

type window struct {
	start time.Time
	used  int
}

// allowance is what the rate-limit headers say.
type allowance struct {
	limit, remaining int
	reset            time.Time
}

func (l *limiter) init(size int) {
	l.size = size
	l.windows = make(map[limitKey]*window)
}

// hour is the start of the clock hour. Truncate counts from the zero time, which is the start of an hour in UTC.
func hour(t time.Time) time.Time { return t.UTC().Truncate(time.Hour) }

// draw takes n requests, 0 or 1, from the window of a key, and reports false when there are none left.
func (l *limiter) draw(key limitKey, now time.Time, n int) (allowance, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	start := hour(now)
	w := l.windows[key]
	if w == nil {
		w = &window{start: start}
		l.windows[key] = w
	}
	if start.After(w.start) { // a request that waited does not turn the clock back
		w.start, w.used = start, 0
	}
	ok := w.used+n <= l.size
	if ok {
		w.used += n
	}
	return allowance{limit: l.size, remaining: l.size - w.used, reset: w.start.Add(time.Hour)}, ok
}

// untouched is the allowance of a request whose sender is not known.
func (l *limiter) untouched(now time.Time) allowance {
	return allowance{limit: l.size, remaining: l.size, reset: hour(now).Add(time.Hour)}
}

func (a allowance) write(h http.Header) {
	h["X-Ratelimit-Limit"] = []string{strconv.Itoa(a.limit)}
	h["X-Ratelimit-Remaining"] = []string{strconv.Itoa(a.remaining)}
	h["X-Ratelimit-Reset"] = []string{strconv.FormatInt(a.reset.Unix(), 10)}
}
