package keys_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cohortkit/cohortkit/keys"
)

// secretText is the key of the tests on leaks. No piece of it may be seen.
const secretText = "Zq7#Wv9!Kx3%Hm2&Tn8"

// key is what the three types of keys have in common.
type key interface {
	fmt.Formatter
	fmt.Stringer
	fmt.GoStringer
	slog.LogValuer
	json.Marshaler
	IsZero() bool
	Reveal() string
	Fingerprint() string
	Validate() error
	MarshalText() ([]byte, error)
	GobEncode() ([]byte, error)
}

// decoder is what they have in common behind a pointer.
type decoder interface {
	json.Unmarshaler
	UnmarshalText([]byte) error
	GobDecode([]byte) error
}

// constructors make a key of each type.
var constructors = []struct {
	name  string
	field string
	make  func(string) key
	dec   func() decoder
}{
	{"ImportKey", "data import key", func(s string) key { return keys.NewImportKey(s) }, func() decoder { return new(keys.ImportKey) }},
	{"PartnerKey", "partner API key", func(s string) key { return keys.NewPartnerKey(s) }, func() decoder { return new(keys.PartnerKey) }},
	{"RESTKey", "REST API key", func(s string) key { return keys.NewRESTKey(s) }, func() decoder { return new(keys.RESTKey) }},
}

// checkHidden fails when got holds six bytes of the secret, in any spelling that a verb or an encoding could give them.
func checkHidden(t *testing.T, how, got string) {
	t.Helper()
	for i := 0; i+6 <= len(secretText); i++ {
		part := secretText[i : i+6]
		decimal := fmt.Sprint([]byte(part))
		for _, piece := range []string{part, fmt.Sprintf("%x", part), fmt.Sprintf("%X", part), fmt.Sprintf("% x", part),
			decimal[1 : len(decimal)-1], base64.StdEncoding.EncodeToString([]byte(part))} {
			if strings.Contains(got, piece) {
				t.Errorf("%s shows a part of the key: %s", how, got)
				return
			}
		}
	}
}

var verbs = []string{"v", "+v", "#v", "s", "+s", "#s", "q", "+q", "#q", "x", "#x", "X", " x", "# X", "d", "+d", "o", "O", "b", "c", "U", "#U",
	"e", "f", "g", "t", "20v", "-20v", ".3v", "020d", "y", "T", "p", "w"}

func TestEveryVerbHidesKeys(t *testing.T) {
	t.Parallel()
	for _, c := range constructors {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := c.make(secretText)
			for _, verb := range verbs {
				got := fmt.Sprintf("%"+verb, k)
				switch checkHidden(t, "%"+verb, got); verb {
				case "T":
					if want := "keys." + c.name; got != want {
						t.Errorf("%%T = %q, want %q", got, want)
					}
				case "p", "w": // package fmt asks no method for these two
				default:
					if got != "[redacted]" {
						t.Errorf("%%%s = %q, want [redacted]", verb, got)
					}
				}
				if got := fmt.Sprintf("%"+verb, c.make("")); verb == "v" && got != "[no key]" {
					t.Errorf("%%%s of no key = %q, want [no key]", verb, got)
				}
			}
			if k.String() != "[redacted]" || k.GoString() != "[redacted]" {
				t.Errorf("String %q, GoString %q, want [redacted]", k.String(), k.GoString())
			}
		})
	}
}

// holder has a key in every place where a struct can have one.
type holder struct {
	Exported   keys.ImportKey
	unexported keys.ImportKey
	Pointer    *keys.PartnerKey
	pointer    *keys.RESTKey
	Slice      []keys.ImportKey
	slice      []keys.ImportKey
	Array      [1]keys.RESTKey
	Map        map[string]keys.PartnerKey
	keyed      map[keys.ImportKey]string
	Any        any
	any        any
	Deep       struct{ inner struct{ key keys.ImportKey } }
	Partners   keys.PartnerKeys
	Creds      keys.Credentials
	creds      keys.Credentials
	Source     keys.Source
	File       *keys.FileSource
}

