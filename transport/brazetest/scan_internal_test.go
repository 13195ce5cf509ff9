package brazetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// usual holds bodies that must go the fast way, and unusual ones that must not: they are wrong, or leave it open what
// they mean.
var (
	usual = []string{
		`{"partner_api_key":"pk","client_secret":"cs","cohort_id":"camp-481","cohort_changes":[]}`,
		` { "cohort_changes" : [ { "user_ids" : [ "u-17" , "u-18" ] , "should_remove" : true } ] , "cohort_id" : "camp-481" } `,
		`{"cohort_id":"c","cohort_changes":[{"user_ids":[],"device_ids":["d"],"aliases":[{"alias_label":"crm","alias_name":"c-90"}],"should_remove":false}]}`,
		`{"cohort_id":"Fr\u00fchling \ud83e\udd8a","cohort_changes":[{"user_ids":["\"\\\/\b\f\n\r\t","\ud800","\ud800\u0041","\udc00x","Frühling","🦊"]}]}`,
		`{"cohort\u005fid":"c","cohort_changes":[{"user_ids":["` + strings.Repeat("long text ", 20) + `\u0026` + strings.Repeat("ü", 20) + `"]}]}`,
		`{"cohort_id":"c","cohort_changes":[{"user_ids":["u"]},{"device_ids":["d","e"],"aliases":[{"alias_label":"crm","alias_name":"c-90"}],"user_ids":["u","v"]}]}`,
	}
	unusual = []string{
		``, `{`, `{}`, `[]`, `null`, `{"cohort_id":"c"}`, `{"cohort_changes":[]}`,
		`{"cohort_id":"c","cohort_changes":[]}x`, `{"cohort_id":"c","cohort_changes":[],}`, `{"cohort_id":"c","cohort_changes":[,]}`,
		`{"cohort_id":"c","cohort_id":"d","cohort_changes":[]}`, `{"cohort_id":"c","cohort_changes":[],"cohort_changes":[{"user_ids":["u"]}]}`,
		`{"cohort_id":"c","cohort_changes":[{"user_ids":["a"],"user_ids":["b"]}]}`, `{"cohort_id":"c","Cohort_Changes":[]}`,
		`{"cohort_id":"c","cohort_changes":[{"aliases":[{"alias_name":"a","alias_name":"b","alias_label":"l"}]}]}`,
		`{"cohort_id":"c","cohort_changes":[{"aliases":[{"alias_name":"a"}]}]}`, `{"cohort_id":"c","cohort_changes":[{}]}`,
		`{"cohort_id":"c","cohort_changes":[{"user_ids":[1]}]}`, `{"cohort_id":"c","cohort_changes":[{"user_ids":["u"],"should_remove":tru}]}`,
		`{"cohort_id":"c","cohort_changes":[{"user_ids":["u"],"should_remove":truest}]}`, `{"cohort_id":"","cohort_changes":[]}`,
		`{"cohort_id":"c","cohort_changes":[{"user_ids":["` + "\x01" + `"]}]}`, `{"cohort_id":"c","cohort_changes":[{"user_ids":["` + "\xff" + `"]}]}`,
		`{"cohort_id":"c","cohort_changes":[{"user_ids":["\x"]}]}`, `{"cohort_id":"c","cohort_changes":[{"user_ids":["\u12"]}]}`, `{"cohort_id":"c","cohort_changes":[{"user_ids":["\`,
		`{"cohort_id":"c","cohort_changes":[{"user_ids":["\n` + "\xff" + `"]}]}`, `{"cohort_id":"c","cohort_changes":[{"user_ids":["\n` + "\x1f" + `"]}]}`, `{"cohort_id":"c","cohort_changes":[{"user_ids":["abc`,
		`{"cohort_id":"c","cohort_changes":[],"more":1}`, `{"cohort_id":"c","cohort_changes":[{"user_ids":["u"],"more":1}]}`, `{"cohort_id":"c","cohort_changes":[{"aliases":[{"alias_name":"a","alias_label":"l","more":1}]}]}`,
	}
)

func TestScan(t *testing.T) {
	t.Parallel()
	cfg := defaultConfig()
	for i, text := range usual {
		b := &body{raw: bytes.NewBufferString(text)}
		if !b.scan(&cfg) {
			t.Errorf("usual body %d takes the slow way", i)
		}
	}
	for i, text := range unusual {
		b := &body{raw: bytes.NewBufferString(text)}
		if b.scan(&cfg) {
			t.Errorf("unusual body %d takes the fast way", i)
		}
	}
}

// TestScanRefusesWhatOptionsForbid holds the fast way to the options that make more of the usual shape a mistake.
func TestScanRefusesWhatOptionsForbid(t *testing.T) {
	t.Parallel()
	cfg := defaultConfig()
	cfg.refuseEmptyChanges, cfg.refuseEmptyLists = true, true
	for i, text := range []string{usual[0], usual[2]} {
		b := &body{raw: bytes.NewBufferString(text)}
		if b.scan(&cfg) {
			t.Errorf("body %d takes the fast way", i)
		}
	}
}

// FuzzDecode compares both ways of decoding with an independent reading of the contract on top of encoding/json.
func FuzzDecode(f *testing.F) {
	for _, text := range append(usual, unusual...) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		cfg := defaultConfig()
		fast, slow := &body{raw: bytes.NewBuffer(raw)}, &body{raw: bytes.NewBuffer(raw)}
		fast.decode(ChangeUsers, &cfg)
		slow.decodeAny(ChangeUsers, &cfg)
		if diff := cmp.Diff(content(slow), content(fast)); diff != "" {
			t.Errorf("the two ways differ (-slow +fast):\n%s", diff)
		}
		want, err := reference(raw)
		if (err == nil) != (len(fast.fields.problems) == 0) {
			t.Fatalf("problems %q, reference: %v", fast.fields.problems, err)
		}
		if err != nil {
			return
		}
		if diff := cmp.Diff(want, content(fast)); diff != "" {
			t.Errorf("content (-want +got):\n%s", diff)
		}
	})
}

type decoded struct {
	PartnerKey, Secret, CohortID string
	Problems                     []string
	Changes                      []Change
}

func content(b *body) decoded {
	f := &b.fields
	return decoded{PartnerKey: f.partnerKey, Secret: f.secret, CohortID: f.cohortID, Problems: f.problems, Changes: b.copyChanges()}
}

// reference reads a users request with encoding/json's typed decoding, field by field.
func reference(raw []byte) (decoded, error) {
	var object map[string]json.RawMessage
	if !utf8.Valid(raw) {
		return decoded{}, fmt.Errorf("not UTF-8")
	}
	if err := json.Unmarshal(raw, &object); err != nil {
		return decoded{}, err
	}
	if object == nil {
		return decoded{}, fmt.Errorf("null")
	}
	var d decoded
	// A key of another type counts as absent, since that is for the 401 to say.
	d.PartnerKey, _ = typed[string](object["partner_api_key"])
	d.Secret, _ = typed[string](object["client_secret"])
	var err error
	if d.CohortID, err = typed[string](object["cohort_id"]); err != nil || d.CohortID == "" {
		return decoded{}, fmt.Errorf("cohort_id is empty or: %w", err)
	}
	changes, err := typed[[]map[string]json.RawMessage](object["cohort_changes"])
	if err != nil {
		return decoded{}, err
	}
	d.Changes = []Change{}
	total := 0
	for _, change := range changes {
		if change == nil {
			return decoded{}, fmt.Errorf("null change")
		}
		var c Change
		if value, ok := change["should_remove"]; ok {
			if c.Remove, err = typed[bool](value); err != nil {
				return decoded{}, err
			}
		}
		lists := 0
		for _, name := range []string{"user_ids", "aliases", "device_ids"} {
			value, ok := change[name]
			if !ok {
				continue
			}
			lists++
			items, err := typed[[]json.RawMessage](value)
			if err != nil {
				return decoded{}, err
			}
			for _, item := range items {
				id := Identifier{Kind: map[string]Kind{"user_ids": ExternalIDKind, "device_ids": DeviceIDKind, "aliases": AliasKind}[name]}
				if id.Kind == AliasKind {
					alias, err := typed[map[string]json.RawMessage](item)
					if err != nil {
						return decoded{}, err
					}
					id.Label, _ = typed[string](alias["alias_label"])
					if id.Value, _ = typed[string](alias["alias_name"]); id.Value == "" || id.Label == "" {
						return decoded{}, fmt.Errorf("incomplete alias")
					}
				} else if id.Value, err = typed[string](item); err != nil {
					return decoded{}, err
				}
				c.Identifiers = append(c.Identifiers, id)
				total++
			}
		}
		if lists == 0 {
			return decoded{}, fmt.Errorf("no list")
		}
		d.Changes = append(d.Changes, c)
	}
	if total > MaxIdentifiers {
		return decoded{}, fmt.Errorf("too many")
	}
	return d, nil
}

// typed decodes a value that must be there, be of the type, and not be null.
func typed[T any](raw json.RawMessage) (T, error) {
	var v T
	if raw == nil || string(raw) == "null" {
		return v, fmt.Errorf("missing or null")
	}
	err := json.Unmarshal(raw, &v)
	return v, err
}
