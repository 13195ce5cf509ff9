package keys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// VerifyFunc tells whether the endpoint accepts requests with this key. It returns nil only if it does; the method CheckKey of cohort.Importer
// is one. It may wait as long as its context lets it.
type VerifyFunc func(ctx context.Context, key ImportKey) error

// Ring replaces a data import key by another without a request lost in between. It is the [Source] of the active key, and as a [Listener] it learns
// from every request which keys work.
//
// A key goes through the states of [KeyState]. [Ring.Stage] takes in what the customer generated on the partner's page, [Ring.Promote] verifies
// it and makes it the active key, and the one before it is retiring until the customer has invalidated it. There is one active key, at most one
// staged and at most one retiring; what a newer one displaces leaves the ring.
//
// When a request is refused for a reason that can be the import key's fault, the Ring offers another key for that request: the staged one, else
// the retiring one. What then happens to the keys is up to what is accepted, never to a refusal alone:
//
//   - If the other key is accepted, and the active one was refused by a text that names the import key, the two change places: the other key
//     is active, the refused one retiring. That is how a customer may invalidate a key before its successor is promoted, and how the old key
//     comes back when the new one turns out to be wrong.
//   - If the active key is accepted again while the retiring one is known to be refused by such a text, the retiring one is invalidated.
//   - If no key is accepted, nothing changes: then the partner key or the instance is the suspect, and the importer's error says so.
//
// A refusal by a text that names nothing is worth a try with the other key too, but it never moves a key, since it can have any
// cause: requests then take the other key each time anew, until Promote decides. A wrong partner key and a partner that is not enabled are cured by
// no import key, so nothing is tried.
//
// A Ring is safe for concurrent use, starts no goroutine, waits for nothing but the function given to Promote, and holds no lock meanwhile. It
// shows fingerprints when it is printed, and writes no secret anywhere. Make one with [NewRing] or [RestoreRing]: the zero
// Ring has no key and panics. It must not be copied.
type Ring struct {
	observers []func(Transition)

	mu          sync.Mutex
	active      *ringEntry
	staged      *ringEntry   // nil for none
	retiring    *ringEntry   // nil for none
	invalidated []RingKey    // the longest ago first
	untold      []Transition // still to be told to the observers
	telling     bool         // somebody does so
}

var (
	_ Source   = (*Ring)(nil)
	_ Listener = (*Ring)(nil)
)

// ringEntry is a key that the ring can still use. Who has the ring's lock may read and change it, but for the key, which stays.
type ringEntry struct {
	RingKey
	key    ImportKey
	marked bool // refused by a text that names the import key, and not accepted since
}

// NewRing returns a Ring with this active key, which is taken at its word: there is no other. The error is an [*InvalidError] for what cannot be a
// key.
func NewRing(active ImportKey, opts ...RingOption) (*Ring, error) {
	if err := active.Validate(); err != nil {
		return nil, err
	}
	r, err := newRing(opts)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.unlock()
	r.active = enter(active)
	r.move(r.active, KeyActive)
	return r, nil
}

