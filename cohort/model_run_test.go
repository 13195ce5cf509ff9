package cohort_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// model plays one history against the fake, and keeps its own books about it.
type model struct {
	world
	t           *testing.T
	h           randomHistory
	server      *brazetest.Server
	partner     *brazetest.Partner
	credentials keys.Credentials
	folder      string // of the ledger, or "" for one in memory
	state       ledger.Ledger
	syncer      *cohort.Syncer

	rules   identity.Rules
	list    map[identity.ID]bool // do not send
	all     []*book              // every cohort there ever was
	active  []*book              // those that audiences go to
	leaving []*book              // those that are to be drained
	next    map[*book]*book      // those that a rebuild began to fill

	r       *rand.Rand // of the operation
	run     int        // how often the library was called
	armed   []trouble
	cancel  context.CancelFunc // of the call
	counts  map[string]int
	trace   []string
	failure string
}

func newModel(t *testing.T, h randomHistory, folder string) *model {
	t.Helper()
	server, err := brazetest.Start(h.options()...)
	if err != nil {
		t.Fatal(err)
	}
	m := &model{
		t: t, h: h, server: server, folder: folder, state: ledger.NewMemory(),
		list: map[identity.ID]bool{}, next: map[*book]*book{}, counts: map[string]int{},
	}
	m.partner = server.AddPartner("tinyclues", "Tinyclues")
	m.workspace = server.AddWorkspace("acme")
	m.workspace.Enable(m.partner)
	m.credentials = keys.Credentials{Partner: "tinyclues", PartnerKey: m.partner.Key("EU-01"), ImportKey: m.workspace.GenerateKey(m.partner)}
	m.reading, m.merged = h.reading, m.merge
	m.setRules(identity.Rules{})
	m.restart()
	r := rand.New(rand.NewPCG(h.seed, 0))
	for range 6 + r.IntN(8) {
		m.add(r, r.IntN(8) > 0)
	}
	for range h.cohorts {
		b := m.open()
		m.active = append(m.active, b)
		for _, p := range m.people {
			b.wanted[p] = r.IntN(2) == 0
		}
	}
	return m
}

// open makes another cohort.
func (m *model) open() *book {
	n := len(m.all) + 1
	b := newBook(fmt.Sprintf("camp-%d", n), fmt.Sprintf("Sale %d", n))
	m.all = append(m.all, b)
	return b
}

// restart is what a new process does.
func (m *model) restart() {
	if m.folder != "" {
		state, err := ledger.OpenDir(m.folder)
		if err != nil {
			m.t.Fatal(err)
		}
		m.state = state
	}
	m.syncer = m.newSyncer()
}

func (m *model) newSyncer() *cohort.Syncer {
	client := newClient(m.t, "EU-01", transport.WithHTTPClient(m.server.Client()), transport.WithRetryPolicy(transport.RetryPolicy{MaxAttempts: m.h.attempts}))
	return newSyncer(m.t, newImporter(m.t, client, m.credentials), m.state,
		cohort.WithRemovalGuard(m.h.share, m.h.count), cohort.WithSuppression(func(id identity.ID) bool { return m.list[id] }))
}

// setRules changes the rules, but not what they say of the endpoint.
func (m *model) setRules(rules identity.Rules) {
	if m.reading.aliasIdentifiedOnly {
		rules.AliasMatch = identity.AliasIdentifiedOnly
	}
	if m.reading.ignoreFormer {
		rules.DeprecatedMatch = identity.DeprecatedIgnored
	}
	m.rules = rules
}

// merge notes that two people are one. Who was wanted twice is most likely wanted still, who was wanted by half may be or not.
func (m *model) merge(from, into *person) {
	for _, b := range m.all {
		switch {
		case b.wanted[from] && b.wanted[into]:
			b.wanted[into] = m.r.IntN(8) > 0
		case b.wanted[from] || b.wanted[into]:
			b.wanted[into] = m.r.IntN(2) == 0
		}
		delete(b.wanted, from)
		for _, s := range b.standing {
			if s.on == from.braze {
				s.on = into.braze
			}
		}
	}
}

