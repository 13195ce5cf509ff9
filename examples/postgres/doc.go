// Package postgres keeps the ledger of package cohort in PostgreSQL, for a service that runs on several machines. Where one machine does the exports,
// [ledger.OpenDir] needs no database and is more than ten times as fast.
//
// It is an example to copy and to change: a backend that a service can rely on, and a model of how to write another one.
//
//	pool, err := pgxpool.New(ctx, "postgres://…")
//	err = postgres.Migrate(ctx, pool)
//	state, err := postgres.New(pool)
//	syncer, err := cohort.NewSyncer(importer, state)
//
// # Tables
//
// [Migrate] makes four tables, whose names begin with cohortkit_, in the first schema of the connection's search_path; schema.sql says what each
// column means. A member takes about 140 bytes with its index, and twice that after a first sync, until vacuum has made the room of dead rows
// free for others. While a cohort is compared there is a table with the wanted besides, and then one with the difference until the session is closed,
// so the role needs the right to create tables in that schema.
//
// A member is found by the first 16 bytes of the SHA-256 of identity.ID.Encode:
//
//	SELECT e.workspace, e.cohort_id, m.state FROM cohortkit_member AS m JOIN cohortkit_entry AS e USING (entry)
//	WHERE m.digest = encode(substring(sha256('e:u-17') FOR 16), 'hex')::uuid
//
// Writing to the tables by hand makes the ledger say what was never sent.
//
// # Durable before it leaves
//
// Begin returns when the database has committed, and only then does the request leave. So the database must keep what it has committed: a role
// with synchronous_commit = off is refused. A standby that lags behind has forgotten the newest intents when it takes over, and what had left by
// then is in the cohort, or out of it, for ever and without a record. Replicate synchronously, or fill new cohorts after such a failover.
//
// # Leases and the fence
//
// An entry has one session at a time. Its row names the holder, an epoch that goes up whenever the lease changes hands, and when the lease runs
// out, by the clock of the database alone. A session renews it with every write and, as long as it is open, twelve times within the length that
// [WithLease] sets. Whoever finds the entry held gets a [*ledger.HeldError]; once the lease has run out, the next one takes over.
//
// The session that was taken for dead may come back to life. That is why each of its writes is one statement, which first updates this row if
// it still has the epoch of the session, and writes nothing otherwise: the session answers [ledger.ErrLeaseLost]. The constant fence says
// more. Whoever has waited for the row has to see what became of it, so a role whose transactions are not READ COMMITTED is refused. The
// database can fence itself; it cannot fence the endpoint, which knows no epochs. A request that was begun before the lease was lost may still
// arrive afterwards: see WithLease.
//
// Advisory locks would be shorter to write, and wrong here. One that belongs to a session of the database is lost without a word when its connection
// breaks, while the process goes on writing through another one of the pool; behind a pgbouncer that pools transactions it belongs to nobody in
// particular; and each open entry would take a connection. One that belongs to a transaction would keep that open for as long as a sync takes, which
// holds back vacuum.
//
// # Connections
//
// A session holds no connection between its calls, nor while it waits for the source of a comparison or for whoever reads its result. One is
// enough for any number of sessions, and one more for a source that reads from the same pool; three or four keep a busy service going. A pgbouncer in
// transaction mode may be in between, if it carries prepared statements (max_prepared_statements, since 1.21) or the pool does without
// (pgx.QueryExecModeCacheDescribe).
//
// # Errors
//
// What the database answers is a [*DatabaseError], with a code and without the message, which may quote a row; the server's own log has it, and is as
// much in need of protection as the tables. After an error of a write the session records nothing more: close it and open the entry again.
// Nothing is half recorded.
package postgres
