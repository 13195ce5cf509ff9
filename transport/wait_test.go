package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/transport"
)

// TestRetryAfter lets the first attempt be refused with a hint and measures when the second one comes.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const (
		backoff = -1 * time.Nanosecond // anything the policy would wait by itself
		never   = -2 * time.Nanosecond
	)
	longest := time.Duration(math.MaxInt64)
	in := func(d time.Duration, layout string) func(time.Time) []string {
		return func(now time.Time) []string {
			return []string{"Retry-After", now.UTC().Add(d).Format(layout)}
		}
	}
	is := func(headers ...string) func(time.Time) []string {
		return func(time.Time) []string { return headers }
	}
	window := func(remaining string, reset, skew time.Duration, date bool) func(time.Time) []string {
		return func(now time.Time) []string {
			h := []string{"X-RateLimit-Limit", "250000", "X-RateLimit-Remaining", remaining, "X-RateLimit-Reset", fmt.Sprint(now.Add(skew + reset).Unix())}
			if date {
				h = append(h, "Date", now.Add(skew).UTC().Format(http.TimeFormat))
			}
			return h
		}
	}
	tests := []struct {
		name    string
		headers func(now time.Time) []string
		wait    time.Duration
		asked   time.Duration // RetryAfter of the error, where the call ends
	}{
		{"none", is(), backoff, 0},
		{"zero", is("Retry-After", "0"), backoff, 0},
		{"three seconds", is("Retry-After", "3"), 3 * time.Second, 0},
		{"spaces", is("Retry-After", " 2 "), 2 * time.Second, 0},
		{"leading zeros", is("Retry-After", "0000000000000000000007"), 7 * time.Second, 0},
		{"an hour, the most that is obeyed", is("Retry-After", "3600"), time.Hour, 0},
		{"a second more", is("Retry-After", "3601"), never, 3601 * time.Second},
		{"a day", is("Retry-After", "86400"), never, 24 * time.Hour},
		{"the longest in seconds", is("Retry-After", "9223372036"), never, 9223372036 * time.Second},
		{"a little more", is("Retry-After", "9223372037"), never, longest},
		{"overflows a Duration to zero", is("Retry-After", "9223372036854775807"), never, longest},
		{"overflows a Duration to little", is("Retry-After", "10000000000"), never, longest},
		{"overflows a Duration to much", is("Retry-After", "99999999999"), never, longest},
		{"overflows every integer", is("Retry-After", "99999999999999999999999999"), never, longest},
		{"fraction", is("Retry-After", "1.5"), backoff, 0},
		{"negative", is("Retry-After", "-5"), backoff, 0},
		{"plus sign", is("Retry-After", "+5"), backoff, 0},
		{"unit", is("Retry-After", "5s"), backoff, 0},
		{"words", is("Retry-After", "soon"), backoff, 0},
		{"date of RFC 1123", in(90*time.Second, http.TimeFormat), 90 * time.Second, 0},
		{"date of RFC 850", in(90*time.Second, "Monday, 02-Jan-06 15:04:05 GMT"), 90 * time.Second, 0},
		{"date of asctime", in(90*time.Second, time.ANSIC), 90 * time.Second, 0},
		{"date in the past", in(-90*time.Second, http.TimeFormat), backoff, 0},
		{"date too far", in(2*time.Hour, http.TimeFormat), never, 2 * time.Hour},
		{"date of another age", is("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"), never, longest},
		{"date by the clock of a server that is late", func(now time.Time) []string {
			server := now.UTC().Add(-20 * time.Minute)
			return []string{"Retry-After", server.Add(time.Minute).Format(http.TimeFormat), "Date", server.Format(http.TimeFormat)}
		}, time.Minute, 0},
		{"date by the clock of a server that is early", func(now time.Time) []string {
			server := now.UTC().Add(20 * time.Minute)
			return []string{"Retry-After", server.Add(time.Minute).Format(http.TimeFormat), "Date", server.Format(http.TimeFormat)}
		}, time.Minute, 0},
		{"seconds do not care for the Date", is("Retry-After", "4", "Date", "Fri, 31 Dec 1999 23:59:59 GMT"), 4 * time.Second, 0},
		{"window exhausted", window("0", 5*time.Minute, 0, false), 5 * time.Minute, 0},
		{"window exhausted, by a late clock", window("0", 5*time.Minute, -time.Hour, true), 5 * time.Minute, 0},
		{"window exhausted, by an early clock", window("0", 5*time.Minute, time.Hour, true), 5 * time.Minute, 0},
		{"window exhausted for too long", window("0", 2*time.Hour, 0, false), never, 2 * time.Hour},
		{"window exhausted in the past", window("0", -5*time.Minute, 0, false), backoff, 0},
		{"window not exhausted", window("1", 5*time.Minute, 0, false), backoff, 0},
		{"window incomplete", is("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "99999999999"), backoff, 0},
		{"window absurd", is("X-RateLimit-Limit", "1", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "9223372036854775807"), backoff, 0},
		{"window negative", is("X-RateLimit-Limit", "1", "X-RateLimit-Remaining", "-1", "X-RateLimit-Reset", "99999999999"), backoff, 0},
		{"Retry-After before the window", func(now time.Time) []string {
			return append(window("0", 5*time.Minute, 0, false)(now), "Retry-After", "3")
		}, 3 * time.Second, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				started := time.Now()
				rt := following(answer(429, "", tt.headers(started)...), accept)
				ans, err := newClient(t, rt).Do(t.Context(), request(transport.RepeatSafe))
				took := time.Since(started)
				if tt.wait == never {
					if diff := cmp.Diff(result{transport.OutcomeRefused, 1, transport.ClassRateLimited, 429}, resultOf(t, ans, err)); diff != "" {
						t.Fatalf("result (-want +got):\n%s", diff)
					}
					api, _ := errors.AsType[*transport.APIError](err)
					if took != 0 || api.RetryAfter != tt.asked {
						t.Errorf("returned after %s with RetryAfter %s, want at once with %s", took, api.RetryAfter, tt.asked)
					}
					return
				}
				if diff := cmp.Diff(result{transport.OutcomeAccepted, 2, transport.ClassSuccess, 201}, resultOf(t, ans, err)); diff != "" {
					t.Fatalf("result (-want +got):\n%s", diff)
				}
				if tt.wait == backoff {
					if took < 250*time.Millisecond || took > 500*time.Millisecond {
						t.Errorf("waited %s, want a backoff of 250 to 500 ms", took)
					}
				} else if took != tt.wait {
					t.Errorf("waited %s, want %s", took, tt.wait)
				}
			})
		})
	}
}

