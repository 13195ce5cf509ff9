package cohort_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// batches is an observer that keeps what it hears.
type batches struct {
	mu   sync.Mutex
	ends []cohort.BatchEnd
}

func (b *batches) ObserveBatch(_ context.Context, end cohort.BatchEnd) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ends = append(b.ends, end)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		prepare func(*stage)
		options []brazetest.Option
		want    error      // nil for good
		cause   keys.Cause // of an ErrUnauthorized
		text    string     // in the error
	}{
		{name: "good"},
		{name: "another success", options: []brazetest.Option{brazetest.Success(http.StatusOK, `{}`)}},
		{name: "queued", prepare: func(s *stage) { s.server.Inject(brazetest.Users(), brazetest.Queued()) }},
		{
			name:    "wrong import key",
			prepare: func(s *stage) { s.workspace.InvalidateKey(s.partner, s.importKey) },
			want:    transport.ErrUnauthorized, cause: keys.CauseImportKey, text: "partner's page",
		}, {
			name:    "wrong partner key",
			prepare: func(s *stage) { s.server.Inject(brazetest.Users(), brazetest.Unauthorized(brazetest.WrongPartnerKey)) },
			want:    transport.ErrUnauthorized, cause: keys.CausePartnerKey, text: keys.CausePartnerKey.Next(),
		}, {
			name:    "not enabled",
			prepare: func(s *stage) { s.workspace.Disable(s.partner) },
			want:    transport.ErrUnauthorized, cause: keys.CauseNotEnabled, text: keys.CauseNotEnabled.Next(),
		}, {
			name:    "no cause told",
			prepare: func(s *stage) { s.server.Inject(brazetest.Users(), brazetest.Unauthorized(brazetest.GenericRefusal)) },
			want:    transport.ErrUnauthorized, cause: keys.CauseUnclear, text: "possibly the instance",
		}, {
			name:    "an empty list is refused",
			options: []brazetest.Option{brazetest.RefuseEmptyChanges()},
			want:    cohort.ErrInconclusive, text: "a real export will tell",
		}, {
			name: "down",
			prepare: func(s *stage) {
				s.server.Inject(brazetest.Users(), brazetest.Status(http.StatusServiceUnavailable)).Always()
			},
			want: transport.ErrUnavailable, text: "check again later",
		}, {
			name:    "no answer",
			prepare: func(s *stage) { s.server.Inject(brazetest.Users(), brazetest.DropConnection()).Always() },
			want:    transport.ErrNoAnswer, text: "may have been applied",
		}, {
			name:    "a portal in between",
			prepare: func(s *stage) { s.server.Inject(brazetest.Users(), brazetest.HTML(http.StatusOK)).Always() },
			want:    transport.ErrBadAnswer, text: "proxy",
		}, {
			name:    "not there",
			prepare: func(s *stage) { s.server.Inject(brazetest.Users(), brazetest.Status(http.StatusNotFound)) },
			want:    transport.ErrNotFound, text: "address",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, tt.options...)
				if tt.prepare != nil {
					tt.prepare(s)
				}
				err := s.importer(t).Check(t.Context())
				if !errors.Is(err, tt.want) {
					t.Fatalf("error %v, want %v", err, tt.want)
				}
				if err != nil && !strings.Contains(err.Error(), tt.text) {
					t.Errorf("error %q does not say %q", err, tt.text)
				}
				for _, kind := range []error{transport.ErrUnauthorized, cohort.ErrInconclusive} {
					if got, want := errors.Is(err, kind), tt.want == kind; got != want { //nolint:errorlint // both are the sentinels themselves
						t.Errorf("errors.Is(err, %v) is %t", kind, got)
					}
				}
				if api, ok := errors.AsType[*transport.APIError](err); tt.want == transport.ErrUnauthorized && (!ok || api.Cause != tt.cause) { //nolint:errorlint // as above
					t.Errorf("error %v, want cause %v", err, tt.cause)
				}
				if got := s.workspace.DropDown(s.partner); len(got) > 0 {
					t.Errorf("the drop-down shows %q", got)
				}
				for _, r := range s.server.Requests() {
					if r.Operation != brazetest.ChangeUsers || r.CohortID != cohort.CheckCohortID || r.Identifiers() != 0 {
						t.Errorf("request %d is %v to %q with %d identifiers", r.Number, r.Operation, r.CohortID, r.Identifiers())
					}
				}
				if len(s.server.Requests()) == 0 {
					t.Error("no request was made")
				}
			})
		})
	}
}

