package rest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/rest"
)

func TestSegments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ segments, requests int }{{0, 1}, {1, 1}, {99, 1}, {100, 2}, {101, 2}, {200, 3}, {250, 3}} {
		t.Run(fmt.Sprint(tt.segments), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rt := following(step(workspace(tt.segments)))
				var got []rest.Segment
				for s, err := range newClient(t, rt).Segments(t.Context()) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, s)
				}
				var want []rest.Segment
				for i := range tt.segments {
					want = append(want, rest.Segment{ID: fmt.Sprint("id-", i), Name: fmt.Sprint("Segment ", i), Tags: []string{fmt.Sprint("t", i)}, AnalyticsTracking: i%2 == 0})
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("segments (-want +got):\n%s", diff)
				}
				requests := rt.seen()
				if len(requests) != tt.requests {
					t.Errorf("%d requests, want %d", len(requests), tt.requests)
				}
				for i, r := range requests {
					want := seen{At: r.At, Method: http.MethodGet, URL: fmt.Sprintf("https://rest.fra-01.braze.eu/segments/list?page=%d", i), Bearer: "Bearer " + restKey}
					if diff := cmp.Diff(want, r); diff != "" {
						t.Errorf("request (-want +got):\n%s", diff)
					}
				}
			})
		})
	}
}

func TestSegmentsNewestFirst(t *testing.T) {
	t.Parallel()
	rt := following(answer(200, pageOf(0, 1)))
	all := newClient(t, rt).Segments(t.Context(), rest.NewestFirst())
	for range 2 { // a sequence may be ranged over again
		for _, err := range all {
			if err != nil {
				t.Error(err)
			}
		}
	}
	for _, r := range rt.seen() {
		if want := "https://rest.fra-01.braze.eu/segments/list?page=0&sort_direction=desc"; r.URL != want {
			t.Errorf("URL %s, want %s", r.URL, want)
		}
	}
	if n := len(rt.seen()); n != 2 {
		t.Errorf("%d requests", n)
	}
}

// TestSegmentsNilOption asks for nothing.
func TestSegmentsNilOption(t *testing.T) {
	t.Parallel()
	rt := following(answer(200, pageOf(0, 2)))
	var all []error
	for _, err := range newClient(t, rt).Segments(t.Context(), rest.NewestFirst(), nil) {
		all = append(all, err)
	}
	if diff := cmp.Diff([]error{&rest.InvalidError{Field: "option", Problem: "is nil", Next: "leave it out"}}, all); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if n := len(rt.seen()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestSegmentsEnd has sequences that end before the list does.
func TestSegmentsEnd(t *testing.T) {
	t.Parallel()
	hundred := strings.Builder{}
	for i := range 100 {
		fmt.Fprintf(&hundred, `,{"id":"P-%d"}`, i)
	}
	numbered := func(r *http.Request) (*http.Response, error) { // another page for ever
		var page int
		if _, err := fmt.Sscan(r.URL.Query().Get("page"), &page); err != nil {
			return nil, err
		}
		return answer(200, `{"segments":[`+strings.ReplaceAll(hundred.String()[1:], "P", fmt.Sprint(page))+`]}`)(r)
	}
	tests := []struct {
		name     string
		steps    []step
		stop     int // segments after which the loop breaks off, 0 for never
		segments int
		requests int
		want     error
	}{
		{"broken off in a page", []step{answer(200, pageOf(0, 100))}, 1, 1, 1, nil},
		{"broken off at the end of a page", []step{answer(200, pageOf(0, 100))}, 100, 100, 1, nil},
		{"the same page for ever", []step{answer(200, pageOf(0, 100))}, 0, 100, 2, rest.ErrEndlessList},
		{"a page of the same segment", []step{answer(200, strings.Replace(pageOf(0, 100), `"segments":[`, `"segments":[`+strings.Repeat(`{"id":"a","name":"b"},`, 100), 1)), answer(200, pageOf(0, 0))}, 0, 101, 2, nil},
		{"pages for ever", []step{numbered}, 0, 100_000, 1000, rest.ErrEndlessList},
		{"a segment moves to the next page", []step{answer(200, pageOf(0, 100)), answer(200, pageOf(99, 150))}, 0, 150, 2, nil},
		{"refused in the middle", []step{answer(200, pageOf(0, 100)), answer(403, "")}, 0, 100, 2, transport.ErrForbidden},
		{"without segments", []step{answer(200, `{"message":"success"}`)}, 0, 0, 1, transport.ErrBadAnswer},
		{"without an ID", []step{answer(200, `{"segments":[{"name":"a"}]}`)}, 0, 0, 1, transport.ErrBadAnswer},
		{"of other types", []step{answer(200, `{"segments":{"name":"a"}}`)}, 0, 0, 1, transport.ErrBadAnswer},
		{"with errors", []step{answer(200, `{"segments":[],"errors":["some are missing"]}`)}, 0, 0, 1, transport.ErrBadAnswer},
		{"a 503 first", []step{answer(503, ""), answer(200, pageOf(0, 2))}, 0, 2, 2, nil},
		{"a lost answer first", []step{hang, answer(200, pageOf(0, 2))}, 0, 2, 2, nil},
		{"a 429 first", []step{answer(429, "", "Retry-After", "7"), answer(200, pageOf(0, 2))}, 0, 2, 2, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rt := following(tt.steps...)
				segments, afterwards := 0, 0
				var failure error
				for s, err := range newClient(t, rt).Segments(t.Context()) {
					if failure != nil {
						afterwards++
					}
					if err != nil {
						failure = err
						if diff := cmp.Diff(rest.Segment{}, s); diff != "" {
							t.Errorf("segment beside an error (-want +got):\n%s", diff)
						}
						continue
					}
					if segments++; segments == tt.stop {
						break
					}
				}
				if segments != tt.segments || len(rt.seen()) != tt.requests || afterwards != 0 || !errors.Is(failure, tt.want) {
					t.Errorf("%d segments, %d requests, %d after the error %v; want %d, %d, 0, %v", segments, len(rt.seen()), afterwards, failure, tt.segments, tt.requests, tt.want)
				}
			})
		})
	}
}

