package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/cohortkit/cohortkit/keys"
)

const (
	// maxAnswer is the longest answer that is read. The documented answers are far below 1 KiB.
	maxAnswer = 1 << 20
	// maxScrubbed is how much of a refusal is searched for secrets and kept as detail.
	maxScrubbed = 64 << 10
)

// call is one run of [Client.Do]. It is the innermost RoundTripper of its own retryablehttp client: every attempt begins, is read and
// ends inside [call.RoundTrip], so that no response body and no timer outlives its attempt, and what the policy needs to know is
// recorded here. All its methods but the body's Close run in the goroutine of Do.
type call struct {
	client *Client
	req    *Request
	ctx    context.Context // of attempts
	begin  context.Context // of waits
	header http.Header
	fb     FeedbackLimiter

	bodyReaders atomic.Int32 // open readers of the body, plus one for Do itself

	// What a call needs of others' types is part of it, so that one allocation makes them all.
	url     url.URL
	request http.Request
	retried retryablehttp.Request
	retry   retryablehttp.Client
	http    http.Client
	first   [256]byte // of an answer, mostly all of it

	attempts  int
	uncertain bool // some attempt may have been applied
	answered  bool // some attempt got a refusal
	ending    ending
	wait      time.Duration

	// of the last attempt
	status int
	class  Class
	answer []byte
	fault  fault
	limit  RateLimit
	delay  time.Duration // that the endpoint asks for
	date   string        // the endpoint's clock
	came   time.Time     // when the header of the answer was there
	listed bool          // a 2xx that lists errors
}

func newCall(ctx context.Context, c *Client, req *Request) *call {
	cl := &call{client: c, req: req, ctx: ctx, begin: ctx, class: ClassNoAnswer}
	if req.Begin != nil {
		cl.begin = req.Begin
	}
	cl.bodyReaders.Store(1)
	cl.fb, _ = req.Limiter.(FeedbackLimiter)
	cl.header = http.Header{"User-Agent": c.userAgent, "Accept": c.mediaType}
	if req.Body != nil {
		cl.header["Content-Type"] = c.mediaType
	}
	if !req.Bearer.IsZero() {
		cl.header["Authorization"] = []string{"Bearer " + req.Bearer.Reveal()}
	}
	return cl
}

func (c *call) do() (Answer, error) {
	method := c.req.Method
	if method == "" {
		method = http.MethodPost
	}
	c.url = c.client.base
	if err := setPath(&c.url, c.client.base.EscapedPath()+c.req.Path); err != nil {
		return Answer{}, errors.New("transport: " + c.req.Operation + ": the path is not escaped; use url.PathEscape")
	}
	if len(c.req.Query) > 0 {
		c.url.RawQuery = c.req.Query.Encode()
	}
	// The request is built by hand because http.NewRequest would parse the URL anew for every batch of an import.
	c.request = http.Request{Method: method, URL: &c.url, Host: c.url.Host, Header: c.header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	c.retried.Request = c.request.WithContext(c.begin)
	if len(c.req.Body) > 0 {
		if err := c.retried.SetBody(retryablehttp.ReaderFunc(c.openBody)); err != nil {
			return Answer{}, err
		}
	}
	// A client of this call alone: its hooks are closures of the call, and nothing is shared that could race.
	c.http.Transport = c
	c.retry.HTTPClient = &c.http
	c.retry.RetryMax = c.client.policy.MaxAttempts - 1
	c.retry.CheckRetry = c.check
	c.retry.Backoff = func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return c.wait }
	c.retry.ErrorHandler = retryablehttp.PassthroughErrorHandler
	resp, err := c.retry.Do(&c.retried)
	if resp != nil {
		_ = resp.Body.Close() // already in memory
	}
	if err != nil && c.ending.why == "" && c.begin.Err() != nil {
		c.ended(c.begin, "stopped by its context")
	}
	return c.result()
}

// setPath puts an escaped path into u.
func setPath(u *url.URL, escaped string) error {
	path := escaped
	if strings.Contains(escaped, "%") {
		var err error
		if path, err = url.PathUnescape(escaped); err != nil {
			return err
		}
		u.RawPath = escaped
	}
	u.Path = path
	return nil
}

// RoundTrip makes one attempt and returns its answer with an empty body, because the real one has been read and recorded.
func (c *call) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := c.mayBegin(); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	c.attempts++
	c.status, c.class, c.answer, c.fault, c.limit, c.delay, c.listed = 0, ClassNoAnswer, nil, fault{}, RateLimit{}, 0, false

	ctx, cancel := context.WithTimeout(c.ctx, c.client.policy.AttemptTimeout)
	defer cancel()
	for _, o := range c.client.observers.starters {
		//nolint:fatcontext // nesting is what a starter is for, and the loop is as long as the list of observers
		ctx = o.StartAttempt(ctx, AttemptStart{Operation: c.req.Operation, Instance: c.client.endpoint.instance, Attempt: c.attempts})
	}
	started := time.Now()
	resp, err := c.client.transport.RoundTrip(r.WithContext(ctx))
	switch {
	case err != nil:
	case resp == nil:
		err = errNothing
	default:
		err = c.read(resp)
	}
	if err != nil {
		c.fault = faultOf(ctx, err)
	}
	c.record(ctx, time.Since(started))
	if err != nil {
		return nil, err
	}
	resp.Header.Del("Location") // else net/http parses it, and quotes it where it cannot
	resp.Body = http.NoBody
	return resp, nil
}

