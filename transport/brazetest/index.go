package brazetest

import "hash/maphash"

// index finds profiles by external ID, primary or deprecated. It does what a map does, and can look up many identifiers
// at a time: with a million profiles each step of a lookup waits for memory, and taking each step for a whole batch
// lets these waits overlap. It is a hash table with linear probing. The workspace's lock guards it.
type index struct {
	seed  maphash.Seed
	slots []slot // a power of two of them, at most half of them filled
	keys  []indexKey
	free  []int32 // keys that were removed
	used  int     // slots that are filled or were
}

// slot is 0 when it was never filled. Its key is 0 when its key was removed, and else counts from 1. The tag is the high half
// of the hash, so that another text seldom has to be looked at.
type slot struct {
	tag uint32
	key int32
}

const removed = -1

type indexKey struct {
	text    string
	profile int32
}

// batch is how many identifiers are looked up at a time: few enough for what they touch to stay in the first-level cache.
const batch = 64

// lookups is the memory of a batch, and what was found.
type lookups struct {
	hashes [batch]uint64
	found  [batch]int32 // profiles, or -1
	touch  byte         // what comes of reading ahead, kept so that it is not optimised away
}

func newIndex() index {
	return index{seed: maphash.MakeSeed(), slots: make([]slot, 16)}
}

func tagOf(hash uint64) uint32 { return uint32(hash >> 32) }

// slotOf returns the slot of a text, or the empty slot at which the search for it ends.
func (x *index) slotOf(hash uint64, text string) *slot {
	for i := hash; ; i++ {
		s := &x.slots[i&uint64(len(x.slots)-1)]
		if s.key == 0 || s.key > 0 && s.tag == tagOf(hash) && x.keys[s.key-1].text == text {
			return s
		}
	}
}

func (x *index) get(text string) (int32, bool) {
	s := x.slotOf(maphash.String(x.seed, text), text)
	if s.key == 0 {
		return 0, false
	}
	return x.keys[s.key-1].profile, true
}

// find looks up at most a batch of external IDs.
func (x *index) find(entries []entry, l *lookups) {
	mask := uint64(len(x.slots) - 1)
	for i := range entries {
		l.hashes[i] = maphash.Bytes(x.seed, entries[i].value)
	}
	for i := range entries { // first what each slot refers to, all slots at a time
		s := x.slots[l.hashes[i]&mask]
		l.found[i] = -1
		if s.key > 0 && s.tag == tagOf(l.hashes[i]) {
			l.found[i] = s.key - 1
		}
	}
	for i := range entries { // then the texts, which makes the comparing below quick
		if key := l.found[i]; key >= 0 {
			if text := x.keys[key].text; text != "" {
				l.touch ^= text[0]
			}
		}
	}
	for i := range entries {
		value := entries[i].value
		if key := l.found[i]; key >= 0 && x.keys[key].text == string(value) {
			l.found[i] = x.keys[key].profile
			continue
		}
		l.found[i] = x.probe(l.hashes[i], value)
	}
}

// probe is get for a text in a buffer.
func (x *index) probe(hash uint64, value []byte) int32 {
	for i := hash; ; i++ {
		s := x.slots[i&uint64(len(x.slots)-1)]
		switch {
		case s.key == 0:
			return -1
		case s.key > 0 && s.tag == tagOf(hash) && x.keys[s.key-1].text == string(value):
			return x.keys[s.key-1].profile
		}
	}
}

// put adds a text, or makes it another profile's.
func (x *index) put(text string, profile int32) {
	if 2*(x.used+1) > len(x.slots) {
		x.rehash()
	}
	hash := maphash.String(x.seed, text)
	s := x.slotOf(hash, text)
	if s.key != 0 {
		x.keys[s.key-1].profile = profile
		return
	}
	var key int32
	if n := len(x.free); n > 0 {
		key, x.free = x.free[n-1], x.free[:n-1]
		x.keys[key] = indexKey{text, profile}
	} else {
		key = int32(len(x.keys))
		x.keys = append(x.keys, indexKey{text, profile})
	}
	*s = slot{tag: tagOf(hash), key: key + 1}
	x.used++
}

func (x *index) remove(text string) {
	s := x.slotOf(maphash.String(x.seed, text), text)
	if s.key == 0 {
		return
	}
	x.keys[s.key-1] = indexKey{}
	x.free = append(x.free, s.key-1)
	s.key = removed // the search for other texts goes on beyond it
}

// rehash makes room, and forgets the slots of removed texts.
func (x *index) rehash() {
	living := len(x.keys) - len(x.free)
	size := len(x.slots)
	for 4*(living+1) > size {
		size *= 2
	}
	old := x.slots
	x.slots, x.used = make([]slot, size), 0
	for _, s := range old {
		if s.key > 0 {
			key := x.keys[s.key-1]
			*x.slotOf(maphash.String(x.seed, key.text), key.text) = s
			x.used++
		}
	}
}
