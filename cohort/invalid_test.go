package cohort_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// TestInvalid shows that whatever is wrong with what a caller says is found before any request, by an error of a type that names the field and says
// what to do.
func TestInvalid(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 3, 2, 8, 15, 0, 0, time.UTC)
	name := func(c cohort.Cohort) func(*testing.T, *stage) error {
		return func(t *testing.T, s *stage) error { t.Helper(); return s.importer(t).SetName(t.Context(), c) }
	}
	applyTo := func(id string) func(*testing.T, *stage) error {
		return func(t *testing.T, s *stage) error {
			t.Helper()
			report, err := s.importer(t).Apply(t.Context(), id, adds(10))
			if report.Rows.Read != 0 {
				t.Errorf("rows were read: %v", report)
			}
			return err
		}
	}
	with := func(change func(*keys.Credentials), opts ...cohort.Option) func(*testing.T, *stage) error {
		return func(t *testing.T, s *stage) error {
			t.Helper()
			c := s.credentials()
			if change != nil {
				change(&c)
			}
			im, err := cohort.NewImporter(s.client(t), "acme", c, opts...)
			if (im == nil) != (err != nil) {
				t.Errorf("NewImporter returned %v and %v", im, err)
			}
			return err
		}
	}
	workspace := func(name string) func(*testing.T, *stage) error {
		return func(t *testing.T, s *stage) error {
			t.Helper()
			_, err := cohort.NewImporter(s.client(t), name, s.credentials())
			return err
		}
	}
	endpoint := func(address string) func(*testing.T, *stage) error {
		return func(*testing.T, *stage) error { _, err := transport.ParseEndpoint(address); return err }
	}
	tests := []struct {
		name string
		do   func(*testing.T, *stage) error
		want []string // texts in the error: the field, the problem, the next step
		as   func(error) bool
	}{
		{"name: empty id", name(cohort.Cohort{Name: "Spring sale", CreatedAt: at}), []string{"cohort id", "must not be empty", "stable name"}, is[*cohort.InvalidError]},
		{"name: id not UTF-8", name(cohort.Cohort{ID: "a\xff", Name: "Spring sale", CreatedAt: at}), []string{"cohort id", "UTF-8"}, is[*cohort.InvalidError]},
		{"name: id with a line break", name(cohort.Cohort{ID: "camp\n", Name: "Spring sale", CreatedAt: at}), []string{"cohort id", "control character"}, is[*cohort.InvalidError]},
		{"name: reserved id", name(cohort.Cohort{ID: cohort.CheckCohortID, Name: "Spring sale", CreatedAt: at}), []string{"cohort id", "reserved", "another id"}, is[*cohort.InvalidError]},
		{"name: empty name", name(cohort.Cohort{ID: campaign, CreatedAt: at}), []string{"cohort name", "must not be empty", "drop-down"}, is[*cohort.InvalidError]},
		{"name: blank name", name(cohort.Cohort{ID: campaign, Name: " \u00a0", CreatedAt: at}), []string{"cohort name", "blank", "drop-down"}, is[*cohort.InvalidError]},
		{"name: name not UTF-8", name(cohort.Cohort{ID: campaign, Name: "\xc3", CreatedAt: at}), []string{"cohort name", "UTF-8"}, is[*cohort.InvalidError]},
		{"name: name with a tab", name(cohort.Cohort{ID: campaign, Name: "Spring\tsale", CreatedAt: at}), []string{"cohort name", "control character"}, is[*cohort.InvalidError]},
		{"name: zero time", name(cohort.Cohort{ID: campaign, Name: "Spring sale"}), []string{"cohort created-at", "zero time", "give the time"}, is[*cohort.InvalidError]},
		{"name: year 10000", name(cohort.Cohort{ID: campaign, Name: "Spring sale", CreatedAt: at.AddDate(9000, 0, 0)}), []string{"cohort created-at", "year", "unit"}, is[*cohort.InvalidError]},
		{"name: year 10000 in UTC alone", name(cohort.Cohort{ID: campaign, Name: "Spring sale", CreatedAt: time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -5*60*60))}), []string{"cohort created-at", "year"}, is[*cohort.InvalidError]},
		{"name: year 0", name(cohort.Cohort{ID: campaign, Name: "Spring sale", CreatedAt: at.AddDate(-2025, 0, 0)}), []string{"cohort created-at", "year"}, is[*cohort.InvalidError]},

		{"apply: empty id", applyTo(""), []string{"cohort id", "must not be empty"}, is[*cohort.InvalidError]},
		{"apply: id not UTF-8", applyTo("a\xff"), []string{"cohort id", "UTF-8"}, is[*cohort.InvalidError]},
		{"apply: id with a control character", applyTo("a\x00"), []string{"cohort id", "control character"}, is[*cohort.InvalidError]},
		{"apply: reserved id", applyTo(cohort.CheckCohortID), []string{"cohort id", "reserved"}, is[*cohort.InvalidError]},
		{"apply: no changes", func(t *testing.T, s *stage) error {
			t.Helper()
			_, err := s.importer(t).Apply(t.Context(), campaign, nil)
			return err
		}, []string{"changes", "nil", "give a sequence"}, is[*cohort.InvalidError]},

		{"importer: no client", func(_ *testing.T, s *stage) error {
			_, err := cohort.NewImporter(nil, "acme", s.credentials())
			return err
		}, []string{"client", "nil", "transport.New"}, is[*cohort.InvalidError]},
		{"importer: empty workspace", workspace(""), []string{"workspace", "must not be empty", "customer"}, is[*cohort.InvalidError]},
		{"importer: workspace not UTF-8", workspace("a\xff"), []string{"workspace", "UTF-8"}, is[*cohort.InvalidError]},
		{"importer: workspace with a line break", workspace("acme\n"), []string{"workspace", "control character"}, is[*cohort.InvalidError]},
		{"importer: no credentials", with(func(c *keys.Credentials) { *c = keys.Credentials{} }), []string{"partner"}, isMissing},
		{"importer: no partner", with(func(c *keys.Credentials) { c.Partner = "" }), []string{"partner", "must not be empty"}, is[*keys.InvalidError]},
		{"importer: partner with a slash", with(func(c *keys.Credentials) { c.Partner = "a/b" }), []string{"partner", "path"}, is[*keys.InvalidError]},
		{"importer: no partner key", with(func(c *keys.Credentials) { c.PartnerKey = nil }), []string{"partner API key", "must not be empty"}, isMissing},
		{"importer: empty partner key", with(func(c *keys.Credentials) { c.PartnerKey = keys.NewPartnerKey("") }), []string{"partner API key", "must not be empty"}, isMissing},
		{"importer: partner key with a blank", with(func(c *keys.Credentials) { c.PartnerKey = keys.NewPartnerKey("pk ") }), []string{"partner API key", "blank"}, is[*keys.InvalidError]},
		{"importer: no import key", with(func(c *keys.Credentials) { c.ImportKey = nil }), []string{"data import key", "must not be empty"}, isMissing},
		{"importer: empty import key", with(func(c *keys.Credentials) { c.ImportKey = keys.ImportKey{} }), []string{"data import key", "must not be empty"}, isMissing},
		{"importer: import key with a line break", with(func(c *keys.Credentials) { c.ImportKey = keys.NewImportKey("cs\n") }), []string{"data import key", "control character", "line break"}, is[*keys.InvalidError]},
		{"importer: no key for the region", with(func(c *keys.Credentials) {
			c.PartnerKey = keys.PartnerKeys{"US-01": keys.NewPartnerKey("pk-us-0001")}
		}), []string{`"EU-01"`, `"US-01"`, "ask Braze"}, is[*keys.UnknownInstanceError]},

		{"option: nothing in flight", with(nil, cohort.WithInFlight(0)), []string{"WithInFlight", "out of range: 0", "1 to 1024"}, is[*cohort.InvalidError]},
		{"option: less than nothing in flight", with(nil, cohort.WithInFlight(-1)), []string{"WithInFlight", "out of range: -1"}, is[*cohort.InvalidError]},
		{"option: too much in flight", with(nil, cohort.WithInFlight(1025)), []string{"WithInFlight", "out of range: 1025"}, is[*cohort.InvalidError]},
		{"option: no limiter", with(nil, cohort.WithLimiter(nil)), []string{"WithLimiter", "no limiter", "leave the option out"}, is[*cohort.InvalidError]},
		{"option: no observer", with(nil, cohort.WithObserver(nil)), []string{"WithObserver", "nil", "BatchObserver"}, is[*cohort.InvalidError]},
		{"option: an observer of nothing", with(nil, cohort.WithObserver(struct{}{})), []string{"WithObserver", "struct {}", "BatchObserver"}, is[*cohort.InvalidError]},
		{"option: after a good one", with(nil, cohort.WithInFlight(4), cohort.WithObserver(7)), []string{"WithObserver"}, is[*cohort.InvalidError]},

		{"endpoint: unknown instance", endpoint("EU-77"), []string{"EU-77"}, is[*transport.EndpointError]},
		{"endpoint: http to a public host", endpoint("http://rest.fra-01.braze.eu"), []string{"https"}, is[*transport.EndpointError]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				err := tt.do(t, s)
				if err == nil || !tt.as(err) {
					t.Fatalf("error %v of type %T is not of the type promised", err, err)
				}
				for _, want := range tt.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("error %q does not say %q", err, want)
					}
				}
				if s.posts() != 0 {
					t.Errorf("%d requests were made, want none", s.posts())
				}
			})
		})
	}
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func isMissing(err error) bool { return errors.Is(err, keys.ErrMissing) }

