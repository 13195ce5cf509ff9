package keys

// PartnerKey is a partner API key: the secret Braze gives to a partner before it builds its integration. It travels as
// partner_api_key in the body of a cohort request and is valid on one instance or on a group of them.
//
// A PartnerKey is immutable, comparable by ==, and safe for concurrent use. It is also the [PartnerKeySource] that gives
// the same key to every instance. Its zero value is the absent key.
type PartnerKey struct{ secret }

var _ PartnerKeySource = PartnerKey{}

// NewPartnerKey returns the key with the given text, which is kept as it is. Whether the text can be a key at all is
// told by [PartnerKey.Validate], at the latest when the key is used.
func NewPartnerKey(s string) PartnerKey { return PartnerKey{newSecret(s)} }

// Validate returns an [*InvalidError] when the key is absent, is not valid UTF-8, holds a control character, or starts
// or ends with a blank. The length and the characters of real keys are undocumented and not looked at.
func (k PartnerKey) Validate() error { return k.validate(fieldPartnerKey) }

// PartnerKeyFor returns the key itself for every instance, or the error of [PartnerKey.Validate].
func (k PartnerKey) PartnerKeyFor(string) (PartnerKey, error) {
	if err := k.Validate(); err != nil {
		return PartnerKey{}, err
	}
	return k, nil
}
