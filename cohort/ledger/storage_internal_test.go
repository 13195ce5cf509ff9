package ledger

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"hash/maphash"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/identity"
)

// storages are the ledgers that keep their entries on a disk.
var storages = []storage{
	{name: "toy", open: newToy(flawless), big: 100},
	{name: "dir", open: openSmall, big: 100},
}

// openSmall opens a Dir that writes its files anew as soon as there is anything to gain.
func openSmall(d disk) (Ledger, error) {
	dir, err := openDir("state", d)
	if err != nil {
		return nil, err
	}
	dir.small = 1 << 10
	return dir, nil
}

// storage is a ledger to be put through crashes and faults.
type storage struct {
	name string
	// open opens the ledger that is on a disk, or makes one.
	open func(disk) (Ledger, error)
	// big is how many members are in the large session, which is to make the ledger write its files anew.
	big int
	// every is the distance between two crashes or faults that are tried, in those that there can be.
	every int
}

var (
	survivors = flag.Int("survivors", 1, "how many disks the storage tests draw by lot after each crash, besides those of the pessimist and the optimist")
	every     = flag.Int("every", defaultEvery, "the storage tests disturb every so manieth operation, and TestDamage every so manieth byte, from one by chance on; 1 for each")
)

// TestStorageCrashes lets the power go after each operation in turn, or with -every=N after every Nth.
func TestStorageCrashes(t *testing.T) {
	t.Parallel()
	for _, s := range storages {
		s.every = max(1, *every)
		for _, c := range []struct {
			name   string
			script func(*run)
			least  int
		}{{"in turn", (*run).inTurn, 150}, {"at once", (*run).atOnce, 100}} {
			t.Run(s.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				seed := rand.Uint64()
				n, err := s.crashes(t.Context(), c.script, seed)
				t.Logf("seed %d: %d crashes, %d disks, of which %d were not seen before", seed, n.points, n.disks, n.checked)
				if err != nil {
					t.Fatal(err)
				}
				if n.points < c.least/s.every || n.disks < n.points*(2+*survivors) || n.checked < n.points {
					t.Errorf("too little was tried")
				}
			})
		}
	}
}

// TestStorageFaults lets each operation in turn fail, in each way it can; or with -every=N every Nth of these ways.
func TestStorageFaults(t *testing.T) {
	t.Parallel()
	for _, s := range storages {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			s.every = max(1, *every)
			n, err := s.faults(t.Context(), (*run).inTurn, seed)
			t.Logf("seed %d: %d faults, %d disks, of which %d were not seen before", seed, n.points, n.disks, n.checked)
			if err != nil {
				t.Fatal(err)
			}
			if n.points < 250/s.every || n.disks < n.points*(2+*survivors) || n.checked < n.points/4 {
				t.Errorf("too little was tried")
			}
		})
	}
}

// TestStorageFindsFlaws shows that what the tests above look for they find.
func TestStorageFindsFlaws(t *testing.T) {
	t.Parallel()
	for f := flawless + 1; f < flaws; f++ {
		t.Run(fmt.Sprint("flaw ", f), func(t *testing.T) {
			t.Parallel()
			s := storage{open: newToy(f), big: 30, every: 1}
			first, second := s.crashes, s.faults
			if f == flawGoesOn || f == flawTrustsCache {
				first, second = s.faults, s.crashes // what goes wrong after a failed operation, crashes alone do not show
			}
			_, err := first(t.Context(), (*run).inTurn, uint64(f))
			if err == nil {
				_, err = second(t.Context(), (*run).inTurn, uint64(f))
			}
			if err == nil {
				t.Fatal("nothing was found")
			}
			t.Log(err)
		})
	}
}

// tally is how much was tried.
type tally struct{ points, disks, checked int }

// among reports whether the nth of something is to be tried. The seed says from which one on.
func (s storage) among(n int, seed uint64) bool {
	return (uint64(n)+seed)%uint64(s.every) == 0
}

