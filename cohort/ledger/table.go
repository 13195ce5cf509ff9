package ledger

import "encoding/binary"

// table finds the records of one class in one partition, and keeps what is known of each: its state, and whether it is wanted. It is filled and
// asked once for every member of a cohort at every comparison, which is why it is no map: records lie one after the other as they come
// from the files, and are found by open addressing. A table is used again for the next partition.
type table struct {
	class  class
	seed   hashSeed
	data   []byte   // the records, as appendRecord wrote them
	starts []uint32 // of the records in data; not for packed ones
	flags  []flags  // of each record
	slots  []uint32 // the number of a record, counted from 1, or 0; a power of two long
}

// flags is the state of a record, and marks.
type flags uint8

const (
	stateMask flags = 3
	isWanted  flags = 1 << 2 // somebody wants it
	isAgain   flags = 1 << 3 // its addition has to be repeated even if it is In
)

func (f flags) state() State { return State(f & stateMask) }

// reset empties the table and makes room for about n records.
func (t *table) reset(c class, seed hashSeed, n int) {
	t.class, t.seed = c, seed
	t.data, t.starts, t.flags = t.data[:0], t.starts[:0], t.flags[:0]
	size := 64
	for size < 2*n {
		size *= 2
	}
	t.slots = grow(t.slots[:0], size)
	clear(t.slots)
}

// record returns a record by its number, counted from 0.
func (t *table) record(i int) []byte {
	if t.class.packed() {
		return t.data[packedSize*i : packedSize*(i+1)]
	}
	record, _, _ := cutRecord(t.data[t.starts[i]:], t.class)
	return record
}

// span returns the records of these numbers, the last one not included, as appendRecord wrote them.
func (t *table) span(from, to int) []byte {
	switch {
	case t.class.packed():
		return t.data[packedSize*from : packedSize*to]
	case to < len(t.starts):
		return t.data[t.starts[from]:t.starts[to]]
	default:
		return t.data[t.starts[from]:]
	}
}

// load takes in the records of a section, all with its state. No two of them are equal.
func (t *table) load(s section) {
	first := len(t.flags)
	start := len(t.data)
	t.data = append(t.data, s.records...)
	t.flags = grow(t.flags, first+s.count)
	for i := range t.flags[first:] {
		t.flags[first+i] = flags(s.state)
	}
	t.spread()
	mask := uint64(len(t.slots) - 1)
	if t.class.packed() {
		for i, records := first, t.data[start:]; len(records) >= packedSize; i, records = i+1, records[packedSize:] {
			at := t.seed.hashPacked(t.class, binary.LittleEndian.Uint64(records), binary.LittleEndian.Uint64(records[8:])) & mask
			for t.slots[at] != 0 {
				at = (at + 1) & mask
			}
			t.slots[at] = uint32(i + 1)
		}
		return
	}
	for i := first; i < len(t.flags); i++ {
		t.starts = append(t.starts, uint32(start))
		record, rest, _ := cutRecord(t.data[start:], t.class)
		start = len(t.data) - len(rest)
		at := t.seed.hash(t.class, record) & mask
		for t.slots[at] != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = uint32(i + 1)
	}
}

// want notes that the records of data are wanted. It returns how many of them were wanted before.
func (t *table) want(data []byte) (duplicate int) {
	for len(data) > 0 {
		record, rest, _ := cutRecord(data, t.class)
		data = rest
		f := &t.flags[t.number(record)]
		duplicate += int(*f & isWanted / isWanted)
		*f |= isWanted
	}
	return duplicate
}

// find returns the slot of a record and its number, or the free slot where it belongs and a negative number.
func (t *table) find(record []byte) (slot uint64, number int) {
	mask := uint64(len(t.slots) - 1)
	if t.class.packed() {
		low, high := binary.LittleEndian.Uint64(record), binary.LittleEndian.Uint64(record[8:])
		at := t.seed.hashPacked(t.class, low, high) & mask
		for ; t.slots[at] != 0; at = (at + 1) & mask {
			i := int(t.slots[at] - 1)
			other := t.data[packedSize*i : packedSize*i+packedSize]
			if binary.LittleEndian.Uint64(other) == low && binary.LittleEndian.Uint64(other[8:]) == high {
				return at, i
			}
		}
		return at, -1
	}
	at := t.seed.hash(t.class, record) & mask
	for ; t.slots[at] != 0; at = (at + 1) & mask {
		i := int(t.slots[at] - 1)
		if string(t.record(i)) == string(record) {
			return at, i
		}
	}
	return at, -1
}

// number returns the number of a record, which becomes one that is Out if it is not there yet.
func (t *table) number(record []byte) int {
	at, i := t.find(record)
	if i >= 0 {
		return i
	}
	i = len(t.flags)
	if !t.class.packed() {
		t.starts = append(t.starts, uint32(len(t.data)))
	}
	t.data = appendRecord(t.data, t.class, record)
	t.flags = append(t.flags, flags(Out))
	t.slots[at] = uint32(i + 1)
	t.spread()
	return i
}

// known returns the number of a record, and a negative one if it is not there.
func (t *table) known(record []byte) int {
	_, i := t.find(record)
	return i
}

// spread moves to more slots if those that there are would get crowded.
func (t *table) spread() {
	if 4*len(t.flags) <= 3*len(t.slots) {
		return
	}
	size := len(t.slots)
	for 2*len(t.flags) > size {
		size *= 2
	}
	old := t.slots
	t.slots = make([]uint32, size)
	mask := uint64(size - 1)
	for _, number := range old {
		if number == 0 {
			continue
		}
		at := t.seed.hash(t.class, t.record(int(number-1))) & mask
		for t.slots[at] != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = number
	}
}
