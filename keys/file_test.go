package keys_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/keys"
)

const (
	firstText  = "2718-2818-2845"
	secondText = "9045-2353-6028" // as long as the first
)

var old = time.Now().Add(-time.Hour)

// write puts text into the file at path, in place, and makes it an hour old, so that the time of change is trusted.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	date(t, path, old)
}

func date(t *testing.T, path string, when time.Time) {
	t.Helper()
	if err := os.Chtimes(path, when, when); err != nil {
		t.Fatal(err)
	}
}

func ask(t *testing.T, source keys.Source, want string) {
	t.Helper()
	got, err := source.ImportKey(t.Context())
	if err != nil {
		t.Fatalf("ImportKey: %v", err)
	}
	if got != keys.NewImportKey(want) {
		t.Fatalf("ImportKey gave the key %s, want %s", got.Fingerprint(), keys.NewImportKey(want).Fingerprint())
	}
}

func TestFileContent(t *testing.T) {
	t.Parallel()
	const tooLong = "longer than"
	tests := []struct {
		name    string
		content string
		want    string // "" when it is refused
		reason  keys.Reason
		text    string // part of the error
	}{
		{name: "a key", content: secretText, want: secretText},
		{name: "a line break at the end", content: secretText + "\n", want: secretText},
		{name: "a line break of Windows at the end", content: secretText + "\r\n", want: secretText},
		{name: "two line breaks at the end", content: secretText + "\n\n", reason: keys.ReasonControl},
		{name: "a carriage return alone", content: secretText + "\r", reason: keys.ReasonControl},
		{name: "two lines", content: secretText + "\n" + secretText, reason: keys.ReasonControl},
		{name: "a blank at the end", content: secretText + " \n", reason: keys.ReasonBlank},
		{name: "invalid UTF-8", content: secretText + "\xff", reason: keys.ReasonEncoding},
		{name: "UTF-16", content: "\xff\xfe2\x007\x00", reason: keys.ReasonEncoding},
		{name: "empty", text: "missing: the file is empty"},
		{name: "nothing but a line break", content: "\n", text: "missing: the file is empty"},
		{name: "as long as allowed", content: strings.Repeat("x", 64<<10), want: strings.Repeat("x", 64<<10)},
		{name: "too long", content: strings.Repeat("x", 64<<10+1), text: tooLong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "import-key")
			write(t, path, tt.content)
			source := keys.File(path)
			if tt.want != "" {
				ask(t, source, tt.want)
				ask(t, source, tt.want)
				return
			}
			for range 2 { // an error is not remembered as a key
				got, err := source.ImportKey(t.Context())
				checkSourceError(t, err, "import-key")
				if !got.IsZero() {
					t.Error("a key came with the error")
				}
				if tt.reason != "" {
					if invalid, ok := errors.AsType[*keys.InvalidError](err); !ok || invalid.Reason != tt.reason {
						t.Errorf("error = %v, want one that wraps an InvalidError: %s", err, tt.reason)
					}
				} else if !strings.Contains(err.Error(), tt.text) || errors.Is(err, keys.ErrMissing) != (tt.text != tooLong) {
					t.Errorf("error = %v, want one with %q", err, tt.text)
				}
			}
		})
	}
}

func TestFileIsReadAgainWhenItChanged(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		replace func(t *testing.T, path string)
	}{
		{"written in place, another length", func(t *testing.T, path string) {
			t.Helper()
			write(t, path, secondText+"\n")
		}},
		{"written in place, same length, later time", func(t *testing.T, path string) {
			t.Helper()
			write(t, path, secondText)
			date(t, path, old.Add(time.Nanosecond*100))
		}},
		{"written in place, same length, earlier time", func(t *testing.T, path string) {
			t.Helper()
			write(t, path, secondText)
			date(t, path, old.Add(-time.Hour))
		}},
		{"renamed over, same length and time", func(t *testing.T, path string) {
			t.Helper()
			write(t, path+".next", secondText)
			if err := os.Rename(path+".next", path); err != nil {
				t.Fatal(err)
			}
		}},
		{"removed, then written", func(t *testing.T, path string) {
			t.Helper()
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			write(t, path, secondText+"\n")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "import-key")
			write(t, path, firstText)
			source := keys.File(path)
			ask(t, source, firstText)
			ask(t, source, firstText)
			tt.replace(t, path)
			ask(t, source, secondText)
			ask(t, source, secondText)
		})
	}
}

// TestFileJustWritten changes a file within one tick of its time of change. The time proves nothing until it is old.
func TestFileJustWritten(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		age  time.Duration // of the file when it is read
		want string        // after a change that neither size nor time shows
	}{
		{"the clock of a file server is ahead", -time.Minute, secondText},
		{"written now", 0, secondText},
		{"two seconds old", 2 * time.Second, secondText},
		{"older than any tick", 2*time.Second + time.Millisecond, firstText},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "import-key")
			synctest.Test(t, func(t *testing.T) {
				source := keys.File(path)
				tick := time.Now().Add(-tt.age)
				write(t, path, firstText)
				date(t, path, tick)
				ask(t, source, firstText)
				write(t, path, secondText)
				date(t, path, tick)
				ask(t, source, tt.want)
			})
		})
	}
}

