package segment_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/cohortkit/cohortkit/segment"
)

// TestMatch is what the documentation says of each filter, case by case, by hand.
func TestMatch(t *testing.T) {
	t.Parallel()
	const yes, no = true, false
	var (
		str     = segment.StringAttribute("a")
		arr     = segment.ArrayAttribute("a")
		num     = segment.NumberAttribute("a")
		boo     = segment.BooleanAttribute("a")
		tim     = segment.TimeAttribute("a")
		push    = segment.PushSubscription()
		email   = segment.EmailSubscription()
		app     = segment.LastUsedApp()
		cohorts = segment.Cohort("Tinyclues")
		other   = segment.Profile{Attributes: map[string]segment.Value{"A": segment.StringValue("gold")}}
		pushOn  = segment.Profile{Push: segment.OptedIn}
		pushMid = segment.Profile{Push: segment.Subscribed}
		pushOff = segment.Profile{Push: segment.Unsubscribed}
		mailOn  = segment.Profile{Email: segment.OptedIn}
		mailOff = segment.Profile{Email: segment.Unsubscribed}
		used    = segment.Profile{LastUsedApp: noon()}
		sale    = segment.Profile{Cohorts: []segment.CohortName{{"Heap", "Churn"}, {"Tinyclues", "Spring sale"}}}
		buyers  = segment.Profile{Segments: []string{"Lapsed", "Buyers"}}
		gold    = str.Equals("gold")
		optIn   = email.Is(segment.OptedIn)
		both    = segment.Profile{Attributes: text("gold").Attributes, Email: segment.OptedIn}
	)
	tests := []struct {
		name    string
		filter  segment.Filter
		profile segment.Profile
		want    bool
	}{
		{"an object exists", str.Exists(), nested(`{"b":"gold"}`), yes},
		{"an object does not exist", str.DoesNotExist(), nested(`{}`), no},
		{"string equals on an object", str.Equals("gold"), nested(`{"b":"gold"}`), no},
		{"string does not equal on an object", str.DoesNotEqual("gold"), nested(`{"b":"gold"}`), no},
		{"array includes on an array of numbers", arr.Includes("1"), nested(`[1]`), no},
		{"array does not include on an array of numbers", arr.DoesNotInclude("1"), nested(`[1]`), no},
		{"an array of numbers exists", arr.Exists(), nested(`[1]`), yes},
		{"string equals the same", str.Equals("gold"), text("gold"), yes},
		{"string equals another", str.Equals("gold"), text("silver"), no},
		{"string equals with another case", str.Equals("gold"), text("Gold"), no},
		{"string equals with a space more", str.Equals("gold"), text("gold "), no},
		{"string equals a part", str.Equals("gold"), text("golden"), no},
		{"string equals accents", str.Equals("café"), text("café"), yes},
		{"string equals composed and decomposed", str.Equals("caf\u00e9"), text("cafe\u0301"), no},
		{"string equals the first of two", str.Equals("gold", "silver"), text("gold"), yes},
		{"string equals the second of two", str.Equals("gold", "silver"), text("silver"), yes},
		{"string equals none of two", str.Equals("gold", "silver"), text("bronze"), no},
		{"string equals on nobody", str.Equals("gold"), nobody(), no},
		{"string equals on null", str.Equals("gold"), null(), no},
		{"string equals on empty", str.Equals("gold"), text(""), no},
		{"string equals on an attribute of another case", str.Equals("gold"), other, no},
		{"string equals on a number", str.Equals("1"), number(1), no},
		{"string equals on a boolean", str.Equals("true"), boolean(true), no},
		{"string equals on an array", str.Equals("gold"), array("gold"), no},
		{"string equals on a time", str.Equals("2025-06-15T12:00:00Z"), moment(noon()), no},
		{"string differs from the same", str.DoesNotEqual("gold"), text("gold"), no},
		{"string differs from another", str.DoesNotEqual("gold"), text("silver"), yes},
		{"string differs with another case", str.DoesNotEqual("gold"), text("GOLD"), yes},
		{"string differs from one of two", str.DoesNotEqual("gold", "silver"), text("silver"), no},
		{"string differs from both of two", str.DoesNotEqual("gold", "silver"), text("bronze"), yes},
		{"string differs on nobody", str.DoesNotEqual("gold"), nobody(), yes},
		{"string differs on null", str.DoesNotEqual("gold"), null(), yes},
		{"string differs on empty", str.DoesNotEqual("gold"), text(""), yes},
		{"string differs on a number", str.DoesNotEqual("gold"), number(1), no},
		{"string differs on a time", str.DoesNotEqual("gold"), moment(noon()), no},
		{"regex in the middle", str.MatchesRegex("l"), text("gold"), yes},
		{"regex with an anchor", str.MatchesRegex("^75"), text("75011"), yes},
		{"regex with an anchor elsewhere", str.MatchesRegex("^75"), text("13075"), no},
		{"regex in lower case", str.MatchesRegex("gold"), text("OLD GOLD"), yes},
		{"regex in upper case", str.MatchesRegex("GOLD"), text("old gold"), yes},
		{"regex of alternatives", str.MatchesRegex("gold|silver"), text("SILVER"), yes},
		{"regex on nobody", str.MatchesRegex("gold"), nobody(), no},
		{"regex of anything on empty", str.MatchesRegex(".*"), text(""), no},
		{"regex on a number", str.MatchesRegex("1"), number(1), no},
		{"no regex found", str.DoesNotMatchRegex("^75"), text("13001"), yes},
		{"no regex, but found", str.DoesNotMatchRegex("^75"), text("75011"), no},
		{"no regex, found in another case", str.DoesNotMatchRegex("gold"), text("GOLD"), no},
		{"no regex on nobody", str.DoesNotMatchRegex("^75"), nobody(), no},
		{"no regex on null", str.DoesNotMatchRegex("^75"), null(), no},
		{"no regex on empty", str.DoesNotMatchRegex("^75"), text(""), no},
		{"no regex on an array", str.DoesNotMatchRegex("^75"), array("13"), no},

		{"string exists", str.Exists(), text("gold"), yes},
		{"string exists with a space", str.Exists(), text(" "), yes},
		{"string exists on nobody", str.Exists(), nobody(), no},
		{"string exists on null", str.Exists(), null(), no},
		{"string exists on empty", str.Exists(), text(""), no},
		{"string exists on a number", str.Exists(), number(0), yes},
		{"string is missing", str.DoesNotExist(), text("gold"), no},
		{"string is missing on nobody", str.DoesNotExist(), nobody(), yes},
		{"string is missing on null", str.DoesNotExist(), null(), yes},
		{"string is missing on empty", str.DoesNotExist(), text(""), yes},
		{"string is missing under another case", str.DoesNotExist(), other, yes},
		{"array exists", arr.Exists(), array("x"), yes},
		{"array exists on empty", arr.Exists(), array(), no},
		{"array is missing on empty", arr.DoesNotExist(), array(), yes},
		{"number exists as zero", num.Exists(), number(0), yes},
		{"boolean exists as false", boo.Exists(), boolean(false), yes},
		{"boolean is missing on nobody", boo.DoesNotExist(), nobody(), yes},
		{"time exists", tim.Exists(), moment(noon()), yes},
		{"time is missing", tim.DoesNotExist(), moment(noon()), no},

		{"array includes the only one", arr.Includes("acme"), array("acme"), yes},
		{"array includes the last one", arr.Includes("acme"), array("x", "y", "acme"), yes},
		{"array includes none", arr.Includes("acme"), array("x"), no},
		{"array includes with another case", arr.Includes("acme"), array("Acme"), no},
		{"array includes a part", arr.Includes("acme"), array("acme corp"), no},
		{"array includes one of two", arr.Includes("acme", "x"), array("x"), yes},
		{"array includes none of two", arr.Includes("acme", "x"), array("y"), no},
		{"array includes on nobody", arr.Includes("acme"), nobody(), no},
		{"array includes on empty", arr.Includes("acme"), array(), no},
		{"array includes on a string", arr.Includes("acme"), text("acme"), no},
		{"array lacks", arr.DoesNotInclude("acme"), array("x"), yes},
		{"array lacks, but has", arr.DoesNotInclude("acme"), array("x", "acme"), no},
		{"array lacks both", arr.DoesNotInclude("acme", "x"), array("y"), yes},
		{"array lacks one of two", arr.DoesNotInclude("acme", "x"), array("x"), no},
		{"array lacks on nobody", arr.DoesNotInclude("acme"), nobody(), yes},
		{"array lacks on empty", arr.DoesNotInclude("acme"), array(), yes},
		{"array lacks on a string", arr.DoesNotInclude("acme"), text("x"), no},

		{"number equals the same", num.Equals(100), number(100), yes},
		{"number equals another", num.Equals(100), number(100.5), no},
		{"number equals zero", num.Equals(0), number(0), yes},
		{"number equals negative zero", num.Equals(0), number(math.Copysign(0, -1)), yes},
		{"number equals zero on nobody", num.Equals(0), nobody(), yes},
		{"number equals zero on null", num.Equals(0), null(), yes},
		{"number equals one on nobody", num.Equals(1), nobody(), no},
		{"number equals on a string", num.Equals(1), text("1"), no},
		{"number equals zero on a string", num.Equals(0), text("0"), no},
		{"number equals on a boolean", num.Equals(1), boolean(true), no},
		{"number differs", num.DoesNotEqual(100), number(99), yes},
		{"number differs from the same", num.DoesNotEqual(100), number(100), no},
		{"number differs from one on nobody", num.DoesNotEqual(1), nobody(), yes},
		{"number differs from zero on nobody", num.DoesNotEqual(0), nobody(), no},
		{"number differs on a string", num.DoesNotEqual(1), text("x"), no},
		{"number greater", num.GreaterThan(250), number(251), yes},
		{"number greater than the same", num.GreaterThan(250), number(250), no},
		{"number greater than negative on nobody", num.GreaterThan(-1), nobody(), no},
		{"number greater on a string", num.GreaterThan(1), text("2"), no},
		{"number at least the same", num.GreaterThanOrEqualTo(250.5), number(250.5), yes},
		{"number at least, but less", num.GreaterThanOrEqualTo(250.5), number(250.4), no},
		{"number at least zero on nobody", num.GreaterThanOrEqualTo(0), nobody(), no},
		{"number less", num.LessThan(10), number(9.99), yes},
		{"number less than the same", num.LessThan(10), number(10), no},
		{"number less, negative", num.LessThan(10), number(-1e300), yes},
		{"number less on nobody", num.LessThan(10), nobody(), yes},
		{"number less than negative on nobody", num.LessThan(-10), nobody(), yes},
		{"number less on a string", num.LessThan(10), text("1"), no},
		{"number less on empty", num.LessThan(10), text(""), yes},
		{"number at most the same", num.LessThanOrEqualTo(10), number(10), yes},
		{"number at most, but more", num.LessThanOrEqualTo(10), number(10.5), no},
		{"number at most on nobody", num.LessThanOrEqualTo(10), nobody(), no},

		{"boolean is true", boo.Is(true), boolean(true), yes},
		{"boolean is true, but false", boo.Is(true), boolean(false), no},
		{"boolean is false", boo.Is(false), boolean(false), yes},
		{"boolean is false on nobody", boo.Is(false), nobody(), no},
		{"boolean is true on a string", boo.Is(true), text("true"), no},
		{"boolean is not true", boo.IsNot(true), boolean(false), yes},
		{"boolean is not true, but is", boo.IsNot(true), boolean(true), no},
		{"boolean is not true on nobody", boo.IsNot(true), nobody(), yes},
		{"boolean is not true on a number", boo.IsNot(true), number(0), no},

		{"time before", tim.Before(noon()), moment(noon().Add(-1)), yes},
		{"time before the same", tim.Before(noon()), moment(noon()), no},
		{"time before in another zone", tim.Before(noon()), moment(noon().In(time.FixedZone("", 7200))), no},
		{"time before on nobody", tim.Before(noon()), nobody(), no},
		{"time before on a string", tim.Before(noon()), text("2024"), no},
		{"time after", tim.After(noon()), moment(noon().Add(1)), yes},
		{"time after the same", tim.After(noon()), moment(noon()), no},
		{"time after on nobody", tim.After(noon()), nobody(), no},
		{"less than 7 days ago, yesterday", tim.LessThanDaysAgo(7), moment(days(-1)), yes},
		{"less than 7 days ago, exactly", tim.LessThanDaysAgo(7), moment(days(-7)), yes},
		{"less than 7 days ago, by a nanosecond no more", tim.LessThanDaysAgo(7), moment(days(-7).Add(-1)), no},
		{"less than 7 days ago, now", tim.LessThanDaysAgo(7), moment(noon()), yes},
		{"less than 7 days ago, still ahead", tim.LessThanDaysAgo(7), moment(noon().Add(1)), no},
		{"less than 0 days ago, now", tim.LessThanDaysAgo(0), moment(noon()), yes},
		{"less than 7 days ago on nobody", tim.LessThanDaysAgo(7), nobody(), no},
		{"more than 90 days ago", tim.GreaterThanDaysAgo(90), moment(days(-91)), yes},
		{"more than 90 days ago, exactly", tim.GreaterThanDaysAgo(90), moment(days(-90)), no},
		{"more than 90 days ago, yesterday", tim.GreaterThanDaysAgo(90), moment(days(-1)), no},
		{"more than 90 days ago on nobody", tim.GreaterThanDaysAgo(90), nobody(), no},
		{"less than 14 days ahead, tomorrow", tim.LessThanDaysAhead(14), moment(days(1)), yes},
		{"less than 14 days ahead, exactly", tim.LessThanDaysAhead(14), moment(days(14)), yes},
		{"less than 14 days ahead, a nanosecond late", tim.LessThanDaysAhead(14), moment(days(14).Add(1)), no},
		{"less than 14 days ahead, past", tim.LessThanDaysAhead(14), moment(noon().Add(-1)), no},
		{"more than 60 days ahead", tim.GreaterThanDaysAhead(60), moment(days(60.5)), yes},
		{"more than 60 days ahead, exactly", tim.GreaterThanDaysAhead(60), moment(days(60)), no},
		{"more than 60 days ahead, past", tim.GreaterThanDaysAhead(60), moment(days(-61)), no},
		{"days are of 24 hours", tim.LessThanDaysAgo(1), moment(noon().Add(-25 * time.Hour)), no},

		{"push is opted in", push.Is(segment.OptedIn), pushOn, yes},
		{"push is opted in, but only subscribed", push.Is(segment.OptedIn), pushMid, no},
		{"push is subscribed", push.Is(segment.Subscribed), pushMid, yes},
		{"push is subscribed, but opted in", push.Is(segment.Subscribed), pushOn, no},
		{"push is unsubscribed", push.Is(segment.Unsubscribed), pushOff, yes},
		{"push is opted in on nobody", push.Is(segment.OptedIn), nobody(), no},
		{"push is not unsubscribed", push.IsNot(segment.Unsubscribed), pushMid, yes},
		{"push is not unsubscribed, but is", push.IsNot(segment.Unsubscribed), pushOff, no},
		{"push is not unsubscribed on nobody", push.IsNot(segment.Unsubscribed), nobody(), yes},
		{"push does not look at e-mail", push.Is(segment.OptedIn), mailOn, no},
		{"email is opted in", email.Is(segment.OptedIn), mailOn, yes},
		{"email is not unsubscribed, but is", email.IsNot(segment.Unsubscribed), mailOff, no},
		{"email does not look at push", email.Is(segment.OptedIn), pushOn, no},
		{"app used after", app.After(days(-1)), used, yes},
		{"app used after the same", app.After(noon()), used, no},
		{"app used before", app.Before(days(1)), used, yes},
		{"app used before the same", app.Before(noon()), used, no},
		{"app used after on nobody", app.After(days(-1)), nobody(), no},
		{"app used before on nobody", app.Before(days(1)), nobody(), no},

		{"cohort includes", cohorts.Includes("Spring sale"), sale, yes},
		{"cohort includes another", cohorts.Includes("Winter sale"), sale, no},
		{"cohort includes with another case", cohorts.Includes("spring sale"), sale, no},
		{"cohort of another partner", cohorts.Includes("Churn"), sale, no},
		{"cohort of the partner in lower case", segment.Cohort("tinyclues").Includes("Spring sale"), sale, yes},
		{"cohort includes on nobody", cohorts.Includes("Spring sale"), nobody(), no},
		{"cohort does not include", cohorts.DoesNotInclude("Winter sale"), sale, yes},
		{"cohort does not include, but does", cohorts.DoesNotInclude("Spring sale"), sale, no},
		{"cohort does not include on nobody", cohorts.DoesNotInclude("Spring sale"), nobody(), yes},
		{"in a segment", segment.InSegment("Buyers"), buyers, yes},
		{"in a segment of another case", segment.InSegment("buyers"), buyers, no},
		{"not in a segment", segment.NotInSegment("Buyers"), buyers, no},
		{"not in a segment on nobody", segment.NotInSegment("Buyers"), nobody(), yes},

		{"and of two", segment.And(gold, optIn), both, yes},
		{"and of one that fails", segment.And(gold, optIn), text("gold"), no},
		{"or of one that holds", segment.Or(gold, optIn), text("gold"), yes},
		{"or of none", segment.Or(gold, optIn), pushOn, no},
		{"or of and, the second", segment.Or(segment.And(gold, optIn), segment.And(push.Is(segment.OptedIn))), pushOn, yes},
		{"and of or", segment.And(segment.Or(gold, optIn), push.IsNot(segment.OptedIn)), both, yes},
		{"two negative filters by or", segment.Or(str.DoesNotEqual("gold"), str.DoesNotEqual("silver")), text("gold"), yes},
		{"two negative filters by and", segment.And(str.DoesNotEqual("gold"), str.DoesNotEqual("silver")), text("gold"), no},
	}
	if len(tests) < 120 {
		t.Fatalf("%d cases", len(tests))
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, err := newSegment(t, tt.filter).Match(&tt.profile, noon()); err != nil || got != tt.want {
				t.Errorf("segment matches: %v (%v), want %v", got, err, tt.want)
			}
			audience, err := segment.NewConnectedAudience(tt.filter)
			if _, uncarriable := errors.AsType[*segment.UncarriableError](err); uncarriable {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := audience.Match(&tt.profile, noon()); err != nil || got != tt.want {
				t.Errorf("audience matches: %v (%v), want %v", got, err, tt.want)
			}
		})
	}
}

