package brazetest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/segment"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// call sends a REST call as any HTTP client would: a GET when there is no body.
func (w world) call(tb testing.TB, key keys.RESTKey, path, body string) reply {
	tb.Helper()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	return w.request(tb, method, endpoint+path, body, http.Header{
		"Authorization": {"Bearer " + key.Reveal()},
		"Content-Type":  {"application/json"},
	})
}

func (w world) request(tb testing.TB, method, url, body string, header http.Header) reply {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header = header
	resp, err := w.Client().Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return reply{status: resp.StatusCode, header: resp.Header, body: string(b), err: err}
}

// wants checks an answer: its status, and its body as JSON whatever the order of its fields.
func (r reply) wants(tb testing.TB, status int, body string) {
	tb.Helper()
	if r.err != nil {
		tb.Fatal(r.err)
	}
	var got, want any
	if err := json.Unmarshal([]byte(r.body), &got); err != nil {
		tb.Fatalf("the body is no JSON: %v", err)
	}
	if err := json.Unmarshal([]byte(body), &want); err != nil {
		tb.Fatalf("what is wanted is no JSON: %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" || r.status != status {
		tb.Errorf("status %d, want %d; body (-want +got):\n%s", r.status, status, diff)
	}
}

// fill puts texts in the place of words: pairs of a word and its text.
func fill(body string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(body) }

// springSegment is the segment of the cohort that helpers of world name "Spring sale".
func springSegment(tb testing.TB) *segment.Segment {
	tb.Helper()
	s, err := segment.New(segment.Cohort("Tinyclues").Includes("Spring sale"))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// TestCohortToSend walks the whole way: a cohort is imported, a marketer's segment finds its members, and a campaign that targets the
// segment reaches them.
func TestCohortToSend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add(t, brazetest.Profile{ExternalID: "u-17"}, brazetest.Profile{ExternalID: "u-18"}, brazetest.Profile{DeviceIDs: []string{"d-1"}})
	w.name(t, "Spring sale")
	w.users(t, `[{"user_ids":["u-17"],"device_ids":["d-1"]}]`)
	spring := w.workspace.AddSegment("Spring", springSegment(t))
	campaign := w.workspace.AddCampaign("Spring mail", brazetest.TargetSegment(spring))
	key := w.workspace.GenerateRESTKey()

	w.call(t, key, "/segments/list", "").wants(t, 200,
		`{"message":"success","segments":[{"id":"`+spring+`","name":"Spring","analytics_tracking_enabled":false,"tags":[]}]}`)
	got := w.call(t, key, "/campaigns/trigger/send", fill(`{"campaign_id":"CAMPAIGN","broadcast":true}`, "CAMPAIGN", campaign))
	sends := w.workspace.Sends()
	if len(sends) != 1 {
		t.Fatalf("%d sends, want 1: %s", len(sends), got.body)
	}
	got.wants(t, 201, `{"message":"success","dispatch_id":"`+sends[0].DispatchID+`"}`)
	if diff := cmp.Diff([]string{"u-17"}, sends[0].ExternalIDs()); diff != "" || len(sends[0].Reached) != 2 {
		t.Errorf("%d reached, want 2; external IDs (-want +got):\n%s", len(sends[0].Reached), diff)
	}
	w.call(t, key, "/users/export/ids", `{"external_ids":["u-17","u-19"],"fields_to_export":["external_id"]}`).wants(t, 201,
		`{"message":"success","users":[{"external_id":"u-17"}],"invalid_user_ids":["u-19"]}`)
}
