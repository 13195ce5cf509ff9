package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// stampColumns are stamps as a statement takes them.
type stampColumns struct {
	intents []int64
	members []digest
	ats     []int64
	leaves  []bool
}

func (c *stampColumns) add(intent ledger.Intent, stamps []ledger.Stamp) {
	for _, s := range stamps {
		c.intents = append(c.intents, int64(intent))
		c.members = append(c.members, s.Member)
		c.ats = append(c.ats, s.At)
		c.leaves = append(c.leaves, s.Leave)
	}
}

// Stamps returns what is known of the times of events. See [ledger.Timekeeper].
func (s *session) Stamps(ctx context.Context) (int64, []ledger.Stamp, error) {
	if err := s.settled(ctx); err != nil {
		return 0, nil, failure("stamps", err)
	}
	var watermark int64
	if err := s.ledger.pool.QueryRow(ctx, "SELECT watermark FROM cohortkit_entry WHERE entry = $1", s.lease.entry).Scan(&watermark); err != nil {
		return 0, nil, failure("stamps", err)
	}
	rows, err := s.ledger.pool.Query(ctx, `SELECT DISTINCT ON (member) member, at, leave, sure FROM cohortkit_stamp
		WHERE entry = $1 AND at > $2 ORDER BY member, at DESC, leave DESC, sure DESC`, s.lease.entry, watermark)
	if err != nil {
		return 0, nil, failure("stamps", err)
	}
	stamps, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ledger.Stamp])
	return watermark, stamps, failure("stamps", err)
}

// Tidy forgets the stamps that are of no use any more. See [ledger.Timekeeper].
func (s *session) Tidy(ctx context.Context) error {
	err := s.settled(ctx)
	if err == nil {
		err = s.tidy(ctx)
	}
	return failure("tidy", err)
}

// tidyStamps deletes the stamps up to the watermark, and of each member those that are covered by a newer one, whose intent cannot be refused any
// more. These are two conditions of two deletions: joined by OR they would have the database look through all stamps for each of them.
const tidyStamps = fence + `,
passed AS (
	DELETE FROM cohortkit_stamp AS s USING fence, cohortkit_entry AS e WHERE s.entry = fence.entry AND e.entry = fence.entry AND s.at <= e.watermark
), covered AS (
	DELETE FROM cohortkit_stamp AS s USING fence WHERE s.entry = fence.entry AND EXISTS (
		SELECT FROM cohortkit_stamp AS n WHERE n.entry = s.entry AND n.member = s.member
			AND (n.at, n.leave, n.sure, n.epoch, n.intent) > (s.at, s.leave, s.sure, s.epoch, s.intent)
			AND NOT (n.epoch = $2 AND n.intent = ANY($6::bigint[]))
	)
)
SELECT FROM fence`

func (s *session) tidy(ctx context.Context) error {
	s.mu.Lock()
	open := make([]int64, 0, len(s.open))
	for n := range s.open {
		open = append(open, int64(n))
	}
	s.mu.Unlock()
	return s.fenced(ctx, 0, tidyStamps, open)
}
