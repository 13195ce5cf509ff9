package transport_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
)

const success = `{"message":"success"}`

// TestOutcome makes each call with three attempts at most, every one of which ends the same way.
func TestOutcome(t *testing.T) {
	t.Parallel()
	const (
		refused = transport.OutcomeRefused
		unknown = transport.OutcomeUnknown
		unsent  = transport.OutcomeUnsent
	)
	dialed := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	tests := []struct {
		name     string
		step     step
		outcome  transport.Outcome
		class    transport.Class
		status   int
		unsent   int   // attempts of RepeatUnsent
		safe     int   // attempts of RepeatSafe
		sentinel error // for errors.Is
	}{
		{"200", answer(200, success), transport.OutcomeAccepted, transport.ClassSuccess, 200, 1, 1, nil},
		{"200 with more fields", answer(200, ` {"dispatch_id": "a", "message": "success"}`+"\n"), transport.OutcomeAccepted, transport.ClassSuccess, 200, 1, 1, nil},
		{"200 with an empty object", answer(200, "{}"), transport.OutcomeAccepted, transport.ClassSuccess, 200, 1, 1, nil},
		{"200 with no errors", answer(200, `{"message":"success","errors":[]}`), transport.OutcomeAccepted, transport.ClassSuccess, 200, 1, 1, nil},
		{"200 with no errors, spaced", answer(200, `{"errors": [ ] }`), transport.OutcomeAccepted, transport.ClassSuccess, 200, 1, 1, nil},
		{"200 with null errors", answer(200, `{"errors":null}`), transport.OutcomeAccepted, transport.ClassSuccess, 200, 1, 1, nil},
		{"200 with errors", answer(200, `{"message":"success","errors":["one was left out"]}`), unknown, transport.ClassBadAnswer, 200, 1, 1, transport.ErrBadAnswer},
		{"200 with an error object", answer(200, `{"errors":{"a":1}}`), unknown, transport.ClassBadAnswer, 200, 1, 1, transport.ErrBadAnswer},
		{"200 empty", answer(200, ""), unknown, transport.ClassBadAnswer, 200, 1, 3, transport.ErrBadAnswer},
		{"200 without a body", func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: http.StatusOK}, nil }, unknown, transport.ClassBadAnswer, 200, 1, 3, transport.ErrBadAnswer},
		{"200 HTML", answer(200, "<html>Please log in</html>"), unknown, transport.ClassBadAnswer, 200, 1, 3, transport.ErrBadAnswer},
		{"200 array", answer(200, `[{"message":"success"}]`), unknown, transport.ClassBadAnswer, 200, 1, 3, transport.ErrBadAnswer},
		{"200 null", answer(200, `null`), unknown, transport.ClassBadAnswer, 200, 1, 3, transport.ErrBadAnswer},
		{"200 and more after it", answer(200, success+success), unknown, transport.ClassBadAnswer, 200, 1, 3, transport.ErrBadAnswer},
		{"200 cut off", broken(200, `{"message":"succ`), unknown, transport.ClassBadAnswer, 200, 1, 3, transport.ErrBadAnswer},
		{"200 cut off after the object", broken(200, success), unknown, transport.ClassBadAnswer, 200, 1, 3, transport.ErrBadAnswer},
		{"200 endless", endless(200), unknown, transport.ClassBadAnswer, 200, 1, 3, transport.ErrBadAnswer},
		{"200 too slow", slowly(200, 20*time.Second), unknown, transport.ClassBadAnswer, 200, 1, 3, transport.ErrBadAnswer},
		{"201", answer(201, success), transport.OutcomeAccepted, transport.ClassSuccess, 201, 1, 1, nil},
		{"202 queued", answer(202, `{"message":"queued"}`), transport.OutcomeAccepted, transport.ClassSuccess, 202, 1, 1, nil},
		{"204", answer(204, ""), transport.OutcomeAccepted, transport.ClassSuccess, 204, 1, 1, nil},
		{"301", answer(301, "", "Location", "https://elsewhere.example"), refused, transport.ClassRedirect, 301, 1, 1, transport.ErrRedirect},
		{"303 without a Location", answer(303, ""), refused, transport.ClassRedirect, 303, 1, 1, transport.ErrRedirect},
		{"307", answer(307, "", "Location", "https://elsewhere.example/"), refused, transport.ClassRedirect, 307, 1, 1, transport.ErrRedirect},
		{"307 to nowhere", answer(307, "", "Location", "https://x:"+importKey+"/%zz"), refused, transport.ClassRedirect, 307, 1, 1, transport.ErrRedirect},
		{"308", answer(308, "", "Location", "/elsewhere"), refused, transport.ClassRedirect, 308, 1, 1, transport.ErrRedirect},
		{"400", answer(400, `{"message":"cohort_id"}`), refused, transport.ClassBadRequest, 400, 1, 1, transport.ErrBadRequest},
		{"400 endless", endless(400), refused, transport.ClassBadRequest, 400, 1, 1, transport.ErrBadRequest},
		{"400 too slow", slowly(400, 20*time.Second), refused, transport.ClassBadRequest, 400, 1, 1, transport.ErrBadRequest},
		{"401", answer(401, `{"message":"Unauthorized access"}`), refused, transport.ClassUnauthorized, 401, 1, 1, transport.ErrUnauthorized},
		{"401 cut off", broken(401, `{"message":"Unauth`), refused, transport.ClassUnauthorized, 401, 1, 1, transport.ErrUnauthorized},
		{"403", answer(403, ""), refused, transport.ClassForbidden, 403, 1, 1, transport.ErrForbidden},
		{"404", answer(404, ""), refused, transport.ClassNotFound, 404, 1, 1, transport.ErrNotFound},
		{"408", answer(408, ""), unknown, transport.ClassUnavailable, 408, 1, 3, transport.ErrUnavailable},
		{"413", answer(413, ""), refused, transport.ClassTooLarge, 413, 1, 1, transport.ErrTooLarge},
		{"415", answer(415, ""), refused, transport.ClassMediaType, 415, 1, 1, nil},
		{"418", answer(418, ""), refused, transport.ClassOther, 418, 1, 1, nil},
		{"423", answer(423, `{"message":"Resource locked"}`), refused, transport.ClassLocked, 423, 1, 3, transport.ErrLocked},
		{"429", answer(429, ""), refused, transport.ClassRateLimited, 429, 3, 3, transport.ErrRateLimited},
		{"500", answer(500, ""), unknown, transport.ClassUnavailable, 500, 1, 3, transport.ErrUnavailable},
		{"501", answer(501, ""), unknown, transport.ClassUnavailable, 501, 1, 1, transport.ErrUnavailable},
		{"502", answer(502, "<html>"), unknown, transport.ClassUnavailable, 502, 1, 3, transport.ErrUnavailable},
		{"503", answer(503, ""), unknown, transport.ClassUnavailable, 503, 1, 3, transport.ErrUnavailable},
		{"504", answer(504, ""), unknown, transport.ClassUnavailable, 504, 1, 3, transport.ErrUnavailable},
		{"599", answer(599, ""), unknown, transport.ClassUnavailable, 599, 1, 3, transport.ErrUnavailable},

		{"connection refused", failWith(dialed(syscall.ECONNREFUSED)), unsent, transport.ClassNoAnswer, 0, 3, 3, syscall.ECONNREFUSED},
		{"no route", failWith(dialed(syscall.EHOSTUNREACH)), unsent, transport.ClassNoAnswer, 0, 3, 3, syscall.EHOSTUNREACH},
		{"dial timeout", failWith(dialed(os.ErrDeadlineExceeded)), unsent, transport.ClassNoAnswer, 0, 3, 3, os.ErrDeadlineExceeded},
		{"unknown host", failWith(dialed(&net.DNSError{Err: "no such host", Name: "rest.example", IsNotFound: true})), unsent, transport.ClassNoAnswer, 0, 3, 3, transport.ErrNoAnswer},
		{"bare DNS error", failWith(&net.DNSError{Err: "server misbehaving", IsTemporary: true}), unsent, transport.ClassNoAnswer, 0, 3, 3, transport.ErrNoAnswer},
		{"proxy refuses", failWith(&net.OpError{Op: "proxyconnect", Err: syscall.ECONNREFUSED}), unsent, transport.ClassNoAnswer, 0, 3, 3, transport.ErrNoAnswer},
		{"untrusted certificate", failWith(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), unsent, transport.ClassNoAnswer, 0, 1, 1, transport.ErrNoAnswer},
		{"certificate of another host", failWith(x509.HostnameError{Certificate: &x509.Certificate{}, Host: "a.example"}), unsent, transport.ClassNoAnswer, 0, 1, 1, transport.ErrNoAnswer},
		{"no TLS", failWith(http.ErrSchemeMismatch), unsent, transport.ClassNoAnswer, 0, 1, 1, http.ErrSchemeMismatch},
		{"first TLS record broken", failWith(tls.RecordHeaderError{Msg: "first record", Conn: &net.TCPConn{}}), unsent, transport.ClassNoAnswer, 0, 1, 1, transport.ErrNoAnswer},
		{"later TLS record broken", failWith(tls.RecordHeaderError{Msg: "oversized record"}), unknown, transport.ClassNoAnswer, 0, 1, 3, transport.ErrOutcomeUnknown},
		{"end of file", failWith(io.EOF), unknown, transport.ClassNoAnswer, 0, 1, 3, io.EOF},
		{"unexpected end of file", failWith(io.ErrUnexpectedEOF), unknown, transport.ClassNoAnswer, 0, 1, 3, io.ErrUnexpectedEOF},
		{"connection reset", failWith(&net.OpError{Op: "read", Err: syscall.ECONNRESET}), unknown, transport.ClassNoAnswer, 0, 1, 3, syscall.ECONNRESET},
		{"broken pipe", failWith(&net.OpError{Op: "write", Err: syscall.EPIPE}), unknown, transport.ClassNoAnswer, 0, 1, 3, syscall.EPIPE},
		{"unknown error", failWith(errors.New("something")), unknown, transport.ClassNoAnswer, 0, 1, 3, transport.ErrOutcomeUnknown},
		{"neither answer nor error", func(*http.Request) (*http.Response, error) { return nil, nil }, unknown, transport.ClassNoAnswer, 0, 1, 3, transport.ErrNoAnswer}, //nolint:nilnil // the fault under test
		{"no header in time", hang, unknown, transport.ClassNoAnswer, 0, 1, 3, context.DeadlineExceeded},
	}
	for _, tt := range tests {
		for _, class := range []struct {
			name     string
			repeat   transport.Repeat
			attempts int
		}{{"RepeatUnsent", transport.RepeatUnsent, tt.unsent}, {"RepeatSafe", transport.RepeatSafe, tt.safe}} {
			t.Run(tt.name+"/"+class.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					rt := following(tt.step)
					c := newClient(t, rt, transport.WithRetryPolicy(transport.RetryPolicy{MaxAttempts: 3}))
					ans, err := c.Do(t.Context(), request(class.repeat))
					want := result{tt.outcome, class.attempts, tt.class, tt.status}
					if diff := cmp.Diff(want, resultOf(t, ans, err)); diff != "" {
						t.Errorf("result (-want +got):\n%s\n%v", diff, err)
					}
					if got := len(rt.seen()); got != class.attempts {
						t.Errorf("the endpoint saw %d attempts, want %d", got, class.attempts)
					}
					if tt.sentinel != nil && !errors.Is(err, tt.sentinel) {
						t.Errorf("error %v is not %v", err, tt.sentinel)
					}
					if got, want := errors.Is(err, transport.ErrOutcomeUnknown), tt.outcome == unknown; got != want {
						t.Errorf("errors.Is(err, ErrOutcomeUnknown) = %v", got)
					}
					if got, want := errors.Is(err, transport.ErrNoAnswer), tt.class == transport.ClassNoAnswer; got != want {
						t.Errorf("errors.Is(err, ErrNoAnswer) = %v", got)
					}
					for _, kind := range kinds {
						if errors.Is(err, kind.err) != (kind.class == tt.class) {
							t.Errorf("errors.Is(err, %q) = %v", kind.err, errors.Is(err, kind.err))
						}
					}
				})
			})
		}
	}
}

