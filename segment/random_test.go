package segment_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cohortkit/cohortkit/segment"
)

var (
	cases = flag.Int("cases", defaultCases, "compare this many random filters and profiles with the naive evaluator in TestNaive")
	seed  = flag.Uint64("seed", 0, "seed of TestNaive; 0 for one by chance")
)

// random makes filters and profiles, each in two forms: that of this package, and that of the naive evaluator.
type random struct{ *rand.Rand }

// made is a filter in both forms.
type made struct {
	filter segment.Filter
	object object
	leaves []leaf // in it, in their order
}

// leaf is a filter that joins no others.
type leaf struct {
	name   string // what it is: "string equals"
	object object
}

func newMade(f segment.Filter, o object, name string) made { return made{f, o, []leaf{{name, o}}} }

func pick[T any](r random, list ...T) T { return list[r.IntN(len(list))] }

func (r random) text() string {
	return pick(r, "gold", "Gold", "silver", "75011", "old gold", "a\"b\\c<>", "é")
}
func (r random) number() float64 { return pick(r, -1, 0, 1, 2.5, 1e21) }

// instant is a time around now, often exactly days away.
func (r random) instant() time.Time {
	t := noon().Add(time.Duration(r.IntN(9)-4) * 24 * time.Hour)
	return t.Add(pick(r, 0, 0, -time.Nanosecond, time.Nanosecond, 5*time.Hour))
}

// texts returns one string, or several.
func (r random) texts() ([]string, any) {
	list := make([]string, 1+r.IntN(2)*r.IntN(3))
	several := make([]any, len(list))
	for i := range list {
		list[i] = r.text()
		several[i] = list[i]
	}
	if len(list) == 1 {
		return list, list[0]
	}
	return list, several
}

// attributes are the names of the attributes that profiles have, in the order of the cases of leaf: the usual data type of each is the one of its
// case.
var attributes = [...]string{"tier", "tier", "brands", "brands", "points", "member", "renewal"}

func attribute(name, comparison string, value any) object {
	f := object{"custom_attribute_name": name, "comparison": comparison}
	if value != nil {
		f["value"] = value
	}
	return object{"custom_attribute": f}
}

// leaf makes a filter that joins no others.
func (r random) leaf(carried bool) made {
	k := r.IntN(11)
	if carried {
		k = r.IntN(9)
	}
	name := attributes[r.IntN(len(attributes))]
	if k < len(attributes) && r.IntN(8) > 0 {
		name = attributes[k]
	}
	switch k {
	case 0:
		a := segment.StringAttribute(name)
		list, value := r.texts()
		if r.IntN(2) == 0 {
			return newMade(a.Equals(list...), attribute(name, "equals", value), "string equals")
		}
		return newMade(a.DoesNotEqual(list...), attribute(name, "not_equal", value), "string not_equal")
	case 1:
		a := segment.StringAttribute(name)
		pattern := pick(r, "^gold", "OLD", "^75|silver$", "x", ".", "^$", "(?-i)gold")
		if r.IntN(2) == 0 {
			return newMade(a.MatchesRegex(pattern), attribute(name, "matches_regex", pattern), "string matches_regex")
		}
		return newMade(a.DoesNotMatchRegex(pattern), attribute(name, "does_not_match_regex", pattern), "string does_not_match_regex")
	case 2:
		if r.IntN(2) == 0 {
			return newMade(segment.TimeAttribute(name).Exists(), attribute(name, "exists", nil), "attribute exists")
		}
		return newMade(segment.ArrayAttribute(name).DoesNotExist(), attribute(name, "does_not_exist", nil), "attribute does_not_exist")
	case 3:
		a := segment.ArrayAttribute(name)
		list, value := r.texts()
		if r.IntN(2) == 0 {
			return newMade(a.Includes(list...), attribute(name, "includes_value", value), "array includes_value")
		}
		return newMade(a.DoesNotInclude(list...), attribute(name, "does_not_include_value", value), "array does_not_include_value")
	case 4:
		return r.numeric(name)
	case 5:
		a, b := segment.BooleanAttribute(name), r.IntN(2) == 0
		if r.IntN(2) == 0 {
			return newMade(a.Is(b), attribute(name, "equals", b), "boolean equals")
		}
		return newMade(a.IsNot(b), attribute(name, "not_equal", b), "boolean not_equal")
	case 6:
		return r.timed(name)
	case 7:
		f, key := segment.PushSubscription(), "push_subscription_status"
		if r.IntN(2) == 0 {
			f, key = segment.EmailSubscription(), "email_subscription_status"
		}
		state := 1 + r.IntN(3)
		comparison := pick(r, "is", "is_not")
		o := object{key: object{"comparison": comparison, "value": states[state]}}
		if comparison == "is" {
			return newMade(f.Is(segment.Subscription(state)), o, key+" is")
		}
		return newMade(f.IsNot(segment.Subscription(state)), o, key+" is_not")
	case 8:
		t := r.instant()
		comparison := pick(r, "before", "after")
		o := object{"last_used_app": object{"comparison": comparison, "value": t.Format(time.RFC3339Nano)}}
		if comparison == "before" {
			return newMade(segment.LastUsedApp().Before(t), o, "last_used_app before")
		}
		return newMade(segment.LastUsedApp().After(t), o, "last_used_app after")
	case 9:
		partner, cohort := pick(r, "Tinyclues", "tinyclues", "Kubit"), pick(r, "Spring", "Winter")
		if r.IntN(2) == 0 {
			return newMade(segment.Cohort(partner).Includes(cohort),
				object{"cohort": object{"partner": partner, "comparison": "includes", "value": cohort}}, "cohort includes")
		}
		return newMade(segment.Cohort(partner).DoesNotInclude(cohort),
			object{"cohort": object{"partner": partner, "comparison": "does_not_include", "value": cohort}}, "cohort does_not_include")
	default:
		if r.IntN(2) == 0 {
			return newMade(segment.InSegment("Buyers"), object{"segment": object{"comparison": "includes", "value": "Buyers"}}, "segment includes")
		}
		return newMade(segment.NotInSegment("Buyers"), object{"segment": object{"comparison": "does_not_include", "value": "Buyers"}},
			"segment does_not_include")
	}
}

