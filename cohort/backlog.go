package cohort

// backlog holds the events of a stream that are not yet acknowledged, in the order of their arrival, which numbers them from 1.
type backlog struct {
	ring []entry // by the low bits of the position; a power of two long
	head uint64  // the first that is held
	next uint64  // the first that no run has taken
	tail uint64  // where the next one to arrive goes
}

// entry is an event that has arrived.
type entry struct {
	event   Event
	prior   uint64 // the position of an earlier event of the member that is settled together with this one, or 0
	member  uint32 // in times; of no use once the event is settled
	fate    fate
	covered bool // it need not be sent itself, because it is settled together with a later one of the member
}

// fate is how an event was settled.
type fate uint8

const (
	pending fate = iota
	applied
	superseded
	repeated
	suppressed
	late
	fates // how many there are
)

const firstRing = 1 << 8

func newBacklog() backlog { return backlog{ring: make([]entry, firstRing), head: 1, next: 1, tail: 1} }

func (b *backlog) at(position uint64) *entry { return &b.ring[position&uint64(len(b.ring)-1)] }

// push takes an event in and returns its position.
func (b *backlog) push(e entry) uint64 {
	if b.tail-b.head == uint64(len(b.ring)) {
		ring := b.ring
		b.ring = make([]entry, 2*len(ring))
		for p := b.head; p < b.tail; p++ {
			*b.at(p) = ring[p&uint64(len(ring)-1)]
		}
	}
	position := b.tail
	*b.at(position) = e
	b.tail++
	return position
}

// find returns the position of which these are the low bits.
func (b *backlog) find(serial uint32) uint64 { return b.head + uint64(serial-uint32(b.head)) }

// pop takes out the first event if it is settled.
func (b *backlog) pop() (Event, bool) {
	if b.head == b.tail || b.at(b.head).fate == pending {
		return Event{}, false
	}
	e := b.at(b.head).event
	*b.at(b.head) = entry{} // lets go of the identifier
	b.head++
	b.next = max(b.next, b.head)
	return e, true
}

// take appends the changes that are still to be sent, as many as fit.
func (b *backlog) take(changes []Change) []Change {
	for b.next < b.tail && len(changes) < cap(changes) {
		if e := b.at(b.next); e.fate == pending && !e.covered {
			c := e.event.change()
			c.serial = uint32(b.next)
			changes = append(changes, c)
		}
		b.next++
	}
	return changes
}
