package cohort_test

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

var syncHistories = flag.Int("sync-histories", 150, "how many random histories TestSyncModel lives through")

// TestSyncModel lives through random histories of a cohort whose people change their identifiers, while requests are lost, refused and locked. After each
// run that says that all is well, the profiles in the cohort are the wanted ones and an unchanged run costs no request; the sums hold always.
func TestSyncModel(t *testing.T) {
	t.Parallel()
	events := map[string]int{}
	for n := range *syncHistories {
		seed := uint64(n + 1)
		synctest.Test(t, func(t *testing.T) {
			h := newHistory(t, seed)
			for range 25 {
				h.step(t)
				if t.Failed() {
					t.Fatalf("seed %d: %s", seed, strings.Join(h.log, "; "))
				}
			}
			for _, e := range h.log {
				events[strings.Fields(e)[0]]++
			}
		})
		if t.Failed() {
			return
		}
	}
	t.Log(events)
	for _, e := range []string{"synced", "held", "failed", "approved", "identified", "merged", "renamed", "aliased", "rules", "suppressed", "erased", "reasserted", "drained", "empty"} {
		if events[e] < *syncHistories/10 {
			t.Errorf("%q happened %d times", e, events[e])
		}
	}
}

// human is somebody as the caller knows them.
type human struct {
	identity.Person
	brazeID string
	wanted  bool
	gone    bool // merged into another, or erased
}

type history struct {
	*stage
	random     *rand.Rand
	state      ledger.Ledger
	humans     []*human
	generation int // of the cohort's id
	suppressed map[identity.ID]bool
	order      []identity.Kind // of the rules
	log        []string
}

func newHistory(t *testing.T, seed uint64) *history {
	t.Helper()
	h := &history{stage: newStage(t), random: rand.New(rand.NewPCG(seed, 0)), state: newLedger(t), suppressed: map[identity.ID]bool{}}
	for i := range 12 {
		x := &human{wanted: h.random.IntN(3) > 0}
		p := brazetest.Profile{}
		if i%3 != 0 {
			x.ExternalID = fmt.Sprintf("e-%d", i)
			p.ExternalID = x.ExternalID
		}
		if i%3 != 1 {
			a := identity.Alias{Label: "crm", Name: fmt.Sprintf("a-%d", i)}
			x.Aliases = []identity.Alias{a}
			p.Aliases = []brazetest.Alias{brazetest.Alias(a)}
		}
		id, err := h.workspace.AddProfile(p)
		if err != nil {
			t.Fatal(err)
		}
		x.brazeID = id
		h.humans = append(h.humans, x)
	}
	return h
}

func (h *history) notef(format string, args ...any) {
	h.log = append(h.log, fmt.Sprintf(format, args...))
}

