package keys_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// The customer generates a new data import key, has it mounted in place of the old one, and invalidates that. Whoever uses the file notices nothing.
func Example_rotation() {
	braze, err := brazetest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = braze.Close() }()
	partner := braze.AddPartner("tinyclues", "Tinyclues")
	acme := braze.AddWorkspace("acme")
	acme.Enable(partner)
	oldKey := acme.GenerateKey(partner)

	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "import-key")
	mount := func(key keys.ImportKey) {
		if err := os.WriteFile(path, []byte(key.Reveal()), 0o600); err != nil {
			fmt.Println(err)
		}
	}
	mount(oldKey)

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
	importer, err := cohort.NewImporter(client, "acme", keys.Credentials{
		Partner:    "tinyclues",
		PartnerKey: keys.PartnerKeys{"EU-01": partner.Key("EU-01")},
		ImportKey:  keys.File(path),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(importer.Check(context.Background()))

	mount(acme.GenerateKey(partner))
	acme.InvalidateKey(partner, oldKey)
	fmt.Println(importer.Check(context.Background()))
	// Output:
	// <nil>
	// <nil>
}
