package cohort_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// A partner exports a campaign: it checks the customer's key, names the cohort, and sends its members. The fake of package brazetest stands in for
// Braze; without WithHTTPClient the same code talks to the real one.
func Example() {
	braze, err := brazetest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer braze.Close()
	tinyclues := braze.AddPartner("tinyclues", "Tinyclues")
	acme := braze.AddWorkspace("acme", brazetest.OnInstance("EU-01"))
	acme.Enable(tinyclues)
	for _, p := range []brazetest.Profile{
		{ExternalID: "u-17"},
		{ExternalID: "u-18", DeviceIDs: []string{"phone-of-u-18"}},
		{ExternalID: "u-19", Aliases: []brazetest.Alias{{Label: "crm", Name: "c-90"}}},
	} {
		if _, err := acme.AddProfile(p); err != nil {
			fmt.Println(err)
			return
		}
	}

	export := func(ctx context.Context) (cohort.Report, error) {
		endpoint, err := transport.ParseEndpoint("EU-01")
		if err != nil {
			return cohort.Report{}, err
		}
		client, err := transport.New(endpoint, transport.WithHTTPClient(braze.Client()))
		if err != nil {
			return cohort.Report{}, err
		}
		importer, err := cohort.NewImporter(client, "acme", keys.Credentials{
			Partner:    "tinyclues",
			PartnerKey: tinyclues.Key("EU-01"),
			ImportKey:  acme.GenerateKey(tinyclues),
		})
		if err != nil {
			return cohort.Report{}, err
		}

		if err := importer.Check(ctx); err != nil {
			return cohort.Report{}, err
		}
		sale := cohort.Cohort{ID: "camp-481", Name: "Spring sale", CreatedAt: time.Date(2025, 3, 2, 8, 15, 0, 0, time.UTC)}
		if err := importer.SetName(ctx, sale); err != nil {
			return cohort.Report{}, err
		}
		return importer.Apply(ctx, sale.ID, sequence(
			cohort.Add(identity.ExternalID("u-17")),
			cohort.Add(identity.Alias{Label: "crm", Name: "c-90"}.ID()),
			cohort.Add(identity.DeviceID("phone-of-u-18")),
			cohort.Add(identity.ExternalID("u-99")),
			cohort.Remove(identity.ExternalID("u-18")),
		))
	}
	report, err := export(context.Background())
	fmt.Println("sent:   ", report, err)

	// Accepted is not matched. Only Braze knows who is in, and the fake shows it.
	sale, _ := acme.Cohort(tinyclues, "camp-481")
	fmt.Println("matched:", sale.ExternalIDs())
	for _, s := range sale.Skipped {
		fmt.Printf("skipped: %s %s: %s\n", s.Identifier.Kind, s.Identifier.Value, s.Reason)
	}
	fmt.Printf("%s includes one of %q\n", tinyclues.Filter(), acme.DropDown(tinyclues))
	// Output:
	// sent:    cohort "camp-481": 5 rows; 4 adds: 4 accepted; 1 removal: 1 accepted; 1 request <nil>
	// matched: [u-17 u-19]
	// skipped: external_id u-99: no such profile
	// skipped: device_id phone-of-u-18: device of an identified profile
	// Tinyclues Cohorts includes one of ["Spring sale"]
}

// A row that cannot be sent does not stop the others. Its number leads back to the source.
func ExampleImporter_Apply() {
	importer, braze := newExample()
	defer braze.Close()

	report, err := importer.Apply(context.Background(), "camp-481", sequence(
		cohort.Add(identity.ExternalID("u-17")),
		cohort.Add(identity.ExternalID("")),
		cohort.Add(identity.ExternalID("u-18\r")),
		cohort.Remove(identity.ExternalID("u-17")), // replaces the first row
	), cohort.OnReject(func(r cohort.Rejection) {
		fmt.Println(r)
	}))
	fmt.Println(report, err)
	// Output:
	// row 2: external_id rejected: empty: fill the field, or leave out the identifier
	// row 3: external_id rejected: control_character: strip line breaks and other control characters where the value is read
	// cohort "camp-481": 4 rows (1 duplicate, 2 rejected); 1 removal: 1 accepted; 1 request <nil>
}

