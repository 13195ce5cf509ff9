package transport_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/transport"
)

var wholeDay = flag.Bool("day", false, "run TestQuotaBetweenWorkspaces for a day at the documented rate: some 18 million requests")

// turns counts who passed, and when.
type turns struct {
	started time.Time

	mu   sync.Mutex
	at   []time.Duration // after started
	each []float64       // of each workspace, since the last take
}

func (p *turns) note(workspace int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = append(p.at, time.Since(p.started))
	p.each[workspace]++
}

// take returns how often each workspace has passed, and begins anew.
func (p *turns) take() []float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	each := p.each
	p.each = make([]float64, len(each))
	return each
}

// TestQuotaBetweenWorkspaces has workspaces that always have something to send, with one to fourteen requests in flight each, and now and then a small
// import of two requests. Nobody's hour is ever overstepped, at least 99 % of it is used, all workspaces get the same, and the small import is done
// within a second of its fair time.
//
// Without the flag -day it is an hour and a quarter around the ends of two clock hours, at a tenth of the documented rate.
func TestQuotaBetweenWorkspaces(t *testing.T) {
	t.Parallel()
	const early = 10 * time.Minute // before a clock hour ends
	perHour, hours, length := transport.CohortRequestsPerHour/10, 1, early+65*time.Minute
	if *wholeDay {
		perHour, hours, length = transport.CohortRequestsPerHour, 23, 24*time.Hour
	}
	for _, n := range []int{1, 10, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				<-time.After(time.Hour - early)
				q := newQuota(t, perHour)
				p := &turns{started: time.Now(), each: make([]float64, n)}
				ctx, cancel := context.WithTimeout(t.Context(), length)
				defer cancel()
				var wg sync.WaitGroup
				for i := range n {
					share := q.Share(fmt.Sprint("workspace ", i))
					for range 1 + i%14 {
						wg.Go(func() {
							for share.Wait(ctx) == nil {
								p.note(i)
							}
						})
					}
				}

				turn := time.Hour / time.Duration(perHour) * time.Duration(n+1) // of each workspace, the small one too
				smallOnes := 0
				wg.Go(func() {
					random := rand.New(rand.NewPCG(3, uint64(n)))
					small := q.Share("small")
					for {
						if wait(ctx, time.Duration(random.Int64N(int64(20*time.Minute)))) != nil {
							return
						}
						const requests = 2 // its name, and its members
						began := time.Now()
						for range requests {
							if small.Wait(ctx) != nil {
								return
							}
							p.mu.Lock()
							p.at = append(p.at, time.Since(p.started))
							p.mu.Unlock()
						}
						smallOnes++
						if took := time.Since(began); took > requests*turn+time.Second {
							t.Errorf("a small import took %s, its fair time is %s", took, requests*turn)
						}
					}
				})
				intervals, least := 0, 1.0
				wg.Go(func() {
					for wait(ctx, max(time.Minute, 5*turn)) == nil {
						intervals++
						least = min(least, jain(p.take()))
					}
				})
				wg.Wait()

				if got := most(p.at, time.Hour, early); got > perHour {
					t.Errorf("%d requests within an hour, more than %d", got, perHour)
				}
				full := 0 // in whole clock hours
				for _, at := range p.at {
					if at >= early && at < early+time.Duration(hours)*time.Hour {
						full++
					}
				}
				used := float64(full) / float64(hours*perHour)
				t.Logf("%d requests; used %.3f %% of the limit; Jain's index at least %.4f in %d intervals; %d small imports", len(p.at), 100*used, least, intervals, smallOnes)
				if used < 0.99 {
					t.Errorf("used %.4f of the limit, want at least 0.99", used)
				}
				if least < 0.95 {
					t.Errorf("Jain's index is %.4f in some interval, want at least 0.95", least)
				}
				if intervals < 5 || smallOnes < 3 {
					t.Errorf("%d intervals and %d small imports are too few", intervals, smallOnes)
				}
			})
		})
	}
}

// TestSeveralMachines holds the example of that name to what it says: no second, and so no hour, has more than its number, and little of it is lost.
func TestSeveralMachines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const perSecond, length = 3, 65 * time.Minute
		redis := &memory{counts: make(map[string]int64)}
		p := &turns{started: time.Now(), each: make([]float64, 2)}
		ctx, cancel := context.WithTimeout(t.Context(), length)
		defer cancel()
		var wg sync.WaitGroup
		for machine := range 2 {
			q := newQuota(t, transport.CohortRequestsPerHour)
			for i := range 6 {
				limiter := fleet{Share: q.Share(fmt.Sprint(i)), store: redis, key: "test", perSecond: perSecond}
				wg.Go(func() {
					for limiter.Wait(ctx) == nil {
						p.note(machine)
					}
				})
			}
		}
		wg.Wait()
		if got, limit := most(p.at, time.Hour, time.Hour), perSecond*3601; got > limit {
			t.Errorf("%d requests within an hour, more than %d", got, limit)
		}
		if used := float64(len(p.at)) / (perSecond * length.Seconds()); used < 0.99 {
			t.Errorf("used %.4f of the limit", used)
		}
	})
}
