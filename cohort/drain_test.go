package cohort_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// TestDrain empties a cohort, those in doubt too, retires it, and keeps it so.
func TestDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.people(t, 2600)
		state := newLedger(t)
		syncer := newSyncer(t, s.importer(t), state) // its guard does not count here
		mustSync(t, syncer, users(1, 2500))
		lost := s.server.Inject(brazetest.Users(), brazetest.AppliedThenLost()).Always()
		if report, err := syncTo(t, syncer, users(1, 2501)); err == nil {
			t.Errorf("nothing was lost: %v", report)
		}
		lost.Remove()

		refused := s.server.Inject(brazetest.Users().Nth(2), brazetest.Status(http.StatusBadRequest))
		report, err := syncer.Drain(t.Context(), campaign)
		checkSyncSums(t, report)
		if err == nil || report.Removals.Total() != 2501 || refused.Fired() != 1 {
			t.Errorf("want a refusal: %v, %v", report, err)
		}
		if _, header := s.recorded(t, state, campaign); header.Retired {
			t.Error("retired, though not all removals were accepted")
		}
		report, err = syncer.Drain(t.Context(), campaign)
		checkSyncSums(t, report)
		if err != nil || report.Name != "Spring sale" || report.Removals.Accepted != report.Removals.Total() || len(s.members()) != 0 {
			t.Errorf("want everybody out: %v, %v", report, err)
		}
		posts := s.posts()
		if report, err := syncer.Drain(t.Context(), campaign); err != nil || report.Requests != 0 {
			t.Errorf("draining again: %v, %v", report, err)
		}
		calls := everyCall(syncer)
		for _, name := range []string{"Sync", "Plan", "Apply", "Reassert", "PlanReassert", "SyncAll"} {
			if err := calls[name](t.Context()); !errors.Is(err, cohort.ErrRetired) || !strings.Contains(err.Error(), "another id") {
				t.Errorf("%s: error %v, want ErrRetired", name, err)
			}
		}
		if s.posts() != posts {
			t.Error("something was sent to a drained cohort")
		}
	})
}

// TestUnrecorded shows that a cohort that the ledger does not know is not taken for an empty one.
func TestUnrecorded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		state := newLedger(t)
		calls := everyCall(s.syncer(t, state))
		for _, name := range []string{"Drain", "Rebuild", "Reassert", "PlanReassert", "EstimateMatches", "PlanEstimate"} {
			if err := calls[name](t.Context()); !errors.Is(err, cohort.ErrUnrecorded) {
				t.Errorf("%s: error %v, want ErrUnrecorded", name, err)
			}
		}
		for e, err := range state.Entries(t.Context()) {
			t.Errorf("the ledger has %v, %v", e.Key, err)
		}
		if s.posts() != 0 {
			t.Error("something was sent")
		}
	})
}

// TestRebuild fills a new cohort and drains the old one, but not if the new one is not as it should be.
func TestRebuild(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.people(t, 1500)
		state := newLedger(t)
		syncer := s.syncer(t, state)
		mustSync(t, syncer, users(1, 1200))
		fresh := cohort.Cohort{ID: "camp-500", Name: "Spring sale, rebuilt"}
		size := func(id string) int { return s.workspace.CohortSize(s.partner, id) }

		s.server.Inject(brazetest.Users().Cohort(fresh.ID).Nth(2), brazetest.Status(http.StatusBadRequest))
		reports, err := syncer.Rebuild(t.Context(), campaign, fresh, users(100, 1500))
		if err == nil || len(reports) != 1 || reports[0].CohortID != fresh.ID || size(campaign) != 1200 {
			t.Errorf("want the old one as it was: %v, %v", reports, err)
		}
		checkSyncSums(t, reports[0])
		s.server.Inject(brazetest.Users().Cohort(campaign), brazetest.Status(http.StatusBadRequest))
		reports, err = syncer.Rebuild(t.Context(), campaign, fresh, users(100, 1500))
		if err == nil || len(reports) != 2 || size(fresh.ID) != 1401 {
			t.Errorf("want the new one filled: %v, %v", reports, err)
		}
		for range 2 {
			reports, err = syncer.Rebuild(t.Context(), campaign, fresh, users(100, 1500))
			if err != nil || len(reports) != 2 || reports[1].CohortID != campaign || size(campaign) != 0 || size(fresh.ID) != 1401 {
				t.Errorf("want the old one drained: %v, %v", reports, err)
			}
			for _, r := range reports {
				checkSyncSums(t, r)
			}
		}
		if reports[0].Requests+reports[1].Requests != 0 {
			t.Errorf("rebuilt again: %v", reports)
		}
	})
}

