package cohort

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/transport"
)

// send brings one batch to its end. The first error ends the run, and does so before anybody who waits for this batch may go on, so that
// after an unknown outcome no later change of a member is sent. The errors after it are what came of that, and count in the report alone.
func (r *run) send(b *batch) error {
	returned := false
	defer func() {
		if !returned { // a callback ended the goroutine; nobody may wait for it
			r.abandoned.Store(true)
			r.stop()
		}
		close(b.done) // before the reader finds the batch among the ended ones and uses it again
		r.mu.Lock()
		r.ended = append(r.ended, b)
		r.mu.Unlock()
		<-r.slots
	}()
	r.start()
	b.removalsFirst()
	err := r.sendChanges(b.changes, transport.OutcomeUnsent)
	if err != nil {
		if r.failed.Swap(true) {
			err = nil
		}
		r.stop() // if it is not the first, too: that may not have got so far
	}
	returned = true
	return err
}

// sendChanges sends changes in one request, or, if the endpoint finds it too large, in halves one after the other. Earlier is what became of
// the whole that these changes are a half of. Where there is a journal the request leaves only once it is in there.
func (r *run) sendChanges(changes []Change, earlier transport.Outcome) error {
	intent, err := r.journal.begin(r.ctx, r.begin, changes)
	if err != nil {
		r.settle(changes, earlier, 0)
		return err
	}
	end, err := r.im.post(r.ctx, message{
		operation: opUsers, path: r.im.path + "/users", limiter: r.window, begin: r.begin, earlier: earlier,
		encode: func(dst []byte, s secrets) []byte { return appendChanges(dst, s, r.cohortID, changes) },
	})
	if end.status != http.StatusRequestEntityTooLarge || len(changes) == 1 {
		recordErr := r.journal.settle(intent, end.outcome)
		r.settle(changes, end.outcome, end.attempts)
		return both(err, recordErr)
	}
	// One half may be accepted and the other not. If they remove, and two of them are one person, nobody knows then who is in.
	whole := end.outcome
	if changes[0].direction == removal {
		whole = transport.OutcomeUnknown
	}
	if recordErr := r.journal.settle(intent, whole); recordErr != nil {
		r.settle(changes, end.outcome, end.attempts)
		return both(err, recordErr)
	}
	if whole == transport.OutcomeUnknown {
		for i := range changes {
			changes[i].former = ledger.Unknown
		}
	}
	r.settle(nil, end.outcome, end.attempts)
	r.shrink(changes)
	half := len(changes) / 2
	if err := r.sendChanges(changes[:half], end.outcome); err != nil {
		r.settle(changes[half:], end.outcome, 0)
		return err
	}
	return r.sendChanges(changes[half:], end.outcome)
}

// shrink makes the batches to come half as large as these changes.
func (r *run) shrink(changes []Change) {
	size := 0
	for i := range changes {
		size += wireSize(changes[i])
	}
	for half := int64(size / 2); ; {
		now := r.maxBytes.Load()
		if now <= half || r.maxBytes.CompareAndSwap(now, half) {
			return
		}
	}
}

// settle counts what became of changes and of the attempts spent on them, and tells everybody who listens.
func (r *run) settle(changes []Change, outcome transport.Outcome, attempts int) {
	adds := 0
	for i := range changes {
		if changes[i].direction == addition {
			adds++
		}
	}
	removals := len(changes) - adds
	r.mu.Lock()
	r.requests += attempts
	r.adds.count(outcome, adds)
	r.removals.count(outcome, removals)
	r.mu.Unlock()
	if r.config.settled != nil {
		r.config.settled(changes, outcome, attempts)
	}
	if len(changes) == 0 {
		return
	}
	for _, o := range r.im.observers.batches {
		o.ObserveBatch(r.ctx, BatchEnd{
			Workspace: r.im.workspace, CohortID: r.cohortID, Adds: adds, Removals: removals, Attempts: attempts, Outcome: outcome,
		})
	}
	r.progress()
}

// both returns the error of a request together with that of the ledger, whichever there are.
func both(err, recordErr error) error {
	if err == nil || recordErr == nil {
		return cmp.Or(err, recordErr)
	}
	return fmt.Errorf("%w; besides: %w", err, recordErr)
}

// verdict names what ended the run, or returns nil.
func (r *run) verdict(readErr, sendErr error) error {
	err := cmp.Or(readErr, sendErr)
	if err == nil && r.abandoned.Load() {
		err = errors.New("a callback ended the goroutine of a request")
	}
	if err == nil {
		return nil
	}
	if readErr != nil && sendErr != nil {
		err = fmt.Errorf("%w; besides, a request failed: %w", readErr, sendErr)
	}
	if recordErr := r.journal.failure(); recordErr != nil && !errors.Is(err, recordErr) {
		err = both(err, recordErr)
	}
	if r.adds.Unknown+r.removals.Unknown > 0 && !errors.Is(err, transport.ErrOutcomeUnknown) {
		err = fmt.Errorf("%w; besides, of other requests: %w", err, transport.ErrOutcomeUnknown)
	}
	return err
}

// start notes when the first batch was handed to its sender.
func (r *run) start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.began.IsZero() {
		r.began = time.Now()
	}
}

// end lets nothing more begin and, where a lease depends on it, waits for what has begun.
func (r *run) end() {
	r.stop()
	if r.journal != nil {
		_ = r.senders.Wait() // whoever needs the error has waited before
	}
	r.im.windows.giveBack(r.cohortID, r.window)
}

// progress tells how far the run is. The turn is a channel and no mutex, so that a callback that waits stops only the other callbacks.
func (r *run) progress() {
	if len(r.config.onProgress) == 0 {
		return
	}
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	r.mu.Lock()
	p := Progress{
		CohortID: r.cohortID, Rows: int(r.rowsRead.Load()), Changes: r.total,
		Accepted: r.adds.Accepted + r.removals.Accepted, Requests: r.requests,
	}
	p.estimate(time.Since(r.began))
	r.mu.Unlock()
	r.config.tell(p)
}
