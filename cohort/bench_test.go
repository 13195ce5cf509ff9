package cohort_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
)

// discardEnv makes the test binary a server that discards what it gets. The benchmarks run it as a process of its own, so that the processor time they
// measure is the client's alone.
const discardEnv = "COHORTKIT_TEST_DISCARD"

var members = flag.Int("members", 3_000_000, "the larger number of changes of BenchmarkApplyMemory")

func TestMain(m *testing.M) {
	if os.Getenv(discardEnv) != "" {
		server := httptest.NewServer(http.HandlerFunc(discard))
		fmt.Println(server.URL)
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent goes
		os.Exit(0)
	}
	if config := os.Getenv(crashEnv); config != "" {
		if err := perish(config); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func discard(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, `{"message":"success"}`)
}

// discarding starts the server and returns its address.
func discarding(b *testing.B) string {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), discardEnv+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// uuids yields n identifiers of the shape of a UUID, each a new string, as a source would.
func uuids(n int) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for i := range n {
			if !yield(uuid(i), nil) {
				return
			}
		}
	}
}

// uuid returns the identifier of this number.
func uuid(i int) string {
	var raw [16]byte
	var text [36]byte
	binary.BigEndian.PutUint64(raw[:], uint64(i)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(raw[8:], uint64(i)*0xbf58476d1ce4e5b9)
	hex.Encode(text[0:8], raw[0:4])
	hex.Encode(text[9:13], raw[4:6])
	hex.Encode(text[14:18], raw[6:8])
	hex.Encode(text[19:23], raw[8:10])
	hex.Encode(text[24:36], raw[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

func additions(ids iter.Seq2[string, error]) iter.Seq2[cohort.Change, error] {
	return func(yield func(cohort.Change, error) bool) {
		for id, err := range ids {
			if !yield(cohort.Add(identity.ExternalID(id)), err) {
				return
			}
		}
	}
}

// plainLoop is the baseline: what one writes without a library. It gathers 1,000 identifiers, marshals them, posts them, reads the
// answer to its end, and goes on.
func plainLoop(ctx context.Context, url string, ids iter.Seq2[string, error]) error {
	type object struct {
		UserIDs []string `json:"user_ids"`
	}
	type body struct {
		PartnerAPIKey string   `json:"partner_api_key"`
		ClientSecret  string   `json:"client_secret"`
		CohortID      string   `json:"cohort_id"`
		Changes       []object `json:"cohort_changes"`
	}
	send := func(batch []string) error {
		b, err := json.Marshal(body{"pk-us-0001", "cs-ws-0001", "camp-481", []object{{batch}}})
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(b))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode/100 != 2 {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return nil
	}
	batch := make([]string, 0, cohort.MaxIdentifiers)
	for id, err := range ids {
		if err != nil {
			return err
		}
		if batch = append(batch, id); len(batch) == cohort.MaxIdentifiers {
			if err := send(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if len(batch) > 0 {
		return send(batch)
	}
	return nil
}

// unpaced returns an Importer for the address whose quota never makes anybody wait.
func unpaced(b *testing.B, url string) *cohort.Importer {
	b.Helper()
	endpoint, err := transport.ParseEndpoint(url)
	if err != nil {
		b.Fatal(err)
	}
	client, err := transport.New(endpoint)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.CloseIdleConnections)
	importer, err := cohort.NewImporter(client, "acme", keys.Credentials{
		Partner: "tinyclues", PartnerKey: keys.NewPartnerKey("pk-us-0001"), ImportKey: keys.NewImportKey("cs-ws-0001"),
	}, cohort.WithLimiter(unlimited{}))
	if err != nil {
		b.Fatal(err)
	}
	return importer
}

type unlimited struct{}

func (unlimited) Wait(context.Context) error { return nil }

// usage is what a stretch of work cost.
type usage struct {
	wall, cpu time.Duration
	mallocs   uint64
}

func now() usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{wall: time.Duration(time.Now().UnixNano()), cpu: processorTime(), mallocs: m.Mallocs}
}

func (u *usage) add(from usage) {
	to := now()
	u.wall += to.wall - from.wall
	u.cpu += to.cpu - from.cpu
	u.mallocs += to.mallocs - from.mallocs
}

// BenchmarkApply sends a million changes to a discarding server on loopback, and a million with the plain loop, in turns. The ratios are
// to the plain loop: x-ids/s of throughput, x-cpu of the client's processor time for an identifier. CPU at the ceiling is the share of a core that 69,444
// identifiers a second take.
func BenchmarkApply(b *testing.B) {
	url := discarding(b)
	importer := unpaced(b, url)
	const n, part = 1_000_000, 100_000
	var source, plain, ours usage
	for b.Loop() {
		for range n / part {
			from := now()
			for id, err := range uuids(part) {
				if id == "" || err != nil {
					b.Fatal(err)
				}
			}
			source.add(from)
			from = now()
			if err := plainLoop(b.Context(), url, uuids(part)); err != nil {
				b.Fatal(err)
			}
			plain.add(from)
			from = now()
			report, err := importer.Apply(b.Context(), "camp-481", additions(uuids(part)))
			if err != nil || report.Adds.Accepted != part {
				b.Fatal(report, err)
			}
			ours.add(from)
		}
	}
	total := float64(b.N) * n
	b.ReportMetric(0, "ns/op") // the time of all three together says nothing
	b.ReportMetric(total/ours.wall.Seconds()/1e6, "Mids/s")
	b.ReportMetric(total/plain.wall.Seconds()/1e6, "plain-Mids/s")
	b.ReportMetric(plain.wall.Seconds()/ours.wall.Seconds(), "x-ids/s")
	b.ReportMetric(plain.cpu.Seconds()/ours.cpu.Seconds(), "x-cpu")
	b.ReportMetric((plain.cpu-source.cpu).Seconds()/(ours.cpu-source.cpu).Seconds(), "x-cpu-beyond-source")
	b.ReportMetric(float64(ours.mallocs-source.mallocs)/(total/cohort.MaxIdentifiers), "allocs/request")
	b.ReportMetric(100*ours.cpu.Seconds()/total*250_000*cohort.MaxIdentifiers/3600, "%core-at-ceiling")
}

// BenchmarkApplyMemory compares the peak of the heap over a short and a long import: it follows the requests in flight, never the length of the
// source. The flag -members makes the long one longer.
func BenchmarkApplyMemory(b *testing.B) {
	importer := unpaced(b, discarding(b))
	peak := func(n int) float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		before, most, calls := m.HeapInuse, m.HeapInuse, 0
		_, err := importer.Apply(b.Context(), "camp-481", additions(uuids(n)), cohort.OnProgress(func(cohort.Progress) {
			if calls++; calls%50 == 0 {
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse)
			}
		}))
		if err != nil {
			b.Fatal(err)
		}
		return float64(most-before) / 1e6
	}
	var short, long float64
	for b.Loop() {
		short = max(short, peak(*members/10))
		long = max(long, peak(*members))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(short, "MB-short")
	b.ReportMetric(long, "MB-long")
}

// BenchmarkStream sends a million events to a discarding server on loopback, and as many identifiers with the plain loop, in turns, each from one
// goroutine: once of members that are new to the stream, and once of members that it knows, in another order than they came in. The ratios are to the
// plain loop: x-events/s of throughput, x-cpu of the client's processor time for an event.
func BenchmarkStream(b *testing.B) {
	url := discarding(b)
	importer := unpaced(b, url)
	const n, part = 1_000_000, 250_000
	open := func(b *testing.B) (*cohort.Stream, *eventSource) {
		b.Helper()
		s, err := importer.Stream(b.Context(), cohort.Cohort{ID: "camp-481", Name: "Spring sale", CreatedAt: time.Now()})
		if err != nil {
			b.Fatal(err)
		}
		return s, &eventSource{at: time.Now(), events: make([]cohort.Event, 0, 500)} // as many as a consumer polls at a time
	}
	compare := func(b *testing.B, s *cohort.Stream, source *eventSource, number func(int) int, d cohort.Direction, plain, ours *usage) {
		b.Helper()
		for first := 0; first < n; first += part {
			from := now()
			if err := plainLoop(b.Context(), url, uuids(part)); err != nil {
				b.Fatal(err)
			}
			plain.add(from)
			from = now()
			source.feed(b, s, first, first+part, number, d)
			ours.add(from)
		}
	}
	report := func(b *testing.B, plain, ours usage) {
		b.Helper()
		total := float64(b.N) * n
		b.ReportMetric(0, "ns/op") // the time of both together says nothing
		b.ReportMetric(total/ours.wall.Seconds()/1e6, "Mevents/s")
		b.ReportMetric(total/plain.wall.Seconds()/1e6, "plain-Mids/s")
		b.ReportMetric(plain.wall.Seconds()/ours.wall.Seconds(), "x-events/s")
		b.ReportMetric(plain.cpu.Seconds()/ours.cpu.Seconds(), "x-cpu")
		b.ReportMetric(float64(ours.mallocs)/total, "allocs/event")
	}
	finish := func(b *testing.B, s *cohort.Stream, want int) {
		b.Helper()
		if left, err := s.Close(b.Context()); len(left) > 0 || err != nil || s.State().Applied != want {
			b.Fatal(s.State(), err)
		}
	}
	inOrder := func(i int) int { return i }

	b.Run("new", func(b *testing.B) {
		var plain, ours usage
		for b.Loop() {
			s, source := open(b)
			compare(b, s, source, inOrder, cohort.Enter, &plain, &ours)
			finish(b, s, n)
		}
		report(b, plain, ours)
	})
	b.Run("known", func(b *testing.B) {
		var plain, ours usage
		s, source := open(b)
		source.feed(b, s, 0, n, inOrder, cohort.Enter)
		rounds := 1
		for b.Loop() {
			direction := cohort.Leave
			if rounds%2 == 0 {
				direction = cohort.Enter
			}
			compare(b, s, source, func(i int) int { return i * 611_953 % n }, direction, &plain, &ours)
			rounds++
		}
		finish(b, s, rounds*n)
		report(b, plain, ours)
	})
}

// eventSource makes events, each newer than the one before.
type eventSource struct {
	at     time.Time
	events []cohort.Event
}

// feed sends the events of some members, and returns when all are acknowledged.
func (e *eventSource) feed(b *testing.B, s *cohort.Stream, first, end int, number func(int) int, d cohort.Direction) {
	b.Helper()
	for i := first; i < end; i++ {
		e.at = e.at.Add(time.Microsecond)
		e.events = append(e.events, cohort.Event{ID: identity.ExternalID(uuid(number(i))), At: e.at, Direction: d})
		if len(e.events) < cap(e.events) && i+1 < end {
			continue
		}
		if _, err := s.SendAll(b.Context(), e.events, func(_ cohort.Event, err error) { b.Error(err) }); err != nil {
			b.Fatal(err)
		}
		e.events = e.events[:0]
	}
	if err := s.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}
