package cohort

// backlog holds the events of a stream that are not yet acknowledged, in the order of their arrival, which numbers them from 1.
type backlog struct {
	ring []entry // by the low bits of the position; a power of two long
	head uint64  // the first that is held
	next uint64  // the first that no batch has taken
	tail uint64  // where the next one to arrive goes

	waiting int    // changes that are to be sent and that no batch has taken
	due     uint64 // those of events before this position are to be sent without delay
}

// entry is an event that has arrived.
type entry struct {
	event   Event
	prior   uint64 // the position of an earlier event of the member that is settled together with this one, or 0
	member  uint32 // in times; of no use once the event is settled
	batch   uint16 // the number of the batch that took it, counted from 1; of no use once the event is settled
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

const firstRing = 1 << 4

func newBacklog() backlog { return backlog{ring: make([]entry, firstRing), head: 1, next: 1, tail: 1} }

func (b *backlog) at(position uint64) *entry { return &b.ring[position&uint64(len(b.ring)-1)] }

// push takes an event in and returns its position.
func (b *backlog) push(e *Event) uint64 {
	if b.tail-b.head == uint64(len(b.ring)) {
		ring := b.ring
		b.ring = make([]entry, 2*len(ring))
		for p := b.head; p < b.tail; p++ {
			*b.at(p) = ring[p&uint64(len(ring)-1)]
		}
	}
	position := b.tail
	b.at(position).event = *e // what is free is zero
	b.tail++
	return position
}

// find returns the position of which these are the low bits.
func (b *backlog) find(serial uint32) uint64 { return b.head + uint64(serial-uint32(b.head)) }

// expect notes that an event is to be sent, and that an earlier one of its member, unless that is 0, is settled together with it. If more changes wait
// than before it returns how many, and otherwise 0.
func (b *backlog) expect(position, prior uint64) int {
	b.waiting++
	if prior != 0 {
		b.at(position).prior = prior
		b.at(prior).covered = true
		if prior >= b.next { // no batch has taken it, and none will
			b.waiting--
			if prior < b.due {
				b.due = position + 1
			}
			return 0
		}
	}
	return b.waiting
}

// settledUntil returns the position of the first event that is pending.
func (b *backlog) settledUntil() uint64 {
	end := b.head
	for end < b.tail && b.at(end).fate != pending {
		end++
	}
	return end
}

// drop takes out the events before a position.
func (b *backlog) drop(until uint64) {
	for b.head < until {
		from := b.head & uint64(len(b.ring)-1)
		n := min(until-b.head, uint64(len(b.ring))-from)
		clear(b.ring[from : from+n]) // lets go of the identifiers
		b.head += n
	}
	b.next = max(b.next, b.head)
}

// take puts the changes of up to n events into the open batch of a run, as far as they fit. It reports whether there are more that may.
func (b *backlog) take(r *run, n int) (more bool) {
	for ; n > 0; n-- {
		if b.next == b.tail || len(r.open.changes) == MaxIdentifiers {
			return false
		}
		if e := b.at(b.next); e.fate == pending && !e.covered {
			c := eventChange(&e.event)
			c.serial = uint32(b.next)
			if !r.open.fits(c) || !b.follow(r, e.prior) {
				return false
			}
			e.batch = uint16(r.open.number + 1)
			r.open.add(c)
			b.waiting--
		}
		b.next++
	}
	return true
}

// follow has the open batch of a run wait for that which took the newest of the earlier events of a member that are not settled. It returns false if
// that is the open batch itself, because the event arrived while it was filled.
func (b *backlog) follow(r *run, prior uint64) bool {
	for ; prior >= b.head && b.at(prior).fate == pending; prior = b.at(prior).prior {
		switch n := int(b.at(prior).batch) - 1; n {
		case -1: // none took it
		case r.open.number:
			return false
		default:
			r.open.after = append(r.open.after, r.members.batches[n].done)
			return true
		}
	}
	return true
}

// rewind gives up all batches, so that what is pending is to be sent again, without another delay.
func (b *backlog) rewind() {
	b.next, b.waiting, b.due = b.head, 0, b.tail
	for p := b.head; p < b.tail; p++ {
		e := b.at(p)
		if e.batch = 0; e.fate == pending && !e.covered {
			b.waiting++
		}
	}
}
