package cohort_test

import (
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/transport/brazetest"
)

var (
	histories    = flag.Int("histories", defaultHistories, "run TestHistories with this many random histories")
	firstHistory = flag.Uint64("seed", 0, "seed of the first history of TestHistories; 0 for one by chance")
)

// randomHistory is a random sequence of operations and the setting in which they happen.
type randomHistory struct {
	seed       uint64
	dir        bool // the ledger is in files
	attempts   int  // of each request
	order      brazetest.ChangeOrder
	share      float64 // of the removal guard
	count      int
	cohorts    int
	delay      time.Duration // until a change is visible
	reading    reading       // of what is undocumented about matching
	operations []operation
}

// reading is what the endpoint matches, where that is undocumented.
type reading struct {
	aliasIdentifiedOnly bool // an alias matches identified profiles alone
	ignoreFormer        bool // a former external ID matches nobody
}

func (h randomHistory) options() []brazetest.Option {
	opts := []brazetest.Option{brazetest.KeepIdentifiers(), brazetest.ApplyChanges(h.order), brazetest.PropagationDelay(h.delay)}
	if h.reading.aliasIdentifiedOnly {
		opts = append(opts, brazetest.AliasesMatchIdentifiedOnly())
	}
	if h.reading.ignoreFormer {
		opts = append(opts, brazetest.IgnoreDeprecatedIDs())
	}
	return opts
}

const (
	leastOperations = 24
	dirShare        = 20 // one history in so many keeps its ledger in files
	workers         = 4  // for each processor, since files make them wait
)

func newRandomHistory(seed uint64) randomHistory {
	r := rand.New(rand.NewPCG(seed, 1))
	h := randomHistory{
		seed: seed, dir: seed%dirShare == 0, attempts: 1 + r.IntN(3), order: brazetest.ChangeOrder(r.IntN(3)),
		share: 0.25, count: 2, cohorts: 1 + r.IntN(2),
	}
	if r.IntN(3) == 0 {
		h.share = 1
	}
	if r.IntN(4) == 0 {
		h.delay = time.Minute
	}
	h.reading = reading{aliasIdentifiedOnly: r.IntN(5) == 0, ignoreFormer: r.IntN(5) == 0}
	kinds := operationKinds()
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	for range leastOperations + r.IntN(16) {
		n := r.IntN(total)
		for _, k := range kinds {
			if n -= k.weight; n < 0 {
				h.operations = append(h.operations, operation{k, r.Uint64()})
				break
			}
		}
	}
	return h
}

func (h randomHistory) String() string {
	return fmt.Sprintf("seed %d: ledger in files: %t, %d attempts, change order %d, guard at %v and %d, %d cohorts, visible after %v, %+v, %d operations",
		h.seed, h.dir, h.attempts, h.order, h.share, h.count, h.cohorts, h.delay, h.reading, len(h.operations))
}

// played is what came of a history.
type played struct {
	counts  map[string]int
	trace   []string
	failure string
}

// play plays a history in a bubble of its own.
func play(t *testing.T, h randomHistory) (p played) {
	t.Helper()
	folder := ""
	if h.dir {
		folder = t.TempDir()
	}
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, h, folder)
		for i, o := range h.operations {
			m.r = rand.New(rand.NewPCG(o.seed, 2))
			m.notef("%d. %s", i+1, o.kind.name)
			o.kind.do(m)
			if m.failure != "" {
				break
			}
		}
		if m.failure == "" {
			m.r = rand.New(rand.NewPCG(h.seed, 3))
			m.notef("at last")
			m.finish()
		}
		if err := m.server.Close(); err != nil {
			m.failf("%v", err)
		}
		p = played{m.counts, m.trace, m.failure}
	})
	return p
}

// shrink leaves operations out as long as the history still fails, and returns the last failure.
func shrink(t *testing.T, h randomHistory, p played) (randomHistory, played) {
	t.Helper()
	for size := len(h.operations) / 2; size > 0; {
		found := false
		for at := 0; at+size <= len(h.operations); {
			shorter := h
			shorter.operations = slices.Delete(slices.Clone(h.operations), at, at+size)
			if again := play(t, shorter); again.failure != "" {
				h, p, found = shorter, again, true
				continue
			}
			at += size
		}
		if !found || size > 1 {
			size /= 2
		}
	}
	return h, p
}

