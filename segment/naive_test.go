package segment_test

import (
	"regexp"
	"strings"
	"time"

	"github.com/cohortkit/cohortkit/segment"
)

// object is a filter as decoded JSON: a Connected Audience, with some more filters that it cannot carry, and lists of values.
type object = map[string]any

// user is a profile as one would write it down without this package.
type user struct {
	attributes object // as decoded JSON; a time is a string
	cohorts    map[string]bool
	segments   map[string]bool
	push       string // the word of the REST API, or ""
	email      string
	apps       map[string]bool
	lastUsed   string // a time, or ""
}

// rulebook evaluates decoded JSON in the plainest way, rule by rule as the documentation has them. It shares nothing with the package but the names
// of the choices. Tests compare with it, and the benchmark takes it for the usual way.
type rulebook struct {
	now       time.Time
	semantics segment.Semantics
	patterns  map[string]*regexp.Regexp
}

func newRulebook(now time.Time, s segment.Semantics) *rulebook {
	return &rulebook{now: now, semantics: s, patterns: map[string]*regexp.Regexp{}}
}

// member says whether the user is in a segment of apps AND filter AND NOT (any exclusion).
func (r *rulebook) member(filter object, exclusions []object, apps any, u user) bool {
	switch apps := apps.(type) {
	case string: // "no apps"
		if len(u.apps) != 0 {
			return false
		}
	case []string:
		some := false
		for _, app := range apps {
			some = some || u.apps[app]
		}
		if !some {
			return false
		}
	}
	in := r.holds(filter, u)
	for _, exclusion := range exclusions {
		in = in && !r.holds(exclusion, u)
	}
	return in
}

func (r *rulebook) holds(filter object, u user) bool {
	if list, ok := filter["AND"].([]any); ok {
		all := true
		for _, f := range list {
			all = r.holds(as[object](f), u) && all
		}
		return all
	}
	if list, ok := filter["OR"].([]any); ok {
		some := false
		for _, f := range list {
			some = r.holds(as[object](f), u) || some
		}
		return some
	}
	if f, ok := filter["cohort"].(object); ok {
		return u.cohorts[strings.ToLower(as[string](f["partner"]))+"/"+as[string](f["value"])] == (f["comparison"] == "includes")
	}
	if f, ok := filter["segment"].(object); ok {
		return u.segments[as[string](f["value"])] == (f["comparison"] == "includes")
	}
	if f, ok := filter["push_subscription_status"].(object); ok {
		return r.subscription(f, u.push)
	}
	if f, ok := filter["email_subscription_status"].(object); ok {
		return r.subscription(f, u.email)
	}
	if f, ok := filter["last_used_app"].(object); ok {
		if u.lastUsed == "" {
			return f["comparison"] == "before" && r.semantics.NeverUsed == segment.NeverUsedIsBefore
		}
		return r.compareTime(as[string](f["comparison"]), isoTime(u.lastUsed), f["value"])
	}
	f := as[object](filter["custom_attribute"])
	return r.attribute(as[string](f["comparison"]), f["value"], u.attributes[as[string](f["custom_attribute_name"])])
}

func (r *rulebook) subscription(f object, state string) bool {
	wanted := map[string]bool{as[string](f["value"]): true}
	if wanted["subscribed"] && r.semantics.Subscribed == segment.SubscribedIncludesOptedIn {
		wanted["opted_in"] = true
	}
	switch {
	case f["comparison"] == "is":
		return wanted[state]
	case state == "":
		return r.semantics.UnknownSubscription == segment.UnknownSubscriptionMatches
	default:
		return !wanted[state]
	}
}

