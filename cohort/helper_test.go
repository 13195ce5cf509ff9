package cohort_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

const campaign = "camp-481"

// stage is a fake with one partner that is enabled in one workspace, and what it takes to talk to it.
type stage struct {
	server    *brazetest.Server
	partner   *brazetest.Partner
	workspace *brazetest.Workspace
	importKey keys.ImportKey
}

func newStage(t *testing.T, opts ...brazetest.Option) *stage {
	t.Helper()
	s := &stage{server: brazetest.NewServer(t, opts...)}
	s.partner = s.server.AddPartner("tinyclues", "Tinyclues")
	s.workspace = s.server.AddWorkspace("acme")
	s.workspace.Enable(s.partner)
	s.importKey = s.workspace.GenerateKey(s.partner)
	return s
}

// people adds the users u-1 to u-n.
func (s *stage) people(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		if _, err := s.workspace.AddProfile(brazetest.Profile{ExternalID: user(i + 1)}); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *stage) client(t *testing.T, opts ...transport.Option) *transport.Client {
	t.Helper()
	return newClient(t, "EU-01", append([]transport.Option{transport.WithHTTPClient(s.server.Client())}, opts...)...)
}

func (s *stage) credentials() keys.Credentials {
	return keys.Credentials{Partner: "tinyclues", PartnerKey: s.partner.Key("EU-01"), ImportKey: s.importKey}
}

func (s *stage) importer(t *testing.T, opts ...cohort.Option) *cohort.Importer {
	t.Helper()
	return newImporter(t, s.client(t), s.credentials(), opts...)
}

// members returns the external IDs in the cohort.
func (s *stage) members() []string {
	c, _ := s.workspace.Cohort(s.partner, campaign)
	return c.ExternalIDs()
}

// posts returns the number of requests that have arrived.
func (s *stage) posts() int { return s.server.Counters().Requests }

