package identity

import "slices"

// Verdict is how an [ID] and a [Profile] relate, and why. The zero value is [NoSuchIdentifier].
type Verdict uint8

// The verdicts of [Rules.Match]. The first four mean that a change with this identifier is skipped in silence.
const (
	NoSuchIdentifier    Verdict = iota // the profile does not have the identifier
	IgnoredDevice                      // the profile has the device, but it is identified, so devices do not count
	IgnoredAlias                       // the profile has the alias, but no external ID, and the rules ask for one
	IgnoredDeprecatedID                // the profile had the external ID once, and the rules do not count it
	MatchedExternalID                  // matched by its external ID
	MatchedDeprecatedID                // matched by an external ID that it had before it was renamed
	MatchedAlias                       // matched by an alias
	MatchedDevice                      // matched by a device
)

// Matched reports whether a change with the identifier reaches the profile.
func (v Verdict) Matched() bool { return v >= MatchedExternalID && v <= MatchedDevice }

// String returns the verdict in words.
func (v Verdict) String() string {
	switch v {
	case NoSuchIdentifier:
		return "not matched: no such identifier on the profile"
	case IgnoredDevice:
		return "not matched: device of an identified profile"
	case IgnoredAlias:
		return "not matched: alias of a profile without external ID"
	case IgnoredDeprecatedID:
		return "not matched: deprecated external ID"
	case MatchedExternalID:
		return "matched by external ID"
	case MatchedDeprecatedID:
		return "matched by deprecated external ID"
	case MatchedAlias:
		return "matched by alias"
	case MatchedDevice:
		return "matched by device ID"
	default:
		return "unknown verdict"
	}
}

// Match tells whether a cohort change with this identifier reaches the profile. Identifiers are compared byte for byte.
// An empty identifier, or an alias with an empty label, matches nothing. Order and AliasLabels play no part.
//
// A device that an anonymous and an identified profile share thus matches the anonymous one alone.
func (r Rules) Match(id ID, profile Profile) Verdict {
	if id.value == "" {
		return NoSuchIdentifier
	}
	identified := profile.ExternalID != ""
	switch id.kind {
	case ExternalIDKind:
		switch {
		case id.value == profile.ExternalID:
			return MatchedExternalID
		case !slices.Contains(profile.DeprecatedExternalIDs, id.value):
			return NoSuchIdentifier
		case r.DeprecatedMatch == DeprecatedIgnored:
			return IgnoredDeprecatedID
		default:
			return MatchedDeprecatedID
		}
	case AliasKind:
		alias, _ := id.Alias()
		switch {
		case alias.Label == "" || !slices.Contains(profile.Aliases, alias):
			return NoSuchIdentifier
		case !identified && r.AliasMatch == AliasIdentifiedOnly:
			return IgnoredAlias
		default:
			return MatchedAlias
		}
	case DeviceIDKind:
		switch {
		case !slices.Contains(profile.DeviceIDs, id.value):
			return NoSuchIdentifier
		case identified:
			return IgnoredDevice
		default:
			return MatchedDevice
		}
	default:
		return NoSuchIdentifier
	}
}