func newHolder() holder {
	importKey, partnerKey, restKey := keys.NewImportKey(secretText), keys.NewPartnerKey(secretText), keys.NewRESTKey(secretText)
	h := holder{
		Exported: importKey, unexported: importKey, Pointer: &partnerKey, pointer: &restKey,
		Slice: []keys.ImportKey{importKey}, slice: []keys.ImportKey{importKey}, Array: [1]keys.RESTKey{restKey},
		Map: map[string]keys.PartnerKey{"EU-01": partnerKey}, keyed: map[keys.ImportKey]string{importKey: "key"},
		Any: restKey, any: restKey, Partners: keys.PartnerKeys{"EU-01": partnerKey},
		Creds:  keys.Credentials{Partner: "acme", PartnerKey: partnerKey, ImportKey: importKey},
		Source: importKey, File: keys.File("no such file"),
	}
	h.Deep.inner.key = importKey
	h.creds = h.Creds
	return h
}

func TestNestedKeysAreHidden(t *testing.T) {
	t.Parallel()
	h := newHolder()
	for _, verb := range verbs {
		checkHidden(t, "value %"+verb, fmt.Sprintf("%"+verb, h))
		checkHidden(t, "pointer %"+verb, fmt.Sprintf("%"+verb, &h))
		checkHidden(t, "slice %"+verb, fmt.Sprintf("%"+verb, []any{h, &h}))
		checkHidden(t, "map %"+verb, fmt.Sprintf("%"+verb, map[any]any{"key": h, h.Exported: h.Exported}))
		checkHidden(t, "partner keys %"+verb, fmt.Sprintf("%"+verb, h.Partners))
	}
	if got, want := fmt.Sprint(h.Partners), "map[EU-01:[redacted]]"; got != want {
		t.Errorf("PartnerKeys print as %s, want %s", got, want)
	}
	checkHidden(t, "error", fmt.Errorf("operation: %v %+v", h.Exported, h).Error())
}

func TestLogsHideKeys(t *testing.T) {
	t.Parallel()
	h := newHolder()
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		logger := slog.New(handler).With("key", h.Exported)
		logger.Info("keys", "import", h.Exported, "partner", *h.Pointer, "pointer", h.Pointer, "any", h.Any, "credentials", h.Creds,
			"partners", h.Partners, slog.Group("group", "import", h.Exported), "slice", h.Slice, "error", errors.New(fmt.Sprint(h)))
	}
	checkHidden(t, "slog", log.String())
	for _, want := range []string{"import=[redacted]", `"import":"[redacted]"`, "credentials.partner=acme"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, log.String())
		}
	}
}

func TestEncodingsHideKeys(t *testing.T) {
	t.Parallel()
	for _, c := range constructors {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, tt := range []struct{ name, secret, text string }{{"key", secretText, "[redacted]"}, {"no key", "", "[no key]"}} {
				k := c.make(tt.secret)
				if got, err := json.Marshal(map[string]any{"key": k}); err != nil || string(got) != `{"key":"`+tt.text+`"}` {
					t.Errorf("JSON of a %s = %s, %v", tt.name, got, err)
				}
				if got, err := json.Marshal(struct {
					Key any
				}{k}); err != nil || string(got) != `{"Key":"`+tt.text+`"}` {
					t.Errorf("JSON of a struct with a %s = %s, %v", tt.name, got, err)
				}
				if got, err := xml.Marshal(k); err != nil || !strings.Contains(string(got), tt.text) {
					t.Errorf("XML of a %s = %s, %v", tt.name, got, err)
				}
				if got, err := k.MarshalText(); err != nil || string(got) != tt.text {
					t.Errorf("text of a %s = %s, %v", tt.name, got, err)
				}
				var buffer bytes.Buffer
				if err := gob.NewEncoder(&buffer).Encode(k); !errors.Is(err, keys.ErrNotEncoded) {
					t.Errorf("gob of a %s: %v, want ErrNotEncoded", tt.name, err)
				}
				checkHidden(t, "gob", buffer.String())
			}
		})
	}
	h := newHolder()
	got, err := json.Marshal(struct {
		H     holder
		Keyed map[keys.ImportKey]string
	}{h, h.keyed})
	if err != nil {
		t.Fatal(err)
	}
	checkHidden(t, "JSON", string(got))
	type element struct {
		Attribute keys.ImportKey `xml:"attribute,attr"`
		Key       keys.RESTKey
		Pointer   *keys.PartnerKey
	}
	got, err = xml.Marshal(element{h.Exported, h.Array[0], h.Pointer})
	if err != nil {
		t.Fatal(err)
	}
	checkHidden(t, "XML", string(got))
	var buffer bytes.Buffer
	if err := gob.NewEncoder(&buffer).Encode(struct{ Key keys.ImportKey }{h.Exported}); !errors.Is(err, keys.ErrNotEncoded) {
		t.Errorf("gob of a struct: %v, want ErrNotEncoded", err)
	}
	checkHidden(t, "gob of a struct", buffer.String())
}