// crashes runs the script with the power going after 0, 1, 2… operations, until there are no more.
func (s storage) crashes(ctx context.Context, script func(*run), seed uint64) (tally, error) {
	n := tally{}
	seen := map[string]bool{}
	whole := s.run(ctx, script, func(*simDisk) {})
	if err := whole.verdict(); err != nil {
		return n, fmt.Errorf("without a crash: %w", err)
	}
	ops := whole.disk.mend()
	for k, different := 0, 0; ; k++ {
		if k > 0 && k <= ops && whole.calls >= 0 && whole.disk.ops[k-1].reads() {
			continue // the disk is what it was an operation ago
		}
		if different++; !s.among(different, seed) {
			continue
		}
		r := s.run(ctx, script, func(d *simDisk) { d.crash(k) })
		if r.wrong != nil {
			return n, fmt.Errorf("the power went after %d of %d operations: %w", k, ops, r.wrong)
		}
		done := r.disk.mend() < k || r.err == nil
		if !done && !errors.Is(r.err, errCrashed) {
			return n, fmt.Errorf("the power went after %d of %d operations, and %s answered %w", k, ops, r.last, r.err)
		}
		n.points++
		if err := r.examine(ctx, &n, seen, seed+uint64(k)); err != nil {
			return n, fmt.Errorf("the power went after %d of %d operations, during %s: %w", k, ops, r.last, err)
		}
		if done {
			return n, nil
		}
	}
}

// faults runs the script with one operation failing, each in turn and in each way.
func (s storage) faults(ctx context.Context, script func(*run), seed uint64) (tally, error) {
	n := tally{}
	seen := map[string]bool{}
	whole := s.run(ctx, script, func(*simDisk) {})
	if err := whole.verdict(); err != nil {
		return n, fmt.Errorf("without a fault: %w", err)
	}
	ops := slices.Clone(whole.disk.ops)
	ways := 0
	for k, op := range ops {
		for _, fault := range faultsOf(op) {
			if ways++; !s.among(ways, seed) {
				continue
			}
			r := s.run(ctx, script, func(d *simDisk) { d.fail(k, fault) })
			where := fmt.Sprintf("operation %d of %d, %v, had %v, during %s", k, len(ops), op, fault, r.last)
			r.disk.mend()
			switch {
			case r.wrong != nil:
				return n, fmt.Errorf("%s: %w", where, r.wrong)
			case !r.disk.failed:
				return n, fmt.Errorf("%s: the second run took another way than the first", where)
			// To have removed a file, or to have its removal on the disk, may not matter; if it does the members tell.
			// The note of who holds the lock is for people.
			case r.err == nil && op != opRemove && op != opSyncDir && !strings.HasSuffix(r.disk.failedName, ".holder"):
				return n, fmt.Errorf("%s: no call failed", where)
			}
			n.points++
			if err := r.examine(ctx, &n, seen, seed+uint64(k)); err != nil {
				return n, fmt.Errorf("%s: %w", where, err)
			}
			if err := r.goOn(ctx, seed+uint64(k)); err != nil {
				return n, fmt.Errorf("%s, and afterwards: %w", where, err)
			}
		}
	}
	return n, nil
}

// goOn uses the disk as it is after a fault: there was no crash, and it comes later.
func (r *run) goOn(ctx context.Context, seed uint64) error {
	k := storageKey("a")
	r.err = nil
	r.restart()
	r.openEntry(k)
	r.change(k, nil, people(600, 605), Accepted)
	r.change(k, people(600, 602), people(605, 607), Lost)
	lots := []survival{pessimist{}, chance{rand.New(rand.NewPCG(seed, 0))}}
	if r.err == nil { // else there is less on the disk than the facts say
		for _, left := range lots {
			if err := r.check(ctx, r.disk.survivor(left)); err != nil {
				return fmt.Errorf("the power went: %w", err)
			}
		}
	}
	r.closeEntry(k)
	if r.err != nil {
		return fmt.Errorf("%s: %w", r.last, r.err)
	}
	if r.wrong != nil {
		return r.wrong
	}
	if err := r.check(ctx, r.disk.survivor(pessimist{})); err != nil {
		return fmt.Errorf("closed, and the power went: %w", err)
	}
	return r.check(ctx, r.disk)
}

