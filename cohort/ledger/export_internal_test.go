package ledger

import "testing"

// OnSimDisk returns makers of the ledgers that keep their entries on a disk, each on a simulated one, for the tests of the contract.
func OnSimDisk() map[string]func(testing.TB) func() Ledger {
	makers := map[string]func(testing.TB) func() Ledger{}
	for _, s := range storages {
		makers[s.name] = func(tb testing.TB) func() Ledger {
			tb.Helper()
			d := newSimDisk()
			tb.Cleanup(func() {
				if d.handles != 0 {
					tb.Errorf("%d files and locks are open at the end", d.handles)
				}
			})
			return func() Ledger {
				l, err := s.open(d)
				if err != nil {
					tb.Fatal(err)
				}
				return l
			}
		}
	}
	return makers
}
