package cohort

import "hash/maphash"

// members finds the last change of every member that is in the open batch or under way, by the member's hash. It is asked, written and
// emptied once for every change of an import, which is why it is no map. Mostly a place of heads is free when it is asked and has one link when it is
// emptied, which the processor foresees, and all of it stays in the cache. Its size follows the requests in flight, never the length of the source: a
// small import has little.
type members struct {
	seed    maphash.Seed
	heads   []spot // of the chains, by the low bits of the hash; a power of two of them
	links   []link // by spot
	live    int
	batches []*batch // by number
}

// spot packs a place: the number of the batch, and the index plus one, so that the zero spot is none.
type spot uint32

// link packs what a chain needs of one change: the hash of its member, and the next in the chain, of another member with the same low bits.
type link uint64

// place is where the last change of a member is.
type place struct {
	batch *batch
	index int
}

const (
	hashBits   = 40
	spotBits   = 24
	indexBits  = 10 // of the index in a batch of MaxIdentifiers
	indexMask  = 1<<indexBits - 1
	firstHeads = 1 << 6
	firstLinks = 1 << 5
)

func (l link) hash() uint64 { return uint64(l) >> spotBits }

func (l link) next() spot { return spot(l & (1<<spotBits - 1)) }

func newSpot(b *batch, index int) spot { return spot(b.number<<indexBits | (index + 1)) }

func newLink(hash uint64, next spot) link { return link(hash<<spotBits | uint64(next)) }

func newMembers() *members { return &members{seed: maphash.MakeSeed()} }

// clear forgets everybody. The batches stay, for another run.
func (m *members) clear() {
	clear(m.heads)
	m.live = 0
	for _, b := range m.batches {
		b.reset()
		b.run = nil
	}
}

// newBatch returns a batch that places can point to.
func (m *members) newBatch() *batch {
	b := newBatch()
	b.number = len(m.batches)
	m.batches = append(m.batches, b)
	return b
}

// swap notes the place of the hash's newest change and returns the place of the one before, if it is still in the open batch or under way.
func (m *members) swap(hash uint64, p place) (before place, known bool) {
	if 2*(m.live+1) > len(m.heads) {
		m.growHeads()
	}
	s := newSpot(p.batch, p.index)
	if int(s) >= len(m.links) {
		m.growLinks(int(s) + 1)
	}
	before, known = m.unlink(hash, nil)
	m.link(hash, s)
	return before, known
}

// forgetBatch removes all whose last change is in this batch. Where members are known to be different, nobody was noted, and there are no links.
func (m *members) forgetBatch(b *batch) {
	if m.live == 0 {
		return
	}
	first := int(newSpot(b, 0))
	for _, l := range m.links[first : first+len(b.changes)] {
		m.forget(l.hash(), b)
	}
}

// forget removes the hash if its last change is in this batch.
func (m *members) forget(hash uint64, b *batch) { m.unlink(hash, b) }

func (m *members) link(hash uint64, s spot) {
	head := m.head(hash)
	m.links[s] = newLink(hash, *head)
	*head = s
	m.live++
}

// unlink takes the hash out of its chain, from whichever batch or from this one alone, and returns where it was.
func (m *members) unlink(hash uint64, from *batch) (place, bool) {
	head := m.head(hash)
	for earlier, s := spot(0), *head; s != 0; {
		l := m.links[s]
		if l.hash() != hash {
			earlier, s = s, l.next()
			continue
		}
		p := place{m.batches[s>>indexBits], int(s&indexMask) - 1}
		if from != nil && from != p.batch {
			break
		}
		if earlier == 0 {
			*head = l.next()
		} else {
			m.links[earlier] = newLink(m.links[earlier].hash(), l.next())
		}
		m.live--
		return p, true
	}
	return place{}, false
}

func (m *members) head(hash uint64) *spot { return &m.heads[hash&uint64(len(m.heads)-1)] }

// growLinks makes room for at least n links. It doubles, as append does, but within a batch: beyond that it has room for whole batches, since a run that
// fills one fills the others too.
func (m *members) growLinks(n int) {
	size := max(firstLinks, 2*len(m.links), n)
	if n > 1<<indexBits {
		size = (n + indexMask) &^ indexMask
	}
	m.links = append(m.links, make([]link, size-len(m.links))...)
}

func (m *members) growHeads() {
	old := m.heads
	m.heads = make([]spot, max(firstHeads, 2*len(old)))
	m.live = 0
	for _, s := range old {
		for s != 0 {
			l := m.links[s]
			m.link(l.hash(), s)
			s = l.next()
		}
	}
}
