package cohort

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
)

// colliding returns two members that the table of a run takes for one, because their hashes agree in the bits that it keeps. Such a pair is to be expected
// among one or two million members; where there is none among three, the next run has another seed.
func colliding(t *testing.T, im *Importer) (*run, identity.ID, identity.ID) {
	t.Helper()
	const numberBits = 22
	seen := make([]uint64, 1<<numberBits) // kept bits and number, found as in the table of a run
	for range 100 {
		r := newRun(t.Context(), im, "camp-481")
		clear(seen)
		for n := range uint64(3_000_000) {
			id := func(n uint64) identity.ID { return identity.ExternalID(strconv.FormatUint(n, 36)) }
			bits := hashOf(r.members.seed, Add(id(n)))
			i := bits % uint64(len(seen))
			for seen[i] != 0 && seen[i]>>numberBits != bits {
				i = (i + 1) % uint64(len(seen))
			}
			if seen[i] != 0 {
				return r, id(seen[i]%(1<<numberBits) - 1), id(n)
			}
			seen[i] = bits<<numberBits | (n + 1)
		}
		r.stop()
	}
	t.Fatal("no two members have the same hash")
	return nil, identity.ID{}, identity.ID{}
}

// recorder is an endpoint that applies requests after a second, and notes them.
type recorder struct {
	mu       sync.Mutex
	requests []string
	in       map[string]bool
}

func (e *recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if err != nil {
		return nil, err
	}
	var w wireBody
	if err := json.Unmarshal(body, &w); err != nil {
		return nil, err
	}
	time.Sleep(time.Second)
	e.mu.Lock()
	defer e.mu.Unlock()
	var text []string
	for _, o := range w.Changes {
		for _, id := range o.UserIDs {
			if o.ShouldRemove {
				delete(e.in, id)
				text = append(text, "-"+id)
			} else {
				e.in[id] = true
				text = append(text, "+"+id)
			}
		}
	}
	e.requests = append(e.requests, strings.Join(text, " "))
	return &http.Response{
		StatusCode: http.StatusCreated, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(`{"message":"success"}`)),
	}, nil
}

// TestBatchFits shows that an empty batch has room for any change, or one that is larger than what the endpoint took would never leave.
func TestBatchFits(t *testing.T) {
	t.Parallel()
	b := newBatch()
	b.run = &run{}
	b.run.maxBytes.Store(1)
	c := Add(identity.ExternalID("u-1"))
	if !b.fits(c) {
		t.Error("an empty batch has no room")
	}
	if b.add(c); b.fits(c) {
		t.Error("a full one has")
	}
}

// TestSendEndsTheRun has a request fail while another one that failed before it has not yet ended the run. Whoever waits for this one must find it ended.
func TestSendEndsTheRun(t *testing.T) {
	t.Parallel()
	r := newRun(t.Context(), importerTo(t, &refuser{refuses: true}), "camp-481")
	defer r.stop()
	r.failed.Store(true)
	r.slots <- struct{}{}
	b := r.open
	b.add(Add(identity.ExternalID("u-1")))
	if err := r.send(b); err != nil {
		t.Errorf("the error of the second: %v", err)
	}
	<-b.done
	if r.begin.Err() == nil || r.adds.Refused != 1 {
		t.Errorf("the run goes on: %v", r.adds)
	}
}

// TestCollision sends changes of two members with the same hash. They stay two members, and keep their order.
func TestCollision(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &recorder{in: make(map[string]bool)}
		r, a, b := colliding(t, importerTo(t, e))
		defer r.stop()
		changes := []Change{
			Add(a), Add(b), // the second opens another request, which waits for the first
			Remove(a), Add(a), // again, the latter two being of one member
			Remove(b), Add(identity.ExternalID("somebody else")),
		}
		readErr := r.read(func(yield func(Change, error) bool) {
			for _, c := range changes {
				if !yield(c, nil) {
					return
				}
			}
		})
		report, err := r.finish(readErr, r.senders.Wait())
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"+" + a.Value(), "+" + b.Value(), "+" + a.Value(), "-" + b.Value() + " +somebody else"}
		if !slices.Equal(want, e.requests) {
			t.Errorf("requests %q, want %q", e.requests, want)
		}
		if report.Rows.Duplicate != 1 || report.Adds.Accepted != 4 || report.Removals.Accepted != 1 {
			t.Errorf("want 1 duplicate, 4 additions and 1 removal: %v", report)
		}
		if !e.in[a.Value()] || e.in[b.Value()] {
			t.Errorf("the endpoint has %v", e.in)
		}
	})
}