// TestRetryAfterOfEveryClass shows that a hint is obeyed wherever there is a repeat, not after a 429 alone.
// TestClockSkew shows that an error tells how far the clocks are apart, as whole seconds have it.
func TestClockSkew(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		date func(now time.Time) string
		want time.Duration
	}{
		{"the same", func(now time.Time) string { return now.Format(http.TimeFormat) }, 0},
		{"behind", func(now time.Time) string { return now.Add(3 * time.Hour).Format(http.TimeFormat) }, 3 * time.Hour},
		{"ahead", func(now time.Time) string { return now.Add(-3 * time.Second).Format(http.TimeFormat) }, -3 * time.Second},
		{"no date", func(time.Time) string { return "" }, 0},
		{"another text", func(time.Time) string { return importKey }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(700 * time.Millisecond)
				_, err := newClient(t, following(answer(401, "", "Date", tt.date(time.Now().UTC())))).Do(t.Context(), request(transport.RepeatSafe))
				if api, ok := errors.AsType[*transport.APIError](err); !ok || api.ClockSkew != tt.want {
					t.Errorf("error %#v, want a skew of %v", api, tt.want)
				}
			})
		})
	}
}

func TestRetryAfterOfEveryClass(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 408, 423, 429, 500, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				started := time.Now()
				if _, err := newClient(t, following(answer(status, "", "Retry-After", "77"), accept)).Do(t.Context(), request(transport.RepeatSafe)); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(started); took != 77*time.Second {
					t.Errorf("waited %s", took)
				}
			})
		})
	}
}

