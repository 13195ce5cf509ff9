package brazetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"
)

// call is a REST call that is let in by its key and is now being read.
type call struct {
	server    *Server
	workspace *Workspace
	operation Operation
	number    int // in the request log
	query     url.Values
	body      object
	problems  []string   // what makes it a 400, the first one as the message
	limits    []limitKey // what it draws on
}

// processCall answers a REST call, and lets it take effect unless it is refused: first for its key, then for what it says,
// then for the rate limit.
func (e *exchange) processCall() answer {
	s, now := e.server, time.Now()
	end := &endpoints[e.operation]
	if status, text := e.denied(end); status != 0 {
		return answer{status: status, body: errorBody(text), allowance: e.allowance()}
	}
	c := &call{
		server:    s,
		workspace: e.restKey.workspace,
		operation: e.operation,
		number:    e.view.Number,
		limits:    []limitKey{{bucket: end.bucket, workspace: e.restKey.workspace}},
	}
	var effect func() any
	if c.read(e) {
		effect = end.prepare(c)
	}
	if len(c.problems) > 0 && !s.cfg.countRefused {
		left, _ := s.limits.draw(now, 0, c.limits...)
		return answer{status: http.StatusBadRequest, body: errorBody(c.problems...), allowance: left}
	}
	left, ok := s.limits.draw(now, 1, c.limits...)
	switch {
	case !ok:
		return answer{status: http.StatusTooManyRequests, body: errorBody("rate limit exceeded"), allowance: left}
	case len(c.problems) > 0:
		return answer{status: http.StatusBadRequest, body: errorBody(c.problems...), allowance: left}
	}
	said := effect()
	e.view = s.log.update(e.entry, func(entry *Request) { entry.Applied = true })
	return answer{status: end.status, body: encode(said), allowance: left}
}

// hasKey reports whether the request has the REST key of a workspace that exists on its host.
func (e *exchange) hasKey() bool {
	return e.restKey != nil && (e.instance == "" || e.restKey.workspace.instance == e.instance)
}

// denied checks the key, and returns the status and the text of a refusal, or 0.
func (e *exchange) denied(end *endpoint) (int, string) {
	switch {
	case !e.hasKey(), e.server.findRESTKey(e.r.Header) == nil: // the key may have been deleted while the request waited
		return http.StatusUnauthorized, "Invalid API key"
	case !e.restKey.may(end.permission()):
		return http.StatusForbidden, accessDenied
	}
	return 0, ""
}

const accessDenied = "Access Denied"

// read reads the query of a GET, or the body of a POST as a JSON object.
func (c *call) read(e *exchange) bool {
	if e.r.Method == http.MethodGet {
		query, err := url.ParseQuery(e.r.URL.RawQuery)
		if err != nil {
			c.problemf("the query cannot be read")
		}
		c.query = query
		return err == nil
	}
	raw := e.body.raw.Bytes()
	c.body.call = c
	if !utf8.Valid(raw) || json.Unmarshal(raw, &c.body.fields) != nil || c.body.fields == nil {
		c.problemf("the body must be a valid JSON object in UTF-8")
		return false
	}
	return true
}

func (c *call) problemf(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// count reads an optional number from the query, at least 0.
func (c *call) count(name string) int {
	text := c.query.Get(name)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		c.problemf("'%s' must be a whole number from 0", name)
	}
	return n
}

// encode writes what an answer says.
func encode(said any) string {
	b, err := json.Marshal(said)
	if err != nil {
		panic(err) // the fake's own types always marshal
	}
	return string(b)
}

// accepted is the answer of a call that says no more than that.
type accepted struct {
	Message string `json:"message"`
}

const success = "success"
