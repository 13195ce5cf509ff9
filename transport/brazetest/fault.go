package brazetest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Fault is something that goes wrong with a request, for [Server.Inject]. The zero value does nothing.
//
// Each fault either keeps the request from taking effect, or spoils the answer after it took effect; the functions that
// make faults say which. [Fault.Applied] and [Fault.NotApplied] change it. A request that is refused anyway never takes
// effect, and the fault spoils the refusal then.
type Fault struct {
	name    string
	applied bool
	delay   time.Duration // the fault waits and lets later ones have their turn
	overlap bool          // only while another request to the cohort is in progress
	header  http.Header   // overrides; nil values remove
	answer  func(*exchange, answer) bool
}

// String describes the fault: "status 503, not applied".
func (f Fault) String() string {
	switch {
	case f.name == "":
		return "no fault"
	case f.applied:
		return f.name + ", applied"
	default:
		return f.name + ", not applied"
	}
}

// Applied returns the fault with the request taking effect first.
func (f Fault) Applied() Fault {
	f.applied = true
	return f
}

// NotApplied returns the fault with the request not taking effect.
func (f Fault) NotApplied() Fault {
	f.applied = false
	return f
}

// Header returns the fault with a header of its answer set, and with an empty value left out. It has no effect on a
// dropped connection, and none on [Custom] and [Delay].
func (f Fault) Header(name, value string) Fault {
	f.header = maps.Clone(f.header)
	if f.header == nil {
		f.header = make(http.Header)
	}
	name = http.CanonicalHeaderKey(name)
	f.header[name] = nil
	if value != "" {
		f.header[name] = []string{value}
	}
	return f
}

// run shapes the answer. It reports false when it leaves that to the fake.
func (f *Fault) run(e *exchange, a answer) bool {
	if f.answer == nil {
		return false
	}
	a.header = maps.Clone(a.header)
	if a.header == nil {
		a.header = make(http.Header)
	}
	maps.Copy(a.header, f.header)
	return f.answer(e, a)
}

// replace makes a fault that sends an answer of its own.
func replace(name string, status int, body string, header http.Header) Fault {
	return Fault{name: name, header: header, answer: func(e *exchange, a answer) bool {
		a.status, a.body = status, body
		e.send(a)
		return true
	}}
}

// Status answers with this status and an error body of the general shape. Not applied. For a status without a body, such as
// 204, use [Custom].
func Status(code int) Fault {
	text := http.StatusText(code)
	if text == "" {
		text = "status " + strconv.Itoa(code)
	}
	return StatusBody(code, errorBody(text))
}

// StatusBody answers with this status and body, declared as JSON. Not applied.
func StatusBody(code int, body string) Fault {
	return replace("status "+strconv.Itoa(code), code, body, nil)
}

// Locked answers 423. Not applied. What locks a cohort, and for how long, is undocumented: combine it with
// [Injection.Times] or [Injection.For].
func Locked() Fault { return replace("locked", http.StatusLocked, errorBody("Resource locked"), nil) }

// LockedOnOverlap answers 423 to a request that arrives while another one to the same cohort is in progress. Not
// applied. It is most useful with [Injection.Always], and with [Delay] to keep requests in progress.
func LockedOnOverlap() Fault {
	f := Locked()
	f.name, f.overlap = "locked on overlap", true
	return f
}

// RateLimited answers 429 with nothing remaining until the window of the rate limit ends. Not applied. A Retry-After header, which is
// undocumented, is sent with this text, whatever it is, unless it is empty. [Fault.Header] changes the other headers.
func RateLimited(retryAfter string) Fault {
	f := replace("rate limited", http.StatusTooManyRequests, errorBody("rate limit exceeded"), nil)
	f = f.Header("X-RateLimit-Remaining", "0")
	if retryAfter != "" {
		f = f.Header("Retry-After", retryAfter)
	}
	return f
}

