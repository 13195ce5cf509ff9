package cohort

import "github.com/cohortkit/cohortkit/cohort/ledger"

// memberKey stands for a member where the identifier itself is not needed.
type memberKey [16]byte

// times is what a stream knows of its members: when the newest event of each happened. Members of whom an event is pending are always known. Of the others
// the oldest are forgotten when there are too many, or when they lie too far behind the newest event of all; the watermark then rises to the time of whoever
// was forgotten, so that an event above it is surely newer than any that was forgotten.
//
// It holds no pointers, so that a million members are no work for the garbage collector.
type times struct {
	most    int   // members at rest
	horizon int64 // nanoseconds

	index     map[memberKey]uint32 // into all
	all       []timed
	free      []uint32
	resting   []uint32 // a heap with the oldest on top
	newest    int64    // time of all events
	watermark int64
}

// timed is a member and the newest event of them.
type timed struct {
	key   memberKey
	at    int64
	last  uint64 // the position of the pending event, 0 if none is
	place int32  // in resting; -1 while an event is pending, and before the one of an earlier stream is settled
	leave bool
	sure  bool // the endpoint acknowledged it
}

func newTimes(most int, horizon int64) times {
	return times{most: most, horizon: horizon, index: map[memberKey]uint32{}}
}

// load takes over what a ledger knows. An event that may have been applied, or not, is still to be delivered again, and must not be late then because it
// was forgotten: so its time is kept however many there are, as long as it lies within the horizon.
func (t *times) load(watermark int64, stamps []ledger.Stamp) {
	t.watermark = watermark
	for _, s := range stamps {
		t.newest = max(t.newest, s.At)
	}
	for _, s := range stamps {
		i := t.add(s.Member)
		t.all[i].at, t.all[i].leave = s.At, s.Leave
		if s.Sure || s.At < t.newest-t.horizon {
			t.rest(i, s.Sure)
		}
	}
}

// add makes a member known, of whom an event is about to be pending.
func (t *times) add(key memberKey) uint32 {
	var i uint32
	if n := len(t.free); n > 0 {
		i, t.free = t.free[n-1], t.free[:n-1]
	} else {
		i = uint32(len(t.all))
		t.all = append(t.all, timed{})
	}
	t.all[i] = timed{key: key, place: -1}
	t.index[key] = i
	return i
}

// hold notes the newest event of a member, which is pending at this position.
func (t *times) hold(i uint32, at int64, leave bool, position uint64) {
	m := &t.all[i]
	if m.place >= 0 {
		t.remove(int(m.place))
	}
	m.at, m.leave, m.sure, m.last = at, leave, false, position
	t.newest = max(t.newest, at)
}

// rest notes that the newest event of a member is settled.
func (t *times) rest(i uint32, sure bool) {
	m := &t.all[i]
	m.last, m.sure, m.place = 0, sure, int32(len(t.resting))
	t.newest = max(t.newest, m.at)
	t.resting = append(t.resting, i)
	t.up(len(t.resting) - 1)
	for n := len(t.resting); n > 0; n = len(t.resting) {
		oldest := t.resting[0]
		at := t.all[oldest].at
		if n <= t.most && at >= t.newest-t.horizon {
			return
		}
		t.watermark = max(t.watermark, at)
		t.remove(0)
		delete(t.index, t.all[oldest].key)
		t.free = append(t.free, oldest)
	}
}

// remove takes the member at a place out of the heap.
func (t *times) remove(place int) {
	last := len(t.resting) - 1
	t.all[t.resting[place]].place = -1
	moved := t.resting[last]
	t.resting = t.resting[:last]
	if place == last {
		return
	}
	t.set(place, moved)
	t.down(place)
	t.up(place)
}

func (t *times) set(place int, i uint32) {
	t.resting[place] = i
	t.all[i].place = int32(place)
}

func (t *times) older(a, b int) bool { return t.all[t.resting[a]].at < t.all[t.resting[b]].at }

func (t *times) swap(a, b int) {
	i, j := t.resting[a], t.resting[b]
	t.set(a, j)
	t.set(b, i)
}

func (t *times) up(place int) {
	for place > 0 && t.older(place, (place-1)/2) {
		t.swap(place, (place-1)/2)
		place = (place - 1) / 2
	}
}

func (t *times) down(place int) {
	for {
		child := 2*place + 1
		if child >= len(t.resting) {
			return
		}
		if child+1 < len(t.resting) && t.older(child+1, child) {
			child++
		}
		if !t.older(child, place) {
			return
		}
		t.swap(child, place)
		place = child
	}
}
