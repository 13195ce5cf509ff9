//go:build postgres

package postgres_test

import (
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/examples/postgres"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// world is a fake workspace, and a Syncer for each machine that exports to it.
type world struct {
	braze     *brazetest.Server
	partner   *brazetest.Partner
	workspace *brazetest.Workspace
	key       keys.ImportKey
}

func newWorld(tb testing.TB, users int) *world {
	tb.Helper()
	braze, err := brazetest.Start()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = braze.Close() })
	w := &world{braze: braze, partner: braze.AddPartner("tinyclues", "Tinyclues"), workspace: braze.AddWorkspace("acme")}
	w.workspace.Enable(w.partner)
	for i := range users {
		if _, err := w.workspace.AddProfile(brazetest.Profile{ExternalID: userName(i)}); err != nil {
			tb.Fatal(err)
		}
	}
	w.key = w.workspace.GenerateKey(w.partner)
	return w
}

func userName(i int) string { return fmt.Sprintf("u-%04d", i) }

func (w *world) syncer(tb testing.TB, l ledger.Ledger) *cohort.Syncer {
	tb.Helper()
	endpoint, err := transport.ParseEndpoint("EU-01")
	if err != nil {
		tb.Fatal(err)
	}
	client, err := transport.New(endpoint, transport.WithHTTPClient(w.braze.Client()))
	if err != nil {
		tb.Fatal(err)
	}
	importer, err := cohort.NewImporter(client, "acme", keys.Credentials{Partner: "tinyclues", PartnerKey: w.partner.Key("EU-01"), ImportKey: w.key})
	if err != nil {
		tb.Fatal(err)
	}
	syncer, err := cohort.NewSyncer(importer, l)
	if err != nil {
		tb.Fatal(err)
	}
	return syncer
}

// members are those of the cohort in the workspace.
func (w *world) members(tb testing.TB) []string {
	tb.Helper()
	c, ok := w.workspace.Cohort(w.partner, sale.ID)
	if !ok {
		tb.Fatal("the workspace has no such cohort")
	}
	return c.ExternalIDs()
}

var sale = cohort.Cohort{ID: "camp-481", Name: "Spring sale"}

func users(from, to int) iter.Seq2[identity.ID, error] {
	return func(yield func(identity.ID, error) bool) {
		for i := from; i < to; i++ {
			if !yield(identity.ExternalID(userName(i)), nil) {
				return
			}
		}
	}
}

func userNames(from, to int) []string {
	var names []string
	for i := from; i < to; i++ {
		names = append(names, userName(i))
	}
	return names
}

// TestSync exports one cohort from two machines in turn.
func TestSync(t *testing.T) {
	t.Parallel()
	schema := newSchema(t)
	here, there := newPool(t, schema), newPool(t, schema)
	if err := postgres.Migrate(t.Context(), here); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, 4000)
	for i, step := range []struct {
		syncer                *cohort.Syncer
		from, to              int
		adds, removals, keeps int
	}{
		{w.syncer(t, newLedger(t, here)), 0, 3000, 3000, 0, 0},
		{w.syncer(t, newLedger(t, there)), 500, 3500, 500, 500, 2500},
		{w.syncer(t, newLedger(t, here)), 500, 3500, 0, 0, 3000},
	} {
		report, err := step.syncer.Sync(t.Context(), sale, cohort.Identifiers(users(step.from, step.to)))
		if err != nil {
			t.Fatal(err)
		}
		if report.Adds.Accepted != step.adds || report.Removals.Accepted != step.removals || report.Rows.Kept != step.keeps {
			t.Errorf("step %d: %v, want %d adds, %d removals, %d kept", i, report, step.adds, step.removals, step.keeps)
		}
		if diff := cmp.Diff(userNames(step.from, step.to), w.members(t)); diff != "" {
			t.Errorf("step %d: members (-want +got):\n%s", i, diff)
		}
	}
	reports, err := w.syncer(t, newLedger(t, there)).Erase(t.Context(), users(600, 601))
	if err != nil || len(reports) != 1 {
		t.Fatalf("Erase = %v, %v", reports, err)
	}
	var left int
	if err := here.QueryRow(t.Context(), "SELECT count(*) FROM cohortkit_member WHERE id = $1", []byte("e:"+userName(600))).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows of somebody erased; %v", left, err)
	}
}

// TestSyncLosesLease has another session take the entry over while requests are under way: nothing more is sent.
func TestSyncLosesLease(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	l := newLedger(t, pool)
	w := newWorld(t, 10)
	var next ledger.Session
	_, err := w.syncer(t, l).Sync(t.Context(), sale, cohort.Identifiers(func(yield func(identity.ID, error) bool) {
		for id, err := range users(0, 10) {
			if !yield(id, err) {
				return
			}
		}
		if err := expire(t.Context(), pool, key(sale.ID)); err != nil {
			t.Error(err)
		}
		next = open(t, l, key(sale.ID))
	}))
	if !errors.Is(err, ledger.ErrLeaseLost) {
		t.Errorf("Sync = %v, want ErrLeaseLost", err)
	}
	if n := w.workspace.CohortSize(w.partner, sale.ID); n != 0 {
		t.Errorf("%d members were sent without a record", n)
	}
	if got := states(t, next); len(got) != 0 {
		t.Errorf("the lost session recorded %d members", len(got))
	}
}

// TestStream has a stream end on one machine and go on, with events that come late, on another.
func TestStream(t *testing.T) {
	t.Parallel()
	schema := newSchema(t)
	here, there := newPool(t, schema), newPool(t, schema)
	if err := postgres.Migrate(t.Context(), here); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, 2000)
	now := time.Now()
	run := func(l ledger.Ledger, event func(i int) cohort.Event) (late int) {
		stream, err := w.syncer(t, l).Stream(t.Context(), sale)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2000 {
			switch err := stream.Send(t.Context(), event(i)); {
			case errors.Is(err, cohort.ErrLate):
				late++
			case err != nil:
				t.Fatal(err)
			}
		}
		if left, err := stream.Close(t.Context()); err != nil || len(left) > 0 {
			t.Fatalf("Close = %d left, %v", len(left), err)
		}
		return late
	}
	if late := run(newLedger(t, here), func(i int) cohort.Event {
		return cohort.Event{ID: identity.ExternalID(userName(i)), At: now, Direction: cohort.Enter}
	}); late != 0 {
		t.Errorf("%d events of the first stream are late", late)
	}
	// One half leaves, and of the other half an old event says so, which comes too late.
	late := run(newLedger(t, there), func(i int) cohort.Event {
		e := cohort.Event{ID: identity.ExternalID(userName(i)), At: now.Add(time.Second), Direction: cohort.Leave}
		if i >= 1000 {
			e.At = now.Add(-time.Second)
		}
		return e
	})
	if late != 1000 {
		t.Errorf("%d events are late, want 1000", late)
	}
	if diff := cmp.Diff(userNames(1000, 2000), w.members(t)); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}
