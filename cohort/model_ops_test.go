package cohort_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// operation is one step of a history. Everything random about it comes from its seed, so that it can be left out without changing the others.
type operation struct {
	kind operationKind
	seed uint64
}

type operationKind struct {
	name   string
	weight int
	do     func(*model)
}

func operationKinds() []operationKind {
	return []operationKind{
		{"the world changes", 30, (*model).worldChanges},
		{"sync", 18, func(m *model) { m.sync(source{}) }},
		{"sync in trouble", 14, func(m *model) { m.arm(); m.sync(source{}) }},
		{"planned sync", 6, func(m *model) { m.sync(source{planned: true}) }},
		{"plan", 3, (*model).plan},
		{"sync of identifiers", 5, func(m *model) { m.sync(source{identifiers: true}) }},
		{"sync of half the audience", 5, (*model).halve},
		{"sync with an approval", 5, func(m *model) { m.sync(source{approved: true}) }},
		{"sync with rejected rows", 4, func(m *model) { m.sync(source{rejects: true, strict: m.r.IntN(3) == 0}) }},
		{"sync from a broken source", 4, func(m *model) { m.sync(source{broken: true}) }},
		{"sync while another has the lease", 4, func(m *model) { m.sync(source{intruder: true}) }},
		{"sync of all cohorts", 3, (*model).syncAll},
		{"lease", 3, (*model).lease},
		{"rename", 3, (*model).rename},
		{"rules", 5, (*model).changeRules},
		{"do-not-send list", 5, (*model).changeList},
		{"reassert", 5, (*model).reassert},
		{"erase", 3, (*model).erase},
		{"drain", 3, (*model).drain},
		{"rebuild", 3, (*model).rebuild},
		{"retired", 1, (*model).retired},
		{"events", 4, (*model).events},
		{"restart", 4, func(m *model) { m.restart(); m.count("restarted") }},
	}
}

func (m *model) worldChanges() {
	for range 1 + m.r.IntN(3) {
		if name := m.happen(m.r); name != "" {
			m.notef("  %s %v", name, m.about)
			m.count("world: " + name)
		}
	}
}

// cohort returns one of the active cohorts.
func (m *model) cohort() *book { return m.active[m.r.IntN(len(m.active))] }

// churn changes who is wanted.
func (m *model) churn(b *book) {
	for _, p := range m.people {
		if m.r.IntN(6) == 0 {
			b.wanted[p] = !b.wanted[p]
		}
	}
}

func (m *model) halve() {
	b := m.cohort()
	former := map[*person]bool{}
	for _, p := range m.people {
		former[p] = b.wanted[p]
		b.wanted[p] = b.wanted[p] && m.r.IntN(2) == 0
	}
	m.syncTo(b, source{})
	if b.held > 0 && m.r.IntN(2) == 0 { // it was a mistake
		m.count("guard: the audience came back")
		maps.Copy(b.wanted, former)
		m.syncTo(b, source{})
	}
}

// trouble is a fault that waits for the next call.
type trouble struct {
	name      string
	injection *brazetest.Injection
}

// arm makes the next call meet a fault or two.
func (m *model) arm() {
	users := brazetest.Users()
	kind := func(remove bool) brazetest.Target {
		return users.Where(func(r brazetest.Request) bool { return len(r.Changes) > 0 && r.Changes[0].Remove == remove })
	}
	targets := []brazetest.Target{users, users, kind(true), kind(true), kind(false), kind(false), brazetest.Naming()}
	faults := troubles(func() { m.cancel() })
	for range 1 + m.r.IntN(2) {
		f := faults[m.r.IntN(len(faults))]
		times := 1
		if m.r.IntN(2) == 0 {
			times = m.h.attempts
		}
		injection := m.server.Inject(targets[m.r.IntN(len(targets))], f.fault).Times(times).Optional()
		if m.r.IntN(4) == 0 {
			injection.Always() // as long as the call lasts
		}
		m.armed = append(m.armed, trouble{f.name, injection})
	}
}

