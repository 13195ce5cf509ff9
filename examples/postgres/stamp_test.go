//go:build postgres

package postgres_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// keeper opens an entry as a stream does.
func keeper(t *testing.T, l ledger.Ledger) (ledger.Session, ledger.Timekeeper) {
	t.Helper()
	s := open(t, l, key("a"))
	k, ok := s.(ledger.Timekeeper)
	if !ok {
		t.Fatal("the session is no Timekeeper")
	}
	return s, k
}

// stamp is one of a member who is told by a number.
func stamp(member byte, at int64) ledger.Stamp {
	return ledger.Stamp{Member: [16]byte{member}, At: at}
}

func beginStamped(ctx context.Context, t *testing.T, k ledger.Timekeeper, watermark int64, stamps ...ledger.Stamp) ledger.Intent {
	t.Helper()
	intent, err := k.BeginStamped(ctx, nil, nil, stamps, watermark)
	if err != nil {
		t.Fatal(err)
	}
	return intent
}

func settle(t *testing.T, s ledger.Session, intent ledger.Intent, outcome ledger.Outcome) {
	t.Helper()
	if err := s.Settle(intent, outcome); err != nil {
		t.Fatal(err)
	}
}

func wantStamps(t *testing.T, k ledger.Timekeeper, want ...ledger.Stamp) {
	t.Helper()
	_, got, err := k.Stamps(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b ledger.Stamp) int { return int(a.Member[0]) - int(b.Member[0]) })
	if diff := cmp.Diff(append([]ledger.Stamp{}, want...), append([]ledger.Stamp{}, got...)); diff != "" {
		t.Errorf("stamps (-want +got):\n%s", diff)
	}
}

// TestTidy has it keep what an open intent may uncover, and nothing besides the newest otherwise.
func TestTidy(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	s, k := keeper(t, newLedger(t, pool))
	rows := func(when string, want int) {
		t.Helper()
		var n int
		if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM cohortkit_stamp").Scan(&n); err != nil || n != want {
			t.Errorf("%d rows %s, want %d; %v", n, when, want, err)
		}
	}
	sure := func(member byte, at int64) ledger.Stamp {
		stamp := stamp(member, at)
		stamp.Sure = true
		return stamp
	}
	tidy := func() {
		t.Helper()
		if err := k.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []int64{5, 10} {
		settle(t, s, beginStamped(t.Context(), t, k, 0, stamp(1, at), stamp(2, at+10)), ledger.Accepted)
	}
	under := beginStamped(t.Context(), t, k, 0, stamp(1, 30))
	tidy()
	rows("with an open intent", 3)
	settle(t, s, under, ledger.Refused)
	wantStamps(t, k, sure(1, 10), sure(2, 20))
	settle(t, s, beginStamped(t.Context(), t, k, 15), ledger.Accepted)
	tidy()
	rows("above the watermark", 1)
	wantStamps(t, k, sure(2, 20))
	settle(t, s, beginStamped(t.Context(), t, k, 20), ledger.Accepted)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rows("after Close", 0)
}

// TestSure has each event sent three times, of which one is acknowledged.
func TestSure(t *testing.T) {
	t.Parallel()
	s, k := keeper(t, newLedger(t, migrated(t)))
	var stamps, want []ledger.Stamp
	for member := range byte(100) {
		stamps = append(stamps, stamp(member, 7))
		want = append(want, ledger.Stamp{Member: [16]byte{member}, At: 7, Sure: true})
	}
	for _, outcome := range []ledger.Outcome{ledger.Lost, ledger.Accepted, ledger.Lost} {
		settle(t, s, beginStamped(t.Context(), t, k, 0, stamps...), outcome)
	}
	wantStamps(t, k, want...)
}

// TestStampsOfSessions has two sessions give out the same numbers.
func TestStampsOfSessions(t *testing.T) {
	t.Parallel()
	l := newLedger(t, migrated(t))
	s, k := keeper(t, l)
	first := beginStamped(t.Context(), t, k, 0, stamp(1, 5))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, k = keeper(t, l)
	second := beginStamped(t.Context(), t, k, 0, stamp(2, 5))
	settle(t, s, second, ledger.Refused)
	third := beginStamped(t.Context(), t, k, 0, stamp(3, 5))
	settle(t, s, third, ledger.Accepted)
	wantStamps(t, k, stamp(1, 5), ledger.Stamp{Member: [16]byte{3}, At: 5, Sure: true})
	if first != second {
		t.Errorf("intents %d and %d of two sessions, want one number", first, second)
	}
}

// TestStampsOfNobody has somebody lose patience before the stamps are written: the intent never leaves.
func TestStampsOfNobody(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	_, k := keeper(t, newLedger(t, pool))
	commit := lockEntries(t, pool, "SELECT FROM cohortkit_entry FOR UPDATE")
	first := make(chan error, 1)
	go func() {
		_, err := k.BeginStamped(t.Context(), nil, nil, []ledger.Stamp{stamp(1, 5)}, 0)
		first <- err
	}()
	await(t, pool, blocked)
	if _, err := k.BeginStamped(&impatient{Context: t.Context()}, nil, nil, []ledger.Stamp{stamp(2, 5)}, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("BeginStamped = %v, want context.Canceled", err)
	}
	commit()
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	wantStamps(t, k, stamp(1, 5))
}
