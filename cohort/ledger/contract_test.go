package ledger_test

import (
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/cohort/ledger/ledgertest"
)

var (
	histories = flag.Int("histories", ledger.DefaultHistories, "how many random histories TestRandomHistories plays against each ledger")
	seed      = flag.Uint64("seed", 0, "seed of TestRandomHistories; 0 for one by chance")
)

// ledgers are those that keep the contract.
func ledgers() map[string]func(testing.TB) ledgertest.Store {
	all := map[string]func(testing.TB) ledgertest.Store{
		"memory": func(testing.TB) ledgertest.Store {
			m := ledger.NewMemory()
			return ledgertest.Store{Open: func() (ledger.Ledger, error) { return m, nil }}
		},
		"dir": func(tb testing.TB) ledgertest.Store {
			tb.Helper()
			path := tb.TempDir()
			return ledgertest.Store{Open: func() (ledger.Ledger, error) { return ledger.OpenDir(path) }}
		},
	}
	for name, fresh := range ledger.OnSimDisk() {
		all[name+" on a simulated disk"] = func(tb testing.TB) ledgertest.Store {
			tb.Helper()
			return ledgertest.Store{Open: fresh(tb)}
		}
	}
	return all
}

// TestContract holds every ledger to what Ledger and Session promise.
func TestContract(t *testing.T) {
	t.Parallel()
	for name, fresh := range ledgers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ledgertest.Run(t, fresh)
		})
	}
}

// TestRandomHistories plays random histories against every ledger.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	for name, fresh := range ledgers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ledgertest.Histories(t, fresh, first, *histories)
		})
	}
}
