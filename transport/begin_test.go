package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/transport"
)

func contains(err error, text string) bool {
	return text == "" || err != nil && strings.Contains(err.Error(), text)
}

// gate is a FeedbackLimiter that notes what it is asked and told.
type gate struct {
	wait func(context.Context) error

	mu    sync.Mutex
	asked int
	told  []transport.Feedback
}

func (g *gate) Wait(ctx context.Context) error {
	g.mu.Lock()
	g.asked++
	g.mu.Unlock()
	if g.wait == nil {
		return nil
	}
	return g.wait(ctx)
}

func (g *gate) Feedback(f transport.Feedback) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told = append(g.told, f)
}

func forDuration(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TestBegin lets Begin end after one second.
func TestBegin(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		limiter func(context.Context) error
		steps   []step
		want    result
		took    time.Duration
	}{
		{"the attempt under way finishes and counts", nil, []step{after(5*time.Second, accept)}, result{transport.OutcomeAccepted, 1, transport.ClassSuccess, 201}, 5 * time.Second},
		{"the attempt under way is not repeated", nil, []step{after(5*time.Second, answer(503, ""))}, result{transport.OutcomeUnknown, 1, transport.ClassUnavailable, 503}, 5 * time.Second},
		{"the attempt under way keeps its own timeout", nil, []step{hang}, result{transport.OutcomeUnknown, 1, transport.ClassNoAnswer, 0}, 30 * time.Second},
		{"the wait to repeat ends", nil, []step{answer(429, "", "Retry-After", "60")}, result{transport.OutcomeRefused, 1, transport.ClassRateLimited, 429}, time.Second},
		{"the wait for the limiter ends", forDuration(time.Minute), []step{accept}, result{transport.OutcomeUnsent, 0, transport.ClassNoAnswer, 0}, time.Second},
		{"a limiter that does not look lets nothing pass", func(context.Context) error {
			<-time.After(time.Minute)
			return nil
		}, []step{accept}, result{transport.OutcomeUnsent, 0, transport.ClassNoAnswer, 0}, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				g := &gate{wait: tt.limiter}
				req := request(transport.RepeatSafe)
				req.Begin, req.Limiter = begin, g
				started := time.Now()
				ans, err := newClient(t, following(tt.steps...)).Do(t.Context(), req)
				if diff := cmp.Diff(tt.want, resultOf(t, ans, err)); diff != "" {
					t.Errorf("result (-want +got):\n%s", diff)
				}
				if took := time.Since(started); took != tt.took {
					t.Errorf("returned after %s, want %s", took, tt.took)
				}
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("error %v is not context.Canceled", err)
				}
			})
		})
	}
}

func TestBeginDoneBefore(t *testing.T) {
	t.Parallel()
	begin, cancel := context.WithCancel(t.Context())
	cancel()
	rt, g := following(accept), &gate{}
	req := request(transport.RepeatSafe)
	req.Begin, req.Limiter = begin, g
	_, err := newClient(t, rt).Do(t.Context(), req)
	if transport.OutcomeOf(err) != transport.OutcomeUnsent || !errors.Is(err, context.Canceled) || errors.Is(err, transport.ErrNoAnswer) || len(rt.seen()) != 0 || g.asked != 0 {
		t.Errorf("error %v, %d attempts, limiter asked %d times", err, len(rt.seen()), g.asked)
	}
}

func TestCancelEndsTheAttemptThatBeginWouldSpare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		begin, stop := context.WithCancel(ctx)
		time.AfterFunc(time.Second, stop)
		time.AfterFunc(2*time.Second, cancel)
		req := request(transport.RepeatSafe)
		req.Begin = begin
		started := time.Now()
		_, err := newClient(t, following(hang)).Do(ctx, req)
		if took := time.Since(started); took != 2*time.Second || !errors.Is(err, transport.ErrOutcomeUnknown) {
			t.Errorf("ended after %s with %v", took, err)
		}
	})
}

