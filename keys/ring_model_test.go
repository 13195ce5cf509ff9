package keys_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/keys"
)

var (
	ringSeed      = flag.Uint64("seed", 1, "the seed of the random histories")
	ringHistories = flag.Int("histories", 300, "how many random histories of a ring are tried")
)

// ringModel is a ring as a list: what is documented, in the plainest words.
type ringModel struct {
	state  map[keys.ImportKey]keys.KeyState
	marked map[keys.ImportKey]bool
}

// the returns the key in a state, or the zero key.
func (m *ringModel) the(state keys.KeyState) keys.ImportKey {
	for key, s := range m.state {
		if s == state {
			return key
		}
	}
	return keys.ImportKey{}
}

// put moves a key into a state that one key can have, out of which another one may have to go.
func (m *ringModel) put(key keys.ImportKey, state, displaced keys.KeyState) {
	if other := m.the(state); other != key && !other.IsZero() {
		m.state[other] = displaced
		m.marked[other] = m.marked[other] && displaced != keys.KeyAbsent
	}
	m.state[key] = state
}

func (m *ringModel) activate(key keys.ImportKey) {
	old := m.the(keys.KeyActive)
	m.state[key] = keys.KeyAbsent
	m.put(old, keys.KeyRetiring, keys.KeyAbsent)
	m.state[key] = keys.KeyActive
}

func (m *ringModel) held(key keys.ImportKey) bool {
	return m.state[key] != keys.KeyAbsent && m.state[key] != keys.KeyInvalidated
}

func (m *ringModel) stage(key keys.ImportKey) (ok bool) {
	switch m.state[key] {
	case keys.KeyInvalidated:
		return false
	case keys.KeyAbsent, keys.KeyRetiring:
		m.put(key, keys.KeyStaged, keys.KeyAbsent)
	}
	return true
}

func (m *ringModel) accepted(key keys.ImportKey) {
	if !m.held(key) {
		return
	}
	m.marked[key] = false
	active, retiring := m.the(keys.KeyActive), m.the(keys.KeyRetiring)
	switch {
	case key != active && m.marked[active]:
		m.activate(key)
	case key == active && m.marked[retiring]:
		m.state[retiring] = keys.KeyInvalidated
	}
}

// refused returns the key to try, or the zero key.
func (m *ringModel) refused(key keys.ImportKey, cause keys.Cause) keys.ImportKey {
	if cause == keys.CausePartnerKey || cause == keys.CauseNotEnabled {
		return keys.ImportKey{}
	}
	if cause == keys.CauseImportKey && m.held(key) {
		m.marked[key] = true
	}
	staged, retiring := m.the(keys.KeyStaged), m.the(keys.KeyRetiring)
	switch {
	case m.state[key] != keys.KeyActive:
		return m.the(keys.KeyActive)
	case staged.IsZero(), m.marked[staged] && !retiring.IsZero() && !m.marked[retiring]:
		return retiring
	default:
		return staged
	}
}

// ringHistory is one random history: a ring, what it should be, and an endpoint where keys become valid and invalid.
type ringHistory struct {
	t      *testing.T
	random *rand.Rand
	ring   *keys.Ring
	model  ringModel
	told   map[keys.ImportKey]keys.KeyState // by the transitions heard
	valid  map[keys.ImportKey]bool          // at the endpoint
	others keys.Cause                       // what the endpoint says of a wrong import key
	down   bool                             // the endpoint refuses everybody with that text
	counts map[string]int
}

func (h *ringHistory) observe(tr keys.Transition) {
	for _, key := range h.all() {
		if key.Fingerprint() != tr.Fingerprint {
			continue
		}
		if h.told[key] != tr.From {
			h.t.Errorf("told of %v -> %v for a key that was %v", tr.From, tr.To, h.told[key])
		}
		h.told[key] = tr.To
	}
	h.counts[tr.From.String()+" -> "+tr.To.String()]++
}

func (h *ringHistory) all() []keys.ImportKey { return []keys.ImportKey{keyA, keyB, keyC, keyD, keyE} }

func (h *ringHistory) any() keys.ImportKey { return h.all()[h.random.IntN(5)] }

func (h *ringHistory) refuses(key keys.ImportKey) bool { return h.down || !h.valid[key] }

// request is what an importer does for one request.
func (h *ringHistory) request() {
	key, err := h.ring.ImportKey(h.t.Context())
	if want := h.model.the(keys.KeyActive); err != nil || key != want {
		h.t.Fatalf("requests carry %s, want %s", letter(key), letter(want))
	}
	if !h.refuses(key) {
		h.accepted(key)
		h.counts["accepted"]++
		return
	}
	before := states(h.ring)
	other := h.refused(key, h.others)
	if other.IsZero() {
		h.counts["refused"]++
		return
	}
	if h.refuses(other) {
		h.refused(other, h.others)
		h.counts["refused twice"]++
		if got := states(h.ring); got != before {
			h.t.Errorf("both keys are refused, and %s became %s", before, got)
		}
		return
	}
	h.accepted(other)
	h.counts["saved"]++
	if got := states(h.ring); h.others != keys.CauseImportKey && !h.model.marked[key] && got != before {
		h.t.Errorf("after a refusal by %v, %s became %s", h.others, before, got)
	}
}

func (h *ringHistory) accepted(key keys.ImportKey) {
	h.ring.Accepted(key)
	h.model.accepted(key)
}

func (h *ringHistory) refused(key keys.ImportKey, cause keys.Cause) keys.ImportKey {
	other, ok := h.ring.Refused(key, cause)
	if want := h.model.refused(key, cause); other != want || ok == want.IsZero() {
		h.t.Fatalf("%s refused by %v: another key than in the model is to be tried", letter(key), cause)
	}
	return other
}

