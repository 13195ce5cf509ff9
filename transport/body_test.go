package transport_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/transport"
)

func TestEveryAttemptSendsTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rt := following(answer(503, ""), failWith(io.EOF), answer(429, ""), accept)
		req := request(transport.RepeatSafe)
		released := 0
		req.Release = func() { released++ }
		if _, err := newClient(t, rt).Do(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		requests := rt.seen()
		if len(requests) != 4 || released != 1 {
			t.Fatalf("%d attempts, released %d times", len(requests), released)
		}
		for i, r := range requests {
			if r.Body != string(req.Body) || r.Length != int64(len(req.Body)) || r.URL != requests[0].URL {
				t.Errorf("attempt %d sent %d bytes with a length of %d to %s", i+1, len(r.Body), r.Length, r.URL)
			}
		}
	})
}

func TestReleaseWithoutAnAttempt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, body := range [][]byte{nil, {}, []byte("{}")} {
		req := request(transport.RepeatSafe)
		released := 0
		req.Body, req.Release = body, func() { released++ }
		if _, err := newClient(t, following(accept)).Do(ctx, req); err == nil || released != 1 {
			t.Errorf("body of %d bytes: released %d times, error %v", len(body), released, err)
		}
	}
}

// TestReleaseWaitsForReaders has a RoundTripper that returns while it still reads, as net/http does when an answer comes early.
func TestReleaseWaitsForReaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var late []byte
		var afterClose error
		rt := roundTrip(func(r *http.Request) (*http.Response, error) {
			go func() {
				<-time.After(time.Minute)
				late, _ = io.ReadAll(r.Body)
				_ = r.Body.Close()
				_ = r.Body.Close()
				_, afterClose = r.Body.Read(make([]byte, 1))
			}()
			return answer(413, "")(r)
		})
		started := time.Now()
		req := request(transport.RepeatSafe)
		sent := bytes.Clone(req.Body)
		released := make(chan time.Duration, 10)
		req.Release = func() {
			scribble(req.Body)
			released <- time.Since(started)
		}
		if _, err := newClient(t, rt).Do(t.Context(), req); err == nil || len(released) != 0 {
			t.Fatalf("error %v, released %d times", err, len(released))
		}
		<-time.After(time.Hour)
		synctest.Wait()
		if n, at := len(released), <-released; n != 1 || at != time.Minute {
			t.Errorf("released %d times, first after %s, want once after a minute", n, at)
		}
		if !bytes.Equal(late, sent) || afterClose == nil || errors.Is(afterClose, io.EOF) { // the end of a file would look like a whole body
			t.Errorf("read %q late, and %v after the end", late, afterClose)
		}
	})
}

// TestReleaseCountsEachReaderOnce has a RoundTripper that closes every body twice, which must not stand for two bodies.
func TestReleaseCountsEachReaderOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		attempts, released := 0, 0
		req := request(transport.RepeatSafe)
		sent := bytes.Clone(req.Body)
		req.Release = func() {
			released++
			scribble(req.Body)
		}
		rt := roundTrip(func(r *http.Request) (*http.Response, error) {
			got, err := io.ReadAll(r.Body)
			_ = r.Body.Close()
			_ = r.Body.Close()
			if attempts++; !bytes.Equal(got, sent) || err != nil || released != 0 {
				t.Errorf("attempt %d sends %q, %v, after %d releases", attempts, got, err, released)
			}
			if attempts < 3 {
				return answer(503, "")(r)
			}
			return accept(r)
		})
		if _, err := newClient(t, rt).Do(t.Context(), req); err != nil || attempts != 3 || released != 1 {
			t.Errorf("%d attempts, released %d times, error %v", attempts, released, err)
		}
	})
}

// TestReleaseIsNotForcedByABadTransport documents the price of a RoundTripper that never closes a body.
func TestReleaseIsNotForcedByABadTransport(t *testing.T) {
	t.Parallel()
	req := request(transport.RepeatSafe)
	released := 0
	req.Release = func() { released++ }
	rt := roundTrip(func(r *http.Request) (*http.Response, error) { return accept(r) })
	if _, err := newClient(t, rt).Do(t.Context(), req); err != nil || released != 0 {
		t.Errorf("released %d times, error %v", released, err)
	}
}

const scribbled = '#'

