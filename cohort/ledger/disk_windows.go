package ledger

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// lockFile opens the file without sharing it. Nobody else can open it until the handle is closed, which happens
// at the end of the process too, however that ends.
func lockFile(name string) (io.Closer, error) {
	const sharingViolation = 32 // ERROR_SHARING_VIOLATION, which package syscall does not name
	path, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return nil, &os.PathError{Op: "lock", Path: name, Err: err}
	}
	h, err := syscall.CreateFile(path, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, syscall.Errno(sharingViolation)) {
		return nil, errLocked
	}
	if err != nil {
		return nil, &os.PathError{Op: "lock", Path: name, Err: err}
	}
	return os.NewFile(uintptr(h), name), nil
}

// syncFolder does nothing: Windows writes folder entries through, and does not flush a folder.
func syncFolder(*os.File) error { return nil }
