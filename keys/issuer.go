package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Issuer is the endpoint's side of import keys: what the partner's page of a dashboard stands on. The customer
// generates keys there, sees which exist, and invalidates old ones; several can be valid at a time. One Issuer serves
// one workspace and one partner.
//
// It keeps hashes and never a key. The hash is a plain SHA-256, which is enough because a generated key has 128 random
// bits; it would not protect an adopted key that can be guessed.
//
// An Issuer lives in memory, is safe for concurrent use, and must not be copied after its first use. The zero value is
// ready to use and the same as what [NewIssuer] returns.
type Issuer struct {
	mu   sync.RWMutex
	list []issued // in the order of creation
}

type issued struct {
	hash [sha256.Size]byte
	key  IssuedKey
}

// IssuedKey is what an [Issuer] shows of a key.
type IssuedKey struct {
	// Fingerprint is that of the key, as [ImportKey] computes it. It is unique within an Issuer.
	Fingerprint string
	// CreatedAt is when the key was generated or adopted, in UTC.
	CreatedAt time.Time
	// InvalidatedAt is when the key was invalidated, in UTC, or the zero time while it is valid.
	InvalidatedAt time.Time
}

// Valid reports whether the key was not invalidated.
func (k IssuedKey) Valid() bool { return k.InvalidatedAt.IsZero() }

// NewIssuer returns an Issuer without keys.
func NewIssuer() *Issuer { return &Issuer{} }

// The shape of a generated key: eight groups of four hexadecimal digits, 128 random bits. The format of Braze's own
// keys is undocumented; its examples are groups joined by hyphens as well.
const (
	keyBytes   = 16
	groupBytes = 2
	// A repeat among 2^32 fingerprints happens by chance once in a very long life; several in a row do not.
	generateTries = 8
)

// Generate issues a new key and returns it. This is the only time the key is seen. The key has 128 random bits in
// groups of hexadecimal digits joined by hyphens; code must not rely on that format. The error says that the system's
// random source repeats itself.
func (i *Issuer) Generate() (ImportKey, error) {
	for range generateTries {
		var raw [keyBytes]byte
		_, _ = rand.Read(raw[:]) // never fails: it ends the program instead
		groups := make([]string, 0, keyBytes/groupBytes)
		for b := 0; b < keyBytes; b += groupBytes {
			groups = append(groups, hex.EncodeToString(raw[b:b+groupBytes]))
		}
		key := NewImportKey(strings.Join(groups, "-"))
		if _, err := i.Adopt(key); err == nil {
			return key, nil
		}
	}
	return ImportKey{}, errors.New("keys: generate: the random source repeats itself: check the source of randomness of this system")
}

// Adopt adds a key that was made elsewhere, such as the fixed key of a test, as if it were generated now. It returns an
// [*InvalidError] when the key cannot be sent, and an error that matches [ErrIssuedKey] when this key, or one with the
// same fingerprint, is in the list already, be it invalidated or not.
func (i *Issuer) Adopt(key ImportKey) (IssuedKey, error) {
	if err := key.Validate(); err != nil {
		return IssuedKey{}, err
	}
	entry := issued{
		hash: hash(key.Reveal()),
		key:  IssuedKey{Fingerprint: key.Fingerprint(), CreatedAt: now()},
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, known := range i.list {
		if known.key.Fingerprint == entry.key.Fingerprint {
			return IssuedKey{}, fmt.Errorf("keys: adopt: %w", ErrIssuedKey)
		}
	}
	i.list = append(i.list, entry)
	return entry.key, nil
}

// List returns all keys ever issued, invalidated ones too, in the order of their creation. The slice is the caller's.
func (i *Issuer) List() []IssuedKey {
	i.mu.RLock()
	defer i.mu.RUnlock()
	list := make([]IssuedKey, len(i.list))
	for n, known := range i.list {
		list[n] = known.key
	}
	return list
}

// Invalidate makes the key with this fingerprint invalid for good. It returns an error that matches [ErrUnknownKey]
// when there is no such key and [ErrInvalidatedKey] when it is invalid already. The error does not repeat the
// fingerprint, lest a key that is passed by mistake end up in a log.
func (i *Issuer) Invalidate(fingerprint string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	for n := range i.list {
		known := &i.list[n].key
		switch {
		case known.Fingerprint != fingerprint:
		case !known.Valid():
			return fmt.Errorf("keys: invalidate: %w", ErrInvalidatedKey)
		default:
			known.InvalidatedAt = now()
			return nil
		}
	}
	return fmt.Errorf("keys: invalidate: %w", ErrUnknownKey)
}

// Authenticate looks up a received text. It returns the key when it is valid, the key and an error that matches
// [ErrInvalidatedKey] when it was invalidated, and an error that matches [ErrUnknownKey] otherwise. The two errors are
// for the owner of the Issuer; whoever sent the text should get the same answer to both.
//
// The text is compared with all keys by their hashes, in a time that depends on the number of keys and the length of
// the text alone.
func (i *Issuer) Authenticate(text string) (IssuedKey, error) {
	received := hash(text)
	i.mu.RLock()
	found := -1
	for n := range i.list {
		equal := subtle.ConstantTimeCompare(i.list[n].hash[:], received[:])
		found = subtle.ConstantTimeSelect(equal, n, found)
	}
	var key IssuedKey
	if found >= 0 {
		key = i.list[found].key
	}
	i.mu.RUnlock()

	switch {
	case found < 0:
		return IssuedKey{}, fmt.Errorf("keys: authenticate: %w", ErrUnknownKey)
	case !key.Valid():
		return key, fmt.Errorf("keys: authenticate: %w", ErrInvalidatedKey)
	default:
		return key, nil
	}
}

// hash has a prefix of its own, so that the fingerprint that is shown is no part of it.
func hash(text string) [sha256.Size]byte {
	return sha256.Sum256([]byte("cohortkit key issuer 1\x00" + text))
}

// now leaves out the monotonic reading, so that what is listed can be compared and stored.
func now() time.Time { return time.Now().Round(0).UTC() }