// examine checks the disks that may be left of the run's.
func (r *run) examine(ctx context.Context, n *tally, seen map[string]bool, seed uint64) error {
	for i := range 2 + *survivors {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		how, left := fmt.Sprintf("lot %d of seed %d", i, seed), survival(chance{random})
		switch i {
		case 0:
			how, left = "everything unsynced lost", pessimist{}
		case 1:
			how, left = "nothing lost", optimist{}
		}
		d := r.disk.survivor(left)
		n.disks++
		// What was found right once, of a run that had come as far, need not be looked at again.
		mark := fmt.Sprint(r.calls, "/", d.sum(sumSeed))
		if r.calls >= 0 && seen[mark] {
			continue
		}
		seen[mark] = true
		n.checked++
		// The power may go again before the ledger is open.
		if i > 0 {
			if err := r.crashAgain(ctx, d, random); err != nil {
				return fmt.Errorf("%s, and the power went again: %w", how, err)
			}
		}
		if err := r.check(ctx, d); err != nil {
			return fmt.Errorf("%s: %w", how, err)
		}
	}
	return nil
}

var sumSeed = maphash.MakeSeed()

// crashAgain lets the power go while the ledger is opened on a copy of a disk, and checks what is left then.
func (r *run) crashAgain(ctx context.Context, d *simDisk, random *rand.Rand) error {
	opening := func(d *simDisk) {
		l, err := r.open(d)
		if err != nil {
			return
		}
		for key := range r.entries {
			if s, err := l.Open(ctx, key); err == nil {
				_ = s.Close()
			}
		}
	}
	whole := d.survivor(optimist{})
	opening(whole)
	again := d.survivor(optimist{})
	again.crash(random.IntN(whole.mend() + 1))
	opening(again)
	return r.recheck(ctx, again.survivor(chance{random}))
}

// run is one passage of a script: what a ledger was told, and what may be true at the endpoint.
type run struct {
	storage

	ctx    context.Context //nolint:containedctx // of the test
	disk   *simDisk
	ledger Ledger

	mu      sync.Mutex
	entries map[Key]*facts
	calls   int    // that recorded something and returned; negative if they may return in another order in the next run
	last    string // the last call that began
	err     error  // of the first call that failed: nothing comes after it
	wrong   error  // a promise that was broken on the way
}

// chances is what may be true of somebody at the endpoint.
type chances struct{ in, out bool }

// facts is what is known of an entry from what left and what was acknowledged, which is all that a ledger has to go by.
type facts struct {
	session Session
	wrote   bool // this session recorded something; and of all of them how many did, and tried
	tried   bool

	endpoint map[identity.ID]chances
	states   map[identity.ID]State // as the ledger should have it
	open     map[Intent]sent
	doubtful map[identity.ID]bool // of whom a call failed

	// What the last Close that went well made durable, and what was touched since.
	durable map[identity.ID]State
	touched map[identity.ID]bool

	headers                   []Header // one of which is recorded
	minGeneration, generation uint64   // the number of sessions that recorded something, and of those that tried

	stamps *stampFacts

	known  map[identity.ID]bool // was in the ledger once
	purged map[identity.ID]bool // has to be in no file
}

type sent struct {
	removals, adds []Member
	before         map[identity.ID]chances
	stamps         []Stamp
}

func (s storage) run(ctx context.Context, script func(*run), prepare func(*simDisk)) *run {
	r := &run{storage: s, ctx: ctx, disk: newSimDisk(), entries: map[Key]*facts{}}
	prepare(r.disk)
	r.restart()
	script(r)
	for _, k := range sortedKeys(r.entries) {
		r.finish(r.entries[k])
	}
	if n := r.disk.handles; n != 0 {
		r.blamef("%d files and locks are open at the end", n)
	}
	return r
}

func sortedKeys(m map[Key]*facts) []Key {
	return slices.SortedFunc(maps.Keys(m), func(a, b Key) int { return compareEntries(Entry{Key: a}, Entry{Key: b}) })
}

// verdict is the error of a run that nothing should have disturbed.
func (r *run) verdict() error {
	if r.wrong != nil {
		return r.wrong
	}
	if r.err != nil {
		return fmt.Errorf("%s: %w", r.last, r.err)
	}
	if err := r.check(r.ctx, r.disk.survivor(pessimist{})); err != nil {
		return err
	}
	return r.check(r.ctx, r.disk.survivor(optimist{}))
}

func (r *run) blamef(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wrong == nil {
		r.wrong = fmt.Errorf(format, args...)
	}
}

// goes reports whether the script goes on, and remembers what comes.
func (r *run) goes(format string, args ...any) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.last = fmt.Sprintf(format, args...)
	}
	return r.err == nil
}

// came notes that a call returned, and reports whether it went well.
func (r *run) came(err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && r.err == nil {
		r.err = err
	}
	return err == nil
}