// mayBegin waits until an attempt may begin.
func (c *call) mayBegin() error {
	if err := c.begin.Err(); err != nil {
		c.ended(c.begin, "stopped before an attempt")
		return err
	}
	if c.req.Limiter == nil {
		return nil
	}
	err := c.req.Limiter.Wait(c.begin)
	switch {
	case c.begin.Err() != nil:
		c.ended(c.begin, "stopped while waiting for the limiter")
		if err == nil {
			// A limiter that does not look at the context let it pass, and is owed the end.
			err = c.begin.Err()
			if c.fb != nil {
				c.fb.Feedback(Feedback{})
			}
		}
	case err != nil:
		c.ending = ending{why: "the limiter refused", errs: []error{err}}
	}
	return err
}

// read takes the answer into memory and says what it means. The error is the attempt's: what was answered is not known.
func (c *call) read(resp *http.Response) error {
	if resp.Body == nil {
		resp.Body = http.NoBody // stubs leave it out
	}
	defer resp.Body.Close()
	now := time.Now()
	c.status, c.class = resp.StatusCode, classOf(resp.StatusCode)
	c.limit = parseRateLimit(resp.Header, now)
	c.delay = serverDelay(resp.StatusCode, resp.Header, c.limit, now)
	c.date, c.came = resp.Header.Get("Date"), now

	most := maxAnswer
	if c.req.MaxAnswer > 0 {
		most = c.req.MaxAnswer
	}
	if c.class != ClassSuccess {
		most = maxScrubbed
	}
	body, err := readAll(resp.Body, c.first[:0], most+1)
	c.answer = body
	if c.class != ClassSuccess {
		return nil // a refusal is known by its status, however its body ends
	}
	if err != nil && c.ctx.Err() != nil {
		c.status, c.class = 0, ClassNoAnswer
		return err
	}
	ok, listed := readObject(body)
	c.listed = listed
	if c.status == http.StatusNoContent && len(body) == 0 {
		ok = true // says by itself that there is nothing to read
	}
	switch {
	case err != nil || len(body) > most || !ok:
		c.class = ClassBadAnswer
	case c.req.Accept != nil:
		if err := c.req.Accept(c.accepted()); err != nil {
			c.class, c.ending = ClassBadAnswer, ending{why: err.Error(), errs: []error{err}}
		}
	case listed:
		c.class = ClassBadAnswer
	}
	return nil
}

