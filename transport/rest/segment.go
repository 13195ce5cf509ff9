package rest

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"time"

	"github.com/cohortkit/cohortkit/transport"
)

// The operations are named as the permissions they need, so that an error for want of one tells which.
const (
	opSegments       = "segments.list"
	opSegmentDetails = "segments.details"
)

const (
	// pageSize is the documented length of a page.
	pageSize = 100
	// maxPages is where a list of segments is taken to be endless: nobody could pick from a hundred thousand in a drop-down.
	maxPages = 1000
)

// Segment is a segment as the list of segments shows it. The list tells neither its filters nor its size.
type Segment struct {
	ID                string   // what a send names it by
	Name              string   // not documented to be unique
	Tags              []string // tags given in the dashboard
	AnalyticsTracking bool     // whether its size is recorded over time
}

// ListOption changes how a list is read. The order of options does not matter.
type ListOption interface{ applyList(url.Values) }

type listOptionFunc func(url.Values)

func (f listOptionFunc) applyList(query url.Values) { f(query) }

// NewestFirst lists what was created last first. Default: oldest first.
func NewestFirst() ListOption {
	return listOptionFunc(func(query url.Values) { query.Set("sort_direction", "desc") })
}

// Segments yields the segments of the workspace in the order of their creation, page by page: a page is requested when the one before it has been
// ranged over. Archived segments are not listed. Each segment is yielded once, also if it moves to the next page because others come or go meanwhile.
//
// An error ends the sequence; it is an [*InvalidError] for a nil option, that of [transport.Client.Do], or matches [ErrEndlessList]. The key needs
// the permission segments.list.
func (c *Client) Segments(ctx context.Context, opts ...ListOption) iter.Seq2[Segment, error] {
	query := url.Values{}
	for _, o := range opts {
		if o == nil {
			return func(yield func(Segment, error) bool) {
				yield(Segment{}, &InvalidError{Field: "option", Problem: "is nil", Next: "leave it out"})
			}
		}
		o.applyList(query)
	}
	direction := query.Get("sort_direction")
	return func(yield func(Segment, error) bool) {
		var before map[string]bool // the IDs of the page before
		for page := range maxPages {
			segments, err := c.segmentPage(ctx, page, direction)
			if err != nil {
				yield(Segment{}, fmt.Errorf("rest: list segments: page %d: %w", page, err))
				return
			}
			ids, fresh := make(map[string]bool, len(segments)), false
			for _, s := range segments {
				if before[s.ID] || ids[s.ID] {
					continue
				}
				ids[s.ID], fresh = true, true
				if !yield(s, nil) {
					return
				}
			}
			if len(segments) < pageSize {
				return
			}
			if !fresh {
				yield(Segment{}, fmt.Errorf("rest: list segments: page %d repeats the one before: %w", page, ErrEndlessList))
				return
			}
			before = ids
		}
		yield(Segment{}, fmt.Errorf("rest: list segments: more than %d pages: %w", maxPages, ErrEndlessList))
	}
}

type segmentsAnswer struct {
	Segments []struct {
		ID                string   `json:"id"`
		Name              string   `json:"name"`
		AnalyticsTracking bool     `json:"analytics_tracking_enabled"`
		Tags              []string `json:"tags"`
	} `json:"segments"`
}

func (a *segmentsAnswer) check() error {
	if a.Segments == nil {
		return &AnswerError{Field: "segments", Problem: "is missing"}
	}
	for i, s := range a.Segments {
		if s.ID == "" {
			return &AnswerError{Field: fmt.Sprintf("segments[%d].id", i), Problem: "is missing"}
		}
	}
	return nil
}

func (c *Client) segmentPage(ctx context.Context, page int, direction string) ([]Segment, error) {
	query := url.Values{"page": {strconv.Itoa(page)}}
	if direction != "" {
		query.Set("sort_direction", direction)
	}
	var got segmentsAnswer
	if err := c.get(ctx, transport.Request{Operation: opSegments, Path: "/segments/list", Query: query}, &got); err != nil {
		return nil, err
	}
	segments := make([]Segment, len(got.Segments))
	for i, s := range got.Segments {
		segments[i] = Segment{ID: s.ID, Name: s.Name, Tags: s.Tags, AnalyticsTracking: s.AnalyticsTracking}
	}
	return segments, nil
}

// FindSegment returns the segment of this name, compared byte for byte. It reads the whole list, because names are not documented to be unique, and
// returns a [*FindError] unless exactly one segment has the name. Other errors are those of [Client.Segments].
func (c *Client) FindSegment(ctx context.Context, name string) (Segment, error) {
	if err := checkText("segment name", name, "give the name that the dashboard shows"); err != nil {
		return Segment{}, err
	}
	var found []Segment
	for s, err := range c.Segments(ctx) {
		if err != nil {
			return Segment{}, err
		}
		if s.Name == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		return Segment{}, &FindError{Name: name, Found: found}
	}
	return found[0], nil
}

// SegmentDetails is what [Client.SegmentDetails] tells of one segment. Who is in it and how many is not part of it.
type SegmentDetails struct {
	ID   string // as it was asked for
	Name string
	// Filters is the text that Braze makes of the segment's filters. On the wire it is called description.
	Filters string
	// Description is what somebody wrote into the segment's description. On the wire it is called text_description.
	Description string
	Tags        []string
	Teams       []string
	// CreatedAt and UpdatedAt are zero where the endpoint gives no time that can be read.
	CreatedAt, UpdatedAt time.Time
}

type segmentDetailsAnswer struct {
	Name            *string  `json:"name"`
	Description     string   `json:"description"`
	TextDescription string   `json:"text_description"`
	Tags            []string `json:"tags"`
	Teams           []string `json:"teams"`
	CreatedAt       any      `json:"created_at"`
	UpdatedAt       any      `json:"updated_at"`
}

func (a *segmentDetailsAnswer) check() error {
	if a.Name == nil {
		return &AnswerError{Field: "name", Problem: "is missing"}
	}
	return nil
}

// SegmentDetails returns the details of the segment with this ID. Its errors are an [*InvalidError], and those of [transport.Client.Do]. The key
// needs the permission segments.details.
func (c *Client) SegmentDetails(ctx context.Context, id string) (SegmentDetails, error) {
	if err := checkText("segment ID", id, "find it with FindSegment"); err != nil {
		return SegmentDetails{}, err
	}
	var got segmentDetailsAnswer
	err := c.get(ctx, transport.Request{Operation: opSegmentDetails, Path: "/segments/details", Query: url.Values{"segment_id": {id}}}, &got)
	if err != nil {
		return SegmentDetails{}, fmt.Errorf("rest: segment details: %w", err)
	}
	return SegmentDetails{
		ID: id, Name: *got.Name, Filters: got.Description, Description: got.TextDescription, Tags: got.Tags, Teams: got.Teams,
		CreatedAt: timeOf(got.CreatedAt), UpdatedAt: timeOf(got.UpdatedAt),
	}, nil
}