func (r random) numeric(name string) made {
	a, x := segment.NumberAttribute(name), r.number()
	comparisons := []struct {
		name  string
		build func(float64) segment.Filter
	}{
		{"equals", a.Equals}, {"not_equal", a.DoesNotEqual}, {"greater_than", a.GreaterThan}, {"greater_than_or_equal_to", a.GreaterThanOrEqualTo},
		{"less_than", a.LessThan}, {"less_than_or_equal_to", a.LessThanOrEqualTo},
	}
	c := pick(r, comparisons...)
	return newMade(c.build(x), attribute(name, c.name, x), "number "+c.name)
}

func (r random) timed(name string) made {
	a := segment.TimeAttribute(name)
	if r.IntN(3) == 0 {
		t := r.instant()
		if r.IntN(2) == 0 {
			return newMade(a.Before(t), attribute(name, "before", t.Format(time.RFC3339Nano)), "time before")
		}
		return newMade(a.After(t), attribute(name, "after", t.Format(time.RFC3339Nano)), "time after")
	}
	x := r.IntN(5)
	comparisons := []struct {
		name  string
		build func(int) segment.Filter
	}{
		{"less_than_x_days_ago", a.LessThanDaysAgo}, {"greater_than_x_days_ago", a.GreaterThanDaysAgo},
		{"less_than_x_days_in_the_future", a.LessThanDaysAhead}, {"greater_than_x_days_in_the_future", a.GreaterThanDaysAhead},
	}
	c := pick(r, comparisons...)
	return newMade(c.build(x), attribute(name, c.name, float64(x)), "time "+c.name)
}

// tree makes a filter of up to so many levels.
func (r random) tree(levels int, carried bool) made {
	if levels == 0 || r.IntN(4) == 0 {
		return r.leaf(carried)
	}
	var filters []segment.Filter
	var objects []any
	var leaves []leaf
	for range 1 + r.IntN(3) {
		m := r.tree(levels-1, carried)
		filters, objects, leaves = append(filters, m.filter), append(objects, m.object), append(leaves, m.leaves...)
	}
	if r.IntN(2) == 0 {
		return made{segment.And(filters...), object{"AND": objects}, leaves}
	}
	return made{segment.Or(filters...), object{"OR": objects}, leaves}
}

var states = [...]string{"", "opted_in", "subscribed", "unsubscribed"}

