package ledger

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
)

// A journal says which base file is the valid one and what has changed since. It begins with a head, then follow two marks and the frames:
//
//	head   journalMagic, length (4), the journalHead as JSON, checksum (4)
//	mark   a number that grows (8), how many bytes of the file are surely durable (8), checksum (4)
//	frame  length of the payload (4), kind (1), payload, checksum (4)
//
// The marks are written in turns, each after a sync of what it vouches for. So whatever is not valid before the mark is damage, and what is
// not valid behind it was being written when the process or the machine stopped: nothing that it announces has left.
//
// The checksum of a frame covers its place in the file too.
const journalMagic = "cohortkit journal 1\n"

const (
	markSize  = 20
	frameHead = 5
	sumSize   = 4
	// maxFrame is more than a request of cohorts can hold.
	maxFrame = 1 << 30
)

// journalHead is what a journal says about its entry. It does not change.
type journalHead struct {
	Key    Key      `json:"key"`
	Seed   hashSeed `json:"seed"` // of the hash that cuts the members into partitions
	Base   baseInfo `json:"base"`
	Intent Intent   `json:"intent"` // the last one of earlier journals
}

// frameKind says what a frame records.
type frameKind uint8

const (
	headerFrame frameKind = iota + 1 // a Header as JSON
	intentFrame                      // an intent and its members
	settleFrame                      // an intent and its outcome
	stampsFrame                      // when the events behind an intent happened
)

// journal appends frames to a file and makes many of them durable with one sync.
type journal struct {
	file  file
	name  string
	marks int64 // where they are
	start int64 // of the frames

	turn chan struct{} // held by whoever writes to the file

	// of the holder of the turn
	written int64  // the end of what is in the file
	number  uint64 // of the last mark
	place   int    // which of the two it is: the next one goes to the other place
	spare   []byte // memory for the next pending

	mu      sync.Mutex
	pending []byte // frames that are not in the file
	end     int64  // of the frames, pending ones included
	durable int64  // the end of what is surely durable
	err     error  // what broke the journal
}

// encodeJournal returns a journal with these frames: what a new file holds.
func encodeJournal(head journalHead, frames func(*journal)) ([]byte, error) {
	text, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	b := binary.LittleEndian.AppendUint32([]byte(journalMagic), uint32(len(text)))
	b = append(b, text...)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
	marks := len(b)
	j := &journal{end: int64(marks + 2*markSize)}
	frames(j)
	for n := range uint64(2) {
		b = appendMark(b, n+1, j.end)
	}
	return append(b, j.pending...), nil
}

func appendMark(dst []byte, number uint64, durable int64) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, number)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(durable))
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli()))
}

// newSuffix ends the name of a file that is not published yet.
const newSuffix = ".new"

// publish makes a file with this content appear under its name, at once or not at all, and durably.
func publish(d disk, name string, content []byte) error {
	temporary := name + newSuffix
	f, err := d.create(temporary)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = d.rename(temporary, name)
	}
	if err != nil {
		return err
	}
	return d.syncDir(filepath.Dir(name))
}