// TestInFlightBounds shows that both ends of the range are good.
func TestInFlightBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, n := range []int{1, 1024} {
			s := newStage(t)
			if report, err := apply(t.Context(), t, s.importer(t, cohort.WithInFlight(n)), adds(5000)); err != nil || report.Adds.Accepted != 5000 {
				t.Errorf("%d in flight: %v, %v", n, report, err)
			}
		}
	})
}

// TestOptionOrder shows that the order of options plays no part.
func TestOptionOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.server.Inject(brazetest.Users(), brazetest.Delay(time.Second)).Always()
		counter := &batches{}
		for _, opts := range [][]cohort.Option{
			{cohort.WithInFlight(2), cohort.WithObserver(counter), cohort.WithLimiter(open{})},
			{cohort.WithLimiter(open{}), cohort.WithObserver(counter), cohort.WithInFlight(2)},
		} {
			start := time.Now()
			if _, err := apply(t.Context(), t, s.importer(t, opts...), adds(6000)); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took != 3*time.Second {
				t.Errorf("6 requests, 2 at a time and a second each, took %s", took)
			}
		}
		if n := len(counter.ends); n != 12 {
			t.Errorf("the observer heard of %d requests, want 12", n)
		}
	})
}

// open is a limiter that lets everybody pass.
type open struct{}

func (open) Wait(ctx context.Context) error { return ctx.Err() }
