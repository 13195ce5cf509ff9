package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/segment"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
	"github.com/cohortkit/cohortkit/transport/rest"
)

// A marketer has built a segment with the cohort's filter. The program knows its name, and writes to whoever is in it. The fake of package brazetest
// stands in for Braze; without WithHTTPClient the same code talks to the real one.
func Example() {
	braze, acme := newExample()
	defer braze.Close()
	key := acme.GenerateRESTKey("segments.list", "messages.send")

	write := func(ctx context.Context) (rest.Receipt, error) {
		endpoint, err := transport.ParseEndpoint("EU-01")
		if err != nil {
			return rest.Receipt{}, err
		}
		transportClient, err := transport.New(endpoint, transport.WithHTTPClient(braze.Client()))
		if err != nil {
			return rest.Receipt{}, err
		}
		client, err := rest.New(transportClient, key)
		if err != nil {
			return rest.Receipt{}, err
		}

		readers, err := client.FindSegment(ctx, "Spring sale readers")
		if err != nil {
			return rest.Receipt{}, err
		}
		return client.SendMessages(ctx, rest.ToSegment(readers.ID), rest.Messages{
			"email": json.RawMessage(`{"app_id": "shop", "from": "Acme <news@acme.example>", "subject": "Spring is here", "body": "Come in"}`),
		})
	}
	receipt, err := write(context.Background())
	fmt.Println("accepted:", receipt.DispatchID != "", err)

	// Accepted is not delivered. Only Braze knows who gets it, and the fake shows it.
	fmt.Println("reached: ", acme.Sends()[0].ExternalIDs())
	// Output:
	// accepted: true <nil>
	// reached:  [u-17 u-19]
}

func ExampleClient_Segments() {
	braze, acme := newExample()
	defer braze.Close()
	client := newExampleClient(braze, acme)

	for segment, err := range client.Segments(context.Background(), rest.NewestFirst()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(segment.Name, segment.Tags)
	}
	// Output:
	// Everybody else []
	// Spring sale readers [sale]
}

// Names are not documented to be unique, and are typed by people.
func ExampleClient_FindSegment() {
	braze, acme := newExample()
	defer braze.Close()
	client := newExampleClient(braze, acme)

	_, err := client.FindSegment(context.Background(), "spring sale readers")
	fmt.Println(errors.Is(err, rest.ErrSegmentNotFound))
	fmt.Println(err)
	// Output:
	// true
	// rest: find segment: no segment is named "spring sale readers": compare the name in the dashboard, byte for byte; archived segments are not listed
}

// A campaign goes to those customers of a tier who take e-mail. No cohort can be asked for here: a Connected Audience has no filter for it.
func ExampleClient_TriggerCampaign() {
	braze, acme := newExample()
	defer braze.Close()
	client := newExampleClient(braze, acme)
	campaignID := acme.AddCampaign("Gold days")

	audience, err := segment.NewConnectedAudience(segment.And(
		segment.StringAttribute("tier").Equals("gold"),
		segment.EmailSubscription().IsNot(segment.Unsubscribed),
	))
	if err != nil {
		fmt.Println(err)
		return
	}
	receipt, err := client.TriggerCampaign(context.Background(), campaignID, rest.ToAudience(audience),
		rest.WithProperties(map[string]any{"discount": 20}))
	fmt.Println("accepted:", receipt.DispatchID != "", err)
	for _, reached := range acme.Sends()[0].Reached {
		fmt.Printf("reached:  %s with %s\n", reached.ExternalID, reached.Properties)
	}
	// Output:
	// accepted: true <nil>
	// reached:  u-17 with {"discount":20}
}

// A send whose answer is lost is not repeated: nobody can tell a repeated message from a second one.
func ExampleClient_TriggerCampaign_unknownOutcome() {
	braze, acme := newExample()
	defer braze.Close()
	client := newExampleClient(braze, acme)
	campaignID := acme.AddCampaign("Gold days")
	braze.Inject(brazetest.ToSends(), brazetest.AppliedThenLost())

	_, err := client.TriggerCampaign(context.Background(), campaignID, rest.ToRecipients(
		rest.Recipient{ID: identity.ExternalID("u-17")},
		rest.Recipient{ID: identity.Alias{Label: "crm", Name: "c-90"}.ID(), Properties: map[string]any{"discount": 30}},
	))
	if errors.Is(err, transport.ErrOutcomeUnknown) {
		fmt.Println("look into the dashboard before sending again")
	}
	fmt.Println("sends at Braze:", len(acme.Sends()))
	// Output:
	// look into the dashboard before sending again
	// sends at Braze: 1
}

