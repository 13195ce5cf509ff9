package transport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// ledger holds the moments of the last so many requests and knows whether an hour ever had more.
type ledger struct {
	limit int
	ring  []time.Duration
	total int
	hour  time.Duration // the latest clock hour
	in    int           // requests in it
}

func newLedger(limit int) *ledger {
	return &ledger{limit: limit, ring: make([]time.Duration, limit)}
}

// note counts a request and returns a fault where an hour, sliding or of the clock, has one too many.
func (l *ledger) note(at time.Duration) error {
	slot := l.total % l.limit
	if l.total >= l.limit && at-l.ring[slot] < time.Hour {
		return fmt.Errorf("%d requests within %s", l.limit+1, at-l.ring[slot])
	}
	l.ring[slot] = at
	l.total++
	if hour := at.Truncate(time.Hour); hour != l.hour {
		l.hour, l.in = hour, 0
	}
	if l.in++; l.in > l.limit {
		return fmt.Errorf("%d requests in the clock hour at %s", l.in, l.hour)
	}
	return nil
}

// TestQuotaOfADay steps a Quota through up to 24 hours of its own arithmetic: whoever waits passes when the timer of wake fires, late by up to
// so much. A day at the documented rate is six million requests, too many for goroutines.
func TestQuotaOfADay(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		perHour int
		hours   int
		late    time.Duration             // of timers, at most
		gap     func(i int) time.Duration // after request i, until there is work again
		used    float64                   // least share of the limit
	}{
		{"documented rate", CohortRequestsPerHour, longDay, 0, nil, 0.9998},
		{"timers late by 10 ms", CohortRequestsPerHour, shortDay, 10 * time.Millisecond, nil, 0.9998},
		{"timers late by 40 ms", CohortRequestsPerHour, shortDay, 40 * time.Millisecond, nil, 0.9998},
		{"idle for a second now and then", CohortRequestsPerHour, shortDay, 5 * time.Millisecond, func(i int) time.Duration {
			if i%997 == 0 {
				return time.Second
			}
			return 0
		}, 0.9},
		{"idle for minutes now and then", CohortRequestsPerHour, shortDay, 0, func(i int) time.Duration {
			if i%100_003 == 0 {
				return 7 * time.Minute
			}
			return 0
		}, 0.7},
		{"ten thousand", 10_000, 24, 100 * time.Millisecond, nil, 0.99},
		{"the smallest with a burst", 3200, 24, 0, nil, 0.99},
		{"the largest without a burst", 3199, 24, 0, nil, 0.99},
		{"a thousand", 1000, 24, 10 * time.Millisecond, nil, 0.99},
		{"a hundred", 100, 24, 0, nil, 0.95},
		{"two", 2, 24, 0, nil, 0.95},
		{"one", 1, 24, 0, nil, 0.95},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			q, err := NewQuota(tt.perHour)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
			seen := newLedger(tt.perHour)
			random := rand.New(rand.NewPCG(1, uint64(tt.perHour)))
			for now := start; ; {
				if at := q.earliest(now); at.After(now) {
					now = at
					if tt.late > 0 {
						now = now.Add(time.Duration(random.Int64N(int64(tt.late))))
					}
				}
				since := now.Sub(start)
				if since >= time.Duration(tt.hours)*time.Hour {
					break
				}
				q.pass(now)
				if err := seen.note(since); err != nil {
					t.Fatalf("after %d requests: %v", seen.total, err)
				}
				if tt.gap != nil {
					now = now.Add(tt.gap(seen.total))
				}
			}
			used := float64(seen.total) / float64(tt.hours*tt.perHour)
			t.Logf("used %.4f %% of the limit", 100*used)
			if used < tt.used {
				t.Errorf("used %.4f of the limit, want at least %.4f", used, tt.used)
			}
		})
	}
}

