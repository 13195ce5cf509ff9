package cohort

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// task is one run of a Syncer on one cohort, from the taking of the lease until it is given back.
type task struct {
	syncer   *Syncer
	ctx      context.Context
	start    time.Time
	config   runConfig
	session  ledger.Session
	broken   error // why the session records no more headers, if it does not
	header   ledger.Header
	report   Report
	overlong int
	adds     int  // planned, repeats included
	removals int  // planned
	run      *run // nil until something is to be sent

	known map[identity.ID]identity.ID // of people on the do-not-send list that the audience names: the identifier for each other one
	also  []ledger.Member             // to be removed although the ledger does not name them
}

// perform takes the lease on a cohort and does the work. The report adds up however the work ends.
func (s *Syncer) perform(ctx context.Context, operation, cohortID string, config runConfig, work func(*task) error) (Report, error) {
	t := &task{
		syncer: s, ctx: ctx, start: time.Now(), config: config,
		report: Report{CohortID: cohortID, Partner: s.partner},
	}
	operation = fmt.Sprintf("cohort: %s %q", operation, cohortID)
	session, err := s.state.Open(ctx, s.key(cohortID))
	if err != nil {
		return t.report, fmt.Errorf("%s: %w", operation, err)
	}
	defer session.Close() //nolint:errcheck // closed with care below; this is for a callback that panics
	t.session, t.header = session, session.Header()
	t.report.Name = t.header.Name
	err = t.do(work)
	t.sum()
	return t.report, closed(operation, err, session.Close())
}

// closed returns the error of a run whose session has been closed.
func closed(operation string, err, closeErr error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", operation, err)
	}
	if closeErr != nil && !errors.Is(err, closeErr) {
		closeErr = fmt.Errorf("%s: close the ledger, without which the next run may repeat what was sent: %w", operation, closeErr)
		return both(err, closeErr)
	}
	return err
}

// do does the work, and does not return, nor panic, before its requests have come to their end: the lease must outlast them.
func (t *task) do(work func(*task) error) error {
	defer func() {
		if t.run != nil {
			t.run.end()
		}
	}()
	return work(t)
}

// sum fills in what became of the changes.
func (t *task) sum() {
	if r := t.run; r != nil {
		r.mu.Lock()
		t.report.Adds.merge(r.adds)
		t.report.Removals.merge(r.removals)
		t.report.Requests += r.requests
		r.mu.Unlock()
	}
	t.report.Adds.Unsent += t.adds - t.report.Adds.Total()
	t.report.Removals.Unsent += t.removals - t.report.Removals.Total()
}

// warn adds a warning to the report.
func (t *task) warn(kind WarningKind, n int) {
	t.report.Warnings = append(t.report.Warnings, Warning{Kind: kind, Count: n})
}

// setHeader records another header, unless it is the one that is recorded.
func (t *task) setHeader(h ledger.Header) error {
	if h == t.header {
		return nil
	}
	if err := t.session.SetHeader(t.ctx, h); err != nil {
		t.broken = fmt.Errorf("record the cohort's header: %w", err)
		return t.broken
	}
	t.header = h
	return nil
}

// sender returns a run for the phases of the task, which send this many changes in all.
func (t *task) sender(total int) *run {
	r := newRun(t.ctx, t.syncer.importer, t.report.CohortID)
	r.config, r.journal, r.total = t.config, newJournal(t.session), total
	r.rows.Read = t.report.Rows.Read // for the progress alone
	t.run = r
	return r
}

// everybody returns all members, each with its state. Unlike those of a session they can be ranged over while changes are recorded.
func (t *task) everybody() (ledger.Part, error) {
	d, err := t.session.Compare(t.ctx, func(func(ledger.Wanted, error) bool) {})
	if err == nil {
		err = contextError(t.ctx)
	}
	if err != nil {
		return ledger.Part{}, readError(err)
	}
	return d.Removals, nil
}

// recorded reports whether the ledger knows the cohort at all.
func (t *task) recorded() bool { return t.header.Generation > 0 }

// only yields at most n of the members that are let through. Errors pass.
func only(n int, members iter.Seq2[ledger.Member, error], let func(ledger.Member) bool) iter.Seq2[ledger.Member, error] {
	return func(yield func(ledger.Member, error) bool) {
		left := n
		if left == 0 {
			return
		}
		for m, err := range members {
			if err == nil && !let(m) {
				continue
			}
			if !yield(m, err) || err != nil {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}
}

// phase sends changes that are all of different members, in requests as full as can be, and returns when all have come to their end.
func (r *run) phase(changes iter.Seq2[Change, error]) error {
	var readErr error
	for change, err := range changes {
		if err != nil {
			readErr = readError(err)
			break
		}
		if !r.put(change) {
			break
		}
	}
	if readErr == nil && len(r.open.changes) > 0 {
		r.dispatch()
	}
	if readErr == nil {
		readErr = contextError(r.ctx)
	}
	return r.verdict(readErr, r.senders.Wait())
}

// put adds a change of somebody of whom there is no other, and sends the batch when it is full. It returns false when the run has come to its end.
func (r *run) put(change Change) bool {
	if !r.open.fits(change) && !r.dispatch() {
		return false
	}
	r.open.add(change)
	return len(r.open.changes) < MaxIdentifiers || r.dispatch()
}
