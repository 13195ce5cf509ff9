package brazetest_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// idList is a JSON array of n different identifiers.
func idList(n int) string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = strconv.Quote("u-" + strconv.Itoa(i))
	}
	return "[" + strings.Join(ids, ",") + "]"
}

func aliasList(n int) string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf(`{"alias_name":"c-%d","alias_label":"crm"}`, i)
	}
	return "[" + strings.Join(ids, ",") + "]"
}

// TestWire is the contract of the two cohort paths: every request it allows and every error it lists, on both doors.
func TestWire(t *testing.T) {
	t.Parallel()
	const (
		cohorts = "/partners/tinyclues/cohorts"
		users   = "/partners/tinyclues/cohorts/users"
		auth    = `{"partner_api_key":PK,"client_secret":CS,`
		naming  = auth + `"cohort_id":"camp-481",`
	)
	change := func(list string) string { return naming + `"cohort_changes":` + list + `}` }
	created := func(value string) string { return naming + `"name":"Spring","created_at":` + value + `}` }
	tests := []struct {
		name        string
		opts        []brazetest.Option
		method      string // POST if empty
		path        string
		contentType string // application/json if empty, none if "-"
		body        string
		status      int
		token       string // in the message
	}{
		{name: "naming", path: cohorts, body: created(`"2025-03-02T08:15:00Z"`), status: 201, token: "success"},
		{name: "naming with white space", path: cohorts, body: "\n\t" + created(`"2025-03-02T08:15:00Z"`) + " \r\n", status: 201},
		{name: "time with milliseconds", path: cohorts, body: created(`"2025-03-02T08:15:00.250Z"`), status: 201},
		{name: "time with offset", path: cohorts, body: created(`"2025-03-02T08:15:00+05:00"`), status: 201},
		{name: "time with offset without colon", path: cohorts, body: created(`"2025-03-02T08:15:00+0500"`), status: 201},
		{name: "time with offset of hours", path: cohorts, body: created(`"2025-03-02T08:15:00-05"`), status: 201},
		{name: "time is junk", path: cohorts, body: created(`"yesterday"`), status: 400, token: "created_at"},
		{name: "time is empty", path: cohorts, body: created(`""`), status: 400, token: "created_at"},
		{name: "time is a number", path: cohorts, body: created(`1740903300`), status: 400, token: "created_at"},
		{name: "time is null", path: cohorts, body: created(`null`), status: 400, token: "created_at"},
		{name: "time of day is missing", path: cohorts, body: created(`"2025-03-02"`), status: 400, token: "created_at"},
		{name: "offset is missing", path: cohorts, body: created(`"2025-03-02T08:15:00"`), status: 400, token: "created_at"},
		{name: "no such day", path: cohorts, body: created(`"2025-02-30T08:15:00Z"`), status: 400, token: "created_at"},
		{name: "time is missing", path: cohorts, body: naming + `"name":"Spring"}`, status: 400, token: "created_at"},
		{name: "name is missing", path: cohorts, body: naming + `"created_at":"2025-03-02T08:15:00Z"}`, status: 400, token: "name"},
		{name: "name is empty", path: cohorts, body: naming + `"name":"","created_at":"2025-03-02T08:15:00Z"}`, status: 400, token: "name"},
		{name: "name is no string", path: cohorts, body: naming + `"name":7,"created_at":"2025-03-02T08:15:00Z"}`, status: 400, token: "name"},
		{name: "naming without cohort_id", path: cohorts, body: auth + `"name":"Spring","created_at":"2025-03-02T08:15:00Z"}`, status: 400, token: "cohort_id"},

		{name: "add", path: users, body: change(`[{"user_ids":["u-17","u-18"],"aliases":[{"alias_name":"c-90","alias_label":"crm"}]},{"device_ids":["d-1"]}]`), status: 201, token: "success"},
		{name: "add and remove", path: users, body: change(`[{"user_ids":["u-17"]},{"user_ids":["u-03"],"should_remove":true}]`), status: 201},
		{name: "should_remove false", path: users, body: change(`[{"user_ids":["u-17"],"should_remove":false}]`), status: 201},
		{name: "no changes, cohort unknown", path: users, body: change(`[]`), status: 201},
		{name: "no changes, refused", opts: []brazetest.Option{brazetest.RefuseEmptyChanges()}, path: users, body: change(`[]`), status: 400, token: "cohort_changes"},
		{name: "cohort was never named", path: users, body: change(`[{"user_ids":["u-17"]}]`), status: 201},
		{name: "cohort was never named, refused", opts: []brazetest.Option{brazetest.RefuseUnnamed()}, path: users, body: change(`[{"user_ids":["u-17"]}]`), status: 400, token: "cohort_id"},
		{name: "empty lists", path: users, body: change(`[{"user_ids":[],"device_ids":[],"aliases":[]}]`), status: 201},
		{name: "empty lists, refused", opts: []brazetest.Option{brazetest.RefuseEmptyLists()}, path: users, body: change(`[{"user_ids":["u-17"],"device_ids":[]}]`), status: 400, token: "cohort_changes"},
		{name: "no list", path: users, body: change(`[{"should_remove":true}]`), status: 400, token: "cohort_changes"},
		{name: "no list, accepted", opts: []brazetest.Option{brazetest.AcceptBareChanges()}, path: users, body: change(`[{}]`), status: 201},
		{name: "unknown field", path: users, body: change(`[{"user_ids":["u-17"],"shouldRemove":true}]`), status: 201},
		{name: "unknown field, refused", opts: []brazetest.Option{brazetest.RejectUnknownFields()}, path: users, body: change(`[{"user_ids":["u-17"],"shouldRemove":true}]`), status: 400, token: "shouldRemove"},
		{name: "unknown field of the body, refused", opts: []brazetest.Option{brazetest.RejectUnknownFields()}, path: cohorts, body: naming + `"name":"Spring","created_at":"2025-03-02T08:15:00Z","tags":[]}`, status: 400, token: "tags"},
		{name: "unknown field of an alias, refused", opts: []brazetest.Option{brazetest.RejectUnknownFields()}, path: users, body: change(`[{"aliases":[{"alias_name":"c-90","alias_label":"crm","label":"crm"}]}]`), status: 400, token: "alias"},
		{name: "1,000 identifiers of all kinds", path: users, body: change(`[{"user_ids":` + idList(500) + `,"device_ids":` + idList(200) + `},{"aliases":` + aliasList(300) + `,"should_remove":true}]`), status: 201},
		{name: "1,001 external IDs", path: users, body: change(`[{"user_ids":` + idList(1001) + `}]`), status: 400, token: "1,000"},
		{name: "1,001 identifiers over several objects", path: users, body: change(`[{"user_ids":` + idList(500) + `,"device_ids":` + idList(200) + `},{"aliases":` + aliasList(301) + `,"should_remove":true}]`), status: 400, token: "1,000"},
		{name: "repeated identifiers count", path: users, body: change(`[{"user_ids":` + idList(501) + `},{"user_ids":` + idList(501) + `}]`), status: 400, token: "1,000"},
		{name: "repeated identifiers count once", opts: []brazetest.Option{brazetest.CountDistinct()}, path: users, body: change(`[{"user_ids":` + idList(501) + `},{"user_ids":` + idList(501) + `}]`), status: 201},
		{name: "too many distinct identifiers", opts: []brazetest.Option{brazetest.CountDistinct()}, path: users, body: change(`[{"user_ids":` + idList(501) + `},{"device_ids":` + idList(500) + `}]`), status: 400, token: "1,000"},
		{name: "changes are missing", path: users, body: naming + `"name":"Spring"}`, status: 400, token: "cohort_changes"},
		{name: "changes are null", path: users, body: change(`null`), status: 400, token: "cohort_changes"},
		{name: "changes are an object", path: users, body: change(`{"user_ids":["u-17"]}`), status: 400, token: "cohort_changes"},
		{name: "changes are a quoted string", path: users, body: change(`"[{\"user_ids\":[\"u-17\"]}]"`), status: 400, token: "cohort_changes"},
		{name: "change is a string", path: users, body: change(`["u-17"]`), status: 400, token: "cohort_changes"},
		{name: "user_ids is a string", path: users, body: change(`[{"user_ids":"u-17"}]`), status: 400, token: "cohort_changes"},
		{name: "user_ids is null", path: users, body: change(`[{"user_ids":null}]`), status: 400, token: "cohort_changes"},
		{name: "user_ids holds a number", path: users, body: change(`[{"user_ids":["u-17",18]}]`), status: 400, token: "cohort_changes"},
		{name: "device_ids holds null", path: users, body: change(`[{"device_ids":[null]}]`), status: 400, token: "cohort_changes"},
		{name: "aliases is an object", path: users, body: change(`[{"aliases":{"alias_name":"c-90","alias_label":"crm"}}]`), status: 400, token: "cohort_changes"},
		{name: "aliases holds a string", path: users, body: change(`[{"aliases":["c-90"]}]`), status: 400, token: "cohort_changes"},
		{name: "alias without label", path: users, body: change(`[{"aliases":[{"alias_name":"c-90"}]}]`), status: 400, token: "cohort_changes"},
		{name: "alias with empty name", path: users, body: change(`[{"aliases":[{"alias_name":"","alias_label":"crm"}]}]`), status: 400, token: "cohort_changes"},
		{name: "should_remove is a string", path: users, body: change(`[{"user_ids":["u-17"],"should_remove":"true"}]`), status: 400, token: "cohort_changes"},
		{name: "should_remove is a number", path: users, body: change(`[{"user_ids":["u-17"],"should_remove":1}]`), status: 400, token: "cohort_changes"},
		{name: "should_remove is null", path: users, body: change(`[{"user_ids":["u-17"],"should_remove":null}]`), status: 400, token: "cohort_changes"},
		{name: "cohort_id is missing", path: users, body: auth + `"cohort_changes":[]}`, status: 400, token: "cohort_id"},
		{name: "cohort_id is empty", path: users, body: auth + `"cohort_id":"","cohort_changes":[]}`, status: 400, token: "cohort_id"},
		{name: "cohort_id is a number", path: users, body: auth + `"cohort_id":481,"cohort_changes":[]}`, status: 400, token: "cohort_id"},

		{name: "body is empty", path: users, body: ``, status: 400, token: "JSON"},
		{name: "body is no JSON", path: users, body: `cohort_id=camp-481`, status: 400, token: "JSON"},
		{name: "body is cut", path: users, body: auth + `"cohort_id":"camp-481"`, status: 400, token: "JSON"},
		{name: "body has a tail", path: users, body: change(`[]`) + `x`, status: 400, token: "JSON"},
		{name: "body is an array", path: users, body: `[]`, status: 400, token: "object"},
		{name: "body is not UTF-8", path: users, body: change("[{\"user_ids\":[\"u\xff\"]}]"), status: 400, token: "UTF-8"},

		{name: "partner key is wrong", path: users, body: `{"partner_api_key":"pk-us-0001","client_secret":CS,"cohort_id":"camp-481","cohort_changes":[]}`, status: 401, token: "Partner API key"},
		{name: "partner key is missing", path: users, body: `{"client_secret":CS,"cohort_id":"camp-481","cohort_changes":[]}`, status: 401, token: "Partner API key"},
		{name: "partner key is a number", path: cohorts, body: `{"partner_api_key":1,"client_secret":CS}`, status: 401, token: "Partner API key"},
		{name: "import key is wrong", path: users, body: `{"partner_api_key":PK,"client_secret":"cs-ws-0001","cohort_id":"camp-481","cohort_changes":[]}`, status: 401, token: "client secret"},
		{name: "import key is missing", path: cohorts, body: `{"partner_api_key":PK}`, status: 401, token: "client secret"},
		{name: "both keys are wrong", path: users, body: `{"partner_api_key":"x","client_secret":"y","cohort_id":"camp-481","cohort_changes":[]}`, status: 401, token: "Partner API key"},
		{name: "partner is unknown", path: "/partners/nobody/cohorts/users", body: change(`[]`), status: 401, token: "Unauthorized access"},
		{name: "case of the slug counts", path: "/partners/Tinyclues/cohorts/users", body: change(`[]`), status: 401, token: "Unauthorized access"},
		{name: "keys before fields", path: users, body: `{"partner_api_key":"x","client_secret":CS}`, status: 401, token: "Partner API key"},
		{name: "fields before keys", opts: []brazetest.Option{brazetest.CheckBodyFirst()}, path: users, body: `{"partner_api_key":"x","client_secret":CS}`, status: 400, token: "cohort_id"},

		{name: "content type with charset", path: users, contentType: "application/json; charset=utf-8", body: change(`[]`), status: 201},
		{name: "content type in capitals", path: users, contentType: "Application/JSON", body: change(`[]`), status: 201},
		{name: "content type is missing", path: users, contentType: "-", body: change(`[]`), status: 415, token: "Content-Type"},
		{name: "content type is text", path: users, contentType: "text/plain", body: change(`[]`), status: 415, token: "Content-Type"},
		{name: "4 MB", path: users, body: change(`[]`) + strings.Repeat(" ", brazetest.MaxBodyBytes-200), status: 201},
		{name: "over 4 MB", path: users, body: change(`[]`) + strings.Repeat(" ", brazetest.MaxBodyBytes), status: 413, token: "4 MB"},
		{name: "GET", method: http.MethodGet, path: users, body: ``, status: 405, token: "POST"},
		{name: "PUT", method: http.MethodPut, path: cohorts, body: created(`"2025-03-02T08:15:00Z"`), status: 405, token: "POST"},
		{name: "trailing slash", path: users + "/", body: change(`[]`), status: 404},
		{name: "path is unknown", path: "/partners/tinyclues/cohort", body: change(`[]`), status: 404},
		{name: "slug is empty", path: "/partners//cohorts", body: change(`[]`), status: 404},
		{name: "success as set", opts: []brazetest.Option{brazetest.Success(200, `{"message":"done"}`)}, path: users, body: change(`[]`), status: 200, token: "done"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, door := range []string{"memory", "loopback"} {
				w := newWorld(t, tt.opts...)
				client, base := w.Client(), endpoint
				if door == "loopback" {
					client, base = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, w.URL()
				}
				method, contentType := tt.method, tt.contentType
				if method == "" {
					method = http.MethodPost
				}
				switch contentType {
				case "":
					contentType = "application/json"
				case "-":
					contentType = ""
				}
				got := do(t, client, method, base+tt.path, contentType, w.fill(tt.body))
				if got.err != nil {
					t.Fatalf("%s: %v", door, got.err)
				}
				if got.status != tt.status || !strings.Contains(got.message(t), tt.token) {
					t.Errorf("%s: got %d %s, want %d with %q in the message", door, got.status, got.body, tt.status, tt.token)
				}
				if ct := got.header.Get("Content-Type"); ct != "application/json" {
					t.Errorf("%s: Content-Type %q", door, ct)
				}
				for _, h := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} {
					if _, err := strconv.Atoi(got.header.Get(h)); err != nil {
						t.Errorf("%s: header %s is %q, want a number", door, h, got.header.Get(h))
					}
				}
				if method == http.MethodPost && got.status/100 != 2 && len(w.workspace.Cohorts()) > 0 {
					t.Errorf("%s: a refused request made a cohort", door)
				}
			}
		})
	}
}

