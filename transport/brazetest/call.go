package brazetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
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

// object is a JSON object of a call's body. Its methods read a field each, and note in the call what is wrong with it.
type object struct {
	call   *call
	path   string // "recipients[2]." before the names of its fields
	fields map[string]json.RawMessage
}

// processCall answers a REST call, and lets it take effect unless it is refused: first for its key, then for what it says,
// then for the rate limit.
func (e *exchange) processCall() answer {
	s, now := e.server, time.Now()
	end := &endpoints[e.operation]
	if status, text := e.denied(end); status != 0 {
		return answer{status: status, body: errorBody(text), allowance: s.limits.untouched(end.bucket, now)}
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

// denied checks the key, and returns the status and the text of a refusal, or 0.
func (e *exchange) denied(end *endpoint) (int, string) {
	switch {
	case e.restKey == nil, e.instance != "" && e.restKey.workspace.instance != e.instance:
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

// has reports whether a field is there. null is as good as absent, as what a client leaves out of a typed body often comes as null.
func (o object) has(name string) bool {
	raw, ok := o.fields[name]
	return ok && string(raw) != "null"
}

// into decodes a field that is there, and says what it must be when it cannot.
func (o object) into(name, kind string, to any) bool {
	if !o.has(name) {
		return false
	}
	if json.Unmarshal(o.fields[name], to) != nil {
		o.call.problemf("'%s%s' must be %s", o.path, name, kind)
		return false
	}
	return true
}

// text reads an optional string, "" when it is absent.
func (o object) text(name string) string {
	var text string
	o.into(name, "a string", &text)
	return text
}

// need reads a string that must be there and not be empty.
func (o object) need(name string) string {
	text := o.text(name)
	if text == "" && (!o.has(name) || string(o.fields[name]) == `""`) {
		o.call.problemf("'%s%s' is required and must not be empty", o.path, name)
	}
	return text
}

// yes reads an optional boolean.
func (o object) yes(name string) bool {
	var yes bool
	o.into(name, "true or false", &yes)
	return yes
}

// texts reads an optional array of strings.
func (o object) texts(name string) []string {
	var list []*string // nil for null
	if !o.into(name, "an array of strings", &list) {
		return nil
	}
	texts := make([]string, 0, len(list))
	for _, text := range list {
		if text == nil {
			o.call.problemf("'%s%s' must be an array of strings", o.path, name)
			return nil
		}
		texts = append(texts, *text)
	}
	return texts
}

// object reads an optional object.
func (o object) object(name string) object {
	read := object{call: o.call, path: o.path + name + "."}
	o.into(name, "an object", &read.fields)
	return read
}

// objects reads an optional array of objects.
func (o object) objects(name string) []object {
	var list []map[string]json.RawMessage
	if !o.into(name, "an array of objects", &list) {
		return nil
	}
	objects := make([]object, len(list))
	for i, fields := range list {
		if fields == nil {
			o.call.problemf("'%s%s' must be an array of objects", o.path, name)
			return nil
		}
		objects[i] = object{call: o.call, path: fmt.Sprintf("%s%s[%d].", o.path, name, i), fields: fields}
	}
	return objects
}

// count reads an optional number from the query, at least 0.
func (c *call) count(name string) int {
	n := 0
	if text := c.query.Get(name); text != "" && (json.Unmarshal([]byte(text), &n) != nil || n < 0) {
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