// A key that the customer has invalidated shows before any member is sent, and the error says what to look at, the likeliest first. What Braze's texts
// name is likely and no more, because they are hints; what nothing points to is possible.
func ExampleImporter_Check() {
	importer, braze := newExample()
	defer braze.Close()
	braze.Inject(brazetest.Users(), brazetest.Unauthorized(brazetest.WrongImportKey))

	err := importer.Check(context.Background())
	fmt.Println(errors.Is(err, transport.ErrUnauthorized))
	if failed, ok := errors.AsType[*cohort.CheckError](err); ok {
		for _, s := range failed.Suspects {
			fmt.Printf("%v %v, for %s:\n  %s\n", s.Certainty, s.Culprit, s.Reason, s.Next)
		}
	}
	// Output:
	// true
	// likely the data import key, for the answer names it:
	//   compare the key with those on the partner's page of the dashboard; if it was invalidated, generate a new one there and hand it over
	// possibly the instance, for a key is refused on any instance but its own, and this is EU-01:
	//   compare https://rest.fra-01.braze.eu with the REST endpoint on the partner's page of the dashboard
}

// Another name for the same ID renames the cohort.
func ExampleImporter_SetName() {
	importer, braze := newExample()
	defer braze.Close()
	ctx := context.Background()

	sale := cohort.Cohort{ID: "camp-481", Name: "Spring sale", CreatedAt: time.Date(2025, 3, 2, 8, 15, 0, 0, time.UTC)}
	fmt.Println(importer.SetName(ctx, sale))
	sale.Name = "Spring sale, second wave"
	fmt.Println(importer.SetName(ctx, sale))
	sale.Name = ""
	fmt.Println(importer.SetName(ctx, sale))
	// Output:
	// <nil>
	// <nil>
	// cohort: cohort name must not be empty: give the cohort the name that marketers will look for in the filter's drop-down
}

// Whoever knows people rather than identifiers lets Rules choose the identifier that Braze will match. Of the last person only a device is known,
// and Braze matches no devices of people who have signed up.
func ExampleAddAll() {
	importer, braze := newExample()
	defer braze.Close()

	people := func(yield func(identity.Person, error) bool) {
		for _, p := range []identity.Person{
			{ExternalID: "u-17", DeviceIDs: []string{"phone-of-u-17"}},
			{Aliases: []identity.Alias{{Label: "crm", Name: "c-90"}}},
			{DeviceIDs: []string{"tablet-in-the-shop"}},
			{DeviceIDs: []string{"phone-of-a-customer"}, Identified: true},
		} {
			if !yield(p, nil) {
				return
			}
		}
	}
	var rules identity.Rules
	report, err := importer.Apply(context.Background(), "camp-481", cohort.AddAll(rules.IDs(people)),
		cohort.OnReject(func(r cohort.Rejection) { fmt.Println(r) }))
	fmt.Println(report, err)
	// Output:
	// row 4: person rejected: only_devices: an identified user is not matched by device ID; give the external ID or an alias that the rules allow
	// cohort "camp-481": 4 rows (1 rejected); 3 adds: 3 accepted; 1 request <nil>
}

// A long import tells how far it is.
func ExampleOnProgress() {
	importer, braze := newExample()
	defer braze.Close()

	customers := func(yield func(cohort.Change, error) bool) {
		for i := range 2500 {
			if !yield(cohort.Add(identity.ExternalID(fmt.Sprintf("u-%d", i))), nil) {
				return
			}
		}
	}
	var last cohort.Progress
	_, err := importer.Apply(context.Background(), "camp-481", customers, cohort.OnProgress(func(p cohort.Progress) {
		last = p // a program would show it
	}))
	fmt.Printf("%d changes accepted in %d requests\n", last.Accepted, last.Requests)
	fmt.Println(err)
	// Output:
	// 2500 changes accepted in 3 requests
	// <nil>
}

// tracer hears what became of each request.
type tracer struct{}

// ObserveBatch is where metrics and spans would be fed.
func (tracer) ObserveBatch(_ context.Context, b cohort.BatchEnd) {
	fmt.Printf("%s of %s: %d to add, %d to remove: %s\n", b.CohortID, b.Workspace, b.Adds, b.Removals, b.Outcome)
}

// An observer has the interfaces it needs, here BatchObserver.
func ExampleWithObserver() {
	importer, braze := newExample(cohort.WithObserver(tracer{}))
	defer braze.Close()

	_, err := importer.Apply(context.Background(), "camp-481", sequence(
		cohort.Add(identity.ExternalID("u-17")),
		cohort.Remove(identity.ExternalID("u-18")),
	))
	fmt.Println(err)
	// Output:
	// camp-481 of acme: 1 to add, 1 to remove: accepted
	// <nil>
}

