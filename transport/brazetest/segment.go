package brazetest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/cohortkit/cohortkit/segment"
)

// savedSegment is a segment of a workspace, guarded by the workspace's lock.
type savedSegment struct {
	id, name    string
	description string
	tags        []string
	segment     *segment.Segment
	nested      []*savedSegment // that it asks for membership
	archived    bool
	created     time.Time
}

// SegmentOption changes what [Workspace.AddSegment] makes.
type SegmentOption interface{ applySegment(*savedSegment) }

type segmentOption func(*savedSegment)

func (o segmentOption) applySegment(s *savedSegment) { o(s) }

// Described gives the segment a description, as typed by the marketer.
func Described(text string) SegmentOption {
	return segmentOption(func(s *savedSegment) { s.description = text })
}

// Tagged gives the segment tags.
func Tagged(tags ...string) SegmentOption {
	return segmentOption(func(s *savedSegment) { s.tags = append(slices.Clip(s.tags), tags...) })
}

// AddSegment saves a segment under a name, as a marketer does in the dashboard, and returns its ID, an opaque text. It is
// evaluated anew whenever somebody asks for its members or sends to it, on the profiles and cohorts as they are then. A
// filter by cohort goes by the partner's display name and by the name last sent for the cohort.
//
// A name that is empty or taken, a segment that asks for membership of one that is not there or asks for membership
// itself, which the dashboard does not nest, and a filter that the fake cannot evaluate end the test, or panic for a
// server made by [Start].
func (w *Workspace) AddSegment(name string, s *segment.Segment, opts ...SegmentOption) (id string) {
	saved := &savedSegment{name: name, segment: s, created: time.Now()}
	for _, o := range opts {
		o.applySegment(saved)
	}
	if err := w.saveSegment(saved); err != nil {
		w.server.fatalf("brazetest: add segment %q: %v", name, err)
	}
	return saved.id
}

func (w *Workspace) saveSegment(s *savedSegment) error {
	if s.name == "" || s.segment == nil {
		return fmt.Errorf("the name is empty or there is no segment: give it both")
	}
	if _, err := s.segment.Match(&segment.Profile{}, time.Now()); err != nil { // the same for every profile
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.segmentNamed(s.name) != nil {
		return fmt.Errorf("the name is taken: use another")
	}
	for _, name := range s.segment.Memberships() {
		nested := w.segmentNamed(name)
		switch {
		case nested == nil:
			return fmt.Errorf("it asks for membership of %q, which is not there: add that first", name)
		case len(nested.nested) > 0:
			return fmt.Errorf("it asks for membership of %q, which asks for membership itself: nest one level", name)
		}
		s.nested = append(s.nested, nested)
	}
	s.id = w.opaqueID("segment", len(w.segments))
	w.segments = append(w.segments, s)
	return nil
}

func (w *Workspace) segmentNamed(name string) *savedSegment {
	return firstWhere(w.segments, func(s *savedSegment) bool { return s.name == name })
}

func (w *Workspace) segmentWith(id string) *savedSegment {
	return firstWhere(w.segments, func(s *savedSegment) bool { return s.id == id })
}

func firstWhere[T any](list []*T, wanted func(*T) bool) *T {
	if i := slices.IndexFunc(list, wanted); i >= 0 {
		return list[i]
	}
	return nil
}

// ArchiveSegment archives a segment, and with it the campaigns and Canvases whose target it is. It is listed no more. An ID that no
// segment has ends the test, or panics for a server made by [Start].
func (w *Workspace) ArchiveSegment(id string) {
	w.mu.Lock()
	s := w.segmentWith(id)
	if s != nil {
		s.archived = true
		for _, c := range w.campaigns {
			c.archived = c.archived || slices.Contains(c.targets, s)
		}
	}
	w.mu.Unlock()
	if s == nil {
		w.server.fatalf("brazetest: archive segment: no segment has this ID: use one that AddSegment returned")
	}
}

// SegmentMembers returns who is in the segment now, in the order in which the profiles were added. A segment that is not there has
// nobody.
func (w *Workspace) SegmentMembers(id string) []Profile {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.segmentWith(id)
	if s == nil {
		return nil
	}
	var members []Profile
	l := w.lens()
	for _, p := range w.people.all {
		if l.look(p) && l.in(s) {
			members = append(members, w.show(p))
		}
	}
	return members
}

// opaqueID makes up the ID of the n-th thing of a kind, in the form of a UUID.
func (w *Workspace) opaqueID(kind string, n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "brazetest %s %d of workspace %d", kind, n, w.number))
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// listSegments is /segments/list.
func (c *call) listSegments() func() any {
	type item struct {
		ID       string   `json:"id"`
		Name     string   `json:"name"`
		Tracking bool     `json:"analytics_tracking_enabled"`
		Tags     []string `json:"tags"`
	}
	page := c.count("page")
	order := c.query.Get("sort_direction")
	if order != "" && order != "asc" && order != "desc" {
		c.problemf("'sort_direction' must be asc or desc")
	}
	return c.locked(func(w *Workspace) any {
		items := []item{}
		for _, s := range w.segments {
			if !s.archived {
				items = append(items, item{ID: s.id, Name: s.name, Tags: filled(s.tags)})
			}
		}
		if order == "desc" {
			slices.Reverse(items)
		}
		first := min(min(page, len(items))*pageSize, len(items))
		return struct {
			Message  string `json:"message"`
			Segments []item `json:"segments"`
		}{success, items[first:min(first+pageSize, len(items))]}
	})
}

// pageSize is how many items a page of a list has.
const pageSize = 100

// filled is the list as an array of JSON, which is never null.
func filled(list []string) []string { return append([]string{}, list...) }

// showSegment is /segments/details, whose description is the filters and whose text_description is the description.
func (c *call) showSegment() func() any {
	c.workspace.mu.RLock()
	s := c.workspace.segmentWith(c.query.Get("segment_id"))
	c.workspace.mu.RUnlock()
	if s == nil {
		c.problemf("'segment_id' is required and must be the ID of a segment")
	}
	return func() any {
		created := s.created.UTC().Format(time.RFC3339)
		return struct {
			Message     string   `json:"message"`
			CreatedAt   string   `json:"created_at"`
			UpdatedAt   string   `json:"updated_at"`
			Name        string   `json:"name"`
			Filters     string   `json:"description"`
			Description string   `json:"text_description"`
			Tags        []string `json:"tags"`
			Teams       []string `json:"teams"`
		}{success, created, created, s.name, s.segment.String(), s.description, filled(s.tags), []string{}}
	}
}
