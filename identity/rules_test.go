package identity_test

import (
	"errors"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/identity"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	type (
		person = identity.Person
		pair   = identity.Alias
	)
	aliasFirst := identity.Rules{Order: []identity.Kind{identity.AliasKind, identity.ExternalIDKind, identity.DeviceIDKind}}
	labels := identity.Rules{AliasLabels: []string{"crm", "shop"}}
	identifiedOnly := identity.Rules{AliasMatch: identity.AliasIdentifiedOnly}
	tests := []struct {
		name   string
		rules  identity.Rules
		person person
		want   identity.ID
		field  string
		reason identity.Reason
	}{
		{name: "external ID wins by default", person: person{ExternalID: "u-17", Aliases: []pair{{"crm", "c-90"}}, DeviceIDs: []string{"d-1"}},
			want: identity.ExternalID("u-17")},
		{name: "alias comes before device", person: person{Aliases: []pair{{"crm", "c-90"}}, DeviceIDs: []string{"d-1"}}, want: alias("crm", "c-90")},
		{name: "device of an anonymous person", person: person{DeviceIDs: []string{"d-1"}}, want: identity.DeviceID("d-1")},

		{name: "another order", rules: aliasFirst, person: person{ExternalID: "u-17", Aliases: []pair{{"crm", "c-90"}}}, want: alias("crm", "c-90")},
		{name: "another order falls back to what is there", rules: aliasFirst, person: person{ExternalID: "u-17"}, want: identity.ExternalID("u-17")},
		{name: "device first", rules: identity.Rules{Order: []identity.Kind{identity.DeviceIDKind, identity.AliasKind}},
			person: person{Aliases: []pair{{"crm", "c-90"}}, DeviceIDs: []string{"d-1"}}, want: identity.DeviceID("d-1")},
		{name: "device first, but identified", rules: identity.Rules{Order: []identity.Kind{identity.DeviceIDKind, identity.AliasKind}},
			person: person{Identified: true, Aliases: []pair{{"crm", "c-90"}}, DeviceIDs: []string{"d-1"}}, want: alias("crm", "c-90")},
		{name: "a kind left out is not sent", rules: identity.Rules{Order: []identity.Kind{identity.ExternalIDKind}},
			person: person{Aliases: []pair{{"crm", "c-90"}}, DeviceIDs: []string{"d-1"}}, field: "person", reason: identity.ReasonNoIdentifier},
		{name: "an external ID left out still identifies", rules: identity.Rules{Order: []identity.Kind{identity.AliasKind, identity.DeviceIDKind}},
			person: person{ExternalID: "u-17", DeviceIDs: []string{"d-1"}}, field: "person", reason: identity.ReasonOnlyDevices},

		{name: "least label in byte order", person: person{Aliases: []pair{{"shop", "1"}, {"crm", "2"}, {"Zoo", "3"}}}, want: alias("Zoo", "3")},
		{name: "least name under one label", person: person{Aliases: []pair{{"crm", "b"}, {"crm", "a"}, {"crm", "c"}}}, want: alias("crm", "a")},
		{name: "least device in byte order", person: person{DeviceIDs: []string{"b", "a", "B"}}, want: identity.DeviceID("B")},
		{name: "first label of the rules", rules: labels, person: person{Aliases: []pair{{"app", "1"}, {"shop", "2"}, {"crm", "3"}}}, want: alias("crm", "3")},
		{name: "second label of the rules", rules: labels, person: person{Aliases: []pair{{"app", "1"}, {"shop", "2"}}}, want: alias("shop", "2")},
		{name: "label is case-sensitive", rules: labels, person: person{Aliases: []pair{{"CRM", "1"}}}, field: "person", reason: identity.ReasonNoIdentifier},
		{name: "no label of the rules, then the device", rules: labels, person: person{Aliases: []pair{{"app", "1"}}, DeviceIDs: []string{"d-1"}},
			want: identity.DeviceID("d-1")},
		{name: "least name under a label of the rules", rules: labels, person: person{Aliases: []pair{{"crm", "b"}, {"app", "0"}, {"crm", "a"}}}, want: alias("crm", "a")},

		{name: "identified, external ID unknown, alias serves", person: person{Identified: true, Aliases: []pair{{"crm", "c-90"}}, DeviceIDs: []string{"d-1"}},
			want: alias("crm", "c-90")},
		{name: "identified, only devices", person: person{Identified: true, DeviceIDs: []string{"d-1"}}, field: "person", reason: identity.ReasonOnlyDevices},
		{name: "identified, nothing at all", person: person{Identified: true}, field: "person", reason: identity.ReasonNoIdentifier},
		{name: "identified, an empty device is no device", person: person{Identified: true, DeviceIDs: []string{""}}, field: "person", reason: identity.ReasonNoIdentifier},
		{name: "identified, alias of no label of the rules", rules: labels, person: person{Identified: true, Aliases: []pair{{"app", "1"}}, DeviceIDs: []string{"d-1"}},
			field: "person", reason: identity.ReasonOnlyDevices},

		{name: "anonymous goes by device when aliases need an external ID", rules: identifiedOnly,
			person: person{Aliases: []pair{{"crm", "c-90"}}, DeviceIDs: []string{"d-1"}}, want: identity.DeviceID("d-1")},
		{name: "anonymous with an alias alone when aliases need an external ID", rules: identifiedOnly,
			person: person{Aliases: []pair{{"crm", "c-90"}}}, field: "person", reason: identity.ReasonNoIdentifier},
		{name: "identified goes by alias when aliases need an external ID", rules: identifiedOnly,
			person: person{Identified: true, Aliases: []pair{{"crm", "c-90"}}}, want: alias("crm", "c-90")},

		{name: "nobody", field: "person", reason: identity.ReasonNoIdentifier},
		{name: "empty texts are absent", person: person{Aliases: []pair{{}, {"crm", ""}}, DeviceIDs: []string{"", "d-1"}}, want: identity.DeviceID("d-1")},
		{name: "nothing but empty texts", person: person{Aliases: []pair{{"crm", ""}}, DeviceIDs: []string{""}}, field: "person", reason: identity.ReasonNoIdentifier},

		{name: "an invalid external ID does not fall through", person: person{ExternalID: "u-17\n", Aliases: []pair{{"crm", "c-90"}}},
			field: "external_id", reason: identity.ReasonControlCharacter},
		{name: "an invalid alias does not fall through to the device", person: person{Aliases: []pair{{"crm", "\xff"}}, DeviceIDs: []string{"d-1"}},
			field: "alias_name", reason: identity.ReasonInvalidUTF8},
		{name: "an invalid alias does not fall through to the next label", rules: labels, person: person{Aliases: []pair{{"shop", "1"}, {"crm", "\t"}}},
			field: "alias_name", reason: identity.ReasonControlCharacter},
		{name: "a name without a label is invalid", person: person{Aliases: []pair{{"", "c-90"}}, DeviceIDs: []string{"d-1"}},
			field: "alias_label", reason: identity.ReasonEmpty},
		{name: "an invalid device does not fall through to the next", person: person{DeviceIDs: []string{"d-1", "\n"}},
			field: "device_id", reason: identity.ReasonControlCharacter},
		{name: "what is not chosen may be invalid", person: person{ExternalID: "u-17", Aliases: []pair{{"", "\xff"}}, DeviceIDs: []string{"\n"}},
			want: identity.ExternalID("u-17")},
		{name: "an overlong external ID is sent", person: person{ExternalID: strings.Repeat("x", 2000)}, want: identity.ExternalID(strings.Repeat("x", 2000))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.rules.Validate(); err != nil {
				t.Fatalf("the rules of the test are wrong: %v", err)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			for range 20 { // the order of a source plays no part
				shuffled := tt.person
				shuffled.Aliases = slices.Clone(shuffled.Aliases)
				shuffled.DeviceIDs = slices.Clone(shuffled.DeviceIDs)
				rng.Shuffle(len(shuffled.Aliases), func(i, j int) {
					shuffled.Aliases[i], shuffled.Aliases[j] = shuffled.Aliases[j], shuffled.Aliases[i]
				})
				rng.Shuffle(len(shuffled.DeviceIDs), func(i, j int) {
					shuffled.DeviceIDs[i], shuffled.DeviceIDs[j] = shuffled.DeviceIDs[j], shuffled.DeviceIDs[i]
				})
				got, err := tt.rules.Choose(shuffled)
				if got != tt.want {
					t.Fatalf("Choose = %q, want %q", got.Encode(), tt.want.Encode())
				}
				var field string
				var reason identity.Reason
				if rejected, ok := errors.AsType[*identity.RejectError](err); ok {
					field, reason = rejected.Field, rejected.Reason
				} else if err != nil {
					t.Fatalf("Choose failed with something else than a RejectError: %v", err)
				}
				if field != tt.field || reason != tt.reason {
					t.Fatalf("rejected %q: %q, want %q: %q", field, reason, tt.field, tt.reason)
				}
			}
		})
	}
}