func (m *model) count(event string) { m.counts[event]++ }

func (m *model) notef(format string, args ...any) {
	m.trace = append(m.trace, fmt.Sprintf(format, args...))
}

func (m *model) failf(format string, args ...any) {
	if m.failure == "" {
		m.failure = fmt.Sprintf(format, args...)
		m.notef("FAILED: %s", m.failure)
	}
}

// checkf fails the history unless the condition holds.
func (m *model) checkf(ok bool, format string, args ...any) {
	if !ok {
		m.failf(format, args...)
	}
}

// record is what the ledger and the books say at one time.
type record struct {
	header   ledger.Header
	members  map[identity.ID]ledger.State
	standing map[identity.ID]bool
}

func (m *model) key(b *book) ledger.Key {
	return ledger.Key{Endpoint: "https://rest.fra-01.braze.eu", Partner: "tinyclues", Workspace: "acme", CohortID: b.id}
}

func (m *model) record(b *book) record {
	rec := record{members: map[identity.ID]ledger.State{}, standing: map[identity.ID]bool{}}
	for id := range b.standing {
		rec.standing[id] = true
	}
	session, err := m.state.Open(m.t.Context(), m.key(b))
	if err != nil {
		m.failf("the ledger does not open: %v", err)
		return rec
	}
	rec.header = session.Header()
	for member, err := range session.Members(m.t.Context()) {
		if err != nil {
			m.failf("the ledger cannot be read: %v", err)
			break
		}
		rec.members[member.ID] = member.State
	}
	if err := session.Close(); err != nil {
		m.failf("the ledger does not close: %v", err)
	}
	return rec
}

// same reports whether nothing was recorded in between.
func (r record) same(o record) bool { return r.header == o.header && maps.Equal(r.members, o.members) }

// in returns the Braze IDs of the profiles in a cohort.
func (m *model) in(b *book) map[string]bool {
	c, _ := m.workspace.Cohort(m.partner, b.id)
	in := make(map[string]bool, len(c.Members))
	for _, p := range c.Members {
		in[p.BrazeID] = true
	}
	return in
}

// ran is what a call of the library did.
type ran struct {
	before, after map[*book]record
	requests      []brazetest.Request
	added         map[*book]map[identity.ID]bool // by what took effect
	removed       map[*book]map[identity.ID]bool
	disturbed     bool // a fault fired
	cancelled     bool
}

// watch calls the library, enters in the books what took effect, and checks what holds however a call ends. The call may write to the cohorts for which
// there is a view and to no other.
func (m *model) watch(views map[*book]*view, call func(context.Context)) ran {
	m.run++
	did := ran{before: map[*book]record{}, after: map[*book]record{}, added: map[*book]map[identity.ID]bool{}, removed: map[*book]map[identity.ID]bool{}}
	for b := range views {
		did.before[b], did.added[b], did.removed[b] = m.record(b), map[identity.ID]bool{}, map[identity.ID]bool{}
	}
	m.server.ForgetRequests()
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(m.t.Context())
	call(ctx)
	synctest.Wait() // until the fake has done with a request that was given up
	did.cancelled = ctx.Err() != nil
	m.cancel()
	if err := wait(m.t.Context(), m.h.delay); err != nil { // until the last change is visible
		m.failf("%v", err)
	}
	did.requests = m.server.Requests()
	for _, request := range did.requests {
		if did.cancelled && request.CohortID == "" && !request.Applied {
			continue // its body did not arrive
		}
		i := slices.IndexFunc(m.all, func(b *book) bool { return b.id == request.CohortID })
		if i < 0 || views[m.all[i]] == nil {
			m.failf("a request for another cohort")
			continue
		}
		if request.Applied && request.Operation == brazetest.ChangeUsers {
			changes := m.server.Changes(request.Number)
			m.all[i].apply(&m.world, views[m.all[i]], m.run, changes)
			did.enter(m.all[i], changes)
		}
	}
	for _, t := range m.armed {
		if n := t.injection.Fired(); n > 0 {
			did.disturbed = true
			m.count("fault: " + t.name)
			m.notef("  %s, %d times", t.name, n)
		}
		t.injection.Remove()
	}
	m.armed = nil
	for b := range views {
		did.after[b] = m.record(b)
		m.sound(b, did.after[b])
	}
	return did
}

