package segment

import (
	"strconv"
	"strings"
	"time"
)

// The labels of the dashboard's negative operators for cohorts and segments. Braze's pages promise that users can be excluded by cohort, and show
// only the label "includes"; the negative one is by analogy.
const (
	wordsInclude    = "includes"
	wordsNotInclude = "does not include"
)

// words returns a filter that joins no others as the dashboard shows it: what to pick, the operator, the value.
func (n *node) words() string {
	switch n.kind {
	case kindCohort:
		return dashboardName(n.name) + " " + includeWords(n.comparison) + " " + quoteList(n.values)
	case kindMembership:
		return "Segment Membership " + includeWords(n.comparison) + " " + strconv.Quote(n.name)
	case kindPush:
		return "Push Subscription Status " + n.stateWords()
	case kindEmail:
		return "Email Subscription Status " + n.stateWords()
	case kindLastUsed:
		return "Last Used App " + wireNames[n.comparison] + " " + n.time.Format(time.RFC3339Nano)
	case kindNone:
		return "invalid filter"
	default:
		return "Custom Attributes: " + strconv.Quote(n.name) + " " + n.attributeWords()
	}
}

func includeWords(c comparison) string {
	if c == doesNotInclude {
		return wordsNotInclude
	}
	return wordsInclude
}

func (n *node) stateWords() string {
	if n.comparison == isNot {
		return "is not " + n.state.String()
	}
	return "is " + n.state.String()
}

// attributeWords returns the operator and the value of a filter on a custom attribute. The dashboard has names of its own for the REST API's equals,
// not equal, includes and does not include; "exactly" and "less than" are shown too. Where no label is shown, the words are those of the REST API.
func (n *node) attributeWords() string {
	switch n.comparison {
	case exists:
		return "is not blank"
	case doesNotExist:
		return "is blank"
	case matchesRegex, doesNotMatchRegex:
		return spaced(wireNames[n.comparison]) + " " + quoteList(n.values)
	case includes:
		return "includes any of " + quoteList(n.values)
	case doesNotInclude:
		return "includes none of " + quoteList(n.values)
	case lessThanDaysAgo, greaterThanDaysAgo, lessThanDaysAhead, greaterThanDaysAhead:
		days := plural(n.days, "day")
		return strings.Replace(spaced(wireNames[n.comparison]), "x days", days, 1)
	case before, after:
		return wireNames[n.comparison] + " " + n.time.Format(time.RFC3339Nano)
	}
	switch {
	case n.kind == kindString && n.comparison == equals:
		return "is any of " + quoteList(n.values)
	case n.kind == kindString:
		return "is none of " + quoteList(n.values)
	case n.kind == kindBoolean && n.comparison == equals:
		return "is " + strconv.FormatBool(n.truth)
	case n.kind == kindBoolean:
		return "is not " + strconv.FormatBool(n.truth)
	case n.comparison == equals:
		return "exactly " + n.literal
	case n.comparison == notEqual:
		return "does not equal " + n.literal
	default:
		return spaced(wireNames[n.comparison]) + " " + n.literal
	}
}

// label names a filter in an error: what it looks at, without the values it compares with.
func (n *node) label() string {
	switch n.kind {
	case kindAnd, kindOr:
		return n.kind.String()
	case kindCohort:
		return strconv.Quote(clip(dashboardName(n.name)))
	case kindMembership:
		return "segment membership " + strconv.Quote(clip(n.name))
	case kindPush:
		return "push subscription"
	case kindEmail:
		return "email subscription"
	case kindLastUsed:
		return "last used app"
	case kindNone:
		return "filter"
	default:
		return "custom attribute " + strconv.Quote(clip(n.name))
	}
}

// clip shortens a name for an error.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// quoteList returns the strings in quotation marks, with commas between them.
func quoteList(list []string) string {
	var b []byte
	for i, s := range list {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = strconv.AppendQuote(b, s)
	}
	return string(b)
}

func spaced(s string) string { return strings.ReplaceAll(s, "_", " ") }

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