// A Canvas that somebody paused accepts the call like any other.
func ExampleClient_TriggerCanvas() {
	braze, acme := newExample()
	defer braze.Close()
	client := newExampleClient(braze, acme)
	canvasID := acme.AddCanvas("Welcome", brazetest.Paused())

	receipt, err := client.TriggerCanvas(context.Background(), canvasID, rest.ToEveryone())
	fmt.Println(err)
	if receipt.Notice != "" {
		fmt.Println("nothing sent:", receipt.Notice)
	}
	// Output:
	// <nil>
	// nothing sent: The Canvas is paused: resume it for triggers to take effect
}

// An exported user can be asked whether a filter matches, before anything is sent.
func ExampleClient_ExportUsers() {
	braze, acme := newExample()
	defer braze.Close()
	client := newExampleClient(braze, acme)

	export, err := client.ExportUsers(context.Background(),
		rest.ByID(identity.ExternalID("u-17"), identity.Alias{Label: "crm", Name: "c-90"}.ID(), identity.ExternalID("u-99")),
		rest.FieldExternalID, rest.FieldCustomAttributes, rest.FieldEmailSubscribe)
	if err != nil {
		fmt.Println(err)
		return
	}
	gold, err := segment.NewConnectedAudience(segment.StringAttribute("tier").Equals("gold"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, user := range export.Users {
		matched, err := gold.Match(&user.Profile, time.Now())
		fmt.Println(user.ExternalID, matched, err)
	}
	fmt.Println(len(export.Unknown), "unknown")
	fmt.Println(export.Users[0]) // no identifier by accident
	// Output:
	// u-17 true <nil>
	// u-18 false <nil>
	// 1 unknown
	// user(redacted)
}

// Which of these identifiers would a cohort import match? A device of an identified user is not matched, and u-99 does not exist.
func ExampleClient_LookUp() {
	braze, acme := newExample()
	defer braze.Close()
	client := newExampleClient(braze, acme)

	ids := []identity.ID{
		identity.ExternalID("u-17"), identity.DeviceID("phone-of-u-19"), identity.Alias{Label: "crm", Name: "c-90"}.ID(), identity.ExternalID("u-99"),
	}
	profiles, err := client.LookUp(context.Background(), ids)
	if err != nil {
		fmt.Println(err)
		return
	}
	var rules identity.Rules
	matched := 0
	for _, id := range ids {
		for _, p := range profiles {
			if rules.Match(id, p).Matched() {
				matched++
			}
		}
	}
	fmt.Printf("%d profiles, %d of %d identifiers matched\n", len(profiles), matched, len(ids))
	// Output:
	// 3 profiles, 2 of 4 identifiers matched
}

// newExample returns a fake with the customer acme, three users and two segments.
func newExample() (*brazetest.Server, *brazetest.Workspace) {
	braze, err := brazetest.Start()
	if err != nil {
		panic(err)
	}
	acme := braze.AddWorkspace("acme", brazetest.OnInstance("EU-01"))
	for _, p := range []brazetest.Profile{
		{ExternalID: "u-17", EmailSubscription: segment.OptedIn, Attributes: map[string]segment.Value{"tier": segment.StringValue("gold"), "reader": segment.BooleanValue(true)}},
		{ExternalID: "u-18", Aliases: []brazetest.Alias{{Label: "crm", Name: "c-90"}}},
		{ExternalID: "u-19", DeviceIDs: []string{"phone-of-u-19"}, Attributes: map[string]segment.Value{"reader": segment.BooleanValue(true)}},
	} {
		if _, err := acme.AddProfile(p); err != nil {
			panic(err)
		}
	}
	readers, err := segment.New(segment.BooleanAttribute("reader").Is(true))
	if err != nil {
		panic(err)
	}
	others, err := segment.New(segment.BooleanAttribute("reader").DoesNotExist())
	if err != nil {
		panic(err)
	}
	acme.AddSegment("Spring sale readers", readers, brazetest.Tagged("sale"))
	acme.AddSegment("Everybody else", others)
	return braze, acme
}

func newExampleClient(braze *brazetest.Server, acme *brazetest.Workspace) *rest.Client {
	endpoint, err := transport.ParseEndpoint("EU-01")
	if err != nil {
		panic(err)
	}
	transportClient, err := transport.New(endpoint, transport.WithHTTPClient(braze.Client()))
	if err != nil {
		panic(err)
	}
	client, err := rest.New(transportClient, acme.GenerateRESTKey())
	if err != nil {
		panic(err)
	}
	return client
}
