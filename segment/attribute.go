package segment

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cohortkit/cohortkit/internal/text"
)

// The limits that Braze documents: of the dashboard's filters, of custom attributes and of requests.
const (
	// MaxValues is the number of values that an operator such as "is any of" takes.
	MaxValues = 256
	// MaxText is the length of an attribute's name or of a string value, in characters.
	MaxText = 255
	// MaxPattern is the length of a regular expression, in characters.
	MaxPattern = 32_764
	// MaxFilterBytes is the size of one filter of a [Segment], in bytes. How they are counted is undocumented: here they are those of the name and of
	// the values, in UTF-8.
	MaxFilterBytes = 10_000
	// MaxAudienceBytes is the size of a [ConnectedAudience] as JSON: the 4 MB that a request may have, read as the smaller of its meanings.
	MaxAudienceBytes = 4_000_000
)

// Limits of this package's own.
const (
	// MaxDays is the largest number of days from now: the ten thousand years that ISO-8601 can write.
	MaxDays = 3_652_425
	// MaxDepth is how many levels of And and Or may lie in each other, so that no input exhausts the stack. A [Segment] has two at most.
	MaxDepth = 100
	// MaxFilters is how many filters one may come to: itself, and all that And and Or join in it. One that stands in it several times counts each time,
	// and one that compares with several values once for each. As JSON so many take more than [MaxAudienceBytes].
	MaxFilters = 100_000
)

// attributeNode starts a filter on a custom attribute.
func attributeNode(k kind, op comparison, name string) *node {
	n := &node{kind: k, comparison: op, name: name}
	n.require("name", name)
	if utf8.RuneCountInString(name) > MaxText {
		n.blame("has a name of more than 255 characters", "no attribute has such a name; shorten it")
	}
	if strings.TrimSpace(name) != name {
		n.blame("has a name with spaces around it", "remove them, as the endpoint does when an attribute is written")
	}
	return n
}

// setTexts gives the node strings to compare with.
func (n *node) setTexts(values []string) {
	n.values = append([]string(nil), values...)
	switch {
	case len(values) == 0:
		n.blame("has no value", "give it at least one")
	case len(values) > MaxValues:
		n.blame(fmt.Sprintf("has %d values, more than 256", len(values)), "split them over several filters")
	}
	for _, v := range values {
		switch f := text.Check(v); {
		case f == text.Empty:
			n.blame("compares with an empty string, which counts as blank", "use Exists or DoesNotExist")
		case f != text.None:
			n.blame("has a value that "+f.String(), f.Next())
		case utf8.RuneCountInString(v) > MaxText:
			n.blame("has a value of more than 255 characters", "no attribute has such a value; shorten it")
		}
	}
}

// setTime gives the node a point in time to compare with.
func (n *node) setTime(t time.Time) {
	n.time = writable(t)
	n.instant = instantOf(n.time)
	n.literal = n.time.Format(time.RFC3339Nano)
	if n.time.IsZero() {
		n.blame("compares with the zero time, or one that ISO-8601 cannot write", "give it a time in the years 0 to 9999")
	}
}

// setDays gives the node a number of days from now.
func (n *node) setDays(days int) {
	n.literal = strconv.Itoa(days)
	switch {
	case days < 0:
		n.blame("has a negative number of days", "use the comparison for the other direction")
	case days > MaxDays:
		n.blame("reaches further than 3652425 days", "use Before or After with a time")
	default:
		n.days = days
	}
}

// AttributeFilter makes the filters that every custom attribute has, whatever its data type. It is part of the filters of each type.
type AttributeFilter struct{ name string }

// Exists matches whoever has a value for the attribute. An empty string or an empty array counts as blank, see [Semantics].
func (a AttributeFilter) Exists() Filter { return Filter{attributeNode(kindAttribute, exists, a.name)} }

// DoesNotExist matches whoever has no value for the attribute.
func (a AttributeFilter) DoesNotExist() Filter {
	return Filter{attributeNode(kindAttribute, doesNotExist, a.name)}
}

