package segment_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/segment"
)

// TestDashboardText has every filter in the words of the dashboard.
func TestDashboardText(t *testing.T) {
	t.Parallel()
	var (
		str   = segment.StringAttribute("tier")
		num   = segment.NumberAttribute("points")
		boo   = segment.BooleanAttribute("is_member")
		tim   = segment.TimeAttribute("renewal_at")
		email = segment.EmailSubscription()
		a, b  = email.Is(segment.OptedIn), email.Is(segment.Subscribed)
	)
	const aText, bText = "Email Subscription Status is opted in", "Email Subscription Status is subscribed"
	for want, f := range map[string]segment.Filter{
		`Tinyclues Cohorts includes "Spring sale"`:                           segment.Cohort("Tinyclues").Includes("Spring sale"),
		`Splio Cohorts does not include "Spring \"sale\""`:                   segment.Cohort("Splio").DoesNotInclude(`Spring "sale"`),
		`Mixpanel_Cohorts includes "x"`:                                      segment.Cohort("Mixpanel").Includes("x"),
		`Kubit cohorts includes "x"`:                                         segment.Cohort("Kubit").Includes("x"),
		`Census Cohorts includes "x"`:                                        segment.Cohort("Census").Includes("x"),
		`Treasure Data Cohorts includes "x"`:                                 segment.Cohort("Treasure Data").Includes("x"),
		`Segment Membership includes "Buyers"`:                               segment.InSegment("Buyers"),
		`Segment Membership does not include "Buyers"`:                       segment.NotInSegment("Buyers"),
		`Custom Attributes: "tier" is any of "gold"`:                         str.Equals("gold"),
		`Custom Attributes: "tier" is none of "gold", "é"`:                   str.DoesNotEqual("gold", "é"),
		`Custom Attributes: "tier" matches regex "^g"`:                       str.MatchesRegex("^g"),
		`Custom Attributes: "tier" does not match regex "\\d"`:               str.DoesNotMatchRegex(`\d`),
		`Custom Attributes: "tier" is not blank`:                             str.Exists(),
		`Custom Attributes: "tier" is blank`:                                 str.DoesNotExist(),
		`Custom Attributes: "brands" includes any of "acme"`:                 segment.ArrayAttribute("brands").Includes("acme"),
		`Custom Attributes: "brands" includes none of "acme", "x"`:           segment.ArrayAttribute("brands").DoesNotInclude("acme", "x"),
		`Custom Attributes: "points" exactly 0`:                              num.Equals(0),
		`Custom Attributes: "points" does not equal 1.5`:                     num.DoesNotEqual(1.5),
		`Custom Attributes: "points" greater than 250`:                       num.GreaterThan(250),
		`Custom Attributes: "points" greater than or equal to 250`:           num.GreaterThanOrEqualTo(250),
		`Custom Attributes: "points" less than -1`:                           num.LessThan(-1),
		`Custom Attributes: "points" less than or equal to 10`:               num.LessThanOrEqualTo(10),
		`Custom Attributes: "is_member" is true`:                             boo.Is(true),
		`Custom Attributes: "is_member" is not false`:                        boo.IsNot(false),
		`Custom Attributes: "renewal_at" before 2025-06-15T12:00:00Z`:        tim.Before(noon()),
		`Custom Attributes: "renewal_at" after 2025-06-15T14:00:00+02:00`:    tim.After(noon().In(time.FixedZone("", 7200))),
		`Custom Attributes: "renewal_at" less than 1 day ago`:                tim.LessThanDaysAgo(1),
		`Custom Attributes: "renewal_at" greater than 90 days ago`:           tim.GreaterThanDaysAgo(90),
		`Custom Attributes: "renewal_at" less than 14 days in the future`:    tim.LessThanDaysAhead(14),
		`Custom Attributes: "renewal_at" greater than 60 days in the future`: tim.GreaterThanDaysAhead(60),
		`Push Subscription Status is unsubscribed`:                           segment.PushSubscription().Is(segment.Unsubscribed),
		`Email Subscription Status is not subscribed`:                        email.IsNot(segment.Subscribed),
		`Last Used App before 2025-06-15T12:00:00Z`:                          segment.LastUsedApp().Before(noon()),
		`invalid filter`: {},
		`filter that has filters that lie more than 100 levels deep`: nest(101),
		`filter that comes to more than 100,000 filters`:             double(60),
		aText:                   segment.Or(segment.And(a)),
		aText + " AND " + bText: segment.And(a, b),
		aText + " OR (" + aText + " AND " + bText + ")": segment.Or(a, segment.And(a, b)),
		"(" + aText + " OR " + bText + ") AND " + bText: segment.And(segment.And(segment.Or(a, b)), b),
		aText + " AND invalid filter":                   segment.And(a, segment.Filter{}),
	} {
		if got := f.String(); got != want {
			t.Errorf("text = %s, want %s", got, want)
		}
	}
}

