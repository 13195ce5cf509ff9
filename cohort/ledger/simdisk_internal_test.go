package ledger

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash"
	"hash/maphash"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// errCrashed is the error of every operation after the power went.
var errCrashed = errors.New("the power is off")

// simOp is a kind of operation on a simDisk.
type simOp uint8

const (
	opMakeDir simOp = iota
	opList
	opCreate
	opOpen
	opRead
	opRename
	opRemove
	opSyncDir
	opLock
	opReadAt
	opWriteAt
	opSize
	opTruncate
	opSync
	simOps
)

// reads reports whether the operation leaves the disk as it is.
func (o simOp) reads() bool {
	return o == opList || o == opOpen || o == opRead || o == opReadAt || o == opSize
}

func (o simOp) String() string {
	return [...]string{
		"makeDir", "list", "create", "open", "read", "rename", "remove", "syncDir", "lock", "ReadAt", "WriteAt", "Size", "Truncate", "Sync",
	}[o]
}

// simFault is how an operation fails.
type simFault uint8

const (
	noFault      simFault = iota
	faultIO               // an error, and nothing done
	faultNoSpace          // the disk is full, and nothing done
	faultShort            // half of a write arrives, then the disk is full
	// faultSyncGone fails a Sync as Linux does: what was not synced is dropped. The next Sync works, and does not bring it back.
	faultSyncGone
	// faultSyncStale is the same while the cache lasts: it can still be read, until the power goes.
	faultSyncStale
)

func (f simFault) String() string {
	return [...]string{"no fault", "an I/O error", "no space", "a short write", "a failed sync", "a failed sync that nobody sees"}[f]
}

// faultsOf returns how an operation can fail.
func faultsOf(op simOp) []simFault {
	switch op {
	case opWriteAt:
		return []simFault{faultShort, faultNoSpace}
	case opSync:
		return []simFault{faultSyncGone, faultSyncStale}
	case opMakeDir, opCreate, opLock, opTruncate:
		return []simFault{faultNoSpace}
	default:
		return []simFault{faultIO}
	}
}

// simMaxFile is beyond what any test writes: a length or an offset above it was read from damaged bytes.
const simMaxFile = 1 << 28

// simDisk is a disk in memory that knows what would be left of it after a power failure.
//
// A file's bytes and length last from its Sync on, and a folder's names from its syncDir on. Of everything else anything may be
// left: each write none, all, or part of its bytes, each independently of the others; each name, too, and independently of what is
// in the file. A rename is left as a whole or not at all, as on every file system that has a log. Locks do not outlast the power.
type simDisk struct {
	mu      sync.Mutex
	root    *simNode
	locks   map[string]bool
	handles int // that are open, and locks that are held

	ops     []simOp // as far as they were begun with the power on
	crashAt int     // the power goes after this many; none if negative
	failAt  int     // the operation, from 0, that fails; none if negative
	fault   simFault
	failed  bool
	// failedName is the file that the operation was about.
	failedName string
}

// simNode is a file or a folder.
type simNode struct {
	// Of a file: what programs see, what is surely on the disk, and what happened in between.
	cache, disk []byte
	writes      []simWrite

	// Of a folder: the same of names.
	names, onDisk map[string]*simNode
	changes       []simChange
}

type simWrite struct {
	at   int64
	data []byte // nil if the file was cut to the length at
}

// simChange removes a name, gives a node a name, or both at once.
type simChange struct {
	del, set string
	node     *simNode
}

func newSimFolder() *simNode {
	return &simNode{names: map[string]*simNode{}, onDisk: map[string]*simNode{}}
}

func newSimDisk() *simDisk {
	return &simDisk{root: newSimFolder(), locks: map[string]bool{}, crashAt: -1, failAt: -1}
}

func (n *simNode) folder() bool { return n.names != nil }

func (n *simNode) change(c simChange) {
	c.applyTo(n.names)
	n.changes = append(n.changes, c)
}

func (c simChange) applyTo(names map[string]*simNode) {
	if c.del != "" && (c.set == "" || names[c.del] == c.node) {
		delete(names, c.del)
	}
	if c.set != "" {
		names[c.set] = c.node
	}
}