func newRing(opts []RingOption) (*Ring, error) {
	r := &Ring{}
	for _, o := range opts {
		if o == nil {
			return nil, errors.New("keys: ring: an option is nil: leave it out")
		}
		if err := o.applyRing(r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func enter(key ImportKey) *ringEntry {
	return &ringEntry{key: key, RingKey: RingKey{Fingerprint: key.Fingerprint()}}
}

// Stage takes in the key that shall follow the active one. Requests go on with the active key; the staged one serves those alone that are refused
// with it. A key staged before is replaced and leaves the ring. For the active and the staged key Stage does nothing; the retiring one is
// staged again.
//
// The error is an [*InvalidError] for what cannot be a key, and matches [ErrInvalidatedKey] for one that the ring knows to be invalidated.
func (r *Ring) Stage(key ImportKey) error {
	if err := key.Validate(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.unlock()
	return r.stage(key)
}

func (r *Ring) stage(key ImportKey) error {
	e := r.find(key)
	switch e {
	case nil:
		e = enter(key)
		if r.isInvalidated(e.Fingerprint) {
			return fmt.Errorf("keys: stage %s: %w", e.Fingerprint, ErrInvalidatedKey)
		}
	case r.retiring:
		r.retiring = nil
	default:
		return nil
	}
	if r.staged != nil {
		r.move(r.staged, KeyAbsent)
	}
	r.staged = e
	r.move(e, KeyStaged)
	return nil
}

// Promote makes the staged key active if verify returns nil for it, and the active one retiring; one that was retiring leaves the ring. If verify
// fails nothing changes, and the error wraps its own. Without a staged key the error matches [ErrNoStagedKey].
//
// Whoever must go on although the check of an endpoint is inconclusive passes a function that says so; the old key stays as the retiring one
// and comes back if the new one does not work.
func (r *Ring) Promote(ctx context.Context, verify VerifyFunc) error {
	if verify == nil {
		return errors.New("keys: promote: no function to verify the key: pass one such as the method CheckKey of an importer")
	}
	r.mu.Lock()
	e, active := r.staged, r.active.Fingerprint
	r.mu.Unlock()
	if e == nil {
		return fmt.Errorf("keys: promote: %w", ErrNoStagedKey)
	}
	if err := verify(ctx, e.key); err != nil {
		return fmt.Errorf("keys: promote: the staged key %s could not be verified, so %s is not replaced by it: %w", e.Fingerprint, active, err)
	}
	r.mu.Lock()
	defer r.unlock()
	switch e {
	case r.staged:
		r.activate(e)
	case r.active: // a request, or another Promote, was faster
	default:
		return fmt.Errorf("keys: promote: the key %s is not staged any more: look which key is, and promote again", e.Fingerprint)
	}
	return nil
}

// Invalidated tells the ring that the customer has invalidated the key with this fingerprint, so that it is used no more. It invalidates nothing
// itself: that is done on the partner's page. For an invalidated key it does nothing.
//
// The error matches [ErrActiveKey] for the active key and [ErrUnknownKey] for one that is not in the ring. It does not repeat the fingerprint,
// lest a key that is passed by mistake end up in a log.
func (r *Ring) Invalidated(fingerprint string) error {
	r.mu.Lock()
	defer r.unlock()
	switch {
	case r.active.Fingerprint == fingerprint:
		return fmt.Errorf("keys: invalidated: %w", ErrActiveKey)
	case r.staged != nil && r.staged.Fingerprint == fingerprint:
		r.invalidate(&r.staged)
	case r.retiring != nil && r.retiring.Fingerprint == fingerprint:
		r.invalidate(&r.retiring)
	case !r.isInvalidated(fingerprint):
		return fmt.Errorf("keys: invalidated: %w", ErrUnknownKey)
	}
	return nil
}

// ImportKey returns the active key. It never fails and does not wait.
func (r *Ring) ImportKey(context.Context) (ImportKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.active.key, nil
}

// Accepted hears that a request with this key was accepted. See [Ring] for what that changes. A key that is not in the ring is ignored.
func (r *Ring) Accepted(key ImportKey) {
	r.mu.Lock()
	defer r.unlock()
	e := r.find(key)
	if e == nil {
		return
	}
	e.AcceptedAt, e.marked = now(), false
	switch {
	case e != r.active && r.active.marked:
		r.activate(e)
	case e == r.active && r.retiring != nil && r.retiring.marked:
		r.invalidate(&r.retiring)
	}
}

// Refused hears that a request with this key was refused as unauthorized, and returns another key if that is worth a try. By itself it changes
// no state.
func (r *Ring) Refused(key ImportKey, cause Cause) (other ImportKey, ok bool) {
	if !cause.SuspectsImportKey() {
		return ImportKey{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.find(key)
	if e != nil && cause == CauseImportKey {
		e.marked = true
	}
	next := r.active // for a request that began with what is active no more
	if e == r.active {
		next = r.spare()
	}
	if next == nil {
		return ImportKey{}, false
	}
	return next.key, true
}

// spare returns the key to try in place of the active one, or nil.
func (r *Ring) spare() *ringEntry {
	if r.staged == nil || r.staged.marked && r.retiring != nil && !r.retiring.marked {
		return r.retiring
	}
	return r.staged
}

// Snapshot returns what the ring knows of its keys, without the keys: see [RestoreRing].
func (r *Ring) Snapshot() RingSnapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := []RingKey{r.active.RingKey}
	for _, e := range []*ringEntry{r.staged, r.retiring} {
		if e != nil {
			list = append(list, e.RingKey)
		}
	}
	return RingSnapshot{Keys: append(list, r.invalidated...)}
}

// String names the states and fingerprints of the keys that are in use: "keys.Ring{active: cdba80b4, staged: 1d7b3a04}".
func (r *Ring) String() string {
	var held []string
	for _, k := range r.Snapshot().Keys {
		if k.State != KeyInvalidated {
			held = append(held, k.State.String()+": "+k.Fingerprint)
		}
	}
	return "keys.Ring{" + strings.Join(held, ", ") + "}"
}

// Format prints String under every verb.
func (r *Ring) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// What follows needs the lock.

func (r *Ring) find(key ImportKey) *ringEntry {
	for _, e := range []*ringEntry{r.active, r.staged, r.retiring} {
		if e != nil && e.key == key {
			return e
		}
	}
	return nil
}

func (r *Ring) isInvalidated(fingerprint string) bool {
	return slices.ContainsFunc(r.invalidated, func(k RingKey) bool { return k.Fingerprint == fingerprint })
}

// activate puts the staged or the retiring key in the place of the active one.
func (r *Ring) activate(e *ringEntry) {
	old := r.active
	r.move(e, KeyActive)
	r.move(old, KeyRetiring)
	if e == r.staged {
		r.staged = nil
		if r.retiring != nil {
			r.move(r.retiring, KeyAbsent)
		}
	}
	r.active, r.retiring = e, old
}

// invalidate empties the place of a key and remembers what is known of it.
func (r *Ring) invalidate(place **ringEntry) {
	e := *place
	*place = nil
	r.move(e, KeyInvalidated)
	r.invalidated = append(r.invalidated, e.RingKey)
}

func (r *Ring) move(e *ringEntry, to KeyState) {
	t := Transition{Fingerprint: e.Fingerprint, From: e.State, To: to, At: now()}
	e.State, e.Since = to, t.At
	if len(r.observers) > 0 {
		r.untold = append(r.untold, t)
	}
}

// unlock ends what was done under the lock, and tells of it: unless somebody is telling already, who will then tell of this too.
func (r *Ring) unlock() {
	mine := !r.telling && len(r.untold) > 0
	r.telling = r.telling || mine
	r.mu.Unlock()
	if !mine {
		return
	}
	all := false
	defer func() {
		if !all { // an observer panicked; who survives that shall hear of the rest
			r.mu.Lock()
			r.telling = false
			r.mu.Unlock()
		}
	}()
	for {
		t, ok := r.nextUntold()
		if !ok {
			all = true
			return
		}
		for _, f := range r.observers {
			f(t)
		}
	}
}

// nextUntold returns the next transition to tell of, or notes that nobody is telling any more. It takes the lock itself.
func (r *Ring) nextUntold() (t Transition, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.untold) == 0 {
		r.untold, r.telling = nil, false
		return Transition{}, false
	}
	t = r.untold[0]
	r.untold = r.untold[1:]
	return t, true
}