// TestQuotaParts lets several machines draw on one limit by their own parts of it. They start at any moment, their timers are late, and their processes are
// started anew as often as the reserve allows.
func TestQuotaParts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		perHour  int
		machines int
		restarts int     // of each machine, in every hour
		used     float64 // least share of the limit
	}{
		{"a quarter of the documented limit, restarted", CohortRequestsPerHour, 4, 7, 0.999},
		{"a quarter", 25_000, 4, 0, 0.99},
		{"alone, restarted", 25_000, 1, 7, 0.99},
		{"a third, which leaves one over", 25_000, 3, 0, 0.99},
		{"a seventh, which leaves three over", 25_000, 7, 7, 0.99},
		{"a tenth, which has no burst", 25_000, 10, 7, 0.99},
		{"the smallest with a burst", 4 * 3200, 4, 7, 0.98},
		{"the largest without a burst", 4 * 3199, 4, 14, 0.98},
		{"a hundred each", 1000, 10, 0, 0.98},
		{"seven each", 21, 3, 0, 0.98},
		{"one each", 5, 5, 0, 0.98},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(2, uint64(tt.perHour+tt.machines)))
			upTo := func(d time.Duration) time.Duration { return time.Duration(random.Int64N(int64(d))) }
			begin := func() *Quota {
				q, err := NewQuota(tt.perHour / tt.machines)
				if err != nil {
					t.Fatal(err)
				}
				return q
			}
			start := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
			const begins, ends = 50 * time.Minute, 3 * time.Hour // some 500,000 requests at the documented limit
			type machine struct {
				quota *Quota
				next  time.Time // the moment of its next request
				again time.Time // the moment of its next restart
			}
			// A restart comes once in every stretch.
			stretch := ends
			if tt.restarts > 0 {
				stretch = window / time.Duration(tt.restarts)
			}
			machines := make([]*machine, tt.machines)
			for i := range machines {
				at := start.Add(begins + upTo(20*time.Minute))
				machines[i] = &machine{quota: begin(), next: at, again: at.Add(stretch)}
			}
			seen, restarts, full := newLedger(tt.perHour), 0, 0
			for {
				m := slices.MinFunc(machines, func(a, b *machine) int { return a.next.Compare(b.next) })
				now := m.next
				since := now.Sub(start)
				if since >= ends {
					break
				}
				m.quota.pass(now)
				if err := seen.note(since); err != nil {
					t.Fatalf("after %d requests and %d restarts: %v", seen.total, restarts, err)
				}
				if since >= ends-window {
					full++
				}
				if !now.Before(m.again) {
					m.quota, m.again = begin(), m.again.Add(stretch)
					restarts++
				}
				m.next = later(now, m.quota.earliest(now)).Add(upTo(5 * time.Millisecond))
			}
			used := float64(full) / float64(tt.perHour)
			least := tt.restarts * tt.machines * 3 / 2
			t.Logf("used %.4f %% of the limit in the last hour, with %d restarts", 100*used, restarts)
			if used < tt.used || restarts < least {
				t.Errorf("used %.4f of the limit with %d restarts, want at least %.4f and %d", used, restarts, tt.used, least)
			}
		})
	}
}

func TestLedgerFindsFaults(t *testing.T) {
	t.Parallel()
	l := newLedger(2)
	for i, at := range []time.Duration{30 * time.Minute, 80 * time.Minute, 95 * time.Minute} {
		if err := l.note(at); err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if l.note(100*time.Minute) == nil {
		t.Error("three requests in 20 minutes pass")
	}
}

// TestQuotaTakesBack lets a waiter pass in the moment in which its context ends. The place that it was given is free again.
func TestQuotaTakesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, err := NewQuota(60)
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Share("first").Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- q.Share("second").Wait(ctx) }()
		synctest.Wait()

		q.mu.Lock()
		place, remaining, passed := q.next, q.remaining, q.passed
		cancel() // the waiter wakes up, and has to wait for the lock
		q.serve(place)
		q.mu.Unlock()

		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Wait = %v", err)
		}
		if !q.next.Equal(place) || q.remaining != remaining || q.passed != passed || q.turns.Len() != 0 || len(q.queues) != 0 || q.waiting != 0 {
			t.Errorf("next place %s, want %s; remaining %d, want %d; passed %d, want %d", q.next, place, q.remaining, remaining, q.passed, passed)
		}
	})
}
