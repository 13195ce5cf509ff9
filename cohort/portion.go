package cohort

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
)

// surprise is how improbable what is ruled out makes the sample, on either side: together the 5 % in which an interval of 95 % may miss the truth.
const surprise = 0.025

// Portion is an estimated part of a known number of members.
//
// However large the part is, at least 95 of 100 such estimates have it between Low and High. For members of one kind these are the exact
// (Clopper-Pearson) limits of a sample that was drawn without replacement: ruled out is every number of members with which a sample has as many hits
// or more, or as few or fewer, with a probability of at most 2.5 %. If all were looked up, the two limits are the same.
//
// For the members of several kinds the samples of the kinds, cut to one rate, are taken as one, and the limits are those of a sample that was drawn
// with replacement, but at least one hit of the sample away from what was found. They are somewhat wider than they would have to be, and proven all
// the same (Hoeffding 1956): a sample in proportion does not stray so far more often than one with replacement.
type Portion struct {
	Of        int // the members it is a part of
	Sampled   int // how many of them were looked up
	Likely    int // the best guess
	Low, High int // with at least 95 % confidence it is no less, and no more
}

// Exact reports whether all members were looked up, so that nothing had to be guessed.
func (p Portion) Exact() bool { return p.Sampled == p.Of }

// Share returns the best guess as a share, 0 to 1.
func (p Portion) Share() float64 { return float64(p.Likely) / float64(max(1, p.Of)) }

// String returns it in percent of the members: "about 83.3 % (80.1 to 86.2 %) of 120000", or "83.3 % of 120" if it is exact.
func (p Portion) String() string {
	if p.Exact() {
		return fmt.Sprintf("%s %% of %d", p.percent(p.Likely, math.Round), p.Of)
	}
	return fmt.Sprintf("about %s %% (%s to %s %%) of %d", p.percent(p.Likely, math.Round), p.percent(p.Low, math.Floor), p.percent(p.High, math.Ceil), p.Of)
}

// percent has one decimal. The limits are rounded outwards.
func (p Portion) percent(n int, round func(float64) float64) string {
	return fmt.Sprintf("%.1f", round(1000*float64(n)/float64(max(1, p.Of)))/10)
}

// part is what a sample without replacement found of the members of one kind.
type part struct {
	members int
	hits    []bool // of each who was looked up, in the order in which they were drawn
}

func (p part) whole() bool { return len(p.hits) == p.members }

// rate is how many of the members are looked up.
func (p part) rate() float64 { return float64(len(p.hits)) / float64(p.members) }

// among returns how many of the first n were hits.
func (p part) among(n int) int {
	found := 0
	for _, hit := range p.hits[:n] {
		if hit {
			found++
		}
	}
	return found
}

// found returns how many were hits.
func (p part) found() int { return p.among(len(p.hits)) }

// opposite is what the sample found of the members without the property.
func (p part) opposite() part {
	misses := make([]bool, len(p.hits))
	for i, hit := range p.hits {
		misses[i] = !hit
	}
	return part{p.members, misses}
}

// least returns how many members have the property at the least.
func (p part) least() int { return leastHits(p.members, len(p.hits), p.found()) }

// portion returns what the part says of its kind.
func (p part) portion() Portion { return p.guess().within(p.least(), p.opposite().least()) }

// guess returns the best guess, without limits.
func (p part) guess() Portion {
	return Portion{Of: p.members, Sampled: len(p.hits), Likely: int(math.Round(float64(p.found()) / p.rate()))}
}

// within sets the limits: so many members at the least have the property, and so many have it not.
func (p Portion) within(least, leastWithout int) Portion {
	p.Low, p.High = least, p.Of-leastWithout
	p.Likely = min(max(p.Likely, p.Low), p.High)
	return p
}

// sumOf returns what parts say of the members of all kinds together.
func sumOf(parts []part) Portion {
	sum := Portion{}
	opposites := make([]part, len(parts))
	for i, p := range parts {
		guess := p.guess()
		sum.Of, sum.Sampled, sum.Likely = sum.Of+guess.Of, sum.Sampled+guess.Sampled, sum.Likely+guess.Likely
		opposites[i] = p.opposite()
	}
	return sum.within(leastOf(parts), leastOf(opposites))
}

