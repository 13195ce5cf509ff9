package ledgertest

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

func duplicates(t *trial) {
	a, b, c, gone := external("a"), external("b"), external("c"), external("gone")
	s := t.open(key("a"))
	t.fill(s, ledger.In, a, gone)
	t.fill(s, ledger.Unknown, b)
	t.wantDifference("Session.Compare counts who was named before as Duplicate and puts nobody into a part twice",
		difference{Members: 3, Kept: 1, Duplicate: 4, Removals: states{"e:gone": ledger.In}, Adds: states{"e:c": ledger.Out}, Repeats: states{"e:b": ledger.Unknown}},
		t.compare(s, want(a, b, c, c, b, a, a)...))
}

func nobodyWanted(t *trial) {
	s := t.open(key("a"))
	t.wantDifference("Session.Compare of no members with nobody", difference{}, t.compare(s))
	t.fill(s, ledger.In, external("a"))
	t.fill(s, ledger.Unknown, external("b"))
	t.wantDifference("when nobody is wanted, all who are In or Unknown are Removals",
		difference{Members: 2, Removals: states{"e:a": ledger.In, "e:b": ledger.Unknown}}, t.compare(s))
}

// twins looks at whose addition is repeated because another identifier of theirs is removed.
func twins(t *trial) {
	const in, unknown, out = ledger.In, ledger.Unknown, ledger.Out
	with := func(chosen string, others ...string) ledger.Wanted {
		w := ledger.Wanted{ID: external(chosen)}
		for _, o := range others {
			w.Others = append(w.Others, external(o))
		}
		return w
	}
	for _, c := range []struct {
		name   string
		before map[string]ledger.State
		wanted []ledger.Wanted
		want   difference
	}{
		{
			"the other is removed", map[string]ledger.State{"new": in, "old": in}, []ledger.Wanted{with("new", "old")},
			difference{Members: 2, Removals: states{"e:old": in}, Repeats: states{"e:new": in}},
		},
		{
			"the other may be a member", map[string]ledger.State{"new": in, "old": unknown}, []ledger.Wanted{with("new", "old")},
			difference{Members: 2, Removals: states{"e:old": unknown}, Repeats: states{"e:new": in}},
		},
		{
			"the other is out", map[string]ledger.State{"new": in}, []ledger.Wanted{with("new", "old")},
			difference{Members: 1, Kept: 1},
		},
		{
			"the other is wanted too", map[string]ledger.State{"new": in, "old": in}, []ledger.Wanted{with("new", "old"), with("old")},
			difference{Members: 2, Kept: 2},
		},
		{
			"the other was wanted before", map[string]ledger.State{"new": in, "old": in}, []ledger.Wanted{with("old"), with("new", "old")},
			difference{Members: 2, Kept: 2},
		},
		{
			"each names the other", map[string]ledger.State{"new": in, "old": in}, []ledger.Wanted{with("old", "new"), with("new", "old")},
			difference{Members: 2, Kept: 2},
		},
		{
			"the chosen is out", map[string]ledger.State{"old": in}, []ledger.Wanted{with("new", "old")},
			difference{Members: 1, Removals: states{"e:old": in}, Adds: states{"e:new": out}},
		},
		{
			"the chosen is unknown", map[string]ledger.State{"new": unknown, "old": in}, []ledger.Wanted{with("new", "old")},
			difference{Members: 2, Removals: states{"e:old": in}, Repeats: states{"e:new": unknown}},
		},
		{
			"the chosen names itself", map[string]ledger.State{"new": in}, []ledger.Wanted{with("new", "new")},
			difference{Members: 1, Kept: 1},
		},
		{
			"the other names nobody", map[string]ledger.State{"new": in, "old": in}, []ledger.Wanted{with("old", "new")},
			difference{Members: 2, Removals: states{"e:new": in}, Repeats: states{"e:old": in}},
		},
		{
			"one of many others", map[string]ledger.State{"new": in, "old": in, "kept": in}, []ledger.Wanted{with("new", "none", "kept", "old", "old"), with("kept")},
			difference{Members: 3, Kept: 1, Removals: states{"e:old": in}, Repeats: states{"e:new": in}},
		},
		{
			"several others", map[string]ledger.State{"new": in, "old": in, "older": unknown}, []ledger.Wanted{with("new", "older", "old")},
			difference{Members: 3, Removals: states{"e:old": in, "e:older": unknown}, Repeats: states{"e:new": in}},
		},
		{
			"several persons name one other", map[string]ledger.State{"a": in, "b": in, "c": unknown, "shared": in, "d": in},
			[]ledger.Wanted{with("a", "shared"), with("b", "shared"), with("c", "shared"), with("d"), with("e", "shared")},
			difference{Members: 5, Kept: 1, Removals: states{"e:shared": in}, Adds: states{"e:e": out}, Repeats: states{"e:a": in, "e:b": in, "e:c": unknown}},
		},
		{
			"the second mention names the other", map[string]ledger.State{"new": in, "old": in}, []ledger.Wanted{with("new"), with("new", "old")},
			difference{Members: 2, Duplicate: 1, Removals: states{"e:old": in}, Repeats: states{"e:new": in}},
		},
		{
			"the first mention names the other", map[string]ledger.State{"new": in, "old": in}, []ledger.Wanted{with("new", "old"), with("new")},
			difference{Members: 2, Duplicate: 1, Removals: states{"e:old": in}, Repeats: states{"e:new": in}},
		},
		{
			"both mentions name another", map[string]ledger.State{"new": in, "old": in, "older": in}, []ledger.Wanted{with("new", "old"), with("new", "older")},
			difference{Members: 3, Duplicate: 1, Removals: states{"e:old": in, "e:older": in}, Repeats: states{"e:new": in}},
		},
		{
			"it goes no further", map[string]ledger.State{"a": in, "b": in, "c": in}, []ledger.Wanted{with("a", "b"), with("b", "c")},
			difference{Members: 3, Kept: 1, Removals: states{"e:c": in}, Repeats: states{"e:b": in}},
		},
	} {
		// The members lie in an earlier session, or are not yet written at all.
		for _, when := range []string{"in one session", "in the next session"} {
			k := key(c.name + " " + when)
			s := t.open(k)
			for name, state := range c.before {
				t.fill(s, state, external(name))
			}
			if when != "in one session" {
				s = t.reopen(s, k)
			}
			t.wantDifference("Session.Compare repeats who is In and has an identifier among Wanted.Others that is removed, "+when+": "+c.name,
				c.want, t.compare(s, c.wanted...))
			t.shut(s)
		}
	}
	// An external ID and a device ID of one text are two identifiers, as are two spellings of a UUID.
	s := t.open(key("kinds"))
	t.fill(s, in, identity.ExternalID(uuid), identity.DeviceID(uuid), identity.ExternalID(strings.ToUpper(uuid)))
	t.wantDifference("identifiers of two kinds differ, and so do two spellings",
		difference{Members: 3, Removals: states{"d:" + uuid: in, "e:" + strings.ToUpper(uuid): in}, Repeats: states{"e:" + uuid: in}},
		t.compare(s, ledger.Wanted{ID: identity.ExternalID(uuid), Others: []identity.ID{identity.DeviceID(uuid)}}))
}