// troubles are the faults that a call may meet. Two of them end the call's context.
func troubles(cancel func()) []someFault {
	cancelled := func(http.ResponseWriter, *http.Request) bool {
		cancel()
		panic(http.ErrAbortHandler)
	}
	return []someFault{
		{"bad request", brazetest.Status(http.StatusBadRequest)},
		{"unauthorized", brazetest.Unauthorized(brazetest.WrongImportKey)},
		{"too large", brazetest.Status(http.StatusRequestEntityTooLarge)},
		{"rate limited", brazetest.RateLimited("2")},
		{"locked", brazetest.Locked()},
		{"applied, then lost", brazetest.AppliedThenLost()},
		{"dropped", brazetest.DropConnection()},
		{"cut off", brazetest.TruncateBody(9)},
		{"cut off, not applied", brazetest.TruncateBody(9).NotApplied()},
		{"unavailable", brazetest.Status(http.StatusServiceUnavailable)},
		{"unavailable, applied", brazetest.Status(http.StatusServiceUnavailable).Applied()},
		{"success with errors", brazetest.SuccessWithErrors("one was not processed")},
		{"too late", brazetest.Delay(time.Hour).Applied()},
		{"cancelled", brazetest.Custom("cancel", cancelled)},
		{"cancelled after it was applied", brazetest.Custom("cancel", cancelled).Applied()},
	}
}

type someFault struct {
	name  string
	fault brazetest.Fault
}

// source is how an audience comes.
type source struct {
	identifiers bool // in place of people
	planned     bool // a plan is made before
	approved    bool // all removals are
	rejects     bool // some rows cannot be sent
	strict      bool // which ends the run
	broken      bool // it ends with an error
	intruder    bool // another Syncer tries while this one reads
}

// entry is a row of a source.
type entry struct {
	person  identity.Person
	profile string
	err     error
}

var errBroken = errors.New("the table was locked")

// entries makes the rows of a source, in a random order, some of them twice.
func (m *model) entries(b *book, s source) []entry {
	var list []entry
	for _, p := range m.people {
		if !b.wanted[p] {
			continue
		}
		e := entry{person: personOf(m.profile(p)), profile: p.braze}
		if s.rejects && m.r.IntN(3) == 0 {
			switch m.r.IntN(3) {
			case 0:
				e.err = &identity.RejectError{Field: "row", Reason: identity.ReasonUnreadable}
			case 1:
				e.person = identity.Person{DeviceIDs: []string{"device-1"}, Identified: true}
			default:
				e.person = identity.Person{ExternalID: "two\nlines", Aliases: []identity.Alias{{Label: "crm", Name: "\n"}}}
			}
		}
		list = append(list, e)
		if m.r.IntN(12) == 0 && e.err == nil {
			list = append(list, e)
		}
	}
	m.r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	if s.broken {
		list = slices.Insert(list, m.r.IntN(len(list)+1), entry{err: errBroken})
	}
	return list
}

// view works out what a source says.
func (m *model) view(entries []entry, s source) *view {
	v := newView()
	v.people, v.audience = !s.identifiers, true
	for _, e := range entries {
		v.read++
		id, err := m.rules.Choose(e.person)
		switch {
		case errors.Is(e.err, errBroken):
			return v
		case e.err != nil || err != nil:
			v.rejected++
			continue
		}
		r := row{profile: e.profile, chosen: id}
		if !s.identifiers {
			known := brazetest.Profile{ExternalID: e.person.ExternalID, DeprecatedExternalIDs: e.person.FormerExternalIDs, DeviceIDs: e.person.DeviceIDs}
			for _, a := range e.person.Aliases {
				known.Aliases = append(known.Aliases, brazetest.Alias(a))
			}
			r.others = slices.DeleteFunc(identifiersOf(known), func(other identity.ID) bool { return other == id })
		}
		if m.list[id] || slices.ContainsFunc(r.others, func(other identity.ID) bool { return m.list[other] }) {
			v.suppressed++
			v.told[e.profile] = true
			v.out = append(v.out, r)
			continue
		}
		v.add(r)
	}
	return v
}

// audience makes the audience of the rows. Between two rows it calls between, if that is not nil.
func (m *model) audience(entries []entry, s source, between func()) cohort.Audience {
	people := func(yield func(identity.Person, error) bool) {
		for i, e := range entries {
			if i == len(entries)/2 && between != nil {
				between()
			}
			if !yield(e.person, e.err) {
				return
			}
		}
	}
	if s.identifiers {
		return cohort.Identifiers(m.rules.IDs(people))
	}
	return cohort.People(m.rules, people)
}

