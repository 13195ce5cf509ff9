package transport_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
)

var errNoDispatch = errors.New("the answer has no dispatch_id")

// TestAccept has the request judge answers that it alone knows how to read.
func TestAccept(t *testing.T) {
	t.Parallel()
	hasDispatch := func(a transport.Answer) error {
		if !strings.Contains(string(a.Body), "dispatch_id") {
			return errNoDispatch
		}
		return nil
	}
	bad := result{transport.OutcomeUnknown, 1, transport.ClassBadAnswer, 201}
	tests := []struct {
		name  string
		steps []step
		want  result
		err   error
	}{
		{"accepted", []step{answer(201, `{"dispatch_id":"a"}`)}, result{transport.OutcomeAccepted, 1, transport.ClassSuccess, 201}, nil},
		{"accepted with minor errors", []step{answer(201, `{"dispatch_id":"a","errors":["one was left out"]}`)}, result{transport.OutcomeAccepted, 1, transport.ClassSuccess, 201}, nil},
		{"not accepted", []step{accept}, bad, errNoDispatch},
		{"not accepted, with errors", []step{answer(201, `{"errors":["none was sent"]}`)}, bad, errNoDispatch},
		{"nothing to read", []step{answer(204, "")}, result{transport.OutcomeUnknown, 1, transport.ClassBadAnswer, 204}, errNoDispatch},
		{"no object", []step{answer(201, `["dispatch_id"]`), accept}, result{transport.OutcomeUnknown, 2, transport.ClassBadAnswer, 201}, errNoDispatch},
		{"a refusal is not asked about", []step{answer(400, `{"message":"no"}`)}, result{transport.OutcomeRefused, 1, transport.ClassBadRequest, 400}, transport.ErrBadRequest},
		{"accepted at last", []step{answer(503, ""), answer(201, `{"dispatch_id":"a"}`)}, result{transport.OutcomeAccepted, 2, transport.ClassSuccess, 201}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				req := request(transport.RepeatSafe)
				req.Accept = hasDispatch
				ans, err := newClient(t, following(tt.steps...)).Do(t.Context(), req)
				if ans.ListsErrors != (tt.name == "accepted with minor errors") {
					t.Errorf("ListsErrors = %t", ans.ListsErrors)
				}
				if diff := cmp.Diff(tt.want, resultOf(t, ans, err)); diff != "" {
					t.Errorf("result (-want +got):\n%s", diff)
				}
				if !errors.Is(err, tt.err) {
					t.Errorf("error %v, want %v", err, tt.err)
				}
				if errors.Is(err, errNoDispatch) && !strings.Contains(fmt.Sprint(err), tt.err.Error()) {
					t.Errorf("the error does not say why: %v", err)
				}
			})
		})
	}
}

func TestMaxAnswer(t *testing.T) {
	t.Parallel()
	const longest = 3 << 20
	for _, tt := range []struct {
		name string
		body string
		max  int
		want error
	}{
		{"1 MiB by default", `{"a":"` + strings.Repeat("b", 1<<20-8) + `"}`, 0, nil},
		{"a byte more", `{"a":"` + strings.Repeat("b", 1<<20-7) + `"}`, 0, transport.ErrBadAnswer},
		{"as long as asked for", `{"a":"` + strings.Repeat("b", longest-8) + `"}`, longest, nil},
		{"a byte more than asked for", `{"a":"` + strings.Repeat("b", longest-7) + `"}`, longest, transport.ErrBadAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req := request(transport.RepeatUnsent)
			req.MaxAnswer = tt.max
			ans, err := newClient(t, following(answer(http.StatusOK, tt.body))).Do(t.Context(), req)
			if !errors.Is(err, tt.want) || err == nil && string(ans.Body) != tt.body {
				t.Errorf("%d bytes, error %v; want %v", len(ans.Body), err, tt.want)
			}
		})
	}
}

func TestScrubOfARequest(t *testing.T) {
	t.Parallel()
	req := fullRequest()
	got := req.Scrub("of " + partnerKey + ", " + importKey + " and " + restKey)
	if want := "of [redacted], [redacted] and [redacted]"; got != want {
		t.Errorf("Scrub = %q, want %q", got, want)
	}
}

// TestCauseOfARESTKey has a 401 whose text would accuse keys that the request did not carry.
func TestCauseOfARESTKey(t *testing.T) {
	t.Parallel()
	_, err := newClient(t, following(answer(401, "client secret"))).Do(t.Context(), transport.Request{
		Operation: "segments.list", Path: "/segments/list", Bearer: keys.NewRESTKey(restKey),
	})
	api, ok := errors.AsType[*transport.APIError](err)
	if !ok || api.Cause != keys.CauseRESTKey || !strings.Contains(err.Error(), "REST API key: "+keys.CauseRESTKey.Next()) {
		t.Errorf("error %v", err)
	}
}
