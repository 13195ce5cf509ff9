package ledger

import (
	"context"
	"encoding/binary"

	"github.com/cohortkit/cohortkit/identity"
)

// scatterer packs the wanted and cuts them into partitions, which takes about as long as to read them from a file does. So the source is read in the
// goroutine of the caller, which copies identifiers into blocks, and another goroutine works on the blocks that are full; it ends with end. There are
// blockCount blocks, however long the source is.
type scatterer struct {
	comparison *comparison
	twins      bool   // whether other identifiers matter
	block      *block // that is being filled
	full       chan *block
	empty      chan emptied
	ended      bool

	twin []byte // of the goroutine, and of finish after it
}

// block is some of the wanted, one after the other.
type block struct {
	classes []class
	records []byte // as appendText wrote them, up to used
	used    int    // apart, since a number is stored faster than a slice while memory is being freed
	pairs   []pair // where others matter
}

// pair is an other identifier of somebody wanted.
type pair struct {
	other identity.ID
	row   int // in the block
	start int // of the record
}

// emptied is a block that can be filled again, and what went wrong with what it held.
type emptied struct {
	block *block
	err   error
}

// There are several blocks: partitions fill, and are written to the file, many at a time, and the source goes on meanwhile.
const (
	blockRows  = 4 << 10   // of the wanted, in a block, and others
	blockBytes = 128 << 10 // of records, a little less than so many UUIDs
	blockCount = 8
)

func newScatterer(c *comparison, twins bool) *scatterer {
	s := &scatterer{comparison: c, twins: twins, block: &block{}, full: make(chan *block, blockCount), empty: make(chan emptied, blockCount)}
	for range blockCount - 1 {
		s.empty <- emptied{block: &block{}}
	}
	go s.work()
	return s
}

// work scatters the blocks that are full, up to an error.
func (s *scatterer) work() {
	var err error
	for b := range s.full {
		if err == nil {
			err = s.scatter(b)
		}
		s.empty <- emptied{b, err}
	}
	close(s.empty)
}

// add takes in somebody. It reports whether the block is full, so that next must follow.
func (s *scatterer) add(w Wanted) (full bool) {
	b := s.block
	start := b.used
	c, records := appendText(b.records[:start], w.ID)
	if len(records) > len(b.records) {
		b.records = records[:cap(records)]
	}
	b.used = len(records)
	b.classes = append(b.classes, c)
	if len(w.Others) > 0 && s.twins {
		for _, other := range w.Others {
			if other != w.ID {
				b.pairs = append(b.pairs, pair{other, len(b.classes) - 1, start})
			}
		}
	}
	return len(b.classes) >= blockRows || b.used >= blockBytes || len(b.pairs) >= blockRows
}

// next passes the block on, and takes an empty one.
func (s *scatterer) next(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.full <- s.block
	next := <-s.empty
	s.block = next.block
	return next.err
}

// finish returns when everybody is scattered.
func (s *scatterer) finish() error {
	if err := s.end(); err != nil {
		return err
	}
	return s.scatter(s.block)
}

// end has the goroutine come to its end, and returns what went wrong. Ending again does nothing.
func (s *scatterer) end() error {
	if !s.ended {
		s.ended = true
		close(s.full)
	}
	var err error
	for e := range s.empty {
		err = e.err
	}
	return err
}

// scatter puts those of a block into their partitions, and empties it.
func (s *scatterer) scatter(b *block) error {
	for _, p := range b.pairs {
		c := b.classes[p.row]
		record, _, _ := cutRecord(b.records[p.start:], c)
		var packed [packedSize]byte
		if c != aliasText {
			if low, high, is := packUUID(record); is != noUUID {
				binary.LittleEndian.PutUint64(packed[:], low)
				binary.LittleEndian.PutUint64(packed[8:], high)
				c, record = packedOf(c, is), packed[:]
			}
		}
		if err := s.pair(p.other, c, record); err != nil {
			return err
		}
	}
	rest := b.records[:b.used]
	for _, c := range b.classes {
		record, after, _ := cutRecord(rest, c)
		whole := rest[:len(rest)-len(after)]
		rest = after
		if len(record) == uuidSize && c != aliasText {
			if low, high, is := packUUID(record); is != noUUID {
				if err := s.wantPacked(packedOf(c, is), low, high); err != nil {
					return err
				}
				continue
			}
		}
		if err := s.wantText(c, record, whole); err != nil {
			return err
		}
	}
	clear(b.pairs)
	b.classes, b.used, b.pairs = b.classes[:0], 0, b.pairs[:0]
	return nil
}

// wantPacked notes that a record of a packed class is wanted.
func (s *scatterer) wantPacked(c class, low, high uint64) error {
	scratch := s.comparison.scratch
	b := scratch.open(wantedStream, c, partitionOf(s.comparison.seed.hashPacked(c, low, high)))
	if cap(b.tail)-len(b.tail) < packedSize {
		if err := scratch.room(b, packedSize); err != nil {
			return err
		}
	}
	n := len(b.tail)
	b.tail = b.tail[:n+packedSize]
	binary.LittleEndian.PutUint64(b.tail[n:], low)
	binary.LittleEndian.PutUint64(b.tail[n+8:], high)
	return nil
}

// wantText notes that a record of another class is wanted; whole is the record with its length.
func (s *scatterer) wantText(c class, record, whole []byte) error {
	scratch := s.comparison.scratch
	b := scratch.open(wantedStream, c, partitionOf(s.comparison.seed.hash(c, record)))
	if err := scratch.room(b, len(whole)); err != nil {
		return err
	}
	b.tail = append(b.tail, whole...)
	return nil
}

// pair notes that a record that is wanted has another identifier.
func (s *scatterer) pair(other identity.ID, c class, record []byte) error {
	scratch := s.comparison.scratch
	of, twin := pack(s.twin[:0], other)
	s.twin = twin
	b := scratch.open(twinStream, of, partitionOf(s.comparison.seed.hash(of, twin)))
	if err := scratch.room(b, 2*lengthSize+1+len(twin)+len(record)); err != nil {
		return err
	}
	b.tail = appendRecord(b.tail, of, twin)
	b.tail = appendRecord(append(b.tail, byte(c)), c, record)
	return nil
}
