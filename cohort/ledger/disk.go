package ledger

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// disk is what a Dir needs of a file system. There is one besides the real one: that of the tests, which forgets what was not synced and
// fails when it is told to. Names are whole paths.
type disk interface {
	// makeDir creates a folder and those above it, for the owner alone, and makes durable that those above exist. It is fine if it exists.
	makeDir(name string) error
	// list returns the names in a folder in order, and none if there is no such folder.
	list(name string) ([]string, error)
	// create makes an empty file, for the owner alone, or empties the one that is there.
	create(name string) (file, error)
	// open opens a file that exists for reading and writing, read for reading alone. The error is fs.ErrNotExist if there is none.
	open(name string) (file, error)
	read(name string) (file, error)
	// rename gives a file another name, in place of a file that has that name, at once or not at all.
	rename(from, to string) error
	// remove removes a file. It is fine if there is none.
	remove(name string) error
	// syncDir makes durable which names are in the folder.
	syncDir(name string) error
	// lock takes the lock that belongs to a file, which it creates, until the lock is closed or the process ends. The
	// error is errLocked while another descriptor has it, of this process or another.
	lock(name string) (io.Closer, error)
}

// file is an open file of a disk.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size returns the length in bytes.
	Size() (int64, error)
	// Truncate cuts the file to a length.
	Truncate(size int64) error
	// Sync makes durable what the file holds, and its length.
	Sync() error
}

// errLocked is the error of a lock that somebody else has.
var errLocked = errors.New("locked")

const (
	filePerm = 0o600
	dirPerm  = 0o700
)

// osDisk is the file system of the machine.
type osDisk struct{}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func openFile(name string, flag int) (file, error) {
	f, err := os.OpenFile(name, flag, filePerm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d osDisk) makeDir(name string) error {
	err := os.Mkdir(name, dirPerm)
	parent := filepath.Dir(name)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrNotExist) && parent != name:
		if err := d.makeDir(parent); err != nil {
			return err
		}
		if err := d.syncDir(filepath.Dir(parent)); err != nil {
			return err
		}
		return d.makeDir(name)
	}
	if info, statErr := os.Stat(name); statErr == nil && info.IsDir() {
		return nil
	}
	return err
}

func (osDisk) list(name string) ([]string, error) {
	entries, err := os.ReadDir(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

func (osDisk) create(name string) (file, error) {
	return openFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}
func (osDisk) open(name string) (file, error) { return openFile(name, os.O_RDWR) }
func (osDisk) read(name string) (file, error) { return openFile(name, os.O_RDONLY) }

func (osDisk) rename(from, to string) error { return os.Rename(from, to) }

func (osDisk) remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (osDisk) syncDir(name string) error {
	f, err := os.Open(filepath.Clean(name))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return syncFolder(f)
}

func (osDisk) lock(name string) (io.Closer, error) { return lockFile(name) }
