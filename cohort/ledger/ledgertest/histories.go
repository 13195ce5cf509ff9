package ledgertest

import (
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// Histories plays n random histories, each of an entry of its own in one store: sessions begin intents, settle them, compare while others
// record, set headers, close and open again, and keep times, tidy and purge where they can. After each step everything that can be seen is compared
// with a plain map. A history takes some thirty steps, and goes on until it has done everything at least once; the log says how much all of them did.
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
			states: map[identity.ID]ledger.State{}, intents: map[ledger.Intent]intent{}, events: map[[16]byte][]*event{},
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
	Stamped, Tidied                             int // of a Timekeeper
}

func (c *counts) add(o counts) {
	c.Begun += o.Begun
	c.Settled += o.Settled
	c.Compared += o.Compared
	c.Reopened += o.Reopened
	c.Headers += o.Headers
	c.Meanwhile += o.Meanwhile
	c.Twins += o.Twins
	c.Stamped += o.Stamped
	c.Tidied += o.Tidied
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

	keeps     bool // the session is a Timekeeper
	watermark int64
	events    map[[16]byte][]*event
}

// intent is what a history began.
type intent struct {
	removals, adds []ledger.Member
	events         []*event
}

// event is a stamp and what became of its intent, which is Lost until it is settled.
type event struct {
	stamp   ledger.Stamp
	outcome ledger.Outcome
}

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
	_, h.keeps = h.session.(ledger.Timekeeper)
	for step, steps := 0, 20+h.random.IntN(20); step < steps || !h.didAll(); step++ {
		if step == maxSteps {
			h.Fatalf("ledgertest: a history did not do everything in %d steps: %+v", step, h.count)
		}
		switch n := h.random.IntN(22); {
		case n < 6:
			h.begin()
		case n < 10:
			h.settle()
		case n < 16:
			h.compare()
		case n < 18:
			h.setHeader()
		case n < 20:
			h.rewrite()
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

func (h *history) didAll() bool {
	c := h.count
	return min(c.Begun, c.Settled, c.Compared, c.Reopened, c.Headers, c.Meanwhile, c.Twins) > 0 && (!h.keeps || min(c.Stamped, c.Tidied) > 0)
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
	// The slices are the caller's again when Begin returns.
	removals, adds := slices.Clone(i.removals), slices.Clone(i.adds)
	var n ledger.Intent
	if h.keeps && h.random.IntN(2) == 0 {
		n = h.beginStamped(&i, removals, adds)
	} else {
		h.stepf("begin %d removals, %d adds", len(removals), len(adds))
		n = h.trial.begin(h.session, removals, adds)
	}
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

// beginStamped begins with a stamp for each member, at a time around the watermark.
func (h *history) beginStamped(i *intent, removals, adds []ledger.Member) ledger.Intent {
	var stamps []ledger.Stamp
	draw := func(list []ledger.Member, leave bool) {
		for _, m := range list {
			hash := fnv.New128a()
			_, _ = hash.Write([]byte(m.ID.Encode())) // never fails
			stamps = append(stamps, ledger.Stamp{
				Member: [16]byte(hash.Sum(nil)), At: h.watermark + h.random.Int64N(20) - 4, Leave: leave, Sure: h.random.IntN(2) == 0,
			})
		}
	}
	draw(removals, true)
	draw(adds, false)
	for _, s := range stamps {
		e := &event{stamp: s}
		i.events = append(i.events, e)
		h.events[s.Member] = append(h.events[s.Member], e)
	}
	watermark := h.watermark + h.random.Int64N(20) - 15
	h.watermark = max(h.watermark, watermark)
	h.stepf("begin %d removals, %d adds with stamps above %d", len(removals), len(adds), watermark)
	n, err := h.keeper(h.session).BeginStamped(h.Context(), removals, adds, stamps, watermark)
	if err != nil {
		h.Fatalf("Timekeeper.BeginStamped of %d removals and %d additions: %v", len(removals), len(adds), err)
	}
	clear(stamps)
	h.count.Stamped++
	return n
}

// checkStamps works out from all events what a Timekeeper must say.
func (h *history) checkStamps() {
	h.Helper()
	if !h.keeps {
		return
	}
	var want []ledger.Stamp
	for _, events := range h.events {
		var newest *ledger.Stamp
		for _, e := range events {
			if e.outcome == ledger.Refused || e.stamp.At <= h.watermark {
				continue
			}
			s := e.stamp
			s.Sure = e.outcome == ledger.Accepted
			if newest == nil || s.Compare(*newest) > 0 {
				newest = &s
			} else if s.Compare(*newest) == 0 {
				newest.Sure = newest.Sure || s.Sure
			}
		}
		if newest != nil {
			want = append(want, *newest)
		}
	}
	h.wantStamps("Timekeeper.Stamps", h.session, h.watermark, want...)
}

// rewrite has the storage written anew. Purge may be called while intents are open, Tidy may not.
func (h *history) rewrite() {
	if h.random.IntN(4) == 0 {
		h.stepf("purge with %d open intents", len(h.intents))
		h.purge(h.session)
	}
	if !h.keeps {
		return
	}
	for len(h.intents) > 0 {
		h.settle()
	}
	h.stepf("tidy")
	if err := h.keeper(h.session).Tidy(h.Context()); err != nil {
		h.Fatalf("Timekeeper.Tidy: %v", err)
	}
	h.count.Tidied++
	h.checkStamps()
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
	for _, e := range h.intents[n].events {
		e.outcome = outcome
	}
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
	h.checkStamps()
	h.session = h.trial.reopen(h.session, h.key)
	h.wrote = false
	clear(h.intents) // their members stay unknown
	h.checkStamps()
	h.count.Reopened++
}

func (h *history) check() {
	h.Helper()
	want := states{}
	for id, state := range h.states {
		want[show(id)] = state
	}
	h.wantMembers("Session.Members", h.session, want)
	h.wantHeader("Session.Header", h.header, h.session.Header())
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
	h.wantDifference("Session.Compare", want, h.readAll(d))
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
