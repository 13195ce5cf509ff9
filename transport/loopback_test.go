package transport_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
)

// quick repeats at once, for tests on real connections.
var quick = transport.WithRetryPolicy(transport.RetryPolicy{MaxAttempts: 2, BaseDelay: time.Nanosecond, MaxDelay: time.Nanosecond})

// raw serves connections with a function that gets the first request of each.
func raw(t *testing.T, serve func(net.Conn, *http.Request)) (address string, connections *atomic.Int64) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connections = new(atomic.Int64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
				serve(conn, r)
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	return listener.Addr().String(), connections
}

func write(text string) func(net.Conn, *http.Request) {
	return func(c net.Conn, _ *http.Request) { _, _ = io.WriteString(c, text) }
}

func TestFaultsOnLoopback(t *testing.T) {
	t.Parallel()
	quiet := log.New(io.Discard, "", 0)
	tests := []struct {
		name   string
		server func(t *testing.T) string
		want   result
		text   string
	}{
		{"nobody listens", func(t *testing.T) string {
			t.Helper()
			l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			return "http://" + l.Addr().String()
		}, result{transport.OutcomeUnsent, 2, transport.ClassNoAnswer, 0}, "no connection"},
		{"certificate of nobody", func(t *testing.T) string {
			t.Helper()
			srv := httptest.NewUnstartedServer(http.NotFoundHandler())
			srv.Config.ErrorLog = quiet
			srv.StartTLS()
			t.Cleanup(srv.Close)
			return srv.URL
		}, result{transport.OutcomeUnsent, 1, transport.ClassNoAnswer, 0}, "no trusted TLS connection"},
		{"http where https is expected", func(t *testing.T) string {
			t.Helper()
			srv := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(srv.Close)
			return "https://" + srv.Listener.Addr().String()
		}, result{transport.OutcomeUnsent, 1, transport.ClassNoAnswer, 0}, "no TLS spoken"},
		{"neither http nor https", func(t *testing.T) string {
			t.Helper()
			l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					_, _ = io.WriteString(c, "220 mail.example ESMTP\r\n")
					_, _ = io.Copy(io.Discard, c)
					c.Close()
				}
			}()
			return "https://" + l.Addr().String()
		}, result{transport.OutcomeUnsent, 1, transport.ClassNoAnswer, 0}, "no trusted TLS connection"},
		{"hangs up", func(t *testing.T) string {
			t.Helper()
			a, _ := raw(t, write(""))
			return "http://" + a
		}, result{transport.OutcomeUnknown, 2, transport.ClassNoAnswer, 0}, "the connection broke without an answer"},
		{"resets", func(t *testing.T) string {
			t.Helper()
			a, _ := raw(t, func(c net.Conn, _ *http.Request) {
				if tcp, ok := c.(*net.TCPConn); ok {
					_ = tcp.SetLinger(0)
				}
			})
			return "http://" + a
		}, result{transport.OutcomeUnknown, 2, transport.ClassNoAnswer, 0}, "the connection broke without an answer"},
		{"half a header", func(t *testing.T) string {
			t.Helper()
			a, _ := raw(t, write("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n"))
			return "http://" + a
		},
			result{transport.OutcomeUnknown, 2, transport.ClassNoAnswer, 0}, "broke without an answer"},
		{"half a body", func(t *testing.T) string {
			t.Helper()
			a, _ := raw(t, write("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{\"message\":\"succ"))
			return "http://" + a
		}, result{transport.OutcomeUnknown, 2, transport.ClassBadAnswer, 200}, "unreadable answer"},
		{"half a chunk", func(t *testing.T) string {
			t.Helper()
			a, _ := raw(t, write("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n"+success+"\r\n"))
			return "http://" + a
		}, result{transport.OutcomeUnknown, 2, transport.ClassBadAnswer, 201}, "unreadable answer"},
		{"half a refusal", func(t *testing.T) string {
			t.Helper()
			a, _ := raw(t, write("HTTP/1.1 401 Unauthorized\r\nContent-Length: 210\r\n\r\n{\"message\":\"Partner API key"))
			return "http://" + a
		}, result{transport.OutcomeRefused, 1, transport.ClassUnauthorized, 401}, "partner API key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := transport.New(endpoint(t, tt.server(t)), quick)
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseIdleConnections()
			ans, err := c.Do(t.Context(), request(transport.RepeatSafe))
			if diff := cmp.Diff(tt.want, resultOf(t, ans, err)); diff != "" || !contains(err, tt.text) {
				t.Errorf("error %v\nresult (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var atTarget atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { atTarget.Add(1) }))
	defer target.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{target.URL + "/x", "//" + strings.TrimPrefix(target.URL, "http://"), "/elsewhere", ""} {
			var atServer atomic.Int64
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				atServer.Add(1)
				if r.Header.Get("Authorization") != "Bearer "+restKey {
					t.Error("the key did not arrive where it belongs")
				}
				if location != "" {
					w.Header().Set("Location", location)
				}
				w.WriteHeader(status)
			}))
			// A client of the caller that follows redirects, and would carry cookies, makes no difference.
			hc := &http.Client{Transport: srv.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
			c, err := transport.New(endpoint(t, srv.URL), transport.WithHTTPClient(hc))
			if err != nil {
				t.Fatal(err)
			}
			req := request(transport.RepeatSafe)
			req.Bearer = keys.NewRESTKey(restKey)
			_, err = c.Do(t.Context(), req)
			if !errors.Is(err, transport.ErrRedirect) || transport.OutcomeOf(err) != transport.OutcomeRefused || atServer.Load() != 1 {
				t.Errorf("%d to %q: %d requests, error %v", status, location, atServer.Load(), err)
			}
			srv.Close()
		}
	}
	if atTarget.Load() != 0 {
		t.Errorf("%d requests reached the target of a redirect", atTarget.Load())
	}
}

