package cohort

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// memberKeys makes the keys of the members of a stream. Nobody can find two identifiers with one key.
type memberKeys struct {
	lasting bool
	prefix  [16]byte        // what tells the cohort from others; of lasting keys
	seeds   [2]maphash.Seed // of others
}

// newMemberKeys returns keys that are of use in this process alone, and cheap.
func newMemberKeys() memberKeys {
	return memberKeys{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
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
		return memberKey(sum[:])
	}
	text := id.Value() // the kind tells it from the same text of another one
	if id.Kind() == identity.AliasKind {
		text = id.Encode()
	}
	var key memberKey
	for i, seed := range k.seeds {
		binary.LittleEndian.PutUint64(key[8*i:], maphash.String(seed, text)+uint64(id.Kind())*ones)
	}
	return key
}
