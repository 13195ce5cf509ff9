package ledgertest

import (
	"context"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// Store is an empty store for one subtest, which shares it with no other.
type Store struct {
	// Open opens the store: each call returns a Ledger on the same entries, as another process would. It is called some hundred times by some
	// subtests, which have up to 40 sessions open at once. What it opens ends with the test that the Store was made for, by tb.Cleanup; sessions are
	// closed before. It is required.
	Open func() (ledger.Ledger, error)
	// Expire ends the lease of the session that has the entry open, as when its process hangs for too long or its connection breaks, without
	// a word to the session: afterwards another session can be opened. Leave it nil if a lease ends with its session or its process alone,
	// as those of [ledger.Memory] and [ledger.Dir] do; the log says then that nothing was looked at.
	Expire func(ctx context.Context, key ledger.Key) error
}
