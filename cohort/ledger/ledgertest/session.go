package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

func generation(t *trial) {
	for _, step := range []struct {
		what string
		run  func(ledger.Session)
		want uint64
	}{
		{"a session that began an intent", func(s ledger.Session) { t.begin(s, nil, batch(ledger.Out, external("u-1"))) }, 1},
		{"one that did nothing", func(ledger.Session) {}, 1},
		{"one that compared", func(s ledger.Session) { t.compare(s) }, 1},
		{"one that set a header with a generation of its own", func(s ledger.Session) { t.setHeader(s, ledger.Header{Generation: 40}) }, 2},
		{"one that recorded several things", func(s ledger.Session) {
			t.setHeader(s, ledger.Header{Name: "x"})
			t.settle(s, t.begin(s, nil, batch(ledger.Unknown, external("u-1"))), ledger.Refused)
			t.setHeader(s, ledger.Header{Name: "y"})
		}, 3},
		{"one that read the members", func(s ledger.Session) { t.members(s) }, 3},
	} {
		s := t.open(key("a"))
		step.run(s)
		s = t.reopen(s, key("a"))
		if got := s.Header().Generation; got != step.want {
			t.Errorf("Header.Generation counts the sessions that recorded something: it is %d after %s, want %d", got, step.what, step.want)
		}
		t.shut(s)
		if got := t.entries(); len(got) != 1 || got[0].Header.Generation != step.want {
			t.Errorf("Ledger.Entries after %s: %q, want one entry of generation %d", step.what, entryLines(got), step.want)
		}
	}
}

func headers(t *trial) {
	far := time.FixedZone("far", 14*3600)
	for i, h := range []ledger.Header{
		header(), {}, {Name: strings.Repeat("\U0001f338", 10_000)}, {Naming: ledger.Named, Name: "a\nb"}, {CreatedAt: time.Date(1969, 12, 31, 23, 59, 59, 1, time.UTC)},
		{CreatedAt: time.Unix(0, 0)}, {CreatedAt: time.Date(2026, 1, 1, 0, 0, 0, 5, far)}, {CreatedAt: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
		{Sent: ledger.Epochs{0: -1, 255: 1<<63 - 1}}, {Retired: true}, {Rules: "r"},
		{NamedAt: time.Date(2026, 1, 1, 0, 0, 0, 5, far)}, {FormerName: "a\nb"},
	} {
		s := t.open(key("a"))
		// A name changes while members do.
		intent := t.begin(s, nil, batch(ledger.Unknown, external("u-1")))
		t.setHeader(s, h)
		t.settle(s, intent, ledger.Accepted)
		h.Generation = uint64(i) + 1
		t.wantHeader("Session.Header is what SetHeader recorded, except for Generation, which the ledger counts", h, s.Header())
		s = t.reopen(s, key("a"))
		t.wantHeader("Session.Header is what SetHeader of an earlier session recorded", h, s.Header())
		t.wantEntries("Ledger.Entries yields the header that was recorded last", []ledger.Entry{{Key: key("a"), Header: h}}, t.entries())
		t.shut(s)
	}
}

func badHeader(t *trial) {
	s := t.open(key("a"))
	t.setHeader(s, header())
	before := s.Header()
	for field, bad := range map[string]ledger.Header{
		"header name": {Name: "\xff"}, "header former name": {FormerName: "\xff"}, "header rules": {Rules: "\xff"},
		"header created-at": {CreatedAt: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}, "header named-at": {NamedAt: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		err := s.SetHeader(t.Context(), bad)
		if invalid, ok := errors.AsType[*ledger.InvalidError](err); !ok || invalid.Field != field {
			t.Errorf("Session.SetHeader of a bad %s: error %v, want the *ledger.InvalidError of Header.Validate", field, err)
		}
		t.wantHeader("Session.SetHeader that fails with an InvalidError records nothing", before, s.Header())
	}
	t.setHeader(s, ledger.Header{Name: "a good one"})
	s = t.reopen(s, key("a"))
	t.wantHeader("Session.SetHeader that fails with an InvalidError does not end the session", ledger.Header{Name: "a good one", Generation: 1}, s.Header())
}

func unsettled(t *trial) {
	a, b, c := external("a"), external("b"), external("c")
	s := t.open(key("a"))
	t.fill(s, ledger.In, a)
	t.begin(s, batch(ledger.In, a), batch(ledger.Out, b, c))
	for _, when := range []string{"from Begin on", "and remain so when the session ends before Settle"} {
		promise := "the members of an intent are Unknown " + when
		t.wantMembers(promise, s, states{"e:a": ledger.Unknown, "e:b": ledger.Unknown, "e:c": ledger.Unknown})
		t.wantDifference(promise,
			difference{Members: 3, Removals: states{"e:c": ledger.Unknown}, Repeats: states{"e:a": ledger.Unknown, "e:b": ledger.Unknown}},
			t.compare(s, want(a, b)...))
		s = t.reopen(s, key("a"))
	}
}

func outcomes(t *trial) {
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
			change := "addition"
			if c.removal {
				change = "removal"
			}
			name := fmt.Sprintf("the %s of a member who was %v, settled as %v", change, before, c.outcome)
			k := key(name)
			s := t.open(k)
			t.fill(s, before, id, external("other"))
			// Half of the time the former state comes from an earlier session.
			if c.removal {
				s = t.reopen(s, k)
				t.settle(s, t.begin(s, batch(before, id), nil), c.outcome)
			} else {
				t.settle(s, t.begin(s, nil, batch(before, id)), c.outcome)
			}
			want := states{}
			if c.want != ledger.Out {
				want["e:u-1"] = c.want
			}
			if before != ledger.Out {
				want["e:other"] = before
			}
			promise := fmt.Sprintf("%s, leaves the member %v and everybody else alone", name, c.want)
			t.wantMembers(promise, s, want)
			t.shut(s)
			t.wantRecorded(promise, k, want)
		}
	}
}

