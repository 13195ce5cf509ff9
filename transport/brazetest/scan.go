package brazetest

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// The fast way through a users request: one pass over its bytes, no allocation for a text without escapes. It knows
// exactly the documented shape and gives up at anything else, be it wrong, unusual or merely unknown; body.decodeAny
// then has the last word. What it does accept means the same to encoding/json, which a fuzz test holds it to.

type scanner struct {
	data []byte
	pos  int
	body *body
}

// seen remembers the fields of an object, since of a repeated field only the last one counts.
type seen uint8

func (s *seen) again(bit uint8) bool {
	was := *s&(1<<bit) != 0
	*s |= 1 << bit
	return was
}

// scan reports whether the whole body was understood.
func (b *body) scan(cfg *config) bool {
	s := scanner{data: b.raw.Bytes(), body: b}
	var fields seen
	ok := s.object(func(name []byte) bool {
		switch string(name) {
		case "partner_api_key":
			return !fields.again(0) && s.text(&b.fields.partnerKey)
		case "client_secret":
			return !fields.again(1) && s.text(&b.fields.secret)
		case "cohort_id":
			return !fields.again(2) && s.text(&b.fields.cohortID)
		case "cohort_changes":
			return !fields.again(3) && s.array(func() bool { return s.change(cfg) })
		default:
			return false
		}
	})
	s.space()
	if !ok || s.pos != len(s.data) || b.fields.cohortID == "" || !fields.again(3) {
		return false
	}
	return len(b.changes) > 0 || !cfg.refuseEmptyChanges
}

func (s *scanner) change(cfg *config) bool {
	b := s.body
	c := change{start: len(b.entries)}
	var fields seen
	lists, sorted := 0, true
	list := func(kind Kind) bool {
		lists++
		before := len(b.entries)
		sorted = sorted && (before == c.start || b.entries[before-1].kind <= kind)
		return s.array(func() bool { return s.entry(kind) }) && (len(b.entries) > before || !cfg.refuseEmptyLists)
	}
	ok := s.object(func(name []byte) bool {
		switch string(name) {
		case "user_ids":
			return !fields.again(0) && list(ExternalIDKind)
		case "device_ids":
			return !fields.again(1) && list(DeviceIDKind)
		case "aliases":
			return !fields.again(2) && list(AliasKind)
		case "should_remove":
			return !fields.again(3) && s.bool(&c.remove)
		default:
			return false
		}
	})
	if !ok || lists == 0 {
		return false
	}
	c.end = len(b.entries)
	if !sorted { // a decoded object has no order of fields
		slices.SortStableFunc(b.entries[c.start:], func(x, y entry) int { return int(x.kind) - int(y.kind) })
	}
	b.changes = append(b.changes, c)
	return true
}

