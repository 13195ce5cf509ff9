package cohort_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// lookupFunc is a Lookup.
type lookupFunc func(context.Context, []identity.ID) ([]identity.Profile, error)

func (f lookupFunc) LookUp(ctx context.Context, ids []identity.ID) ([]identity.Profile, error) {
	return f(ctx, ids)
}

// shelf is a ledger of one cohort that can only be read, at no cost.
type shelf []ledger.Member

func (s shelf) Open(context.Context, ledger.Key) (ledger.Session, error) {
	return shelfSession{members: s}, nil
}
func (s shelf) Entries(context.Context) iter.Seq2[ledger.Entry, error] { return nil }

type shelfSession struct {
	ledger.Session
	members shelf
}

func (s shelfSession) Header() ledger.Header {
	return ledger.Header{Name: "Spring sale", Generation: 1}
}
func (s shelfSession) Close() error { return nil }
func (s shelfSession) Members(context.Context) iter.Seq2[ledger.Member, error] {
	return func(yield func(ledger.Member, error) bool) {
		for _, m := range s.members {
			if !yield(m, nil) {
				return
			}
		}
	}
}

// identifier makes the i-th identifier of a kind.
func identifier(kind identity.Kind, i int) identity.ID {
	switch kind {
	case identity.ExternalIDKind:
		return identity.ExternalID(user(i))
	case identity.AliasKind:
		return identity.Alias{Label: "crm", Name: user(i)}.ID()
	default:
		return identity.DeviceID(user(i))
	}
}

// matchedBy returns a profile that an identifier matches.
func matchedBy(id identity.ID) identity.Profile {
	switch alias, isAlias := id.Alias(); {
	case isAlias:
		return identity.Profile{ExternalID: "of-" + id.Value(), Aliases: []identity.Alias{alias}}
	case id.Kind() == identity.DeviceIDKind:
		return identity.Profile{DeviceIDs: []string{id.Value()}}
	default:
		return identity.Profile{ExternalID: id.Value()}
	}
}

// crowd is members of whom the endpoint knows a share.
type crowd struct {
	members, matching [4]int // by kind
	shelf             shelf
}

// newCrowd spreads the share over the kinds: evenly, or so that it is as high in the first and as low in the last one as it can be.
func newCrowd(percent int, uneven bool, sizes ...int) *crowd {
	c := &crowd{}
	left := 0
	for _, n := range sizes {
		left += n
	}
	left = left * percent / 100
	for i, n := range sizes {
		kind := identity.ExternalIDKind + identity.Kind(i)
		c.members[kind], c.matching[kind] = n, n*percent/100
		if uneven {
			c.matching[kind] = min(n, left)
			left -= c.matching[kind]
		}
		for j := range n {
			c.shelf = append(c.shelf, ledger.Member{ID: identifier(kind, j), State: ledger.In})
		}
	}
	return c
}

func (c *crowd) LookUp(_ context.Context, ids []identity.ID) ([]identity.Profile, error) {
	var found []identity.Profile
	for _, id := range ids {
		i, err := strconv.Atoi(strings.TrimPrefix(id.Value(), "u-"))
		if err != nil {
			return nil, err
		}
		if i < c.matching[id.Kind()] {
			found = append(found, matchedBy(id))
		}
	}
	return found, nil
}

// covers reports whether an interval has the truth.
func covers(p cohort.Portion, truth int) bool { return p.Low <= truth && truth <= p.High }