// readJournal reads the head and the marks of a journal file.
func readJournal(f file, name string) (*journal, journalHead, error) {
	j := &journal{file: f, name: name, turn: make(chan struct{}, 1)}
	var head journalHead
	size, err := f.Size()
	if err != nil {
		return nil, head, err
	}
	fixed := make([]byte, len(journalMagic)+4)
	if size < int64(len(fixed)) {
		return nil, head, j.damaged("is too short to be a journal")
	}
	if _, err := f.ReadAt(fixed, 0); err != nil {
		return nil, head, err
	}
	if string(fixed[:len(journalMagic)]) != journalMagic {
		return nil, head, j.damaged("is no journal of this version")
	}
	length := int64(binary.LittleEndian.Uint32(fixed[len(journalMagic):]))
	j.marks = int64(len(fixed)) + length + sumSize
	j.start = j.marks + 2*markSize
	if size < j.start {
		return nil, head, j.damaged("ends within its head")
	}
	b := make([]byte, j.start)
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, head, err
	}
	text, sum := b[:j.marks-sumSize], b[j.marks-sumSize:j.marks]
	if crc32.Checksum(text, castagnoli()) != binary.LittleEndian.Uint32(sum) {
		return nil, head, j.damaged("has a broken head")
	}
	if err := json.Unmarshal(text[len(fixed):], &head); err != nil {
		return nil, head, j.damaged("has a head of another version")
	}
	for place := range 2 {
		m := b[j.marks+int64(place)*markSize:]
		number, durable := binary.LittleEndian.Uint64(m), int64(binary.LittleEndian.Uint64(m[8:]))
		if binary.LittleEndian.Uint32(m[16:]) == crc32.Checksum(m[:16], castagnoli()) && number > j.number {
			j.number, j.durable, j.place = number, durable, place
		}
	}
	// Asked again, because somebody who writes may have gone on since.
	if size, err = f.Size(); err != nil {
		return nil, head, err
	}
	switch {
	case j.number == 0:
		return nil, head, j.damaged("has broken marks")
	case j.durable < j.start:
		return nil, head, j.damaged("has a mark of another file")
	case j.durable > size:
		return nil, head, j.damaged("ends before what was written last")
	}
	return j, head, nil
}

func (j *journal) damaged(problem string) error { return &DamagedError{File: j.name, Problem: problem} }

// missing turns the absence of a file that must be there into damage.
func missing(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &DamagedError{File: name, Problem: "is missing"}
	}
	return err
}

// frame is a frame that was read. Its payload is good until the next one.
type frame struct {
	kind    frameKind
	payload []byte
}

// size returns how many bytes the frame takes in a file.
func (f frame) size() int64 { return int64(frameHead + len(f.payload) + sumSize) }

// frames reads the frames that are in the file and calls f with each. It returns where they end. What is not valid behind the mark ends them.
func (j *journal) frames(ctx context.Context, f func(frame) error) (int64, error) {
	r := frameReader{journal: j, at: j.start}
	for {
		if err := ctx.Err(); err != nil {
			return r.at, err
		}
		next, err := r.next()
		if errors.Is(err, io.EOF) {
			return r.at, nil
		}
		if err == nil {
			err = f(next)
		}
		if err != nil {
			return r.at, err
		}
	}
}

// frameReader reads frames one after the other through a buffer.
type frameReader struct {
	journal *journal
	at      int64  // where the next frame begins
	buffer  []byte // what is in memory of the file
	offset  int64  // where the buffer begins
}

// next returns the next frame, io.EOF behind the last one, or a DamagedError.
func (r *frameReader) next() (frame, error) {
	head, err := r.bytes(frameHead)
	if err != nil {
		return frame{}, err
	}
	length := binary.LittleEndian.Uint32(head)
	if length > maxFrame {
		return frame{}, r.end("has a broken frame")
	}
	b, err := r.bytes(frameHead + int(length) + sumSize)
	if err != nil {
		return frame{}, err
	}
	body, sum := b[:len(b)-sumSize], b[len(b)-sumSize:]
	if frameSum(r.at, body) != binary.LittleEndian.Uint32(sum) {
		return frame{}, r.end("has a broken frame")
	}
	r.at += int64(len(b))
	return frame{frameKind(body[4]), body[frameHead:]}, nil
}

// end returns what it means that there is no valid frame here.
func (r *frameReader) end(problem string) error {
	if r.at < r.journal.durable {
		return r.journal.damaged(fmt.Sprintf("%s at byte %d", problem, r.at))
	}
	return io.EOF
}

// bytes returns the next n bytes of the file, without going on.
func (r *frameReader) bytes(n int) ([]byte, error) {
	from := r.at - r.offset
	if from+int64(n) <= int64(len(r.buffer)) {
		return r.buffer[from : from+int64(n)], nil
	}
	size, err := r.journal.file.Size()
	if err != nil {
		return nil, err
	}
	left := size - r.at
	if left < int64(n) {
		return nil, r.end("ends too early")
	}
	r.buffer = grow(r.buffer[:0], int(min(left, int64(max(n, writeSize)))))
	r.offset = r.at
	if _, err := r.journal.file.ReadAt(r.buffer, r.offset); err != nil {
		return nil, err
	}
	return r.buffer[:n], nil
}

