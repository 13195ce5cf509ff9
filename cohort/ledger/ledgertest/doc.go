// Package ledgertest holds a ledger to what package ledger promises. Whoever writes a backend, on a database or a key-value store, runs it in a test:
//
//	func fresh(tb testing.TB) ledgertest.Store {
//		db := emptyDatabase(tb)
//		return ledgertest.Store{
//			Open:   func() (ledger.Ledger, error) { return OpenLedger(db) },
//			Expire: func(ctx context.Context, key ledger.Key) error { return endLease(ctx, db, key) },
//		}
//	}
//
//	func TestLedger(t *testing.T) { ledgertest.Run(t, fresh) }
//
//	func TestLedgerHistories(t *testing.T) { ledgertest.Histories(t, fresh, rand.Uint64(), 100) }
//
// [Run] looks at one promise after the other; a failure names the promise, the method, and what was seen instead. [Histories] plays random
// sessions beside a plain map, which finds what nobody thought of. A backend needs both. [ledger.Memory] and [ledger.Dir] are tested by them too.
//
// # What a backend may lack
//
// [ledger.Timekeeper] and [ledger.Purger] are found by assertion, as package cohort does, and a lease that can be lost by [Store.Expire]. The
// subtests of what is not there have nothing to look at: they say so in the log, which `go test -v` shows, and pass. A test is never skipped.
//
// # What is hard to get right
//
// These are the promises that the first version of a backend breaks most often:
//   - Identifiers are any bytes, invalid UTF-8 and NUL among them, of any length, and come back byte for byte. Keys and identifiers are equal only if
//     their bytes are: no collation, no folding of case, no normalisation.
//   - Times keep their nanoseconds, and the zero time stays zero.
//   - A member of an intent is Unknown from Begin on, whatever it was before, and remains so if the session ends before Settle. Refused restores the
//     State that Begin was given.
//   - Compare ranges once over its source, however long it is, keeps nothing that the source may overwrite, and takes neither a source that breaks nor a
//     context that ends for the end of the list.
//   - The parts of a Difference tell what was when Compare returned, while Begin and Settle are called by many goroutines.
//   - Of many who open an entry at once, one gets a session and the others a [*ledger.HeldError].
//   - A session that has lost its lease answers [ledger.ErrLeaseLost] and changes nothing, least of all the lease of its successor. Where Settle is
//     recorded later than it returns, Close tells of what was lost.
//
// # What it cannot see
//
// Whether a record outlasts a power failure, whether Purge leaves no trace in the storage, and what a hundred million members cost, is for tests that
// know the storage.
package ledgertest