func (w simWrite) applyTo(b []byte) []byte {
	end := w.at + int64(len(w.data))
	if w.data == nil && end < int64(len(b)) {
		return b[:end:end]
	}
	if end > int64(len(b)) {
		b = append(b, make([]byte, end-int64(len(b)))...)
	}
	copy(b[w.at:], w.data)
	return b
}

// start counts an operation, and fails it if it is its turn. Its caller holds mu.
func (d *simDisk) start(op simOp, name string) (simFault, error) {
	if d.crashAt >= 0 && len(d.ops) >= d.crashAt {
		return noFault, errCrashed
	}
	d.ops = append(d.ops, op)
	if len(d.ops)-1 != d.failAt {
		return noFault, nil
	}
	d.failed, d.failedName = true, name
	err := error(syscall.EIO)
	if d.fault == faultNoSpace || d.fault == faultShort {
		err = syscall.ENOSPC
	}
	return d.fault, &fs.PathError{Op: op.String(), Path: name, Err: err}
}

// find returns the node of a name, or nil, and the folder it is or would be in, or nil.
func (d *simDisk) find(name string) (node, parent *simNode, base string) {
	node = d.root
	for base = range strings.SplitSeq(filepath.ToSlash(filepath.Clean(name)), "/") {
		if base == "." {
			continue
		}
		if parent = node; parent == nil || !parent.folder() {
			return nil, nil, base
		}
		node = parent.names[base]
	}
	return node, parent, base
}

func pathError(op simOp, name string, err error) error {
	return &fs.PathError{Op: op.String(), Path: name, Err: err}
}

func (d *simDisk) makeDir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.start(opMakeDir, name); err != nil {
		return err
	}
	at := d.root
	for base := range strings.SplitSeq(filepath.ToSlash(filepath.Clean(name)), "/") {
		if base == "." {
			continue
		}
		if at.names[base] == nil {
			at.change(simChange{set: base, node: newSimFolder()})
		}
		if at = at.names[base]; !at.folder() {
			return pathError(opMakeDir, name, syscall.ENOTDIR)
		}
	}
	return nil
}

func (d *simDisk) list(name string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.start(opList, name); err != nil {
		return nil, err
	}
	node, _, _ := d.find(name)
	switch {
	case node == nil:
		return nil, nil
	case !node.folder():
		return nil, pathError(opList, name, syscall.ENOTDIR)
	}
	return slices.Sorted(maps.Keys(node.names)), nil
}

// emptied returns the file of a name, which it creates or empties.
func (d *simDisk) emptied(op simOp, name string) (*simNode, error) {
	node, parent, base := d.find(name)
	switch {
	case parent == nil:
		return nil, pathError(op, name, fs.ErrNotExist)
	case node == nil:
		node = &simNode{}
		parent.change(simChange{set: base, node: node})
	case node.folder():
		return nil, pathError(op, name, syscall.EISDIR)
	}
	return node, nil
}

func (d *simDisk) create(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.start(opCreate, name); err != nil {
		return nil, err
	}
	node, err := d.emptied(opCreate, name)
	if err != nil {
		return nil, err
	}
	if len(node.cache) > 0 {
		node.write(simWrite{})
	}
	return d.handle(node, name, true), nil
}

func (d *simDisk) handle(node *simNode, name string, writable bool) *simHandle {
	d.handles++
	return &simHandle{disk: d, node: node, name: name, writable: writable}
}

func (d *simDisk) existing(op simOp, name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.start(op, name); err != nil {
		return nil, err
	}
	node, _, _ := d.find(name)
	switch {
	case node == nil:
		return nil, pathError(op, name, fs.ErrNotExist)
	case node.folder():
		return nil, pathError(op, name, syscall.EISDIR)
	}
	return d.handle(node, name, op == opOpen), nil
}

func (d *simDisk) open(name string) (file, error) { return d.existing(opOpen, name) }

func (d *simDisk) read(name string) (file, error) { return d.existing(opRead, name) }

func (d *simDisk) rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.start(opRename, from); err != nil {
		return err
	}
	node, oldParent, oldBase := d.find(from)
	target, newParent, newBase := d.find(to)
	switch {
	case node == nil || newParent == nil:
		return pathError(opRename, from, fs.ErrNotExist)
	case node.folder() || (target != nil && target.folder()):
		return pathError(opRename, from, syscall.EISDIR) // which a real disk can do in part; nobody needs it
	case node == target:
	case oldParent == newParent:
		oldParent.change(simChange{del: oldBase, set: newBase, node: node})
	default:
		newParent.change(simChange{set: newBase, node: node})
		oldParent.change(simChange{del: oldBase})
	}
	return nil
}