// expectation is what a sync has to do if nothing goes wrong.
type expectation struct {
	view       *view
	difference difference
	members    int
	held       int
	end        string // what ends the run: "", "row", "empty", "held" or "retired"
}

// expect works out what a sync has to do.
func (m *model) expect(v *view, s source, before record) expectation {
	x := expectation{view: v, difference: differenceOf(before.members, v), members: len(before.members)}
	n := len(x.difference.removals)
	trips := func(n int) bool { return float64(n) > m.h.share*float64(x.members) && n > m.h.count && !s.approved }
	kept := map[identity.ID]bool{}
	for _, id := range x.difference.removals {
		listed := m.list[id] || slices.ContainsFunc(v.out, func(r row) bool { return slices.Contains(r.others, id) })
		if !listed {
			kept[id] = true
		}
	}
	switch {
	case before.header.Retired:
		x.end = "retired"
	case s.broken || s.strict && v.rejected > 0:
		x.end = "row"
	case len(v.rows) == 0 && !s.approved:
		x.end = "empty"
	case trips(n) && trips(len(kept)):
		x.end, x.held, v.held = "held", len(kept), kept
	}
	return x
}

func (s source) options(x expectation) []cohort.RunOption {
	var opts []cohort.RunOption
	if s.approved {
		opts = append(opts, cohort.ApproveRemovals(len(x.difference.removals)))
	}
	if s.strict {
		opts = append(opts, cohort.Strict())
	}
	return opts
}

func (b *book) cohort() cohort.Cohort { return cohort.Cohort{ID: b.id, Name: b.name} }

// sync changes the audience of a cohort and syncs it.
func (m *model) sync(s source) {
	b := m.cohort()
	m.churn(b)
	if b.held > 0 && m.r.IntN(2) == 0 {
		m.count("guard: approved")
		s.approved = true
	}
	m.syncTo(b, s)
}

// syncTo syncs a cohort and checks what comes of it.
func (m *model) syncTo(b *book, s source) {
	entries := m.entries(b, s)
	v := m.view(entries, s)
	x := m.expect(v, s, m.record(b))
	var plan cohort.Plan
	if s.planned {
		plan = m.planned(b, entries, s, x)
	}
	var between func()
	if s.intruder && len(entries) > 0 {
		between = func() { m.intrude(b, entries, s) }
	}
	var report cohort.Report
	var err error
	did := m.watch(map[*book]*view{b: v}, func(ctx context.Context) {
		report, err = m.syncer.Sync(ctx, b.cohort(), m.audience(entries, s, between), s.options(x)...)
	})
	m.outcome("sync", report, err)
	m.requested(did, report)
	m.synced(b, x, did, report, err)
	if s.planned && err == nil && !did.disturbed {
		got := cohort.Plan{
			CohortID: report.CohortID, Name: report.Name, Naming: report.Named != cohort.NotNamed, Rows: report.Rows, Members: x.members, Kept: report.Rows.Kept,
			Adds: plan.Adds, Repeats: report.Rows.Added - plan.Adds, Removals: report.Removals.Total(), Requests: report.Requests, Warnings: plan.Warnings,
		}
		m.checkf(fmt.Sprintf("%+v", got) == fmt.Sprintf("%+v", plan), "planned %+v, done %+v", plan, got)
		m.checkf(plan.DataPoints() == report.DataPoints(), "%d data points planned, %d used", plan.DataPoints(), report.DataPoints())
		m.checkf(slices.Equal(plan.Warnings, report.Warnings), "planned the warnings %v, got %v", plan.Warnings, report.Warnings)
		m.count("plan: came true")
	}
	if err == nil && m.failure == "" {
		m.again(b, entries, s)
	}
}

