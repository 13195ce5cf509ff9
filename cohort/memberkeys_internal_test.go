package cohort

import (
	"testing"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// TestMemberKeys tells identifiers apart that are made of the same texts, in each half of the key alone, and finds each again.
func TestMemberKeys(t *testing.T) {
	t.Parallel()
	ids := []identity.ID{
		identity.ExternalID("a"), identity.DeviceID("a"), identity.ExternalID("b"), identity.ExternalID("ab"), identity.ExternalID("e:a"),
		identity.Alias{Label: "a", Name: "b"}.ID(), identity.Alias{Label: "b", Name: "a"}.ID(), identity.Alias{Label: "a", Name: "a"}.ID(),
		identity.Alias{Label: "b", Name: "b"}.ID(), identity.ExternalID(identity.Alias{Label: "a", Name: "b"}.ID().Encode()),
	}
	key := ledger.Key{Endpoint: "EU-01", Partner: "tinyclues", Workspace: "acme", CohortID: "camp-481"}
	other := key
	other.CohortID = "camp-482"
	for name, keys := range map[string]memberKeys{"of this process": newMemberKeys(), "lasting": lastingMemberKeys(key)} {
		firsts, seconds := map[uint64]bool{}, map[uint64]bool{}
		for _, id := range ids {
			k := keys.of(id)
			if k != keys.of(id) || memberKeyOf(k.bytes()) != k {
				t.Errorf("%s: a member has two keys", name)
			}
			firsts[k.first], seconds[k.second] = true, true
		}
		if len(firsts) != len(ids) || len(seconds) != len(ids) {
			t.Errorf("%s: %d and %d different halves for %d members", name, len(firsts), len(seconds), len(ids))
		}
	}
	of, again, elsewhere := lastingMemberKeys(key), lastingMemberKeys(key), lastingMemberKeys(other)
	if of.of(ids[0]) != again.of(ids[0]) || of.of(ids[0]) == elsewhere.of(ids[0]) {
		t.Error("a lasting key is not that of its cohort alone")
	}
}
