package cohort

import (
	"runtime"
	"slices"
)

// roster finds what is noted of members by their keys. It holds hardly a pointer for the garbage collector to follow, and to learn that it does not know
// somebody mostly takes one access to memory, which is why it is no map.
type roster struct {
	slots []slot // found by open addressing; a power of two long
	size  int
	slabs []*[slabSize]timed
	used  uint32 // places that were given out, free ones included
	free  []uint32
}

// timed is a member and their newest event.
type timed struct {
	key     memberKey
	at      int64
	last    uint32 // the low bits of the position of the event, if it is pending
	leave   bool
	pending bool
	sure    bool // the endpoint acknowledged it
	rests   bool // it is settled
}

// slot packs the place of a member, counted from 1, and the low bits of the key. The zero slot is free.
type slot uint64

const (
	slabBits   = 10 // a slab is then the largest block that the allocator keeps ready
	slabSize   = 1 << slabBits
	firstSlots = 1 << 8
)

func newRoster() roster { return roster{slots: make([]slot, firstSlots)} }

func newSlot(low, i uint32) slot { return slot(low)<<32 | slot(i+1) }

func (s slot) low() uint32 { return uint32(s >> 32) }

func (s slot) place() uint32 { return uint32(s) - 1 }

// at returns the member at a place.
func (r *roster) at(i uint32) *timed { return &r.slabs[i>>slabBits][i&(slabSize-1)] }

// find returns the place of a member.
func (r *roster) find(key memberKey) (uint32, bool) {
	low, mask := key.low(), uint32(len(r.slots)-1)
	for p := low & mask; r.slots[p] != 0; p = (p + 1) & mask {
		if s := r.slots[p]; s.low() == low && r.at(s.place()).key == key {
			return s.place(), true
		}
	}
	return 0, false
}

// foresee has the processor fetch what a search for each of these will look at first. To wait for one after the other takes far longer.
func (r *roster) foresee(keys []memberKey) {
	var fetched slot
	for _, k := range keys {
		fetched |= r.slots[k.low()&uint32(len(r.slots)-1)]
	}
	for _, k := range keys {
		place, _ := r.find(k)
		fetched |= slot(place)
	}
	runtime.KeepAlive(fetched)
}

// add notes a member who is not there.
func (r *roster) add(key memberKey) uint32 {
	var i uint32
	if n := len(r.free); n > 0 {
		i, r.free = r.free[n-1], r.free[:n-1]
	} else {
		if i = r.used; i&(slabSize-1) == 0 {
			r.slabs = append(r.slabs, new([slabSize]timed))
		}
		r.used++
	}
	r.at(i).key = key // what is free is zero
	if r.size++; 2*r.size > len(r.slots) {
		r.grow()
	}
	r.put(newSlot(key.low(), i))
	return i
}

// grow doubles the slots. Half of them are free, and no processor foresees which, so those that are not are gathered first.
func (r *roster) grow() {
	old := r.slots
	r.slots = make([]slot, 2*len(old))
	for part := range slices.Chunk(old, firstSlots) {
		var some [firstSlots]slot
		n := 0
		for _, s := range part {
			some[n] = s
			if s != 0 {
				n++
			}
		}
		for _, s := range some[:n] {
			r.put(s)
		}
	}
}

func (r *roster) put(s slot) {
	mask := uint32(len(r.slots) - 1)
	p := s.low() & mask
	for r.slots[p] != 0 {
		p = (p + 1) & mask
	}
	r.slots[p] = s
}

// forget takes a member out. Slots behind its own move up, so that none has a gap before it.
func (r *roster) forget(i uint32) {
	mask := uint32(len(r.slots) - 1)
	low := r.at(i).key.low()
	p := low & mask
	for r.slots[p] != newSlot(low, i) {
		p = (p + 1) & mask
	}
	for next := (p + 1) & mask; r.slots[next] != 0; next = (next + 1) & mask {
		if s := r.slots[next]; (next-s.low())&mask >= (next-p)&mask {
			r.slots[p], p = s, next
		}
	}
	r.slots[p] = 0
	r.size--
	*r.at(i) = timed{}
	r.free = append(r.free, i)
}