// synced checks the end of a sync.
func (m *model) synced(b *book, x expectation, did ran, report cohort.Report, err error) {
	before, after := did.before[b], did.after[b]
	m.tallied(b, did, report)
	b.held = 0
	rowErr, ofRow := errors.AsType[*cohort.RowError](err)
	held, isHeld := errors.AsType[*cohort.HeldRemovalsError](err)
	if x.end != "row" && x.end != "retired" && !(did.disturbed && errors.Is(err, context.Canceled) && len(did.requests) == 0) {
		m.checkf(report.Rows.Added == len(x.difference.adds)+len(x.difference.repeats) && report.Rows.Kept == len(x.difference.kept),
			"the report has %+v, want %d added and %d kept", report.Rows, len(x.difference.adds)+len(x.difference.repeats), len(x.difference.kept))
		removals := len(x.difference.removals) + len(x.difference.also)
		m.checkf(report.Removals.Total() == removals, "the report has %+v, want %d removals", report.Removals, removals)
	}
	switch x.end {
	case "row":
		m.checkf(ofRow && (errors.Is(rowErr, errBroken) || report.Rows.Rejected == 1), "want an error of a row: %v", err)
		m.silent("after an error of a row", did)
		m.count("sync: nothing after an error of a row")
	case "empty":
		m.checkf(errors.Is(err, cohort.ErrEmptySource), "want an error of an empty source: %v", err)
		m.silent("after an empty source", did)
	case "retired":
		m.checkf(errors.Is(err, cohort.ErrRetired) && report.Rows.Read == 0, "want a cohort that is retired: %v", err)
		m.silent("on a retired cohort", did)
	case "held":
		if !isHeld {
			m.failf("want %d removals held: %v", x.held, err)
			return
		}
		b.held = x.held
		m.checkf(held.Removals == x.held && held.Members == x.members && report.Removals.Held == x.held, "%d removals held of %d: %+v, %v", x.held, x.members, report, err)
		for id := range x.view.held {
			state := after.members[id]
			if state == ledger.Unknown && len(x.difference.removals)+len(x.difference.also) > x.held {
				continue // a removal that is not held may have taken them out
			}
			m.checkf(state == before.members[id], "a removal that is held has left")
		}
		if did.disturbed {
			return
		}
		m.checkf(report.Adds.Accepted == len(x.difference.adds), "removals are held and %d additions sent: %+v", len(x.difference.adds), report.Adds)
		for _, id := range x.difference.adds {
			m.checkf(after.members[id] == ledger.Unknown, "added before removals that are held, and recorded as %v", after.members[id])
		}
		m.count("guard: tripped")
	default:
		m.checkf(err == nil || did.disturbed, "ended for no reason: %v", err)
		if err == nil {
			m.filled(b, x.view, before, after)
			m.named(b)
			m.counts["sync: members repeated after the removal of a twin"] += x.difference.twins
			m.counts["sync: members repeated because they were in doubt"] += len(x.difference.repeats) - x.difference.twins
		}
	}
}

// again repeats a sync that ended well: nothing is left to send.
func (m *model) again(b *book, entries []entry, s source) {
	v := m.view(entries, s)
	did := m.watch(map[*book]*view{b: v}, func(ctx context.Context) {
		report, err := m.syncer.Sync(ctx, b.cohort(), m.audience(entries, s, nil), cohort.ApproveRemovals(0))
		m.checkf(err == nil && report.Rows.Kept == len(v.rows) && report.Requests == 0, "the same again: %v, %v", report, err)
	})
	m.silent("the same again", did)
	m.count("sync: the same again")
}

// planned makes a plan, which must keep nothing.
func (m *model) planned(b *book, entries []entry, s source, x expectation) cohort.Plan {
	armed := m.armed
	m.armed = nil
	defer func() { m.armed = armed }()
	var plan cohort.Plan
	var err error
	did := m.watch(map[*book]*view{b: newView()}, func(ctx context.Context) {
		plan, err = m.syncer.Plan(ctx, b.cohort(), m.audience(entries, s, nil), s.options(x)...)
	})
	m.silent("plan", did)
	m.notef("  plan: %v; %v", plan, err)
	if x.end == "row" || x.end == "retired" {
		m.checkf(err != nil, "a plan where there can be no run: %v", plan)
		return plan
	}
	m.checkf(err == nil, "plan: %v", err)
	m.checkf((plan.Held == x.held || plan.Empty) && plan.Empty == (x.end == "empty"), "the plan holds %d, want %d: %v", plan.Held, x.held, plan)
	m.checkf(plan.Adds == len(x.difference.adds) && plan.Repeats == len(x.difference.repeats) && plan.Removals == len(x.difference.removals)+len(x.difference.also) &&
		plan.Kept == len(x.difference.kept) && plan.Members == x.members, "the plan is %+v, want %d, %d, %d, %d",
		plan, len(x.difference.adds), len(x.difference.repeats), len(x.difference.removals), len(x.difference.kept))
	m.count("plan: kept nothing")
	return plan
}

