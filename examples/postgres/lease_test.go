//go:build postgres

package postgres_test

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/examples/postgres"
)

func TestHolder(t *testing.T) {
	t.Parallel()
	schema := newSchema(t)
	first, second := newPool(t, schema), newPool(t, schema)
	if err := postgres.Migrate(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	s := open(t, newLedger(t, first), key("a"))
	_, err := newLedger(t, second).Open(t.Context(), key("a"))
	held, ok := errors.AsType[*ledger.HeldError](err)
	if !ok {
		t.Fatalf("Open of an entry that is held = %v", err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^process ` + strconv.Itoa(os.Getpid()) + ` on host ` + regexp.QuoteMeta(host) + ` since (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$`)
	if held.Key != key("a") || !form.MatchString(held.Holder) {
		t.Errorf("held by %q", held.Holder)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, newLedger(t, second), key("a")) // at once
}

// TestManyOpen has many try for one entry at once.
func TestManyOpen(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	l := newLedger(t, pool)
	const tries = 24
	var group sync.WaitGroup
	sessions, errs := make([]ledger.Session, tries), make([]error, tries)
	for i := range tries {
		group.Go(func() { sessions[i], errs[i] = l.Open(t.Context(), key("a")) })
	}
	group.Wait()
	opened := 0
	for i, s := range sessions {
		if s != nil {
			opened++
			s.Close()
		} else if _, held := errors.AsType[*ledger.HeldError](errs[i]); !held {
			t.Errorf("Open = %v, want a HeldError", errs[i])
		}
	}
	if opened != 1 {
		t.Errorf("%d sessions were opened, want 1", opened)
	}
}

// TestHeartbeat has a session that does nothing renew its lease, and one that cannot reach the database lose it.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	schema := newSchema(t)
	pool, watch := newPool(t, schema), newPool(t, schema)
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	s := open(t, newLedger(t, pool, postgres.WithLease(time.Second)), key("a"))
	await(t, watch, "SELECT expires > since + interval '1.3 seconds' FROM cohortkit_entry")
	var taken []*pgxpool.Conn
	for range pool.Config().MaxConns {
		conn, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, conn)
	}
	await(t, watch, "SELECT clock_timestamp() > expires FROM cohortkit_entry")
	fill(t, open(t, newLedger(t, watch), key("a")), "u-1")
	for _, conn := range taken {
		conn.Release()
	}
	if _, err := s.Begin(t.Context(), nil, people(ledger.Out, "u-2")); !errors.Is(err, ledger.ErrLeaseLost) {
		t.Errorf("Begin = %v, want ErrLeaseLost", err)
	}
}

// TestEpochs has the epoch go up whenever the lease changes hands, also to nobody, so that a late write of whoever had it is refused.
func TestEpochs(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	l := newLedger(t, pool)
	last := int64(0)
	higher := func(when string) {
		t.Helper()
		var epoch int64
		if err := pool.QueryRow(t.Context(), "SELECT epoch FROM cohortkit_entry").Scan(&epoch); err != nil {
			t.Fatal(err)
		}
		if epoch <= last {
			t.Errorf("epoch %d %s, want more than %d", epoch, when, last)
		}
		last = epoch
	}
	s := open(t, l, key("a"))
	higher("of a session")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	higher("of nobody")
	// A standby takes over that knows an older one.
	if _, err := pool.Exec(t.Context(), "UPDATE cohortkit_entry SET epoch = 1"); err != nil {
		t.Fatal(err)
	}
	open(t, l, key("a"))
	higher("after a failover")
	if err := expire(t.Context(), pool, key("a")); err != nil {
		t.Fatal(err)
	}
	open(t, l, key("a"))
	higher("of who takes over")
}

// TestExpired has a session outlive its lease: as long as nobody has taken over, it goes on.
func TestExpired(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	l := newLedger(t, pool)
	s := open(t, l, key("a"))
	fill(t, s, "u-1")
	if err := expire(t.Context(), pool, key("a")); err != nil {
		t.Fatal(err)
	}
	fill(t, s, "u-2") // renews it
	if _, err := l.Open(t.Context(), key("a")); err == nil {
		t.Error("a lease that was renewed could be taken over")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]ledger.State{"u-1": ledger.In, "u-2": ledger.In}, states(t, open(t, l, key("a")))); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

// TestLostWrites has a lost session come with every kind of write at once.
func TestLostWrites(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	l := newLedger(t, pool)
	old, k := keeper(t, l)
	fill(t, old, "leaves", "stays")
	leaving, err := old.Begin(t.Context(), people(ledger.In, "leaves"), nil)
	if err != nil {
		t.Fatal(err)
	}
	staying, err := old.Begin(t.Context(), people(ledger.In, "stays"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := expire(t.Context(), pool, key("a")); err != nil {
		t.Fatal(err)
	}
	next, nextKeeper := keeper(t, l)
	settle(t, old, leaving, ledger.Accepted)
	settle(t, old, staying, ledger.Refused)
	if _, err := k.BeginStamped(t.Context(), nil, people(ledger.Out, "comes"), []ledger.Stamp{stamp(1, 5)}, 3); !errors.Is(err, ledger.ErrLeaseLost) {
		t.Errorf("BeginStamped = %v, want ErrLeaseLost", err)
	}
	if err := old.Close(); !errors.Is(err, ledger.ErrLeaseLost) {
		t.Errorf("Close = %v, want ErrLeaseLost: what was settled is not recorded", err)
	}
	if diff := cmp.Diff(map[string]ledger.State{"leaves": ledger.Unknown, "stays": ledger.Unknown}, states(t, next)); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	wantStamps(t, nextKeeper)
	if watermark, _, err := nextKeeper.Stamps(t.Context()); err != nil || watermark != 0 {
		t.Errorf("watermark %d, %v, want 0", watermark, err)
	}
}

// TestSweepAfterTakeover has a session lose its lease just before it sweeps: the tables of its successor stay.
func TestSweepAfterTakeover(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	slow, sweeps := stopping(t, pool, "SELECT relname")
	compare := func(s ledger.Session) (*ledger.Difference, error) {
		return s.Compare(t.Context(), func(yield func(ledger.Wanted, error) bool) {
			yield(ledger.Wanted{ID: people(ledger.Out, "u-1")[0].ID}, nil)
		})
	}
	old := open(t, newLedger(t, slow), key("a"))
	sweeps.armed.Store(true)
	late := make(chan error, 1)
	go func() {
		_, err := compare(old)
		late <- err
	}()
	<-sweeps.at
	if err := expire(t.Context(), pool, key("a")); err != nil {
		t.Fatal(err)
	}
	next := open(t, newLedger(t, pool), key("a"))
	d, err := compare(next)
	if err != nil {
		t.Fatal(err)
	}
	close(sweeps.on)
	if err := <-late; err != nil {
		t.Logf("the late comparison: %v", err) // it may work: it records nothing
	}
	if err := broken(d.Adds); err != nil {
		t.Errorf("additions of the successor: %v", err)
	}
	fill(t, next, "u-1")
}

// stop has a statement wait, once it is armed, until on is closed.
type stop struct {
	within string // what the statement contains
	armed  atomic.Bool
	at, on chan struct{}
}

// stopping returns another pool like this one, which has such a statement wait.
func stopping(t *testing.T, pool *pgxpool.Pool, within string) (*pgxpool.Pool, *stop) {
	t.Helper()
	s := &stop{within: within, at: make(chan struct{}), on: make(chan struct{})}
	config := pool.Config()
	config.ConnConfig.Tracer = s
	slow, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(slow.Close)
	return slow, s
}

func (s *stop) wait(statement string) {
	if strings.Contains(statement, s.within) && s.armed.CompareAndSwap(true, false) {
		s.at <- struct{}{}
		<-s.on
	}
}

func (s *stop) TraceQueryStart(ctx context.Context, _ *pgx.Conn, query pgx.TraceQueryStartData) context.Context {
	s.wait(query.SQL)
	return ctx
}

func (s *stop) TraceBatchStart(ctx context.Context, _ *pgx.Conn, batch pgx.TraceBatchStartData) context.Context {
	for _, query := range batch.Batch.QueuedQueries {
		s.wait(query.SQL)
	}
	return ctx
}

func (*stop) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData)     {}
func (*stop) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*stop) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// TestWriteWhileTakenOver has each statement of the old session meet the takeover in the middle: whoever comes second waits for the first and then
// finds the truth.
func TestWriteWhileTakenOver(t *testing.T) {
	t.Parallel()
	for within, write := range map[string]func(context.Context, ledger.Session, ledger.Timekeeper) error{
		"begun": func(ctx context.Context, _ ledger.Session, k ledger.Timekeeper) error {
			_, err := k.BeginStamped(ctx, nil, people(ledger.Out, "comes"), []ledger.Stamp{stamp(3, 9)}, 7)
			return err
		},
		"cohortkit_header": func(ctx context.Context, s ledger.Session, _ ledger.Timekeeper) error {
			return s.SetHeader(ctx, ledger.Header{Name: "Spring sale"})
		},
		"covered": func(ctx context.Context, _ ledger.Session, k ledger.Timekeeper) error { return k.Tidy(ctx) },
	} {
		t.Run(within, func(t *testing.T) {
			t.Parallel()
			pool := migrated(t)
			slow, statement := stopping(t, pool, within)
			old, k := keeper(t, newLedger(t, slow))
			fill(t, old, "leaves", "stays")
			for _, at := range []int64{3, 4} {
				settle(t, old, beginStamped(t.Context(), t, k, 0, stamp(1, at)), ledger.Accepted)
			}
			leaving, err := k.BeginStamped(t.Context(), people(ledger.In, "leaves"), nil, []ledger.Stamp{stamp(1, 5)}, 0)
			if err != nil {
				t.Fatal(err)
			}
			staying, err := k.BeginStamped(t.Context(), people(ledger.In, "stays"), nil, []ledger.Stamp{stamp(2, 5)}, 0)
			if err != nil {
				t.Fatal(err)
			}
			if within == "begun" { // with which these are written, so that it changes rows in every way
				settle(t, old, leaving, ledger.Accepted)
				settle(t, old, staying, ledger.Refused)
			}
			statement.armed.Store(true)
			late := make(chan error, 1)
			go func() { late <- write(t.Context(), old, k) }()
			<-statement.at
			commit := lockEntries(t, pool, "UPDATE cohortkit_entry SET epoch = epoch + 1, generation = generation + 1") // as somebody who takes over
			close(statement.on)
			await(t, pool, blocked)
			before := tables(t, pool)
			commit()
			if err := <-late; !errors.Is(err, ledger.ErrLeaseLost) {
				t.Errorf("the write = %v, want ErrLeaseLost", err)
			}
			if diff := cmp.Diff(before, tables(t, pool)); diff != "" {
				t.Errorf("the late write changed rows (-before +after):\n%s", diff)
			}
		})
	}
}

// tables returns the rows that the sessions of a test have written.
func tables(t *testing.T, pool *pgxpool.Pool) map[string][]string {
	t.Helper()
	rows := map[string][]string{}
	for _, table := range []string{"header", "member", "stamp"} {
		found, err := pool.Query(t.Context(), "SELECT t::text FROM cohortkit_"+table+" AS t ORDER BY 1")
		if err != nil {
			t.Fatal(err)
		}
		if rows[table], err = pgx.CollectRows(found, pgx.RowTo[string]); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}
