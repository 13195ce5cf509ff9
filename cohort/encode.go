package cohort

import (
	"encoding/binary"
	"slices"
	"time"

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
	layout := "2006-01-02T15:04:05Z07:00"
	if c.CreatedAt.Nanosecond() >= int(time.Millisecond) {
		layout = "2006-01-02T15:04:05.000Z07:00"
	}
	dst = c.CreatedAt.UTC().AppendFormat(dst, layout)
	return append(dst, `"}`...)
}

// A group is the changes of one direction and one kind: one list on the wire.
const (
	kinds  = int(identity.DeviceIDKind) // external ID, alias, device ID
	groups = 2 * kinds
)

// lists are the wire's names for the groups of one direction, in the order of the kinds.
var lists = [kinds]string{`"user_ids":[`, `"aliases":[`, `"device_ids":[`}

// group numbers the groups in the order in which they stand on the wire: removals first.
func (c *Change) group() int {
	return int(c.direction-removal)*kinds + int(c.kind-identity.ExternalIDKind)
}

// appendChanges encodes the body that changes a cohort's members, at most [MaxIdentifiers] of them: at most one object that removes, then at most
// one that adds, each with the lists that have something in them. The flag of an addition is left out, since absent means false.
func appendChanges(dst []byte, s secrets, cohortID string, changes []Change) []byte {
	var counts, ends [groups]int
	size := 1 << 10 // mostly enough for the keys and the frame
	for i := range changes {
		counts[changes[i].group()]++
		size += len(changes[i].value) + len(`"",`)
	}
	dst = slices.Grow(dst, size) // at once; aliases and escapes may need more
	// Changes of several groups are put in order by group, so that each list is written in a loop of its own.
	var order [MaxIdentifiers]uint16
	mixed := len(changes) > 0 && counts[changes[0].group()] < len(changes)
	if mixed {
		for g := 1; g < groups; g++ {
			ends[g] = ends[g-1] + counts[g-1]
		}
		for i := range changes {
			g := changes[i].group()
			order[ends[g]] = uint16(i)
			ends[g]++
		}
	}

	dst = appendEnvelope(dst, s, cohortID)
	dst = append(dst, `"cohort_changes":[`...)
	for first := 0; first < groups; first += kinds {
		separator := byte('{')
		for kind, name := range lists {
			g := first + kind
			if counts[g] == 0 {
				continue
			}
			dst = append(dst, separator)
			dst = append(dst, name...)
			if mixed {
				dst = appendList(dst, changes, order[ends[g]-counts[g]:ends[g]])
			} else {
				dst = appendList(dst, changes, nil)
			}
			separator = ','
		}
		if separator == '{' {
			continue // nothing in this direction
		}
		if first == 0 {
			dst = append(dst, `,"should_remove":true`...)
		}
		dst = append(dst, '}', ',')
	}
	if len(changes) > 0 {
		dst = dst[:len(dst)-1] // the last comma
	}
	return append(dst, `]}`...)
}

// appendList encodes the identifiers of one group and closes their list. Which changes are of the group is told by their indexes; nil
// stands for all.
func appendList(dst []byte, changes []Change, group []uint16) []byte {
	n := len(changes)
	if group != nil {
		n = len(group)
	}
	for i := range n {
		if group != nil {
			i = int(group[i])
		}
		if c := &changes[i]; c.kind == identity.AliasKind {
			dst = appendAlias(dst, c.label.Value(), c.value)
		} else {
			dst = appendString(dst, c.value, ',')
		}
	}
	dst[len(dst)-1] = ']' // in place of the last comma
	return dst
}

// appendAlias encodes an alias, and the comma after it.
func appendAlias(dst []byte, label, name string) []byte {
	dst = append(dst, `{"alias_name":`...)
	dst = appendString(dst, name, ',')
	dst = append(dst, `"alias_label":`...)
	dst = appendString(dst, label, '}')
	return append(dst, ',')
}

// wireSize bounds the bytes that a change takes in a body. Valid text at most doubles: only quotes and backslashes are escaped.
func wireSize(c Change) int {
	if c.kind != identity.AliasKind {
		return 2*len(c.value) + len(`"",`)
	}
	return 2*(len(c.value)+len(c.label.Value())) + len(`{"alias_name":"","alias_label":""},`)
}

// Eight bytes at a time: every byte of ones is 1, every byte of tops is 0x80.
const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// appendString encodes s, which must be valid UTF-8, as a JSON string, and the byte that follows it. Almost every identifier can be copied as it
// is. So it is copied at once, eight bytes at a time, and only if one of them may have to be escaped it is done again, with care.
func appendString(dst []byte, s string, next byte) []byte {
	start, end := len(dst), len(dst)+len(s)+len(`""`)
	if cap(dst) <= end {
		dst = slices.Grow(dst, end+1-start)
	}
	if len(s) < 8 {
		return appendCarefully(dst, s, next)
	}
	whole := s
	out := dst[start : end+1]
	text := out[1 : 1+len(s)]
	w := load(s[len(s)-8:]) // the rest, together with some bytes that come again
	binary.LittleEndian.PutUint64(text[len(s)-8:], w)
	found := suspect(w)
	for len(s) > 16 && len(text) > 16 {
		v, w := load(s), load(s[8:])
		found |= suspect(v) | suspect(w)
		binary.LittleEndian.PutUint64(text, v)
		binary.LittleEndian.PutUint64(text[8:], w)
		s, text = s[16:], text[16:]
	}
	if len(s) > 8 && len(text) > 8 {
		w := load(s)
		found |= suspect(w)
		binary.LittleEndian.PutUint64(text, w)
	}
	if found&tops != 0 {
		return appendCarefully(dst, whole, next)
	}
	out[0], out[len(out)-2], out[len(out)-1] = '"', '"', next
	return dst[:end+1]
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

// appendCarefully encodes s byte by byte, and the byte that follows it.
func appendCarefully(dst []byte, s string, next byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	done := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[done:i]...)
		done = i + 1
		if c < ' ' {
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, '\\', c)
		}
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"', next)
}
