package cohort_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// TestGuard shows when the guard holds removals back, and what an approval lets through.
func TestGuard(t *testing.T) {
	t.Parallel()
	guard := cohort.WithRemovalGuard
	tests := []struct {
		name          string
		guard         cohort.SyncerOption // nil for the default
		members, keep int
		approve       []cohort.RunOption
		held          bool
	}{
		{"default, below both", nil, 100, 80, nil, false},
		{"default, share alone", nil, 100, 50, nil, false},
		{"default, count alone", nil, 1000, 900, nil, false},
		{"default, at the share", nil, 400, 300, nil, false},
		{"default, over both", nil, 400, 299, nil, true},
		{"default, at the count", nil, 100, 50, nil, false},
		{"default, over the count", nil, 100, 49, nil, true},
		{"off", guard(1, 0), 100, 1, nil, false},
		{"nothing may go", guard(0, 0), 100, 99, nil, true},
		{"of a share alone", guard(0.5, 0), 10, 4, nil, true},
		{"of a count alone", guard(0, 5), 100, 94, nil, true},
		{"of a count alone, at it", guard(0, 5), 100, 95, nil, false},
		{"approved", nil, 100, 40, []cohort.RunOption{cohort.ApproveRemovals(60)}, false},
		{"approved, but too few", nil, 100, 40, []cohort.RunOption{cohort.ApproveRemovals(59)}, true},
		{"approved twice", nil, 100, 40, []cohort.RunOption{cohort.ApproveRemovals(1000), cohort.ApproveRemovals(59)}, true},
		{"approved twice, in the other order", nil, 100, 40, []cohort.RunOption{cohort.ApproveRemovals(59), cohort.ApproveRemovals(1000)}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.people(t, tt.members+1)
				var opts []cohort.SyncerOption
				if tt.guard != nil {
					opts = append(opts, tt.guard)
				}
				syncer := newSyncer(t, s.importer(t), newLedger(t), opts...)
				mustSync(t, syncer, users(2, tt.members+1))
				removals := tt.members - tt.keep
				wanted := users(1, tt.keep+1) // one comes, and the last ones go
				plan, err := syncer.Plan(t.Context(), sale(), wanted, tt.approve...)
				if err != nil {
					t.Fatal(err)
				}
				report, err := syncTo(t, syncer, wanted, tt.approve...)
				if !tt.held {
					if err != nil || plan.Held != 0 || report.Removals.Accepted != removals || len(s.members()) != tt.keep+1 {
						t.Errorf("want %d removed: %v, %v, %v", removals, plan, report, err)
					}
					return
				}
				held, ok := errors.AsType[*cohort.HeldRemovalsError](err)
				if want := (cohort.HeldRemovalsError{CohortID: campaign, Removals: removals, Members: tt.members}); !ok || *held != want || !errors.Is(err, cohort.ErrRemovalsHeld) {
					t.Fatalf("error %v, want %+v", err, want)
				}
				if !strings.Contains(err.Error(), fmt.Sprintf("ApproveRemovals(%d)", removals)) {
					t.Errorf("the error does not say what to do: %v", err)
				}
				if plan.Held != removals || report.Removals != (cohort.Tally{Held: removals}) || report.Adds != (cohort.Tally{Accepted: 1}) {
					t.Errorf("want the removals held and the addition sent: %v, %v", plan, report)
				}
				if got := len(s.members()); got != tt.members+1 {
					t.Errorf("%d members, want %d", got, tt.members+1)
				}
				// Again with the same source: nothing new.
				posts := s.posts()
				report, err = syncTo(t, syncer, wanted, tt.approve...)
				if !errors.Is(err, cohort.ErrRemovalsHeld) || s.posts() != posts || report.Removals.Held != removals || report.Adds != (cohort.Tally{Held: 1}) {
					t.Errorf("want nothing sent: %v, %v", report, err)
				}
				// Approved: the removals go, and what was added before them is added again.
				report, err = syncTo(t, syncer, wanted, cohort.ApproveRemovals(removals))
				if err != nil || report.Removals.Accepted != removals || report.Adds.Accepted != 1 || len(s.members()) != tt.keep+1 {
					t.Errorf("want the removals through: %v, %v", report, err)
				}
				if report := mustSync(t, syncer, wanted); report.Requests != 0 {
					t.Errorf("want nothing more: %v", report)
				}
			})
		})
	}
}

