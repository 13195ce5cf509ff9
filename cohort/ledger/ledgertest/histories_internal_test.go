package ledgertest

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func sound(testing.TB) Store { return newBent().store() }

// TestHistoriesFindFlaws plays histories of ledgers with mistakes that show in what a history does.
func TestHistoriesFindFlaws(t *testing.T) {
	t.Parallel()
	find := []string{
		"does not close", "takes the generation from the caller", "keeps times to the microsecond", "loses the header when the entry is opened again",
		"forgets an intent that is not settled", "takes Refused for out", "takes Lost for Accepted", "settles removals alone when there are both",
		"settles the oldest intent, whatever the number", "keeps the slices", "repairs identifiers that are no UTF-8", "reads a part in pages of what is recorded now",
		"counts no duplicates", "takes an empty list for nothing to do", "does not look at the others", "keeps the others", "lets a part be read once",
		"remembers the first difference", "counts the unknown as kept", "keeps the stamps of refused intents", "keeps the stamps' slice",
	}
	for _, f := range flaws() {
		at := slices.Index(find, f.name)
		if at < 0 {
			continue
		}
		find = slices.Delete(find, at, at+1)
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			r := listen(t, func(r *recorder) { Histories(r, f.store, seed, 30) })
			if !r.failed {
				t.Errorf("seed %d: nothing was found", seed)
			}
			if log := strings.Join(r.logs, ""); !strings.HasPrefix(log, "seed ") {
				t.Errorf("the log does not say how to repeat it: %q", log)
			}
			t.Logf("%q\n%q", r.texts, r.logs)
		})
	}
	if len(find) > 0 {
		t.Errorf("there are no such flaws: %q", find)
	}
}

// TestHistoriesRepeat plays the histories of one seed twice.
func TestHistoriesRepeat(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	play := func() string {
		r := listen(t, func(r *recorder) { Histories(r, sound, seed, 10) })
		if r.failed || len(r.logs) != 1 {
			t.Fatalf("seed %d: %q, log %q", seed, r.texts, r.logs)
		}
		return r.logs[0]
	}
	first := play()
	t.Log(first)
	if second := play(); first != second {
		t.Errorf("the same seed did, in turn:\n%s\n%s", first, second)
	}
}

// TestNothingToLookAt gives what shows nothing.
func TestNothingToLookAt(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*recorder{
		"no histories":   listen(t, func(r *recorder) { Histories(r, sound, 1, 0) }),
		"no Store.Open":  listen(t, func(r *recorder) { Histories(r, func(testing.TB) Store { return Store{} }, 1, 1) }),
		"nothing opened": listen(t, func(r *recorder) { Histories(r, unopened, 1, 1) }),
	} {
		if !r.failed || len(r.texts) != 1 {
			t.Errorf("%s: failed %t, %q, want one message", name, r.failed, r.texts)
		}
	}
}