// scribble writes over all of b, by few writes: each of them costs the race detector the same.
func scribble(b []byte) {
	for n := copy(b, []byte{scribbled}); n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// lateReader is what a server does with the rest of a request's body: whatever still comes must not be scribbled.
func lateReader(t *testing.T, r io.Reader) (n int) {
	t.Helper()
	buf := make([]byte, 64<<10)
	for {
		m, err := r.Read(buf)
		if bytes.IndexByte(buf[:m], scribbled) >= 0 {
			t.Error("the server sees bytes that were written after Release")
		}
		if n += m; err != nil {
			return n
		}
	}
}

// TestReleaseOnLoopback sends bodies over real connections while the test writes over every released buffer.
func TestReleaseOnLoopback(t *testing.T) {
	t.Parallel()
	const size = 4 << 20 // more than the buffers of a connection hold
	behaviours := []struct {
		name  string
		serve func(t *testing.T, w http.ResponseWriter, r *http.Request, arrived chan<- struct{}, leave <-chan struct{})
		ok    bool // whether the calls succeed
	}{
		{"reads all", func(t *testing.T, w http.ResponseWriter, r *http.Request, _ chan<- struct{}, _ <-chan struct{}) {
			t.Helper()
			if n := lateReader(t, r.Body); n != size || r.ContentLength != size {
				t.Errorf("read %d bytes, announced %d", n, r.ContentLength)
			}
			_, _ = io.WriteString(w, success)
		}, true},
		{"answers before it reads", func(_ *testing.T, w http.ResponseWriter, _ *http.Request, _ chan<- struct{}, _ <-chan struct{}) {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}, false},
		{"answers after a part", func(t *testing.T, w http.ResponseWriter, r *http.Request, _ chan<- struct{}, _ <-chan struct{}) {
			t.Helper()
			lateReader(t, io.LimitReader(r.Body, size/3))
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}, false},
		{"answers and reads on", func(t *testing.T, w http.ResponseWriter, r *http.Request, _ chan<- struct{}, _ <-chan struct{}) {
			t.Helper()
			_ = http.NewResponseController(w).EnableFullDuplex()
			_, _ = io.WriteString(w, success)
			_ = http.NewResponseController(w).Flush()
			lateReader(t, r.Body)
		}, true},
		{"cuts the connection", func(t *testing.T, _ http.ResponseWriter, r *http.Request, _ chan<- struct{}, _ <-chan struct{}) {
			t.Helper()
			lateReader(t, io.LimitReader(r.Body, size/3))
			panic(http.ErrAbortHandler)
		}, false},
		{"is left in the middle", func(t *testing.T, _ http.ResponseWriter, r *http.Request, arrived chan<- struct{}, leave <-chan struct{}) {
			t.Helper()
			lateReader(t, io.LimitReader(r.Body, size/3))
			arrived <- struct{}{}
			<-leave
			lateReader(t, r.Body)
		}, false},
	}
	for _, behaviour := range behaviours {
		for _, protocol := range []string{"HTTP 1", "HTTP 2"} {
			t.Run(behaviour.name+" by "+protocol, func(t *testing.T) {
				t.Parallel()
				arrived, leave := make(chan struct{}), make(chan struct{})
				srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					behaviour.serve(t, w, r, arrived, leave)
				}))
				srv.EnableHTTP2 = protocol == "HTTP 2"
				srv.StartTLS()
				defer srv.Close()
				c, err := transport.New(endpoint(t, srv.URL), transport.WithHTTPClient(srv.Client()), transport.WithRetryPolicy(transport.NoRepeat()))
				if err != nil {
					t.Fatal(err)
				}
				defer c.CloseIdleConnections()

				var releases atomic.Int64
				const calls = 3
				for range calls {
					body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
					released := make(chan struct{})
					ctx, cancel := context.WithCancel(t.Context())
					if behaviour.name == "is left in the middle" {
						go func() {
							<-arrived
							cancel()
						}()
					}
					_, err := c.Do(ctx, transport.Request{Operation: "op", Path: "/", Body: body, Release: func() {
						releases.Add(1)
						scribble(body)
						close(released)
					}})
					if (err == nil) != behaviour.ok {
						t.Errorf("error %v", err)
					}
					<-released
					cancel()
				}
				close(leave)
				srv.Close()
				if got := releases.Load(); got != calls {
					t.Errorf("released %d times for %d calls", got, calls)
				}
			})
		}
	}
}
