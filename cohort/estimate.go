package cohort

import (
	"context"
	"fmt"
	"strings"

	"github.com/cohortkit/cohortkit/identity"
)

// Estimate says how many members of a cohort the endpoint would match now. It holds counts and never an identifier. Each of its intervals holds
// for itself: see [Portion].
type Estimate struct {
	// CohortID and Name are the cohort.
	CohortID, Name string
	// Matching is how many of all members would match if they were sent now.
	Matching Portion
	// Known is how many of them the endpoint knows at all. It has more than Matching where devices belong to identified users, or the rules ignore a
	// match.
	Known Portion
	// Kinds is the same by kind of identifier, for the kinds that have members: external ID, alias, device ID.
	Kinds []KindEstimate
	// Requests is how many requests the lookups took, as [SamplePlan] counts them.
	Requests int
}

// KindEstimate is an [Estimate] of the members of one kind.
type KindEstimate struct {
	Stratum
	// Matching is how many would match if they were sent now: of devices, those whose user is still anonymous.
	Matching Portion
	// Known is how many the endpoint knows.
	Known Portion
	// Verdicts counts the members that were looked up by what was found. [identity.NoSuchIdentifier] means unknown to the endpoint.
	Verdicts map[identity.Verdict]int
}

// EstimateMatches estimates how many members of a cohort the endpoint would match, and why the others would not: the answer to "why is my cohort
// smaller than my list?". It draws members from the ledger at random, looks them up, and judges the profiles by the documented rules of matching. It
// sends no change and writes nothing.
//
// What is estimated is what would match now. What did match when it was sent nobody can tell: users may have come since, which [Syncer.Reassert]
// would reach, or have signed up, so that their device does not match any more. Nor does the estimate say who is in the cohort: members in doubt are
// among those looked up, and [Stratum] tells how many they are.
//
// The sample has a part for each kind of identifier, in proportion to its members, but a tenth of the sample at the least: a kind with fewer members
// is looked up whole. [SampleSize] sets how large it is, and [Syncer.PlanEstimate] tells what it costs. The sample is another one each time.
//
// It holds the lease on the cohort while it reads the ledger, and not during the lookups: who comes or goes meanwhile is not accounted for.
//
// Errors:
//   - an [*InvalidError] or [*identity.RulesError] for a bad argument, a [*ledger.HeldError] while another call has the cohort, [ErrUnrecorded],
//     [ErrRetired], and [ErrNoMembers] if the ledger records nobody: nobody was looked up;
//   - a [*LookupError] if the Lookup fails or the context ends: what was looked up before tells nothing of the rest, so the Estimate is the zero
//     value.
func (s *Syncer) EstimateMatches(ctx context.Context, cohortID string, lookup Lookup, opts ...EstimateOption) (Estimate, error) {
	if lookup == nil {
		return Estimate{}, &InvalidError{Field: "lookup", Problem: "is nil", Next: "give one that finds profiles by the customer's REST key"}
	}
	const operation = "estimate matches of"
	drawn, err := s.sample(ctx, operation, cohortID, opts)
	if err != nil {
		return Estimate{}, err
	}
	profiles, err := lookup.LookUp(ctx, drawn.ids)
	if err == nil {
		err = contextError(ctx) // a Lookup may have ended in the middle, without a word
	}
	if err != nil {
		return Estimate{}, fmt.Errorf("cohort: %s %q: %w", operation, cohortID, &LookupError{Sampled: len(drawn.ids), Err: err})
	}
	return drawn.estimate(verdicts(drawn.config.rules, drawn.ids, profiles)), nil
}

// estimate concludes from what was found of those sampled.
func (d *sample) estimate(found map[identity.ID]identity.Verdict) Estimate {
	e := Estimate{CohortID: d.plan.CohortID, Name: d.plan.Name, Requests: d.plan.Requests}
	var matching, known []part
	ids := d.ids
	for _, s := range d.plan.Strata {
		k := KindEstimate{Stratum: s, Verdicts: map[identity.Verdict]int{}}
		matches, knows := part{members: s.Members}, part{members: s.Members}
		for _, id := range ids[:s.Sampled] {
			v := found[id]
			k.Verdicts[v]++
			matches.hits = append(matches.hits, v.Matched())
			knows.hits = append(knows.hits, v != identity.NoSuchIdentifier)
		}
		ids = ids[s.Sampled:]
		k.Matching, k.Known = matches.portion(), knows.portion()
		e.Kinds = append(e.Kinds, k)
		matching, known = append(matching, matches), append(known, knows)
	}
	e.Matching, e.Known = sumOf(matching), sumOf(known)
	return e
}

// String returns the estimate in words: a line for all members, a line for each kind with the reasons why some would not match, and what to do next.
func (e Estimate) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cohort %q: %v members would match now", e.CohortID, e.Matching)
	if !e.Matching.Exact() {
		b.WriteString(", at 95 % confidence")
	}
	inDoubt := 0
	for _, k := range e.Kinds {
		b.WriteString("\n  " + k.String())
		inDoubt += k.InDoubt
	}
	if inDoubt > 0 {
		fmt.Fprintf(&b, "\n  %s in doubt: the next Sync settles whether they are in the cohort", plural(inDoubt, "member"))
	}
	switch {
	case e.Known.Likely == 0:
		b.WriteString("\n  nobody was found: check that the REST key is of the workspace that the import key belongs to")
	case e.Known.Likely < e.Known.Of:
		b.WriteString("\n  whoever is unknown is skipped in silence: Reassert reaches those who sign up later")
	}
	return b.String()
}

// String returns the estimate of one kind in a line.
func (k KindEstimate) String() string {
	s := fmt.Sprintf("%v: %v would match", k.Kind, k.Matching)
	if k.Known != k.Matching {
		s += fmt.Sprintf(", %v are known", k.Known)
	}
	s += fmt.Sprintf("; looked up %d", k.Sampled)
	if reasons := listCounts([]count{
		{k.Verdicts[identity.NoSuchIdentifier], "unknown to the endpoint"},
		{k.Verdicts[identity.IgnoredDevice], "with the device of an identified user (send the external ID instead)"},
		{k.Verdicts[identity.IgnoredAlias], "with the alias of a user without external ID"},
		{k.Verdicts[identity.IgnoredDeprecatedID], "with a former external ID"},
	}); reasons != "" {
		s += ": " + reasons
	}
	return s
}
