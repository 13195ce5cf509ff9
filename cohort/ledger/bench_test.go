package ledger_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

var benchMembers = flag.Int("members", 500_000, "how many members the cohort of a benchmark has")

// benchUUIDs yields n identifiers of the shape of a UUID, in no order, from a number on, each a new string, as a source would.
func benchUUIDs(from, n int) iter.Seq[identity.ID] {
	return func(yield func(identity.ID) bool) {
		var raw [16]byte
		var text [36]byte
		for i := from; i < from+n; i++ {
			binary.BigEndian.PutUint64(raw[:], uint64(i)*0x9e3779b97f4a7c15)
			binary.BigEndian.PutUint64(raw[8:], uint64(i)*0xbf58476d1ce4e5b9)
			hex.Encode(text[0:8], raw[0:4])
			hex.Encode(text[9:13], raw[4:6])
			hex.Encode(text[14:18], raw[6:8])
			hex.Encode(text[19:23], raw[8:10])
			hex.Encode(text[24:36], raw[10:16])
			text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
			if !yield(identity.ExternalID(string(text[:]))) {
				return
			}
		}
	}
}

// benchEntry is the entry of a benchmark.
func benchEntry() ledger.Entry {
	return ledger.Entry{Key: ledger.Key{Endpoint: "https://rest.fra-01.braze.eu", Partner: "tinyclues", Workspace: "acme", CohortID: "camp-481"}}
}

// benchDir returns a ledger that has n members, on a disk.
func benchDir(b *testing.B, n int) (l *ledger.Dir, folder string) {
	b.Helper()
	folder = b.TempDir()
	l, err := ledger.OpenDir(folder)
	if err != nil {
		b.Fatal(err)
	}
	if err := ledger.Import(b.Context(), l, benchEntry(), func(yield func(ledger.Member, error) bool) {
		for id := range benchUUIDs(0, n) {
			if !yield(ledger.Member{ID: id, State: ledger.In}, nil) {
				return
			}
		}
	}); err != nil {
		b.Fatal(err)
	}
	return l, folder
}

// benchSession opens the entry until the benchmark is over.
func benchSession(b *testing.B, l ledger.Ledger) ledger.Session {
	b.Helper()
	s, err := l.Open(b.Context(), benchEntry().Key)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// benchHeap looks for the peak of the heap, over what was there before.
type benchHeap struct {
	before, most uint64
	calls        int
}

func newBenchHeap() *benchHeap {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return &benchHeap{before: m.HeapInuse}
}

// look takes note of the heap, in one of a hundred thousand calls.
func (h *benchHeap) look() {
	if h.calls++; h.calls%100_000 == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		h.most = max(h.most, m.HeapInuse-h.before)
	}
}

func (h *benchHeap) megabytes() float64 { return float64(h.most) / 1e6 }

// benchCompare finds the difference to n wanted members with the session, and the changes that are in it.
func benchCompare(ctx context.Context, s ledger.Session, from, n int, h *benchHeap) (changes int, err error) {
	d, err := s.Compare(ctx, func(yield func(ledger.Wanted, error) bool) {
		for id := range benchUUIDs(from, n) {
			if h.look(); !yield(ledger.Wanted{ID: id}, nil) {
				return
			}
		}
	})
	if err != nil {
		return 0, err
	}
	for _, part := range []ledger.Part{d.Removals, d.Adds, d.Repeats} {
		for _, err := range part.Members {
			if h.look(); err != nil {
				return 0, err
			}
			changes++
		}
	}
	return changes, nil
}

// benchMap does the same with a map of the members.
func benchMap(from, n int, h *benchHeap) (changes int) {
	members := map[identity.ID]struct{}{}
	for id := range benchUUIDs(0, n) {
		h.look()
		members[id] = struct{}{}
	}
	for id := range benchUUIDs(from, n) {
		h.look()
		if _, ok := members[id]; ok {
			delete(members, id)
		} else {
			changes++
		}
	}
	return changes + len(members)
}

// BenchmarkCompare finds what one per cent of churn has changed, with a ledger on disk and with a Go map, in turns. x-map is how many times as long the
// map takes, which has to be filled first. The flag -members sets the size; see also the program internal/bench, which compares whole syncs.
func BenchmarkCompare(b *testing.B) {
	n, churn := *benchMembers, *benchMembers/100
	l, _ := benchDir(b, n)
	s := benchSession(b, l)
	heap, mapHeap := newBenchHeap(), newBenchHeap()
	var ours, maps time.Duration
	for b.Loop() {
		start := time.Now()
		if changes, err := benchCompare(b.Context(), s, churn, n, heap); err != nil || changes != 2*churn {
			b.Fatal(changes, err)
		}
		ours += time.Since(start)
		runtime.GC() // what the one leaves behind is not the other's
		start = time.Now()
		if changes := benchMap(churn, n, mapHeap); changes != 2*churn {
			b.Fatal(changes)
		}
		maps += time.Since(start)
		runtime.GC()
	}
	b.ReportMetric(0, "ns/op") // the time of both together says nothing
	b.ReportMetric(float64(n)*float64(b.N)/ours.Seconds()/1e6, "Mids/s")
	b.ReportMetric(maps.Seconds()/ours.Seconds(), "x-map")
	b.ReportMetric(heap.megabytes(), "MB")
	b.ReportMetric(mapHeap.megabytes(), "map-MB")
}

// BenchmarkFirst records a first audience, durably before each thousand, and writes the same identifiers to a text file that is made durable at the
// end, in turns. x-file is how many times as long the ledger takes.
func BenchmarkFirst(b *testing.B) {
	n := *benchMembers
	folder := b.TempDir()
	var ours, file time.Duration
	var size int64
	for b.Loop() {
		start := time.Now()
		_, made := benchDir(b, n)
		ours += time.Since(start)
		size = benchSize(b, made)
		start = time.Now()
		if err := benchFile(filepath.Join(folder, "members.txt"), n); err != nil {
			b.Fatal(err)
		}
		file += time.Since(start)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(n)*float64(b.N)/ours.Seconds()/1e6, "Mids/s")
	b.ReportMetric(ours.Seconds()/file.Seconds(), "x-file")
	b.ReportMetric(float64(size)/float64(n), "B/member")
}

// benchFile writes n identifiers to a text file.
func benchFile(name string, n int) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 256<<10)
	for id := range benchUUIDs(0, n) {
		if _, err := w.WriteString(id.Value() + "\n"); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Sync()
}

// benchSize returns how many bytes the files in a folder hold.
func benchSize(b *testing.B, folder string) (sum int64) {
	b.Helper()
	if err := filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	}); err != nil {
		b.Fatal(err)
	}
	return sum
}

// BenchmarkIntent records a request of a thousand changes before it leaves and after its answer.
func BenchmarkIntent(b *testing.B) {
	l, err := ledger.OpenDir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	s := benchSession(b, l)
	var batch []ledger.Member
	for id := range benchUUIDs(0, 1000) {
		batch = append(batch, ledger.Member{ID: id, State: ledger.Out})
	}
	for b.Loop() {
		intent, err := s.Begin(b.Context(), nil, batch)
		if err == nil {
			err = s.Settle(intent, ledger.Accepted)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRewrite writes the files of a cohort anew, as a session does when what has changed amounts to an eighth of them.
func BenchmarkRewrite(b *testing.B) {
	n := *benchMembers
	l, _ := benchDir(b, n)
	s := benchSession(b, l)
	purger, ok := s.(ledger.Purger)
	if !ok {
		b.Fatal("a session of a Dir is no Purger")
	}
	for b.Loop() {
		if err := purger.Purge(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mids/s")
}
