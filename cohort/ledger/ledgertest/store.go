package ledgertest

import (
	"context"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// Store is an empty store that a subtest has for itself.
type Store struct {
	// Open opens the store: each call returns a Ledger on the same entries, as another process would. It is required. A subtest may call it some
	// hundred times and have up to 40 sessions open at once. All sessions are closed at the end of the subtest; whatever else Open or fresh opens is
	// closed by a tb.Cleanup of theirs, which runs after that.
	Open func() (ledger.Ledger, error)
	// Expire ends the lease of the session that has the entry open, as when its process hangs for too long or its connection breaks, without
	// a word to the session: afterwards another session can be opened. Leave it nil if a lease ends with its session or its process alone,
	// as those of [ledger.Memory] and [ledger.Dir] do; the log says then that nothing was looked at.
	Expire func(ctx context.Context, key ledger.Key) error
}
