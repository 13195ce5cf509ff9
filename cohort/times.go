package cohort

import (
	"math"
	"slices"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// times is what a stream knows of its members: when the newest event of each happened. Of those whose newest event is settled the oldest are forgotten
// when there are too many, or when they lie too far behind the newest event of all; the watermark then rises to the time of whoever was forgotten, so
// that an event above it is surely newer than any that was forgotten. To forget somebody all have to be looked at, so an eighth goes at once.
type times struct {
	most    int   // members at rest
	horizon int64 // nanoseconds

	members roster
	pending int   // those whose newest event is pending
	atRest  int   // those who may be forgotten, because it is settled
	oldest  int64 // none at rest is older
	newest  int64 // time of all events

	watermark int64
}

func newTimes(most int, horizon int64) times {
	return times{most: most, horizon: horizon, members: newRoster(), oldest: math.MaxInt64}
}

// load takes over what a ledger knows. An event that may have been applied, or not, is still to be delivered again, and must not be late then because
// it was forgotten: so its time is kept however many there are, as long as it lies within the horizon.
func (t *times) load(watermark int64, stamps []ledger.Stamp) {
	t.watermark = watermark
	for _, s := range stamps {
		t.newest = max(t.newest, s.At)
	}
	for _, s := range stamps {
		key := memberKeyOf(s.Member)
		i := t.members.add(key)
		*t.members.at(i) = timed{key: key, at: s.At, leave: s.Leave, sure: s.Sure}
		if s.Sure || s.At < t.newest-t.horizon {
			t.rest(i)
		}
	}
}

// hold notes an event that is pending, and newer than all of its member, who has this place.
func (t *times) hold(i uint32, at int64, leave bool, position uint64) {
	m := t.members.at(i)
	if m.rests {
		t.atRest--
	}
	if !m.pending {
		t.pending++
	}
	m.at, m.leave, m.last = at, leave, uint32(position)
	m.pending, m.sure, m.rests = true, false, false
	t.newest = max(t.newest, at)
}

// accept notes that the newest event of a pending member was accepted.
func (t *times) accept(i uint32) {
	m := t.members.at(i)
	m.last, m.pending, m.sure = 0, false, true
	t.pending--
	t.rest(i)
}

// rest notes that the newest event of a member is settled, and forgets whom it may.
func (t *times) rest(i uint32) {
	m := t.members.at(i)
	m.rests = true
	t.atRest++
	if t.most == 0 || m.at < t.newest-t.horizon { // alone, or all would be looked at for each event, be it of a partition that is so far behind
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
	t.watermark = max(t.watermark, t.members.at(i).at)
	t.members.forget(i)
	t.atRest--
}

// quantile returns a time that about so many of those at rest are not later than, and one at least. It looks at some alone, in the order of their
// keys, which are as good as drawn by lot; in the order of their arrival it might see one partition of a topic and not the other.
func (t *times) quantile(n int) int64 {
	const enough = 4096
	some := make([]int64, 0, min(enough, t.atRest))
	for _, s := range t.members.slots {
		if s == 0 {
			continue
		}
		if m := t.members.at(s.place()); m.rests {
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
	for i := range t.members.used {
		m := t.members.at(i)
		switch {
		case !m.rests:
		case m.at <= until && t.atRest > keep:
			t.drop(i)
		default:
			t.oldest = min(t.oldest, m.at)
		}
	}
}
