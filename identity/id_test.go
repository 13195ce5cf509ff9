package identity_test

import (
	"errors"
	"strings"
	"testing"
	"unsafe"

	"github.com/cohortkit/cohortkit/identity"
)

func alias(label, name string) identity.ID { return identity.Alias{Label: label, Name: name}.ID() }

func TestIDParts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		id        identity.ID
		kind      identity.Kind
		kindText  string
		value     string
		wantAlias identity.Alias
		isAlias   bool
		isZero    bool
	}{
		{name: "external ID", id: identity.ExternalID("u-17"), kind: identity.ExternalIDKind, kindText: "external_id", value: "u-17"},
		{name: "device ID", id: identity.DeviceID("5b2c9f0e"), kind: identity.DeviceIDKind, kindText: "device_id", value: "5b2c9f0e"},
		{name: "alias", id: alias("crm", "c-90"), kind: identity.AliasKind, kindText: "alias", value: "c-90",
			wantAlias: identity.Alias{Label: "crm", Name: "c-90"}, isAlias: true},
		{name: "empty external ID is not the zero ID", id: identity.ExternalID(""), kind: identity.ExternalIDKind, kindText: "external_id"},
		{name: "zero", kindText: "none", isZero: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			gotAlias, isAlias := tt.id.Alias()
			if tt.id.Kind() != tt.kind || tt.id.Kind().String() != tt.kindText || tt.id.Value() != tt.value {
				t.Errorf("kind %d %q, value %q; want %d %q, %q", tt.id.Kind(), tt.id.Kind(), tt.id.Value(), tt.kind, tt.kindText, tt.value)
			}
			if gotAlias.Label != tt.wantAlias.Label || gotAlias.Name != tt.wantAlias.Name || isAlias != tt.isAlias {
				t.Errorf("alias %q %q %t, want %q %q %t", gotAlias.Label, gotAlias.Name, isAlias, tt.wantAlias.Label, tt.wantAlias.Name, tt.isAlias)
			}
			if tt.id.IsZero() != tt.isZero {
				t.Errorf("IsZero = %t, want %t", tt.id.IsZero(), tt.isZero)
			}
		})
	}
}

// TestIDsDiffer puts next to each other what a careless join of kind, label and name would confuse.
func TestIDsDiffer(t *testing.T) {
	t.Parallel()
	ids := []identity.ID{
		{},
		identity.ExternalID(""),
		identity.ExternalID("x"),
		identity.ExternalID("X"),
		identity.ExternalID("x "),
		identity.ExternalID("d:x"),
		identity.DeviceID(""),
		identity.DeviceID("x"),
		alias("", ""),
		alias("", "x"),
		alias("x", ""),
		alias("a", "b:c"),
		alias("a:b", "c"),
		alias("1:a", "b"),
		alias("é", "x"),       // one rune
		alias("e\u0301", "x"), // the same to the eye, other bytes
	}
	stored := make(map[string]int)
	members := make(map[identity.ID]int)
	for i, id := range ids {
		if before, ok := members[id]; ok {
			t.Errorf("IDs %d and %d are equal", before, i)
		}
		members[id] = i
		if before, ok := stored[id.Encode()]; ok {
			t.Errorf("IDs %d and %d have the same storage form", before, i)
		}
		stored[id.Encode()] = i
	}
	if identity.ExternalID(strings.Clone("u-17")) != identity.ExternalID("u-17") {
		t.Error("two IDs of the same text differ")
	}
}

func TestIDIsSmall(t *testing.T) {
	t.Parallel()
	if got, limit := unsafe.Sizeof(identity.ID{}), 5*unsafe.Sizeof(uintptr(0)); got > limit {
		t.Errorf("an ID has %d bytes, want at most %d: tens of millions are held at a time", got, limit)
	}
}

func TestIDValidate(t *testing.T) {
	t.Parallel()
	const ok = identity.Reason("")
	tests := []struct {
		name   string
		id     identity.ID
		field  string
		reason identity.Reason
	}{
		{"external ID", identity.ExternalID("u-17"), "", ok},
		{"external ID that is an address", identity.ExternalID("someone@example.com"), "", ok},
		{"external ID with inner and outer spaces", identity.ExternalID(" u 17 "), "", ok},
		{"external ID in another script", identity.ExternalID("ユーザー"), "", ok},
		{"external ID over the limit is only worth a warning", identity.ExternalID(strings.Repeat("x", 5000)), "", ok},
		{"empty external ID", identity.ExternalID(""), "external_id", identity.ReasonEmpty},
		{"external ID with a line break", identity.ExternalID("u-17\n"), "external_id", identity.ReasonControlCharacter},
		{"external ID with a carriage return", identity.ExternalID("u-17\r"), "external_id", identity.ReasonControlCharacter},
		{"external ID with a nul", identity.ExternalID("u\x0017"), "external_id", identity.ReasonControlCharacter},
		{"external ID in Latin-1", identity.ExternalID("u-\xe9"), "external_id", identity.ReasonInvalidUTF8},
		{"device ID", identity.DeviceID("5b2c9f0e-77aa-4d0e-9a51-0c3f1f2b6d10"), "", ok},
		{"device ID shorter than push tokens allow", identity.DeviceID("x"), "", ok},
		{"empty device ID", identity.DeviceID(""), "device_id", identity.ReasonEmpty},
		{"device ID with a tab", identity.DeviceID("a\tb"), "device_id", identity.ReasonControlCharacter},
		{"alias", alias("crm", "c-90"), "", ok},
		{"alias without label", alias("", "c-90"), "alias_label", identity.ReasonEmpty},
		{"alias without name", alias("crm", ""), "alias_name", identity.ReasonEmpty},
		{"alias with a bad label", alias("crm\x7f", "c-90"), "alias_label", identity.ReasonControlCharacter},
		{"alias with a bad name", alias("crm", "c\xff"), "alias_name", identity.ReasonInvalidUTF8},
		{"zero", identity.ID{}, "identifier", identity.ReasonNoIdentifier},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.id.Validate()
			if tt.reason == ok {
				if err != nil {
					t.Errorf("Validate: %v", err)
				}
				return
			}
			got, isReject := errors.AsType[*identity.RejectError](err)
			if !isReject {
				t.Fatalf("Validate = %v, want a RejectError", err)
			}
			if got.Field != tt.field || got.Reason != tt.reason {
				t.Errorf("rejected %s: %s, want %s: %s", got.Field, got.Reason, tt.field, tt.reason)
			}
		})
	}
}

