package ledgertest

import (
	"testing"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// promises are the cases of one interface.
type promises struct {
	of    string
	lacks func(*trial) string // says why there is nothing to look at; "" if there is
	cases []promise
}

// promise is a case of the contract.
type promise struct {
	name string
	keep func(*trial)
}

// contract is all that is promised.
func contract() []promises {
	return []promises{
		{"Ledger", nil, []promise{
			{"one writer", oneWriter},
			{"one writer of many who come at once", oneOfMany},
			{"a bad key", badKey},
			{"nothing recorded is no entry", nothingRecorded},
			{"keys", everyKey},
			{"entries", entries},
		}},
		{"Session", nil, []promise{
			{"generation", generation},
			{"header", headers},
			{"a bad header", badHeader},
			{"an intent is unknown until it is settled", unsettled},
			{"outcomes", outcomes},
			{"an intent of both kinds", bothKinds},
			{"an intent of nobody", intentOfNobody},
			{"intents settle in any order", anyOrder},
			{"the slices are not kept", slicesNotKept},
			{"identifiers", everyIdentifier},
			{"members", membersOfSession},
			{"recording while a part is read", recordingMeanwhile},
			{"after Close", afterClose},
			{"a context that is done", contextDone},
		}},
		{"Compare", nil, []promise{
			{"duplicates", duplicates},
			{"nobody wanted", nobodyWanted},
			{"two identifiers of one person", twins},
			{"a source that breaks", brokenSource},
			{"a source is read once", sourceOnce},
			{"one buffer for all others", othersNotKept},
			{"parts", parts},
			{"a second comparison", secondComparison},
			{"comparing records nothing", comparingRecordsNothing},
		}},
		{"Members, Diff and Import", nil, []promise{
			{"Members", membersFunction},
			{"Diff", diffFunction},
			{"Import", importFunction},
			{"Import of what cannot be kept", importRefuses},
		}},
		{"Purger", noPurger, []promise{
			{"purge", purge},
		}},
		{"Timekeeper", noTimekeeper, []promise{
			{"stamps", stamps},
			{"stamps outlast what is written anew", stampsRewritten},
			{"the stamps are not kept", stampsNotKept},
		}},
		{"a lost lease", noExpire, []promise{
			{"writes", lostLeaseWrites},
			{"Settle", lostLeaseSettle},
			{"what was settled before", lostLeaseSettled},
			{"Close", lostLeaseClose},
		}},
	}
}

// Run holds a ledger to what [ledger.Ledger] and [ledger.Session] promise, to what [ledger.Timekeeper] and [ledger.Purger] promise where its sessions
// are such, and to [ledger.ErrLeaseLost] where [Store.Expire] can take a lease away. It is a test of its own, with a subtest for each promise.
//
// Each subtest works on a store of its own, made by fresh, and several run at a time. All are done when Run returns.
func Run(t *testing.T, fresh func(tb testing.TB) Store) {
	t.Helper()
	for _, of := range contract() {
		t.Run(of.of, func(t *testing.T) {
			if of.lacks != nil {
				if why := of.lacks(newTrial(t, fresh)); why != "" {
					t.Log("nothing to look at: " + why)
					return
				}
			}
			for _, p := range of.cases {
				t.Run(p.name, func(t *testing.T) {
					t.Parallel()
					p.keep(newTrial(t, fresh))
				})
			}
		})
	}
}

func noPurger(t *trial) string {
	if _, ok := t.open(key("a")).(ledger.Purger); ok {
		return ""
	}
	return "the sessions are no ledger.Purger, which says that the storage keeps no traces of former members"
}

func noTimekeeper(t *trial) string {
	if _, ok := t.open(key("a")).(ledger.Timekeeper); ok {
		return ""
	}
	return "the sessions are no ledger.Timekeeper, so that a cohort.Stream refuses this ledger"
}

func noExpire(t *trial) string {
	if t.store.Expire != nil {
		return ""
	}
	return "Store.Expire is nil, which says that a lease ends with its session or its process and is never lost"
}