// TestSemantics has a case for each choice: what its zero value says, and what the other values do.
func TestSemantics(t *testing.T) {
	t.Parallel()
	var (
		str, arr = segment.StringAttribute("a"), segment.ArrayAttribute("a")
		num      = segment.NumberAttribute("a")
		skip     = segment.Semantics{Missing: segment.MissingDoesNotMatch}
		zero     = segment.Semantics{MissingNumber: segment.MissingNumberIsZero}
		never    = segment.Semantics{MissingNumber: segment.MissingNumberDoesNotMatch}
		value    = segment.Semantics{Empty: segment.EmptyIsValue}
		wide     = segment.Semantics{Subscribed: segment.SubscribedIncludesOptedIn}
		unknown  = segment.Semantics{UnknownSubscription: segment.UnknownSubscriptionDoesNotMatch}
		unused   = segment.Semantics{NeverUsed: segment.NeverUsedIsBefore}
		optedIn  = segment.Profile{Email: segment.OptedIn}
		email    = segment.EmailSubscription()
	)
	tests := []struct {
		name      string
		filter    segment.Filter
		profile   segment.Profile
		semantics segment.Semantics
		usual     bool
		want      bool
	}{
		{"missing string", str.DoesNotEqual("x"), nobody(), skip, true, false},
		{"missing array", arr.DoesNotInclude("x"), nobody(), skip, true, false},
		{"missing boolean", segment.BooleanAttribute("a").IsNot(true), nobody(), skip, true, false},
		{"missing number", num.DoesNotEqual(1), nobody(), skip, true, false},
		{"missing number is low all the same", num.LessThan(1), nobody(), skip, true, true},
		{"what is there is compared all the same", str.DoesNotEqual("x"), text("y"), skip, true, true},
		{"zero equals zero", num.Equals(0), nobody(), zero, true, true},
		{"zero is not less than a negative number", num.LessThan(-1), nobody(), zero, true, false},
		{"zero is at most zero", num.LessThanOrEqualTo(0), nobody(), zero, false, true},
		{"zero is greater than a negative number", num.GreaterThan(-1), nobody(), zero, false, true},
		{"zero is at least zero", num.GreaterThanOrEqualTo(0), nobody(), zero, false, true},
		{"zero differs from one", num.DoesNotEqual(1), nobody(), zero, true, true},
		{"never equals zero", num.Equals(0), nobody(), never, true, false},
		{"never less", num.LessThan(1), nobody(), never, true, false},
		{"never, but it differs from zero", num.DoesNotEqual(0), nobody(), never, false, true},
		{"empty string exists", str.Exists(), text(""), value, false, true},
		{"empty array exists", arr.Exists(), array(), value, false, true},
		{"null does not", str.Exists(), null(), value, false, false},
		{"empty string matches a regex", str.MatchesRegex("^$"), text(""), value, false, true},
		{"empty string does not match one", str.DoesNotMatchRegex("x"), text(""), value, false, true},
		{"empty string is no number", num.LessThan(1), text(""), value, true, false},
		{"opted in is subscribed", email.Is(segment.Subscribed), optedIn, wide, false, true},
		{"opted in is subscribed, so is not fails", email.IsNot(segment.Subscribed), optedIn, wide, true, false},
		{"subscribed is not opted in", email.Is(segment.OptedIn), segment.Profile{Email: segment.Subscribed}, wide, false, false},
		{"unknown subscription", email.IsNot(segment.Unsubscribed), nobody(), unknown, true, false},
		{"never used", segment.LastUsedApp().Before(noon()), nobody(), unused, false, true},
		{"never used is not after", segment.LastUsedApp().After(noon()), nobody(), unused, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			match := func(got bool, err error) bool {
				if err != nil {
					t.Error(err)
				}
				return got
			}
			if got := match(newSegment(t, tt.filter).Match(&tt.profile, noon())); got != tt.usual {
				t.Errorf("with the zero value: %v", got)
			}
			if got := match(newSegment(t, tt.filter, segment.WithSemantics(tt.semantics)).Match(&tt.profile, noon())); got != tt.want {
				t.Errorf("segment: %v", got)
			}
			if got := match(newAudience(t, tt.filter, segment.WithSemantics(tt.semantics)).Match(&tt.profile, noon())); got != tt.want {
				t.Errorf("audience: %v", got)
			}
		})
	}
}