// sound holds the ledger against what took effect.
func (m *model) sound(b *book, after record) {
	in := m.in(b)
	for id, state := range after.members {
		s := b.standing[id]
		switch {
		case state != ledger.In:
		case s == nil:
			m.failf("cohort %s: recorded as in, but no addition took effect, or a removal did later", b.id)
		case s.on == "" || s.on != m.owner(id) || in[s.on]:
		case s.loss.excuses():
			m.count("ledger excused: " + string(s.loss))
		default:
			m.failf("cohort %s: recorded as in, but the profile is out (%s)", b.id, s.loss)
		}
	}
	for id := range b.standing {
		m.checkf(after.members[id] != ledger.Out, "cohort %s: an addition took effect and is not recorded", b.id)
	}
}

// silent checks that a call did nothing at all.
func (m *model) silent(what string, did ran) {
	m.checkf(len(did.requests) == 0, "%s: %d requests", what, len(did.requests))
	for b, before := range did.before {
		m.checkf(before.same(did.after[b]), "%s: something was recorded", what)
	}
}

// requested checks that reports count the requests as the endpoint does. One that was under way when the call was cancelled may not have got there.
func (m *model) requested(did ran, reports ...cohort.Report) {
	n := 0
	for _, r := range reports {
		n += r.Requests
	}
	m.checkf(n == len(did.requests) || did.cancelled && n > len(did.requests), "%d requests reported, the endpoint saw %d", n, len(did.requests))
}

// enter notes what took effect.
func (did ran) enter(b *book, changes []brazetest.Change) {
	for _, c := range changes {
		ids := did.added[b]
		if c.Remove {
			ids = did.removed[b]
		}
		for _, i := range c.Identifiers {
			ids[idOf(i)] = true
		}
	}
}

// tallied checks that a report claims no more than what took effect, and that nothing took effect but what it says was accepted or is unknown.
func (m *model) tallied(b *book, did ran, r cohort.Report) {
	for _, side := range []struct {
		name  string
		tally cohort.Tally
		ids   map[identity.ID]bool
	}{{"additions", r.Adds, did.added[b]}, {"removals", r.Removals, did.removed[b]}} {
		n := len(side.ids)
		m.checkf(side.tally.Accepted <= n && n <= side.tally.Accepted+side.tally.Unknown, "cohort %s: %d %s took effect: %+v", b.id, n, side.name, side.tally)
	}
	m.sums(r)
}

// sums checks that a report adds up.
func (m *model) sums(r cohort.Report) {
	rows := r.Rows
	m.checkf(rows.Read == rows.Added+rows.Removed+rows.Kept+rows.Duplicate+rows.Suppressed+rows.Rejected+rows.Unprocessed, "the rows do not add up: %+v", rows)
	m.checkf(rows.Added == r.Adds.Total(), "the additions do not add up: %+v", r)
	for _, n := range []int{
		rows.Read, rows.Added, rows.Removed, rows.Kept, rows.Duplicate, rows.Suppressed, rows.Rejected, rows.Unprocessed, r.Requests,
		r.Adds.Accepted, r.Adds.Refused, r.Adds.Unknown, r.Adds.Held, r.Adds.Unsent,
		r.Removals.Accepted, r.Removals.Refused, r.Removals.Unknown, r.Removals.Held, r.Removals.Unsent,
	} {
		m.checkf(n >= 0, "a count is negative: %+v", r)
	}
}