var kinds = []struct {
	class transport.Class
	err   error
}{
	{transport.ClassNoAnswer, transport.ErrNoAnswer},
	{transport.ClassBadAnswer, transport.ErrBadAnswer},
	{transport.ClassRedirect, transport.ErrRedirect},
	{transport.ClassBadRequest, transport.ErrBadRequest},
	{transport.ClassUnauthorized, transport.ErrUnauthorized},
	{transport.ClassForbidden, transport.ErrForbidden},
	{transport.ClassNotFound, transport.ErrNotFound},
	{transport.ClassTooLarge, transport.ErrTooLarge},
	{transport.ClassLocked, transport.ErrLocked},
	{transport.ClassRateLimited, transport.ErrRateLimited},
	{transport.ClassUnavailable, transport.ErrUnavailable},
}

func TestCause(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		text string
		want keys.Cause
	}{
		{"partner key", `{"message":"Partner API key is invalid"}`, keys.CausePartnerKey},
		{"import key", `{"message":"The client secret is wrong"}`, keys.CauseImportKey},
		{"not enabled", `{"message":"Partner not enabled for the client with client secret ` + importKey + `"}`, keys.CauseNotEnabled},
		{"generic", `{"message":"Unauthorized access"}`, keys.CauseUnclear},
		{"nothing", ``, keys.CauseUnclear},
		{"other case", `PARTNER API KEY`, keys.CausePartnerKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := newClient(t, following(answer(401, tt.text))).Do(t.Context(), request(transport.RepeatSafe))
			api, ok := errors.AsType[*transport.APIError](err)
			if !ok || api.Cause != tt.want {
				t.Fatalf("error %#v, want cause %v", err, tt.want)
			}
			if !strings.Contains(err.Error(), tt.want.Next()) {
				t.Errorf("error %q does not say %q", err, tt.want.Next())
			}
		})
	}
	_, err := newClient(t, following(answer(403, "client secret"))).Do(t.Context(), request(transport.RepeatSafe))
	if api, ok := errors.AsType[*transport.APIError](err); !ok || api.Cause != keys.CauseUnclear {
		t.Errorf("a 403 has the cause of a 401: %v", err)
	}
}

