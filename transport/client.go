package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"runtime/debug"
	"strings"
)

// Client makes calls to one endpoint. It is immutable, safe for concurrent use, starts no goroutine of its own and holds no key.
// A process needs one Client for each endpoint, shared by all workspaces there.
type Client struct {
	endpoint  Endpoint
	base      url.URL
	transport http.RoundTripper
	policy    RetryPolicy
	budget    *budget
	log       *slog.Logger
	observers observers
	quota     *Quota
	userAgent []string
	mediaType []string
}

// New returns a Client of the endpoint. It fails on an invalid endpoint or option, before anything is sent.
func New(endpoint Endpoint, opts ...Option) (*Client, error) {
	if endpoint == (Endpoint{}) {
		return nil, &EndpointError{Problem: "no endpoint is given", Next: "make one with ParseEndpoint"}
	}
	base, err := url.Parse(endpoint.base)
	if err != nil {
		return nil, &EndpointError{Host: endpoint.instance, Problem: "the endpoint is not a URL", Next: "make one with ParseEndpoint"}
	}
	cfg := config{log: slog.New(slog.DiscardHandler)}
	for _, o := range opts {
		if o == nil {
			return nil, errors.New("transport: new: an option is nil; leave it out")
		}
		if err := o.apply(&cfg); err != nil {
			return nil, fmt.Errorf("transport: new: %w", err)
		}
	}
	c := &Client{
		endpoint:  endpoint,
		base:      *base,
		policy:    cfg.policy.withDefaults(),
		log:       cfg.log,
		observers: cfg.observers,
		quota:     cfg.quota,
		userAgent: []string{userAgent()},
		mediaType: []string{"application/json"},
	}
	c.budget = newBudget(c.policy.Budget)
	if c.quota == nil {
		if c.quota, err = NewQuota(CohortRequestsPerHour); err != nil {
			return nil, err
		}
	}
	if cfg.http != nil {
		c.transport = cfg.http.Transport
		if cfg.http.Timeout > 0 {
			c.policy.AttemptTimeout = min(c.policy.AttemptTimeout, cfg.http.Timeout)
		}
	}
	if c.transport == nil {
		c.transport = NewPool()
	}
	return c, nil
}

// Endpoint returns the endpoint of the Client.
func (c *Client) Endpoint() Endpoint { return c.endpoint }

// Quota returns the quota that cohort calls through this Client draw on.
func (c *Client) Quota() *Quota { return c.quota }

// CloseIdleConnections closes the connections of the Client's Transport that are not in use, as [http.Client.CloseIdleConnections] does.
func (c *Client) CloseIdleConnections() {
	if closer, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// String names the endpoint.
func (c *Client) String() string { return "transport.Client of " + c.endpoint.String() }

// Format prints String under every verb: a Transport may hold what nobody should print.
func (c *Client) Format(f fmt.State, verb rune) { formatText(f, verb, c.String()) }

// Do performs one request: it waits for the limiter, sends, and repeats as the request's [Repeat] class and the Client's
// [RetryPolicy] allow. It returns the answer if the endpoint accepted the request, and otherwise an [*APIError] or a [*NoAnswerError],
// from which [OutcomeOf] tells what became of it. A request that is not valid is another error, before anything is sent. A cancelled context ends every wait and the attempt under way at once.
func (c *Client) Do(ctx context.Context, req Request) (Answer, error) {
	if err := req.validate(); err != nil {
		if req.Release != nil {
			req.Release()
		}
		return Answer{}, err
	}
	call := newCall(ctx, c, &req)
	defer call.releaseBody()
	return call.do()
}

func (r *Request) validate() error {
	switch {
	case r.Operation == "":
		return errors.New("transport: request without an operation; name the call, for errors and observers")
	case strings.Trim(r.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return fmt.Errorf("transport: %s: the method is none of HTTP; use the constants of net/http", r.Operation)
	case !strings.HasPrefix(r.Path, "/"):
		return fmt.Errorf("transport: %s: the path does not begin with a slash", r.Operation)
	case r.Repeat > RepeatSafe:
		return fmt.Errorf("transport: %s: the repeat class is unknown; use RepeatUnsent or RepeatSafe", r.Operation)
	case !r.Bearer.IsZero():
		// A header cannot carry every text, and a refusal by net/http would look like an attempt that failed.
		if err := r.Bearer.Validate(); err != nil {
			return fmt.Errorf("transport: %s: %w", r.Operation, err)
		}
	}
	return nil
}

// userAgent names this library, its version where the build knows it, and the Go version; nothing about the host.
func userAgent() string {
	const module = "github.com/cohortkit/cohortkit"
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == module {
				version = dep.Version
			}
		}
	}
	return "cohortkit/" + version + " " + strings.ReplaceAll(runtime.Version(), " ", "_")
}