func brokenSource(t *trial) {
	s := t.open(key("a"))
	t.fill(s, ledger.In, external("a"), external("b"))
	before := t.compare(s, want(external("a"), external("c"))...)
	for _, at := range []int{0, 1, 5000} {
		went := false
		d, err := s.Compare(t.Context(), func(yield func(ledger.Wanted, error) bool) {
			for i := range at {
				if !yield(ledger.Wanted{ID: external(strconv.Itoa(i)), Others: []identity.ID{external("b")}}, nil) {
					t.Errorf("Session.Compare ranges over the whole source: it left after %d of %d", i+1, at)
					return
				}
			}
			went = yield(ledger.Wanted{ID: external("half read")}, sourceError{})
		})
		if err == nil || d != nil || !isSource(err) || err.Error() != (sourceError{}).Error() {
			t.Errorf("Session.Compare of a source that fails after %d: difference %v, error %v, want nil and the source's error as it is", at, d != nil, err)
		}
		if went {
			t.Errorf("an error of the source ends Session.Compare: it asked for more after %d", at)
		}
		t.wantDifference("Session.Compare that fails leaves nothing for the next comparison", before, t.compare(s, want(external("a"), external("c"))...))
	}
	t.shut(s)
	t.wantRecorded("Session.Compare that fails records nothing", key("a"), states{"e:a": ledger.In, "e:b": ledger.In})
}

func sourceOnce(t *trial) {
	s := t.open(key("a"))
	t.fill(s, ledger.In, external("a"))
	reads := 0
	t.readAll(t.compareWith(s, func(yield func(ledger.Wanted, error) bool) {
		reads++
		_ = yield(ledger.Wanted{ID: external("b")}, nil)
	}))
	if reads != 1 {
		t.Errorf("Session.Compare and the parts of its Difference range %d times over the source, want once: it may be a queue", reads)
	}
}