func bothKinds(t *trial) {
	for _, c := range []struct {
		outcome ledger.Outcome
		want    states
	}{
		{ledger.Accepted, states{"e:new": ledger.In, "e:again": ledger.In, "e:kept": ledger.In}},
		{ledger.Refused, states{"e:old": ledger.In, "e:lost": ledger.Unknown, "e:again": ledger.In, "e:kept": ledger.In}},
		{ledger.Lost, states{"e:old": ledger.Unknown, "e:lost": ledger.Unknown, "e:new": ledger.Unknown, "e:again": ledger.Unknown, "e:kept": ledger.In}},
	} {
		k := key(c.outcome.String())
		s := t.open(k)
		t.fill(s, ledger.In, external("old"), external("again"), external("kept"))
		t.fill(s, ledger.Unknown, external("lost"))
		removals := []ledger.Member{{ID: external("old"), State: ledger.In}, {ID: external("lost"), State: ledger.Unknown}}
		adds := []ledger.Member{{ID: external("new"), State: ledger.Out}, {ID: external("again"), State: ledger.In}}
		t.settle(s, t.begin(s, removals, adds), c.outcome)
		t.shut(s)
		t.wantRecorded(fmt.Sprintf("an intent of removals and additions that is settled as %v", c.outcome), k, c.want)
	}
}

func intentOfNobody(t *trial) {
	s := t.open(key("a"))
	t.fill(s, ledger.In, external("a"))
	for _, o := range []ledger.Outcome{ledger.Accepted, ledger.Refused, ledger.Lost} {
		t.settle(s, t.begin(s, nil, nil), o)
	}
	t.begin(s, []ledger.Member{}, nil)
	t.shut(s)
	t.wantRecorded("an intent of nobody changes nobody", key("a"), states{"e:a": ledger.In})
}