// TestFileMountedByKubernetes swaps the link that a mounted secret is found through.
func TestFileMountedByKubernetes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "import-key")
	publish := func(version, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, "import-key"), text)
		next := filepath.Join(dir, "..data.next")
		if err := os.Symlink(version, next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	publish("..v1", firstText)
	if err := os.Symlink(filepath.Join("..data", "import-key"), path); err != nil {
		t.Fatal(err)
	}
	source := keys.File(path)
	ask(t, source, firstText)
	publish("..v2", secondText)
	ask(t, source, secondText)
	if err := os.RemoveAll(filepath.Join(dir, "..v1")); err != nil {
		t.Fatal(err)
	}
	ask(t, source, secondText)
}

func TestFileThatCannotBeRead(t *testing.T) {
	t.Parallel()
	t.Run("absent", func(t *testing.T) {
		t.Parallel()
		_, err := keys.File(filepath.Join(t.TempDir(), "import-key")).ImportKey(t.Context())
		checkSourceError(t, err, "import-key")
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error = %v, want fs.ErrNotExist", err)
		}
		if n := strings.Count(err.Error(), "import-key"); n != 1 {
			t.Errorf("the error names the path %d times: %v", n, err)
		}
	})
	t.Run("directory", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		_, err := keys.File(dir).ImportKey(t.Context())
		checkSourceError(t, err, filepath.Base(dir))
		if !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("error = %v, want one about a regular file", err)
		}
	})
	t.Run("dangling link", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "import-key")
		if err := os.Symlink("nowhere", path); err != nil {
			t.Fatal(err)
		}
		_, err := keys.File(path).ImportKey(t.Context())
		if checkSourceError(t, err, "import-key"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error = %v, want fs.ErrNotExist", err)
		}
	})
	t.Run("ended context", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "import-key")
		write(t, path, firstText)
		shutdown := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(shutdown)
		_, err := keys.File(path).ImportKey(ctx)
		if checkSourceError(t, err, "import-key"); !errors.Is(err, shutdown) {
			t.Errorf("error = %v, want the cause of the context", err)
		}
	})
}

// TestFileTakenAway holds that a key which was taken away is not used on, and that nothing of it is remembered.
func TestFileTakenAway(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		take func(t *testing.T, path string)
	}{
		{"removed", func(t *testing.T, path string) {
			t.Helper()
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}},
		{"emptied", func(t *testing.T, path string) {
			t.Helper()
			write(t, path, "")
		}},
		{"overwritten by what is no key", func(t *testing.T, path string) {
			t.Helper()
			write(t, path, "two\nlines")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "import-key")
			write(t, path, firstText)
			source := keys.File(path)
			ask(t, source, firstText)
			tt.take(t, path)
			for range 2 {
				got, err := source.ImportKey(t.Context())
				if checkSourceError(t, err, "import-key"); !got.IsZero() {
					t.Error("a key came with the error")
				}
			}
			if _, ok := source.Refused(keys.NewImportKey(firstText), keys.CauseImportKey); ok {
				t.Error("Refused offers another key when there is none")
			}
			write(t, path, secondText) // the file of before, as far as size and time tell
			ask(t, source, secondText)
		})
	}
}

func TestFileRefused(t *testing.T) {
	t.Parallel()
	first := keys.NewImportKey(firstText)
	tests := []struct {
		name    string
		cause   keys.Cause
		content string // of the file when the key is refused, unseen by size and time
		refused keys.ImportKey
		again   bool
		then    string // what the next ask gives
	}{
		{"import key, another one is there", keys.CauseImportKey, secondText, first, true, secondText},
		{"unclear, another one is there", keys.CauseUnclear, secondText, first, true, secondText},
		{"import key, the same is there", keys.CauseImportKey, firstText, first, false, firstText},
		{"unclear, the same is there", keys.CauseUnclear, firstText, first, false, firstText},
		{"partner key is not the file's fault", keys.CausePartnerKey, secondText, first, false, firstText},
		{"not enabled is not the file's fault", keys.CauseNotEnabled, secondText, first, false, firstText},
		{"a late answer to a key of before", keys.CauseImportKey, firstText, keys.NewImportKey("0000-0000-0000"), true, firstText},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "import-key")
			write(t, path, firstText)
			source := keys.File(path)
			ask(t, source, firstText)
			write(t, path, tt.content)
			ask(t, source, firstText) // the change cannot be seen
			source.Accepted(first)
			ask(t, source, firstText)
			other, ok := source.Refused(tt.refused, tt.cause)
			if ok != tt.again || ok && other.Reveal() != tt.then || !ok && !other.IsZero() {
				t.Errorf("Refused = %s, %t; want the key of the file and %t", other.Fingerprint(), ok, tt.again)
			}
			ask(t, source, tt.then)
		})
	}
}

func TestFileConcurrently(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "import-key")
	write(t, path, firstText)
	source := keys.File(path)
	first, second := keys.NewImportKey(firstText), keys.NewImportKey(secondText)
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for range 50 {
				got, err := source.ImportKey(t.Context())
				if err != nil {
					t.Errorf("ImportKey: %v", err)
					return
				}
				if got != first && got != second {
					t.Error("a key that was never in the file")
				}
				source.Accepted(got)
				source.Refused(got, keys.CauseImportKey)
			}
		})
	}
	for i := range 50 {
		text := []string{secondText, firstText}[i%2]
		next := path + ".next"
		if err := errors.Join(os.WriteFile(next, []byte(text), 0o600), os.Rename(next, path)); err != nil {
			t.Fatal(err)
		}
	}
	readers.Wait()
	write(t, path, secondText+"\n")
	ask(t, source, secondText)
}
