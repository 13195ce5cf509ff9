package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode/utf8"
	"unique"

	"github.com/cohortkit/cohortkit/internal/text"
)

// What a key shows in place of itself.
const (
	redacted = "[redacted]"
	absent   = "[no key]"
)

// secret is what the key types have in common.
//
// The text sits behind a pointer: fmt cannot call the methods of a value in an unexported field and prints its fields
// instead, which are then an address. The handle makes == compare texts all the same.
type secret struct {
	handle unique.Handle[string] // the zero handle is the absent key
}

func newSecret(s string) secret {
	if s == "" {
		return secret{}
	}
	return secret{handle: unique.Make(strings.Clone(s))}
}

// IsZero reports whether there is no key.
func (s secret) IsZero() bool { return s == secret{} }

// Reveal returns the text of the key, or "" when there is none. It is meant for the code that puts the key on the wire;
// the result must not be logged or become part of an error.
func (s secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.handle.Value()
}

// Fingerprint returns eight hexadecimal digits that stand for the key where logs of two systems are compared, or ""
// when there is no key. They are the start of a SHA-256 hash and do not depend on the type of the key, so the same text
// in two places shows as such. They are made to tell a handful of keys apart, not to prove anything.
func (s secret) Fingerprint() string {
	if s.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte("cohortkit key fingerprint 1\x00" + s.Reveal()))
	return hex.EncodeToString(sum[:4])
}

// String returns a fixed text that tells whether there is a key, and nothing about it.
func (s secret) String() string {
	if s.IsZero() {
		return absent
	}
	return redacted
}

// GoString returns the text of String.
func (s secret) GoString() string { return s.String() }

// Format prints the text of String under every verb and flag.
func (s secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue returns the text of String.
func (s secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON returns the text of String as a JSON string: a configuration may be dumped, its keys are not.
func (s secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// MarshalText returns the text of String.
func (s secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// GobEncode returns [ErrNotEncoded]. A gob is written to be read back, so a redacted one would lose the key unnoticed.
func (s secret) GobEncode() ([]byte, error) { return nil, ErrNotEncoded }

// UnmarshalJSON returns [ErrNotDecoded], except for null, which changes nothing.
func (s *secret) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	return ErrNotDecoded
}

// UnmarshalText returns [ErrNotDecoded]: it cannot tell a key from the text that stands for a redacted one.
func (s *secret) UnmarshalText([]byte) error { return ErrNotDecoded }

// GobDecode returns [ErrNotDecoded].
func (s *secret) GobDecode([]byte) error { return ErrNotDecoded }

func (s secret) validate(field string) error {
	if reason := check(s.Reveal()); reason != "" {
		return &InvalidError{Field: field, Reason: reason}
	}
	return nil
}

// check returns what is wrong with the text of a key, or "". The real format of the keys is undocumented, so only what
// no key can hold, and what a careless copy adds, is refused.
func check(s string) Reason {
	switch text.Check(s) {
	case text.None:
	case text.Empty:
		return ReasonEmpty
	case text.InvalidUTF8:
		return ReasonEncoding
	default:
		return ReasonControl
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	if isBlank(first) || isBlank(last) {
		return ReasonBlank
	}
	return ""
}