// TestClientWithoutTransport gives an http.Client for its Timeout alone.
func TestClientWithoutTransport(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, success) }))
	defer srv.Close()
	c, err := transport.New(endpoint(t, srv.URL), transport.WithHTTPClient(&http.Client{Timeout: time.Minute}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdleConnections()
	if _, err := c.Do(t.Context(), request(transport.RepeatSafe)); err != nil {
		t.Error(err)
	}
}

// TestBodyOverOwnPool sends bodies shorter and longer than what the default pool writes at once, one after the other on the same connection, and
// changes them as soon as it may.
func TestBodyOverOwnPool(t *testing.T) {
	t.Parallel()
	var got []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, success)
	}))
	defer srv.Close()
	c, err := transport.New(endpoint(t, srv.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdleConnections()
	for i, size := range []int{1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 300_000, 39_000} {
		body := bytes.Repeat([]byte{'a' + byte(i)}, size)
		want := bytes.Clone(body)
		released := make(chan struct{})
		_, err := c.Do(t.Context(), transport.Request{Operation: "op", Path: "/", Body: body, Release: func() {
			clear(body)
			close(released)
		}})
		if err != nil {
			t.Fatal(err)
		}
		<-released
		if !bytes.Equal(want, got) {
			t.Errorf("of %d bytes %d arrived, or others", size, len(got))
		}
	}
}

// TestOnePool has two clients of different endpoints on one Transport, and a third on its own.
func TestOnePool(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, success) }))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	shared := transport.WithHTTPClient(&http.Client{Transport: &http.Transport{}})
	do := func(path string, opts ...transport.Option) *transport.Client {
		t.Helper()
		c, err := transport.New(endpoint(t, srv.URL+path), opts...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Do(t.Context(), request(transport.RepeatSafe)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := do("/a", shared)
	do("/b", shared)
	if got := opened.Load(); got != 1 {
		t.Errorf("two clients of one Transport opened %d connections", got)
	}
	own := do("")
	defer own.CloseIdleConnections()
	if got := opened.Load(); got != 2 {
		t.Errorf("a client with its own pool used another's: %d connections", got)
	}
	first.CloseIdleConnections()
	defer do("/b", shared).CloseIdleConnections()
	if got := opened.Load(); got != 3 {
		t.Errorf("after CloseIdleConnections there are %d connections, want 3", got)
	}
}

// TestPoolKeepsConnections has as many requests in flight as a pool keeps connections, several times over. Only the first ones open a connection.
func TestPoolKeepsConnections(t *testing.T) {
	t.Parallel()
	const atOnce, rounds = 64, 3
	var opened atomic.Int64
	arrived, all := make(chan struct{}, atOnce), make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-all
		_, _ = io.WriteString(w, success)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	c, err := transport.New(endpoint(t, srv.URL), transport.WithHTTPClient(&http.Client{Transport: transport.NewPool()}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdleConnections()
	for range rounds {
		var wg sync.WaitGroup
		for range atOnce {
			wg.Go(func() {
				if _, err := c.Do(t.Context(), request(transport.RepeatSafe)); err != nil {
					t.Error(err)
				}
			})
		}
		for range atOnce {
			<-arrived
		}
		for range atOnce {
			all <- struct{}{}
		}
		wg.Wait()
	}
	if got := opened.Load(); got != atOnce {
		t.Errorf("%d times %d requests at once opened %d connections", rounds, atOnce, got)
	}
}