// restart opens the ledger as another process would.
func (r *run) restart() {
	if !r.goes("opening the ledger") {
		return
	}
	l, err := r.storage.open(r.disk)
	if r.came(err) {
		r.ledger = l
	}
}

func (r *run) openEntry(k Key) {
	f := r.entries[k]
	if f == nil {
		f = &facts{
			endpoint: map[identity.ID]chances{}, states: map[identity.ID]State{}, open: map[Intent]sent{}, doubtful: map[identity.ID]bool{},
			stamps: newStampFacts(), durable: map[identity.ID]State{}, touched: map[identity.ID]bool{}, headers: []Header{{}}, known: map[identity.ID]bool{}, purged: map[identity.ID]bool{},
		}
		r.entries[k] = f
	}
	if !r.goes("opening %s", k.CohortID) {
		return
	}
	s, err := r.ledger.Open(r.ctx, k)
	if r.came(err) {
		f.session, f.wrote, f.tried = s, false, false
	}
}

// trying is called before something is recorded, and its caller holds mu.
func (f *facts) trying() {
	if !f.tried {
		f.tried = true
		f.generation++
	}
}

// counts notes that the facts have changed, and its caller holds mu.
func (r *run) counts() {
	if r.calls >= 0 {
		r.calls++
	}
}

func (f *facts) recorded() {
	if !f.wrote {
		f.wrote = true
		f.minGeneration++
	}
}

func (f *facts) at(id identity.ID) chances {
	if c, ok := f.endpoint[id]; ok {
		return c
	}
	return chances{out: true}
}

func (f *facts) with(ids []identity.ID) []Member {
	list := make([]Member, 0, len(ids))
	for _, id := range ids {
		list = append(list, Member{id, f.states[id]})
	}
	return list
}

// begin lets changes leave, if the ledger agrees.
func (r *run) begin(k Key, removals, adds []identity.ID) Intent {
	if !r.goes("Begin of %d removals and %d additions", len(removals), len(adds)) {
		return 0
	}
	f := r.entries[k]
	r.mu.Lock()
	f.trying()
	r.counts()
	i := sent{removals: f.with(removals), adds: f.with(adds), before: map[identity.ID]chances{}, stamps: f.stamps.draw(removals, adds)}
	for _, id := range slices.Concat(removals, adds) {
		i.before[id] = f.at(id)
		f.touched[id], f.known[id] = true, true
		delete(f.purged, id)
	}
	r.mu.Unlock()
	n, err := beginStamped(r.ctx, f.session, i)
	r.mu.Lock()
	if err == nil {
		f.stamps.begun(i.stamps)
	}
	for _, m := range slices.Concat(i.removals, i.adds) {
		if err != nil {
			f.doubtful[m.ID] = true
		} else {
			f.states[m.ID] = Unknown
		}
	}
	if err == nil {
		// It leaves: from now on it may have arrived.
		r.counts()
		f.recorded()
		f.open[n] = i
		for _, m := range i.removals {
			f.endpoint[m.ID] = chances{i.before[m.ID].in, true}
		}
		for _, m := range i.adds {
			f.endpoint[m.ID] = chances{true, i.before[m.ID].out}
		}
	}
	r.mu.Unlock()
	if !r.came(err) {
		r.mustBeOver(f)
	}
	return n
}

// mustBeOver shows that a session whose call failed records nothing more.
func (r *run) mustBeOver(f *facts) {
	if _, err := f.session.Begin(r.ctx, nil, []Member{{identity.ExternalID("after the end"), Out}}); err == nil {
		r.blamef("after %s failed the session goes on", r.last)
	}
	if err := f.session.SetHeader(r.ctx, Header{Name: "after the end"}); err == nil {
		r.blamef("after %s failed the session records a header", r.last)
	}
}

