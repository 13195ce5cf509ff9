package transport_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
)

// forbidden is what no error, log or observation may hold: keys, beginnings of keys, identifiers, query and path.
var forbidden = []string{partnerKey, importKey, restKey, partnerKey[:6], importKey[:6], restKey[:6], "user-4711", "/partners/", "tinyclues", "page=", "elsewhere.example"}

// echo repeats everything that it was sent.
const echo = `the client secret ` + importKey + `, partner ` + partnerKey + `, key ` + restKey + `, user-4711, https://elsewhere.example/partners/tinyclues?page=1`

func fullRequest() transport.Request {
	req := request(transport.RepeatSafe)
	req.Bearer = keys.NewRESTKey(restKey)
	req.Query = url.Values{"page": {"1"}}
	req.Body = append(req.Body, "user-4711"...)
	return req
}

// prints returns v in every way that somebody may print or log it.
func prints(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s", "%x", "%X", "%d", "%10s", "%T"} {
		fmt.Fprintf(&b, verb+"\n", v)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Errorf("json.Marshal: %v", err)
	}
	b.Write(text)
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("failed", slog.Any("error", v))
	}
	// What %x shows is as readable as the rest.
	return b.String()
}

func mustHide(t *testing.T, what, text string) {
	t.Helper()
	for _, f := range forbidden {
		if strings.Contains(text, f) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", f)) {
			t.Errorf("%s shows %q: %s", what, f, text)
			return
		}
	}
}

// hidden is a struct of a caller, whose fields fmt prints without asking their methods.
type hidden struct {
	err  error
	api  transport.APIError
	none transport.NoAnswerError
	ptr  *hidden
}

// tree lists an error and everything that it wraps.
func tree(err error) []error {
	all := []error{err}
	switch e := err.(type) { //nolint:errorlint // this walks the chain itself
	case interface{ Unwrap() error }:
		if e.Unwrap() != nil {
			all = append(all, tree(e.Unwrap())...)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			all = append(all, tree(inner)...)
		}
	}
	return all
}

// mustKeepSecrets prints an error of Do in every way.
func mustKeepSecrets(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, e := range tree(err) {
		mustHide(t, fmt.Sprintf("%T", e), prints(t, e))
	}
	mustHide(t, "wrapped", prints(t, fmt.Errorf("batch 3: %w", err)))
	mustHide(t, "joined", prints(t, errors.Join(err, io.EOF)))
	h := hidden{err: err}
	if api, ok := errors.AsType[*transport.APIError](err); ok {
		h.api = *api
		mustHide(t, "copy", prints(t, *api))
		mustHide(t, "detail", strings.NewReplacer("user-4711", "", "https://elsewhere.example/partners/tinyclues?page=1", "").Replace(api.Detail()))
	}
	if none, ok := errors.AsType[*transport.NoAnswerError](err); ok {
		h.none = *none
		mustHide(t, "copy", prints(t, *none))
		mustHide(t, "detail", strings.NewReplacer("user-4711", "", "https://elsewhere.example/partners/tinyclues?page=1", "").Replace(none.Detail()))
	}
	mustHide(t, "hidden", prints(t, h)+prints(t, &h)+prints(t, hidden{ptr: &h})+prints(t, []any{h, map[string]any{"a": h}}))
}

// protocolError is an error of net/http that quotes an answer.
func protocolError() error {
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(echo+"\r\n")), nil)
	if err == nil {
		resp.Body.Close()
	}
	return err
}

// TestErrorsKeepSecrets has endpoints, proxies and transports that repeat all they know.
func TestErrorsKeepSecrets(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		step step
	}{
		{"200 HTML", answer(200, "<html>"+echo)},
		{"200 with errors", answer(200, `{"message":"success","errors":["`+echo+`"]}`)},
		{"200 cut off", broken(200, echo)},
		{"302", answer(302, echo, "Location", "https://elsewhere.example/"+importKey)},
		{"307 to nowhere", answer(307, echo, "Location", "https://elsewhere.example:"+importKey+"/%zz")},
		{"400", answer(400, `{"message":"`+echo+`"}`)},
		{"401", answer(401, `{"message":"Partner is not enabled, `+echo+`"}`)},
		{"403", answer(403, echo)},
		{"418", answer(418, echo)},
		{"423", answer(423, echo)},
		{"429", answer(429, echo, "Retry-After", importKey, "X-RateLimit-Limit", importKey)},
		{"503", answer(503, echo, "Retry-After", "86400")},
		{"error of a text", failWith(errors.New(echo))},
		{"error of fmt", failWith(fmt.Errorf("%s: %w", echo, io.EOF))},
		{"joined errors", failWith(errors.Join(io.EOF, errors.New(echo)))},
		{"error of net/url", failWith(&url.Error{Op: "Post", URL: "https://elsewhere.example/partners/tinyclues?page=1", Err: io.EOF})},
		{"error of net/http", failWith(protocolError())},
		{"error of net/textproto", failWith(textproto.ProtocolError(echo))},
		{"error of net/http behind one of net", failWith(&net.OpError{Op: "read", Err: protocolError()})},
		{"dial error behind net/url", failWith(&url.Error{Op: "Post", URL: "https://elsewhere.example/partners/tinyclues?page=1", Err: &net.OpError{Op: "dial", Err: errors.New(echo)}})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var logs bytes.Buffer
				o := &recorder{}
				c := newClient(t, following(tt.step), transport.WithObserver(o), transport.WithRetryPolicy(transport.RetryPolicy{MaxAttempts: 2}),
					transport.WithLogger(slog.New(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))))
				_, err := c.Do(t.Context(), fullRequest())
				mustKeepSecrets(t, err)
				mustHide(t, "log", logs.String())
				mustHide(t, "observer", fmt.Sprintf("%+v", o.events))
				for _, want := range []string{`"msg":"attempt ended"`, `"msg":"call gave up"`, `"operation":"cohort.users"`, `"instance":"EU-01"`} {
					if !strings.Contains(logs.String(), want) {
						t.Errorf("the log lacks %s: %s", want, logs.String())
					}
				}
			})
		})
	}
}

