package cohort_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

var errSource = errors.New("the database went away")

// TestApplySourceError ends the source at various rows: what was handed over before is brought to its end, the rest is unsent.
func TestApplySourceError(t *testing.T) {
	t.Parallel()
	const n = 2500
	tests := []struct {
		name string
		row  int
		want cohort.Tally
	}{
		{"first row", 1, cohort.Tally{}},
		{"within the first request", 500, cohort.Tally{Unsent: 499}},
		{"between requests", 1001, cohort.Tally{Accepted: 1000}},
		{"within the third request", 2100, cohort.Tally{Accepted: 2000, Unsent: 99}},
		{"last row", n, cohort.Tally{Accepted: 2000, Unsent: 499}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.server.Inject(brazetest.Users(), brazetest.Status(http.StatusServiceUnavailable)).Optional() // repeated although the source has failed
				report, err := apply(t.Context(), t, s.importer(t), failing(n, tt.row, errSource))
				row, ok := errors.AsType[*cohort.RowError](err)
				if !ok || row.Row != tt.row || !errors.Is(err, errSource) {
					t.Errorf("error %v, want a RowError of row %d around that of the source", err, tt.row)
				}
				if diff := cmp.Diff(tt.want, report.Adds); diff != "" {
					t.Errorf("additions (-want +got):\n%s", diff)
				}
				if want := (cohort.Rows{Read: tt.row, Added: tt.row - 1, Unprocessed: 1}); report.Rows != want {
					t.Errorf("rows (-want +got):\n%s", cmp.Diff(want, report.Rows))
				}
				if report.Requests != s.posts() {
					t.Errorf("%d requests reported, the endpoint saw %d", report.Requests, s.posts())
				}
			})
		})
	}
}

// TestApplySourceAndRequestFail shows that neither of two failures is lost.
func TestApplySourceAndRequestFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.server.Inject(brazetest.Users(), brazetest.Delay(time.Second))
		s.server.Inject(brazetest.Users(), brazetest.Status(http.StatusBadRequest))
		report, err := apply(t.Context(), t, s.importer(t), failing(1500, 1200, errSource))
		if !errors.Is(err, errSource) || !errors.Is(err, transport.ErrBadRequest) {
			t.Errorf("error %v, want that of the source and that of the request", err)
		}
		if want := (cohort.Tally{Refused: 1000, Unsent: 199}); report.Adds != want {
			t.Errorf("additions (-want +got):\n%s", cmp.Diff(want, report.Adds))
		}
	})
}

