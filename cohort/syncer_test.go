package cohort_test

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// newLedger returns an empty ledger, such as every test of a Syncer begins with.
func newLedger(t *testing.T) ledger.Ledger {
	t.Helper()
	return ledger.NewMemory()
}

// sale is the cohort of most tests.
func sale() cohort.Cohort { return cohort.Cohort{ID: campaign, Name: "Spring sale"} }

func newSyncer(t *testing.T, im *cohort.Importer, state ledger.Ledger, opts ...cohort.SyncerOption) *cohort.Syncer {
	t.Helper()
	s, err := cohort.NewSyncer(im, state, append([]cohort.SyncerOption{cohort.WithPartnerName("Tinyclues")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// syncer returns a Syncer without a guard; a later option changes that.
func (s *stage) syncer(t *testing.T, state ledger.Ledger, opts ...cohort.SyncerOption) *cohort.Syncer {
	t.Helper()
	return newSyncer(t, s.importer(t), state, append([]cohort.SyncerOption{cohort.WithRemovalGuard(1, 0)}, opts...)...)
}

// users is the audience of the users from first to last.
func users(first, last int) cohort.Audience { return cohort.Identifiers(userIDs(first, last)) }

func userIDs(first, last int) iter.Seq2[identity.ID, error] {
	return func(yield func(identity.ID, error) bool) {
		for i := first; i <= last; i++ {
			if !yield(identity.ExternalID(user(i)), nil) {
				return
			}
		}
	}
}

// audience is an audience of people who are chosen by the usual rules.
func audience(people ...identity.Person) cohort.Audience {
	return cohort.People(identity.Rules{}, func(yield func(identity.Person, error) bool) {
		for _, p := range people {
			if !yield(p, nil) {
				return
			}
		}
	})
}

// checkSyncSums holds the report of a run without removals of its own rows to what its documentation promises.
func checkSyncSums(t *testing.T, r cohort.Report) {
	t.Helper()
	rows := r.Rows
	if sum := rows.Added + rows.Kept + rows.Duplicate + rows.Suppressed + rows.Rejected + rows.Unprocessed; sum != rows.Read || rows.Removed != 0 {
		t.Errorf("the rows sum up to %d, want the %d read: %+v", sum, rows.Read, rows)
	}
	if got := r.Adds.Total(); got != rows.Added {
		t.Errorf("the additions sum up to %d, want %d: %+v", got, rows.Added, r.Adds)
	}
	for _, n := range []int{
		rows.Read, rows.Added, rows.Kept, rows.Duplicate, rows.Suppressed, rows.Rejected, rows.Unprocessed, r.Requests,
		r.Adds.Accepted, r.Adds.Refused, r.Adds.Unknown, r.Adds.Held, r.Adds.Unsent,
		r.Removals.Accepted, r.Removals.Refused, r.Removals.Unknown, r.Removals.Held, r.Removals.Unsent,
	} {
		if n < 0 {
			t.Errorf("a count is negative: %+v", r)
		}
	}
}

// syncTo runs Sync and checks the sums.
func syncTo(t *testing.T, s *cohort.Syncer, a cohort.Audience, opts ...cohort.RunOption) (cohort.Report, error) {
	t.Helper()
	report, err := s.Sync(t.Context(), sale(), a, opts...)
	checkSyncSums(t, report)
	return report, err
}

// mustSync fails the test if the run does.
func mustSync(t *testing.T, s *cohort.Syncer, a cohort.Audience, opts ...cohort.RunOption) cohort.Report {
	t.Helper()
	report, err := syncTo(t, s, a, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func (s *stage) key(id string) ledger.Key {
	return ledger.Key{Endpoint: "https://rest.fra-01.braze.eu", Partner: "tinyclues", Workspace: "acme", CohortID: id}
}

// recorded returns what a ledger knows of the members of a cohort, and its header.
func (s *stage) recorded(t *testing.T, state ledger.Ledger, id string) (map[string]ledger.State, ledger.Header) {
	t.Helper()
	members := map[string]ledger.State{}
	for m, err := range ledger.Members(t.Context(), state, s.key(id)) {
		if err != nil {
			t.Fatal(err)
		}
		members[m.ID.Encode()] = m.State
	}
	for e, err := range state.Entries(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Key == s.key(id) {
			return members, e.Header
		}
	}
	return members, ledger.Header{}
}

// states counts the members that are in, and those that are unknown.
func states(members map[string]ledger.State) (in, unknown int) {
	for _, s := range members {
		if s == ledger.In {
			in++
		} else {
			unknown++
		}
	}
	return in, unknown
}

// usersRequests returns the numbers of identifiers, to remove and to add, of the requests that change users.
func (s *stage) usersRequests() [][2]int {
	var all [][2]int
	for _, r := range s.server.Requests() {
		if r.CohortName != "" {
			continue
		}
		var n [2]int
		for _, c := range r.Changes {
			if c.Remove {
				n[0] += c.Identifiers()
			} else {
				n[1] += c.Identifiers()
			}
		}
		all = append(all, n)
	}
	return all
}

// TestSyncSmallestDifference runs a cohort through several audiences. What is in is what is wanted, with as few requests as there can be, and removals are
// through before additions begin.
func TestSyncSmallestDifference(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.people(t, 5000)
		state := newLedger(t)
		syncer := s.syncer(t, state)
		steps := []struct {
			name        string
			first, last int
			adds, removals,
			requests int
			named cohort.Naming
		}{
			{"first", 1, 3500, 3500, 0, 1 + 4, cohort.Created},
			{"unchanged", 1, 3500, 0, 0, 0, cohort.NotNamed},
			{"2,500 go and 1,001 come", 2501, 4501, 1001, 2500, 3 + 2, cohort.NotNamed},
			{"unchanged again", 2501, 4501, 0, 0, 0, cohort.NotNamed},
			{"one comes", 2501, 4502, 1, 0, 1, cohort.NotNamed},
			{"one goes", 2502, 4502, 0, 1, 1, cohort.NotNamed},
		}
		for _, step := range steps {
			before := s.posts()
			s.server.ForgetRequests()
			plan, err := syncer.Plan(t.Context(), sale(), users(step.first, step.last))
			if err != nil {
				t.Fatal(err)
			}
			if got := s.posts() - before; got != 0 {
				t.Errorf("%s: the plan made %d requests", step.name, got)
			}
			_, generation := s.recorded(t, state, campaign)
			report := mustSync(t, syncer, users(step.first, step.last))
			wanted := step.last - step.first + 1
			want := cohort.Report{
				CohortID: campaign, Name: "Spring sale", Named: step.named, Partner: "Tinyclues", Requests: step.requests,
				Rows: cohort.Rows{Read: wanted, Added: step.adds, Kept: wanted - step.adds},
				Adds: cohort.Tally{Accepted: step.adds}, Removals: cohort.Tally{Accepted: step.removals},
			}
			if diff := cmp.Diff(want, report); diff != "" {
				t.Errorf("%s (-want +got):\n%s", step.name, diff)
			}
			if got := s.posts() - before; got != step.requests {
				t.Errorf("%s: %d requests, want %d", step.name, got, step.requests)
			}
			if got := s.workspace.CohortSize(s.partner, campaign); got != wanted {
				t.Errorf("%s: %d members, want %d", step.name, got, wanted)
			}
			// Nothing is removed once something was added.
			added := false
			for _, n := range s.usersRequests() {
				added = added || n[1] > 0
				if added && n[0] > 0 {
					t.Errorf("%s: requests %v", step.name, s.usersRequests())
				}
			}
			members, header := s.recorded(t, state, campaign)
			if in, unknown := states(members); in != wanted || unknown != 0 {
				t.Errorf("%s: the ledger has %d in and %d unknown, want %d and 0", step.name, in, unknown, wanted)
			}
			if step.requests == 0 && header != generation {
				t.Errorf("%s: something was written", step.name)
			}
			wantPlan := cohort.Plan{
				CohortID: campaign, Name: "Spring sale", Naming: step.named != cohort.NotNamed, Rows: want.Rows,
				Members: plan.Members, Kept: want.Rows.Kept, Adds: step.adds, Removals: step.removals, Requests: step.requests,
			}
			if diff := cmp.Diff(wantPlan, plan); diff != "" {
				t.Errorf("%s: plan (-want +got):\n%s", step.name, diff)
			}
			if got, want := plan.DataPoints(), report.DataPoints(); got != want {
				t.Errorf("%s: %d data points planned, %d used", step.name, got, want)
			}
		}
	})
}

// TestSyncKinds keeps people of all kinds in step, one of whom cannot be sent and one of whom is named twice.
func TestSyncKinds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		for _, p := range []brazetest.Profile{
			{ExternalID: "u-1"}, {ExternalID: "u-2", Aliases: []brazetest.Alias{{Label: "crm", Name: "c-2"}}}, {DeviceIDs: []string{"d-3"}},
		} {
			if _, err := s.workspace.AddProfile(p); err != nil {
				t.Fatal(err)
			}
		}
		syncer := s.syncer(t, newLedger(t))
		rows := func() cohort.Audience {
			return audience(
				identity.Person{ExternalID: "u-1", DeviceIDs: []string{"d-1"}},
				identity.Person{Aliases: []identity.Alias{{Label: "crm", Name: "c-2"}}},
				identity.Person{Identified: true, DeviceIDs: []string{"d-9"}},
				identity.Person{DeviceIDs: []string{"d-3"}},
				identity.Person{ExternalID: "u-1"},
			)
		}
		var rejected []cohort.Rejection
		report := mustSync(t, syncer, rows(), cohort.OnReject(func(r cohort.Rejection) { rejected = append(rejected, r) }))
		if want := (cohort.Rows{Read: 5, Added: 3, Duplicate: 1, Rejected: 1}); report.Rows != want {
			t.Errorf("rows (-want +got):\n%s", cmp.Diff(want, report.Rows))
		}
		want := []cohort.Rejection{{CohortID: campaign, Row: 3, Err: &identity.RejectError{Field: "person", Reason: identity.ReasonOnlyDevices}}}
		if diff := cmp.Diff(want, rejected); diff != "" {
			t.Errorf("rejected (-want +got):\n%s", diff)
		}
		if got := s.workspace.CohortSize(s.partner, campaign); got != 3 {
			t.Errorf("%d members, want 3", got)
		}
		if report := mustSync(t, syncer, rows()); report.Rows.Kept != 3 || report.Requests != 0 {
			t.Errorf("want 3 kept: %v", report)
		}
		// A strict run sends nothing once a row is bad.
		report, err := syncTo(t, syncer, rows(), cohort.Strict())
		if row, ok := errors.AsType[*cohort.RowError](err); !ok || row.Row != 3 || report.Rows.Rejected != 1 || report.Rows.Unprocessed != 2 {
			t.Errorf("want an error of row 3: %v, %v", report, err)
		}
	})
}

// TestSyncNaming shows what is sent of the name and of the time of creation, and what the report says of it.
func TestSyncNaming(t *testing.T) {
	t.Parallel()
	created := time.Date(2025, 3, 2, 8, 15, 0, 123_456_789, time.FixedZone("", 3600))
	at := created.Truncate(time.Millisecond)
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		steps := []struct {
			name          string
			first, second cohort.Cohort
			named         cohort.Naming
			created       time.Time
		}{
			{"renamed", cohort.Cohort{Name: "Spring sale", CreatedAt: created}, cohort.Cohort{Name: "Spring"}, cohort.Renamed, at},
			{"renamed with another time", cohort.Cohort{Name: "Spring sale", CreatedAt: created}, cohort.Cohort{Name: "Spring", CreatedAt: created.Add(time.Hour)}, cohort.Renamed, at},
			{"another time alone", cohort.Cohort{Name: "Spring sale", CreatedAt: created}, cohort.Cohort{Name: "Spring sale", CreatedAt: created.Add(time.Hour)}, cohort.NotNamed, at},
			{"without a time", cohort.Cohort{Name: "Spring sale"}, cohort.Cohort{Name: "Spring"}, cohort.Renamed, begin},
		}
		for _, step := range steps {
			s := newStage(t)
			syncer := s.syncer(t, newLedger(t))
			step.first.ID, step.second.ID = campaign, campaign
			report, err := syncer.Sync(t.Context(), step.first, users(1, 1))
			if err != nil || report.Named != cohort.Created || report.Filter() != `Tinyclues Cohorts includes "Spring sale"` {
				t.Errorf("%s: %v, %q, %v", step.name, report, report.Filter(), err)
			}
			posts := s.posts()
			report, err = syncer.Sync(t.Context(), step.second, users(1, 1))
			if err != nil || report.Named != step.named || report.Requests != s.posts()-posts {
				t.Errorf("%s: want %v: %v, %v", step.name, step.named, report, err)
			}
			c, _ := s.workspace.Cohort(s.partner, campaign)
			if c.Name != step.second.Name || !c.CreatedAt.Equal(step.created) {
				t.Errorf("%s: the endpoint has %q, %v, want %q, %v", step.name, c.Name, c.CreatedAt, step.second.Name, step.created)
			}
		}
	})
}

