package ledgertest

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// Histories plays n random histories, each of an entry of its own in one store: sessions begin intents, settle them, compare while others
// record, set headers, close and open again. After each step everything that can be seen is compared with a plain map. A history takes some
// thirty steps, and goes on until it has done everything at least once; the log says how much all of them did.
//
// Histories of one seed are the same. Give rand.Uint64() for others each time: a failure names the seed, the number of the history and its steps, and
// is the last. With fewer than one history the test fails, for it would show nothing.
func Histories(tb testing.TB, fresh func(tb testing.TB) Store, seed uint64, n int) {
	tb.Helper()
	if n < 1 {
		tb.Fatalf("ledgertest: %d histories show nothing: play one at least", n)
	}
	t := newTrial(tb, fresh)
	// Identifiers that are very long have a test of their own.
	short := slices.DeleteFunc(identifiers(), func(id identity.ID) bool { return len(id.Encode()) > 1000 })
	var all counts
	for number := range uint64(n) {
		h := &history{
			trial: t, name: fmt.Sprintf("seed %d, history %d", seed, number),
			key: key(fmt.Sprint("history ", number)), random: rand.New(rand.NewPCG(seed, number)),
			states: map[identity.ID]ledger.State{}, intents: map[ledger.Intent]intent{},
		}
		if h.play(short); t.Failed() {
			return
		}
		all.add(h.count)
	}
	t.Logf("seed %d, %d histories: %+v", seed, n, all)
}

// counts says how often a history did something.
type counts struct {
	Begun, Settled, Compared, Reopened, Headers int
	Meanwhile                                   int // recorded while a part was read
	Twins                                       int // repeated for another identifier of the person
}

func (c *counts) add(o counts) {
	c.Begun += o.Begun
	c.Settled += o.Settled
	c.Compared += o.Compared
	c.Reopened += o.Reopened
	c.Headers += o.Headers
	c.Meanwhile += o.Meanwhile
	c.Twins += o.Twins
}

// each reports whether everything was done.
func (c *counts) each() bool {
	return min(c.Begun, c.Settled, c.Compared, c.Reopened, c.Headers, c.Meanwhile, c.Twins) > 0
}

// history is one run and the model of what its entry must say.
type history struct {
	*trial

	name    string
	key     ledger.Key
	random  *rand.Rand
	session ledger.Session
	steps   []string
	count   counts

	pool    []identity.ID
	states  map[identity.ID]ledger.State
	intents map[ledger.Intent]intent // that are open
	header  ledger.Header
	wrote   bool // in this session
}

type intent struct{ removals, adds []ledger.Member }

// maxSteps is when a history that has not done everything is given up.
const maxSteps = 2000

func (h *history) play(ids []identity.ID) {
	defer func() {
		if h.Failed() {
			h.Logf("%s, after: %s", h.name, strings.Join(h.steps, "; "))
		}
	}()
	pool := slices.Clone(ids)
	h.random.Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
	h.pool = pool[:10+h.random.IntN(40)]
	if h.random.IntN(20) == 0 { // and now and then many
		for i := range 1000 {
			h.pool = append(h.pool, external(fmt.Sprint("n-", i)))
		}
	}
	h.session = h.open(h.key)
	for step, steps := 0, 20+h.random.IntN(20); step < steps || !h.count.each(); step++ {
		if step == maxSteps {
			h.Fatalf("ledgertest: a history did not do everything in %d steps: %+v", step, h.count)
		}
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
	h.shut(h.session)
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
	for _, i := range h.intents {
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
	// The slices are the caller's again when Begin returns.
	removals, adds := slices.Clone(i.removals), slices.Clone(i.adds)
	n := h.trial.begin(h.session, removals, adds)
	clear(removals)
	clear(adds)
	if _, twice := h.intents[n]; twice {
		h.Errorf("Session.Begin gave out intent %d, which is open", n)
	}
	h.intents[n] = i
	for _, m := range slices.Concat(i.removals, i.adds) {
		h.states[m.ID] = ledger.Unknown
	}
	h.record()
	h.count.Begun++
}

func (h *history) settle() {
	if len(h.intents) == 0 {
		return
	}
	// Not in the order of the map, which no seed repeats.
	var numbers []ledger.Intent
	for n := range h.intents {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	n := numbers[h.random.IntN(len(numbers))]
	outcome := []ledger.Outcome{ledger.Accepted, ledger.Accepted, ledger.Refused, ledger.Lost}[h.random.IntN(4)]
	h.stepf("settle %d, one of %d open, as %v", n, len(numbers), outcome)
	h.trial.settle(h.session, n, outcome)
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
	become(h.intents[n].removals, ledger.Out)
	become(h.intents[n].adds, ledger.In)
	delete(h.intents, n)
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
	h.trial.setHeader(h.session, next)
	next.Generation = h.header.Generation
	h.header = next
	h.record()
	h.count.Headers++
}

func (h *history) reopen() {
	h.stepf("reopen with %d open intents", len(h.intents))
	h.session = h.trial.reopen(h.session, h.key)
	h.wrote = false
	clear(h.intents) // their members stay unknown
	h.count.Reopened++
}

func (h *history) check() {
	h.Helper()
	want := states{}
	for id, state := range h.states {
		want[show(id)] = state
	}
	// Most of the time is spent here, so lines are made only where there is something to say.
	if got := h.members(h.session); !maps.Equal(want, got) {
		h.wantStates("Session.Members", want, got)
	}
	if got := h.session.Header(); h.header != got { // two times can be equal and not the same
		h.wantHeader("Session.Header", h.header, got)
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
	d := h.compareWith(h.session, buffered(wanted))
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
				h.Fatalf("Part.Members, while Begin and Settle are called: %v", err)
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
			h.Errorf("Part.Members, while Begin and Settle are called, yields %d members, want %d", read, next.Count)
		}
	}
	if got := h.readAll(d); !want.equal(got) {
		h.wantDifference("Session.Compare", want, got)
	}
	h.count.Compared++
}

// buffered yields wanted people with one slice for the others of all.
func buffered(wanted []ledger.Wanted) iter.Seq2[ledger.Wanted, error] {
	return func(yield func(ledger.Wanted, error) bool) {
		var others []identity.ID
		for _, w := range wanted {
			others = append(others[:0], w.Others...)
			if w.Others = others; !yield(w, nil) {
				return
			}
		}
	}
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
