package keys_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// The customer generates a second data import key on the partner's page, hands it over, and invalidates the first one when the partner uses the second.
// The exports go on meanwhile. A key that was copied wrongly is found out before it is used.
func ExampleRing() {
	braze, err := brazetest.Start() // stands in for Braze
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = braze.Close() }()
	tinyclues := braze.AddPartner("tinyclues", "Tinyclues")
	acme := braze.AddWorkspace("acme", brazetest.OnInstance("EU-01"))
	acme.Enable(tinyclues)
	first := acme.GenerateKey(tinyclues)

	rotate := func(ctx context.Context) error {
		ring, err := keys.NewRing(first)
		if err != nil {
			return err
		}
		endpoint, err := transport.ParseEndpoint("EU-01")
		if err != nil {
			return err
		}
		client, err := transport.New(endpoint, transport.WithHTTPClient(braze.Client()))
		if err != nil {
			return err
		}
		importer, err := cohort.NewImporter(client, "acme", keys.Credentials{
			Partner:    "tinyclues",
			PartnerKey: tinyclues.Key("EU-01"),
			ImportKey:  ring,
		})
		if err != nil {
			return err
		}

		if err := ring.Stage(keys.NewImportKey("not-the-key")); err != nil {
			return err
		}
		err = ring.Promote(ctx, importer.CheckKey)
		fmt.Println("wrong key:", errors.Is(err, transport.ErrUnauthorized))

		second := acme.GenerateKey(tinyclues)
		if err := ring.Stage(second); err != nil {
			return err
		}
		if err := ring.Promote(ctx, importer.CheckKey); err != nil {
			return err
		}
		acme.InvalidateKey(tinyclues, first)

		report, err := importer.Apply(ctx, "camp-481", func(yield func(cohort.Change, error) bool) {
			yield(cohort.Add(identity.ExternalID("u-17")), nil)
		})
		fmt.Println("accepted:", report.Adds.Accepted)
		for _, k := range ring.Snapshot().Keys {
			name := map[string]string{first.Fingerprint(): "first", second.Fingerprint(): "second"}[k.Fingerprint]
			fmt.Println(name, "key:", k.State)
		}
		return err
	}
	if err := rotate(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// wrong key: true
	// accepted: 1
	// second key: active
	// first key: retiring
}

// What a Ring knows outlives the process without a secret: the keys themselves are read again from wherever secrets are kept.
func ExampleRestoreRing() {
	first, second := keys.NewImportKey("2718-2818-2845"), keys.NewImportKey("9045-2353-6028")

	var saved []byte
	save := func(ring *keys.Ring) {
		saved, _ = json.Marshal(ring.Snapshot()) // to a file, or a row of a table
	}
	ring, err := keys.NewRing(first, keys.OnTransition(func(t keys.Transition) { fmt.Println(t) }))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := ring.Stage(second); err != nil {
		fmt.Println(err)
		return
	}
	save(ring)

	// After a restart.
	var snapshot keys.RingSnapshot
	if err := json.Unmarshal(saved, &snapshot); err != nil {
		fmt.Println(err)
		return
	}
	ring, err = keys.RestoreRing(snapshot, []keys.ImportKey{first, second})
	fmt.Println(ring, err)
	// Output:
	// data import key cdba80b4: absent -> active
	// data import key 68afba3c: absent -> staged
	// keys.Ring{active: cdba80b4, staged: 68afba3c} <nil>
}
