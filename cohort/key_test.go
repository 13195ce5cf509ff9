package cohort_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// ring is a source with an old and a new key, which turns to the new one when the old one is refused for a reason that can be its fault.
type ring struct {
	mu       sync.Mutex
	now      keys.ImportKey
	next     keys.ImportKey
	accepted map[string]int
	refused  map[string]int
}

func (r *ring) ImportKey(context.Context) (keys.ImportKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now, nil
}

func (r *ring) Accepted(key keys.ImportKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.accepted == nil {
		r.accepted = make(map[string]int)
	}
	r.accepted[key.Fingerprint()]++
}

func (r *ring) Refused(key keys.ImportKey, cause keys.Cause) (other keys.ImportKey, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused == nil {
		r.refused = make(map[string]int)
	}
	r.refused[key.Fingerprint()]++
	if cause.SuspectsImportKey() && !r.next.IsZero() {
		r.now = r.next
	}
	return r.now, r.now != key
}

// fingerprints returns the fingerprint of the key of each request.
func (s *stage) fingerprints() []string {
	var prints []string
	for _, r := range s.server.Requests() {
		prints = append(prints, r.KeyFingerprint)
	}
	return prints
}

// TestApplyRotation invalidates the key in the middle of a run. Requests under way with the old one are repeated with the new one, and nothing is lost.
func TestApplyRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.server.Inject(brazetest.Users(), brazetest.Delay(time.Second)).Always()
		newKey := s.workspace.GenerateKey(s.partner)
		source := &ring{now: s.importKey, next: newKey}
		credentials := s.credentials()
		credentials.ImportKey = source
		im := newImporter(t, s.client(t), credentials)
		time.AfterFunc(2500*time.Millisecond, func() { s.workspace.InvalidateKey(s.partner, s.importKey) })
		report, err := apply(t.Context(), t, im, adds(100_000))
		if err != nil || report.Adds.Accepted != 100_000 {
			t.Fatalf("want everything accepted: %v, %v", report, err)
		}
		refused := source.refused[s.importKey.Fingerprint()]
		if refused < 1 || refused > 16 {
			t.Errorf("the old key was refused %d times, want for no more than what was in flight", refused)
		}
		if got := source.accepted[s.importKey.Fingerprint()] + source.accepted[newKey.Fingerprint()]; got != 100 {
			t.Errorf("%d requests were told as accepted, want 100", got)
		}
		if report.Requests != 100+refused || s.posts() != report.Requests {
			t.Errorf("%d requests reported, the endpoint saw %d, want one more for each refusal", report.Requests, s.posts())
		}
	})
}

