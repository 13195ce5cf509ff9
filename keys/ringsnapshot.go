package keys

import (
	"fmt"
	"time"
)

// RingKey is what a [Ring] shows of a key.
type RingKey struct {
	Fingerprint string    `json:"fingerprint"`          // as [ImportKey] computes it
	State       KeyState  `json:"state"`                // where the key stands
	Since       time.Time `json:"since"`                // when it came to stand there, in UTC
	AcceptedAt  time.Time `json:"accepted_at,omitzero"` // the last request that the endpoint accepted with it, in UTC; zero for none
}

// RingSnapshot is what a [Ring] knows of its keys, to be kept over a restart. It holds no secret and can be written as JSON.
type RingSnapshot struct {
	// Keys lists the active key, then the staged and the retiring one if there are such, then the invalidated ones, the longest ago first.
	Keys []RingKey `json:"keys"`
}

// RestoreRing returns a Ring with the states of a snapshot. A snapshot has no keys, so they come from wherever secrets are kept, all of them and in
// any order, and are told apart by their fingerprints:
//
//   - The active key must be there. If it is not, the error matches [ErrMissing]; [NewRing] then starts over with a key that is.
//   - A staged or retiring key that is not there leaves the ring.
//   - A key that the snapshot does not know is staged, as by [Ring.Stage].
//   - An invalidated one is not used.
//
// Two keys to stage are one too many, which is an error, as is a snapshot that no Ring has made ([*InvalidError]).
func RestoreRing(snapshot RingSnapshot, available []ImportKey, opts ...RingOption) (*Ring, error) {
	r, err := newRing(opts)
	if err != nil {
		return nil, err
	}
	if !snapshot.valid() {
		return nil, &InvalidError{Field: fieldSnapshot, Reason: ReasonSnapshot}
	}
	unknown := make(map[string]ImportKey)
	for _, key := range available {
		if err := key.Validate(); err != nil {
			return nil, err
		}
		unknown[key.Fingerprint()] = key
	}
	for _, k := range snapshot.Keys {
		key, ok := unknown[k.Fingerprint]
		delete(unknown, k.Fingerprint)
		e := &ringEntry{RingKey: k, key: key}
		switch {
		case k.State == KeyInvalidated:
			r.invalidated = append(r.invalidated, k)
		case !ok && k.State == KeyActive:
			return nil, fmt.Errorf("keys: restore ring: the active key %s is not among the keys given: read it from where secrets are kept, "+
				"or start over with NewRing and another key: %w", k.Fingerprint, ErrMissing)
		case !ok:
			r.move(e, KeyAbsent)
		case k.State == KeyActive:
			r.active = e
		case k.State == KeyStaged:
			r.staged = e
		default:
			r.retiring = e
		}
	}
	if len(unknown) > 1 || len(unknown) == 1 && r.staged != nil {
		return nil, fmt.Errorf("keys: restore ring: more than one key would be staged: leave out all but the one that shall follow %s", r.active.Fingerprint)
	}
	r.mu.Lock()
	defer r.unlock()
	for _, key := range unknown {
		if err := r.stage(key); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// valid reports whether a Ring can have made the snapshot.
func (s RingSnapshot) valid() bool {
	seen := make(map[string]bool)
	var count [KeyInvalidated + 1]int
	for _, k := range s.Keys {
		if k.Fingerprint == "" || seen[k.Fingerprint] || k.State > KeyInvalidated {
			return false
		}
		seen[k.Fingerprint] = true
		count[k.State]++
	}
	return count[KeyAbsent] == 0 && count[KeyActive] == 1 && count[KeyStaged] <= 1 && count[KeyRetiring] <= 1
}