// leastOf returns how many members of all kinds have the property at the least.
func leastOf(parts []part) int {
	least := 0
	var guessed []part
	for _, p := range parts {
		if p.whole() {
			least += p.found()
		} else {
			guessed = append(guessed, p)
		}
	}
	switch len(guessed) {
	case 0:
		return least
	case 1:
		return least + guessed[0].least()
	default:
		return least + leastPooled(guessed)
	}
}

// leastPooled is leastOf for kinds that are guessed at, by one sample made of theirs. That it is below the truth in all but 2.5 of 100 samples is
// proven as follows.
//
// The hits of one kind, drawn without replacement, are distributed as a sum of independent trials, as many as were drawn, each with a probability of
// its own: the generating function of the hypergeometric distribution has real zeros alone (Vatutin and Mikhailov 1982). The kinds are drawn
// independently, so all hits together are such a sum too: of n trials, with a mean that is not known. Hoeffding (1956, theorem 4) compares all sums
// of n trials with one mean: where h is the mean plus 1 or more, h hits or more are the most probable if the trials are all alike. So h hits rule out
// a mean that is at most h - 1 and for which trials all alike have h hits or more with a probability of at most 2.5 %. The least mean that is left is
// the limit of Clopper and Pearson or h - 1, whichever is smaller. Both grow with h, so the mean is below it for large numbers of hits alone, from
// some h on, and those have a probability of at most 2.5 % together.
//
// Nothing in that asks for one rate; the tests add up the exact probabilities of all samples besides, for small numbers.
func leastPooled(parts []part) int {
	// It has one rate, the lowest: of those who were drawn more often, it has the first ones.
	rate := 1.0
	for _, p := range parts {
		rate = min(rate, p.rate())
	}
	sampled, hits := 0, 0
	cuts := make([]cut, len(parts))
	for i, p := range parts {
		n := min(len(p.hits), int(math.Ceil(rate*float64(p.members))))
		cuts[i] = cut{rate: float64(n) / float64(p.members), unseen: p.members - len(p.hits)}
		sampled += n
		hits += p.among(n)
	}

	// How many hits such a sample has on average, at the least.
	const many = math.MaxInt / 2 // members: so many that drawing with replacement and without it are the same
	mean := float64(sampled) * float64(leastHits(many, sampled, hits)) / many
	mean = min(mean, float64(hits-1))

	// Those who were looked up and have the property are known. Of the others it takes as few as can make up the rest of that average.
	least := 0
	for i, p := range parts {
		known := p.found()
		least += known
		mean -= cuts[i].rate * float64(known)
	}
	return least + fewest(mean, cuts)
}

// cut is what a sample made of several takes of one kind: at which rate, which is not quite that of the others since nobody is drawn by halves, and
// how many members nobody looked up.
type cut struct {
	rate   float64
	unseen int
}

// fewest returns the smallest number of unseen members of whom a sample has so many on average: they are of the kinds with the highest rates.
func fewest(mean float64, cuts []cut) int {
	slices.SortFunc(cuts, func(a, b cut) int { return cmp.Compare(b.rate, a.rate) })
	members := 0
	for _, c := range cuts {
		const rounding = 1e-6
		n := min(c.unseen, max(0, int(math.Ceil(mean/c.rate-rounding))))
		members += n
		mean -= c.rate * float64(n)
	}
	return members
}

// leastHits returns how many members there are at the least with a property that so many of a sample have: with any fewer it would be a surprise that
// the sample has as many or more.
func leastHits(members, sampled, hits int) int {
	possible := members - sampled // beyond the hits: all who were not sampled
	return hits + sort.Search(possible, func(more int) bool {
		return atLeast(members, hits+more, sampled, hits) > surprise
	})
}

// atLeast returns the probability that a sample without replacement has so many hits or more: the upper tail of the hypergeometric distribution.
//
// It weighs each number of hits in relation to the most probable one and needs no factorials, so it is as precise for a hundred million members as
// for ten.
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
