package cohort_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// TestApplyModel plays random changes of few members against a plain map. Requests take unequal time, and some are repeated, so that later batches
// overtake earlier ones unless Apply prevents it.
func TestApplyModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 2))
		t.Logf("seed %d", seed)
		s := newStage(t, brazetest.KeepIdentifiers(), brazetest.RefuseEmptyLists(), brazetest.RefuseEmptyChanges(), brazetest.RejectUnknownFields())
		const people = 20_000
		s.people(t, people)
		var wires overlaps
		var sent atomic.Int64
		client := s.server.Client()
		inner := client.Transport
		client.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			again := r.Clone(r.Context())
			again.Body = io.NopCloser(bytes.NewReader(body))
			w, err := decode(again)
			if err != nil {
				return nil, err
			}
			var ids []string
			for id := range w.externalIDs() {
				ids = append(ids, id)
			}
			wires.begin(ids)
			defer wires.end(ids)
			if err := wait(r.Context(), rand.N(time.Second)); err != nil {
				return nil, err
			}
			again.Body = io.NopCloser(bytes.NewReader(body))
			resp, err := inner.RoundTrip(again)
			if err == nil && sent.Add(1)%5 == 0 {
				_ = resp.Body.Close()
				return nil, io.ErrUnexpectedEOF // the answer is lost: the request is repeated
			}
			return resp, err
		})
		im := newImporter(t, newClient(t, "EU-01", transport.WithHTTPClient(client), transport.WithRetryPolicy(transport.RetryPolicy{MaxAttempts: 30, Budget: 10_000})), s.credentials())

		in := make(map[int]bool)
		var again, flipped int
		last := make(map[int]bool)
		rows := func(yield func(cohort.Change, error) bool) {
			for n := range 100_000 {
				// Stretches of changes of many members, whose batches go together, and of few, whose batches wait for each other.
				i := 1 + n%people
				if n/12_500%2 == 1 && n%2 == 0 {
					i = 1 + random.IntN(40)
				}
				c, put := add(i), true
				if random.IntN(2) == 0 {
					c, put = remove(i), false
				}
				if before, known := last[i]; known {
					again++
					if before != put {
						flipped++
					}
				}
				last[i] = put
				if put {
					in[i] = true
				} else {
					delete(in, i)
				}
				if !yield(c, nil) {
					return
				}
			}
		}
		report, err := apply(t.Context(), t, im, rows)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for i := range in {
			want = append(want, user(i))
		}
		if diff := cmp.Diff(sorted(want), s.members()); diff != "" {
			t.Errorf("seed %d: members (-want +got):\n%s", seed, diff)
		}
		if report.Adds.Accepted != report.Rows.Added || report.Removals.Accepted != report.Rows.Removed {
			t.Errorf("seed %d: not everything was accepted: %v", seed, report)
		}
		if len(wires.found) > 0 {
			t.Errorf("seed %d: %d changes were on the wire while an earlier one of the same member was", seed, len(wires.found))
		}
		repeats := 0
		for _, r := range s.server.Requests() {
			checkRequest(t, s, r)
			repeats++
		}
		repeats -= 1 + (report.Rows.Added+report.Rows.Removed)/cohort.MaxIdentifiers
		if got := s.posts(); got != report.Requests {
			t.Errorf("seed %d: %d requests reported, the endpoint saw %d", seed, report.Requests, got)
		}
		for what, n := range map[string]int{
			"changes of a member changed before": again, "changes the other way": flipped, "duplicate rows": report.Rows.Duplicate,
			"additions": report.Rows.Added, "removals": report.Rows.Removed,
		} {
			if n < 1000 {
				t.Errorf("seed %d: too little happened: %d %s", seed, n, what)
			}
		}
		if repeats < 5 || wires.most < 8 {
			t.Errorf("seed %d: too little happened: %d requests too many, %d at a time", seed, repeats, wires.most)
		}
	})
}

// checkRequest holds a users request to the form that every request has.
func checkRequest(t *testing.T, s *stage, r brazetest.Request) {
	t.Helper()
	if n := r.Identifiers(); n == 0 || n > cohort.MaxIdentifiers {
		t.Errorf("request %d has %d identifiers", r.Number, n)
	}
	if len(r.Changes) > 2 || len(r.Changes) == 2 && (!r.Changes[0].Remove || r.Changes[1].Remove) {
		t.Errorf("request %d does not remove once and then add once: %+v", r.Number, r.Changes)
	}
	seen := make(map[brazetest.Identifier]bool)
	for _, c := range s.server.Changes(r.Number) {
		for _, id := range c.Identifiers {
			if seen[id] {
				t.Errorf("request %d names a member twice", r.Number)
			}
			seen[id] = true
		}
	}
}

