package brazetest

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Request is an entry of the request log. It holds no secret, and none of the identifiers of users.
type Request struct {
	// Number counts the requests in the order of arrival, from 1.
	Number int
	// At is when the request had arrived with its header. Body is the length of its body in bytes, as far as it was read.
	At   time.Time
	Body int
	// Method, Host and Path are those of the request line and header. Path has no query.
	Method, Host, Path string
	// Operation follows from the path, as does Partner, the slug.
	Operation Operation
	Partner   string
	// Instance is the instance of the host, or on a host that is none of Braze's, the instance of the workspace.
	Instance string
	// Workspace is the name of the workspace that the import key or REST key belongs to, and KeyFingerprint is the
	// fingerprint of that key, as package keys computes it. Both are empty for an unknown key.
	Workspace, KeyFingerprint string
	// CohortID is empty when the body does not state it. CohortName is that of a naming request.
	CohortID, CohortName string
	// Changes has the change objects of a users request, in their order.
	Changes []ChangeCount
	// Status is the status answered, and 0 when the connection was dropped without one or while the request is in
	// progress. It is here before the client can see it.
	Status int
	// Applied says whether the request took effect, even if its answer was lost. An accepted request that had nothing to
	// change, such as a users request without any identifier or a list of segments, counts as applied.
	Applied bool
	// Fault describes the injected fault that shaped the answer, or is empty.
	Fault string
	// Took is how long it took until the answer began, and 0 until then.
	Took time.Duration
}

// ChangeCount counts the identifiers of a change object.
type ChangeCount struct {
	Remove                          bool
	ExternalIDs, DeviceIDs, Aliases int
}

// Identifiers returns the number of identifiers of all kinds.
func (c ChangeCount) Identifiers() int { return c.ExternalIDs + c.DeviceIDs + c.Aliases }

// Identifiers returns the number of identifiers in the request.
func (r Request) Identifiers() int {
	n := 0
	for _, c := range r.Changes {
		n += c.Identifiers()
	}
	return n
}

// Change is a change object of a users request with its identifiers. Printing it shows them.
type Change struct {
	Remove      bool
	Identifiers []Identifier // external IDs, then aliases, then device IDs, each in the order of its list
}

// Counters sum up the request log. They survive [Server.ForgetRequests].
type Counters struct {
	// Requests that have arrived.
	Requests int
	// Identifiers in the requests that were applied.
	Identifiers int
	// ByStatus counts the requests that were answered, by status; 0 are those whose connection was dropped.
	ByStatus map[int]int
}

// requestLog keeps an entry for each request, about 400 bytes.
type requestLog struct {
	mu       sync.Mutex
	arrived  int
	entries  []*Request
	changes  map[int][]Change
	counters Counters
}

func (l *requestLog) init() {
	l.counters.ByStatus = make(map[int]int)
	l.changes = make(map[int][]Change)
}

// begin enters a request, which the caller fills in through update and end.
func (l *requestLog) begin(r Request) *Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrived++
	l.counters.Requests++
	r.Number = l.arrived
	l.entries = append(l.entries, &r)
	return &r
}

// update changes an entry and returns a copy of it.
func (l *requestLog) update(entry *Request, change func(*Request)) Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(entry)
	return *entry
}

func (l *requestLog) end(entry *Request, status int, changes []Change) {
	took := time.Since(entry.At) // At never changes
	l.mu.Lock()
	defer l.mu.Unlock()
	entry.Status = status
	entry.Took = took
	l.counters.ByStatus[status]++
	if entry.Applied {
		l.counters.Identifiers += entry.Identifiers()
	}
	if changes != nil {
		l.changes[entry.Number] = changes
	}
}

// Requests returns the requests so far in the order of arrival, those in progress too.
func (s *Server) Requests() []Request {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	list := make([]Request, len(s.log.entries))
	for i, e := range s.log.entries {
		list[i] = *e
		list[i].Changes = slices.Clone(e.Changes)
	}
	return list
}

// ForgetRequests empties the request log, which costs some 400 bytes a request, and drops the identifiers kept by
// [KeepIdentifiers]. Numbers go on where they were.
func (s *Server) ForgetRequests() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.log.entries = nil
	clear(s.log.changes)
}

// Counters returns the counters.
func (s *Server) Counters() Counters {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	c := s.log.counters
	c.ByStatus = maps.Clone(c.ByStatus)
	return c
}

// Changes returns the change objects of a users request by its number, with the identifiers of users as they were sent.
// It needs [KeepIdentifiers], and returns nil for a request that is in progress, was forgotten or had no changes that
// could be read.
func (s *Server) Changes(number int) []Change {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	list := slices.Clone(s.log.changes[number])
	for i := range list {
		list[i].Identifiers = slices.Clone(list[i].Identifiers)
	}
	return list
}

// MaxOverlap returns how many requests to a partner's cohort were in progress at one time, at most: from when the body
// was read until the answer began.
func (w *Workspace) MaxOverlap(p *Partner, cohortID string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if o := w.pageLocked(p).inflight[cohortID]; o != nil {
		return o.max
	}
	return 0
}

// overlap counts the requests to one cohort that are in progress.
type overlap struct{ now, max int }

// enter counts a request in and returns how many others are in progress.
func (pg *page) enter(cohortID string) (others int) {
	w := pg.workspace
	w.mu.Lock()
	defer w.mu.Unlock()
	o := pg.inflight[cohortID]
	if o == nil {
		o = &overlap{}
		pg.inflight[cohortID] = o
	}
	o.now++
	o.max = max(o.max, o.now)
	return o.now - 1
}

func (pg *page) leave(cohortID string) {
	w := pg.workspace
	w.mu.Lock()
	defer w.mu.Unlock()
	pg.inflight[cohortID].now--
}
