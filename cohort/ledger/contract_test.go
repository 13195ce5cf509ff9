package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// subject is the ledger of a case, which again opens anew.
type subject struct {
	*testing.T

	again func() ledger.Ledger
}

// TestContract holds every ledger to what Ledger and Session promise.
func TestContract(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		run  func(subject)
	}{
		{"one writer", oneWriter},
		{"a bad key", badKey},
		{"nothing recorded is no entry", nothingRecorded},
		{"generation", generation},
		{"header", headers},
		{"an intent is unknown until it is settled", unsettled},
		{"outcomes", outcomes},
		{"an intent of both kinds", bothKinds},
		{"intents settle in any order", anyOrder},
		{"the caller's slices are not kept", slicesNotKept},
		{"duplicates", duplicates},
		{"nobody wanted", nobodyWanted},
		{"a source that breaks", brokenSource},
		{"a source is read once", sourceOnce},
		{"one buffer for all others", othersNotKept},
		{"parts", parts},
		{"a second comparison", secondComparison},
		{"comparing records nothing", comparingRecordsNothing},
		{"members", membersOfSession},
		{"after close", afterClose},
		{"a context that is done", contextDone},
		{"recording while a part is read", recordingMeanwhile},
		{"identifiers", everyIdentifier},
		{"keys", everyKey},
		{"entries", entries},
		{"purge", purge},
		{"stamps", stamps},
		{"stamps outlast what is written anew", stampsRewritten},
		{"Members", membersHelper},
		{"Diff", diffHelper},
		{"Import", importHelper},
		{"Import of what cannot be kept", importRefuses},
	}
	for name, made := range ledgers() {
		for _, c := range cases {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				c.run(subject{t, made(t)})
			})
		}
	}
}

func oneWriter(t subject) {
	first, second := t.again(), t.again()
	s := open(t, first, key("a"))
	fill(t, s, ledger.In, external("u-1"))
	tries := map[string]func(ledger.Ledger) error{
		"Open": func(l ledger.Ledger) error { _, err := l.Open(t.Context(), key("a")); return err },
		"Members": func(l ledger.Ledger) error {
			for _, err := range ledger.Members(t.Context(), l, key("a")) {
				return err
			}
			return nil
		},
		"Diff": func(l ledger.Ledger) error {
			for _, err := range ledger.Diff(t.Context(), l, key("a"), maps.All(map[identity.ID]error{})) {
				return err
			}
			return nil
		},
		"Import": func(l ledger.Ledger) error {
			return ledger.Import(t.Context(), l, ledger.Entry{Key: key("a")}, maps.All(map[ledger.Member]error{}))
		},
	}
	for name, try := range tries {
		for which, l := range map[string]ledger.Ledger{"the same ledger": first, "another": second} {
			var held *ledger.HeldError
			err := try(l)
			if !errors.As(err, &held) {
				t.Fatalf("%s on %s = %v, want a HeldError", name, which, err)
			}
			if held.Key != key("a") || held.Holder == "" || !strings.Contains(err.Error(), held.Holder) || !strings.Contains(err.Error(), `"a"`) {
				t.Errorf("%s on %s: %q names neither the entry nor the holder (%q)", name, which, err, held.Holder)
			}
		}
	}
	// Others are free, and whoever was turned away has disturbed nobody.
	shut(t, open(t, second, key("b")))
	settle(t, s, begin(t, s, nil, batch(ledger.Out, external("u-2"))), ledger.Accepted)
	shut(t, s)
	s = open(t, second, key("a"))
	if diff := cmp.Diff(states{"e:u-1": ledger.In, "e:u-2": ledger.In}, members(t, s.Members(t.Context()))); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	if _, err := first.Open(t.Context(), key("a")); err == nil {
		t.Error("the lease went to two")
	}
}

func badKey(t subject) {
	l := t.again()
	for name, spoil := range map[string]func(*ledger.Key, string){
		"key endpoint":  func(k *ledger.Key, s string) { k.Endpoint = s },
		"key partner":   func(k *ledger.Key, s string) { k.Partner = s },
		"key workspace": func(k *ledger.Key, s string) { k.Workspace = s },
		"key cohort id": func(k *ledger.Key, s string) { k.CohortID = s },
	} {
		for _, bad := range []string{"", "a\nb", "a\x00", "\xff"} {
			k := key("a")
			spoil(&k, bad)
			s, err := l.Open(t.Context(), k)
			var invalid *ledger.InvalidError
			if !errors.As(err, &invalid) || s != nil {
				t.Fatalf("%s %q: Open = %v, %v; want an InvalidError", name, bad, s, err)
			}
			if invalid.Field != name || invalid.Problem == "" || invalid.Next == "" {
				t.Errorf("%s %q: %+v", name, bad, invalid)
			}
		}
	}
}