// profile makes a profile. The naive form of its attributes is the JSON of this package's.
func (r random) profile(tb testing.TB) (segment.Profile, user) {
	tb.Helper()
	p := segment.Profile{
		Attributes: map[string]segment.Value{},
		Push:       segment.Subscription(r.IntN(4)),
		Email:      segment.Subscription(r.IntN(4)),
	}
	u := user{cohorts: map[string]bool{}, segments: map[string]bool{}, apps: map[string]bool{}, push: states[p.Push], email: states[p.Email]}
	for usual, name := range attributes {
		values := [...]segment.Value{
			segment.StringValue(r.text()), segment.StringValue(r.text()), pick(r, segment.Value{}, segment.StringValue(""), segment.ArrayValue()),
			segment.ArrayValue(r.text(), r.text()), segment.NumberValue(r.number()), segment.BooleanValue(r.IntN(2) == 0), segment.TimeValue(r.instant()),
		}
		switch r.IntN(10) {
		case 0, 1:
			delete(p.Attributes, name)
		case 2, 3:
			p.Attributes[name] = values[r.IntN(len(values))]
		default:
			p.Attributes[name] = values[usual]
		}
	}
	encoded, err := json.Marshal(p.Attributes)
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(encoded, &u.attributes); err != nil {
		tb.Fatal(err)
	}
	for _, c := range []segment.CohortName{{"Tinyclues", "Spring"}, {"Tinyclues", "Winter"}, {"Kubit", "Spring"}} {
		if r.IntN(2) == 0 {
			p.Cohorts = append(p.Cohorts, c)
			u.cohorts[strings.ToLower(c.Partner)+"/"+c.Name] = true
		}
	}
	for _, name := range []string{"Lapsed", "Buyers"} {
		if r.IntN(2) == 0 {
			p.Segments = append(p.Segments, name)
			u.segments[name] = true
		}
	}
	for _, name := range []string{"Shop", "Web"} {
		if r.IntN(3) == 0 {
			p.Apps = append(p.Apps, name)
			u.apps[name] = true
		}
	}
	if r.IntN(4) > 0 {
		p.LastUsedApp = r.instant()
		u.lastUsed = p.LastUsedApp.Format(time.RFC3339Nano)
	}
	return p, u
}

func (r random) semantics() segment.Semantics {
	if r.IntN(2) == 0 {
		return segment.Semantics{}
	}
	return segment.Semantics{
		Missing:             segment.Missing(r.IntN(2)),
		MissingNumber:       segment.MissingNumber(r.IntN(3)),
		Empty:               segment.Empty(r.IntN(2)),
		Subscribed:          segment.SubscribedState(r.IntN(2)),
		UnknownSubscription: segment.UnknownSubscription(r.IntN(2)),
		NeverUsed:           segment.NeverUsed(r.IntN(2)),
	}
}

// TestNaive compares with the naive evaluator on random segments, audiences and profiles: Match, Explain, Funnel, and the meaning of the JSON.
func TestNaive(t *testing.T) {
	t.Parallel()
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	t.Logf("go test -run='^TestNaive$' ./segment -cases=%d -seed=%d", *cases, first)
	r := random{rand.New(rand.NewPCG(first, 0))}
	outcomes := map[string]int{}
	for i := range *cases {
		s := r.semantics()
		p, u := r.profile(t)
		var want bool
		if i%2 == 0 {
			want = naiveSegment(t, r, outcomes, s, &p, u)
		} else {
			want = naiveAudience(t, r, s, &p, u)
		}
		if t.Failed() {
			t.Fatalf("case %d, naive says %v, semantics %+v", i, want, s)
		}
	}
	expectOutcomes(t, outcomes)
}

func naiveSegment(t *testing.T, r random, outcomes map[string]int, s segment.Semantics, p *segment.Profile, u user) bool {
	t.Helper()
	m := r.tree(2, false)
	opts := []segment.Option{segment.WithSemantics(s)}
	var apps any
	switch r.IntN(4) {
	case 0:
		opts, apps = append(opts, segment.OnApps("Shop", "Radio")), []string{"Shop", "Radio"}
	case 1:
		opts, apps = append(opts, segment.OnNoApps()), "no apps"
	}
	var exclusions []object
	leaves := m.leaves
	for range r.IntN(3) {
		group := r.tree(1, false)
		opts = append(opts, segment.Exclude(group.filter))
		exclusions = append(exclusions, group.object)
		leaves = append(leaves, group.leaves...)
	}
	book := newRulebook(noon(), s)
	want := book.member(m.object, exclusions, apps, u)
	seg := newSegment(t, m.filter, opts...)
	got, err := seg.Match(p, noon())
	if err != nil || got != want {
		t.Errorf("segment matches: %v (%v)\n%v", got, err, seg)
	}
	if book.holds(m.object, u) {
		for _, e := range exclusions {
			if book.holds(e, u) {
				outcomes["excluded"]++
			}
		}
	}
	e, err := seg.Explain(p, noon())
	compareExplanation(t, e, err, want)
	compareLeaves(t, e, leaves, book, u, outcomes)
	compareFunnel(t, seg.Funnel, p, want)
	return want
}

func naiveAudience(t *testing.T, r random, s segment.Semantics, p *segment.Profile, u user) bool {
	t.Helper()
	m := r.tree(r.IntN(4), true)
	book := newRulebook(noon(), s)
	want := book.holds(m.object, u)
	audience := newAudience(t, m.filter, segment.WithSemantics(s))
	got, err := audience.Match(p, noon())
	if err != nil || got != want {
		t.Errorf("audience matches: %v (%v)\n%v", got, err, audience)
	}
	encoded, err := audience.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var decoded object
	if err := json.Unmarshal(encoded, &decoded); err != nil {
		t.Fatal(err)
	}
	if means := book.holds(decoded, u); means != want {
		t.Errorf("the JSON means %v: %s", means, encoded)
	}
	parsed, err := segment.ParseConnectedAudience(encoded, segment.WithSemantics(s))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := parsed.Match(p, noon()); err != nil || got != want {
		t.Errorf("parsed audience matches: %v (%v)\n%v", got, err, audience)
	}
	e, err := audience.Explain(p, noon())
	compareExplanation(t, e, err, want)
	compareFunnel(t, audience.Funnel, p, want)
	return want
}