// sequence makes what Apply ranges over. A file or a query is turned into one in the same way.
func sequence(changes ...cohort.Change) iter.Seq2[cohort.Change, error] {
	return func(yield func(cohort.Change, error) bool) {
		for _, c := range changes {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// newExample returns an Importer whose endpoint is a fake, as in the example of the package.
func newExample(opts ...cohort.Option) (*cohort.Importer, *brazetest.Server) {
	braze, err := brazetest.Start()
	if err != nil {
		panic(err)
	}
	tinyclues := braze.AddPartner("tinyclues", "Tinyclues")
	acme := braze.AddWorkspace("acme")
	acme.Enable(tinyclues)
	endpoint, err := transport.ParseEndpoint("EU-01")
	if err != nil {
		panic(err)
	}
	client, err := transport.New(endpoint, transport.WithHTTPClient(braze.Client()))
	if err != nil {
		panic(err)
	}
	importer, err := cohort.NewImporter(client, "acme", keys.Credentials{
		Partner: "tinyclues", PartnerKey: tinyclues.Key("EU-01"), ImportKey: acme.GenerateKey(tinyclues),
	}, opts...)
	if err != nil {
		panic(err)
	}
	return importer, braze
}

// People who asked to be left out are taken out by the identifiers they were sent with.
func ExampleRemoveAll() {
	importer, braze := newExample()
	defer braze.Close()

	leaving := func(yield func(identity.ID, error) bool) {
		_ = yield(identity.ExternalID("u-17"), nil) &&
			yield(identity.ID{}, &identity.RejectError{Field: "row", Reason: identity.ReasonUnreadable}) &&
			yield(identity.Alias{Label: "crm", Name: "c-90"}.ID(), nil)
	}
	report, err := importer.Apply(context.Background(), "camp-481", cohort.RemoveAll(leaving))
	fmt.Println(report, err)
	// Output:
	// cohort "camp-481": 3 rows (1 rejected); 2 removals: 2 accepted; 1 request <nil>
}

// A campaign is exported every day. The ledger knows who was sent, so only the difference goes out: a data point for each who came or went.
func ExampleSyncer_Sync() {
	importer, braze := newExample()
	defer braze.Close()
	state := ledger.NewMemory() // a program keeps its ledger in files
	syncer, err := cohort.NewSyncer(importer, state, cohort.WithPartnerName("Tinyclues"))
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx := context.Background()
	sale := cohort.Cohort{ID: "camp-481", Name: "Spring sale"}
	var rules identity.Rules
	for _, ids := range [][]string{
		{"u-17", "u-18", "u-19"},         // Monday
		{"u-17", "u-18", "u-19"},         // Tuesday: the same
		{"u-18", "u-19", "u-20", "u-21"}, // Wednesday
	} {
		report, err := syncer.Sync(ctx, sale, cohort.People(rules, customers(ids...)))
		fmt.Println(report, err)
		fmt.Println(report.Rows.Kept, "kept,", report.DataPoints(), "data points; segment:", report.Filter())
	}
	// Output:
	// cohort "camp-481", created "Spring sale": 3 rows; 3 adds: 3 accepted; 2 requests <nil>
	// 0 kept, 3 data points; segment: Tinyclues Cohorts includes "Spring sale"
	// cohort "camp-481": 3 rows (3 kept); 0 requests <nil>
	// 3 kept, 0 data points; segment: Tinyclues Cohorts includes "Spring sale"
	// cohort "camp-481": 4 rows (2 kept); 2 adds: 2 accepted; 1 removal: 1 accepted; 2 requests <nil>
	// 2 kept, 3 data points; segment: Tinyclues Cohorts includes "Spring sale"
}

// A source that lost most of its rows removes nobody. Whoever has looked at it and finds it right approves the number that the error names.
func ExampleApproveRemovals() {
	importer, braze := newExample()
	defer braze.Close()
	syncer, err := cohort.NewSyncer(importer, ledger.NewMemory())
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx := context.Background()
	sale := cohort.Cohort{ID: "camp-481", Name: "Spring sale"}
	_, err = syncer.Sync(ctx, sale, cohort.Identifiers(numbered(1000)))
	fmt.Println(err)
	_, err = syncer.Sync(ctx, sale, cohort.Identifiers(numbered(300)))
	fmt.Println(err)
	if held, ok := errors.AsType[*cohort.HeldRemovalsError](err); ok {
		report, err := syncer.Sync(ctx, sale, cohort.Identifiers(numbered(300)), cohort.ApproveRemovals(held.Removals))
		fmt.Println(report, err)
	}
	_, err = syncer.Sync(ctx, sale, cohort.Identifiers(numbered(0)))
	fmt.Println(err)
	// Output:
	// <nil>
	// cohort: sync "camp-481": 700 of 1000 members would be removed, more than the removal guard allows, so their removals are held: look whether the source is complete; if it is, run again with ApproveRemovals(700)
	// cohort "camp-481": 300 rows (300 kept); 700 removals: 700 accepted; 1 request <nil>
	// cohort: sync "camp-481": the source named nobody who can be sent, and 300 members would be removed: look at the source; to end the cohort use Drain, and to empty it run again with ApproveRemovals(300)
}

// What a run would cost is known before it.
func ExampleSyncer_Plan() {
	importer, braze := newExample()
	defer braze.Close()
	syncer, err := cohort.NewSyncer(importer, ledger.NewMemory())
	if err != nil {
		fmt.Println(err)
		return
	}

	plan, err := syncer.Plan(context.Background(), cohort.Cohort{ID: "camp-481", Name: "Spring sale"}, cohort.Identifiers(numbered(250_000)))
	fmt.Println(plan, err)
	fmt.Println(plan.DataPoints(), plan.AtQuota())
	// Output:
	// cohort "camp-481", to be named "Spring sale": 0 members; 250000 to add; 251 requests, 250000 data points, 3.6144s at the quota <nil>
	// 250000 3.6144s
}

// Whoever signs up after they were sent is in the cohort only once they are sent again.
func ExampleSyncer_Reassert() {
	braze, err := brazetest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer braze.Close()
	tinyclues, acme := braze.AddPartner("tinyclues", "Tinyclues"), braze.AddWorkspace("acme")
	acme.Enable(tinyclues)
	syncer, err := syncerOf(braze, keys.Credentials{Partner: "tinyclues", PartnerKey: tinyclues.Key("EU-01"), ImportKey: acme.GenerateKey(tinyclues)})
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx := context.Background()
	report, err := syncer.Sync(ctx, cohort.Cohort{ID: "camp-481", Name: "Spring sale"}, cohort.Identifiers(numbered(3)))
	fmt.Println(report.Adds, err, "in:", acme.CohortSize(tinyclues, "camp-481"))
	if _, err := acme.AddProfile(brazetest.Profile{ExternalID: "u-2"}); err != nil {
		fmt.Println(err)
	}
	report, err = syncer.Reassert(ctx, "camp-481", cohort.Share(1)) // a program sends Share(1.0/30) every day
	fmt.Println(report.Adds, err, "in:", acme.CohortSize(tinyclues, "camp-481"))
	// Output:
	// 3 accepted <nil> in: 0
	// 3 accepted <nil> in: 1
}

// Whoever has the right to be forgotten is taken out of every cohort, and out of the ledger.
func ExampleSyncer_Erase() {
	importer, braze := newExample()
	defer braze.Close()
	syncer, err := cohort.NewSyncer(importer, ledger.NewMemory())
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx := context.Background()
	var rules identity.Rules
	_, err = syncer.SyncAll(ctx, []cohort.Job{
		{Cohort: cohort.Cohort{ID: "camp-481", Name: "Spring sale"}, Audience: cohort.People(rules, customers("u-17", "u-18"))},
		{Cohort: cohort.Cohort{ID: "camp-482", Name: "Win back"}, Audience: cohort.People(rules, customers("u-18", "u-19"))},
	})
	fmt.Println(err)
	reports, err := syncer.Erase(ctx, func(yield func(identity.ID, error) bool) { yield(identity.ExternalID("u-17"), nil) })
	for _, report := range reports {
		fmt.Println(report)
	}
	fmt.Println(err)
	// Output:
	// <nil>
	// cohort "camp-481": 0 rows; 1 removal: 1 accepted; 1 request
	// cohort "camp-482": 0 rows; 1 removal: 1 accepted; 1 request
	// <nil>
}

// customers makes people of external IDs, as a query would.
func customers(ids ...string) iter.Seq2[identity.Person, error] {
	return func(yield func(identity.Person, error) bool) {
		for _, id := range ids {
			if !yield(identity.Person{ExternalID: id}, nil) {
				return
			}
		}
	}
}

// numbered makes n identifiers.
func numbered(n int) iter.Seq2[identity.ID, error] {
	return func(yield func(identity.ID, error) bool) {
		for i := range n {
			if !yield(identity.ExternalID(fmt.Sprintf("u-%d", i)), nil) {
				return
			}
		}
	}
}

// syncerOf returns a Syncer with an empty ledger whose endpoint is a fake.
func syncerOf(braze *brazetest.Server, credentials keys.Credentials) (*cohort.Syncer, error) {
	endpoint, err := transport.ParseEndpoint("EU-01")
	if err != nil {
		return nil, err
	}
	client, err := transport.New(endpoint, transport.WithHTTPClient(braze.Client()))
	if err != nil {
		return nil, err
	}
	importer, err := cohort.NewImporter(client, "acme", credentials)
	if err != nil {
		return nil, err
	}
	return cohort.NewSyncer(importer, ledger.NewMemory())
}