func TestDeadlineBeforeTheWait(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		deadline time.Duration
		wait     string
		attempts int
	}{
		{"sooner", 5 * time.Second, "20", 1},
		{"the same moment", 20 * time.Second, "20", 1},
		{"later", 21 * time.Second, "20", 2},
	} {
		for _, bound := range []string{"Do", "Begin"} {
			t.Run(tt.name+" by "+bound, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					bounded, cancel := context.WithTimeout(t.Context(), tt.deadline)
					defer cancel()
					ctx, req := t.Context(), request(transport.RepeatSafe)
					if bound == "Do" {
						ctx = bounded
					} else {
						req.Begin = bounded
					}
					rt := following(answer(423, "", "Retry-After", tt.wait), answer(400, ""))
					started := time.Now()
					_, err := newClient(t, rt).Do(ctx, req)
					if got := len(rt.seen()); got != tt.attempts {
						t.Errorf("%d attempts, want %d", got, tt.attempts)
					}
					if tt.attempts > 1 {
						return
					}
					if took := time.Since(started); took != 0 {
						t.Errorf("returned after %s", took)
					}
					if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, transport.ErrLocked) || transport.OutcomeOf(err) != transport.OutcomeRefused {
						t.Errorf("error %v", err)
					}
				})
			})
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		policy transport.RetryPolicy
		bounds []time.Duration // upper bounds of the waits
	}{
		{"default", transport.RetryPolicy{}, []time.Duration{
			500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second,
		}},
		{"short", transport.RetryPolicy{MaxAttempts: 5, BaseDelay: time.Second, MaxDelay: 3 * time.Second}, []time.Duration{
			time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second,
		}},
		{"base above the most", transport.RetryPolicy{MaxAttempts: 3, BaseDelay: time.Minute, MaxDelay: time.Second}, []time.Duration{time.Second, time.Second}},
		{"a nanosecond", transport.RetryPolicy{MaxAttempts: 3, BaseDelay: 1, MaxDelay: 1}, []time.Duration{1, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				waits := make(map[time.Duration]bool)
				for range 50 {
					rt := following(answer(503, ""))
					c := newClient(t, rt, transport.WithRetryPolicy(tt.policy))
					if _, err := c.Do(t.Context(), request(transport.RepeatSafe)); err == nil {
						t.Fatal("accepted")
					}
					requests := rt.seen()
					if len(requests) != len(tt.bounds)+1 {
						t.Fatalf("%d attempts, want %d", len(requests), len(tt.bounds)+1)
					}
					for i, bound := range tt.bounds {
						wait := requests[i+1].At.Sub(requests[i].At)
						if wait < bound/2 || wait > bound {
							t.Errorf("wait %d is %s, want %s to %s", i+1, wait, bound/2, bound)
						}
						waits[wait] = true
					}
				}
				if len(waits) < 25 && tt.policy.BaseDelay != 1 {
					t.Errorf("50 calls waited only %d different times", len(waits))
				}
			})
		})
	}
}

// TestBackoffWithoutEnd has delays that double past the longest Duration.
func TestBackoffWithoutEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const long = 24 * time.Hour
		policy := transport.RetryPolicy{MaxAttempts: 60, MaxDelay: math.MaxInt64, AttemptTimeout: math.MaxInt64, MaxServerDelay: math.MaxInt64}
		ctx, cancel := context.WithTimeout(t.Context(), 1000*long)
		defer cancel()
		rt := following(answer(503, ""))
		_, err := newClient(t, rt, transport.WithRetryPolicy(policy)).Do(ctx, request(transport.RepeatSafe))
		if !errors.Is(err, context.DeadlineExceeded) || len(rt.seen()) < 20 || len(rt.seen()) > 40 {
			t.Errorf("%d attempts, error %v", len(rt.seen()), err)
		}
	})
}

func TestBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rt := following(answer(503, ""))
		c := newClient(t, rt, transport.WithRetryPolicy(transport.RetryPolicy{MaxAttempts: 4, Budget: 5}))
		do := func(repeat transport.Repeat) int {
			t.Helper()
			before := len(rt.seen())
			_, _ = c.Do(t.Context(), request(repeat))
			return len(rt.seen()) - before
		}
		follow := func(steps ...step) {
			rt.mu.Lock()
			defer rt.mu.Unlock()
			rt.steps, rt.requests = steps, nil
		}
		if got := []int{do(transport.RepeatSafe), do(transport.RepeatSafe), do(transport.RepeatSafe)}; !cmp.Equal(got, []int{4, 3, 1}) {
			t.Errorf("attempts %v, want 4, 3 and 1: five repeats in all", got)
		}
		_, err := c.Do(t.Context(), request(transport.RepeatSafe))
		if want := "not repeated because the Client's budget of repeats is used up"; err == nil || !errors.Is(err, transport.ErrUnavailable) || !contains(err, want) {
			t.Errorf("error %v does not say %q", err, want)
		}

		follow(answer(429, ""), answer(423, ""), accept)
		if got := do(transport.RepeatSafe); got != 3 {
			t.Errorf("repeats after 423 and 429 are free, but there were %d attempts", got)
		}
		// That success and nine more give back one repeat.
		follow(accept)
		for range 8 {
			do(transport.RepeatSafe)
		}
		follow(answer(503, ""))
		if got := do(transport.RepeatSafe); got != 1 {
			t.Errorf("%d attempts after nine successes", got)
		}
		follow(accept)
		do(transport.RepeatSafe)
		follow(answer(503, ""))
		if got := do(transport.RepeatSafe); got != 2 {
			t.Errorf("%d attempts after ten successes", got)
		}
		// However many successes there are, the budget never exceeds its size, and a repeat that it grants waits all the same.
		follow(accept)
		for range 1000 {
			do(transport.RepeatSafe)
		}
		follow(failWith(io.EOF))
		started := time.Now()
		if got := []int{do(transport.RepeatSafe), do(transport.RepeatSafe)}; !cmp.Equal(got, []int{4, 3}) {
			t.Errorf("attempts %v, want 4 and 3", got)
		}
		if took := time.Since(started); took < 2500*time.Millisecond {
			t.Errorf("five repeats took %s", took)
		}
	})
}

