package ledger_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

var histories = flag.Int("histories", ledger.DefaultHistories, "how many random histories TestRandomHistories plays against each ledger")

// TestRandomHistories plays random histories against a ledger and against a plain map, and compares all that can be seen after each step.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	for name, made := range ledgers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			short := slices.DeleteFunc(identifiers(), func(id identity.ID) bool { return len(id.Encode()) > 1000 }) // length has a test of its own
			var count counts
			for n := range uint64(max(1, *histories)) {
				h := &history{T: t, random: rand.New(rand.NewPCG(seed, n)), again: made(t), count: &count, short: short}
				h.run()
				if t.Failed() {
					t.Fatalf("seed %d, history %d, after: %v", seed, n, h.steps)
				}
			}
			t.Logf("seed %d: %+v", seed, count)
			n := *histories
			floor := counts{Begun: 5 * n, Settled: 3 * n, Compared: 5 * n, Reopened: 2 * n, Headers: n, Meanwhile: n, Twins: n}
			for _, c := range []struct {
				what      string
				got, want int
			}{
				{"intents", count.Begun, floor.Begun}, {"settlements", count.Settled, floor.Settled}, {"comparisons", count.Compared, floor.Compared},
				{"sessions", count.Reopened, floor.Reopened}, {"headers", count.Headers, floor.Headers}, {"changes while a part was read", count.Meanwhile, floor.Meanwhile},
				{"repeats for a twin", count.Twins, floor.Twins},
			} {
				if c.got < c.want {
					t.Errorf("%d %s, want at least %d", c.got, c.what, c.want)
				}
			}
		})
	}
}

type counts struct{ Begun, Settled, Compared, Reopened, Headers, Meanwhile, Twins int }

// history is one run and the model of what its ledger must say.
type history struct {
	*testing.T

	random  *rand.Rand
	again   func() ledger.Ledger
	session ledger.Session
	steps   []string
	count   *counts
	short   []identity.ID // of which some are in the pool

	pool   []identity.ID
	states map[identity.ID]ledger.State
	open   map[ledger.Intent]intent
	header ledger.Header
	wrote  bool // in this session
}

type intent struct{ removals, adds []ledger.Member }

func (h *history) run() {
	pool := slices.Clone(h.short)
	h.random.Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
	h.pool = pool[:10+h.random.IntN(40)]
	if h.random.IntN(20) == 0 { // and now and then many
		for i := range 1000 {
			h.pool = append(h.pool, identity.ExternalID(fmt.Sprint("n-", i)))
		}
	}
	h.states, h.open = map[identity.ID]ledger.State{}, map[ledger.Intent]intent{}
	h.session = open(h, h.again(), key("a"))
	for range 20 + h.random.IntN(20) {
		switch n := h.random.IntN(20); {
		case n < 6:
			h.begin()
		case n < 10:
			h.settle()
		case n < 16:
			h.compare()
		case n < 18:
			h.setHeader()
		default:
			h.reopen()
		}
		h.check()
		if h.Failed() {
			return
		}
	}
	h.reopen()
	h.check()
	shut(h, h.session)
}

func (h *history) stepf(format string, args ...any) {
	h.steps = append(h.steps, fmt.Sprintf(format, args...))
}

// record is called with whatever a session records, the first of which makes a generation.
func (h *history) record() {
	if !h.wrote {
		h.wrote = true
		h.header.Generation++
	}
}

// free returns some identifiers that no open intent changes.
func (h *history) free() []identity.ID {
	busy := map[identity.ID]bool{}
	for _, i := range h.open {
		for _, m := range slices.Concat(i.removals, i.adds) {
			busy[m.ID] = true
		}
	}
	var ids []identity.ID
	share := 1 + h.random.IntN(8)
	for _, id := range h.pool {
		if !busy[id] && h.random.IntN(8) < share {
			ids = append(ids, id)
		}
	}
	return ids
}

func (h *history) begin() {
	var i intent
	for _, id := range h.free() {
		m := ledger.Member{ID: id, State: h.states[id]}
		if h.random.IntN(10) == 0 {
			m.State = ledger.Unknown // as whoever did not ask says
		}
		if h.random.IntN(2) == 0 {
			i.removals = append(i.removals, m)
		} else {
			i.adds = append(i.adds, m)
		}
	}
	if h.random.IntN(3) == 0 {
		i.removals = nil
	}
	if len(i.removals)+len(i.adds) == 0 {
		return
	}
	h.stepf("begin %d removals, %d adds", len(i.removals), len(i.adds))
	n := begin(h, h.session, i.removals, i.adds)
	if _, twice := h.open[n]; twice {
		h.Errorf("intent %d was given out twice", n)
	}
	h.open[n] = i
	for _, m := range slices.Concat(i.removals, i.adds) {
		h.states[m.ID] = ledger.Unknown
	}
	h.record()
	h.count.Begun++
}

