package cohort_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// crashEnv makes the test binary a process that syncs, and that can be killed.
const crashEnv = "COHORTKIT_TEST_CRASH"

var (
	crashes = flag.Int("crashes", defaultCrashes, "how many processes TestCrashAtRandom kills")
	every   = flag.Int("every", defaultEvery, "TestCrashAtSteps and TestSecretsStayHidden try every so manieth step and length, from one by chance on; 1 for each")
)

func stride() int { return max(1, *every) }

// first is the one by chance.
func first() int { return rand.IntN(stride()) }

// victim is what the process that will be killed has to know.
type victim struct {
	URL, Folder, PartnerKey, ImportKey string
	Stepwise                           bool // wait for a line on standard input after each line written
}

// The audience of the crash tests: users from to-1. Of every fifth user the first export knows the alias alone, and of every seventh it
// thinks that the alias and the external ID are two people. Later it knows better.
const (
	crashUsers = 2400
	shift      = 1100
	crashed    = "camp-481"
)

// audienceAt yields the people of the first export, or of a later one.
func audienceAt(later bool) iter.Seq[identity.Person] {
	return func(yield func(identity.Person) bool) {
		from, to := 0, crashUsers
		if later {
			from, to = shift, crashUsers+shift
		}
		for i := from; i < to; i++ {
			known := identity.Person{ExternalID: fmt.Sprintf("u-%d", i), Aliases: []identity.Alias{{Label: "crm", Name: fmt.Sprintf("c-%d", i)}}}
			people := []identity.Person{known}
			switch aliasOnly := (identity.Person{Aliases: known.Aliases}); {
			case later:
			case i%7 == 0:
				people = []identity.Person{aliasOnly, {ExternalID: known.ExternalID}}
			case i%5 == 0:
				people = []identity.Person{aliasOnly}
			}
			for _, p := range people {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// readable is a source that never fails.
func readable(people iter.Seq[identity.Person]) iter.Seq2[identity.Person, error] {
	return func(yield func(identity.Person, error) bool) {
		for p := range people {
			if !yield(p, nil) {
				return
			}
		}
	}
}

// crashSync brings the cohort in step with one of the two audiences.
func crashSync(ctx context.Context, v victim, state ledger.Ledger, later bool, opts ...cohort.Option) (cohort.Report, error) {
	endpoint, err := transport.ParseEndpoint(v.URL)
	if err != nil {
		return cohort.Report{}, err
	}
	client, err := transport.New(endpoint)
	if err != nil {
		return cohort.Report{}, err
	}
	defer client.CloseIdleConnections()
	importer, err := cohort.NewImporter(client, "acme", keys.Credentials{
		Partner: "tinyclues", PartnerKey: keys.NewPartnerKey(v.PartnerKey), ImportKey: keys.NewImportKey(v.ImportKey),
	}, opts...)
	if err != nil {
		return cohort.Report{}, err
	}
	syncer, err := cohort.NewSyncer(importer, state, cohort.WithRemovalGuard(1, 0))
	if err != nil {
		return cohort.Report{}, err
	}
	c := cohort.Cohort{ID: crashed, Name: "Spring sale"}
	if later {
		c.Name = "Spring sale, extended" // so that a rename is among the steps
	}
	return syncer.Sync(ctx, c, cohort.People(identity.Rules{}, readable(audienceAt(later))))
}

// perish is the main function of the process that will be killed.
func perish(config string) error {
	var v victim
	if err := json.Unmarshal([]byte(config), &v); err != nil {
		return err
	}
	dir, err := ledger.OpenDir(v.Folder)
	if err != nil {
		return err
	}
	w := &witness{in: bufio.NewReader(os.Stdin), out: os.Stdout, stepwise: v.Stepwise}
	var opts []cohort.Option
	if v.Stepwise {
		opts = append(opts, cohort.WithInFlight(1)) // so that the steps come in one order
	}
	_, err = crashSync(context.Background(), v, witnessed{dir, w}, true, opts...)
	if err == nil {
		w.sayf("done")
	}
	return err
}

// witness tells the parent about every step, and lets it stop the process there.
type witness struct {
	mu       sync.Mutex
	in       *bufio.Reader
	out      io.Writer
	stepwise bool
}

func (w *witness) sayf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = fmt.Fprintf(w.out, format+"\n", args...)
	if w.stepwise {
		_, _ = w.in.ReadString('\n')
	}
}

// witnessed is a ledger whose sessions say what they do before and after they do it.
type witnessed struct {
	ledger.Ledger
	witness *witness
}

func (l witnessed) Open(ctx context.Context, key ledger.Key) (ledger.Session, error) {
	l.witness.sayf("open")
	s, err := l.Ledger.Open(ctx, key)
	l.witness.sayf("opened")
	return witnessedSession{s, l.witness}, err
}

type witnessedSession struct {
	ledger.Session
	witness *witness
}

func (s witnessedSession) Compare(ctx context.Context, wanted iter.Seq2[ledger.Wanted, error]) (*ledger.Difference, error) {
	s.witness.sayf("compare")
	d, err := s.Session.Compare(ctx, wanted)
	s.witness.sayf("compared")
	return d, err
}

func (s witnessedSession) SetHeader(ctx context.Context, h ledger.Header) error {
	s.witness.sayf("header")
	err := s.Session.SetHeader(ctx, h)
	s.witness.sayf("header-recorded")
	return err
}

func (s witnessedSession) Begin(ctx context.Context, removals, adds []ledger.Member) (ledger.Intent, error) {
	n := len(removals) + len(adds)
	s.witness.sayf("begin %d", n)
	intent, err := s.Session.Begin(ctx, removals, adds)
	s.witness.sayf("begun %d %d", n, intent)
	return intent, err
}

func (s witnessedSession) Settle(intent ledger.Intent, outcome ledger.Outcome) error {
	s.witness.sayf("settle %d %v", intent, outcome)
	err := s.Session.Settle(intent, outcome)
	s.witness.sayf("settled %d", intent)
	return err
}

func (s witnessedSession) Close() error {
	s.witness.sayf("close")
	err := s.Session.Close()
	s.witness.sayf("closed")
	return err
}

// scene is an endpoint, a ledger filled by the first export, and a process about to do the second.
type scene struct {
	braze     *brazetest.Server
	partner   *brazetest.Partner
	workspace *brazetest.Workspace
	victim    victim

	mu       sync.Mutex
	handling sync.WaitGroup
	on       func(number int, answered bool) // told of every request, before it takes effect and after
	requests int
}

func newScene(t *testing.T, stepwise bool) *scene {
	t.Helper()
	s := &scene{braze: brazetest.NewServer(t, brazetest.KeepIdentifiers())}
	s.partner = s.braze.AddPartner("tinyclues", "Tinyclues")
	s.workspace = s.braze.AddWorkspace("acme")
	s.workspace.Enable(s.partner)
	for i := range crashUsers + shift {
		_, err := s.workspace.AddProfile(brazetest.Profile{
			ExternalID: fmt.Sprintf("u-%d", i), Aliases: []brazetest.Alias{{Label: "crm", Name: fmt.Sprintf("c-%d", i)}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	front := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(front.Close)
	s.victim = victim{
		URL: front.URL, Folder: t.TempDir(), Stepwise: stepwise,
		PartnerKey: s.partner.Key(brazetest.DefaultInstance).Reveal(), ImportKey: s.workspace.GenerateKey(s.partner).Reveal(),
	}
	if _, err := crashSync(t.Context(), s.victim, s.dir(t), false); err != nil {
		t.Fatal(err)
	}
	s.checkMembers(t, false)
	return s
}

func (s *scene) dir(t *testing.T) *ledger.Dir {
	t.Helper()
	dir, err := ledger.OpenDir(s.victim.Folder)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func (s *scene) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.handling.Add(1)
	defer s.handling.Done()
	s.requests++
	number, on := s.requests, s.on
	s.mu.Unlock()
	if on == nil {
		s.braze.ServeHTTP(w, r)
		return
	}
	on(number, false)
	s.braze.ServeHTTP(w, r)
	on(number, true)
}

// watch has every request told from now on, and counts anew.
func (s *scene) watch(on func(number int, answered bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on, s.requests = on, 0
}

// settleDown returns when no request is being handled any more.
func (s *scene) settleDown() {
	s.watch(nil)
	s.handling.Wait()
}

// checkMembers holds the profiles in the fake's cohort against the audience.
func (s *scene) checkMembers(t *testing.T, later bool) {
	t.Helper()
	want := map[string]bool{}
	for p := range audienceAt(later) {
		if p.ExternalID != "" {
			want[p.ExternalID] = true
		} else {
			want["u-"+strings.TrimPrefix(p.Aliases[0].Name, "c-")] = true
		}
	}
	c, _ := s.workspace.Cohort(s.partner, crashed)
	for _, id := range c.ExternalIDs() {
		if !want[id] {
			t.Fatalf("%s is in the cohort and not wanted", id)
		}
		delete(want, id)
	}
	for id := range want {
		t.Fatalf("%s is wanted and not in the cohort, as %d others", id, len(want)-1)
	}
}

// process is a running victim.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	lines []string // what it has said

	closed time.Time // when it said that the ledger is closed
}

func (s *scene) start(t *testing.T) *process {
	t.Helper()
	config, err := json.Marshal(s.victim)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+string(config))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &process{cmd: cmd, in: in, out: bufio.NewReader(out)}
}

func (p *process) kill() { _ = p.cmd.Process.Kill() } // SIGKILL; no error if it has ended

// next returns what the process says next, and false when it has ended.
func (p *process) next() (string, bool) {
	line, err := p.out.ReadString('\n')
	if err != nil {
		return "", false
	}
	line = strings.TrimSpace(line)
	if line == "closed" {
		p.closed = time.Now()
	}
	p.lines = append(p.lines, line)
	return line, true
}

func (p *process) goOn() { _, _ = io.WriteString(p.in, "\n") }

// end reads what the process said until it ended, and returns how it did.
func (p *process) end() error {
	for more := true; more; {
		_, more = p.next()
	}
	return p.cmd.Wait()
}

// inDoubt returns how many members can be unknown after what the process has said: at least those of intents that were begun and not
// settled, and at most all but those that were settled, and not as lost. What was settled while an intent was on its way to the disk may not
// have got there.
func (p *process) inDoubt(t *testing.T) (least, most int) {
	t.Helper()
	sizes, outcomes := map[string]int{}, map[string]string{}
	beginning, late := 0, 0 // calls of Begin under way; members settled since there are any
	for _, line := range p.lines {
		switch f := strings.Fields(line); f[0] {
		case "begin", "begun":
			size, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			if f[0] == "begin" {
				beginning++
				most += size
				continue
			}
			if beginning--; beginning == 0 {
				late = 0
			}
			sizes[f[2]] = size
			least += size
		case "settle":
			outcomes[f[1]] = f[2]
			least -= sizes[f[1]]
		case "settled":
			if outcomes[f[1]] == "lost" {
				continue
			}
			most -= sizes[f[1]]
			if beginning > 0 {
				late += sizes[f[1]]
			}
		}
	}
	return least, most + late
}

func (p *process) said(line string) bool { return slices.Contains(p.lines, line) }

// recover runs the second export again, in this process, and holds it to what the ledger knew: it sends what is not known to be right and nothing
// else, and afterwards the cohort has the audience.
func (s *scene) recover(t *testing.T, p *process) {
	t.Helper()
	s.settleDown()
	state := s.dir(t)
	key := ledger.Key{Endpoint: s.victim.URL, Partner: "tinyclues", Workspace: "acme", CohortID: crashed}
	known := map[identity.ID]ledger.State{}
	unknown := 0
	for m, err := range ledger.Members(t.Context(), state, key) {
		if err != nil {
			t.Fatal(err)
		}
		known[m.ID] = m.State
		if m.State == ledger.Unknown {
			unknown++
		}
	}
	if least, most := p.inDoubt(t); unknown < least || unknown > most {
		t.Fatalf("%d members are unknown, want %d to %d after %q", unknown, least, most, p.lines)
	}

	wanted, others := map[identity.ID]bool{}, map[identity.ID]identity.ID{}
	for person := range audienceAt(true) {
		id := identity.ExternalID(person.ExternalID)
		wanted[id] = true
		others[person.Aliases[0].ID()] = id
	}
	want := map[string]bool{}
	for id := range wanted {
		if known[id] != ledger.In {
			want["add "+id.Encode()] = true
		}
	}
	for id := range known {
		if !wanted[id] {
			want["remove "+id.Encode()] = true
			if other, ok := others[id]; ok {
				want["add "+other.Encode()] = true
			}
		}
	}

	s.braze.ForgetRequests()
	if _, err := crashSync(t.Context(), s.victim, state, true); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, r := range s.braze.Requests() {
		for _, change := range s.braze.Changes(r.Number) {
			for _, i := range change.Identifiers {
				id := identity.ExternalID(i.Value)
				if i.Label != "" {
					id = identity.Alias{Label: i.Label, Name: i.Value}.ID()
				}
				verb := "add "
				if change.Remove {
					verb = "remove "
				}
				got[verb+id.Encode()] = true
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("changes after the crash (-want +got):\n%s", diff)
	}
	s.checkMembers(t, true)

	s.braze.ForgetRequests()
	if report, err := crashSync(t.Context(), s.victim, state, true); err != nil || len(s.braze.Requests()) > 0 {
		t.Fatalf("a third run sent something: %v, %v", report, err)
	}
}

// TestCrashAtSteps kills a process at each step of a sync in turn: before and after every call of the ledger, and as every request arrives and
// is answered. With -every=N it is every Nth of them, from one by chance on.
func TestCrashAtSteps(t *testing.T) {
	t.Parallel()
	whole := newScene(t, true)
	requests := 0
	whole.watch(func(int, bool) { requests++ })
	p := whole.start(t)
	for line, more := p.next(); more; line, more = p.next() {
		_ = line
		p.goOn()
	}
	if err := p.end(); err != nil || !p.said("done") {
		t.Fatalf("a sync that nobody disturbs ended with %v after %q", err, p.lines)
	}
	whole.recover(t, p)
	if len(p.lines) < 30 || requests < 8 {
		t.Fatalf("only %d steps and %d moments of requests", len(p.lines), requests)
	}

	for step := first(); step < len(p.lines)-1; step += stride() {
		t.Run(fmt.Sprintf("step %d %s", step, strings.Fields(p.lines[step])[0]), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, true)
			p := s.start(t)
			for range step {
				if _, more := p.next(); !more {
					t.Fatalf("the process ended after %q", p.lines)
				}
				p.goOn()
			}
			_, _ = p.next()
			p.kill()
			if err := p.end(); err == nil {
				t.Fatal("the process came to its end all the same")
			}
			s.recover(t, p)
		})
	}
	for moment := first(); moment < requests; moment += stride() {
		number, answered := moment/2+1, moment%2 == 1
		t.Run(fmt.Sprintf("request %d answered %v", number, answered), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, true)
			p := s.start(t)
			s.watch(func(n int, done bool) {
				if n == number && done == answered {
					p.kill()
				}
			})
			for _, more := p.next(); more; _, more = p.next() {
				p.goOn()
			}
			if err := p.end(); err == nil {
				t.Fatal("the process came to its end all the same")
			}
			s.recover(t, p)
		})
	}
}

// TestCrashAtRandom kills processes that nothing slows down, at random moments.
func TestCrashAtRandom(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	between := 0
	// From the first request to the commit, as it was when nobody disturbed. The process may take long to exit, with the race detector a second.
	var span time.Duration
	for n := range *crashes + 1 {
		s := newScene(t, false)
		p := s.start(t)
		arrival := make(chan time.Time, 1)
		s.watch(func(number int, answered bool) {
			if number == 1 && !answered {
				arrival <- time.Now()
			}
		})
		began := <-arrival
		if n > 0 {
			time.AfterFunc(time.Duration(random.Int64N(int64(span))), p.kill)
		}
		err := p.end()
		if n == 0 && err != nil {
			t.Fatal(err)
		}
		if p.said("closed") { // it was faster than the one before, so the next kill comes earlier
			span = p.closed.Sub(began)
		} else {
			between++
		}
		s.recover(t, p)
	}
	t.Logf("%d of %d processes were killed between the first request and the commit", between, *crashes)
	if 2*between < *crashes {
		t.Errorf("only %d of %d processes were killed between the first request and the commit, want half", between, *crashes)
	}
}
