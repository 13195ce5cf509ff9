package ledger

import (
	"strings"
	"testing"

	"github.com/cohortkit/cohortkit/identity"
)

func FuzzRecord(f *testing.F) {
	const uuid = "5b2c9f0e-77aa-4d0e-9a51-0c3f1f2b6d10"
	for _, s := range []string{
		"", "u", uuid, strings.ToUpper(uuid), uuid[:35] + "G", uuid[:35] + "A", uuid[:35] + "`", uuid[:35] + "\x00", uuid[:35] + ":",
		"00000000-0000-0000-0000-000000000000", "5b2c9f0e-77aa-4d0e-9a51-0c3f1f2b6d1", "5b2c9f0e77aa-4d0e-9a51-0c3f1f2b6d10-",
		"5b2c9f0e-77aa-4d0e-9a51-0c3f1f2b6dé", strings.Repeat("x", 300),
	} {
		for kind := range uint8(3) {
			f.Add(kind, "crm", s)
			f.Add(kind, s, "12:a")
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, label, value string) {
		var id identity.ID
		switch kind % 3 {
		case 0:
			id = identity.ExternalID(value)
		case 1:
			id = identity.DeviceID(value)
		default:
			id = identity.Alias{Label: label, Name: value}.ID()
		}
		c, record := pack([]byte("before"), id)
		record = record[len("before"):]
		if c.packed() != (len(record) == packedSize && len(value) == uuidSize && c != aliasText && c != externalText && c != deviceText) {
			t.Fatalf("class %d with a record of %d bytes", c, len(record))
		}
		back, ok := unpack(c, record)
		if !ok || back != id {
			t.Fatalf("class %d gives another identifier back", c)
		}
		data := appendRecord(nil, c, record)
		cut, rest, ok := cutRecord(append(data, "after"...), c)
		if !ok || string(cut) != string(record) || string(rest) != "after" {
			t.Fatalf("class %d is cut at the wrong place", c)
		}
		if _, _, ok := cutRecord(data[:len(data)-1], c); ok {
			t.Fatalf("class %d was cut from too few bytes", c)
		}
		if h := hashSeed(1); h.hash(c, record) != h.hash(c, []byte(string(record))) {
			t.Fatal("the hash depends on more than the record")
		}
	})
}

func TestHashSpreads(t *testing.T) {
	t.Parallel()
	// Counters in the low bits of a UUID, and short numbers: what a weak hash maps to few partitions.
	const n = 1 << 18
	var packed, text [partitions]int
	record := make([]byte, packedSize)
	for i := range n {
		record[0], record[1], record[2] = byte(i), byte(i>>8), byte(i>>16)
		packed[partitionOf(hashSeed(7).hash(externalLower, record))]++
		_, r := pack(nil, identity.ExternalID(strings.Repeat("7", i%3)+string(rune('a'+i%26))+string(rune(0x4e00+i/26%20000))+string(rune('a'+i/520000))))
		text[partitionOf(hashSeed(7).hash(externalText, r))]++
	}
	for p := range partitions {
		if want := n / partitions; packed[p] < want/2 || packed[p] > 2*want || text[p] == 0 {
			t.Fatalf("partition %d has %d packed and %d text records of %d, want about %d", p, packed[p], text[p], n, want)
		}
	}
}
