package cohort_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// faults are all that the fake can do to a request, and what becomes of a run if it never stops doing it: everything refused, or unknown.
func faults() []fault {
	refused := func(c *cohort.Tally) *int { return &c.Refused }
	unknown := func(c *cohort.Tally) *int { return &c.Unknown }
	accepted := func(c *cohort.Tally) *int { return &c.Accepted }
	return []fault{
		{"nothing", brazetest.Fault{}, accepted},
		{"400", brazetest.Status(http.StatusBadRequest), refused},
		{"401", brazetest.Status(http.StatusUnauthorized), refused},
		{"403", brazetest.Status(http.StatusForbidden), refused},
		{"404", brazetest.Status(http.StatusNotFound), refused},
		{"408", brazetest.Status(http.StatusRequestTimeout), unknown},
		{"413", brazetest.Status(http.StatusRequestEntityTooLarge), refused},
		{"415", brazetest.Status(http.StatusUnsupportedMediaType), refused},
		{"418", brazetest.Status(http.StatusTeapot), refused},
		{"500", brazetest.Status(http.StatusInternalServerError), unknown},
		{"500 applied", brazetest.Status(http.StatusInternalServerError).Applied(), unknown},
		{"501", brazetest.Status(http.StatusNotImplemented), unknown},
		{"503", brazetest.Status(http.StatusServiceUnavailable), unknown},
		{"a body of its own", brazetest.StatusBody(http.StatusBadGateway, `{"message":"hello`), unknown},
		{"locked", brazetest.Locked(), refused},
		{"locked on overlap", brazetest.LockedOnOverlap(), accepted},
		{"rate limited", brazetest.RateLimited("2"), refused},
		{"rate limited without a hint", brazetest.RateLimited("").Header("X-RateLimit-Reset", ""), refused},
		{"rate limited until", brazetest.RateLimitedUntil(time.Date(2000, 1, 1, 0, 0, 30, 0, time.UTC)), refused},
		{"delay", brazetest.Delay(time.Second), accepted},
		{"delay beyond the timeout", brazetest.Delay(time.Hour), unknown},
		{"delay of the answer beyond the timeout", brazetest.Delay(time.Hour).Applied(), unknown},
		{"dropped", brazetest.DropConnection(), unknown},
		{"applied then lost", brazetest.AppliedThenLost(), unknown},
		{"cut off at once", brazetest.TruncateBody(0), unknown},
		{"cut off", brazetest.TruncateBody(9), unknown},
		{"cut off, not applied", brazetest.TruncateBody(9).NotApplied(), unknown},
		{"malformed", brazetest.MalformedBody(), unknown},
		{"success with errors", brazetest.SuccessWithErrors("one was not processed"), unknown},
		{"queued", brazetest.Queued(), accepted},
		{"HTML of a gateway", brazetest.HTML(http.StatusBadGateway), unknown},
		{"HTML of a portal", brazetest.HTML(http.StatusOK), unknown},
		{"redirect", brazetest.Redirect("https://rest.fra-02.braze.eu/partners/tinyclues/cohorts/users"), refused},
		{"endless body", brazetest.EndlessBody(), unknown},
		{"slow body", brazetest.SlowBody(100 * time.Millisecond), accepted},
		{"a body too slow", brazetest.SlowBody(time.Minute), unknown},
		{"wrong partner key", brazetest.Unauthorized(brazetest.WrongPartnerKey), refused},
		{"wrong import key", brazetest.Unauthorized(brazetest.WrongImportKey), refused},
		{"not enabled", brazetest.Unauthorized(brazetest.NotEnabled), refused},
		{"refused without a cause", brazetest.Unauthorized(brazetest.GenericRefusal), refused},
		{"bad request that echoes", brazetest.BadRequestEchoing(), refused},
		{"custom", brazetest.Custom("no content", func(w http.ResponseWriter, r *http.Request) bool {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusOK)
			return true
		}), unknown},
	}
}

type fault struct {
	name   string
	fault  brazetest.Fault
	always func(*cohort.Tally) *int
}

