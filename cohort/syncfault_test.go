package cohort_test

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"net/http"
	"runtime"
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
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// TestSyncFaults runs a sync against every fault. Removals that were not accepted keep the additions back, the ledger is no surer than the endpoint's
// answers, and the next run brings everything in order. With the race detector it is every second fault, in one of the two directions.
func TestSyncFaults(t *testing.T) {
	t.Parallel()
	directions := []struct {
		name   string
		remove bool
	}{{"removals", true}, {"additions", false}}
	for _, f := range some(faults(), defaultSome) {
		for _, i := range rand.Perm(len(directions))[:faultDirections] {
			d := directions[i]
			t.Run(f.name+" of "+d.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := newStage(t)
					s.people(t, 4200)
					state := newLedger(t)
					syncer := newSyncer(t, s.importer(t, cohort.WithInFlight(2)), state, cohort.WithRemovalGuard(1, 0))
					mustSync(t, syncer, users(1, 2100))
					posts := s.posts()
					of := func(r brazetest.Request) bool { return len(r.Changes) > 0 && r.Changes[0].Remove == d.remove }
					injection := s.server.Inject(brazetest.Users().Where(of), f.fault).Always().Optional()
					report, err := syncTo(t, syncer, users(2101, 4200))
					if complete := report.Adds.Accepted == 2100 && report.Removals.Accepted == 2100; (err == nil) != complete {
						t.Errorf("error %v with %v", err, report)
					}
					if report.Removals.Total() != 2100 || report.Removals.Accepted < 2100 && report.Adds != (cohort.Tally{Unsent: 2100}) {
						t.Errorf("additions went before the removals were through: %v", report)
					}
					if unknown := report.Adds.Unknown+report.Removals.Unknown > 0; unknown != errors.Is(err, transport.ErrOutcomeUnknown) {
						t.Errorf("error %v with %v", err, report)
					}
					if got := s.posts() - posts; got != report.Requests {
						t.Errorf("%d requests reported, the endpoint saw %d", report.Requests, got)
					}
					checkLedger(t, s, state)
					members, _ := s.recorded(t, state, campaign)
					want := report.Adds.Unknown + report.Removals.Unknown
					if report.Removals.Accepted+report.Removals.Unknown > 0 {
						// Another one's removal may have taken them out.
						want += report.Removals.Refused + report.Removals.Unsent
					}
					if _, unknown := states(members); unknown != want {
						t.Errorf("the ledger has %d unknown, want %d: %v", unknown, want, report)
					}
					injection.Remove()
					mustSync(t, syncer, users(2101, 4200))
					if got := s.members(); len(got) != 2100 || slices.Contains(got, user(1)) {
						t.Errorf("%d members after the next run, want 2100", len(got))
					}
					if report := mustSync(t, syncer, users(2101, 4200)); report.Requests != 0 {
						t.Errorf("want nothing more: %v", report)
					}
				})
			})
		}
	}
}

// checkLedger compares what a ledger is sure of with who is in the cohort. All members have profiles here.
func checkLedger(t *testing.T, s *stage, state ledger.Ledger) {
	t.Helper()
	members, _ := s.recorded(t, state, campaign)
	in := map[string]bool{}
	for _, id := range s.members() {
		in["e:"+id] = true
		if members["e:"+id] == ledger.Out {
			t.Errorf("%s is a member, and the ledger says out", id)
			return
		}
	}
	for id, state := range members {
		if state == ledger.In && !in[id] && strings.HasPrefix(id, "e:") {
			t.Errorf("%s is no member, and the ledger says in", id)
			return
		}
	}
}