// TestEstimateCovers draws 1,000 samples of cohorts of which the share that would match is known, always the same ones. The intervals, that of all members
// and those of the kinds, have the truth in at least 95 % of them. That they have it in at least 95 % of all samples there are is the matter of TestPortionCovers.
func TestEstimateCovers(t *testing.T) {
	t.Parallel()
	const runs, size, seed = estimateRuns, 60, 1
	for name, sizes := range map[string][]int{
		"one kind": {400}, "devices": {0, 0, 200},
		"one large kind": {400, 0, 40}, "three kinds": {200, 200, 200}, "a kind looked up whole": {300, 5},
	} {
		for _, uneven := range []bool{false, true} {
			if uneven && len(sizes) != 3 {
				continue
			}
			for _, percent := range []int{50, 99, 0, 1, 100}[:estimateShares] {
				t.Run(fmt.Sprintf("%s, %d percent, uneven %t", name, percent, uneven), func(t *testing.T) {
					t.Parallel()
					c := newCrowd(percent, uneven, sizes...)
					syncer := newSyncer(t, newImporter(t, newClient(t, "EU-01"), plainCredentials()), c.shelf)
					random := rand.New(rand.NewPCG(seed, uint64(percent)))
					truth := 0
					for _, n := range c.matching {
						truth += n
					}
					all, kinds := 0, map[identity.Kind]int{}
					for range runs {
						e, err := syncer.EstimateMatches(t.Context(), campaign, c, cohort.SampleSize(size), cohort.DrawnBy(random.IntN))
						if err != nil {
							t.Fatal(err)
						}
						if e.Matching.Of != len(c.shelf) || !covers(e.Matching, e.Matching.Likely) {
							t.Fatalf("estimate %+v", e)
						}
						if covers(e.Matching, truth) {
							all++
						}
						for _, k := range e.Kinds {
							if covers(k.Matching, c.matching[k.Kind]) {
								kinds[k.Kind]++
							}
						}
					}
					t.Logf("of %d runs %d have the truth, by kind %v", runs, all, kinds)
					if all < runs*95/100 {
						t.Errorf("%d of %d intervals of all members have the truth", all, runs)
					}
					for kind, members := range c.members {
						if n := kinds[identity.Kind(kind)]; members > 0 && n < runs*95/100 {
							t.Errorf("%d of %d intervals of %v have the truth", n, runs, identity.Kind(kind))
						}
					}
				})
			}
		}
	}
}

// TestEstimate counts what is found of members of every kind, and why it would not match.
func TestEstimate(t *testing.T) {
	t.Parallel()
	crm := func(name string) identity.Alias { return identity.Alias{Label: "crm", Name: name} }
	members := []ledger.Member{
		{ID: identity.ExternalID("u-1"), State: ledger.In},
		{ID: identity.ExternalID("u-2"), State: ledger.Unknown},
		{ID: identity.ExternalID("u-3"), State: ledger.In},
		{ID: crm("c-1").ID(), State: ledger.In},
		{ID: crm("c-2").ID(), State: ledger.In},
		{ID: identity.DeviceID("d-1"), State: ledger.In},
		{ID: identity.DeviceID("d-2"), State: ledger.Unknown},
		{ID: identity.DeviceID("d-3"), State: ledger.In},
		{ID: identity.DeviceID("d-4"), State: ledger.Unknown},
	}
	profiles := []identity.Profile{
		{ExternalID: "u-1", DeviceIDs: []string{"d-1", "d-2"}},
		{DeviceIDs: []string{"d-2"}}, // the same device, before anybody signs up
		{ExternalID: "u-9", DeprecatedExternalIDs: []string{"u-2"}},
		{Aliases: []identity.Alias{crm("c-1"), {Label: "shop", Name: "c-2"}}, DeviceIDs: []string{"d-3", "d-9"}},
	}
	exactly := func(n, of int) cohort.Portion { return cohort.Portion{Of: of, Sampled: of, Likely: n, Low: n, High: n} }
	stratum := func(kind identity.Kind, members, inDoubt int) cohort.Stratum {
		return cohort.Stratum{Kind: kind, Members: members, InDoubt: inDoubt, Sampled: members}
	}
	type counts = map[identity.Verdict]int
	devices := cohort.KindEstimate{
		Stratum: stratum(identity.DeviceIDKind, 4, 2), Matching: exactly(2, 4), Known: exactly(3, 4),
		Verdicts: counts{identity.MatchedDevice: 2, identity.IgnoredDevice: 1, identity.NoSuchIdentifier: 1},
	}
	for name, tt := range map[string]struct {
		opts []cohort.EstimateOption
		want cohort.Estimate
		text string
	}{
		"usual rules": {nil, cohort.Estimate{
			CohortID: campaign, Name: "Spring sale", Matching: exactly(5, 9), Known: exactly(6, 9), Requests: 1 + 1 + 4,
			Kinds: []cohort.KindEstimate{
				{
					Stratum: stratum(identity.ExternalIDKind, 3, 1), Matching: exactly(2, 3), Known: exactly(2, 3),
					Verdicts: counts{identity.MatchedExternalID: 1, identity.MatchedDeprecatedID: 1, identity.NoSuchIdentifier: 1},
				},
				{
					Stratum: stratum(identity.AliasKind, 2, 0), Matching: exactly(1, 2), Known: exactly(1, 2),
					Verdicts: counts{identity.MatchedAlias: 1, identity.NoSuchIdentifier: 1},
				},
				devices,
			},
		}, `cohort "camp-481": 55.6 % of 9 members would match now
  external_id: 66.7 % of 3 would match; looked up 3: 1 unknown to the endpoint
  alias: 50.0 % of 2 would match; looked up 2: 1 unknown to the endpoint
  device_id: 50.0 % of 4 would match, 75.0 % of 4 are known; looked up 4: 1 unknown to the endpoint, 1 with the device of an identified user (send the external ID instead)
  3 members in doubt: the next Sync settles whether they are in the cohort
  whoever is unknown is skipped in silence: Reassert reaches those who sign up later`},
		"strict rules": {[]cohort.EstimateOption{
			cohort.SampleSize(10), cohort.MatchedBy(identity.Rules{AliasMatch: identity.AliasIdentifiedOnly, DeprecatedMatch: identity.DeprecatedIgnored}),
		}, cohort.Estimate{
			CohortID: campaign, Name: "Spring sale", Matching: exactly(3, 9), Known: exactly(6, 9), Requests: 6,
			Kinds: []cohort.KindEstimate{
				{
					Stratum: stratum(identity.ExternalIDKind, 3, 1), Matching: exactly(1, 3), Known: exactly(2, 3),
					Verdicts: counts{identity.MatchedExternalID: 1, identity.IgnoredDeprecatedID: 1, identity.NoSuchIdentifier: 1},
				},
				{
					Stratum: stratum(identity.AliasKind, 2, 0), Matching: exactly(0, 2), Known: exactly(1, 2),
					Verdicts: counts{identity.IgnoredAlias: 1, identity.NoSuchIdentifier: 1},
				},
				devices,
			},
		}, `cohort "camp-481": 33.3 % of 9 members would match now
  external_id: 33.3 % of 3 would match, 66.7 % of 3 are known; looked up 3: 1 unknown to the endpoint, 1 with a former external ID
  alias: 0.0 % of 2 would match, 50.0 % of 2 are known; looked up 2: 1 unknown to the endpoint, 1 with the alias of a user without external ID
  device_id: 50.0 % of 4 would match, 75.0 % of 4 are known; looked up 4: 1 unknown to the endpoint, 1 with the device of an identified user (send the external ID instead)
  3 members in doubt: the next Sync settles whether they are in the cohort
  whoever is unknown is skipped in silence: Reassert reaches those who sign up later`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			syncer := s.syncer(t, shelf(members))
			asked := 0
			got, err := syncer.EstimateMatches(t.Context(), campaign, lookupFunc(func(_ context.Context, ids []identity.ID) ([]identity.Profile, error) {
				asked = len(ids)
				return profiles, nil
			}), tt.opts...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || asked != len(members) {
				t.Errorf("%d looked up (-want +got):\n%s", asked, diff)
			}
			if diff := cmp.Diff(tt.text, got.String()); diff != "" {
				t.Errorf("in words (-want +got):\n%s", diff)
			}
			if s.posts() != 0 {
				t.Errorf("%d changes were sent", s.posts())
			}
		})
	}
}