// TestReassertNeverMatched shows how whoever signs up after they were first sent becomes a member.
func TestReassertNeverMatched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.people(t, 1500)
		syncer := s.syncer(t, newLedger(t))
		begin := time.Now()
		mustSync(t, syncer, users(1, 1501))
		if report, err := syncer.Reassert(t.Context(), campaign, cohort.LastSentBefore(begin)); err != nil || report.Requests != 0 {
			t.Errorf("want nothing sent that was sent in this minute: %v, %v", report, err)
		}
		if _, err := s.workspace.AddProfile(brazetest.Profile{ExternalID: user(1501)}); err != nil {
			t.Fatal(err)
		}
		if report := mustSync(t, syncer, users(1, 1501)); report.Requests != 0 || len(s.members()) != 1500 {
			t.Errorf("want nothing sent: %v", report)
		}
		time.Sleep(24 * time.Hour)
		posts := s.posts()
		plan, err := syncer.PlanReassert(t.Context(), campaign, cohort.LastSentBefore(time.Now()))
		want := cohort.Plan{
			CohortID: campaign, Name: "Spring sale", Members: 1501, Repeats: 1501, Requests: 2, Rows: cohort.Rows{Read: 1501, Added: 1501},
		}
		if diff := cmp.Diff(want, plan); err != nil || diff != "" || plan.DataPoints() != 1501 || s.posts() != posts {
			t.Errorf("plan, %v (-want +got):\n%s", err, diff)
		}
		report, err := syncer.Reassert(t.Context(), campaign, cohort.LastSentBefore(time.Now()))
		checkSyncSums(t, report)
		if err != nil || report.Adds.Accepted != 1501 || report.Requests != 2 || report.DataPoints() != plan.DataPoints() || len(s.members()) != 1501 {
			t.Errorf("want everybody in: %v, %v", report, err)
		}
		if report, err := syncer.Reassert(t.Context(), campaign, cohort.LastSentBefore(time.Now())); err != nil || report.Requests != 0 || report.Rows.Kept != 1501 {
			t.Errorf("want nothing sent again: %v, %v", report, err)
		}
	})
}

// TestReassertShare sends a share every day. Each member is sent once before any is sent twice, people on the do-not-send list are not sent, and those
// in doubt always are.
func TestReassertShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.people(t, 3001)
		state := newLedger(t)
		listed := false
		syncer := s.syncer(t, state, cohort.WithSuppression(func(id identity.ID) bool { return listed && id.Value() == user(7) }))
		mustSync(t, syncer, users(1, 3000))
		listed = true
		sent := 0
		days := 0
		for ; days < 29; days++ { // 9 of 256 slices a day
			time.Sleep(24 * time.Hour)
			report, err := syncer.Reassert(t.Context(), campaign, cohort.Share(1.0/30))
			checkSyncSums(t, report)
			if err != nil || report.Rows.Suppressed != 1 || report.Rows.Read != 3000 {
				t.Fatalf("%v, %v", report, err)
			}
			if n := report.Adds.Accepted; n < 50 || n > 170 {
				t.Errorf("day %d: %d sent", days, n)
			}
			sent += report.Adds.Accepted
			if days == 27 && sent > 2999 {
				t.Errorf("%d sent in 28 days: somebody was sent twice", sent)
			}
		}
		if sent < 2999 {
			t.Errorf("%d sent in %d days: somebody was left out", sent, days)
		}
		_, header := s.recorded(t, state, campaign)
		if slices.Contains(header.Sent[:], 0) {
			t.Error("some slice was never sent")
		}

		// In doubt: left to the next sync. Refused: everybody is what they were.
		mustSync(t, syncer, users(1, 3000)) // without u-7
		lost := s.server.Inject(brazetest.Users(), brazetest.DropConnection()).Always()
		if report, err := syncTo(t, syncer, users(1, 3001)); err == nil {
			t.Errorf("nothing was lost: %v", report)
		}
		lost.Remove()
		s.server.Inject(brazetest.Users(), brazetest.Status(http.StatusBadRequest))
		before, epochs := s.recorded(t, state, campaign)
		report, err := syncer.Reassert(t.Context(), campaign, cohort.Share(0.001))
		checkSyncSums(t, report)
		after, now := s.recorded(t, state, campaign)
		if err == nil || !cmp.Equal(before, after) || epochs.Sent != now.Sent || before["e:"+user(3001)] != ledger.Unknown {
			t.Errorf("refused, but something changed: %v, %v", report, err)
		}
		report, err = syncer.Reassert(t.Context(), campaign, cohort.Share(0.001))
		checkSyncSums(t, report)
		after, _ = s.recorded(t, state, campaign)
		if err != nil || report.Adds.Accepted > 30 || after["e:"+user(3001)] != ledger.Unknown || s.workspace.CohortSize(s.partner, campaign) != 2999 {
			t.Errorf("want whoever is in doubt left to the next sync: %v, %v", report, err)
		}
		mustSync(t, syncer, users(1, 3001))
		if got := s.workspace.CohortSize(s.partner, campaign); got != 3000 {
			t.Errorf("%d members after it, want 3000", got)
		}
	})
}

