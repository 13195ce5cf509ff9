package ledgertest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

func oneWriter(t *trial) {
	first, second := t.again(), t.again()
	a := key("a")
	s := t.openOn(first, a)
	t.fill(s, ledger.In, external("u-1"))
	tries := map[string]func(ledger.Ledger) error{
		"Ledger.Open": func(l ledger.Ledger) error { _, err := l.Open(t.Context(), a); return err },
		"Members": func(l ledger.Ledger) error {
			for _, err := range ledger.Members(t.Context(), l, a) {
				return err
			}
			return nil
		},
		"Diff": func(l ledger.Ledger) error {
			for _, err := range ledger.Diff(t.Context(), l, a, maps.All(map[identity.ID]error{})) {
				return err
			}
			return nil
		},
		"Import": func(l ledger.Ledger) error {
			return ledger.Import(t.Context(), l, ledger.Entry{Key: a}, maps.All(map[ledger.Member]error{}))
		},
	}
	for name, try := range tries {
		t.wantHeld(name+" on the same Ledger", a, try(first))
		t.wantHeld(name+" on another Ledger of the store", a, try(second))
	}
	// Other entries are free, and whoever was turned away has disturbed nobody.
	t.shut(t.openOn(second, key("b")))
	t.settle(s, t.begin(s, nil, batch(ledger.Out, external("u-2"))), ledger.Accepted)
	t.shut(s)
	s = t.openOn(second, a)
	t.wantMembers("Ledger.Open that fails with a HeldError leaves the session alone", s, states{"e:u-1": ledger.In, "e:u-2": ledger.In})
	_, err := first.Open(t.Context(), a)
	t.wantHeld("Ledger.Open after the lease went on to another Ledger", a, err)
}

// oneOfMany has several processes come for an entry that is new, and for entries of their own.
func oneOfMany(t *trial) {
	const many = 8
	var ledgers [many]ledger.Ledger
	for i := range ledgers {
		ledgers[i] = t.again()
	}
	var sessions [many]ledger.Session
	var errs [many]error
	come := func(k func(i int) ledger.Key) {
		var all sync.WaitGroup
		for i, l := range ledgers {
			all.Go(func() { sessions[i], errs[i] = l.Open(t.Context(), k(i)) })
		}
		all.Wait()
	}
	for round := range 5 {
		k := key(fmt.Sprint("everybody's ", round))
		come(func(int) ledger.Key { return k })
		in := 0
		for i, err := range errs {
			if err != nil {
				t.wantHeld(fmt.Sprintf("Ledger.Open, called by %d at once", many), k, err)
				continue
			}
			in++
			t.fill(sessions[i], ledger.In, external(fmt.Sprint("u-", i)))
		}
		if in != 1 {
			t.Errorf("Ledger.Open of an entry that nobody holds, called by %d at once, gave %d sessions, want 1", many, in)
		}
		for i, err := range errs {
			if err == nil {
				t.shut(sessions[i])
			}
		}
		come(func(i int) ledger.Key { return key(fmt.Sprint(round, " of ", i)) })
		for i, err := range errs {
			if err != nil {
				t.Fatalf("Ledger.Open of %d entries at once: %v, want a session for each", many, err)
			}
			t.fill(sessions[i], ledger.In, external("a"))
			t.shut(sessions[i])
		}
	}
	if got := t.entries(); len(got) != 5*(many+1) {
		t.Errorf("Ledger.Entries yields %d entries, want the %d in which something was recorded", len(got), 5*(many+1))
	}
}

func badKey(t *trial) {
	l := t.again()
	for field, spoil := range map[string]func(*ledger.Key, string){
		"key endpoint":  func(k *ledger.Key, s string) { k.Endpoint = s },
		"key partner":   func(k *ledger.Key, s string) { k.Partner = s },
		"key workspace": func(k *ledger.Key, s string) { k.Workspace = s },
		"key cohort id": func(k *ledger.Key, s string) { k.CohortID = s },
	} {
		for _, bad := range []string{"", "a\nb", "a\x00", "\xff"} {
			k := key("a")
			spoil(&k, bad)
			s, err := l.Open(t.Context(), k)
			invalid, ok := errors.AsType[*ledger.InvalidError](err)
			switch {
			case !ok || s != nil:
				t.Fatalf("Ledger.Open of a key whose %s is %q: a session %t, error %v, want no session and the *ledger.InvalidError of Key.Validate", field, bad, s != nil, err)
			case invalid.Field != field || invalid.Problem == "" || invalid.Next == "":
				t.Errorf("Ledger.Open of a key whose %s is %q: %+v, want the *ledger.InvalidError of Key.Validate", field, bad, *invalid)
			}
		}
	}
}

func nothingRecorded(t *trial) {
	s := t.open(key("a"))
	t.wantHeader("Session.Header of an entry without a record is the zero Header", ledger.Header{}, s.Header())
	t.compare(s, want(external("u-1"))...)
	t.wantMembers("an entry without a record has no members", s, nil)
	t.shut(s)
	t.wantEntries("an entry comes into being with the first thing recorded in it, and neither Open nor Compare nor Close records anything", nil, t.entries())
}

// maxOpen is how many sessions are open at once.
const maxOpen = 40

