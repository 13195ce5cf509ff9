package transport

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkQuotaTurn measures one turn while so many workspaces wait: the first in line passes and lines up again. It takes as long for many as for few.
// The clock is the benchmark's own.
func BenchmarkQuotaTurn(b *testing.B) {
	for _, n := range []int{10, 100, 10_000} {
		b.Run(fmt.Sprint("workspaces=", n), func(b *testing.B) {
			q, err := NewQuota(CohortRequestsPerHour)
			if err != nil {
				b.Fatal(err)
			}
			q.mu.Lock()
			defer q.mu.Unlock()
			now := time.Now()
			for !q.earliest(now).After(now) { // whoever comes first passes at once
				q.pass(now)
			}
			names := make([]string, n)
			for i := range names {
				names[i] = fmt.Sprint("workspace ", i)
				q.enqueue(names[i], make(chan struct{}))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now = q.earliest(now)
				q.serve(now)
				q.enqueue(names[i%n], make(chan struct{}))
			}
			if q.waiting != n {
				b.Fatalf("%d wait, want %d", q.waiting, n)
			}
		})
	}
}
