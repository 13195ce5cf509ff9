package brazetest

import (
	"cmp"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// Cohort is a copy of what the fake knows of a cohort. Inside the fake a cohort costs a bit for each profile of its
// workspace.
type Cohort struct {
	// ID is the cohort ID that the partner chose.
	ID string
	// Partner is the slug of the partner whose cohort it is.
	Partner string
	// Name is the name last sent, and empty while the cohort was never named.
	Name string
	// CreatedAt is the created_at last sent, with the offset it had, and the zero time while the cohort was never named.
	CreatedAt time.Time
	// Members are the profiles in the cohort whose change has become visible, in the order in which the profiles were
	// added to the workspace.
	Members []Profile
	// Skipped lists what requests named without effect, as Braze does in silence, oldest first. At most the latest
	// [MaxSkipped] are kept; each holds a copy of its identifier.
	Skipped []Skip
	// SkippedByReason counts all that was skipped, exactly.
	SkippedByReason map[SkipReason]int
}

// ExternalIDs returns the external IDs of the members that have one, in byte order.
func (c Cohort) ExternalIDs() []string {
	var ids []string
	for _, m := range c.Members {
		if m.ExternalID != "" {
			ids = append(ids, m.ExternalID)
		}
	}
	slices.Sort(ids)
	return ids
}

// MaxSkipped is how many skipped identifiers a cohort keeps.
const MaxSkipped = 10_000

// Skip is an identifier that an accepted request named and that matched no profile. Printing it shows the identifier.
type Skip struct {
	Identifier Identifier
	Reason     SkipReason
	Remove     bool // whether it was to be removed
	Request    int  // the number of the request, as in the request log
}

// Kind is the kind of an identifier.
type Kind uint8

// The kinds.
const (
	ExternalIDKind Kind = iota + 1
	AliasKind
	DeviceIDKind
)

// String returns "external_id", "alias" or "device_id".
func (k Kind) String() string {
	switch k {
	case ExternalIDKind:
		return "external_id"
	case AliasKind:
		return "alias"
	case DeviceIDKind:
		return "device_id"
	default:
		return "unknown kind"
	}
}

// Identifier is an identifier as a users request names it. Printing it shows it.
type Identifier struct {
	Kind  Kind
	Value string // the external ID, the device ID, or the name of the alias
	Label string // of an alias
}

// SkipReason says why an identifier had no effect.
type SkipReason uint8

// The reasons.
const (
	// SkippedUnknown means that no profile has the identifier.
	SkippedUnknown SkipReason = iota + 1
	// SkippedIdentifiedDevice means that every profile with this device is identified, which ends matching by device.
	SkippedIdentifiedDevice
	// SkippedSharedDevice means that an identified profile shares the device and [IgnoreSharedDevices] is set.
	SkippedSharedDevice
	// SkippedUnidentifiedAlias means that the profile has no external ID and [AliasesMatchIdentifiedOnly] is set.
	SkippedUnidentifiedAlias
	// SkippedDeprecatedID means that the external ID is deprecated and [IgnoreDeprecatedIDs] is set.
	SkippedDeprecatedID
)

// String describes the reason in a few words.
func (r SkipReason) String() string {
	switch r {
	case SkippedUnknown:
		return "no such profile"
	case SkippedIdentifiedDevice:
		return "device of an identified profile"
	case SkippedSharedDevice:
		return "device shared with an identified profile"
	case SkippedUnidentifiedAlias:
		return "alias of an unidentified profile"
	case SkippedDeprecatedID:
		return "deprecated external ID"
	default:
		return "unknown reason"
	}
}

// Cohorts returns the cohorts of every partner, by partner slug and then by cohort ID. A cohort exists once it was
// named or got a users request with an identifier in it.
func (w *Workspace) Cohorts() []Cohort {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Cohort
	for _, pg := range w.pages {
		for _, c := range pg.cohorts {
			list = append(list, w.showCohort(pg, c, now))
		}
	}
	slices.SortFunc(list, func(a, b Cohort) int {
		return cmp.Or(strings.Compare(a.Partner, b.Partner), strings.Compare(a.ID, b.ID))
	})
	return list
}

// Cohort returns a partner's cohort by its ID.
func (w *Workspace) Cohort(p *Partner, id string) (Cohort, bool) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	pg := w.pageLocked(p)
	c := pg.cohorts[id]
	if c == nil {
		return Cohort{}, false
	}
	return w.showCohort(pg, c, now), true
}

// CohortSize returns how many members a cohort visibly has, without copying them. A cohort that does not exist has none.
func (w *Workspace) CohortSize(p *Partner, id string) int {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.pageLocked(p).cohorts[id]
	if c == nil {
		return 0
	}
	w.settle(c, now)
	return c.members.count()
}

