package cohort

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// chance returns the exact probability that a sample has so many hits.
func chance(members, having, sampled, hits int) *big.Rat {
	if hits < 0 || hits > having || sampled-hits < 0 || sampled-hits > members-having {
		return new(big.Rat)
	}
	ways := new(big.Int).Mul(binomial(having, hits), binomial(members-having, sampled-hits))
	return new(big.Rat).SetFrac(ways, binomial(members, sampled))
}

func binomial(n, k int) *big.Int { return new(big.Int).Binomial(int64(n), int64(k)) }

// TestPortionCovers shows, by adding up the exact probabilities of all samples, that the limits have the truth between them as often as they promise, for every
// population of up to 24 members, every sample and every truth; and that they are no wider than the rule of their documentation makes them.
func TestPortionCovers(t *testing.T) {
	t.Parallel()
	promised, tail := big.NewRat(95, 100), big.NewRat(25, 1000)
	tried := 0
	for members := 1; members <= 24; members++ {
		for sampled := 1; sampled <= members; sampled++ {
			portions := make([]Portion, sampled+1)
			for hits := range portions {
				p := portionOf(members, sampled, hits, missRate)
				if p.Of != members || p.Low < hits || p.High > members-(sampled-hits) || p.Likely < p.Low || p.Likely > p.High {
					t.Fatalf("%d of %d sampled, %d hits: %+v", sampled, members, hits, p)
				}
				portions[hits] = p
				// With one fewer than Low the sample would be surprising.
				if p.Low > hits {
					surprise := new(big.Rat)
					for k := hits; k <= sampled; k++ {
						surprise.Add(surprise, chance(members, p.Low-1, sampled, k))
					}
					if surprise.Cmp(tail) > 0 {
						t.Errorf("%d of %d sampled, %d hits: %d is not ruled out, but is below %d", sampled, members, hits, p.Low-1, p.Low)
					}
				}
			}
			if !slices.IsSortedFunc(portions, func(a, b Portion) int { return max(a.Low-b.Low, a.High-b.High) }) {
				t.Errorf("%d of %d sampled: more hits give lower limits: %v", sampled, members, portions)
			}
			for truth := 0; truth <= members; truth++ {
				covered := new(big.Rat)
				for hits, p := range portions {
					if p.Low <= truth && truth <= p.High {
						covered.Add(covered, chance(members, truth, sampled, hits))
					}
				}
				if covered.Cmp(promised) < 0 {
					t.Errorf("%d of %d sampled, the truth is %d: covered with a probability of %s only", sampled, members, truth, covered.FloatString(4))
				}
				tried++
			}
		}
	}
	if tried < 5000 {
		t.Errorf("tried %d cases", tried)
	}
}

// TestPortionSums shows the same of the sums over two kinds, of which one is looked up whole or not.
func TestPortionSums(t *testing.T) {
	t.Parallel()
	const members, others, sampled = 12, 8, 6
	for _, sampledOthers := range []int{2, 5, others} {
		guessed := members
		if sampledOthers < others {
			guessed += others
		}
		for truth := 0; truth <= members; truth++ {
			for otherTruth := 0; otherTruth <= others; otherTruth++ {
				covered := new(big.Rat)
				for hits := 0; hits <= sampled; hits++ {
					for otherHits := 0; otherHits <= sampledOthers; otherHits++ {
						sum := portionOf(members, sampled, hits, missRate*members/float64(guessed))
						sum.add(portionOf(others, sampledOthers, min(otherHits, sampledOthers), missRate*others/float64(guessed)))
						if sum.Low <= truth+otherTruth && truth+otherTruth <= sum.High {
							p := chance(members, truth, sampled, hits)
							covered.Add(covered, p.Mul(p, chance(others, otherTruth, sampledOthers, otherHits)))
						}
					}
				}
				if covered.Cmp(big.NewRat(95, 100)) < 0 {
					t.Errorf("%d of %d others sampled, the truth is %d and %d: covered with a probability of %s only",
						sampledOthers, others, truth, otherTruth, covered.FloatString(4))
				}
			}
		}
	}
}

// TestAtLeast compares the tail with the exact one, and for a hundred million members with what must be true of it.
func TestAtLeast(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ members, having, sampled, hits int }{
		{1, 0, 1, 0}, {1, 1, 1, 1}, {10, 3, 4, 2}, {10, 10, 4, 4}, {10, 0, 4, 1}, {500, 250, 100, 61}, {500, 499, 100, 100}, {500, 5, 400, 5}, {2000, 7, 90, 3},
	} {
		want := new(big.Rat)
		for k := tt.hits; k <= tt.sampled; k++ {
			want.Add(want, chance(tt.members, tt.having, tt.sampled, k))
		}
		exact, _ := want.Float64()
		if got := atLeast(tt.members, tt.having, tt.sampled, tt.hits); math.Abs(got-exact) > 1e-12 {
			t.Errorf("%+v: %v, want %v", tt, got, exact)
		}
	}
	const members = 100_000_000
	for _, sampled := range []int{10, 1000, maxSample} {
		for _, having := range []int{0, 1, 1000, members / 100, members / 2, members - 1000, members - 1, members} {
			for _, hits := range []int{1, sampled / 100, sampled / 2, sampled - 1, sampled} {
				upper, lower := atLeast(members, having, sampled, hits), atLeast(members, members-having, sampled, sampled-hits+1)
				if math.Abs(upper+lower-1) > 1e-9 {
					t.Errorf("%d of %d, %d hits: %v or more and %v fewer", having, sampled, hits, upper, lower)
				}
			}
		}
	}
}

