package cohort

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"math/bits"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// memberKey stands for a member where the identifier itself is not needed. Its bits are as good as drawn by lot. It is no array, which the compiler would
// not keep in registers.
type memberKey struct{ first, second uint64 }

func memberKeyOf(b [16]byte) memberKey {
	return memberKey{binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])}
}

func (k memberKey) bytes() (b [16]byte) {
	binary.LittleEndian.PutUint64(b[:], k.first)
	binary.LittleEndian.PutUint64(b[8:], k.second)
	return b
}

func (k memberKey) low() uint32 { return uint32(k.first) }

// memberKeys makes the keys of the members of a stream. Nobody can find two identifiers with one key.
type memberKeys struct {
	lasting     bool
	prefix      [16]byte     // what tells the cohort from others; of lasting keys
	seed, other maphash.Seed // of others
}

// newMemberKeys returns keys that are of use in this process alone, and cheap.
func newMemberKeys() memberKeys {
	return memberKeys{seed: maphash.MakeSeed(), other: maphash.MakeSeed()}
}

// lastingMemberKeys returns keys for a ledger: the same in every process, and different for each cohort.
func lastingMemberKeys(k ledger.Key) memberKeys {
	var b []byte
	for _, field := range [...]string{k.Endpoint, k.Partner, k.Workspace, k.CohortID} {
		b = binary.AppendUvarint(b, uint64(len(field)))
		b = append(b, field...)
	}
	sum := sha256.Sum256(b)
	return memberKeys{lasting: true, prefix: [16]byte(sum[:])}
}

// of returns the key of a member.
func (k *memberKeys) of(id identity.ID) memberKey {
	if k.lasting {
		var space [128]byte
		sum := sha256.Sum256(id.AppendEncode(append(space[:0], k.prefix[:]...)))
		return memberKeyOf([16]byte(sum[:]))
	}
	key := memberKey{maphash.String(k.seed, id.Value()), maphash.String(k.other, id.Value())}
	if alias, ok := id.Alias(); ok {
		key.first = bits.RotateLeft64(key.first, 32) + maphash.String(k.seed, alias.Label) // turned, or a label could change places with a name
		key.second = bits.RotateLeft64(key.second, 32) + maphash.String(k.other, alias.Label)
	}
	kind := uint64(id.Kind()) * ones // tells it from the same text of another kind
	return memberKey{key.first + kind, key.second + kind}
}