func (m *model) plan() {
	b := m.cohort()
	m.churn(b)
	s := source{approved: m.r.IntN(2) == 0, rejects: m.r.IntN(2) == 0}
	entries := m.entries(b, s)
	m.planned(b, entries, s, m.expect(m.view(entries, s), s, m.record(b)))
}

// intrude tries to sync a cohort that a run holds.
func (m *model) intrude(b *book, entries []entry, s source) {
	other := m.newSyncer()
	report, err := other.Sync(m.t.Context(), b.cohort(), m.audience(entries, s, func() { m.failf("a source was read without a lease") }))
	_, held := errors.AsType[*ledger.HeldError](err)
	m.checkf(held && report.Rows.Read == 0 && report.Requests == 0, "want a cohort that somebody else holds: %v, %v", report, err)
	m.sums(report)
	m.count("lease: refused during a run")
	m.syncer = other // goes on when the run has ended
}

// lease holds a cohort outside of any run.
func (m *model) lease() {
	b := m.cohort()
	rec := m.record(b)
	session, err := m.state.Open(m.t.Context(), m.key(b))
	if err != nil {
		m.failf("open: %v", err)
		return
	}
	calls := []func(context.Context) error{
		func(ctx context.Context) error {
			_, err := m.syncer.Sync(ctx, b.cohort(), m.audience(m.entries(b, source{}), source{}, nil))
			return err
		},
		func(ctx context.Context) error { _, err := m.syncer.Drain(ctx, b.id); return err },
		func(ctx context.Context) error { _, err := m.syncer.Reassert(ctx, b.id, cohort.Share(1)); return err },
		func(ctx context.Context) error {
			_, err := m.syncer.Rebuild(ctx, b.id, cohort.Cohort{ID: "camp-0", Name: "Sale"}, m.audience(m.entries(b, source{}), source{}, nil))
			return err
		},
	}
	err = calls[m.r.IntN(len(calls))](m.t.Context())
	_, held := errors.AsType[*ledger.HeldError](err)
	m.checkf(held, "want a cohort that somebody else holds: %v", err)
	if err := session.Close(); err != nil {
		m.failf("close: %v", err)
	}
	m.checkf(rec.same(m.record(b)), "something was recorded without a lease")
	m.count("lease: refused")
	m.sync(source{}) // and now it goes on
}

func (m *model) rename() {
	b := m.cohort()
	b.name += "!"
	m.sync(source{})
	m.count("renamed")
}

func (m *model) changeRules() {
	e, a, d := identity.ExternalIDKind, identity.AliasKind, identity.DeviceIDKind
	rules := []identity.Rules{
		{},
		{AliasLabels: []string{"loyalty", "crm"}},
		{Order: []identity.Kind{a, e, d}},
		{Order: []identity.Kind{a, e, d}, AliasLabels: []string{"app", "loyalty", "crm"}},
		{Order: []identity.Kind{d, a, e}},
		{Order: []identity.Kind{d, e, a}, AliasLabels: []string{"crm"}},
		{Order: []identity.Kind{a, d}},
	}
	former := m.rules.Fingerprint()
	m.setRules(rules[m.r.IntN(len(rules))])
	if m.rules.Fingerprint() != former {
		m.count("rules changed")
	}
	m.sync(source{planned: m.r.IntN(4) == 0})
}

