package ledger

import "testing"

// OnSimDisk returns makers of the ledgers that keep their entries on a disk, each on a simulated one, for the tests of the contract.
func OnSimDisk() map[string]func(testing.TB) func() Ledger {
	makers := map[string]func(testing.TB) func() Ledger{}
	for _, s := range storages {
		makers[s.name] = func(t testing.TB) func() Ledger {
			t.Helper()
			d := newSimDisk()
			t.Cleanup(func() {
				if d.handles != 0 {
					t.Errorf("%d files and locks are open at the end", d.handles)
				}
			})
			return func() Ledger {
				l, err := s.open(d)
				if err != nil {
					t.Fatal(err)
				}
				return l
			}
		}
	}
	return makers
}
