package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/segment"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/rest"
)

const restKey = "c01dbeef-rest-7a9e44d1"

// step is what a script does in one attempt.
type step func(*http.Request) (*http.Response, error)

// script is a RoundTripper that follows its steps, the last one for ever, and notes what it was asked.
type script struct {
	steps []step

	mu       sync.Mutex
	requests []seen
}

// seen is one attempt as the endpoint sees it.
type seen struct {
	At     time.Time
	Method string
	URL    string
	Bearer string
	Body   string
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	got := seen{At: time.Now(), Method: r.Method, URL: r.URL.String(), Bearer: r.Header.Get("Authorization")}
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if err := r.Body.Close(); err != nil {
			return nil, err
		}
		got.Body = string(b)
	}
	s.mu.Lock()
	next := s.steps[min(len(s.requests), len(s.steps)-1)]
	s.requests = append(s.requests, got)
	s.mu.Unlock()
	return next(r)
}

func (s *script) seen() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func following(steps ...step) *script { return &script{steps: steps} }

// answer answers at once. The headers are names and values in turns.
func answer(status int, body string, headers ...string) step {
	return func(*http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func failWith(err error) step {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// hang answers nothing until the attempt is over, as net/http does.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
}

// broken answers with a body that breaks off.
func broken(status int, body string) step {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(io.MultiReader(strings.NewReader(body), errReader{io.ErrUnexpectedEOF}))}, nil
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// refused is a connection that did not come about.
var refused = failWith(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED})

// roundTrip is a function as a RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func newTransport(tb testing.TB, rt http.RoundTripper, opts ...transport.Option) *transport.Client {
	tb.Helper()
	e, err := transport.ParseEndpoint("EU-01")
	if err != nil {
		tb.Fatal(err)
	}
	c, err := transport.New(e, append(opts, transport.WithHTTPClient(&http.Client{Transport: rt}))...)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// newClient returns a Client whose attempts go through rt.
func newClient(tb testing.TB, rt http.RoundTripper) *rest.Client {
	tb.Helper()
	c, err := rest.New(newTransport(tb, rt), keys.NewRESTKey(restKey))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// audience is a Connected Audience of gold customers.
func audience(tb testing.TB) *segment.ConnectedAudience {
	tb.Helper()
	a, err := segment.ParseConnectedAudience([]byte(`{"custom_attribute":{"custom_attribute_name":"tier","comparison":"equals","value":"gold"}}`))
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// values reads JSON for a comparison in which the order of keys does not count.
func values(tb testing.TB, text string) any {
	tb.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		tb.Fatalf("%v in %s", err, text)
	}
	return v
}

// workspace answers /segments/list from so many segments.
func workspace(n int) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		var page int
		if _, err := fmt.Sscan(r.URL.Query().Get("page"), &page); err != nil {
			return nil, err
		}
		return answer(http.StatusOK, pageOf(min(n, page*100), min(n, page*100+100)))(r)
	}
}

// pageOf is a page of segments by their numbers.
func pageOf(from, to int) string {
	entries := []string{}
	for i := from; i < to; i++ {
		entries = append(entries, fmt.Sprintf(`{"id":"id-%d","name":"Segment %d","analytics_tracking_enabled":%t,"tags":["t%d"]}`, i, i, i%2 == 0, i))
	}
	return `{"message":"success","segments":[` + strings.Join(entries, ",") + `]}`
}
