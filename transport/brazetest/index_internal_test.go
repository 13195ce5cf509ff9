package brazetest

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

// TestIndexIsAMap does the same to an index and to a map, in random order, and looks everything up one by one and in batches.
func TestIndexIsAMap(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	rng := rand.New(rand.NewPCG(seed, 2))
	x, want := newIndex(), make(map[string]int32)
	const texts = 3000
	var l lookups
	for step := range 60_000 {
		text := "u-" + strconv.Itoa(rng.IntN(texts))
		switch rng.IntN(3 + step/20_000) { // fewer additions as time goes by, so that it grows and shrinks
		case 0, 1:
			profile := int32(rng.IntN(1_000_000))
			x.put(text, profile)
			want[text] = profile
		default:
			x.remove(text)
			delete(want, text)
		}
		if step%10_000 != 0 {
			continue
		}
		for from := 0; from < texts; from += batch {
			var entries []entry
			for i := range batch {
				entries = append(entries, entry{kind: ExternalIDKind, value: []byte("u-" + strconv.Itoa(from+i))})
			}
			x.find(entries, &l)
			for i, e := range entries {
				profile, ok := want[string(e.value)]
				if !ok {
					profile = -1
				}
				if l.found[i] != profile {
					t.Fatalf("step %d: found %d, want %d", step, l.found[i], profile)
				}
				if one, found := x.get(string(e.value)); found != ok || found && one != profile {
					t.Fatalf("step %d: get %d, %v, want %d, %v", step, one, found, profile, ok)
				}
			}
		}
	}
	if 2*x.used > len(x.slots) || len(x.slots) > 1<<15 {
		t.Errorf("%d of %d slots are used for %d texts", x.used, len(x.slots), len(want))
	}
}
