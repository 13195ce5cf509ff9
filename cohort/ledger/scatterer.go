package ledger

import (
	"context"

	"github.com/cohortkit/cohortkit/identity"
)

// scatterer packs the wanted and cuts them into partitions, which takes about as long as to read them from a file does. So the source is read in the
// goroutine of the caller, which gathers identifiers in blocks, and another goroutine works on the blocks that are full; it ends with end. There are
// blockCount blocks, however long the source is.
type scatterer struct {
	comparison *comparison
	twins      bool   // whether other identifiers matter
	block      *block // that is being filled
	full       chan *block
	empty      chan emptied
	ended      bool

	// of the goroutine, and of finish after it
	record []byte
	twin   []byte
}

// block is some of the wanted, one after the other.
type block struct {
	ids    []identity.ID
	ends   []int // of the others of each, if they matter
	others []identity.ID
}

// emptied is a block that can be filled again, and what went wrong with what it held.
type emptied struct {
	block *block
	err   error
}

// The blocks are small, but there are several of them: partitions fill, and are written to the file, many at a time, and the source goes on meanwhile.
const (
	blockRows  = 1 << 10 // of the wanted, in a block
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

// add takes in somebody.
func (s *scatterer) add(ctx context.Context, w Wanted) error {
	b := s.block
	b.ids = append(b.ids, w.ID)
	if s.twins {
		b.others = append(b.others, w.Others...)
		b.ends = append(b.ends, len(b.others))
	}
	if len(b.ids) < blockRows {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.full <- b
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
	start := 0
	for i, id := range b.ids {
		c, record := pack(s.record[:0], id)
		s.record = record
		if err := s.want(c, record); err != nil {
			return err
		}
		if !s.twins {
			continue
		}
		for _, other := range b.others[start:b.ends[i]] {
			if other == id {
				continue
			}
			if err := s.pair(other, c, record); err != nil {
				return err
			}
		}
		start = b.ends[i]
	}
	b.ids, b.ends, b.others = b.ids[:0], b.ends[:0], b.others[:0]
	return nil
}

// want notes that a record is wanted.
func (s *scatterer) want(c class, record []byte) error {
	scratch := s.comparison.scratch
	b := scratch.open(wantedStream, c, partitionOf(s.comparison.seed.hash(c, record)))
	if err := scratch.room(b, lengthSize+len(record)); err != nil {
		return err
	}
	b.tail = appendRecord(b.tail, c, record)
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