// TestErase takes people out of every cohort of the workspace, drained ones too, and out of the ledger, and goes on after a failure.
func TestErase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.people(t, 100)
		state := &purging{Ledger: newLedger(t), purged: map[string]int{}}
		syncer := newSyncer(t, s.importer(t), state, cohort.WithRemovalGuard(0, 0))
		for i, id := range []string{"a", "b", "c", "d"} {
			c := cohort.Cohort{ID: id, Name: "Cohort " + id}
			if _, err := syncer.Sync(t.Context(), c, users(1+10*i, 50)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := syncer.Drain(t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
		elsewhere, err := cohort.NewImporter(s.client(t), "bcme", s.credentials())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newSyncer(t, elsewhere, state).Sync(t.Context(), cohort.Cohort{ID: "z", Name: "Z"}, users(1, 50)); err != nil {
			t.Fatal(err)
		}
		s.server.Inject(brazetest.Users().Cohort("b"), brazetest.Status(http.StatusBadRequest))
		held, err := state.Open(t.Context(), s.key("d"))
		if err != nil {
			t.Fatal(err)
		}
		reports, err := syncer.Erase(t.Context(), userIDs(5, 15))
		if _, ok := errors.AsType[*ledger.HeldError](err); !ok || !strings.Contains(err.Error(), `"b"`) || strings.Contains(err.Error(), user(5)) {
			t.Errorf("error %v, want those of b and d", err)
		}
		var got []string
		for _, r := range reports {
			checkSyncSums(t, r)
			got = append(got, fmt.Sprintf("%s %v", r.CohortID, r.Removals))
		}
		want := []string{"a 11 accepted", "b 11 refused", "c 11 accepted"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("reports (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]int{"a": 1, "c": 1}, state.purged); diff != "" {
			t.Errorf("purged (-want +got):\n%s", diff)
		}
		if err := held.Close(); err != nil {
			t.Fatal(err)
		}
		reports, err = syncer.Erase(t.Context(), userIDs(5, 15))
		if err != nil || len(reports) != 4 {
			t.Errorf("again: %v, %v", reports, err)
		}
		for id, n := range map[string]int{"a": 39, "b": 35, "c": 0, "d": 20} {
			if got := s.workspace.CohortSize(s.partner, id); got != n {
				t.Errorf("%s has %d members, want %d", id, got, n)
			}
			members, _ := s.recorded(t, state, id)
			if len(members) != n || state.purged[id] == 0 {
				t.Errorf("the ledger has %d of %s, want %d", len(members), id, n)
			}
		}
		if got := s.workspace.CohortSize(s.partner, "z"); got != 50 {
			t.Errorf("%d members in the cohort of another workspace, want 50", got)
		}
		// A list that cannot be read to its end erases nobody.
		bad := func(yield func(identity.ID, error) bool) {
			_ = yield(identity.ExternalID(user(20)), nil) && yield(identity.ExternalID(""), nil)
		}
		posts := s.posts()
		if _, err := syncer.Erase(t.Context(), bad); !is[*cohort.RowError](err) || s.posts() != posts {
			t.Errorf("error %v, want a RowError", err)
		}
	})
}

// purging is a ledger whose sessions count how often they are purged.
type purging struct {
	ledger.Ledger
	mu     sync.Mutex
	purged map[string]int
}

func (p *purging) Open(ctx context.Context, key ledger.Key) (ledger.Session, error) {
	s, err := p.Ledger.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	return &purgingSession{s, p, key.CohortID}, nil
}

type purgingSession struct {
	ledger.Session
	of *purging
	id string
}

func (s *purgingSession) Purge(context.Context) error {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.of.purged[s.id]++
	return nil
}

// TestSyncAll runs several cohorts at a time. Reports are in the order of the jobs, one failure stops no other, and callbacks come one at a time.
func TestSyncAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.people(t, 100)
		s.server.Inject(brazetest.Users(), brazetest.Delay(time.Second)).Always()
		s.server.Inject(brazetest.Users().Cohort("camp-3"), brazetest.Status(http.StatusBadRequest))
		syncer := s.syncer(t, newLedger(t), cohort.WithParallel(3))
		rows := func(n int) cohort.Audience {
			return cohort.Identifiers(func(yield func(identity.ID, error) bool) {
				if !yield(identity.ID{}, nil) {
					return
				}
				userIDs(1, n)(yield)
			})
		}
		var jobs []cohort.Job
		for i := range 10 {
			jobs = append(jobs, cohort.Job{Cohort: cohort.Cohort{ID: fmt.Sprintf("camp-%d", i), Name: fmt.Sprintf("Campaign %d", i)}, Audience: rows(i + 1)})
		}
		jobs[6].Cohort.Name = ""
		jobs[8].Audience = cohort.Audience{}
		var inReject, inProgress bool // unguarded on purpose: the race detector looks too
		rejected, told := map[string]int{}, map[string]int{}
		reports, err := syncer.SyncAll(t.Context(), jobs, cohort.OnReject(func(r cohort.Rejection) {
			if inReject {
				t.Error("told of two rejections at once")
			}
			inReject = true
			rejected[r.CohortID]++
			time.Sleep(time.Millisecond)
			inReject = false
		}), cohort.OnProgress(func(p cohort.Progress) {
			if inProgress {
				t.Error("told of progress twice at once")
			}
			inProgress = true
			told[p.CohortID]++
			time.Sleep(time.Millisecond)
			inProgress = false
		}))
		if len(reports) != len(jobs) {
			t.Fatalf("%d reports", len(reports))
		}
		for i, r := range reports {
			checkSyncSums(t, r)
			failed := i == 3 || i == 6 || i == 8
			if r.CohortID != jobs[i].Cohort.ID || !failed && r.Adds.Accepted != i+1 {
				t.Errorf("report %d: %v", i, r)
			}
			if failed != strings.Contains(err.Error(), fmt.Sprintf("%q", r.CohortID)) {
				t.Errorf("the error does not name %s: %v", r.CohortID, err)
			}
			if begun := i != 6 && i != 8; (rejected[r.CohortID] == 1) != begun || (told[r.CohortID] == 1) != begun {
				t.Errorf("%s: %d rejections and %d times progress", r.CohortID, rejected[r.CohortID], told[r.CohortID])
			}
		}
		if reports, err := syncer.SyncAll(t.Context(), []cohort.Job{jobs[0], jobs[1], jobs[0]}); reports != nil || !is[*cohort.InvalidError](err) {
			t.Errorf("one cohort twice: %v, %v", reports, err)
		}
		if reports, err := syncer.SyncAll(t.Context(), nil); len(reports) != 0 || err != nil {
			t.Errorf("no jobs: %v, %v", reports, err)
		}
	})
}

