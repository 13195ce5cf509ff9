package transport_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/transport"
)

// recorder implements every observer interface.
type recorder struct {
	name string

	mu     sync.Mutex
	events []string
}

type spanKey struct{}

func (r *recorder) addf(ctx context.Context, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	span, _ := ctx.Value(spanKey{}).(string)
	r.events = append(r.events, r.name+span+" "+fmt.Sprintf(format, args...))
}

func (r *recorder) StartAttempt(ctx context.Context, a transport.AttemptStart) context.Context {
	r.addf(ctx, "start %s %s %d", a.Operation, a.Instance, a.Attempt)
	span, _ := ctx.Value(spanKey{}).(string)
	return context.WithValue(ctx, spanKey{}, span+"/"+r.name)
}

func (r *recorder) ObserveAttempt(ctx context.Context, a transport.AttemptEnd) {
	r.addf(ctx, "end %s %s %d %d %s %s", a.Operation, a.Instance, a.Attempt, a.Status, a.Class, a.Duration)
}

func (r *recorder) ObserveWait(ctx context.Context, w transport.Wait) {
	r.addf(ctx, "wait %s %s %d %s %s", w.Operation, w.Instance, w.Attempt, w.Duration, w.Class)
}

// Each of these has one interface alone.
type (
	startsOnly struct{ r *recorder }
	endsOnly   struct{ r *recorder }
	waitsOnly  struct{ r *recorder }
)

func (o startsOnly) StartAttempt(ctx context.Context, a transport.AttemptStart) context.Context {
	return o.r.StartAttempt(ctx, a)
}
func (o endsOnly) ObserveAttempt(ctx context.Context, a transport.AttemptEnd) {
	o.r.ObserveAttempt(ctx, a)
}
func (o waitsOnly) ObserveWait(ctx context.Context, w transport.Wait) { o.r.ObserveWait(ctx, w) }

func TestObservers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := &recorder{}
		add := func(name string) *recorder { return &recorder{name: name} }
		outer, inner := add("outer"), add("inner")
		rt := roundTrip(func(r *http.Request) (*http.Response, error) {
			all.addf(r.Context(), "sent")
			return next(r)
		})
		c := newClient(t, rt, transport.WithObserver(outer), transport.WithObserver(inner))
		if _, err := c.Do(context.WithValue(t.Context(), attemptsKey{}, new(int)), request(transport.RepeatSafe)); err != nil {
			t.Fatal(err)
		}
		want := map[string][]string{
			"outer": {
				"outer start cohort.users EU-01 1",
				"outer/outer/inner end cohort.users EU-01 1 429 rate limited 2s",
				"outer wait cohort.users EU-01 1 5s rate limited",
				"outer start cohort.users EU-01 2",
				"outer/outer/inner end cohort.users EU-01 2 201 success 0s",
			},
			"inner": {
				"inner/outer start cohort.users EU-01 1",
				"inner/outer/inner end cohort.users EU-01 1 429 rate limited 2s",
				"inner wait cohort.users EU-01 1 5s rate limited",
				"inner/outer start cohort.users EU-01 2",
				"inner/outer/inner end cohort.users EU-01 2 201 success 0s",
			},
			"sent": {"/outer/inner sent", "/outer/inner sent"},
		}
		got := map[string][]string{"outer": outer.events, "inner": inner.events, "sent": all.events}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

type attemptsKey struct{}

// next refuses the first attempt of a call after two seconds and accepts the second one.
func next(r *http.Request) (*http.Response, error) {
	_ = r.Body.Close()
	n, _ := r.Context().Value(attemptsKey{}).(*int)
	if *n++; *n == 1 {
		return after(2*time.Second, answer(429, "", "Retry-After", "5"))(r)
	}
	return accept(r)
}

