package brazetest

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Target says which requests a fault is for. Make one with [AnyRequest], [Naming], [Users], [To] or [ToSends], and narrow it
// with its methods, each of which returns a new value.
type Target struct {
	name    string
	nth     int
	matches []func(*exchange) bool
}

// AnyRequest matches every request, whatever its path.
func AnyRequest() Target { return Target{name: "any request"} }

// Naming matches requests that name a cohort.
func Naming() Target {
	return Target{name: "cohort naming"}.where(func(e *exchange) bool { return e.operation == NameCohort })
}

// Users matches requests that change the users of a cohort.
func Users() Target {
	return Target{name: "cohort users"}.where(func(e *exchange) bool { return e.operation == ChangeUsers })
}

// To matches requests of this operation: To(ListSegments).
func To(o Operation) Target {
	return Target{name: o.String()}.where(func(e *exchange) bool { return e.operation == o })
}

// ToSends matches the three operations that send: [TriggerCampaign], [TriggerCanvas] and [SendMessages].
func ToSends() Target {
	return Target{name: "sends"}.where(func(e *exchange) bool {
		return e.operation == TriggerCampaign || e.operation == TriggerCanvas || e.operation == SendMessages
	})
}

// Cohort narrows the target to requests for this cohort ID.
func (t Target) Cohort(id string) Target {
	return t.named("of one cohort").where(func(e *exchange) bool { return e.view.CohortID == id })
}

// Partner narrows the target to requests of this partner.
func (t Target) Partner(p *Partner) Target {
	return t.named("of partner " + p.slug).where(func(e *exchange) bool { return e.partner == p })
}

// Workspace narrows the target to requests with an import key or a REST key of this workspace.
func (t Target) Workspace(w *Workspace) Target {
	return t.named("of one workspace").where(func(e *exchange) bool {
		return e.page != nil && e.page.workspace == w || e.restKey != nil && e.restKey.workspace == w
	})
}

// Nth narrows the target to the n-th request, from 1, of those that arrive after the injection and match otherwise.
func (t Target) Nth(n int) Target {
	t.nth = n
	return t.named(fmt.Sprintf("number %d", n))
}

// Where narrows the target by a function, which gets the request as the log has it before it is processed. It is called
// without any lock held.
func (t Target) Where(match func(Request) bool) Target {
	return t.named("by a condition").where(func(e *exchange) bool {
		r := e.view
		r.Changes = slices.Clone(r.Changes)
		return match(r)
	})
}

// String describes the target: "cohort users of one cohort".
func (t Target) String() string {
	if t.name == "" {
		return "any request"
	}
	return t.name
}

func (t Target) named(more string) Target {
	t.name = t.String() + " " + more
	return t
}

func (t Target) where(match func(*exchange) bool) Target {
	t.matches = append(slices.Clip(t.matches), match)
	return t
}

// Injection is a fault waiting for its request. Its methods are safe for concurrent use.
type Injection struct {
	target Target
	fault  Fault

	mu       sync.Mutex
	times    int // 0: without end
	window   time.Duration
	until    time.Time
	optional bool
	removed  bool
	seen     int
	fired    int
}

// Inject makes the fault happen to the next request that matches the target, once unless a method of the result says
// otherwise. Injections have their turn in the order of registration: the first that matches and has not been used up
// takes the request, alone unless it is a [Delay].
//
// A fault has its turn before keys, fields and the rate limit are checked, and draws on the rate limit only if it lets
// the request take effect. [Server.Close] fails when a fault did not fire as often as it should have.
func (s *Server) Inject(t Target, f Fault) *Injection {
	i := &Injection{target: t, fault: f, times: 1}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, i)
	return i
}

// Times makes the fault happen n times; n below 1 counts as 1.
func (i *Injection) Times(n int) *Injection { return i.set(func() { i.times = max(n, 1) }) }

// Always makes the fault happen to every request that matches. It still has to fire once.
func (i *Injection) Always() *Injection { return i.set(func() { i.times = 0 }) }

// For makes the fault happen to every request that matches, from the first such request on and for this long.
func (i *Injection) For(d time.Duration) *Injection {
	return i.set(func() { i.times, i.window = 0, d })
}

// Optional allows the fault not to fire.
func (i *Injection) Optional() *Injection { return i.set(func() { i.optional = true }) }

// Remove ends the injection. It need not have fired.
func (i *Injection) Remove() { i.set(func() { i.removed, i.optional = true, true }) }

// Fired returns how often the fault has happened.
func (i *Injection) Fired() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fired
}

func (i *Injection) set(change func()) *Injection {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
	return i
}

// matches asks the conditions of the target, without a lock.
func (i *Injection) matches(e *exchange) bool {
	if i.fault.overlap && e.others == 0 {
		return false
	}
	for _, match := range i.target.matches {
		if !match(e) {
			return false
		}
	}
	return true
}

// claim counts a request that matches, and uses the injection for it unless the request is taken already.
func (i *Injection) claim(now time.Time, taken bool) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.seen++
	switch {
	case taken,
		i.removed,
		i.times > 0 && i.fired >= i.times,
		i.target.nth > 0 && i.seen != i.target.nth,
		i.window > 0 && i.fired > 0 && !now.Before(i.until):
		return false
	}
	if i.fired == 0 {
		i.until = now.Add(i.window)
	}
	i.fired++
	return true
}

// left describes what has not fired, or returns "".
func (i *Injection) left() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	want := max(i.times, 1)
	if i.optional || i.fired >= want {
		return ""
	}
	return fmt.Sprintf("%d of %d left: %v, on %v", want-i.fired, want, i.fault, i.target)
}

// injections are all injections of a server, in the order of registration.
type injections struct {
	mu   sync.RWMutex
	list []*Injection
}

// plan is what the injections do to one request.
type plan struct {
	name          string
	before, after time.Duration
	fault         *Fault // nil for none
}

func (n *injections) plan(e *exchange) plan {
	n.mu.RLock()
	list := n.list // only ever appended to
	n.mu.RUnlock()
	var p plan
	now := time.Now()
	for _, i := range list {
		if !i.matches(e) || !i.claim(now, p.fault != nil) {
			continue
		}
		if p.name != "" {
			p.name += "; "
		}
		p.name += i.fault.String()
		if i.fault.delay == 0 {
			p.fault = &i.fault
			continue
		}
		if i.fault.applied {
			p.after += i.fault.delay
		} else {
			p.before += i.fault.delay
		}
	}
	return p
}

func (n *injections) unfired() error {
	n.mu.RLock()
	defer n.mu.RUnlock()
	var left []string
	for _, i := range n.list {
		if text := i.left(); text != "" {
			left = append(left, text)
		}
	}
	if left == nil {
		return nil
	}
	return &UnfiredError{Injections: left}
}