// TestEstimateOfLarge shows the plan of a sample, that the estimate keeps to it, and what it says of a cohort of which the endpoint knows nobody.
func TestEstimateOfLarge(t *testing.T) {
	t.Parallel()
	c := newCrowd(0, false, 10_000, 1000, 2000)
	c.shelf[0].State = ledger.Unknown
	syncer := newStage(t).syncer(t, c.shelf)
	plan, err := syncer.PlanEstimate(t.Context(), campaign, cohort.SampleSize(500))
	want := cohort.SamplePlan{CohortID: campaign, Name: "Spring sale", Requests: 8 + 1 + 76, Strata: []cohort.Stratum{
		{Kind: identity.ExternalIDKind, Members: 10_000, InDoubt: 1, Sampled: 374},
		{Kind: identity.AliasKind, Members: 1000, Sampled: 50},
		{Kind: identity.DeviceIDKind, Members: 2000, Sampled: 76},
	}}
	if diff := cmp.Diff(want, plan); diff != "" || err != nil {
		t.Fatalf("plan, %v (-want +got):\n%s", err, diff)
	}
	if got, want := plan.String(), `cohort "camp-481": 500 of 13000 members to look up (external_id 374 of 10000, alias 50 of 1000, device_id 76 of 2000); `+
		`85 requests, 2.125s at the endpoint's limit`; got != want {
		t.Errorf("plan %q, want %q", got, want)
	}
	got, err := syncer.EstimateMatches(t.Context(), campaign, c, cohort.SampleSize(500))
	if err != nil || got.Requests != plan.Requests || got.Matching.Low != 0 || got.Matching.Likely != 0 || got.Matching.High == 0 {
		t.Fatalf("estimate %+v, %v", got, err)
	}
	for i, k := range got.Kinds {
		if k.Stratum != plan.Strata[i] || k.Verdicts[identity.NoSuchIdentifier] != k.Sampled {
			t.Errorf("%+v, want what was planned: %+v", k, plan.Strata[i])
		}
	}
	for _, want := range []string{"about 0.0 % (0.0 to ", ") of 13000 members would match now, at 95 % confidence", "\n  1 member in doubt:", "check that the REST key is of the workspace"} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
}

