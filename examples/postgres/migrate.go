package postgres

import (
	"context"
	_ "embed" // for the schema
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

//go:embed schema.sql
var schema string

// schemaLock is the key of the advisory lock that lets one process at a time create the tables: CREATE TABLE IF NOT EXISTS fails where two run
// at once.
const schemaLock = 0x636f686f72746b

// Migrate creates the tables in the first schema of the pool's search_path, and does nothing where they exist. It may be called at every start, by
// many processes at once. The database must have the encoding UTF8; another one is an [*ledger.InvalidError].
func Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var encoding string
		err := tx.QueryRow(ctx, "SELECT current_setting('server_encoding') FROM (SELECT pg_advisory_xact_lock($1)) AS held", schemaLock).Scan(&encoding)
		if err != nil {
			return err
		}
		if encoding != "UTF8" {
			return &ledger.InvalidError{Field: "database", Problem: "has the encoding " + encoding, Next: "create one with UTF8, which keys and names need"}
		}
		_, err = tx.Exec(ctx, schema)
		return err
	})
	if invalid, ok := errors.AsType[*ledger.InvalidError](err); ok {
		return invalid
	}
	return failure("migrate", err)
}