func TestErrorBodyListsEveryProblem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := do(t, w.Client(), http.MethodPost, endpoint+"/partners/tinyclues/cohorts", "application/json", w.fill(`{"partner_api_key":PK,"client_secret":CS}`))
	for _, field := range []string{"cohort_id", "name", "created_at"} {
		if !strings.Contains(got.body, field) {
			t.Errorf("the body does not mention %s: %s", field, got.body)
		}
	}
	if !strings.Contains(got.body, `"errors":["`) {
		t.Errorf("no list of errors: %s", got.body)
	}
}

func TestNotEnabledRepeatsTheImportKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.workspace.Disable(w.partner)
	got := w.users(t, `[]`)
	if got.status != http.StatusUnauthorized || !strings.Contains(got.message(t), "not enabled") || !strings.Contains(got.message(t), w.key.Reveal()) {
		t.Errorf("status %d, want a 401 that says \"not enabled\" and repeats the key", got.status)
	}
	if strings.Contains(got.message(t), "client secret") || strings.Contains(got.message(t), "Partner API key") {
		t.Error("the text has the words of another cause")
	}
	w.workspace.Enable(w.partner)
	if got := w.users(t, `[]`); got.status != http.StatusCreated {
		t.Errorf("enabled again: status %d", got.status)
	}
}

func TestImportKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	second := w.workspace.GenerateKey(w.partner)
	other := w.AddPartner("splio", "Splio")
	w.workspace.Enable(other)
	otherKey := w.workspace.GenerateKey(other)
	adopted := keys.NewImportKey("cs-ws-0001")
	w.workspace.AdoptKey(w.partner, adopted)

	status := func(k keys.ImportKey) int {
		w := w
		w.key = k
		return w.users(t, `[]`).status
	}
	for _, tt := range []struct {
		name string
		key  keys.ImportKey
		want int
	}{
		{"first", w.key, 201},
		{"second beside it", second, 201},
		{"adopted", adopted, 201},
		{"of another partner's page", otherKey, 401},
	} {
		if got := status(tt.key); got != tt.want {
			t.Errorf("%s: status %d, want %d", tt.name, got, tt.want)
		}
	}
	w.workspace.InvalidateKey(w.partner, w.key)
	if got := status(w.key); got != 401 {
		t.Errorf("invalidated: status %d, want 401", got)
	}
	if got := status(second); got != 201 {
		t.Errorf("second after invalidating the first: status %d, want 201", got)
	}
	var valid []bool
	for _, k := range w.workspace.Keys(w.partner) {
		valid = append(valid, k.Valid())
	}
	if diff := cmp.Diff([]bool{false, true, true}, valid); diff != "" {
		t.Errorf("validity of the listed keys (-want +got):\n%s", diff)
	}
}