// TestCollisionWhenEnded ends the run while a member waits for another one with the same hash.
func TestCollisionWhenEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, a, b := colliding(t, importerTo(t, &recorder{in: make(map[string]bool)}))
		defer r.stop()
		readErr := r.read(func(yield func(Change, error) bool) {
			if yield(Add(a), nil) {
				r.stop()
				yield(Add(b), nil)
			}
		})
		report, err := r.finish(readErr, r.senders.Wait())
		if err != nil {
			t.Errorf("error %v, though nobody gave one", err)
		}
		if report.Rows.Read != 2 || report.Rows.Unprocessed != 1 || report.Adds.Unsent != 1 {
			t.Errorf("want one row unprocessed and one unsent: %v", report)
		}
	})
}

// importerTo returns an Importer whose requests go to the endpoint.
func importerTo(t *testing.T, endpoint http.RoundTripper) *Importer {
	t.Helper()
	at, err := transport.ParseEndpoint("EU-01")
	if err != nil {
		t.Fatal(err)
	}
	client, err := transport.New(at, transport.WithHTTPClient(&http.Client{Transport: endpoint}))
	if err != nil {
		t.Fatal(err)
	}
	im, err := NewImporter(client, "acme", keys.Credentials{
		Partner: "tinyclues", PartnerKey: keys.NewPartnerKey("pk-us-0001"), ImportKey: keys.NewImportKey("cs-ws-0001"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// TestWindowBlocked shows that whoever waits for a place goes when the context ends, and takes none along.
func TestWindowBlocked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(passing{}, 1)
		if err := w.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		errs := make([]error, 3)
		for i := range errs {
			wg.Go(func() { errs[i] = w.Wait(ctx) })
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		for _, err := range errs {
			if err == nil {
				t.Error("somebody got a place that was taken")
			}
		}
		w.Feedback(transport.Feedback{Status: http.StatusCreated})
		if err := w.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if w.taken != 1 || len(w.line) != 0 {
			t.Errorf("%d places taken and %d waiting, want 1 and 0", w.taken, len(w.line))
		}
	})
}

// TestWindowLimiterFails shows that a limiter's error gives the place back, and that its feedback is passed on.
func TestWindowLimiterFails(t *testing.T) {
	t.Parallel()
	limiter := &refusing{}
	w := newWindow(limiter, 1)
	for range 3 {
		if err := w.Wait(t.Context()); err == nil {
			t.Fatal("the limiter's error is lost")
		}
	}
	if w.taken != 0 {
		t.Errorf("%d places are taken", w.taken)
	}
	w.late = 1 // who comes next was on its way when the window was narrowed, and never becomes an attempt
	if err := w.Wait(t.Context()); err == nil || w.late != 0 {
		t.Errorf("error %v; %d complaints are still expected", err, w.late)
	}
	w.taken = 1
	w.Feedback(transport.Feedback{Status: http.StatusLocked})
	if limiter.heard != 1 {
		t.Errorf("the limiter heard of %d attempts, want 1", limiter.heard)
	}
}

// TestWindowsAreForgotten locks one cohort after the other. The Importer keeps the windows of the last hour, and of those that were never locked none.
func TestWindowsAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ws windows
		run := func(cohortID string, statuses ...int) (width int) {
			w := ws.take(cohortID, passing{}, 16)
			width = w.width
			for _, status := range statuses {
				if err := w.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				w.Feedback(transport.Feedback{Status: status})
			}
			ws.giveBack(cohortID, w)
			return width
		}
		for i := range 500 {
			id := strconv.Itoa(i)
			run(id, http.StatusLocked)
			run("never locked "+id, http.StatusCreated)
			run("rate limited "+id, http.StatusTooManyRequests)
			if width := run(id); width != 8 {
				t.Fatalf("the next run has %d places, want 8", width)
			}
			time.Sleep(time.Minute)
		}
		if n := len(ws.of); n < 59 || n > 2*leastSweep {
			t.Errorf("%d windows are kept, want those of an hour", n)
		}
		time.Sleep(time.Hour)
		for i := range 500 {
			if width := run(strconv.Itoa(i)); width != 16 {
				t.Fatalf("after an hour a run has %d places, want 16", width)
			}
		}
		if n := len(ws.of); n != 0 {
			t.Errorf("%d windows are kept for good", n)
		}
	})
}

type passing struct{}

func (passing) Wait(context.Context) error { return nil }

type refusing struct{ heard int }

func (*refusing) Wait(context.Context) error    { return context.DeadlineExceeded }
func (r *refusing) Feedback(transport.Feedback) { r.heard++ }