func TestKeysAreNotDecoded(t *testing.T) {
	t.Parallel()
	for _, c := range constructors {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			redacted, err := json.Marshal(c.make(secretText))
			if err != nil {
				t.Fatal(err)
			}
			k := c.dec()
			tests := []struct {
				name   string
				decode func() error
				want   error
			}{
				{"JSON of a redacted key", func() error { return json.Unmarshal(redacted, k) }, keys.ErrNotDecoded},
				{"JSON of a key", func() error { return json.Unmarshal([]byte(`"`+secretText+`"`), k) }, keys.ErrNotDecoded},
				{"JSON of an object", func() error { return json.Unmarshal([]byte(`{}`), k) }, keys.ErrNotDecoded},
				{"JSON null", func() error { return json.Unmarshal([]byte(`null`), k) }, nil},
				{"XML", func() error { return xml.Unmarshal([]byte(`<key>2718</key>`), k) }, keys.ErrNotDecoded},
				{"text", func() error { return k.UnmarshalText([]byte(secretText)) }, keys.ErrNotDecoded},
				{"gob", func() error { return k.GobDecode([]byte(secretText)) }, keys.ErrNotDecoded},
			}
			for _, tt := range tests {
				err := tt.decode()
				if !errors.Is(err, tt.want) {
					t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
				}
				checkHidden(t, tt.name, fmt.Sprint(err))
			}
			if held, ok := k.(interface{ IsZero() bool }); !ok || !held.IsZero() {
				t.Error("a key was decoded into the value")
			}
		})
	}
}

func TestKeyEquality(t *testing.T) {
	t.Parallel()
	for _, c := range constructors {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := c.make(secretText)
			if k != c.make(strings.Clone(secretText)) {
				t.Error("keys of equal texts differ")
			}
			if k == c.make(secretText+"x") || k == c.make("") {
				t.Error("keys of different texts are equal")
			}
			if k.Reveal() != secretText || k.IsZero() {
				t.Errorf("Reveal has %d bytes, IsZero %t", len(k.Reveal()), k.IsZero())
			}
			none := c.make("")
			if none.Reveal() != "" || !none.IsZero() || none.Fingerprint() != "" {
				t.Errorf("no key: Reveal has %d bytes, IsZero %t, fingerprint %q", len(none.Reveal()), none.IsZero(), none.Fingerprint())
			}
		})
	}
	if (keys.ImportKey{}) != keys.NewImportKey("") || (keys.PartnerKey{}) != keys.NewPartnerKey("") || (keys.RESTKey{}) != keys.NewRESTKey("") {
		t.Error("the zero value is not the key of the empty text")
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	// These values are in the logs of other systems and must not change.
	tests := []struct{ name, text, want string }{
		{"digits", "2718-2818-2845", "cdba80b4"},
		{"another", "2718-2818-2846", "e1c5fee3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range constructors {
				if got := c.make(tt.text).Fingerprint(); got != tt.want {
					t.Errorf("%s: fingerprint %s, want %s", c.name, got, tt.want)
				}
			}
		})
	}
}

