package ledger

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/cohortkit/cohortkit/identity"
)

// class is how an identifier is stored. Most external IDs and device IDs are UUIDs, which take 16 bytes in place of 36; they are
// packed only if they are spelt so that the same text comes back, byte for byte.
type class uint8

const (
	externalText  class = iota // the text
	deviceText                 // the text
	aliasText                  // the length of the label, the label, the name
	externalLower              // 16 bytes, spelt in lower case
	externalUpper              // 16 bytes, spelt in upper case
	deviceLower                // 16 bytes, spelt in lower case
	deviceUpper                // 16 bytes, spelt in upper case
	classes                    // how many there are
)

const (
	packedSize = 16
	uuidSize   = 36
)

func (c class) packed() bool { return c >= externalLower }

// pack appends the record of an identifier to dst.
func pack(dst []byte, id identity.ID) (class, []byte) {
	value := id.Value()
	switch id.Kind() {
	case identity.AliasKind:
		alias, _ := id.Alias()
		dst = binary.AppendUvarint(dst, uint64(len(alias.Label)))
		dst = append(dst, alias.Label...)
		return aliasText, append(dst, value...)
	case identity.DeviceIDKind:
		return packText(dst, value, deviceText, deviceLower, deviceUpper)
	default:
		return packText(dst, value, externalText, externalLower, externalUpper)
	}
}

func packText(dst []byte, value string, text, lower, upper class) (class, []byte) {
	if len(value) == uuidSize {
		low, high, spelling := packUUID(value)
		packed := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(dst, low), high)
		switch spelling {
		case lowerUUID:
			return lower, packed
		case upperUUID:
			return upper, packed
		}
	}
	return text, append(dst, value...)
}

// appendText appends the record that an identifier has as text, in the form in which records follow each other.
func appendText(dst []byte, id identity.ID) (class, []byte) {
	value := id.Value()
	switch id.Kind() {
	case identity.AliasKind:
		alias, _ := id.Alias()
		var space [lengthSize]byte
		length := binary.AppendUvarint(space[:0], uint64(len(alias.Label)))
		dst = binary.AppendUvarint(dst, uint64(len(length)+len(alias.Label)+len(value)))
		dst = append(append(dst, length...), alias.Label...)
		return aliasText, append(dst, value...)
	case identity.DeviceIDKind:
		return deviceText, append(binary.AppendUvarint(dst, uint64(len(value))), value...)
	default:
		return externalText, append(binary.AppendUvarint(dst, uint64(len(value))), value...)
	}
}

// packedOf returns the class of the identifier whose record as text has this class, if its record is that of a UUID so spelt.
func packedOf(text class, s spelling) class {
	if text == deviceText {
		return deviceLower + class(s-lowerUUID)
	}
	return externalLower + class(s-lowerUUID)
}

// unpack returns the identifier of a record, and false if no identifier has this record.
func unpack(c class, record []byte) (identity.ID, bool) {
	switch c {
	case externalText:
		return identity.ExternalID(string(record)), true
	case deviceText:
		return identity.DeviceID(string(record)), true
	case aliasText:
		length, n := binary.Uvarint(record)
		if n <= 0 || length > uint64(len(record)-n) {
			return identity.ID{}, false
		}
		label, name := record[n:n+int(length)], record[n+int(length):]
		return identity.Alias{Label: string(label), Name: string(name)}.ID(), true
	}
	if len(record) != packedSize {
		return identity.ID{}, false
	}
	switch c {
	case externalLower:
		return identity.ExternalID(unpackUUID(record, lowerUUID)), true
	case externalUpper:
		return identity.ExternalID(unpackUUID(record, upperUUID)), true
	case deviceLower:
		return identity.DeviceID(unpackUUID(record, lowerUUID)), true
	case deviceUpper:
		return identity.DeviceID(unpackUUID(record, upperUUID)), true
	}
	return identity.ID{}, false
}

// appendRecord appends a record in the form in which records follow each other: packed ones as they are, others after their length.
func appendRecord(dst []byte, c class, record []byte) []byte {
	if !c.packed() {
		dst = binary.AppendUvarint(dst, uint64(len(record)))
	}
	return append(dst, record...)
}

// cutRecord returns the first record of data and what comes after it, and false if there is none.
func cutRecord(data []byte, c class) (record, rest []byte, ok bool) {
	if c.packed() {
		if len(data) < packedSize {
			return nil, nil, false
		}
		return data[:packedSize:packedSize], data[packedSize:], true
	}
	if len(data) > 0 && int(data[0]) < min(len(data), 0x80) { // one byte of length
		end := 1 + int(data[0])
		return data[1:end:end], data[end:], true
	}
	length, n := binary.Uvarint(data)
	if n <= 0 || length > uint64(len(data)-n) {
		return nil, nil, false
	}
	end := n + int(length)
	return data[n:end:end], data[end:], true
}

// spelling is how the text of a UUID is spelt.
type spelling uint8

const (
	noUUID spelling = iota
	lowerUUID
	upperUUID
)