// TestOtherKeyOnce shows when another key is tried, and that it is tried once.
func TestOtherKeyOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		cause brazetest.Refusal
		times int // that the endpoint refuses
		posts int
		want  cohort.Tally
	}{
		{"import key, then good", brazetest.WrongImportKey, 1, 2, cohort.Tally{Accepted: 5}},
		{"import key, twice", brazetest.WrongImportKey, 2, 2, cohort.Tally{Refused: 5}},
		{"unclear, then good", brazetest.GenericRefusal, 1, 2, cohort.Tally{Accepted: 5}},
		{"unclear, twice", brazetest.GenericRefusal, 2, 2, cohort.Tally{Refused: 5}},
		{"partner key", brazetest.WrongPartnerKey, 1, 1, cohort.Tally{Refused: 5}},
		{"not enabled", brazetest.NotEnabled, 1, 1, cohort.Tally{Refused: 5}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				newKey := s.workspace.GenerateKey(s.partner)
				s.server.Inject(brazetest.Users(), brazetest.Unauthorized(tt.cause)).Times(tt.times)
				source := &ring{now: s.importKey, next: newKey}
				credentials := s.credentials()
				credentials.ImportKey = source
				report, err := apply(t.Context(), t, newImporter(t, s.client(t), credentials), adds(5))
				if report.Adds != tt.want || report.Requests != tt.posts {
					t.Errorf("want %v in %d requests: %v", tt.want, tt.posts, report)
				}
				if failed := tt.want.Refused > 0; errors.Is(err, transport.ErrUnauthorized) != failed {
					t.Errorf("error %v", err)
				}
				want := []string{s.importKey.Fingerprint(), newKey.Fingerprint()}[:tt.posts]
				if diff := cmp.Diff(want, s.fingerprints()); diff != "" {
					t.Errorf("keys (-want +got):\n%s", diff)
				}
				refused := map[string]int{s.importKey.Fingerprint(): 1}
				if tt.times == 2 {
					refused[newKey.Fingerprint()] = 1
				}
				if diff := cmp.Diff(refused, source.refused); diff != "" {
					t.Errorf("refused (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestOtherKeyKeepsDoubt shows that a refusal of the second key does not make a lost answer to the first one known.
func TestOtherKeyKeepsDoubt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.server.Inject(brazetest.Users(), brazetest.AppliedThenLost())
		s.server.Inject(brazetest.Users(), brazetest.Unauthorized(brazetest.GenericRefusal)).Times(2)
		credentials := s.credentials()
		credentials.ImportKey = &ring{now: s.importKey, next: s.workspace.GenerateKey(s.partner)}
		report, err := apply(t.Context(), t, newImporter(t, s.client(t), credentials), adds(5))
		if report.Adds != (cohort.Tally{Unknown: 5}) || report.Requests != 3 {
			t.Errorf("want unknown additions after 3 requests: %v", report)
		}
		if !errors.Is(err, transport.ErrOutcomeUnknown) || !errors.Is(err, transport.ErrUnauthorized) {
			t.Errorf("error %v, want ErrOutcomeUnknown and ErrUnauthorized", err)
		}
	})
}

// TestOtherKeyUnsent cancels the run between the two keys: the first one's refusal is what became of the changes.
func TestOtherKeyUnsent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.server.Inject(brazetest.Users(), brazetest.Unauthorized(brazetest.WrongImportKey))
		ctx, cancel := context.WithCancel(t.Context())
		credentials := s.credentials()
		credentials.ImportKey = &cancelling{ring{now: s.importKey, next: s.workspace.GenerateKey(s.partner)}, cancel}
		report, err := apply(ctx, t, newImporter(t, s.client(t), credentials), adds(5))
		if report.Adds != (cohort.Tally{Refused: 5}) || report.Requests != 1 {
			t.Errorf("want refused additions after 1 request: %v", report)
		}
		if !errors.Is(err, context.Canceled) || !errors.Is(err, transport.ErrUnauthorized) {
			t.Errorf("error %v, want context.Canceled and ErrUnauthorized", err)
		}
	})
}

type cancelling struct {
	ring
	cancel func()
}

func (c *cancelling) Refused(key keys.ImportKey, cause keys.Cause) (keys.ImportKey, bool) {
	c.cancel()
	return c.ring.Refused(key, cause)
}

// TestSilentSourceAskedAgain has a source that is no Listener and was rotated behind its back: a suspect refusal asks it once more.
func TestSilentSourceAskedAgain(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		cause brazetest.Refusal
		posts int
		want  cohort.Tally
	}{
		{"import key", brazetest.WrongImportKey, 2, cohort.Tally{Accepted: 5}},
		{"partner key", brazetest.WrongPartnerKey, 1, cohort.Tally{Refused: 5}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				ring := []keys.ImportKey{s.importKey, s.workspace.GenerateKey(s.partner)}
				s.server.Inject(brazetest.Users(), brazetest.Unauthorized(tt.cause))
				credentials := s.credentials()
				asked := 0
				credentials.ImportKey = keys.Func(func(context.Context) (keys.ImportKey, error) {
					asked++
					return ring[min(asked, 2)-1], nil
				})
				report, err := apply(t.Context(), t, newImporter(t, s.client(t), credentials), adds(5))
				if report.Adds != tt.want || report.Requests != tt.posts || (err == nil) != (tt.want.Refused == 0) {
					t.Errorf("want %v in %d requests: %v, %v", tt.want, tt.posts, report, err)
				}
			})
		})
	}
}