// TestSyncNamingFails shows that nobody is sent to a cohort whose name is not known to have arrived, and that the next run names it.
func TestSyncNamingFails(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault brazetest.Fault
		next  cohort.Naming
	}{
		{"refused", brazetest.Status(http.StatusBadRequest), cohort.Created},
		{"lost", brazetest.AppliedThenLost(), cohort.NameRepeated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.people(t, 10)
				syncer := s.syncer(t, newLedger(t))
				fault := s.server.Inject(brazetest.Naming(), tt.fault).Always()
				report, err := syncTo(t, syncer, users(1, 10))
				if err == nil || report.Adds.Unsent != 10 || report.Named != cohort.NotNamed || report.Requests != s.posts() || len(s.members()) > 0 {
					t.Errorf("want nobody sent: %v, %v", report, err)
				}
				fault.Remove()
				report = mustSync(t, syncer, users(1, 10))
				if report.Named != tt.next || len(s.members()) != 10 {
					t.Errorf("want %v: %v", tt.next, report)
				}
			})
		})
	}
}

// TestSyncWarnings shows what is legal and told.
func TestSyncWarnings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		state := newLedger(t)
		syncer := s.syncer(t, state)
		person := identity.Person{ExternalID: "u-1", Aliases: []identity.Alias{{Label: "crm", Name: "c-1"}}}
		if _, err := s.workspace.AddProfile(brazetest.Profile{ExternalID: "u-1", Aliases: []brazetest.Alias{{Label: "crm", Name: "c-1"}}}); err != nil {
			t.Fatal(err)
		}
		people := func(yield func(identity.Person, error) bool) { yield(person, nil) }
		aliases := identity.Rules{Order: []identity.Kind{identity.AliasKind, identity.ExternalIDKind}}

		if report := mustSync(t, syncer, cohort.People(identity.Rules{}, people)); len(report.Warnings) != 0 {
			t.Errorf("warnings: %v", report.Warnings)
		}
		report := mustSync(t, syncer, cohort.People(aliases, people))
		if want := []cohort.Warning{{Kind: cohort.WarnRules, Count: 1}}; !slices.Equal(want, report.Warnings) {
			t.Errorf("warnings %v, want %v", report.Warnings, want)
		}
		if report.Removals.Accepted != 1 || report.Adds.Accepted != 1 || s.workspace.CohortSize(s.partner, campaign) != 1 {
			t.Errorf("want one identifier replaced: %v", report)
		}
		if report := mustSync(t, syncer, cohort.People(aliases, people)); len(report.Warnings) != 0 || report.Requests != 0 {
			t.Errorf("the rules are not remembered: %v", report)
		}

		twin := cohort.Cohort{ID: "camp-482", Name: "Spring sale"}
		report, err := syncer.Sync(t.Context(), twin, users(1, 1))
		if want := []cohort.Warning{{Kind: cohort.WarnName, Count: 1}}; err != nil || !slices.Equal(want, report.Warnings) {
			t.Errorf("warnings %v, want %v; %v", report.Warnings, want, err)
		}
		if report, err := syncer.Sync(t.Context(), twin, users(1, 1)); err != nil || len(report.Warnings) > 0 {
			t.Errorf("warned again: %v, %v", report, err)
		}
		// Another workspace's cohorts are none of ours.
		other, err := cohort.NewImporter(s.client(t), "bcme", s.credentials())
		if err != nil {
			t.Fatal(err)
		}
		if report, err := newSyncer(t, other, state).Sync(t.Context(), twin, users(1, 1)); err != nil || len(report.Warnings) > 0 {
			t.Errorf("warned of another workspace: %v, %v", report, err)
		}

		long := cohort.Identifiers(func(yield func(identity.ID, error) bool) { yield(identity.ExternalID(strings.Repeat("1", 988)), nil) })
		report, err = syncer.Sync(t.Context(), cohort.Cohort{ID: "camp-483", Name: "Long"}, long)
		if want := []cohort.Warning{{Kind: cohort.WarnOverlong, Count: 1}}; err != nil || !slices.Equal(want, report.Warnings) {
			t.Errorf("warnings %v, want %v; %v", report.Warnings, want, err)
		}
	})
}

