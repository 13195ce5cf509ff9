package identity_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cohortkit/cohortkit/identity"
)

func FuzzParseID(f *testing.F) {
	for _, seed := range []string{"", "e:", "e:u-17", "d:5b2c9f0e", "a:3:crm:c-90", "a:0::", "a:03:crm:c", "a:+3:crm:c", "a:9:crm:c", "x:1", "a:1:\xff:\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := identity.ParseID(s)
		if err != nil {
			if !errors.Is(err, identity.ErrMalformed) || !id.IsZero() {
				t.Errorf("ParseID = %v, %v, want the zero ID and ErrMalformed", id, err)
			}
			return
		}
		if id.IsZero() {
			t.Error("ParseID gave the zero ID without an error")
		}
		if got := id.Encode(); got != s {
			t.Errorf("Encode of the parsed ID differs: got %q, want %q", got, s)
		}
	})
}

func FuzzEncode(f *testing.F) {
	f.Add("crm", "c-90")
	f.Add("", "")
	f.Add("3:crm:", ":\x00\xff")
	f.Fuzz(func(t *testing.T, label, value string) {
		for _, id := range []identity.ID{identity.ExternalID(value), identity.DeviceID(value), alias(label, value)} {
			stored := id.Encode()
			if appended := string(id.AppendEncode(nil)); appended != stored {
				t.Errorf("AppendEncode = %q, Encode = %q", appended, stored)
			}
			got, err := identity.ParseID(stored)
			if err != nil {
				t.Fatalf("ParseID of what Encode gave: %v", err)
			}
			if got != id {
				t.Errorf("ParseID gave another ID: %q, want %q", got.Encode(), stored)
			}
		}
	})
}

// allRules are all combinations of order, labels and the two undocumented choices.
func allRules() []identity.Rules {
	const e, a, d = identity.ExternalIDKind, identity.AliasKind, identity.DeviceIDKind
	var all []identity.Rules
	for _, order := range [][]identity.Kind{nil, {e}, {a}, {d}, {e, a}, {a, e}, {e, d}, {d, e}, {a, d}, {d, a},
		{e, a, d}, {e, d, a}, {a, e, d}, {a, d, e}, {d, e, a}, {d, a, e}} {
		for _, labels := range [][]string{nil, {"crm"}, {"shop", "crm"}} {
			for _, alias := range []identity.AliasMatch{identity.AliasAnyProfile, identity.AliasIdentifiedOnly} {
				for _, deprecated := range []identity.DeprecatedMatch{identity.DeprecatedMatches, identity.DeprecatedIgnored} {
					all = append(all, identity.Rules{Order: order, AliasLabels: labels, AliasMatch: alias, DeprecatedMatch: deprecated})
				}
			}
		}
	}
	return all
}

// mirror is the profile of which the person is what the caller knows.
func mirror(p identity.Person) identity.Profile {
	profile := identity.Profile{ExternalID: p.ExternalID, Aliases: p.Aliases, DeviceIDs: p.DeviceIDs}
	if profile.ExternalID == "" && p.Identified {
		profile.ExternalID = "known to the endpoint alone"
	}
	return profile
}

// checkChoice reports a choice that the mirror of the person would not match, one that depends on order, and a reject
// of a person who could be sent. It returns whether the person is sent.
func checkChoice(t *testing.T, rules identity.Rules, p identity.Person) bool {
	t.Helper()
	id, err := rules.Choose(p)

	reversed := p
	reversed.Aliases, reversed.DeviceIDs = slices.Clone(p.Aliases), slices.Clone(p.DeviceIDs)
	slices.Reverse(reversed.Aliases)
	slices.Reverse(reversed.DeviceIDs)
	again, _ := rules.Choose(reversed)
	if again != id {
		t.Errorf("the choice depends on the order of a source: %q, %q", id.Encode(), again.Encode())
	}

	if err != nil {
		rejected, ok := errors.AsType[*identity.RejectError](err)
		if !ok {
			t.Fatalf("Choose failed with something else than a RejectError: %v", err)
		}
		if !id.IsZero() {
			t.Error("Choose returned an ID beside its error")
		}
		nothing := rejected.Reason == identity.ReasonNoIdentifier || rejected.Reason == identity.ReasonOnlyDevices
		if nothing && p.ExternalID != "" && (len(rules.Order) == 0 || slices.Contains(rules.Order, identity.ExternalIDKind)) {
			t.Errorf("a person with an external ID is rejected as %s", rejected.Reason)
		}
		return false
	}
	if err := id.Validate(); err != nil {
		t.Errorf("the choice is invalid: %v", err)
	}
	if len(rules.Order) > 0 && !slices.Contains(rules.Order, id.Kind()) {
		t.Errorf("the choice is %v, which the order leaves out", id.Kind())
	}
	if verdict := rules.Match(id, mirror(p)); !verdict.Matched() {
		t.Errorf("the choice is %v, and its verdict is %v", id, verdict)
	}
	return true
}

// FuzzChooseThenMatch holds that what is chosen for a person matches the profile of this person, under all rules.
func FuzzChooseThenMatch(f *testing.F) {
	f.Add("u-17", "crm", "c-90", "shop", "s-4", "d-1", "d-2", false)
	f.Add("", "crm", "c-90", "", "", "d-1", "", true)
	f.Add("", "", "c-90", "crm", "\n", "", "", false)
	all := allRules()
	f.Fuzz(func(t *testing.T, external, label1, name1, label2, name2, device1, device2 string, identified bool) {
		p := identity.Person{
			ExternalID: external,
			Aliases:    []identity.Alias{{Label: label1, Name: name1}, {Label: label2, Name: name2}},
			DeviceIDs:  []string{device1, device2},
			Identified: identified,
		}
		for _, rules := range all {
			checkChoice(t, rules, p)
		}
	})
}

// TestChooseThenMatch is the property of FuzzChooseThenMatch on people of few identifiers, so that all cases occur.
func TestChooseThenMatch(t *testing.T) {
	t.Parallel()
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, seed))
	pick := func(from ...string) string { return from[rng.IntN(len(from))] }
	all := allRules()
	sent, rejected := 0, 0
	for range 600 {
		p := identity.Person{ExternalID: pick("", "", "u-1", "u-\n", strings.Repeat("u", 1000)), Identified: rng.IntN(3) == 0}
		for range rng.IntN(4) {
			p.Aliases = append(p.Aliases, identity.Alias{Label: pick("", "crm", "shop", "app", "\x00"), Name: pick("", "c-1", "c-2", "\xff")})
		}
		for range rng.IntN(3) {
			p.DeviceIDs = append(p.DeviceIDs, pick("", "d-1", "d-2", "\t"))
		}
		for _, rules := range all {
			if checkChoice(t, rules, p) {
				sent++
			} else {
				rejected++
			}
		}
	}
	if total := sent + rejected; sent < total/5 || rejected < total/5 {
		t.Errorf("%d people sent, %d rejected: the cases are too lopsided to show much (seed %d)", sent, rejected, seed)
	}
}
