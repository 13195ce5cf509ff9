package segment_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/segment"
)

// many returns n different strings.
func many(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = strings.Repeat("x", i%40+1) + string(rune('a'+i/40))
	}
	return list
}

func nest(levels int) segment.Filter {
	f := segment.EmailSubscription().Is(segment.OptedIn)
	for range levels {
		f = segment.And(f)
	}
	return f
}

// double joins a filter of two values with itself, and the result with itself: it comes to 3 << times - 1 filters.
func double(times int) segment.Filter {
	f := segment.StringAttribute("tier").Equals("gold", "silver")
	for range times {
		f = segment.Or(f, f)
	}
	return f
}

// TestMaxFilters has filters that are small in memory, and endless for whoever walks them.
func TestMaxFilters(t *testing.T) {
	t.Parallel()
	if err := double(15).Validate(); err != nil {
		t.Errorf("98,303 filters: %v", err)
	}
	for _, times := range []int{16, 40, 99} {
		f := double(times)
		want := &segment.FilterError{Filter: "OR", Problem: "comes to more than 100,000 filters", Next: "use fewer; one that is joined several times counts each time"}
		check := func(err error) {
			t.Helper()
			if diff := cmp.Diff(error(want), err); diff != "" {
				t.Errorf("joined %d times: error (-want +got):\n%s", times, diff)
			}
		}
		check(f.Validate())
		_, err := segment.New(f)
		check(err)
		_, err = segment.NewConnectedAudience(f)
		check(err)
		if text := f.String(); text != "filter that comes to more than 100,000 filters" {
			t.Errorf("joined %d times: the text is %.100q", times, text)
		}
		_, err = segment.New(segment.Cohort("Tinyclues").Includes("Spring sale"), segment.Exclude(f))
		want.Path = "Exclude[0]"
		check(err)
	}
}