// StringFilter makes filters on a custom attribute that is a string. It comes from [StringAttribute].
type StringFilter struct{ AttributeFilter }

// StringAttribute filters by a custom attribute that is a string. Names are case-sensitive.
func StringAttribute(name string) StringFilter { return StringFilter{AttributeFilter{name}} }

// Equals matches whoever has one of the values, in case and spaces too: "is any of" in the dashboard. It takes 1 to 256 values.
func (a StringFilter) Equals(values ...string) Filter { return a.filter(equals, values) }

// DoesNotEqual matches whoever has none of the values: "is none of" in the dashboard. It takes 1 to 256 values. See [Semantics] for who has no value
// at all.
func (a StringFilter) DoesNotEqual(values ...string) Filter { return a.filter(notEqual, values) }

func (a StringFilter) filter(op comparison, values []string) Filter {
	n := attributeNode(kindString, op, a.name)
	n.setTexts(values)
	return Filter{n}
}

// MatchesRegex matches whoever has a value in which the regular expression is found, anywhere in it and whatever the case of letters.
//
// Braze's regular expressions are in the style of PCRE, which has more than Go does, such as look-ahead and back references. A pattern that Go cannot
// run is still shown and encoded, only matching it fails, with [ErrCannotEvaluate]. A few things both run and read in two ways, such as $ where a
// value ends with a line break.
func (a StringFilter) MatchesRegex(pattern string) Filter { return a.regex(matchesRegex, pattern) }

// DoesNotMatchRegex matches whoever has a value in which the regular expression is not found. Who has no value is not matched. See
// [StringFilter.MatchesRegex].
func (a StringFilter) DoesNotMatchRegex(pattern string) Filter {
	return a.regex(doesNotMatchRegex, pattern)
}

func (a StringFilter) regex(op comparison, pattern string) Filter {
	n := attributeNode(kindString, op, a.name)
	n.values = []string{pattern}
	if f := text.Check(pattern); f != text.None {
		n.blame("has a pattern that "+f.String(), f.Next())
	}
	if utf8.RuneCountInString(pattern) > MaxPattern {
		n.blame("has a pattern of more than 32,764 characters", "shorten it, or use Equals with the values")
	}
	if n.fault == (fault{}) {
		n.pattern, _ = regexp.Compile("(?i)" + pattern) // nil is what matching reports
	}
	return Filter{n}
}

// ArrayFilter makes filters on a custom attribute that is an array of strings. It comes from [ArrayAttribute].
type ArrayFilter struct{ AttributeFilter }

// ArrayAttribute filters by a custom attribute that is an array of strings.
func ArrayAttribute(name string) ArrayFilter { return ArrayFilter{AttributeFilter{name}} }

// Includes matches whoever has one of the values among the elements: "includes any of" in the dashboard. It takes 1 to 256 values.
func (a ArrayFilter) Includes(values ...string) Filter { return a.filter(includes, values) }

// DoesNotInclude matches whoever has none of the values among the elements: "includes none of" in the dashboard. It takes 1 to 256 values. See
// [Semantics] for who has no array at all.
func (a ArrayFilter) DoesNotInclude(values ...string) Filter { return a.filter(doesNotInclude, values) }

func (a ArrayFilter) filter(op comparison, values []string) Filter {
	n := attributeNode(kindArray, op, a.name)
	n.setTexts(values)
	return Filter{n}
}

// NumberFilter makes filters on a custom attribute that is a number. It comes from [NumberAttribute].
type NumberFilter struct{ AttributeFilter }

// NumberAttribute filters by a custom attribute that is a number. See [Semantics] for who has no value.
func NumberAttribute(name string) NumberFilter { return NumberFilter{AttributeFilter{name}} }

// Equals matches whoever has this number: "exactly" in the dashboard.
func (a NumberFilter) Equals(x float64) Filter { return a.filter(equals, x) }

// DoesNotEqual matches whoever has another number.
func (a NumberFilter) DoesNotEqual(x float64) Filter { return a.filter(notEqual, x) }

