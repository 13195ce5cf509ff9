package cohort

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
)

var update = flag.Bool("update", false, "write the golden files anew")

// wireBody is the body of a users call as the contract describes it.
type wireBody struct {
	PartnerAPIKey string       `json:"partner_api_key"`
	ClientSecret  string       `json:"client_secret"`
	CohortID      string       `json:"cohort_id"`
	Changes       []wireObject `json:"cohort_changes"`
}

type wireObject struct {
	UserIDs      []string    `json:"user_ids,omitempty"`
	Aliases      []wireAlias `json:"aliases,omitempty"`
	DeviceIDs    []string    `json:"device_ids,omitempty"`
	ShouldRemove bool        `json:"should_remove,omitempty"`
}

type wireAlias struct {
	Name  string `json:"alias_name"`
	Label string `json:"alias_label"`
}

func exampleSecrets() secrets {
	return secrets{keys.NewPartnerKey("pk-us-0001"), keys.NewImportKey("cs-ws-0001")}
}

func TestAppendChanges(t *testing.T) {
	t.Parallel()
	crm := func(name string) identity.ID { return identity.Alias{Label: "crm", Name: name}.ID() }
	tests := []struct {
		name    string
		changes []Change
	}{
		{"none", nil},
		{"external_ids", []Change{Add(identity.ExternalID("u-17")), Add(identity.ExternalID("u-18"))}},
		{"removal_alone", []Change{Remove(identity.ExternalID("u-03"))}},
		{"every_kind_both_ways", []Change{
			Add(identity.DeviceID("5b2c9f0e-77aa-4d0e-9a51-0c3f1f2b6d10")),
			Add(identity.ExternalID("u-17")),
			Remove(identity.ExternalID("u-03")),
			Add(crm("c-90")),
			Remove(crm("c-91")),
			Remove(identity.DeviceID("0c3f1f2b")),
			Add(identity.ExternalID("u-18")),
		}},
		{"escapes", []Change{
			Add(identity.ExternalID(`quo"te`)), Add(identity.ExternalID(`back\slash`)), Add(identity.ExternalID("ünïcödé 🦊")),
			Add(identity.Alias{Label: `la"bel`, Name: "na/me <&>"}.ID()),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := appendChanges(nil, exampleSecrets(), "camp-481", tt.changes)
			golden := filepath.Join("testdata", "users_"+tt.name+".json")
			if *update {
				if err := os.WriteFile(golden, append(bytes.Clone(got), '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(bytes.TrimSpace(want)), string(got)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAppendName(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("", 5*60*60)
	tests := []struct {
		name string
		at   time.Time
		want string
	}{
		{"UTC", time.Date(2025, 3, 2, 8, 15, 0, 0, time.UTC), "2025-03-02T08:15:00Z"},
		{"an offset becomes UTC", time.Date(2025, 3, 2, 13, 15, 0, 0, east), "2025-03-02T08:15:00Z"},
		{"milliseconds stay", time.Date(2025, 3, 2, 8, 15, 0, 120e6, time.UTC), "2025-03-02T08:15:00.120Z"},
		{"finer is cut", time.Date(2025, 3, 2, 8, 15, 0, 999_999_999, time.UTC), "2025-03-02T08:15:00.999Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body := appendName(nil, exampleSecrets(), Cohort{ID: "camp-481", Name: "Spring sale, top 5%", CreatedAt: tt.at})
			var got map[string]string
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{
				"partner_api_key": "pk-us-0001", "client_secret": "cs-ws-0001",
				"cohort_id": "camp-481", "name": "Spring sale, top 5%", "created_at": tt.want,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzAppendString compares the encoder with encoding/json on whatever text may come.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "u-17", `"`, `\`, "12345678", `1234567"`, `"2345678`, "1234567\\9", "\x1f", "a\x00b", "\x7f", "ü", "é1234567", "🦊🦊", "\u2028", `\u0041`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return // never reaches the encoder
		}
		got := bytes.TrimSuffix(appendString(nil, s, ','), []byte(","))
		var back string
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%q is not JSON: %v", got, err)
		}
		if back != s {
			t.Errorf("%q came back as %q", s, back)
		}
		if bound := 2*len(s) + 2; len(got) > bound && bytes.IndexFunc([]byte(s), func(r rune) bool { return r < ' ' }) < 0 {
			t.Errorf("%d bytes on the wire, more than the bound of %d", len(got), bound)
		}
	})
}

// TestWireSize shows that the bound which batches are filled by holds.
func TestWireSize(t *testing.T) {
	t.Parallel()
	for _, id := range []identity.ID{
		identity.ExternalID("u-17"), identity.ExternalID(`""""\\\\`), identity.DeviceID("d"),
		identity.Alias{Label: `"`, Name: `\`}.ID(), identity.Alias{Label: "crm", Name: "c-90"}.ID(),
	} {
		one := len(appendChanges(nil, exampleSecrets(), "camp-481", []Change{Add(id)}))
		two := len(appendChanges(nil, exampleSecrets(), "camp-481", []Change{Add(id), Add(id)}))
		if got, bound := two-one, wireSize(Add(id)); got > bound {
			t.Errorf("%v takes %d bytes, more than its bound of %d", id, got, bound)
		}
	}
}