func (s *scanner) entry(kind Kind) bool {
	e := entry{kind: kind}
	if kind != AliasKind {
		var ok bool
		if e.value, ok = s.string(); !ok {
			return false
		}
		s.body.entries = append(s.body.entries, e)
		return true
	}
	var fields seen
	ok := s.object(func(name []byte) (ok bool) {
		switch string(name) {
		case "alias_name":
			e.value, ok = s.string()
			return ok && !fields.again(0)
		case "alias_label":
			e.label, ok = s.string()
			return ok && !fields.again(1)
		default:
			return false
		}
	})
	if !ok || len(e.value) == 0 || len(e.label) == 0 {
		return false
	}
	s.body.entries = append(s.body.entries, e)
	return true
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// next takes the byte c after any white space.
func (s *scanner) next(c byte) bool {
	s.space()
	if s.pos < len(s.data) && s.data[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

// object calls member at the value of each field.
func (s *scanner) object(member func(name []byte) bool) bool {
	if !s.next('{') {
		return false
	}
	if s.next('}') {
		return true
	}
	for {
		name, ok := s.string()
		if !ok || !s.next(':') || !member(name) {
			return false
		}
		if s.next('}') {
			return true
		}
		if !s.next(',') {
			return false
		}
	}
}

func (s *scanner) array(item func() bool) bool {
	if !s.next('[') {
		return false
	}
	if s.next(']') {
		return true
	}
	for {
		if !item() {
			return false
		}
		if s.next(']') {
			return true
		}
		if !s.next(',') {
			return false
		}
	}
}

func (s *scanner) bool(to *bool) bool {
	s.space()
	for _, word := range [...]string{"true", "false"} {
		if rest := s.data[s.pos:]; len(rest) >= len(word) && string(rest[:len(word)]) == word {
			*to = word == "true"
			s.pos += len(word)
			return true
		}
	}
	return false
}

func (s *scanner) text(to *string) bool {
	b, ok := s.string()
	*to = string(b)
	return ok
}

const (
	everyByte = 0x0101010101010101
	highBits  = 0x8080808080808080
)

// special marks the bytes of a word at which a run of plain text ends: quotes, backslashes, control characters and all
// that is not ASCII. The lowest mark is right; above it a borrow may have set others.
func special(word uint64) uint64 {
	quote := word ^ everyByte*'"'
	backslash := word ^ everyByte*'\\'
	return ((quote-everyByte)&^quote | (backslash-everyByte)&^backslash | (word-everyByte*' ')&^word | word) & highBits
}

// string takes a string after any white space. The result is a part of the data, or of the arena when the string has escapes.
func (s *scanner) string() ([]byte, bool) {
	if !s.next('"') {
		return nil, false
	}
	start, ascii := s.pos, true
	for i := start; i < len(s.data); {
		if i+8 <= len(s.data) {
			marks := special(binary.LittleEndian.Uint64(s.data[i:]))
			if marks == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(marks) / 8
		}
		switch c := s.data[i]; {
		case c == '"':
			s.pos = i + 1
			text := s.data[start:i]
			return text, ascii || utf8.Valid(text)
		case c == '\\':
			return s.escaped(start, i)
		case c < ' ':
			return nil, false
		case c >= utf8.RuneSelf:
			ascii = false
		}
		i++
	}
	return nil, false
}

// escaped goes on with a string whose first backslash is at i. When the arena grows, earlier strings keep the old memory.
func (s *scanner) escaped(start, i int) ([]byte, bool) {
	arena := s.body.arena
	from := len(arena)
	arena = append(arena, s.data[start:i]...)
	for i < len(s.data) {
		c := s.data[i]
		i++
		switch {
		case c == '"':
			s.pos = i
			s.body.arena = arena
			text := arena[from:len(arena):len(arena)]
			return text, utf8.Valid(text)
		case c < ' ':
			return nil, false
		case c != '\\':
			arena = append(arena, c)
			continue
		}
		if i == len(s.data) {
			return nil, false
		}
		c = s.data[i]
		i++
		switch c {
		case '"', '\\', '/':
			arena = append(arena, c)
		case 'b':
			arena = append(arena, '\b')
		case 'f':
			arena = append(arena, '\f')
		case 'n':
			arena = append(arena, '\n')
		case 'r':
			arena = append(arena, '\r')
		case 't':
			arena = append(arena, '\t')
		case 'u':
			r := hex4(s.data[i:])
			if r < 0 {
				return nil, false
			}
			i += 4
			if utf16.IsSurrogate(r) {
				pair := rune(utf8.RuneError)
				if i+2 <= len(s.data) && s.data[i] == '\\' && s.data[i+1] == 'u' {
					pair = utf16.DecodeRune(r, hex4(s.data[i+2:]))
				}
				if r = pair; r != utf8.RuneError {
					i += 6
				}
			}
			arena = utf8.AppendRune(arena, r)
		default:
			return nil, false
		}
	}
	return nil, false
}

// hex4 reads four hexadecimal digits, or returns -1.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}