func TestRulesValidate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		rules identity.Rules
		field string // "" for valid rules
		index int
	}{
		{name: "zero"},
		{name: "everything set", rules: identity.Rules{
			Order:       []identity.Kind{identity.DeviceIDKind, identity.AliasKind, identity.ExternalIDKind},
			AliasLabels: []string{"crm", "CRM"}, AliasMatch: identity.AliasIdentifiedOnly, DeprecatedMatch: identity.DeprecatedIgnored}},
		{name: "empty lists", rules: identity.Rules{Order: []identity.Kind{}, AliasLabels: []string{}}},
		{name: "zero kind", rules: identity.Rules{Order: []identity.Kind{identity.AliasKind, 0}}, field: "Order", index: 1},
		{name: "unknown kind", rules: identity.Rules{Order: []identity.Kind{identity.DeviceIDKind + 1}}, field: "Order", index: 0},
		{name: "repeated kind", rules: identity.Rules{Order: []identity.Kind{identity.AliasKind, identity.DeviceIDKind, identity.AliasKind}}, field: "Order", index: 2},
		{name: "empty label", rules: identity.Rules{AliasLabels: []string{"crm", ""}}, field: "AliasLabels", index: 1},
		{name: "label with a line break", rules: identity.Rules{AliasLabels: []string{"crm\n"}}, field: "AliasLabels", index: 0},
		{name: "label in Latin-1", rules: identity.Rules{AliasLabels: []string{"cl\xe9"}}, field: "AliasLabels", index: 0},
		{name: "repeated label", rules: identity.Rules{AliasLabels: []string{"crm", "shop", "crm"}}, field: "AliasLabels", index: 2},
		{name: "unknown alias match", rules: identity.Rules{AliasMatch: 2}, field: "AliasMatch", index: -1},
		{name: "unknown deprecated match", rules: identity.Rules{DeprecatedMatch: 2}, field: "DeprecatedMatch", index: -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.rules.Validate()
			if tt.field == "" {
				if err != nil {
					t.Errorf("Validate: %v", err)
				}
				return
			}
			wrong, ok := errors.AsType[*identity.RulesError](err)
			if !ok {
				t.Fatalf("Validate = %v, want a RulesError", err)
			}
			if wrong.Field != tt.field || wrong.Index != tt.index {
				t.Errorf("error at %s %d, want %s %d", wrong.Field, wrong.Index, tt.field, tt.index)
			}
			if wrong.Problem == "" || wrong.Hint == "" {
				t.Errorf("the error has no problem or no next step: %v", wrong)
			}
		})
	}
}