// compareLeaves compares what an explanation says of each filter that joins no others with what the naive evaluator says of it alone.
func compareLeaves(t *testing.T, e segment.Explanation, leaves []leaf, book *rulebook, u user, outcomes map[string]int) {
	t.Helper()
	for _, f := range e.Findings {
		if f.Filter == "AND" || f.Filter == "OR" || strings.HasPrefix(f.Filter, "Apps") || strings.HasPrefix(f.Filter, "Exclusion group") {
			continue
		}
		want := book.holds(leaves[0].object, u)
		if f.Reason.Matched() != want {
			t.Errorf("%s finds %v, naive says %v", f.Filter, f.Reason, want)
		}
		outcomes[fmt.Sprintf("%s: %v", leaves[0].name, want)]++
		outcomes[f.Reason.String()]++
		leaves = leaves[1:]
	}
	if len(leaves) != 0 {
		t.Errorf("%d filters without a finding:\n%v", len(leaves), e)
	}
}

func compareExplanation(t *testing.T, e segment.Explanation, err error, want bool) {
	t.Helper()
	if err != nil || e.Matched != want {
		t.Errorf("explanation matches: %v (%v)", e.Matched, err)
	}
	in := true
	for _, f := range e.Findings {
		switch {
		case f.Depth > 0:
		case strings.HasPrefix(f.Path, "Exclude"):
			in = in && !f.Reason.Matched()
		default:
			in = in && f.Reason.Matched()
		}
	}
	if in != want {
		t.Errorf("the findings say %v:\n%v", in, e)
	}
}

func compareFunnel(t *testing.T, funnel func(iter.Seq2[*segment.Profile, error], time.Time) (segment.Funnel, error), p *segment.Profile, want bool) {
	t.Helper()
	f, err := funnel(func(yield func(*segment.Profile, error) bool) { yield(p, nil) }, noon())
	if err != nil || f.Profiles != 1 || (f.Matched == 1) != want {
		t.Errorf("funnel (%v):\n%v", err, f)
	}
	groups := 0
	for _, g := range f.Groups {
		groups += g.Steps[len(g.Steps)-1].Count
	}
	operator := "AND"
	if len(f.Groups) > 1 {
		operator = f.Groups[1].Operator
	}
	if included := f.InApps == 1 && (groups == len(f.Groups) || operator == "OR" && groups > 0); included != (f.Included == 1) {
		t.Errorf("the groups say %v:\n%v", included, f)
	}
}

// expectOutcomes fails unless each filter, comparison and answer came up, in a number that leaves no doubt.
func expectOutcomes(t *testing.T, outcomes map[string]int) {
	t.Helper()
	want := []string{"excluded"}
	for _, r := range []segment.Reason{segment.ReasonDiffers, segment.ReasonMissing, segment.ReasonOtherType, segment.ReasonHolds, segment.ReasonMissingCounts} {
		want = append(want, r.String())
	}
	for kind, comparisons := range map[string][]string{
		"string":    {"equals", "not_equal", "matches_regex", "does_not_match_regex"},
		"attribute": {"exists", "does_not_exist"},
		"array":     {"includes_value", "does_not_include_value"},
		"number":    {"equals", "not_equal", "greater_than", "greater_than_or_equal_to", "less_than", "less_than_or_equal_to"},
		"boolean":   {"equals", "not_equal"},
		"time": {
			"before", "after", "less_than_x_days_ago", "greater_than_x_days_ago", "less_than_x_days_in_the_future", "greater_than_x_days_in_the_future",
		},
		"push_subscription_status":  {"is", "is_not"},
		"email_subscription_status": {"is", "is_not"},
		"last_used_app":             {"before", "after"},
		"cohort":                    {"includes", "does_not_include"},
		"segment":                   {"includes", "does_not_include"},
	} {
		for _, c := range comparisons {
			want = append(want, kind+" "+c+": true", kind+" "+c+": false")
		}
	}
	least := max(1, *cases/2000)
	for _, outcome := range want {
		if outcomes[outcome] < least {
			t.Errorf("%q came up %d times, want %d at least", outcome, outcomes[outcome], least)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(outcomes)) {
		t.Logf("%6d %s", outcomes[k], k)
	}
}