func everyKey(t *trial) {
	var keys []ledger.Key
	seen := map[ledger.Key]bool{}
	add := func(k ledger.Key) {
		if !seen[k] {
			seen[k] = true
			keys = append(keys, k)
		}
	}
	for _, name := range names() {
		k := key("camp-481")
		k.Workspace = name // two customers, one cohort id
		add(k)
		k = key(name)
		add(k)
		k.Partner, k.Endpoint = name, name
		add(k)
	}
	for _, k := range []ledger.Key{
		{Endpoint: "e", Partner: "p", Workspace: "a/b", CohortID: "c"}, {Endpoint: "e", Partner: "p", Workspace: "a", CohortID: "b/c"},
		{Endpoint: "e", Partner: "p", Workspace: "ab", CohortID: "c"}, {Endpoint: "e", Partner: "p", Workspace: "a", CohortID: "bc"},
		{Endpoint: "ep", Partner: "p", Workspace: "a", CohortID: "b"}, {Endpoint: "e", Partner: "pp", Workspace: "a", CohortID: "b"},
		{Endpoint: "e", Partner: "p", Workspace: "a", CohortID: "b"}, {Endpoint: "p", Partner: "e", Workspace: "a", CohortID: "b"},
		{Endpoint: "e", Partner: "p", Workspace: "b", CohortID: "a"},
	} {
		add(k)
	}
	// Names that look alike are neighbours, and neighbours are open at once: nobody holds another's lease.
	var held []ledger.Session
	l := t.again()
	for i, k := range keys {
		s, err := l.Open(t.Context(), k)
		if err != nil {
			t.Fatalf("Ledger.Open of %s, while entries with similar keys are open: %v; two keys are the same entry only if all fields are equal, byte for byte", keyLine(k), err)
		}
		t.Cleanup(func() { _ = s.Close() })
		t.setHeader(s, ledger.Header{Name: fmt.Sprint(i)})
		t.fill(s, ledger.In, external("everybody's"), external(fmt.Sprint("u-", i)))
		if held = append(held, s); len(held) == maxOpen {
			t.shut(held[0])
			held = held[1:]
		}
	}
	for _, s := range held {
		t.shut(s)
	}
	const apart = "two keys are the same entry only if all fields are equal, byte for byte"
	var want, got []string
	l = t.again()
	for i, k := range keys {
		s := t.openOn(l, k)
		if name := s.Header().Name; name != fmt.Sprint(i) {
			t.Errorf("%s: the entry of %s has the header of entry %s, want that of %d", apart, keyLine(k), name, i)
		}
		t.wantMembers(apart+": "+keyLine(k), s, states{"e:everybody's": ledger.In, fmt.Sprint("e:u-", i): ledger.In})
		t.shut(s)
		want = append(want, fmt.Sprintf("%s: %d", keyLine(k), i))
	}
	for _, e := range t.entries() {
		got = append(got, keyLine(e.Key)+": "+e.Header.Name)
	}
	slices.Sort(want)
	slices.Sort(got)
	t.same("Ledger.Entries yields each entry once, with the key that it was opened by", want, got)
}

func entries(t *trial) {
	keysOf := func(list []ledger.Entry) []string {
		var keys []string
		for _, e := range list {
			keys = append(keys, keyLine(e.Key))
		}
		return keys
	}
	var held []ledger.Session
	before := t.entries()
	if len(before) != 0 {
		t.Fatalf("a fresh Store has %d entries, want none: give each test a store of its own", len(before))
	}
	for i := range 20 {
		k := key(fmt.Sprint("c-", (i*7)%20))
		s := t.open(k)
		if i%2 == 0 {
			t.setHeader(s, ledger.Header{Name: fmt.Sprint(i)})
		} else {
			t.fill(s, ledger.In, external("a"))
		}
		// Some stay open: a list takes no lease.
		if i%3 == 0 {
			held = append(held, s)
		} else {
			t.shut(s)
		}
		after := keysOf(t.entries())
		t.same("Ledger.Entries keeps its order from one call to the next", after, keysOf(t.entries()))
		if !slices.Contains(after, keyLine(k)) {
			t.Errorf("Ledger.Entries leaves %s out, in which something was recorded", keyLine(k))
		}
		older := slices.DeleteFunc(slices.Clone(after), func(other string) bool { return other == keyLine(k) })
		t.same("Ledger.Entries keeps its order when another entry comes", keysOf(before), older)
		before = t.entries()
	}
	for _, s := range held {
		t.setHeader(s, ledger.Header{Name: "now"})
		t.shut(s)
	}
	n := 0
	for _, e := range t.entries() {
		if e.Header.Name == "now" {
			n++
		}
		if e.Header.Generation != 1 {
			t.Errorf("Ledger.Entries: %s has generation %d, want 1: one session recorded something", keyLine(e.Key), e.Header.Generation)
		}
	}
	if n != len(held) {
		t.Errorf("Ledger.Entries: %d entries have the name that was recorded last, want %d", n, len(held))
	}
	for _, err := range t.again().Entries(t.Context()) {
		if err != nil {
			t.Errorf("Ledger.Entries: %v", err)
		}
		break
	}
}
