package brazetest

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/cohortkit/cohortkit/keys"
)

// ServeHTTP answers a request, so that the fake can stand behind a server of the caller's own. A fault that drops the
// connection panics with [http.ErrAbortHandler], which net/http turns into just that.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b := s.bodies.Get().(*body)
	e := &exchange{server: s, r: r, body: b}
	e.w = &recorder{ResponseWriter: w, answered: e.close}
	defer e.end()
	e.arrive()
	e.answer()
}

// exchange is one request and its answer.
type exchange struct {
	server *Server
	w      *recorder
	r      *http.Request
	body   *body
	entry  *Request // in the request log, and guarded by its lock
	view   Request  // a copy of the entry

	operation Operation
	refusal   *answer // known before the body counts
	partner   *Partner
	instance  string   // of the host, or ""
	page      *page    // of the import key, be it valid or not; nil for an unknown one
	restKey   *restKey // of what is no cohort request; nil for an unknown one
	entered   bool     // counted in the page's overlap
	others    int      // other requests to the cohort in progress on arrival
	closed    bool     // the books are closed
}

// answer is an answer of the endpoint.
type answer struct {
	status    int
	body      string
	allowance allowance
	header    http.Header // nil, or what else to send
}

// recorder tells the status before the client can know it.
type recorder struct {
	http.ResponseWriter
	answered func(status int)
}

func (r *recorder) WriteHeader(status int) {
	if status >= 200 { // else it is not the last one
		r.answered(status)
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.answered(http.StatusOK) // unless there was another
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the features of the writer.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// drainLimit bounds what is read of a body that is too long. Were it not read, the client might see a broken connection
// in place of the 413.
const drainLimit = 64 << 20

// arrive reads the request, up to where it is known what it is about.
func (e *exchange) arrive() {
	s, r := e.server, e.r
	op, slug := route(r.URL)
	instance, served := instanceOf(r.Host)
	e.instance, e.operation = instance, op
	e.entry = s.log.begin(Request{
		At: time.Now(), Method: r.Method, Host: r.Host, Path: r.URL.Path,
		Operation: op, Partner: slug, Instance: instance,
	})

	e.body.reset()
	if n := r.ContentLength; n > 0 && n <= MaxBodyBytes {
		e.body.raw.Grow(int(n) + bytes.MinRead) // ReadFrom wants that much room to notice the end
	}
	_, err := e.body.raw.ReadFrom(io.LimitReader(r.Body, MaxBodyBytes+1))
	tooLong := e.body.raw.Len() > MaxBodyBytes
	if tooLong {
		_, err = io.Copy(io.Discard, io.LimitReader(r.Body, drainLimit))
	}
	if err != nil { // the client went away
		panic(http.ErrAbortHandler)
	}

	if op.isCall() || op == OtherPath {
		e.restKey = s.findRESTKey(r.Header)
	}
	method := endpoints[op].method
	switch {
	case op == OtherPath && served && s.cfg.denyUnknown && e.hasKey():
		e.refuse(http.StatusForbidden, accessDenied)
	case op == OtherPath || !served:
		e.refuse(http.StatusNotFound, "no such endpoint")
	case r.Method != method:
		e.refuse(http.StatusMethodNotAllowed, "use "+method)
		e.refusal.header = http.Header{"Allow": {method}}
	case tooLong:
		e.refuse(http.StatusRequestEntityTooLarge, "the payload is larger than 4 MB")
	case method == http.MethodPost && !isJSON(r.Header):
		e.refuse(http.StatusUnsupportedMediaType, "the Content-Type must be application/json")
	case !op.isCall():
		e.body.decode(op, &s.cfg)
		e.identify(slug)
	}
	f := &e.body.fields
	e.view = s.log.update(e.entry, func(entry *Request) {
		entry.Body = e.body.raw.Len()
		entry.CohortID, entry.CohortName = f.cohortID, f.name
		entry.Changes = e.body.counts()
		if e.page != nil {
			entry.Workspace = e.page.workspace.name
			entry.Instance = e.page.workspace.instance
			entry.KeyFingerprint = keys.NewImportKey(f.secret).Fingerprint()
		}
		if e.restKey != nil {
			entry.Workspace = e.restKey.workspace.name
			entry.Instance = e.restKey.workspace.instance
			entry.KeyFingerprint = e.restKey.fingerprint
		}
	})
}

func (e *exchange) refuse(status int, text string) {
	e.refusal = &answer{status: status, body: errorBody(text), allowance: e.allowance()}
}

// untouched is the allowance of a request that draws on no limit.
func (e *exchange) untouched(now time.Time) allowance {
	return e.server.limits.untouched(endpoints[e.operation].bucket, now)
}

// isJSON accepts application/json with any parameters. No encoding of the content is documented, so none is taken.
func isJSON(h http.Header) bool {
	if h.Get("Content-Encoding") != "" {
		return false
	}
	value := h.Get("Content-Type")
	if value == "application/json" {
		return true
	}
	kind, _, err := mime.ParseMediaType(value)
	return err == nil && kind == "application/json"
}

// identify finds the page that the import key is on, and counts the request into the overlap of the cohort.
func (e *exchange) identify(slug string) {
	f := &e.body.fields
	s := e.server
	s.mu.RLock()
	e.partner = s.partners[slug]
	if e.partner != nil && f.secret != "" {
		e.page = e.partner.pages[hashSecret(f.secret)]
	}
	s.mu.RUnlock()
	if e.page != nil && f.cohortID != "" {
		e.others = e.page.enter(f.cohortID)
		e.entered = true
	}
}

// answer lets the injected faults that match shape the answer, or gives the genuine one.
func (e *exchange) answer() {
	plan := e.server.faults.plan(e)
	if plan.name != "" {
		e.view = e.server.log.update(e.entry, func(entry *Request) { entry.Fault = plan.name })
	}
	e.wait(plan.before)
	if plan.fault != nil && !plan.fault.applied {
		e.wait(plan.after)
		if !plan.fault.run(e, e.unprocessed()) {
			e.send(e.process())
		}
		return
	}
	a := e.process()
	e.wait(plan.after)
	if plan.fault == nil || !plan.fault.run(e, a) {
		e.send(a)
	}
}

// unprocessed is what a fault starts from that does not let the request take effect.
func (e *exchange) unprocessed() answer {
	return answer{allowance: e.allowance()}
}

// wait waits without holding any lock, and drops the connection when nobody waits for the answer any more.
func (e *exchange) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.r.Context().Done():
		panic(http.ErrAbortHandler)
	case <-e.server.done:
		panic(http.ErrAbortHandler)
	}
}

