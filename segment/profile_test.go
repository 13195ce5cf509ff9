package segment_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/segment"
)

// TestNothingShowsPersonalData prints and logs a profile and its values in every way: neither identifiers nor attributes may be seen.
func TestNothingShowsPersonalData(t *testing.T) {
	t.Parallel()
	const secret, number = "Zq7#Wv9!Kx3", 7318259461.25
	at := time.Date(1971, 3, 29, 4, 51, 37, 0, time.UTC)
	p := segment.Profile{
		Profile: identity.Profile{ExternalID: secret, DeviceIDs: []string{secret}, Aliases: []identity.Alias{{Label: secret, Name: secret}}},
		Attributes: map[string]segment.Value{
			"s": segment.StringValue(secret), "n": segment.NumberValue(number), "t": segment.TimeValue(at), "l": segment.ArrayValue(secret),
		},
		Segments: []string{secret}, Cohorts: []segment.CohortName{{Partner: secret, Name: secret}}, LastUsedApp: at,
	}
	values := []any{p, &p, []segment.Profile{p}, map[string]*segment.Profile{"p": &p}, p.Attributes, segment.ArrayValue(secret)}
	for _, v := range p.Attributes {
		values = append(values, v, &v, []segment.Value{v}, struct{ V any }{v})
	}
	explained, err := newSegment(t, segment.Or(segment.StringAttribute("s").Equals("x"), segment.NumberAttribute("n").LessThan(1))).Explain(&p, noon())
	if err != nil {
		t.Fatal(err)
	}
	values = append(values, explained, explained.String())
	for i, v := range values {
		var b bytes.Buffer
		for _, verb := range []string{"v", "+v", "#v", "s", "q", "x", "X", "d", "f", "t", "e"} {
			fmt.Fprintf(&b, "%"+verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&b, nil)).Info("text", "value", v)
		for _, shown := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), "7318259461", "7.318259461", "1971", "04:51"} {
			if strings.Contains(b.String(), shown) {
				t.Errorf("value %d shows %q: %s", i, shown, b.String())
			}
		}
	}
	if got := fmt.Sprint(p); got != "profile(redacted)" {
		t.Errorf("a profile prints as %q", got)
	}
}

func TestValueJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 6, 1, 0, 0, 0, 500, time.FixedZone("", 2*3600))
	for _, tt := range []struct {
		value segment.Value
		json  string
	}{
		{segment.Value{}, `null`},
		{segment.StringValue("gold"), `"gold"`},
		{segment.StringValue(""), `""`},
		{segment.StringValue("2025-06-01"), `"2025-06-01"`},
		{segment.NumberValue(250.5), `250.5`},
		{segment.NumberValue(math.NaN()), `null`},
		{segment.NumberValue(math.Inf(-1)), `null`},
		{segment.BooleanValue(true), `true`},
		{segment.BooleanValue(false), `false`},
		{segment.TimeValue(at), `"2025-06-01T00:00:00.0000005+02:00"`},
		{segment.TimeValue(time.Time{}), `null`},
		{segment.TimeValue(at.AddDate(8000, 0, 0)), `null`},
		{segment.TimeValue(noon().In(time.FixedZone("", 561))), `"2025-06-15T12:00:00Z"`},
		{segment.TimeValue(noon().In(time.FixedZone("", 24*3600))), `"2025-06-15T12:00:00Z"`},
		{segment.TimeValue(noon().In(time.FixedZone("", -100*3600))), `"2025-06-15T12:00:00Z"`},
		{segment.NumberValue(math.Copysign(0, -1)), `0`},
		{segment.ArrayValue(), `[]`},
		{segment.ArrayValue(""), `[""]`},
		{segment.ArrayValue("", strings.Repeat("x", 127), strings.Repeat("y", 128), strings.Repeat("z", 20_000), "é"),
			`["","` + strings.Repeat("x", 127) + `","` + strings.Repeat("y", 128) + `","` + strings.Repeat("z", 20_000) + `","é"]`},
		{segment.ArrayValue("x", "2025-06-01T00:00:00Z"), `["x","2025-06-01T00:00:00Z"]`},
	} {
		got, err := json.Marshal(tt.value)
		if err != nil || string(got) != tt.json {
			t.Errorf("encoded %s (%v), want %s", got, err, tt.json)
		}
		var back segment.Value
		if err := json.Unmarshal([]byte(" "+tt.json+"\n"), &back); err != nil {
			t.Errorf("%s: %v", tt.json, err)
		}
		if again, err := json.Marshal(back); err != nil || string(again) != tt.json || back.String() != tt.value.String() {
			t.Errorf("%s comes back as %s, a %v (%v)", tt.json, again, back, err)
		}
	}
	for in, want := range map[string]segment.Value{
		`"2025-06-01T02:00:00+0200"`:     segment.TimeValue(at),
		`"2025-06-01T00:00:00"`:          segment.StringValue(""),
		`"2025-06-01T02:00:00.25+02:00"`: segment.TimeValue(at),
		`-1e3`:                           segment.NumberValue(-1000),
	} {
		var got segment.Value
		if err := json.Unmarshal([]byte(in), &got); err != nil || got.String() != want.String() {
			t.Errorf("%s is %v (%v), want %v", in, got, err, want)
		}
	}
	for _, in := range []string{`{"nested":{"x":[1,"Zq7"]}}`, `{}`, `[1]`, `[null]`, `[["x"]]`, `["Zq7",1]`} {
		var v segment.Value
		err := json.Unmarshal([]byte(" "+in), &v)
		if got, _ := json.Marshal(v); err != nil || string(got) != in || fmt.Sprint(v) != "other(redacted)" {
			t.Errorf("%s comes back as %s, a %v (%v)", in, got, v, err)
		}
		var again segment.Value
		if err := json.Unmarshal([]byte(in), &again); err != nil || !again.Equal(v) || again.Equal(segment.StringValue(in)) {
			t.Errorf("%s does not equal itself alone (%v)", in, err)
		}
	}
	for _, in := range []string{`1e999`, `"Zq7`, `["Zq7"`, `{"Zq7"}`, `Zq7`, `nul`, `tru`} {
		v := segment.StringValue("kept")
		err := v.UnmarshalJSON([]byte(in))
		if err == nil || !strings.HasPrefix(err.Error(), "segment: parse attribute: ") || strings.Contains(err.Error(), "Zq7") {
			t.Errorf("%s: error %v", in, err)
		}
		if got, _ := json.Marshal(v); string(got) != `"kept"` {
			t.Errorf("%s: the value becomes %s", in, got)
		}
	}
	if err := new(segment.Value).UnmarshalJSON(nil); err == nil {
		t.Error("nothing is taken for a value")
	}
}