func TestSequences(t *testing.T) {
	t.Parallel()
	refused := failWith(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
	tests := []struct {
		name   string
		repeat transport.Repeat
		steps  []step
		want   result
	}{
		{"503 then 401", transport.RepeatSafe, []step{answer(503, ""), answer(401, "")}, result{transport.OutcomeUnknown, 2, transport.ClassUnauthorized, 401}},
		{"no answer then 400", transport.RepeatSafe, []step{failWith(io.EOF), answer(400, "")}, result{transport.OutcomeUnknown, 2, transport.ClassBadRequest, 400}},
		{"HTML then 401", transport.RepeatSafe, []step{answer(200, "<html>"), answer(401, "")}, result{transport.OutcomeUnknown, 2, transport.ClassUnauthorized, 401}},
		{"HTML then success", transport.RepeatSafe, []step{answer(200, "<html>"), accept}, result{transport.OutcomeAccepted, 2, transport.ClassSuccess, 201}},
		{"429, 429, success", transport.RepeatUnsent, []step{answer(429, ""), answer(429, ""), accept}, result{transport.OutcomeAccepted, 3, transport.ClassSuccess, 201}},
		{"423 then 400", transport.RepeatSafe, []step{answer(423, ""), answer(400, "")}, result{transport.OutcomeRefused, 2, transport.ClassBadRequest, 400}},
		{"not connected then 401", transport.RepeatUnsent, []step{refused, answer(401, "")}, result{transport.OutcomeRefused, 2, transport.ClassUnauthorized, 401}},
		{"401 never followed", transport.RepeatSafe, []step{answer(401, ""), accept}, result{transport.OutcomeRefused, 1, transport.ClassUnauthorized, 401}},
		{"429 then not connected for ever", transport.RepeatUnsent, []step{answer(429, ""), refused}, result{transport.OutcomeRefused, 8, transport.ClassNoAnswer, 0}},
		{"429 then lost", transport.RepeatUnsent, []step{answer(429, ""), failWith(io.EOF)}, result{transport.OutcomeUnknown, 2, transport.ClassNoAnswer, 0}},
		{"not connected, then lost", transport.RepeatUnsent, []step{refused, failWith(io.EOF)}, result{transport.OutcomeUnknown, 2, transport.ClassNoAnswer, 0}},
		{"lost, then accepted", transport.RepeatSafe, []step{failWith(io.EOF), refused, answer(500, ""), accept}, result{transport.OutcomeAccepted, 4, transport.ClassSuccess, 201}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ans, err := newClient(t, following(tt.steps...)).Do(t.Context(), request(tt.repeat))
				if diff := cmp.Diff(tt.want, resultOf(t, ans, err)); diff != "" {
					t.Errorf("result (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	reset := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	step := answer(202, `{"message":"queued"}`, "X-RateLimit-Limit", "250000", "X-RateLimit-Remaining", "17", "X-RateLimit-Reset", fmt.Sprint(reset.Unix()))
	got, err := newClient(t, following(step)).Do(t.Context(), request(transport.RepeatSafe))
	if err != nil {
		t.Fatal(err)
	}
	got.RateLimit.Reset = got.RateLimit.Reset.UTC()
	want := transport.Answer{
		Status: 202, Body: []byte(`{"message":"queued"}`), Attempts: 1,
		RateLimit: transport.RateLimit{Limit: 250_000, Remaining: 17, Reset: reset},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Answer (-want +got):\n%s", diff)
	}
}

func TestRequestOnTheWire(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		endpoint string
		change   func(*transport.Request)
		want     seen
	}{
		{
			"cohort call", "EU-01", func(*transport.Request) {},
			seen{Method: "POST", URL: "https://rest.fra-01.braze.eu/partners/tinyclues/cohorts/users", Length: 94, Header: http.Header{"Content-Type": {"application/json"}}},
		},
		{
			"read", "https://example.com:444/braze", func(r *transport.Request) {
				r.Method, r.Body, r.Path, r.Bearer = http.MethodGet, nil, "/a%2Fb/c", keys.NewRESTKey(restKey)
				r.Query = map[string][]string{"page": {"1"}, "id": {"a b&c"}}
			},
			seen{Method: "GET", URL: "https://example.com:444/braze/a%2Fb/c?id=a+b%26c&page=1", Header: http.Header{"Authorization": {"Bearer " + restKey}}},
		},
		{
			"empty body", "EU-01", func(r *transport.Request) { r.Body = []byte{} },
			seen{Method: "POST", URL: "https://rest.fra-01.braze.eu/partners/tinyclues/cohorts/users", Header: http.Header{"Content-Type": {"application/json"}}},
		},
		{
			"path that looks like a host", "EU-01", func(r *transport.Request) { r.Path, r.Body = "//elsewhere.example/?a#b", nil },
			seen{Method: "POST", URL: "https://rest.fra-01.braze.eu//elsewhere.example/%3Fa%23b", Header: http.Header{}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rt := following(accept)
			c, err := transport.New(endpoint(t, tt.endpoint), transport.WithHTTPClient(&http.Client{Transport: rt}))
			if err != nil {
				t.Fatal(err)
			}
			req := request(transport.RepeatSafe)
			tt.change(&req)
			if _, err := c.Do(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			got := rt.seen()[0]
			if agent := got.Header.Get("User-Agent"); !strings.HasPrefix(agent, "cohortkit/") || !strings.Contains(agent, " go1.") {
				t.Errorf("User-Agent is %q", agent)
			}
			tt.want.At, tt.want.Body = got.At, string(req.Body)
			tt.want.Header["User-Agent"], tt.want.Header["Accept"] = got.Header["User-Agent"], []string{"application/json"}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestInvalidRequest(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*transport.Request)
	}{
		{"no operation", func(r *transport.Request) { r.Operation = "" }},
		{"no path", func(r *transport.Request) { r.Path = "" }},
		{"path without a slash", func(r *transport.Request) { r.Path = "@elsewhere.example" }},
		{"path not escaped", func(r *transport.Request) { r.Path = "/100%" }},
		{"unknown class", func(r *transport.Request) { r.Repeat = 7 }},
		{"method with a space", func(r *transport.Request) { r.Method = "GET /" }},
		{"key with a line break", func(r *transport.Request) { r.Bearer = keys.NewRESTKey(restKey + "\nHost: a") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rt, released := following(accept), 0
			req := request(transport.RepeatSafe)
			req.Release = func() { released++ }
			tt.change(&req)
			_, err := newClient(t, rt).Do(t.Context(), req)
			if err == nil || transport.OutcomeOf(err) != transport.OutcomeUnsent || len(rt.seen()) != 0 {
				t.Errorf("error %v, outcome %v, %d attempts", err, transport.OutcomeOf(err), len(rt.seen()))
			}
			if released != 1 {
				t.Errorf("released %d times", released)
			}
			if err != nil && strings.Contains(err.Error(), restKey) {
				t.Error("the error holds the key")
			}
		})
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	because := errors.New("shutting down")
	tests := []struct {
		name   string
		steps  []step
		at     time.Duration // of the cancellation
		repeat transport.Repeat
		want   result
	}{
		{"before the first attempt", []step{accept}, 0, transport.RepeatSafe, result{transport.OutcomeUnsent, 0, transport.ClassNoAnswer, 0}},
		{"in flight", []step{hang}, time.Second, transport.RepeatSafe, result{transport.OutcomeUnknown, 1, transport.ClassNoAnswer, 0}},
		{"in flight, unsafe", []step{hang}, time.Second, transport.RepeatUnsent, result{transport.OutcomeUnknown, 1, transport.ClassNoAnswer, 0}},
		{"while the answer arrives", []step{slowly(200, 300*time.Millisecond)}, time.Second, transport.RepeatSafe, result{transport.OutcomeUnknown, 1, transport.ClassNoAnswer, 0}},
		{"while a refusal arrives", []step{slowly(401, 300*time.Millisecond)}, time.Second, transport.RepeatSafe, result{transport.OutcomeRefused, 1, transport.ClassUnauthorized, 401}},
		{"after a 423", []step{answer(423, "", "Retry-After", "60")}, time.Second, transport.RepeatSafe, result{transport.OutcomeRefused, 1, transport.ClassLocked, 423}},
		{"after a 503", []step{answer(503, "", "Retry-After", "60")}, time.Second, transport.RepeatSafe, result{transport.OutcomeUnknown, 1, transport.ClassUnavailable, 503}},
		{"in the second attempt", []step{answer(429, "", "Retry-After", "1"), hang}, 2 * time.Second, transport.RepeatUnsent, result{transport.OutcomeUnknown, 2, transport.ClassNoAnswer, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				if tt.at == 0 {
					cancel(because)
				} else {
					time.AfterFunc(tt.at, func() { cancel(because) })
				}
				started := time.Now()
				ans, err := newClient(t, following(tt.steps...)).Do(ctx, request(tt.repeat))
				if diff := cmp.Diff(tt.want, resultOf(t, ans, err)); diff != "" {
					t.Errorf("result (-want +got):\n%s", diff)
				}
				if took := time.Since(started); took != tt.at {
					t.Errorf("returned after %s, want %s", took, tt.at)
				}
				if tt.want.Class != transport.ClassUnauthorized && (!errors.Is(err, context.Canceled) || !errors.Is(err, because)) {
					t.Errorf("error %v is not context.Canceled and its cause", err)
				}
			})
		})
	}
}

func TestOutcomeOf(t *testing.T) {
	t.Parallel()
	_, refused := newClient(t, following(answer(400, ""))).Do(t.Context(), request(transport.RepeatSafe))
	ended, end := context.WithCancelCause(t.Context())
	end(refused)
	_, stopped := newClient(t, following(answer(200, success))).Do(ended, request(transport.RepeatSafe))
	tests := []struct {
		name string
		err  error
		want transport.Outcome
	}{
		{"nil", nil, transport.OutcomeAccepted},
		{"foreign", errors.New("something else"), transport.OutcomeUnsent},
		{"refused", refused, transport.OutcomeRefused},
		{"wrapped", fmt.Errorf("batch 7: %w", refused), transport.OutcomeRefused},
		{"stopped by the failure of another call", stopped, transport.OutcomeUnsent},
		{"made by a test", &transport.NoAnswerError{Outcome: transport.OutcomeUnknown}, transport.OutcomeUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := transport.OutcomeOf(tt.err); got != tt.want {
				t.Errorf("OutcomeOf = %v, want %v", got, tt.want)
			}
		})
	}
}

// TestErrorsMadeByHand shows that callers may make this package's errors in their own tests.
func TestErrorsMadeByHand(t *testing.T) {
	t.Parallel()
	for _, err := range []interface {
		error
		Detail() string
	}{
		&transport.APIError{}, &transport.NoAnswerError{}, &transport.APIError{Class: 99, Cause: 99, Outcome: 99}, &transport.NoAnswerError{Attempts: 2, Outcome: transport.OutcomeUnknown},
	} {
		if err.Error() == "" || err.Detail() != "" || errors.Is(err, io.EOF) || errors.Is(err, nil) {
			t.Errorf("%q, detail %q", err.Error(), err.Detail())
		}
	}
	if got := transport.Class(99).String() + ", " + transport.Outcome(99).String(); got != "unknown class, invalid outcome" {
		t.Error(got)
	}
}