func TestInstances(t *testing.T) {
	t.Parallel()
	s := brazetest.NewServer(t)
	given := keys.NewPartnerKey("pk-au-0001")
	p := s.AddPartner("tinyclues", "Tinyclues", brazetest.OneKeyFor("US-01", "US-10"), brazetest.WithPartnerKey(given, "AU-01"))
	if p.Key("US-01") != p.Key("US-10") || p.Key("US-01") == p.Key("US-02") || p.Key("AU-01") != given {
		t.Error("partner keys are not shared as asked")
	}
	if !p.Key("US-09").IsZero() {
		t.Error("there is a key for an instance that does not exist")
	}
	w := s.AddWorkspace("acme", brazetest.OnInstance("US-10"))
	w.Enable(p)
	importKey := w.GenerateKey(p)
	tests := []struct {
		name, url  string
		partnerKey keys.PartnerKey
		want       int
		token      string
	}{
		{"own instance", "https://rest.us-10.braze.com", p.Key("US-10"), 201, ""},
		{"own instance with a port", "https://rest.us-10.braze.com:443", p.Key("US-10"), 201, ""},
		{"own instance in capitals", "https://REST.US-10.BRAZE.COM", p.Key("US-10"), 201, ""},
		{"own instance over http", "http://rest.us-10.braze.com", p.Key("US-10"), 201, ""},
		{"key of another instance", "https://rest.us-10.braze.com", p.Key("EU-01"), 401, "Partner API key"},
		{"other instance with the same key", "https://rest.iad-01.braze.com", p.Key("US-01"), 401, "client secret"},
		{"other instance with its key", "https://rest.fra-01.braze.eu", p.Key("EU-01"), 401, "client secret"},
		{"any other host", "https://braze.example", p.Key("US-10"), 201, ""},
		{"any other host, wrong key", "https://braze.example", p.Key("EU-01"), 401, "Partner API key"},
		{"SDK host", "https://sdk.us-10.braze.com", p.Key("US-10"), 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body := fmt.Sprintf(`{"partner_api_key":%q,"client_secret":%q,"cohort_id":"camp-481","cohort_changes":[]}`, tt.partnerKey.Reveal(), importKey.Reveal())
			got := do(t, s.Client(), http.MethodPost, tt.url+"/partners/tinyclues/cohorts/users", "application/json", body)
			if got.status != tt.want || !strings.Contains(got.message(t), tt.token) {
				t.Errorf("got %d %q, want %d with %q", got.status, got.message(t), tt.want, tt.token)
			}
		})
	}
}

