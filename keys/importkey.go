package keys

import "context"

// ImportKey is a data import key: the secret a customer generates on the partner's page of the dashboard, which stands
// for one workspace there. It travels as client_secret in the body of a cohort request. Several can be valid at a time,
// and each can be invalidated.
//
// An ImportKey is immutable, comparable by ==, and safe for concurrent use. It is also the [Source] that always answers
// with itself. Its zero value is the absent key.
type ImportKey struct{ secret }

var _ Source = ImportKey{}

// NewImportKey returns the key with the given text, which is kept as it is. Whether the text can be a key at all is
// told by [ImportKey.Validate], at the latest when the key is used.
func NewImportKey(s string) ImportKey { return ImportKey{newSecret(s)} }

// Validate returns an [*InvalidError] when the key is absent, is not valid UTF-8, holds a control character, or starts
// or ends with a blank. The length and the characters of real keys are undocumented and not looked at.
func (k ImportKey) Validate() error { return k.validate(fieldImportKey) }

// ImportKey returns the key itself, or the error of [ImportKey.Validate]. It makes a fixed key a [Source]; the context
// is not used.
func (k ImportKey) ImportKey(context.Context) (ImportKey, error) {
	if err := k.Validate(); err != nil {
		return ImportKey{}, err
	}
	return k, nil
}