func frameSum(at int64, body []byte) uint32 {
	var place [8]byte
	binary.LittleEndian.PutUint64(place[:], uint64(at))
	return crc32.Update(crc32.Checksum(place[:], castagnoli()), castagnoli(), body)
}

// append adds a frame whose payload is what encode appends. It returns where the frame ends.
func (j *journal) append(kind frameKind, encode func(dst []byte) []byte) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	start := len(j.pending)
	j.pending = append(j.pending, 0, 0, 0, 0, byte(kind))
	j.pending = encode(j.pending)
	body := j.pending[start:]
	binary.LittleEndian.PutUint32(body, uint32(len(body)-frameHead))
	j.pending = binary.LittleEndian.AppendUint32(j.pending, frameSum(j.end, body))
	j.end += int64(len(j.pending) - start)
	return j.end
}

// sync returns when the frames up to this end are durable. Whoever comes first writes and syncs for all who wait.
func (j *journal) sync(ctx context.Context, end int64) error {
	select {
	case j.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer j.release()
	if done, err := j.synced(end); done || err != nil {
		return err
	}
	if err := j.write(); err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		return j.fail(err)
	}
	j.mu.Lock()
	j.durable = j.written
	j.mu.Unlock()
	j.number++
	j.place = 1 - j.place
	if _, err := j.file.WriteAt(appendMark(nil, j.number, j.written), j.marks+int64(j.place)*markSize); err != nil {
		return j.fail(err)
	}
	return nil
}

func (j *journal) synced(end int64) (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.durable >= end, j.err
}

// write hands the pending frames to the file. The caller holds the turn.
func (j *journal) write() error {
	j.mu.Lock()
	pending, end, err := j.pending, j.end, j.err
	j.pending, j.spare = j.spare[:0], nil
	j.mu.Unlock()
	if err != nil {
		return err
	}
	if len(pending) > 0 {
		if _, err := j.file.WriteAt(pending, j.written); err != nil {
			return j.fail(err)
		}
	}
	j.written, j.spare = end, pending
	return nil
}

// handOver writes the pending frames if nobody else is writing, without making them durable: should the process be killed, the
// file has them all the same.
func (j *journal) handOver() error {
	select {
	case j.turn <- struct{}{}:
		defer j.release()
		return j.write()
	default:
		return nil // whoever has the turn takes them along as it gives the turn back
	}
}

// release gives the turn back, and then takes along what was appended too late for the holder.
func (j *journal) release() {
	<-j.turn
	j.mu.Lock()
	left := len(j.pending) > 0 && j.err == nil
	j.mu.Unlock()
	if left {
		_ = j.handOver() // the journal remembers the error
	}
}

// flush writes the pending frames, without making them durable.
func (j *journal) flush(ctx context.Context) error {
	select {
	case j.turn <- struct{}{}:
		defer j.release()
		return j.write()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// finish makes everything durable.
func (j *journal) finish(ctx context.Context) error {
	j.mu.Lock()
	end, durable, err := j.end, j.durable, j.err
	j.mu.Unlock()
	if err != nil || durable >= end {
		return err
	}
	return j.sync(ctx, end)
}

// fail breaks the journal: after a failed write or sync nobody knows what is in the file, so nothing may follow.
func (j *journal) fail(err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		j.err = err
	}
	return j.err
}

// broken returns what broke the journal.
func (j *journal) broken() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// size returns how many bytes the frames take.
func (j *journal) size() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.end - j.start
}

// take prepares a journal that was read up to this end for writing behind it. It reports whether the last session finished with it: if so, all that is in
// the file is surely durable.
func (j *journal) take(end int64) (finished bool, err error) {
	size, err := j.file.Size()
	if err != nil {
		return false, err
	}
	finished = size == end && j.durable == end
	j.written, j.end, j.durable = end, end, end
	return finished, nil
}