func anyOrder(t *trial) {
	s := t.open(key("a"))
	a := t.begin(s, nil, batch(ledger.Out, external("a")))
	b := t.begin(s, nil, batch(ledger.Out, external("b")))
	c := t.begin(s, nil, batch(ledger.Out, external("c")))
	if a == b || b == c || a == c {
		t.Fatalf("Session.Begin gave out the intents %d, %d and %d, want three that differ", a, b, c)
	}
	t.begin(s, nil, batch(ledger.Out, external("d")))
	t.settle(s, c, ledger.Accepted)
	t.settle(s, a, ledger.Refused)
	// Whose intent is settled may be changed again.
	t.settle(s, t.begin(s, batch(ledger.In, external("c")), nil), ledger.Lost)
	t.settle(s, t.begin(s, nil, batch(ledger.Out, external("a"))), ledger.Accepted)
	t.settle(s, b, ledger.Accepted)
	t.settle(s, t.begin(s, batch(ledger.In, external("b")), nil), ledger.Accepted)
	t.settle(s, t.begin(s, nil, batch(ledger.Out, external("b"))), ledger.Lost)
	t.shut(s)
	t.wantRecorded("Session.Settle takes open intents in any order, and the last intent of a member decides", key("a"),
		states{"e:a": ledger.In, "e:b": ledger.Unknown, "e:c": ledger.Unknown, "e:d": ledger.Unknown})
}

func slicesNotKept(t *trial) {
	s := t.open(key("a"))
	t.fill(s, ledger.In, external("r"))
	removals, adds := batch(ledger.In, external("r")), batch(ledger.Out, external("a"))
	intent := t.begin(s, removals, adds)
	removals[0], adds[0] = ledger.Member{ID: external("x")}, ledger.Member{ID: external("y"), State: ledger.In}
	t.settle(s, intent, ledger.Accepted)
	t.shut(s)
	t.wantRecorded("Session.Begin does not keep the slices: the caller uses them again before Settle", key("a"), states{"e:a": ledger.In})
}

func everyIdentifier(t *trial) {
	ids := identifiers()
	s := t.open(key("a"))
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
	t.fill(s, ledger.In, in...)
	t.fill(s, ledger.Unknown, unknown...)
	check := func(when string) {
		t.Helper()
		promise := "identifiers are any bytes of any length, and equal only byte for byte, " + when
		t.wantMembers(promise, s, all)
		expect := difference{Members: len(all), Kept: len(in), Adds: states{}, Repeats: states{}}
		for _, id := range out {
			expect.Adds[show(id)] = ledger.Out
		}
		for _, id := range unknown {
			expect.Repeats[show(id)] = ledger.Unknown
		}
		t.wantDifference(promise+", when all are wanted", expect, t.compare(s, want(ids...)...))
		expect = difference{Members: len(all), Removals: all, Adds: expect.Adds}
		t.wantDifference(promise+", when those who are out are wanted", expect, t.compare(s, want(out...)...))
	}
	check("in the session")
	s = t.reopen(s, key("a"))
	check("in the next session")
	// What is shown of a long one is not all of it.
	exact := map[identity.ID]bool{}
	for m, err := range s.Members(t.Context()) {
		if err != nil {
			t.Fatalf("Session.Members: %v", err)
		}
		exact[m.ID] = true
	}
	for _, id := range slices.Concat(in, unknown) {
		if !exact[id] {
			t.Errorf("identifiers come back byte for byte: Session.Members does not yield %q", show(id))
		}
	}
	// Each turns up alone where everybody else is removed.
	t.settle(s, t.begin(s, slices.Concat(batch(ledger.In, in...), batch(ledger.Unknown, unknown...)), batch(ledger.Out, out...)), ledger.Accepted)
	s = t.reopen(s, key("a"))
	all = states{}
	for _, id := range out {
		all[show(id)] = ledger.In
	}
	in, unknown, out = out, nil, slices.Concat(in, unknown)
	check("after everybody changed")
}

