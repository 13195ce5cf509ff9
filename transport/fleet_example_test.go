package transport_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/cohortkit/cohortkit/transport"
)

// store is what the machines share. With Redis, Incr is INCR, followed by EXPIRE when the answer is 1.
type store interface {
	Incr(ctx context.Context, key string, ttl time.Duration) (int64, error)
}

// fleet is a Limiter for several machines that draw on one limit, whichever of them has work: each second of the hour has a counter in the store. The
// Share lets the workspaces of this machine take turns and, since a fleet has its Feedback, hears of a 429.
type fleet struct {
	*transport.Share
	store     store
	key       string // of whoever is limited, such as "braze:EU-01"
	perSecond int64
}

// Wait takes a place in a second that has one left.
func (f fleet) Wait(ctx context.Context) error {
	if err := f.Share.Wait(ctx); err != nil {
		return err
	}
	for {
		second := time.Now().Truncate(time.Second)
		n, err := f.store.Incr(ctx, fmt.Sprint(f.key, ":", second.Unix()), time.Minute)
		if err != nil || n <= f.perSecond {
			return err
		}
		select {
		case <-time.After(time.Until(second.Add(time.Second))):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Machines that share one limit of 250,000 requests an hour: 69 in each second are 248,400 an hour, and no more than 248,469 in any hour. Where a fixed
// part for each machine will do, NewQuota alone is enough.
func Example_severalMachines() {
	redis := &memory{counts: make(map[string]int64)}
	for machine, workspaces := range [][]string{{"acme", "globex"}, {"initech"}} {
		endpoint, err := transport.ParseEndpoint("EU-01")
		if err != nil {
			fmt.Println(err)
			return
		}
		client, err := transport.New(endpoint, transport.WithHTTPClient(&http.Client{Transport: canned{status: http.StatusCreated, body: `{"message":"success"}`}}))
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, workspace := range workspaces {
			// A cohort.Importer takes it with cohort.WithLimiter.
			limiter := fleet{Share: client.Quota().Share(workspace), store: redis, key: "braze:EU-01", perSecond: 69}
			answer, err := client.Do(context.Background(), transport.Request{Operation: "cohort.name", Path: "/partners/tinyclues/cohorts", Body: []byte(`{}`), Limiter: limiter})
			fmt.Printf("machine %d, %s: %d %v\n", machine, workspace, answer.Status, err)
		}
	}
	fmt.Println("counted together:", redis.sum("braze:EU-01:"))
	// Output:
	// machine 0, acme: 201 <nil>
	// machine 0, globex: 201 <nil>
	// machine 1, initech: 201 <nil>
	// counted together: 3
}

// memory is a store within one process.
type memory struct {
	mu     sync.Mutex
	counts map[string]int64
}

func (m *memory) Incr(_ context.Context, key string, _ time.Duration) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[key]++
	return m.counts[key], nil
}

func (m *memory) sum(prefix string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	var sum int64
	for key, n := range m.counts {
		if strings.HasPrefix(key, prefix) {
			sum += n
		}
	}
	return sum
}
