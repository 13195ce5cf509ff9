package cohort_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// recordEntry puts a cohort into a ledger, with u-1 to u-in as members and more in doubt.
func recordEntry(t *testing.T, state ledger.Ledger, key ledger.Key, h ledger.Header, in, inDoubt int) {
	t.Helper()
	err := ledger.Import(t.Context(), state, ledger.Entry{Key: key, Header: h}, func(yield func(ledger.Member, error) bool) {
		for i := range in + inDoubt {
			m := ledger.Member{ID: add(i + 1).ID(), State: ledger.In}
			if i >= in {
				m.State = ledger.Unknown
			}
			if !yield(m, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// epochs are those of members that were last sent as a whole at this time.
func epochs(at time.Time) (sent ledger.Epochs) {
	for i := range sent {
		sent[i] = at.Unix()
	}
	return sent
}

// TestTroubleshoot looks for names in a ledger that has cohorts in every state.
func TestTroubleshoot(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	state := newLedger(t)
	created := time.Date(2026, 3, 2, 8, 15, 0, 123e6, time.UTC)
	named, sent := created.Add(time.Hour), created.Add(2*time.Hour)
	header := func(name string) ledger.Header {
		return ledger.Header{Name: name, Naming: ledger.Named, CreatedAt: created, NamedAt: named, Sent: epochs(sent)}
	}
	renamed, lost, retired, old, bitByBit := header("Spring, wave 2"), header("Autumn 2"), header("Gone"), ledger.Header{Name: "Old", Naming: ledger.Named}, header("Often")
	renamed.FormerName = "Spring"
	lost.FormerName, lost.Naming, lost.NamedAt = "Autumn", ledger.NamingUnknown, time.Time{}
	retired.Retired = true
	bitByBit.Sent[7]--
	for _, e := range []struct {
		id          string
		h           ledger.Header
		in, inDoubt int
	}{
		{"camp-1", header("Spring sale"), 3, 2}, {"camp-2", header("Twin"), 1, 0}, {"camp-3", header("Twin"), 0, 0}, {"camp-4", renamed, 4, 0},
		{"camp-5", lost, 0, 5}, {"camp-6", retired, 0, 0}, {"camp-7", ledger.Header{}, 7, 0}, {"camp-8", old, 8, 0}, {"camp-9", bitByBit, 9, 0},
	} {
		recordEntry(t, state, s.key(e.id), e.h, e.in, e.inDoubt)
	}
	// Cohorts of others, who have the same names.
	for _, other := range []func(*ledger.Key){
		func(k *ledger.Key) { k.Workspace = "globex" }, func(k *ledger.Key) { k.Partner = "splio" }, func(k *ledger.Key) { k.Endpoint = "https://rest.iad-01.braze.com" },
	} {
		key := s.key("camp-1")
		other(&key)
		recordEntry(t, state, key, header("Spring sale"), 1, 0)
	}

	const (
		visible = "\n  next: not in the drop-down: check the filter of the right partner, and the workspace that the import key belongs to"
		smaller = "\n  next: smaller than the audience: EstimateMatches tells how many members would match, and why the others would not"
		doubt   = "\n  next: members are in doubt: the next Sync settles whether they are in the cohort"
		nobody  = "\n  next: it has no members: look at the report of its last Sync"
		twins   = "\n  next: 2 cohorts of the workspace have this name: give each its own, since the dashboard's filter shows names alone"
		sentAt  = "; last sent as a whole on 2026-03-02 10:15:00 UTC"
		times   = sentAt + "; created on 2026-03-02 08:15:00 UTC"
		namedAt = " on 2026-03-02 09:15:00 UTC"
		segment = "\n  segment: Tinyclues Cohorts includes "
		none    = `no cohort of workspace "acme" has the name `
		one     = `one cohort of workspace "acme" has the name `
		known   = " (9 cohorts recorded)"
	)
	spring := `cohort "camp-1", named "Spring sale"` + namedAt + "; 5 members, 2 of them in doubt" + times + segment + `"Spring sale"`
	for name, tt := range map[string]struct {
		look, want string
	}{
		"as sent":            {"Spring sale", one + `"Spring sale"` + "\n" + spring + doubt + visible + smaller},
		"other case":         {"SPRING sale", none + `"SPRING sale"` + known + "\n" + spring + "\n  next: the dashboard shows names as they were sent: look for \"Spring sale\"" + doubt + smaller},
		"copied with spaces": {" Spring\u00a0sale\u200b\n", none + `" Spring\u00a0sale\u200b\n"` + known + "\n" + spring + "\n  next: the dashboard shows names as they were sent: look for \"Spring sale\"" + doubt + smaller},
		"two cohorts": {"Twin", `2 cohorts of workspace "acme" have the name "Twin"` +
			"\n" + `cohort "camp-2", named "Twin"` + namedAt + "; 1 member" + times + segment + `"Twin"` + twins + visible + smaller +
			"\n" + `cohort "camp-3", named "Twin"` + namedAt + "; 0 members" + times + segment + `"Twin"` + twins + nobody + visible},
		"a former name": {"Spring", none + `"Spring"` + known + "\n" + `cohort "camp-4", named "Spring, wave 2"` + namedAt + `, before that "Spring"; 4 members` + times +
			segment + `"Spring, wave 2"` + "\n  next: it was renamed: look for \"Spring, wave 2\"" + smaller},
		"a name that may not have arrived": {"Autumn 2", one + `"Autumn 2"` + "\n" + `cohort "camp-5", perhaps named "Autumn 2", before that "Autumn"; 5 members, 5 of them in doubt` + times +
			"\n  next: nobody knows whether its name arrived: run Sync again, which repeats it\n  next: until then the dashboard may show it as \"Autumn\"" + doubt + smaller},
		"a former name that may still show": {"AUTUMN", none + `"AUTUMN"` + known + "\n" + `cohort "camp-5", perhaps named "Autumn 2", before that "Autumn"; 5 members, 5 of them in doubt` + times +
			"\n  next: nobody knows whether its name arrived: run Sync again, which repeats it\n  next: until then the dashboard may show it as \"Autumn\"" + doubt + smaller},
		"a drained cohort": {"Gone", one + `"Gone"` + "\n" + `cohort "camp-6", named "Gone"` + namedAt + ", retired; 0 members" + times + segment + `"Gone"` +
			"\n  next: it was drained and is retired, so nobody is in it: fill a cohort with another id" + visible},
		"the id of a cohort without a name": {"camp-7", none + `"camp-7"` + known + "\n" + `cohort "camp-7", not named; 7 members` +
			"\n  next: it has no name yet, and the dashboard shows names alone: run Sync, which names it" + smaller},
		"the id of a cohort": {"camp-8", none + `"camp-8"` + known + "\n" + `cohort "camp-8", named "Old"; 8 members` + segment + `"Old"` +
			"\n  next: this is its id, and the dashboard shows its name: look for \"Old\"" + smaller},
		"sent again": {"Often", one + `"Often"` + "\n" + `cohort "camp-9", named "Often"` + namedAt + "; 9 members" +
			"; sent again bit by bit, last on 2026-03-02 10:15:00 UTC; created on 2026-03-02 08:15:00 UTC" + segment + `"Often"` + visible + smaller},
		"nothing": {"Winter", none + `"Winter"` + known +
			"\n  next: check the name as it was last sent, the workspace, the partner (Tinyclues) and the ledger; a name that was sent without a ledger is not recorded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := s.syncer(t, state).Troubleshoot(t.Context(), tt.look)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, d.String()); diff != "" {
				t.Errorf("diagnosis (-want +got):\n%s", diff)
			}
			if s.posts() != 0 {
				t.Errorf("%d requests were made", s.posts())
			}
		})
	}
}

// TestTroubleshootNames follows the names of one cohort, as Sync sends them.
func TestTroubleshootNames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		syncer := s.syncer(t, newLedger(t))
		now := func() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
		begin := now()
		name := func(name string, arrives bool) {
			t.Helper()
			if !arrives {
				s.server.Inject(brazetest.Naming(), brazetest.AppliedThenLost()).Times(8)
			}
			_, err := syncer.Sync(t.Context(), cohort.Cohort{ID: campaign, Name: name}, users(1, 2))
			if (err == nil) != arrives {
				t.Fatalf("%q: %v", name, err)
			}
		}
		expect := func(look string, want cohort.Candidate) {
			t.Helper()
			want.CohortID, want.Members, want.CreatedAt, want.SentFrom, want.SentTo = campaign, 2, begin, begin, begin
			d, err := syncer.Troubleshoot(t.Context(), look)
			if err != nil || len(d.Candidates) != 1 {
				t.Fatalf("%q: %v, %v", look, d, err)
			}
			if diff := cmp.Diff(want, d.Candidates[0], cmpopts.IgnoreFields(cohort.Candidate{}, "Next", "Filter")); diff != "" {
				t.Errorf("%q (-want +got):\n%s", look, diff)
			}
		}
		name("A", true)
		expect("A", cohort.Candidate{Relation: cohort.SameName, Name: "A", Naming: ledger.Named, NamedAt: begin})
		time.Sleep(time.Hour)
		name("B", false)
		expect("B", cohort.Candidate{Relation: cohort.SameName, Name: "B", Naming: ledger.NamingUnknown, FormerName: "A"})
		expect("A", cohort.Candidate{Relation: cohort.FormerName, Name: "B", Naming: ledger.NamingUnknown, FormerName: "A"})
		name("C", true) // B was never acknowledged
		at := now()
		expect("A", cohort.Candidate{Relation: cohort.FormerName, Name: "C", Naming: ledger.Named, FormerName: "A", NamedAt: at})
		name("D", false)
		name("C", true) // back again: D may have shown meanwhile
		at = now()
		expect("D", cohort.Candidate{Relation: cohort.FormerName, Name: "C", Naming: ledger.Named, FormerName: "D", NamedAt: at})
		name("E", false)
		time.Sleep(time.Hour)
		name("E", true) // repeated
		expect("C", cohort.Candidate{Relation: cohort.FormerName, Name: "E", Naming: ledger.Named, FormerName: "C", NamedAt: now()})
	})
}

