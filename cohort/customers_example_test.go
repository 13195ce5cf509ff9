package cohort_test

import (
	"context"
	"fmt"
	"net/http"

	"golang.org/x/sync/errgroup"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// account is a customer of the partner: what they handed over, and the campaign that is to be exported.
type account struct {
	workspace string      // the partner's own stable name for the customer
	endpoint  string      // as the customer found it on the partner's page of the dashboard
	importKey keys.Source // as above; a file or a function lets it change while the program runs
	sale      cohort.Cohort
	audience  cohort.Audience
}

// service exports for all customers from one process: one pool of connections, one Client for each instance, one Importer for each customer.
type service struct {
	partnerKeys keys.PartnerKeys // by instance
	http        *http.Client     // &http.Client{Transport: transport.NewPool()} in a program
	clients     map[string]*transport.Client
}

// client returns the Client of an endpoint. Its quota is shared by all customers there, who take turns however much each of them sends.
func (s *service) client(address string) (*transport.Client, error) {
	endpoint, err := transport.ParseEndpoint(address)
	if err != nil {
		return nil, err
	}
	if client, ok := s.clients[endpoint.URL()]; ok {
		return client, nil
	}
	client, err := transport.New(endpoint, transport.WithHTTPClient(s.http))
	if err == nil {
		s.clients[endpoint.URL()] = client
	}
	return client, err
}

// syncer returns the Syncer of a customer. It is cheap to keep, and to make anew.
func (s *service) syncer(a account) (*cohort.Syncer, error) {
	client, err := s.client(a.endpoint)
	if err != nil {
		return nil, err
	}
	importer, err := cohort.NewImporter(client, a.workspace, keys.Credentials{Partner: "tinyclues", PartnerKey: s.partnerKeys, ImportKey: a.importKey})
	if err != nil {
		return nil, err
	}
	return cohort.NewSyncer(importer, ledger.NewMemory()) // in a program, a ledger.Dir in a folder for each customer
}

// export exports for some customers at a time, and returns what became of each. A customer's failure is that customer's alone.
func (s *service) export(ctx context.Context, accounts []account) []outcome {
	var runs errgroup.Group
	runs.SetLimit(100) // each takes a part of its audience into memory
	outcomes := make([]outcome, len(accounts))
	for i, a := range accounts {
		o := &outcomes[i]
		syncer, err := s.syncer(a)
		if err != nil {
			o.err = err
			continue
		}
		runs.Go(func() error {
			o.report, o.err = syncer.Sync(ctx, a.sale, a.audience)
			return nil
		})
	}
	_ = runs.Wait() // every error is with its customer
	return outcomes
}

type outcome struct {
	report cohort.Report
	err    error
}

// A partner's process exports for customers on several instances. The fake of package brazetest stands in for Braze.
func Example_manyCustomers() {
	braze, err := brazetest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer braze.Close()
	tinyclues := braze.AddPartner("tinyclues", "Tinyclues")
	customer := func(workspace, instance, endpoint string, members ...string) account {
		w := braze.AddWorkspace(workspace, brazetest.OnInstance(instance))
		w.Enable(tinyclues)
		return account{
			workspace: workspace, endpoint: endpoint, importKey: w.GenerateKey(tinyclues),
			sale:     cohort.Cohort{ID: "camp-481", Name: "Spring sale"},
			audience: cohort.People(identity.Rules{}, customers(members...)),
		}
	}
	accounts := []account{
		customer("acme", "EU-01", "https://rest.fra-01.braze.eu", "u-17", "u-18"),
		customer("globex", "US-06", "https://dashboard-06.braze.com/integrations/partners", "g-1", "g-2", "g-3"),
		customer("initech", "EU-01", "eu-01", "i-1"),
		customer("umbrella", "US-06", "US-06", "x-1"),
		customer("hooli", "AU-01", "AU-01", "h-1"), // an instance for which the partner has no key yet
	}
	accounts[3].importKey = keys.NewImportKey("invalidated-last-week")

	exports := &service{
		partnerKeys: keys.PartnerKeys{"EU-01": tinyclues.Key("EU-01"), "US-06": tinyclues.Key("US-06")},
		http:        braze.Client(),
		clients:     make(map[string]*transport.Client),
	}
	for i, o := range exports.export(context.Background(), accounts) {
		if o.err != nil {
			fmt.Println(accounts[i].workspace, "failed:", o.err)
			continue
		}
		fmt.Println(accounts[i].workspace, "done:", o.report)
	}
	fmt.Println(len(exports.clients), "clients")
	// Output:
	// acme done: cohort "camp-481", created "Spring sale": 2 rows; 2 adds: 2 accepted; 2 requests
	// globex done: cohort "camp-481", created "Spring sale": 3 rows; 3 adds: 3 accepted; 2 requests
	// initech done: cohort "camp-481", created "Spring sale": 1 row; 1 add: 1 accepted; 2 requests
	// umbrella failed: cohort: sync "camp-481": name the cohort: transport: cohort.name: 401 unauthorized from US-06 after 1 attempt; data import key: compare the key with those on the partner's page of the dashboard; if it was invalidated, generate a new one there and hand it over
	// hooli failed: cohort: new importer: keys: no partner API key for instance "AU-01" (there are keys for "EU-01", "US-06"): ask Braze for the key of this instance and add it by this exact name
	// 3 clients
}
