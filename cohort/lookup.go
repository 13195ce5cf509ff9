package cohort

import (
	"context"

	"github.com/cohortkit/cohortkit/identity"
)

// Lookup finds profiles by identifiers, such as with the customer's REST key through the endpoint that exports users by ids.
type Lookup interface {
	// LookUp returns the profiles of the workspace that have one of the identifiers, in any order, and not those that have none: an identifier without a
	// profile is one that the endpoint does not know. A device may have several profiles. Each profile names every identifier by which it was found: one
	// that was found by a former external ID has it among its DeprecatedExternalIDs. The identifiers are valid and of all kinds, each is given once, and
	// there are at most as many as the sample has; to ask in portions and at the endpoint's pace is up to the Lookup. It must not keep the slice, nor
	// return a part without an error.
	LookUp(ctx context.Context, ids []identity.ID) ([]identity.Profile, error)
}

// verdicts judges each identifier by the profiles that were found. Of the profiles of one device the one that matches counts.
func verdicts(rules identity.Rules, ids []identity.ID, profiles []identity.Profile) map[identity.ID]identity.Verdict {
	found := make(map[identity.ID]identity.Verdict, len(ids))
	for _, id := range ids {
		found[id] = identity.NoSuchIdentifier
	}
	judge := func(id identity.ID, p identity.Profile) {
		if before, asked := found[id]; asked {
			found[id] = max(before, rules.Match(id, p))
		}
	}
	for _, p := range profiles {
		judge(identity.ExternalID(p.ExternalID), p)
		for _, former := range p.DeprecatedExternalIDs {
			judge(identity.ExternalID(former), p)
		}
		for _, alias := range p.Aliases {
			judge(alias.ID(), p)
		}
		for _, device := range p.DeviceIDs {
			judge(identity.DeviceID(device), p)
		}
	}
	return found
}