func othersNotKept(t *trial) {
	s := t.open(key("a"))
	t.fill(s, ledger.In, external("a"), external("b"), external("old a"), external("old b"))
	d := t.compareWith(s, func(yield func(ledger.Wanted, error) bool) {
		buffer := make([]identity.ID, 1)
		for _, name := range []string{"a", "b"} {
			buffer[0] = external("old " + name)
			if !yield(ledger.Wanted{ID: external(name), Others: buffer}, nil) {
				return
			}
		}
		buffer[0] = external("nobody")
	})
	t.wantDifference("Wanted.Others is read before the next element is asked for, and not kept",
		difference{Members: 4, Removals: states{"e:old a": ledger.In, "e:old b": ledger.In}, Repeats: states{"e:a": ledger.In, "e:b": ledger.In}}, t.readAll(d))
}

func parts(t *trial) {
	const n = 700
	s := t.open(key("a"))
	var stay, gone, fresh, lost []identity.ID
	for i := range n {
		stay, gone = append(stay, external(fmt.Sprint("stay", i))), append(gone, external(fmt.Sprint("gone", i)))
		fresh, lost = append(fresh, external(fmt.Sprint("fresh", i))), append(lost, external(fmt.Sprint("lost", i)))
	}
	t.fill(s, ledger.In, slices.Concat(stay, gone)...)
	t.fill(s, ledger.Unknown, lost...)
	s = t.reopen(s, key("a"))
	d := t.compareWith(s, source(want(slices.Concat(fresh, stay, lost)...)...))
	first := t.readAll(d)
	if d.Removals.Count != n || d.Adds.Count != n || d.Repeats.Count != n || d.Kept != n || d.Members != 3*n {
		t.Fatalf("Session.Compare: %d removals, %d additions, %d repeats, %d kept of %d members, want %d each and %d members",
			d.Removals.Count, d.Adds.Count, d.Repeats.Count, d.Kept, d.Members, n, 3*n)
	}
	for _, p := range []ledger.Part{d.Removals, d.Adds, d.Repeats} {
		for _, stop := range []int{1, n / 2, n} {
			read := 0
			for _, err := range p.Members {
				if err != nil {
					t.Fatalf("Part.Members: %v", err)
				}
				if read++; read == stop {
					break
				}
			}
		}
	}
	// One inside the other, as a caller does that looks ahead.
	next, stop := iter.Pull2(d.Adds.Members)
	defer stop()
	read := 0
	for _, err, ok := next(); ok; _, err, ok = next() {
		if err != nil {
			t.Fatalf("Part.Members: %v", err)
		}
		if read++; read == 1 {
			t.wantDifference("Part.Members can be ranged over several times, to the end or not", first, t.readAll(d))
		}
	}
	if read != n {
		t.Errorf("Part.Members can be ranged over while it is being ranged over: the outer loop got %d members, want %d", read, n)
	}
}

func secondComparison(t *trial) {
	a, b, c, d := external("a"), external("b"), external("c"), external("d")
	s := t.open(key("a"))
	t.fill(s, ledger.In, a, b)
	t.wantDifference("the first Session.Compare",
		difference{Members: 2, Kept: 1, Removals: states{"e:a": ledger.In}, Adds: states{"e:c": ledger.Out, "e:d": ledger.Out}}, t.compare(s, want(b, c, d)...))
	t.settle(s, t.begin(s, batch(ledger.In, a), nil), ledger.Accepted)
	t.settle(s, t.begin(s, nil, batch(ledger.Out, c)), ledger.Accepted)
	t.begin(s, nil, batch(ledger.Out, d))
	t.wantDifference("a second Session.Compare sees what was recorded since the first",
		difference{Members: 3, Kept: 2, Repeats: states{"e:d": ledger.Unknown}}, t.compare(s, want(b, c, d)...))
	t.wantDifference("a third Session.Compare knows nothing of whom the second wanted",
		difference{Members: 3, Removals: states{"e:b": ledger.In, "e:c": ledger.In, "e:d": ledger.Unknown}, Adds: states{"e:a": ledger.Out}}, t.compare(s, want(a)...))
}

func comparingRecordsNothing(t *trial) {
	s := t.open(key("a"))
	t.fill(s, ledger.In, external("a"), external("old"))
	t.shut(s)
	before := t.entries()
	s = t.open(key("a"))
	t.compare(s, ledger.Wanted{ID: external("a"), Others: []identity.ID{external("old")}}, ledger.Wanted{ID: external("new")})
	t.shut(s)
	t.wantEntries("Session.Compare records nothing", before, t.entries())
	t.wantRecorded("Session.Compare records nothing", key("a"), states{"e:a": ledger.In, "e:old": ledger.In})
}
