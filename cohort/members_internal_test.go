package cohort

import (
	"math/rand/v2"
	"testing"
)

// TestMembers plays random batches against a plain map.
func TestMembers(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)

	var m members
	want := map[uint64]place{}
	type sent struct {
		batch  *batch
		hashes []uint64
	}
	var underWay []sent
	found, ended, moved := 0, 0, 0
	for range 2000 {
		b := sent{batch: m.newBatch()}
		if len(underWay) > 20 {
			// The batch that came to its end is used again, as the run does.
			m.batches = m.batches[:len(m.batches)-1]
			i := random.IntN(len(underWay))
			old := underWay[i]
			underWay = append(underWay[:i], underWay[i+1:]...)
			for _, hash := range old.hashes {
				m.forget(hash, old.batch)
				if want[hash].batch == old.batch {
					delete(want, hash)
				}
			}
			b.batch = old.batch
			ended++
		}
		for i := range random.IntN(50) {
			// Few low bits, so that slots collide; the high bits differ.
			hash := random.Uint64N(64) | random.Uint64N(4)<<20
			p := place{b.batch, i}
			got, ok := m.swap(hash, p)
			if w, known := want[hash]; known != ok || got != w {
				t.Fatalf("swap(%#x) = %v, %v; want %v, %v", hash, got, ok, w, known)
			}
			if ok {
				found++
				if got.batch != b.batch {
					moved++
				}
			}
			want[hash] = p
			b.hashes = append(b.hashes, hash)
		}
		underWay = append(underWay, b)
		if m.live != len(want) {
			t.Fatalf("%d live, want %d", m.live, len(want))
		}
	}
	if found < 1000 || ended < 1000 || moved < 1000 {
		t.Errorf("too little happened: %d found, %d batches ended, %d moved to a later batch", found, ended, moved)
	}
}