func TestRulesErrorText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		rules identity.Rules
		want  string
	}{
		{"in a list", identity.Rules{AliasLabels: []string{"crm", "crm"}}, "identity: rules: AliasLabels[1] repeats a label: name each label once"},
		{"no list", identity.Rules{AliasMatch: 9}, "identity: rules: AliasMatch is no known choice: use AliasAnyProfile or AliasIdentifiedOnly"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.rules.Validate(); err == nil || err.Error() != tt.want {
				t.Errorf("Validate = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	kinds := func(k ...identity.Kind) []identity.Kind { return k }
	const e, a, d = identity.ExternalIDKind, identity.AliasKind, identity.DeviceIDKind
	// Rules of one group are equal in all that decides a choice; rules of two groups are not.
	groups := [][]identity.Rules{
		{{}, {Order: kinds(e, a, d)}, {Order: kinds(), AliasLabels: []string{}}, {DeprecatedMatch: identity.DeprecatedIgnored}},
		{{Order: kinds(a, e, d)}},
		{{Order: kinds(e, a)}},
		{{Order: kinds(e, d)}, {Order: kinds(e, d), AliasLabels: []string{"crm"}}, {Order: kinds(e, d), AliasMatch: identity.AliasIdentifiedOnly}},
		{{AliasMatch: identity.AliasIdentifiedOnly}},
		{{AliasLabels: []string{"crm"}}},
		{{AliasLabels: []string{"crm", "shop"}}},
		{{AliasLabels: []string{"shop", "crm"}}},
		{{AliasLabels: []string{"crm 4:shop"}}},
		{{AliasLabels: []string{"crmshop"}}},
	}
	seen := make(map[string]int)
	for i, group := range groups {
		want := group[0].Fingerprint()
		if len(want) != 16 {
			t.Errorf("fingerprint %q has %d characters, want 16", want, len(want))
		}
		if before, ok := seen[want]; ok {
			t.Errorf("groups %d and %d have the same fingerprint", before, i)
		}
		seen[want] = i
		for j, rules := range group {
			if got := rules.Fingerprint(); got != want {
				t.Errorf("rules %d of group %d: fingerprint %s, want %s", j, i, got, want)
			}
		}
	}
}

// TestFingerprintStays holds the fingerprints that stores have kept since the first version.
func TestFingerprintStays(t *testing.T) {
	t.Parallel()
	got := []string{
		identity.Rules{}.Fingerprint(),
		identity.Rules{AliasLabels: []string{"crm", "shop"}, AliasMatch: identity.AliasIdentifiedOnly}.Fingerprint(),
	}
	want := []string{"200ed663c74d179d", "873810069f15c5f3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fingerprints changed (-want +got):\n%s", diff)
	}
}

// row is one element of a source or of a result.
type row struct {
	Person identity.Person
	Err    error
}

func rows(all ...row) iter.Seq2[identity.Person, error] {
	return func(yield func(identity.Person, error) bool) {
		for _, r := range all {
			if !yield(r.Person, r.Err) {
				return
			}
		}
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	var (
		lost    = errors.New("connection lost")
		bad     = &identity.RejectError{Field: "row", Reason: identity.ReasonUnreadable}
		wrapped = errors.Join(errors.New("row 3"), bad)
	)
	type result struct {
		ID  string // storage form
		Err string
	}
	tests := []struct {
		name  string
		rules identity.Rules
		rows  []row
		want  []result
	}{
		{name: "nothing"},
		{
			name: "one row each, in order, repeats too",
			rows: []row{{Person: identity.Person{ExternalID: "b"}}, {Person: identity.Person{ExternalID: "a"}}, {Person: identity.Person{ExternalID: "b"}}},
			want: []result{{ID: "e:b"}, {ID: "e:a"}, {ID: "e:b"}},
		},
		{
			name: "a rejected person does not end the run",
			rows: []row{{}, {Person: identity.Person{ExternalID: "a"}}},
			want: []result{{Err: (&identity.RejectError{Field: "person", Reason: identity.ReasonNoIdentifier}).Error()}, {ID: "e:a"}},
		},
		{
			name: "a reject of the source is passed on as it is",
			rows: []row{{Err: bad}, {Err: wrapped, Person: identity.Person{ExternalID: "not looked at"}}, {Person: identity.Person{ExternalID: "a"}}},
			want: []result{{Err: bad.Error()}, {Err: wrapped.Error()}, {ID: "e:a"}},
		},
		{
			name: "any other error of the source ends the run",
			rows: []row{{Person: identity.Person{ExternalID: "a"}}, {Err: lost}, {Person: identity.Person{ExternalID: "b"}}},
			want: []result{{ID: "e:a"}, {Err: lost.Error()}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ids := tt.rules.IDs(rows(tt.rows...))
			for round := range 2 { // a sequence can be ranged over again when its source can
				var got []result
				for id, err := range ids {
					r := result{ID: id.Encode()}
					if err != nil {
						r.Err = err.Error()
					}
					got = append(got, r)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("round %d (-want +got):\n%s", round, diff)
				}
			}
		})
	}
}

func TestIDsAsksNothingOfASourceUnderInvalidRules(t *testing.T) {
	t.Parallel()
	asked := false
	source := func(func(identity.Person, error) bool) { asked = true }
	var errs []error
	for id, err := range (identity.Rules{AliasMatch: 9}).IDs(source) {
		if !id.IsZero() {
			t.Error("an ID came with the error of the rules")
		}
		errs = append(errs, err)
	}
	if len(errs) != 1 {
		t.Fatalf("%d elements, want one", len(errs))
	}
	if _, ok := errors.AsType[*identity.RulesError](errs[0]); !ok {
		t.Errorf("error = %v, want a RulesError", errs[0])
	}
	if asked {
		t.Error("the source was asked")
	}
}

func TestIDsStopsTheSource(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection lost")
	bad := &identity.RejectError{Field: "row", Reason: identity.ReasonUnreadable}
	tests := []struct {
		name  string
		row   row
		rules identity.Rules
		stop  int // break after this many elements; 0 never
	}{
		{name: "break after an ID", row: row{Person: identity.Person{ExternalID: "a"}}, stop: 3},
		{name: "break after a rejected person", row: row{}, stop: 3},
		{name: "break after a reject of the source", row: row{Err: bad}, stop: 3},
		{name: "an error of the source", row: row{Err: lost}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			yielded, released := 0, false
			source := func(yield func(identity.Person, error) bool) {
				defer func() { released = true }()
				for yielded < 100 {
					yielded++
					if !yield(tt.row.Person, tt.row.Err) {
						return
					}
				}
			}
			got := 0
			for _, err := range tt.rules.IDs(source) {
				if wantErr := tt.row.Person.ExternalID == ""; (err != nil) != wantErr {
					t.Errorf("error = %v, want one: %t", err, wantErr)
				}
				if got++; got == tt.stop {
					break
				}
			}
			want := max(tt.stop, 1)
			if got != want || yielded != want || !released {
				t.Errorf("%d elements of %d rows, released %t; want %d of %d, true", got, yielded, released, want, want)
			}
		})
	}
}
