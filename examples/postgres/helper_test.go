//go:build postgres

package postgres_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/examples/postgres"
	"github.com/cohortkit/cohortkit/identity"
)

var schemas atomic.Int64

// newSchema makes an empty schema, which lasts as long as the test, and returns its name.
func newSchema(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("cohortkit_test_%d_%d", os.Getpid(), schemas.Add(1))
	if err := execute(tb.Context(), "CREATE SCHEMA "+name); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := execute(context.WithoutCancel(tb.Context()), "DROP SCHEMA "+name+" CASCADE"); err != nil {
			tb.Error(err)
		}
	})
	return name
}

// newPool returns a pool of a few connections, whose tables are in the schema.
func newPool(tb testing.TB, schema string) *pgxpool.Pool {
	tb.Helper()
	config, err := pgxpool.ParseConfig(database)
	if err != nil {
		tb.Fatal(err)
	}
	config.MaxConns = 4
	config.ConnConfig.RuntimeParams["search_path"], config.ConnConfig.RuntimeParams["application_name"] = schema, schema
	pool, err := pgxpool.NewWithConfig(tb.Context(), config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	return pool
}

// migrated returns a pool on new tables.
func migrated(tb testing.TB) *pgxpool.Pool {
	tb.Helper()
	pool := newPool(tb, newSchema(tb))
	if err := postgres.Migrate(tb.Context(), pool); err != nil {
		tb.Fatal(err)
	}
	return pool
}

func newLedger(tb testing.TB, pool *pgxpool.Pool, opts ...postgres.Option) *postgres.Ledger {
	tb.Helper()
	l, err := postgres.New(pool, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func key(cohort string) ledger.Key {
	return ledger.Key{Endpoint: "https://rest.fra-01.braze.eu", Partner: "tinyclues", Workspace: "acme", CohortID: cohort}
}

func open(tb testing.TB, l ledger.Ledger, k ledger.Key) ledger.Session {
	tb.Helper()
	s, err := l.Open(tb.Context(), k)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// people are members of these external IDs, as they are before.
func people(state ledger.State, ids ...string) []ledger.Member {
	list := make([]ledger.Member, 0, len(ids))
	for _, id := range ids {
		list = append(list, ledger.Member{ID: identity.ExternalID(id), State: state})
	}
	return list
}

// fill adds people as an acknowledged request does.
func fill(tb testing.TB, s ledger.Session, ids ...string) {
	tb.Helper()
	intent, err := s.Begin(tb.Context(), nil, people(ledger.Out, ids...))
	if err == nil {
		err = s.Settle(intent, ledger.Accepted)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// states reads the members of a session.
func states(tb testing.TB, s ledger.Session) map[string]ledger.State {
	tb.Helper()
	got := map[string]ledger.State{}
	for m, err := range s.Members(tb.Context()) {
		if err != nil {
			tb.Fatal(err)
		}
		got[m.ID.Value()] = m.State
	}
	return got
}

// await returns when a query of one boolean says so. The server waits, and its clock counts.
func await(tb testing.TB, pool *pgxpool.Pool, query string) {
	tb.Helper()
	for {
		var is bool
		if err := pool.QueryRow(tb.Context(), "SELECT ("+query+") FROM (SELECT pg_sleep(0.02)) AS waited").Scan(&is); err != nil {
			tb.Fatalf("while waiting for %s: %v", query, err)
		}
		if is {
			return
		}
	}
}

// blocked is a query that says whether a write of this test waits for a lock.
const blocked = `SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'WITH fence%'
	AND application_name = current_setting('application_name')`

// lockEntries takes a lock on all entries, so that no session can write, until the function that it returns is called.
func lockEntries(tb testing.TB, pool *pgxpool.Pool, statement string) (commit func()) {
	tb.Helper()
	tx, err := pool.Begin(tb.Context())
	if err == nil {
		_, err = tx.Exec(tb.Context(), statement)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return func() {
		tb.Helper()
		if err := tx.Commit(tb.Context()); err != nil {
			tb.Fatal(err)
		}
	}
}
