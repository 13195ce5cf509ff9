package cohort

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

const (
	defaultSample = 1000
	minSample     = 10
	maxSample     = 100_000

	// What the endpoint that exports users by ids is documented to take: 50 external IDs and aliases in a request, or one device, at 40 requests a
	// second where the fields are named.
	lookupsPerRequest = 50
	lookupsPerSecond  = 40
)

// EstimateOption changes how [Syncer.EstimateMatches] works. The order of options does not matter, and each is given at most once.
type EstimateOption interface{ applyEstimate(*estimateConfig) error }

type estimateConfig struct {
	size  int // 0 as long as nobody said
	rules identity.Rules
	ruled bool            // MatchedBy was given
	intN  func(n int) int // draws one of 0 to n-1
}

func newEstimateConfig(opts []EstimateOption) (estimateConfig, error) {
	c := estimateConfig{intN: rand.IntN}
	for _, o := range opts {
		if o == nil {
			return c, &InvalidError{Field: "option", Problem: "is nil", Next: "leave it out"}
		}
		if err := o.applyEstimate(&c); err != nil {
			return c, err
		}
	}
	c.size = cmp.Or(c.size, defaultSample)
	return c, nil
}

func givenTwice(option string) error {
	return &InvalidError{Field: option, Problem: "is given twice", Next: "leave one out"}
}

type estimateOptionFunc func(*estimateConfig) error

func (f estimateOptionFunc) applyEstimate(c *estimateConfig) error { return f(c) }

// SampleSize sets how many members are looked up in all, 10 to 100,000; up to three times as many are in memory while the ledger is read. A sample of
// four times the size gives an interval of half the length. Default 1000: the share of all members is then known to 3.2 points either way, or 4 if
// they are of several kinds. That takes 20 requests, and for devices 1000, or 25 seconds at 40 a second.
func SampleSize(n int) EstimateOption {
	return estimateOptionFunc(func(c *estimateConfig) error {
		if n < minSample || n > maxSample {
			return &InvalidError{Field: "SampleSize", Problem: fmt.Sprintf("is out of range: %d", n), Next: "use 10 to 100,000"}
		}
		if c.size != 0 {
			return givenTwice("SampleSize")
		}
		c.size = n
		return nil
	})
}

// MatchedBy sets the rules that say what an identifier matches where that is undocumented: see [identity.Rules.Match]. Default: the zero Rules.
func MatchedBy(rules identity.Rules) EstimateOption {
	return estimateOptionFunc(func(c *estimateConfig) error {
		if err := rules.Validate(); err != nil {
			return err
		}
		if c.ruled {
			return givenTwice("MatchedBy")
		}
		c.rules, c.ruled = rules, true
		return nil
	})
}

// Stratum is the members of one kind, and how many of them are looked up.
type Stratum struct {
	// Kind is the kind of their identifiers.
	Kind identity.Kind
	// Members is how many the ledger records, in doubt or not. InDoubt is how many of them are: whether those are in the cohort nobody knows until the
	// next Sync.
	Members, InDoubt int
	// Sampled is how many are looked up. Where it is as many as there are, what is said of them is exact.
	Sampled int
}

// SamplePlan is what an estimate would cost. It holds counts and never an identifier.
type SamplePlan struct {
	// CohortID and Name are the cohort.
	CohortID, Name string
	// Strata are the kinds that have members.
	Strata []Stratum
	// Requests is how many requests the lookups take: one for 50 external IDs or 50 aliases, and one for each device ID.
	Requests int
}

// AtLimit returns how long the requests take at 40 a second, the documented limit of the endpoint, if nothing else draws on it.
func (p SamplePlan) AtLimit() time.Duration {
	return time.Duration(p.Requests) * (time.Second / lookupsPerSecond)
}

// String returns the plan in one line.
func (p SamplePlan) String() string {
	kinds := make([]string, len(p.Strata))
	sampled, members := 0, 0
	for i, s := range p.Strata {
		kinds[i] = fmt.Sprintf("%v %d of %d", s.Kind, s.Sampled, s.Members)
		sampled, members = sampled+s.Sampled, members+s.Members
	}
	return fmt.Sprintf("cohort %q: %d of %s to look up (%s); %s, %v at the endpoint's limit",
		p.CohortID, sampled, plural(members, "member"), strings.Join(kinds, ", "), plural(p.Requests, "request"), p.AtLimit())
}

