package cohort_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
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

// A key that the customer has invalidated shows before any member is sent, and the error says whom to ask for what.
func ExampleImporter_Check() {
	importer, braze := newExample()
	defer braze.Close()
	braze.Inject(brazetest.Users(), brazetest.Unauthorized(brazetest.WrongImportKey))

	err := importer.Check(context.Background())
	fmt.Println(errors.Is(err, transport.ErrUnauthorized))
	fmt.Println(err)
	// Output:
	// true
	// cohort: check: transport: cohort.check: 401 unauthorized from EU-01 after 1 attempt; data import key: compare the key with those on the partner's page of the dashboard; if it was invalidated, generate a new one there and hand it over
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