// TestSyncSuppression shows that people on the do-not-send list are not sent, whichever of their identifiers is on it, and are removed if members.
func TestSyncSuppression(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.people(t, 5)
		listed := map[identity.ID]bool{}
		syncer := s.syncer(t, newLedger(t), cohort.WithSuppression(func(id identity.ID) bool { return listed[id] }))
		people := func() cohort.Audience {
			return audience(
				identity.Person{ExternalID: user(1)},
				identity.Person{ExternalID: user(2), Aliases: []identity.Alias{{Label: "crm", Name: "c-2"}}},
				identity.Person{ExternalID: user(3)},
			)
		}
		mustSync(t, syncer, people())
		listed[identity.ExternalID(user(1))] = true
		listed[identity.Alias{Label: "crm", Name: "c-2"}.ID()] = true
		report := mustSync(t, syncer, people())
		if want := (cohort.Rows{Read: 3, Kept: 1, Suppressed: 2}); report.Rows != want || report.Removals.Accepted != 2 {
			t.Errorf("want 2 suppressed and removed: %v", report)
		}
		if diff := cmp.Diff([]string{user(3)}, s.members()); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
		// Nor are they put in otherwise.
		report, err := syncer.Apply(t.Context(), campaign, list(add(1), add(4), remove(3)))
		checkSums(t, withoutSuppressed(report))
		if want := (cohort.Rows{Read: 3, Added: 1, Removed: 1, Suppressed: 1}); err != nil || report.Rows != want {
			t.Errorf("want 1 suppressed: %v, %v", report, err)
		}
		if diff := cmp.Diff([]string{user(4)}, s.members()); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
	})
}