func (r *run) settle(k Key, n Intent, o Outcome) {
	if !r.goes("Settle: %v", o) {
		return
	}
	f := r.entries[k]
	r.mu.Lock()
	i := f.open[n]
	delete(f.open, n)
	// The endpoint's answer is true whether or not the ledger gets to know it.
	for id := range i.before {
		switch o {
		case Refused:
			f.endpoint[id] = i.before[id]
		case Accepted:
			f.endpoint[id] = chances{in: true}
		}
	}
	if o == Accepted {
		for _, m := range i.removals {
			f.endpoint[m.ID] = chances{out: true}
		}
	}
	f.stamps.settling(i.stamps, o)
	f.trying()
	r.counts()
	r.mu.Unlock()
	err := f.session.Settle(n, o)
	r.mu.Lock()
	r.counts()
	if err == nil {
		f.recorded()
	}
	become := func(list []Member, accepted State) {
		for _, m := range list {
			switch {
			case err != nil:
				f.doubtful[m.ID] = true
			case o == Accepted:
				f.states[m.ID] = accepted
			case o == Refused:
				f.states[m.ID] = m.State
			default:
				f.states[m.ID] = Unknown
			}
		}
	}
	become(i.removals, Out)
	become(i.adds, In)
	r.mu.Unlock()
	if !r.came(err) {
		r.mustBeOver(f)
	}
}

func (r *run) change(k Key, removals, adds []identity.ID, o Outcome) {
	r.settle(k, r.begin(k, removals, adds), o)
}

func (r *run) setHeader(k Key, h Header) {
	if !r.goes("SetHeader") {
		return
	}
	f := r.entries[k]
	r.mu.Lock()
	f.trying()
	f.headers = append(f.headers, h)
	r.counts()
	r.mu.Unlock()
	err := f.session.SetHeader(r.ctx, h)
	if r.came(err) {
		r.mu.Lock()
		f.headers = []Header{h}
		r.counts()
		f.recorded()
		r.mu.Unlock()
		return
	}
	r.mustBeOver(f)
}

func (f *facts) count() map[State]int {
	n := map[State]int{}
	for _, s := range f.states {
		n[s]++
	}
	return n
}

func wantedIDs(ids []identity.ID, others func(int) []identity.ID) iter.Seq2[Wanted, error] {
	return func(yield func(Wanted, error) bool) {
		for i, id := range ids {
			if !yield(Wanted{id, others(i)}, nil) {
				return
			}
		}
	}
}

func nobodyElse(int) []identity.ID { return nil }

// compare reads the whole difference, which has to agree with the states.
func (r *run) compare(k Key, ids []identity.ID) {
	if !r.goes("Compare with %d", len(ids)) {
		return
	}
	f := r.entries[k]
	d, err := f.session.Compare(r.ctx, wantedIDs(ids, nobodyElse))
	if !r.came(err) {
		return
	}
	got := map[State]int{In: d.Kept}
	for _, p := range []Part{d.Removals, d.Adds, d.Repeats} {
		n := 0
		for m, err := range p.Members {
			if err != nil {
				r.came(err)
				return
			}
			if f.states[m.ID] != m.State {
				r.blamef("a difference has somebody %v who is %v", m.State, f.states[m.ID])
			}
			if n++; m.State != Out {
				got[m.State]++
			}
		}
		if n != p.Count {
			r.blamef("a part of %d members yielded %d", p.Count, n)
		}
	}
	want := f.count()
	if got[In] != want[In] || got[Unknown] != want[Unknown] || d.Members != want[In]+want[Unknown] {
		r.blamef("a difference tells of %v members, not of %v", got, want)
	}
}

func (r *run) members(k Key) {
	if !r.goes("Members") {
		return
	}
	f := r.entries[k]
	got := map[identity.ID]State{}
	for m, err := range f.session.Members(r.ctx) {
		if err != nil {
			r.came(err)
			return
		}
		got[m.ID] = m.State
	}
	r.came(nil)
	if err := differs(f.states, got); err != nil {
		r.blamef("members: %w", err)
	}
}

// differs compares states, of which those that are Out need not be named.
func differs(want, got map[identity.ID]State) error {
	for _, m := range []map[identity.ID]State{want, got} {
		for id := range m {
			if want[id] != got[id] {
				return fmt.Errorf("%q is %v, want %v", id.Encode(), got[id], want[id])
			}
		}
	}
	return nil
}

// purge has to take the traces of everybody who is out off the disk, at once.
func (r *run) purge(k Key) {
	f := r.entries[k]
	p, ok := f.session.(Purger)
	if !r.goes("Purge") || !ok {
		return
	}
	r.mu.Lock()
	f.trying() // whether that counts as recording is left open
	r.mu.Unlock()
	if !r.came(p.Purge(r.ctx)) {
		return
	}
	r.counts()
	for id := range f.known {
		if f.states[id] == Out {
			f.purged[id] = true
		}
	}
	if name := r.disk.holds(traces(f.purged)); name != "" {
		r.blamef("after Purge the file %s holds somebody who is out", name)
	}
}