// DropDown returns the names that the partner's filter offers in the dashboard, in byte order: those of all named
// cohorts. A name that two cohorts share is there twice. The filter is shown only while the partner is enabled, so
// there are none otherwise.
func (w *Workspace) DropDown(p *Partner) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	pg := w.pageLocked(p)
	var names []string
	for _, c := range pg.cohorts {
		if c.name != "" && pg.enabled {
			names = append(names, c.name)
		}
	}
	slices.Sort(names)
	return names
}

func (w *Workspace) showCohort(pg *page, c *cohort, now time.Time) Cohort {
	w.settle(c, now)
	shown := Cohort{
		ID:              c.id,
		Partner:         pg.partner.slug,
		Name:            c.name,
		CreatedAt:       c.createdAt,
		Skipped:         slices.Clone(c.skipped[max(0, len(c.skipped)-MaxSkipped):]),
		SkippedByReason: maps.Clone(c.skips),
	}
	for i := range c.members.all {
		shown.Members = append(shown.Members, w.show(w.people.all[i]))
	}
	return shown
}

// cohort is a cohort of a page, guarded by the workspace's lock.
type cohort struct {
	id        string
	name      string
	createdAt time.Time
	members   bitSet
	pending   []pendingChange // accepted, not visible yet, oldest first
	skipped   []Skip          // up to twice MaxSkipped, so that cutting it costs little
	skips     map[SkipReason]int
}

type pendingChange struct {
	visible time.Time
	effects []effect
}

// effect is what one identifier of a request does to one profile.
type effect struct {
	profile int32
	remove  bool
}

func (pg *page) cohort(id string) *cohort {
	c := pg.cohorts[id]
	if c == nil {
		c = &cohort{id: id, skips: make(map[SkipReason]int)}
		pg.cohorts[id] = c
	}
	return c
}

// settle makes visible what is due.
func (w *Workspace) settle(c *cohort, now time.Time) {
	due := 0
	for ; due < len(c.pending) && !c.pending[due].visible.After(now); due++ {
		for _, e := range c.pending[due].effects {
			for e.profile != nobody && w.people.all[e.profile].gone() {
				e.profile = w.people.all[e.profile].heir
			}
			if e.profile != nobody {
				c.apply(e)
			}
		}
	}
	c.pending = c.pending[due:]
	if len(c.pending) == 0 {
		c.pending = nil
	}
}

// settleAll makes visible what is due in every cohort. Whatever moves memberships does so first: a change that was visible before a merge must not be
// applied after it.
func (w *Workspace) settleAll() {
	now := time.Now()
	w.everyCohort(func(c *cohort) { w.settle(c, now) })
}

func (c *cohort) apply(e effect) {
	if e.remove {
		c.members.remove(e.profile)
	} else {
		c.members.add(e.profile)
	}
}

func (c *cohort) skip(s Skip) {
	c.skips[s.Reason]++
	if len(c.skipped) == 2*MaxSkipped {
		c.skipped = append(c.skipped[:0], c.skipped[MaxSkipped:]...)
	}
	c.skipped = append(c.skipped, s)
}

func (w *Workspace) everyCohort(f func(*cohort)) {
	for _, pg := range w.pages {
		for _, c := range pg.cohorts {
			f(c)
		}
	}
}

// leaveAll takes a profile out of all cohorts, and takes back what of it is not visible yet unless that has somebody to
// move to.
func (w *Workspace) leaveAll(p *profile) {
	w.everyCohort(func(c *cohort) {
		c.members.remove(p.index)
		if p.gone() && p.heir != nobody {
			return
		}
		for i := range c.pending {
			c.pending[i].effects = slices.DeleteFunc(c.pending[i].effects, func(e effect) bool { return e.profile == p.index })
		}
	})
}

// inherit puts a profile into the cohorts of one that is about to be merged into it, now and for what is not visible yet.
func (w *Workspace) inherit(p, like *profile) {
	like.heir = p.index
	w.everyCohort(func(c *cohort) {
		if c.members.has(like.index) {
			c.members.add(p.index)
		}
	})
}

// bitSet is a set of profile indexes: one bit a profile, up to the highest one in it.
type bitSet []uint64

func (b bitSet) has(i int32) bool {
	word := int(i >> 6)
	return word < len(b) && b[word]>>(uint(i)&63)&1 == 1
}

func (b *bitSet) add(i int32) {
	word := int(i >> 6)
	if word >= len(*b) {
		*b = append(*b, make([]uint64, word+1-len(*b))...)
	}
	(*b)[word] |= 1 << (uint(i) & 63)
}

func (b bitSet) remove(i int32) {
	if word := int(i >> 6); word < len(b) {
		b[word] &^= 1 << (uint(i) & 63)
	}
}

func (b bitSet) count() int {
	n := 0
	for _, word := range b {
		n += bits.OnesCount64(word)
	}
	return n
}

// all yields the members in ascending order.
func (b bitSet) all(yield func(int32) bool) {
	for w, word := range b {
		for ; word != 0; word &= word - 1 {
			if !yield(int32(w*64 + bits.TrailingZeros64(word))) {
				return
			}
		}
	}
}