func membersOfSession(t *trial) {
	s := t.open(key("a"))
	expect := states{}
	for i := range 500 {
		id := external(fmt.Sprint("u-", i))
		state := ledger.State(i % 3)
		t.fill(s, state, id)
		if state != ledger.Out {
			expect[show(id)] = state
		}
		if i == 250 {
			s = t.reopen(s, key("a"))
		}
	}
	for range 2 {
		t.wantMembers("Session.Members yields everybody who is In or Unknown, of this session and of earlier ones", s, expect)
	}
	n := 0
	for _, err := range s.Members(t.Context()) {
		if err != nil {
			t.Fatalf("Session.Members: %v", err)
		}
		if n++; n == 3 {
			break
		}
	}
	t.settle(s, t.begin(s, batch(ledger.In, external("u-1")), nil), ledger.Accepted)
	delete(expect, "e:u-1")
	t.wantMembers("a session goes on after a loop over Session.Members that was left early", s, expect)
}

// recordingMeanwhile sends a difference as a Syncer does: parts are read while many batches of them are under way.
func recordingMeanwhile(t *trial) {
	const n = 1500
	s := t.open(key("a"))
	var old, wanted []identity.ID
	for i := range n {
		old = append(old, external(fmt.Sprint("old", i)))
		wanted = append(wanted, external(fmt.Sprint("new", i)))
	}
	t.fill(s, ledger.In, old...)
	t.fill(s, ledger.Unknown, wanted[:n/3]...)
	s = t.reopen(s, key("a"))
	d := t.compareWith(s, source(want(wanted...)...))
	var senders sync.WaitGroup
	var mu sync.Mutex
	seen := map[ledger.Intent]bool{}
	send := func(removals, adds []ledger.Member) {
		senders.Go(func() {
			intent, err := s.Begin(t.Context(), removals, adds)
			if err == nil {
				err = s.Settle(intent, ledger.Accepted)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("Session.Begin and Settle may be called by many goroutines at once: %v", err)
			} else if seen[intent] {
				t.Errorf("Session.Begin, called by many goroutines at once, gave out intent %d twice", intent)
			}
			seen[intent] = true
		})
	}
	for _, p := range []struct {
		name string
		part ledger.Part
		send func([]ledger.Member)
	}{
		{"Removals", d.Removals, func(list []ledger.Member) { send(list, nil) }},
		{"Adds", d.Adds, func(list []ledger.Member) { send(nil, list) }},
		{"Repeats", d.Repeats, func(list []ledger.Member) { send(nil, list) }},
	} {
		var list []ledger.Member
		count := 0
		for m, err := range p.part.Members {
			if err != nil {
				t.Fatalf("Difference.%s.Members, while Begin and Settle are called: %v", p.name, err)
			}
			count++
			if list = append(list, m); len(list) == 50 {
				p.send(list)
				list = nil
				if count == 50 {
					senders.Wait() // something is surely recorded before the rest is read
				}
			}
		}
		if len(list) > 0 {
			p.send(list)
		}
		if count != p.part.Count {
			t.Errorf("Difference.%s tells what was when Compare returned, while Begin and Settle are called: it yields %d members, want %d", p.name, count, p.part.Count)
		}
	}
	senders.Wait()
	expect := difference{Members: n, Kept: n}
	const promise = "when all of a difference is accepted, nothing is left to be sent"
	t.wantDifference(promise, expect, t.compare(s, want(wanted...)...))
	s = t.reopen(s, key("a"))
	t.wantDifference(promise+"; the next session", expect, t.compare(s, want(wanted...)...))
}