// TestPortionKnown compares limits of large populations, where drawing without replacement is hardly another thing than drawing with it, with the
// Clopper-Pearson limits that tables of them give.
func TestPortionKnown(t *testing.T) {
	t.Parallel()
	const members = 100_000_000
	for _, tt := range []struct {
		sampled, hits int
		low, high     float64
	}{
		{10, 0, 0, 0.30850}, {10, 5, 0.18709, 0.81291}, {100, 50, 0.39832, 0.60168}, {100, 99, 0.94554, 0.99975}, {1000, 500, 0.46855, 0.53145}, {20, 20, 0.83157, 1},
	} {
		p := portionOf(members, tt.sampled, tt.hits, missRate)
		low, high := float64(p.Low)/members, float64(p.High)/members
		if math.Abs(low-tt.low) > 2e-5 || math.Abs(high-tt.high) > 2e-5 {
			t.Errorf("%d hits of %d: %.5f to %.5f, want %.5f to %.5f", tt.hits, tt.sampled, low, high, tt.low, tt.high)
		}
	}
}

// TestPortionString rounds limits outwards.
func TestPortionString(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		portion Portion
		want    string
	}{
		{Portion{Of: 120_000, Likely: 99_960, Low: 96_123, High: 103_321}, "about 83.3 % of 120000 (80.1 to 86.2 %)"},
		{Portion{Of: 3, Likely: 2, Low: 1, High: 2}, "about 66.7 % of 3 (33.3 to 66.7 %)"},
		{Portion{Of: 120, Likely: 100, Low: 100, High: 100}, "83.3 % of 120"},
		{Portion{Of: 100_000, Likely: 99_999, Low: 99_998, High: 100_000}, "about 100.0 % of 100000 (99.9 to 100.0 %)"},
		{Portion{}, "0.0 % of 0"},
	} {
		if got := tt.portion.String(); got != tt.want {
			t.Errorf("%+v is %q, want %q", tt.portion, got, tt.want)
		}
	}
}

// TestAllot divides samples.
func TestAllot(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sampled     int
		sizes, want []int
	}{
		{1000, []int{0, 0, 0}, []int{0, 0, 0}},
		{1000, []int{300, 0, 700}, []int{300, 0, 700}},
		{1000, []int{5000, 0, 0}, []int{1000, 0, 0}},
		{1000, []int{100_000, 0, 20_000}, []int{834, 0, 166}},
		{1000, []int{100_000, 60, 2000}, []int{840, 60, 100}},
		{1000, []int{1_000_000, 1000, 1000}, []int{800, 100, 100}},
		{10, []int{1_000_000, 1, 1}, []int{8, 1, 1}},
		{10, []int{4, 4, 4}, []int{3, 3, 4}},
		{100, []int{34, 34, 33}, []int{33, 34, 32}},
		{maxSample, []int{100_000_000, 50_000_000, 1}, []int{66_666, 33_333, 1}},
	} {
		if diff := cmp.Diff(tt.want, allot(tt.sampled, tt.sizes)); diff != "" {
			t.Errorf("%d of %v (-want +got):\n%s", tt.sampled, tt.sizes, diff)
		}
	}
	for a := range 40 {
		for b := range 40 {
			for c := range 40 {
				sum := 0
				for i, n := range allot(20, []int{a, b, c}) {
					size := []int{a, b, c}[i]
					if sum += n; n > size || n < min(size, 2) {
						t.Fatalf("20 of %d, %d and %d: %d of %d", a, b, c, n, size)
					}
				}
				if sum > 20 || sum < min(20, a+b+c)-2 {
					t.Fatalf("20 of %d, %d and %d: %d in all", a, b, c, sum)
				}
			}
		}
	}
}

// TestDraw shows that each member, and each pair of members, is drawn as often as any other, whether all fit into the urn at first or not.
func TestDraw(t *testing.T) {
	t.Parallel()
	const runs, members, drawn = 5000, 12, 4
	for _, size := range []int{5, members} {
		random := rand.New(rand.NewPCG(1, uint64(size)))
		var pairs [members][members]int
		for range runs {
			config := estimateConfig{size: size, intN: random.IntN}
			u := urn{kind: identity.ExternalIDKind}
			for i := range members {
				u.put(ledger.Member{ID: identity.ExternalID(string(rune('a' + i))), State: ledger.In}, config)
			}
			for _, one := range u.draw(drawn, config) {
				for _, other := range u.held[:drawn] {
					pairs[one.Value()[0]-'a'][other.Value()[0]-'a']++
				}
			}
		}
		for i := range members {
			for j := range members {
				share := float64(drawn) / members
				if i != j {
					share *= float64(drawn-1) / (members - 1)
				}
				want := share * runs
				if got := float64(pairs[i][j]); math.Abs(got-want) > 5*math.Sqrt(want*(1-share)) {
					t.Errorf("an urn of %d: members %d and %d were drawn together %v times, want about %v", size, i, j, got, want)
				}
			}
		}
	}
}