// traces returns the bytes by which a file may hold identifiers: as they are, and packed.
func traces(ids map[identity.ID]bool) [][]byte {
	var list [][]byte
	for id := range ids {
		list = append(list, []byte(id.Value()))
		if b, err := hex.DecodeString(strings.ReplaceAll(id.Value(), "-", "")); err == nil && len(b) == 16 {
			list = append(list, b)
		}
	}
	return list
}

func (r *run) closeEntry(k Key) {
	if r.goes("Close") {
		r.finish(r.entries[k])
	}
}

// finish closes a session, also one that failed.
func (r *run) finish(f *facts) {
	if f.session == nil {
		return
	}
	s := f.session
	f.session = nil
	r.counts()
	clear(f.open)
	if !r.came(s.Close()) {
		for id := range f.touched {
			f.doubtful[id] = true
		}
		if err := s.Close(); err != nil {
			r.blamef("a second Close answers %w", err)
		}
		return
	}
	// Whatever was settled is safe, and whoever was not is unknown.
	for id := range f.touched {
		if !f.doubtful[id] {
			f.durable[id] = f.states[id]
			delete(f.touched, id)
		}
	}
}

// check opens the ledger on a disk, holds it to the facts, and goes on with it.
func (r *run) check(ctx context.Context, d *simDisk) error {
	if err := r.recheck(ctx, d); err != nil {
		return err
	}
	l, err := r.storage.open(d)
	if err != nil {
		return fmt.Errorf("opening the ledger again: %w", err)
	}
	for _, k := range sortedKeys(r.entries) {
		if err := r.entries[k].converge(ctx, l, k); err != nil {
			return fmt.Errorf("%s, going on: %w", k.CohortID, err)
		}
	}
	if d.handles != 0 {
		return fmt.Errorf("%d files and locks are open at the end", d.handles)
	}
	return nil
}

// recheck does so without going on.
func (r *run) recheck(ctx context.Context, d *simDisk) error {
	l, err := r.storage.open(d)
	if err != nil {
		return fmt.Errorf("opening the ledger: %w", err)
	}
	listed := map[Key]Header{}
	for e, err := range l.Entries(ctx) {
		if err != nil {
			return fmt.Errorf("entries: %w", err)
		}
		listed[e.Key] = e.Header
	}
	for _, k := range sortedKeys(r.entries) {
		if err := r.entries[k].check(ctx, l, k, listed); err != nil {
			return fmt.Errorf("%s: %w", k.CohortID, err)
		}
		delete(listed, k)
	}
	if len(listed) > 0 {
		return fmt.Errorf("foreign entries: %v", listed)
	}
	for _, f := range r.entries {
		if name := d.holds(traces(f.purged)); name != "" {
			return fmt.Errorf("the file %s holds somebody who was purged", name)
		}
	}
	if d.handles != 0 {
		return fmt.Errorf("%d files and locks are open at the end", d.handles)
	}
	return nil
}

