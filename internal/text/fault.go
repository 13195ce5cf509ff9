package text

import (
	"unicode"
	"unicode/utf8"
)

// Fault is what is wrong with a text. The zero value is [None].
type Fault uint8

// The faults, in the order in which [Check] looks for them.
const (
	None        Fault = iota
	Empty             // no bytes at all
	InvalidUTF8       // not UTF-8, the encoding of every Braze identifier
	Control           // a control character (Unicode category Cc)
)

// String describes the fault as the tail of a sentence: "must not be empty".
func (f Fault) String() string {
	switch f {
	case None:
		return "is fine"
	case Empty:
		return "must not be empty"
	case InvalidUTF8:
		return "is not valid UTF-8"
	case Control:
		return "holds a control character"
	default:
		return "has an unknown fault"
	}
}

// Next says what to do about the fault, as a sentence without its full stop.
func (f Fault) Next() string {
	switch f {
	case Empty:
		return "give it a value"
	case InvalidUTF8:
		return "convert it to UTF-8 before handing it over"
	case Control:
		return "strip line breaks and other control characters where the value is read"
	default:
		return ""
	}
}

// Check returns the first fault of s.
//
// It runs once for every row of an import, so the usual case, printable ASCII, is decided in one pass over the bytes.
func Check(s string) Fault {
	if s == "" {
		return Empty
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f {
			return check(s[i:])
		}
	}
	return None
}

func check(s string) Fault {
	if !utf8.ValidString(s) {
		return InvalidUTF8
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return Control
		}
	}
	return None
}