func TestNaming(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add(t, brazetest.Profile{ExternalID: "u-17"})
	w.users(t, `[{"user_ids":["u-17"]}]`)
	c, ok := w.workspace.Cohort(w.partner, "camp-481")
	if !ok || c.Name != "" || !c.CreatedAt.IsZero() || len(c.Members) != 1 {
		t.Errorf("before naming: %+v, want one member and no name", c)
	}
	if got := w.workspace.DropDown(w.partner); got != nil {
		t.Errorf("before naming the drop-down has %q", got)
	}
	w.name(t, "Spring sale, top 5%")
	w.name(t, "Frühling")
	c, _ = w.workspace.Cohort(w.partner, "camp-481")
	if c.Name != "Frühling" || !c.CreatedAt.Equal(time.Date(2025, 3, 2, 8, 15, 0, 0, time.UTC)) || len(c.Members) != 1 {
		t.Errorf("after renaming: %+v", c)
	}
	if diff := cmp.Diff([]string{"Frühling"}, w.workspace.DropDown(w.partner)); diff != "" {
		t.Errorf("drop-down (-want +got):\n%s", diff)
	}
	if got := w.partner.Filter(); got != "Tinyclues Cohorts" {
		t.Errorf("Filter = %q", got)
	}
	w.workspace.Disable(w.partner)
	if got := w.workspace.DropDown(w.partner); got != nil {
		t.Errorf("the drop-down of a partner that is not enabled has %q", got)
	}
}