func TestSegmentText(t *testing.T) {
	t.Parallel()
	a, b := segment.EmailSubscription().Is(segment.OptedIn), segment.PushSubscription().IsNot(segment.Unsubscribed)
	tests := []struct {
		name   string
		filter segment.Filter
		opts   []segment.Option
		want   string
	}{
		{"one filter", a, nil, `Apps: all apps
Filter group 1
    Email Subscription Status is opted in`},
		{"one group", segment.Or(a, b), []segment.Option{segment.OnNoApps()}, `Apps: no apps
Filter group 1
    Email Subscription Status is opted in
    OR Push Subscription Status is not unsubscribed`},
		{"a group and a filter", segment.Or(segment.And(a, b), a), []segment.Option{segment.OnApps("Shop", "Web")}, `Apps: specific apps "Shop", "Web"
Filter group 1
    Email Subscription Status is opted in
    AND Push Subscription Status is not unsubscribed
OR
Filter group 2
    Email Subscription Status is opted in`},
		{"one group of its own", segment.And(segment.Or(a, b)), nil, `Apps: all apps
Filter group 1
    Email Subscription Status is opted in
    OR Push Subscription Status is not unsubscribed`},
		{"exclusions", a, []segment.Option{segment.Exclude(b), segment.Exclude(segment.And(a, b))}, `Apps: all apps
Filter group 1
    Email Subscription Status is opted in
AND NOT
Exclusion group 1
    Push Subscription Status is not unsubscribed
AND NOT
Exclusion group 2
    Email Subscription Status is opted in
    AND Push Subscription Status is not unsubscribed`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, newSegment(t, tt.filter, tt.opts...).String()); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMemberships(t *testing.T) {
	t.Parallel()
	a := segment.EmailSubscription().Is(segment.OptedIn)
	s := newSegment(t, segment.Or(segment.InSegment("b"), segment.And(a, segment.NotInSegment("c"))), segment.Exclude(segment.And(segment.InSegment("a"), segment.InSegment("b"))))
	if diff := cmp.Diff([]string{"a", "b", "c"}, s.Memberships()); diff != "" {
		t.Errorf("memberships (-want +got):\n%s", diff)
	}
	if got := newSegment(t, a).Memberships(); len(got) != 0 {
		t.Errorf("memberships %q", got)
	}
}

// TestExplanationPaths has the path of every finding.
func TestExplanationPaths(t *testing.T) {
	t.Parallel()
	a, b := segment.EmailSubscription().Is(segment.OptedIn), segment.PushSubscription().Is(segment.OptedIn)
	s := newSegment(t, segment.And(a, segment.Or(a, b)), segment.OnApps("Shop"), segment.Exclude(b), segment.Exclude(segment.Or(a, b)))
	e, err := s.Explain(&segment.Profile{Email: segment.OptedIn, Apps: []string{"Shop"}}, noon())
	if err != nil {
		t.Fatal(err)
	}
	const aText, bText = "Email Subscription Status is opted in", "Push Subscription Status is opted in"
	want := segment.Explanation{Matched: false, Findings: []segment.Finding{
		{"OnApps", 0, `Apps: specific apps "Shop"`, segment.ReasonHolds},
		{"", 0, "AND", segment.ReasonHolds},
		{"AND[0]", 1, aText, segment.ReasonHolds},
		{"AND[1]", 1, "OR", segment.ReasonHolds},
		{"AND[1].OR[0]", 2, aText, segment.ReasonHolds},
		{"AND[1].OR[1]", 2, bText, segment.ReasonMissing},
		{"Exclude[0]", 0, "Exclusion group 1", segment.ReasonDiffers},
		{"Exclude[0]", 1, bText, segment.ReasonMissing},
		{"Exclude[1]", 0, "Exclusion group 2", segment.ReasonHolds},
		{"Exclude[1]", 1, "OR", segment.ReasonHolds},
		{"Exclude[1].OR[0]", 2, aText, segment.ReasonHolds},
		{"Exclude[1].OR[1]", 2, bText, segment.ReasonMissing},
	}}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("explanation (-want +got):\n%s", diff)
	}
}

func TestFunnel(t *testing.T) {
	t.Parallel()
	a, b := segment.EmailSubscription().Is(segment.OptedIn), segment.PushSubscription().Is(segment.OptedIn)
	profiles := []segment.Profile{
		{Apps: []string{"Shop"}, Email: segment.OptedIn, Push: segment.OptedIn},
		{Apps: []string{"Shop"}, Email: segment.OptedIn},
		{Apps: []string{"Shop"}, Push: segment.OptedIn},
		{Email: segment.OptedIn, Push: segment.OptedIn},
	}
	broken := errors.New("broken")
	source := func(end error) func(func(*segment.Profile, error) bool) {
		return func(yield func(*segment.Profile, error) bool) {
			for i := range profiles {
				if !yield(&profiles[i], nil) {
					return
				}
			}
			if end != nil && yield(nil, end) {
				t.Error("the source is asked for more after an error")
			}
		}
	}
	const aText, bText = "Email Subscription Status is opted in", "Push Subscription Status is opted in"
	s := newSegment(t, segment.Or(segment.And(a, b), b), segment.OnApps("Shop"), segment.Exclude(segment.And(b, a)), segment.Exclude(a))
	want := segment.Funnel{
		Profiles: 4, InApps: 3, Included: 2, Matched: 1,
		Groups: []segment.FunnelGroup{
			{Steps: []segment.FunnelStep{{Path: "OR[0].AND[0]", Filter: aText, Count: 2}, {Operator: "AND", Path: "OR[0].AND[1]", Filter: bText, Count: 1}}},
			{Operator: "OR", Steps: []segment.FunnelStep{{Path: "OR[1]", Filter: bText, Count: 2}}},
		},
		Exclusions: []segment.FunnelGroup{{Operator: "AND NOT", Steps: []segment.FunnelStep{
			{Path: "Exclude[0].AND[0]", Filter: bText, Count: 2}, {Operator: "AND", Path: "Exclude[0].AND[1]", Filter: aText, Count: 1},
		}}, {Operator: "AND NOT", Steps: []segment.FunnelStep{{Path: "Exclude[1]", Filter: aText, Count: 1}}}},
	}
	got, err := s.Funnel(source(nil), noon())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("funnel, %v (-want +got):\n%s", err, diff)
	}
	if !strings.Contains(got.String(), "3  75.0 %  in the apps") {
		t.Errorf("text %s", got)
	}
	got, err = s.Funnel(source(broken), noon())
	if diff := cmp.Diff(want, got); !errors.Is(err, broken) || !strings.Contains(err.Error(), "after 4 profiles") || diff != "" {
		t.Errorf("funnel of a broken source, %v (-want +got):\n%s", err, diff)
	}
	audience, err := newAudience(t, segment.Or(a, segment.And(b, segment.Or(a, b)))).Funnel(source(nil), noon())
	groups := []segment.FunnelGroup{
		{Steps: []segment.FunnelStep{{Path: "OR[0]", Filter: aText, Count: 3}}},
		{Operator: "OR", Steps: []segment.FunnelStep{
			{Path: "OR[1].AND[0]", Filter: bText, Count: 3}, {Operator: "AND", Path: "OR[1].AND[1]", Filter: aText + " OR " + bText, Count: 3},
		}},
	}
	if diff := cmp.Diff(segment.Funnel{Profiles: 4, InApps: 4, Included: 4, Matched: 4, Groups: groups}, audience); err != nil || diff != "" {
		t.Errorf("funnel of an audience, %v (-want +got):\n%s", err, diff)
	}
	if empty, err := s.Funnel(func(func(*segment.Profile, error) bool) {}, noon()); err != nil || !strings.HasPrefix(empty.String(), "0   0.0 %  profiles\n") {
		t.Errorf("funnel of nobody (%v): %s", err, empty)
	}
}

