package brazetest_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// TestMatchingAgreesWithIdentity compares the fake's matching with the library's own, which shares no code with it, on
// random profiles and identifiers. The identifiers are drawn from so few texts that most of them are on some profile in
// some role.
func TestMatchingAgreesWithIdentity(t *testing.T) {
	t.Parallel()
	for _, alias := range []identity.AliasMatch{identity.AliasAnyProfile, identity.AliasIdentifiedOnly} {
		for _, deprecated := range []identity.DeprecatedMatch{identity.DeprecatedMatches, identity.DeprecatedIgnored} {
			t.Run(fmt.Sprintf("alias rule %d, deprecated rule %d", alias, deprecated), func(t *testing.T) {
				t.Parallel()
				var opts []brazetest.Option
				if alias == identity.AliasIdentifiedOnly {
					opts = append(opts, brazetest.AliasesMatchIdentifiedOnly())
				}
				if deprecated == identity.DeprecatedIgnored {
					opts = append(opts, brazetest.IgnoreDeprecatedIDs())
				}
				compareMatching(t, identity.Rules{AliasMatch: alias, DeprecatedMatch: deprecated}, opts)
			})
		}
	}
}

func compareMatching(t *testing.T, rules identity.Rules, opts []brazetest.Option) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	rng := rand.New(rand.NewPCG(seed, 1))
	text := func(kind string) string { return fmt.Sprintf("%s%d", kind, rng.IntN(30)) }
	verdicts := make(map[identity.Verdict]int)

	for range 20 {
		w := newWorld(t, opts...)
		var profiles []brazetest.Profile
		for range 30 {
			var p brazetest.Profile
			if rng.IntN(2) == 0 {
				p.ExternalID = text("x")
				if rng.IntN(2) == 0 {
					p.DeprecatedExternalIDs = []string{text("x")}
				}
			}
			if rng.IntN(2) == 0 {
				p.Aliases = []brazetest.Alias{{Label: text("l"), Name: text("x")}}
			}
			if rng.IntN(2) == 0 {
				p.DeviceIDs = []string{text("x")}
			}
			if _, err := w.workspace.AddProfile(p); err == nil { // else it broke a rule, which is no matter here
				profiles = append(profiles, p)
			}
		}
		// One identifier a request, and the cohort is empty before each, so that what happened to it can be told.
		for range 60 {
			var own brazetest.Profile // most often somebody's identifier, or else hardly any would match
			if len(profiles) > 0 && rng.IntN(3) > 0 {
				own = profiles[rng.IntN(len(profiles))]
			}
			var id identity.ID
			var change string
			switch rng.IntN(3) {
			case 0:
				value := text("x")
				if ids := append([]string{own.ExternalID}, own.DeprecatedExternalIDs...); own.ExternalID != "" {
					value = ids[rng.IntN(len(ids))]
				}
				id, change = identity.ExternalID(value), list("user_ids", value)
			case 1:
				value := text("x")
				if own.DeviceIDs != nil {
					value = own.DeviceIDs[0]
				}
				id, change = identity.DeviceID(value), list("device_ids", value)
			default:
				a := identity.Alias{Label: text("l"), Name: text("x")}
				if own.Aliases != nil {
					a = identity.Alias(own.Aliases[0])
				}
				id, change = a.ID(), list("aliases", map[string]string{"alias_label": a.Label, "alias_name": a.Name})
			}
			got := w.users(t, "["+change+"]")
			if got.status != 201 {
				t.Fatalf("status %d: %s", got.status, got.body)
			}
			var want []string
			best := identity.NoSuchIdentifier
			for _, p := range w.workspace.Profiles() {
				aliases := make([]identity.Alias, len(p.Aliases))
				for i, a := range p.Aliases {
					aliases[i] = identity.Alias(a)
				}
				v := rules.Match(id, identity.Profile{ExternalID: p.ExternalID, DeprecatedExternalIDs: p.DeprecatedExternalIDs, Aliases: aliases, DeviceIDs: p.DeviceIDs})
				best = max(best, v)
				if v.Matched() {
					want = append(want, p.BrazeID)
				}
			}
			verdicts[best]++
			c, _ := w.workspace.Cohort(w.partner, "camp-481")
			var have []string
			for _, m := range c.Members {
				have = append(have, m.BrazeID)
			}
			if diff := cmp.Diff(want, have); diff != "" {
				t.Fatalf("members after adding one %v (-want +got):\n%s", id.Kind(), diff)
			}
			wantReason := map[identity.Verdict]brazetest.SkipReason{
				identity.NoSuchIdentifier:    brazetest.SkippedUnknown,
				identity.IgnoredDevice:       brazetest.SkippedIdentifiedDevice,
				identity.IgnoredAlias:        brazetest.SkippedUnidentifiedAlias,
				identity.IgnoredDeprecatedID: brazetest.SkippedDeprecatedID,
			}[best]
			if wantReason != 0 {
				if last := c.Skipped[len(c.Skipped)-1]; last.Reason != wantReason {
					t.Fatalf("reason %q, want %q", last.Reason, wantReason)
				}
			}
			total := 0
			for _, r := range c.SkippedByReason {
				total += r
			}
			if total != len(c.Skipped) {
				t.Fatalf("%d skips counted, %d listed", total, len(c.Skipped))
			}
			// Removing by the same identifier undoes it, or changes nothing.
			w.users(t, "["+change[:len(change)-1]+`,"should_remove":true}]`)
			if n := w.workspace.CohortSize(w.partner, "camp-481"); n != 0 {
				t.Fatalf("%d members after removing by the same identifier", n)
			}
		}
	}
	t.Logf("verdicts: %v", verdicts)
	const least = 20
	for v := identity.NoSuchIdentifier; v <= identity.MatchedDevice; v++ {
		possible := v != identity.IgnoredAlias && v != identity.IgnoredDeprecatedID && v != identity.MatchedDeprecatedID ||
			v == identity.IgnoredAlias && rules.AliasMatch == identity.AliasIdentifiedOnly ||
			v == identity.IgnoredDeprecatedID && rules.DeprecatedMatch == identity.DeprecatedIgnored ||
			v == identity.MatchedDeprecatedID && rules.DeprecatedMatch == identity.DeprecatedMatches
		if n := verdicts[v]; possible && n < least {
			t.Errorf("%q came up %d times, want %d: the test shows too little", v, n, least)
		} else if !possible && n > 0 {
			t.Errorf("%q came up under rules that do not have it", v)
		}
	}
}

// list is a change object with one list of one identifier.
func list(name string, item any) string {
	b, _ := json.Marshal(map[string]any{name: []any{item}})
	return string(b)
}