// PlanEstimate tells what [Syncer.EstimateMatches] would look up with the same options. It makes no request; it reads the ledger, and fails, as
// EstimateMatches does before it looks anybody up.
func (s *Syncer) PlanEstimate(ctx context.Context, cohortID string, opts ...EstimateOption) (SamplePlan, error) {
	drawn, err := s.sample(ctx, "plan estimate of", cohortID, opts)
	return drawn.plan, err
}

// sample is members drawn at random.
type sample struct {
	plan   SamplePlan
	ids    []identity.ID // those of the first stratum, then those of the next one
	config estimateConfig
}

// sample draws members from the ledger, with the lease on the cohort while it reads and no longer.
func (s *Syncer) sample(ctx context.Context, operation, cohortID string, opts []EstimateOption) (sample, error) {
	drawn := sample{plan: SamplePlan{CohortID: cohortID}}
	if err := validateID(cohortID); err != nil {
		return drawn, err
	}
	config, err := newEstimateConfig(opts)
	if err != nil {
		return drawn, err
	}
	report, err := s.perform(ctx, operation, cohortID, runConfig{}, func(t *task) error {
		drawn, err = t.sample(config)
		return err
	})
	drawn.plan.CohortID, drawn.plan.Name = cohortID, report.Name
	return drawn, err
}

func (t *task) sample(config estimateConfig) (sample, error) {
	switch {
	case t.header.Retired:
		return sample{}, ErrRetired
	case !t.recorded():
		return sample{}, ErrUnrecorded
	}
	urns := [...]urn{{kind: identity.ExternalIDKind}, {kind: identity.AliasKind}, {kind: identity.DeviceIDKind}}
	for m, err := range t.session.Members(t.ctx) {
		if err != nil {
			return sample{}, readError(err)
		}
		i := int(m.ID.Kind()) - int(identity.ExternalIDKind)
		if i < 0 || i >= len(urns) {
			return sample{}, readError(errors.New("a member has no identifier: the ledger is damaged"))
		}
		urns[i].put(m, config)
	}
	if err := contextError(t.ctx); err != nil {
		return sample{}, readError(err)
	}
	drawn := sample{config: config}
	sizes := make([]int, len(urns))
	for i := range urns {
		sizes[i] = urns[i].members
	}
	for i, n := range allot(config.size, sizes) {
		u := &urns[i]
		if u.members == 0 {
			continue
		}
		drawn.ids = append(drawn.ids, u.draw(n, config)...)
		drawn.plan.Strata = append(drawn.plan.Strata, Stratum{Kind: u.kind, Members: u.members, InDoubt: u.inDoubt, Sampled: n})
		if u.kind == identity.DeviceIDKind {
			drawn.plan.Requests += n
		} else {
			drawn.plan.Requests += (n + lookupsPerRequest - 1) / lookupsPerRequest
		}
	}
	if len(drawn.ids) == 0 {
		return sample{}, ErrNoMembers
	}
	return drawn, nil
}

// urn holds members of one kind, each of those put in as likely as any other (reservoir sampling: nobody knows how many will come).
type urn struct {
	kind             identity.Kind
	members, inDoubt int
	held             []identity.ID
}

func (u *urn) put(m ledger.Member, config estimateConfig) {
	u.members++
	if m.State != ledger.In {
		u.inDoubt++
	}
	if len(u.held) < config.size {
		u.held = append(u.held, m.ID)
	} else if i := config.intN(u.members); i < config.size {
		u.held[i] = m.ID
	}
}

// draw returns so many of those held. Where they are held says when they came, so the first ones would not do.
func (u *urn) draw(n int, config estimateConfig) []identity.ID {
	for i := range n {
		j := i + config.intN(len(u.held)-i)
		u.held[i], u.held[j] = u.held[j], u.held[i]
	}
	return u.held[:n]
}

// allot divides a sample among strata of these sizes: in proportion, but a tenth of it at the least for each, and never more than there are.
func allot(sampled int, sizes []int) []int {
	members := 0
	order := make([]int, len(sizes)) // the largest one last: it takes what is left
	for i, size := range sizes {
		members += size
		order[i] = i
	}
	if members <= sampled {
		return sizes
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sizes[a], sizes[b]) })
	parts := make([]int, len(sizes))
	left, last := sampled, order[len(order)-1]
	for _, i := range order[:len(order)-1] {
		share := int(float64(sampled) * float64(sizes[i]) / float64(members))
		parts[i] = min(sizes[i], max(share, sampled/10))
		left -= parts[i]
	}
	parts[last] = min(sizes[last], left)
	return parts
}
