package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// fence is the beginning of every statement by which a session writes. It renews the lease, and says in the same statement whether the
// session still has it: what follows writes the rows that come FROM fence, of which there are none after the lease has changed hands. There is
// no moment between the check and the write. Its row lock has a session that takes over wait until the write is done, and has a late write wait
// for whoever is taking over and then find the other epoch.
//
// Whether the lease has expired does not matter as long as nobody has taken over. The parameters are entry, epoch, lease in seconds, generation
// and watermark.
const fence = `WITH fence AS (
	UPDATE cohortkit_entry SET expires = clock_timestamp() + make_interval(secs => $3::float8),
		generation = greatest(generation, $4::bigint), watermark = greatest(watermark, $5::bigint)
	WHERE entry = $1 AND epoch = $2 RETURNING entry
)`

// nextEpoch is an epoch that was never given out: more than the last one, and more than the microseconds since 1970, so that a standby that had
// not yet heard of the last one when it took over does not give it out again.
const nextEpoch = "greatest(epoch + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)"

// lease is the right to write to an entry, as the database granted it.
type lease struct {
	entry, epoch int64
	header       ledger.Header
}

// take takes the lease on an entry, or returns a [*ledger.HeldError].
func (l *Ledger) take(ctx context.Context, key ledger.Key) (lease, error) {
	var taken lease
	digest := digestOfKey(key)
	for {
		if err := l.prepare(ctx, key, digest); err != nil {
			return lease{}, err
		}
		err := l.pool.QueryRow(ctx, `UPDATE cohortkit_entry
			SET epoch = `+nextEpoch+`, holder = $2, since = clock_timestamp(), expires = clock_timestamp() + make_interval(secs => $3::float8)
			WHERE key = $1 AND expires <= clock_timestamp() RETURNING entry, epoch`, digest, holder(), l.lease.Seconds()).Scan(&taken.entry, &taken.epoch)
		if err == nil {
			break
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return lease{}, failure("open", err)
		}
		var who string
		var since time.Time
		err = l.pool.QueryRow(ctx, "SELECT holder, since FROM cohortkit_entry WHERE key = $1 AND expires > clock_timestamp()", digest).Scan(&who, &since)
		if err == nil {
			return lease{}, &ledger.HeldError{Key: key, Holder: who + " since " + since.UTC().Format(time.RFC3339)}
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return lease{}, failure("open", err)
		}
		// Whoever had it has just left.
	}
	// Not in one statement with the above: that one sees the tables as they were when it began, which may be before the last write of the
	// former session, for whose row it has waited.
	var err error
	taken.header, err = scanHeader(l.pool.QueryRow(ctx, "SELECT "+headerColumns+` FROM cohortkit_entry AS e LEFT JOIN cohortkit_header AS h USING (entry)
		WHERE e.entry = $1`, taken.entry))
	if err != nil {
		_ = l.release(taken)
		return lease{}, failure("open", err)
	}
	return taken, nil
}

// prepare makes the row of an entry if there is none. It also sees to it that what the database says is done is durable, for that is what
// a session promises before a request leaves, and that whoever has waited for a row finds what it is then, for that is what the fence needs.
func (l *Ledger) prepare(ctx context.Context, key ledger.Key, digest digest) error {
	var commit, isolation string
	err := l.pool.QueryRow(ctx, `WITH made AS (
			INSERT INTO cohortkit_entry (key, endpoint, partner, workspace, cohort_id, epoch, holder, since, expires)
			SELECT $1, $2, $3, $4, $5, 0, '', '-infinity', '-infinity' WHERE NOT EXISTS (SELECT FROM cohortkit_entry WHERE key = $1)
			ON CONFLICT (key) DO NOTHING
		)
		SELECT current_setting('synchronous_commit'), current_setting('transaction_isolation')`,
		digest, key.Endpoint, key.Partner, key.Workspace, key.CohortID).Scan(&commit, &isolation)
	switch {
	case err != nil:
		return failure("open", err)
	case commit == "off":
		return &ledger.InvalidError{
			Field: "pool", Problem: "has connections with synchronous_commit = off, so that the newest records are gone when the server crashes",
			Next: "leave the setting on for the ledger's role",
		}
	case isolation == "repeatable read" || isolation == "serializable":
		return &ledger.InvalidError{
			Field: "pool", Problem: "has connections with default_transaction_isolation = " + isolation + ", where of two who come for one entry both fail",
			Next: "leave the setting at read committed for the ledger's role",
		}
	default:
		return nil
	}
}

// holder says who we are, to those who find the entry held.
func holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("process %d on host %s", os.Getpid(), host)
}

// release gives the lease back, if it is still ours; if that fails, it runs out. The epoch goes up here too: a write that is still on its way comes
// too late.
func (l *Ledger) release(taken lease) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := l.pool.Exec(ctx, `UPDATE cohortkit_entry SET epoch = `+nextEpoch+`, holder = '', expires = '-infinity' WHERE entry = $1 AND epoch = $2`,
		taken.entry, taken.epoch)
	return err
}
