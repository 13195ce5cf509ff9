package ledgertest

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

func membersFunction(t *trial) {
	s := t.open(key("a"))
	t.fill(s, ledger.In, external("a"), external("b"))
	t.fill(s, ledger.Unknown, external("c"))
	t.shut(s)
	for range 2 {
		t.wantRecorded("ledger.Members", key("a"), states{"e:a": ledger.In, "e:b": ledger.In, "e:c": ledger.Unknown})
		for _, err := range ledger.Members(t.Context(), t.again(), key("a")) {
			if err != nil {
				t.Fatalf("ledger.Members: %v", err)
			}
			_, err := t.again().Open(t.Context(), key("a"))
			t.wantHeld("Ledger.Open while ledger.Members is ranged over", key("a"), err)
			break // and frees the lease, or the next turn fails
		}
	}
	t.wantRecorded("ledger.Members of an entry that does not exist", key("none"), nil)
	var last error
	for _, err := range ledger.Members(t.Context(), t.again(), ledger.Key{}) {
		last = err
	}
	if _, ok := errors.AsType[*ledger.InvalidError](last); !ok {
		t.Errorf("ledger.Members of a bad key: error %v, want an *ledger.InvalidError", last)
	}
	if got := t.entries(); len(got) != 1 || got[0].Header.Generation != 1 {
		t.Errorf("reading the members records nothing: entries %q, want the one of generation 1", entryLines(got))
	}
}

func diffFunction(t *trial) {
	s := t.open(key("a"))
	t.fill(s, ledger.In, external("both"), external("ours"))
	t.fill(s, ledger.Unknown, external("perhaps"), external("perhaps ours"))
	t.shut(s)
	list := func(fail error, ids ...string) iter.Seq2[identity.ID, error] {
		return func(yield func(identity.ID, error) bool) {
			for _, id := range ids {
				if !yield(external(id), nil) {
					return
				}
			}
			if fail != nil {
				_ = yield(identity.ID{}, fail)
			}
		}
	}
	for range 2 {
		var got []string
		for d, err := range ledger.Diff(t.Context(), t.again(), key("a"), list(nil, "both", "theirs", "perhaps", "theirs")) {
			if err != nil {
				t.Fatalf("ledger.Diff: %v", err)
			}
			got = append(got, fmt.Sprintf("%s %v", show(d.ID), d.Side))
		}
		slices.Sort(got)
		t.same("ledger.Diff yields where the ledger and the list differ",
			[]string{"e:ours only in the ledger", "e:perhaps in both, but unknown", "e:perhaps ours only in the ledger", "e:theirs only in the list"}, got)
		for _, err := range ledger.Diff(t.Context(), t.again(), key("a"), list(nil, "theirs")) {
			if err != nil {
				t.Fatalf("ledger.Diff: %v", err)
			}
			break
		}
	}
	var errs []error
	for d, err := range ledger.Diff(t.Context(), t.again(), key("a"), list(sourceError{}, "both")) {
		errs = append(errs, err)
		if err == nil {
			t.Errorf("ledger.Diff with a list that fails yields somebody who is %v, want the list's error alone", d.Side)
		}
	}
	if len(errs) != 1 || !isSource(errs[0]) {
		t.Errorf("ledger.Diff with a list that fails yields %v, want the list's error once", errs)
	}
	if got := t.entries(); len(got) != 1 || got[0].Header.Generation != 1 {
		t.Errorf("ledger.Diff records nothing: entries %q, want the one of generation 1", entryLines(got))
	}
}

func memberList(fail error, list ...ledger.Member) iter.Seq2[ledger.Member, error] {
	return func(yield func(ledger.Member, error) bool) {
		for _, m := range list {
			if !yield(m, nil) {
				return
			}
		}
		if fail != nil {
			_ = yield(ledger.Member{}, fail)
		}
	}
}

func importFunction(t *trial) {
	var list []ledger.Member
	expect := states{}
	for i := range 12_003 { // more than one batch of either state
		m := ledger.Member{ID: external(fmt.Sprint("u-", i)), State: ledger.In}
		if i%2 == 1 {
			m.State = ledger.Unknown
		}
		list = append(list, m)
		expect[show(m.ID)] = m.State
	}
	h := header()
	h.Generation = 70
	e := ledger.Entry{Key: key("a"), Header: h}
	// Interrupted, and repeated from the start.
	err := ledger.Import(t.Context(), t.again(), e, memberList(sourceError{}, list[:9100]...))
	if !isSource(err) || !strings.Contains(err.Error(), "row 9101") {
		t.Errorf("ledger.Import of a list that fails: error %v, want the list's error with its row, 9101", err)
	}
	s := t.open(key("a"))
	t.wantHeader("ledger.Import that fails records no header", ledger.Header{Generation: 1}, s.Header())
	for id, state := range t.members(s) {
		if expect[id] != state {
			t.Errorf("ledger.Import that fails leaves %q %v, want %v or out", id, state, expect[id])
		}
	}
	t.shut(s)
	if err := ledger.Import(t.Context(), t.again(), e, memberList(nil, slices.Concat(list, list[:100])...)); err != nil {
		t.Fatalf("ledger.Import: %v", err)
	}
	s = t.open(key("a"))
	t.wantMembers("ledger.Import records each member in its state", s, expect)
	h.Generation = 2
	t.wantHeader("ledger.Import records the header", h, s.Header())
	t.shut(s)
	// From ledger to ledger; what is there already stays.
	s = t.open(key("b"))
	t.fill(s, ledger.In, external("there"))
	t.shut(s)
	if err := ledger.Import(t.Context(), t.again(), ledger.Entry{Key: key("b"), Header: h}, ledger.Members(t.Context(), t.again(), key("a"))); err != nil {
		t.Fatalf("ledger.Import of ledger.Members: %v", err)
	}
	expect["e:there"] = ledger.In
	t.wantRecorded("ledger.Import into an entry that has members", key("b"), expect)
	if err := ledger.Import(t.Context(), t.again(), ledger.Entry{Key: key("c"), Header: h}, memberList(nil)); err != nil {
		t.Fatalf("ledger.Import of nobody: %v", err)
	}
	if got := t.entries(); len(got) != 3 {
		t.Errorf("ledger.Import of nobody makes an entry with a header: %d entries, want 3", len(got))
	}
}

func importRefuses(t *trial) {
	for name, m := range map[string]ledger.Member{
		"who is out":               {ID: external("a"), State: ledger.Out},
		"in a state that is none":  {ID: external("a"), State: 9},
		"without an identifier":    {State: ledger.In},
		"with a control character": {ID: external("a\n"), State: ledger.In},
	} {
		err := ledger.Import(t.Context(), t.again(), ledger.Entry{Key: key("a"), Header: header()}, memberList(nil, ledger.Member{ID: external("ok"), State: ledger.In}, m))
		if err == nil || !strings.HasPrefix(err.Error(), "ledger: import: row 2: ") {
			t.Errorf("ledger.Import of somebody %s in row 2: error %v, want one that names the row", name, err)
		}
	}
	err := ledger.Import(t.Context(), t.again(), ledger.Entry{}, memberList(nil))
	if _, ok := errors.AsType[*ledger.InvalidError](err); !ok {
		t.Errorf("ledger.Import under a bad key: error %v, want an *ledger.InvalidError", err)
	}
	t.shut(t.open(key("a"))) // the lease is free
}
