package ledger_test

import (
	"errors"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// longWanted yields n identifiers that are so long that the partitions soon go to the file, and calls before with the number of each.
func longWanted(n int, before func(i int)) iter.Seq2[ledger.Wanted, error] {
	long := strings.Repeat("0", 900)
	return func(yield func(ledger.Wanted, error) bool) {
		for i := range n {
			if before(i); !yield(ledger.Wanted{ID: identity.ExternalID(long + strconv.Itoa(i))}, nil) {
				return
			}
		}
	}
}

// TestCompareLeavesNothingRunning ends a comparison in the middle, in each way that a source has. A goroutine that is left would be found by the bubble, and
// one that still writes by the comparison that follows.
func TestCompareLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	const rows = 12_000
	broken := errors.New("broken")
	tests := []struct {
		name string
		end  func(yield func(ledger.Wanted, error) bool)
	}{
		{"error", func(yield func(ledger.Wanted, error) bool) { yield(ledger.Wanted{}, broken) }},
		{"panic", func(func(ledger.Wanted, error) bool) { panic(broken) }},
		{"goexit", func(func(ledger.Wanted, error) bool) { runtime.Goexit() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, err := ledger.OpenDir(t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				s, err := l.Open(t.Context(), benchEntry().Key)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					_, err := s.Compare(t.Context(), func(yield func(ledger.Wanted, error) bool) {
						longWanted(rows, func(int) {})(yield)
						tt.end(yield)
					})
					if !errors.Is(err, broken) {
						t.Errorf("Compare = %v, want the error of the source", err)
					}
				}()
				<-done
				d, err := s.Compare(t.Context(), longWanted(rows, func(int) {}))
				if err != nil || d.Adds.Count != rows {
					t.Fatalf("the comparison after it: %+v, %v", d, err)
				}
			})
		})
	}
}

// TestCompareStopsReading fails the file to which the wanted go. The source must not be read to its end, which may be far.
func TestCompareStopsReading(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	l, err := ledger.OpenDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Open(t.Context(), benchEntry().Key)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	locks, err := filepath.Glob(filepath.Join(folder, "sessions", "*.lock"))
	if err != nil || len(locks) != 1 {
		t.Fatal(locks, err)
	}
	if err := os.Mkdir(strings.TrimSuffix(locks[0], "lock")+"scratch", 0o700); err != nil {
		t.Fatal(err)
	}
	const rows = 1_000_000
	read := 0
	if _, err := s.Compare(t.Context(), longWanted(rows, func(int) { read++ })); err == nil || read == rows {
		t.Errorf("Compare = %v after %d rows", err, read)
	}
}
