package cohort

import "slices"

const (
	// MaxIdentifiers is the documented limit of identifiers in one request, counted over all kinds and change objects.
	MaxIdentifiers = 1000
	// maxRequestBytes is the documented limit of 4 MB for a payload, read as the smaller of its meanings.
	maxRequestBytes = 4_000_000
	// maxIdentifierBytes is where an identifier cannot be one. Escaped and with its label it still fits into a request.
	maxIdentifierBytes = 500_000
	// envelopeBytes is set aside in every request for the keys and the frame.
	envelopeBytes = 16 << 10
)

// batch is the changes of one request. No two are of the same member.
type batch struct {
	run     *run
	number  int // see members
	changes []Change
	bytes   int             // an upper bound of the changes on the wire
	after   []chan struct{} // requests under way with an earlier change of one of the members
	done    chan struct{}   // closed when the request came to its end
	send    func() error    // what its sender does; made once, like the rest of the batch's memory
}

func newBatch() *batch {
	b := &batch{done: make(chan struct{})} // the changes get their memory as they come: most imports are small
	b.send = func() error { return b.run.send(b) }
	return b
}

// fits reports whether the batch has room for the bytes of a change. An empty one has, whatever the endpoint found too large.
func (b *batch) fits(c Change) bool {
	return len(b.changes) == 0 || b.bytes+wireSize(c) <= int(b.run.maxBytes.Load())
}

func (b *batch) add(c Change) {
	b.changes = append(b.changes, c)
	b.bytes += wireSize(c)
}

// reset empties the batch for another request.
func (b *batch) reset() {
	clear(b.changes) // lets go of the identifiers
	b.changes, b.after = b.changes[:0], nil
	b.bytes = 0
	b.done = make(chan struct{})
}

// removalsFirst orders the changes as they go on the wire, so that a batch cut in two still removes before it adds. Most batches are of one
// direction and in order as they are.
func (b *batch) removalsFirst() {
	byDirection := func(x, y Change) int { return int(x.direction) - int(y.direction) }
	if !slices.IsSortedFunc(b.changes, byDirection) {
		slices.SortStableFunc(b.changes, byDirection)
	}
}
