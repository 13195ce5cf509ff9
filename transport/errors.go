package transport

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/cohortkit/cohortkit/keys"
)

// The kinds of failure, for errors.Is.
var (
	// ErrOutcomeUnknown means that the request may have been applied: some attempt's answer was lost, was a 5xx, or could not be read.
	ErrOutcomeUnknown = errors.New("transport: the outcome of the request is unknown")
	// ErrNoAnswer means that the last attempt got no answer.
	ErrNoAnswer = errors.New("transport: the endpoint did not answer")
	// ErrBadRequest is a 400.
	ErrBadRequest = errors.New("transport: the endpoint found the request invalid")
	// ErrUnauthorized is a 401.
	ErrUnauthorized = errors.New("transport: the endpoint did not accept a key")
	// ErrForbidden is a 403.
	ErrForbidden = errors.New("transport: the key lacks the permission")
	// ErrNotFound is a 404.
	ErrNotFound = errors.New("transport: the endpoint does not know the path")
	// ErrTooLarge is a 413.
	ErrTooLarge = errors.New("transport: the request is too large")
	// ErrLocked is a 423.
	ErrLocked = errors.New("transport: the resource is locked")
	// ErrRateLimited is a 429.
	ErrRateLimited = errors.New("transport: the rate limit is used up")
	// ErrUnavailable is a 408 or a 5xx.
	ErrUnavailable = errors.New("transport: the endpoint is in trouble")
	// ErrRedirect is a 3xx. Redirects are never followed.
	ErrRedirect = errors.New("transport: the endpoint redirects elsewhere")
	// ErrBadAnswer is a 2xx that is not a JSON object, one that lists errors, or one that [Request].Accept did not accept.
	ErrBadAnswer = errors.New("transport: the answer is not what the endpoint promises")
)

// Class is what an answer meant.
type Class uint8

// The classes of answers.
const (
	ClassSuccess      Class = iota // 2xx with a JSON object that lists no errors
	ClassNoAnswer                  // no answer, or one that broke off before its status
	ClassBadAnswer                 // 2xx that is not a JSON object, is cut off, lists errors, or was not accepted
	ClassRedirect                  // 3xx
	ClassBadRequest                // 400
	ClassUnauthorized              // 401
	ClassForbidden                 // 403
	ClassNotFound                  // 404
	ClassTooLarge                  // 413
	ClassMediaType                 // 415
	ClassLocked                    // 423
	ClassRateLimited               // 429
	ClassUnavailable               // 408 and 5xx
	ClassOther                     // any other status
)

var classes = [...]struct {
	name string
	kind error
	next string
}{
	ClassSuccess:      {"success", nil, ""},
	ClassNoAnswer:     {"no answer", ErrNoAnswer, "check the network between here and the endpoint"},
	ClassBadAnswer:    {"unreadable answer", ErrBadAnswer, "look at Detail: a proxy may have answered in the endpoint's place, or parts of the request were not processed"},
	ClassRedirect:     {"redirect", ErrRedirect, "check the endpoint's address; redirects are not followed because they would carry keys to another host"},
	ClassBadRequest:   {"bad request", ErrBadRequest, "look at Detail for what the endpoint objects to"},
	ClassUnauthorized: {"unauthorized", ErrUnauthorized, ""},
	ClassForbidden:    {"forbidden", ErrForbidden, "give the key the permission of this call, and check the path for a trailing slash"},
	ClassNotFound:     {"not found", ErrNotFound, "check the endpoint's address and the partner's name in the path"},
	ClassTooLarge:     {"request too large", ErrTooLarge, "send fewer identifiers in one request"},
	ClassMediaType:    {"unsupported media type", nil, "check that nothing on the way changes the Content-Type"},
	ClassLocked:       {"locked", ErrLocked, "the cause is undocumented: make sure that nobody else writes to the same cohort, and try fewer requests at a time"},
	ClassRateLimited:  {"rate limited", ErrRateLimited, "run again after the wait; let all clients that share the limit share one Quota"},
	ClassUnavailable:  {"unavailable", ErrUnavailable, "run again later"},
	ClassOther:        {"unexpected status", nil, "look at Detail"},
}

// String names the class: "rate limited".
func (c Class) String() string {
	if int(c) >= len(classes) {
		return "unknown class"
	}
	return classes[c].name
}