// changeList puts a person on the do-not-send list, by one identifier or all, or takes somebody off it.
func (m *model) changeList() {
	m.about = nil
	isListed := func(_ *person, known brazetest.Profile) bool {
		return slices.ContainsFunc(identifiersOf(known), func(id identity.ID) bool { return m.list[id] })
	}
	var p *person
	if m.r.IntN(2) == 0 {
		p = m.pick(m.r, isListed)
	}
	if p == nil {
		p = m.pick(m.r, func(*person, brazetest.Profile) bool { return true })
	}
	if p == nil {
		return
	}
	ids, listed := identifiersOf(m.profile(p)), isListed(p, m.profile(p))
	m.notef("  person %d, listed: %t", p.number, listed)
	switch {
	case listed:
		for _, id := range ids {
			delete(m.list, id)
		}
		m.count("taken off the list")
	case m.r.IntN(2) == 0:
		m.list[ids[m.r.IntN(len(ids))]] = true
		m.count("put on the list by one identifier")
	default:
		for _, id := range ids {
			m.list[id] = true
		}
		m.count("put on the list")
	}
	m.sync(source{})
}

func (m *model) syncAll() {
	var jobs []cohort.Job
	views := map[*book]*view{}
	expected := map[*book]expectation{}
	trouble := m.r.IntN(3) == 0
	for _, b := range m.active {
		m.churn(b)
		entries := m.entries(b, source{})
		views[b] = m.view(entries, source{})
		expected[b] = m.expect(views[b], source{}, m.record(b))
		jobs = append(jobs, cohort.Job{Cohort: b.cohort(), Audience: m.audience(entries, source{}, nil)})
	}
	if trouble {
		m.arm()
	}
	var reports []cohort.Report
	var err error
	did := m.watch(views, func(ctx context.Context) { reports, err = m.syncer.SyncAll(ctx, jobs) })
	m.notef("  all: %v; %v", reports, err)
	for i, b := range m.active {
		m.tallied(b, did, reports[i])
		b.held = 0
		if err == nil {
			m.checkf(expected[b].end == "", "ended well in place of %s", expected[b].end)
			m.filled(b, views[b], did.before[b], did.after[b])
			m.named(b)
		}
	}
	m.requested(did, reports...)
	m.count("sync of all cohorts")
	if len(m.active) > 1 {
		m.count("sync of several cohorts")
	}
}

// reassert sends members again: all of them, or those of half of the slices.
func (m *model) reassert() {
	b := m.cohort()
	if m.r.IntN(3) == 0 {
		m.arm()
	}
	which, full := cohort.Share(1), true
	switch m.r.IntN(3) {
	case 0:
		which = cohort.LastSentBefore(time.Now().Add(time.Second))
	case 1:
		which, full = cohort.Share(0.5), false
	}
	var plan cohort.Plan
	var planErr error
	armed := m.armed
	m.armed = nil
	did := m.watch(map[*book]*view{b: newView()}, func(ctx context.Context) { plan, planErr = m.syncer.PlanReassert(ctx, b.id, which) })
	m.silent("plan of a reassertion", did)
	m.armed = armed
	late := map[identity.ID]bool{}
	for id, s := range b.standing {
		late[id] = s.on == "" && m.owner(id) != ""
	}
	var report cohort.Report
	var err error
	did = m.watch(map[*book]*view{b: newView()}, func(ctx context.Context) { report, err = m.syncer.Reassert(ctx, b.id, which) })
	m.outcome("reassert", report, err)
	m.tallied(b, did, report)
	m.requested(did, report)
	before := did.before[b]
	if before.header.Generation == 0 {
		m.checkf(errors.Is(err, cohort.ErrUnrecorded) && errors.Is(planErr, cohort.ErrUnrecorded), "want no record: %v, %v", err, planErr)
		m.silent("on an unknown cohort", did)
		return
	}
	m.checkf(planErr == nil && plan.Repeats == report.Rows.Added && plan.Kept == report.Rows.Kept, "planned %v, %v; got %v", plan, planErr, report)
	m.checkf(report.Rows.Read == len(before.members), "%d rows for %d members", report.Rows.Read, len(before.members))
	m.checkf(err == nil || did.disturbed, "ended for no reason: %v", err)
	if err != nil {
		return
	}
	m.checkf(did.disturbed || plan.Requests == report.Requests, "planned %v, got %v", plan, report)
	in := m.in(b)
	for id, state := range before.members {
		if m.list[id] || !full || state != ledger.In {
			continue
		}
		s := b.standing[id]
		m.checkf(s != nil && s.run == m.run, "a member was not sent again")
		m.checkf(m.owner(id) == "" || in[m.owner(id)], "a member was sent again and is out")
		if late[id] {
			m.count("reassert: put in somebody who came late")
		}
	}
}

