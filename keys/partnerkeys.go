package keys

import (
	"maps"
	"slices"
)

// PartnerKeySource gives the partner API key of an instance, by the name of the instance, such as "EU-01". It returns a
// key that passes [PartnerKey.Validate] or an error, never the key of another instance. Implementations must be safe
// for concurrent use. [PartnerKey] and [PartnerKeys] are the two of this package.
type PartnerKeySource interface {
	PartnerKeyFor(instance string) (PartnerKey, error)
}

// PartnerKeys are the partner API keys by the name of the instance, such as "US-03" or "EU-01". A key that is valid on
// several instances is entered once for each of them. Which instances share a key is documented only roughly (one key
// for the US, another for the EU), so nothing is guessed from a name.
//
// It must not be changed while it is in use.
type PartnerKeys map[string]PartnerKey

var _ PartnerKeySource = PartnerKeys{}

// PartnerKeyFor returns the key of the instance of exactly this name, an [*UnknownInstanceError] when there is none, or
// an [*InvalidError] when there is one that cannot be sent.
func (k PartnerKeys) PartnerKeyFor(instance string) (PartnerKey, error) {
	key, ok := k[instance]
	if !ok {
		return PartnerKey{}, &UnknownInstanceError{Instance: instance, Known: slices.Sorted(maps.Keys(k))}
	}
	if reason := check(key.Reveal()); reason != "" {
		return PartnerKey{}, &InvalidError{Field: fieldPartnerKey, Instance: instance, Reason: reason}
	}
	return key, nil
}
