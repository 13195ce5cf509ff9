package cohort_test

import (
	"context"
	"fmt"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// directory finds profiles in the fake. A program asks the endpoint, with the customer's REST key.
type directory struct{ workspace *brazetest.Workspace }

func (d directory) LookUp(_ context.Context, ids []identity.ID) ([]identity.Profile, error) {
	asked := map[identity.ID]bool{}
	for _, id := range ids {
		asked[id] = true
	}
	var found []identity.Profile
	for _, p := range d.workspace.Profiles() {
		profile := identity.Profile{ExternalID: p.ExternalID, DeprecatedExternalIDs: p.DeprecatedExternalIDs, DeviceIDs: p.DeviceIDs}
		has := asked[identity.ExternalID(p.ExternalID)]
		for _, former := range p.DeprecatedExternalIDs {
			has = has || asked[identity.ExternalID(former)]
		}
		for _, a := range p.Aliases {
			profile.Aliases = append(profile.Aliases, identity.Alias(a))
			has = has || asked[identity.Alias(a).ID()]
		}
		for _, device := range p.DeviceIDs {
			has = has || asked[identity.DeviceID(device)]
		}
		if has {
			found = append(found, profile)
		}
	}
	return found, nil
}

// "Why is my cohort smaller than my list?" A sample of its members is looked up. This cohort is so small that it is looked up whole.
func ExampleSyncer_EstimateMatches() {
	braze, err := brazetest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer braze.Close()
	tinyclues, acme := braze.AddPartner("tinyclues", "Tinyclues"), braze.AddWorkspace("acme")
	acme.Enable(tinyclues)
	for _, p := range []brazetest.Profile{
		{ExternalID: "u-17"},
		{ExternalID: "u-18", DeviceIDs: []string{"phone-of-u-18"}}, // signed up on this phone
		{DeviceIDs: []string{"tablet-in-the-shop"}},
	} {
		if _, err := acme.AddProfile(p); err != nil {
			fmt.Println(err)
			return
		}
	}
	syncer, err := syncerOf(braze, keys.Credentials{Partner: "tinyclues", PartnerKey: tinyclues.Key("EU-01"), ImportKey: acme.GenerateKey(tinyclues)})
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx := context.Background()
	report, err := syncer.Sync(ctx, cohort.Cohort{ID: "camp-481", Name: "Spring sale"}, cohort.Identifiers(func(yield func(identity.ID, error) bool) {
		for _, id := range []identity.ID{
			identity.ExternalID("u-17"), identity.ExternalID("u-18"), identity.ExternalID("u-99"),
			identity.DeviceID("phone-of-u-18"), identity.DeviceID("tablet-in-the-shop"),
		} {
			if !yield(id, nil) {
				return
			}
		}
	}))
	fmt.Println(report, err)

	plan, err := syncer.PlanEstimate(ctx, "camp-481")
	fmt.Println(plan, err)
	estimate, err := syncer.EstimateMatches(ctx, "camp-481", directory{acme})
	fmt.Println(estimate, err)
	// Output:
	// cohort "camp-481", created "Spring sale": 5 rows; 5 adds: 5 accepted; 2 requests <nil>
	// cohort "camp-481": 5 of 5 members to look up (external_id 3 of 3, device_id 2 of 2); 3 requests, 75ms at the endpoint's limit <nil>
	// cohort "camp-481": 60.0 % of 5 members would match now
	//   external_id: 66.7 % of 3 would match; looked up 3: 1 unknown to the endpoint
	//   device_id: 50.0 % of 2 would match, 100.0 % of 2 are known; looked up 2: 1 with the device of an identified user (send the external ID instead)
	//   whoever is unknown is skipped in silence: Reassert reaches those who sign up later <nil>
}