// erase takes people out of every cohort and out of the ledger.
func (m *model) erase() {
	m.about = nil
	views := map[*book]*view{}
	for _, b := range m.all {
		views[b] = newView()
	}
	var ids []identity.ID
	var profiles []string
	var texts []string
	for range 1 + m.r.IntN(2) {
		p := m.pick(m.r, func(*person, brazetest.Profile) bool { return true })
		if p == nil {
			return
		}
		profile := m.profile(p)
		ids = append(ids, identifiersOf(profile)...)
		if p.braze != "" {
			profiles = append(profiles, p.braze)
		}
		if profile.ExternalID != "" {
			texts = append(texts, profile.ExternalID)
		}
		if m.r.IntN(2) == 0 { // the others are in the source still, and come back
			for _, b := range m.all {
				delete(b.wanted, p)
			}
		}
	}
	m.notef("  people %v", m.about)
	if m.r.IntN(3) == 0 {
		m.arm()
	}
	var reports []cohort.Report
	var err error
	did := m.watch(views, func(ctx context.Context) { reports, err = m.syncer.Erase(ctx, each(ids)) })
	for _, r := range reports {
		m.outcome("erase", r, err)
		m.sums(r)
	}
	m.requested(did, reports...)
	m.checkf(err == nil || did.disturbed, "ended for no reason: %v", err)
	if err != nil {
		return
	}
	for b := range views {
		in := m.in(b)
		for _, profile := range profiles {
			m.checkf(!in[profile], "cohort %s: an erased person is in", b.id)
		}
		for _, id := range ids {
			m.checkf(did.after[b].members[id] == ledger.Out, "an erased person is in the ledger")
		}
	}
	if m.folder != "" {
		for _, text := range texts {
			m.checkf(!m.traces(text), "an erased person is in the ledger's files")
			m.count("erase: no trace in the files")
		}
	}
	m.count("erased")
}

// drain empties a cohort. Another one takes its place.
func (m *model) drain() {
	var b *book
	if len(m.leaving) > 0 {
		b = m.leaving[0]
	} else {
		b = m.cohort()
	}
	if m.r.IntN(3) == 0 {
		m.arm()
	}
	var report cohort.Report
	var err error
	v := newView()
	did := m.watch(map[*book]*view{b: v}, func(ctx context.Context) { report, err = m.syncer.Drain(ctx, b.id) })
	m.outcome("drain", report, err)
	m.requested(did, report)
	m.tallied(b, did, report)
	if did.before[b].header.Generation == 0 {
		m.checkf(errors.Is(err, cohort.ErrUnrecorded), "want no record: %v", err)
		m.silent("on an unknown cohort", did)
		return
	}
	m.checkf(report.Removals.Total() == len(did.before[b].members), "%+v of %d members", report.Removals, len(did.before[b].members))
	m.checkf(err == nil || did.disturbed, "ended for no reason: %v", err)
	if err != nil {
		return
	}
	m.drained(b, did)
	if i := slices.Index(m.active, b); i >= 0 {
		m.active[i] = m.next[b]
		if m.active[i] == nil {
			m.active[i] = m.open()
		}
		m.active[i].wanted = b.wanted
	}
	again := m.watch(map[*book]*view{b: v}, func(ctx context.Context) {
		report, err := m.syncer.Drain(ctx, b.id)
		m.checkf(err == nil && report.Requests == 0, "drained again: %v, %v", report, err)
	})
	m.silent("drained again", again)
}

// drained checks a cohort that was drained.
func (m *model) drained(b *book, did ran) {
	m.filled(b, newView(), did.before[b], did.after[b])
	m.checkf(did.after[b].header.Retired, "drained and not retired")
	m.leaving = slices.DeleteFunc(m.leaving, func(o *book) bool { return o == b })
	b.done = true
	m.count("drained")
}