// TestEstimateFails shows that whatever is wrong ends in a typed error that says what to do, and never in a part of an estimate.
func TestEstimateFails(t *testing.T) {
	t.Parallel()
	unused := lookupFunc(func(context.Context, []identity.ID) ([]identity.Profile, error) {
		return nil, errors.New("the Lookup was called")
	})
	failing := errors.New("no answer")
	tests := []struct {
		name   string
		id     string
		lookup cohort.Lookup
		opts   []cohort.EstimateOption
		want   string
		as     func(error) bool
	}{
		{"no lookup", campaign, nil, nil, "lookup is nil: give one", is[*cohort.InvalidError]},
		{"no id", "", unused, nil, "cohort id must not be empty", is[*cohort.InvalidError]},
		{"nil option", campaign, unused, []cohort.EstimateOption{nil}, "leave it out", is[*cohort.InvalidError]},
		{"small sample", campaign, unused, []cohort.EstimateOption{cohort.SampleSize(9)}, "SampleSize is out of range: 9: use 10 to", is[*cohort.InvalidError]},
		{"large sample", campaign, unused, []cohort.EstimateOption{cohort.SampleSize(100_001)}, "SampleSize is out of range: 100001", is[*cohort.InvalidError]},
		{"sample twice", campaign, unused, []cohort.EstimateOption{cohort.SampleSize(1000), cohort.SampleSize(1000)}, "SampleSize is given twice", is[*cohort.InvalidError]},
		{"rules twice", campaign, unused, []cohort.EstimateOption{cohort.MatchedBy(identity.Rules{}), cohort.MatchedBy(identity.Rules{})}, "MatchedBy is given twice", is[*cohort.InvalidError]},
		{"bad rules", campaign, unused, []cohort.EstimateOption{cohort.MatchedBy(identity.Rules{AliasMatch: 9})}, "AliasMatch", is[*identity.RulesError]},
		{"unrecorded", "camp-0", unused, nil, `cohort: estimate matches of "camp-0": the ledger has no record`, func(err error) bool { return errors.Is(err, cohort.ErrUnrecorded) }},
		{"drained", "camp-9", unused, nil, "fill a cohort with another id", func(err error) bool { return errors.Is(err, cohort.ErrRetired) }},
		{"empty", "camp-8", unused, nil, `estimate matches of "camp-8": the ledger records nobody`, func(err error) bool { return errors.Is(err, cohort.ErrNoMembers) }},
		{"lookup fails", campaign, lookupFunc(func(_ context.Context, ids []identity.ID) ([]identity.Profile, error) {
			return []identity.Profile{matchedBy(ids[0])}, failing
		}), nil, "look up 3 members: no answer: a part of a sample gives no estimate, and nothing was changed: estimate again", func(err error) bool {
			return errors.Is(err, failing) && is[*cohort.LookupError](err)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			syncer := s.syncer(t, newLedger(t))
			mustSync(t, syncer, users(1, 3))
			for _, id := range []string{"camp-8", "camp-9"} {
				_, err := syncer.Apply(t.Context(), id, list(add(1)))
				if id == "camp-8" {
					_, err = syncer.Apply(t.Context(), id, list(remove(1)))
				} else if err == nil {
					_, err = syncer.Drain(t.Context(), id)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			got, err := syncer.EstimateMatches(t.Context(), tt.id, tt.lookup, tt.opts...)
			if err == nil || !tt.as(err) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if diff := cmp.Diff(cohort.Estimate{}, got); diff != "" {
				t.Errorf("there is an estimate all the same (-want +got):\n%s", diff)
			}
			if tt.lookup == nil || tt.name == "lookup fails" {
				return
			}
			if _, planErr := syncer.PlanEstimate(t.Context(), tt.id, tt.opts...); planErr == nil || !tt.as(planErr) {
				t.Errorf("the plan fails with %v", planErr)
			}
		})
	}
}

// TestEstimateCancelled shows that a context that ends leaves no estimate, also if it ends in a Lookup that says nothing of it.
func TestEstimateCancelled(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	syncer := s.syncer(t, newLedger(t))
	mustSync(t, syncer, users(1, 30))
	cause := errors.New("the user went away")
	for _, during := range []bool{false, true} {
		ctx, cancel := context.WithCancelCause(t.Context())
		if !during {
			cancel(cause)
		}
		got, err := syncer.EstimateMatches(ctx, campaign, lookupFunc(func(context.Context, []identity.ID) ([]identity.Profile, error) {
			cancel(cause)
			return nil, nil
		}))
		cancel(nil)
		if !errors.Is(err, context.Canceled) || is[*cohort.LookupError](err) != during || during && !errors.Is(err, cause) {
			t.Errorf("during the lookup %t: error %v", during, err)
		}
		if diff := cmp.Diff(cohort.Estimate{}, got); diff != "" {
			t.Errorf("there is an estimate all the same (-want +got):\n%s", diff)
		}
	}
}

// TestEstimateLease shows that lookups hold nobody up: a run can begin while they are made.
func TestEstimateLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		syncer := s.syncer(t, newLedger(t))
		mustSync(t, syncer, users(1, 30))
		got, err := syncer.EstimateMatches(t.Context(), campaign, lookupFunc(func(context.Context, []identity.ID) ([]identity.Profile, error) {
			mustSync(t, syncer, users(11, 50))
			return nil, nil
		}))
		if err != nil || got.Matching.Of != 30 {
			t.Errorf("want the members before: %v, %v", got, err)
		}
	})
}