func newClient(t *testing.T, endpoint string, opts ...transport.Option) *transport.Client {
	t.Helper()
	e, err := transport.ParseEndpoint(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	client, err := transport.New(e, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func newImporter(t *testing.T, client *transport.Client, credentials keys.Credentials, opts ...cohort.Option) *cohort.Importer {
	t.Helper()
	importer, err := cohort.NewImporter(client, "acme", credentials, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return importer
}

// plainCredentials are for endpoints that look at no key.
func plainCredentials() keys.Credentials {
	return keys.Credentials{Partner: "tinyclues", PartnerKey: keys.NewPartnerKey("pk-us-0001"), ImportKey: keys.NewImportKey("cs-ws-0001")}
}

// roundTripper is an endpoint of the test's own.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// stubbed returns an Importer whose requests go to f.
func stubbed(t *testing.T, f roundTripper, opts ...cohort.Option) *cohort.Importer {
	t.Helper()
	client := newClient(t, "EU-01", transport.WithHTTPClient(&http.Client{Transport: f}))
	return newImporter(t, client, plainCredentials(), opts...)
}

// answer makes the response of a stub, which has read the request to its end.
func answer(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

const success = `{"message":"success"}`

// wire is a users request as it is on the wire.
type wire struct {
	size     int
	CohortID string `json:"cohort_id"`
	Changes  []struct {
		UserIDs      []string `json:"user_ids"`
		DeviceIDs    []string `json:"device_ids"`
		Aliases      []any    `json:"aliases"`
		ShouldRemove bool     `json:"should_remove"`
	} `json:"cohort_changes"`
}

// decode reads a users request.
func decode(r *http.Request) (wire, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return wire{}, err
	}
	w := wire{size: len(body)}
	d := json.NewDecoder(bytes.NewReader(body))
	return w, d.Decode(&w)
}

// externalIDs returns the external IDs of the request and whether each is added.
func (w wire) externalIDs() iter.Seq2[string, bool] {
	return func(yield func(string, bool) bool) {
		for _, c := range w.Changes {
			for _, id := range c.UserIDs {
				if !yield(id, !c.ShouldRemove) {
					return
				}
			}
		}
	}
}

func user(i int) string { return "u-" + strconv.Itoa(i) }

func add(i int) cohort.Change    { return cohort.Add(identity.ExternalID(user(i))) }
func remove(i int) cohort.Change { return cohort.Remove(identity.ExternalID(user(i))) }

// adds yields additions of u-1 to u-n.
func adds(n int) iter.Seq2[cohort.Change, error] {
	return func(yield func(cohort.Change, error) bool) {
		for i := range n {
			if !yield(add(i+1), nil) {
				return
			}
		}
	}
}

// failing yields additions of u-1 to u-n, and err in place of the one of this row.
func failing(n, row int, err error) iter.Seq2[cohort.Change, error] {
	return func(yield func(cohort.Change, error) bool) {
		for i := range n {
			c, e := add(i+1), error(nil)
			if i+1 == row {
				c, e = cohort.Change{}, err
			}
			if !yield(c, e) {
				return
			}
		}
	}
}

func list(changes ...cohort.Change) iter.Seq2[cohort.Change, error] {
	return func(yield func(cohort.Change, error) bool) {
		for _, c := range changes {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// checkSums holds a report to what its documentation promises for every way out of a run.
func checkSums(t *testing.T, r cohort.Report) {
	t.Helper()
	rows := r.Rows
	if sum := rows.Added + rows.Removed + rows.Kept + rows.Duplicate + rows.Suppressed + rows.Rejected + rows.Unprocessed; sum != rows.Read {
		t.Errorf("the rows sum up to %d, want the %d read: %+v", sum, rows.Read, rows)
	}
	if got := r.Adds.Total(); got != rows.Added {
		t.Errorf("the additions sum up to %d, want %d: %+v", got, rows.Added, r.Adds)
	}
	if got := r.Removals.Total(); got != rows.Removed {
		t.Errorf("the removals sum up to %d, want %d: %+v", got, rows.Removed, r.Removals)
	}
	if rows.Kept+rows.Suppressed+r.Adds.Held+r.Removals.Held != 0 {
		t.Errorf("Apply has no ledger, no guard and no list of suppressions: %+v", r)
	}
	for _, n := range []int{rows.Read, rows.Added, rows.Removed, rows.Duplicate, rows.Rejected, rows.Unprocessed, r.Requests} {
		if n < 0 {
			t.Errorf("a count is negative: %+v", r)
		}
	}
}

// apply runs Apply and checks the sums.
func apply(ctx context.Context, t *testing.T, im *cohort.Importer, changes iter.Seq2[cohort.Change, error], opts ...cohort.RunOption) (cohort.Report, error) {
	t.Helper()
	report, err := im.Apply(ctx, campaign, changes, opts...)
	checkSums(t, report)
	return report, err
}

// overlaps records which requests are on the wire, and fails the test when a change of a member is while an earlier one of it is.
type overlaps struct {
	mu      sync.Mutex
	members map[string]bool
	found   []string
	most    int
	now     int
}

func (o *overlaps) begin(ids []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.members == nil {
		o.members = map[string]bool{}
	}
	for _, id := range ids {
		if o.members[id] {
			o.found = append(o.found, id)
		}
		o.members[id] = true
	}
	o.now++
	o.most = max(o.most, o.now)
}

func (o *overlaps) end(ids []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, id := range ids {
		delete(o.members, id)
	}
	o.now--
}

// some returns every so manieth of a list, from one by chance on.
func some[T any](list []T, every int) []T {
	var chosen []T
	for i := rand.IntN(every); i < len(list); i += every {
		chosen = append(chosen, list[i])
	}
	return chosen
}

func sorted(ids []string) []string {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return ids
}

// wait lets time pass in a bubble, or returns early with the context.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// cancelledBy returns a context that is cancelled with this cause after a while.
func cancelledBy(t *testing.T, cause error, after time.Duration) (context.Context, func()) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	timer := time.AfterFunc(after, func() { cancel(cause) })
	return ctx, func() { timer.Stop(); cancel(nil) }
}
