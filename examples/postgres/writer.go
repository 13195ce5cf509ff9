package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// What is written at once, at most, and how much may wait without anybody waiting for it.
const (
	most      = 64      // records
	mostBytes = 8 << 20 // of identifiers, if there is more than one record
)

// writeBatch writes a batch in one statement: one round trip and one commit for whatever was recorded while the one before was on its way.
//
// The members that change are looked up one by one. As a join the same would be a scan of the whole table as long as its statistics are missing,
// which is so in the first minutes of a large cohort. That a row keeps its ctid in between is sure, since nobody else may change it.
//
// All parts see the rows as they were when the statement began, also if the fence has waited for a lock since. Whoever held the lock has taken
// over, and nothing is written, or is this session, as it renews the lease or tidies up. Nor does a part see what another one writes: batchOf sees
// to it that none needs to.
const writeBatch = fence + `,
out AS (
	DELETE FROM cohortkit_member WHERE ctid = ANY(ARRAY(
		SELECT (SELECT ctid FROM cohortkit_member AS m WHERE m.entry = fence.entry AND m.digest = c.digest) FROM fence, unnest($6::uuid[]) AS c (digest)))
), acknowledged AS (
	UPDATE cohortkit_member SET state = 1 WHERE ctid = ANY(ARRAY(
		SELECT (SELECT ctid FROM cohortkit_member AS m WHERE m.entry = fence.entry AND m.digest = c.digest) FROM fence, unnest($7::uuid[]) AS c (digest)))
), begun AS (
	INSERT INTO cohortkit_member AS m (entry, digest, id, state)
	SELECT fence.entry, c.digest, c.id, 2 FROM fence, unnest($8::uuid[], $9::bytea[]) AS c (digest, id)
	ON CONFLICT (entry, digest) DO UPDATE SET state = 2 WHERE m.state <> 2
), stamped AS (
	INSERT INTO cohortkit_stamp (entry, epoch, intent, member, at, leave, sure)
	SELECT fence.entry, $2, c.intent, c.member, c.at, c.leave, false
	FROM fence, unnest($10::bigint[], $11::uuid[], $12::bigint[], $13::boolean[]) AS c (intent, member, at, leave)
), stamps_acknowledged AS (
	UPDATE cohortkit_stamp AS s SET sure = true FROM fence WHERE s.entry = fence.entry AND s.epoch = $2 AND s.intent = ANY($14::bigint[])
), stamps_refused AS (
	DELETE FROM cohortkit_stamp AS s USING fence WHERE s.entry = fence.entry AND s.epoch = $2 AND s.intent = ANY($15::bigint[])
)
SELECT FROM fence`

// submit has a record written and waits until it is.
func (s *session) submit(ctx context.Context, r *record) error {
	s.mu.Lock()
	err := s.usable()
	if err == nil {
		s.enqueue(r)
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	s.nudge()
	select {
	case err := <-r.written:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enqueue puts a record behind those that are not yet written. The caller holds mu.
func (s *session) enqueue(r *record) {
	if r.header != nil {
		s.header = *r.header // also if nobody waits until it is written
	}
	if r.wrote {
		s.header.Generation = s.former + 1
	}
	s.queue = append(s.queue, r)
}

// nudge tells the writer that there is something to write.
func (s *session) nudge() {
	select {
	case s.wake <- struct{}{}:
	default: // it has been told
	}
}

// run writes what is recorded and renews the lease, until the session is closed. One writer for all keeps the order: what became of an intent is
// written before the next one of the same members is.
func (s *session) run() {
	defer close(s.done)
	renew := time.NewTicker(s.ledger.lease / beats)
	defer renew.Stop()
	for {
		select {
		case <-s.quit:
			return
		case <-s.wake:
			_ = s.drain() // whoever waits is told, and others at their next call
		case <-renew.C:
			s.renew()
		}
	}
}

// renew renews the lease. If that fails there is time for it again, unless the lease is lost.
func (s *session) renew() {
	s.mu.Lock()
	idle := len(s.queue) == 0
	s.mu.Unlock()
	if !idle {
		s.nudge() // a write renews it too
		return
	}
	if err := s.write(&batch{}, min(patience, s.ledger.lease/4)); errors.Is(err, ledger.ErrLeaseLost) {
		s.fail(err)
	}
}

// drain writes what is queued. The writer calls it, and Close when the writer has ended.
func (s *session) drain() error {
	for {
		s.mu.Lock()
		records := s.take()
		err := s.failed
		s.mu.Unlock()
		if len(records) == 0 {
			return err
		}
		b := batchOf(records)
		if err == nil {
			err = s.write(b, patience)
		}
		if err != nil {
			s.fail(err)
		}
		for _, r := range records {
			if r.written != nil {
				r.written <- err
			} else if err != nil {
				s.forgot = true
			}
		}
	}
}

// take takes the next records from the queue. The caller holds mu.
func (s *session) take() []*record {
	n, size := 0, 0
	for n < min(len(s.queue), most) && (n == 0 || size+s.queue[n].size <= mostBytes) {
		size += s.queue[n].size
		n++
	}
	taken := s.queue[:n:n]
	s.queue = s.queue[n:]
	return taken
}

// fail has the session record nothing more. The first reason stays.
func (s *session) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = err
	}
}

// write writes a batch, or returns [ledger.ErrLeaseLost] if the lease is no longer ours. It has a context of its own, since it writes for many: one
// of them who loses patience must not spoil it for the others.
func (s *session) write(b *batch, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	st := &b.stamps
	err := s.fenced(ctx, b.watermark, writeBatch, b.out, b.in, b.unknown, b.ids, st.intents, st.members, st.ats, st.leaves, b.accepted, b.refused)
	if err == nil && b.header != nil {
		err = s.fenced(ctx, 0, setHeader, headerArgs(b.header)...)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &DatabaseError{Operation: "write"} // it was our patience, or the pool's, and no caller's
	}
	return err
}

// planned has the statement behind it, in one transaction and one round trip, planned each time: a plan that was prepared while a table was small,
// and kept while it grew, reads all of it for every request. Compiling the plan would take longer than to run it.
const planned = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true)"

// fenced runs a statement that begins with fence, and that returns or inserts a row for the one of it.
func (s *session) fenced(ctx context.Context, watermark int64, statement string, args ...any) error {
	s.mu.Lock()
	generation := s.header.Generation
	s.mu.Unlock()
	var b pgx.Batch
	b.Queue(planned)
	b.Queue(statement, append([]any{s.lease.entry, s.lease.epoch, s.ledger.lease.Seconds(), int64(generation), watermark}, args...)...)
	results := s.ledger.pool.SendBatch(ctx, &b)
	_, err := results.Exec()
	var tag pgconn.CommandTag
	if err == nil {
		tag, err = results.Exec()
	}
	// The end of the transaction is answered last.
	if closed := results.Close(); err == nil {
		err = closed
	}
	switch {
	case err != nil:
		return failure("write", err)
	case tag.RowsAffected() == 0:
		return ledger.ErrLeaseLost
	default:
		return nil
	}
}
