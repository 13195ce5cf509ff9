package cohort

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/internal/text"
)

// Apply sends changes to the members of a cohort and returns when every one of them has come to its end.
//
// The source yields a change or an error for each row. An [*identity.RejectError] is a row that cannot be sent: it is counted and the run
// goes on. Any other error ends the run with a [*RowError]: requests under way are finished, what was not yet sent is counted as unsent. The
// first request that is refused, or whose outcome stays unknown after all repeats, ends the run too, and so does the context, at once; a source
// that waits must heed it, since it is read in the calling goroutine. If any outcome stays unknown, the error is [transport.ErrOutcomeUnknown]
// too. Errors come from the source of the import key (see [keys.SourceError]), the source of the changes, the context or [transport.Client.Do].
// The Report is complete in every case.
//
// Apply fails with an [*InvalidError] before anything is sent or read.
//
// It remembers nothing. A cohort that has a ledger is written only through its [Syncer]: changes that the ledger does not hear of make the next
// difference wrong. See [Syncer.Apply].
func (im *Importer) Apply(ctx context.Context, cohortID string, changes iter.Seq2[Change, error], opts ...RunOption) (Report, error) {
	report := Report{CohortID: cohortID}
	if err := validateID(cohortID); err != nil {
		return report, err
	}
	if changes == nil {
		return report, &InvalidError{Field: "changes", Problem: "are nil", Next: "give a sequence; an empty one is fine"}
	}
	config, err := newRunConfig(opts)
	if err != nil {
		return report, err
	}
	return im.apply(ctx, cohortID, changes, config, nil)
}

// apply runs Apply with what was found to be valid. A journal keeps the run from ending before its requests, even if the source panics.
func (im *Importer) apply(ctx context.Context, cohortID string, changes iter.Seq2[Change, error], config runConfig, j *journal) (Report, error) {
	r := newRun(ctx, im, cohortID)
	r.config, r.journal = config, j
	defer r.end() // also if the source panics: then what has not begun does not begin
	readErr := r.read(changes)
	ctxErr := contextError(ctx) // a source that heeds the context may have ended in the middle, without a word
	sendErr := r.senders.Wait()
	report, err := r.finish(cmp.Or(readErr, ctxErr), sendErr)
	r.members.clear()
	im.members.Put(r.members)
	return report, err
}

// run is one run of Apply. The goroutine that called Apply reads the source and fills batches; each batch is sent by a goroutine of its
// own, at most as many as the Importer has in flight.
type run struct {
	im       *Importer
	cohortID string
	config   runConfig
	journal  *journal // nil without a ledger
	total    int      // changes to be sent; 0 where nobody knows

	// begin is done as soon as a sender has failed. Its cause does not tell why: an error of one request must not be found in those of others.
	ctx     context.Context // of attempts
	begin   context.Context // of whatever has not begun
	stop    context.CancelFunc
	senders errgroup.Group

	// of the reading goroutine
	open     *batch   // being filled
	members  *members // in the open batch or under way
	spare    []*batch
	heard    []*batch // came to their end, as the reader has heard; the memory of the next r.ended
	rows     Rows
	overlong int

	// shared
	slots     chan struct{} // one for each batch under way
	failed    atomic.Bool   // some batch came to a bad end, and ended the run
	abandoned atomic.Bool   // a callback ended the goroutine of a batch, and the run
	window    *window
	maxBytes  atomic.Int64 // of a batch; shrinks when the endpoint finds one too large
	rowsRead  atomic.Int64
	turn      chan struct{} // held by whoever reports progress

	mu             sync.Mutex
	ended          []*batch // came to their end; the reader has not heard yet
	adds, removals Tally
	requests       int
	began          time.Time // when the first batch was handed to its sender
}

func newRun(ctx context.Context, im *Importer, cohortID string) *run {
	begin, stop := context.WithCancel(ctx)
	r := &run{
		im: im, cohortID: cohortID,
		ctx: ctx, begin: begin, stop: stop,
		members: im.members.Get().(*members),
		slots:   make(chan struct{}, im.inFlight), window: im.windows.take(cohortID, im.limiter, im.inFlight), turn: make(chan struct{}, 1),
	}
	r.spare = slices.Clone(r.members.batches)
	for _, b := range r.spare {
		b.run = r
	}
	r.openBatch()
	r.maxBytes.Store(maxRequestBytes - envelopeBytes - int64(2*len(cohortID)))
	return r
}

// read takes in the source. It returns what ended the reading, or nil when the source or the run came to its end.
func (r *run) read(changes iter.Seq2[Change, error]) error {
	for change, err := range changes {
		r.rows.Read++
		if r.begin.Err() != nil {
			r.rows.Unprocessed++
			return nil
		}
		if err == nil {
			err = change.validate()
		}
		if err != nil {
			if err := r.config.reject(r.cohortID, &r.rows, err); err != nil {
				return err
			}
			continue
		}
		if r.config.suppresses(change) {
			r.rows.Suppressed++
			continue
		}
		if !r.take(change) {
			return nil
		}
	}
	if len(r.open.changes) > 0 {
		r.dispatch()
	}
	return nil
}

