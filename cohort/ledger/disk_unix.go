//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package ledger

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// lockFile takes an flock. It belongs to the open descriptor: another descriptor of the same process does not get it, and
// it ends with the process, however that ends. No pid has to be looked at.
func lockFile(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, filePerm)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err == nil {
		return flocked{f}, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errLocked
	}
	return nil, &os.PathError{Op: "flock", Path: name, Err: err}
}

// flocked is a file with a lock.
type flocked struct{ *os.File }

// Close gives the lock back by name. To close the descriptor would not do while a copy of it is open: a process that this one starts has
// one for a moment, until it becomes another program.
func (f flocked) Close() error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	if closeErr := f.File.Close(); err == nil {
		err = closeErr
	}
	return err
}

func syncFolder(f *os.File) error { return f.Sync() }