func classOf(status int) Class {
	switch {
	case status >= 200 && status <= 299:
		return ClassSuccess
	case status >= 300 && status <= 399:
		return ClassRedirect
	case status >= 500 || status == http.StatusRequestTimeout:
		return ClassUnavailable
	}
	switch status {
	case http.StatusBadRequest:
		return ClassBadRequest
	case http.StatusUnauthorized:
		return ClassUnauthorized
	case http.StatusForbidden:
		return ClassForbidden
	case http.StatusNotFound:
		return ClassNotFound
	case http.StatusRequestEntityTooLarge:
		return ClassTooLarge
	case http.StatusUnsupportedMediaType:
		return ClassMediaType
	case http.StatusLocked:
		return ClassLocked
	case http.StatusTooManyRequests:
		return ClassRateLimited
	default:
		return ClassOther
	}
}

// Outcome is what became of a request.
type Outcome uint8

// The outcomes.
const (
	OutcomeUnsent   Outcome = iota // no attempt reached the endpoint
	OutcomeAccepted                // the endpoint accepted it
	OutcomeRefused                 // every attempt was answered or never connected, and surely none was applied
	OutcomeUnknown                 // some attempt may have been applied
)

// String names the outcome.
func (o Outcome) String() string {
	switch o {
	case OutcomeUnsent:
		return "unsent"
	case OutcomeAccepted:
		return "accepted"
	case OutcomeRefused:
		return "refused"
	case OutcomeUnknown:
		return "unknown"
	default:
		return "invalid outcome"
	}
}

// OutcomeOf tells what became of a request from the error of [Client.Do]. Nil is [OutcomeAccepted]; an error that is not of this package
// came before anything was sent, and is [OutcomeUnsent].
func OutcomeOf(err error) Outcome {
	if err == nil {
		return OutcomeAccepted
	}
	// Whichever comes first in the chain: the cause of a cancelled context may be the failure of another call.
	if f, ok := errors.AsType[failure](err); ok {
		return f.outcome()
	}
	return OutcomeUnsent
}

// failure is a call that was not accepted.
type failure interface {
	error
	outcome() Outcome
}

func (e *APIError) outcome() Outcome      { return e.Outcome }
func (e *NoAnswerError) outcome() Outcome { return e.Outcome }

// EndpointError is an address that [ParseEndpoint] refused.
type EndpointError struct {
	Host    string // the host in question, where there was one
	Problem string // what is wrong with it
	Next    string // what to use instead
}

// Error says what is wrong and what to use instead.
func (e *EndpointError) Error() string {
	if e.Host == "" {
		return "transport: endpoint: " + e.Problem + "; " + e.Next
	}
	return fmt.Sprintf("transport: endpoint %q: %s; %s", e.Host, e.Problem, e.Next)
}

// APIError is a call whose last answer was not the promised one. It holds neither the request nor the response.
type APIError struct {
	Operation  string        // the request's operation
	Instance   string        // the endpoint's instance name
	Status     int           // HTTP status of the last answer
	Class      Class         // what that answer meant
	Cause      keys.Cause    // for a 401, whose fault it is as far as the text hints
	Outcome    Outcome       // what became of the request over all attempts
	Attempts   int           // tries made
	RetryAfter time.Duration // how long the endpoint asked to stay away, 0 when it did not ask; the largest Duration stands for more
	RateLimit  RateLimit     // what the last answer's headers said
	ClockSkew  time.Duration // by how much the Date of the last answer was later than the clock of this machine; negative when it was earlier, 0 without one
	ending     ending
	detail     *string // behind a pointer, so that no formatting of a struct around this one shows it
}

// Error gives the classified failure and the next step. It repeats nothing of what the server wrote: see Detail.
func (e *APIError) Error() string {
	next := classes[min(int(e.Class), len(classes)-1)].next
	if e.Class == ClassUnauthorized {
		next = e.Cause.String() + ": " + e.Cause.Next()
	}
	if next == "" {
		return e.Summary()
	}
	return e.Summary() + "; " + next
}

