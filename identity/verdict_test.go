package identity_test

import (
	"strings"
	"testing"

	"github.com/cohortkit/cohortkit/identity"
)

// TestMatch is the matching table of the cohort endpoints, row by row: first which identifiers reach which kind of
// profile, then how texts are compared.
func TestMatch(t *testing.T) {
	t.Parallel()
	type pair = identity.Alias
	var (
		byDefault      identity.Rules
		identifiedOnly = identity.Rules{AliasMatch: identity.AliasIdentifiedOnly}
		noDeprecated   = identity.Rules{DeprecatedMatch: identity.DeprecatedIgnored}
		strict         = identity.Rules{AliasMatch: identity.AliasIdentifiedOnly, DeprecatedMatch: identity.DeprecatedIgnored}

		identified = identity.Profile{ExternalID: "u-17", DeprecatedExternalIDs: []string{"u-1", "u-2"},
			Aliases: []pair{{"crm", "c-90"}, {"shop", "s-4"}}, DeviceIDs: []string{"d-1", "d-2"}}
		anonymous        = identity.Profile{DeviceIDs: []string{"d-1", "d-2"}}
		anonymousAliased = identity.Profile{Aliases: []pair{{"crm", "c-90"}}, DeviceIDs: []string{"d-1"}}
		aliasOnly        = identity.Profile{Aliases: []pair{{"crm", "c-90"}}}
		nobody           identity.Profile
	)
	tests := []struct {
		name    string
		rules   identity.Rules
		profile identity.Profile
		id      identity.ID
		want    identity.Verdict
	}{
		// Identified profiles.
		{"identified, external ID", byDefault, identified, identity.ExternalID("u-17"), identity.MatchedExternalID},
		{"identified, alias", byDefault, identified, alias("crm", "c-90"), identity.MatchedAlias},
		{"identified, second alias", byDefault, identified, alias("shop", "s-4"), identity.MatchedAlias},
		{"identified, alias, strict rules", strict, identified, alias("crm", "c-90"), identity.MatchedAlias},
		{"identified, device", byDefault, identified, identity.DeviceID("d-1"), identity.IgnoredDevice},
		{"identified, second device", byDefault, identified, identity.DeviceID("d-2"), identity.IgnoredDevice},
		{"identified, another external ID", byDefault, identified, identity.ExternalID("u-18"), identity.NoSuchIdentifier},
		{"identified, another alias name", byDefault, identified, alias("crm", "c-91"), identity.NoSuchIdentifier},
		{"identified, name under another label", byDefault, identified, alias("shop", "c-90"), identity.NoSuchIdentifier},
		{"identified, another device", byDefault, identified, identity.DeviceID("d-3"), identity.NoSuchIdentifier},

		// Anonymous profiles of an SDK.
		{"anonymous, external ID", byDefault, anonymous, identity.ExternalID("u-17"), identity.NoSuchIdentifier},
		{"anonymous, device", byDefault, anonymous, identity.DeviceID("d-1"), identity.MatchedDevice},
		{"anonymous, second device", byDefault, anonymous, identity.DeviceID("d-2"), identity.MatchedDevice},
		{"anonymous, alias it does not have", byDefault, anonymous, alias("crm", "c-90"), identity.NoSuchIdentifier},
		{"anonymous, alias it has", byDefault, anonymousAliased, alias("crm", "c-90"), identity.MatchedAlias},
		{"anonymous, alias it has, identified only", identifiedOnly, anonymousAliased, alias("crm", "c-90"), identity.IgnoredAlias},
		{"anonymous, alias it has, strict rules", strict, anonymousAliased, alias("crm", "c-90"), identity.IgnoredAlias},
		{"anonymous, device, strict rules", strict, anonymousAliased, identity.DeviceID("d-1"), identity.MatchedDevice},

		// Alias-only profiles.
		{"alias-only, external ID", byDefault, aliasOnly, identity.ExternalID("u-17"), identity.NoSuchIdentifier},
		{"alias-only, alias", byDefault, aliasOnly, alias("crm", "c-90"), identity.MatchedAlias},
		{"alias-only, alias, identified only", identifiedOnly, aliasOnly, alias("crm", "c-90"), identity.IgnoredAlias},
		{"alias-only, alias, deprecated ignored", noDeprecated, aliasOnly, alias("crm", "c-90"), identity.MatchedAlias},
		{"alias-only, device", byDefault, aliasOnly, identity.DeviceID("d-1"), identity.NoSuchIdentifier},

		// No such profile.
		{"nobody, external ID", byDefault, nobody, identity.ExternalID("u-17"), identity.NoSuchIdentifier},
		{"nobody, alias", byDefault, nobody, alias("crm", "c-90"), identity.NoSuchIdentifier},
		{"nobody, device", byDefault, nobody, identity.DeviceID("d-1"), identity.NoSuchIdentifier},

		// Renamed external IDs.
		{"renamed, former external ID", byDefault, identified, identity.ExternalID("u-2"), identity.MatchedDeprecatedID},
		{"renamed, former external ID, ignored", noDeprecated, identified, identity.ExternalID("u-2"), identity.IgnoredDeprecatedID},
		{"renamed, former external ID, strict rules", strict, identified, identity.ExternalID("u-1"), identity.IgnoredDeprecatedID},
		{"renamed, former external ID, identified only", identifiedOnly, identified, identity.ExternalID("u-1"), identity.MatchedDeprecatedID},
		{"renamed, current external ID, ignored", noDeprecated, identified, identity.ExternalID("u-17"), identity.MatchedExternalID},

		// One identifier, two meanings.
		{"external ID is not looked for among devices", byDefault, anonymous, identity.ExternalID("d-1"), identity.NoSuchIdentifier},
		{"external ID is not looked for among aliases", byDefault, identified, identity.ExternalID("c-90"), identity.NoSuchIdentifier},
		{"device is not looked for among external IDs", byDefault, identified, identity.DeviceID("u-17"), identity.NoSuchIdentifier},
		{"device shared with an identified profile", byDefault, anonymousAliased, identity.DeviceID("d-1"), identity.MatchedDevice},

		// Texts are compared byte for byte.
		{"case of an external ID", byDefault, identified, identity.ExternalID("U-17"), identity.NoSuchIdentifier},
		{"blank after an external ID", byDefault, identified, identity.ExternalID("u-17 "), identity.NoSuchIdentifier},
		{"case of an alias name", byDefault, identified, alias("crm", "C-90"), identity.NoSuchIdentifier},
		{"case of an alias label", byDefault, identified, alias("CRM", "c-90"), identity.NoSuchIdentifier},
		{"case of a device", byDefault, anonymous, identity.DeviceID("D-1"), identity.NoSuchIdentifier},
		{"case of a former external ID", byDefault, identified, identity.ExternalID("U-2"), identity.NoSuchIdentifier},
		{"composed against decomposed", byDefault, identity.Profile{ExternalID: "\u00e9"}, identity.ExternalID("e\u0301"), identity.NoSuchIdentifier},
		{"987 bytes", byDefault, identity.Profile{ExternalID: strings.Repeat("x", 987)}, identity.ExternalID(strings.Repeat("x", 987)), identity.MatchedExternalID},
		{"longer than 987 bytes", byDefault, identity.Profile{ExternalID: strings.Repeat("x", 988)}, identity.ExternalID(strings.Repeat("x", 988)), identity.MatchedExternalID},
		{"device of seven bytes", byDefault, identity.Profile{DeviceIDs: []string{"1234567"}}, identity.DeviceID("1234567"), identity.MatchedDevice},

		// What is no identifier matches nobody.
		{"zero ID", byDefault, identified, identity.ID{}, identity.NoSuchIdentifier},
		{"empty external ID, anonymous", byDefault, anonymous, identity.ExternalID(""), identity.NoSuchIdentifier},
		{"empty former external ID", byDefault, identity.Profile{ExternalID: "u", DeprecatedExternalIDs: []string{""}}, identity.ExternalID(""), identity.NoSuchIdentifier},
		{"empty device", byDefault, identity.Profile{DeviceIDs: []string{""}}, identity.DeviceID(""), identity.NoSuchIdentifier},
		{"empty alias name", byDefault, identity.Profile{Aliases: []pair{{"crm", ""}}}, alias("crm", ""), identity.NoSuchIdentifier},
		{"empty alias label", byDefault, identity.Profile{Aliases: []pair{{"", "c-90"}}}, alias("", "c-90"), identity.NoSuchIdentifier},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := tt.rules.Match(tt.id, tt.profile)
			if got != tt.want {
				t.Errorf("Match = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	tests := []struct {
		verdict identity.Verdict
		matched bool
		text    string
	}{
		{identity.NoSuchIdentifier, false, "not matched: no such identifier on the profile"},
		{identity.IgnoredDevice, false, "not matched: device of an identified profile"},
		{identity.IgnoredAlias, false, "not matched: alias of a profile without external ID"},
		{identity.IgnoredDeprecatedID, false, "not matched: deprecated external ID"},
		{identity.MatchedExternalID, true, "matched by external ID"},
		{identity.MatchedDeprecatedID, true, "matched by deprecated external ID"},
		{identity.MatchedAlias, true, "matched by alias"},
		{identity.MatchedDevice, true, "matched by device ID"},
		{identity.MatchedDevice + 1, false, "unknown verdict"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			if tt.verdict.Matched() != tt.matched || tt.verdict.String() != tt.text {
				t.Errorf("%t %q, want %t %q", tt.verdict.Matched(), tt.verdict, tt.matched, tt.text)
			}
		})
	}
}
