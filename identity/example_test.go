package identity_test

import (
	"errors"
	"fmt"
	"iter"

	"github.com/cohortkit/cohortkit/identity"
)

// A source yields one person a row. Rejected rows come through as errors, and the sequence goes on.
func Example() {
	people := func(yield func(identity.Person, error) bool) {
		_ = yield(identity.Person{ExternalID: "u-17", DeviceIDs: []string{"5b2c9f0e"}}, nil) &&
			yield(identity.Person{DeviceIDs: []string{"77aa4d0e"}}, nil) &&
			yield(identity.Person{Identified: true, DeviceIDs: []string{"9a510c3f"}}, nil) &&
			yield(identity.Person{Aliases: []identity.Alias{{Label: "crm", Name: "c-90"}}}, nil)
	}
	for id, err := range (identity.Rules{}).IDs(people) {
		if rejected, ok := errors.AsType[*identity.RejectError](err); ok {
			fmt.Println("rejected:", rejected.Reason)
			continue
		}
		if err != nil {
			fmt.Println("the source failed:", err)
			return
		}
		fmt.Println(id)
	}
	// Output:
	// external_id(redacted)
	// device_id(redacted)
	// rejected: only_devices
	// alias(redacted)
}

func ExampleRules_Choose() {
	rules := identity.Rules{
		Order:       []identity.Kind{identity.AliasKind, identity.DeviceIDKind},
		AliasLabels: []string{"crm", "shop"},
	}
	id, err := rules.Choose(identity.Person{Aliases: []identity.Alias{
		{Label: "shop", Name: "s-4"},
		{Label: "crm", Name: "c-90"},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	alias, _ := id.Alias()
	fmt.Println(alias.Label, alias.Name) // on purpose: these are personal data

	_, err = rules.Choose(identity.Person{ExternalID: "u-17", DeviceIDs: []string{"5b2c9f0e"}})
	fmt.Println(err)
	// Output:
	// crm c-90
	// person rejected: only_devices: an identified user is not matched by device ID; give the external ID or an alias that the rules allow
}

func ExampleRules_IDs() {
	// A reader of rows reports a row it cannot read as a reject, and any other failure as it is.
	var people iter.Seq2[identity.Person, error] = func(yield func(identity.Person, error) bool) {
		_ = yield(identity.Person{ExternalID: "u-17"}, nil) &&
			yield(identity.Person{}, &identity.RejectError{Field: "row", Reason: identity.ReasonUnreadable}) &&
			yield(identity.Person{}, errors.New("connection lost")) &&
			yield(identity.Person{ExternalID: "u-18"}, nil)
	}
	for id, err := range (identity.Rules{}).IDs(people) {
		fmt.Println(id, err)
	}
	// Output:
	// external_id(redacted) <nil>
	// none row rejected: unreadable: look at this row in the source
	// none connection lost
}

func ExampleRules_Match() {
	var rules identity.Rules
	profile := identity.Profile{ExternalID: "u-17", DeviceIDs: []string{"5b2c9f0e"}}
	for _, id := range []identity.ID{identity.ExternalID("u-17"), identity.DeviceID("5b2c9f0e")} {
		verdict := rules.Match(id, profile)
		fmt.Println(verdict.Matched(), verdict)
	}
	// Output:
	// true matched by external ID
	// false not matched: device of an identified profile
}

func ExampleID_Encode() {
	stored := identity.Alias{Label: "crm", Name: "c-90"}.ID().Encode()
	fmt.Println(stored)
	id, err := identity.ParseID(stored)
	fmt.Println(id.Kind(), err)
	// Output:
	// a:3:crm:c-90
	// alias <nil>
}