// TestMalformedAnswersKeepSecrets has answers that net/http quotes in its errors.
func TestMalformedAnswersKeepSecrets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, answer string }{
		{"no HTTP", echo + "\r\n\r\n"},
		{"no status", "HTTP/1.1 " + importKey + "\r\n\r\n"},
		{"no version", "HTTP/" + importKey + " 200 OK\r\n\r\n"},
		{"header without a colon", "HTTP/1.1 200 OK\r\n" + importKey + "\r\n\r\n"},
		{"header with a space", "HTTP/1.1 200 OK\r\n" + importKey + " a: b\r\n\r\n"},
		{"content length", "HTTP/1.1 200 OK\r\nContent-Length: " + importKey + "\r\n\r\n"},
		{"two content lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: " + importKey + "\r\n\r\n"},
		{"transfer encoding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + importKey + "\r\n\r\n"},
		{"chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + importKey + "\r\n"},
		{"status text", "HTTP/1.1 400 " + importKey + "\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address, connections := raw(t, write(tt.answer))
			c, err := transport.New(endpoint(t, "http://"+address), transport.WithRetryPolicy(transport.NoRepeat()))
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseIdleConnections()
			_, err = c.Do(t.Context(), fullRequest())
			mustKeepSecrets(t, err)
			if connections.Load() != 1 {
				t.Errorf("%d connections", connections.Load())
			}
		})
	}
}

func TestDetail(t *testing.T) {
	t.Parallel()
	_, err := newClient(t, following(answer(401, `{"message":"client secret `+importKey+` is not enabled"}`))).Do(t.Context(), fullRequest())
	api, ok := errors.AsType[*transport.APIError](err)
	if !ok {
		t.Fatal(err)
	}
	if want := `{"message":"client secret [redacted] is not enabled"}`; api.Detail() != want {
		t.Errorf("Detail = %q, want %q", api.Detail(), want)
	}
	_, err = newClient(t, following(failWith(errors.New("quoted "+importKey)))).Do(t.Context(), request(transport.RepeatUnsent))
	none, ok := errors.AsType[*transport.NoAnswerError](err)
	if !ok || none.Detail() != "quoted [redacted]" {
		t.Errorf("error %v, detail %q", err, none.Detail())
	}
	// A RoundTripper's url.Error gives way to what it wraps.
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	_, err = newClient(t, following(failWith(&url.Error{Op: "Post", URL: "https://elsewhere.example/?page=1", Err: refused})), transport.WithRetryPolicy(transport.NoRepeat())).Do(t.Context(), request(transport.RepeatUnsent))
	none, ok = errors.AsType[*transport.NoAnswerError](err)
	if op, isOp := errors.AsType[*net.OpError](err); !ok || none.Detail() != "dial tcp: connection refused" || !isOp || op != refused {
		t.Errorf("error %v, detail %q", err, none.Detail())
	}
	// The end of what is read of a refusal may be in the middle of a key.
	long := strings.Repeat(" ", 64<<10-8) + importKey
	_, err = newClient(t, following(answer(400, long))).Do(t.Context(), fullRequest())
	mustKeepSecrets(t, err)
}

func summaryOf(err error) string {
	if api, ok := errors.AsType[*transport.APIError](err); ok {
		return api.Summary()
	}
	if none, ok := errors.AsType[*transport.NoAnswerError](err); ok {
		return none.Summary()
	}
	return ""
}