// TestSyncProgress shows what is told while a run reads and while it sends.
func TestSyncProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		syncer := s.syncer(t, newLedger(t))
		mustSync(t, syncer, users(1, 2000))
		var heard []cohort.Progress
		report := mustSync(t, syncer, users(2001, 140_000), cohort.OnProgress(func(p cohort.Progress) { heard = append(heard, p) }))
		if len(heard) != 2+2+138 {
			t.Fatalf("told %d times", len(heard))
		}
		for i, p := range heard[:2] {
			if want := (cohort.Progress{CohortID: campaign, Rows: (i + 1) << 16}); p != want {
				t.Errorf("while reading (-want +got):\n%s", cmp.Diff(want, p))
			}
		}
		for i, p := range heard[3:] {
			if before := heard[i+2]; p.Accepted < before.Accepted || p.Changes != 140_000 || p.Rows != 138_000 || p.Rate <= 0 || (p.Left > 0) != (p.Accepted < p.Changes) {
				t.Errorf("%+v came after %+v", p, before)
			}
		}
		if last := heard[len(heard)-1]; last.Accepted != 140_000 || last.Requests != report.Requests {
			t.Errorf("the last progress %+v, report %v", last, report)
		}
		// Half way, the time left is about the time it took.
		half := heard[2+70]
		if took := time.Duration(float64(half.Accepted) / half.Rate * float64(time.Second)); half.Left < took*9/10 || half.Left > took*11/10 {
			t.Errorf("%v left after %v, half way", half.Left, took)
		}
	})
}
