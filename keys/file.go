package keys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// maxFileBytes bounds what is read when the path is that of some other file by mistake.
	maxFileBytes = 64 << 10

	// settleTime is how old the last change of a file must be before an equal time of change proves that nothing was
	// written since. Some file systems count in steps of two seconds.
	settleTime = 2 * time.Second
)

// FileSource is the [Source] that reads a key from a file, such as a mounted secret. Each time it is asked it looks
// whether the file is still the one it has read, by identity, size and time of change, and reads it again when it is
// not. That covers a file written in place, one renamed over the other, and a symbolic link that is pointed elsewhere,
// which is how Kubernetes replaces a secret.
//
// The file holds the key and nothing else; one line break at its end is left out. The file is the truth: when it is
// missing, unreadable, empty, longer than 64 KiB or holds what cannot be a key, the answer is an error, even after a
// good read. A key that was taken away is not used on. Whoever writes the file should therefore put the new one in place
// by a rename, so that no reader meets half of it.
//
// It is a [Listener]: when a key is refused for a reason that can be the key's fault, it reads the file again at once.
//
// A FileSource is safe for concurrent use and must not be copied. It writes nothing.
type FileSource struct {
	path string

	mu   sync.Mutex // not held while the file is read
	last reading
}

var (
	_ Source   = (*FileSource)(nil)
	_ Listener = (*FileSource)(nil)
)

// reading is what was found in a file at some time. Its zero value matches no file.
type reading struct {
	key     ImportKey
	info    fs.FileInfo
	settled bool // the file was old enough to be recognised by its time of change
}

// File returns the FileSource of the file at this path. The file is not read before the first time it is asked.
func File(path string) *FileSource { return &FileSource{path: path} }

// ImportKey returns the key in the file. The error is a [*SourceError] that names the path; it matches [ErrMissing] for
// an empty file, fs.ErrNotExist for an absent one, and wraps an [*InvalidError] for a text that cannot be a key.
func (s *FileSource) ImportKey(ctx context.Context) (ImportKey, error) {
	if ctx.Err() != nil {
		return ImportKey{}, s.fail(context.Cause(ctx), "")
	}
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	if info, err := os.Stat(s.path); err == nil && last.of(info) {
		return last.key, nil
	}
	return s.read()
}

// Accepted does nothing: a key that works is no news about the file.
func (s *FileSource) Accepted(ImportKey) {}

// Refused reads the file again when the cause can be the key's fault, and returns what it then holds if that is another
// key than the refused one. It returns none when the file cannot be read; the next call of ImportKey tells why.
func (s *FileSource) Refused(key ImportKey, cause Cause) (other ImportKey, ok bool) {
	if !cause.SuspectsImportKey() {
		return ImportKey{}, false
	}
	other, err := s.read()
	if err != nil || other == key {
		return ImportKey{}, false
	}
	return other, true
}

// read reads the file and remembers what it found. A slow reader may overwrite what a later one has found; the next
// look at the file sees that it is another one and reads again.
func (s *FileSource) read() (ImportKey, error) {
	found, err := s.open()
	if errors.Is(err, fs.ErrNotExist) {
		// A link may be pointed elsewhere, and its old target removed, between two steps of finding the file.
		found, err = s.open()
	}
	s.mu.Lock()
	s.last = found
	s.mu.Unlock()
	if err != nil {
		return ImportKey{}, err
	}
	return found.key, nil
}

func (s *FileSource) open() (reading, error) {
	// Opening a pipe would wait for its writer, so what is no file is not opened at all.
	if info, err := os.Stat(s.path); err == nil && !info.Mode().IsRegular() {
		return reading{}, s.fail(errors.New("not a regular file"), "give the path of a file that holds the key")
	}
	file, err := os.Open(s.path)
	if err != nil {
		return reading{}, s.fail(bare(err), "check that the secret is mounted there and can be read by this process")
	}
	defer func() { _ = file.Close() }() // nothing was written, so closing cannot lose anything

	info, err := file.Stat()
	if err != nil {
		return reading{}, s.fail(bare(err), "")
	}
	looked := time.Now()
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return reading{}, s.fail(bare(err), "")
	}
	if len(data) > maxFileBytes {
		return reading{}, s.fail(fmt.Errorf("longer than %d bytes", maxFileBytes), "give the path of a file that holds the key alone")
	}
	content, broken := strings.CutSuffix(string(data), "\r\n")
	if !broken {
		content = strings.TrimSuffix(content, "\n")
	}
	key := NewImportKey(content)
	switch err := key.Validate(); {
	case key.IsZero():
		return reading{}, s.fail(ErrMissing, "the file is empty; write the data import key of the workspace into it")
	case err != nil:
		return reading{}, s.fail(err, "")
	}
	return reading{key: key, info: info, settled: looked.Sub(info.ModTime()) > settleTime}, nil
}

func (s *FileSource) fail(cause error, next string) error {
	return &SourceError{Place: "file " + strconv.Quote(s.path), Err: cause, next: next}
}

// of reports whether the reading still tells what is in the file.
func (r reading) of(info fs.FileInfo) bool {
	return r.settled && os.SameFile(r.info, info) && r.info.Size() == info.Size() && r.info.ModTime().Equal(info.ModTime())
}

// bare returns the cause without the path, which the error around it names already.
func bare(err error) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return err
}