// process lets the request take effect, unless it is refused.
func (e *exchange) process() answer {
	if e.refusal != nil {
		return *e.refusal
	}
	if e.operation.isCall() {
		return e.processCall()
	}
	s, f := e.server, &e.body.fields
	now := time.Now()
	untouched := e.untouched(now)
	if !f.object || s.cfg.bodyFirst && len(f.problems) > 0 { // without an object there are no keys to look at
		return answer{status: http.StatusBadRequest, body: errorBody(f.problems...), allowance: untouched}
	}
	if text := e.unauthorized(); text != "" {
		return answer{status: http.StatusUnauthorized, body: errorBody(text), allowance: untouched}
	}
	problems := f.problems
	if e.operation == ChangeUsers && s.cfg.refuseUnnamed && !e.page.named(f.cohortID) {
		problems = append(problems, "cohort_id is not the ID of a known cohort")
	}
	if len(problems) > 0 && !s.cfg.countRefused {
		return answer{status: http.StatusBadRequest, body: errorBody(problems...), allowance: e.allowance()}
	}
	left, ok := s.limits.draw(now, 1, e.limitKey())
	switch {
	case !ok:
		return answer{status: http.StatusTooManyRequests, body: errorBody("rate limit exceeded"), allowance: left}
	case len(problems) > 0:
		return answer{status: http.StatusBadRequest, body: errorBody(problems...), allowance: left}
	}
	if e.operation == NameCohort {
		e.page.name(f)
	} else {
		e.page.changeUsers(e.body, e.view.Number)
	}
	e.view = s.log.update(e.entry, func(entry *Request) { entry.Applied = true })
	return answer{status: s.cfg.successStatus, body: s.cfg.successBody, allowance: left}
}

// unauthorized checks the keys in the order of the contract's table, and returns the text of the 401 or "".
func (e *exchange) unauthorized() string {
	f := &e.body.fields
	if e.partner == nil {
		return GenericRefusal.text(f, "")
	}
	instance := e.instance
	if instance == "" && e.page != nil {
		instance = e.page.workspace.instance
	}
	switch {
	case !e.partner.hasKey(f.partnerKey, instance):
		return WrongPartnerKey.text(f, e.partner.slug)
	case e.page == nil || e.page.workspace.instance != instance:
		return WrongImportKey.text(f, e.partner.slug)
	}
	if _, err := e.page.issuer.Authenticate(f.secret); err != nil {
		return WrongImportKey.text(f, e.partner.slug)
	}
	if !e.page.isEnabled() {
		return NotEnabled.text(f, e.partner.slug)
	}
	return ""
}

func (e *exchange) limitKey() limitKey {
	if e.server.cfg.perPartner {
		return limitKey{bucket: cohortBucket, partner: e.partner, instance: e.page.workspace.instance}
	}
	return limitKey{bucket: cohortBucket, partner: e.partner, workspace: e.page.workspace}
}

// allowance is what is left of the limit, without drawing on it, if it is known whose it is.
func (e *exchange) allowance() allowance {
	now := time.Now()
	key := limitKey{bucket: endpoints[e.operation].bucket}
	switch {
	case e.page != nil:
		key = e.limitKey()
	case e.hasKey():
		key.workspace = e.restKey.workspace
	default:
		return e.untouched(now)
	}
	left, _ := e.server.limits.draw(now, 0, key)
	return left
}

// send sends an answer of the endpoint itself.
func (e *exchange) send(a answer) {
	e.head(a, len(a.body))
	_, _ = io.WriteString(e.w, a.body) // a client that went away needs no answer
}

// head sends the header of an answer that declares a length.
func (e *exchange) head(a answer, length int) {
	h := e.w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(length)}
	a.allowance.write(h)
	for name, values := range a.header {
		if values == nil {
			delete(h, name)
			continue
		}
		h[name] = values
	}
	e.w.WriteHeader(a.status)
}

// close closes the books of the request with its status. It does so once, and before the client learns the status:
// whoever has an answer finds it in the log, and its next request does not overlap with this one.
func (e *exchange) close(status int) {
	if e.closed {
		return
	}
	e.closed = true
	if e.entered {
		e.page.leave(e.body.fields.cohortID)
	}
	if e.entry == nil {
		return
	}
	var changes []Change
	if e.server.cfg.keepIdentifiers {
		changes = e.body.copyChanges()
	}
	e.server.log.end(e.entry, status, changes)
}

// end runs when the request is over, also when its connection is being dropped by a panic.
func (e *exchange) end() {
	e.close(0)
	e.body.reset()
	e.server.bodies.Put(e.body)
}

// errorBody is the general shape of a fatal error: the first problem is the message, and all are in errors.
func errorBody(texts ...string) string {
	b, err := json.Marshal(struct {
		Message string   `json:"message"`
		Errors  []string `json:"errors"`
	}{texts[0], texts})
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(b)
}
