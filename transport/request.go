package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"

	"github.com/cohortkit/cohortkit/keys"
)

// Repeat is the class of a request: under which failures it may be sent again.
type Repeat uint8

// The classes. The zero value is the cautious one.
const (
	// RepeatUnsent repeats only where nothing can have happened: after a 429, or when no connection came about. Sends are of this class: a
	// lost answer ends the call as [OutcomeUnknown], because a second message to a million people is worse than an error.
	RepeatUnsent Repeat = iota
	// RepeatSafe repeats after connection faults, unreadable answers, 408, 423, 429 and every 5xx but 501. Reads and cohort calls are
	// of this class: adding a member twice changes nothing.
	RepeatSafe
)

// Secret is a key that travels in a request. The key types of package keys are Secrets.
type Secret interface {
	// Reveal returns the secret itself.
	Reveal() string
}

// Request is one call to an endpoint. Only Operation and Path are required.
type Request struct {
	// Operation names the call in errors, logs and observations: "cohort.users". It is a constant of the caller, never made of data.
	Operation string
	// Method is the HTTP method; empty means POST.
	Method string
	// Path is the escaped path below the endpoint, beginning with a slash. See [net/url.PathEscape].
	Path string
	// Query is appended to the path. It appears in no log and no error.
	Query url.Values
	// Body is the JSON to send. It must not change until Release is called, nor, without Release, ever.
	Body []byte
	// Release, if set, is called exactly once when nothing reads Body any more, so that its memory can serve another request. That may be
	// after Do has returned, from another goroutine, because net/http may still be reading then; if a Transport never closes a
	// request body, it is not called at all.
	Release func()
	// Bearer is the REST key of the Authorization header. Cohort calls have none: their keys are in the body.
	Bearer keys.RESTKey
	// Secrets lists the keys inside Body, so that the server's text can be shown without them. Bearer need not be repeated here.
	Secrets []Secret
	// Limiter is asked before every attempt; nil asks nobody. If it is a [FeedbackLimiter] it also hears how each attempt ended.
	Limiter Limiter
	// Repeat is the class of the request; the zero value is [RepeatUnsent].
	Repeat Repeat
	// Accept, if set, judges a 2xx with a JSON object, also one that lists errors: some calls are accepted with minor errors. An error means
	// that the answer is not what the endpoint promises: the call ends with it as a [ClassBadAnswer], and is not repeated. The error becomes part of the
	// call's error, so its text must hold nothing of the answer. The Answer's Body must not be kept. Nil accepts every object that lists no errors.
	Accept func(Answer) error
	// MaxAnswer is the longest answer that is read, in bytes; a longer one is a [ClassBadAnswer]. 0 stands for 1 MiB.
	MaxAnswer int
	// Begin, if set, bounds the beginning of attempts: once it is done no attempt begins, and a wait for the Limiter or between attempts
	// ends at once, but the attempt under way may finish. It must be derived from the context given to Do. Nil means that context.
	Begin context.Context
}

// Format prints the operation alone, under every verb: the rest of a request holds keys and personal data.
func (r Request) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "transport.Request(%s)", r.Operation) }

// Scrub returns the beginning of a text of the server's, with the secrets of the request removed in every spelling that servers use. It may
// still hold identifiers. Errors are scrubbed already; this is for texts in an answer.
func (r Request) Scrub(text string) string { return scrub(text, r.revealed()) }

// revealed lists the secrets.
func (r *Request) revealed() []string {
	var secrets []string
	for _, s := range r.Secrets {
		secrets = append(secrets, s.Reveal())
	}
	if !r.Bearer.IsZero() {
		secrets = append(secrets, r.Bearer.Reveal())
	}
	return secrets
}

// LogValue shows the operation alone.
func (r Request) LogValue() slog.Value { return slog.StringValue(r.Operation) }

// MarshalJSON writes the operation alone.
func (r Request) MarshalJSON() ([]byte, error) { return json.Marshal(r.Operation) }

// Answer is what the endpoint said to a request that it accepted.
type Answer struct {
	// Status is the HTTP status, a 2xx.
	Status int
	// Body is the JSON object of the answer; empty for a 204.
	Body []byte
	// Attempts counts the tries, the successful one included.
	Attempts int
	// RateLimit is what the last answer's headers said.
	RateLimit RateLimit
	// ListsErrors is true when the object lists errors, which only a request with Accept may find in an answer that was accepted.
	ListsErrors bool
}
