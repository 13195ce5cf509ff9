package cohort

import (
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
)

// secrets are the two keys that travel in every body.
type secrets struct {
	partner keys.PartnerKey
	imports keys.ImportKey
}

// appendEnvelope begins the body of a cohort request: the keys and the cohort. The object stays open.
func appendEnvelope(dst []byte, s secrets, cohortID string) []byte {
	dst = append(dst, `{"partner_api_key":`...)
	dst = appendString(dst, s.partner.Reveal())
	dst = append(dst, `,"client_secret":`...)
	dst = appendString(dst, s.imports.Reveal())
	dst = append(dst, `,"cohort_id":`...)
	return appendString(dst, cohortID)
}

// appendName encodes the body that names a cohort. The time travels in UTC, with milliseconds where it has any.
func appendName(dst []byte, s secrets, c Cohort) []byte {
	dst = appendEnvelope(dst, s, c.ID)
	dst = append(dst, `,"name":`...)
	dst = appendString(dst, c.Name)
	dst = append(dst, `,"created_at":"`...)
	dst = c.CreatedAt.UTC().AppendFormat(dst, "2006-01-02T15:04:05.999Z07:00")
	return append(dst, `"}`...)
}

// appendChanges encodes the body that changes a cohort's members: at most one object that removes, then at most one that adds, each
// with the lists that have something in them. The flag of an addition is left out, since absent means false.
func appendChanges(dst []byte, s secrets, cohortID string, changes []Change) []byte {
	var counts [addition + 1][identity.DeviceIDKind + 1]int
	for i := range changes {
		c := &changes[i]
		counts[c.direction][c.id.Kind()]++
	}
	dst = appendEnvelope(dst, s, cohortID)
	dst = append(dst, `,"cohort_changes":[`...)
	first := true
	for _, d := range [...]direction{removal, addition} {
		if counts[d] == [identity.DeviceIDKind + 1]int{} {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendObject(dst, changes, d, &counts[d])
	}
	return append(dst, `]}`...)
}

// The wire names of the identifiers, in the order in which an object lists them.
var lists = [...]struct {
	kind identity.Kind
	name string
}{
	{identity.ExternalIDKind, `"user_ids":[`},
	{identity.AliasKind, `"aliases":[`},
	{identity.DeviceIDKind, `"device_ids":[`},
}

func appendObject(dst []byte, changes []Change, d direction, counts *[identity.DeviceIDKind + 1]int) []byte {
	separator := byte('{')
	for _, list := range lists {
		if counts[list.kind] == 0 {
			continue
		}
		dst = append(dst, separator)
		dst = append(dst, list.name...)
		separator = ','
		for i := range changes {
			if c := &changes[i]; c.direction == d && c.id.Kind() == list.kind {
				dst = appendID(dst, c.id)
				dst = append(dst, ',')
			}
		}
		dst[len(dst)-1] = ']' // in place of the last comma
	}
	if d == removal {
		dst = append(dst, `,"should_remove":true`...)
	}
	return append(dst, '}')
}

// appendID encodes one identifier: a string, or the object of an alias.
func appendID(dst []byte, id identity.ID) []byte {
	if id.Kind() != identity.AliasKind {
		return appendString(dst, id.Value())
	}
	alias, _ := id.Alias()
	dst = append(dst, `{"alias_name":`...)
	dst = appendString(dst, alias.Name)
	dst = append(dst, `,"alias_label":`...)
	dst = appendString(dst, alias.Label)
	return append(dst, '}')
}

// wireSize bounds the bytes that an identifier takes in a body. Valid text at most doubles: only quotes and backslashes are escaped.
func wireSize(id identity.ID) int {
	if id.Kind() != identity.AliasKind {
		return 2*len(id.Value()) + len(`"",`)
	}
	alias, _ := id.Alias()
	return 2*(len(alias.Name)+len(alias.Label)) + len(`{"alias_name":"","alias_label":""},`)
}

// Eight bytes at a time: every byte of ones is 1, every byte of tops is 0x80.
const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// appendString encodes s, which must be valid UTF-8, as a JSON string. Almost every identifier can be copied as it is, so that is
// found out eight bytes at a time before anything is written.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	if isPlain(s) {
		dst = append(dst, s...)
	} else {
		dst = appendEscaped(dst, s)
	}
	return append(dst, '"')
}

// isPlain reports whether s needs no escape.
func isPlain(s string) bool {
	if len(s) < 8 {
		for i := range len(s) {
			if mustEscape(s[i]) {
				return false
			}
		}
		return true
	}
	var found uint64
	for tail := s; len(tail) >= 8; tail = tail[8:] {
		found |= special(load(tail))
	}
	found |= special(load(s[len(s)-8:])) // the rest, together with some bytes seen already
	return found == 0
}

// load returns the first eight bytes of s. The compiler makes one load of it.
func load(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// special is not 0 if any byte of w is a quote, a backslash or below a space. A subtraction sets the top bit of each byte that was too small
// for it; a byte that had its top bit set before does not count. A borrow may mark a byte too many, but only beside one that is special.
func special(w uint64) uint64 {
	quote, backslash := w^('"'*ones), w^('\\'*ones)
	return ((w-' '*ones)&^w | (quote-ones)&^quote | (backslash-ones)&^backslash) & tops
}

func mustEscape(c byte) bool { return c < ' ' || c == '"' || c == '\\' }

func appendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for i := range len(s) {
		switch c := s[i]; {
		case !mustEscape(c):
			dst = append(dst, c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, '\\', c)
		}
	}
	return dst
}