// Summary gives the text of Error without the next step, for whoever knows a better one.
func (e *APIError) Summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "transport: %s: %d %s from %s after %s", e.Operation, e.Status, e.Class, e.Instance, attempts(e.Attempts))
	e.ending.describe(&b)
	if e.RetryAfter == longest {
		b.WriteString(", asked to wait beyond any date")
	} else if e.RetryAfter > 0 {
		fmt.Fprintf(&b, ", asked to wait %s", e.RetryAfter.Round(time.Second))
	}
	if e.Outcome == OutcomeUnknown {
		b.WriteString("; an attempt may have been applied")
	}
	return b.String()
}

// Detail returns the beginning of what the server wrote, with the secrets of the request removed. It may hold identifiers that
// the server repeated: show it to the person who looks into the failure, do not log it.
func (e *APIError) Detail() string {
	if e.detail == nil {
		return ""
	}
	return *e.detail
}

// Is matches the sentinel of the class, and [ErrOutcomeUnknown].
func (e *APIError) Is(target error) bool {
	return target == ErrOutcomeUnknown && e.Outcome == OutcomeUnknown ||
		target != nil && int(e.Class) < len(classes) && target == classes[e.Class].kind
}

// Unwrap returns what ended the call besides the answer: a context's error and its cause, or the limiter's error.
func (e *APIError) Unwrap() []error { return e.ending.errs }

// Format prints Error under every verb, also for a copy of the error.
func (e APIError) Format(f fmt.State, verb rune) { formatText(f, verb, e.Error()) }

// LogValue shows Error.
func (e *APIError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// NoAnswerError is a call whose last attempt got no answer, or that ended before its first attempt.
type NoAnswerError struct {
	Operation string  // the request's operation
	Instance  string  // the endpoint's instance name
	Outcome   Outcome // what became of the request over all attempts
	Attempts  int     // tries made; 0 when the call ended before the first
	fault     fault
	ending    ending
	detail    *string
}

// Error gives the classified failure and the next step.
func (e *NoAnswerError) Error() string {
	if e.Attempts == 0 {
		return e.Summary()
	}
	return e.Summary() + "; " + e.fault.next
}

// Summary gives the text of Error without the next step, for whoever knows a better one.
func (e *NoAnswerError) Summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "transport: %s: ", e.Operation)
	if e.Attempts == 0 {
		fmt.Fprintf(&b, "nothing was sent to %s", e.Instance)
	} else {
		fmt.Fprintf(&b, "%s from %s after %s", e.fault.text, e.Instance, attempts(e.Attempts))
	}
	e.ending.describe(&b)
	if e.Outcome == OutcomeUnknown {
		b.WriteString("; an attempt may have been applied")
	}
	return b.String()
}

// Detail returns the text of the fault, with the secrets of the request removed. Like [APIError.Detail] it is not for logs.
func (e *NoAnswerError) Detail() string {
	if e.detail == nil {
		return ""
	}
	return *e.detail
}

// Is matches [ErrNoAnswer], [ErrOutcomeUnknown], and whatever the fault of the connection is, shown or not.
func (e *NoAnswerError) Is(target error) bool {
	return target == ErrNoAnswer && e.Attempts > 0 || target == ErrOutcomeUnknown && e.Outcome == OutcomeUnknown || e.fault.raw != nil && errors.Is(*e.fault.raw, target)
}

// Unwrap returns the fault of the connection, where its text is safe to show, and what else ended the call.
func (e *NoAnswerError) Unwrap() []error {
	if e.fault.cause == nil {
		return e.ending.errs
	}
	return append([]error{e.fault.cause}, e.ending.errs...)
}

// Format prints Error under every verb, also for a copy of the error.
func (e NoAnswerError) Format(f fmt.State, verb rune) { formatText(f, verb, e.Error()) }

// LogValue shows Error.
func (e *NoAnswerError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// ending is why a call that might have gone on did not.
type ending struct {
	why  string
	errs []error
}

func (e ending) describe(b *strings.Builder) {
	if e.why != "" {
		b.WriteString(", " + e.why)
	}
}

func attempts(n int) string {
	if n == 1 {
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", n)
}

func formatText(f fmt.State, verb rune, text string) {
	if verb == 'q' || verb == 'v' && f.Flag('#') {
		fmt.Fprintf(f, "%q", text)
		return
	}
	_, _ = f.Write([]byte(text))
}