// TestSegmentsCancelled has a caller who gives up during the wait for a page.
func TestSegmentsCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		rt := following(answer(200, pageOf(0, 100)), hang)
		var last error
		for _, err := range newClient(t, rt).Segments(ctx) {
			last = err
		}
		if !errors.Is(last, context.DeadlineExceeded) || len(rt.seen()) != 2 {
			t.Errorf("error %v after %d requests", last, len(rt.seen()))
		}
	})
}

func TestFindSegment(t *testing.T) {
	t.Parallel()
	const twins = `{"message":"success","segments":[{"id":"a","name":"Twins"},{"id":"b","name":"Twins "},{"id":"c","name":"Twins"}]}`
	tests := []struct {
		name string
		find string
		step step
		want string
		kind error
		text string
	}{
		{"on the third page", "Segment 249", step(workspace(250)), "id-249", nil, ""},
		{"byte for byte", "Twins ", answer(200, twins), "b", nil, ""},
		{"none", "Segment 250", step(workspace(250)), "", rest.ErrSegmentNotFound, `rest: find segment: no segment is named "Segment 250": compare the name in the dashboard, byte for byte; archived segments are not listed`},
		{"several", "Twins", answer(200, twins), "", rest.ErrSegmentAmbiguous, `rest: find segment: 2 segments are named "Twins": choose one of Found and use its ID, or rename the others`},
		{"refused", "Twins", answer(403, ""), "", transport.ErrForbidden, "rest: list segments: page 0: transport: segments.list: 403 forbidden from EU-01 after 1 attempt; give the key the permission of this call, and check the path for a trailing slash"},
		{"no name", "", answer(200, twins), "", nil, "rest: segment name must not be empty: give the name that the dashboard shows"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				got, err := newClient(t, following(tt.step)).FindSegment(t.Context(), tt.find)
				if got.ID != tt.want || (err == nil) != (tt.text == "") || err != nil && err.Error() != tt.text || tt.kind != nil && !errors.Is(err, tt.kind) {
					t.Errorf("FindSegment = %+v, %v; want %q, %s", got, err, tt.want, tt.text)
				}
				both := errors.Is(err, rest.ErrSegmentNotFound) && errors.Is(err, rest.ErrSegmentAmbiguous)
				if found, ok := errors.AsType[*rest.FindError](err); both || ok && found.Name != tt.find {
					t.Errorf("error %#v", err)
				}
			})
		})
	}
}

func TestSegmentDetails(t *testing.T) {
	t.Parallel()
	rt := following(answer(200, `{"message":"success","created_at":"2025-03-02T08:15:00.250+01:00","updated_at":"2025-03-04T10:00:00Z","name":"Spring sale readers",
		"description":"Tinyclues Cohorts includes Spring sale","text_description":"Who gets the mail","tags":["sale"],"teams":["CRM"],"novelty":{"a":1}}`))
	got, err := newClient(t, rt).SegmentDetails(t.Context(), "seg/1 &")
	if err != nil {
		t.Fatal(err)
	}
	want := rest.SegmentDetails{
		ID: "seg/1 &", Name: "Spring sale readers", Filters: "Tinyclues Cohorts includes Spring sale", Description: "Who gets the mail", Tags: []string{"sale"}, Teams: []string{"CRM"},
		CreatedAt: time.Date(2025, 3, 2, 7, 15, 0, 250e6, time.UTC), UpdatedAt: time.Date(2025, 3, 4, 10, 0, 0, 0, time.UTC),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
	if url := rt.seen()[0].URL; url != "https://rest.fra-01.braze.eu/segments/details?segment_id=seg%2F1+%26" {
		t.Errorf("URL %s", url)
	}

	sparse, err := newClient(t, following(answer(200, `{"name":"","description":null,"created_at":5,"updated_at":"yesterday"}`))).SegmentDetails(t.Context(), "a")
	if diff := cmp.Diff(rest.SegmentDetails{ID: "a"}, sparse); diff != "" || err != nil {
		t.Errorf("sparse details (-want +got):\n%s%v", diff, err)
	}
	_, err = newClient(t, following(answer(200, `{"message":"success"}`))).SegmentDetails(t.Context(), "a")
	if missing, ok := errors.AsType[*rest.AnswerError](err); !ok || missing.Field != "name" || !errors.Is(err, transport.ErrBadAnswer) {
		t.Errorf("error %v", err)
	}
	_, err = newClient(t, following(hang)).SegmentDetails(t.Context(), "")
	if invalid, ok := errors.AsType[*rest.InvalidError](err); !ok || invalid.Field != "segment ID" {
		t.Errorf("error %v", err)
	}
}
