package ledger

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cohortkit/cohortkit/identity"
)

// flaw is something that a toy does wrong, for the harness to find.
type flaw uint8

const (
	flawless            flaw = iota
	flawIntentUnsynced       // Begin does not wait for the disk
	flawBytesUnsynced        // a file gets its name before its bytes are safe
	flawNameUnsynced         // nor is its name
	flawFolderUnsynced       // nor the folder it is in
	flawSwallows             // a write that failed counts as done
	flawGoesOn               // after a failed Sync the session goes on
	flawKeepsLock            // an Open that failed leaves the lock behind
	flawKeepsHandle          // and Close the file
	flawKeepsTraces          // Purge does nothing
	flawTrusts               // nothing is checked when it is read
	flawHopes                // whoever was about to be added is in
	flawForgets              // whoever was about to be removed is out
	flawSettlesLate          // Close does not write down what was settled
	flawRewritesInPlace      // the file is written over
	flawForgetsHeader        // the header is written at Close
	flawTrustsCache          // what can be read after a failed Sync counts as synced
	flaws
)

// toy is a Ledger on a disk, as simple as one can be: a file for each entry with all its members, to which intents and outcomes are
// appended, and which is written anew whenever a session opens or closes. It is there to try the harness on, and the harness is to find its flaw.
type toy struct {
	disk disk
	flaw flaw
}

const toyRoot = "state"

func newToy(f flaw) func(disk) (Ledger, error) {
	return func(d disk) (Ledger, error) { return &toy{d, f}, nil }
}

func (t *toy) folder(k Key) string {
	sum := sha256.New()
	for _, s := range []string{k.Endpoint, k.Partner, k.Workspace, k.CohortID} {
		_, _ = sum.Write(binary.AppendUvarint(nil, uint64(len(s))))
		_, _ = io.WriteString(sum, s)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// toyFrame is what a file is a sequence of: first the entry, then changes.
type toyFrame struct {
	kind     byte
	key      Key
	header   Header
	intent   Intent
	outcome  Outcome
	removals []Member
	adds     []Member // the members, in the first frame
}

const (
	toyEntry byte = iota
	toyBegin
	toySettle
	toyHeader
)

type toyWriter []byte

func (w *toyWriter) num(n uint64)  { *w = binary.AppendUvarint(*w, n) }
func (w *toyWriter) text(s string) { w.num(uint64(len(s))); *w = append(*w, s...) }
func (w *toyWriter) members(list []Member) {
	w.num(uint64(len(list)))
	for _, m := range list {
		w.text(m.ID.Encode())
		w.num(uint64(m.State))
	}
}

func (f *toyFrame) encode() []byte {
	var w toyWriter
	w.num(uint64(f.kind))
	for _, s := range []string{f.key.Endpoint, f.key.Partner, f.key.Workspace, f.key.CohortID, f.header.Name, f.header.FormerName, f.header.Rules} {
		w.text(s)
	}
	for _, t := range []time.Time{f.header.CreatedAt, f.header.NamedAt} {
		at, _ := t.MarshalBinary()
		w.text(string(at))
	}
	retired := uint64(0)
	if f.header.Retired {
		retired = 1
	}
	for _, n := range []uint64{uint64(f.header.Naming), retired, f.header.Generation, uint64(f.intent), uint64(f.outcome)} {
		w.num(n)
	}
	for _, n := range f.header.Sent {
		w.num(uint64(n))
	}
	w.members(f.removals)
	w.members(f.adds)
	framed := binary.LittleEndian.AppendUint32(nil, uint32(len(w)))
	framed = binary.LittleEndian.AppendUint32(framed, crc32.ChecksumIEEE(w))
	return append(framed, w...)
}

type toyReader struct {
	b   []byte
	bad bool
}

func (r *toyReader) num() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *toyReader) text() string {
	n := r.num()
	if n > uint64(len(r.b)) {
		r.bad = true
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *toyReader) members() []Member {
	var list []Member
	for n := r.num(); n > 0 && !r.bad; n-- {
		id, err := identity.ParseID(r.text())
		r.bad = r.bad || err != nil
		list = append(list, Member{id, State(r.num())})
	}
	return list
}

// decode takes a frame off b, and returns the rest.
func (f *toyFrame) decode(b []byte, trusting bool) (rest []byte, ok bool) {
	if len(b) < 8 {
		return nil, false
	}
	size := binary.LittleEndian.Uint32(b)
	if uint64(size) > uint64(len(b)-8) {
		return nil, false
	}
	body := b[8 : 8+size]
	if !trusting && crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, false
	}
	r := toyReader{b: body}
	f.kind = byte(r.num())
	for _, s := range []*string{&f.key.Endpoint, &f.key.Partner, &f.key.Workspace, &f.key.CohortID, &f.header.Name, &f.header.FormerName, &f.header.Rules} {
		*s = r.text()
	}
	for _, at := range []*time.Time{&f.header.CreatedAt, &f.header.NamedAt} {
		if err := at.UnmarshalBinary([]byte(r.text())); err != nil {
			r.bad = true
		}
	}
	f.header.Naming, f.header.Retired, f.header.Generation = Naming(r.num()), r.num() == 1, r.num()
	f.intent, f.outcome = Intent(r.num()), Outcome(r.num())
	for i := range f.header.Sent {
		f.header.Sent[i] = int64(r.num())
	}
	f.removals, f.adds = r.members(), r.members()
	return b[8+size:], trusting || (!r.bad && len(r.b) == 0)
}

// toyFile is what a file says.
type toyFile struct {
	key   Key
	inner *memorySession
	more  bool  // than the first frame
	end   int64 // of the last whole frame
}

func (t *toy) load(name string) (got toyFile, err error) {
	e := &memoryEntry{held: true, members: map[identity.ID]State{}}
	inner := &memorySession{ledger: &Memory{}, entry: e, intents: map[Intent]memoryIntent{}}
	got.inner = inner
	f, err := t.disk.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return got, nil
	}
	if err != nil {
		return got, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return got, err
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return got, err
	}
	var first toyFrame
	b, ok := first.decode(b, t.flaw == flawTrusts)
	if !ok {
		return got, &DamagedError{File: name, Problem: "does not begin with an entry"}
	}
	e.exists, e.header = true, first.header
	for _, m := range first.adds {
		e.members[m.ID] = m.State
	}
	got.key, got.more, got.end = first.key, len(b) > 0, size-int64(len(b))
	ctx := context.Background()
	for len(b) > 0 {
		var c toyFrame
		if b, ok = c.decode(b, t.flaw == flawTrusts); !ok {
			break // torn when the power went: nothing left after it
		}
		got.end = size - int64(len(b))
		switch c.kind {
		case toyBegin:
			_, err = inner.Begin(ctx, c.removals, c.adds)
			inner.intents[c.intent] = memoryIntent{removals: c.removals, adds: c.adds}
			if t.flaw == flawHopes {
				err = errors.Join(err, inner.Settle(c.intent, Accepted))
			}
			if t.flaw == flawForgets && len(c.adds) == 0 {
				err = errors.Join(err, inner.Settle(c.intent, Accepted))
			}
		case toySettle:
			err = inner.Settle(c.intent, c.outcome)
		case toyHeader:
			err = inner.SetHeader(ctx, c.header)
		}
		if err != nil {
			return got, err
		}
		e.header.Generation = c.header.Generation
	}
	inner.wrote, inner.intents, inner.last = false, map[Intent]memoryIntent{}, 0
	return got, nil
}

