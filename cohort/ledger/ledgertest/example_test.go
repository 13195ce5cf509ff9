package ledgertest_test

import (
	"math/rand/v2"
	"testing"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/cohort/ledger/ledgertest"
)

// fresh makes an empty store. A backend of your own makes an empty database here, and Open returns what your package has for it.
func fresh(testing.TB) ledgertest.Store {
	memory := ledger.NewMemory()
	return ledgertest.Store{
		Open: func() (ledger.Ledger, error) { return memory, nil },
	}
}

// TestLedger and TestLedgerHistories are all that the test of a backend needs.
func TestLedger(t *testing.T) {
	t.Parallel()
	ledgertest.Run(t, fresh)
}

func TestLedgerHistories(t *testing.T) {
	t.Parallel()
	ledgertest.Histories(t, fresh, rand.Uint64(), 20)
}
