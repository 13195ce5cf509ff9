package ledgertest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// store is a store of a ledger with the flaw.
func (f flaw) store(testing.TB) Store {
	b := newBent()
	f.bend(b)
	return b.store()
}

// unopened is a store that cannot be opened.
func unopened(testing.TB) Store {
	return Store{Open: func() (ledger.Ledger, error) { return nil, errors.New("connection refused") }}
}

// bare is a ledger with nothing but what Ledger and Session promise.
type bare struct{ ledger.Ledger }

func (b bare) Open(ctx context.Context, k ledger.Key) (ledger.Session, error) {
	s, err := b.Ledger.Open(ctx, k)
	if err != nil {
		return nil, err
	}
	return struct{ ledger.Session }{s}, nil
}

// TestFlaws holds ledgers with a mistake each to the promise that it breaks. Each promise has such a ledger, so that none is kept by all.
func TestFlaws(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*trial){}
	for _, of := range contract() {
		for _, p := range of.cases {
			cases[p.name] = p.keep
		}
	}
	broken := map[string]bool{}
	for _, f := range flaws() {
		broken[f.promise] = true
		t.Run(f.promise+"/"+f.name, func(t *testing.T) {
			t.Parallel()
			r := listen(t, func(r *recorder) { cases[f.promise](newTrial(r, f.store)) })
			if !r.failed {
				t.Error("nothing was reported")
			}
			t.Logf("%q", r.texts)
		})
	}
	for name := range cases {
		if !broken[name] {
			t.Errorf("none of the flawed ledgers breaks %q", name)
		}
	}
}

// childEnv names the ledger that TestRun holds to the contract in a process of its own.
const childEnv = "COHORTKIT_TEST_LEDGER"

// TestRun holds a ledger that can do everything to everything.
func TestRun(t *testing.T) {
	t.Parallel()
	fresh := sound
	switch name := os.Getenv(childEnv); name {
	case "":
	case "bare":
		fresh = func(testing.TB) Store {
			l := bare{ledger.NewMemory()}
			return Store{Open: func() (ledger.Ledger, error) { return l, nil }}
		}
	default:
		for _, f := range flaws() {
			if f.name == name {
				fresh = f.store
			}
		}
	}
	var begun, open atomic.Int32
	Run(t, func(tb testing.TB) Store {
		tb.Helper()
		begun.Add(1)
		open.Add(1)
		tb.Cleanup(func() { open.Add(-1) })
		return fresh(tb)
	})
	if begun.Load() == 0 || open.Load() != 0 {
		t.Errorf("%d of %d stores are in use when Run returns", open.Load(), begun.Load())
	}
}

// TestRunLazy holds a ledger to the contract that uses the freedom which Settle leaves.
func TestRunLazy(t *testing.T) {
	t.Parallel()
	Run(t, lazy)
}

// TestRunInChild runs TestRun in a process of its own, to see what a backend's author sees.
func TestRunInChild(t *testing.T) {
	t.Parallel()
	tests := []struct {
		ledger string
		code   int
		want   []string // among the output
	}{
		{"bare", 0, []string{
			"--- PASS: TestRun/Session/outcomes", "--- PASS: TestRun/Compare/parts",
			"nothing to look at: the sessions are no ledger.Purger", "nothing to look at: the sessions are no ledger.Timekeeper", "nothing to look at: Store.Expire is nil",
		}},
		{"takes Refused for out", 1, []string{
			"--- FAIL: TestRun/Session/outcomes", "settled as refused, leaves the member in", "--- PASS: TestRun/Session/header", "--- PASS: TestRun/a_lost_lease/Close",
		}},
		{"does not fence", 1, []string{"--- FAIL: TestRun/a_lost_lease/writes", "want ledger.ErrLeaseLost", "--- PASS: TestRun/Session/outcomes"}},
	}
	for _, tt := range tests {
		t.Run(tt.ledger, func(t *testing.T) {
			t.Parallel()
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestRun$", "-test.v")
			cmd.Env = append(os.Environ(), childEnv+"="+tt.ledger)
			out, err := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != tt.code {
				t.Errorf("exit code %d, want %d: %v", code, tt.code, err)
			}
			for _, want := range tt.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("the output does not say %q", want)
				}
			}
			if strings.Contains(string(out), "SKIP") {
				t.Error("something was skipped")
			}
			if t.Failed() {
				t.Logf("%s", out)
			}
		})
	}
}
