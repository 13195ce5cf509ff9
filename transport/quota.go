package transport

import (
	"container/list"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// CohortRequestsPerHour is the documented rate limit of the two cohort endpoints together with their repeats: 250,000 requests an hour.
// It is outside the customer's own workspace limits.
const CohortRequestsPerHour = 250_000

const (
	// window is the length of the rate windows, which reset on the clock hour.
	window = time.Hour
	// shortestPause and longestPause bound how long a 429 without any hint stops everybody; the pause doubles while 429s go on.
	shortestPause = time.Second
	longestPause  = time.Minute
)

// Quota paces requests so that no hour, neither a clock hour nor a sliding one, sees more than its number, and is fair: workspaces
// that wait take turns, however many requests each has waiting. Use it through [Quota.Share].
//
// A plain token bucket set to the published number oversteps it by its burst, so a Quota lets requests pass at even distances
// and keeps a small reserve, for what the network crowds together: of 250,000 an hour it uses 249,968. After a pause it lets at most four pass
// together.
//
// It listens to the answers: a 429 stops everybody who shares the Quota for as long as the endpoint asks; as the remaining requests of
// the endpoint's window fall, it spreads them over the rest of the window; at none it stops until the window ends.
//
// A Quota starts no goroutine. It holds memory only for workspaces that are waiting, and takes no longer for a turn the more there are. It is safe for
// concurrent use.
type Quota struct {
	limit    int           // requests in a window
	window   time.Duration // in which the endpoint counts
	distance time.Duration // between requests
	slack    time.Duration // how far a request may come before its even place

	mu        sync.Mutex
	next      time.Time     // the even place of the next request
	paused    time.Time     // nobody passes before
	penalty   time.Duration // length of the last pause that nobody asked for
	remaining int           // requests left in the endpoint's window
	reset     time.Time     // end of that window; zero when not known
	turns     *list.List    // of *queue: the workspaces that wait, in the order of their turns
	queues    map[string]*list.Element
	waiting   int // in all queues
	timer     *time.Timer
	since     time.Time // the beginning of the clock's window of the latest request
	passed    int       // requests in it
}

// queue is the waiting line of one workspace; it is never empty while it is among the turns.
type queue struct {
	workspace string
	waiters   *list.List // of chan struct{}
}

// NewQuota returns a Quota of so many requests an hour, 1 to 1,000,000,000.
//
// Several machines that draw on one limit each take a part of it, such as NewQuota(CohortRequestsPerHour / 4) on each of four: no part is overstepped,
// so neither is the sum, and a remainder of the division stays unused. Divide by as many machines as may ever run at once. They know nothing of each
// other: a machine that has nothing to send leaves its part unused, and a 429 pauses the machine that got it. A [Limiter] of your own can do
// better, as the example of the package shows.
//
// A Quota begins anew with its process, which may let four requests pass at once. The reserve makes up for seven restarts within an hour. Below 3,200
// an hour requests never pass together, and the reserve is one in two hundred; below 200 there is none.
func NewQuota(perHour int) (*Quota, error) {
	if perHour < 1 || perHour > 1e9 {
		return nil, fmt.Errorf("transport: quota: %d requests an hour is out of range; use 1 to 1,000,000,000, for the cohort endpoints at most CohortRequestsPerHour", perHour)
	}
	return newQuota(perHour, window), nil
}

// NewQuotaPer returns a Quota for an endpoint whose limit is counted in shorter windows than an hour: NewQuotaPer(250, time.Minute). No such window
// sees more requests than that. Per is at least a second and at most an hour.
func NewQuotaPer(requests int, per time.Duration) (*Quota, error) {
	if requests < 1 || requests > 1e9 || per < time.Second || per > window {
		return nil, fmt.Errorf("transport: quota: %d requests per %s is out of range; use 1 to 1,000,000,000 requests per 1s to 1h", requests, per)
	}
	return newQuota(requests, per), nil
}

func newQuota(requests int, per time.Duration) *Quota {
	// Within any window at most (per / distance) + burst requests pass. A reserve larger than the burst keeps that below the number.
	burst, reserve := 1, requests/200
	if requests >= 3200 {
		burst, reserve = 4, 32
	}
	distance := per/time.Duration(requests-reserve) + 1
	return &Quota{
		limit:    requests,
		window:   per,
		distance: distance,
		slack:    time.Duration(burst-1) * distance,
		turns:    list.New(),
		queues:   make(map[string]*list.Element),
	}
}

// Share returns the Limiter of one workspace. Shares of the same name take one turn between them.
func (q *Quota) Share(workspace string) *Share { return &Share{quota: q, workspace: workspace} }

// QuotaState is a moment of a [Quota], for a metric or a log.
type QuotaState struct {
	Limit       int           // requests in a window that the Quota was made for
	Window      time.Duration // how long a window is; an hour, unless NewQuotaPer said otherwise
	Passed      int           // requests that it let pass since the clock's present window began, repeats included
	Waiting     int           // attempts that wait
	Workspaces  int           // workspaces they belong to
	PausedUntil time.Time     // nobody passes before; zero when not paused
	Remaining   int           // requests left in the endpoint's window, as far as its headers told; meaningful if Reset is set
	Reset       time.Time     // when that window ends; zero when not known
}

// State tells how the Quota stands. It costs next to nothing, however many wait.
func (q *Quota) State() QuotaState {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	s := QuotaState{Limit: q.limit, Window: q.window, Waiting: q.waiting, Workspaces: q.turns.Len()}
	if q.since.Equal(now.Truncate(q.window)) {
		s.Passed = q.passed
	}
	if q.paused.After(now) {
		s.PausedUntil = q.paused
	}
	if q.reset.After(now) {
		s.Remaining, s.Reset = q.remaining, q.reset
	}
	return s
}

// Share is the part of a [Quota] that one workspace waits in. It is a [FeedbackLimiter].
type Share struct {
	quota     *Quota
	workspace string
}

// Wait returns when the next request may be sent. It fails only when the context ends first, and then no request is counted.
func (s *Share) Wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q := s.quota
	q.mu.Lock()
	now := time.Now()
	if q.turns.Len() == 0 && !q.earliest(now).After(now) {
		q.pass(now)
		q.mu.Unlock()
		return nil
	}
	ready := make(chan struct{})
	place, mine := q.enqueue(s.workspace, ready)
	q.serve(now)
	q.mu.Unlock()

	select {
	case <-ready:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-ready:
		// It was let through in the same moment. Its place goes to the next in line.
		q.next = q.next.Add(-q.distance)
		q.remaining++
		q.passed--
		q.serve(time.Now())
	default:
		q.leave(place, mine)
	}
	return ctx.Err()
}