func TestObserverOfOneInterface(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		for _, o := range []transport.Observer{startsOnly{r}, endsOnly{r}, waitsOnly{r}} {
			c := newClient(t, following(answer(503, "", "Retry-After", "1"), accept), transport.WithObserver(o))
			if _, err := c.Do(t.Context(), request(transport.RepeatSafe)); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{
			" start cohort.users EU-01 1", " start cohort.users EU-01 2",
			" end cohort.users EU-01 1 503 unavailable 0s", " end cohort.users EU-01 2 201 success 0s",
			" wait cohort.users EU-01 1 1s unavailable",
		}
		if diff := cmp.Diff(want, r.events); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestOptionsThatFail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		opt  transport.Option
		want string
	}{
		{"nil", nil, "an option is nil"},
		{"no HTTP client", transport.WithHTTPClient(nil), "WithHTTPClient"},
		{"no logger", transport.WithLogger(nil), "WithLogger"},
		{"no quota", transport.WithQuota(nil), "WithQuota"},
		{"no observer", transport.WithObserver(nil), "WithObserver"},
		{"observer of nothing", transport.WithObserver(struct{ A int }{1}), "WithObserver: struct { A int } implements none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := transport.New(endpoint(t, "EU-01"), tt.opt)
			if err == nil || c != nil || !contains(err, "transport: new: ") || !contains(err, tt.want) {
				t.Errorf("New = %v, %v; want an error about %q", c, err, tt.want)
			}
		})
	}
}

// permutations calls f with every order of n things.
func permutations(n int, f func([]int)) {
	var step func(order, rest []int)
	step = func(order, rest []int) {
		if len(rest) == 0 {
			f(order)
		}
		for i, v := range rest {
			others := append(append([]int(nil), rest[:i]...), rest[i+1:]...)
			step(append(append([]int(nil), order...), v), others)
		}
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	step(nil, all)
}

func TestOrderOfOptions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		quota, err := transport.NewQuota(100)
		if err != nil {
			t.Fatal(err)
		}
		runs := 0
		permutations(4, func(order []int) {
			runs++
			o, rt := &recorder{}, following(hang)
			options := []transport.Option{
				transport.WithHTTPClient(&http.Client{Transport: rt, Timeout: 3 * time.Second}),
				transport.WithRetryPolicy(transport.RetryPolicy{MaxAttempts: 1, AttemptTimeout: 7 * time.Second}),
				transport.WithObserver(o),
				transport.WithQuota(quota),
			}
			var opts []transport.Option
			for _, i := range order {
				opts = append(opts, options[i])
			}
			c, err := transport.New(endpoint(t, "EU-01"), opts...)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = c.Do(t.Context(), request(transport.RepeatSafe))
			want := []string{" start cohort.users EU-01 1", "/ end cohort.users EU-01 1 0 no answer 3s"}
			if diff := cmp.Diff(want, o.events); diff != "" || c.Quota() != quota {
				t.Errorf("order %v: (-want +got):\n%s", order, diff)
			}
		})
		if runs != 24 {
			t.Errorf("%d orders", runs)
		}
	})
}

func TestClientOfTheCallerStaysAsItIs(t *testing.T) {
	t.Parallel()
	rt := following(accept)
	hc := &http.Client{Transport: rt, Timeout: time.Minute}
	before := *hc
	c, err := transport.New(endpoint(t, "KR-01"), transport.WithHTTPClient(hc))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), request(transport.RepeatSafe)); err != nil {
		t.Fatal(err)
	}
	if hc.Transport != before.Transport || hc.Timeout != before.Timeout || hc.CheckRedirect != nil || hc.Jar != nil {
		t.Errorf("the caller's client is now %+v", hc)
	}
	if c.Endpoint() != endpoint(t, "KR-01") || c.Quota() == nil {
		t.Errorf("endpoint %v, quota %v", c.Endpoint(), c.Quota())
	}
	if other := newClient(t, rt); other.Quota() == c.Quota() {
		t.Error("two clients share a quota that nobody gave them")
	}
}

func TestIdleConnectionsStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rt := following(answer(400, ""), answer(503, ""), answer(503, ""), answer(429, "", "Retry-After", "60"), hang)
		c := newClient(t, rt, transport.WithRetryPolicy(transport.RetryPolicy{MaxAttempts: 2}))
		for range 2 { // refused, then given up
			_, _ = c.Do(t.Context(), request(transport.RepeatSafe))
		}
		for range 2 { // cancelled in a wait, then in flight
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, nil)
			ctx, stop := context.WithCancel(ctx)
			time.AfterFunc(time.Millisecond, stop)
			_, _ = c.Do(ctx, request(transport.RepeatSafe))
			cancel()
		}
		if rt.closed != 0 {
			t.Errorf("failures closed the idle connections %d times", rt.closed)
		}
		c.CloseIdleConnections()
		if rt.closed != 1 {
			t.Errorf("CloseIdleConnections closed them %d times", rt.closed)
		}
	})
	// A Transport without idle connections to close is none to stumble over.
	newClient(t, roundTrip(accept)).CloseIdleConnections()
}