// entries is a ledger whose list has an error at its end, and whose members cannot be opened.
type entries struct {
	ledger.Ledger
	listed, opened error
}

func (e entries) Entries(ctx context.Context) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		for entry, err := range e.Ledger.Entries(ctx) {
			if !yield(entry, err) {
				return
			}
		}
		if e.listed != nil {
			yield(ledger.Entry{}, e.listed)
		}
	}
}

func (e entries) Open(ctx context.Context, key ledger.Key) (ledger.Session, error) {
	if e.opened != nil {
		return nil, e.opened
	}
	return e.Ledger.Open(ctx, key)
}

// TestTroubleshootInTrouble shows that a run that is under way and damaged entries are told, and that everything else is an error.
func TestTroubleshootInTrouble(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	damaged := &ledger.DamagedError{File: "base-7", Problem: "has a wrong checksum"}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx            context.Context //nolint:containedctx // of a case
		look           string
		listed, opened error
		want           []string // of the diagnosis
		is             func(error) bool
	}{
		"a run":                    {t.Context(), "Spring sale", nil, &ledger.HeldError{Key: s.key(campaign), Holder: "process 4711"}, []string{"not counted", "held by process 4711", "segment: "}, nil},
		"a damaged cohort":         {t.Context(), "Spring sale", nil, damaged, []string{"not counted", "base-7 has a wrong checksum", "segment: "}, nil},
		"a damaged entry":          {t.Context(), "Winter", damaged, nil, []string{"no cohort", "may be the one: ledger: file base-7"}, nil},
		"the list fails":           {t.Context(), "Winter", errLedger, nil, nil, func(err error) bool { return errors.Is(err, errLedger) }},
		"the members fail":         {t.Context(), "Spring sale", nil, errLedger, nil, func(err error) bool { return errors.Is(err, errLedger) }},
		"a context that has ended": {cancelled, "Winter", nil, nil, nil, func(err error) bool { return errors.Is(err, context.Canceled) }},
		"a blank name":             {t.Context(), " \u200b\n", nil, nil, nil, is[*cohort.InvalidError]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := newLedger(t)
			recordEntry(t, state, s.key(campaign), ledger.Header{Name: "Spring sale", Naming: ledger.Named}, 3, 0)
			d, err := s.syncer(t, entries{state, tt.listed, tt.opened}).Troubleshoot(tt.ctx, tt.look)
			if (err != nil) != (tt.is != nil) || err != nil && !tt.is(err) {
				t.Fatalf("error %v", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(d.String(), want) {
					t.Errorf("%q does not say %q", d, want)
				}
			}
			for _, c := range d.Candidates {
				if err == nil && (c.Members != 0 || c.Uncounted == nil) {
					t.Errorf("counted: %+v", c)
				}
			}
		})
	}
}

// TestRelationString has a text for each relation, and for what is none.
func TestRelationString(t *testing.T) {
	t.Parallel()
	got := fmt.Sprint(cohort.SameName, ", ", cohort.FormerName, ", ", cohort.SimilarName, ", ", cohort.SameID, ", ", cohort.Relation(0))
	if want := "same name, former name, similar name, same id, invalid relation"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