// TestSemanticsCarried has a segment's own semantics in its audience, unless an option gives others.
func TestSemanticsCarried(t *testing.T) {
	t.Parallel()
	s := newSegment(t, segment.StringAttribute("tier").DoesNotEqual("gold"), segment.WithSemantics(segment.Semantics{Missing: segment.MissingDoesNotMatch}))
	for _, tt := range []struct {
		opts []segment.AudienceOption
		want bool
	}{
		{nil, false},
		{[]segment.AudienceOption{segment.WithSemantics(segment.Semantics{})}, true},
	} {
		audience, err := s.ConnectedAudience(tt.opts...)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := audience.Match(&segment.Profile{}, noon()); got != tt.want || err != nil {
			t.Errorf("with %d options: %v (%v), want %v", len(tt.opts), got, err, tt.want)
		}
	}
}

func TestSegmentParts(t *testing.T) {
	t.Parallel()
	gold := segment.StringAttribute("a").Equals("gold")
	member := segment.BooleanAttribute("member").Is(true)
	person := func(apps ...string) segment.Profile {
		p := text("gold")
		p.Apps = apps
		return p
	}
	joined := person("Shop", "Radio")
	joined.Attributes["member"] = segment.BooleanValue(true)
	tests := []struct {
		name    string
		opts    []segment.Option
		profile segment.Profile
		want    bool
	}{
		{"all apps, none used", nil, person(), true},
		{"all apps, one used", nil, person("Shop"), true},
		{"one of the apps", []segment.Option{segment.OnApps("Web", "Shop")}, person("Radio", "Shop"), true},
		{"none of the apps", []segment.Option{segment.OnApps("Web")}, person("Shop"), false},
		{"one of the apps, none used", []segment.Option{segment.OnApps("Web")}, person(), false},
		{"apps add up", []segment.Option{segment.OnApps("Web"), segment.OnApps("Shop")}, person("Shop"), true},
		{"no apps, none used", []segment.Option{segment.OnNoApps()}, person(), true},
		{"no apps, one used", []segment.Option{segment.OnNoApps()}, person("Shop"), false},
		{"excluded", []segment.Option{segment.Exclude(member)}, joined, false},
		{"not excluded", []segment.Option{segment.Exclude(member)}, person(), true},
		{"excluded by the second group", []segment.Option{segment.Exclude(segment.InSegment("x")), segment.Exclude(member)}, joined, false},
		{"excluded by all of a group", []segment.Option{segment.Exclude(segment.And(member, gold))}, joined, false},
		{"not excluded by a part of a group", []segment.Option{segment.Exclude(segment.And(member, segment.InSegment("x")))}, joined, true},
		{"excluded by one of a group", []segment.Option{segment.Exclude(segment.Or(segment.InSegment("x"), member))}, joined, false},
		{"exclusion needs the apps too", []segment.Option{segment.OnApps("Shop"), segment.Exclude(member)}, person("Shop"), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, err := newSegment(t, gold, tt.opts...).Match(&tt.profile, noon()); err != nil || got != tt.want {
				t.Errorf("matches: %v (%v), want %v", got, err, tt.want)
			}
		})
	}
}