// TestApplyRejects shows that a bad row is counted, told and passed over, and in a strict run the last one read.
func TestApplyRejects(t *testing.T) {
	t.Parallel()
	bad := func(yield func(cohort.Change, error) bool) {
		rows := []struct {
			change cohort.Change
			err    error
		}{
			{change: add(1)},
			{change: cohort.Change{}},
			{change: cohort.Add(identity.ExternalID(""))},
			{change: cohort.Remove(identity.DeviceID("a\xffb"))},
			{change: cohort.Add(identity.Alias{Label: "crm", Name: "line\nbreak"}.ID())},
			{change: cohort.Add(identity.Alias{Name: "c-90"}.ID())},
			{err: fmt.Errorf("u-2 has no column: %w", &identity.RejectError{Field: "row", Reason: identity.ReasonUnreadable})},
			{change: cohort.Add(identity.ID{})},
			{change: remove(3)},
		}
		for _, row := range rows {
			if !yield(row.change, row.err) {
				return
			}
		}
	}
	want := []cohort.Rejection{
		{CohortID: campaign, Row: 2, Err: &identity.RejectError{Field: "change", Reason: cohort.ReasonNoDirection, Hint: "make it with Add or Remove"}},
		{CohortID: campaign, Row: 3, Err: &identity.RejectError{Field: "external_id", Reason: identity.ReasonEmpty}},
		{CohortID: campaign, Row: 4, Err: &identity.RejectError{Field: "device_id", Reason: identity.ReasonInvalidUTF8}},
		{CohortID: campaign, Row: 5, Err: &identity.RejectError{Field: "alias_name", Reason: identity.ReasonControlCharacter}},
		{CohortID: campaign, Row: 6, Err: &identity.RejectError{Field: "alias_label", Reason: identity.ReasonEmpty}},
		{CohortID: campaign, Row: 7, Err: &identity.RejectError{Field: "row", Reason: identity.ReasonUnreadable}},
		{CohortID: campaign, Row: 8, Err: &identity.RejectError{Field: "identifier", Reason: identity.ReasonNoIdentifier}},
	}
	t.Run("counted", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t)
			var got, second []cohort.Rejection
			report, err := apply(t.Context(), t, s.importer(t), bad,
				cohort.OnReject(func(r cohort.Rejection) { got = append(got, r) }), cohort.OnReject(func(r cohort.Rejection) { second = append(second, r) }))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("rejections (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(got, second); diff != "" {
				t.Errorf("the second callback heard other rejections (-first +second):\n%s", diff)
			}
			if want := (cohort.Rows{Read: 9, Added: 1, Removed: 1, Rejected: 7}); report.Rows != want {
				t.Errorf("rows (-want +got):\n%s", cmp.Diff(want, report.Rows))
			}
		})
	})
	t.Run("strict", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t)
			var got []cohort.Rejection
			report, err := apply(t.Context(), t, s.importer(t), bad, cohort.Strict(), cohort.OnReject(func(r cohort.Rejection) { got = append(got, r) }))
			row, ok := errors.AsType[*cohort.RowError](err)
			if !ok || row.Row != 2 || !cmp.Equal(row.Err, error(want[0].Err)) {
				t.Errorf("error %v, want a RowError of row 2 around its rejection", err)
			}
			if diff := cmp.Diff(want[:1], got); diff != "" {
				t.Errorf("rejections (-want +got):\n%s", diff)
			}
			if want := (cohort.Rows{Read: 2, Added: 1, Rejected: 1}); report.Rows != want || report.Adds.Unsent != 1 || s.posts() != 0 {
				t.Errorf("want 2 rows read, the good one unsent: %v", report)
			}
		})
	})
}

var errMaintenance = errors.New("maintenance begins")