func (h *history) settle() {
	if len(h.open) == 0 {
		return
	}
	// Not in the order of the map, which no seed repeats.
	var numbers []ledger.Intent
	for n := range h.open {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	n := numbers[h.random.IntN(len(numbers))]
	outcome := []ledger.Outcome{ledger.Accepted, ledger.Accepted, ledger.Refused, ledger.Lost}[h.random.IntN(4)]
	h.stepf("settle %d of %d: %v", n, len(numbers), outcome)
	settle(h, h.session, n, outcome)
	become := func(list []ledger.Member, accepted ledger.State) {
		for _, m := range list {
			switch outcome {
			case ledger.Accepted:
				h.states[m.ID] = accepted
			case ledger.Refused:
				h.states[m.ID] = m.State
			default:
				h.states[m.ID] = ledger.Unknown
			}
			if h.states[m.ID] == ledger.Out {
				delete(h.states, m.ID)
			}
		}
	}
	become(h.open[n].removals, ledger.Out)
	become(h.open[n].adds, ledger.In)
	delete(h.open, n)
	h.record()
	h.count.Settled++
}

func (h *history) setHeader() {
	h.stepf("header")
	next := ledger.Header{Name: fmt.Sprint("name ", h.random.IntN(5)), Naming: ledger.Naming(h.random.IntN(3)), Retired: h.random.IntN(2) == 0}
	next.CreatedAt = time.Unix(h.random.Int64N(1<<32), h.random.Int64N(1e9)).UTC()
	for range h.random.IntN(20) {
		next.Sent[h.random.IntN(ledger.Slices)] = h.random.Int64N(1 << 40)
	}
	next.Generation = h.random.Uint64() // which is the entry's own all the same
	setHeader(h, h.session, next)
	next.Generation = h.header.Generation
	h.header = next
	h.record()
	h.count.Headers++
}

func (h *history) reopen() {
	h.stepf("reopen with %d open intents", len(h.open))
	shut(h, h.session)
	h.session = open(h, h.again(), key("a"))
	h.wrote = false
	clear(h.open) // their members stay unknown
	h.count.Reopened++
}

func (h *history) check() {
	h.Helper()
	want := states{}
	for id, state := range h.states {
		want[show(id)] = state
	}
	// Most of the time is spent here, so cmp is asked only where it has something to say.
	if got := members(h, h.session.Members(h.Context())); !maps.Equal(want, got) {
		h.Errorf("members (-want +got):\n%s", cmp.Diff(want, got))
	}
	if got := h.session.Header(); h.header != got {
		if diff := cmp.Diff(h.header, got); diff != "" { // two times can be equal and not the same
			h.Errorf("header (-want +got):\n%s", diff)
		}
	}
}

func (h *history) compare() {
	share := h.random.IntN(9)
	var wanted []ledger.Wanted
	pick := func() identity.ID { return h.pool[h.random.IntN(len(h.pool))] }
	for _, id := range h.pool {
		if h.random.IntN(8) >= share {
			continue
		}
		w := ledger.Wanted{ID: id}
		for h.random.IntN(4) > 0 { // most of them are out, or wanted themselves
			w.Others = append(w.Others, pick())
		}
		wanted = append(wanted, w)
		for h.random.IntN(8) == 0 { // again, perhaps with another twin
			wanted = append(wanted, ledger.Wanted{ID: id, Others: []identity.ID{pick()}})
		}
	}
	h.random.Shuffle(len(wanted), func(i, j int) { wanted[i], wanted[j] = wanted[j], wanted[i] })
	h.stepf("compare with %d", len(wanted))
	d, err := h.session.Compare(h.Context(), source(wanted...))
	if err != nil {
		h.Fatal(err)
	}
	want := h.expect(wanted)
	if h.random.IntN(2) == 0 {
		// The parts tell what was, however much is recorded while they are read.
		next := d.Removals
		if next.Count == 0 {
			next = d.Adds
		}
		read := 0
		for _, err := range next.Members {
			if err != nil {
				h.Fatal(err)
			}
			if read++; read > 3 {
				continue // a part has thousands of members at times
			}
			h.count.Meanwhile++
			if h.random.IntN(2) == 0 {
				h.begin()
			} else {
				h.settle()
			}
		}
		if read != next.Count {
			h.Errorf("a part of %d members yielded %d", next.Count, read)
		}
	}
	if got := read(h, d); !want.same(got) {
		h.Errorf("difference (-want +got):\n%s", cmp.Diff(want, got))
	}
	h.count.Compared++
}

// expect works the difference out from the definition, one person after the other.
func (h *history) expect(wanted []ledger.Wanted) difference {
	d := difference{Members: len(h.states), Removals: states{}, Adds: states{}, Repeats: states{}}
	others := map[identity.ID][]identity.ID{}
	for _, w := range wanted {
		if _, named := others[w.ID]; named {
			d.Duplicate++
		}
		others[w.ID] = append(append([]identity.ID{}, others[w.ID]...), w.Others...)
	}
	removed := func(id identity.ID) bool { return h.states[id] != ledger.Out && others[id] == nil }
	for id, state := range h.states {
		if removed(id) {
			d.Removals[show(id)] = state
		}
	}
	for id, list := range others {
		switch state := h.states[id]; {
		case state == ledger.Out:
			d.Adds[show(id)] = state
		case state == ledger.Unknown:
			d.Repeats[show(id)] = state
		case slices.ContainsFunc(list, removed):
			d.Repeats[show(id)] = state
			h.count.Twins++
		default:
			d.Kept++
		}
	}
	return d
}
