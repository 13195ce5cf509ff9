package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// spring is the entry of the examples.
var spring = ledger.Key{Endpoint: "https://rest.fra-01.braze.eu", Partner: "tinyclues", Workspace: "acme", CohortID: "camp-481"}

// users yields external IDs.
func users(ids ...string) iter.Seq2[identity.ID, error] {
	return func(yield func(identity.ID, error) bool) {
		for _, id := range ids {
			if !yield(identity.ExternalID(id), nil) {
				return
			}
		}
	}
}

// surely yields the identifiers as members whose addition was acknowledged.
func surely(ids iter.Seq2[identity.ID, error]) iter.Seq2[ledger.Member, error] {
	return func(yield func(ledger.Member, error) bool) {
		for id, err := range ids {
			if !yield(ledger.Member{ID: id, State: ledger.In}, err) {
				return
			}
		}
	}
}

// A ledger was lost. What another system says of the cohort is imported, so that the next sync starts from there.
func ExampleImport() {
	ctx := context.Background()
	state := ledger.NewMemory()
	err := ledger.Import(ctx, state, ledger.Entry{
		Key: spring,
		Header: ledger.Header{
			Name: "Spring sale", Naming: ledger.Named,
			CreatedAt: time.Date(2026, 3, 2, 8, 15, 0, 0, time.UTC),
		},
	}, surely(users("u-17", "u-18")))
	if err != nil {
		fmt.Println(err)
		return
	}
	for entry, err := range state.Entries(ctx) {
		fmt.Println(entry.Key.CohortID, entry.Header.Name, err)
	}
	// Output: camp-481 Spring sale <nil>
}

// What a ledger knows is held against a list, such as one that the customer exported.
func ExampleDiff() {
	ctx := context.Background()
	state := ledger.NewMemory()
	if err := ledger.Import(ctx, state, ledger.Entry{Key: spring}, surely(users("u-17", "u-18", "u-19"))); err != nil {
		fmt.Println(err)
		return
	}
	for deviation, err := range ledger.Diff(ctx, state, spring, users("u-18", "u-19", "u-20")) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(deviation.ID.Encode(), deviation.Side) // Encode shows the identifier; String does not
	}
	// Output:
	// e:u-17 only in the ledger
	// e:u-20 only in the list
}

// A cohort has one writer at a time, whoever opens the ledger.
func ExampleDir_Open() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "ledger")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(folder) }()
	state, err := ledger.OpenDir(folder)
	if err != nil {
		fmt.Println(err)
		return
	}
	session, err := state.Open(ctx, spring)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err = state.Open(ctx, spring); err != nil {
		held, ok := errors.AsType[*ledger.HeldError](err)
		fmt.Println(ok, held.Key.CohortID)
	}
	if err := session.Close(); err != nil {
		fmt.Println(err)
	}
	// Output: true camp-481
}

// What a session does for a request: the intent is durable before the request leaves, and the answer settles it.
func ExampleSession() {
	ctx := context.Background()
	session, err := ledger.NewMemory().Open(ctx, spring)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = session.Close() }()
	who := []ledger.Member{{ID: identity.ExternalID("u-17")}}

	intent, err := session.Begin(ctx, nil, who)
	for m, readErr := range session.Members(ctx) {
		fmt.Println(m.State, errors.Join(err, readErr)) // a crash would leave it so
	}
	err = session.Settle(intent, ledger.Accepted)
	for m, readErr := range session.Members(ctx) {
		fmt.Println(m.State, errors.Join(err, readErr))
	}
	// Output:
	// unknown <nil>
	// in <nil>
}
