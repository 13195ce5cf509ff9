package keys

// RESTKey is a REST API key: the secret of one workspace that travels as a bearer token in the Authorization header of
// the REST calls which may follow an import. Its permissions are set when it is created. No cohort request carries it.
//
// A RESTKey is immutable, comparable by ==, and safe for concurrent use. Its zero value is the absent key.
type RESTKey struct{ secret }

// NewRESTKey returns the key with the given text, which is kept as it is. Whether the text can be a key at all is told
// by [RESTKey.Validate], at the latest when the key is used.
func NewRESTKey(s string) RESTKey { return RESTKey{newSecret(s)} }

// Validate returns an [*InvalidError] when the key is absent, is not valid UTF-8, holds a control character, or starts
// or ends with a blank. The length and the characters of real keys are undocumented and not looked at.
func (k RESTKey) Validate() error { return k.validate(fieldRESTKey) }