// TestApplyCancelled cancels the context at every place where a run can be. Each ends at once, in a state that is told truly.
func TestApplyCancelled(t *testing.T) {
	t.Parallel()
	const n = 20_000 // 20 requests, of which 16 are in flight
	at := 10 * time.Second
	tests := []struct {
		name    string
		prepare func(*stage) // nil for none
		limiter transport.Limiter
		changes func(context.Context) iter.Seq2[cohort.Change, error]
		want    func(cohort.Report) bool
	}{
		{
			name:    "while reading",
			changes: func(ctx context.Context) iter.Seq2[cohort.Change, error] { return slow(ctx, n, time.Second/100) },
			// At the thousandth row a request goes; there is a row every 10 ms.
			want: func(r cohort.Report) bool {
				return r.Adds.Accepted == 0 && r.Adds.Unsent >= 990 && r.Rows.Unprocessed <= 1
			},
		}, {
			name:    "while waiting for the limiter",
			limiter: stuck{},
			want: func(r cohort.Report) bool {
				return r.Requests == 0 && r.Adds.Unsent == 17*1000 && r.Adds.Total() == 17*1000
			},
		}, {
			name: "while in flight",
			prepare: func(s *stage) {
				s.server.Inject(brazetest.Users(), brazetest.Delay(time.Minute)).Always()
			},
			want: func(r cohort.Report) bool {
				return r.Requests == 16 && r.Adds.Unknown == 16_000 && r.Adds.Unsent == 1000
			},
		}, {
			name: "while waiting to repeat after a refusal",
			prepare: func(s *stage) {
				s.server.Inject(brazetest.Users(), brazetest.Locked().Header("Retry-After", "60")).Always()
			},
			want: func(r cohort.Report) bool {
				return r.Requests >= 16 && r.Adds.Refused == 16_000 && r.Adds.Unsent == 1000
			},
		}, {
			name: "while waiting to repeat after a lost answer",
			prepare: func(s *stage) {
				s.server.Inject(brazetest.Users(), brazetest.Status(http.StatusServiceUnavailable).Header("Retry-After", "60")).Always()
			},
			want: func(r cohort.Report) bool {
				return r.Requests >= 16 && r.Adds.Unknown == 16_000 && r.Adds.Unsent == 1000
			},
		}, {
			name: "while the rate limit pauses everybody",
			prepare: func(s *stage) {
				s.server.Inject(brazetest.Users(), brazetest.RateLimited("60")).Always()
			},
			want: func(r cohort.Report) bool {
				return r.Adds.Refused >= 1000 && r.Adds.Refused+r.Adds.Unsent == 17_000
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				if tt.prepare != nil {
					tt.prepare(s)
				}
				var opts []cohort.Option
				if tt.limiter != nil {
					opts = append(opts, cohort.WithLimiter(tt.limiter))
				}
				im := s.importer(t, opts...)
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(at-time.Millisecond, func() { cancel(errMaintenance) })
				start := time.Now()
				changes := adds(n)
				if tt.changes != nil {
					changes = tt.changes(ctx)
				}
				report, err := apply(ctx, t, im, changes)
				if !errors.Is(err, context.Canceled) || !errors.Is(err, errMaintenance) {
					t.Errorf("error %v, want context.Canceled and its cause", err)
				}
				if took := time.Since(start); took > at {
					t.Errorf("ended %s after the start, was cancelled before %s", took, at)
				}
				if !tt.want(report) {
					t.Errorf("not as it should be: %v", report)
				}
				if got := s.posts(); got != report.Requests {
					t.Errorf("%d requests reported, the endpoint saw %d", report.Requests, got)
				}
			})
		})
	}
}

// slow yields a change every so often, and ends with the context.
func slow(ctx context.Context, n int, every time.Duration) iter.Seq2[cohort.Change, error] {
	return func(yield func(cohort.Change, error) bool) {
		for c, err := range adds(n) {
			if wait(ctx, every) != nil {
				yield(cohort.Change{}, ctx.Err())
				return
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

// stuck is a limiter that lets nobody pass.
type stuck struct{}

func (stuck) Wait(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// causesError is an error that cannot be compared, as lists of errors are.
type causesError []string

func (causesError) Error() string { return "two reasons" }

func TestApplyCancelledBefore(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{nil, errMaintenance, causesError{"a", "b"}} {
		t.Run(fmt.Sprint(cause), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				ctx, cancel := context.WithCancelCause(t.Context())
				cancel(cause)
				report, err := apply(ctx, t, s.importer(t), adds(3000))
				if !errors.Is(err, context.Canceled) || cause != nil && !strings.Contains(err.Error(), cause.Error()) {
					t.Errorf("error %v, want context.Canceled and its cause", err)
				}
				if want := (cohort.Rows{Read: 1, Unprocessed: 1}); report.Rows != want || s.posts() != 0 {
					t.Errorf("want no more than a row read and nothing sent: %v", report)
				}
			})
		})
	}
}

// TestApplyDeadline shows that a wait longer than the deadline is not begun.
func TestApplyDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.server.Inject(brazetest.Users(), brazetest.Locked().Header("Retry-After", "60"))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start := time.Now()
		report, err := apply(ctx, t, s.importer(t), adds(10))
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, transport.ErrLocked) || report.Adds.Refused != 10 {
			t.Errorf("want 10 refused additions, ErrLocked and DeadlineExceeded: %v, %v", report, err)
		}
		if took := time.Since(start); took >= 30*time.Second {
			t.Errorf("it took %s to find out", took)
		}
	})
}