// TestGuardTwins has the guard hold the removal of an alias whose owner is wanted by external ID, as an addition and as a member. When the removal is
// approved in the end, both owners are in.
func TestGuardTwins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		alias := func(i int) identity.Alias { return identity.Alias{Label: "crm", Name: fmt.Sprintf("c-%d", i)} }
		for i := 1; i <= 10; i++ {
			if _, err := s.workspace.AddProfile(brazetest.Profile{ExternalID: user(i), Aliases: []brazetest.Alias{brazetest.Alias(alias(i))}}); err != nil {
				t.Fatal(err)
			}
		}
		syncer := newSyncer(t, s.importer(t), newLedger(t), cohort.WithRemovalGuard(0.1, 0))
		// All are members by alias, and u-2 by external ID, too.
		var first, second []identity.Person
		for i := 1; i <= 10; i++ {
			first = append(first, identity.Person{Aliases: []identity.Alias{alias(i)}})
		}
		first = append(first, identity.Person{ExternalID: user(2)})
		second = slices.Clone(first[2:10])
		second = append(second, identity.Person{ExternalID: user(1), Aliases: []identity.Alias{alias(1)}}, identity.Person{ExternalID: user(2), Aliases: []identity.Alias{alias(2)}})
		mustSync(t, syncer, audience(first...))

		report, err := syncTo(t, syncer, audience(second...))
		if !errors.Is(err, cohort.ErrRemovalsHeld) || report.Adds != (cohort.Tally{Accepted: 1, Held: 1}) || report.Removals != (cohort.Tally{Held: 2}) {
			t.Errorf("want the addition sent, the repetition and the removals held: %v, %v", report, err)
		}
		report, err = syncTo(t, syncer, audience(second...), cohort.ApproveRemovals(2))
		if err != nil || report.Adds != (cohort.Tally{Accepted: 2}) || report.Removals != (cohort.Tally{Accepted: 2}) {
			t.Errorf("want both repeated: %v, %v", report, err)
		}
		if got := s.workspace.CohortSize(s.partner, campaign); got != 10 {
			t.Errorf("%d members, want 10", got)
		}
		if report := mustSync(t, syncer, audience(second...)); report.Requests != 0 {
			t.Errorf("want nothing more: %v", report)
		}
	})
}

// TestGuardSuppressed shows that removals of people on the do-not-send list do not count, and go while others are held.
func TestGuardSuppressed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.people(t, 100)
		listed := map[identity.ID]bool{}
		syncer := newSyncer(t, s.importer(t), newLedger(t), cohort.WithRemovalGuard(0.25, 10),
			cohort.WithSuppression(func(id identity.ID) bool { return listed[id] }))
		mustSync(t, syncer, users(1, 100))
		for id, err := range userIDs(1, 40) {
			listed[id] = err == nil
		}
		report := mustSync(t, syncer, users(1, 95)) // 45 removals, 5 of which count
		if report.Removals.Accepted != 45 || report.Rows.Suppressed != 40 || len(s.members()) != 55 {
			t.Errorf("want 45 removed: %v", report)
		}
		for id, err := range userIDs(41, 45) {
			listed[id] = err == nil
		}
		report, err := syncTo(t, syncer, users(41, 70))
		if !errors.Is(err, cohort.ErrRemovalsHeld) || report.Removals != (cohort.Tally{Accepted: 5, Held: 25}) || len(s.members()) != 50 {
			t.Errorf("want 5 removed and 25 held: %v, %v", report, err)
		}
	})
}

