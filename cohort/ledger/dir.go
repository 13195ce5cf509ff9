package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Dir is a [Ledger] in a folder of files. Make one with [OpenDir]. It holds no file open and needs no Close; its sessions do. It is safe
// for concurrent use, by several processes too: each entry has one session at a time.
type Dir struct {
	disk  disk
	root  string
	small int64 // a journal of at most so many bytes is not worth writing anew
}

// smallJournal holds the changes of a thousand members.
const smallJournal = 16 << 10

// What is in the folder of a Dir, and in that of an entry.
const (
	markerName  = "cohortkit-ledger" // says that the folder is a ledger, and of which version
	markerText  = "cohortkit ledger 1\n"
	sessionsDir = "sessions" // what belongs to open sessions: locks, holders, scratch files
	journalName = "journal"
	basePrefix  = "base-"
)

// OpenDir returns the ledger in a folder, which is made if it does not exist. It fails with an [*InvalidError] for a folder that holds
// something else or lies on a network file system, and with a [*DamagedError] for a ledger of another version.
//
// # Files
//
// Each cohort has a folder of its own, with a base file that holds its members and a journal of what has changed since. The journal is
// durable (fsync) before changes leave. When it has grown to an eighth of the base, the two are written anew as the session is closed. A UUID takes 16
// bytes, any other identifier its length and two or three bytes. A sync needs as much space again for the wanted members, until
// it is over. Files are readable by their owner alone (0600); they hold identifiers, which are personal data, and never a key. Names of folders
// are made of the cohort ID and a hash of the whole key.
//
// # What it survives
//
// A process that is killed at any moment, a power failure, a full disk, a write that is torn at any byte: the next session finds what was
// acknowledged, and counts as unknown what had left without an answer. What else is not as it was written is found by its
// checksum and ends in a [*DamagedError]. After a failed write or fsync the session records nothing more.
//
// # Locks
//
// A session holds an operating system's lock on an open file, so it ends with the process, however that ends. Such locks are not reliable on
// network file systems: on Linux, NFS, SMB and the like are refused; elsewhere, keep the folder on a disk of the machine. Copy or back up the
// folder only while no session is open.
//
// # Limits
//
// An intent whose members have identifiers of more than 512 MB together is an [*InvalidError]; requests of cohorts are far smaller.
func OpenDir(path string) (*Dir, error) {
	if path == "" {
		return nil, &InvalidError{Field: "path", Problem: "is empty", Next: "give the folder in which the ledger is kept"}
	}
	d, err := openDir(filepath.Clean(path), osDisk{})
	if err != nil {
		return nil, err
	}
	if kind := networkFileSystem(d.root); kind != "" {
		return nil, &InvalidError{Field: "path", Problem: "lies on a network file system (" + kind + "), whose locks are not reliable", Next: "use a folder on a disk of this machine"}
	}
	return d, nil
}

func openDir(path string, d disk) (*Dir, error) {
	if err := d.makeDir(path); err != nil {
		return nil, fmt.Errorf("ledger: open folder: %w", err)
	}
	dir := &Dir{disk: d, root: path, small: smallJournal}
	if err := dir.mark(); err != nil {
		return nil, err
	}
	return dir, nil
}

// mark makes sure that the folder is a ledger of this version.
func (d *Dir) mark() error {
	name := filepath.Join(d.root, markerName)
	text, err := readAll(d.disk, name)
	switch {
	case err == nil && text == markerText:
		return nil
	case err == nil:
		return &DamagedError{File: name, Problem: "is not of this version of the ledger"}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("ledger: open folder: %w", err)
	}
	names, err := d.disk.list(d.root)
	if err != nil {
		return fmt.Errorf("ledger: open folder: %w", err)
	}
	for _, n := range names {
		if n != markerName+newSuffix {
			return &InvalidError{Field: "path", Problem: "is a folder that holds other files", Next: "use an empty folder, or one that does not exist yet; if it was a ledger, restore its file " + markerName}
		}
	}
	if err := d.disk.syncDir(filepath.Dir(d.root)); err != nil {
		return fmt.Errorf("ledger: open folder: %w", err)
	}
	if err := publish(d.disk, name, []byte(markerText)); err != nil {
		return fmt.Errorf("ledger: open folder: %w", err)
	}
	return nil
}