// TestHistories plays random histories of a workspace, its people, a caller and an endpoint in trouble. What is checked is told in the books.
func TestHistories(t *testing.T) {
	t.Parallel()
	first := *firstHistory
	if first == 0 {
		first = rand.Uint64() >> 24
	}
	t.Logf("%d histories from -seed=%d", *histories, first)
	var next atomic.Int64
	var mu sync.Mutex
	var failed *randomHistory
	var failure played
	counts := map[string]int{}
	t.Run("play", func(t *testing.T) {
		var group sync.WaitGroup
		for range workers * runtime.GOMAXPROCS(0) {
			group.Go(func() {
				for {
					n := next.Add(1) - 1
					mu.Lock()
					over := n >= int64(*histories) || failed != nil
					mu.Unlock()
					if over {
						return
					}
					h := newRandomHistory(first + uint64(n))
					p := play(t, h)
					mu.Lock()
					for event, n := range p.counts {
						counts[event] += n
					}
					for _, setting := range []struct {
						name string
						on   bool
					}{
						{"histories with a ledger in files", h.dir}, {"histories with changes that show late", h.delay > 0},
						{"histories where aliases match identified profiles alone", h.reading.aliasIdentifiedOnly},
						{"histories where former external IDs match nobody", h.reading.ignoreFormer},
					} {
						if setting.on {
							counts[setting.name]++
						}
					}
					counts["histories"]++
					counts["operations"] += len(h.operations)
					if p.failure != "" && failed == nil {
						failed, failure = &h, p
						t.Logf("after %d histories: %s", counts["histories"], p.failure)
					}
					mu.Unlock()
				}
			})
		}
		group.Wait()
	})
	if failed != nil {
		h, p := shrink(t, *failed, failure)
		t.Fatalf("%v; with the least that fails:\n%s", h, strings.Join(p.trace, "\n"))
	}
	for _, event := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%8d %s", counts[event], event)
	}
	for _, e := range seldom() {
		if least := e.leastIn(*histories); counts[e.event] < least {
			t.Errorf("%q happened %d times, want %d", e.event, counts[e.event], least)
		}
	}
	for _, e := range []struct{ excuse, of string }{
		{"excused: unmatched", "promised: in"}, {"excused: untold", "promised: in"}, {"excused: moved", "promised: out"}, {"excused: mistaken", "promised: out"},
	} {
		if counts[e.excuse]*20 > counts[e.of] {
			t.Errorf("%q was needed %d times, which is more than 5 %% of the %d of %q", e.excuse, counts[e.excuse], counts[e.of], e.of)
		}
	}
}

// rare is how often something has to happen in a thousand histories, which is about a third of how often it does.
type rare struct {
	least int
	event string
}

// leastIn is how often that is in n histories. In fewer than a thousand, as under the race detector, chance has its way with small numbers: it is five
// standard deviations less than how often it happens, where that is less than the share.
func (r rare) leastIn(n int) int {
	least := float64(r.least) * float64(n) / 1000
	if n >= 1000 {
		return int(least)
	}
	usual := 3 * least
	return int(max(0, min(least, usual-5*math.Sqrt(usual))))
}

func seldom() []rare {
	list := []rare{
		{20_000, "operations"}, {40, "histories with a ledger in files"}, {80, "histories with changes that show late"},
		{65, "histories where aliases match identified profiles alone"}, {65, "histories where former external IDs match nobody"},
		{15_000, "promised: in"}, {15_000, "promised: out"}, {5000, "runs that promise somebody"},
		{4500, "sync: the same again"}, {45, "sync: members repeated after the removal of a twin"}, {800, "sync: members repeated because they were in doubt"},
		{350, "sync: nothing after an error of a row"}, {200, "sync of all cohorts"}, {100, "sync of several cohorts"},
		{450, "plan: came true"}, {700, "plan: kept nothing"},
		{500, "guard: tripped"}, {200, "guard: approved"}, {40, "guard: the audience came back"},
		{250, "apply, well"}, {40, "apply, with an error"}, {300, "drained"}, {60, "drain, with an error"},
		{200, "erased"}, {35, "erase, with an error"}, {6, "erase: no trace in the files"},
		{250, "reassert, well"}, {100, "reassert, with an error"}, {7, "reassert: put in somebody who came late"},
		{130, "rebuilt"}, {40, "rebuild: not filled"}, {7, "rebuild: not drained"},
		{200, "lease: refused"}, {250, "lease: refused during a run"}, {400, "restarted"}, {20, "retired: refused"}, {200, "renamed"}, {300, "rules changed"},
		{150, "put on the list"}, {150, "put on the list by one identifier"}, {75, "taken off the list"},
		{500, "ended: unknown"}, {120, "ended: cancelled"}, {40, "ended: locked"}, {40, "ended: rate limited"}, {65, "ended: unauthorized"}, {65, "ended: refused"},
		{500, "ended: held"}, {150, "ended: empty source"}, {60, "ended: no record"},
		{300, "world: a person signs up"}, {300, "world: the caller hears of a person before Braze does"}, {350, "world: a known person gets a profile late"},
		{400, "world: a profile is identified"}, {350, "world: a profile is identified as a known one"}, {500, "world: two profiles are merged"},
		{700, "world: an external ID is renamed"}, {80, "world: a former external ID ends"}, {300, "world: an alias is renamed"},
		{250, "world: an alias gets another label"}, {165, "world: a profile gets an alias"}, {40, "world: an alias changes hands"}, {400, "world: a person uses another device"},
		{300, "world: a profile is deleted"},
	}
	for _, f := range troubles(nil) {
		list = append(list, rare{60, "fault: " + f.name})
	}
	return list
}
