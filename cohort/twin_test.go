package cohort_test

import (
	"testing"
	"testing/synctest"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// TestTwins makes two members of one profile one person, whom the next run names by one of them. The profile is in afterwards, also if the run was cut
// off between the removal and the addition.
func TestTwins(t *testing.T) {
	t.Parallel()
	alias := identity.Alias{Label: "crm", Name: "c-1"}
	tests := []struct {
		name  string
		first []identity.Person
		join  func(*testing.T, *stage)
		next  []identity.Person
	}{
		{
			"an alias profile is merged into one with an external ID",
			[]identity.Person{{ExternalID: user(1)}, {Aliases: []identity.Alias{alias}}},
			func(t *testing.T, s *stage) {
				t.Helper()
				keep, _ := s.workspace.ProfileByExternalID(user(1))
				merged, _ := s.workspace.ProfileByAlias(brazetest.Alias(alias))
				if err := s.workspace.Merge(keep.BrazeID, merged.BrazeID); err != nil {
					t.Fatal(err)
				}
			},
			[]identity.Person{{ExternalID: user(1), Aliases: []identity.Alias{alias}}},
		},
		{
			"an alias profile is identified",
			[]identity.Person{{ExternalID: user(1)}, {Aliases: []identity.Alias{alias}}},
			func(t *testing.T, s *stage) {
				t.Helper()
				merged, _ := s.workspace.ProfileByAlias(brazetest.Alias(alias))
				if _, err := s.workspace.Identify(merged.BrazeID, user(9)); err != nil {
					t.Fatal(err)
				}
			},
			[]identity.Person{{ExternalID: user(1)}, {ExternalID: user(9), Aliases: []identity.Alias{alias}}},
		},
		{
			"an external ID is renamed",
			[]identity.Person{{ExternalID: user(1)}},
			func(t *testing.T, s *stage) {
				t.Helper()
				if err := s.workspace.Rename(user(1), user(9)); err != nil {
					t.Fatal(err)
				}
			},
			[]identity.Person{{ExternalID: user(9)}},
		},
	}
	faults := []struct {
		name  string
		fault func(*stage) *brazetest.Injection
	}{
		{"undisturbed", nil},
		{"the removal is lost", func(s *stage) *brazetest.Injection {
			return s.server.Inject(brazetest.Users(), brazetest.AppliedThenLost()).Always()
		}},
		{"the addition is lost", func(s *stage) *brazetest.Injection {
			return s.server.Inject(brazetest.Users().Where(func(r brazetest.Request) bool { return len(r.Changes) > 0 && !r.Changes[0].Remove }), brazetest.DropConnection()).Always()
		}},
		{"the addition is refused", func(s *stage) *brazetest.Injection {
			return s.server.Inject(brazetest.Users().Where(func(r brazetest.Request) bool { return len(r.Changes) > 0 && !r.Changes[0].Remove }), brazetest.Status(400))
		}},
		{"the removal is refused", func(s *stage) *brazetest.Injection { return s.server.Inject(brazetest.Users(), brazetest.Status(400)) }},
	}
	for _, tt := range tests {
		for _, f := range faults {
			t.Run(tt.name+", "+f.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := newStage(t)
					for _, p := range []brazetest.Profile{{ExternalID: user(1)}, {Aliases: []brazetest.Alias{brazetest.Alias(alias)}}} {
						if _, err := s.workspace.AddProfile(p); err != nil {
							t.Fatal(err)
						}
					}
					state := newLedger(t)
					mustSync(t, s.syncer(t, state), audience(tt.first...))
					tt.join(t, s)
					if f.fault != nil {
						injection := f.fault(s)
						if report, err := syncTo(t, s.syncer(t, state), audience(tt.next...)); err == nil {
							t.Errorf("the run was not disturbed: %v", report)
						}
						injection.Remove()
					}
					mustSync(t, s.syncer(t, state), audience(tt.next...))
					if got := s.workspace.CohortSize(s.partner, campaign); got != len(tt.next) {
						t.Errorf("%d profiles are in, want %d", got, len(tt.next))
					}
					if report := mustSync(t, s.syncer(t, state), audience(tt.next...)); report.Requests != 0 {
						t.Errorf("want nothing more: %v", report)
					}
				})
			})
		}
	}
}
