package brazetest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

const endpoint = "https://rest.fra-01.braze.eu"

// world is a server with one partner, one workspace and the keys between them.
type world struct {
	*brazetest.Server
	partner   *brazetest.Partner
	workspace *brazetest.Workspace
	key       keys.ImportKey
}

func newWorld(tb testing.TB, opts ...brazetest.Option) world {
	tb.Helper()
	s := brazetest.NewServer(tb, opts...)
	p := s.AddPartner("tinyclues", "Tinyclues")
	w := s.AddWorkspace("acme")
	w.Enable(p)
	return world{Server: s, partner: p, workspace: w, key: w.GenerateKey(p)}
}

func (w world) add(tb testing.TB, profiles ...brazetest.Profile) (brazeIDs []string) {
	tb.Helper()
	for _, p := range profiles {
		id, err := w.workspace.AddProfile(p)
		if err != nil {
			tb.Fatal(err)
		}
		brazeIDs = append(brazeIDs, id)
	}
	return brazeIDs
}

// fill puts the keys in place of PK and CS.
func (w world) fill(body string) string {
	pk, _ := json.Marshal(w.partner.Key("EU-01").Reveal())
	cs, _ := json.Marshal(w.key.Reveal())
	return strings.NewReplacer("PK", string(pk), "CS", string(cs)).Replace(body)
}

// changes is the body of a users request for camp-481.
func (w world) changes(list string) string {
	return w.fill(`{"partner_api_key":PK,"client_secret":CS,"cohort_id":"camp-481","cohort_changes":` + list + `}`)
}

func (w world) naming(name string) string {
	return w.fill(fmt.Sprintf(`{"partner_api_key":PK,"client_secret":CS,"cohort_id":"camp-481","name":%q,"created_at":"2025-03-02T08:15:00Z"}`, name))
}

// reply is an answer as a client sees it.
type reply struct {
	status int
	header http.Header
	body   string
	err    error // of the request or of reading the body
}

func (r reply) message(tb testing.TB) string {
	tb.Helper()
	var b struct {
		Message string   `json:"message"`
		Errors  []string `json:"errors"`
	}
	if err := json.Unmarshal([]byte(r.body), &b); err != nil {
		tb.Fatalf("the body is no JSON: %v", err)
	}
	return b.Message
}

// do sends a request. It knows nothing of the fake but HTTP.
func do(tb testing.TB, client *http.Client, method, url, contentType, body string) reply {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		tb.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return reply{status: resp.StatusCode, header: resp.Header, body: string(b), err: err}
}

func (w world) users(tb testing.TB, list string) reply {
	tb.Helper()
	return do(tb, w.Client(), http.MethodPost, endpoint+"/partners/tinyclues/cohorts/users", "application/json", w.changes(list))
}

func (w world) name(tb testing.TB, name string) reply {
	tb.Helper()
	return do(tb, w.Client(), http.MethodPost, endpoint+"/partners/tinyclues/cohorts", "application/json", w.naming(name))
}

func (w world) members(tb testing.TB) []string {
	tb.Helper()
	c, _ := w.workspace.Cohort(w.partner, "camp-481")
	var names []string
	for _, m := range c.Members {
		switch {
		case m.ExternalID != "":
			names = append(names, m.ExternalID)
		case len(m.Aliases) > 0:
			names = append(names, m.Aliases[0].Label+":"+m.Aliases[0].Name)
		default:
			names = append(names, m.DeviceIDs[0])
		}
	}
	return names
}

// recordingTB stands in for *testing.T where a test is meant to fail.
type recordingTB struct {
	mu       sync.Mutex
	errors   []string
	fatals   []string
	cleanups []func()
}

type fatal struct{}

func (r *recordingTB) Helper()             {}
func (r *recordingTB) Logf(string, ...any) {}

func (r *recordingTB) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// Fatalf ends the test by a panic, which caught turns into a return.
func (r *recordingTB) Fatalf(format string, args ...any) {
	r.mu.Lock()
	r.fatals = append(r.fatals, fmt.Sprintf(format, args...))
	r.mu.Unlock()
	panic(fatal{})
}

func (r *recordingTB) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *recordingTB) finish() {
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}
}

func caught(f func()) {
	defer func() {
		if got := recover(); got != nil && got != (fatal{}) {
			panic(got)
		}
	}()
	f()
}
