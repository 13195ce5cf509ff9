//go:build postgres

package postgres_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/examples/postgres"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// Two machines export to one workspace and share what they know. The fake of package brazetest stands in for Braze.
func Example() {
	ctx := context.Background()
	braze, err := brazetest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = braze.Close() }()
	tinyclues, acme := braze.AddPartner("tinyclues", "Tinyclues"), braze.AddWorkspace("acme")
	acme.Enable(tinyclues)
	credentials := keys.Credentials{Partner: "tinyclues", PartnerKey: tinyclues.Key("EU-01"), ImportKey: acme.GenerateKey(tinyclues)}

	// What each machine does at its start.
	start := func() (*cohort.Syncer, func(), error) {
		pool, err := pgxpool.New(ctx, database)
		if err != nil {
			return nil, nil, err
		}
		if err := postgres.Migrate(ctx, pool); err != nil {
			return nil, nil, err
		}
		state, err := postgres.New(pool)
		if err != nil {
			return nil, nil, err
		}
		endpoint, err := transport.ParseEndpoint("EU-01")
		if err != nil {
			return nil, nil, err
		}
		client, err := transport.New(endpoint, transport.WithHTTPClient(braze.Client()))
		if err != nil {
			return nil, nil, err
		}
		importer, err := cohort.NewImporter(client, "acme", credentials)
		if err != nil {
			return nil, nil, err
		}
		syncer, err := cohort.NewSyncer(importer, state)
		return syncer, pool.Close, err
	}

	sale := cohort.Cohort{ID: "camp-481", Name: "Spring sale"}
	for day, people := range []struct{ from, to int }{{0, 1000}, {10, 1005}} {
		syncer, stop, err := start()
		if err != nil {
			fmt.Println(err)
			return
		}
		report, err := syncer.Sync(ctx, sale, cohort.Identifiers(users(people.from, people.to)))
		fmt.Println("day", day+1, report, err)
		stop()
	}
	// Output:
	// day 1 cohort "camp-481", created "Spring sale": 1000 rows; 1000 adds: 1000 accepted; 2 requests <nil>
	// day 2 cohort "camp-481": 995 rows (990 kept); 5 adds: 5 accepted; 10 removals: 10 accepted; 2 requests <nil>
}

// A cohort that another machine is exporting is held; it is tried again later, or left to the other one.
func ExampleLedger_Open() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, database)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	if err := postgres.Migrate(ctx, pool); err != nil {
		fmt.Println(err)
		return
	}
	state, err := postgres.New(pool)
	if err != nil {
		fmt.Println(err)
		return
	}
	entry := ledger.Key{Endpoint: "https://rest.fra-01.braze.eu", Partner: "tinyclues", Workspace: "acme", CohortID: "camp-502"}
	session, err := state.Open(ctx, entry)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = state.Open(ctx, entry)
	held, ok := errors.AsType[*ledger.HeldError](err)
	fmt.Println(ok, held.Key.CohortID)
	if err := session.Close(); err != nil {
		fmt.Println(err)
	}
	for member, err := range ledger.Members(ctx, state, entry) {
		fmt.Println(member.ID.Encode(), member.State, err)
	}
	// Output: true camp-502
}
