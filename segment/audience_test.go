package segment_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cohortkit/cohortkit/segment"
)

// documented are the examples of Braze's documentation: one for every filter and comparison, and one that joins several.
var documented = [...]string{
	`{"custom_attribute":{"custom_attribute_name":"tier","comparison":"equals","value":"gold"}}`,
	`{"custom_attribute":{"custom_attribute_name":"tier","comparison":"not_equal","value":"bronze"}}`,
	`{"custom_attribute":{"custom_attribute_name":"postcode","comparison":"matches_regex","value":"^75"}}`,
	`{"custom_attribute":{"custom_attribute_name":"postcode","comparison":"does_not_match_regex","value":"^13"}}`,
	`{"custom_attribute":{"custom_attribute_name":"tier","comparison":"exists"}}`,
	`{"custom_attribute":{"custom_attribute_name":"tier","comparison":"does_not_exist"}}`,
	`{"custom_attribute":{"custom_attribute_name":"liked_brands","comparison":"includes_value","value":"acme"}}`,
	`{"custom_attribute":{"custom_attribute_name":"liked_brands","comparison":"does_not_include_value","value":"acme"}}`,
	`{"custom_attribute":{"custom_attribute_name":"points","comparison":"equals","value":100}}`,
	`{"custom_attribute":{"custom_attribute_name":"points","comparison":"not_equal","value":0}}`,
	`{"custom_attribute":{"custom_attribute_name":"points","comparison":"greater_than","value":250}}`,
	`{"custom_attribute":{"custom_attribute_name":"points","comparison":"greater_than_or_equal_to","value":250.5}}`,
	`{"custom_attribute":{"custom_attribute_name":"points","comparison":"less_than","value":10}}`,
	`{"custom_attribute":{"custom_attribute_name":"points","comparison":"less_than_or_equal_to","value":10}}`,
	`{"custom_attribute":{"custom_attribute_name":"is_member","comparison":"equals","value":true}}`,
	`{"custom_attribute":{"custom_attribute_name":"is_member","comparison":"not_equal","value":true}}`,
	`{"custom_attribute":{"custom_attribute_name":"is_member","comparison":"does_not_equal","value":true}}`,
	`{"custom_attribute":{"custom_attribute_name":"last_order_at","comparison":"less_than_x_days_ago","value":7}}`,
	`{"custom_attribute":{"custom_attribute_name":"last_order_at","comparison":"greater_than_x_days_ago","value":90}}`,
	`{"custom_attribute":{"custom_attribute_name":"renewal_at","comparison":"less_than_x_days_in_the_future","value":14}}`,
	`{"custom_attribute":{"custom_attribute_name":"renewal_at","comparison":"greater_than_x_days_in_the_future","value":60}}`,
	`{"custom_attribute":{"custom_attribute_name":"renewal_at","comparison":"after","value":"2025-06-01T00:00:00Z"}}`,
	`{"custom_attribute":{"custom_attribute_name":"renewal_at","comparison":"before","value":"2025-12-31T23:59:59Z"}}`,
	`{"push_subscription_status":{"comparison":"is","value":"opted_in"}}`,
	`{"email_subscription_status":{"comparison":"is_not","value":"unsubscribed"}}`,
	`{"last_used_app":{"comparison":"after","value":"2025-01-15T09:30:00+00:00"}}`,
	`{"AND":[{"custom_attribute":{"custom_attribute_name":"tier","comparison":"equals","value":"gold"}},
        {"OR":[{"push_subscription_status":{"comparison":"is","value":"opted_in"}},
               {"email_subscription_status":{"comparison":"is","value":"opted_in"}}]}]}`,
}

