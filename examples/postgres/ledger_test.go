//go:build postgres

package postgres_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/cohort/ledger/ledgertest"
	"github.com/cohortkit/cohortkit/examples/postgres"
)

var histories = flag.Int("histories", 3, "how many random histories TestHistories plays")

// fresh returns a store in a schema of its own.
func fresh(tb testing.TB) ledgertest.Store {
	tb.Helper()
	pool := migrated(tb)
	return ledgertest.Store{
		Open:   func() (ledger.Ledger, error) { return postgres.New(pool) },
		Expire: func(ctx context.Context, k ledger.Key) error { return expire(ctx, pool, k) },
	}
}

// expire has the lease of an entry end now, as if its session had been silent for long.
func expire(ctx context.Context, pool *pgxpool.Pool, k ledger.Key) error {
	_, err := pool.Exec(ctx, "UPDATE cohortkit_entry SET expires = '-infinity' WHERE workspace = $1 AND cohort_id = $2", k.Workspace, k.CohortID)
	return err
}

func TestContract(t *testing.T) {
	t.Parallel()
	ledgertest.Run(t, fresh)
}

func TestHistories(t *testing.T) {
	t.Parallel()
	ledgertest.Histories(t, fresh, rand.Uint64(), *histories)
}