// take puts a change into the open batch and sends the batch when it is full. It returns false when the run has come to its end.
func (r *run) take(change Change) bool {
	if !r.open.fits(change) && !r.dispatch() {
		r.rows.Unprocessed++
		return false
	}
	hash := hashOf(r.members.seed, change)
	switch last, known := r.members.swap(hash, place{r.open, len(r.open.changes)}); {
	case !known:
	case last.batch != r.open:
		r.open.after = append(r.open.after, last.batch.done)
	case r.open.changes[last.index].sameMember(change):
		r.members.swap(hash, last)
		earlier := &r.open.changes[last.index]
		r.uncount(earlier.direction)
		r.rows.Duplicate++
		earlier.direction, earlier.serial = change.direction, change.serial
		r.count(change.direction)
		return true
	default:
		// Another member with the same hash. To treat it as the same one costs a short batch and a wait, and is always right.
		r.members.swap(hash, last)
		sent := r.open.done // before the batch can be used again
		if !r.dispatch() {
			r.rows.Unprocessed++
			return false
		}
		r.members.swap(hash, place{r.open, 0})
		r.open.after = append(r.open.after, sent)
	}
	r.open.add(change)
	r.count(change.direction)
	if change.overlong() {
		r.overlong++
	}
	return len(r.open.changes) < MaxIdentifiers || r.dispatch()
}

func (r *run) count(d direction) {
	if d == addition {
		r.rows.Added++
	} else {
		r.rows.Removed++
	}
}

func (r *run) uncount(d direction) {
	if d == addition {
		r.rows.Added--
	} else {
		r.rows.Removed--
	}
}

// dispatch hands the open batch to a sender and opens another. It waits until no earlier change of one of its members is under way, and
// until a slot is free. It returns false, and leaves the batch open, when the run has come to its end.
func (r *run) dispatch() bool {
	for _, earlier := range r.open.after {
		select {
		case <-earlier:
		case <-r.begin.Done():
			return false
		}
	}
	select {
	case r.slots <- struct{}{}:
	case <-r.begin.Done():
		return false
	}
	if r.begin.Err() != nil { // both may have been ready
		<-r.slots
		return false
	}
	b := r.open
	r.rowsRead.Store(int64(r.rows.Read))
	r.senders.Go(b.send)
	r.recycle()
	return true
}

// recycle opens a batch, and forgets the members of those that came to their end.
func (r *run) recycle() {
	r.mu.Lock()
	ended := r.ended
	r.ended = r.heard[:0]
	r.mu.Unlock()
	r.heard = ended
	for _, b := range ended {
		r.members.forgetBatch(b)
		b.reset()
		r.spare = append(r.spare, b)
	}
	r.openBatch()
}

func (r *run) openBatch() {
	if n := len(r.spare); n > 0 {
		r.open, r.spare = r.spare[n-1], r.spare[:n-1]
		return
	}
	r.open = r.members.newBatch()
	r.open.run = r
}

// contextError returns the error of a context that has ended, and its cause where that is another.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || errors.Is(cause, err) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// finish draws up the report and names what ended the run.
func (r *run) finish(readErr, sendErr error) (Report, error) {
	for _, c := range r.open.changes {
		r.tally(c.direction).Unsent++
	}
	report := Report{CohortID: r.cohortID, Rows: r.rows, Adds: r.adds, Removals: r.removals, Requests: r.requests}
	if r.overlong > 0 {
		report.Warnings = append(report.Warnings, Warning{WarnOverlong, r.overlong})
	}
	if err := r.verdict(readErr, sendErr); err != nil {
		return report, fmt.Errorf("cohort: apply: %w", err)
	}
	return report, nil
}

func (r *run) tally(d direction) *Tally {
	if d == addition {
		return &r.adds
	}
	return &r.removals
}

// validate reports why the change cannot be sent, as an [*identity.RejectError].
func (c Change) validate() error {
	if c.direction == noDirection {
		return &identity.RejectError{Field: "change", Reason: ReasonNoDirection, Hint: "make it with Add or Remove"}
	}
	if c.kind != identity.ExternalIDKind || text.Check(c.value) != text.None { // almost all are known to be fine by now
		if err := c.ID().Validate(); err != nil {
			return err
		}
	}
	if wireSize(c) > 2*maxIdentifierBytes {
		return &identity.RejectError{Field: c.kind.String(), Reason: ReasonTooLong, Hint: "look at the column that it comes from"}
	}
	return nil
}

// validateMember does the same for a change of this identifier, and makes none where that is not needed.
func validateMember(id identity.ID) error {
	value := id.Value()
	if id.Kind() == identity.ExternalIDKind && len(value) < maxIdentifierBytes/2 && text.Check(value) == text.None { // almost all
		return nil
	}
	return Add(id).validate()
}

// hashOf tells members apart. Equal hashes of different members are possible, and allowed for.
func hashOf(seed maphash.Seed, c Change) uint64 {
	hash := maphash.String(seed, c.value)
	if c.kind == identity.AliasKind {
		hash ^= maphash.String(seed, c.label.Value()) * ones
	}
	return (hash + uint64(c.kind)) & (1<<hashBits - 1)
}
