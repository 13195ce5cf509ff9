package keys

import (
	"errors"
	"fmt"
	"time"
)

// Transition tells that a key of a [Ring] changed its state. It holds no secret.
type Transition struct {
	Fingerprint string    // the key, as [ImportKey] computes it
	From        KeyState  // KeyAbsent for a key that is new to the ring
	To          KeyState  // KeyAbsent for a key that left it
	At          time.Time // in UTC
}

// String describes the transition: "data import key cdba80b4: staged -> active".
func (t Transition) String() string {
	return fmt.Sprintf("%s %s: %s -> %s", fieldImportKey, t.Fingerprint, t.From, t.To)
}

// RingOption changes what [NewRing] and [RestoreRing] make. The order of options does not matter.
type RingOption interface{ applyRing(*Ring) error }

type onTransition func(Transition)

func (f onTransition) applyRing(r *Ring) error {
	if f == nil {
		return errors.New("keys: ring: the function of OnTransition is nil: leave the option out")
	}
	r.observers = append(r.observers, f)
	return nil
}

// OnTransition calls f after each transition, which is the moment to save a [Ring.Snapshot] and to write a line into a log. Transitions are told
// one at a time and in their order, in the goroutine of whoever calls the Ring: often that of a request, so f must be quick. No lock is held
// meanwhile, so f may use the Ring; what changes in f is told after f has returned. The option may be given several times.
func OnTransition(f func(Transition)) RingOption { return onTransition(f) }