// TestApplyLastChangeWins takes the smallest sequences in which a member changes twice.
func TestApplyLastChangeWins(t *testing.T) {
	t.Parallel()
	filler := func(from, n int) []cohort.Change {
		var c []cohort.Change
		for i := range n {
			c = append(c, add(from+i))
		}
		return c
	}
	tests := []struct {
		name       string
		changes    []cohort.Change
		in         bool
		requests   int
		duplicates int
	}{
		{"added, then removed", []cohort.Change{add(1), remove(1)}, false, 1, 1},
		{"removed, then added", []cohort.Change{remove(1), add(1)}, true, 1, 1},
		{"to and fro", []cohort.Change{add(1), remove(1), add(1), remove(1), add(1)}, true, 1, 4},
		{"in the next request", append(append([]cohort.Change{add(1)}, filler(2, 999)...), remove(1)), false, 2, 0},
		{"in the request after the next", append(append([]cohort.Change{add(1)}, filler(2, 2500)...), remove(1)), false, 3, 0},
		{"as the last of a full request", append(filler(2, 999), add(1), remove(1)), false, 2, 0},
		{"three times in three requests", slices.Concat([]cohort.Change{remove(1)}, filler(2, 999), []cohort.Change{add(1)}, filler(1001, 999), []cohort.Change{remove(1)}), false, 3, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, brazetest.KeepIdentifiers())
				s.people(t, 1)
				// The first request is the slowest.
				for _, d := range []time.Duration{3 * time.Second, 2 * time.Second, time.Second} {
					s.server.Inject(brazetest.Users(), brazetest.Delay(d)).Optional()
				}
				report, err := apply(t.Context(), t, s.importer(t), list(tt.changes...))
				if err != nil {
					t.Fatal(err)
				}
				if got := slices.Contains(s.members(), user(1)); got != tt.in {
					t.Errorf("a member: %t, want %t", got, tt.in)
				}
				if report.Requests != tt.requests || report.Rows.Duplicate != tt.duplicates {
					t.Errorf("%d requests and %d duplicates, want %d and %d", report.Requests, report.Rows.Duplicate, tt.requests, tt.duplicates)
				}
				for _, r := range s.server.Requests() {
					checkRequest(t, s, r)
				}
			})
		})
	}
}

// TestApplyKinds shows that identifiers of one text but different kinds are different members.
func TestApplyKinds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, brazetest.KeepIdentifiers())
		ids := []identity.ID{
			identity.ExternalID("same"), identity.DeviceID("same"),
			identity.Alias{Label: "same", Name: "same"}.ID(), identity.Alias{Label: "crm", Name: "same"}.ID(), identity.Alias{Label: "same", Name: "crm"}.ID(),
		}
		var changes []cohort.Change
		for _, id := range ids {
			changes = append(changes, cohort.Add(id), cohort.Remove(id), cohort.Add(id))
		}
		report, err := apply(t.Context(), t, s.importer(t), list(changes...))
		if err != nil {
			t.Fatal(err)
		}
		if report.Adds.Accepted != len(ids) || report.Rows.Duplicate != 2*len(ids) || report.Requests != 1 {
			t.Errorf("want %d additions and twice as many duplicates in one request: %v", len(ids), report)
		}
		want := []brazetest.Change{{Identifiers: []brazetest.Identifier{
			{Kind: brazetest.ExternalIDKind, Value: "same"},
			{Kind: brazetest.AliasKind, Value: "same", Label: "same"},
			{Kind: brazetest.AliasKind, Value: "same", Label: "crm"},
			{Kind: brazetest.AliasKind, Value: "crm", Label: "same"},
			{Kind: brazetest.DeviceIDKind, Value: "same"},
		}}}
		order := cmp.Transformer("unordered", func(ids []brazetest.Identifier) map[brazetest.Identifier]int {
			m := make(map[brazetest.Identifier]int)
			for _, id := range ids {
				m[id]++
			}
			return m
		})
		if diff := cmp.Diff(want, s.server.Changes(1), order); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
	})
}

