package segment_test

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/cohortkit/cohortkit/segment"
)

// tenLeaves is an audience of ten filters, of every kind.
func tenLeaves() segment.Filter {
	return segment.And(
		segment.Or(
			segment.StringAttribute("tier").Equals("gold"),
			segment.StringAttribute("tier").Equals("silver"),
			segment.StringAttribute("postcode").MatchesRegex("^75"),
		),
		segment.NumberAttribute("points").GreaterThanOrEqualTo(250),
		segment.ArrayAttribute("liked_brands").Includes("acme"),
		segment.BooleanAttribute("is_member").Is(true),
		segment.TimeAttribute("last_order_at").LessThanDaysAgo(30),
		segment.TimeAttribute("renewal_at").After(noon()),
		segment.EmailSubscription().IsNot(segment.Unsubscribed),
		segment.LastUsedApp().After(days(-90)),
	)
}

// ring returns many different profiles, in the form of this package and as encoding/json decodes them. Each filter of tenLeaves takes about five in
// six, so that most of them have to be evaluated.
func ring(tb testing.TB) ([]segment.Profile, []plainProfile) {
	tb.Helper()
	r := random{rand.New(rand.NewPCG(1, 2))}
	most := func() bool { return r.IntN(6) > 0 }
	profiles := make([]segment.Profile, 1<<12)
	plain := make([]plainProfile, len(profiles))
	for i := range profiles {
		brands := []string{"umbrella", "initech"}
		if most() {
			brands = append(brands, "acme")
		}
		email := segment.Unsubscribed
		if most() {
			email = segment.Subscribed
		}
		ordered, renewal, used := days(-40), days(-1), days(-100)
		if most() {
			ordered = days(-float64(r.IntN(30)))
		}
		if most() {
			renewal = days(float64(1 + r.IntN(300)))
		}
		if most() {
			used = days(-float64(r.IntN(90)))
		}
		points := float64(r.IntN(1500))
		tier := pick(r, "gold", "silver", "bronze")
		postcode := pick(r, "75011", "13001", "69003")
		member := most()
		profiles[i] = segment.Profile{
			Attributes: map[string]segment.Value{
				"tier": segment.StringValue(tier), "postcode": segment.StringValue(postcode), "points": segment.NumberValue(points),
				"liked_brands": segment.ArrayValue(brands...), "is_member": segment.BooleanValue(member),
				"last_order_at": segment.TimeValue(ordered), "renewal_at": segment.TimeValue(renewal),
			},
			Email: email, LastUsedApp: used,
		}
		encoded, err := json.Marshal(profiles[i].Attributes)
		if err != nil {
			tb.Fatal(err)
		}
		plain[i] = plainProfile{email: states[email], lastUsed: used.Format(time.RFC3339)}
		if err := json.Unmarshal(encoded, &plain[i].attributes); err != nil {
			tb.Fatal(err)
		}
	}
	return profiles, plain
}

// TestMatchAllocates nothing, on any filter, whatever the outcome.
func TestMatchAllocates(t *testing.T) { //nolint:paralleltest // what other tests allocate would be counted too
	profiles, _ := ring(t)
	r := random{rand.New(rand.NewPCG(3, 4))}
	for range 200 {
		p, _ := r.profile(t)
		profiles = append(profiles, p)
	}
	audience := newAudience(t, tenLeaves())
	all := newSegment(t, tenLeaves(), segment.Exclude(segment.Or(segment.Cohort("Tinyclues").Includes("Spring"), segment.InSegment("Buyers"))), segment.OnApps("Shop"))
	matched := 0
	for _, match := range []func(*segment.Profile, time.Time) (bool, error){audience.Match, all.Match} {
		i := 0
		if n := testing.AllocsPerRun(2*len(profiles), func() {
			in, err := match(&profiles[i%len(profiles)], noon())
			if err != nil {
				t.Fatal(err)
			}
			if in {
				matched++
			}
			i++
		}); n != 0 {
			t.Errorf("%v allocations for a profile", n)
		}
	}
	if matched == 0 {
		t.Error("nobody matched")
	}
	for range 100 {
		m := r.tree(2, false)
		s := newSegment(t, m.filter, segment.WithSemantics(r.semantics()))
		i := 0
		if n := testing.AllocsPerRun(100, func() {
			_, _ = s.Match(&profiles[len(profiles)-1-i%200], noon())
			i++
		}); n != 0 {
			t.Errorf("%v allocations for a profile: %v", n, s)
		}
	}
}