// TestSyncTooLarge has the endpoint find requests too large, once after a lost answer. The halves are recorded one by one, and what the whole left in
// doubt stays so if its halves are refused.
func TestSyncTooLarge(t *testing.T) {
	t.Parallel()
	large := brazetest.Status(http.StatusRequestEntityTooLarge)
	tests := []struct {
		name   string
		inject func(*stage)
		want   cohort.Tally
	}{
		{"halves are accepted", func(s *stage) { s.server.Inject(brazetest.Users(), large).Times(3) }, cohort.Tally{Accepted: 1000}},
		{"the second half is refused", func(s *stage) {
			s.server.Inject(brazetest.Users(), large)
			s.server.Inject(brazetest.Users().Nth(3), brazetest.Status(http.StatusBadRequest))
		}, cohort.Tally{Accepted: 500, Refused: 500}},
		{"lost, too large, the first half refused", func(s *stage) {
			s.server.Inject(brazetest.Users(), brazetest.AppliedThenLost())
			s.server.Inject(brazetest.Users(), large)
			s.server.Inject(brazetest.Users(), brazetest.Status(http.StatusBadRequest))
		}, cohort.Tally{Unknown: 1000}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.people(t, 1000)
				state := newLedger(t)
				syncer := s.syncer(t, state)
				tt.inject(s)
				report, err := syncTo(t, syncer, users(1, 1000))
				if report.Adds != tt.want || (err == nil) != (tt.want.Accepted == 1000) {
					t.Errorf("want %v: %v, %v", tt.want, report, err)
				}
				checkLedger(t, s, state)
				members, _ := s.recorded(t, state, campaign)
				if in, unknown := states(members); in != tt.want.Accepted || unknown != tt.want.Unknown {
					t.Errorf("the ledger has %d in and %d unknown, want %v", in, unknown, tt.want)
				}
				mustSync(t, syncer, users(1, 1000))
				if got := len(s.members()); got != 1000 {
					t.Errorf("%d members after the next run", got)
				}
			})
		})
	}
}

// TestSyncSourceError ends the source with an error: nothing is sent, and every row is accounted for.
func TestSyncSourceError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.people(t, 10)
		state := newLedger(t)
		syncer := s.syncer(t, state, cohort.WithSuppression(func(id identity.ID) bool { return id.Value() == user(2) }))
		mustSync(t, syncer, users(5, 10))
		posts := s.posts()
		_, before := s.recorded(t, state, campaign)
		source := func(yield func(identity.ID, error) bool) {
			_ = yield(identity.ExternalID(user(1)), nil) && yield(identity.ExternalID(user(2)), nil) && yield(identity.ExternalID(""), nil) &&
				yield(identity.ID{}, errSource)
		}
		report, err := syncTo(t, syncer, cohort.Identifiers(source))
		row, ok := errors.AsType[*cohort.RowError](err)
		if !ok || row.Row != 4 || !errors.Is(err, errSource) {
			t.Errorf("error %v, want a RowError of row 4", err)
		}
		if want := (cohort.Rows{Read: 4, Suppressed: 1, Rejected: 1, Unprocessed: 2}); report.Rows != want {
			t.Errorf("rows (-want +got):\n%s", cmp.Diff(want, report.Rows))
		}
		if _, after := s.recorded(t, state, campaign); s.posts() != posts || after != before {
			t.Error("something was sent or written")
		}
	})
}

// TestSyncCancelled cancels the context where a run can be. It ends at once, and the next run continues.
func TestSyncCancelled(t *testing.T) {
	t.Parallel()
	at := 10 * time.Second
	ofChanges := func(remove bool) brazetest.Target {
		return brazetest.Users().Where(func(r brazetest.Request) bool { return len(r.Changes) > 0 && r.Changes[0].Remove == remove })
	}
	tests := []struct {
		name    string
		prepare func(*stage) *brazetest.Injection // nil for none
		source  func(context.Context) cohort.Audience
		want    func(cohort.Report) bool
	}{
		{
			"while reading", nil, func(ctx context.Context) cohort.Audience { return slowly(ctx, time.Second) },
			func(r cohort.Report) bool {
				return r.Rows.Unprocessed == r.Rows.Read && r.Rows.Read == 10 && r.Requests == 0
			},
		},
		{
			"while naming", func(s *stage) *brazetest.Injection {
				return s.server.Inject(brazetest.Naming(), brazetest.Delay(time.Hour))
			}, nil,
			func(r cohort.Report) bool { return r.Adds.Unsent == 2000 && r.Removals.Unsent == 2000 },
		},
		{
			"while removing", func(s *stage) *brazetest.Injection {
				return s.server.Inject(ofChanges(true), brazetest.Delay(time.Hour)).Always()
			}, nil,
			func(r cohort.Report) bool { return r.Adds.Unsent == 2000 && r.Removals.Unknown == 2000 },
		},
		{
			"while adding", func(s *stage) *brazetest.Injection {
				return s.server.Inject(ofChanges(false), brazetest.Delay(time.Hour)).Always()
			}, nil,
			func(r cohort.Report) bool { return r.Adds.Unknown == 2000 && r.Removals.Accepted == 2000 },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.people(t, 4000)
				state := newLedger(t)
				client := s.client(t, transport.WithRetryPolicy(transport.RetryPolicy{MaxAttempts: 2, AttemptTimeout: time.Minute}))
				syncer := newSyncer(t, newImporter(t, client, s.credentials()), state, cohort.WithRemovalGuard(1, 0))
				mustSync(t, syncer, users(1, 2000))
				injection := (*brazetest.Injection)(nil)
				if tt.prepare != nil {
					injection = tt.prepare(s)
				}
				ctx, cancel := cancelledBy(t, errMaintenance, at)
				defer cancel()
				source := users(2001, 4000)
				if tt.source != nil {
					source = tt.source(ctx)
				}
				begin := time.Now()
				report, err := syncer.Sync(ctx, cohort.Cohort{ID: campaign, Name: "Renamed"}, source)
				checkSyncSums(t, report)
				if took := time.Since(begin); took != at {
					t.Errorf("it took %v, want %v", took, at)
				}
				if !errors.Is(err, context.Canceled) || !errors.Is(err, errMaintenance) || !tt.want(report) {
					t.Errorf("%+v, %v", report, err)
				}
				if injection != nil {
					injection.Remove()
				}
				report, err = syncer.Sync(t.Context(), cohort.Cohort{ID: campaign, Name: "Renamed"}, users(2001, 4000))
				if got := s.workspace.CohortSize(s.partner, campaign); err != nil || got != 2000 {
					t.Errorf("the next run: %d members, %v, %v", got, report, err)
				}
			})
		})
	}
}

