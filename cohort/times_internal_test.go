package cohort

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// timesModel is times written down once more, slowly, with what it may choose left open: which of those of one time are forgotten.
type timesModel struct {
	most      int
	horizon   int64
	members   map[memberKey]timed
	newest    int64
	watermark int64
	forgotten int
}

// holdAgainst follows what was forgotten since the last time, and says what is wrong with it, or with what is kept. Accepted is whose newest event
// was, or the zero key.
func (m *timesModel) holdAgainst(t *times, accepted memberKey) string {
	at, behind := m.members[accepted].at, false
	if accepted != (memberKey{}) {
		behind = at < m.newest-m.horizon
	}
	var gone, kept []int64
	pending := 0
	for key, s := range m.members {
		switch i, ok := t.members.find(key); {
		case ok && *t.members.at(i) != s:
			return "something else is noted of a member"
		case !ok && !s.rests:
			return "somebody was forgotten whose event is pending or is to be delivered again"
		case !ok:
			gone = append(gone, s.at)
			delete(m.members, key)
		case s.rests:
			kept = append(kept, s.at)
		case s.pending:
			pending++
		}
	}
	slices.Sort(gone)
	slices.Sort(kept)
	switch {
	case t.pending != pending || t.members.size != len(m.members) || t.atRest != len(kept):
		return "the sizes differ"
	case t.newest != m.newest:
		return "the newest time differs"
	case len(kept) > m.most:
		return "more are kept than may be"
	case behind && !slices.Equal(gone, []int64{at}):
		return "not they alone were forgotten whose event lies beyond the horizon"
	case accepted != (memberKey{}) && !behind && len(kept) > 0 && kept[0] < m.newest-m.horizon-m.horizon/8:
		return "somebody is kept from far beyond the horizon"
	case accepted == (memberKey{}) && len(gone) > 0:
		return "somebody was forgotten without need"
	}
	// Those from beyond the horizon go. If others do there were too many, and as many go as have to for seven eighths to stay; of those of one time any.
	within := slices.IndexFunc(gone, func(at int64) bool { return at >= m.newest-m.horizon })
	switch {
	case within < 0:
	case len(kept) != m.most-m.most/8:
		return "as many were forgotten as need not be"
	case gone[len(gone)-1] > slices.Sorted(slices.Values(slices.Concat(gone, kept)))[len(gone)-1]:
		return "the watermark rose higher than it need have"
	}
	if len(gone) > 0 {
		m.watermark = max(m.watermark, gone[len(gone)-1])
		m.forgotten += len(gone)
	}
	if t.watermark != m.watermark {
		return "the watermark is not the newest time that was forgotten"
	}
	return ""
}

// TestTimesModel gives times what a stream gives it, and holds them against the model after each step.
func TestTimesModel(t *testing.T) {
	t.Parallel()
	first := rand.Uint64() >> 16
	counts := map[string]int{}
	for seed := first; seed < first+150; seed++ {
		playTimes(t, seed, counts)
	}
	for name, least := range map[string]int{
		"held": 6000, "accepted": 4000, "held, and settled before": 200, "forgotten": 1000, "forgotten at once": 50, "loaded": 1000, "loaded, and to come again": 100,
		"found pending": 300, "found settled": 100, "not found": 500, "newer than all": 1000,
	} {
		if counts[name] < least {
			t.Errorf("from seed %d: %s %d times, want %d", first, name, counts[name], least)
		}
	}
}

