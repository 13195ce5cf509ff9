package brazetest

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/cohortkit/cohortkit/segment"
)

// View returns what the filters of a segment see of a profile now: the argument for the Match or Explain of a [segment.Segment].
// Its cohorts are in the order of partners and names, its segments in that in which they were added.
func (w *Workspace) View(brazeID string) (segment.Profile, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, err := w.find(brazeID)
	if err != nil {
		return segment.Profile{}, false
	}
	l := w.lens()
	l.look(p)
	var in []string
	for _, s := range w.segments {
		if len(s.nested) == 0 && l.in(s) { // only such segments can be asked for
			in = append(in, s.name)
		}
	}
	view, shown := l.seen, w.show(p) // the latter is a copy
	view.Segments = in
	slices.SortFunc(view.Cohorts, func(a, b segment.CohortName) int {
		return cmp.Or(strings.Compare(a.Partner, b.Partner), strings.Compare(a.Name, b.Name))
	})
	view.DeprecatedExternalIDs, view.DeviceIDs = shown.DeprecatedExternalIDs, shown.DeviceIDs
	view.Attributes, view.Apps = shown.Attributes, shown.Apps
	return view, true
}

// lens shows profiles to filters, one after the other, as they are at one moment. The workspace's lock is held as long as it is used.
type lens struct {
	workspace *Workspace
	at        time.Time
	cohorts   []namedCohort
	seen      segment.Profile
}

type namedCohort struct {
	name   segment.CohortName
	cohort *cohort
}

func (w *Workspace) lens() *lens {
	l := &lens{workspace: w, at: time.Now()}
	for _, pg := range w.pages {
		for _, c := range pg.cohorts {
			w.settle(c, l.at)
			if c.name != "" {
				l.cohorts = append(l.cohorts, namedCohort{segment.CohortName{Partner: pg.partner.name, Name: c.name}, c})
			}
		}
	}
	return l
}

// look turns to a profile, and reports false for one that is gone.
func (l *lens) look(p *profile) bool {
	if p.gone() {
		return false
	}
	l.seen = segment.Profile{Cohorts: l.seen.Cohorts[:0]}
	l.seen.ExternalID, l.seen.DeprecatedExternalIDs, l.seen.DeviceIDs = p.external, p.deprecated, p.devices
	l.seen.Aliases = l.seen.Aliases[:0]
	for _, a := range p.aliases {
		l.seen.Aliases = append(l.seen.Aliases, struct{ Label, Name string }(a))
	}
	for _, c := range l.cohorts {
		if c.cohort.members.has(p.index) {
			l.seen.Cohorts = append(l.seen.Cohorts, c.name)
		}
	}
	if t := p.traits; t != nil {
		l.seen.Attributes, l.seen.Apps, l.seen.LastUsedApp = t.attributes, t.apps, t.lastUsed
		l.seen.Push, l.seen.Email = t.pushState, t.emailState
	}
	return true
}

// in reports whether the profile is in a segment.
func (l *lens) in(s *savedSegment) bool {
	l.seen.Segments = l.seen.Segments[:0]
	for _, nested := range s.nested {
		if is, _ := nested.segment.Match(&l.seen, l.at); is { // whether it can be evaluated was seen when it was added
			l.seen.Segments = append(l.seen.Segments, nested.name)
		}
	}
	is, _ := s.segment.Match(&l.seen, l.at)
	return is
}
