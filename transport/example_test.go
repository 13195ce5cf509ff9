package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

func ExampleParseEndpoint() {
	for _, s := range []string{
		"eu-01",
		"https://dashboard-05.braze.com/integrations/partners",
		"https://cohorts.example.com:8443/braze/",
		"https://sdk.iad-03.braze.com",
	} {
		endpoint, err := transport.ParseEndpoint(s)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(endpoint)
	}
	// Output:
	// EU-01 (https://rest.fra-01.braze.eu)
	// US-05 (https://rest.iad-05.braze.com)
	// cohorts.example.com:8443 (https://cohorts.example.com:8443/braze)
	// transport: endpoint "sdk.iad-03.braze.com": this is the endpoint of the SDKs, which refuses REST calls; did you mean US-03, https://rest.iad-03.braze.com?
}

// canned is an http.RoundTripper that gives one answer to every request. A real program leaves WithHTTPClient out, or gives
// the Transport of its proxy there.
type canned struct {
	status int
	body   string
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return &http.Response{StatusCode: c.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(c.body))}, nil
}

// A customer's key comes before Braze has enabled the partner for them. The endpoint's text repeats the key; the error and its Detail do not.
func ExampleClient_Do() {
	braze, err := brazetest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = braze.Close() }()
	partner := braze.AddPartner("tinyclues", "Tinyclues")
	importKey := braze.AddWorkspace("acme").GenerateKey(partner)

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
	_, err = client.Do(context.Background(), transport.Request{
		Operation: "cohort.users",
		Path:      "/partners/tinyclues/cohorts/users",
		Body: fmt.Appendf(nil, `{"partner_api_key":%q,"client_secret":%q,"cohort_id":"camp-481","cohort_changes":[]}`,
			partner.Key("EU-01").Reveal(), importKey.Reveal()),
		Secrets: []transport.Secret{partner.Key("EU-01"), importKey},
		Limiter: client.Quota().Share("acme"),
		Repeat:  transport.RepeatSafe,
	})
	if refused, ok := errors.AsType[*transport.APIError](err); ok {
		fmt.Println(refused)
		fmt.Println(refused.Outcome, errors.Is(err, transport.ErrUnauthorized))
		fmt.Println("the key is repeated:", strings.Contains(refused.Detail(), importKey.Reveal()))
	}
	// Output:
	// transport: cohort.users: 401 unauthorized from EU-01 after 1 attempt; partner not enabled: ask Braze to enable the partner for the customer that owns this data import key
	// refused true
	// the key is repeated: false
}

// Two instances whose calls are counted together draw on one Quota, and the workspaces there take turns.
func ExampleQuota() {
	quota, err := transport.NewQuota(transport.CohortRequestsPerHour)
	if err != nil {
		fmt.Println(err)
		return
	}
	accepting := transport.WithHTTPClient(&http.Client{Transport: canned{status: http.StatusCreated, body: `{"message":"success"}`}})
	for workspace, instance := range map[string]string{"acme": "EU-01", "globex": "EU-02"} {
		endpoint, err := transport.ParseEndpoint(instance)
		if err != nil {
			fmt.Println(err)
			return
		}
		client, err := transport.New(endpoint, transport.WithQuota(quota), accepting)
		if err != nil {
			fmt.Println(err)
			return
		}
		answer, err := client.Do(context.Background(), transport.Request{
			Operation: "cohort.name",
			Path:      "/partners/acme/cohorts",
			Body:      []byte(`{}`),
			Limiter:   client.Quota().Share(workspace),
		})
		fmt.Println(answer.Status, err)
	}
	fmt.Println(quota.State().Waiting, "wait")
	// Output:
	// 201 <nil>
	// 201 <nil>
	// 0 wait
}

// A 429 to one workspace pauses all who share the Quota. Its state is cheap enough for a gauge that is read every second.
func ExampleQuota_State() {
	quota, err := transport.NewQuota(transport.CohortRequestsPerHour)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	acme, globex := quota.Share("acme"), quota.Share("globex")
	if err := acme.Wait(ctx); err != nil {
		fmt.Println(err)
		return
	}
	acme.Feedback(transport.Feedback{Status: http.StatusTooManyRequests, RetryAfter: 20 * time.Minute}) // a Client does so

	soon, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	fmt.Println("globex:", globex.Wait(soon))
	state := quota.State()
	fmt.Printf("of %d requests an hour %d passed; paused for %s\n", state.Limit, state.Passed, time.Until(state.PausedUntil).Round(time.Minute))
	// Output:
	// globex: context deadline exceeded
	// of 250000 requests an hour 1 passed; paused for 20m0s
}

// Clients of several instances share one pool of connections, here through the proxy of the company.
func ExampleNewPool() {
	pool := transport.NewPool()
	pool.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.example.com:3128"})
	shared := transport.WithHTTPClient(&http.Client{Transport: pool})
	for _, instance := range []string{"EU-01", "US-06"} {
		endpoint, err := transport.ParseEndpoint(instance)
		if err != nil {
			fmt.Println(err)
			return
		}
		client, err := transport.New(endpoint, shared)
		fmt.Println(client, err)
	}
	// Output:
	// transport.Client of EU-01 (https://rest.fra-01.braze.eu) <nil>
	// transport.Client of US-06 (https://rest.iad-06.braze.com) <nil>
}

// counter counts answers by what they meant, as a metric would.
type counter map[string]int

func (c counter) ObserveAttempt(_ context.Context, a transport.AttemptEnd) {
	c[fmt.Sprintf("%s at %s: %s", a.Operation, a.Instance, a.Class)]++
}

func ExampleWithObserver() {
	endpoint, err := transport.ParseEndpoint("US-10")
	if err != nil {
		fmt.Println(err)
		return
	}
	attempts := counter{} // called by one goroutine here; a counter of many needs a lock
	client, err := transport.New(endpoint,
		transport.WithObserver(attempts),
		transport.WithRetryPolicy(transport.RetryPolicy{MaxAttempts: 3, BaseDelay: time.Nanosecond}),
		transport.WithHTTPClient(&http.Client{Transport: canned{status: http.StatusServiceUnavailable}}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.Do(context.Background(), transport.Request{Operation: "segments.list", Method: http.MethodGet, Path: "/segments/list", Repeat: transport.RepeatSafe})
	fmt.Println(errors.Is(err, transport.ErrOutcomeUnknown))
	fmt.Println(attempts)
	// Output:
	// true
	// map[segments.list at US-10: unavailable:3]
}

// officeHours is a Limiter that lets nothing pass at night.
type officeHours struct{ now func() time.Time }

func (l officeHours) Wait(context.Context) error {
	if hour := l.now().Hour(); hour < 8 || hour >= 18 {
		return errors.New("closed until 8:00")
	}
	return nil
}

func ExampleLimiter() {
	endpoint, err := transport.ParseEndpoint("EU-02")
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := transport.New(endpoint, transport.WithHTTPClient(&http.Client{Transport: canned{status: http.StatusOK, body: "{}"}}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, hour := range []int{9, 22} {
		limiter := officeHours{now: func() time.Time { return time.Date(2026, 3, 2, hour, 0, 0, 0, time.UTC) }}
		_, err := client.Do(context.Background(), transport.Request{Operation: "campaign.send", Path: "/campaigns/trigger/send", Limiter: limiter})
		fmt.Println(transport.OutcomeOf(err), err)
	}
	// Output:
	// accepted <nil>
	// unsent transport: campaign.send: nothing was sent to EU-02, the limiter refused
}