func (h *ringHistory) step() {
	switch op := h.random.IntN(20); op {
	case 0, 1:
		key := h.any()
		if ok := h.model.stage(key); (h.ring.Stage(key) == nil) != ok {
			h.t.Fatalf("stage %s: want success: %t", letter(key), ok)
		}
		h.counts["stage"]++
	case 2, 3:
		var failed error
		if h.random.IntN(4) == 0 {
			failed = errors.New("not verified")
		}
		staged := h.model.the(keys.KeyStaged)
		err := h.ring.Promote(h.t.Context(), func(context.Context, keys.ImportKey) error { return failed })
		switch {
		case staged.IsZero():
			if !errors.Is(err, keys.ErrNoStagedKey) {
				h.t.Fatalf("promote nothing: %v", err)
			}
		case !errors.Is(err, failed): // nil too
			h.t.Fatalf("promote: %v, want %v", err, failed)
		case failed == nil:
			h.model.activate(staged)
			h.counts["promote"]++
		}
	case 4:
		key := h.any()
		ok := h.model.state[key] != keys.KeyAbsent && h.model.state[key] != keys.KeyActive
		if (h.ring.Invalidated(key.Fingerprint()) == nil) != ok {
			h.t.Fatalf("invalidated %s: want success: %t", letter(key), ok)
		}
		if ok {
			h.model.state[key] = keys.KeyInvalidated
		}
	case 5:
		key := h.any()
		h.valid[key] = !h.valid[key]
		h.counts["at the endpoint"]++
	case 6:
		h.others = keys.Cause(h.random.IntN(4))
	case 7:
		h.down = h.random.IntN(3) == 0
	case 8: // late, from a request of long ago
		h.accepted(h.any())
	case 9:
		h.refused(h.any(), keys.Cause(h.random.IntN(4)))
	case 10:
		h.restart()
	default:
		h.request()
	}
}

// restart saves the ring and restores it, which forgets what was refused, and sometimes without a spare key.
func (h *ringHistory) restart() {
	text, err := json.Marshal(h.ring.Snapshot())
	if err != nil {
		h.t.Fatal(err)
	}
	checkHidden(h.t, "the snapshot", string(text))
	var snapshot keys.RingSnapshot
	if err := json.Unmarshal(text, &snapshot); err != nil {
		h.t.Fatal(err)
	}
	if diff := cmp.Diff(h.ring.Snapshot(), snapshot); diff != "" {
		h.t.Fatalf("the snapshot as JSON (-before +after):\n%s", diff)
	}
	lost := h.any()
	var available []keys.ImportKey
	for key, state := range h.model.state {
		if key == lost && (state == keys.KeyStaged || state == keys.KeyRetiring) {
			h.model.state[key] = keys.KeyAbsent
			h.counts["lost"]++
		} else if state != keys.KeyAbsent {
			available = append(available, key)
		}
	}
	h.model.marked = make(map[keys.ImportKey]bool)
	h.ring, err = keys.RestoreRing(snapshot, available, keys.OnTransition(h.observe))
	if err != nil {
		h.t.Fatal(err)
	}
	h.counts["restart"]++
}

func (h *ringHistory) compare() {
	got := make(map[string]keys.KeyState)
	for _, k := range h.ring.Snapshot().Keys {
		got[letterOf(k.Fingerprint)] = k.State
	}
	want := make(map[string]keys.KeyState)
	for key, state := range h.model.state {
		if state != keys.KeyAbsent {
			want[letter(key)] = state
		}
		if h.told[key] != state {
			h.t.Errorf("%s is %v, but the last transition led to %v", letter(key), state, h.told[key])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		h.t.Fatalf("states (-model +ring):\n%s", diff)
	}
}

// TestRingHistories compares a Ring with a plain model over random histories of keys and of an endpoint. -histories=N runs more of them.
func TestRingHistories(t *testing.T) {
	t.Parallel()
	counts := make(map[string]int)
	for n := range *ringHistories {
		h := &ringHistory{
			t: t, random: rand.New(rand.NewPCG(*ringSeed, uint64(n))), counts: counts,
			told:  make(map[keys.ImportKey]keys.KeyState),
			valid: map[keys.ImportKey]bool{keyA: true, keyB: true},
			model: ringModel{state: map[keys.ImportKey]keys.KeyState{keyA: keys.KeyActive}, marked: make(map[keys.ImportKey]bool)},
		}
		h.others = keys.Cause(h.random.IntN(4))
		h.ring = newRing(t, keyA, keys.OnTransition(h.observe))
		for i := range 40 {
			h.step()
			h.compare()
			if t.Failed() {
				t.Fatalf("history %d of seed %d, step %d", n, *ringSeed, i)
			}
		}
	}
	for _, what := range []string{
		"accepted", "refused", "refused twice", "saved", "stage", "promote", "restart", "lost", "at the endpoint",
		"absent -> staged", "staged -> absent", "staged -> active", "staged -> invalidated", "active -> retiring",
		"retiring -> active", "retiring -> staged", "retiring -> absent", "retiring -> invalidated",
	} {
		if least := *ringHistories / 20; counts[what] < least {
			t.Errorf("%q happened %d times, want at least %d: seed %d", what, counts[what], least, *ringSeed)
		}
	}
	t.Log(slices.Sorted(func(yield func(string) bool) {
		for what, n := range counts {
			if !yield(fmt.Sprintf("%s: %d", what, n)) {
				return
			}
		}
	}))
}