// BenchmarkMatch matches an audience of ten filters, and does the same with what one would write for it: filter and profile as encoding/json decodes
// them, a walk that stops as soon as the answer is known, and each regular expression compiled once. They take turns, x-plain is how many times as
// many profiles a second Match does.
func BenchmarkMatch(b *testing.B) {
	profiles, plain := ring(b)
	audience := newAudience(b, tenLeaves())
	encoded, err := json.Marshal(audience)
	if err != nil {
		b.Fatal(err)
	}
	var naive plainFilter
	if err := json.Unmarshal(encoded, &naive); err != nil {
		b.Fatal(err)
	}
	patterns := map[string]*regexp.Regexp{}
	at := noon()
	const turn = 1 << 12
	var ours, theirs time.Duration
	var oursIn, theirsIn, rounds int
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		for i := range turn {
			if in, _ := audience.Match(&profiles[i], at); in {
				oursIn++
			}
		}
		ours += time.Since(start)
		b.StopTimer()
		start = time.Now()
		for i := range turn {
			if naive.match(&plain[i], at, patterns) {
				theirsIn++
			}
		}
		theirs += time.Since(start)
		rounds++
		b.StartTimer()
	}
	if oursIn != theirsIn || oursIn == 0 {
		b.Fatalf("Match matches %d, the plain walk %d", oursIn, theirsIn)
	}
	b.ReportMetric(float64(rounds)*turn/ours.Seconds(), "profiles/s")
	b.ReportMetric(float64(rounds)*turn/theirs.Seconds(), "plain-profiles/s")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "x-plain")
}

// plainFilter is a Connected Audience as encoding/json decodes it.
type plainFilter struct {
	And             []plainFilter `json:"AND"`
	Or              []plainFilter `json:"OR"`
	CustomAttribute *struct {
		Name       string `json:"custom_attribute_name"`
		Comparison string `json:"comparison"`
		Value      any    `json:"value"`
	} `json:"custom_attribute"`
	Email *struct {
		Comparison string `json:"comparison"`
		Value      string `json:"value"`
	} `json:"email_subscription_status"`
	LastUsed *struct {
		Comparison string `json:"comparison"`
		Value      string `json:"value"`
	} `json:"last_used_app"`
}

type plainProfile struct {
	attributes map[string]any
	email      string
	lastUsed   string
}

// match has the comparisons of tenLeaves.
func (f *plainFilter) match(p *plainProfile, at time.Time, patterns map[string]*regexp.Regexp) bool {
	switch {
	case f.And != nil:
		for i := range f.And {
			if !f.And[i].match(p, at, patterns) {
				return false
			}
		}
		return true
	case f.Or != nil:
		for i := range f.Or {
			if f.Or[i].match(p, at, patterns) {
				return true
			}
		}
		return false
	case f.Email != nil:
		return (p.email == f.Email.Value) == (f.Email.Comparison == "is")
	case f.LastUsed != nil:
		return f.LastUsed.Comparison == "after" && isoTime(p.lastUsed).After(isoTime(f.LastUsed.Value))
	}
	c := f.CustomAttribute
	value, ok := p.attributes[c.Name]
	if !ok {
		return false
	}
	switch c.Comparison {
	case "equals":
		return value == c.Value
	case "matches_regex":
		text, ok := value.(string)
		pattern := as[string](c.Value)
		if patterns[pattern] == nil {
			patterns[pattern] = regexp.MustCompile("(?i)" + pattern)
		}
		return ok && patterns[pattern].MatchString(text)
	case "greater_than_or_equal_to":
		x, ok := value.(float64)
		return ok && x >= as[float64](c.Value)
	case "includes_value":
		list, ok := value.([]any)
		return ok && slices.Contains(list, c.Value)
	case "less_than_x_days_ago":
		text, ok := value.(string)
		t := isoTime(text)
		return ok && !t.After(at) && at.Sub(t).Hours() <= 24*as[float64](c.Value)
	case "after":
		text, ok := value.(string)
		return ok && isoTime(text).After(isoTime(as[string](c.Value)))
	default:
		return false
	}
}