// TestFilterError has every fault of a filter, alone and deep in a tree.
func TestFilterError(t *testing.T) {
	t.Parallel()
	var (
		str  = segment.StringAttribute("tier")
		arr  = segment.ArrayAttribute("brands")
		num  = segment.NumberAttribute("points")
		tim  = segment.TimeAttribute("renewal")
		fine = str.Exists()
	)
	tests := []struct {
		name    string
		filter  segment.Filter
		what    string
		problem string
	}{
		{"zero filter", segment.Filter{}, "filter", "is the zero Filter"},
		{"empty and", segment.And(), "AND", "joins no filters"},
		{"empty or", segment.Or(), "OR", "joins no filters"},
		{"too deep", nest(101), "AND", "has filters that lie more than 100 levels deep"},
		{"no attribute name", segment.StringAttribute("").Exists(), `custom attribute ""`, "has a name that must not be empty"},
		{"invalid attribute name", segment.NumberAttribute("a\xff").Equals(1), `custom attribute "a\xff"`, "has a name that is not valid UTF-8"},
		{"line break in attribute name", segment.BooleanAttribute("a\n").Is(true), `custom attribute "a\n"`, "has a name that holds a control character"},
		{"long attribute name", segment.TimeAttribute(strings.Repeat("é", 256)).Exists(), `custom attribute "` + strings.Repeat("é", 40) + `…"`,
			"has a name of more than 255 characters"},
		{"space before attribute name", segment.ArrayAttribute(" a").Exists(), `custom attribute " a"`, "has a name with spaces around it"},
		{"no value", str.Equals(), `custom attribute "tier"`, "has no value"},
		{"no element", arr.DoesNotInclude(), `custom attribute "brands"`, "has no value"},
		{"257 values", str.DoesNotEqual(many(257)...), `custom attribute "tier"`, "has 257 values, more than 256"},
		{"300 elements", arr.Includes(many(300)...), `custom attribute "brands"`, "has 300 values, more than 256"},
		{"empty value", str.Equals("gold", ""), `custom attribute "tier"`, "compares with an empty string, which counts as blank"},
		{"invalid value", str.Equals("\xff"), `custom attribute "tier"`, "has a value that is not valid UTF-8"},
		{"nul in a value", arr.Includes("\x00"), `custom attribute "brands"`, "has a value that holds a control character"},
		{"long value", str.Equals(strings.Repeat("é", 256)), `custom attribute "tier"`, "has a value of more than 255 characters"},
		{"empty pattern", str.MatchesRegex(""), `custom attribute "tier"`, "has a pattern that must not be empty"},
		{"long pattern", str.DoesNotMatchRegex(strings.Repeat("é", 32_765)), `custom attribute "tier"`, "has a pattern of more than 32,764 characters"},
		{"line break in a pattern", str.MatchesRegex("a\nb"), `custom attribute "tier"`, "has a pattern that holds a control character"},
		{"NaN", num.Equals(math.NaN()), `custom attribute "points"`, "compares with what is not a finite number"},
		{"infinity", num.LessThan(math.Inf(1)), `custom attribute "points"`, "compares with what is not a finite number"},
		{"zero time", tim.Before(time.Time{}), `custom attribute "renewal"`, "compares with the zero time, or one that ISO-8601 cannot write"},
		{"year 10000", tim.After(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)), `custom attribute "renewal"`, "compares with the zero time, or one that ISO-8601 cannot write"},
		{"negative days", tim.LessThanDaysAgo(-1), `custom attribute "renewal"`, "has a negative number of days"},
		{"many days", tim.GreaterThanDaysAhead(3_652_426), `custom attribute "renewal"`, "reaches further than 3652425 days"},
		{"unknown push state", segment.PushSubscription().Is(segment.NotKnown), "push subscription", "compares with an unknown state"},
		{"undefined email state", segment.EmailSubscription().IsNot(9), "email subscription", "compares with an unknown state"},
		{"zero subscription filter", segment.SubscriptionFilter{}.Is(segment.OptedIn), "filter", "is made from the zero SubscriptionFilter"},
		{"zero time of use", segment.LastUsedApp().After(time.Time{}), "last used app", "compares with the zero time, or one that ISO-8601 cannot write"},
		{"no partner", segment.Cohort("").Includes("Spring sale"), `" Cohorts"`, "has a partner that must not be empty"},
		{"no cohort", segment.Cohort("Tinyclues").Includes(""), `"Tinyclues Cohorts"`, "has a cohort name that must not be empty"},
		{"line break in a cohort's name", segment.Cohort("Kubit").DoesNotInclude("a\n"), `"Kubit cohorts"`, "has a cohort name that holds a control character"},
		{"partner without cohorts", segment.Cohort("mParticle").Includes("x"), `"mParticle Cohorts"`,
			"does not exist: mParticle imports no cohorts, it writes custom attributes"},
		{"no segment", segment.InSegment(""), `segment membership ""`, "has a segment name that must not be empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check := func(err error, path string) {
				t.Helper()
				got, ok := errors.AsType[*segment.FilterError](err)
				if !ok || got.Next == "" {
					t.Fatalf("error %v", err)
				}
				want := segment.FilterError{Path: path, Filter: tt.what, Problem: tt.problem, Next: got.Next}
				if diff := cmp.Diff(want, *got); diff != "" {
					t.Errorf("error (-want +got):\n%s", diff)
				}
				if text := got.Error(); !strings.HasPrefix(text, "segment: ") || !strings.Contains(text, got.Next) || path != "" && !strings.Contains(text, path+": ") {
					t.Errorf("text %q", text)
				}
			}
			_, err := segment.New(tt.filter)
			check(err, "")
			_, err = segment.NewConnectedAudience(tt.filter)
			check(err, "")
			check(tt.filter.Validate(), "")
			_, err = segment.New(fine, segment.Exclude(fine), segment.Exclude(tt.filter))
			check(err, "Exclude[1]")
			if _ = tt.filter.String(); tt.name == "too deep" { // it would be deeper still
				return
			}
			check(segment.And(fine, segment.Or(tt.filter)).Validate(), "AND[1].OR[0]")
			_, err = segment.NewConnectedAudience(segment.Or(fine, segment.And(fine, fine, tt.filter)))
			check(err, "OR[1].AND[2]")
		})
	}
}