func TestValueEqual(t *testing.T) {
	t.Parallel()
	at := noon()
	different := []segment.Value{
		{}, segment.StringValue("1"), segment.StringValue(""), segment.NumberValue(1), segment.NumberValue(0), segment.BooleanValue(true), segment.BooleanValue(false),
		segment.TimeValue(at), segment.TimeValue(at.Add(time.Nanosecond)), segment.StringValue(at.Format(time.RFC3339)), segment.ArrayValue(), segment.ArrayValue("1"),
	}
	for i, v := range different {
		for j, w := range different {
			if v.Equal(w) != (i == j) {
				t.Errorf("value %d equals value %d: %v", i, j, i != j)
			}
		}
	}
	if !segment.NumberValue(0).Equal(segment.NumberValue(math.Copysign(0, -1))) {
		t.Error("0 and -0 are not equal")
	}
	if !segment.TimeValue(at).Equal(segment.TimeValue(at.In(time.FixedZone("", 3600)))) {
		t.Error("one instant, written in two ways, is not equal")
	}
}

func TestSubscriptionText(t *testing.T) {
	t.Parallel()
	type user struct {
		Push  segment.Subscription `json:"push_subscribe"`
		Email segment.Subscription `json:"email_subscribe,omitempty"`
	}
	for in, want := range map[string]user{
		`{"push_subscribe":"opted_in","email_subscribe":"unsubscribed"}`: {segment.OptedIn, segment.Unsubscribed},
		`{"push_subscribe":"subscribed"}`:                                {Push: segment.Subscribed},
		`{"push_subscribe":""}`:                                          {},
	} {
		var got user
		if err := json.Unmarshal([]byte(in), &got); err != nil || got != want {
			t.Errorf("%s: %v (%v)", in, got, err)
		}
		if back, err := json.Marshal(got); err != nil || string(back) != in {
			t.Errorf("%s comes back as %s (%v)", in, back, err)
		}
	}
	for _, in := range []string{`"Opted_in"`, `"opted in"`, `"not known"`} {
		var s segment.Subscription
		if err := json.Unmarshal([]byte(in), &s); err == nil {
			t.Errorf("%s is taken for %v", in, s)
		}
	}
	if _, err := json.Marshal(segment.Subscription(9)); err == nil {
		t.Error("a state that is none is encoded")
	}
}

// TestArrayValueIsCopied changes the caller's elements afterwards.
func TestArrayValueIsCopied(t *testing.T) {
	t.Parallel()
	elements := []string{"acme"}
	p := having(segment.ArrayValue(elements...))
	f := segment.ArrayAttribute("a").Includes(elements...)
	elements[0] = "other"
	if in, err := newSegment(t, f).Match(&p, noon()); err != nil || !in {
		t.Errorf("matches: %v (%v)", in, err)
	}
}
