package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
)

const (
	// maxRequest is the documented limit of a request's body, 4 MB, read as the smaller of its two meanings.
	maxRequest = 4_000_000
	// maxAnswer is the longest answer to a read. Fifty whole profiles with all their custom attributes may be long, and one that went on for ever
	// must end somewhere.
	maxAnswer = 64 << 20
)

// Client makes the REST calls of one workspace, whose key it holds. It is immutable, safe for concurrent use, starts no goroutine of its
// own between calls, and shows its key under no formatting verb. Make one with [New].
type Client struct {
	transport *transport.Client
	key       keys.RESTKey
	limits    Limits
}

// New returns a Client for the workspace of the key. It fails with an [*InvalidError], or with that of [keys.RESTKey.Validate], before anything is
// sent.
//
// The permissions of a key are set when it is created. Each method names the one that it needs, and a 403 names the call that lacks it. Whoever
// has several keys for one workspace makes a Client for each and gives them the same [Limits]:
//
//	sender, err := rest.New(client, sendKey, rest.WithLimits(reader.Limits()))
//
// The same goes for a key that takes another's place.
func New(client *transport.Client, key keys.RESTKey, opts ...Option) (*Client, error) {
	if client == nil {
		return nil, &InvalidError{Field: "client", Problem: "is nil", Next: "make one with transport.New"}
	}
	if err := key.Validate(); err != nil {
		return nil, fmt.Errorf("rest: new: %w", err)
	}
	var cfg config
	for _, o := range opts {
		if o == nil {
			return nil, &InvalidError{Field: "option", Problem: "is nil", Next: "leave it out"}
		}
		if err := o.apply(&cfg); err != nil {
			return nil, err
		}
	}
	limits, err := cfg.limits.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("rest: new: %w", err)
	}
	return &Client{transport: client, key: key, limits: limits}, nil
}

// Limits returns the limiters that the calls of the Client ask, for another Client of the same workspace.
func (c *Client) Limits() Limits { return c.limits }

// String names the endpoint.
func (c *Client) String() string { return "rest.Client at " + c.transport.Endpoint().String() }

// Format prints String under every verb.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// answer is what a call makes of the JSON object it got.
type answer interface {
	// check returns nil or an *AnswerError for what a caller could not do without.
	check() error
}

// read performs a call that changes nothing. One that lists errors is no complete answer.
func (c *Client) read(ctx context.Context, req transport.Request, into answer) error {
	req.Bearer, req.Repeat, req.MaxAnswer = c.key, transport.RepeatSafe, maxAnswer
	req.Accept = func(a transport.Answer) error {
		if a.ListsErrors {
			return &AnswerError{Field: "errors", Problem: "is not empty, so the answer may be incomplete"}
		}
		return decode(a.Body, into)
	}
	_, err := c.transport.Do(ctx, req)
	return err
}

// get is read for an endpoint without a body.
func (c *Client) get(ctx context.Context, req transport.Request, into answer) error {
	req.Method, req.Limiter = http.MethodGet, c.limits.Shared
	return c.read(ctx, req, into)
}

// decode reads the object into what was promised. Errors of encoding/json may quote numbers of the text, so none of them is passed on.
func decode(body []byte, into answer) error {
	if json.Unmarshal(body, into) != nil {
		return &AnswerError{Field: "a field", Problem: "is not of the promised type"}
	}
	return into.check()
}

// encode returns the body of a request.
func encode(body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		// The cause may quote what it could not encode.
		return nil, &InvalidError{Field: "request", Problem: "cannot be encoded as JSON", Next: "use values that encoding/json takes: no functions, channels or NaN"}
	}
	if len(text) > maxRequest {
		return nil, &InvalidError{
			Field: "request", Problem: fmt.Sprintf("is %d bytes long, more than the documented 4 MB", len(text)),
			Next: "send shorter properties or fewer recipients at a time",
		}
	}
	return text, nil
}
