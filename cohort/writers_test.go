package cohort_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// TestTwoProcesses has another process sync, and tries the same cohort here while it does.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	s := newScene(t, true)
	p := s.start(t)
	for line, more := p.next(); more && line != "opened"; line, more = p.next() {
		p.goOn()
	}
	before := s.braze.Counters().Requests
	_, err := crashSync(t.Context(), s.victim, s.dir(t), true)
	held, ok := errors.AsType[*ledger.HeldError](err)
	if !ok {
		t.Fatalf("err = %v, want a HeldError", err)
	}
	if pid := "process " + strconv.Itoa(p.cmd.Process.Pid) + " "; held.Key.CohortID != crashed || !strings.HasPrefix(held.Holder, pid) {
		t.Errorf("the error says %q, want it to name the cohort and %q", held, pid)
	}
	if after := s.braze.Counters().Requests; after != before {
		t.Errorf("%d requests were sent without the lease", after-before)
	}

	p.goOn()
	for _, more := p.next(); more; _, more = p.next() {
		p.goOn()
	}
	if err := p.end(); err != nil || !p.said("done") {
		t.Fatalf("the process that holds the lease ended with %v after %q", err, p.lines)
	}
	s.recover(t, p)
}

// TestTwoLedgers opens the folder of a ledger twice in this process.
func TestTwoLedgers(t *testing.T) {
	t.Parallel()
	s := newScene(t, false)
	key := ledger.Key{Endpoint: s.victim.URL, Partner: "tinyclues", Workspace: "acme", CohortID: crashed}
	session, err := s.dir(t).Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = crashSync(t.Context(), s.victim, s.dir(t), true); err == nil {
		t.Fatal("two sessions on one cohort")
	}
	if held, ok := errors.AsType[*ledger.HeldError](err); !ok || !strings.HasPrefix(held.Holder, "process ") {
		t.Errorf("err = %v, want a HeldError that names this process", err)
	}
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := crashSync(t.Context(), s.victim, s.dir(t), true); err != nil {
		t.Fatal(err)
	}
	s.checkMembers(t, true)
}