func playTimes(t *testing.T, seed uint64, counts map[string]int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	most := []int{0, 1, 7, 8, 30, 100, 200, 200}[rng.IntN(8)]
	horizon := []int64{0, 9, 300, 3000, math.MaxInt32}[rng.IntN(5)]
	members := 10 + rng.IntN(200)
	got := newTimes(most, horizon)
	m := &timesModel{most: most, horizon: horizon, members: map[memberKey]timed{}, watermark: int64(rng.IntN(50))}
	// What a ledger knows.
	var stamps []ledger.Stamp
	for n := range rng.IntN(2 * members) {
		s := ledger.Stamp{Member: numberedKey(10_000 + n).bytes(), At: m.watermark + 1 + int64(rng.IntN(1000)), Leave: rng.IntN(2) == 0, Sure: rng.IntN(4) > 0}
		stamps = append(stamps, s)
		m.newest = max(m.newest, s.At)
	}
	for _, s := range stamps {
		again := !s.Sure && s.At >= m.newest-horizon
		m.members[memberKeyOf(s.Member)] = timed{key: memberKeyOf(s.Member), at: s.At, leave: s.Leave, sure: s.Sure && !again, rests: !again}
		counts["loaded"]++
		if again {
			counts["loaded, and to come again"]++
		}
	}
	got.load(m.watermark, stamps)
	if wrong := m.holdLoaded(&got); wrong != "" {
		t.Fatalf("seed %d: at most %d, horizon %d: load: %s", seed, most, horizon, wrong)
	}

	var places []memberKey // of pending members, some of whom were accepted since
	for step := range 200 {
		var accepted memberKey
		switch {
		case rng.IntN(5) < 3: // as Stream.put does it
			key := numberedKey(rng.IntN(members))
			if len(stamps) > 0 && rng.IntN(4) == 0 {
				key = memberKeyOf(stamps[rng.IntN(len(stamps))].Member)
			}
			at := m.newest + int64(rng.IntN(40)) - 10
			if rng.IntN(8) == 0 {
				at = m.newest - horizon - int64(rng.IntN(20))
			}
			at = max(at, 1)
			i, ok := got.members.find(key)
			known, held := m.members[key]
			if ok != held || ok && *got.members.at(i) != known {
				t.Fatalf("seed %d: step %d: found %t; want %t, %+v", seed, step, ok, held, known)
			}
			switch {
			case at > m.newest:
				counts["newer than all"]++
			case !ok:
				counts["not found"]++
			case known.pending:
				counts["found pending"]++
			default:
				counts["found settled"]++
			}
			if ok && at <= known.at || !ok && at <= m.watermark {
				continue // repeated or late
			}
			if !ok {
				i = got.members.add(key)
			}
			p := timed{key: key, at: at, last: uint32(step + 1), leave: rng.IntN(2) == 0, pending: true}
			got.hold(i, p.at, p.leave, uint64(p.last))
			if ok && !known.pending {
				counts["held, and settled before"]++
			}
			m.members[key] = p
			m.newest = max(m.newest, at)
			places = append(places, key)
			counts["held"]++
		case len(places) > 0:
			n := rng.IntN(len(places))
			key := places[n]
			places = slices.Delete(places, n, n+1)
			p, ok := m.members[key]
			if !ok || !p.pending {
				continue
			}
			i, ok := got.members.find(key)
			if !ok {
				t.Fatalf("seed %d: step %d: a pending member is unknown", seed, step)
			}
			got.accept(i)
			p.sure, p.rests, p.pending, p.last = true, true, false, 0
			m.members[key] = p
			accepted = key
			counts["accepted"]++
			if _, ok := got.members.find(key); !ok {
				counts["forgotten at once"]++
			}
		}
		if wrong := m.holdAgainst(&got, accepted); wrong != "" {
			t.Fatalf("seed %d: %d members, at most %d, horizon %d: step %d: %s", seed, members, most, horizon, step, wrong)
		}
	}
	counts["forgotten"] += m.forgotten
}

// holdLoaded is holdAgainst after a load, which forgets several times in a row, so that only what is left in the end can be said beforehand: no more than
// may be, none of them older than the watermark if they were above it, and all that are to come again.
func (m *timesModel) holdLoaded(t *times) string {
	kept := 0
	for key, s := range m.members {
		i, ok := t.members.find(key)
		switch {
		case ok && *t.members.at(i) != s:
			return "something else is noted of a member"
		case !ok && !s.rests:
			return "somebody was forgotten who is to be delivered again"
		case !ok && s.at > t.watermark:
			return "somebody was forgotten who is newer than the watermark"
		case !ok:
			delete(m.members, key)
		case s.rests:
			kept++
		}
	}
	m.watermark = t.watermark
	if t.members.size != len(m.members) || t.atRest != kept || kept > m.most {
		return "the sizes differ"
	}
	return ""
}

// TestTimesForgetsTheOldest has members of two partitions arrive in turns, one of them far behind: those are forgotten, whatever their places, or the
// watermark would rise above all that is to come from the slow one.
func TestTimesForgetsTheOldest(t *testing.T) {
	t.Parallel()
	const most, behind = 6000, 1_000_000
	rng := rand.New(rand.NewPCG(1, 2))
	got := newTimes(most, math.MaxInt64/4)
	for n := range most * 3 / 2 {
		key := memberKey{first: rng.Uint64()}
		at := int64(10_000_000 + n)
		if n%2 == 0 {
			at -= behind
		}
		i := got.members.add(key)
		got.hold(i, at, false, uint64(n+1))
		got.accept(i)
	}
	if got.watermark == 0 || got.watermark > 10_000_000-behind+most*3/2 {
		t.Errorf("the watermark is %d, want it among the times of the slow partition, which end at %d", got.watermark, 10_000_000-behind+most*3/2)
	}
	if got.atRest > most || got.atRest < most-most/4 {
		t.Errorf("%d are kept, want at most %d and not far fewer", got.atRest, most)
	}
}
