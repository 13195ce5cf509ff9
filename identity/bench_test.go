package identity_test

import (
	"testing"

	"github.com/cohortkit/cohortkit/identity"
)

const uuid = "5b2c9f0e-77aa-4d0e-9a51-0c3f1f2b6d10"

func BenchmarkIDValidate(b *testing.B) {
	for _, bm := range []struct {
		name string
		id   identity.ID
	}{
		{"external ID", identity.ExternalID(uuid)},
		{"alias", alias("crm", uuid)},
		{"not ASCII", identity.ExternalID("ユーザー" + uuid)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := bm.id.Validate(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

var benchPerson = identity.Person{
	Aliases:   []identity.Alias{{Label: "shop", Name: "s-4"}, {Label: "crm", Name: "c-90"}},
	DeviceIDs: []string{uuid},
}

func BenchmarkRulesChoose(b *testing.B) {
	identified := benchPerson
	identified.ExternalID = uuid
	for _, bm := range []struct {
		name   string
		rules  identity.Rules
		person identity.Person
	}{
		{"external ID", identity.Rules{}, identified},
		{"alias", identity.Rules{}, benchPerson},
		{"alias by label", identity.Rules{AliasLabels: []string{"crm", "shop"}}, benchPerson},
		{"device", identity.Rules{AliasMatch: identity.AliasIdentifiedOnly}, benchPerson},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bm.rules.Choose(bm.person); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkIDAppendEncode(b *testing.B) {
	id, buffer := alias("crm", uuid), []byte(nil)
	b.ReportAllocs()
	for b.Loop() {
		buffer = id.AppendEncode(buffer[:0])
	}
}

func BenchmarkParseID(b *testing.B) {
	stored := alias("crm", uuid).Encode()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := identity.ParseID(stored); err != nil {
			b.Fatal(err)
		}
	}
}

// TestHotPathAllocatesNothing holds for what runs once for every row of an import.
//
//nolint:paralleltest // AllocsPerRun counts the allocations of the whole program.
func TestHotPathAllocatesNothing(t *testing.T) {
	id := alias("crm", uuid)
	stored := id.Encode()
	buffer := make([]byte, 0, 128)
	rules := identity.Rules{AliasLabels: []string{"crm"}}
	profile := identity.Profile{Aliases: benchPerson.Aliases}
	tests := []struct {
		name string
		run  func() bool
	}{
		{"Validate", func() bool { return id.Validate() == nil }},
		{"Choose", func() bool { _, err := identity.Rules{}.Choose(benchPerson); return err == nil }},
		{"Choose by label", func() bool { _, err := rules.Choose(benchPerson); return err == nil }},
		{"Match", func() bool { return rules.Match(id, profile) == identity.NoSuchIdentifier }},
		{"AppendEncode", func() bool { return len(id.AppendEncode(buffer)) > 0 }},
		{"ParseID", func() bool { _, err := identity.ParseID(stored); return err == nil }},
	}
	for _, tt := range tests {
		if !tt.run() {
			t.Fatalf("%s failed", tt.name)
		}
		if got := testing.AllocsPerRun(100, func() { tt.run() }); got != 0 {
			t.Errorf("%s allocates %.0f times, want 0", tt.name, got)
		}
	}
}