func (t *toy) Open(ctx context.Context, key Key) (Session, error) {
	if err := errors.Join(key.Validate(), ctx.Err()); err != nil {
		return nil, err
	}
	if err := t.disk.makeDir(toyRoot + "/locks"); err != nil {
		return nil, err
	}
	folder := t.folder(key)
	lock, err := t.disk.lock(toyRoot + "/locks/" + folder)
	if errors.Is(err, errLocked) {
		return nil, &HeldError{Key: key, Holder: "another session"}
	}
	if err != nil {
		return nil, err
	}
	s := &toySession{toy: t, key: key, lock: lock, folder: filepath.Join(toyRoot, folder)}
	s.name = filepath.Join(s.folder, "state")
	got, err := t.load(s.name)
	s.Session, s.inner, s.size = got.inner, got.inner, got.end
	if err == nil && s.inner.entry.exists {
		if got.key != key {
			err = &DamagedError{File: s.name, Problem: "is of another entry"}
		} else if got.more && t.flaw == flawTrustsCache {
			if s.file, err = t.disk.open(s.name); err == nil {
				err = s.file.Truncate(s.size)
			}
		} else if got.more {
			err = s.publish(s.inner)
		}
	}
	if err != nil {
		if s.file != nil {
			_ = s.file.Close()
		}
		if t.flaw != flawKeepsLock {
			_ = lock.Close()
		}
		return nil, err
	}
	return s, nil
}

