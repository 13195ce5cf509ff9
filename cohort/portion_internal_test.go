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
				p := partOf(members, sampled, hits).portion()
				if p.Of != members || p.Sampled != sampled || p.Exact() != (sampled == members) || p.Low < hits || p.High > members-(sampled-hits) || p.Likely < p.Low || p.Likely > p.High {
					t.Fatalf("%d of %d sampled, %d hits: %+v", sampled, members, hits, p)
				}
				portions[hits] = p
				// With one fewer than Low the sample would be surprising.
				if p.Low > hits {
					chances := new(big.Rat)
					for k := hits; k <= sampled; k++ {
						chances.Add(chances, chance(members, p.Low-1, sampled, k))
					}
					if chances.Cmp(tail) > 0 {
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

// partOf makes the part of a sample whose hits were drawn first.
func partOf(members, sampled, hits int) part {
	p := part{members, make([]bool, sampled)}
	for i := range hits {
		p.hits[i] = true
	}
	return p
}

// TestPortionSums shows the same of the members of several kinds, for samples at one rate and at several, for every combination of truths.
func TestPortionSums(t *testing.T) {
	t.Parallel()
	type kind struct{ members, sampled int }
	for _, kinds := range [][]kind{
		{{12, 6}, {8, 4}}, {{12, 6}, {8, 8}}, {{30, 10}, {3, 1}}, {{9, 3}, {7, 4}}, {{40, 12}, {10, 5}}, {{15, 2}, {5, 4}}, {{20, 19}, {20, 18}},
		{{60, 20}, {60, 20}}, {{8, 3}, {7, 2}, {5, 2}}, {{6, 3}, {6, 3}, {6, 3}}, {{12, 3}, {2, 1}, {2, 2}},
	} {
		// samples has every combination of hits among those that are drawn first, as many as the lowest rate gives, and among the others.
		rate := 1.0
		for _, k := range kinds {
			if k.sampled < k.members {
				rate = min(rate, float64(k.sampled)/float64(k.members))
			}
		}
		type sample struct{ first, others int }
		type outcome struct {
			samples []sample
			sum     Portion
		}
		var outcomes []outcome
		var draw func([]part, []sample)
		draw = func(parts []part, samples []sample) {
			if len(parts) == len(kinds) {
				outcomes = append(outcomes, outcome{slices.Clone(samples), sumOf(parts)})
				return
			}
			k := kinds[len(parts)]
			first := min(k.sampled, int(math.Ceil(rate*float64(k.members))))
			for hits := range first + 1 {
				for others := range k.sampled - first + 1 {
					p := part{k.members, slices.Concat(partOf(0, first, hits).hits, partOf(0, k.sampled-first, others).hits)}
					draw(append(parts, p), append(samples, sample{hits, others}))
				}
			}
		}
		draw(nil, nil)
		chances := map[[4]int]float64{}
		chanceOf := func(members, having, sampled, hits int) float64 {
			key := [4]int{members, having, sampled, hits}
			p, known := chances[key]
			if !known {
				p, _ = chance(members, having, sampled, hits).Float64()
				chances[key] = p
			}
			return p
		}
		var try func(truths []int)
		try = func(truths []int) {
			if i := len(truths); i < len(kinds) {
				step := max(1, kinds[i].members/15)
				for truth := 0; truth <= kinds[i].members; truth += step {
					try(append(truths, truth))
				}
				return
			}
			truth, covered, all := 0, 0.0, 0.0
			for _, n := range truths {
				truth += n
			}
			for _, o := range outcomes {
				p := 1.0
				for i, k := range kinds {
					first := min(k.sampled, int(math.Ceil(rate*float64(k.members))))
					s := o.samples[i]
					p *= chanceOf(k.members, truths[i], first, s.first) * chanceOf(k.members-first, truths[i]-s.first, k.sampled-first, s.others)
				}
				if all += p; o.sum.Low <= truth && truth <= o.sum.High {
					covered += p
				}
			}
			if covered < 0.95 || math.Abs(all-1) > 1e-9 {
				t.Errorf("%v, the truth is %v: covered with a probability of %v of %v", kinds, truths, covered, all)
			}
		}
		try(nil)
	}
}

// TestFewest compares with every combination there is.
func TestFewest(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		cuts := []cut{{random.Float64(), random.IntN(6)}, {random.Float64(), random.IntN(6)}, {random.Float64(), random.IntN(6)}}
		all := 0.0
		for _, c := range cuts {
			all += c.rate * float64(c.unseen)
		}
		mean := (1.2*random.Float64() - 0.2) * all
		want := 15
		for a := range cuts[0].unseen + 1 {
			for b := range cuts[1].unseen + 1 {
				for c := range cuts[2].unseen + 1 {
					if float64(a)*cuts[0].rate+float64(b)*cuts[1].rate+float64(c)*cuts[2].rate >= mean {
						want = min(want, a+b+c)
					}
				}
			}
		}
		if got := fewest(mean, slices.Clone(cuts)); got != want {
			t.Fatalf("%v of %v: %d, want %d", mean, cuts, got, want)
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
		p := partOf(members, tt.sampled, tt.hits).portion()
		low, high := float64(p.Low)/members, float64(p.High)/members
		if math.Abs(low-tt.low) > 2e-5 || math.Abs(high-tt.high) > 2e-5 {
			t.Errorf("%d hits of %d: %.5f to %.5f, want %.5f to %.5f", tt.hits, tt.sampled, low, high, tt.low, tt.high)
		}
	}
}

// TestPortionWidth holds the usual sample to what the documentation of SampleSize says of it.
func TestPortionWidth(t *testing.T) {
	t.Parallel()
	for _, sizes := range [][]int{{10_000_000}, {100_000, 100_000, 100_000}, {5_000_000, 1_000_000}, {1_000_000, 1200, 1200}, {100_000, 50}, {100_000, 60_000, 5000}} {
		for _, percent := range []int{0, 1, 20, 50, 80, 99, 100} {
			var parts []part
			for i, n := range allot(defaultSample, sizes) {
				p := partOf(sizes[i], n, n*percent/100)
				rand.New(rand.NewPCG(1, uint64(i))).Shuffle(n, func(i, j int) { p.hits[i], p.hits[j] = p.hits[j], p.hits[i] })
				parts = append(parts, p)
			}
			sum := sumOf(parts)
			within := 0.032
			if len(sizes) > 1 {
				within = 0.04
			}
			if low, high := sum.Share()-float64(sum.Low)/float64(sum.Of), float64(sum.High)/float64(sum.Of)-sum.Share(); low > within || high > within {
				t.Errorf("%v, %d percent: %v, which is more than %v either way", sizes, percent, sum, within)
			}
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
		{Portion{Of: 120_000, Likely: 99_960, Low: 96_123, High: 103_321}, "about 83.3 % (80.1 to 86.2 %) of 120000"},
		{Portion{Of: 3, Likely: 2, Low: 1, High: 2}, "about 66.7 % (33.3 to 66.7 %) of 3"},
		{Portion{Of: 120, Sampled: 120, Likely: 100, Low: 100, High: 100}, "83.3 % of 120"},
		{Portion{Of: 1001, Sampled: 1000, Likely: 1001, Low: 1001, High: 1001}, "about 100.0 % (100.0 to 100.0 %) of 1001"},
		{Portion{Of: 100_000, Likely: 99_999, Low: 99_998, High: 100_000}, "about 100.0 % (99.9 to 100.0 %) of 100000"},
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
