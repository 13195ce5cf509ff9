package cohort

import (
	"encoding/binary"
	"slices"

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
	dst = appendString(dst, s.partner.Reveal(), ',')
	dst = append(dst, `"client_secret":`...)
	dst = appendString(dst, s.imports.Reveal(), ',')
	dst = append(dst, `"cohort_id":`...)
	return appendString(dst, cohortID, ',')
}

// appendName encodes the body that names a cohort. The time travels in UTC, with milliseconds where it has any.
func appendName(dst []byte, s secrets, c Cohort) []byte {
	dst = appendEnvelope(dst, s, c.ID)
	dst = append(dst, `"name":`...)
	dst = appendString(dst, c.Name, ',')
	dst = append(dst, `"created_at":"`...)
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
	dst = append(dst, `"cohort_changes":[`...)
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
			c := &changes[i]
			if c.direction != d || c.id.Kind() != list.kind {
				continue
			}
			if list.kind == identity.AliasKind {
				dst = appendAlias(dst, c.id)
			} else {
				dst = appendString(dst, c.id.Value(), ',')
			}
		}
		dst[len(dst)-1] = ']' // in place of the last comma
	}
	if d == removal {
		dst = append(dst, `,"should_remove":true`...)
	}
	return append(dst, '}')
}

// appendAlias encodes an alias, and the comma after it.
func appendAlias(dst []byte, id identity.ID) []byte {
	alias, _ := id.Alias()
	dst = append(dst, `{"alias_name":`...)
	dst = appendString(dst, alias.Name, ',')
	dst = append(dst, `"alias_label":`...)
	dst = appendString(dst, alias.Label, '}')
	return append(dst, ',')
}

// wireSize bounds the bytes that an identifier takes in a body. Valid text at most doubles: only quotes and backslashes are escaped.
func wireSize(id identity.ID) int {
	if id.Kind() != identity.AliasKind {
		return 2*len(id.Value()) + len(`"",`)
	}
	alias, _ := id.Alias()
	return 2*(len(alias.Name)+len(alias.Label)) + len(`{"alias_name":"","alias_label":""},`)
}

// appendString encodes s, which must be valid UTF-8, as a JSON string, and the byte that follows it. Almost every identifier can be copied as it
// is. So it is copied at once, and only if it held a byte to escape it is done again, with care.
func appendString(dst []byte, s string, next byte) []byte {
	n := len(dst)
	if need := len(s) + len(`""`) + 1; cap(dst)-n < need {
		dst = slices.Grow(dst, need)
	}
	if out := dst[n : n+len(s)+3]; copyPlain(out[1:], s) {
		out[0], out[len(s)+1], out[len(s)+2] = '"', '"', next
		return dst[:n+len(out)]
	}
	dst = appendEscaped(append(dst, '"'), s)
	return append(dst, '"', next)
}

// Eight bytes at a time: every byte of ones is 1, every byte of tops is 0x80.
const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// copyPlain copies s to dst, which must not be shorter, and reports whether s surely needs no escape.
func copyPlain(dst []byte, s string) bool {
	if len(s) < 8 || len(dst) < len(s) {
		for i := range len(s) {
			if mustEscape(s[i]) {
				return false
			}
		}
		copy(dst, s)
		return true
	}
	w := load(s[len(s)-8:]) // the rest, together with some bytes that come again
	binary.LittleEndian.PutUint64(dst[len(s)-8:], w)
	found := suspect(w)
	for i := 0; i < len(s)-8; i += 8 {
		w := load(s[i : i+8])
		found |= suspect(w)
		binary.LittleEndian.PutUint64(dst[i:i+8], w)
	}
	return found&tops == 0
}

// load returns the first eight bytes of s. The compiler makes one load of it.
func load(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// suspect has a bit of tops set if any byte of w is a backslash, or is not above a quote: a control character, a space, an exclamation mark, a
// quote. The few innocent ones among them take the careful way. A subtraction sets the top bit of each byte that is too small for it; a byte
// that had its top bit set before, being part of a longer character, does not count. A borrow may mark a byte too many, but only beside a suspect.
func suspect(w uint64) uint64 {
	return ((w - ('"'+1)*ones) | ((w ^ '\\'*ones) - ones)) &^ w
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