func TestCheckBody(t *testing.T) {
	t.Parallel()
	var got string
	im := stubbed(t, func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.String() + " " + string(body)
		return answer(http.StatusCreated, success), err
	})
	if err := im.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := `POST https://rest.fra-01.braze.eu/partners/tinyclues/cohorts/users ` +
		`{"partner_api_key":"pk-us-0001","client_secret":"cs-ws-0001","cohort_id":"cohortkit-check","cohort_changes":[]}`
	if got != want {
		t.Errorf("request (-want +got):\n%s", cmp.Diff(want, got))
	}
}

func TestSetName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		im := s.importer(t)
		created := time.Date(2025, 3, 2, 8, 15, 0, 0, time.UTC)
		name := func(name string) {
			t.Helper()
			if err := im.SetName(t.Context(), cohort.Cohort{ID: campaign, Name: name, CreatedAt: created}); err != nil {
				t.Fatal(err)
			}
			c, _ := s.workspace.Cohort(s.partner, campaign)
			want := brazetest.Cohort{ID: campaign, Partner: "tinyclues", Name: name, CreatedAt: created}
			if diff := cmp.Diff(want, c, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("cohort (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{name}, s.workspace.DropDown(s.partner)); diff != "" {
				t.Errorf("drop-down (-want +got):\n%s", diff)
			}
		}
		name("Spring sale")
		name("Spring sale") // again
		name("Summer sale") // renamed
		name(`Sale "<&>" 50 % ünïcödé 🦊`)
		s.server.Inject(brazetest.Naming(), brazetest.AppliedThenLost())
		s.server.Inject(brazetest.Naming(), brazetest.Locked())
		name("Winter sale") // repeated
		if s.posts() != 7 {
			t.Errorf("%d requests were made, want 7", s.posts())
		}

		s.server.Inject(brazetest.Naming(), brazetest.Status(http.StatusBadRequest))
		err := im.SetName(t.Context(), cohort.Cohort{ID: campaign, Name: "Refused", CreatedAt: created})
		if !errors.Is(err, transport.ErrBadRequest) || !strings.HasPrefix(err.Error(), "cohort: set name: ") {
			t.Errorf("error %v, want ErrBadRequest of the operation", err)
		}
		s.server.Inject(brazetest.Naming(), brazetest.Status(http.StatusInternalServerError)).Always()
		err = im.SetName(t.Context(), cohort.Cohort{ID: campaign, Name: "Unknown", CreatedAt: created})
		if !errors.Is(err, transport.ErrOutcomeUnknown) {
			t.Errorf("error %v, want ErrOutcomeUnknown", err)
		}
	})
}

// TestPartnerPath shows that the partner's name is escaped in the path.
func TestPartnerPath(t *testing.T) {
	t.Parallel()
	var got string
	client := newClient(t, "https://braze.example.com/gateway", transport.WithHTTPClient(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		got = r.URL.String()
		_, err := io.Copy(io.Discard, r.Body)
		return answer(http.StatusOK, success), err
	})}))
	credentials := plainCredentials()
	credentials.Partner = "data & more"
	if err := newImporter(t, client, credentials).Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := "https://braze.example.com/gateway/partners/data%20&%20more/cohorts/users"; got != want {
		t.Errorf("URL %q, want %q", got, want)
	}
}