// TestZeroValues are invalid and say so.
func TestZeroValues(t *testing.T) {
	t.Parallel()
	var s segment.Segment
	var a segment.ConnectedAudience
	none := func(func(*segment.Profile, error) bool) {}
	for name, try := range map[string]func() error{
		"segment match":    func() error { _, err := s.Match(&segment.Profile{}, noon()); return err },
		"segment explain":  func() error { _, err := s.Explain(&segment.Profile{}, noon()); return err },
		"segment funnel":   func() error { _, err := s.Funnel(none, noon()); return err },
		"segment audience": func() error { _, err := s.ConnectedAudience(); return err },
		"audience match":   func() error { _, err := a.Match(&segment.Profile{}, noon()); return err },
		"audience explain": func() error { _, err := a.Explain(&segment.Profile{}, noon()); return err },
		"audience funnel":  func() error { _, err := a.Funnel(none, noon()); return err },
		"audience JSON":    func() error { _, err := json.Marshal(a); return err },
		"audience filter":  func() error { return a.Filter().Validate() },
		"filter JSON":      func() error { _, err := json.Marshal(segment.Filter{}); return err },
		"segment JSON":     func() error { _, err := json.Marshal(s); return err },
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), "is the zero Filter") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if got := s.String() + a.String(); !strings.Contains(got, "invalid filter") || len(s.Memberships()) != 0 {
		t.Errorf("text %q", got)
	}
}

// TestTogether matches with one audience in several goroutines, for the race detector to watch.
func TestTogether(t *testing.T) {
	t.Parallel()
	profiles, _ := ring(t)
	audience := newAudience(t, tenLeaves())
	var group sync.WaitGroup
	counts := make([]int, 4)
	for i := range counts {
		group.Go(func() {
			for j := range 512 {
				if in, _ := audience.Match(&profiles[j], noon()); in {
					counts[i]++
				}
			}
			_, _ = audience.Explain(&profiles[i], noon())
			_, _ = audience.MarshalJSON()
		})
	}
	group.Wait()
	for _, n := range counts {
		if n != counts[0] || n == 0 {
			t.Errorf("counts %v", counts)
		}
	}
}
