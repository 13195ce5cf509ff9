package cohort

import (
	"math/rand/v2"
	"testing"
)

// numberedKey returns the key of a member by number, of whom eight at a time have the low bits in common, so that they meet in a roster.
func numberedKey(n int) memberKey {
	return memberKey{uint64(uint32(n/8) * 0x9e3779b1), uint64(n + 1)}
}

// TestRosterModel holds a roster against a map while it grows and shrinks.
func TestRosterModel(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	const members, steps = 3000, 60_000
	r, want := newRoster(), map[memberKey]int64{}
	added, found, forgotten, missed, grown := 0, 0, 0, 0, 0
	for step := range steps {
		key := numberedKey(rng.IntN(members))
		at, known := want[key]
		i, ok := r.find(key)
		switch {
		case ok != known:
			t.Fatalf("step %d: a member was found: %t, and is known: %t", step, ok, known)
		case ok && (r.at(i).key != key || r.at(i).at != at):
			t.Fatalf("step %d: what is found is of another member", step)
		case !ok:
			missed++
		default:
			found++
		}
		switch growing := step%(steps/3) < steps/6; {
		case !ok && (growing || rng.IntN(8) == 0):
			slots := len(r.slots)
			i := r.add(key)
			if *r.at(i) != (timed{key: key}) {
				t.Fatalf("step %d: a new member comes with what was noted of another", step)
			}
			r.at(i).at = int64(step)
			want[key] = int64(step)
			added++
			if len(r.slots) != slots {
				grown++
			}
		case ok && (!growing || rng.IntN(8) == 0):
			r.forget(i)
			delete(want, key)
			forgotten++
		}
		if r.size != len(want) || int(r.used)-len(r.free) != len(want) || 2*r.size > len(r.slots) {
			t.Fatalf("step %d: size %d, %d places of which %d are free, %d slots; want %d", step, r.size, r.used, len(r.free), len(r.slots), len(want))
		}
	}
	for n := range members {
		key := numberedKey(n)
		if _, ok := r.find(key); ok != (want[key] != 0) {
			t.Errorf("at the end member %d was found: %t", n, ok)
		}
	}
	for name, n := range map[string]int{"added": added - 3000, "found": found - 10_000, "forgotten": forgotten - 3000, "missed": missed - 10_000, "grown": grown - 4} {
		if n < 0 {
			t.Errorf("%s too seldom: by %d", name, -n)
		}
	}
}