func (f *facts) check(ctx context.Context, l Ledger, k Key, listed map[Key]Header) (err error) {
	s, err := l.Open(ctx, k)
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := f.stamps.check(ctx, s); err != nil {
		return fmt.Errorf("stamps: %w", err)
	}
	got := map[identity.ID]State{}
	for m, err := range s.Members(ctx) {
		if err != nil {
			return fmt.Errorf("members: %w", err)
		}
		if !f.known[m.ID] {
			return fmt.Errorf("%q is a stranger", m.ID.Encode())
		}
		if _, twice := got[m.ID]; twice || m.State == Out {
			return fmt.Errorf("%q is a member twice, or %v", m.ID.Encode(), m.State)
		}
		got[m.ID] = m.State
	}
	everybody := slices.SortedFunc(maps.Keys(f.known), func(a, b identity.ID) int { return strings.Compare(a.Encode(), b.Encode()) })
	for _, id := range everybody {
		// This is what the ledger is for.
		switch at := f.at(id); {
		case got[id] == Out && at.in:
			return fmt.Errorf("%q is out, and may be in the cohort", id.Encode())
		case got[id] == In && at.out:
			return fmt.Errorf("%q is in, and may be out of the cohort", id.Encode())
		case !f.touched[id] && got[id] != f.durable[id]:
			return fmt.Errorf("%q is %v, and was %v when the session was closed", id.Encode(), got[id], f.durable[id])
		}
	}
	// The difference says the same.
	told := map[identity.ID]State{}
	d, err := s.Compare(ctx, wantedIDs(everybody, nobodyElse))
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	for _, p := range []Part{d.Removals, d.Adds, d.Repeats} {
		for m, err := range p.Members {
			if err != nil {
				return fmt.Errorf("difference: %w", err)
			}
			told[m.ID] = m.State
		}
	}
	for id, state := range got {
		if _, changes := told[id]; !changes && state == In {
			told[id] = In // and kept
		}
	}
	if err := differs(got, told); err != nil {
		return fmt.Errorf("difference: %w", err)
	}
	// The header is the last one, or the one that was about to be.
	header, exists := listed[k]
	h := s.Header()
	if exists && header != h && !cmp.Equal(header, h) { // two times can be equal and not the same
		return fmt.Errorf("the list's header and the session's (-list +session):\n%s", cmp.Diff(header, h))
	}
	if h.Generation < f.minGeneration || h.Generation > f.generation {
		return fmt.Errorf("generation %d, want %d to %d", h.Generation, f.minGeneration, f.generation)
	}
	if !exists && f.minGeneration > 0 || exists && f.generation == 0 {
		return fmt.Errorf("in the list: %t, and %d to %d sessions recorded something", exists, f.minGeneration, f.generation)
	}
	h.Generation = 0
	for _, candidate := range f.headers {
		if candidate == h || cmp.Equal(candidate, h) {
			return nil
		}
	}
	return fmt.Errorf("the header (-want +got):\n%s", cmp.Diff(f.headers[len(f.headers)-1], h))
}