func (t *toy) Entries(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		names, err := t.disk.list(toyRoot)
		if err = cmp.Or(err, ctx.Err()); err != nil {
			yield(Entry{}, err)
			return
		}
		for _, name := range names {
			got, err := t.load(filepath.Join(toyRoot, name, "state"))
			if name == "locks" || (err == nil && !got.inner.entry.exists) {
				continue
			}
			e := Entry{Key: got.key}
			if err == nil {
				e.Header = got.inner.entry.header
			}
			if damaged := (*DamagedError)(nil); !yield(e, err) || (err != nil && !errors.As(err, &damaged)) {
				return
			}
		}
	}
}

type toySession struct {
	Session // the members in memory

	toy          *toy
	key          Key
	lock         io.Closer
	folder, name string

	mu    sync.Mutex
	inner *memorySession // nil once closed
	file  file           // nil until something was written
	size  int64
	err   error
}

// publish writes the file anew, and leaves it open for what is appended.
func (s *toySession) publish(inner *memorySession) error {
	first := toyFrame{kind: toyEntry, key: s.key, header: inner.entry.header, adds: sortedMembers(inner.entry.members)}
	b := first.encode()
	for _, n := range slices.Sorted(maps.Keys(inner.intents)) {
		c := toyFrame{kind: toyBegin, header: first.header, intent: n, removals: inner.intents[n].removals, adds: inner.intents[n].adds}
		b = append(b, c.encode()...)
	}
	d, flaw := s.toy.disk, s.toy.flaw
	if err := d.makeDir(s.folder); err != nil {
		return err
	}
	if flaw != flawFolderUnsynced {
		if err := errors.Join(d.syncDir("."), d.syncDir(toyRoot)); err != nil {
			return err
		}
	}
	name := s.name + ".new"
	if flaw == flawRewritesInPlace {
		name = s.name
	}
	f, err := d.create(name)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(b, 0); err == nil && flaw != flawBytesUnsynced {
		err = f.Sync()
	}
	if err == nil && name != s.name {
		err = d.rename(name, s.name)
	}
	if err == nil && flaw != flawNameUnsynced {
		err = d.syncDir(s.folder)
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	if s.file != nil && flaw != flawKeepsHandle {
		_ = s.file.Close()
	}
	s.file, s.size = f, int64(len(b))
	return nil
}

// append adds a frame to the file. Its caller holds mu.
func (s *toySession) append(c toyFrame) error {
	if s.inner == nil {
		return ErrClosed
	}
	if s.err != nil {
		return s.err
	}
	if s.file == nil {
		s.err = s.publish(s.inner)
	}
	if s.err == nil {
		c.header.Generation = s.inner.entry.header.Generation
		if !s.inner.wrote {
			c.header.Generation++
		}
		b := c.encode()
		_, s.err = s.file.WriteAt(b, s.size)
		s.size += int64(len(b))
	}
	flaw := s.toy.flaw
	if s.err == nil && c.kind != toySettle && (flaw != flawIntentUnsynced || c.kind != toyBegin) && (flaw != flawForgetsHeader || c.kind != toyHeader) {
		s.err = s.file.Sync()
		if flaw == flawGoesOn {
			err := s.err
			s.err = nil
			return err
		}
	}
	if flaw == flawSwallows && c.kind == toyBegin && s.file != nil {
		s.err = nil
	}
	return s.err
}

func (s *toySession) Begin(ctx context.Context, removals, adds []Member) (Intent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := Intent(0)
	if s.inner != nil {
		next = s.inner.last + 1
	}
	if err := s.append(toyFrame{kind: toyBegin, intent: next, removals: removals, adds: adds}); err != nil {
		return 0, err
	}
	return s.inner.Begin(ctx, removals, adds)
}

func (s *toySession) Settle(intent Intent, outcome Outcome) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.append(toyFrame{kind: toySettle, intent: intent, outcome: outcome}); err != nil {
		return err
	}
	return s.inner.Settle(intent, outcome)
}

func (s *toySession) SetHeader(ctx context.Context, h Header) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.append(toyFrame{kind: toyHeader, header: h}); err != nil {
		return err
	}
	return s.inner.SetHeader(ctx, h)
}

func (s *toySession) Purge(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.inner == nil:
		return ErrClosed
	case s.err != nil || s.toy.flaw == flawKeepsTraces:
		return s.err
	case s.file == nil && !s.inner.entry.exists:
		return nil
	}
	s.err = s.publish(s.inner)
	return s.err
}

func (s *toySession) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inner == nil {
		return nil
	}
	err := s.err
	if s.file != nil {
		if err == nil && s.toy.flaw != flawSettlesLate {
			clear(s.inner.intents)
			err = s.publish(s.inner)
		}
		_ = s.file.Close()
	}
	_ = s.inner.Close()
	s.inner = nil
	_ = s.lock.Close()
	return err
}