func TestKeyValidate(t *testing.T) {
	t.Parallel()
	const ok = keys.Reason("")
	tests := []struct {
		name string
		text string
		want keys.Reason
	}{
		{"digits and hyphens", "2718-2818-2845", ok},
		{"one character", "x", ok},
		{"inner blank", "27 18", ok},
		{"another script", "ключ", ok},
		{"long", strings.Repeat("x", 10000), ok},
		{"empty", "", keys.ReasonEmpty},
		{"invalid UTF-8", "2718\xff", keys.ReasonEncoding},
		{"line break at the end", "2718\n", keys.ReasonControl},
		{"carriage return and line break", "2718\r\n", keys.ReasonControl},
		{"tab inside", "27\t18", keys.ReasonControl},
		{"nul", "\x00", keys.ReasonControl},
		{"blank in front", " 2718", keys.ReasonBlank},
		{"blank at the end", "2718 ", keys.ReasonBlank},
		{"no-break space at the end", "2718\u00a0", keys.ReasonBlank},
		{"nothing but a blank", " ", keys.ReasonBlank},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range constructors {
				err := c.make(tt.text).Validate()
				if tt.want == ok {
					if err != nil {
						t.Errorf("%s: %v", c.name, err)
					}
					continue
				}
				invalid, isInvalid := errors.AsType[*keys.InvalidError](err)
				if !isInvalid {
					t.Fatalf("%s: %v, want an InvalidError", c.name, err)
				}
				if invalid.Field != c.field || invalid.Reason != tt.want {
					t.Errorf("%s: %q %q, want %q %q", c.name, invalid.Field, invalid.Reason, c.field, tt.want)
				}
				if missing := errors.Is(err, keys.ErrMissing); missing != (tt.text == "") {
					t.Errorf("%s: matches ErrMissing: %t", c.name, missing)
				}
				if len(tt.text) > 2 && strings.Contains(err.Error(), strings.TrimSpace(tt.text)) {
					t.Errorf("%s: the error shows the key: %v", c.name, err)
				}
			}
		})
	}
}

func TestImportKeyIsASource(t *testing.T) {
	t.Parallel()
	var source keys.Source = keys.NewImportKey(secretText)
	got, err := source.ImportKey(t.Context())
	if err != nil || got.Reveal() != secretText {
		t.Errorf("a fixed key answers with another one, or fails: %v", err)
	}
	if _, isListener := source.(keys.Listener); isListener {
		t.Error("a fixed key listens, though it has no other key to offer")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := source.ImportKey(ended); err != nil {
		t.Errorf("a fixed key heeds the context: %v", err)
	}
	source = keys.ImportKey{}
	if _, err := source.ImportKey(t.Context()); !errors.Is(err, keys.ErrMissing) {
		t.Errorf("no key as a source: %v, want ErrMissing", err)
	}
}

func FuzzKeyValidate(f *testing.F) {
	for _, seed := range []string{"", "2718-2818-2845", " x", "x\n", "\xff", "\u00a0", "\u2028"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k := keys.NewImportKey(s)
		if k.Reveal() != s {
			t.Errorf("Reveal = %q, want %q", k.Reveal(), s)
		}
		err := k.Validate()
		if err == nil {
			if strings.TrimSpace(s) != s || s == "" || strings.ContainsAny(s, "\r\n\t\x00") || strings.ToValidUTF8(s, "") != s {
				t.Errorf("%q is accepted", s)
			}
			return
		}
		if _, ok := errors.AsType[*keys.InvalidError](err); !ok {
			t.Errorf("Validate = %v, want an InvalidError", err)
		}
	})
}