// TestApplyFaults runs imports against every fault. What the report calls accepted is in the cohort, what it calls refused or unsent is not, and the
// requests are counted as the endpoint counts them. A member is in exactly one of these groups; who is in which is told by the fake, which keeps the
// identifiers of each request. With the race detector a fault comes one of these numbers of times.
func TestApplyFaults(t *testing.T) {
	t.Parallel()
	times := []struct {
		name string
		n    int
	}{{"once", 1}, {"three times", 3}, {"always", 0}}
	for _, f := range faults() {
		for _, i := range rand.Perm(len(times))[:faultTimes] {
			times := times[i]
			t.Run(f.name+" "+times.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := newStage(t)
					s.people(t, 2100)
					injection := s.server.Inject(brazetest.Users(), f.fault)
					if times.n > 0 {
						injection.Times(times.n).Optional() // a run may end at the first, and an overlap may not come
					} else {
						injection.Always().Optional()
					}
					im := s.importer(t, cohort.WithInFlight(3))
					report, err := apply(t.Context(), t, im, adds(2100))
					if injection.Fired() == 0 && f.name != "locked on overlap" {
						t.Error("the fault did not happen")
					}
					if (err == nil) != (report.Adds.Accepted == 2100) {
						t.Errorf("error %v with %v", err, report)
					}
					if unknown := report.Adds.Unknown > 0; unknown != errors.Is(err, transport.ErrOutcomeUnknown) {
						t.Errorf("error %v with %v", err, report)
					}
					if got := s.posts(); got != report.Requests {
						t.Errorf("%d requests reported, the endpoint saw %d", report.Requests, got)
					}
					if in := s.workspace.CohortSize(s.partner, campaign); in < report.Adds.Accepted || in > report.Adds.Accepted+report.Adds.Unknown {
						t.Errorf("%d are in: %v", in, report)
					}
					if n := *f.always(&report.Adds); times.n == 0 && (n == 0 || n+report.Adds.Unsent != report.Adds.Total()) {
						t.Errorf("not what it should end as: %v, %v", report, err)
					}
					// The run does not leave the importer worse than it was.
					injection.Remove()
					if report, err := apply(t.Context(), t, im, adds(2100)); err != nil || s.workspace.CohortSize(s.partner, campaign) != 2100 {
						t.Errorf("a second run, without the fault: %v, %v", report, err)
					}
				})
			})
		}
	}
}

// TestApplyFaultsByMember is about one member in each request, so that who is in can be compared with what each request came to.
func TestApplyFaultsByMember(t *testing.T) {
	t.Parallel()
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for times := range 4 {
					s := newStage(t)
					s.people(t, 1)
					s.server.Inject(brazetest.Users(), f.fault).Times(cmp.Or(times, 100)).Optional()
					report, _ := apply(t.Context(), t, s.importer(t), list(add(1)))
					in := slices.Contains(s.members(), user(1))
					if in && report.Adds.Refused+report.Adds.Unsent > 0 || !in && report.Adds.Accepted > 0 {
						t.Errorf("%d times: a member: %t, but the report says %v", times, in, report)
					}
				}
			})
		})
	}
}

// TestApplyEndlessBody shows that an answer without end costs no memory: 1 MiB of each is read. The bound leaves room for three answers at a
// time, the growing of their buffers, and the fake.
func TestApplyEndlessBody(t *testing.T) { //nolint:paralleltest // it measures the heap
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.server.Inject(brazetest.Users(), brazetest.EndlessBody()).Always()
		im := s.importer(t, cohort.WithInFlight(3))
		most, before := uint64(0), heap()
		changes := func(yield func(cohort.Change, error) bool) {
			for c, err := range adds(2900) {
				if !yield(c, err) {
					return
				}
			}
			for range 60 {
				if err := wait(t.Context(), time.Second); err != nil {
					t.Error(err)
				}
				most = max(most, heap())
			}
		}
		report, err := apply(t.Context(), t, im, changes)
		if !errors.Is(err, transport.ErrBadAnswer) || report.Adds.Unknown == 0 {
			t.Errorf("want unknown additions and ErrBadAnswer: %v, %v", report, err)
		}
		const bound = 32 << 20
		if most > before+bound {
			t.Errorf("the heap grew by %d bytes, want at most %d", most-before, bound)
		}
	})
}

// heap returns the bytes of live objects.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestApplyForeignCause shows that the error of another run, which is the cause of this one's cancelled context, is not taken for this one's own.
func TestApplyForeignCause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		im := s.importer(t)
		s.server.Inject(brazetest.Users(), brazetest.Status(http.StatusBadRequest))
		_, foreign := apply(t.Context(), t, im, adds(1))
		if !errors.Is(foreign, transport.ErrBadRequest) {
			t.Fatalf("error %v, want ErrBadRequest", foreign)
		}
		ctx, cancel := cancelledBy(t, fmt.Errorf("another campaign: %w", foreign), time.Second)
		defer cancel()
		stuck := newImporter(t, s.client(t), s.credentials(), cohort.WithLimiter(stuck{}))
		report, err := apply(ctx, t, stuck, adds(500))
		if want := (cohort.Tally{Unsent: 500}); report.Adds != want || report.Requests != 0 {
			t.Errorf("want nothing but unsent changes: %v, %v", report, err)
		}
	})
}