// attribute compares what the profile has, nil for nothing, by the rules for the comparison.
func (r *rulebook) attribute(comparison string, value, has any) bool {
	if r.semantics.Empty == segment.EmptyIsBlank {
		if list, ok := has.([]any); has == "" || ok && len(list) == 0 {
			has = nil
		}
	}
	switch comparison {
	case "exists":
		return has != nil
	case "does_not_exist":
		return has == nil
	}
	if has == nil {
		return r.missing(comparison, value)
	}
	// A negative comparison is the opposite of its positive twin, among those who have a value of the right type.
	twin, negative := map[string]string{
		"not_equal": "equals", "does_not_equal": "equals", "does_not_match_regex": "matches_regex", "does_not_include_value": "includes_value",
	}[comparison]
	if negative {
		comparison = twin
	}
	holds, rightType := r.positive(comparison, value, has)
	return rightType && holds != negative
}

// missing is about those who do not have the attribute.
func (r *rulebook) missing(comparison string, value any) bool {
	x, number := firstOf(value).(float64)
	numeric := number && !strings.Contains(comparison, "_days_")
	if numeric {
		switch r.semantics.MissingNumber {
		case segment.MissingNumberIsZero:
			return r.attribute(comparison, x, 0.0)
		case segment.MissingNumberIsLow:
			if comparison == "less_than" || comparison == "equals" && x == 0 {
				return true
			}
			if x == 0 {
				return false
			}
		}
	}
	switch comparison {
	case "not_equal", "does_not_equal", "does_not_include_value":
		return r.semantics.Missing == segment.MissingMatches
	}
	return false
}

func (r *rulebook) positive(comparison string, value, has any) (holds, rightType bool) {
	list, several := value.([]any)
	if !several {
		list = []any{value}
	}
	text, isText := has.(string)
	moment := time.Time{}
	if isText {
		moment = isoTime(text)
	}
	switch comparison {
	case "equals":
		for _, v := range list {
			switch v.(type) {
			case string:
				rightType = isText && moment.IsZero()
			case float64:
				_, rightType = has.(float64)
			case bool:
				_, rightType = has.(bool)
			}
			if rightType && has == v {
				holds = true
			}
		}
		return holds, rightType
	case "matches_regex":
		if !isText || !moment.IsZero() {
			return false, false
		}
		return r.pattern(as[string](value)).MatchString(text), true
	case "includes_value":
		elements, ok := has.([]any)
		for _, e := range elements {
			for _, v := range list {
				holds = holds || e == v
			}
		}
		return holds, ok
	case "greater_than", "greater_than_or_equal_to", "less_than", "less_than_or_equal_to":
		x, ok := has.(float64)
		y := as[float64](value)
		return map[string]bool{
			"greater_than": x > y, "greater_than_or_equal_to": x >= y, "less_than": x < y, "less_than_or_equal_to": x <= y,
		}[comparison], ok
	}
	return !moment.IsZero() && r.compareTime(comparison, moment, value), !moment.IsZero()
}

func (r *rulebook) compareTime(comparison string, t time.Time, value any) bool {
	if bound, ok := value.(string); ok {
		return comparison == "before" && t.Sub(isoTime(bound)) < 0 || comparison == "after" && t.Sub(isoTime(bound)) > 0
	}
	ago := r.now.Sub(t).Hours() / 24
	x := as[float64](value)
	return map[string]bool{
		"less_than_x_days_ago":              0 <= ago && ago <= x,
		"greater_than_x_days_ago":           ago > x,
		"less_than_x_days_in_the_future":    0 <= -ago && -ago <= x,
		"greater_than_x_days_in_the_future": -ago > x,
	}[comparison]
}

func (r *rulebook) pattern(s string) *regexp.Regexp {
	if r.patterns[s] == nil {
		r.patterns[s] = regexp.MustCompile("(?i:" + s + ")")
	}
	return r.patterns[s]
}

// as is the value as what it has to be; the tests write nothing else.
func as[T any](v any) T {
	t, _ := v.(T)
	return t
}

func firstOf(v any) any {
	if list, ok := v.([]any); ok {
		return list[0]
	}
	return v
}

// isoTime reads a time as the tests write it; it is zero for what is none.
func isoTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t, _ = time.Parse("2006-01-02T15:04:05-0700", s)
	}
	return t
}