func TestDocumentedRoundTrip(t *testing.T) {
	t.Parallel()
	for _, text := range documented {
		var want bytes.Buffer
		if err := json.Compact(&want, []byte(text)); err != nil {
			t.Fatal(err)
		}
		audience, err := segment.ParseConnectedAudience([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := json.Marshal(audience)
		if err != nil || string(got) != want.String() {
			t.Errorf("encoded = %s (%v), want %s", got, err, want.String())
		}
	}
}

// TestKept has what is written in more than one way, and stays as it came.
func TestKept(t *testing.T) {
	t.Parallel()
	value := func(comparison, value string) string {
		return `{"custom_attribute":{"custom_attribute_name":"a","comparison":"` + comparison + `","value":` + value + `}}`
	}
	for _, text := range []string{
		value("does_not_equal", "true"),
		value("not_equal", "false"),
		value("equals", "100"), value("equals", "100.0"), value("equals", "1e2"), value("equals", "1E+2"), value("equals", "-0"),
		value("greater_than", "12345678901234567890"), value("less_than", "0.10000"),
		value("less_than_x_days_ago", "7.0"), value("greater_than_x_days_ago", "1e1"),
		value("after", `"2025-06-01T00:00:00Z"`), value("after", `"2025-06-01T00:00:00+0000"`), value("before", `"2025-06-01T00:00:00+00:00"`),
		value("before", `"2025-06-01T00:00:00-0730"`), value("before", `"2025-06-01T00:00:00.500Z"`), value("before", `"2025-06-01T00:00:00.123456789012+0530"`),
		value("equals", `"é \"quoted\" \\ <&> / 🦊"`),
		`{"last_used_app":{"comparison":"before","value":"2025-01-15T09:30:00+0000"}}`,
		`{"AND":[{"AND":[{"OR":[{"push_subscription_status":{"comparison":"is_not","value":"subscribed"}}]}]}]}`,
	} {
		audience, err := segment.ParseConnectedAudience([]byte(text), segment.WithDoesNotEqual())
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := audience.MarshalJSON(); err != nil || string(got) != text {
			t.Errorf("encoded = %s (%v), want %s", got, err, text)
		}
	}
}

// TestMeans has ways to write one audience that come out as one: order of keys, spaces, escapes.
func TestMeans(t *testing.T) {
	t.Parallel()
	const want = `{"custom_attribute":{"custom_attribute_name":"a","comparison":"equals","value":"é/🦊"}}`
	for _, text := range []string{
		` { "custom_attribute" : { "value" : "é/🦊" , "comparison" : "equals" , "custom_attribute_name" : "a" } } ` + "\n",
		`{"custom_attribute":{"custom_attribute_name":"\u0061","comparison":"equal\u0073","value":"\u00e9\/\ud83e\udd8a"}}`,
		`{"\u0063ustom_attribute":{"custom_attribute_name":"a","comparison":"equals","value":"é/🦊"}}`,
	} {
		var audience segment.ConnectedAudience
		if err := json.Unmarshal([]byte(text), &audience); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := audience.MarshalJSON(); err != nil || string(got) != want {
			t.Errorf("encoded = %s (%v)", got, err)
		}
	}
}

func TestSeveralValues(t *testing.T) {
	t.Parallel()
	a, l := segment.StringAttribute("a"), segment.ArrayAttribute("l")
	f := segment.And(a.Equals("x", "y"), a.DoesNotEqual("x", "y"), l.Includes("x", "y"), l.DoesNotInclude("x", "y"), segment.BooleanAttribute("b").IsNot(true))
	leaf := func(name, comparison, value string) string {
		return `{"custom_attribute":{"custom_attribute_name":"` + name + `","comparison":"` + comparison + `","value":` + value + `}}`
	}
	pair := func(operator, name, comparison string) string {
		return `{"` + operator + `":[` + leaf(name, comparison, `"x"`) + `,` + leaf(name, comparison, `"y"`) + `]}`
	}
	want := `{"AND":[` + pair("OR", "a", "equals") + `,` + pair("AND", "a", "not_equal") + `,` +
		pair("OR", "l", "includes_value") + `,` + pair("AND", "l", "does_not_include_value") + `,`
	for spelling, opts := range map[string][]segment.AudienceOption{"not_equal": nil, "does_not_equal": {segment.WithDoesNotEqual()}} {
		got, err := json.Marshal(newAudience(t, f, opts...))
		if want := want + leaf("b", spelling, "true") + `]}`; err != nil || string(got) != want {
			t.Errorf("encoded = %s (%v), want %s", got, err, want)
		}
	}
	if got, want := f.String(), `Custom Attributes: "a" is any of "x", "y" AND Custom Attributes: "a" is none of "x", "y" AND `+
		`Custom Attributes: "l" includes any of "x", "y" AND Custom Attributes: "l" includes none of "x", "y" AND Custom Attributes: "b" is not true`; got != want {
		t.Errorf("dashboard = %s, want %s", got, want)
	}
}

func TestNumbersAsWritten(t *testing.T) {
	t.Parallel()
	for x, want := range map[float64]string{0: "0", 100: "100", 250.5: "250.5", -1: "-1", 1e21: "1e+21", 1e-7: "1e-7", 123456789: "123456789"} {
		got, err := json.Marshal(newAudience(t, segment.NumberAttribute("a").Equals(x)))
		if want := `{"custom_attribute":{"custom_attribute_name":"a","comparison":"equals","value":` + want + `}}`; err != nil || string(got) != want {
			t.Errorf("encoded = %s (%v), want %s", got, err, want)
		}
	}
	odd := time.FixedZone("local mean time", 561) // 9 minutes and 21 seconds
	for at, want := range map[time.Time]string{
		noon(): "2025-06-15T12:00:00Z",
		noon().Add(time.Millisecond).In(time.FixedZone("", -7*3600)): "2025-06-15T05:00:00.001-07:00",
		noon().In(odd): "2025-06-15T12:00:00Z",
	} {
		got, err := json.Marshal(newAudience(t, segment.LastUsedApp().Before(at)))
		if want := `{"last_used_app":{"comparison":"before","value":"` + want + `"}}`; err != nil || string(got) != want {
			t.Errorf("encoded = %s (%v), want %s", got, err, want)
		}
	}
}

// TestSyntaxError has what is no Connected Audience, and where.
func TestSyntaxError(t *testing.T) {
	t.Parallel()
	attribute := func(fields string) string {
		return `{"custom_attribute":{"custom_attribute_name":"tier"` + fields + `}}`
	}
	deep := strings.Repeat(`{"OR":[`, 101) + documented[0] + strings.Repeat(`]}`, 101)
	deepPath := strings.TrimSuffix(strings.Repeat("OR[0].", 100), ".") + ".OR"
	tests := []struct {
		name string
		in   string
		path string
		says string
	}{
		{"nothing", ``, "", "is not valid JSON"},
		{"half", `{"AND":[`, "", "is not valid JSON at byte 8"},
		{"trailing data", documented[0] + `{}`, "", "is not valid JSON at byte"},
		{"trailing comma", `{"AND":[` + documented[0] + `,]}`, "", "is not valid JSON at byte"},
		{"deep beyond any measure", strings.Repeat(`{"AND":[`, 200_000), "", "is not valid JSON"},
		{"deep", deep, deepPath, "lies more than 100 levels deep"},
		{"large", `"` + strings.Repeat("x", 4_000_000) + `"`, "", "is larger than 4 MB"},
		{"not UTF-8", "{\"AND\xff\":[]}", "", "is not valid UTF-8"},
		{"null", `null`, "", "is not an object"},
		{"array", `[]`, "", "is not an object"},
		{"string", `"AND"`, "", "is not an object"},
		{"empty object", `{}`, "", "is an empty object"},
		{"unknown key", `{"NOT":[]}`, "NOT", "is an unknown key"},
		{"lower-case operator", `{"and":[` + documented[0] + `]}`, "and", "is an unknown key"},
		{"key in another case", `{"Custom_attribute":{}}`, "Custom_attribute", "is an unknown key"},
		{"empty key", `{"AND":[{"":{}}]}`, "AND[0]", "is an unknown key"},
		{"two operators", `{"AND":[` + documented[0] + `],"OR":[` + documented[0] + `]}`, "OR", "is a second key of one object"},
		{"operator and filter", `{"AND":[` + documented[0] + `],"last_used_app":{}}`, "last_used_app", "is a second key of one object"},
		{"operator twice", `{"AND":[` + documented[0] + `],"AND":[]}`, "AND", "is there twice"},
		{"operator of an object", `{"AND":{}}`, "AND", "is not an array"},
		{"operator of nothing", `{"AND":[` + documented[0] + `,{"OR":[]}]}`, "AND[1].OR", "joins no filters"},
		{"operator of a string", `{"AND":["x"]}`, "AND[0]", "is not an object"},
		{"cohort", `{"AND":[{"OR":[{"cohort":{}}]}]}`, "AND[0].OR[0].cohort", "is an unknown key"},
		{"filter of a string", `{"custom_attribute":"tier"}`, "custom_attribute", "is not an object"},
		{"unknown field", attribute(`,"comparison":"exists","type":"string"`), "custom_attribute.type", "is an unknown key"},
		{"long unknown field", attribute(`,"` + strings.Repeat("x", 500) + `":1`), "custom_attribute." + strings.Repeat("x", 80) + "…", "is an unknown key"},
		{"field twice", attribute(`,"comparison":"exists","comparison":"exists"`), "custom_attribute.comparison", "is there twice"},
		{"field twice, once escaped", attribute(`,"custom_attribut\u0065_name":"x"`), "custom_attribute.custom_attribute_name", "is there twice"},
		{"no name", `{"custom_attribute":{"comparison":"exists"}}`, "custom_attribute.custom_attribute_name", "is missing"},
		{"name of a number", `{"custom_attribute":{"custom_attribute_name":1,"comparison":"exists"}}`, "custom_attribute.custom_attribute_name", "is not a string"},
		{"no comparison", attribute(`,"value":"gold"`), "custom_attribute.comparison", "is missing"},
		{"null comparison", attribute(`,"comparison":null`), "custom_attribute.comparison", "is not a string"},
		{"unknown comparison", attribute(`,"comparison":"contains","value":"x"`), "custom_attribute.comparison", "is an unknown comparison"},
		{"comparison in another case", attribute(`,"comparison":"Equals","value":"x"`), "custom_attribute.comparison", "is an unknown comparison"},
		{"comparison of subscriptions", attribute(`,"comparison":"is","value":"x"`), "custom_attribute.comparison", "is not one of custom attributes"},
		{"no value", attribute(`,"comparison":"equals"`), "custom_attribute.value", "is missing"},
		{"null value", attribute(`,"comparison":"equals","value":null`), "custom_attribute.value", "is not a string, number or boolean"},
		{"array value", attribute(`,"comparison":"equals","value":["gold"]`), "custom_attribute.value", "is an array or an object"},
		{"object value", attribute(`,"comparison":"equals","value":{}`), "custom_attribute.value", "is an array or an object"},
		{"value where none belongs", attribute(`,"comparison":"exists","value":true`), "custom_attribute.value", "stands where no value belongs"},
		{"null where no value belongs", attribute(`,"comparison":"does_not_exist","value":null`), "custom_attribute.value", "stands where no value belongs"},
		{"older spelling for a string", attribute(`,"comparison":"does_not_equal","value":"x"`), "custom_attribute.value", "is not a boolean"},
		{"older spelling for a number", attribute(`,"comparison":"does_not_equal","value":1`), "custom_attribute.value", "is not a boolean"},
		{"regex of a number", attribute(`,"comparison":"matches_regex","value":75`), "custom_attribute.value", "is not a string"},
		{"element of a number", attribute(`,"comparison":"includes_value","value":75`), "custom_attribute.value", "is not a string"},
		{"greater than a string", attribute(`,"comparison":"greater_than","value":"1"`), "custom_attribute.value", "is not a number"},
		{"less than a boolean", attribute(`,"comparison":"less_than","value":true`), "custom_attribute.value", "is not a number"},
		{"number out of range", attribute(`,"comparison":"equals","value":1e999`), "custom_attribute.value", "is a number out of range"},
		{"days of a string", attribute(`,"comparison":"less_than_x_days_ago","value":"7"`), "custom_attribute.value", "is not a number"},
		{"half a day", attribute(`,"comparison":"less_than_x_days_ago","value":0.5`), "custom_attribute.value", "is not a whole number of days"},
		{"days without end", attribute(`,"comparison":"less_than_x_days_ago","value":1e300`), "custom_attribute.value", "is not a whole number of days"},
		{"time of a number", attribute(`,"comparison":"after","value":1750000000`), "custom_attribute.value", "is not a string"},
		{"date alone", attribute(`,"comparison":"after","value":"2025-06-01"`), "custom_attribute.value", "is not a time in ISO-8601 with an offset"},
		{"time without offset", attribute(`,"comparison":"after","value":"2025-06-01T00:00:00"`), "custom_attribute.value", "is not a time in ISO-8601 with an offset"},
		{"time with a short hour", attribute(`,"comparison":"after","value":"2025-06-01T0:00:00Z"`), "custom_attribute.value", "is not a time in ISO-8601 with an offset"},
		{"time with a comma", attribute(`,"comparison":"after","value":"2025-06-01T00:00:00,5Z"`), "custom_attribute.value", "is not a time in ISO-8601 with an offset"},
		{"time with an empty fraction", attribute(`,"comparison":"after","value":"2025-06-01T00:00:00.Z"`), "custom_attribute.value", "is not a time in ISO-8601 with an offset"},
		{"day that is none", attribute(`,"comparison":"before","value":"2025-02-29T00:00:00Z"`), "custom_attribute.value", "is not a time in ISO-8601 with an offset"},
		{"offset of a day", attribute(`,"comparison":"before","value":"2025-02-28T00:00:00+24:00"`), "custom_attribute.value", "is not a time in ISO-8601 with an offset"},
		{"offset of 60 minutes", attribute(`,"comparison":"before","value":"2025-02-28T00:00:00-0560"`), "custom_attribute.value", "is not a time in ISO-8601 with an offset"},
		{"offset that is none", attribute(`,"comparison":"before","value":"2025-02-28T00:00:00+00"`), "custom_attribute.value", "is not a time in ISO-8601 with an offset"},
		{"half a surrogate pair", attribute(`,"comparison":"equals","value":"\ud83e"`), "custom_attribute.value", "holds half a surrogate pair"},
		{"the other half", attribute(`,"comparison":"equals","value":"x\udd8a"`), "custom_attribute.value", "holds half a surrogate pair"},
		{"the first half twice", attribute(`,"comparison":"equals","value":"\ud83e\ud83e\udd8a"`), "custom_attribute.value", "holds half a surrogate pair"},
		{"state unknown", `{"push_subscription_status":{"comparison":"is","value":"all"}}`, "push_subscription_status.value", "is no state of a subscription"},
		{"state of a boolean", `{"email_subscription_status":{"comparison":"is","value":true}}`, "email_subscription_status.value", "is not a string"},
		{"state missing", `{"email_subscription_status":{"comparison":"is"}}`, "email_subscription_status.value", "is missing"},
		{"state equals", `{"email_subscription_status":{"comparison":"equals","value":"opted_in"}}`, "email_subscription_status.comparison", "is an unknown comparison"},
		{"state with a name", `{"push_subscription_status":{"custom_attribute_name":"x"}}`, "push_subscription_status.custom_attribute_name", "is an unknown key"},
		{"app used is", `{"last_used_app":{"comparison":"is","value":"2025-01-15T09:30:00Z"}}`, "last_used_app.comparison", "is an unknown comparison"},
		{"app used days ago", `{"OR":[{"last_used_app":{"comparison":"less_than_x_days_ago","value":1}}]}`, "OR[0].last_used_app.comparison", "is an unknown comparison"},
		{"app used at no time", `{"last_used_app":{"comparison":"after","value":"soon"}}`, "last_used_app.value", "is not a time in ISO-8601 with an offset"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := segment.ParseConnectedAudience([]byte(tt.in))
			got, ok := errors.AsType[*segment.SyntaxError](err)
			if !ok {
				t.Fatalf("error %v", err)
			}
			if got.Path != tt.path || !strings.HasPrefix(got.Problem, tt.says) || got.Next == "" {
				t.Errorf("path %q, problem %q, next %q; want %q, %q", got.Path, got.Problem, got.Next, tt.path, tt.says)
			}
			if text := got.Error(); !strings.HasPrefix(text, "segment: parse Connected Audience: ") || !strings.Contains(text, got.Next) {
				t.Errorf("text %q", text)
			}
		})
	}
	// What is well-formed, but over a limit, is a FilterError.
	for in, path := range map[string]string{
		attribute(`,"comparison":"equals","value":""`):                                     "",
		`{"AND":[` + attribute(`,"comparison":"equals","value":""`) + `]}`:                 "AND[0]",
		attribute(`,"comparison":"less_than_x_days_ago","value":-1`):                       "",
		attribute(`,"comparison":"equals","value":"a\u0000"`):                              "",
		`{"OR":[{"custom_attribute":{"custom_attribute_name":"","comparison":"exists"}}]}`: "OR[0]",
		attribute(`,"comparison":"after","value":"0001-01-01T00:00:00Z"`):                  "",
		attribute(`,"comparison":"equals","value":"` + strings.Repeat("x", 256) + `"`):     "",
	} {
		_, err := segment.ParseConnectedAudience([]byte(in))
		if got, ok := errors.AsType[*segment.FilterError](err); !ok || got.Path != path {
			t.Errorf("%s: error %v", in, err)
		}
	}
	var zero segment.ConnectedAudience
	if _, err := json.Marshal(&zero); err == nil {
		t.Error("the zero audience is encoded")
	}
}

// TestFilterJSON has filters and segments where an audience belongs, which must not come out as an empty object.
func TestFilterJSON(t *testing.T) {
	t.Parallel()
	f := segment.StringAttribute("tier").Equals("gold", "silver")
	want, err := json.Marshal(newAudience(t, f))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{f, &f, newSegment(t, f), *newSegment(t, f)} {
		if got, err := json.Marshal(v); err != nil || string(got) != string(want) {
			t.Errorf("a %T is encoded as %s (%v), want %s", v, got, err, want)
		}
	}
	sale := segment.Cohort("Tinyclues").Includes("Spring sale")
	for _, v := range []any{sale, newSegment(t, sale), newSegment(t, f, segment.OnNoApps())} {
		got, err := json.Marshal(v)
		if _, ok := errors.AsType[*segment.UncarriableError](err); !ok {
			t.Errorf("a %T is encoded as %s (%v)", v, got, err)
		}
	}
}

// FuzzParseConnectedAudience checks that whatever is taken comes out as it went in, and that nothing panics.
func FuzzParseConnectedAudience(f *testing.F) {
	for _, text := range documented {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"OR":[{"custom_attribute":{"value":"\ud83e\udd8a","comparison":"matches_regex","custom_attribute_name":"\u0061"}}]}`))
	f.Add([]byte(`{"custom_attribute":{"custom_attribute_name":"a","comparison":"less_than","value":-1.5E+3}}`))
	f.Add([]byte(`{"last_used_app":{"comparison":"before","value":"2025-01-15T09:30:00.25-0730"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := segment.ParseConnectedAudience(data)
		if err != nil {
			_, syntax := errors.AsType[*segment.SyntaxError](err)
			_, filter := errors.AsType[*segment.FilterError](err)
			if !syntax && !filter {
				t.Fatalf("error %v", err)
			}
			return
		}
		encoded, err := first.MarshalJSON()
		if err != nil || !json.Valid(encoded) {
			t.Fatalf("encoded %s (%v)", encoded, err)
		}
		second, err := segment.ParseConnectedAudience(encoded)
		if err != nil {
			t.Fatalf("%s: %v", encoded, err)
		}
		again, err := second.MarshalJSON()
		if err != nil || !bytes.Equal(again, encoded) || second.String() != first.String() {
			t.Errorf("%s becomes %s (%v)", encoded, again, err)
		}
		built, err := json.Marshal(newAudience(t, second.Filter()))
		var want bytes.Buffer
		json.HTMLEscape(&want, encoded)
		if err != nil || !bytes.Equal(built, want.Bytes()) {
			t.Errorf("built %s (%v), want %s", built, err, encoded)
		}
		p := text("gold")
		got, err := first.Match(&p, noon())
		if same, _ := second.Match(&p, noon()); same != got || err != nil && !errors.Is(err, segment.ErrCannotEvaluate) {
			t.Errorf("matches %v and %v (%v)", got, same, err)
		}
	})
}