// TestApplyFirstFailureEnds shows what a failure in the middle of a run leaves behind.
func TestApplyFirstFailureEnds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault brazetest.Fault
		kind  error
		want  cohort.Tally
	}{
		{"refused", brazetest.Status(http.StatusBadRequest), transport.ErrBadRequest, cohort.Tally{Refused: 1000}},
		{"unauthorized", brazetest.Unauthorized(brazetest.WrongImportKey), transport.ErrUnauthorized, cohort.Tally{Refused: 1000}},
		{"unknown", brazetest.SuccessWithErrors("some were not processed"), transport.ErrOutcomeUnknown, cohort.Tally{Unknown: 1000}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				// The sixth request fails at once, while the others are on their way for a second.
				s.server.Inject(brazetest.Users().Nth(6), tt.fault)
				s.server.Inject(brazetest.Users(), brazetest.Delay(time.Second)).Always()
				read := 0
				changes := func(yield func(cohort.Change, error) bool) {
					for c, err := range adds(1_000_000) {
						read++
						if !yield(c, err) {
							return
						}
					}
				}
				report, err := apply(t.Context(), t, s.importer(t), changes)
				if !errors.Is(err, tt.kind) {
					t.Errorf("error %v, want %v", err, tt.kind)
				}
				if report.Rows.Read != read || read > 40_000 {
					t.Errorf("%d rows reported, %d read, want the same and few", report.Rows.Read, read)
				}
				want := tt.want
				want.Accepted, want.Unsent = report.Adds.Accepted, report.Adds.Unsent
				if report.Adds != want || want.Accepted < 5000 || want.Accepted != 1000*(report.Requests-1) {
					t.Errorf("want one failed request, and whatever was under way accepted: %v", report)
				}
				if got := s.posts(); got != report.Requests {
					t.Errorf("%d requests reported, the endpoint saw %d", report.Requests, got)
				}
			})
		})
	}
}

// TestApplyNothingAfterUnknown shows that after an unknown outcome no later change of the member is sent: it would be undone if the earlier
// request were still on its way.
func TestApplyNothingAfterUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, brazetest.KeepIdentifiers())
		s.people(t, 1)
		s.server.Inject(brazetest.Users(), brazetest.DropConnection().Applied()).Always()
		changes := func(yield func(cohort.Change, error) bool) {
			if !yield(add(1), nil) {
				return
			}
			for i := range 999 {
				if !yield(add(i+2), nil) {
					return
				}
			}
			for i := range 2000 {
				if !yield(remove(i%1000+1), nil) {
					return
				}
			}
		}
		report, err := apply(t.Context(), t, s.importer(t), changes)
		if !errors.Is(err, transport.ErrOutcomeUnknown) {
			t.Errorf("error %v, want ErrOutcomeUnknown", err)
		}
		if report.Adds.Unknown != 1000 || report.Removals.Accepted+report.Removals.Unknown+report.Removals.Refused != 0 {
			t.Errorf("want unknown additions and no removal that left: %v", report)
		}
		for _, r := range s.server.Requests() {
			if r.Changes[0].Remove {
				t.Errorf("request %d removes", r.Number)
			}
		}
	})
}

func TestApplyEmpty(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		im := s.importer(t)
		report, err := apply(t.Context(), t, im, list())
		if diff := cmp.Diff(cohort.Report{CohortID: campaign}, report); diff != "" || err != nil {
			t.Errorf("report of an empty sequence (-want +got):\n%s\nand error %v", diff, err)
		}
		_, err = apply(t.Context(), t, im, nil)
		if invalid, ok := errors.AsType[*cohort.InvalidError](err); !ok || invalid.Field != "changes" {
			t.Errorf("error %v, want an InvalidError of the changes", err)
		}
		if s.posts() != 0 {
			t.Errorf("%d requests were made, want none", s.posts())
		}
	})
}

