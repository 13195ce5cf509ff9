package transport_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/cohortkit/cohortkit/transport"
)

// FuzzAnswer gives Do whatever an endpoint, or something in its place, may answer.
func FuzzAnswer(f *testing.F) {
	f.Add(200, success, "", "", "", "", "")
	f.Add(201, `{"message":"success","errors":[{"a":1}]}`, "3", "250000", "17", "1767225600", "Thu, 01 Jan 2026 00:00:00 GMT")
	f.Add(429, `{"message":"`+importKey+`"}`, "Fri, 31 Dec 9999 23:59:59 GMT", "1", "0", "9223372036854775807", "Sunday, 06-Nov-94 08:49:37 GMT")
	f.Add(307, "[]", "9223372036854775807", "-1", "x", "1099511627776", "Sun Nov  6 08:49:37 1994")
	f.Add(0, "null", "-1", "0", "0", "0", "")
	f.Add(-7, "{", "1.5", "2147483648", "", "", "")
	f.Fuzz(func(t *testing.T, status int, body, retryAfter, limit, remaining, reset, date string) {
		rt := following(func(*http.Request) (*http.Response, error) {
			resp, err := answer(status, body)(nil)
			resp.Header = http.Header{
				"Retry-After": {retryAfter}, "X-Ratelimit-Limit": {limit}, "X-Ratelimit-Remaining": {remaining}, "X-Ratelimit-Reset": {reset}, "Date": {date},
			}
			return resp, err
		})
		c := newClient(t, rt, transport.WithRetryPolicy(transport.NoRepeat()))
		g := &gate{}
		req := request(transport.RepeatSafe)
		req.Limiter = g
		ans, err := c.Do(t.Context(), req)
		got := resultOf(t, ans, err)
		if got.Outcome == transport.OutcomeUnsent || got.Attempts != 1 || got.Status != status {
			t.Fatalf("%+v: %v", got, err)
		}
		var object map[string]json.RawMessage
		nothing := status == http.StatusNoContent && body == ""
		isObject := json.Unmarshal([]byte(body), &object) == nil && object != nil
		if accepted := got.Outcome == transport.OutcomeAccepted; accepted && (status < 200 || status > 299 || !isObject && !nothing) {
			t.Fatalf("accepted %d %q", status, body)
		}
		if status >= 300 && status < 500 && status != http.StatusRequestTimeout && got.Outcome != transport.OutcomeRefused {
			t.Fatalf("%d is %s", status, got.Outcome)
		}
		if len(g.told) != 1 || g.told[0].RetryAfter < 0 || g.told[0].Status != status || g.told[0].RateLimit.Remaining < 0 || g.told[0].RateLimit.Limit < 0 {
			t.Fatalf("Feedback %+v", g.told)
		}
		q := newQuota(t, transport.CohortRequestsPerHour)
		q.Share("workspace").Feedback(g.told[0])
		q.State()
		if err != nil && (strings.Contains(err.Error(), importKey) || strings.TrimSpace(body) != "" && len(body) > 40 && strings.Contains(err.Error(), body)) {
			t.Fatalf("the error repeats the answer: %v", err)
		}
	})
}
