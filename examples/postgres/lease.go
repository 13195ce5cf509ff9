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

// fence is the beginning of every statement by which a session writes. It renews the lease, and says in the same statement whether the session still
// has it: what follows writes the rows that come FROM fence, of which there are none after the lease has changed hands. There is no moment between the
// check and the write. Its row lock has a session that takes over wait until the write is done, and has a late write wait for
// whoever is taking over and then find the other epoch.
//
// Whether the lease has expired does not matter as long as nobody has taken over. The parameters are entry, epoch, lease in seconds, generation
// and watermark.
const fence = `WITH fence AS (
	UPDATE cohortkit_entry SET expires = clock_timestamp() + make_interval(secs => $3::float8),
		generation = greatest(generation, $4::bigint), watermark = greatest(watermark, $5::bigint)
	WHERE entry = $1 AND epoch = $2 RETURNING entry
)`

// lease is the right to write to an entry, as the database granted it.
type lease struct {
	key          ledger.Key
	entry, epoch int64
	header       ledger.Header
}

// take takes the lease on an entry, or returns a [*ledger.HeldError].
func (l *Ledger) take(ctx context.Context, key ledger.Key) (lease, error) {
	taken := lease{key: key}
	digest := digestOfKey(key)
	for {
		// Its row exists from here on, whoever made it.
		_, err := l.pool.Exec(ctx, `INSERT INTO cohortkit_entry (key, endpoint, partner, workspace, cohort_id, epoch, holder, since, expires)
			SELECT $1, $2, $3, $4, $5, 0, '', '-infinity', '-infinity' WHERE NOT EXISTS (SELECT FROM cohortkit_entry WHERE key = $1)
			ON CONFLICT (key) DO NOTHING`, digest, key.Endpoint, key.Partner, key.Workspace, key.CohortID)
		if err != nil {
			return lease{}, failure("open", err)
		}
		taken.header, err = scanHeader(l.pool.QueryRow(ctx, `WITH e AS (
				UPDATE cohortkit_entry SET epoch = epoch + 1, holder = $2, since = clock_timestamp(), expires = clock_timestamp() + make_interval(secs => $3::float8)
				WHERE key = $1 AND expires <= clock_timestamp() RETURNING entry, epoch, generation
			)
			SELECT e.entry, e.epoch, `+headerColumns+` FROM e LEFT JOIN cohortkit_header AS h USING (entry)`,
			digest, holder(), l.lease.Seconds()), &taken.entry, &taken.epoch)
		if err == nil {
			return taken, nil
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
}

// holder says who we are, to those who find the entry held.
func holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("process %d on host %s", os.Getpid(), host)
}

// release gives the lease back, if it is still ours. The epoch goes up here too: a write that is still on its way comes too late.
func (l *Ledger) release(ctx context.Context, taken lease) error {
	_, err := l.pool.Exec(ctx, `UPDATE cohortkit_entry SET epoch = epoch + 1, holder = '', expires = '-infinity' WHERE entry = $1 AND epoch = $2`,
		taken.entry, taken.epoch)
	return err
}
