package transport

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
)

// Option changes how a [Client] works. The order of options does not matter, but of a setting that is given twice
// the last one counts.
type Option interface{ apply(*config) error }

type config struct {
	http      *http.Client
	policy    RetryPolicy
	log       *slog.Logger
	observers observers
	quota     *Quota
}

type optionFunc func(*config) error

func (f optionFunc) apply(c *config) error { return f(c) }

// WithHTTPClient sends every attempt through the Transport of this client: proxies, mutual TLS, tracing and fakes plug in there. The
// client is not changed. Its Timeout, if any, bounds each attempt; its Jar and CheckRedirect are not used. Clients of several
// endpoints may share one Transport and so one pool of connections; [NewPool] makes one. Default, also for an http.Client without a Transport: a pool
// of the Client's own, as NewPool makes it.
func WithHTTPClient(hc *http.Client) Option {
	return optionFunc(func(c *config) error {
		if hc == nil {
			return errors.New("WithHTTPClient: the client is nil; leave the option out for the default")
		}
		c.http = hc
		return nil
	})
}

// WithRetryPolicy sets how often and how patiently calls are repeated. Default: the zero [RetryPolicy].
func WithRetryPolicy(p RetryPolicy) Option {
	return optionFunc(func(c *config) error {
		c.policy = p
		return p.validate()
	})
}

// WithLogger logs one debug record for each attempt and one warning when a call gives up. Records hold operation,
// instance, attempt, status, class and times; never a key, an identifier, a body or a URL. Default: silence.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(c *config) error {
		if l == nil {
			return errors.New("WithLogger: the logger is nil; leave the option out for silence")
		}
		c.log = l
		return nil
	})
}

// WithObserver adds an observer; the option may be given several times. See [Observer].
func WithObserver(o Observer) Option {
	return optionFunc(func(c *config) error {
		if !c.observers.add(o) {
			return fmt.Errorf("WithObserver: %T implements none of the observer interfaces of package transport", o)
		}
		return nil
	})
}

// WithQuota sets the quota for the cohort calls of this Client. Give one Quota to all Clients whose calls the endpoint counts together.
// Whose bucket Braze's 250,000 requests an hour are is undocumented; the default is the safe reading, one Quota for each Client, if
// each partner key and instance has one Client.
func WithQuota(q *Quota) Option {
	return optionFunc(func(c *config) error {
		if q == nil {
			return errors.New("WithQuota: the quota is nil; leave the option out for the default")
		}
		c.quota = q
		return nil
	})
}