func (d *simDisk) remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.start(opRemove, name); err != nil {
		return err
	}
	node, parent, base := d.find(name)
	switch {
	case node == nil:
		return nil
	case node.folder() && len(node.names) > 0:
		return pathError(opRemove, name, syscall.ENOTEMPTY)
	}
	parent.change(simChange{del: base})
	return nil
}

func (d *simDisk) syncDir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.start(opSyncDir, name); err != nil {
		return err
	}
	node, _, _ := d.find(name)
	if node == nil || !node.folder() {
		return pathError(opSyncDir, name, fs.ErrNotExist)
	}
	node.onDisk, node.changes = maps.Clone(node.names), nil
	return nil
}

func (d *simDisk) lock(name string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.start(opLock, name); err != nil {
		return nil, err
	}
	if _, err := d.emptied(opLock, name); err != nil {
		return nil, err
	}
	name = filepath.Clean(name)
	if d.locks[name] {
		return nil, errLocked
	}
	d.locks[name] = true
	d.handles++
	return &simLock{disk: d, name: name}, nil
}

type simLock struct {
	disk   *simDisk
	name   string
	closed bool
}

func (l *simLock) Close() error {
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	if l.closed {
		return fs.ErrClosed
	}
	l.closed = true
	l.disk.handles--
	delete(l.disk.locks, l.name)
	return nil
}

// simHandle is an open file. It stays good when the file loses its name.
type simHandle struct {
	disk     *simDisk
	node     *simNode
	name     string
	writable bool
	closed   bool
}

func (n *simNode) write(w simWrite) {
	n.cache = w.applyTo(n.cache)
	n.writes = append(n.writes, w)
}

// start counts an operation on the file. Its caller holds the disk's mu.
func (h *simHandle) start(op simOp) (simFault, error) {
	if h.closed {
		return noFault, pathError(op, h.name, fs.ErrClosed)
	}
	if !h.writable && (op == opWriteAt || op == opTruncate) {
		return noFault, pathError(op, h.name, syscall.EBADF)
	}
	return h.disk.start(op, h.name)
}

func (h *simHandle) ReadAt(p []byte, off int64) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if _, err := h.start(opReadAt); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, pathError(opReadAt, h.name, syscall.EINVAL)
	}
	if off >= int64(len(h.node.cache)) {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	n := copy(p, h.node.cache[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *simHandle) WriteAt(p []byte, off int64) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	fault, err := h.start(opWriteAt)
	switch {
	case err != nil && fault != faultShort:
		return 0, err
	case off < 0 || off > simMaxFile-int64(len(p)):
		return 0, pathError(opWriteAt, h.name, syscall.EFBIG)
	case fault == faultShort:
		p = p[:len(p)/2]
	}
	if len(p) > 0 {
		h.node.write(simWrite{off, bytes.Clone(p)})
	}
	return len(p), err
}

func (h *simHandle) Size() (int64, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if _, err := h.start(opSize); err != nil {
		return 0, err
	}
	return int64(len(h.node.cache)), nil
}

func (h *simHandle) Truncate(size int64) error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if _, err := h.start(opTruncate); err != nil {
		return err
	}
	if size < 0 || size > simMaxFile {
		return pathError(opTruncate, h.name, syscall.EINVAL)
	}
	h.node.write(simWrite{at: size})
	return nil
}

func (h *simHandle) Sync() error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	fault, err := h.start(opSync)
	switch {
	case fault == faultSyncGone:
		h.node.cache = bytes.Clone(h.node.disk)
		h.node.writes = nil
	case fault == faultSyncStale:
		h.node.writes = nil
	case err == nil:
		for _, w := range h.node.writes {
			h.node.disk = w.applyTo(h.node.disk)
		}
		h.node.writes = nil
	}
	return err
}

func (h *simHandle) Close() error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if h.closed {
		return pathError(opSync, h.name, fs.ErrClosed)
	}
	h.closed = true
	h.disk.handles--
	return nil
}