// withoutSuppressed is a report as it would be without the suppressed rows.
func withoutSuppressed(r cohort.Report) cohort.Report {
	r.Rows.Read -= r.Rows.Suppressed
	r.Rows.Suppressed = 0
	return r
}

// TestSyncerApply shows that the ledger hears of single changes, so that the next difference is right.
func TestSyncerApply(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.people(t, 20)
		state := newLedger(t)
		syncer := s.syncer(t, state)
		mustSync(t, syncer, users(1, 10))
		s.server.Inject(brazetest.Users(), brazetest.AppliedThenLost())
		report, err := syncer.Apply(t.Context(), campaign, list(remove(1), add(11), add(12), remove(12)))
		checkSums(t, report)
		if err != nil || report.Name != "Spring sale" || report.Adds.Accepted != 1 || report.Removals.Accepted != 2 {
			t.Errorf("%v, %v", report, err)
		}
		if report := mustSync(t, syncer, users(2, 11)); report.Requests != 0 || report.Rows.Kept != 10 {
			t.Errorf("the ledger did not hear of it: %v", report)
		}
		s.server.Inject(brazetest.Users(), brazetest.AppliedThenLost()).Always()
		report, err = syncer.Apply(t.Context(), campaign, list(add(13)))
		checkSums(t, report)
		if err == nil || report.Adds.Unknown != 1 {
			t.Errorf("%v, %v", report, err)
		}
		if members, _ := s.recorded(t, state, campaign); members["e:u-13"] != ledger.Unknown {
			t.Errorf("the ledger has %v", members)
		}
	})
}