func readAll(d disk, name string) (string, error) {
	f, err := d.read(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	size, err := f.Size()
	if err != nil {
		return "", err
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return string(b), nil
}

// String names the folder.
func (d *Dir) String() string { return "ledger.Dir in " + d.root }

// folderName returns the name of an entry's folder: the beginning of the cohort ID, as far as it is plain, for people, and a hash of the
// key, which alone tells entries apart. It has no capitals, since some file systems know no difference.
func folderName(k Key) string {
	var b []byte
	for _, field := range [...]string{k.Endpoint, k.Partner, k.Workspace, k.CohortID} {
		b = binary.AppendUvarint(b, uint64(len(field)))
		b = append(b, field...)
	}
	sum := sha256.Sum256(b)
	hash := strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20]))

	const most = 24
	var plain strings.Builder
	for _, r := range strings.ToLower(k.CohortID) {
		if plain.Len() == most {
			break
		}
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			plain.WriteRune(r)
		} else {
			plain.WriteByte('-')
		}
	}
	return plain.String() + "-" + hash
}

// Open takes the lease on an entry. See [Ledger]. It may have to finish what an interrupted session left, which takes the longer the
// more that session had sent.
func (d *Dir) Open(ctx context.Context, key Key) (Session, error) {
	if err := key.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("ledger: open: %w", err)
	}
	sessions := filepath.Join(d.root, sessionsDir)
	if err := d.disk.makeDir(sessions); err != nil {
		return nil, fmt.Errorf("ledger: open: %w", err)
	}
	name := folderName(key)
	s := &dirSession{
		disk: d.disk, key: key, folder: filepath.Join(d.root, name), base: &base{},
		scratch: newScratch(d.disk, filepath.Join(sessions, name+".scratch")), beginning: make(chan struct{}, 1),
		pending: map[Intent]bool{}, small: d.small,
	}
	holder := filepath.Join(sessions, name+".holder")
	lock, err := d.disk.lock(filepath.Join(sessions, name+".lock"))
	if errors.Is(err, errLocked) {
		return nil, &HeldError{Key: key, Holder: d.readHolder(holder)}
	}
	if err != nil {
		return nil, fmt.Errorf("ledger: open: %w", err)
	}
	s.lock = lock
	d.writeHolder(holder)
	if err := s.open(ctx); err != nil {
		s.release()
		return nil, fmt.Errorf("ledger: open: %w", err)
	}
	return s, nil
}

// writeHolder notes who holds the lock, for the message that others get. The lock does not depend on it, so neither do errors.
func (d *Dir) writeHolder(name string) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	f, err := d.disk.create(name)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	_, _ = f.WriteAt(fmt.Appendf(nil, "process %d on host %s since %s", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339)), 0)
}

func (d *Dir) readHolder(name string) string {
	const most = 500 // a host name is shorter
	text, err := readAll(d.disk, name)
	if err != nil || text == "" || len(text) > most {
		return "another process"
	}
	return text
}

// Entries yields the entries in the order of the names of their folders. See [Ledger].
func (d *Dir) Entries(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		names, err := d.disk.list(d.root)
		if err != nil {
			yield(Entry{}, fmt.Errorf("ledger: entries: %w", err))
			return
		}
		for _, name := range names {
			if name == sessionsDir || strings.HasPrefix(name, markerName) {
				continue
			}
			e, err := d.entry(ctx, filepath.Join(d.root, name, journalName))
			if errors.Is(err, fs.ErrNotExist) {
				continue // nothing was recorded
			}
			if err != nil {
				err = fmt.Errorf("ledger: entries: %w", err)
			}
			_, damaged := errors.AsType[*DamagedError](err)
			if !yield(e, err) || err != nil && !damaged {
				return
			}
		}
	}
}

func (d *Dir) entry(ctx context.Context, name string) (Entry, error) {
	f, err := d.disk.read(name)
	if err != nil {
		return Entry{}, err
	}
	defer func() { _ = f.Close() }()
	j, head, err := readJournal(f, name)
	if err != nil {
		return Entry{}, err
	}
	l, err := j.scan(ctx, head)
	if err != nil {
		return Entry{}, err
	}
	return Entry{head.Key, l.header}, nil
}
