package segment

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"time"
)

// A Value is the value of one custom attribute. The zero value is null. It does not show what it holds when it is printed or logged;
// encoding it as JSON does.
type Value struct {
	kind   valueKind
	text   string
	number float64
	truth  bool
	time   time.Time
	array  []string
}

// valueKind is the data type of a Value.
type valueKind uint8

const (
	null valueKind = iota
	stringKind
	numberKind
	booleanKind
	timeKind
	arrayKind
)

// StringValue is a string. It stays one even if it reads like a time: only JSON makes times of strings.
func StringValue(s string) Value { return Value{kind: stringKind, text: s} }

// NumberValue is a number. What is no finite number is null, since nothing could carry it.
func NumberValue(x float64) Value {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return Value{}
	}
	return Value{kind: numberKind, number: x}
}

// BooleanValue is true or false.
func BooleanValue(b bool) Value { return Value{kind: booleanKind, truth: b} }

// TimeValue is a point in time.
func TimeValue(t time.Time) Value { return Value{kind: timeKind, time: t.Round(0)} }

// ArrayValue is an array of strings, of which it keeps a copy.
func ArrayValue(elements ...string) Value {
	return Value{kind: arrayKind, array: slices.Clone(elements)}
}

// String returns the data type of the value, and nothing of the value.
func (v Value) String() string {
	switch v.kind {
	case stringKind:
		return "string(redacted)"
	case numberKind:
		return "number(redacted)"
	case booleanKind:
		return "boolean(redacted)"
	case timeKind:
		return "time(redacted)"
	case arrayKind:
		return "array(redacted)"
	default:
		return "null"
	}
}

// GoString returns the text of String.
func (v Value) GoString() string { return v.String() }

// Format prints the text of String, whatever the verb.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, v.String()) }

// LogValue returns the text of String.
func (v Value) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalJSON returns the value as JSON has it: a string, a number, true or false, an array of strings, or null. A time is a string in ISO-8601.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.kind {
	case stringKind:
		return json.Marshal(v.text)
	case numberKind:
		return []byte(formatNumber(v.number)), nil
	case booleanKind:
		return strconv.AppendBool(nil, v.truth), nil
	case timeKind:
		return json.Marshal(v.time)
	case arrayKind:
		if v.array == nil {
			return []byte("[]"), nil
		}
		return json.Marshal(v.array)
	default:
		return []byte("null"), nil
	}
}

// UnmarshalJSON reads what MarshalJSON writes. A string that is a date and a time in ISO-8601, with its offset, becomes a time, as Braze detects data types.
// An object, or an array of anything but strings, is an error: no filter looks into it.
func (v *Value) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return errors.New("segment: parse attribute: it is empty: give it a JSON value")
	}
	var err error
	got := Value{}
	switch data[0] {
	case 'n':
		var none *struct{}
		err = json.Unmarshal(data, &none)
	case 't', 'f':
		got.kind = booleanKind
		err = json.Unmarshal(data, &got.truth)
	case '"':
		got.kind = stringKind
		err = json.Unmarshal(data, &got.text)
		if t, ok := parseTime(got.text); ok {
			got = TimeValue(t)
		}
	case '[':
		got.kind = arrayKind
		var elements []*string // null is no string
		if err = json.Unmarshal(data, &elements); err == nil {
			for _, e := range elements {
				if e == nil {
					return errors.New("segment: parse attribute: an array holds null: give it strings alone")
				}
				got.array = append(got.array, *e)
			}
		}
	case '{':
		return errors.New("segment: parse attribute: it is an object, and no filter looks into nested attributes: leave it out")
	default:
		got.kind = numberKind
		err = json.Unmarshal(data, &got.number)
	}
	if err != nil { // the cause would repeat a value
		return errors.New("segment: parse attribute: it is no string, number, boolean or array of strings: give it one of these")
	}
	*v = got
	return nil
}

// blank reports whether there is nothing to compare with.
func (v *Value) blank(s Semantics) bool {
	switch v.kind {
	case null:
		return true
	case stringKind:
		return v.text == "" && s.Empty == EmptyIsBlank
	case arrayKind:
		return len(v.array) == 0 && s.Empty == EmptyIsBlank
	default:
		return false
	}
}

// formatNumber writes a number as encoding/json does.
func formatNumber(x float64) string {
	b, err := json.Marshal(x)
	if err != nil {
		return "NaN"
	}
	return string(b)
}