func (h *history) pick(that func(*human) bool) *human {
	var fit []*human
	for _, x := range h.humans {
		if !x.gone && that(x) {
			fit = append(fit, x)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[h.random.IntN(len(fit))]
}

func (h *history) cohort() cohort.Cohort {
	return cohort.Cohort{ID: fmt.Sprintf("camp-%d", h.generation), Name: fmt.Sprintf("Campaign %d.%d", h.generation, h.random.IntN(2))}
}

// rules changes the rules at times.
func (h *history) rules() identity.Rules {
	if h.random.IntN(4) == 0 {
		h.order = nil
		if h.random.IntN(2) == 0 {
			h.order = []identity.Kind{identity.AliasKind, identity.ExternalIDKind, identity.DeviceIDKind}
		}
		h.notef("rules")
	}
	return identity.Rules{Order: h.order}
}

func (h *history) audience() cohort.Audience {
	order := slices.Clone(h.humans)
	h.random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	return cohort.People(h.rules(), func(yield func(identity.Person, error) bool) {
		for _, x := range order {
			if x.wanted && !x.gone && !yield(x.Person, nil) {
				return
			}
		}
	})
}

// ids are all identifiers of somebody.
func (x *human) ids() []identity.ID {
	var ids []identity.ID
	if x.ExternalID != "" {
		ids = append(ids, identity.ExternalID(x.ExternalID))
	}
	for _, former := range x.FormerExternalIDs {
		ids = append(ids, identity.ExternalID(former))
	}
	for _, a := range x.Aliases {
		ids = append(ids, a.ID())
	}
	return ids
}

func (h *history) isSuppressed(x *human) bool {
	return slices.ContainsFunc(x.ids(), func(id identity.ID) bool { return h.suppressed[id] })
}

func (h *history) syncer(t *testing.T) *cohort.Syncer {
	t.Helper()
	return newSyncer(t, h.importer(t), h.state, cohort.WithRemovalGuard(0.3, 2), cohort.WithSuppression(func(id identity.ID) bool { return h.suppressed[id] }))
}

// disturb makes something go wrong with some requests, or nothing, and returns how to end it.
func (h *history) disturb() func() {
	faults := []brazetest.Fault{
		brazetest.AppliedThenLost(), brazetest.DropConnection(), brazetest.Status(http.StatusBadRequest), brazetest.Status(http.StatusServiceUnavailable),
		brazetest.Locked(), brazetest.Status(http.StatusRequestEntityTooLarge),
	}
	i := h.random.IntN(2 * len(faults))
	if i >= len(faults) {
		return func() {}
	}
	target := brazetest.AnyRequest().Nth(1 + h.random.IntN(3))
	if h.random.IntN(2) == 0 {
		remove := h.random.IntN(2) == 0
		target = brazetest.Users().Where(func(r brazetest.Request) bool { return len(r.Changes) > 0 && r.Changes[0].Remove == remove })
	}
	injection := h.server.Inject(target, faults[i]).Always().Optional()
	return injection.Remove
}

// sync runs Sync, and checks what it says.
func (h *history) sync(t *testing.T, opts ...cohort.RunOption) {
	t.Helper()
	c, audience := h.cohort(), h.audience()
	report, err := h.syncer(t).Sync(t.Context(), c, audience, opts...)
	checkSyncSums(t, report)
	switch held, isHeld := errors.AsType[*cohort.HeldRemovalsError](err); {
	case err == nil:
		h.notef("synced %v", report)
		h.check(t)
		if report, err := h.syncer(t).Sync(t.Context(), c, audience); err != nil && !errors.Is(err, cohort.ErrEmptySource) || report.Requests != 0 {
			t.Errorf("an unchanged run: %v, %v", report, err)
		}
	case isHeld:
		h.notef("held %v", report)
		if h.random.IntN(2) == 0 {
			h.notef("approved")
			h.sync(t, cohort.ApproveRemovals(held.Removals))
		}
	case errors.Is(err, cohort.ErrEmptySource):
		h.notef("empty")
	default:
		h.notef("failed %v", report)
	}
}

// check compares the profiles in the cohort with those wanted.
func (h *history) check(t *testing.T) {
	t.Helper()
	var want, got []string
	for _, x := range h.humans {
		if x.wanted && !x.gone && !h.isSuppressed(x) {
			want = append(want, x.brazeID)
		}
	}
	c, _ := h.workspace.Cohort(h.partner, fmt.Sprintf("camp-%d", h.generation))
	for _, p := range c.Members {
		got = append(got, p.BrazeID)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("in the cohort are %v, want %v", got, want)
	}
}

func (h *history) step(t *testing.T) {
	t.Helper()
	time.Sleep(time.Hour)
	switch h.random.IntN(16) {
	case 0:
		x := h.pick(func(x *human) bool { return x.ExternalID == "" })
		if x == nil {
			return
		}
		x.ExternalID = fmt.Sprintf("i-%d", len(h.log))
		if _, err := h.workspace.Identify(x.brazeID, x.ExternalID); err != nil {
			t.Fatal(err)
		}
		h.notef("identified")
	case 1:
		keep, merged := h.pick(func(x *human) bool { return x.ExternalID != "" }), h.pick(func(x *human) bool { return x.ExternalID == "" })
		if keep == nil || merged == nil || len(keep.Aliases) > 0 {
			return
		}
		if err := h.workspace.Merge(keep.brazeID, merged.brazeID); err != nil {
			t.Fatal(err)
		}
		keep.Aliases = slices.Concat(keep.Aliases, merged.Aliases)
		merged.gone = true
		h.notef("merged")
	case 2:
		x := h.pick(func(x *human) bool { return x.ExternalID != "" })
		if x == nil {
			return
		}
		former := x.ExternalID
		x.ExternalID = fmt.Sprintf("r-%d", len(h.log))
		x.FormerExternalIDs = append(x.FormerExternalIDs, former)
		if err := h.workspace.Rename(former, x.ExternalID); err != nil {
			t.Fatal(err)
		}
		h.notef("renamed")
	case 3:
		x := h.pick(func(x *human) bool { return x.ExternalID != "" && len(x.Aliases) == 0 })
		if x == nil {
			return
		}
		a := identity.Alias{Label: "crm", Name: fmt.Sprintf("n-%d", len(h.log))}
		if err := h.workspace.AddAlias(x.brazeID, brazetest.Alias(a)); err != nil {
			t.Fatal(err)
		}
		x.Aliases = []identity.Alias{a}
		h.notef("aliased")
	case 4:
		x := h.pick(func(*human) bool { return true })
		for _, id := range x.ids() {
			h.suppressed[id] = true
		}
		h.notef("suppressed")
	case 5:
		clear(h.suppressed)
	case 6:
		x := h.pick(func(*human) bool { return true })
		heal := h.disturb()
		defer heal()
		reports, err := h.syncer(t).Erase(t.Context(), func(yield func(identity.ID, error) bool) {
			for _, id := range x.ids() {
				if !yield(id, nil) {
					return
				}
			}
		})
		for _, r := range reports {
			checkSyncSums(t, r)
		}
		h.notef("erased %v", err == nil)
		x.wanted = false
	case 7:
		heal := h.disturb()
		defer heal()
		report, err := h.syncer(t).Reassert(t.Context(), h.cohort().ID, cohort.Share(cmp.Or(h.random.Float64(), 1)))
		checkSyncSums(t, report)
		h.notef("reasserted %v", err == nil)
	case 8:
		if h.random.IntN(2) == 0 {
			return
		}
		old := h.cohort().ID
		report, err := h.syncer(t).Drain(t.Context(), old)
		checkSyncSums(t, report)
		switch {
		case errors.Is(err, cohort.ErrUnrecorded):
		case err != nil:
			t.Error(err)
		default:
			h.notef("drained %v", report)
			if n := h.workspace.CohortSize(h.partner, old); n != 0 {
				t.Errorf("%d left in a drained cohort", n)
			}
			h.generation++
		}
	case 9:
		for _, x := range h.humans {
			x.wanted = false
		}
		h.sync(t)
		for _, x := range h.humans {
			x.wanted = h.random.IntN(3) > 0
		}
	default:
		for range h.random.IntN(4) {
			if x := h.pick(func(*human) bool { return true }); x != nil {
				x.wanted = !x.wanted
			}
		}
		heal := h.disturb()
		h.sync(t)
		heal()
	}
}