// converge brings every other one in and the rest out, after which nothing is left to do.
func (f *facts) converge(ctx context.Context, l Ledger, k Key) error {
	var wanted []identity.ID
	for i, id := range slices.SortedFunc(maps.Keys(f.known), func(a, b identity.ID) int { return strings.Compare(a.Encode(), b.Encode()) }) {
		if i%2 == 0 {
			wanted = append(wanted, id)
		}
	}
	s, err := l.Open(ctx, k)
	if err != nil {
		return err
	}
	defer s.Close()
	d, err := s.Compare(ctx, wantedIDs(wanted, nobodyElse))
	if err != nil {
		return err
	}
	for i, p := range []Part{d.Removals, d.Adds, d.Repeats} {
		var list []Member
		for m, err := range p.Members {
			if err != nil {
				return err
			}
			list = append(list, m)
		}
		var n Intent
		if i == 0 {
			n, err = s.Begin(ctx, list, nil)
		} else {
			n, err = s.Begin(ctx, nil, list)
		}
		if err == nil {
			err = s.Settle(n, Accepted)
		}
		if err != nil {
			return err
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	if s, err = l.Open(ctx, k); err != nil {
		return err
	}
	defer s.Close()
	d, err = s.Compare(ctx, wantedIDs(wanted, nobodyElse))
	if err != nil {
		return err
	}
	if d.Kept != len(wanted) || d.Members != len(wanted) || d.Removals.Count+d.Adds.Count+d.Repeats.Count != 0 {
		return fmt.Errorf("%d of %d wanted are in, %d of %d members, %d removals, %d additions, %d repeats", d.Kept, len(wanted), d.Kept, d.Members,
			d.Removals.Count, d.Adds.Count, d.Repeats.Count)
	}
	return nil
}

// somebody returns an identifier of one of the kinds. No text of one is part of another's.
func somebody(n int) identity.ID {
	switch n % 5 {
	case 0:
		return identity.ExternalID(fmt.Sprintf("user-%06d", n))
	case 1:
		return identity.DeviceID(fmt.Sprintf("%08x-1a2b-4c3d-8e4f-0123456789ab", n*7919))
	case 2:
		return identity.ExternalID(strings.ToUpper(fmt.Sprintf("%08x-1a2b-4c3d-8e4f-cccccccccccc", n*7919)))
	case 3:
		return identity.Alias{Label: "crm", Name: fmt.Sprintf("a:%06d:", n)}.ID()
	default:
		return identity.ExternalID(fmt.Sprintf("%s-%06d", strings.Repeat("long", 50), n))
	}
}

func people(from, to int) []identity.ID {
	var ids []identity.ID
	for n := from; n < to; n++ {
		ids = append(ids, somebody(n))
	}
	return ids
}

func storageKey(cohort string) Key {
	return Key{"https://rest.fra-01.braze.eu", "tinyclues", "acme", cohort}
}

// inTurn is a history in which each operation comes at the same place whenever it is run.
func (r *run) inTurn() {
	a, b := storageKey("a"), storageKey("b")
	large := people(1000, 1000+r.big)
	half := large[:r.big/2]
	at := time.Date(2026, 3, 2, 8, 15, 0, 0, time.UTC)

	// The first sessions of two entries.
	r.openEntry(a)
	r.setHeader(a, Header{Name: "Spring sale", CreatedAt: at, Naming: NamingUnknown})
	first, second := r.begin(a, nil, people(0, 10)), r.begin(a, nil, people(10, 20))
	r.openEntry(b)
	r.change(b, nil, people(500, 510), Accepted)
	r.settle(a, second, Accepted)
	r.settle(a, first, Accepted)
	r.setHeader(a, Header{Name: "Spring sale", CreatedAt: at, Naming: Named})
	r.change(a, nil, people(20, 30), Lost)
	r.change(a, nil, people(30, 35), Refused)
	r.closeEntry(a)
	r.change(b, people(500, 503), people(510, 513), Accepted)
	r.closeEntry(b)

	// Changes of every kind to what an earlier session recorded, and an intent that stays open.
	r.restart()
	r.openEntry(a)
	r.compare(a, people(5, 40))
	removal, repeat := r.begin(a, people(0, 5), nil), r.begin(a, nil, people(20, 25))
	r.settle(a, removal, Accepted)
	r.change(a, people(5, 8), nil, Refused)
	r.change(a, people(8, 10), people(35, 40), Lost)
	r.compare(a, people(5, 40))
	r.settle(a, repeat, Accepted)
	r.change(a, people(10, 12), people(0, 2), Accepted) // out and in again
	r.begin(a, people(12, 14), people(40, 42))
	r.members(a)
	r.closeEntry(a)

	// So many that the files are written anew.
	r.restart()
	r.openEntry(a)
	r.compare(a, slices.Concat(people(0, 42), large))
	for i := 0; i < len(large); i += 50 {
		r.change(a, nil, large[i:min(i+50, len(large))], Accepted)
	}
	r.setHeader(a, Header{Name: "Summer sale", CreatedAt: at, Naming: Named, Rules: "external_id>device_id", Sent: Epochs{3: at.Unix()}})
	r.closeEntry(a)

	// A session that only looks, and one of the other entry.
	r.restart()
	r.openEntry(a)
	r.compare(a, large)
	r.members(a)
	r.closeEntry(a)
	r.openEntry(b)
	r.change(b, nil, people(513, 516), Accepted)
	r.closeEntry(b)

	// Half of them leave, for good.
	r.openEntry(a)
	r.compare(a, slices.Concat(people(0, 42), large[r.big/2:]))
	r.change(a, half, nil, Accepted)
	pending := r.begin(a, nil, people(42, 45))
	r.purge(a)
	r.settle(a, pending, Accepted)
	r.change(a, people(20, 22), people(45, 48), Accepted)
	r.members(a)
	r.closeEntry(a)

	// And a last look.
	r.restart()
	r.openEntry(a)
	r.members(a)
	r.change(a, people(42, 43), nil, Lost)
	r.closeEntry(a)
}

// atOnce is a history in which several requests are under way at once, as they are in a sync.
func (r *run) atOnce() {
	a := storageKey("a")
	r.calls = -1
	r.openEntry(a)
	r.change(a, nil, people(0, 40), Accepted)
	r.closeEntry(a)
	for round := range 2 {
		r.restart()
		r.openEntry(a)
		var senders sync.WaitGroup
		for sender := range 4 {
			senders.Go(func() {
				from := 10 * sender
				for batch := range 4 {
					outcome := [...]Outcome{Accepted, Lost, Refused, Accepted}[(batch+sender+round)%4]
					fresh := 100 + 100*sender + 40*round + 10*batch
					r.change(a, people(from+2*batch, from+2*batch+2), people(fresh, fresh+5), outcome)
				}
				r.begin(a, people(from+8, from+10), nil)
			})
		}
		senders.Wait()
		if round == 0 {
			r.members(a)
		}
		r.closeEntry(a)
	}
}
