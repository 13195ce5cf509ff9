package keys

import "fmt"

// KeyState is where a key of a [Ring] stands. Its text forms, "staged", "active", "retiring" and "invalidated", are those of String, and are
// kept: they are what a saved [RingSnapshot] holds.
type KeyState uint8

// The states, in the order of a key's life.
const (
	KeyAbsent      KeyState = iota // not in the ring, or no longer
	KeyStaged                      // handed over, not yet trusted with all requests
	KeyActive                      // the one that requests carry
	KeyRetiring                    // the one that was active before, kept as long as it may be needed
	KeyInvalidated                 // given up for good; the ring remembers its fingerprint alone
)

var keyStates = [...]string{KeyAbsent: "absent", KeyStaged: "staged", KeyActive: "active", KeyRetiring: "retiring", KeyInvalidated: "invalidated"}

// String returns the state in a word.
func (s KeyState) String() string {
	if int(s) >= len(keyStates) {
		return "invalid state"
	}
	return keyStates[s]
}

// MarshalText returns the text of String. A value that is none of the constants is an error.
func (s KeyState) MarshalText() ([]byte, error) {
	if int(s) >= len(keyStates) {
		return nil, fmt.Errorf("keys: %d is no state of a key: use one of the constants", uint8(s))
	}
	return []byte(s.String()), nil
}

// UnmarshalText reads what MarshalText wrote. Anything else is an error.
func (s *KeyState) UnmarshalText(text []byte) error {
	for state, name := range keyStates {
		if name == string(text) {
			*s = KeyState(state)
			return nil
		}
	}
	return fmt.Errorf("keys: a key cannot have the state %.20q: the states are %q", text, keyStates)
}
