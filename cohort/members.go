package cohort

// members finds the last change of every member that is in the open batch or under way, by the member's hash. It is asked, written and
// emptied once for every change of an import, which is why it is no map: with open addressing, deletion by shifting back and eight bytes a
// member it stays in the processor's cache. Its size follows the requests in flight, never the length of the source.
type members struct {
	// slots is a power of two long. A hash is found in the first slot from its low bits on that has it, before any free slot.
	slots   []slot
	live    int
	batches []*batch // by number
}

// slot packs 40 bits of a hash and the place of the member's last change. The zero slot is free.
type slot uint64

// place is where the last change of a member is.
type place struct {
	batch *batch
	index int
}

const (
	indexBits = 10 // of the index in a batch of MaxIdentifiers
	placeBits = 24 // of the number of a batch, plus one, and the index
	firstSlot = 1 << 6
)

func (s slot) hash() uint64 { return uint64(s) >> placeBits }

// number is that of the batch, from 1.
func (s slot) number() int { return int(s & (1<<placeBits - 1) >> indexBits) }

// newBatch returns a batch that places can point to.
func (m *members) newBatch() *batch {
	b := newBatch()
	m.batches = append(m.batches, b)
	b.number = len(m.batches)
	return b
}

// swap notes the place of the hash's newest change and returns the place of the one before, if it is still in the open batch or under way.
func (m *members) swap(hash uint64, p place) (before place, known bool) {
	if 4*(m.live+1) > 3*len(m.slots) {
		m.grow()
	}
	i := m.position(hash)
	old := m.slots[i]
	m.slots[i] = slot(hash<<placeBits | uint64(p.batch.number)<<indexBits | uint64(p.index))
	if old == 0 {
		m.live++
		return place{}, false
	}
	return place{m.batches[old.number()-1], int(old & (1<<indexBits - 1))}, true
}

// position returns the index of the slot that has the hash, or of the free one where it belongs.
func (m *members) position(hash uint64) uint64 {
	mask := uint64(len(m.slots) - 1)
	want := slot(hash << placeBits).hash()
	for i := hash & mask; ; i = (i + 1) & mask {
		if s := m.slots[i]; s == 0 || s.hash() == want {
			return i
		}
	}
}

// forget removes the hash if its last change is in this batch.
func (m *members) forget(hash uint64, b *batch) {
	mask := uint64(len(m.slots) - 1)
	i := m.position(hash)
	if m.slots[i].number() != b.number {
		return
	}
	m.live--
	// Whoever stands further on only because this slot was taken moves up.
	for j := (i + 1) & mask; m.slots[j] != 0; j = (j + 1) & mask {
		if home := m.slots[j].hash() & mask; (j-home)&mask >= (j-i)&mask {
			m.slots[i] = m.slots[j]
			i = j
		}
	}
	m.slots[i] = 0
}

func (m *members) grow() {
	old := m.slots
	m.slots = make([]slot, max(firstSlot, 2*len(old)))
	for _, s := range old {
		if s != 0 {
			m.slots[m.position(s.hash())] = s
		}
	}
}
