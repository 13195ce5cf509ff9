package ledger

import (
	"hash/crc32"
	"sync"
)

const (
	// partitions is how many parts the members are cut into by the hash of their records. One part after the other is compared in memory, so
	// the memory is that of the largest: 10 million UUIDs take 0.3 MB each, 100 million 3 MB.
	partitions = 512
	// chunkSize is how many bytes of a partition are gathered in memory before they go to the file.
	chunkSize = 16 << 10
	smallTail = 256 // what is gathered at first
)

func partitionOf(hash uint64) int { return int(hash >> (64 - 9)) }

// stream is what records are scattered for.
type stream uint8

const (
	wantedStream  stream = iota // the wanted: records
	loggedStream                // what the journal says, the later the truer: a state and a record
	twinStream                  // in the partition of another identifier of somebody wanted: its record, the class and the record of the wanted
	againStream                 // the wanted whose addition a removal may undo: records
	removalStream               // the parts of a difference, where they are few: a state and a record
	addStream
	repeatStream
	streams
)

// scratch holds records cut into partitions, in memory as long as they are few, and in a file that is of no use to anybody after the session.
// Records of one partition and stream are appended by one goroutine at a time.
type scratch struct {
	disk disk
	name string
	bins [streams][classes][]bin // made by one goroutine, or while mu is held

	mu   sync.Mutex
	file file
	size int64
}

// bin is the records of one stream, class and partition.
type bin struct {
	chunks []chunk
	tail   []byte // what is not in the file
}

type chunk struct {
	offset int64
	length int
	sum    uint32
}

func newScratch(d disk, name string) *scratch { return &scratch{disk: d, name: name} }

// bin returns the bin of a partition, and nil if the stream has no record of the class.
func (s *scratch) bin(st stream, c class, partition int) *bin {
	if bins := s.bins[st][c]; bins != nil {
		return &bins[partition]
	}
	return nil
}

// open returns the bin of a partition for writing.
func (s *scratch) open(st stream, c class, partition int) *bin {
	if s.bins[st][c] == nil {
		s.bins[st][c] = make([]bin, partitions)
	}
	return &s.bins[st][c][partition]
}

// share is open for several goroutines, each with partitions of its own.
func (s *scratch) share(st stream, c class, partition int) *bin {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open(st, c, partition)
}

// has reports whether the stream has any record.
func (s *scratch) has(st stream) bool {
	for c := range classes {
		if s.bins[st][c] != nil {
			return true
		}
	}
	return false
}

// room makes room for n more bytes in the tail of a bin, so that records can be appended to it.
func (s *scratch) room(b *bin, n int) error {
	if len(b.tail)+n <= cap(b.tail) {
		return nil
	}
	if len(b.tail)+n <= chunkSize {
		// Most bins of a small cohort stay small, and so do those of a small difference; those of the wanted of a large cohort fill up.
		size := max(smallTail, min(2*cap(b.tail), chunkSize), len(b.tail)+n)
		b.tail = append(make([]byte, 0, size), b.tail...)
		return nil
	}
	if err := s.spill(b); err != nil {
		return err
	}
	if n > cap(b.tail) {
		b.tail = make([]byte, 0, max(chunkSize, n))
	}
	return nil
}

// spill moves the tail of a bin to the file.
func (s *scratch) spill(b *bin) error {
	if len(b.tail) == 0 {
		return nil
	}
	f, offset, err := s.allot(len(b.tail))
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(b.tail, offset); err != nil {
		return err
	}
	b.chunks = append(b.chunks, chunk{offset, len(b.tail), crc32.Checksum(b.tail, castagnoli())})
	b.tail = b.tail[:0]
	return nil
}

// allot returns the file and a place of n bytes in it.
func (s *scratch) allot(n int) (file, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		f, err := s.disk.create(s.name)
		if err != nil {
			return nil, 0, err
		}
		s.file = f
	}
	offset := s.size
	s.size += int64(n)
	return s.file, offset, nil
}

// append adds the parts of one record to a bin.
func (s *scratch) append(b *bin, state State, c class, record []byte) error {
	if err := s.room(b, 1+lengthSize+len(record)); err != nil {
		return err
	}
	b.tail = appendRecord(append(b.tail, byte(state)), c, record)
	return nil
}

// lengthSize is the most bytes that the length of a record takes.
const lengthSize = 5

// load appends what a bin holds to dst.
func (s *scratch) load(dst []byte, b *bin) ([]byte, error) {
	if b == nil {
		return dst, nil
	}
	for _, c := range b.chunks {
		start := len(dst)
		dst = grow(dst, start+c.length)
		if _, err := s.file.ReadAt(dst[start:], c.offset); err != nil {
			return dst, err
		}
		if crc32.Checksum(dst[start:], castagnoli()) != c.sum {
			return dst, &DamagedError{File: s.name, Problem: "did not keep what was written"}
		}
	}
	return append(dst, b.tail...), nil
}

// shed moves what a stream holds to the file, unless it is little, so that the streams that follow have the memory.
func (s *scratch) shed(st stream) error {
	const little = 1 << 10
	for _, bins := range s.bins[st] {
		for i := range bins {
			b := &bins[i]
			if cap(b.tail) <= little {
				continue
			}
			if err := s.spill(b); err != nil {
				return err
			}
			b.tail = nil
		}
	}
	return nil
}

// forget drops the records of a partition and stream that are in memory, when nobody asks for any of them again.
func (s *scratch) forget(st stream, partition int) {
	for _, bins := range s.bins[st] {
		if bins != nil {
			bins[partition] = bin{}
		}
	}
}

// empty forgets the records of all streams and gives the space in the file back.
func (s *scratch) empty() error {
	s.bins = [streams][classes][]bin{}
	s.size = 0
	if s.file == nil {
		return nil
	}
	return s.file.Truncate(0)
}

// close removes the file.
func (s *scratch) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	if removeErr := s.disk.remove(s.name); err == nil {
		err = removeErr
	}
	return err
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// length returns how many bytes a bin holds.
func (b *bin) length() int {
	if b == nil {
		return 0
	}
	n := len(b.tail)
	for _, c := range b.chunks {
		n += c.length
	}
	return n
}
