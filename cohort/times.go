package cohort

import (
	"math"
	"slices"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// times is what a stream knows of its members: when the newest event of each happened. Of those whose newest event is settled the oldest are forgotten
// when there are too many, or when they lie too far behind the newest event of all; the watermark then rises to the time of whoever was forgotten, so
// that an event above it is surely newer than any that was forgotten. To forget somebody all have to be looked at, so an eighth goes at once.
//
// Most events are newer than all before them, and so newer than whatever is known of their member. Then nobody looks among the many who are settled,
// which would cost an access to memory that is not in the cache, but only among the few of whom an event is pending. A member may be in both.
type times struct {
	most    int   // settled members
	horizon int64 // nanoseconds

	pending roster // no more members than the backlog has events
	settled roster
	atRest  int   // of the settled ones, those who may be forgotten
	oldest  int64 // none of these is older
	newest  int64 // time of all events

	watermark int64
}

func newTimes(most int, horizon int64) times {
	return times{most: most, horizon: horizon, pending: newRoster(), settled: newRoster(), oldest: math.MaxInt64}
}

// load takes over what a ledger knows. An event that may have been applied, or not, is still to be delivered again, and must not be late then because
// it was forgotten: so its time is kept however many there are, as long as it lies within the horizon.
func (t *times) load(watermark int64, stamps []ledger.Stamp) {
	t.watermark = watermark
	for _, s := range stamps {
		t.newest = max(t.newest, s.At)
	}
	for _, s := range stamps {
		if s.Sure || s.At < t.newest-t.horizon {
			t.rest(timed{key: s.Member, at: s.At, leave: s.Leave, sure: s.Sure})
			continue
		}
		m := t.settled.at(t.settled.add(s.Member))
		m.at, m.leave = s.At, s.Leave
	}
}

// find returns what is known of a member, as far as it can matter to an event of this time: nothing is known that is newer than all events.
func (t *times) find(key memberKey, at int64) (timed, bool) {
	if i, ok := t.pending.find(key); ok {
		return *t.pending.at(i), true
	}
	if at > t.newest {
		return timed{}, false
	}
	if i, ok := t.settled.find(key); ok {
		return *t.settled.at(i), true
	}
	return timed{}, false
}

// hold notes a member whose newest event is pending, and returns the place among those.
func (t *times) hold(m timed) uint32 {
	i, ok := t.pending.find(m.key)
	if !ok {
		i = t.pending.add(m.key)
	}
	*t.pending.at(i) = m
	t.newest = max(t.newest, m.at)
	return i
}

// accept notes that the newest event of a pending member was accepted.
func (t *times) accept(i uint32) {
	m := *t.pending.at(i)
	t.pending.forget(i)
	m.sure = true
	t.rest(m)
}

// rest notes a member whose newest event is settled, and forgets whom it may.
func (t *times) rest(m timed) {
	i, ok := t.settled.find(m.key)
	if !ok {
		i = t.settled.add(m.key)
	}
	if !t.settled.at(i).rests {
		t.atRest++
	}
	m.last, m.rests = 0, true
	*t.settled.at(i) = m
	if m.at < t.newest-t.horizon { // alone, or all would be looked at for each event of a partition that is so far behind
		t.drop(i)
		return
	}
	t.oldest = min(t.oldest, m.at)
	if t.oldest < t.newest-t.horizon-t.horizon/8 {
		t.forget(t.newest-t.horizon-1, 0)
	}
	for t.atRest > t.most {
		keep := t.most - t.most/8
		t.forget(t.quantile(t.atRest-keep), keep)
	}
}

// drop makes one at rest unknown.
func (t *times) drop(i uint32) {
	t.watermark = max(t.watermark, t.settled.at(i).at)
	t.settled.forget(i)
	t.atRest--
}

// quantile returns a time that about so many of those at rest are not later than, and one at least. It looks at some alone, in the order of their
// keys, which are as good as drawn by lot; in the order of their arrival it might see one partition of a topic and not the other.
func (t *times) quantile(n int) int64 {
	const enough = 4096
	some := make([]int64, 0, min(enough, t.atRest))
	for _, s := range t.settled.slots {
		if s == 0 {
			continue
		}
		if m := t.settled.at(s.place()); m.rests {
			if some = append(some, m.at); len(some) == cap(some) {
				break
			}
		}
	}
	slices.Sort(some)
	return some[(n*len(some)-1)/t.atRest]
}

// forget makes those at rest unknown whose time is not later than this one, but keeps so many.
func (t *times) forget(until int64, keep int) {
	t.oldest = math.MaxInt64
	for i := range t.settled.used {
		m := t.settled.at(i)
		switch {
		case !m.rests:
		case m.at <= until && t.atRest > keep:
			t.drop(i)
		default:
			t.oldest = min(t.oldest, m.at)
		}
	}
}
