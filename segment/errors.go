package segment

import (
	"errors"
	"strconv"
)

// ErrCannotEvaluate is the kind of an [*EvaluationError].
var ErrCannotEvaluate = errors.New("segment: a filter cannot be evaluated")

// FilterError is a filter, or an option, that is wrong in itself.
type FilterError struct {
	// Path leads to it: "AND[1].OR[0]" is the first filter of the Or that is the second filter of the And, "Exclude[0].AND[1]" is in the first exclusion
	// group, "" is the filter itself.
	Path    string
	Filter  string // what it looks at: custom attribute "tier"
	Problem string // what is wrong with it, as the tail of a sentence
	Next    string // what to do, as a sentence without its full stop
}

// Error names the path, the filter, the problem and the next step. It does not repeat values.
func (e *FilterError) Error() string {
	return "segment: " + at(e.Path) + e.Filter + " " + e.Problem + ": " + e.Next
}

// UncarriableError is a part of a segment that a Connected Audience has no filter for.
type UncarriableError struct {
	Path   string // leads to the filter, as in [FilterError]; "OnApps" or "OnNoApps" for the choice of apps
	Filter string // what it looks at: "Tinyclues Cohorts"
	Next   string // the way that works, as a sentence without its full stop
}

// Error names the path, the filter and the way that works.
func (e *UncarriableError) Error() string {
	return "segment: " + at(e.Path) + e.Filter + " cannot be carried by a Connected Audience: " + e.Next
}

// EvaluationError is a filter that can be shown and encoded, but not matched: its regular expression is one that Go cannot run.
// It matches [ErrCannotEvaluate].
type EvaluationError struct {
	Path   string // leads to the filter, as in [FilterError]
	Filter string // what it looks at: custom attribute "postcode"
}

// Error names the path, the filter and the next step. It does not repeat the pattern.
func (e *EvaluationError) Error() string {
	return "segment: " + at(e.Path) + e.Filter + " has a regular expression that Go cannot run, though Braze may: " +
		"rewrite it without look-around, back references and possessive quantifiers, or leave the match to Braze"
}

// Is matches [ErrCannotEvaluate].
func (e *EvaluationError) Is(target error) bool { return target == ErrCannotEvaluate }

// SyntaxError is JSON that is no Connected Audience.
type SyntaxError struct {
	Path    string // leads to it: "AND[1].custom_attribute.comparison"; "" is the whole
	Problem string // what is wrong there, as the tail of a sentence
	Next    string // what to do, as a sentence without its full stop
}

// Error names the path, the problem and the next step. It does not repeat values.
func (e *SyntaxError) Error() string {
	path := e.Path
	if path == "" {
		path = "the audience"
	}
	return "segment: parse Connected Audience: " + path + " " + e.Problem + ": " + e.Next
}

// at puts a path in front of what lies there.
func at(path string) string {
	if path == "" {
		return ""
	}
	return path + ": "
}

// step returns the path from what joins filters to one of them.
func step(operator kind, child int) string {
	return operator.String() + "[" + strconv.Itoa(child) + "]"
}

func joinPath(first, rest string) string {
	if rest == "" {
		return first
	}
	if first == "" {
		return rest
	}
	return first + "." + rest
}