// slowly yields users with a wait before each, and ends without a word when the context does.
func slowly(ctx context.Context, d time.Duration) cohort.Audience {
	return cohort.Identifiers(func(yield func(identity.ID, error) bool) {
		for i := range 1000 {
			if wait(ctx, d-time.Millisecond) != nil || !yield(identity.ExternalID(user(i)), nil) {
				return
			}
		}
	})
}

var errLedger = errors.New("the disk is full")

// flaky is a ledger that fails at one of its calls, and from then on at what records something in the same session.
type flaky struct {
	ledger.Ledger
	at   int    // the number of the call, from 1
	only string // the calls that are counted; empty for all

	mu    sync.Mutex
	calls int
	what  string // the call that failed
}

func (f *flaky) fails(what string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.only != "" && f.only != what {
		return false
	}
	f.calls++
	if f.calls == f.at {
		f.what = what
	}
	return f.calls == f.at
}

func (f *flaky) Open(ctx context.Context, key ledger.Key) (ledger.Session, error) {
	if f.fails("Open") {
		return nil, errLedger
	}
	s, err := f.Ledger.Open(ctx, key)
	keeper, _ := s.(ledger.Timekeeper)
	return &flakySession{Session: s, keeper: keeper, of: f}, err
}

func (f *flaky) Entries(ctx context.Context) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		if f.fails("Entries") {
			yield(ledger.Entry{}, errLedger)
			return
		}
		f.Ledger.Entries(ctx)(yield)
	}
}

type flakySession struct {
	ledger.Session
	keeper ledger.Timekeeper // the session
	of     *flaky
	broken bool // guarded by of.mu
	closed bool
}

func (s *flakySession) fail(what string) error {
	failed := s.of.fails(what)
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.broken = s.broken || failed
	if s.broken {
		return errLedger
	}
	return nil
}

func (s *flakySession) SetHeader(ctx context.Context, h ledger.Header) error {
	if err := s.fail("SetHeader"); err != nil {
		return err
	}
	return s.Session.SetHeader(ctx, h)
}

func (s *flakySession) Begin(ctx context.Context, removals, adds []ledger.Member) (ledger.Intent, error) {
	if err := s.fail("Begin"); err != nil {
		return 0, err
	}
	return s.Session.Begin(ctx, removals, adds)
}

func (s *flakySession) BeginStamped(ctx context.Context, removals, adds []ledger.Member, stamps []ledger.Stamp, watermark int64) (ledger.Intent, error) {
	if err := s.fail("BeginStamped"); err != nil {
		return 0, err
	}
	return s.keeper.BeginStamped(ctx, removals, adds, stamps, watermark)
}