// TestSyncHeld shows that a cohort has one writer at a time, who is named.
func TestSyncHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		state := newLedger(t)
		syncer := s.syncer(t, state)
		mustSync(t, syncer, users(1, 2))
		session, err := state.Open(t.Context(), s.key(campaign))
		if err != nil {
			t.Fatal(err)
		}
		posts := s.posts()
		calls := everyCall(syncer)
		for name, call := range calls {
			err := call(t.Context())
			held, ok := errors.AsType[*ledger.HeldError](err)
			if !ok || held.Key != s.key(campaign) {
				t.Errorf("%s: error %v, want a HeldError", name, err)
			}
		}
		if s.posts() != posts {
			t.Error("something was sent")
		}
		if err := session.Close(); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"Plan", "Sync", "Apply", "PlanReassert", "Reassert", "PlanEstimate", "EstimateMatches", "Erase", "Rebuild", "Drain"} {
			if err := calls[name](t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// everyCall has a call of each method that takes the lease on the campaign.
func everyCall(syncer *cohort.Syncer) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Sync":  func(ctx context.Context) error { _, err := syncer.Sync(ctx, sale(), users(1, 3)); return err },
		"Plan":  func(ctx context.Context) error { _, err := syncer.Plan(ctx, sale(), users(1, 3)); return err },
		"Apply": func(ctx context.Context) error { _, err := syncer.Apply(ctx, campaign, list(add(4))); return err },
		"Drain": func(ctx context.Context) error { _, err := syncer.Drain(ctx, campaign); return err },
		"Rebuild": func(ctx context.Context) error {
			_, err := syncer.Rebuild(ctx, campaign, cohort.Cohort{ID: "camp-500", Name: "Rebuilt"}, users(1, 3))
			return err
		},
		"Reassert": func(ctx context.Context) error { _, err := syncer.Reassert(ctx, campaign, cohort.Share(1)); return err },
		"PlanReassert": func(ctx context.Context) error {
			_, err := syncer.PlanReassert(ctx, campaign, cohort.Share(1))
			return err
		},
		"Erase": func(ctx context.Context) error { _, err := syncer.Erase(ctx, userIDs(1, 1)); return err },
		"EstimateMatches": func(ctx context.Context) error {
			_, err := syncer.EstimateMatches(ctx, campaign, lookupFunc(func(context.Context, []identity.ID) ([]identity.Profile, error) { return nil, nil }))
			return err
		},
		"PlanEstimate": func(ctx context.Context) error { _, err := syncer.PlanEstimate(ctx, campaign); return err },
		"SyncAll": func(ctx context.Context) error {
			_, err := syncer.SyncAll(ctx, []cohort.Job{{Cohort: sale(), Audience: users(1, 3)}})
			return err
		},
	}
}
