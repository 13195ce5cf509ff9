package postgres

import (
	"fmt"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// Option changes how a [Ledger] works. The order of options does not matter, but of one that is given twice the last counts.
type Option interface{ apply(*Ledger) error }

type optionFunc func(*Ledger) error

func (f optionFunc) apply(l *Ledger) error { return f(l) }

// The lease lengths that make sense, and how often a lease is renewed within one.
const (
	defaultLease = 6 * time.Minute
	shortest     = time.Second
	longest      = 24 * time.Hour
	beats        = 12
)

// WithLease sets how long after its last sign of life a session is taken for dead, from a second to a day. An open session renews its lease
// twelve times within that time, and with every write. A session whose Open was cut off just as it got the lease is taken for dead only then, too.
//
// Shorter means that another machine takes over sooner after a crash; a session that is closed leaves the lease at once. Too short is dangerous:
// the ledger refuses what a session that lost its lease records, but the endpoint accepts a request that such a session had begun before. So a
// request must be over, with all its repeats, before somebody else takes over. Begin renews the lease, so the default leaves 6 minutes from then
// on; the default transport.RetryPolicy takes up to 5 (8 attempts of 30 s, and 1 minute of waits) unless the endpoint asks for a longer wait.
func WithLease(d time.Duration) Option {
	return optionFunc(func(l *Ledger) error {
		if d < shortest || d > longest {
			return &ledger.InvalidError{Field: "WithLease", Problem: fmt.Sprintf("is out of range: %v", d), Next: "use 1s to 24h"}
		}
		l.lease = d
		return nil
	})
}
