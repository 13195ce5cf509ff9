package ledger_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// record16 is a packed UUID.
type record16 [16]byte

func compare16(a, b record16) int { return bytes.Compare(a[:], b[:]) }

// spread returns the n-th of a series of UUIDs in no order.
func spread(n uint64) (r record16) {
	binary.BigEndian.PutUint64(r[:], n*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(r[8:], n*0xbf58476d1ce4e5b9)
	return r
}

func (r record16) text() string {
	b := make([]byte, 0, 36)
	for i, part := range [...][]byte{r[:4], r[4:6], r[6:8], r[8:10], r[10:]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return string(b)
}

// sortedRuns is the road not taken: the wanted are gathered in memory, sorted and written, run by run; then the runs and the members, which are
// kept sorted, are merged. It neither syncs, nor checks sums, nor knows the unknown.
func sortedRuns(b *testing.B, folder string, members string, wanted func(yield func(record16))) (removals, adds int) {
	b.Helper()
	const runLength = 1 << 20 // 16 MB
	var files []*os.File
	run := make([]record16, 0, runLength)
	flush := func() {
		slices.SortFunc(run, compare16)
		f, err := os.Create(filepath.Join(folder, "run"))
		if err != nil {
			b.Fatal(err)
		}
		w := bufio.NewWriterSize(f, 256<<10)
		for i := range run {
			_, _ = w.Write(run[i][:])
		}
		if err := w.Flush(); err != nil {
			b.Fatal(err)
		}
		if err := os.Remove(f.Name()); err != nil {
			b.Fatal(err)
		}
		files = append(files, f)
		run = run[:0]
	}
	wanted(func(r record16) {
		if run = append(run, r); len(run) == runLength {
			flush()
		}
	})
	if len(run) > 0 {
		flush()
	}

	type head struct {
		r    *bufio.Reader
		now  record16
		more bool
	}
	next := func(h *head) {
		_, err := io.ReadFull(h.r, h.now[:])
		h.more = err == nil
	}
	var heads []*head
	for _, f := range files {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			b.Fatal(err)
		}
		h := &head{r: bufio.NewReaderSize(f, 64<<10)}
		next(h)
		heads = append(heads, h)
	}
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	old, err := os.Open(members)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = old.Close() }()
	in := &head{r: bufio.NewReaderSize(old, 256<<10)}
	next(in)
	for {
		var least *head
		for _, h := range heads { // there are few
			if h.more && (least == nil || compare16(h.now, least.now) < 0) {
				least = h
			}
		}
		switch {
		case least == nil && !in.more:
			return removals, adds
		case least == nil || in.more && compare16(in.now, least.now) < 0:
			removals++
			next(in)
		case in.more && in.now == least.now:
			next(in)
			next(least)
		default:
			adds++
			next(least)
		}
	}
}

// BenchmarkStructures compares a cohort with a list of as many, of which one in a hundred is new, in the two ways that need little memory: cut into
// partitions by hash, which is what Dir does, durable and with checksums, and sorted in runs and merged, without either. x-runs is how many times as long the
// second one takes.
func BenchmarkStructures(b *testing.B) {
	const n, churn = 2_000_000, 20_000
	folder := b.TempDir()
	dir, err := ledger.OpenDir(filepath.Join(folder, "ledger"))
	if err != nil {
		b.Fatal(err)
	}
	entry := ledger.Entry{Key: spring}
	err = ledger.Import(b.Context(), dir, entry, func(yield func(ledger.Member, error) bool) {
		for i := range uint64(n) {
			if !yield(ledger.Member{ID: identity.ExternalID(spread(i).text()), State: ledger.In}, nil) {
				return
			}
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	members := make([]record16, n)
	order := make([]uint64, n)
	for i := range uint64(n) {
		members[i], order[i] = spread(i), i+churn
	}
	slices.SortFunc(members, compare16)
	rand.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
	var sorted bytes.Buffer
	for i := range members {
		sorted.Write(members[i][:])
	}
	file := filepath.Join(folder, "members")
	if err := os.WriteFile(file, sorted.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}

	var partitions, runs time.Duration
	for b.Loop() {
		from := time.Now()
		s, err := dir.Open(b.Context(), entry.Key)
		if err != nil {
			b.Fatal(err)
		}
		d, err := s.Compare(b.Context(), func(yield func(ledger.Wanted, error) bool) {
			for _, i := range order {
				if !yield(ledger.Wanted{ID: identity.ExternalID(spread(i).text())}, nil) {
					return
				}
			}
		})
		if err != nil || d.Removals.Count != churn || d.Adds.Count != churn {
			b.Fatal(d, err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		partitions += time.Since(from)

		from = time.Now()
		removals, adds := sortedRuns(b, folder, file, func(yield func(record16)) {
			for _, i := range order {
				text := spread(i).text() // what a source would give
				if len(text) != 36 {
					b.Fatal(text)
				}
				yield(spread(i))
			}
		})
		if removals != churn || adds != churn {
			b.Fatal(removals, adds)
		}
		runs += time.Since(from)
	}
	b.ReportMetric(runs.Seconds()/partitions.Seconds(), "x-runs")
	b.ReportMetric(0, "ns/op")
}
