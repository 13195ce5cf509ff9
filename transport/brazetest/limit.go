package brazetest

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// bucket is a rate limit that the contract names.
type bucket uint8

const (
	cohortBucket bucket = iota
	sharedBucket        // of all REST calls that have none of their own
	identityBucket
	renameBucket
	removeBucket
	exportBucket
	narrowExportBucket // of exports that state their fields and leave out the two dear ones
	trackBucket
	broadcastBucket
	audienceBucket // of broadcasts to one audience
)

// buckets are their defaults. Each but the first is a workspace's own.
var buckets = [...]struct {
	requests int
	window   time.Duration
}{
	cohortBucket:       {DefaultRateLimit, time.Hour},
	sharedBucket:       {250_000, time.Hour},
	identityBucket:     {20_000, time.Minute},
	renameBucket:       {1_000, time.Minute},
	removeBucket:       {1_000, time.Minute},
	exportBucket:       {250, time.Minute},
	narrowExportBucket: {40, time.Second},
	trackBucket:        {3_000, 3 * time.Second},
	broadcastBucket:    {250, time.Minute},
	audienceBucket:     {10, time.Minute},
}

// limiter counts requests in windows that do not slide: clock hours, as Braze documents them, and clock minutes and so on likewise.
type limiter struct {
	sizes [len(buckets)]int

	mu      sync.Mutex
	windows map[limitKey]*window
}

// limitKey is whose limit it is. The workspace is nil when all of an instance share one.
type limitKey struct {
	bucket    bucket
	partner   *Partner
	workspace *Workspace
	instance  string
	audience  string
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

func (l *limiter) init(sizes [len(buckets)]int) {
	l.sizes = sizes
	l.windows = make(map[limitKey]*window)
}

// start is when the window began that a time is in. Truncate counts from the zero time, which is the start of an hour in UTC.
func (b bucket) start(t time.Time) time.Time { return t.UTC().Truncate(buckets[b].window) }

// draw takes n requests, 0 or 1, from the window of each key, or from none of them and reports false when one has none left. The allowance is that
// of which least remains.
func (l *limiter) draw(now time.Time, n int, keys ...limitKey) (allowance, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ok := true
	for _, key := range keys {
		if l.current(key, now).used+n > l.sizes[key.bucket] {
			ok = false
		}
	}
	var least allowance
	for i, key := range keys {
		w := l.windows[key]
		if ok {
			w.used += n
		}
		size := l.sizes[key.bucket]
		if i == 0 || size-w.used < least.remaining {
			least = allowance{limit: size, remaining: size - w.used, reset: w.start.Add(buckets[key.bucket].window)}
		}
	}
	return least, ok
}

// current returns the window of a key, begun anew when its time is over.
func (l *limiter) current(key limitKey, now time.Time) *window {
	start := key.bucket.start(now)
	w := l.windows[key]
	if w == nil {
		w = &window{start: start}
		l.windows[key] = w
	}
	if start.After(w.start) { // a request that waited does not turn the clock back
		w.start, w.used = start, 0
	}
	return w
}

// untouched is the allowance of a request whose sender is not known.
func (l *limiter) untouched(b bucket, now time.Time) allowance {
	return allowance{limit: l.sizes[b], remaining: l.sizes[b], reset: b.start(now).Add(buckets[b].window)}
}

func (a allowance) write(h http.Header) {
	h["X-Ratelimit-Limit"] = []string{strconv.Itoa(a.limit)}
	h["X-Ratelimit-Remaining"] = []string{strconv.Itoa(a.remaining)}
	h["X-Ratelimit-Reset"] = []string{strconv.FormatInt(a.reset.Unix(), 10)}
}