func afterClose(t *trial) {
	s := t.open(key("a"))
	t.fill(s, ledger.In, external("a"))
	intent := t.begin(s, nil, batch(ledger.Out, external("b")))
	t.shut(s)
	calls := map[string]func() error{
		"Session.SetHeader": func() error { return s.SetHeader(t.Context(), ledger.Header{Name: "late"}) },
		"Session.Begin": func() error {
			_, err := s.Begin(t.Context(), nil, batch(ledger.Out, external("late")))
			return err
		},
		"Session.Settle":  func() error { return s.Settle(intent, ledger.Accepted) },
		"Session.Compare": func() error { _, err := s.Compare(t.Context(), source()); return err },
		"Session.Members": func() error {
			for _, err := range s.Members(t.Context()) {
				return err
			}
			return nil
		},
	}
	if p, ok := s.(ledger.Purger); ok {
		calls["Purger.Purge"] = func() error { return p.Purge(t.Context()) }
	}
	if k, ok := s.(ledger.Timekeeper); ok {
		calls["Timekeeper.BeginStamped"] = func() error {
			_, err := k.BeginStamped(t.Context(), nil, batch(ledger.Out, external("late")), []ledger.Stamp{stampOf('l', 1)}, 0)
			return err
		}
		calls["Timekeeper.Stamps"] = func() error { _, _, err := k.Stamps(t.Context()); return err }
		calls["Timekeeper.Tidy"] = func() error { return k.Tidy(t.Context()) }
	}
	refused := func(when string) {
		t.Helper()
		for name, call := range calls {
			if err := call(); !errors.Is(err, ledger.ErrClosed) {
				t.Errorf("%s of a session that was closed%s: error %v, want ledger.ErrClosed", name, when, err)
			}
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Errorf("Session.Close of a session that was closed%s: %v; closing again does nothing", when, err)
			}
		}
	}
	refused("")
	next := t.open(key("a"))
	refused(", while the next one is open")
	_, err := t.again().Open(t.Context(), key("a"))
	t.wantHeld("Ledger.Open after the closed session was closed again", key("a"), err)
	t.wantMembers("what a closed session is called with is not recorded", next, states{"e:a": ledger.In, "e:b": ledger.Unknown})
}

func contextDone(t *trial) {
	s := t.open(key("a"))
	t.fill(s, ledger.In, external("a"), external("b"))
	done, cancel := context.WithCancel(t.Context())
	cancel()
	check := func(call string, err error) {
		t.Helper()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v, want one that is context.Canceled", call, err)
		}
	}
	_, err := t.again().Open(done, key("b"))
	check("Ledger.Open with a context that is done", err)
	_, err = s.Compare(done, source(want(external("a"))...))
	check("Session.Compare with a context that is done", err)
	_, err = s.Compare(done, source())
	check("Session.Compare of an empty source with a context that is done", err)
	early, stop := context.WithCancel(t.Context())
	_, err = s.Compare(early, func(yield func(ledger.Wanted, error) bool) {
		_ = yield(ledger.Wanted{ID: external("a")}, nil)
		stop()
	})
	check("Session.Compare of a source that ends because the context did, which must not pass for the end of the list", err)
	err = nil
	for _, err = range s.Members(done) {
		break
	}
	check("Session.Members with a context that is done", err)
	err = nil
	for _, err = range t.again().Entries(done) {
		break
	}
	check("Ledger.Entries with a context that is done", err)
	t.wantDifference("a session goes on after a reading call whose context was done",
		difference{Members: 2, Kept: 1, Removals: states{"e:b": ledger.In}}, t.compare(s, want(external("a"))...))
	// What is recorded may be recorded nevertheless. If not, it is an error, and the intent did not leave.
	expect := states{"e:a": ledger.In, "e:b": ledger.In}
	if err = s.SetHeader(done, header()); err != nil {
		check("Session.SetHeader with a context that is done", err)
	}
	_, err = s.Begin(done, nil, batch(ledger.Out, external("c")))
	said := s.Header()
	_ = s.Close()
	got := t.recorded(key("a"))
	next := t.open(key("a"))
	t.wantHeader("Session.Header is what is recorded, also after SetHeader with a context that is done; the next session", said, next.Header())
	t.shut(next)
	if err == nil {
		expect["e:c"] = ledger.Unknown
	} else {
		check("Session.Begin with a context that is done", err)
		delete(got, "e:c")
	}
	t.wantStates("Session.Begin with a context that is done either fails or is durable", expect, got)
	t.shut(t.open(key("b"))) // Open that failed holds nothing
}
