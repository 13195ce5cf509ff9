package cohort

import (
	"errors"

	"github.com/cohortkit/cohortkit/transport"
)

// send brings one batch to its end. An error ends the run, and is marked before anybody who waits for this batch may go on, so that
// after an unknown outcome no later change of a member is sent.
func (r *run) send(b *batch) error {
	b.removalsFirst()
	err := r.sendChanges(b.changes)
	if err != nil {
		r.failed.Store(true)
	}
	r.mu.Lock()
	r.ended = append(r.ended, b)
	r.mu.Unlock()
	close(b.done)
	<-r.slots
	return err
}

// sendChanges sends changes in one request, or, if the endpoint finds it too large, in halves one after the other.
func (r *run) sendChanges(changes []Change) error {
	size := 0
	attempts, err := r.im.post(r.ctx, message{
		operation: opUsers, path: r.im.path + "/users", limiter: r.window, begin: r.begin,
		encode: func(dst []byte, s secrets) []byte {
			dst = appendChanges(dst, s, r.cohortID, changes)
			size = len(dst)
			return dst
		},
	})
	if errors.Is(err, transport.ErrTooLarge) && len(changes) > 1 {
		r.settle(nil, transport.OutcomeRefused, attempts)
		r.shrink(size / 2)
		half := len(changes) / 2
		if err := r.sendChanges(changes[:half]); err != nil {
			r.settle(changes[half:], transport.OutcomeUnsent, 0)
			return err
		}
		return r.sendChanges(changes[half:])
	}
	r.settle(changes, transport.OutcomeOf(err), attempts)
	return err
}

// shrink makes the batches to come smaller.
func (r *run) shrink(size int) {
	for {
		now := r.maxBytes.Load()
		if now <= int64(size) || r.maxBytes.CompareAndSwap(now, int64(size)) {
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