// survival decides what is left of what was not synced.
type survival interface {
	change(simChange) bool
	// write returns what is left of a write, if anything is.
	write(simWrite) (simWrite, bool)
}

// pessimist loses everything that was not synced.
type pessimist struct{}

func (pessimist) change(simChange) bool           { return false }
func (pessimist) write(simWrite) (simWrite, bool) { return simWrite{}, false }

// optimist loses nothing.
type optimist struct{}

func (optimist) change(simChange) bool             { return true }
func (optimist) write(w simWrite) (simWrite, bool) { return w, true }

// chance draws lots.
type chance struct{ *rand.Rand }

func (c chance) change(simChange) bool { return c.IntN(2) == 0 }

func (c chance) write(w simWrite) (simWrite, bool) {
	if len(w.data) == 0 {
		return w, c.IntN(2) == 0
	}
	switch c.IntN(6) {
	case 0, 1:
		return w, true
	case 2: // the first bytes
		return simWrite{w.at, w.data[:c.IntN(len(w.data)+1)]}, true
	case 3: // the last bytes; if they lengthen the file there are zeros before
		n := c.IntN(len(w.data))
		return simWrite{w.at + int64(n), w.data[n:]}, true
	case 4: // the length alone
		return simWrite{w.at, make([]byte, len(w.data))}, c.IntN(2) == 0
	default:
		return simWrite{}, false
	}
}

// survivor returns a disk that may be found when the power is back.
func (d *simDisk) survivor(s survival) *simDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := newSimDisk()
	after.root = d.root.survivor(s, map[*simNode]*simNode{})
	return after
}

func (n *simNode) survivor(s survival, done map[*simNode]*simNode) *simNode {
	if left := done[n]; left != nil {
		return left
	}
	if !n.folder() {
		left := &simNode{disk: bytes.Clone(n.disk)}
		for _, w := range n.writes {
			if w, ok := s.write(w); ok {
				left.disk = w.applyTo(left.disk)
			}
		}
		left.cache = bytes.Clone(left.disk)
		done[n] = left
		return left
	}
	left := newSimFolder()
	done[n] = left
	names := maps.Clone(n.onDisk)
	for _, c := range n.changes {
		if s.change(c) {
			c.applyTo(names)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) { // in order, so that a seed gives one disk
		left.names[name] = names[name].survivor(s, done)
	}
	left.onDisk = maps.Clone(left.names)
	return left
}

// mend takes back what was to happen, and returns how many operations there were.
func (d *simDisk) mend() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crashAt, d.failAt = -1, -1
	return len(d.ops)
}

// crash lets the power go after so many operations from now on.
func (d *simDisk) crash(after int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crashAt = len(d.ops) + after
}

// fail lets an operation fail, 0 being the next one.
func (d *simDisk) fail(at int, fault simFault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failAt, d.fault, d.failed = len(d.ops)+at, fault, false
}

// walk visits every file in order.
func (d *simDisk) walk(visit func(name string, node *simNode)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var down func(string, *simNode)
	down = func(name string, n *simNode) {
		if !n.folder() {
			visit(name, n)
			return
		}
		for _, base := range slices.Sorted(maps.Keys(n.names)) {
			down(filepath.Join(name, base), n.names[base])
		}
	}
	down("", d.root)
}

// files returns the bytes of every file, as programs see them.
func (d *simDisk) files() map[string][]byte {
	files := map[string][]byte{}
	d.walk(func(name string, n *simNode) { files[name] = bytes.Clone(n.cache) })
	return files
}

// sum tells two disks apart. Both are from one process.
func (d *simDisk) sum(seed maphash.Seed) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	put := func(h hash.Hash, b []byte) { _, _ = fmt.Fprintf(h, "%d:%s", len(b), b) }
	d.walk(func(name string, n *simNode) {
		put(&h, []byte(name))
		put(&h, n.cache)
	})
	return h.Sum64()
}

// holds returns the name of a file that holds one of the texts, or "".
func (d *simDisk) holds(texts [][]byte) string {
	found := ""
	d.walk(func(name string, n *simNode) {
		for _, text := range texts {
			if bytes.Contains(n.cache, text) {
				found = cmp.Or(found, name)
			}
		}
	})
	return found
}
