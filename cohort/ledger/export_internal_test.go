package ledger

import "testing"

// OnSimDisk returns the ledgers that keep their entries on a disk, each on a simulated one: for each a function that makes a store and returns
// what opens it.
func OnSimDisk() map[string]func(testing.TB) func() (Ledger, error) {
	makers := map[string]func(testing.TB) func() (Ledger, error){}
	for _, s := range storages {
		makers[s.name] = func(tb testing.TB) func() (Ledger, error) {
			tb.Helper()
			d := newSimDisk()
			tb.Cleanup(func() {
				if d.handles != 0 {
					tb.Errorf("%d files and locks are open at the end", d.handles)
				}
			})
			return func() (Ledger, error) { return s.open(d) }
		}
	}
	return makers
}