func (s *flakySession) Stamps(ctx context.Context) (int64, []ledger.Stamp, error) {
	if err := s.fail("Stamps"); err != nil {
		return 0, nil, err
	}
	return s.keeper.Stamps(ctx)
}

func (s *flakySession) Tidy(ctx context.Context) error {
	if err := s.fail("Tidy"); err != nil {
		return err
	}
	return s.keeper.Tidy(ctx)
}

func (s *flakySession) Settle(intent ledger.Intent, outcome ledger.Outcome) error {
	if err := s.fail("Settle"); err != nil {
		return err
	}
	return s.Session.Settle(intent, outcome)
}

func (s *flakySession) Compare(ctx context.Context, wanted iter.Seq2[ledger.Wanted, error]) (*ledger.Difference, error) {
	if err := s.fail("Compare"); err != nil {
		return nil, err
	}
	d, err := s.Session.Compare(ctx, wanted)
	if err != nil {
		return nil, err
	}
	for _, p := range []*ledger.Part{&d.Removals, &d.Adds, &d.Repeats} {
		inner := p.Members
		p.Members = func(yield func(ledger.Member, error) bool) {
			n := 0
			for m, err := range inner {
				if n++; n%700 == 1 && s.of.fails("Part.Members") {
					yield(ledger.Member{}, errLedger)
					return
				}
				if !yield(m, err) {
					return
				}
			}
		}
	}
	return d, nil
}

func (s *flakySession) Members(ctx context.Context) iter.Seq2[ledger.Member, error] {
	return func(yield func(ledger.Member, error) bool) {
		if err := s.fail("Members"); err != nil {
			yield(ledger.Member{}, err)
			return
		}
		s.Session.Members(ctx)(yield)
	}
}

func (s *flakySession) Close() error {
	failed := !s.closed && s.of.fails("Close")
	s.closed = true
	err := s.Session.Close()
	if failed {
		return errLedger
	}
	return err
}

// TestSyncLedgerFails fails the ledger at every call in turn. The error is told, nothing leaves unrecorded, the report adds up, and the next run with a
// sound ledger brings everything in order, twins included.
func TestSyncLedgerFails(t *testing.T) {
	t.Parallel()
	alias := identity.Alias{Label: "crm", Name: "c-1"}
	met := map[string]bool{}
	for at, done := 1, false; !done; at++ {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t)
			s.people(t, 2400)
			if one, ok := s.workspace.ProfileByExternalID(user(2301)); !ok || s.workspace.AddAlias(one.BrazeID, brazetest.Alias(alias)) != nil {
				t.Fatal("no profile with two identifiers")
			}
			// Members: u-1 to u-1100, and u-2301 by both of its identifiers, of which the next run wants one.
			state := newLedger(t)
			people := func(first, last int, more ...identity.Person) cohort.Audience {
				for i := first; i <= last; i++ {
					more = append(more, identity.Person{ExternalID: user(i)})
				}
				return audience(more...)
			}
			mustSync(t, s.syncer(t, state), people(1, 1100, identity.Person{Aliases: []identity.Alias{alias}}, identity.Person{ExternalID: user(2301)}))
			next := func() cohort.Audience {
				return people(1201, 2300, identity.Person{ExternalID: user(2301), Aliases: []identity.Alias{alias}})
			}
			broken := &flaky{Ledger: state, at: at}
			im := s.importer(t, cohort.WithInFlight(2))
			name := cohort.Cohort{ID: campaign, Name: "Renamed"}
			report, err := newSyncer(t, im, broken, cohort.WithRemovalGuard(1, 0)).Sync(t.Context(), name, next())
			checkSyncSums(t, report)
			if broken.what == "" {
				if done = true; err != nil {
					t.Errorf("error %v of a sound ledger", err)
				}
				return
			}
			met[broken.what] = true
			if !errors.Is(err, errLedger) {
				t.Errorf("call %d, %s: error %v, want that of the ledger", at, broken.what, err)
			}
			checkLedger(t, s, state)
			report, err = newSyncer(t, im, state, cohort.WithRemovalGuard(1, 0)).Sync(t.Context(), name, next())
			checkSyncSums(t, report)
			if got := s.workspace.CohortSize(s.partner, campaign); err != nil || got != 1101 {
				t.Errorf("call %d, %s: %d members after the next run, want 1101: %v, %v", at, broken.what, got, report, err)
			}
		})
	}
	for _, what := range []string{"Open", "Entries", "SetHeader", "Begin", "Settle", "Compare", "Part.Members", "Close"} {
		if !met[what] {
			t.Errorf("%s never failed", what)
		}
	}
}

