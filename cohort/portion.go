package cohort

import (
	"fmt"
	"math"
	"sort"
)

// missRate is how often an interval may miss the truth: 1 - 95 %.
const missRate = 0.05

// Portion is an estimated part of a known number of members.
//
// However large the part is, at least 95 of 100 such estimates have it between Low and High. For members of one kind these are the exact (Clopper-Pearson)
// limits of a sample that was drawn without replacement: whatever number of members would make the sample surprising, because a sample would have as many hits or more, or
// as few or fewer, with a probability of at most 2.5 %, is ruled out. If all members were looked up, the two are the same. The limits for all members are
// the sums of those of the kinds, of which each gets a part of the 5 % in proportion to its members, so that they miss in at most 5 % together (Bonferroni). The price of
// that guarantee is an interval that is up to twice as long as need be if several kinds have many members.
type Portion struct {
	Of        int // the members it is a part of
	Likely    int // the best guess
	Low, High int // with at least 95 % confidence it is no less, and no more
}

// Exact reports whether nothing had to be guessed.
func (p Portion) Exact() bool { return p.Low == p.High }

// Share returns the best guess as a share, 0 to 1.
func (p Portion) Share() float64 { return float64(p.Likely) / float64(max(1, p.Of)) }

// String returns it in percent of the members: "about 83.3 % of 120000 (80.1 to 86.2 %)", or "83.3 % of 120" if it is exact.
func (p Portion) String() string {
	if p.Exact() {
		return fmt.Sprintf("%s %% of %d", p.percent(p.Likely, math.Round), p.Of)
	}
	return fmt.Sprintf("about %s %% of %d (%s to %s %%)", p.percent(p.Likely, math.Round), p.Of, p.percent(p.Low, math.Floor), p.percent(p.High, math.Ceil))
}

// percent has one decimal. The limits are rounded outwards.
func (p Portion) percent(n int, round func(float64) float64) string {
	return fmt.Sprintf("%.1f", round(1000*float64(n)/float64(max(1, p.Of)))/10)
}

// portionOf returns what a sample without replacement says of so many members, with limits that miss in at most this share of all samples.
func portionOf(members, sampled, hits int, miss float64) Portion {
	low := leastHits(members, sampled, hits, miss/2)
	high := members - leastHits(members, sampled, sampled-hits, miss/2)
	likely := int(math.Round(float64(members) * float64(hits) / float64(sampled)))
	return Portion{Of: members, Likely: min(max(likely, low), high), Low: low, High: high}
}

// leastHits returns how many members there are at the least with a property that so many of a sample have: with any fewer the sample would have as many or more
// with a probability of at most miss.
func leastHits(members, sampled, hits int, miss float64) int {
	possible := members - sampled // beyond the hits: all who were not sampled
	return hits + sort.Search(possible, func(more int) bool {
		return atLeast(members, hits+more, sampled, hits) > miss
	})
}

// atLeast returns the probability that a sample without replacement has so many hits or more: the upper tail of the hypergeometric distribution.
//
// It weighs each number of hits in relation to the most probable one and needs no factorials, so it is as precise for a hundred million members as for ten.
func atLeast(members, having, sampled, hits int) float64 {
	least, most := max(0, sampled-(members-having)), min(sampled, having)
	mode := int(float64(sampled+1) * (float64(having+1) / float64(members+2)))
	mode = min(max(mode, least), most)
	// odds returns how much more probable k+1 hits are than k.
	odds := func(k int) float64 {
		return float64(having-k) * float64(sampled-k) / (float64(k+1) * float64(members-having-sampled+k+1))
	}
	const negligible = 1e-30
	tail, all := 0.0, 0.0
	count := func(k int, weight float64) {
		if all += weight; k >= hits {
			tail += weight
		}
	}
	for k, weight := mode, 1.0; weight > negligible; k++ {
		count(k, weight)
		if k == most {
			break
		}
		weight *= odds(k)
	}
	for k, weight := mode, 1.0; k > least; k-- {
		if weight /= odds(k - 1); weight <= negligible {
			break
		}
		count(k-1, weight)
	}
	return tail / all
}
