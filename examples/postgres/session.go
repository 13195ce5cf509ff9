package postgres

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// session is the right to change one entry. A goroutine of its own writes what is recorded, one batch after the other, and renews the lease.
type session struct {
	ledger *Ledger
	lease  lease

	wake chan struct{} // holds something while the writer has to write
	quit chan struct{} // closed when the writer has to end
	done chan struct{} // closed when it has

	mu      sync.Mutex
	header  ledger.Header
	former  uint64 // the generation when the session was opened
	last    ledger.Intent
	open    map[ledger.Intent]*intent // begun and not settled
	queue   []*record                 // what is not yet written, in the order in which it happened
	stamped bool                      // that there are stamps to tidy
	failed  error                     // why nothing more is recorded
	closed  bool

	forgot bool // an outcome could not be written; belongs to whoever drains
	staged bool // there was a comparison
}

// A session offers what the optional interfaces ask for.
var (
	_ ledger.Timekeeper = (*session)(nil)
	_ ledger.Purger     = (*session)(nil)
)

func newSession(l *Ledger, taken lease) *session {
	s := &session{
		ledger: l, lease: taken, header: taken.header, former: taken.header.Generation, open: map[ledger.Intent]*intent{},
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	go s.run()
	return s
}

// Header returns what is recorded besides the members. See [ledger.Session].
func (s *session) Header() ledger.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.header
}

// SetHeader records another header. See [ledger.Session].
func (s *session) SetHeader(ctx context.Context, h ledger.Header) error {
	if err := validate(&h); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return failure("set header", err)
	}
	return failure("set header", s.submit(ctx, &record{wrote: true, header: &h, written: make(chan error, 1)}))
}

// Begin records an intent. See [ledger.Session].
func (s *session) Begin(ctx context.Context, removals, adds []ledger.Member) (ledger.Intent, error) {
	return s.BeginStamped(ctx, removals, adds, nil, 0)
}

// BeginStamped records an intent and its stamps. See [ledger.Timekeeper].
func (s *session) BeginStamped(ctx context.Context, removals, adds []ledger.Member, stamps []ledger.Stamp, watermark int64) (ledger.Intent, error) {
	if err := ctx.Err(); err != nil {
		return 0, failure("begin", err)
	}
	i, r := begin(removals, adds)
	if r.size > largestIntent {
		return 0, &ledger.InvalidError{Field: "members", Problem: "have identifiers of more than 128 MB together", Next: "begin them in several intents"}
	}
	r.stamps, r.watermark, r.written = slices.Clone(stamps), watermark, make(chan error, 1)
	s.mu.Lock()
	s.last++
	r.intent = s.last
	s.open[r.intent] = i
	s.stamped = s.stamped || len(stamps) > 0
	s.mu.Unlock()
	if err := s.submit(ctx, r); err != nil {
		_ = s.Settle(r.intent, ledger.Refused) // nothing leaves, so nothing can come of it
		return 0, failure("begin", err)
	}
	return r.intent, nil
}

// Settle records an outcome. It is written with the next intent, with the next renewal of the lease, or by Close. See [ledger.Session].
func (s *session) Settle(n ledger.Intent, outcome ledger.Outcome) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return failure("settle", err)
	}
	i := s.open[n]
	if i == nil {
		return nil
	}
	delete(s.open, n)
	s.enqueue(i.settle(n, outcome))
	if len(s.queue) >= most {
		s.nudge()
	}
	return nil
}

// Close ends the lease. A database that does not answer has half a minute for each of the few statements that this takes. See [ledger.Session].
func (s *session) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	close(s.quit)
	<-s.done
	err := s.drain()
	if !s.forgot {
		err = nil // whoever had an error of the session knows it
	}
	s.clean()
	if released := s.ledger.release(s.lease); err == nil {
		err = released
	}
	return failure("close", err)
}

// clean removes what is of no use any more. What stays, the next session removes.
func (s *session) clean() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if s.staged {
		_ = s.drop(ctx, s.wantedTable(), s.changesTable())
	}
	s.mu.Lock()
	due := s.stamped && s.failed == nil
	s.mu.Unlock()
	if due {
		_ = s.tidy(ctx)
	}
}

// usable returns why the session records nothing more, if so. The caller holds mu.
func (s *session) usable() error {
	if s.closed {
		return ledger.ErrClosed
	}
	return s.failed
}

// broken is usable for a caller that does not hold mu.
func (s *session) broken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usable()
}

// settled writes whatever is not yet written, and returns why the session cannot be used, if so. What is read afterwards is the truth.
func (s *session) settled(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.submit(ctx, &record{written: make(chan error, 1)})
}

// patience is how long the database may take for what is written on nobody's behalf.
const patience = 30 * time.Second

// Members yields the members. See [ledger.Session].
func (s *session) Members(ctx context.Context) iter.Seq2[ledger.Member, error] {
	return func(yield func(ledger.Member, error) bool) {
		if err := s.settled(ctx); err != nil {
			yield(ledger.Member{}, failure("members", err))
			return
		}
		// Said in this way, it is read in the order of the index even where statistics are missing.
		s.pages(ctx, "members", `SELECT digest, id, state FROM cohortkit_member
			WHERE (entry, digest) > ($3, $1) AND entry < $3 + 1 ORDER BY entry, digest LIMIT $2`, s.lease.entry)(yield)
	}
}

// Purge drops what comparisons keep. See [ledger.Purger]. A deleted row is out of reach at once; when PostgreSQL
// overwrites it, and how long its write-ahead log and backups keep it, is up to the database.
func (s *session) Purge(ctx context.Context) error {
	err := s.settled(ctx)
	if err == nil {
		err = s.sweep(ctx)
	}
	return failure("purge", err)
}
