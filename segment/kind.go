package segment

// kind is what a node looks at, or how it joins others.
type kind uint8

const (
	kindNone kind = iota
	kindAnd
	kindOr
	kindCohort
	kindMembership
	kindAttribute // whether there is a value of whatever type
	kindString
	kindArray
	kindNumber
	kindBoolean
	kindTime
	kindPush
	kindEmail
	kindLastUsed
)

// String returns the operator as both the dashboard and the wire have it; only And and Or have one.
func (k kind) String() string {
	if k == kindOr {
		return "OR"
	}
	return "AND"
}

// comparison is the operator of a filter.
type comparison uint8

const (
	equals comparison = iota
	notEqual
	matchesRegex
	doesNotMatchRegex
	exists
	doesNotExist
	includes
	doesNotInclude
	greaterThan
	greaterThanOrEqualTo
	lessThan
	lessThanOrEqualTo
	lessThanDaysAgo
	greaterThanDaysAgo
	lessThanDaysAhead
	greaterThanDaysAhead
	after
	before
	is
	isNot
	comparisons
)

// wireNames are the comparisons as a Connected Audience has them.
var wireNames = [comparisons]string{
	equals:               "equals",
	notEqual:             "not_equal",
	matchesRegex:         "matches_regex",
	doesNotMatchRegex:    "does_not_match_regex",
	exists:               "exists",
	doesNotExist:         "does_not_exist",
	includes:             "includes_value",
	doesNotInclude:       "does_not_include_value",
	greaterThan:          "greater_than",
	greaterThanOrEqualTo: "greater_than_or_equal_to",
	lessThan:             "less_than",
	lessThanOrEqualTo:    "less_than_or_equal_to",
	lessThanDaysAgo:      "less_than_x_days_ago",
	greaterThanDaysAgo:   "greater_than_x_days_ago",
	lessThanDaysAhead:    "less_than_x_days_in_the_future",
	greaterThanDaysAhead: "greater_than_x_days_in_the_future",
	after:                "after",
	before:               "before",
	is:                   "is",
	isNot:                "is_not",
}

// olderNotEqual is how older texts spell the inequality of booleans, and of nothing else.
const olderNotEqual = "does_not_equal"