// rebuild fills a new cohort in place of an old one.
func (m *model) rebuild() {
	old := m.cohort()
	m.churn(old)
	b := m.next[old]
	if b == nil {
		b = m.open()
		m.next[old] = b
	}
	b.wanted = old.wanted
	var s source
	s.approved = m.r.IntN(2) == 0
	entries := m.entries(b, s)
	v := m.view(entries, s)
	x := m.expect(v, s, m.record(b))
	if m.r.IntN(3) == 0 {
		m.arm()
	}
	var reports []cohort.Report
	var err error
	did := m.watch(map[*book]*view{b: v, old: newView()}, func(ctx context.Context) {
		reports, err = m.syncer.Rebuild(ctx, old.id, b.cohort(), m.audience(entries, s, nil), s.options(x)...)
	})
	m.notef("  rebuild: %v; %v", reports, err)
	if did.before[old].header.Generation == 0 {
		m.checkf(errors.Is(err, cohort.ErrUnrecorded), "want no record: %v", err)
		m.silent("on an unknown cohort", did)
		return
	}
	for _, r := range reports {
		m.sums(r)
	}
	m.requested(did, reports...)
	switch len(reports) {
	case 1:
		m.checkf(err != nil && did.before[old].same(did.after[old]), "the old cohort is touched before the new one is filled: %v", err)
		m.synced(b, x, did, reports[0], err)
		m.count("rebuild: not filled")
	case 2:
		m.synced(b, x, did, reports[0], nil)
		m.active[slices.Index(m.active, old)] = b
		m.leaving = append(m.leaving, old)
		m.checkf(err == nil || did.disturbed, "ended for no reason: %v", err)
		if err != nil {
			m.count("rebuild: not drained")
			break
		}
		m.drained(old, did)
		m.count("rebuilt")
	default:
		m.failf("rebuild: %d reports: %v", len(reports), err)
	}
}

// retired tries to fill a drained cohort.
func (m *model) retired() {
	i := slices.IndexFunc(m.all, func(b *book) bool { return b.done })
	if i < 0 {
		return
	}
	b := m.all[i]
	did := m.watch(map[*book]*view{b: newView()}, func(ctx context.Context) {
		_, err := m.syncer.Sync(ctx, b.cohort(), m.audience(m.entries(m.cohort(), source{}), source{}, func() { m.failf("the source was read") }))
		m.checkf(errors.Is(err, cohort.ErrRetired), "want a retired cohort: %v", err)
		_, err = m.syncer.Reassert(ctx, b.id, cohort.Share(1))
		m.checkf(errors.Is(err, cohort.ErrRetired), "want a retired cohort: %v", err)
	})
	m.silent("on a retired cohort", did)
	m.count("retired: refused")
}

// events applies single changes between two syncs: somebody enters, of whom no identifier is a member yet, or somebody leaves, by all that are.
func (m *model) events() {
	b := m.cohort()
	members := m.record(b).members
	var changes []cohort.Change
	for _, p := range m.people {
		var known []identity.ID
		for id := range members {
			if p.braze != "" && m.owner(id) == p.braze {
				known = append(known, id)
			}
		}
		if m.r.IntN(4) > 0 {
			continue
		}
		id, err := m.rules.Choose(personOf(m.profile(p)))
		switch {
		case b.wanted[p]:
			for _, id := range known {
				changes = append(changes, cohort.Remove(id))
			}
			b.wanted[p] = false
		case len(known) == 0 && err == nil && members[id] == ledger.Out:
			changes = append(changes, cohort.Add(id))
			b.wanted[p] = true
		}
	}
	if m.r.IntN(3) == 0 {
		m.arm()
	}
	var report cohort.Report
	var err error
	did := m.watch(map[*book]*view{b: newView()}, func(ctx context.Context) { report, err = m.syncer.Apply(ctx, b.id, list(changes...)) })
	m.outcome("apply", report, err)
	m.tallied(b, did, report)
	m.requested(did, report)
	m.checkf(err == nil || did.disturbed, "ended for no reason: %v", err)
}

func each(ids []identity.ID) iter.Seq2[identity.ID, error] {
	return func(yield func(identity.ID, error) bool) {
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
	}
}

// finish brings every cohort to a good end.
func (m *model) finish() {
	for _, b := range m.active {
		m.syncTo(b, source{approved: true})
	}
}
