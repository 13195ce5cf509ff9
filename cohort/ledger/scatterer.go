package ledger

import "context"

// scatterer takes in the wanted.
type scatterer struct {
	comparison *comparison
	twins      bool // whether other identifiers matter
	rows       int
	record     []byte
	other      []byte
}

// contextRows is after how many rows the context is looked at.
const contextRows = 1 << 12

func (s *scatterer) add(ctx context.Context, w Wanted) error {
	if s.rows++; s.rows%contextRows == 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	scratch, seed := s.comparison.scratch, s.comparison.seed
	c, record := pack(s.record[:0], w.ID)
	s.record = record
	b := scratch.open(wantedStream, c, partitionOf(seed.hash(c, record)))
	if err := scratch.room(b, lengthSize+len(record)); err != nil {
		return err
	}
	b.tail = appendRecord(b.tail, c, record)
	if !s.twins {
		return nil
	}
	for _, id := range w.Others {
		if id == w.ID {
			continue
		}
		of, other := pack(s.other[:0], id)
		s.other = other
		b := scratch.open(twinStream, of, partitionOf(seed.hash(of, other)))
		if err := scratch.room(b, 2*lengthSize+1+len(other)+len(record)); err != nil {
			return err
		}
		b.tail = appendRecord(b.tail, of, other)
		b.tail = appendRecord(append(b.tail, byte(c)), c, record)
	}
	return nil
}