// Eight characters at a time, one in each byte of a word.
const (
	ones     = 0x0101010101010101
	nibbles  = 0x0f * ones
	digits   = '0' * ones
	sixes    = 6 * ones
	toLower  = 'a' - '0' - 10
	toUpper  = 'A' - '0' - 10
	evenByte = 0x00ff00ff00ff00ff
	evenPair = 0x0000ffff0000ffff
)

// packUUID returns the 16 bytes of a UUID of 36 characters, in two words. It takes what the text seems to say and spells it anew: only if
// that gives the same text it was a UUID.
func packUUID[T string | []byte](s T) (low, high uint64, is spelling) {
	if len(s) != uuidSize || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return 0, 0, noUUID
	}
	a, lower, upper := nibblesOf(word(s[0:8]))
	b, notLower, notUpper := nibblesOf(half(s[9:13]) | half(s[14:18])<<32)
	lower, upper = lower|notLower, upper|notUpper
	c, notLower, notUpper := nibblesOf(half(s[19:23]) | half(s[24:28])<<32)
	lower, upper = lower|notLower, upper|notUpper
	d, notLower, notUpper := nibblesOf(word(s[28:36]))
	lower, upper = lower|notLower, upper|notUpper
	is = lowerUUID // and also one without letters
	if lower != 0 {
		if is = upperUUID; upper != 0 {
			return 0, 0, noUUID
		}
	}
	return gather(a) | gather(b)<<32, gather(c) | gather(d)<<32, is
}

// nibblesOf returns the values of eight hexadecimal digits, and in which bits they are not spelt in lower case, and in upper case.
func nibblesOf(w uint64) (n, notLower, notUpper uint64) {
	n = (w&nibbles + 9*(w>>6&ones)) & nibbles
	letters := (n + sixes) >> 4 & ones
	upper := n + digits + letters*toUpper
	return n, w ^ (upper + letters*(toLower-toUpper)), w ^ upper
}

// gather brings nibbles together, first those of a byte, then the bytes.
func gather(n uint64) uint64 {
	n = (n<<4 | n>>8) & evenByte
	n = (n | n>>8) & evenPair
	return uint64(uint32(n | n>>16))
}

// unpackUUID spells a UUID.
func unpackUUID(record []byte, s spelling) string {
	shift := uint64(toLower)
	if s == upperUUID {
		shift = toUpper
	}
	var hex [32]byte
	for i := range 4 {
		n := uint64(binary.LittleEndian.Uint32(record[4*i:]))
		n = (n | n<<16) & evenPair
		n = (n | n<<8) & evenByte
		n = (n>>4 | n<<8) & nibbles
		letters := (n + sixes) >> 4 & ones
		binary.LittleEndian.PutUint64(hex[8*i:], n+digits+letters*shift)
	}
	text := [uuidSize]byte{8: '-', 13: '-', 18: '-', 23: '-'}
	copy(text[0:8], hex[0:8])
	copy(text[9:13], hex[8:12])
	copy(text[14:18], hex[12:16])
	copy(text[19:23], hex[16:20])
	copy(text[24:36], hex[20:32])
	return string(text[:])
}

// word returns the eight bytes of s, half the four. The compiler makes one load of each.
func word[T string | []byte](s T) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func half[T string | []byte](s T) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}

// hash spreads records evenly over 64 bits. Unlike the hashes of the standard library that are as fast, it gives the same value in
// every process, which a file cut into partitions needs. The seed is drawn for each file, so that nobody can choose
// identifiers that meet in one partition.
func (seed hashSeed) hash(c class, record []byte) uint64 {
	h := uint64(seed) ^ uint64(c)<<56 ^ uint64(len(record))
	whole := record
	for len(record) >= packedSize {
		h = mix(binary.LittleEndian.Uint64(record)^prime1^h, binary.LittleEndian.Uint64(record[8:])^prime2^h)
		record = record[packedSize:]
	}
	if n := len(record); n > 0 {
		if n < len(whole) { // the rest, together with some bytes that come again
			record = whole[len(whole)-packedSize:]
		} else {
			var tail [packedSize]byte
			copy(tail[:], record)
			record = tail[:]
		}
		h = mix(binary.LittleEndian.Uint64(record)^prime1^h, binary.LittleEndian.Uint64(record[8:])^prime2^h)
	}
	return mix(h^prime3, prime1)
}

// hashPacked is hash for the record of a packed class, in two words.
func (seed hashSeed) hashPacked(c class, low, high uint64) uint64 {
	h := uint64(seed) ^ uint64(c)<<56 ^ packedSize
	return mix(mix(low^prime1^h, high^prime2^h)^prime3, prime1)
}

type hashSeed uint64

const (
	prime1 = 0x9e3779b97f4a7c15
	prime2 = 0xc2b2ae3d27d4eb4f
	prime3 = 0x165667b19e3779f9
)

func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

// grow returns the slice with this length. What it holds beyond the former one is left as it is.
func grow[S ~[]E, E any](s S, length int) S {
	return slices.Grow(s, max(0, length-len(s)))[:length]
}
