package brazetest_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
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
			_, _ = w.workspace.AddProfile(p) // one that breaks a rule is no matter here
		}
		people := w.workspace.Profiles() // requests do not change them
		known := make([]identity.Profile, len(people))
		for i, p := range people {
			aliases := make([]identity.Alias, len(p.Aliases))
			for j, a := range p.Aliases {
				aliases[j] = identity.Alias(a)
			}
			known[i] = identity.Profile{ExternalID: p.ExternalID, DeprecatedExternalIDs: p.DeprecatedExternalIDs, Aliases: aliases, DeviceIDs: p.DeviceIDs}
		}
		// One identifier a request, and the cohort is empty before each, so that what happened to it can be told.
		for range 60 {
			var own brazetest.Profile // most often somebody's identifier, or else hardly any would match
			if rng.IntN(3) > 0 {
				own = people[rng.IntN(len(people))]
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
			apply(t, w, change)
			var want []string
			best := identity.NoSuchIdentifier
			for i, p := range people {
				v := rules.Match(id, known[i])
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
			apply(t, w, change[:len(change)-1]+`,"should_remove":true}`)
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

// apply sends one change object past the doors, which would cost more than the matching.
func apply(t *testing.T, w world, change string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, endpoint+"/partners/tinyclues/cohorts/users", strings.NewReader(w.changes("["+change+"]")))
	r.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	w.ServeHTTP(answer, r)
	if answer.Code != http.StatusCreated {
		t.Fatalf("status %d: %s", answer.Code, answer.Body)
	}
}

// list is a change object with one list of one identifier.
func list(name string, item any) string {
	b, _ := json.Marshal(map[string]any{name: []any{item}})
	return string(b)
}
