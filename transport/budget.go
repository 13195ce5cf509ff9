package transport

import (
	"math"
	"sync/atomic"
)

// A repeat costs repeatCost of the budget's units and a success refunds one unit, hence ten successes pay for a repeat.
const repeatCost = 10

// budget is the number of repeats that a Client still grants to an endpoint in trouble.
type budget struct {
	left atomic.Int64
	full int64
}

func newBudget(repeats int) *budget {
	b := &budget{full: min(int64(repeats), math.MaxInt64/repeatCost) * repeatCost}
	b.left.Store(b.full)
	return b
}

// spend takes one repeat and reports whether there was one left.
func (b *budget) spend() bool {
	for {
		left := b.left.Load()
		if left < repeatCost {
			return false
		}
		if b.left.CompareAndSwap(left, left-repeatCost) {
			return true
		}
	}
}

// refund notes a success.
func (b *budget) refund() {
	for {
		left := b.left.Load()
		if left >= b.full || b.left.CompareAndSwap(left, left+1) {
			return
		}
	}
}