// RateLimitedUntil answers 429 without Retry-After and with this time as X-RateLimit-Reset, in whole seconds. Not applied.
func RateLimitedUntil(reset time.Time) Fault {
	return RateLimited("").Header("X-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10))
}

// Delay waits before the request takes effect; Delay(d).Applied() waits between that and the answer. It goes together
// with others: after a delay, the next matching injection has its turn with the same request, and several delays add
// up.
func Delay(d time.Duration) Fault {
	return Fault{name: "delay " + d.String(), delay: d}
}

// DropConnection closes the connection in place of an answer. Not applied.
func DropConnection() Fault {
	return Fault{name: "dropped connection", answer: func(*exchange, answer) bool {
		panic(http.ErrAbortHandler)
	}}
}

// AppliedThenLost lets the request take effect and closes the connection in place of the answer: the case that tells a
// client that may repeat a request from one that may not.
func AppliedThenLost() Fault { return DropConnection().Applied() }

// TruncateBody sends the header of the genuine answer with its full length, then the first n bytes of the body, and
// closes the connection. Applied.
func TruncateBody(n int) Fault {
	return Fault{name: fmt.Sprintf("body truncated to %d bytes", n), applied: true, answer: func(e *exchange, a answer) bool {
		a = e.accepted(a)
		if n >= len(a.body) {
			e.send(a)
			return true
		}
		e.head(a, len(a.body))
		_, _ = io.WriteString(e.w, a.body[:max(n, 0)])
		_ = http.NewResponseController(e.w).Flush() // what cannot be flushed is lost, which is the point
		panic(http.ErrAbortHandler)
	}}
}

// MalformedBody answers with the genuine status and a body that claims to be JSON and is not. Applied.
func MalformedBody() Fault { return spoil("malformed body", `{"message":"succ`) }

// SuccessWithErrors answers with the success status and a list of minor errors beside what the genuine answer says, such
// as the dispatch_id of a send. Applied. A refusal becomes a success that says no more than that.
func SuccessWithErrors(texts ...string) Fault {
	return Fault{name: "success with errors", applied: true, answer: func(e *exchange, a answer) bool {
		if a.status < 200 || a.status > 299 {
			a.status, a.body = e.success()
		}
		var said map[string]any
		if json.Unmarshal([]byte(a.body), &said) != nil || said == nil { // the body of Success may be anything
			said = map[string]any{"message": success}
		}
		errs, _ := said["errors"].([]any) // those of the answer itself
		for _, text := range texts {
			errs = append(errs, text)
		}
		said["errors"] = errs
		a.body = encode(said)
		e.send(a)
		return true
	}}
}

// Queued answers 202 and {"message":"queued"}, which an older revision of the API pages describes for times of
// maintenance. Applied.
func Queued() Fault {
	return replace("queued", http.StatusAccepted, `{"message":"queued"}`, nil).Applied()
}

// spoil makes a fault that replaces the body of an answer.
func spoil(name, body string) Fault {
	return Fault{name: name, applied: true, answer: func(e *exchange, a answer) bool {
		a = e.accepted(a)
		a.body = body
		e.send(a)
		return true
	}}
}

// accepted stands in for the genuine answer when the request was kept from taking effect.
func (e *exchange) accepted(a answer) answer {
	if a.status == 0 {
		a.status, a.body = e.success()
	}
	return a
}

// success is the status and the shortest body of an accepted request.
func (e *exchange) success() (int, string) {
	if e.operation.isCall() {
		return endpoints[e.operation].status, encode(accepted{success})
	}
	return e.server.cfg.successStatus, e.server.cfg.successBody
}

// HTML answers with this status and a page of HTML, as a proxy on the way does: with 502, or with 200 where a portal wants a
// login. Not applied. There are no rate-limit headers.
func HTML(code int) Fault {
	page := "<!DOCTYPE html>\n<html><head><title>Proxy</title></head><body><h1>" + http.StatusText(code) + "</h1></body></html>\n"
	return replace("HTML with status "+strconv.Itoa(code), code, page, http.Header{
		"Content-Type":          {"text/html; charset=utf-8"},
		"X-Ratelimit-Limit":     nil,
		"X-Ratelimit-Remaining": nil,
		"X-Ratelimit-Reset":     nil,
	})
}

// Redirect answers 307 to this URL, so that a client which follows repeats the request there with its body. Not applied.
func Redirect(url string) Fault {
	return replace("redirect", http.StatusTemporaryRedirect, errorBody("moved"), http.Header{"Location": {url}})
}

// EndlessBody answers with the success status and a body of white space that never ends, until the client goes away. Applied.
func EndlessBody() Fault {
	return Fault{name: "endless body", applied: true, answer: func(e *exchange, a answer) bool {
		a = e.accepted(a)
		a.header["Content-Length"] = nil
		e.head(a, 0)
		blanks := []byte(strings.Repeat(" ", 4096))
		for !e.server.stopped() && e.r.Context().Err() == nil {
			if _, err := e.w.Write(blanks); err != nil {
				break
			}
		}
		panic(http.ErrAbortHandler)
	}}
}

// SlowBody sends the header of the genuine answer at once and its body byte by byte, with this wait before each. Applied.
func SlowBody(wait time.Duration) Fault {
	return Fault{name: "slow body", applied: true, answer: func(e *exchange, a answer) bool {
		a = e.accepted(a)
		e.head(a, len(a.body))
		control := http.NewResponseController(e.w)
		_ = control.Flush() // a writer that cannot flush sends all at the end
		for i := range len(a.body) {
			e.wait(wait)
			_, _ = io.WriteString(e.w, a.body[i:i+1])
			_ = control.Flush()
		}
		return true
	}}
}

// Refusal is one of the causes of a 401.
type Refusal uint8

// The causes, in the order in which they are checked. The wording of the texts is the fake's own; the words by which
// they can be told apart are the documented ones.
const (
	WrongPartnerKey Refusal = iota + 1 // says "Partner API key"
	WrongImportKey                     // says "client secret"
	NotEnabled                         // says "not enabled", and repeats the import key of the request
	GenericRefusal                     // says "Unauthorized access" and no more
)

// String describes the cause.
func (r Refusal) String() string {
	switch r {
	case WrongPartnerKey:
		return "wrong partner key"
	case WrongImportKey:
		return "wrong import key"
	case NotEnabled:
		return "partner not enabled"
	case GenericRefusal:
		return "unauthorized access"
	default:
		return "unknown cause"
	}
}

func (r Refusal) text(f *fields, slug string) string {
	switch r {
	case WrongPartnerKey:
		return "The Partner API key is not valid for this endpoint"
	case WrongImportKey:
		return "No workspace of this endpoint has the given client secret"
	case NotEnabled:
		return fmt.Sprintf("The partner %s is not enabled for the client %s", slug, f.secret)
	default:
		return "Unauthorized access"
	}
}

// Unauthorized answers 401 with the text of this cause, whatever the keys are. Not applied.
func Unauthorized(cause Refusal) Fault {
	return Fault{name: "unauthorized: " + cause.String(), answer: func(e *exchange, a answer) bool {
		a.status, a.body = http.StatusUnauthorized, errorBody(cause.text(&e.body.fields, e.view.Partner))
		e.send(a)
		return true
	}}
}

// BadRequestEchoing answers 400 with a message that repeats the keys and the identifiers of a cohort request, or the key and the
// body of a REST call: what a client must not let through into its errors and logs. Not applied.
func BadRequestEchoing() Fault {
	return Fault{name: "bad request that echoes the body", answer: func(e *exchange, a answer) bool {
		f := &e.body.fields
		texts := []string{"cohort_changes cannot be processed", f.partnerKey, f.secret}
		if e.operation.isCall() {
			texts = []string{"the call cannot be processed", bearer(e.r.Header), e.body.raw.String()}
		}
		for _, entry := range e.body.entries {
			texts = append(texts, string(entry.value))
		}
		a.status, a.body = http.StatusBadRequest, errorBody(strings.Join(texts, " "))
		e.send(a)
		return true
	}}
}

// Custom runs a function of the caller's. If the function answers the request through w it returns true; if it returns
// false, w must be untouched and the fake goes on as if there was no fault. The body of r can be read. Not applied;
// with [Fault.Applied], the function runs after the request took effect. The function may wait, and may panic with
// http.ErrAbortHandler to drop the connection.
func Custom(name string, f func(w http.ResponseWriter, r *http.Request) (handled bool)) Fault {
	return Fault{name: name, answer: func(e *exchange, _ answer) bool {
		r := e.r.Clone(e.r.Context())
		r.Body = io.NopCloser(strings.NewReader(e.body.raw.String()))
		return f(e.w, r)
	}}
}
