package segment

import (
	"bytes"
	"encoding/binary"
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

// A Value is the value of one custom attribute: a small struct that holds no pointer but that of a string, since a profile has many and each match
// looks at several. The zero value is null. It does not show what it holds when it is printed or logged; encoding it as JSON does.
type Value struct {
	kind  valueKind
	nanos int32  // of a time
	bits  uint64 // of a number as the IEEE has them, 1 for true, the seconds of a time
	text  string // a string, a time as it is written, the elements of an array, each after its length: see next, or JSON that is none of them
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
	otherKind // no filter looks into it
)

// StringValue is a string. It stays one even if it reads like a time: only JSON makes times of strings.
func StringValue(s string) Value { return Value{kind: stringKind, text: s} }

// NumberValue is a number. What is no finite number is null, since nothing could carry it.
func NumberValue(x float64) Value {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return Value{}
	}
	return Value{kind: numberKind, bits: math.Float64bits(x + 0)} // which makes 0 of -0
}

// BooleanValue is true or false.
func BooleanValue(b bool) Value { //nolint:revive // flag-parameter: the flag is the value
	v := Value{kind: booleanKind}
	if b {
		v.bits = 1
	}
	return v
}

// TimeValue is a point in time. The zero time, and one that ISO-8601 cannot write, is null.
func TimeValue(t time.Time) Value {
	t = writable(t)
	if t.IsZero() {
		return Value{}
	}
	return timeValue(t, t.Format(time.RFC3339Nano))
}

func timeValue(t time.Time, text string) Value {
	i := instantOf(t)
	return Value{kind: timeKind, nanos: i.nanos, bits: uint64(i.seconds), text: text}
}

// ArrayValue is an array of strings.
func ArrayValue(elements ...string) Value {
	var b []byte
	for _, e := range elements {
		b = binary.AppendUvarint(b, uint64(len(e)))
		b = append(b, e...)
	}
	return Value{kind: arrayKind, text: string(b)}
}

func (v *Value) number() float64  { return math.Float64frombits(v.bits) }
func (v *Value) truth() bool      { return v.bits == 1 }
func (v *Value) instant() instant { return instant{int64(v.bits), v.nanos} }

// next cuts the first element off the text of an array that is not empty.
func next(array string) (element, rest string) {
	length, shift := 0, 0
	for i := 0; ; i++ {
		length |= int(array[i]&0x7f) << shift
		if array[i] < 0x80 {
			array = array[i+1:]
			return array[:length], array[length:]
		}
		shift += 7
	}
}

// Equal reports whether both are of the same data type and say the same. Two times are equal that are the same instant, however they are written.
// Tests that compare with go-cmp need it.
func (v Value) Equal(w Value) bool {
	if v.kind == timeKind {
		v.text, w.text = "", ""
	}
	return v == w
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
	case otherKind:
		return "other(redacted)"
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

// MarshalJSON returns the value as JSON has it: a string, a number, true or false, an array of strings, or null. A time is a string in ISO-8601,
// written as it was read, and so is what no filter looks into.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.kind {
	case stringKind, timeKind:
		return json.Marshal(v.text)
	case numberKind:
		return []byte(formatNumber(v.number())), nil
	case booleanKind:
		return strconv.AppendBool(nil, v.truth()), nil
	case arrayKind:
		elements := []string{}
		for rest := v.text; rest != ""; {
			var e string
			e, rest = next(rest)
			elements = append(elements, e)
		}
		return json.Marshal(elements)
	case otherKind:
		return []byte(v.text), nil
	default:
		return []byte("null"), nil
	}
}

// UnmarshalJSON reads what MarshalJSON writes. A string that is a date and a time in ISO-8601, with its offset, becomes a time.
// An object, or an array of anything but strings, is kept as it is: there is a value then, but no filter looks into it.
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
		var b bool
		err = json.Unmarshal(data, &b)
		got = BooleanValue(b)
	case '"':
		var text string
		err = json.Unmarshal(data, &text)
		got = StringValue(text)
		if t, ok := parseTime(text); ok {
			got = timeValue(t, text)
		}
	case '[':
		var elements []*string // null is no string
		if json.Unmarshal(data, &elements) != nil || slices.Contains(elements, nil) {
			got, err = otherValue(data)
			break
		}
		list := make([]string, len(elements))
		for i, e := range elements {
			list[i] = *e
		}
		got = ArrayValue(list...)
	case '{':
		got, err = otherValue(data)
	default:
		var x float64
		err = json.Unmarshal(data, &x)
		got = NumberValue(x)
	}
	if err != nil { // the cause would repeat a value
		return errors.New("segment: parse attribute: it is no JSON value, or a number out of range: give it what MarshalJSON writes")
	}
	*v = got
	return nil
}

// otherValue keeps JSON that no filter looks into.
func otherValue(data []byte) (Value, error) {
	var b bytes.Buffer
	err := json.Compact(&b, data)
	return Value{kind: otherKind, text: b.String()}, err
}

// blank reports whether there is nothing to compare with.
func (v *Value) blank(s Semantics) bool {
	switch v.kind {
	case null:
		return true
	case stringKind, arrayKind:
		return v.text == "" && s.Empty == EmptyIsBlank
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