// TestBothKeysRefused shows that the error names the suspects that are left.
func TestBothKeysRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.server.Inject(brazetest.Users(), brazetest.Unauthorized(brazetest.WrongImportKey)).Times(4)
		credentials := s.credentials()
		credentials.ImportKey = &ring{now: s.importKey, next: s.workspace.GenerateKey(s.partner)}
		im := newImporter(t, s.client(t), credentials)
		_, err := apply(t.Context(), t, im, adds(1))
		if !errors.Is(err, transport.ErrUnauthorized) || !strings.Contains(err.Error(), "suspect the partner key or the instance") {
			t.Errorf("error %v, want the partner key and the instance suspected", err)
		}
		credentials.ImportKey = &ring{now: s.importKey, next: s.workspace.GenerateKey(s.partner)}
		err = newImporter(t, s.client(t), credentials).Check(t.Context())
		want := []string{"likely the instance", "likely the partner API key", "possibly the data import key"}
		if diff := cmp.Diff(want, suspects(err)); diff != "" || !errors.Is(err, transport.ErrUnauthorized) {
			t.Errorf("error %v, suspects (-want +got):\n%s", err, diff)
		}
	})
}

// TestKeyFileSwapped replaces a mounted secret in the middle of a run, after the old key was invalidated.
func TestKeyFileSwapped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		dir := t.TempDir()
		path := filepath.Join(dir, "import-key")
		put := func(key keys.ImportKey) {
			if err := os.WriteFile(path+".new", []byte(key.Reveal()+"\n"), 0o600); err != nil {
				t.Error(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Error(err)
			}
		}
		put(s.importKey)
		newKey := s.workspace.GenerateKey(s.partner)
		// The sixth request finds the file replaced and its own key invalid in the same moment.
		s.server.Inject(brazetest.Users().Nth(6), brazetest.Custom("rotate", func(http.ResponseWriter, *http.Request) bool {
			put(newKey)
			s.workspace.InvalidateKey(s.partner, s.importKey)
			return false
		}))
		credentials := s.credentials()
		credentials.ImportKey = keys.File(path)
		report, err := apply(t.Context(), t, newImporter(t, s.client(t), credentials, cohort.WithInFlight(1)), adds(20_000))
		if err != nil || report.Adds.Accepted != 20_000 || report.Requests != 21 {
			t.Errorf("want everything accepted in 21 requests: %v, %v", report, err)
		}
	})
}

// TestNoKey shows that without a key nothing is sent.
func TestNoKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		for name, source := range map[string]keys.Source{
			"variable": keys.Env("COHORTKIT_TEST_ABSENT"),
			"file":     keys.File(filepath.Join(t.TempDir(), "absent")),
			"function": keys.Func(func(context.Context) (keys.ImportKey, error) { return keys.ImportKey{}, nil }),
			"careless": careless{},
		} {
			credentials := s.credentials()
			credentials.ImportKey = source
			im := newImporter(t, s.client(t), credentials)
			report, err := apply(t.Context(), t, im, adds(2500))
			if err == nil || report.Requests != 0 || report.Adds.Unsent != report.Adds.Total() {
				t.Errorf("%s: want an error and nothing sent: %v, %v", name, report, err)
			}
			if err := im.Check(t.Context()); err == nil {
				t.Errorf("%s: Check found nothing wrong", name)
			}
		}
		if s.posts() != 0 {
			t.Errorf("%d requests were made", s.posts())
		}
	})
}

// TestKeySourceWaits shows that a run that has ended does not wait for a key.
func TestKeySourceWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.server.Inject(brazetest.Users(), brazetest.Status(http.StatusBadRequest))
		credentials := s.credentials()
		var asked atomic.Int64
		credentials.ImportKey = keys.Func(func(ctx context.Context) (keys.ImportKey, error) {
			if asked.Add(1) == 1 {
				return s.importKey, nil
			}
			return keys.ImportKey{}, wait(ctx, 24*time.Hour)
		})
		start := time.Now()
		report, err := apply(t.Context(), t, newImporter(t, s.client(t), credentials), adds(4000))
		if !errors.Is(err, transport.ErrBadRequest) || report.Adds.Refused != 1000 || report.Requests != 1 {
			t.Errorf("want one request refused and the rest unsent: %v, %v", report, err)
		}
		if took := time.Since(start); took > time.Hour {
			t.Errorf("the run waited %s for keys that it had no use for", took)
		}
	})
}

// careless is a source that does not look at what it gives.
type careless struct{}

func (careless) ImportKey(context.Context) (keys.ImportKey, error) { return keys.ImportKey{}, nil }