// Feedback listens to the end of an attempt.
func (s *Share) Feedback(f Feedback) {
	now := time.Now()
	q := s.quota
	q.mu.Lock()
	defer q.mu.Unlock()
	q.listen(f, now)
	if f.Status == http.StatusTooManyRequests {
		q.pause(f, now)
	} else if f.Status != 0 && !q.paused.After(now) { // not the answer to a request that was under way when the pause began
		q.penalty = 0
	}
	if q.turns.Len() > 0 {
		q.serve(now)
	}
}

// listen takes over what the headers say of the endpoint's window. Answers arrive out of order, so within a window only the lowest number
// counts; requests that passed since are subtracted already.
func (q *Quota) listen(f Feedback, now time.Time) {
	if f.RateLimit.IsZero() {
		return
	}
	reset := f.RateLimit.Reset
	if !reset.After(now) || reset.Sub(now) > window+time.Minute {
		return // a window of the past, or none that these endpoints have
	}
	// Resets are in whole seconds and corrected by a Date in whole seconds, so one window's ends may lie two seconds apart.
	switch difference := reset.Sub(q.reset); {
	case difference > 2*time.Second:
		q.reset, q.remaining = reset, f.RateLimit.Remaining
	case difference >= -2*time.Second:
		q.remaining = min(q.remaining, f.RateLimit.Remaining)
	}
}

// pause stops everybody after a 429.
func (q *Quota) pause(f Feedback, now time.Time) {
	wait := f.RetryAfter
	if wait <= 0 {
		if q.paused.After(now) {
			return // the answer to a request that was under way when the pause began
		}
		q.penalty = min(max(2*q.penalty, shortestPause), longestPause)
		wait = q.penalty
	}
	// A longer wait than the window's length ends the call that was told so; it is no reason to stop all others for a day.
	until := now.Add(min(wait, window))
	if until.After(q.paused) {
		q.paused = until
	}
}

// earliest returns when the next request may pass.
func (q *Quota) earliest(now time.Time) time.Time {
	at := q.next.Add(-q.slack)
	if q.reset.After(now) {
		if q.remaining <= 0 {
			at = later(at, q.reset)
		} else if spread := q.reset.Sub(now) / time.Duration(q.remaining); spread > q.distance {
			at = later(at, q.next.Add(spread-q.distance))
		}
	}
	return later(at, q.paused)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// pass counts one request.
func (q *Quota) pass(now time.Time) {
	q.next = later(q.next, now).Add(q.distance)
	q.remaining--
	if since := now.Truncate(q.window); !since.Equal(q.since) {
		q.since, q.passed = since, 0
	}
	q.passed++
}

// enqueue puts a waiter at the end of its workspace's line.
func (q *Quota) enqueue(workspace string, ready chan struct{}) (*queue, *list.Element) {
	e, ok := q.queues[workspace]
	if !ok {
		e = q.turns.PushBack(&queue{workspace: workspace, waiters: list.New()})
		q.queues[workspace] = e
	}
	q.waiting++
	line := e.Value.(*queue)
	return line, line.waiters.PushBack(ready)
}

// leave takes a waiter out that nobody let through.
func (q *Quota) leave(line *queue, waiter *list.Element) {
	q.waiting--
	line.waiters.Remove(waiter)
	if line.waiters.Len() == 0 {
		q.turns.Remove(q.queues[line.workspace])
		delete(q.queues, line.workspace)
	}
	if q.turns.Len() == 0 && q.timer != nil {
		q.timer.Stop()
	}
}

// serve lets pass whoever may, one workspace after the other, and sets the timer for the next.
func (q *Quota) serve(now time.Time) {
	for q.turns.Len() > 0 {
		at := q.earliest(now)
		if at.After(now) {
			q.wake(at.Sub(now))
			return
		}
		q.pass(now)
		q.waiting--
		turn := q.turns.Front()
		line := turn.Value.(*queue)
		close(line.waiters.Remove(line.waiters.Front()).(chan struct{}))
		if line.waiters.Len() > 0 {
			q.turns.MoveToBack(turn)
			continue
		}
		q.turns.Remove(turn)
		delete(q.queues, line.workspace)
	}
}

func (q *Quota) wake(after time.Duration) {
	if q.timer != nil {
		q.timer.Reset(after)
		return
	}
	q.timer = time.AfterFunc(after, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.serve(time.Now())
	})
}