func TestIDOverlong(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		id   identity.ID
		want bool
	}{
		{"at the limit", identity.ExternalID(strings.Repeat("x", identity.MaxExternalIDBytes)), false},
		{"one byte over", identity.ExternalID(strings.Repeat("x", identity.MaxExternalIDBytes+1)), true},
		{"bytes count, not characters", identity.ExternalID(strings.Repeat("é", identity.MaxExternalIDBytes/2+1)), true},
		{"alias names have no known limit", alias("crm", strings.Repeat("x", 2000)), false},
		{"device IDs have no known limit", identity.DeviceID(strings.Repeat("x", 2000)), false},
		{"zero", identity.ID{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.id.Overlong(); got != tt.want {
				t.Errorf("Overlong = %t, want %t", got, tt.want)
			}
		})
	}
	if identity.MaxExternalIDBytes != 987 {
		t.Errorf("MaxExternalIDBytes = %d, want 987", identity.MaxExternalIDBytes)
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		id   identity.ID
		want string
	}{
		{"external ID", identity.ExternalID("u-17"), "e:u-17"},
		{"external ID with colons", identity.ExternalID("a:3:crm"), "e:a:3:crm"},
		{"device ID", identity.DeviceID("5b2c9f0e"), "d:5b2c9f0e"},
		{"alias", alias("crm", "c-90"), "a:3:crm:c-90"},
		{"alias with colons", alias("c:r", ":9"), "a:3:c:r::9"},
		{"the length is in bytes", alias("clé", "x"), "a:4:clé:x"},
		{"long label", alias("a-label-of-more", "x"), "a:15:a-label-of-more:x"},
		{"empty external ID", identity.ExternalID(""), "e:"},
		{"empty alias", alias("", ""), "a:0::"},
		{"broken UTF-8 is kept", identity.DeviceID("\xff\x00"), "d:\xff\x00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.id.Encode(); got != tt.want {
				t.Errorf("Encode = %q, want %q", got, tt.want)
			}
			if got := string(tt.id.AppendEncode([]byte("before "))); got != "before "+tt.want {
				t.Errorf("AppendEncode = %q, want %q", got, "before "+tt.want)
			}
			got, err := identity.ParseID(tt.want)
			if err != nil {
				t.Fatalf("ParseID: %v", err)
			}
			if got != tt.id {
				t.Errorf("ParseID gave another ID: %q", got.Encode())
			}
		})
	}
	if got := (identity.ID{}).Encode(); got != "" {
		t.Errorf("the zero ID encodes as %q, want nothing", got)
	}
	if got := (identity.ID{}).AppendEncode([]byte("kept")); string(got) != "kept" {
		t.Errorf("the zero ID appends to %q, want nothing added", got)
	}
}

func TestParseIDRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   string
	}{
		{"nothing", ""},
		{"a kind without its colon", "e"},
		{"an unknown kind", "x:secret-value"},
		{"a kind in capitals", "E:secret-value"},
		{"no kind", "secret-value"},
		{"the text of a printed ID", "external_id(redacted)"},
		{"an alias without a length", "a:crm:secret-value"},
		{"an alias with an empty length", "a::crm:secret-value"},
		{"an alias with a signed length", "a:+3:crm:secret-value"},
		{"an alias with a negative length", "a:-1:crm:secret-value"},
		{"an alias with a zero in front", "a:03:crm:secret-value"},
		{"an alias with a double zero", "a:00::secret-value"},
		{"an alias with a length too short", "a:2:crm:secret-value"},
		{"an alias with a length too long", "a:4:crm:secret-value"},
		{"an alias with a length past the end", "a:99:crm:secret-value"},
		{"an alias with a length that ends at the end", "a:3:crm"},
		{"an alias with a length that overflows", "a:99999999999999999999:crm:secret-value"},
		{"an alias with a length in hexadecimal", "a:0x3:crm:secret-value"},
		{"an alias cut after the kind", "a:"},
		{"an alias cut after the length", "a:3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			id, err := identity.ParseID(tt.in)
			if !errors.Is(err, identity.ErrMalformed) {
				t.Fatalf("ParseID = %v, %v, want ErrMalformed", id, err)
			}
			if !id.IsZero() {
				t.Error("ParseID returned an ID beside its error")
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error holds the text: %v", err)
			}
		})
	}
}