// TestApplySourcePanics shows that a panic of the source reaches the caller, and that what was under way comes to an end: the bubble waits for it.
func TestApplySourcePanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.server.Inject(brazetest.Users(), brazetest.Locked()).Always() // without the panic it would be repeated for long
		im := s.importer(t)
		func() {
			defer func() {
				if got := recover(); got != "of the source" {
					t.Errorf("recovered %v", got)
				}
			}()
			_, _ = im.Apply(t.Context(), campaign, func(yield func(cohort.Change, error) bool) {
				for c, err := range adds(5500) {
					if !yield(c, err) {
						return
					}
				}
				if err := wait(t.Context(), 100*time.Millisecond); err != nil {
					t.Error(err)
				}
				panic("of the source")
			})
		}()
		synctest.Wait()
		before := s.posts()
		if err := wait(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		if after := s.posts(); after != before {
			t.Errorf("%d requests began after the panic", after-before)
		}
	})
}

// TestApplyKeySourceFails takes the key away in the middle of a run.
func TestApplyKeySourceFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		credentials := s.credentials()
		asked := 0
		credentials.ImportKey = keys.Func(func(context.Context) (keys.ImportKey, error) {
			if asked++; asked > 3 {
				return keys.ImportKey{}, fs.ErrNotExist
			}
			return s.importKey, nil
		})
		im := newImporter(t, s.client(t), credentials, cohort.WithInFlight(1))
		report, err := apply(t.Context(), t, im, adds(10_000))
		if _, ok := errors.AsType[*keys.SourceError](err); !ok || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v, want a SourceError around that of the source", err)
		}
		if report.Adds.Accepted != 3000 || report.Adds.Accepted+report.Adds.Unsent != report.Adds.Total() || report.Requests != 3 {
			t.Errorf("want 3 requests accepted and the rest unsent: %v", report)
		}
	})
}

// TestApplyOverlong shows that an external ID longer than any at Braze is sent and warned about.
func TestApplyOverlong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, brazetest.KeepIdentifiers())
		longest, longer := strings.Repeat("x", identity.MaxExternalIDBytes), strings.Repeat("y", identity.MaxExternalIDBytes+1)
		report, err := apply(t.Context(), t, s.importer(t), list(cohort.Add(identity.ExternalID(longest)), cohort.Add(identity.ExternalID(longer))))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]cohort.Warning{{Kind: cohort.WarnOverlong, Count: 1}}, report.Warnings); diff != "" {
			t.Errorf("warnings (-want +got):\n%s", diff)
		}
		var sent []string
		for _, id := range s.server.Changes(1)[0].Identifiers {
			sent = append(sent, id.Value)
		}
		if !slices.Equal(sent, []string{longest, longer}) {
			t.Errorf("not both identifiers were sent")
		}
		if want := "987 bytes"; !strings.Contains(report.String(), want) {
			t.Errorf("the report does not say %q: %v", want, report)
		}
	})
}

// TestApplySourceEndsInSilence has a source that heeds the context by ending, as if that were all it had. It must not pass for a complete run.
func TestApplySourceEndsInSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		ctx, cancel := context.WithCancel(t.Context())
		source := func(yield func(cohort.Change, error) bool) {
			for c, err := range adds(cohort.MaxIdentifiers) {
				if !yield(c, err) {
					return
				}
			}
			synctest.Wait()
			cancel()
		}
		report, err := apply(ctx, t, s.importer(t), source)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v with %v, want context.Canceled", err, report)
		}
	})
}

// TestApplyCallbackEndsItsGoroutine has a callback that does what FailNow does. The run ends; nobody waits for ever.
func TestApplyCallbackEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		report, err := s.importer(t, cohort.WithInFlight(2)).Apply(t.Context(), campaign, adds(10*cohort.MaxIdentifiers),
			cohort.OnProgress(func(cohort.Progress) { runtime.Goexit() }))
		if err == nil || report.Adds.Accepted == 0 || report.Adds.Unsent == 0 {
			t.Errorf("want some accepted, some unsent, and an error: %v, %v", report, err)
		}
	})
}
