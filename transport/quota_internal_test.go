package transport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// ledger holds the moments of the last so many requests and knows whether an hour ever had more.
type ledger struct {
	limit int
	ring  []time.Duration
	total int
	hours map[time.Duration]int
}

func newLedger(limit int) *ledger {
	return &ledger{limit: limit, ring: make([]time.Duration, limit), hours: make(map[time.Duration]int)}
}

// note counts a request and returns a fault where an hour, sliding or of the clock, has one too many.
func (l *ledger) note(at time.Duration) error {
	slot := l.total % l.limit
	if l.total >= l.limit && at-l.ring[slot] < time.Hour {
		return fmt.Errorf("%d requests within %s", l.limit+1, at-l.ring[slot])
	}
	l.ring[slot] = at
	l.total++
	hour := at.Truncate(time.Hour)
	if l.hours[hour]++; l.hours[hour] > l.limit {
		return fmt.Errorf("%d requests in the clock hour at %s", l.hours[hour], hour)
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
		{"timers late by 10 ms", CohortRequestsPerHour, 6, 10 * time.Millisecond, nil, 0.9998},
		{"timers late by 40 ms", CohortRequestsPerHour, 6, 40 * time.Millisecond, nil, 0.9998},
		{"idle for a second now and then", CohortRequestsPerHour, 6, 5 * time.Millisecond, func(i int) time.Duration {
			if i%997 == 0 {
				return time.Second
			}
			return 0
		}, 0.9},
		{"idle for minutes now and then", CohortRequestsPerHour, 6, 0, func(i int) time.Duration {
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
		place, remaining := q.next, q.remaining
		cancel() // the waiter wakes up, and has to wait for the lock
		q.serve(place)
		q.mu.Unlock()

		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Wait = %v", err)
		}
		if !q.next.Equal(place) || q.remaining != remaining || q.turns.Len() != 0 || len(q.queues) != 0 {
			t.Errorf("next place %s, want %s; remaining %d, want %d", q.next, place, q.remaining, remaining)
		}
	})
}
