package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// The parts of a difference, as the column part numbers them.
const (
	removals = iota + 1
	adds
	repeats
)

// A comparison works in two tables of its own, named by entry and epoch so that two sessions never meet in one. They are unlogged: after a crash
// nobody needs them, and a server empties them as it starts again, which is found out by counting. They are no temporary tables, since a
// connection would have to be kept for those as long as a source is read, which a pool, or a pgbouncer in front of it, cannot spare for everybody.
func (s *session) wantedTable() string {
	return fmt.Sprintf("cohortkit_wanted_%d_%d", s.lease.entry, s.lease.epoch)
}

func (s *session) changesTable() string {
	return fmt.Sprintf("cohortkit_changes_%d_%d", s.lease.entry, s.lease.epoch)
}

// sweep drops the tables of this session and of those before it on this entry, and returns an error if one of them stays. It leaves those of a
// later session alone, which has them if the lease was lost a moment ago.
func (s *session) sweep(ctx context.Context) error {
	rows, err := s.ledger.pool.Query(ctx, `SELECT relname FROM pg_class WHERE relkind = 'r' AND pg_table_is_visible(oid)
		AND relname ~ ('^cohortkit_(wanted|changes)_' || $1::bigint || '_[0-9]+$') AND substring(relname FROM '[0-9]+$')::numeric <= $2`,
		s.lease.entry, s.lease.epoch)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	return s.drop(ctx, tables...)
}

// drop drops tables. It does not wait for long where a session that is lost still reads its own.
func (s *session) drop(ctx context.Context, tables ...string) error {
	var errs []error
	for _, table := range tables {
		errs = append(errs, pgx.BeginFunc(ctx, s.ledger.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '1s'"); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "DROP TABLE IF EXISTS "+table)
			return err
		}))
	}
	return errors.Join(errs...)
}

// Compare holds the members against the wanted. See [ledger.Session].
func (s *session) Compare(ctx context.Context, wanted iter.Seq2[ledger.Wanted, error]) (*ledger.Difference, error) {
	if err := s.settled(ctx); err != nil {
		return nil, failure("compare", err)
	}
	if err := s.stage(ctx); err != nil {
		return nil, failure("compare", err)
	}
	c := copier{pool: s.ledger.pool, table: s.wantedTable()}
	for w, err := range wanted {
		if err != nil {
			return nil, err
		}
		if err := c.add(ctx, w); err != nil {
			return nil, failure("compare", s.swept(err))
		}
	}
	// A source may simply end when the context does. What it did not yield is not unwanted.
	if err := ctx.Err(); err != nil {
		return nil, failure("compare", err)
	}
	if err := c.flush(ctx); err != nil {
		return nil, failure("compare", s.swept(err))
	}
	d, err := s.difference(ctx, &c)
	return d, failure("compare", s.swept(err))
}

// stage makes an empty table for the wanted, with a row for each time somebody is wanted, and one more, without id, for each other identifier of
// theirs.
func (s *session) stage(ctx context.Context) error {
	_ = s.sweep(ctx) // what stays, the next one drops
	s.staged = true
	_, err := s.ledger.pool.Exec(ctx, "CREATE UNLOGGED TABLE "+s.wantedTable()+
		" (digest uuid NOT NULL, id bytea, other uuid) WITH (autovacuum_enabled = false)")
	return err
}

// compare has the database hold the members against the wanted in one pass, and keep whoever is on one side alone or Unknown. A table cannot be made
// by a statement with parameters.
const compare = `CREATE UNLOGGED TABLE %[2]s WITH (autovacuum_enabled = false) AS
WITH changed AS MATERIALIZED (
	SELECT DISTINCT ON (digest) coalesce(m.digest, w.digest) AS digest, coalesce(m.id, w.id) AS id, coalesce(m.state, 0) AS state,
		w.digest IS NOT NULL AS wanted
	FROM (SELECT digest, id, state FROM cohortkit_member WHERE entry = %[3]d) AS m FULL JOIN %[1]s AS w ON w.digest = m.digest
	WHERE m.digest IS NULL OR w.digest IS NULL OR m.state = 2
	ORDER BY digest, w.id IS NULL
)
SELECT CASE WHEN NOT wanted THEN 1 WHEN state = 0 THEN 2 ELSE 3 END::smallint AS part, digest, id, state FROM changed`

// compareOthers adds those who are In and of whom somebody to be removed is another identifier.
const compareOthers = `
UNION ALL
SELECT 3, m.digest, m.id, m.state FROM cohortkit_member AS m
WHERE m.entry = %[3]d AND m.state = 1 AND m.digest IN (SELECT w.digest FROM %[1]s AS w JOIN changed AS c ON c.digest = w.other WHERE NOT c.wanted)`

// difference compares what is staged with the members, and keeps what is to be changed.
func (s *session) difference(ctx context.Context, c *copier) (*ledger.Difference, error) {
	statement := compare
	if c.others > 0 {
		statement += compareOthers
	}
	d := &ledger.Difference{}
	err := pgx.BeginTxFunc(ctx, s.ledger.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		var staged int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM "+s.wantedTable(), pgx.QueryExecModeExec).Scan(&staged); err != nil {
			return err
		}
		if staged != c.wanted+c.others {
			return ErrComparisonLost
		}
		for _, statement := range [...]string{
			"SET LOCAL work_mem = '64MB'", // for a hash of one side; what is more goes to the disk
			"SET LOCAL jit = off",         // compiling takes longer than it saves
			fmt.Sprintf(statement, s.wantedTable(), s.changesTable(), s.lease.entry),
			"DROP TABLE " + s.wantedTable(),
			"CREATE INDEX ON " + s.changesTable() + " (part, digest)",
			"ANALYZE " + s.changesTable(), // or its pages are sorted one by one
		} {
			if _, err := tx.Exec(ctx, statement, pgx.QueryExecModeExec); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM cohortkit_member WHERE entry = $1),
			count(*) FILTER (WHERE part = 1), count(*) FILTER (WHERE part = 2), count(*) FILTER (WHERE part = 3) FROM `+s.changesTable(),
			pgx.QueryExecModeExec, s.lease.entry).Scan(&d.Members, &d.Removals.Count, &d.Adds.Count, &d.Repeats.Count)
	})
	if err != nil {
		return nil, err
	}
	stay := d.Members - d.Removals.Count
	d.Kept, d.Duplicate = stay-d.Repeats.Count, c.wanted-d.Adds.Count-stay
	d.Removals.Members = s.part(ctx, removals, d.Removals.Count)
	d.Adds.Members = s.part(ctx, adds, d.Adds.Count)
	d.Repeats.Members = s.part(ctx, repeats, d.Repeats.Count)
	return d, nil
}

// part returns the members of one part, of whom there are so many.
func (s *session) part(ctx context.Context, part int16, count int) iter.Seq2[ledger.Member, error] {
	return func(yield func(ledger.Member, error) bool) {
		if err := s.broken(); err != nil {
			yield(ledger.Member{}, failure("difference", err))
			return
		}
		missing := count
		query := "SELECT digest, id, state FROM " + s.changesTable() + " WHERE digest > $1 AND part = $3 ORDER BY digest LIMIT $2"
		for m, err := range s.pages(ctx, "difference", query, part) {
			missing--
			if !yield(m, err) || err != nil {
				return
			}
		}
		if missing != 0 {
			yield(ledger.Member{}, ErrComparisonLost)
		}
	}
}