// TestApplyConcurrently runs eight imports on one Importer. They do not disturb each other.
func TestApplyConcurrently(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		const people, runs = 5000, 8
		s.people(t, people)
		s.server.Inject(brazetest.Users(), brazetest.Status(http.StatusServiceUnavailable)).Times(5)
		s.server.Inject(brazetest.Users().Cohort("camp-3"), brazetest.Status(http.StatusBadRequest))
		observer := &batches{}
		im := s.importer(t, cohort.WithObserver(observer))
		reports, errs := make([]cohort.Report, runs), make([]error, runs)
		var wg sync.WaitGroup
		for i := range runs {
			wg.Go(func() {
				reports[i], errs[i] = im.Apply(t.Context(), fmt.Sprintf("camp-%d", i), adds(people))
			})
		}
		wg.Wait()
		requests := 0
		seen := make(map[string]cohort.Tally)
		for _, end := range observer.ends {
			tally := seen[end.CohortID]
			switch end.Outcome {
			case transport.OutcomeAccepted:
				tally.Accepted += end.Adds
			case transport.OutcomeRefused:
				tally.Refused += end.Adds
			case transport.OutcomeUnknown:
				tally.Unknown += end.Adds
			default:
				tally.Unsent += end.Adds
			}
			seen[end.CohortID] = tally
			if end.Workspace != "acme" || end.Removals != 0 {
				t.Errorf("the observer heard of %+v", end)
			}
		}
		for i, r := range reports {
			checkSums(t, r)
			requests += r.Requests
			size := s.workspace.CohortSize(s.partner, r.CohortID)
			if i == 3 {
				if !errors.Is(errs[i], transport.ErrBadRequest) || r.Adds.Refused != 1000 || size != r.Adds.Accepted {
					t.Errorf("the run that was refused: %v, %v, %d members", r, errs[i], size)
				}
				continue
			}
			if errs[i] != nil || r.Adds.Accepted != people || size != people {
				t.Errorf("%v, %v, %d members", r, errs[i], size)
			}
			if diff := cmp.Diff(r.Adds, seen[r.CohortID]); diff != "" {
				t.Errorf("%s: what the observer heard (-report +observer):\n%s", r.CohortID, diff)
			}
		}
		if requests != s.posts() {
			t.Errorf("%d requests reported, the endpoint saw %d", requests, s.posts())
		}
	})
}

// TestOnProgress shows that progress only grows, is told by one goroutine at a time, and ends at the whole.
func TestOnProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.server.Inject(brazetest.Users(), brazetest.Status(http.StatusServiceUnavailable)).Times(3)
		im := s.importer(t, cohort.WithLimiter(open{}))
		var inside bool // unguarded on purpose: the race detector looks too
		var heard []cohort.Progress
		second := 0
		report, err := apply(t.Context(), t, im, adds(50_500), cohort.OnProgress(func(p cohort.Progress) {
			if inside {
				t.Error("told twice at once")
			}
			inside = true
			heard = append(heard, p)
			if err := wait(t.Context(), 10*time.Millisecond); err != nil {
				t.Error(err)
			}
			inside = false
		}), cohort.OnProgress(func(cohort.Progress) { second++ }))
		if err != nil {
			t.Fatal(err)
		}
		if len(heard) != 51 || second != 51 {
			t.Fatalf("told %d and %d times, want 51", len(heard), second)
		}
		for i, p := range heard[1:] {
			before := heard[i]
			if p.Rows < before.Rows || p.Accepted < before.Accepted || p.Requests < before.Requests {
				t.Errorf("%+v came after %+v", p, before)
			}
		}
		last := heard[50]
		if last.Rate <= 0 {
			t.Errorf("a rate of %v", last.Rate)
		}
		want := cohort.Progress{CohortID: campaign, Rows: 50_500, Accepted: 50_500, Requests: report.Requests, Rate: last.Rate}
		if diff := cmp.Diff(want, last); diff != "" {
			t.Errorf("the last progress (-want +got):\n%s", diff)
		}
	})
}

// TestObserver compares what an observer hears with the report.
func TestObserver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.server.Inject(brazetest.Users(), brazetest.Locked()).Times(2)
		first, second := &batches{}, &batches{}
		im := s.importer(t, cohort.WithInFlight(1), cohort.WithObserver(first), cohort.WithObserver(second))
		if _, err := apply(t.Context(), t, im, list(add(1), add(2), remove(3))); err != nil {
			t.Fatal(err)
		}
		s.server.Inject(brazetest.Users(), brazetest.Status(http.StatusBadRequest))
		if _, err := apply(t.Context(), t, im, list(remove(1))); err == nil {
			t.Fatal("the second run was not refused")
		}
		want := []cohort.BatchEnd{
			{Workspace: "acme", CohortID: campaign, Adds: 2, Removals: 1, Attempts: 3, Outcome: transport.OutcomeAccepted},
			{Workspace: "acme", CohortID: campaign, Removals: 1, Attempts: 1, Outcome: transport.OutcomeRefused},
		}
		if diff := cmp.Diff(want, first.ends); diff != "" {
			t.Errorf("ends (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(first.ends, second.ends); diff != "" {
			t.Errorf("the second observer heard otherwise (-first +second):\n%s", diff)
		}
	})
}
