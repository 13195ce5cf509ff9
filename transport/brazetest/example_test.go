package brazetest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/cohortkit/cohortkit/segment"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// A program seeds a workspace, sends a request with plain net/http, and looks at what became of it. In a test, NewServer(t)
// takes the place of Start and Close.
func Example() {
	server, err := brazetest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	partner := server.AddPartner("tinyclues", "Tinyclues")
	workspace := server.AddWorkspace("acme")
	workspace.Enable(partner)
	importKey := workspace.GenerateKey(partner)
	for _, p := range []brazetest.Profile{
		{ExternalID: "u-17", DeviceIDs: []string{"phone-of-u-17"}},
		{DeviceIDs: []string{"tablet"}},
	} {
		if _, err := workspace.AddProfile(p); err != nil {
			fmt.Println(err)
			return
		}
	}

	send := func(path, rest string) {
		body := fmt.Sprintf(`{"partner_api_key":%q,"client_secret":%q,"cohort_id":"camp-481",%s}`, partner.Key("EU-01").Reveal(), importKey.Reveal(), rest)
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "https://rest.fra-01.braze.eu/partners/tinyclues"+path, strings.NewReader(body))
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := server.Client().Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		fmt.Println(resp.StatusCode, string(answer))
	}
	send("/cohorts", `"name":"Spring sale","created_at":"2025-03-02T08:15:00Z"`)
	send("/cohorts/users", `"cohort_changes":[{"user_ids":["u-17","u-18"],"device_ids":["phone-of-u-17","tablet"]}]`)

	cohort, _ := workspace.Cohort(partner, "camp-481")
	fmt.Println(partner.Filter(), workspace.DropDown(partner))
	for _, m := range cohort.Members {
		fmt.Printf("in: external ID %q, devices %q\n", m.ExternalID, m.DeviceIDs)
	}
	for _, s := range cohort.Skipped {
		fmt.Printf("skipped: %s %q: %s\n", s.Identifier.Kind, s.Identifier.Value, s.Reason)
	}
	// Output:
	// 201 {"message":"success"}
	// 201 {"message":"success"}
	// Tinyclues Cohorts [Spring sale]
	// in: external ID "u-17", devices ["phone-of-u-17"]
	// in: external ID "", devices ["tablet"]
	// skipped: external_id "u-18": no such profile
	// skipped: device_id "phone-of-u-17": device of an identified profile
}

// A fault is a value that waits for its request.
func ExampleServer_Inject() {
	server, err := brazetest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	unavailable := server.Inject(brazetest.Users(), brazetest.Status(http.StatusServiceUnavailable)).Times(2)
	never := server.Inject(brazetest.Naming(), brazetest.AppliedThenLost())

	for range 3 {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "https://rest.fra-01.braze.eu/partners/tinyclues/cohorts/users", strings.NewReader("{}"))
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := server.Client().Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = resp.Body.Close()
		fmt.Println(resp.Status)
	}
	fmt.Println(unavailable.Fired(), never.Fired())
	if unfired, ok := errors.AsType[*brazetest.UnfiredError](server.Close()); ok {
		fmt.Println(unfired.Injections)
	}
	// Output:
	// 503 Service Unavailable
	// 503 Service Unavailable
	// 401 Unauthorized
	// 2 0
	// [1 of 1 left: dropped connection, applied, on cohort naming]
}