func allEntries(tb testing.TB, l ledger.Ledger) []ledger.Entry {
	tb.Helper()
	var list []ledger.Entry
	for e, err := range l.Entries(tb.Context()) {
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

func nothingRecorded(t subject) {
	s := open(t, t.again(), key("a"))
	if diff := cmp.Diff(ledger.Header{}, s.Header()); diff != "" {
		t.Errorf("header of nothing (-want +got):\n%s", diff)
	}
	compare(t, s, want(external("u-1"))...)
	if got := members(t, s.Members(t.Context())); len(got) != 0 {
		t.Errorf("members of nothing: %v", got)
	}
	shut(t, s)
	if got := allEntries(t, t.again()); len(got) != 0 {
		t.Errorf("entries: %v, want none: nothing was recorded", got)
	}
}

func generation(t subject) {
	var intent ledger.Intent
	for i, step := range []struct {
		run  func(ledger.Session)
		want uint64
	}{
		{func(s ledger.Session) { intent = begin(t, s, nil, batch(ledger.Out, external("u-1"))) }, 1},
		{func(ledger.Session) {}, 1},
		{func(s ledger.Session) { compare(t, s) }, 1},
		{func(s ledger.Session) { setHeader(t, s, ledger.Header{Generation: 40}) }, 2},
		{func(s ledger.Session) {
			setHeader(t, s, ledger.Header{Name: "x"})
			intent = begin(t, s, nil, batch(ledger.Unknown, external("u-1")))
			settle(t, s, intent, ledger.Refused)
			setHeader(t, s, ledger.Header{Name: "y"})
		}, 3},
		{func(s ledger.Session) { members(t, s.Members(t.Context())) }, 3},
	} {
		s := open(t, t.again(), key("a"))
		step.run(s)
		shut(t, s)
		s = open(t, t.again(), key("a"))
		if got := s.Header().Generation; got != step.want {
			t.Errorf("generation after step %d = %d, want %d", i, got, step.want)
		}
		shut(t, s)
		if got := allEntries(t, t.again()); len(got) != 1 || got[0].Header.Generation != step.want {
			t.Errorf("entries after step %d: %v", i, got)
		}
	}
}

func headers(t subject) {
	full := header()
	far := time.FixedZone("far", 14*3600)
	for i, h := range []ledger.Header{
		full, {}, {Name: strings.Repeat("\U0001f338", 10_000)}, {Naming: ledger.Named, Name: "a\nb"}, {CreatedAt: time.Date(1969, 12, 31, 23, 59, 59, 1, time.UTC)},
		{CreatedAt: time.Unix(0, 0)}, {CreatedAt: time.Date(2026, 1, 1, 0, 0, 0, 5, far)}, {CreatedAt: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
		{Sent: ledger.Epochs{0: -1, 255: 1<<63 - 1}}, {Retired: true}, {Rules: "r"},
		{NamedAt: time.Date(2026, 1, 1, 0, 0, 0, 5, far)}, {FormerName: "a\nb"},
	} {
		s := open(t, t.again(), key("a"))
		// A name changes while members do.
		intent := begin(t, s, nil, batch(ledger.Unknown, external("u-1")))
		setHeader(t, s, h)
		settle(t, s, intent, ledger.Accepted)
		h.Generation = uint64(i) + 1
		if diff := cmp.Diff(h, s.Header()); diff != "" {
			t.Errorf("header %d in its session (-want +got):\n%s", i, diff)
		}
		shut(t, s)
		s = open(t, t.again(), key("a"))
		if diff := cmp.Diff(h, s.Header()); diff != "" {
			t.Errorf("header %d later (-want +got):\n%s", i, diff)
		}
		if h.CreatedAt.IsZero() != s.Header().CreatedAt.IsZero() {
			t.Errorf("header %d: created at %s, want %s", i, s.Header().CreatedAt, h.CreatedAt)
		}
		if diff := cmp.Diff([]ledger.Entry{{Key: key("a"), Header: h}}, allEntries(t, t.again())); diff != "" {
			t.Errorf("entries %d (-want +got):\n%s", i, diff)
		}
		shut(t, s)
	}
	s := open(t, t.again(), key("a"))
	before := s.Header()
	for field, bad := range map[string]ledger.Header{
		"header name": {Name: "\xff"}, "header former name": {FormerName: "\xff"}, "header rules": {Rules: "\xff"},
		"header created-at": {CreatedAt: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}, "header named-at": {NamedAt: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		var invalid *ledger.InvalidError
		if err := s.SetHeader(t.Context(), bad); !errors.As(err, &invalid) || invalid.Field != field || s.Header() != before {
			t.Errorf("%s: error %v", field, err)
		}
	}
	shut(t, s)
}

func unsettled(t subject) {
	a, b, c := external("a"), external("b"), external("c")
	s := open(t, t.again(), key("a"))
	fill(t, s, ledger.In, a)
	begin(t, s, batch(ledger.In, a), batch(ledger.Out, b, c))
	check := func(when string) {
		t.Helper()
		if diff := cmp.Diff(states{"e:a": ledger.Unknown, "e:b": ledger.Unknown, "e:c": ledger.Unknown}, members(t, s.Members(t.Context()))); diff != "" {
			t.Errorf("members %s (-want +got):\n%s", when, diff)
		}
		want := difference{Members: 3, Adds: states{}, Removals: states{"e:c": ledger.Unknown}, Repeats: states{"e:a": ledger.Unknown, "e:b": ledger.Unknown}}
		if diff := cmp.Diff(want, compare(t, s, ledger.Wanted{ID: a}, ledger.Wanted{ID: b})); diff != "" {
			t.Errorf("difference %s (-want +got):\n%s", when, diff)
		}
	}
	check("in the session")
	shut(t, s)
	s = open(t, t.again(), key("a"))
	check("in the next")
}

func outcomes(t subject) {
	id := external("u-1")
	for _, before := range []ledger.State{ledger.Out, ledger.In, ledger.Unknown} {
		for _, c := range []struct {
			outcome ledger.Outcome
			removal bool
			want    ledger.State
		}{
			{ledger.Accepted, true, ledger.Out},
			{ledger.Accepted, false, ledger.In},
			{ledger.Refused, true, before},
			{ledger.Refused, false, before},
			{ledger.Lost, true, ledger.Unknown},
			{ledger.Lost, false, ledger.Unknown},
		} {
			name := fmt.Sprintf("%v, removal %t, %v", before, c.removal, c.outcome)
			k := key(name)
			s := open(t, t.again(), k)
			fill(t, s, before, id, external("other"))
			// Half of the time the former state comes from an earlier session.
			if c.removal {
				shut(t, s)
				s = open(t, t.again(), k)
			}
			if c.removal {
				settle(t, s, begin(t, s, batch(before, id), nil), c.outcome)
			} else {
				settle(t, s, begin(t, s, nil, batch(before, id)), c.outcome)
			}
			want := states{}
			if c.want != ledger.Out {
				want["e:u-1"] = c.want
			}
			if before != ledger.Out {
				want["e:other"] = before
			}
			if diff := cmp.Diff(want, members(t, s.Members(t.Context()))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			shut(t, s)
			s = open(t, t.again(), k)
			if diff := cmp.Diff(want, members(t, s.Members(t.Context()))); diff != "" {
				t.Errorf("%s, later (-want +got):\n%s", name, diff)
			}
			shut(t, s)
		}
	}
}

func bothKinds(t subject) {
	for _, c := range []struct {
		outcome ledger.Outcome
		want    states
	}{
		{ledger.Accepted, states{"e:new": ledger.In, "e:again": ledger.In, "e:kept": ledger.In}},
		{ledger.Refused, states{"e:old": ledger.In, "e:lost": ledger.Unknown, "e:again": ledger.In, "e:kept": ledger.In}},
		{ledger.Lost, states{"e:old": ledger.Unknown, "e:lost": ledger.Unknown, "e:new": ledger.Unknown, "e:again": ledger.Unknown, "e:kept": ledger.In}},
	} {
		k := key(c.outcome.String())
		s := open(t, t.again(), k)
		fill(t, s, ledger.In, external("old"), external("again"), external("kept"))
		fill(t, s, ledger.Unknown, external("lost"))
		removals := []ledger.Member{{ID: external("old"), State: ledger.In}, {ID: external("lost"), State: ledger.Unknown}}
		adds := []ledger.Member{{ID: external("new"), State: ledger.Out}, {ID: external("again"), State: ledger.In}}
		settle(t, s, begin(t, s, removals, adds), c.outcome)
		shut(t, s)
		if diff := cmp.Diff(c.want, members(t, ledger.Members(t.Context(), t.again(), k))); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.outcome, diff)
		}
	}
}

func anyOrder(t subject) {
	s := open(t, t.again(), key("a"))
	a := begin(t, s, nil, batch(ledger.Out, external("a")))
	b := begin(t, s, nil, batch(ledger.Out, external("b")))
	c := begin(t, s, nil, batch(ledger.Out, external("c")))
	if a == b || b == c || a == c {
		t.Fatalf("intents %d, %d and %d are not three", a, b, c)
	}
	begin(t, s, nil, batch(ledger.Out, external("d")))
	settle(t, s, c, ledger.Accepted)
	settle(t, s, a, ledger.Refused)
	// Whose intent is settled may be changed again.
	settle(t, s, begin(t, s, batch(ledger.In, external("c")), nil), ledger.Lost)
	settle(t, s, begin(t, s, nil, batch(ledger.Out, external("a"))), ledger.Accepted)
	settle(t, s, b, ledger.Accepted)
	settle(t, s, begin(t, s, batch(ledger.In, external("b")), nil), ledger.Accepted)
	settle(t, s, begin(t, s, nil, batch(ledger.Out, external("b"))), ledger.Lost)
	shut(t, s)
	want := states{"e:a": ledger.In, "e:b": ledger.Unknown, "e:c": ledger.Unknown, "e:d": ledger.Unknown}
	if diff := cmp.Diff(want, members(t, ledger.Members(t.Context(), t.again(), key("a")))); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func slicesNotKept(t subject) {
	s := open(t, t.again(), key("a"))
	fill(t, s, ledger.In, external("r"))
	removals, adds := batch(ledger.In, external("r")), batch(ledger.Out, external("a"))
	intent := begin(t, s, removals, adds)
	removals[0], adds[0] = ledger.Member{ID: external("x")}, ledger.Member{ID: external("y"), State: ledger.In}
	settle(t, s, intent, ledger.Accepted)
	shut(t, s)
	if diff := cmp.Diff(states{"e:a": ledger.In}, members(t, ledger.Members(t.Context(), t.again(), key("a")))); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func duplicates(t subject) {
	a, b, c, gone := external("a"), external("b"), external("c"), external("gone")
	s := open(t, t.again(), key("a"))
	fill(t, s, ledger.In, a, gone)
	fill(t, s, ledger.Unknown, b)
	got := compare(t, s, want(a, b, c, c, b, a, a)...)
	expect := difference{Members: 3, Kept: 1, Duplicate: 4, Removals: states{"e:gone": ledger.In}, Adds: states{"e:c": ledger.Out}, Repeats: states{"e:b": ledger.Unknown}}
	if diff := cmp.Diff(expect, got); diff != "" {
		t.Errorf("difference (-want +got):\n%s", diff)
	}
}

func nobodyWanted(t subject) {
	s := open(t, t.again(), key("a"))
	if diff := cmp.Diff(difference{Removals: states{}, Adds: states{}, Repeats: states{}}, compare(t, s)); diff != "" {
		t.Errorf("of nothing (-want +got):\n%s", diff)
	}
	fill(t, s, ledger.In, external("a"))
	fill(t, s, ledger.Unknown, external("b"))
	expect := difference{Members: 2, Removals: states{"e:a": ledger.In, "e:b": ledger.Unknown}, Adds: states{}, Repeats: states{}}
	if diff := cmp.Diff(expect, compare(t, s)); diff != "" {
		t.Errorf("difference (-want +got):\n%s", diff)
	}
}

func brokenSource(t subject) {
	s := open(t, t.again(), key("a"))
	fill(t, s, ledger.In, external("a"), external("b"))
	before := compare(t, s, want(external("a"), external("c"))...)
	for _, at := range []int{0, 1, 5000} {
		went := false
		d, err := s.Compare(t.Context(), func(yield func(ledger.Wanted, error) bool) {
			for i := range at {
				if !yield(ledger.Wanted{ID: external(strconv.Itoa(i)), Others: []identity.ID{external("b")}}, nil) {
					t.Error("the source was left early")
					return
				}
			}
			went = yield(ledger.Wanted{ID: external("half read")}, errSource)
		})
		if d != nil || !errors.Is(err, errSource) || err.Error() != errSource.Error() {
			t.Errorf("broken at %d: Compare = %v, %v; want the source's error as it is", at, d, err)
		}
		if went {
			t.Errorf("broken at %d: the source was asked for more", at)
		}
		if diff := cmp.Diff(before, compare(t, s, want(external("a"), external("c"))...)); diff != "" {
			t.Errorf("broken at %d: something was kept (-want +got):\n%s", at, diff)
		}
	}
	shut(t, s)
	if diff := cmp.Diff(states{"e:a": ledger.In, "e:b": ledger.In}, members(t, ledger.Members(t.Context(), t.again(), key("a")))); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func sourceOnce(t subject) {
	s := open(t, t.again(), key("a"))
	fill(t, s, ledger.In, external("a"))
	reads := 0
	d, err := s.Compare(t.Context(), func(yield func(ledger.Wanted, error) bool) {
		reads++
		_ = yield(ledger.Wanted{ID: external("b")}, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	read(t, d)
	if reads != 1 {
		t.Errorf("the source was read %d times, want once: it may be a queue", reads)
	}
}

func othersNotKept(t subject) {
	s := open(t, t.again(), key("a"))
	fill(t, s, ledger.In, external("a"), external("b"), external("old a"), external("old b"))
	d, err := s.Compare(t.Context(), func(yield func(ledger.Wanted, error) bool) {
		buffer := make([]identity.ID, 1)
		for _, name := range []string{"a", "b"} {
			buffer[0] = external("old " + name)
			if !yield(ledger.Wanted{ID: external(name), Others: buffer}, nil) {
				return
			}
		}
		buffer[0] = external("nobody")
	})
	if err != nil {
		t.Fatal(err)
	}
	expect := difference{
		Members: 4, Removals: states{"e:old a": ledger.In, "e:old b": ledger.In}, Adds: states{},
		Repeats: states{"e:a": ledger.In, "e:b": ledger.In},
	}
	if diff := cmp.Diff(expect, read(t, d)); diff != "" {
		t.Errorf("difference (-want +got):\n%s", diff)
	}
}

func parts(t subject) {
	s := open(t, t.again(), key("a"))
	var stay, gone, fresh, lost []identity.ID
	for i := range 700 {
		stay, gone = append(stay, external(fmt.Sprint("stay", i))), append(gone, external(fmt.Sprint("gone", i)))
		fresh, lost = append(fresh, external(fmt.Sprint("fresh", i))), append(lost, external(fmt.Sprint("lost", i)))
	}
	fill(t, s, ledger.In, slices.Concat(stay, gone)...)
	fill(t, s, ledger.Unknown, lost...)
	shut(t, s)
	s = open(t, t.again(), key("a"))
	d, err := s.Compare(t.Context(), source(want(slices.Concat(fresh, stay, lost)...)...))
	if err != nil {
		t.Fatal(err)
	}
	first := read(t, d)
	if d.Removals.Count != 700 || d.Adds.Count != 700 || d.Repeats.Count != 700 || d.Kept != 700 || d.Members != 2100 {
		t.Fatalf("difference: %d removals, %d adds, %d repeats, %d kept of %d", d.Removals.Count, d.Adds.Count, d.Repeats.Count, d.Kept, d.Members)
	}
	for _, p := range []ledger.Part{d.Removals, d.Adds, d.Repeats} {
		for _, stop := range []int{1, 350, 700} {
			n := 0
			for _, err := range p.Members {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n == stop {
					break
				}
			}
		}
	}
	// One inside the other, as a caller does that looks ahead.
	next, stop := iter.Pull2(d.Adds.Members)
	defer stop()
	if _, err, ok := next(); err != nil || !ok {
		t.Fatalf("the first addition: %v, %t", err, ok)
	}
	if diff := cmp.Diff(first, read(t, d)); diff != "" {
		t.Errorf("the parts changed (-first +later):\n%s", diff)
	}
	n := 1
	for {
		_, err, ok := next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		n++
	}
	if n != 700 {
		t.Errorf("the interrupted reading gave %d additions, want 700", n)
	}
}

func secondComparison(t subject) {
	a, b, c, d := external("a"), external("b"), external("c"), external("d")
	s := open(t, t.again(), key("a"))
	fill(t, s, ledger.In, a, b)
	if diff := cmp.Diff(difference{Members: 2, Kept: 1, Removals: states{"e:a": ledger.In}, Adds: states{"e:c": ledger.Out, "e:d": ledger.Out}, Repeats: states{}},
		compare(t, s, want(b, c, d)...)); diff != "" {
		t.Errorf("first (-want +got):\n%s", diff)
	}
	settle(t, s, begin(t, s, batch(ledger.In, a), nil), ledger.Accepted)
	settle(t, s, begin(t, s, nil, batch(ledger.Out, c)), ledger.Accepted)
	begin(t, s, nil, batch(ledger.Out, d))
	if diff := cmp.Diff(difference{Members: 3, Kept: 2, Removals: states{}, Adds: states{}, Repeats: states{"e:d": ledger.Unknown}},
		compare(t, s, want(b, c, d)...)); diff != "" {
		t.Errorf("second (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(difference{Members: 3, Kept: 0, Removals: states{"e:b": ledger.In, "e:c": ledger.In, "e:d": ledger.Unknown}, Adds: states{"e:a": ledger.Out}, Repeats: states{}},
		compare(t, s, want(a)...)); diff != "" {
		t.Errorf("third (-want +got):\n%s", diff)
	}
}

func comparingRecordsNothing(t subject) {
	s := open(t, t.again(), key("a"))
	fill(t, s, ledger.In, external("a"), external("old"))
	shut(t, s)
	before := allEntries(t, t.again())
	s = open(t, t.again(), key("a"))
	compare(t, s, ledger.Wanted{ID: external("a"), Others: []identity.ID{external("old")}}, ledger.Wanted{ID: external("new")})
	shut(t, s)
	if diff := cmp.Diff(before, allEntries(t, t.again())); diff != "" {
		t.Errorf("entries (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(states{"e:a": ledger.In, "e:old": ledger.In}, members(t, ledger.Members(t.Context(), t.again(), key("a")))); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func membersOfSession(t subject) {
	s := open(t, t.again(), key("a"))
	expect := states{}
	for i := range 500 {
		id := external(fmt.Sprint("u-", i))
		state := ledger.State(i % 3)
		fill(t, s, state, id)
		if state != ledger.Out {
			expect[show(id)] = state
		}
		if i == 250 {
			shut(t, s)
			s = open(t, t.again(), key("a"))
		}
	}
	for range 2 {
		if diff := cmp.Diff(expect, members(t, s.Members(t.Context()))); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
	}
	n := 0
	for _, err := range s.Members(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 3 {
			break
		}
	}
	// Whoever breaks out may go on.
	settle(t, s, begin(t, s, batch(ledger.In, external("u-1")), nil), ledger.Accepted)
	delete(expect, "e:u-1")
	if diff := cmp.Diff(expect, members(t, s.Members(t.Context()))); diff != "" {
		t.Errorf("members after a change (-want +got):\n%s", diff)
	}
}

func afterClose(t subject) {
	s := open(t, t.again(), key("a"))
	fill(t, s, ledger.In, external("a"))
	intent := begin(t, s, nil, batch(ledger.Out, external("b")))
	shut(t, s)
	calls := map[string]func(ledger.Session) error{
		"SetHeader": func(s ledger.Session) error { return s.SetHeader(t.Context(), ledger.Header{Name: "late"}) },
		"Begin": func(s ledger.Session) error {
			_, err := s.Begin(t.Context(), nil, batch(ledger.Out, external("c")))
			return err
		},
		"Settle":  func(s ledger.Session) error { return s.Settle(intent, ledger.Accepted) },
		"Compare": func(s ledger.Session) error { _, err := s.Compare(t.Context(), source()); return err },
		"Members": func(s ledger.Session) error {
			for _, err := range s.Members(t.Context()) {
				return err
			}
			return nil
		},
		"Purge": func(s ledger.Session) error {
			if p, ok := s.(ledger.Purger); ok {
				return p.Purge(t.Context())
			}
			return ledger.ErrClosed
		},
	}
	refused := func(when string) {
		t.Helper()
		for name, call := range calls {
			if err := call(s); !errors.Is(err, ledger.ErrClosed) {
				t.Errorf("%s %s = %v, want ErrClosed", name, when, err)
			}
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Errorf("Close %s = %v", when, err)
			}
		}
	}
	refused("after Close")
	// The old session has no hold on the new one.
	next := open(t, t.again(), key("a"))
	refused("while another session is open")
	if _, err := t.again().Open(t.Context(), key("a")); err == nil {
		t.Error("closing the old session again ended the new one's lease")
	}
	if diff := cmp.Diff(states{"e:a": ledger.In, "e:b": ledger.Unknown}, members(t, next.Members(t.Context()))); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	// Those of an unused session too.
	s = open(t, t.again(), key("b"))
	shut(t, s)
	refused("of a session that did nothing")
}

func contextDone(t subject) {
	s := open(t, t.again(), key("a"))
	fill(t, s, ledger.In, external("a"), external("b"))
	done, cancel := context.WithCancel(t.Context())
	cancel()
	var failed int
	check := func(name string, err error) {
		t.Helper()
		failed++
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s = %v, want context.Canceled", name, err)
		}
	}
	_, err := t.again().Open(done, key("b"))
	check("Open", err)
	_, err = s.Compare(done, source(want(external("a"))...))
	check("Compare", err)
	// A source may simply end when the context does. To take that for an empty list would empty the cohort.
	early, stop := context.WithCancel(t.Context())
	_, err = s.Compare(early, func(yield func(ledger.Wanted, error) bool) {
		_ = yield(ledger.Wanted{ID: external("a")}, nil)
		stop()
	})
	check("Compare of a source that ends with the context", err)
	_, err = s.Compare(done, source())
	check("Compare of nothing", err)
	for _, err := range s.Members(done) {
		check("Members", err)
		break
	}
	for _, err := range t.again().Entries(done) {
		check("Entries", err)
		break
	}
	if failed != 6 {
		t.Errorf("%d calls answered, want 6", failed)
	}
	// Reading goes on with another context.
	if diff := cmp.Diff(difference{Members: 2, Kept: 1, Removals: states{"e:b": ledger.In}, Adds: states{}, Repeats: states{}}, compare(t, s, want(external("a"))...)); diff != "" {
		t.Errorf("difference (-want +got):\n%s", diff)
	}
	// What is recorded may be recorded nevertheless; if not, it is an error, and the members are what they were.
	expect := states{"e:a": ledger.In, "e:b": ledger.In}
	if _, err := s.Begin(done, nil, batch(ledger.Out, external("c"))); err == nil {
		expect["e:c"] = ledger.Unknown
	} else {
		check("Begin", err)
	}
	_ = s.Close()
	got := members(t, ledger.Members(t.Context(), t.again(), key("a")))
	if _, begun := expect["e:c"]; !begun {
		delete(got, "e:c") // an intent that did not leave may be recorded
	}
	if diff := cmp.Diff(expect, got); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	shut(t, open(t, t.again(), key("b"))) // a failed Open holds nothing
}

// recordingMeanwhile sends a difference as a syncer does: parts are read while many batches of them are under way.
func recordingMeanwhile(t subject) {
	const n = 1500
	s := open(t, t.again(), key("a"))
	var old, wanted []identity.ID
	for i := range n {
		old = append(old, external(fmt.Sprint("old", i)))
		wanted = append(wanted, external(fmt.Sprint("new", i)))
	}
	fill(t, s, ledger.In, old...)
	fill(t, s, ledger.Unknown, wanted[:n/3]...)
	shut(t, s)
	s = open(t, t.again(), key("a"))
	d, err := s.Compare(t.Context(), source(want(wanted...)...))
	if err != nil {
		t.Fatal(err)
	}
	var senders sync.WaitGroup
	var mu sync.Mutex
	seen := map[ledger.Intent]bool{}
	send := func(removal bool, list []ledger.Member) {
		senders.Go(func() {
			var intent ledger.Intent
			var err error
			if removal {
				intent, err = s.Begin(t.Context(), list, nil)
			} else {
				intent, err = s.Begin(t.Context(), nil, list)
			}
			if err == nil {
				err = s.Settle(intent, ledger.Accepted)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil || seen[intent] {
				t.Errorf("intent %d: %v, seen before: %t", intent, err, seen[intent])
			}
			seen[intent] = true
		})
	}
	for _, p := range []struct {
		removal bool
		ledger.Part
	}{{true, d.Removals}, {false, d.Adds}, {false, d.Repeats}} {
		var list []ledger.Member
		count := 0
		for m, err := range p.Members {
			if err != nil {
				t.Fatal(err)
			}
			count++
			if list = append(list, m); len(list) == 50 {
				send(p.removal, list)
				list = nil
			}
		}
		send(p.removal, list)
		if count != p.Count {
			t.Errorf("a part of %d yielded %d while it was sent", p.Count, count)
		}
	}
	senders.Wait()
	expect := difference{Members: n, Kept: n, Removals: states{}, Adds: states{}, Repeats: states{}}
	if diff := cmp.Diff(expect, compare(t, s, want(wanted...)...)); diff != "" {
		t.Errorf("in the session (-want +got):\n%s", diff)
	}
	shut(t, s)
	if diff := cmp.Diff(expect, compare(t, open(t, t.again(), key("a")), want(wanted...)...)); diff != "" {
		t.Errorf("later (-want +got):\n%s", diff)
	}
}

func everyIdentifier(t subject) {
	ids := identifiers()
	s := open(t, t.again(), key("a"))
	var in, unknown, out []identity.ID
	all := states{}
	for i, id := range ids {
		switch i % 3 {
		case 0:
			in, all[show(id)] = append(in, id), ledger.In
		case 1:
			unknown, all[show(id)] = append(unknown, id), ledger.Unknown
		case 2:
			out = append(out, id)
		}
	}
	if len(all)+len(out) != len(ids) {
		t.Fatalf("%d of %d identifiers look alike", len(ids)-len(all)-len(out), len(ids))
	}
	fill(t, s, ledger.In, in...)
	fill(t, s, ledger.Unknown, unknown...)
	check := func(when string, s ledger.Session) {
		t.Helper()
		if diff := cmp.Diff(all, members(t, s.Members(t.Context()))); diff != "" {
			t.Errorf("members %s (-want +got):\n%s", when, diff)
		}
		expect := difference{Members: len(all), Kept: len(in), Removals: states{}, Adds: states{}, Repeats: states{}}
		for _, id := range out {
			expect.Adds[show(id)] = ledger.Out
		}
		for _, id := range unknown {
			expect.Repeats[show(id)] = ledger.Unknown
		}
		if diff := cmp.Diff(expect, compare(t, s, want(ids...)...)); diff != "" {
			t.Errorf("all wanted %s (-want +got):\n%s", when, diff)
		}
		expect = difference{Members: len(all), Removals: all, Adds: states{}, Repeats: states{}}
		for _, id := range out {
			expect.Adds[show(id)] = ledger.Out
		}
		if diff := cmp.Diff(expect, compare(t, s, want(out...)...)); diff != "" {
			t.Errorf("the others wanted %s (-want +got):\n%s", when, diff)
		}
	}
	check("in the session", s)
	shut(t, s)
	s = open(t, t.again(), key("a"))
	check("later", s)
	// The identifiers come back byte for byte.
	exact := map[identity.ID]bool{}
	for m, err := range s.Members(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		exact[m.ID] = true
	}
	for _, id := range slices.Concat(in, unknown) {
		if !exact[id] {
			t.Errorf("%q did not come back", show(id))
		}
	}
	shut(t, s)
	// Each turns up alone where everybody else is removed.
	s = open(t, t.again(), key("a"))
	settle(t, s, begin(t, s, slices.Concat(batch(ledger.In, in...), batch(ledger.Unknown, unknown...)), batch(ledger.Out, out...)), ledger.Accepted)
	shut(t, s)
	all = states{}
	for _, id := range out {
		all[show(id)] = ledger.In
	}
	in, unknown, out = out, nil, slices.Concat(in, unknown)
	check("after everybody changed", open(t, t.again(), key("a")))
}

func everyKey(t subject) {
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
	// All at once: nobody holds another's lease.
	sessions := make([]ledger.Session, len(keys))
	l := t.again()
	for i, k := range keys {
		s, err := l.Open(t.Context(), k)
		if err != nil {
			t.Fatalf("entry %d of %d, %v: %v", i, len(keys), k, err)
		}
		t.Cleanup(func() { _ = s.Close() })
		sessions[i] = s
		setHeader(t, s, ledger.Header{Name: fmt.Sprint(i)})
		fill(t, s, ledger.In, external("everybody's"), external(fmt.Sprint("u-", i)))
	}
	for _, s := range sessions {
		shut(t, s)
	}
	expect := map[ledger.Key]string{}
	l = t.again()
	for i, k := range keys {
		s := open(t, l, k)
		if got := s.Header().Name; got != fmt.Sprint(i) {
			t.Errorf("entry %d, %v, has the header of %s", i, k, got)
		}
		if diff := cmp.Diff(states{"e:everybody's": ledger.In, fmt.Sprint("e:u-", i): ledger.In}, members(t, s.Members(t.Context()))); diff != "" {
			t.Errorf("entry %d, %v (-want +got):\n%s", i, k, diff)
		}
		shut(t, s)
		expect[k] = fmt.Sprint(i)
	}
	got := map[ledger.Key]string{}
	for _, e := range allEntries(t, l) {
		got[e.Key] = e.Header.Name
	}
	if diff := cmp.Diff(expect, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func entries(t subject) {
	keysOf := func(list []ledger.Entry) []ledger.Key {
		keys := make([]ledger.Key, 0, len(list))
		for _, e := range list {
			keys = append(keys, e.Key)
		}
		return keys
	}
	var held []ledger.Session
	before := allEntries(t, t.again())
	if len(before) != 0 {
		t.Fatalf("a new ledger has entries: %v", before)
	}
	for i := range 20 {
		k := key(fmt.Sprint("c-", (i*7)%20))
		s := open(t, t.again(), k)
		if i%2 == 0 {
			setHeader(t, s, ledger.Header{Name: fmt.Sprint(i)})
		} else {
			fill(t, s, ledger.In, external("a"))
		}
		// Some stay open: a list takes no lease.
		if i%3 == 0 {
			held = append(held, s)
		} else {
			shut(t, s)
		}
		after := keysOf(allEntries(t, t.again()))
		if diff := cmp.Diff(after, keysOf(allEntries(t, t.again()))); diff != "" {
			t.Errorf("two lists (-first +second):\n%s", diff)
		}
		if !slices.Contains(after, k) {
			t.Errorf("%v is not in the list", k)
		}
		older := slices.DeleteFunc(slices.Clone(after), func(other ledger.Key) bool { return other == k })
		if diff := cmp.Diff(keysOf(before), older); diff != "" {
			t.Errorf("the order of those before (-want +got):\n%s", diff)
		}
		before = allEntries(t, t.again())
	}
	for _, s := range held {
		setHeader(t, s, ledger.Header{Name: "now"})
		shut(t, s)
	}
	n := 0
	for _, e := range allEntries(t, t.again()) {
		if e.Header.Name == "now" {
			n++
		}
		if e.Header.Generation != 1 {
			t.Errorf("%v has generation %d, want 1", e.Key, e.Header.Generation)
		}
	}
	if n != len(held) {
		t.Errorf("%d entries have the new name, want %d", n, len(held))
	}
	for _, err := range t.again().Entries(t.Context()) {
		if err != nil {
			t.Error(err)
		}
		break
	}
}

func purge(t subject) {
	s := open(t, t.again(), key("a"))
	fill(t, s, ledger.In, external("a"), external("b"))
	fill(t, s, ledger.Unknown, external("c"))
	settle(t, s, begin(t, s, batch(ledger.In, external("a")), nil), ledger.Accepted)
	h := header()
	setHeader(t, s, h)
	expect := states{"e:b": ledger.In, "e:c": ledger.Unknown}
	if p, ok := s.(ledger.Purger); ok {
		for range 2 {
			if err := p.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff(expect, members(t, s.Members(t.Context()))); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	// The session goes on.
	settle(t, s, begin(t, s, nil, batch(ledger.Out, external("d"))), ledger.Accepted)
	expect["e:d"] = ledger.In
	shut(t, s)
	s = open(t, t.again(), key("a"))
	if diff := cmp.Diff(expect, members(t, s.Members(t.Context()))); diff != "" {
		t.Errorf("members later (-want +got):\n%s", diff)
	}
	h.Generation = 1
	if diff := cmp.Diff(h, s.Header()); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
}

// stampOf returns the stamp of a member whose name has one letter.
func stampOf(name byte, at int64, leave, sure bool) ledger.Stamp {
	return ledger.Stamp{Member: [16]byte{name}, At: at, Leave: leave, Sure: sure}
}

// keeper returns a session as what keeps times.
func keeper(t subject, s ledger.Session) ledger.Timekeeper {
	t.Helper()
	k, ok := s.(ledger.Timekeeper)
	if !ok {
		t.Fatal("the session is no Timekeeper")
	}
	return k
}

// beginStamped begins an intent with stamps, of members that do not matter.
func beginStamped(t subject, s ledger.Session, watermark int64, stamps ...ledger.Stamp) ledger.Intent {
	var removals, adds []ledger.Member
	for _, stamp := range stamps {
		m := ledger.Member{ID: external(string(rune(stamp.Member[0]))), State: ledger.Unknown}
		if stamp.Leave {
			removals = append(removals, m)
		} else {
			adds = append(adds, m)
		}
	}
	intent, err := keeper(t, s).BeginStamped(t.Context(), removals, adds, stamps, watermark)
	if err != nil {
		t.Fatal(err)
	}
	return intent
}

// wantStamps holds a session to a watermark and stamps, given in the order of their members.
func wantStamps(t subject, s ledger.Session, watermark int64, want ...ledger.Stamp) {
	t.Helper()
	gotMark, got, err := keeper(t, s).Stamps(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b ledger.Stamp) int { return int(a.Member[0]) - int(b.Member[0]) })
	if diff := cmp.Diff(append([]ledger.Stamp{}, want...), append([]ledger.Stamp{}, got...)); diff != "" || gotMark != watermark {
		t.Errorf("watermark %d, want %d; stamps (-want +got):\n%s", gotMark, watermark, diff)
	}
}

func stamps(t subject) {
	s := open(t, t.again(), key("a"))
	if _, ok := s.(ledger.Timekeeper); !ok {
		return // it need not be one
	}
	wantStamps(t, s, 0)
	settle(t, s, beginStamped(t, s, 0, stampOf('a', 10, false, false), stampOf('b', 10, true, false)), ledger.Accepted)
	settle(t, s, beginStamped(t, s, 0, stampOf('c', 11, false, true)), ledger.Lost)
	settle(t, s, beginStamped(t, s, 0, stampOf('a', 12, true, false), stampOf('d', 12, true, false)), ledger.Refused)
	beginStamped(t, s, 0, stampOf('e', 13, false, false))
	want := []ledger.Stamp{stampOf('a', 10, false, true), stampOf('b', 10, true, true), stampOf('c', 11, false, false), stampOf('e', 13, false, false)}
	wantStamps(t, s, 0, want...)
	shut(t, s)
	s = open(t, t.again(), key("a"))
	wantStamps(t, s, 0, want...)
	// The same event once more, an older one, one at the same time that leaves, and one that does not.
	settle(t, s, beginStamped(t, s, 0, stampOf('c', 11, false, false)), ledger.Accepted)
	settle(t, s, beginStamped(t, s, 0, stampOf('c', 11, false, false), stampOf('b', 9, false, false)), ledger.Lost)
	settle(t, s, beginStamped(t, s, 0, stampOf('a', 10, true, false)), ledger.Lost)
	settle(t, s, beginStamped(t, s, 0, stampOf('a', 10, false, false)), ledger.Accepted)
	want[0], want[2] = stampOf('a', 10, true, false), stampOf('c', 11, false, true)
	wantStamps(t, s, 0, want...)
	shut(t, s)
	s = open(t, t.again(), key("a"))
	wantStamps(t, s, 0, want...)
	settle(t, s, beginStamped(t, s, 11, stampOf('f', 14, false, false)), ledger.Accepted)
	wantStamps(t, s, 11, stampOf('e', 13, false, false), stampOf('f', 14, false, true))
	shut(t, s)
	if _, _, err := keeper(t, s).Stamps(t.Context()); !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("Stamps of a closed session = %v", err)
	}
}

func stampsRewritten(t subject) {
	s := open(t, t.again(), key("a"))
	if _, ok := s.(ledger.Timekeeper); !ok {
		return
	}
	settle(t, s, beginStamped(t, s, 5, stampOf('a', 5, false, false), stampOf('b', 7, true, false)), ledger.Accepted)
	settle(t, s, beginStamped(t, s, 5, stampOf('c', 8, false, false)), ledger.Refused)
	under := beginStamped(t, s, 6, stampOf('d', 9, false, false))
	rewrite := func() {
		t.Helper()
		if p, ok := s.(ledger.Purger); ok {
			if err := p.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := keeper(t, s).Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	rewrite()
	wantStamps(t, s, 6, stampOf('b', 7, true, true), stampOf('d', 9, false, false))
	settle(t, s, under, ledger.Refused)
	for range 2 {
		wantStamps(t, s, 6, stampOf('b', 7, true, true))
		rewrite()
		shut(t, s)
		s = open(t, t.again(), key("a"))
	}
	settle(t, s, beginStamped(t, s, 100, stampOf('a', 50, false, false)), ledger.Accepted)
	rewrite()
	wantStamps(t, s, 100)
	shut(t, s)
	s = open(t, t.again(), key("a"))
	wantStamps(t, s, 100)
}

func membersHelper(t subject) {
	s := open(t, t.again(), key("a"))
	fill(t, s, ledger.In, external("a"), external("b"))
	fill(t, s, ledger.Unknown, external("c"))
	shut(t, s)
	for range 2 {
		if diff := cmp.Diff(states{"e:a": ledger.In, "e:b": ledger.In, "e:c": ledger.Unknown}, members(t, ledger.Members(t.Context(), t.again(), key("a")))); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
		for _, err := range ledger.Members(t.Context(), t.again(), key("a")) {
			if err != nil {
				t.Fatal(err)
			}
			if _, err := t.again().Open(t.Context(), key("a")); err == nil {
				t.Error("the lease is free while the members are read")
			}
			break // and frees the lease, or the next turn fails
		}
	}
	if got := members(t, ledger.Members(t.Context(), t.again(), key("none"))); len(got) != 0 {
		t.Errorf("members of no entry: %v", got)
	}
	var invalid *ledger.InvalidError
	for _, err := range ledger.Members(t.Context(), t.again(), ledger.Key{}) {
		if !errors.As(err, &invalid) {
			t.Errorf("members of a bad key: %v", err)
		}
	}
	if invalid == nil {
		t.Error("a bad key is no error")
	}
	if got := allEntries(t, t.again()); len(got) != 1 || got[0].Header.Generation != 1 {
		t.Errorf("reading left a trace: %v", got)
	}
}

func diffHelper(t subject) {
	s := open(t, t.again(), key("a"))
	fill(t, s, ledger.In, external("both"), external("ours"))
	fill(t, s, ledger.Unknown, external("perhaps"), external("perhaps ours"))
	shut(t, s)
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
		got := map[string]ledger.Side{}
		for d, err := range ledger.Diff(t.Context(), t.again(), key("a"), list(nil, "both", "theirs", "perhaps", "theirs")) {
			if err != nil {
				t.Fatal(err)
			}
			got[show(d.ID)] = d.Side
		}
		want := map[string]ledger.Side{
			"e:ours": ledger.OnlyInLedger, "e:perhaps ours": ledger.OnlyInLedger, "e:theirs": ledger.OnlyInList, "e:perhaps": ledger.UnknownInBoth,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("deviations (-want +got):\n%s", diff)
		}
		for _, err := range ledger.Diff(t.Context(), t.again(), key("a"), list(nil, "theirs")) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	var errs []error
	for d, err := range ledger.Diff(t.Context(), t.again(), key("a"), list(errSource, "both")) {
		errs = append(errs, err)
		if err == nil {
			t.Errorf("a list that broke gave %v", d.Side)
		}
	}
	if len(errs) != 1 || !errors.Is(errs[0], errSource) {
		t.Errorf("a list that broke gave %v", errs)
	}
	if got := allEntries(t, t.again()); len(got) != 1 || got[0].Header.Generation != 1 {
		t.Errorf("comparing left a trace: %v", got)
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

func importHelper(t subject) {
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
	err := ledger.Import(t.Context(), t.again(), e, memberList(errSource, list[:9100]...))
	if !errors.Is(err, errSource) || !strings.Contains(err.Error(), "row 9101") {
		t.Errorf("Import = %v, want the source's error with its row", err)
	}
	s := open(t, t.again(), key("a"))
	if got := s.Header(); got.Name != "" {
		t.Errorf("an interrupted import recorded the name %q", got.Name)
	}
	for id, state := range members(t, s.Members(t.Context())) {
		if expect[id] != state {
			t.Errorf("%q is %v, want %v or out", id, state, expect[id])
		}
	}
	shut(t, s)
	if err := ledger.Import(t.Context(), t.again(), e, memberList(nil, slices.Concat(list, list[:100])...)); err != nil {
		t.Fatal(err)
	}
	s = open(t, t.again(), key("a"))
	if got := members(t, s.Members(t.Context())); !maps.Equal(expect, got) {
		t.Errorf("members (-want +got):\n%s", cmp.Diff(expect, got))
	}
	h.Generation = 2
	if diff := cmp.Diff(h, s.Header()); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	shut(t, s)
	// From ledger to ledger; what is there already stays.
	s = open(t, t.again(), key("b"))
	fill(t, s, ledger.In, external("there"))
	shut(t, s)
	if err := ledger.Import(t.Context(), t.again(), ledger.Entry{Key: key("b"), Header: h}, ledger.Members(t.Context(), t.again(), key("a"))); err != nil {
		t.Fatal(err)
	}
	expect["e:there"] = ledger.In
	if got := members(t, ledger.Members(t.Context(), t.again(), key("b"))); !maps.Equal(expect, got) {
		t.Errorf("members of the copy (-want +got):\n%s", cmp.Diff(expect, got))
	}
	// Nobody at all is an entry with a header.
	if err := ledger.Import(t.Context(), t.again(), ledger.Entry{Key: key("c"), Header: h}, memberList(nil)); err != nil {
		t.Fatal(err)
	}
	if got := allEntries(t, t.again()); len(got) != 3 {
		t.Errorf("entries: %v", got)
	}
}

func importRefuses(t subject) {
	for name, m := range map[string]ledger.Member{
		"out":           {ID: external("a"), State: ledger.Out},
		"a fourth":      {ID: external("a"), State: 9},
		"no identifier": {State: ledger.In},
		"control":       {ID: external("a\n"), State: ledger.In},
	} {
		err := ledger.Import(t.Context(), t.again(), ledger.Entry{Key: key("a"), Header: header()}, memberList(nil, ledger.Member{ID: external("ok"), State: ledger.In}, m))
		if err == nil || !strings.HasPrefix(err.Error(), "ledger: import: row 2: ") {
			t.Errorf("%s: Import = %v", name, err)
		}
	}
	var invalid *ledger.InvalidError
	if err := ledger.Import(t.Context(), t.again(), ledger.Entry{}, memberList(nil)); !errors.As(err, &invalid) {
		t.Errorf("Import under a bad key = %v", err)
	}
	shut(t, open(t, t.again(), key("a")))
}

// TestTwins shows whose addition is repeated because another identifier of theirs is removed.
func TestTwins(t *testing.T) {
	t.Parallel()
	const in, unknown, out = ledger.In, ledger.Unknown, ledger.Out
	id := external
	with := func(chosen string, others ...string) ledger.Wanted {
		w := ledger.Wanted{ID: id(chosen)}
		for _, o := range others {
			w.Others = append(w.Others, id(o))
		}
		return w
	}
	cases := []struct {
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
	}
	for name, made := range ledgers() {
		for _, c := range cases {
			// The state lies in an old file, in a new one, or is not yet written at all.
			for _, reopen := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/reopened=%t", name, c.name, reopen), func(t *testing.T) {
					t.Parallel()
					again := made(t)
					s := open(t, again(), key("a"))
					for name, state := range c.before {
						fill(t, s, state, id(name))
					}
					if reopen {
						shut(t, s)
						s = open(t, again(), key("a"))
					}
					expect := c.want
					for _, p := range []*states{&expect.Removals, &expect.Adds, &expect.Repeats} {
						if *p == nil {
							*p = states{}
						}
					}
					if diff := cmp.Diff(expect, compare(t, s, c.wanted...)); diff != "" {
						t.Errorf("difference (-want +got):\n%s", diff)
					}
				})
			}
		}
	}
	t.Run("kinds", func(t *testing.T) {
		t.Parallel()
		for name, made := range ledgers() {
			// An external ID and a device ID of one text are two identifiers, as are two spellings of a UUID.
			s := open(t, made(t)(), key("a"))
			fill(t, s, in, identity.ExternalID(uuid), identity.DeviceID(uuid), identity.ExternalID(strings.ToUpper(uuid)))
			got := compare(t, s, ledger.Wanted{ID: identity.ExternalID(uuid), Others: []identity.ID{identity.DeviceID(uuid)}})
			expect := difference{
				Members: 3, Removals: states{"d:" + uuid: in, "e:" + strings.ToUpper(uuid): in}, Adds: states{}, Repeats: states{"e:" + uuid: in},
			}
			if diff := cmp.Diff(expect, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
}
