package ledger

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A base file holds the members as they were at some moment and never changes. It begins with a head, then follow a block for each
// partition and an index of their lengths:
//
//	head    baseMagic, its number (8 bytes)
//	block   sections, checksum (4)
//	section state and class (1), how many records (uvarint), how many bytes (uvarint), the records
//	index   the length of each block (uvarint), how long they are together (4)
//
// The checksum of a block covers the head and the number of the partition too, so that no block can stand for another. That of the index, and the length
// of the file, are in the journal.
const baseMagic = "cohortkit base 1\n"

const baseHeadSize = len(baseMagic) + 8

// baseInfo is what the journal says about its base file. Without a base, Number is 0.
type baseInfo struct {
	Number  uint64 `json:"number"`
	Length  int64  `json:"length"`
	Index   uint32 `json:"index"`   // the checksum of the index
	Members int    `json:"members"` // In and Unknown
}

func appendBaseHead(dst []byte, number uint64) []byte {
	return binary.LittleEndian.AppendUint64(append(dst, baseMagic...), number)
}

// blockSum returns the checksum of a block.
func blockSum(number uint64, partition int, block []byte) uint32 {
	var space [baseHeadSize + 4]byte
	head := binary.LittleEndian.AppendUint32(appendBaseHead(space[:0], number), uint32(partition))
	return crc32.Update(crc32.Checksum(head, castagnoli()), castagnoli(), block)
}

// base reads a base file. The zero value is the base without a member.
type base struct {
	file    file
	whole   []byte // what is in the file, if it is small
	name    string
	number  uint64
	offsets []int64 // of the blocks, and the end of the last one
}

func openBase(d disk, name string, info baseInfo) (*base, error) {
	if info.Number == 0 {
		return &base{}, nil
	}
	f, err := d.read(name)
	if err != nil {
		return nil, missing(name, err)
	}
	b := &base{file: f, name: name, number: info.Number}
	err = b.readIndex(info)
	if err == nil && info.Length <= smallBase {
		b.whole = make([]byte, info.Length)
		_, err = f.ReadAt(b.whole, 0)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return b, nil
}

// smallBase is how long a base may be to be read at once, in place of a read for each of its many blocks.
const smallBase = 256 << 10

func (b *base) readIndex(info baseInfo) error {
	size, err := b.file.Size()
	if err != nil {
		return err
	}
	if size != info.Length || size < int64(baseHeadSize+4+4) {
		return b.damaged(fmt.Sprintf("is %d bytes long and should be %d", size, info.Length))
	}
	head := make([]byte, baseHeadSize)
	tail := make([]byte, 4) // where the index begins, counted from the end
	if _, err := b.file.ReadAt(head, 0); err != nil {
		return err
	}
	if _, err := b.file.ReadAt(tail, size-4); err != nil {
		return err
	}
	length := int64(binary.LittleEndian.Uint32(tail))
	if string(head) != string(appendBaseHead(nil, info.Number)) || length > size-int64(baseHeadSize)-4 {
		return b.damaged("does not begin or end as it should")
	}
	index := make([]byte, length)
	if _, err := b.file.ReadAt(index, size-4-length); err != nil {
		return err
	}
	if crc32.Checksum(index, castagnoli()) != info.Index {
		return b.damaged("has a broken index")
	}
	b.offsets = append(make([]int64, 0, partitions+1), int64(baseHeadSize))
	for range partitions {
		n, used := binary.Uvarint(index)
		if used <= 0 {
			return b.damaged("has a short index")
		}
		index = index[used:]
		b.offsets = append(b.offsets, b.offsets[len(b.offsets)-1]+int64(n))
	}
	if b.offsets[partitions] != size-4-length {
		return b.damaged("has an index of another file")
	}
	return nil
}

func (b *base) damaged(problem string) error { return &DamagedError{File: b.name, Problem: problem} }

// load appends the block of a partition, without its checksum, to dst.
func (b *base) load(dst []byte, partition int) ([]byte, error) {
	if b.file == nil {
		return dst, nil
	}
	start, from, to := len(dst), b.offsets[partition], b.offsets[partition+1]
	length := int(to - from)
	if b.whole != nil {
		dst = append(dst, b.whole[from:to]...)
	} else {
		dst = grow(dst, start+length)
		if _, err := b.file.ReadAt(dst[start:], from); err != nil {
			return dst[:start], err
		}
	}
	end := len(dst) - 4
	if length < 4 || binary.LittleEndian.Uint32(dst[end:]) != blockSum(b.number, partition, dst[start:end]) {
		return dst[:start], b.damaged(fmt.Sprintf("has a broken block %d", partition))
	}
	return dst[:end], nil
}

// section is the records of one state and class in a block.
type section struct {
	state   State
	class   class
	records []byte
	count   int
}

// cutSection returns the first section of a block that is not damaged, and what comes after it.
func cutSection(block []byte) (section, []byte) {
	tag := block[0]
	count, n := binary.Uvarint(block[1:])
	length, m := binary.Uvarint(block[1+n:])
	start := 1 + n + m
	end := start + int(length)
	return section{State(tag >> 4), class(tag & 15), block[start:end:end], int(count)}, block[end:]
}

func appendSection(dst []byte, s section) []byte {
	if s.count == 0 {
		return dst
	}
	dst = append(dst, byte(s.state)<<4|byte(s.class))
	dst = binary.AppendUvarint(dst, uint64(s.count))
	dst = binary.AppendUvarint(dst, uint64(len(s.records)))
	return append(dst, s.records...)
}

func (b *base) close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}

// baseWriter writes a base file, one partition after the other.
type baseWriter struct {
	file    file
	info    baseInfo
	pending []byte // not yet written
	start   int    // of the block in it
	index   []byte
	blocks  int
}

// writeSize is how many bytes are gathered for one write.
const writeSize = 256 << 10

func createBase(d disk, name string, number uint64) (*baseWriter, error) {
	f, err := d.create(name)
	if err != nil {
		return nil, err
	}
	return &baseWriter{file: f, info: baseInfo{Number: number}, pending: appendBaseHead(nil, number), start: baseHeadSize}, nil
}

// section adds a section to the block of the next partition.
func (w *baseWriter) section(s section) {
	w.pending = appendSection(w.pending, s)
	w.info.Members += s.count
}

// block writes the block of the next partition.
func (w *baseWriter) block() error {
	w.pending = binary.LittleEndian.AppendUint32(w.pending, blockSum(w.info.Number, w.blocks, w.pending[w.start:]))
	w.index = binary.AppendUvarint(w.index, uint64(len(w.pending)-w.start))
	w.start = len(w.pending)
	w.blocks++
	if len(w.pending) < writeSize {
		return nil
	}
	return w.flush()
}

func (w *baseWriter) flush() error {
	if _, err := w.file.WriteAt(w.pending, w.info.Length); err != nil {
		return err
	}
	w.info.Length += int64(len(w.pending))
	w.pending, w.start = w.pending[:0], 0
	return nil
}

// finish makes the file durable and closes it.
func (w *baseWriter) finish() (baseInfo, error) {
	w.info.Index = crc32.Checksum(w.index, castagnoli())
	w.pending = append(w.pending, w.index...)
	w.pending = binary.LittleEndian.AppendUint32(w.pending, uint32(len(w.index)))
	err := w.flush()
	if err == nil {
		err = w.file.Sync()
	}
	if closeErr := w.file.Close(); err == nil {
		err = closeErr
	}
	return w.info, err
}