// TestLedgerFails fails the ledger at every call of the other methods: the error is told, or, by SyncAll and Erase, joined.
func TestLedgerFails(t *testing.T) {
	t.Parallel()
	for name := range everyCall(nil) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at := 1; at < 100; at++ {
				done := false
				synctest.Test(t, func(t *testing.T) {
					s := newStage(t)
					s.people(t, 10)
					state := newLedger(t)
					mustSync(t, s.syncer(t, state), users(1, 5))
					broken := &flaky{Ledger: state, at: at}
					err := everyCall(s.syncer(t, broken))[name](t.Context())
					if done = broken.what == ""; errors.Is(err, errLedger) == done {
						t.Errorf("call %d, %s: error %v", at, broken.what, err)
					}
					checkLedger(t, s, state)
				})
				if done {
					return
				}
			}
			t.Error("it has no end")
		})
	}
}

// TestSyncLedgerFailsInFlight fails the ledger after a request was refused, with what it is told of one under way meanwhile: neither error is lost.
func TestSyncLedgerFailsInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.server.Inject(brazetest.Users().Nth(1), brazetest.Delay(time.Second))
		s.server.Inject(brazetest.Users().Nth(1), brazetest.Status(http.StatusBadRequest))
		s.server.Inject(brazetest.Users().Nth(2), brazetest.Delay(2*time.Second))
		broken := &flaky{Ledger: newLedger(t), only: "Settle", at: 2}
		report, err := syncTo(t, newSyncer(t, s.importer(t, cohort.WithInFlight(2)), broken), users(1, 2000))
		if !errors.Is(err, errLedger) || !errors.Is(err, transport.ErrBadRequest) || report.Adds != (cohort.Tally{Accepted: 1000, Refused: 1000}) {
			t.Errorf("want both errors: %v, %v", report, err)
		}
	})
}

// TestSyncPanics lets a source and a callback panic or end their goroutines. The lease is given back, after the requests under way, and the next run continues.
func TestSyncPanics(t *testing.T) {
	t.Parallel()
	panics := func(cohort.Progress) { panic("of a callback") }
	tests := []struct {
		name string
		run  func(context.Context, *cohort.Syncer)
	}{
		{"a source panics", func(ctx context.Context, s *cohort.Syncer) {
			_, _ = s.Sync(ctx, sale(), cohort.Identifiers(func(func(identity.ID, error) bool) { panic("of a source") }))
		}},
		{"a callback panics while reading", func(ctx context.Context, s *cohort.Syncer) {
			_, _ = s.Sync(ctx, sale(), users(1, 1<<16), cohort.OnProgress(panics))
		}},
		{"a source panics while requests are under way", func(ctx context.Context, s *cohort.Syncer) {
			_, _ = s.Apply(ctx, campaign, func(yield func(cohort.Change, error) bool) {
				for i := range 1500 {
					if !yield(add(i+1), nil) {
						return
					}
				}
				panic("of a source")
			})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.people(t, 2000)
				s.server.Inject(brazetest.Users(), brazetest.Delay(time.Second)).Always().Optional()
				state := newLedger(t)
				syncer := s.syncer(t, state)
				mustSync(t, syncer, users(1, 10))
				func() {
					defer func() {
						if recover() == nil {
							t.Error("it did not panic")
						}
					}()
					tt.run(t.Context(), syncer)
				}()
				checkLedger(t, s, state)
				mustSync(t, syncer, users(1, 20))
				if got := len(s.members()); got != 20 {
					t.Errorf("%d members, want 20", got)
				}
			})
		})
	}
	t.Run("a callback ends its goroutine", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t)
			s.people(t, 2500)
			state := newLedger(t)
			syncer := s.syncer(t, state)
			report, err := syncTo(t, syncer, users(1, 2500), cohort.OnProgress(func(cohort.Progress) { runtime.Goexit() }))
			if err == nil {
				t.Errorf("want an error: %v, %v", report, err)
			}
			checkLedger(t, s, state)
			mustSync(t, syncer, users(1, 2500))
		})
	})
}
