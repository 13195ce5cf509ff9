package cohort

import (
	"encoding/binary"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// memberKey stands for a member where the identifier itself is not needed. Its bits are as good as drawn by lot.
type memberKey [16]byte

// times is what a stream knows of its members: when the newest event of each happened. Members of whom an event is pending are always known. Of the
// others the oldest are forgotten when there are too many, or when they lie too far behind the newest event of all; the watermark then rises to the
// time of whoever was forgotten, so that an event above it is surely newer than any that was forgotten.
//
// It is asked for every event, mostly about somebody whom it does not know, which costs one access to memory that is not in the cache. That, and that
// it holds hardly a pointer for the garbage collector to follow, is why it is no map.
type times struct {
	most    int   // members at rest
	horizon int64 // nanoseconds

	slots     []slot // found by open addressing; a power of two long
	known     int    // members
	slabs     []*[slabSize]timed
	used      uint32 // places that were given out, free ones included
	free      []uint32
	atRest    int       // members of whom no event is pending
	oldest    []resting // a heap of them with the oldest on top, and of others
	newest    int64     // time of all events
	watermark int64
}

// timed is a member and the newest event of them.
type timed struct {
	key   memberKey
	at    int64
	last  uint64 // the position of the pending event, 0 if none is
	leave bool
	sure  bool // the endpoint acknowledged it
	rests bool // no event is pending, and none of an earlier stream is to be delivered again
}

// resting is a member in the heap.
type resting struct {
	at     int64
	member uint32
}

// slot packs where a member is, counted from 1, and the low bits of the key. The zero slot is free.
type slot uint64

const (
	slabBits   = 10
	slabSize   = 1 << slabBits
	firstSlots = 1 << 8
)

func newTimes(most int, horizon int64) times {
	return times{most: most, horizon: horizon, slots: make([]slot, firstSlots)}
}

func (k memberKey) low() uint32 { return binary.LittleEndian.Uint32(k[:]) }

func newSlot(low, i uint32) slot { return slot(low)<<32 | slot(i+1) }

func (s slot) low() uint32 { return uint32(s >> 32) }

func (s slot) member() uint32 { return uint32(s) - 1 }

// at returns the member at a place.
func (t *times) at(i uint32) *timed { return &t.slabs[i>>slabBits][i&(slabSize-1)] }

// find returns the place of a member.
func (t *times) find(key memberKey) (uint32, bool) {
	low, mask := key.low(), uint32(len(t.slots)-1)
	for p := low & mask; t.slots[p] != 0; p = (p + 1) & mask {
		if s := t.slots[p]; s.low() == low && t.at(s.member()).key == key {
			return s.member(), true
		}
	}
	return 0, false
}

// load takes over what a ledger knows. An event that may have been applied, or not, is still to be delivered again, and must not be late then because
// it was forgotten: so its time is kept however many there are, as long as it lies within the horizon.
func (t *times) load(watermark int64, stamps []ledger.Stamp) {
	t.watermark = watermark
	for _, s := range stamps {
		t.newest = max(t.newest, s.At)
	}
	for _, s := range stamps {
		i := t.add(s.Member)
		m := t.at(i)
		m.at, m.leave = s.At, s.Leave
		if s.Sure || s.At < t.newest-t.horizon {
			t.rest(i, s.Sure)
		}
	}
}

// add makes a member known, of whom an event is about to be pending.
func (t *times) add(key memberKey) uint32 {
	var i uint32
	if n := len(t.free); n > 0 {
		i, t.free = t.free[n-1], t.free[:n-1]
	} else {
		if i = t.used; i&(slabSize-1) == 0 {
			t.slabs = append(t.slabs, new([slabSize]timed))
		}
		t.used++
	}
	*t.at(i) = timed{key: key}
	if t.known++; 2*t.known > len(t.slots) {
		old := t.slots
		t.slots = make([]slot, 2*len(old))
		for _, s := range old {
			if s != 0 {
				t.put(s)
			}
		}
	}
	t.put(newSlot(key.low(), i))
	return i
}

func (t *times) put(s slot) {
	mask := uint32(len(t.slots) - 1)
	p := s.low() & mask
	for t.slots[p] != 0 {
		p = (p + 1) & mask
	}
	t.slots[p] = s
}

// forget makes a member unknown. Slots behind its own move up, so that none has a gap before it.
func (t *times) forget(i uint32) {
	mask := uint32(len(t.slots) - 1)
	low := t.at(i).key.low()
	p := low & mask
	for t.slots[p] != newSlot(low, i) {
		p = (p + 1) & mask
	}
	for next := (p + 1) & mask; t.slots[next] != 0; next = (next + 1) & mask {
		if s := t.slots[next]; (next-s.low())&mask >= (next-p)&mask {
			t.slots[p], p = s, next
		}
	}
	t.slots[p] = 0
	t.known--
	*t.at(i) = timed{}
	t.free = append(t.free, i)
}

// hold notes the newest event of a member, which is pending at this position.
func (t *times) hold(i uint32, at int64, leave bool, position uint64) {
	m := t.at(i)
	if m.rests {
		m.rests = false
		t.atRest--
	}
	m.at, m.leave, m.sure, m.last = at, leave, false, position
	t.newest = max(t.newest, at)
}

// rest notes that the newest event of a member is settled.
func (t *times) rest(i uint32, sure bool) {
	m := t.at(i)
	m.last, m.sure, m.rests = 0, sure, true
	t.atRest++
	if len(t.oldest) > 2*t.atRest+slabSize {
		t.sift()
	}
	t.push(resting{m.at, i})
	for len(t.oldest) > 0 {
		top := t.oldest[0]
		if !t.current(top) {
			t.pop()
			continue
		}
		if t.atRest <= t.most && top.at >= t.newest-t.horizon {
			return
		}
		t.pop()
		t.watermark = max(t.watermark, top.at)
		t.atRest--
		t.forget(top.member)
	}
}

// current reports whether a member is still at rest with this time. Those in the heap that are not are left there until they come to the top, or are
// too many, since to take one out of the middle costs more than all else.
func (t *times) current(r resting) bool {
	m := t.at(r.member)
	return m.rests && m.at == r.at
}

// sift leaves in the heap what is current. A member may have come to rest twice with one time, which does no harm.
func (t *times) sift() {
	kept := t.oldest[:0]
	for _, r := range t.oldest {
		if t.current(r) {
			kept = append(kept, r)
		}
	}
	t.oldest = kept
	for place := len(kept)/2 - 1; place >= 0; place-- {
		t.down(place)
	}
}

func (t *times) push(r resting) {
	t.oldest = append(t.oldest, r)
	for place := len(t.oldest) - 1; place > 0; {
		parent := (place - 1) / 2
		if t.oldest[parent].at <= r.at {
			return
		}
		t.oldest[place], t.oldest[parent] = t.oldest[parent], r
		place = parent
	}
}

func (t *times) pop() {
	last := len(t.oldest) - 1
	t.oldest[0] = t.oldest[last]
	t.oldest = t.oldest[:last]
	t.down(0)
}

func (t *times) down(place int) {
	for {
		child := 2*place + 1
		if child >= len(t.oldest) {
			return
		}
		if child+1 < len(t.oldest) && t.oldest[child+1].at < t.oldest[child].at {
			child++
		}
		if t.oldest[place].at <= t.oldest[child].at {
			return
		}
		t.oldest[place], t.oldest[child] = t.oldest[child], t.oldest[place]
		place = child
	}
}
