package cohort_test

import (
	"errors"
	"iter"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// TestSyncInvalid shows that whatever is wrong with what a caller says is found before a source is read, before any request, and before the ledger is
// written to, by an error that names the field and says what to do.
func TestSyncInvalid(t *testing.T) {
	t.Parallel()
	option := func(o cohort.SyncerOption) func(*testing.T, *stage, *cohort.Syncer) error {
		return func(t *testing.T, s *stage, _ *cohort.Syncer) error {
			t.Helper()
			syncer, err := cohort.NewSyncer(s.importer(t), newLedger(t), o)
			if (syncer == nil) != (err != nil) {
				t.Errorf("NewSyncer returned %v and %v", syncer, err)
			}
			return err
		}
	}
	sync := func(c cohort.Cohort, a cohort.Audience, opts ...cohort.RunOption) func(*testing.T, *stage, *cohort.Syncer) error {
		return func(t *testing.T, _ *stage, syncer *cohort.Syncer) error {
			t.Helper()
			report, err := syncer.Sync(t.Context(), c, a, opts...)
			if report.CohortID != c.ID || report.Rows.Read != 0 {
				t.Errorf("report %v", report)
			}
			_, planErr := syncer.Plan(t.Context(), c, a, opts...)
			_, allErr := syncer.SyncAll(t.Context(), []cohort.Job{{Cohort: c, Audience: a}}, opts...)
			_, rebuildErr := syncer.Rebuild(t.Context(), "camp-0", c, a, opts...)
			for name, other := range map[string]error{"Plan": planErr, "SyncAll": allErr, "Rebuild": rebuildErr} {
				if other == nil || !strings.Contains(other.Error(), err.Error()) && !strings.Contains(err.Error(), other.Error()) {
					t.Errorf("%s: error %v, Sync: %v", name, other, err)
				}
			}
			return err
		}
	}
	run := func(f func(*testing.T, *cohort.Syncer) error) func(*testing.T, *stage, *cohort.Syncer) error {
		return func(t *testing.T, _ *stage, syncer *cohort.Syncer) error { t.Helper(); return f(t, syncer) }
	}
	never := cohort.Identifiers(func(func(identity.ID, error) bool) { t.Error("the source was read") })
	at := time.Date(2025, 3, 2, 8, 15, 0, 0, time.UTC)
	tests := []struct {
		name string
		do   func(*testing.T, *stage, *cohort.Syncer) error
		want []string
		as   func(error) bool
	}{
		{"syncer: no importer", func(t *testing.T, _ *stage, _ *cohort.Syncer) error {
			t.Helper()
			_, err := cohort.NewSyncer(nil, newLedger(t))
			return err
		}, []string{"importer", "nil", "NewImporter"}, is[*cohort.InvalidError]},
		{"syncer: no ledger", func(t *testing.T, s *stage, _ *cohort.Syncer) error {
			t.Helper()
			_, err := cohort.NewSyncer(s.importer(t), nil)
			return err
		}, []string{"ledger", "nil", "open one"}, is[*cohort.InvalidError]},
		{"option: nil", option(nil), []string{"option", "nil"}, is[*cohort.InvalidError]},
		{"option: a share below 0", option(cohort.WithRemovalGuard(-0.1, 0)), []string{"WithRemovalGuard", "share", "-0.1", "0 to 1"}, is[*cohort.InvalidError]},
		{"option: a share above 1", option(cohort.WithRemovalGuard(1.1, 0)), []string{"WithRemovalGuard", "share", "1.1"}, is[*cohort.InvalidError]},
		{"option: a share that is no number", option(cohort.WithRemovalGuard(math.NaN(), 0)), []string{"WithRemovalGuard", "NaN"}, is[*cohort.InvalidError]},
		{"option: a negative count", option(cohort.WithRemovalGuard(0.5, -1)), []string{"WithRemovalGuard", "count", "-1"}, is[*cohort.InvalidError]},
		{"option: no suppression", option(cohort.WithSuppression(nil)), []string{"WithSuppression", "leave the option out"}, is[*cohort.InvalidError]},
		{"option: an empty partner name", option(cohort.WithPartnerName("")), []string{"WithPartnerName", "must not be empty", "dashboard"}, is[*cohort.InvalidError]},
		{"option: none at a time", option(cohort.WithParallel(0)), []string{"WithParallel", "out of range: 0", "1 to 64"}, is[*cohort.InvalidError]},
		{"option: too many at a time", option(cohort.WithParallel(65)), []string{"WithParallel", "65"}, is[*cohort.InvalidError]},

		{"sync: empty id", sync(cohort.Cohort{Name: "Spring sale"}, never), []string{"cohort id", "must not be empty"}, is[*cohort.InvalidError]},
		{"sync: reserved id", sync(cohort.Cohort{ID: cohort.CheckCohortID, Name: "Spring sale"}, never), []string{"cohort id", "reserved"}, is[*cohort.InvalidError]},
		{"sync: no name", sync(cohort.Cohort{ID: campaign}, never), []string{"cohort name", "must not be empty"}, is[*cohort.InvalidError]},
		{"sync: year 10000", sync(cohort.Cohort{ID: campaign, Name: "Spring sale", CreatedAt: at.AddDate(9000, 0, 0)}, never), []string{"created-at", "year"}, is[*cohort.InvalidError]},
		{"sync: zero audience", sync(sale(), cohort.Audience{}), []string{"audience", "zero value", "People or Identifiers"}, is[*cohort.InvalidError]},
		{"sync: no identifiers", sync(sale(), cohort.Identifiers(nil)), []string{"identifiers", "nil", "Drain"}, is[*cohort.InvalidError]},
		{"sync: no people", sync(sale(), cohort.People(identity.Rules{}, nil)), []string{"people", "nil", "Drain"}, is[*cohort.InvalidError]},
		{
			"sync: bad rules",
			sync(sale(), cohort.People(identity.Rules{Order: []identity.Kind{99}}, func(func(identity.Person, error) bool) {})),
			[]string{"Order"}, is[*identity.RulesError],
		},
		{"sync: a nil run option", sync(sale(), never, nil), []string{"option", "nil"}, is[*cohort.InvalidError]},
		{"sync: a negative approval", sync(sale(), never, cohort.ApproveRemovals(-1)), []string{"ApproveRemovals", "-1"}, is[*cohort.InvalidError]},

		{"apply: no changes", run(func(t *testing.T, s *cohort.Syncer) error {
			t.Helper()
			_, err := s.Apply(t.Context(), campaign, nil)
			return err
		}), []string{"changes", "nil"}, is[*cohort.InvalidError]},
		{"apply: empty id", run(func(t *testing.T, s *cohort.Syncer) error {
			t.Helper()
			_, err := s.Apply(t.Context(), "", adds(1))
			return err
		}), []string{"cohort id"}, is[*cohort.InvalidError]},
		{"drain: empty id", run(func(t *testing.T, s *cohort.Syncer) error {
			t.Helper()
			_, err := s.Drain(t.Context(), "")
			return err
		}), []string{"cohort id"}, is[*cohort.InvalidError]},
		{"rebuild: one id", run(func(t *testing.T, s *cohort.Syncer) error {
			t.Helper()
			reports, err := s.Rebuild(t.Context(), campaign, sale(), never)
			if reports != nil {
				t.Errorf("reports %v", reports)
			}
			return err
		}), []string{"cohort id", "another id"}, is[*cohort.InvalidError]},
		{"rebuild: empty old id", run(func(t *testing.T, s *cohort.Syncer) error {
			t.Helper()
			_, err := s.Rebuild(t.Context(), "", sale(), never)
			return err
		}), []string{"cohort id"}, is[*cohort.InvalidError]},
		{"erase: nobody", run(func(t *testing.T, s *cohort.Syncer) error {
			t.Helper()
			_, err := s.Erase(t.Context(), nil)
			return err
		}), []string{"identifiers", "nil"}, is[*cohort.InvalidError]},
		{"erase: the list fails", run(func(t *testing.T, s *cohort.Syncer) error {
			t.Helper()
			_, err := s.Erase(t.Context(), iter.Seq2[identity.ID, error](func(yield func(identity.ID, error) bool) { yield(identity.ID{}, errSource) }))
			return err
		}), []string{"row 1"}, func(err error) bool { return is[*cohort.RowError](err) && errors.Is(err, errSource) }},
	}
	for _, share := range []float64{0, -1, 1.01, math.NaN(), math.Inf(1)} {
		tests = append(tests, struct {
			name string
			do   func(*testing.T, *stage, *cohort.Syncer) error
			want []string
			as   func(error) bool
		}{"reassert: a bad share", run(func(t *testing.T, s *cohort.Syncer) error {
			t.Helper()
			_, err := s.Reassert(t.Context(), campaign, cohort.Share(share))
			return err
		}), nil, is[*cohort.InvalidError]})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				state := newLedger(t)
				err := tt.do(t, s, s.syncer(t, state))
				if err == nil || !tt.as(err) {
					t.Fatalf("error %v of type %T is not of the type promised", err, err)
				}
				for _, want := range tt.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("error %q does not say %q", err, want)
					}
				}
				for e, err := range state.Entries(t.Context()) {
					t.Errorf("the ledger has %v, %v", e.Key, err)
				}
				if s.posts() != 0 {
					t.Errorf("%d requests were made, want none", s.posts())
				}
			})
		})
	}
}

// TestSyncerKey shows what a Syncer keeps a cohort under, and that a workspace which no ledger can keep is found at once.
func TestSyncerKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		state := newLedger(t)
		mustSync(t, s.syncer(t, state), users(1, 1))
		var got []ledger.Key
		for e, err := range state.Entries(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Key)
		}
		want := ledger.Key{Endpoint: "https://rest.fra-01.braze.eu", Partner: "tinyclues", Workspace: "acme", CohortID: campaign}
		if len(got) != 1 || got[0] != want {
			t.Errorf("keys %v, want %v", got, want)
		}
	})
}