func TestFeedback(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{}
		req := request(transport.RepeatSafe)
		req.Limiter = g
		rt := following(answer(429, "", "Retry-After", "9"), failWith(io.EOF), answer(503, ""), answer(200, "<html>"),
			answer(423, "", "X-RateLimit-Limit", "9", "X-RateLimit-Remaining", "8", "X-RateLimit-Reset", "0", "Date", time.Unix(0, 0).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")), accept)
		if _, err := newClient(t, rt).Do(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		if len(g.told) > 4 {
			g.told[4].RateLimit.Reset = time.Time{} // a moment of the bubble
		}
		want := []transport.Feedback{
			{Status: 429, RetryAfter: 9 * time.Second}, {}, {Status: 503}, {Status: 200}, {Status: 423, RateLimit: transport.RateLimit{Limit: 9, Remaining: 8}}, {Status: 201},
		}
		if diff := cmp.Diff(want, g.told); diff != "" {
			t.Errorf("Feedback (-want +got):\n%s", diff)
		}
		if g.asked != len(want) {
			t.Errorf("asked %d times for %d attempts", g.asked, len(want))
		}
	})
}

// TestFeedbackForEveryWait shows that a limiter can count on its feedback however a call ends.
func TestFeedbackForEveryWait(t *testing.T) {
	t.Parallel()
	refusal := errors.New("not today")
	tests := []struct {
		name string
		wait func(context.Context) error
		step step
		want []transport.Feedback
		is   error
	}{
		{"the limiter refuses", func(context.Context) error { return refusal }, accept, nil, refusal},
		{"cancelled while it waits", forDuration(time.Minute), accept, nil, context.Canceled},
		{"cancelled while it waits and does not look", func(context.Context) error { <-time.After(time.Minute); return nil }, accept, []transport.Feedback{{}}, context.Canceled},
		{"cancelled in flight", nil, hang, []transport.Feedback{{}}, context.Canceled},
		{"refused", nil, answer(400, ""), []transport.Feedback{{Status: 400}}, transport.ErrBadRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				g := &gate{wait: tt.wait}
				req := request(transport.RepeatSafe)
				req.Limiter = g
				_, err := newClient(t, following(tt.step)).Do(ctx, req)
				if !errors.Is(err, tt.is) {
					t.Errorf("error %v is not %v", err, tt.is)
				}
				if diff := cmp.Diff(tt.want, g.told); diff != "" || g.asked != 1 {
					t.Errorf("asked %d times; Feedback (-want +got):\n%s", g.asked, diff)
				}
			})
		})
	}
}

func TestLimiterRefusesARepeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refusal, asked := errors.New("not again"), 0
		req := request(transport.RepeatSafe)
		req.Limiter = limiterFunc(func(context.Context) error {
			if asked++; asked > 1 {
				return refusal
			}
			return nil
		})
		ans, err := newClient(t, following(answer(423, ""))).Do(t.Context(), req)
		if diff := cmp.Diff(result{transport.OutcomeRefused, 1, transport.ClassLocked, 423}, resultOf(t, ans, err)); diff != "" || !errors.Is(err, refusal) {
			t.Errorf("error %v, result (-want +got):\n%s", err, diff)
		}
	})
}

// limiterFunc has no Feedback, like the limiter of golang.org/x/time/rate.
type limiterFunc func(context.Context) error

func (f limiterFunc) Wait(ctx context.Context) error { return f(ctx) }

// perSecond is a limiter in the shape of golang.org/x/time/rate: it refuses a wait that the deadline would cut short.
type perSecond struct {
	mu   sync.Mutex
	next time.Time
}

func (l *perSecond) Wait(ctx context.Context) error {
	l.mu.Lock()
	at := l.next
	if now := time.Now(); at.Before(now) {
		at = now
	}
	l.next = at.Add(time.Second)
	l.mu.Unlock()
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(at) {
		return fmt.Errorf("rate: Wait(n=1) would exceed context deadline")
	}
	return forDuration(time.Until(at))(ctx)
}

func TestLimiterOfAnotherPackage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		limiter := &perSecond{}
		rt := following(answer(429, ""), accept)
		c := newClient(t, rt)
		req := request(transport.RepeatSafe)
		req.Limiter = limiter
		for range 3 {
			if _, err := c.Do(t.Context(), req); err != nil {
				t.Fatal(err)
			}
		}
		var got []time.Duration
		for _, r := range rt.seen() {
			got = append(got, r.At.Sub(started))
		}
		if diff := cmp.Diff([]time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second}, got); diff != "" {
			t.Errorf("attempts at (-want +got):\n%s", diff)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := c.Do(ctx, req)
		if transport.OutcomeOf(err) != transport.OutcomeUnsent || !contains(err, "the limiter refused") || time.Since(started) != 3*time.Second {
			t.Errorf("after %s: %v", time.Since(started), err)
		}
	})
}