// TestApplyShape shows that a body has no empty list, no null and no flag that is false.
func TestApplyShape(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var bodies []string
		im := stubbed(t, func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			bodies = append(bodies, string(body))
			return answer(http.StatusCreated, success), err
		})
		for _, changes := range [][]cohort.Change{{add(1)}, {remove(1)}, {add(1), remove(2)}} {
			if _, err := apply(t.Context(), t, im, list(changes...)); err != nil {
				t.Fatal(err)
			}
		}
		const head = `{"partner_api_key":"pk-us-0001","client_secret":"cs-ws-0001","cohort_id":"camp-481","cohort_changes":[`
		want := []string{
			head + `{"user_ids":["u-1"]}]}`,
			head + `{"user_ids":["u-1"],"should_remove":true}]}`,
			head + `{"user_ids":["u-2"],"should_remove":true},{"user_ids":["u-1"]}]}`,
		}
		if diff := cmp.Diff(want, bodies); diff != "" {
			t.Errorf("bodies (-want +got):\n%s", diff)
		}
	})
}

// TestApplyFullRequests counts the requests of sequences around the limit.
func TestApplyFullRequests(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 999, 1000, 1001, 2000, 2001, 20_500} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				report, err := apply(t.Context(), t, s.importer(t), adds(n))
				if err != nil {
					t.Fatal(err)
				}
				want := (n + cohort.MaxIdentifiers - 1) / cohort.MaxIdentifiers
				if report.Requests != want || s.posts() != want || report.Adds.Accepted != n {
					t.Errorf("want %d changes in %d requests: %v", n, want, report)
				}
				if got := s.server.Counters().Identifiers; got != n {
					t.Errorf("the endpoint got %d identifiers, want %d", got, n)
				}
			})
		})
	}
}

// smallEndpoint answers 413 to bodies above a limit, and keeps who is in.
type smallEndpoint struct {
	t     *testing.T
	limit int

	mu       sync.Mutex
	in       map[string]bool
	tooLarge int
	requests int
}

func (e *smallEndpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	w, err := decode(r)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests++
	if w.size > e.limit {
		e.tooLarge++
		return answer(http.StatusRequestEntityTooLarge, `{"message":"too large"}`), nil
	}
	for i, c := range w.Changes {
		if c.ShouldRemove && i > 0 {
			e.t.Errorf("a request removes after it adds")
		}
	}
	for id, put := range w.externalIDs() {
		if put {
			e.in[id] = true
		} else {
			delete(e.in, id)
		}
	}
	return answer(http.StatusCreated, success), nil
}

func TestApplyTooLarge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// 1,000 of these identifiers take 12 KB or so, and the endpoint takes half.
		e := &smallEndpoint{t: t, limit: 6_000, in: map[string]bool{}}
		im := stubbed(t, e.RoundTrip, cohort.WithInFlight(2))
		want := make(map[string]bool)
		var changes []cohort.Change
		for i := range 20_000 {
			id := fmt.Sprintf("user-%05d", i)
			if i%3 == 0 {
				changes = append(changes, cohort.Remove(identity.ExternalID(id)))
				e.in[id] = true
				continue
			}
			changes = append(changes, cohort.Add(identity.ExternalID(id)))
			want[id] = true
		}
		report, err := apply(t.Context(), t, im, list(changes...))
		if err != nil {
			t.Fatal(err)
		}
		if report.Adds.Accepted != len(want) || report.Removals.Accepted != len(changes)-len(want) {
			t.Errorf("not everything was accepted: %v", report)
		}
		if diff := cmp.Diff(want, e.in); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
		if report.Requests != e.requests {
			t.Errorf("%d requests reported, the endpoint saw %d", report.Requests, e.requests)
		}
		// The batches shrink: only those that were under way or being filled are found too large.
		if e.tooLarge < 1 || e.tooLarge > 20 {
			t.Errorf("%d requests were too large, want some at the beginning and then no more", e.tooLarge)
		}
		// And not further than they must.
		if most := 2 * 20_000 * len(`"user-00000",`) / e.limit * 3 / 2; e.requests > most {
			t.Errorf("%d requests, want no more than %d", e.requests, most)
		}
	})
}

// TestApplyTooLargeOrder shows that a request which is cut in pieces still removes before it adds.
func TestApplyTooLargeOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var order []bool // of the changes accepted, whether each adds
		im := stubbed(t, func(r *http.Request) (*http.Response, error) {
			w, err := decode(r)
			if w.size > 250 {
				return answer(http.StatusRequestEntityTooLarge, `{"message":"too large"}`), err
			}
			for _, put := range w.externalIDs() {
				order = append(order, put)
			}
			return answer(http.StatusCreated, success), err
		})
		var changes []cohort.Change
		for i := range 50 {
			changes = append(changes, add(2*i), remove(2*i+1))
		}
		if _, err := apply(t.Context(), t, im, list(changes...)); err != nil {
			t.Fatal(err)
		}
		if first := slices.Index(order, true); first != 50 || len(order) != 100 || slices.Contains(order[first:], false) {
			t.Errorf("want 50 removals and then 50 additions: %v", order)
		}
	})
}

func TestApplyTooLargeAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.server.Inject(brazetest.Users(), brazetest.Status(http.StatusRequestEntityTooLarge))
		report, err := apply(t.Context(), t, s.importer(t), list(add(1)))
		if !errors.Is(err, transport.ErrTooLarge) || report.Adds.Refused != 1 || report.Requests != 1 {
			t.Errorf("want one refused addition in one request and ErrTooLarge: %v, %v", report, err)
		}
	})
}

// TestApplyTooLargeThenRefused shows that halves keep what became of the whole: it left, so they are not unsent, and where it may have been
// applied, a refusal of the halves does not undo that.
func TestApplyTooLargeThenRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		faults []brazetest.Fault // in turn; the zero Fault does nothing
		want   cohort.Tally
		kind   error
	}{
		{
			"too large, then refused",
			[]brazetest.Fault{brazetest.Status(413), brazetest.Status(400)},
			cohort.Tally{Refused: 10}, transport.ErrBadRequest,
		}, {
			"first half accepted",
			[]brazetest.Fault{brazetest.Status(413), {}, brazetest.Status(400)},
			cohort.Tally{Accepted: 5, Refused: 5}, transport.ErrBadRequest,
		}, {
			"lost, too large, then refused",
			[]brazetest.Fault{brazetest.AppliedThenLost(), brazetest.Status(413), brazetest.Status(400)},
			cohort.Tally{Unknown: 10}, transport.ErrOutcomeUnknown,
		}, {
			"lost, too large, then accepted",
			[]brazetest.Fault{brazetest.AppliedThenLost(), brazetest.Status(413)},
			cohort.Tally{Accepted: 10}, nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				for _, f := range tt.faults {
					s.server.Inject(brazetest.Users(), f)
				}
				report, err := apply(t.Context(), t, s.importer(t), adds(10))
				if diff := cmp.Diff(tt.want, report.Adds); diff != "" {
					t.Errorf("additions (-want +got):\n%s", diff)
				}
				if !errors.Is(err, tt.kind) {
					t.Errorf("error %v, want %v", err, tt.kind)
				}
				if report.Requests != s.posts() {
					t.Errorf("%d requests reported, the endpoint saw %d", report.Requests, s.posts())
				}
			})
		})
	}
}

// TestApplyHugeIdentifiers shows that a request stays below 4 MB whatever the identifiers are, and that one which could not is a rejected row.
func TestApplyHugeIdentifiers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		var rows iter.Seq2[cohort.Change, error] = func(yield func(cohort.Change, error) bool) {
			for i := range 30 {
				id := fmt.Sprintf("%04d", i) + strings.Repeat(`"`, 100_000) // doubles on the wire
				if i == 7 {
					id = strings.Repeat("x", 2_000_000)
				}
				if !yield(cohort.Add(identity.ExternalID(id)), nil) {
					return
				}
			}
		}
		var rejected []cohort.Rejection
		report, err := apply(t.Context(), t, s.importer(t), rows, cohort.OnReject(func(r cohort.Rejection) { rejected = append(rejected, r) }))
		if err != nil {
			t.Fatal(err)
		}
		want := []cohort.Rejection{{CohortID: campaign, Row: 8, Err: &identity.RejectError{Field: "external_id", Reason: cohort.ReasonTooLong, Hint: "look at the column that it comes from"}}}
		if diff := cmp.Diff(want, rejected); diff != "" {
			t.Errorf("rejections (-want +got):\n%s", diff)
		}
		if report.Adds.Accepted != 29 || report.Requests != 2 {
			t.Errorf("want 29 changes in 2 requests: %v", report)
		}
		if want := []cohort.Warning{{Kind: cohort.WarnOverlong, Count: 29}}; !cmp.Equal(want, report.Warnings) {
			t.Errorf("warnings (-want +got):\n%s", cmp.Diff(want, report.Warnings))
		}
		for _, r := range s.server.Requests() {
			if r.Body > brazetest.MaxBodyBytes || r.Status != http.StatusCreated {
				t.Errorf("request %d of %d bytes was answered %d", r.Number, r.Body, r.Status)
			}
		}
	})
}
