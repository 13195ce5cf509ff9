package transport_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/transport"
)

// TestLeakInABubble ends calls in every way. A goroutine or a wait that outlives its call keeps the bubble from ending, which fails the test.
func TestLeakInABubble(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		steps []step
		at    time.Duration // of the cancellation
	}{
		{"accepted", []step{accept}, time.Hour},
		{"refused", []step{answer(400, "")}, time.Hour},
		{"given up", []step{answer(503, "")}, time.Hour},
		{"cancelled in flight", []step{hang}, time.Second},
		{"cancelled between attempts", []step{answer(429, "", "Retry-After", "60")}, time.Second},
		{"cancelled before", []step{accept}, 0},
		{"timed out", []step{hang}, time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.at)
				defer cancel()
				c := newClient(t, following(tt.steps...))
				var wg sync.WaitGroup
				for range 20 {
					wg.Go(func() {
						req := request(transport.RepeatSafe)
						req.Limiter = c.Quota().Share("workspace")
						_, _ = c.Do(ctx, req)
					})
				}
				wg.Wait()
				if got := c.Quota().State().Waiting; got != 0 {
					t.Errorf("%d still wait", got)
				}
			})
		})
	}
}

// TestLeakOnLoopback ends calls over real connections. Where the runtime can tell leaked goroutines (GOEXPERIMENT=goroutineleakprofile), it is asked.
func TestLeakOnLoopback(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	for _, tt := range []struct {
		name  string
		serve func(net.Conn, *http.Request)
	}{
		{"answered", write("HTTP/1.1 201 Created\r\nContent-Length: 21\r\n\r\n" + success)},
		{"refused without end", write("HTTP/1.1 400 Bad Request\r\n\r\n" + strings.Repeat(" ", 1<<20))},
		{"cut off", write("HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n" + success)},
		{"hung up", write("")},
		{"cancelled", func(c net.Conn, _ *http.Request) {
			arrived <- struct{}{}
			_, _ = io.Copy(io.Discard, c)
		}},
	} {
		address, _ := raw(t, tt.serve)
		c, err := transport.New(endpoint(t, "http://"+address), quick)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if tt.name == "cancelled" {
			go func() {
				<-arrived
				cancel()
			}()
		}
		released := make(chan struct{})
		req := request(transport.RepeatSafe)
		req.Release = func() { close(released) }
		_, err = c.Do(ctx, req)
		if (err == nil) != (tt.name == "answered") {
			t.Errorf("%s: error %v", tt.name, err)
		}
		<-released
		cancel()
		c.CloseIdleConnections()
	}
	profile := pprof.Lookup("goroutineleak")
	if profile == nil {
		return
	}
	var b bytes.Buffer
	if err := profile.WriteTo(&b, 2); err != nil {
		t.Fatal(err)
	}
	for stack := range strings.SplitSeq(b.String(), "\n\n") {
		if strings.Contains(stack, "(leaked)") && strings.Contains(stack, "cohortkit/transport") {
			t.Errorf("leaked:\n%s", stack)
		}
	}
}
