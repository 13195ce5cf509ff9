//go:build postgres

package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/examples/postgres"
)

// TestHeaderOfNobody has somebody lose patience before a header is written, which it is all the same: the session tells what the next one finds.
func TestHeaderOfNobody(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	l := newLedger(t, pool)
	s := open(t, l, key("a"))
	commit := lockEntries(t, pool, "SELECT FROM cohortkit_entry FOR UPDATE")
	if err := s.SetHeader(&impatient{Context: t.Context()}, ledger.Header{Name: "Spring sale"}); !errors.Is(err, context.Canceled) {
		t.Errorf("SetHeader = %v, want context.Canceled", err)
	}
	commit()
	said := s.Header()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(open(t, l, key("a")).Header(), said); diff != "" {
		t.Errorf("what the session says of its header (-recorded +said):\n%s", diff)
	}
}

// TestBrokenConnection has the server end a connection in the middle of a write.
func TestBrokenConnection(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	l := newLedger(t, pool)
	s := open(t, l, key("a"))
	fill(t, s, "u-1")
	states(t, s) // writes what was settled
	commit := lockEntries(t, pool, "SELECT FROM cohortkit_entry FOR UPDATE")
	failed := make(chan error, 1)
	go func() {
		_, err := s.Begin(t.Context(), people(ledger.In, "u-1"), people(ledger.Out, "u-2", "u-3"))
		failed <- err
	}()
	await(t, pool, blocked)
	if _, err := pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE wait_event_type = 'Lock' AND query LIKE 'WITH fence%' AND application_name = current_setting('application_name')`); err != nil {
		t.Fatal(err)
	}
	err := <-failed
	commit()
	if broken, ok := errors.AsType[*postgres.DatabaseError](err); !ok || broken.Code != "57P01" {
		t.Errorf("Begin = %v, want a DatabaseError of code 57P01", err)
	}
	again := map[string]error{"Settle": s.Settle(1, ledger.Lost), "SetHeader": s.SetHeader(t.Context(), ledger.Header{})}
	_, again["Begin"] = s.Begin(t.Context(), nil, nil)
	_, again["Compare"] = s.Compare(t.Context(), func(func(ledger.Wanted, error) bool) {})
	for name, err := range again {
		if _, ok := errors.AsType[*postgres.DatabaseError](err); !ok {
			t.Errorf("%s after a failed Begin = %v, want its error", name, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close = %v: what was settled is durable", err)
	}
	if diff := cmp.Diff(map[string]ledger.State{"u-1": ledger.In}, states(t, open(t, l, key("a")))); diff != "" {
		t.Errorf("something is half recorded (-want +got):\n%s", diff)
	}
}

// TestUnreachable has the pool give up on a database that cannot be reached. Nobody's context has ended, and no error says so.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	config := migrated(t).Config()
	dial := config.ConnConfig.DialFunc
	var away atomic.Bool
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if !away.Load() {
			return dial(ctx, network, address)
		}
		return nil, context.DeadlineExceeded // as after connect_timeout
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s := open(t, newLedger(t, pool), key("a"))
	away.Store(true)
	pool.Reset()
	_, err = s.Begin(t.Context(), nil, people(ledger.Out, "u-1"))
	if broken, ok := errors.AsType[*postgres.DatabaseError](err); !ok || broken.Code != "" {
		t.Errorf("Begin = %v, want a DatabaseError without a code", err)
	}
}

// TestGroupedWrites has what many goroutines record meanwhile written together, in the order in which it happened.
func TestGroupedWrites(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	l := newLedger(t, pool)
	s := open(t, l, key("a"))
	fill(t, s, "leaves", "stays")
	leaving, err := s.Begin(t.Context(), people(ledger.In, "leaves"), nil)
	if err != nil {
		t.Fatal(err)
	}
	commit := lockEntries(t, pool, "SELECT FROM cohortkit_entry FOR UPDATE")
	first := make(chan error, 1)
	go func() {
		_, err := s.Begin(t.Context(), nil, people(ledger.Out, "first"))
		first <- err
	}()
	await(t, pool, blocked)
	// These wait behind the first: the member leaves, and is about to come back, which nobody has heard of yet.
	if err := s.Settle(leaving, ledger.Accepted); err != nil {
		t.Fatal(err)
	}
	back := make(chan error, 1)
	go func() {
		_, err := s.Begin(t.Context(), nil, people(ledger.Out, "leaves"))
		back <- err
	}()
	if _, err := s.Begin(&impatient{Context: t.Context()}, people(ledger.In, "stays"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Begin = %v, want context.Canceled", err)
	}
	commit()
	if err := errors.Join(<-first, <-back, s.Close()); err != nil {
		t.Fatal(err)
	}
	expect := map[string]ledger.State{"first": ledger.Unknown, "leaves": ledger.Unknown, "stays": ledger.In}
	if diff := cmp.Diff(expect, states(t, open(t, l, key("a")))); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

// impatient is a context that ends as soon as somebody waits for it.
type impatient struct {
	context.Context

	over bool
}

func (c *impatient) Done() <-chan struct{} {
	c.over = true
	done := make(chan struct{})
	close(done)
	return done
}

func (c *impatient) Err() error {
	if c.over {
		return context.Canceled
	}
	return nil
}

// TestOneConnection has everything go through one connection, as behind a small pgbouncer, the source of a comparison too.
func TestOneConnection(t *testing.T) {
	t.Parallel()
	schema := newSchema(t)
	config := newPool(t, schema).Config()
	config.MaxConns, config.ConnConfig.DefaultQueryExecMode = 1, pgx.QueryExecModeCacheDescribe // which prepares no statements
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	s := open(t, newLedger(t, pool), key("a"))
	d, err := s.Compare(t.Context(), func(yield func(ledger.Wanted, error) bool) {
		rows, err := pool.Query(t.Context(), "SELECT generate_series(1, 3)")
		if err != nil {
			_ = yield(ledger.Wanted{}, err)
			return
		}
		rows.Close()
		for _, m := range people(ledger.Out, "u-1", "u-2", "u-3") {
			if !yield(ledger.Wanted{ID: m.ID}, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for m, err := range d.Adds.Members {
		if err != nil {
			t.Fatal(err)
		}
		fill(t, s, m.ID.Value())
	}
	if got := states(t, s); len(got) != 3 {
		t.Errorf("%d members, want 3", len(got))
	}
}

// broken returns the error in which a part ends, if any.
func broken(p ledger.Part) (last error) {
	for _, err := range p.Members {
		last = err
	}
	return last
}

// TestTables looks for what sessions leave behind: nothing after Close, and after a session that was lost nothing once somebody else has opened the
// entry.
func TestTables(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	l := newLedger(t, pool)
	tables := func() (n int) {
		t.Helper()
		const query = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND pg_table_is_visible(oid) AND relname ~ '_1_[0-9]+$'"
		if err := pool.QueryRow(t.Context(), query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	sourceBroke := errors.New("the source broke")
	compare := func(s ledger.Session, end error) (*ledger.Difference, error) {
		return s.Compare(t.Context(), func(yield func(ledger.Wanted, error) bool) {
			_ = yield(ledger.Wanted{ID: people(ledger.Out, "u-1")[0].ID}, nil) && end != nil && yield(ledger.Wanted{}, end)
		})
	}
	s := open(t, l, key("a"))
	if _, err := compare(s, sourceBroke); !errors.Is(err, sourceBroke) {
		t.Errorf("Compare = %v", err)
	}
	d, err := compare(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := tables(); n != 1 {
		t.Errorf("%d tables after a comparison, want 1", n)
	}
	if err := expire(t.Context(), pool, key("a")); err != nil {
		t.Fatal(err)
	}
	next := open(t, l, key("a"))
	if n := tables(); n != 0 {
		t.Errorf("%d tables after a lost session, want 0", n)
	}
	if err := broken(d.Adds); !errors.Is(err, ledger.ErrLeaseLost) {
		t.Errorf("a part of a lost session = %v, want ErrLeaseLost", err)
	}
	if _, err := compare(next, nil); err != nil {
		t.Fatal(err)
	}
	keeper, ok := next.(ledger.Purger)
	if !ok {
		t.Fatal("the session is no Purger")
	}
	finish := lockEntries(t, pool, "SELECT FROM "+tableLike(t, pool, "cohortkit_changes_%")) // as somebody who reads it
	if err := keeper.Purge(t.Context()); err == nil {
		t.Error("Purge, while a table stays, says that nothing is left")
	}
	finish()
	if err := keeper.Purge(t.Context()); err != nil || tables() != 0 {
		t.Errorf("%d tables after Purge, want 0; %v", tables(), err)
	}
	if _, err := compare(next, nil); err != nil {
		t.Fatal(err)
	}
	if err := next.Close(); err != nil || tables() != 0 {
		t.Errorf("%d tables after Close, want 0; %v", tables(), err)
	}
}

// tableLike returns the name of the table of the test that fits a pattern.
func tableLike(t *testing.T, pool *pgxpool.Pool, pattern string) (name string) {
	t.Helper()
	const query = "SELECT relname FROM pg_class WHERE relkind = 'r' AND pg_table_is_visible(oid) AND relname LIKE $1"
	if err := pool.QueryRow(t.Context(), query, pattern).Scan(&name); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestRestart empties the tables of a comparison, as a server does that was killed and starts again. Nobody may be taken for unwanted then.
func TestRestart(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	s := open(t, newLedger(t, pool), key("a"))
	fill(t, s, "u-1", "u-2", "u-3")
	restart := func(pattern string) {
		t.Helper()
		if _, err := pool.Exec(t.Context(), "TRUNCATE "+tableLike(t, pool, pattern)); err != nil {
			t.Fatal(err)
		}
	}
	long := strings.Repeat("x", 3<<20) // more than waits to be brought over
	wanted := func(meanwhile func()) (*ledger.Difference, error) {
		return s.Compare(t.Context(), func(yield func(ledger.Wanted, error) bool) {
			for _, m := range people(ledger.Out, "u-1", "u-2", "u-3", long) {
				if !yield(ledger.Wanted{ID: m.ID}, nil) {
					return
				}
			}
			meanwhile()
		})
	}
	if _, err := wanted(func() { restart("cohortkit_wanted_%") }); !errors.Is(err, postgres.ErrComparisonLost) {
		t.Errorf("Compare = %v, want ErrComparisonLost", err)
	}
	d, err := wanted(func() {})
	if err != nil || d.Adds.Count != 1 || d.Removals.Count != 0 {
		t.Fatalf("Compare = %+v, %v", d, err)
	}
	restart("cohortkit_changes_%")
	if err := broken(d.Adds); !errors.Is(err, postgres.ErrComparisonLost) {
		t.Errorf("additions = %v, want ErrComparisonLost", err)
	}
}

// TestGoroutines is not parallel, so that no other test has sessions open.
//
//nolint:paralleltest // see above
func TestGoroutines(t *testing.T) {
	l := newLedger(t, migrated(t))
	running := func() int {
		var stacks bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
			t.Fatal(err)
		}
		return strings.Count(stacks.String(), "session).run(")
	}
	s := open(t, l, key("a"))
	if n := running(); n != 1 {
		t.Errorf("%d goroutines of an open session, want 1", n)
	}
	if err := s.Close(); err != nil || running() != 0 {
		t.Errorf("%d goroutines after Close, want 0; %v", running(), err)
	}
}

// TestSecrets has the database refuse a row, which it quotes in its message.
func TestSecrets(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	s := open(t, newLedger(t, pool), key("a"))
	if _, err := pool.Exec(t.Context(), "ALTER TABLE cohortkit_member ADD CHECK (length(id) < 8)"); err != nil {
		t.Fatal(err)
	}
	const secret = "jane@example.com"
	_, err := s.Begin(t.Context(), nil, people(ledger.Out, secret))
	if err == nil {
		t.Fatal("the row was taken")
	}
	for _, form := range []string{"%v", "%+v", "%#v", "%q"} {
		for at := err; at != nil; at = errors.Unwrap(at) {
			text := fmt.Sprintf(form, at)
			if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
				t.Errorf("%s shows an identifier: %s", form, text)
			}
		}
	}
	if !strings.Contains(err.Error(), "23514") {
		t.Errorf("the error has no code: %v", err)
	}
}

// TestDamaged has a row that no ledger wrote.
func TestDamaged(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	s := open(t, newLedger(t, pool), key("a"))
	fill(t, s, "u-1")
	states(t, s)
	if _, err := pool.Exec(t.Context(), "UPDATE cohortkit_member SET id = 'jane@example.com'"); err != nil {
		t.Fatal(err)
	}
	d, err := s.Compare(t.Context(), func(func(ledger.Wanted, error) bool) {})
	if err != nil {
		t.Fatal(err)
	}
	err = broken(d.Removals)
	if _, ok := errors.AsType[*ledger.DamagedError](err); !ok || strings.Contains(err.Error(), "jane") {
		t.Errorf("removals = %v, want a DamagedError that names nobody", err)
	}
}

// TestInvalid has arguments that cannot be used.
func TestInvalid(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	with := func(setting, value string) *postgres.Ledger {
		t.Helper()
		config := pool.Config()
		config.ConnConfig.RuntimeParams[setting] = value
		other, err := pgxpool.NewWithConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(other.Close)
		return newLedger(t, other)
	}
	fast, strict := with("synchronous_commit", "off"), with("default_transaction_isolation", "serializable")
	s := open(t, newLedger(t, pool), key("a"))
	for field, try := range map[string]func() error{
		"pool":             func() error { _, err := postgres.New(nil); return err },
		"option":           func() error { _, err := postgres.New(pool, nil); return err },
		"WithLease":        func() error { _, err := postgres.New(pool, postgres.WithLease(0)); return err },
		"header name":      func() error { return s.SetHeader(t.Context(), ledger.Header{Name: "a\x00"}) },
		"pool of a fast":   func() error { _, err := fast.Open(t.Context(), key("b")); return err },
		"pool of a strict": func() error { _, err := strict.Open(t.Context(), key("b")); return err },
	} {
		err := try()
		invalid, ok := errors.AsType[*ledger.InvalidError](err)
		if want, _, _ := strings.Cut(field, " of a"); !ok || invalid.Field != want || invalid.Next == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestLookUp is what the package's documentation says of looking somebody up.
func TestLookUp(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	s := open(t, newLedger(t, pool), key("a"))
	fill(t, s, "u-17", "u-18")
	states(t, s)
	var workspace, cohort string
	var state ledger.State
	err := pool.QueryRow(t.Context(), `SELECT e.workspace, e.cohort_id, m.state FROM cohortkit_member AS m JOIN cohortkit_entry AS e USING (entry)
		WHERE m.digest = encode(substring(sha256('e:u-17') FOR 16), 'hex')::uuid`).Scan(&workspace, &cohort, &state)
	if err != nil || workspace != "acme" || cohort != "a" || state != ledger.In {
		t.Errorf("%s, %s, %v; %v", workspace, cohort, state, err)
	}
}

// TestNotMigrated names the way out.
func TestNotMigrated(t *testing.T) {
	t.Parallel()
	_, err := newLedger(t, newPool(t, newSchema(t))).Open(t.Context(), key("a"))
	if err == nil || !strings.Contains(err.Error(), "run postgres.Migrate") {
		t.Errorf("Open without tables = %v", err)
	}
}

// childSchema names the variable that makes the test's program the process of TestKilledProcess.
const childSchema = "COHORTKIT_TEST_CHILD"

// child opens an entry, begins an intent and hangs.
func child(ctx context.Context, schema string) error {
	config, err := pgxpool.ParseConfig(database)
	if err != nil {
		return err
	}
	config.ConnConfig.RuntimeParams["search_path"] = schema
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	l, err := postgres.New(pool)
	if err != nil {
		return err
	}
	s, err := l.Open(ctx, key("a"))
	if err != nil {
		return err
	}
	if _, err := s.Begin(ctx, nil, people(ledger.Out, "u-1")); err != nil {
		return err
	}
	fmt.Println("begun")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// TestKilledProcess has another process die with an entry open and an intent under way.
func TestKilledProcess(t *testing.T) {
	t.Parallel()
	schema := newSchema(t)
	pool := newPool(t, schema)
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), childSchema+"="+schema, "COHORTKIT_POSTGRES_URL="+database)
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, len("begun"))
	if _, err := io.ReadFull(out, said); err != nil {
		t.Fatalf("the other process said %q: %v", said, err)
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	l := newLedger(t, pool)
	_, err = l.Open(t.Context(), key("a"))
	if held, ok := errors.AsType[*ledger.HeldError](err); !ok || !strings.HasPrefix(held.Holder, fmt.Sprintf("process %d on host ", other.Process.Pid)) {
		t.Errorf("Open = %v, want a HeldError that names the process", err)
	}
	if err := expire(t.Context(), pool, key("a")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]ledger.State{"u-1": ledger.Unknown}, states(t, open(t, l, key("a")))); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}