// GreaterThan matches whoever has a larger number.
func (a NumberFilter) GreaterThan(x float64) Filter { return a.filter(greaterThan, x) }

// GreaterThanOrEqualTo matches whoever has this number or a larger one.
func (a NumberFilter) GreaterThanOrEqualTo(x float64) Filter {
	return a.filter(greaterThanOrEqualTo, x)
}

// LessThan matches whoever has a smaller number.
func (a NumberFilter) LessThan(x float64) Filter { return a.filter(lessThan, x) }

// LessThanOrEqualTo matches whoever has this number or a smaller one.
func (a NumberFilter) LessThanOrEqualTo(x float64) Filter { return a.filter(lessThanOrEqualTo, x) }

func (a NumberFilter) filter(op comparison, x float64) Filter {
	n := attributeNode(kindNumber, op, a.name)
	n.number = x + 0 // which makes 0 of -0
	n.literal = formatNumber(n.number)
	if math.IsNaN(x) || math.IsInf(x, 0) {
		n.blame("compares with what is not a finite number", "give it a number that JSON can carry")
	}
	return Filter{n}
}

// BooleanFilter makes filters on a custom attribute that is true or false. It comes from [BooleanAttribute].
type BooleanFilter struct{ AttributeFilter }

// BooleanAttribute filters by a custom attribute that is true or false.
func BooleanAttribute(name string) BooleanFilter { return BooleanFilter{AttributeFilter{name}} }

// Is matches whoever has this value.
func (a BooleanFilter) Is(b bool) Filter { return a.filter(equals, b) }

// IsNot matches whoever has the other value. See [Semantics] for who has none.
func (a BooleanFilter) IsNot(b bool) Filter { return a.filter(notEqual, b) }

func (a BooleanFilter) filter(op comparison, b bool) Filter {
	n := attributeNode(kindBoolean, op, a.name)
	n.truth = b
	return Filter{n}
}

// TimeFilter makes filters on a custom attribute that is a time. It comes from [TimeAttribute]. Who has no value is never matched, but by
// DoesNotExist.
//
// Days are units of 24 hours, counted from the moment of the match and not from midnight.
type TimeFilter struct{ AttributeFilter }

// TimeAttribute filters by a custom attribute that is a time.
func TimeAttribute(name string) TimeFilter { return TimeFilter{AttributeFilter{name}} }

// Before matches whoever has an earlier time.
func (a TimeFilter) Before(t time.Time) Filter { return a.filter(before, t) }

// After matches whoever has a later time.
func (a TimeFilter) After(t time.Time) Filter { return a.filter(after, t) }

// LessThanDaysAgo matches a time from that many days ago, inclusive, up to now. It takes 0 to 3,652,425 days.
func (a TimeFilter) LessThanDaysAgo(days int) Filter { return a.relative(lessThanDaysAgo, days) }

// GreaterThanDaysAgo matches a time that lies further back than that many days. It takes 0 to 3,652,425 days.
func (a TimeFilter) GreaterThanDaysAgo(days int) Filter { return a.relative(greaterThanDaysAgo, days) }

// LessThanDaysAhead matches a time from now until that many days ahead, inclusive. It takes 0 to 3,652,425 days.
func (a TimeFilter) LessThanDaysAhead(days int) Filter { return a.relative(lessThanDaysAhead, days) }

// GreaterThanDaysAhead matches a time that lies further ahead than that many days. It takes 0 to 3,652,425 days.
func (a TimeFilter) GreaterThanDaysAhead(days int) Filter {
	return a.relative(greaterThanDaysAhead, days)
}

func (a TimeFilter) filter(op comparison, t time.Time) Filter {
	n := attributeNode(kindTime, op, a.name)
	n.setTime(t)
	return Filter{n}
}

func (a TimeFilter) relative(op comparison, days int) Filter {
	n := attributeNode(kindTime, op, a.name)
	n.setDays(days)
	return Filter{n}
}