// TestEstimateHidden shows that no text of an estimate or a diagnosis shows an identifier.
func TestEstimateHidden(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	syncer := s.syncer(t, newLedger(t))
	ids := []identity.ID{identity.ExternalID(secretExternal), identity.Alias{Label: "crm", Name: secretAlias}.ID(), identity.DeviceID(secretDevice)}
	mustSync(t, syncer, cohort.Identifiers(func(yield func(identity.ID, error) bool) {
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
	}))
	shown := &exposure{}
	for _, fails := range []error{nil, errors.New("no answer")} {
		e, err := syncer.EstimateMatches(t.Context(), campaign, lookupFunc(func(_ context.Context, ids []identity.ID) ([]identity.Profile, error) {
			return []identity.Profile{matchedBy(ids[0]), matchedBy(ids[2])}, fails
		}))
		plan, planErr := syncer.PlanEstimate(t.Context(), campaign)
		shown.show(e, plan, planErr)
		shown.showError(err)
	}
	diagnosis, err := syncer.Troubleshoot(t.Context(), "Spring sale")
	shown.show(diagnosis)
	shown.showError(err)
	if text := shown.shown.String(); !strings.Contains(text, "66.7 % of 3") || !strings.Contains(text, "3 members") {
		t.Errorf("nothing is shown: %s", text)
	}
	checkHidden(t, "an estimate", shown.shown.String(), secretIDs)
}

// TestEstimateOfFake compares what an estimate says with whom the fake then has in the cohort.
func TestEstimateOfFake(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for i := range 40 {
		p := brazetest.Profile{DeviceIDs: []string{user(i)}}
		if i%2 == 0 {
			p.ExternalID = user(i)
		}
		if i%4 == 0 {
			p.Aliases = []brazetest.Alias{{Label: "crm", Name: user(i)}}
		}
		if _, err := s.workspace.AddProfile(p); err != nil {
			t.Fatal(err)
		}
	}
	syncer := s.syncer(t, newLedger(t))
	for kind, want := range map[identity.Kind]int{identity.ExternalIDKind: 20, identity.AliasKind: 10, identity.DeviceIDKind: 20} {
		id := "camp-" + kind.String()
		_, err := syncer.Sync(t.Context(), cohort.Cohort{ID: id, Name: id}, cohort.Identifiers(func(yield func(identity.ID, error) bool) {
			for i := range 60 {
				if !yield(identifier(kind, i), nil) {
					return
				}
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		e, err := syncer.EstimateMatches(t.Context(), id, directory{s.workspace})
		if in := s.workspace.CohortSize(s.partner, id); err != nil || in != want || e.Matching.Likely != in || !e.Matching.Exact() {
			t.Errorf("%v: %v, %v; the fake has %d, want %d", kind, e, err, in, want)
		}
	}
}

// TestEstimateMatchesNoIdentifier has a ledger of somebody else's that yields a member without an identifier.
func TestEstimateMatchesNoIdentifier(t *testing.T) {
	t.Parallel()
	syncer := newStage(t).syncer(t, shelf{{ID: identity.ExternalID(user(1)), State: ledger.In}, {State: ledger.In}})
	_, err := syncer.PlanEstimate(t.Context(), campaign)
	if err == nil || !strings.Contains(err.Error(), "read the ledger: a member has no identifier") {
		t.Errorf("error %v", err)
	}
}