func TestErrorTexts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		step step
		want string
		next string // with which want ends
	}{
		{"401", answer(401, "client secret"), "transport: cohort.users: 401 unauthorized from EU-01 after 1 attempt; data import key: compare the key with those on the partner's page of the dashboard; if it was invalidated, generate a new one there and hand it over", "data import key: compare the key with those on the partner's page of the dashboard; if it was invalidated, generate a new one there and hand it over"},
		{"429", answer(429, "", "Retry-After", "7200"), "transport: cohort.users: 429 rate limited from EU-01 after 1 attempt, not repeated because the endpoint asks for a longer wait than MaxServerDelay, asked to wait 2h0m0s; run again after the wait; let all clients that share the limit share one Quota", "run again after the wait; let all clients that share the limit share one Quota"},
		{"429 for ever", answer(429, "", "Retry-After", "99999999999"), "transport: cohort.users: 429 rate limited from EU-01 after 1 attempt, not repeated because the endpoint asks for a longer wait than MaxServerDelay, asked to wait beyond any date; run again after the wait; let all clients that share the limit share one Quota", "run again after the wait; let all clients that share the limit share one Quota"},
		{"503", answer(503, ""), "transport: cohort.users: 503 unavailable from EU-01 after 2 attempts, as many as the policy allows; an attempt may have been applied; run again later", "run again later"},
		{"reset", failWith(io.EOF), "transport: cohort.users: the connection broke without an answer from EU-01 after 2 attempts, as many as the policy allows; an attempt may have been applied; run again later", "run again later"},
		{"415", answer(415, ""), "transport: cohort.users: 415 unsupported media type from EU-01 after 1 attempt; check that nothing on the way changes the Content-Type", "check that nothing on the way changes the Content-Type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, following(tt.step), transport.WithRetryPolicy(transport.RetryPolicy{MaxAttempts: 2}))
				_, err := c.Do(t.Context(), request(transport.RepeatSafe))
				if err == nil || err.Error() != tt.want {
					t.Errorf("error\n%v, want\n%s", err, tt.want)
				}
				if summary, next, _ := strings.Cut(tt.want, tt.next); next != "" || summaryOf(err)+"; " != summary {
					t.Errorf("summary %q, want %q", summaryOf(err), summary)
				}
				if got := fmt.Sprintf("%s|%v|%+v", err, err, err); got != tt.want+"|"+tt.want+"|"+tt.want {
					t.Errorf("formatted %s", got)
				}
				if got, want := fmt.Sprintf("%q|%#v", err, err), fmt.Sprintf("%q|%q", tt.want, tt.want); got != want {
					t.Errorf("formatted %s", got)
				}
			})
		})
	}
}

func TestFormatOfClientAndRequest(t *testing.T) {
	t.Parallel()
	secret := roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New(partnerKey) })
	c := newClient(t, secret)
	for _, verb := range []string{"%v", "%+v", "%s"} {
		if got := fmt.Sprintf(verb, c); got != "transport.Client of EU-01 (https://rest.fra-01.braze.eu)" {
			t.Errorf("Client by %s: %s", verb, got)
		}
		req := fullRequest()
		if got := fmt.Sprintf(verb+verb, req, &req); got != "transport.Request(cohort.users)transport.Request(cohort.users)" {
			t.Errorf("Request by %s: %s", verb, got)
		}
	}
	req := fullRequest()
	req.Release = nil
	mustHide(t, "Request", prints(t, req)+prints(t, &req)+prints(t, []transport.Request{req})+prints(t, struct{ R transport.Request }{req}))
	req.Operation = "a \"quoted\" \x01 name"
	if text, err := json.Marshal(req); err != nil || !json.Valid(text) {
		t.Errorf("json.Marshal = %s, %v", text, err)
	}
	mustHide(t, "Client", fmt.Sprintf("%v %+v %#v %q %+v", c, c, c, c, struct{ c *transport.Client }{c}))
}

func TestSilentByDefault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var logs bytes.Buffer
		// Warnings alone: no record for each attempt.
		c := newClient(t, following(answer(503, ""), accept, answer(400, "")), transport.WithLogger(slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelWarn}))))
		if _, err := c.Do(t.Context(), request(transport.RepeatSafe)); err != nil || logs.Len() != 0 {
			t.Errorf("error %v, log %s", err, logs.String())
		}
		if _, err := c.Do(t.Context(), request(transport.RepeatSafe)); err == nil || strings.Count(logs.String(), "\n") != 1 {
			t.Errorf("error %v, log %s", err, logs.String())
		}
		for _, want := range []string{"level=WARN", `msg="call gave up"`, "attempts=1", "status=400", `class="bad request"`, "outcome=refused"} {
			if !strings.Contains(logs.String(), want) {
				t.Errorf("the log lacks %s: %s", want, logs.String())
			}
		}
		<-time.After(time.Nanosecond)
	})
}
