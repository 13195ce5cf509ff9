package keys_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cohortkit/cohortkit/keys"
)

// Plain keys make complete credentials. Nothing prints them.
func Example() {
	credentials := keys.Credentials{
		Partner:    "tinyclues",
		PartnerKey: keys.NewPartnerKey("3141-5926-5358"),
		ImportKey:  keys.NewImportKey("2718-2818-2845"),
	}
	fmt.Println(credentials.Validate("EU-01"))
	fmt.Printf("%+v\n", credentials)
	// Output:
	// <nil>
	// keys.Credentials{Partner: "tinyclues", PartnerKey: [redacted], ImportKey: [redacted]}
}

func ExampleImportKey() {
	key := keys.NewImportKey("2718-2818-2845")
	fmt.Println(key, key == keys.NewImportKey("2718-2818-2845"))
	fmt.Println("compare with the other log by", key.Fingerprint())

	err := keys.NewImportKey("2718-2818-2845\n").Validate()
	fmt.Println(err)
	// Output:
	// [redacted] true
	// compare with the other log by cdba80b4
	// keys: data import key holds a control character: the usual cause is the line break at the end of a file or of a copied line; strip it where the value is read
}

func ExamplePartnerKeys() {
	partner := keys.PartnerKeys{
		"US-01": keys.NewPartnerKey("3141-5926-5358"),
		"EU-01": keys.NewPartnerKey("1618-0339-8874"),
	}
	_, err := partner.PartnerKeyFor("AU-01")
	fmt.Println(err)
	fmt.Println(errors.Is(err, keys.ErrMissing))
	// Output:
	// keys: no partner API key for instance "AU-01" (there are keys for "EU-01", "US-01"): ask Braze for the key of this instance and add it by this exact name
	// true
}

// A mounted secret is read again when it was replaced.
func ExampleFile() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "import-key")
	put := func(text string) {
		next := path + ".next"
		if err := errors.Join(os.WriteFile(next, []byte(text), 0o600), os.Rename(next, path)); err != nil {
			fmt.Println(err)
		}
	}

	source := keys.File(path)
	put("2718-2818-2845\n")
	first, err := source.ImportKey(context.Background())
	fmt.Println(first, err)
	put("9045-2353-6028\n")
	second, err := source.ImportKey(context.Background())
	fmt.Println(second, err)
	fmt.Println(first == second)
	// Output:
	// [redacted] <nil>
	// [redacted] <nil>
	// false
}

// The partner's page of a dashboard: the customer generates a key, hands it over, and invalidates it later.
func ExampleIssuer() {
	issuer := keys.NewIssuer()
	key, err := issuer.Generate()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = issuer.Authenticate(key.Reveal())
	fmt.Println("before:", err)

	for _, issued := range issuer.List() {
		if err := issuer.Invalidate(issued.Fingerprint); err != nil {
			fmt.Println(err)
		}
	}
	_, err = issuer.Authenticate(key.Reveal())
	fmt.Println("after:", errors.Is(err, keys.ErrInvalidatedKey))
	// Output:
	// before: <nil>
	// after: true
}
