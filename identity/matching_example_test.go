package identity_test

import (
	"context"
	"fmt"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// Rules choose the identifier that matches. Ada has signed up, so her phone would match nobody; Bob is known to nobody but his phone.
func Example_matching() {
	braze, err := brazetest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = braze.Close() }()
	partner := braze.AddPartner("tinyclues", "Tinyclues")
	acme := braze.AddWorkspace("acme")
	acme.Enable(partner)
	for _, p := range []brazetest.Profile{{ExternalID: "ada", DeviceIDs: []string{"phone-of-ada"}}, {DeviceIDs: []string{"phone-of-bob"}}} {
		if _, err := acme.AddProfile(p); err != nil {
			fmt.Println(err)
			return
		}
	}
	endpoint, err := transport.ParseEndpoint("EU-01")
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := transport.New(endpoint, transport.WithHTTPClient(braze.Client()))
	if err != nil {
		fmt.Println(err)
		return
	}
	importer, err := cohort.NewImporter(client, "acme", keys.Credentials{Partner: "tinyclues", PartnerKey: partner.Key("EU-01"), ImportKey: acme.GenerateKey(partner)})
	if err != nil {
		fmt.Println(err)
		return
	}

	people := func(yield func(identity.Person, error) bool) {
		_ = yield(identity.Person{ExternalID: "ada", DeviceIDs: []string{"phone-of-ada"}}, nil) &&
			yield(identity.Person{DeviceIDs: []string{"phone-of-bob"}}, nil)
	}
	var rules identity.Rules
	if _, err := importer.Apply(context.Background(), "camp-481", cohort.AddAll(rules.IDs(people))); err != nil {
		fmt.Println(err)
		return
	}
	sale, _ := acme.Cohort(partner, "camp-481")
	fmt.Println(len(sale.Members), "matched,", len(sale.Skipped), "skipped")
	// Output:
	// 2 matched, 0 skipped
}
