package ledgertest

import (
	"slices"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// stampOf returns the stamp of an event by which a member, whose name has one letter, came in.
func stampOf(name byte, at int64) ledger.Stamp {
	return ledger.Stamp{Member: [16]byte{name}, At: at}
}

// left returns the stamp as that of an event by which the member went.
func left(s ledger.Stamp) ledger.Stamp {
	s.Leave = true
	return s
}

// sure returns the stamp as that of a change that was acknowledged.
func sure(s ledger.Stamp) ledger.Stamp {
	s.Sure = true
	return s
}

func (t *trial) keeper(s ledger.Session) ledger.Timekeeper {
	t.Helper()
	k, ok := s.(ledger.Timekeeper)
	if !ok {
		t.Fatal("some sessions of this ledger are a ledger.Timekeeper and this one is not")
	}
	return k
}

// beginStamped begins an intent with stamps, of members that do not matter.
func (t *trial) beginStamped(s ledger.Session, watermark int64, stamps ...ledger.Stamp) ledger.Intent {
	t.Helper()
	var removals, adds []ledger.Member
	for _, stamp := range stamps {
		m := ledger.Member{ID: external(string(rune(stamp.Member[0]))), State: ledger.Unknown}
		if stamp.Leave {
			removals = append(removals, m)
		} else {
			adds = append(adds, m)
		}
	}
	intent, err := t.keeper(s).BeginStamped(t.Context(), removals, adds, stamps, watermark)
	if err != nil {
		t.Fatalf("Timekeeper.BeginStamped: %v", err)
	}
	return intent
}

func (t *trial) wantStamps(promise string, s ledger.Session, watermark int64, want ...ledger.Stamp) {
	t.Helper()
	mark, got, err := t.keeper(s).Stamps(t.Context())
	if err != nil {
		t.Fatalf("Timekeeper.Stamps: %v", err)
	}
	sortStamps(want)
	sortStamps(got)
	if mark != watermark || !slices.Equal(want, got) {
		t.same(promise+": stamps", stampLines(watermark, want), stampLines(mark, got))
	}
}

func stamps(t *trial) {
	a, b, c, e := stampOf('a', 10), left(stampOf('b', 10)), stampOf('c', 11), stampOf('e', 13)
	s := t.open(key("a"))
	t.wantStamps("an entry without a record has no stamps", s, 0)
	t.settle(s, t.beginStamped(s, 0, a, b), ledger.Accepted)
	t.settle(s, t.beginStamped(s, 0, sure(c)), ledger.Lost) // BeginStamped does not look at Sure
	t.settle(s, t.beginStamped(s, 0, left(stampOf('a', 12)), left(stampOf('d', 12))), ledger.Refused)
	t.beginStamped(s, 0, e)
	const promise = "Timekeeper.Stamps has the newest stamp of each member, except those of refused intents, and Sure says that the intent was accepted"
	t.wantStamps(promise, s, 0, sure(a), sure(b), c, e)
	s = t.reopen(s, key("a"))
	t.wantStamps(promise+"; the next session", s, 0, sure(a), sure(b), c, e)
	// The same event once more, an older one, one at the same time that leaves, and one that does not.
	t.settle(s, t.beginStamped(s, 0, c), ledger.Accepted)
	t.settle(s, t.beginStamped(s, 0, c, stampOf('b', 9)), ledger.Lost)
	t.settle(s, t.beginStamped(s, 0, left(a)), ledger.Lost)
	t.settle(s, t.beginStamped(s, 0, a), ledger.Accepted)
	const newest = "an older stamp does not replace a newer one, of two at one time the one that leaves is the newer, and of one that was sent twice it is enough that " +
		"one was accepted"
	t.wantStamps(newest, s, 0, left(a), sure(b), sure(c), e)
	s = t.reopen(s, key("a"))
	t.wantStamps(newest+"; the next session", s, 0, left(a), sure(b), sure(c), e)
	f := stampOf('f', 14)
	t.settle(s, t.beginStamped(s, 11, f), ledger.Accepted)
	t.wantStamps("Timekeeper.Stamps returns the watermark, and no stamp up to it", s, 11, e, sure(f))
}

func stampsRewritten(t *trial) {
	b, d := left(stampOf('b', 7)), stampOf('d', 9)
	s := t.open(key("a"))
	t.settle(s, t.beginStamped(s, 5, stampOf('a', 5), b), ledger.Accepted)
	t.settle(s, t.beginStamped(s, 5, stampOf('c', 8)), ledger.Refused)
	under := t.beginStamped(s, 6, d)
	t.purge(s)
	rewrite := func() {
		t.Helper()
		t.purge(s)
		if err := t.keeper(s).Tidy(t.Context()); err != nil {
			t.Fatalf("Timekeeper.Tidy: %v", err)
		}
	}
	const promise = "Timekeeper.Tidy and Purger.Purge keep the watermark and the stamps above it"
	t.wantStamps(promise+", also those of an open intent", s, 6, sure(b), d)
	t.settle(s, under, ledger.Refused)
	for range 2 { // no intent is open when Tidy is called
		t.wantStamps(promise+", and a refused intent's are forgotten", s, 6, sure(b))
		rewrite()
		s = t.reopen(s, key("a"))
	}
	t.settle(s, t.beginStamped(s, 100, stampOf('a', 50)), ledger.Accepted)
	rewrite()
	t.wantStamps("a watermark outlasts the stamps below it", s, 100)
	s = t.reopen(s, key("a"))
	t.wantStamps("a watermark outlasts the session", s, 100)
	t.settle(s, t.beginStamped(s, 70), ledger.Accepted)
	t.wantStamps("Timekeeper.Stamps returns the highest watermark", s, 100)
}

func stampsNotKept(t *trial) {
	s := t.open(key("a"))
	list := []ledger.Stamp{stampOf('a', 10)}
	intent, err := t.keeper(s).BeginStamped(t.Context(), nil, batch(ledger.Out, external("a")), list, 0)
	if err != nil {
		t.Fatalf("Timekeeper.BeginStamped: %v", err)
	}
	list[0] = stampOf('x', 99)
	t.settle(s, intent, ledger.Accepted)
	const promise = "Timekeeper.BeginStamped does not keep the slices, and its members are those of an intent"
	t.wantStamps(promise, s, 0, sure(stampOf('a', 10)))
	t.wantMembers(promise, s, states{"e:a": ledger.In})
}