// TestEmptySource shows that a source without anybody sends nothing unless that was approved.
func TestEmptySource(t *testing.T) {
	t.Parallel()
	nobody := users(1, 0)
	bad := cohort.Identifiers(func(yield func(identity.ID, error) bool) {
		_ = yield(identity.ExternalID(""), nil) && yield(identity.ExternalID(user(200)), nil)
	})
	tests := []struct {
		name     string
		members  int
		audience cohort.Audience
		approve  int // -1 for no approval
		empty    bool
	}{
		{"of a full cohort", 10, nobody, -1, true},
		{"of a new cohort", 0, nobody, -1, true},
		{"of a new cohort, approved", 0, nobody, 0, false},
		{"approved, but too few", 10, nobody, 9, true},
		{"approved", 10, nobody, 10, false},
		{"approved beyond", 100, nobody, 1000, false},
		{"all rejected or suppressed", 10, bad, -1, true},
		{"all rejected or suppressed, approved", 10, bad, 10, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.people(t, 100)
				syncer := newSyncer(t, s.importer(t), newLedger(t), cohort.WithSuppression(func(id identity.ID) bool { return id.Value() == user(200) }))
				if tt.members > 0 {
					mustSync(t, syncer, users(1, tt.members))
				}
				var opts []cohort.RunOption
				if tt.approve >= 0 {
					opts = append(opts, cohort.ApproveRemovals(tt.approve))
				}
				posts := s.posts()
				plan, err := syncer.Plan(t.Context(), sale(), tt.audience, opts...)
				if err != nil || plan.Empty != tt.empty || plan.Removals != tt.members {
					t.Errorf("plan %v, %v", plan, err)
				}
				report, err := syncTo(t, syncer, tt.audience, opts...)
				if !tt.empty {
					if err != nil || report.Removals.Accepted != tt.members || len(s.members()) != 0 {
						t.Errorf("want everybody out: %v, %v", report, err)
					}
					return
				}
				empty, ok := errors.AsType[*cohort.EmptySourceError](err)
				want := cohort.EmptySourceError{CohortID: campaign, Removals: tt.members}
				if !ok || !errors.Is(err, cohort.ErrEmptySource) || *empty != want {
					t.Fatalf("error %v, want %+v", err, want)
				}
				for _, next := range []string{"Drain", fmt.Sprintf("ApproveRemovals(%d)", tt.members)} {
					if !strings.Contains(err.Error(), next) {
						t.Errorf("the error does not say what to do: %v", err)
					}
				}
				if s.posts() != posts || report.Removals.Held != tt.members || len(s.members()) != tt.members {
					t.Errorf("something was sent: %v", report)
				}
			})
		})
	}
}

// TestGuardReassert sends everybody again while a removal is held. Who was added meanwhile stays in doubt, and so is in after the removal of a former
// identifier that nobody knows to be theirs.
func TestGuardReassert(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.people(t, 3)
		syncer := newSyncer(t, s.importer(t), newLedger(t), cohort.WithRemovalGuard(0, 0))
		mustSync(t, syncer, users(1, 3))
		if err := s.workspace.Rename(user(3), user(4)); err != nil {
			t.Fatal(err)
		}
		wanted := func() cohort.Audience {
			return cohort.Identifiers(func(yield func(identity.ID, error) bool) {
				_ = yield(identity.ExternalID(user(1)), nil) && yield(identity.ExternalID(user(2)), nil) && yield(identity.ExternalID(user(4)), nil)
			})
		}
		if report, err := syncTo(t, syncer, wanted()); !errors.Is(err, cohort.ErrRemovalsHeld) {
			t.Errorf("nothing is held: %v, %v", report, err)
		}
		report, err := syncer.Reassert(t.Context(), campaign, cohort.Share(1))
		checkSyncSums(t, report)
		if err != nil || report.Adds.Accepted != 3 {
			t.Errorf("want everybody sent who is not in doubt: %v, %v", report, err)
		}
		report = mustSync(t, syncer, wanted(), cohort.ApproveRemovals(1))
		if report.Adds.Accepted != 1 || !slices.Equal([]string{user(1), user(2), user(4)}, s.members()) {
			t.Errorf("members %v: %v", s.members(), report)
		}
	})
}