// TestSegmentErrors has the faults that only a segment can have.
func TestSegmentErrors(t *testing.T) {
	t.Parallel()
	fine := segment.StringAttribute("tier").Exists()
	large := segment.StringAttribute("tier").Equals(slicesOf(strings.Repeat("x", 255), 40)...)
	pattern := segment.StringAttribute("tier").MatchesRegex(strings.Repeat("x", 10_000))
	tests := []struct {
		name   string
		filter segment.Filter
		opts   []segment.Option
		want   segment.FilterError
	}{
		{"three levels", segment.And(fine, segment.Or(fine, segment.And(fine))), nil,
			segment.FilterError{Path: "AND[1].OR[1]", Filter: "AND", Problem: "lies deeper than the dashboard's 2 levels"}},
		{"two levels in an exclusion group", fine, []segment.Option{segment.Exclude(segment.And(segment.Or(fine)))},
			segment.FilterError{Path: "Exclude[0].AND[0]", Filter: "OR", Problem: "lies deeper than the dashboard's 1 level"}},
		{"10,000 bytes of values", segment.And(large), nil,
			segment.FilterError{Path: "AND[0]", Filter: `custom attribute "tier"`, Problem: "has 10204 bytes, more than 10,000"}},
		{"10,000 bytes of pattern", pattern, nil,
			segment.FilterError{Filter: `custom attribute "tier"`, Problem: "has 10004 bytes, more than 10,000"}},
		{"no app", fine, []segment.Option{segment.OnApps()}, segment.FilterError{Path: "OnApps", Filter: "app selection", Problem: "names no app"}},
		{"app without a name", fine, []segment.Option{segment.OnApps("Shop", "")},
			segment.FilterError{Path: "OnApps[1]", Filter: "app name", Problem: "must not be empty"}},
		{"apps and no apps", fine, []segment.Option{segment.OnNoApps(), segment.OnApps("Shop")},
			segment.FilterError{Path: "OnNoApps", Filter: "app selection", Problem: "contradicts OnApps"}},
		{"semantics twice", fine, []segment.Option{segment.WithSemantics(segment.Semantics{}), segment.WithSemantics(segment.Semantics{})},
			segment.FilterError{Path: "WithSemantics", Filter: "option", Problem: "is given twice"}},
		{"unknown semantics", fine, []segment.Option{segment.WithSemantics(segment.Semantics{NeverUsed: 2})},
			segment.FilterError{Path: "WithSemantics", Filter: "option", Problem: "has a choice that is not known"}},
		{"nil option", fine, []segment.Option{segment.OnApps("Shop"), nil}, segment.FilterError{Path: "options[1]", Filter: "option", Problem: "is nil"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := segment.New(tt.filter, tt.opts...)
			got, ok := errors.AsType[*segment.FilterError](err)
			if !ok || got.Next == "" {
				t.Fatalf("error %v", err)
			}
			tt.want.Next = got.Next
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
	// A Connected Audience nests freely, and takes a longer pattern.
	newAudience(t, nest(100))
	newAudience(t, pattern)
	if _, err := segment.NewConnectedAudience(fine, nil); err == nil {
		t.Error("a nil option of an audience is taken")
	}
	for _, opts := range [][]segment.AudienceOption{
		{segment.WithSemantics(segment.Semantics{}), segment.WithDoesNotEqual(), segment.WithSemantics(segment.Semantics{})},
		{segment.WithSemantics(segment.Semantics{Missing: 9})},
	} {
		if _, err := segment.NewConnectedAudience(fine, opts...); err == nil {
			t.Error("semantics of an audience that contradict, or are unknown, are taken")
		}
	}
	if _, err := segment.NewConnectedAudience(segment.Or(slicesOf(segment.StringAttribute("tier").MatchesRegex(strings.Repeat("x", 32_000)), 130)...)); err == nil {
		t.Error("an audience of more than 4 MB is taken")
	}
	for range 99 {
		large = segment.Or(large)
	}
	newAudience(t, large)
	if _, err := segment.NewConnectedAudience(segment.Or(large)); err == nil {
		t.Error("an audience of 101 levels, of which the last one comes of several values, is taken")
	}
}

func slicesOf[T any](x T, n int) []T {
	list := make([]T, n)
	for i := range list {
		list[i] = x
	}
	return list
}

// TestLimits has what just fits.
func TestLimits(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]segment.Filter{
		"256 values":            segment.StringAttribute("tier").Equals(many(256)...),
		"255 characters":        segment.ArrayAttribute(strings.Repeat("é", 255)).Includes(strings.Repeat("é", 255)),
		"32,764 characters":     segment.StringAttribute("tier").MatchesRegex(strings.Repeat("é", 32_764)),
		"year 9999":             segment.TimeAttribute("renewal").Before(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)),
		"most days":             segment.TimeAttribute("renewal").GreaterThanDaysAgo(3_652_425),
		"no days":               segment.TimeAttribute("renewal").LessThanDaysAhead(0),
		"largest number":        segment.NumberAttribute("points").LessThan(math.MaxFloat64),
		"100 levels":            nest(100),
		"one filter in an and":  segment.And(segment.StringAttribute("tier").Exists()),
		"a space inside a name": segment.StringAttribute("loyalty tier").Exists(),
		"a value of a space":    segment.StringAttribute("tier").Equals(" "),
	} {
		if err := f.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		a, err := segment.NewConnectedAudience(f)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		encoded, err := a.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := segment.ParseConnectedAudience(encoded); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	newSegment(t, segment.StringAttribute("ab").MatchesRegex(strings.Repeat("x", 9_998)))
}

func TestUncarriable(t *testing.T) {
	t.Parallel()
	fine := segment.StringAttribute("tier").Exists()
	tests := []struct {
		name   string
		filter segment.Filter
		opts   []segment.Option
		path   string
		what   string
	}{
		{"cohort", segment.Cohort("Tinyclues").Includes("Spring sale"), nil, "", `"Tinyclues Cohorts"`},
		{"cohort in a tree", segment.And(fine, segment.Or(fine, segment.Cohort("Mixpanel").DoesNotInclude("x"))), nil, "AND[1].OR[1]", `"Mixpanel_Cohorts"`},
		{"membership", segment.Or(segment.NotInSegment("Buyers")), nil, "OR[0]", `segment membership "Buyers"`},
		{"exclusion", fine, []segment.Option{segment.Exclude(fine)}, "Exclude[0]", "an exclusion group"},
		{"apps", fine, []segment.Option{segment.OnApps("Shop")}, "OnApps", "a choice of apps"},
		{"no apps", fine, []segment.Option{segment.OnNoApps()}, "OnNoApps", "a choice of apps"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := newSegment(t, tt.filter, tt.opts...).ConnectedAudience()
			got, ok := errors.AsType[*segment.UncarriableError](err)
			if !ok || got.Path != tt.path || got.Filter != tt.what {
				t.Fatalf("error %#v", err)
			}
			for _, way := range []string{"/messages/send", "API-triggered campaign or Canvas", tt.path, tt.what} {
				if !strings.Contains(got.Error(), way) {
					t.Errorf("%q does not name %q", got, way)
				}
			}
		})
	}
}

// TestCannotEvaluate has patterns that PCRE runs and Go does not: they are shown and encoded all the same.
func TestCannotEvaluate(t *testing.T) {
	t.Parallel()
	fine := segment.StringAttribute("tier").Exists()
	for _, pattern := range []string{`(?=gold)`, `(?<!old )gold`, `(a)\1`, `a*+`, `(?>a)b`, `\Ka`, `(?(1)a|b)`, `a{1001}`, `(`} {
		f := segment.And(fine, segment.Or(fine, segment.StringAttribute("tier").MatchesRegex(pattern)))
		audience, err := segment.NewConnectedAudience(f)
		if err != nil {
			t.Fatalf("%s: %v", pattern, err)
		}
		encoded, err := audience.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := segment.ParseConnectedAudience(encoded)
		if err != nil || parsed.String() != audience.String() {
			t.Errorf("%s: %v (%v)", encoded, parsed, err)
		}
		s := newSegment(t, f)
		excluding := newSegment(t, fine, segment.Exclude(fine), segment.Exclude(segment.StringAttribute("tier").DoesNotMatchRegex(pattern)))
		none := func(func(*segment.Profile, error) bool) { t.Error("a profile is read") }
		for _, tt := range []struct {
			path string
			try  func() error
		}{
			{"AND[1].OR[1]", func() error { _, err := s.Match(&segment.Profile{}, noon()); return err }},
			{"AND[1].OR[1]", func() error { _, err := audience.Match(&segment.Profile{}, noon()); return err }},
			{"AND[1].OR[1]", func() error { _, err := s.Explain(&segment.Profile{}, noon()); return err }},
			{"AND[1].OR[1]", func() error { _, err := s.Funnel(none, noon()); return err }},
			{"Exclude[1]", func() error { _, err := excluding.Match(&segment.Profile{}, noon()); return err }},
		} {
			err := tt.try()
			got, ok := errors.AsType[*segment.EvaluationError](err)
			if !ok || !errors.Is(err, segment.ErrCannotEvaluate) || got.Path != tt.path || got.Filter != `custom attribute "tier"` ||
				!strings.HasPrefix(got.Error(), "segment: "+tt.path+`: custom attribute "tier" has a regular expression that Go cannot run`) {
				t.Errorf("%s: %v, want one at %s", pattern, err, tt.path)
			}
		}
	}
}