// filled checks the promise of a run that ended well: see the top of the books.
func (m *model) filled(b *book, v *view, before, after record) {
	in := m.in(b)
	m.counts["promised: in"] += len(v.byProfile)
	m.counts["promised: out"] += len(before.members)
	for profile, r := range v.byProfile {
		if in[profile] {
			continue
		}
		s := b.standing[r.chosen]
		switch {
		case s == nil:
			m.failf("cohort %s: a wanted person is out, whose addition never took effect or was taken back", b.id)
		case s.run == m.run:
			m.failf("cohort %s: a wanted person is out, whose addition took effect in this run", b.id)
		case s.on != profile:
			m.count("excused: unmatched")
		case s.loss.excuses():
			m.count("excused: " + string(s.loss))
		default:
			m.failf("cohort %s: a wanted person is out (%s)", b.id, s.loss)
		}
	}
	for profile := range in {
		if v.byProfile[profile] != nil {
			continue
		}
		mistaken := false
		stray := func(id identity.ID) bool { return v.byID[id] != nil && v.byID[id].profile == "" } // named as that of somebody without a profile
		for id, s := range b.standing {
			if s.run == m.run && s.on == profile {
				m.checkf(stray(id), "cohort %s: this run put in somebody who is not wanted", b.id)
				mistaken = true
			}
		}
		for id := range before.standing {
			if m.owner(id) == profile {
				m.checkf(stray(id), "cohort %s: somebody is in who is not wanted and whom a removal would have reached", b.id)
				mistaken = true
			}
		}
		switch {
		case mistaken:
			m.count("excused: mistaken")
		case v.told[profile]:
			m.count("excused: moved, but named by the caller")
		default:
			m.count("excused: moved")
		}
	}
	for id, state := range after.members {
		m.checkf(v.byID[id] != nil && state == ledger.In, "cohort %s: after a good end the ledger has somebody %v, wanted: %t", b.id, state, v.byID[id] != nil)
	}
	m.checkf(len(after.members) == len(v.rows), "cohort %s: after a good end the ledger has %d members, not the %d wanted", b.id, len(after.members), len(v.rows))
	m.count("runs that promise")
	if len(in) > 0 && len(v.rows) > 0 {
		m.count("runs that promise somebody")
	}
}

// named checks the name and the time that a cohort has after a good end.
func (m *model) named(b *book) {
	c, _ := m.workspace.Cohort(m.partner, b.id)
	m.checkf(c.Name == b.name, "cohort %s: is called %q, not %q", b.id, c.Name, b.name)
	if b.created == 0 {
		b.created = c.CreatedAt.UnixMilli()
	}
	m.checkf(b.created == c.CreatedAt.UnixMilli(), "cohort %s: the time of creation has changed", b.id)
}

// outcome counts how a call ended.
func (m *model) outcome(what string, report fmt.Stringer, err error) {
	m.notef("  %s: %v; %v", what, report, err)
	if err == nil {
		m.count(what + ", well")
	} else {
		m.count(what + ", with an error")
	}
	for _, kind := range []struct {
		name string
		err  error
	}{
		{"unknown", transport.ErrOutcomeUnknown}, {"locked", transport.ErrLocked}, {"rate limited", transport.ErrRateLimited},
		{"unauthorized", transport.ErrUnauthorized}, {"refused", transport.ErrBadRequest}, {"cancelled", context.Canceled}, {"held", cohort.ErrRemovalsHeld},
		{"empty source", cohort.ErrEmptySource}, {"no record", cohort.ErrUnrecorded}, {"retired", cohort.ErrRetired},
	} {
		if errors.Is(err, kind.err) {
			m.count("ended: " + kind.name)
		}
	}
}

// traces reports whether a text is in a file of the ledger.
func (m *model) traces(text string) bool {
	found := false
	err := filepath.WalkDir(m.folder, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		found = found || strings.Contains(string(content), text)
		return err
	})
	if err != nil {
		m.failf("the ledger's files cannot be read: %v", err)
	}
	return found
}
