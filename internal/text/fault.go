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

// Eight bytes at a time: every byte of ones is 1, every byte of tops is 0x80.
const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// Check returns the first fault of s.
//
// It runs once for every row of an import, so the usual case, printable ASCII, is decided eight bytes at a time.
func Check(s string) Fault {
	if len(s) < 8 {
		for i := range len(s) {
			if c := s[i]; c < ' ' || c >= 0x7f {
				return check(s)
			}
		}
		if s == "" {
			return Empty
		}
		return None
	}
	var odd uint64
	for tail := s; len(tail) >= 8; tail = tail[8:] {
		odd |= unusual(load(tail))
	}
	odd |= unusual(load(s[len(s)-8:])) // the rest, together with some bytes seen already
	if odd == 0 {
		return None
	}
	return check(s)
}

// load returns the first eight bytes of s. The compiler makes one load of it.
func load(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// unusual is not 0 if any byte of w is below a space or above a tilde. The subtraction borrows into the top bit of a byte that is
// too small, the addition carries into that of a delete, and other bytes that are too large have it already. A borrow may mark a byte too many,
// but only beside one that is unusual.
func unusual(w uint64) uint64 { return ((w - ' '*ones) | w | (w&^tops + ones)) & tops }

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
