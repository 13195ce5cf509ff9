package cohort

import (
	"net/http"

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
	b.removalsFirst()
	err := r.sendChanges(b.changes, transport.OutcomeUnsent)
	switch {
	case err == nil:
	case r.failed.Swap(true):
		err = nil
	default:
		r.stop()
	}
	returned = true
	return err
}

// sendChanges sends changes in one request, or, if the endpoint finds it too large, in halves one after the other. Earlier is what became of
// the whole that these changes are a half of.
func (r *run) sendChanges(changes []Change, earlier transport.Outcome) error {
	end, err := r.im.post(r.ctx, message{
		operation: opUsers, path: r.im.path + "/users", limiter: r.window, begin: r.begin, earlier: earlier,
		encode: func(dst []byte, s secrets) []byte { return appendChanges(dst, s, r.cohortID, changes) },
	})
	if end.status != http.StatusRequestEntityTooLarge || len(changes) == 1 {
		r.settle(changes, end.outcome, end.attempts)
		return err
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

// progress tells how far the run is. The turn is a channel and no mutex, so that a callback that waits stops only the other callbacks.
func (r *run) progress() {
	if len(r.config.onProgress) == 0 {
		return
	}
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	r.mu.Lock()
	p := Progress{Rows: int(r.rowsRead.Load()), Accepted: r.adds.Accepted + r.removals.Accepted, Requests: r.requests}
	r.mu.Unlock()
	for _, f := range r.config.onProgress {
		f(p)
	}
}