// readAll reads to the end or to the limit, into buf as long as that is large enough.
func readAll(r io.Reader, buf []byte, limit int) ([]byte, error) {
	for len(buf) < limit {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, 512)
		}
		n, err := r.Read(buf[len(buf):min(cap(buf), limit)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
	return buf, nil
}

// readObject reports whether body is one JSON object, and whether it lists errors.
func readObject(body []byte) (ok, listsErrors bool) {
	if bytes.Equal(body, []byte(`{"message":"success"}`)) {
		return true, false
	}
	var answer struct {
		Errors json.RawMessage `json:"errors"`
	}
	trimmed := bytes.TrimSpace(body)
	if len(trimmed) == 0 || trimmed[0] != '{' || json.Unmarshal(trimmed, &answer) != nil {
		return false, false
	}
	switch string(bytes.Join(bytes.Fields(answer.Errors), nil)) {
	case "", "null", "[]", "{}", `""`:
		return true, false
	default:
		return true, true
	}
}

// record tells everybody who listens how the attempt ended.
func (c *call) record(ctx context.Context, took time.Duration) {
	switch {
	case c.class == ClassSuccess:
		c.client.budget.refund()
	case c.class == ClassNoAnswer && !c.fault.reached:
	case c.class == ClassNoAnswer, c.class == ClassBadAnswer, c.class == ClassUnavailable:
		c.uncertain = true
	default:
		c.answered = true
	}
	if c.fb != nil {
		c.fb.Feedback(Feedback{Status: c.status, RateLimit: c.limit, RetryAfter: c.delay})
	}
	for _, o := range c.client.observers.ends {
		o.ObserveAttempt(ctx, AttemptEnd{
			Operation: c.req.Operation, Instance: c.client.endpoint.instance, Attempt: c.attempts,
			Status: c.status, Class: c.class, Duration: took, RateLimit: c.limit,
		})
	}
	if c.client.log.Enabled(ctx, slog.LevelDebug) {
		c.client.log.LogAttrs(ctx, slog.LevelDebug, "attempt ended",
			slog.String("operation", c.req.Operation), slog.String("instance", c.client.endpoint.instance), slog.Int("attempt", c.attempts),
			slog.Int("status", c.status), slog.String("class", c.class.String()), slog.Duration("duration", took))
	}
}

// check decides, after an attempt, whether there will be another, and how long to wait before it. The answer and the error that
// retryablehttp hands over are what RoundTrip returned; everything worth knowing about them is in the call already.
func (c *call) check(context.Context, *http.Response, error) (bool, error) {
	if c.ending.why != "" || !c.repeatable() {
		return false, nil
	}
	policy := c.client.policy
	c.wait = max(policy.backoff(c.attempts), c.delay)
	deadline, bounded := c.begin.Deadline()
	switch {
	case c.attempts >= policy.MaxAttempts:
		c.ending.why = "as many as the policy allows"
	case c.delay > policy.MaxServerDelay:
		c.ending.why = "not repeated because the endpoint asks for a longer wait than MaxServerDelay"
	case c.begin.Err() != nil:
		c.ended(c.begin, "stopped before it was repeated")
	case bounded && time.Until(deadline) <= c.wait:
		c.ending = ending{why: "not repeated because the deadline comes first", errs: []error{context.DeadlineExceeded}}
	case c.costsBudget() && !c.client.budget.spend():
		c.ending.why = "not repeated because the Client's budget of repeats is used up"
	}
	if c.ending.why != "" {
		return false, nil
	}
	for _, o := range c.client.observers.waits {
		o.ObserveWait(c.ctx, Wait{Operation: c.req.Operation, Instance: c.client.endpoint.instance, Attempt: c.attempts, Duration: c.wait, Class: c.class})
	}
	return true, nil
}

// repeatable reports whether the request's class allows another attempt after the last one.
func (c *call) repeatable() bool {
	switch c.class {
	case ClassRateLimited:
		return true
	case ClassNoAnswer:
		return !c.fault.final && (c.req.Repeat == RepeatSafe || !c.fault.reached)
	case ClassLocked:
		return c.req.Repeat == RepeatSafe
	case ClassUnavailable:
		return c.req.Repeat == RepeatSafe && c.status != http.StatusNotImplemented
	case ClassBadAnswer:
		return c.req.Repeat == RepeatSafe && !c.listed
	default:
		return false
	}
}

// costsBudget reports whether repeating the last attempt weighs on an endpoint in trouble.
func (c *call) costsBudget() bool {
	return c.class == ClassNoAnswer || c.class == ClassUnavailable || c.class == ClassBadAnswer
}

// ended notes that ctx ended the call, keeping both its error and its cause for errors.Is.
func (c *call) ended(ctx context.Context, why string) {
	c.ending = ending{why: why, errs: []error{ctx.Err()}}
	if cause := context.Cause(ctx); !errors.Is(ctx.Err(), cause) {
		c.ending.errs = append(c.ending.errs, cause)
	}
}

// accepted returns the last answer, whose body is the call's own.
func (c *call) accepted() Answer {
	return Answer{Status: c.status, Body: c.answer, Attempts: c.attempts, RateLimit: c.limit, ListsErrors: c.listed}
}

func (c *call) result() (Answer, error) {
	if c.class == ClassSuccess && c.ending.why == "" {
		// A copy, because the original lies inside the call, and who keeps an answer should not keep the request and its keys.
		a := c.accepted()
		a.Body = bytes.Clone(a.Body)
		return a, nil
	}
	outcome := OutcomeUnsent
	switch {
	case c.uncertain:
		outcome = OutcomeUnknown
	case c.answered:
		outcome = OutcomeRefused
	}
	if c.attempts > 0 {
		c.client.log.LogAttrs(c.ctx, slog.LevelWarn, "call gave up",
			slog.String("operation", c.req.Operation), slog.String("instance", c.client.endpoint.instance), slog.Int("attempts", c.attempts),
			slog.Int("status", c.status), slog.String("class", c.class.String()), slog.String("outcome", outcome.String()))
	}
	secrets := c.req.revealed()
	if c.class == ClassNoAnswer {
		text := ""
		if c.fault.raw != nil {
			text = (*c.fault.raw).Error()
		}
		return Answer{}, &NoAnswerError{
			Operation: c.req.Operation, Instance: c.client.endpoint.instance, Outcome: outcome, Attempts: c.attempts,
			fault: c.fault, ending: c.ending, detail: new(scrub(text, secrets)),
		}
	}
	text := string(c.answer[:min(len(c.answer), maxScrubbed)])
	var cause keys.Cause
	switch {
	case c.class != ClassUnauthorized:
	case c.req.Bearer.IsZero():
		cause = causeOf(text)
	default:
		cause = keys.CauseRESTKey
	}
	return Answer{}, &APIError{
		Operation: c.req.Operation, Instance: c.client.endpoint.instance, Status: c.status, Class: c.class, Cause: cause, Outcome: outcome,
		Attempts: c.attempts, RetryAfter: c.delay, RateLimit: c.limit, ClockSkew: clockSkew(c.date, c.came), ending: c.ending, detail: new(scrub(text, secrets)),
	}
}