// A marketer builds a segment on an imported cohort and picks it as the target of a campaign; the customer's server triggers the
// campaign, and the fake tells who would have got it.
func ExampleWorkspace_AddCampaign() {
	server, err := brazetest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	partner := server.AddPartner("tinyclues", "Tinyclues")
	workspace := server.AddWorkspace("acme")
	workspace.Enable(partner)
	importKey := workspace.GenerateKey(partner)
	for _, p := range []brazetest.Profile{{ExternalID: "u-17"}, {ExternalID: "u-18"}, {ExternalID: "u-19"}} {
		if _, err := workspace.AddProfile(p); err != nil {
			fmt.Println(err)
			return
		}
	}

	spring, err := segment.New(segment.Cohort("Tinyclues").Includes("Spring sale"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(spring)
	target := workspace.AddSegment("Spring", spring)
	campaign := workspace.AddCampaign("Spring mail", brazetest.TargetSegment(target))
	restKey := workspace.GenerateRESTKey("campaigns.trigger.send")

	post := func(path, body string) {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "https://rest.fra-01.braze.eu"+path, strings.NewReader(body))
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+restKey.Reveal()) // a cohort request does not look at it
		resp, err := server.Client().Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = resp.Body.Close()
		fmt.Println(path, resp.StatusCode)
	}
	secrets := fmt.Sprintf(`"partner_api_key":%q,"client_secret":%q`, partner.Key("EU-01").Reveal(), importKey.Reveal())
	post("/partners/tinyclues/cohorts", `{`+secrets+`,"cohort_id":"camp-481","name":"Spring sale","created_at":"2025-03-02T08:15:00Z"}`)
	post("/partners/tinyclues/cohorts/users", `{`+secrets+`,"cohort_id":"camp-481","cohort_changes":[{"user_ids":["u-17","u-19"]}]}`)
	post("/campaigns/trigger/send", fmt.Sprintf(`{"campaign_id":%q,"broadcast":true}`, campaign))
	post("/campaigns/trigger/send", fmt.Sprintf(`{"campaign_id":%q,"recipients":[{"external_user_id":"u-18"}]}`, campaign))

	for _, send := range workspace.Sends() {
		fmt.Println("reached", send.ExternalIDs())
		for _, m := range send.Missed {
			fmt.Println("missed recipient", m.Recipient, m.Reason)
		}
	}
	// Output:
	// Apps: all apps
	// Filter group 1
	//     Tinyclues Cohorts includes "Spring sale"
	// /partners/tinyclues/cohorts 201
	// /partners/tinyclues/cohorts/users 201
	// /campaigns/trigger/send 201
	// /campaigns/trigger/send 201
	// reached [u-17 u-19]
	// reached []
	// missed recipient 0 not in the target audience
}

// The members of a marketer's segment follow the profiles. View shows what its filters see of one.
func ExampleWorkspace_AddSegment() {
	server, err := brazetest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	workspace := server.AddWorkspace("acme")
	gold := map[string]segment.Value{"tier": segment.StringValue("gold")}
	for _, p := range []brazetest.Profile{
		{ExternalID: "u-17", Attributes: gold, EmailSubscription: segment.OptedIn},
		{ExternalID: "u-18", Attributes: gold, EmailSubscription: segment.Unsubscribed},
		{ExternalID: "u-19"},
	} {
		if _, err := workspace.AddProfile(p); err != nil {
			fmt.Println(err)
			return
		}
	}
	reachable, err := segment.New(
		segment.StringAttribute("tier").Equals("gold"),
		segment.Exclude(segment.EmailSubscription().Is(segment.Unsubscribed)),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	id := workspace.AddSegment("Gold by mail", reachable)
	for _, member := range workspace.SegmentMembers(id) {
		fmt.Println("in:", member.ExternalID)
		view, _ := workspace.View(member.BrazeID)
		fmt.Println("segments:", view.Segments)
	}
	// Output:
	// in: u-17
	// segments: [Gold by mail]
}

// The life of a profile goes on while it is in cohorts.
func ExampleWorkspace_Identify() {
	server, err := brazetest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	workspace := server.AddWorkspace("acme")
	visitor, err := workspace.AddProfile(brazetest.Profile{DeviceIDs: []string{"tablet"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	kept, err := workspace.Identify(visitor, "u-17")
	fmt.Println(kept == visitor, err)
	p, _ := workspace.ProfileByExternalID("u-17")
	fmt.Println(p.Identified(), p.DeviceIDs)
	// Output:
	// true <nil>
	// true [tablet]
}
