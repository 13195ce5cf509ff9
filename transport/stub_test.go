package transport_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
)

const (
	partnerKey = "0f6ed2c4-partner-91b7a05e"
	importKey  = "5b2c9f0e-import-0c3f1f2b6d10"
	restKey    = "c01dbeef-rest-7a9e44d1"
)

// roundTrip is a function as a RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// step is what a script does in one attempt.
type step func(*http.Request) (*http.Response, error)

// script is a RoundTripper that follows its steps, the last one for ever, and notes what it was asked.
type script struct {
	steps []step

	mu       sync.Mutex
	requests []seen
	closed   int // calls of CloseIdleConnections
}

// seen is one attempt as the endpoint sees it.
type seen struct {
	At     time.Time
	Method string
	URL    string
	Header http.Header
	Length int64
	Body   string
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	got := seen{At: time.Now(), Method: r.Method, URL: r.URL.String(), Header: r.Header.Clone(), Length: r.ContentLength}
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

func (s *script) CloseIdleConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
}

func (s *script) seen() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]seen(nil), s.requests...)
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

var accept = answer(http.StatusCreated, `{"message":"success"}`)

func failWith(err error) step {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// hang answers nothing until the attempt is over, as net/http does.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
}

// after waits, unless the attempt ends first.
func after(d time.Duration, then step) step {
	return func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return then(r)
		case <-r.Context().Done():
			return nil, context.Cause(r.Context())
		}
	}
}

// slowly answers with the body of a success, whose bytes need so long each.
func slowly(status int, each time.Duration) step {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: &slowBody{ctx: r.Context(), rest: success, each: each}}, nil
	}
}

type slowBody struct {
	ctx  context.Context //nolint:containedctx // a body lives as long as its request
	rest string
	each time.Duration
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.rest == "" {
		return 0, io.EOF
	}
	select {
	case <-time.After(b.each):
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	}
	n := copy(p[:1], b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *slowBody) Close() error { return nil }

// broken answers with a body that breaks off.
func broken(status int, body string) step {
	return func(*http.Request) (*http.Response, error) {
		r := io.MultiReader(strings.NewReader(body), errReader{io.ErrUnexpectedEOF})
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(r)}, nil
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// endless answers with a body that never ends.
func endless(status int) step {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(spaces{})}, nil
	}
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func endpoint(tb testing.TB, s string) transport.Endpoint {
	tb.Helper()
	e, err := transport.ParseEndpoint(s)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// newClient returns a Client of EU-01 whose attempts go through rt.
func newClient(tb testing.TB, rt http.RoundTripper, opts ...transport.Option) *transport.Client {
	tb.Helper()
	c, err := transport.New(endpoint(tb, "EU-01"), append(opts, transport.WithHTTPClient(&http.Client{Transport: rt}))...)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// request is a cohort call with both keys in its body.
func request(repeat transport.Repeat) transport.Request {
	return transport.Request{
		Operation: "cohort.users",
		Path:      "/partners/tinyclues/cohorts/users",
		Body:      []byte(`{"partner_api_key":"` + partnerKey + `","client_secret":"` + importKey + `"}`),
		Secrets:   []transport.Secret{keys.NewPartnerKey(partnerKey), keys.NewImportKey(importKey)},
		Repeat:    repeat,
	}
}

// result is what a test compares of the end of a call.
type result struct {
	Outcome  transport.Outcome
	Attempts int
	Class    transport.Class
	Status   int
}

func resultOf(tb testing.TB, ans transport.Answer, err error) result {
	tb.Helper()
	if api, ok := errors.AsType[*transport.APIError](err); ok {
		return result{transport.OutcomeOf(err), api.Attempts, api.Class, api.Status}
	}
	if none, ok := errors.AsType[*transport.NoAnswerError](err); ok {
		return result{transport.OutcomeOf(err), none.Attempts, transport.ClassNoAnswer, 0}
	}
	if err != nil {
		tb.Fatalf("error of type %T: %v", err, err)
	}
	return result{transport.OutcomeOf(nil), ans.Attempts, transport.ClassSuccess, ans.Status}
}