func TestBudgetOfEveryone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rt := following(answer(502, ""))
		c := newClient(t, rt, transport.WithRetryPolicy(transport.RetryPolicy{Budget: 20}))
		done := make(chan struct{})
		for range 100 {
			go func() {
				defer func() { done <- struct{}{} }()
				_, _ = c.Do(t.Context(), request(transport.RepeatSafe))
			}()
		}
		for range 100 {
			<-done
		}
		if got := len(rt.seen()); got != 120 {
			t.Errorf("100 calls made %d attempts, want 120", got)
		}
	})
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		policy transport.RetryPolicy
		want   string // part of the error, or nothing
	}{
		{"zero", transport.RetryPolicy{}, ""},
		{"no repeat", transport.NoRepeat(), ""},
		{"huge", transport.RetryPolicy{MaxAttempts: 1000, BaseDelay: math.MaxInt64, MaxDelay: math.MaxInt64, MaxServerDelay: math.MaxInt64, AttemptTimeout: math.MaxInt64, Budget: math.MaxInt}, ""},
		{"attempts below zero", transport.RetryPolicy{MaxAttempts: -1}, "MaxAttempts"},
		{"too many attempts", transport.RetryPolicy{MaxAttempts: 1001}, "MaxAttempts"},
		{"base", transport.RetryPolicy{BaseDelay: -1}, "BaseDelay"},
		{"most", transport.RetryPolicy{MaxDelay: -1}, "MaxDelay"},
		{"server", transport.RetryPolicy{MaxServerDelay: -1}, "MaxServerDelay"},
		{"attempt", transport.RetryPolicy{AttemptTimeout: -1}, "AttemptTimeout"},
		{"budget", transport.RetryPolicy{Budget: -1}, "Budget"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := transport.New(endpoint(t, "US-01"), transport.WithRetryPolicy(tt.policy))
			if (err != nil) != (tt.want != "") || !contains(err, tt.want) {
				t.Errorf("error %v, want one about %q", err, tt.want)
			}
		})
	}
}

func TestHugeBudgetGrants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, following(answer(503, ""), accept), transport.WithRetryPolicy(transport.RetryPolicy{Budget: math.MaxInt}))
		if _, err := c.Do(t.Context(), request(transport.RepeatSafe)); err != nil {
			t.Error(err)
		}
	})
}

func TestNoRepeat(t *testing.T) {
	t.Parallel()
	for _, s := range []step{answer(429, "", "Retry-After", "1"), answer(503, ""), failWith(io.EOF)} {
		rt := following(s)
		_, err := newClient(t, rt, transport.WithRetryPolicy(transport.NoRepeat())).Do(t.Context(), request(transport.RepeatSafe))
		if err == nil || len(rt.seen()) != 1 {
			t.Errorf("%d attempts, error %v", len(rt.seen()), err)
		}
	}
}

func TestAttemptTimeout(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		opts []transport.Option
		http *http.Client
		want time.Duration
	}{
		{"default", nil, &http.Client{}, 30 * time.Second},
		{"of the policy", []transport.Option{transport.WithRetryPolicy(transport.RetryPolicy{AttemptTimeout: 3 * time.Second})}, &http.Client{}, 3 * time.Second},
		{"of the HTTP client", nil, &http.Client{Timeout: 2 * time.Second}, 2 * time.Second},
		{"the shorter one", []transport.Option{transport.WithRetryPolicy(transport.RetryPolicy{AttemptTimeout: time.Second})}, &http.Client{Timeout: 2 * time.Second}, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tt.http.Transport = following(hang)
				c, err := transport.New(endpoint(t, "EU-01"), append(tt.opts, transport.WithHTTPClient(tt.http))...)
				if err != nil {
					t.Fatal(err)
				}
				started := time.Now()
				_, err = c.Do(t.Context(), request(transport.RepeatUnsent))
				if took := time.Since(started); took != tt.want || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("ended after %s with %v, want %s", took, err, tt.want)
				}
			})
		})
	}
}
