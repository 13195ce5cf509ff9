package cohort_test

import (
	"iter"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// visitor adds an anonymous profile and puts it into the cohort by its device. Afterwards the visitor signs up, and the device counts no more.
func (s *stage) visitor(t *testing.T, syncer *cohort.Syncer) {
	t.Helper()
	id, err := s.workspace.AddProfile(brazetest.Profile{DeviceIDs: []string{"d-1"}})
	if err != nil {
		t.Fatal(err)
	}
	mustSync(t, syncer, audience(identity.Person{DeviceIDs: []string{"d-1"}}))
	if _, err := s.workspace.Identify(id, user(1)); err != nil {
		t.Fatal(err)
	}
	if n := s.workspace.CohortSize(s.partner, campaign); n != 1 {
		t.Fatalf("%d members, want the visitor", n)
	}
}

// signedUp is the visitor as the caller knows them later.
func signedUp() identity.Person {
	return identity.Person{ExternalID: user(1), DeviceIDs: []string{"d-1"}}
}

func identifiers(ids ...identity.ID) iter.Seq2[identity.ID, error] {
	return func(yield func(identity.ID, error) bool) {
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
	}
}

// TestEraseWhoSignedUp erases somebody whom the ledger knows by a device that counts no more, and somebody whom it does not know any more at all.
func TestEraseWhoSignedUp(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]bool{"a member by the device": false, "whose device was removed and reached nobody": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				syncer := s.syncer(t, newLedger(t))
				s.visitor(t, syncer)
				if gone {
					if _, err := s.workspace.AddProfile(brazetest.Profile{ExternalID: user(2)}); err != nil {
						t.Fatal(err)
					}
					mustSync(t, syncer, users(2, 2))
				}
				reports, err := syncer.Erase(t.Context(), identifiers(identity.ExternalID(user(1)), identity.DeviceID("d-1")))
				if err != nil || len(reports) != 1 || reports[0].Removals != (cohort.Tally{Accepted: 2}) {
					t.Errorf("want both identifiers sent: %v, %v", reports, err)
				}
				if slices.Contains(s.members(), user(1)) {
					t.Error("an erased person is in the cohort")
				}
			})
		})
	}
}

// TestSuppressWhoSignedUp puts somebody on the do-not-send list who was sent by a device that counts no more.
func TestSuppressWhoSignedUp(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opts []cohort.SyncerOption
		lost bool // the first answer
	}{
		{"at once", nil, false},
		{"exempt from the guard", []cohort.SyncerOption{cohort.WithRemovalGuard(0, 0)}, false},
		{"with a failure in between", nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				state := newLedger(t)
				s.visitor(t, s.syncer(t, state))
				if _, err := s.workspace.AddProfile(brazetest.Profile{ExternalID: user(2)}); err != nil {
					t.Fatal(err)
				}
				listed := cohort.WithSuppression(func(id identity.ID) bool { return id == identity.ExternalID(user(1)) })
				syncer := s.syncer(t, state, append(tt.opts, listed)...)
				wanted := audience(signedUp(), identity.Person{ExternalID: user(2)})
				if tt.lost {
					s.server.Inject(brazetest.Users(), brazetest.Status(http.StatusBadRequest))
					if report, err := syncTo(t, syncer, wanted); err == nil {
						t.Errorf("nothing failed: %v", report)
					}
				}
				plan, err := syncer.Plan(t.Context(), sale(), wanted)
				report := mustSync(t, syncer, wanted)
				if report.Removals != (cohort.Tally{Accepted: 2}) || report.Rows.Suppressed != 1 {
					t.Errorf("want the device and the external ID removed: %v", report)
				}
				if err != nil || plan.Removals != 2 || plan.DataPoints() != report.DataPoints() {
					t.Errorf("planned %v, %v; got %v", plan, err, report)
				}
				if got := s.members(); len(got) != 1 || got[0] != user(2) {
					t.Errorf("members %v, want the other one alone", got)
				}
				if report := mustSync(t, syncer, wanted); report.Requests != 0 {
					t.Errorf("want nothing more: %v", report)
				}
			})
		})
	}
}

// TestRemovalsInPart carries out one of two removals that are one person's, and then wants the person back by the other identifier.
func TestRemovalsInPart(t *testing.T) {
	t.Parallel()
	crm := identity.Alias{Label: "crm", Name: "c-1"}
	tests := []struct {
		name   string
		size   int // of the cohort besides
		inject func(*stage)
		doubt  bool
	}{
		{"a request is split, and one half refused", 0, func(s *stage) {
			s.server.Inject(brazetest.Users(), brazetest.Status(http.StatusRequestEntityTooLarge))
			s.server.Inject(brazetest.Users().Nth(3), brazetest.Status(http.StatusBadRequest))
		}, true},
		{"the second of two requests is refused", 1100, func(s *stage) {
			s.server.Inject(brazetest.Users().Nth(2), brazetest.Status(http.StatusBadRequest))
		}, true},
		{"all are refused", 1100, func(s *stage) {
			s.server.Inject(brazetest.Users(), brazetest.Unauthorized(brazetest.WrongPartnerKey)).Always()
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.people(t, tt.size+10)
				if err := s.workspace.AddAlias(profileOf(t, s, user(1)), brazetest.Alias(crm)); err != nil {
					t.Fatal(err)
				}
				// The alias comes last, so that it is removed by another request, or half, than the external ID.
				everybody := func(yield func(identity.ID, error) bool) {
					for id, err := range userIDs(1, tt.size+1) {
						if !yield(id, err) {
							return
						}
					}
					yield(crm.ID(), nil)
				}
				state := newLedger(t)
				syncer := newSyncer(t, s.importer(t, cohort.WithInFlight(1)), state, cohort.WithRemovalGuard(1, 0))
				mustSync(t, syncer, cohort.Identifiers(everybody))
				before, _ := s.recorded(t, state, campaign)
				tt.inject(s)
				report, err := syncTo(t, syncer, users(tt.size+2, tt.size+2))
				if err == nil {
					t.Fatalf("nothing failed: %v", report)
				}
				after, _ := s.recorded(t, state, campaign)
				if in, unknown := states(after); tt.doubt == (unknown == 0) || !tt.doubt && in != len(before) {
					t.Errorf("the ledger has %d in and %d unknown: %v", in, unknown, report)
				}
				if !tt.doubt {
					return
				}
				// Both are wanted back, so that whichever was not removed is the one to be repeated.
				mustSync(t, syncer, cohort.Identifiers(identifiers(identity.ExternalID(user(1)), crm.ID())))
				if got := s.members(); len(got) != 1 || got[0] != user(1) {
					t.Errorf("members %v, want the person", got)
				}
			})
		})
	}
}

// profileOf returns the Braze ID of a user.
func profileOf(t *testing.T, s *stage, externalID string) string {
	t.Helper()
	p, ok := s.workspace.ProfileByExternalID(externalID)
	if !ok {
		t.Fatal("no such profile")
	}
	return p.BrazeID
}
