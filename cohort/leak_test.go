package cohort_test

import (
	"bytes"
	"context"
	"iter"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// streamAndClose sends more events than one request holds, some of them while the stream is being closed.
func streamAndClose(ctx, closing context.Context, im *cohort.Importer) {
	stream, err := im.Stream(ctx, springSale(), cohort.WithDelay(0), cohort.OnAcknowledge(func([]cohort.Event) {}))
	if err != nil {
		return
	}
	at := time.Now()
	var group sync.WaitGroup
	for i := range 2500 {
		_ = stream.Send(ctx, enter(i, at))
	}
	group.Go(func() { _ = stream.Flush(ctx) })
	group.Go(func() {
		for i := range 100_000 {
			if stream.Send(ctx, enter(i, at.Add(1))) != nil {
				return
			}
		}
	})
	_, _ = stream.Close(closing)
	group.Wait()
}

// TestApplyLeak ends runs and streams in every way there is and looks for goroutines that nobody can wake any more. The runtime finds those when it is built
// with GOEXPERIMENT=goroutineleakprofile. Without it, each run is in a bubble, which does not end before all its goroutines have.
func TestApplyLeak(t *testing.T) { //nolint:paralleltest // the profile is about all goroutines of the process
	then := func(changes iter.Seq2[cohort.Change, error], do func()) iter.Seq2[cohort.Change, error] {
		return func(yield func(cohort.Change, error) bool) {
			for c, err := range changes {
				if !yield(c, err) {
					return
				}
			}
			do()
		}
	}
	type test struct {
		name    string
		fault   brazetest.Fault
		limiter transport.Limiter
		run     func(context.Context, context.CancelFunc, *cohort.Importer)
	}
	tests := []test{
		{name: "the source fails", run: func(ctx context.Context, _ context.CancelFunc, im *cohort.Importer) {
			_, _ = im.Apply(ctx, campaign, failing(6000, 3500, errSource))
		}},
		{name: "the source panics", run: func(ctx context.Context, _ context.CancelFunc, im *cohort.Importer) {
			defer func() { _ = recover() }()
			_, _ = im.Apply(ctx, campaign, then(adds(3500), func() { panic("of the source") }))
		}},
		{name: "cancelled in flight", fault: brazetest.Delay(1 << 40), run: func(ctx context.Context, cancel context.CancelFunc, im *cohort.Importer) {
			_, _ = im.Apply(ctx, campaign, then(adds(3500), cancel))
		}},
		{name: "cancelled at the limiter", limiter: stuck{}, run: func(ctx context.Context, cancel context.CancelFunc, im *cohort.Importer) {
			_, _ = im.Apply(ctx, campaign, then(adds(3500), cancel))
		}},
		{name: "cancelled for a full window", limiter: stuck{}, run: func(ctx context.Context, cancel context.CancelFunc, im *cohort.Importer) {
			_, _ = im.Apply(ctx, campaign, then(list(), cancel))
			_, _ = im.Apply(ctx, campaign, adds(6000))
		}},
		{name: "a stream closed in time", run: func(ctx context.Context, _ context.CancelFunc, im *cohort.Importer) { streamAndClose(ctx, ctx, im) }},
		{name: "a stream closed without time", fault: brazetest.Delay(1 << 40), run: func(ctx context.Context, cancel context.CancelFunc, im *cohort.Importer) {
			over, end := context.WithCancel(ctx)
			end()
			streamAndClose(ctx, over, im)
		}},
		{name: "a stream closed while the endpoint is in trouble", fault: brazetest.Status(503), run: func(ctx context.Context, _ context.CancelFunc, im *cohort.Importer) {
			soon, end := context.WithTimeout(ctx, 100*time.Millisecond)
			defer end()
			streamAndClose(ctx, soon, im)
		}},
		{name: "a stream closed at the limiter", limiter: stuck{}, run: func(ctx context.Context, _ context.CancelFunc, im *cohort.Importer) {
			soon, end := context.WithTimeout(ctx, 100*time.Millisecond)
			defer end()
			streamAndClose(ctx, soon, im)
		}},
		{name: "check and name", run: func(ctx context.Context, _ context.CancelFunc, im *cohort.Importer) {
			_ = im.Check(ctx)
			_ = im.SetName(ctx, cohort.Cohort{})
		}},
	}
	for _, f := range faults() {
		tests = append(tests, test{name: f.name, fault: f.fault})
	}
	profile := pprof.Lookup("goroutineleak")
	for _, tt := range tests { //nolint:paralleltest // as above
		t.Run(tt.name, func(t *testing.T) {
			body := func(t *testing.T) {
				t.Helper()
				s := newStage(t)
				s.server.Inject(brazetest.Users(), tt.fault).Always().Optional()
				limiter := tt.limiter
				if limiter == nil {
					limiter = open{}
				}
				client := s.client(t, transport.WithRetryPolicy(transport.RetryPolicy{MaxAttempts: 1, AttemptTimeout: time.Second}))
				im := newImporter(t, client, s.credentials(), cohort.WithLimiter(limiter), cohort.WithInFlight(4))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.run != nil {
					tt.run(ctx, cancel, im)
				} else {
					_, _ = im.Apply(ctx, campaign, adds(6000))
				}
			}
			if profile == nil {
				synctest.Test(t, body)
				return
			}
			t.Run("run", body)
			var b bytes.Buffer
			if err := profile.WriteTo(&b, 2); err != nil {
				t.Fatal(err)
			}
			for stack := range strings.SplitSeq(b.String(), "\n\n") {
				if strings.Contains(stack, "(leaked)") && strings.Contains(stack, "cohortkit/") {
					t.Errorf("leaked:\n%s", stack)
				}
			}
		})
	}
}
