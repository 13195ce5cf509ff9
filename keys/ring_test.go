package keys_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/keys"
)

var (
	keyA = keys.NewImportKey(secretText + "-A")
	keyB = keys.NewImportKey(secretText + "-B")
	keyC = keys.NewImportKey(secretText + "-C")
	keyD = keys.NewImportKey(secretText + "-D")
	keyE = keys.NewImportKey(secretText + "-E")
)

// letters name keys by the end of their text, so that no test shows a secret.
func letter(key keys.ImportKey) string { return key.Reveal()[len(secretText)+1:] }

func letterOf(fingerprint string) string {
	for _, key := range []keys.ImportKey{keyA, keyB, keyC, keyD, keyE} {
		if key.Fingerprint() == fingerprint {
			return letter(key)
		}
	}
	return "?"
}

// states describes a ring: "A active, B staged".
func states(r *keys.Ring) string {
	var list []string
	for _, k := range r.Snapshot().Keys {
		list = append(list, letterOf(k.Fingerprint)+" "+k.State.String())
	}
	return strings.Join(list, ", ")
}

func newRing(t *testing.T, active keys.ImportKey, opts ...keys.RingOption) *keys.Ring {
	t.Helper()
	r, err := keys.NewRing(active, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func stage(t *testing.T, r *keys.Ring, key keys.ImportKey) {
	t.Helper()
	if err := r.Stage(key); err != nil {
		t.Fatal(err)
	}
}

func promote(t *testing.T, r *keys.Ring) {
	t.Helper()
	if err := r.Promote(t.Context(), func(context.Context, keys.ImportKey) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

// active returns the letter of the key that requests carry.
func active(t *testing.T, r *keys.Ring) string {
	t.Helper()
	key, err := r.ImportKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return letter(key)
}

// request does what an importer does with a Listener: it sends with the active key, and once more with the other one that the ring offers. It
// returns the letters of the keys sent, the last of which was accepted unless it is followed by an exclamation mark.
func request(t *testing.T, r *keys.Ring, refusals map[keys.ImportKey]keys.Cause) string {
	t.Helper()
	key, err := r.ImportKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sent := letter(key)
	cause, refused := refusals[key]
	if !refused {
		r.Accepted(key)
		return sent
	}
	other, ok := r.Refused(key, cause)
	if !ok {
		return sent + "!"
	}
	sent += letter(other)
	if cause, refused = refusals[other]; refused {
		r.Refused(other, cause)
		return sent + "!"
	}
	r.Accepted(other)
	return sent
}

// TestRing goes through the life of keys, with the states after each step.
func TestRing(t *testing.T) {
	t.Parallel()
	type step struct {
		do   func(*testing.T, *keys.Ring) string
		want string // what do returns
		then string // the states
	}
	staged := func(key keys.ImportKey) func(*testing.T, *keys.Ring) string {
		return func(t *testing.T, r *keys.Ring) string { t.Helper(); stage(t, r, key); return "" }
	}
	promoted := func(t *testing.T, r *keys.Ring) string { t.Helper(); promote(t, r); return "" }
	sends := func(refusals map[keys.ImportKey]keys.Cause) func(*testing.T, *keys.Ring) string {
		return func(t *testing.T, r *keys.Ring) string { t.Helper(); return request(t, r, refusals) }
	}
	refuse := func(cause keys.Cause, list ...keys.ImportKey) map[keys.ImportKey]keys.Cause {
		all := make(map[keys.ImportKey]keys.Cause)
		for _, key := range list {
			all[key] = cause
		}
		return all
	}
	named, unclear := keys.CauseImportKey, keys.CauseUnclear
	tests := []struct {
		name  string
		steps []step
	}{
		{"in good order", []step{
			{staged(keyB), "", "A active, B staged"},
			{sends(nil), "A", "A active, B staged"},
			{promoted, "", "B active, A retiring"},
			{sends(nil), "B", "B active, A retiring"},
			{func(_ *testing.T, r *keys.Ring) string { // a late request with the old key
				other, _ := r.Refused(keyA, named)
				r.Accepted(other)
				return letter(other)
			}, "B", "B active, A invalidated"},
		}},
		{"invalidated before the next is promoted", []step{
			{staged(keyB), "", "A active, B staged"},
			{sends(refuse(named, keyA)), "AB", "B active, A retiring"},
			{sends(refuse(named, keyA)), "B", "B active, A invalidated"},
		}},
		{"promoted, but wrong", []step{
			{staged(keyB), "", "A active, B staged"},
			{promoted, "", "B active, A retiring"},
			{sends(refuse(named, keyB)), "BA", "A active, B retiring"},
			{sends(refuse(named, keyB)), "A", "A active, B invalidated"},
		}},
		{"staged, but wrong", []step{
			{staged(keyB), "", "A active, B staged"},
			{sends(refuse(named, keyA, keyB)), "AB!", "A active, B staged"},
			{sends(refuse(named, keyB)), "A", "A active, B staged"},
		}},
		{"one clear refusal, forgotten when the key works again", []step{
			{sends(refuse(named, keyA)), "A!", "A active"},
			{sends(nil), "A", "A active"},
			{staged(keyB), "", "A active, B staged"},
			{func(_ *testing.T, r *keys.Ring) string { r.Accepted(keyB); return "" }, "", "A active, B staged"},
		}},
		{"an unclear refusal moves nothing", []step{
			{staged(keyB), "", "A active, B staged"},
			{sends(refuse(unclear, keyA)), "AB", "A active, B staged"},
			{sends(refuse(unclear, keyA)), "AB", "A active, B staged"},
			{promoted, "", "B active, A retiring"},
			{sends(refuse(unclear, keyB)), "BA", "B active, A retiring"},
			{sends(refuse(unclear, keyA, keyB)), "BA!", "B active, A retiring"},
		}},
		{"the partner key", []step{
			{staged(keyB), "", "A active, B staged"},
			{sends(refuse(keys.CausePartnerKey, keyA)), "A!", "A active, B staged"},
			{sends(refuse(keys.CauseNotEnabled, keyA)), "A!", "A active, B staged"},
			{sends(nil), "A", "A active, B staged"},
		}},
		{"the staged key goes before the retiring one", []step{
			{staged(keyB), "", "A active, B staged"},
			{promoted, "", "B active, A retiring"},
			{staged(keyC), "", "B active, C staged, A retiring"},
			{sends(refuse(unclear, keyB)), "BC", "B active, C staged, A retiring"},
			{sends(refuse(named, keyB, keyC)), "BC!", "B active, C staged, A retiring"},
			{sends(refuse(named, keyB, keyC)), "BA", "A active, C staged, B retiring"},
		}},
		{"a third key displaces the first", []step{
			{staged(keyB), "", "A active, B staged"},
			{promoted, "", "B active, A retiring"},
			{staged(keyC), "", "B active, C staged, A retiring"},
			{promoted, "", "C active, B retiring"},
			{func(_ *testing.T, r *keys.Ring) string { r.Accepted(keyA); return "" }, "", "C active, B retiring"},
			{func(_ *testing.T, r *keys.Ring) string { other, _ := r.Refused(keyA, named); return letter(other) }, "C", "C active, B retiring"},
		}},
		{"another key to stage", []step{
			{staged(keyB), "", "A active, B staged"},
			{staged(keyB), "", "A active, B staged"},
			{staged(keyA), "", "A active, B staged"},
			{staged(keyC), "", "A active, C staged"},
		}},
		{"back to the old key", []step{
			{staged(keyB), "", "A active, B staged"},
			{promoted, "", "B active, A retiring"},
			{staged(keyA), "", "B active, A staged"},
			{promoted, "", "A active, B retiring"},
		}},
		{"invalidated by word", []step{
			{staged(keyB), "", "A active, B staged"},
			{promoted, "", "B active, A retiring"},
			{staged(keyC), "", "B active, C staged, A retiring"},
			{func(_ *testing.T, r *keys.Ring) string { return fmt.Sprint(r.Invalidated(keyA.Fingerprint())) }, "<nil>", "B active, C staged, A invalidated"},
			{func(_ *testing.T, r *keys.Ring) string { return fmt.Sprint(r.Invalidated(keyC.Fingerprint())) }, "<nil>", "B active, A invalidated, C invalidated"},
			{func(_ *testing.T, r *keys.Ring) string { return fmt.Sprint(r.Invalidated(keyC.Fingerprint())) }, "<nil>", "B active, A invalidated, C invalidated"},
			{sends(refuse(named, keyB)), "B!", "B active, A invalidated, C invalidated"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRing(t, keyA)
			for i, s := range tt.steps {
				if got := s.do(t, r); got != s.want {
					t.Fatalf("step %d: %q, want %q", i+1, got, s.want)
				}
				if got := states(r); got != s.then {
					t.Fatalf("step %d: %s, want %s", i+1, got, s.then)
				}
				if got := active(t, r); !strings.HasPrefix(s.then, got+" active") {
					t.Fatalf("step %d: requests carry %s, want what is active in %s", i+1, got, s.then)
				}
			}
		})
	}
}

func TestRingErrors(t *testing.T) {
	t.Parallel()
	invalid := func(err error, field string, reason keys.Reason) bool {
		e, ok := errors.AsType[*keys.InvalidError](err)
		return ok && e.Field == field && e.Reason == reason
	}
	failed := errors.New("the endpoint is down")
	fails := func(context.Context, keys.ImportKey) error { return failed }
	r := newRing(t, keyA)
	for name, ok := range map[string]bool{
		"no key": func() bool {
			_, err := keys.NewRing(keys.ImportKey{})
			return invalid(err, "data import key", keys.ReasonEmpty)
		}(),
		"no option":                  func() bool { _, err := keys.NewRing(keyA, nil); return err != nil }(),
		"no observer":                func() bool { _, err := keys.NewRing(keyA, keys.OnTransition(nil)); return err != nil }(),
		"a key that cannot be one":   invalid(r.Stage(keys.NewImportKey("cut\n")), "data import key", keys.ReasonControl),
		"nothing to promote":         errors.Is(r.Promote(t.Context(), fails), keys.ErrNoStagedKey),
		"no function to verify":      r.Promote(t.Context(), nil) != nil,
		"the active one invalidated": errors.Is(r.Invalidated(keyA.Fingerprint()), keys.ErrActiveKey),
		"an unknown one invalidated": errors.Is(r.Invalidated(keyB.Fingerprint()), keys.ErrUnknownKey),
	} {
		if !ok {
			t.Errorf("%s: another error, or none", name)
		}
	}
	stage(t, r, keyB)
	err := r.Promote(t.Context(), fails)
	want := "keys: promote: the staged key " + keyB.Fingerprint() + " could not be verified, so " + keyA.Fingerprint() + " is not replaced by it: the endpoint is down"
	if !errors.Is(err, failed) || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if got := states(r); got != "A active, B staged" {
		t.Errorf("after a failed verification: %s", got)
	}
	if err := r.Invalidated(keyB.Fingerprint()); err != nil {
		t.Error(err)
	}
	if err := r.Stage(keyB); !errors.Is(err, keys.ErrInvalidatedKey) {
		t.Errorf("error %v, want ErrInvalidatedKey", err)
	}
}

// TestPromoteRaces changes the ring while a key is being verified.
func TestPromoteRaces(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		during func(*testing.T, *keys.Ring)
		want   string
		fails  bool
	}{
		{"a request promotes it", func(_ *testing.T, r *keys.Ring) {
			other, _ := r.Refused(keyA, keys.CauseImportKey)
			r.Accepted(other)
		}, "B active, A retiring", false},
		{"another one does", func(t *testing.T, r *keys.Ring) { t.Helper(); promote(t, r) }, "B active, A retiring", false},
		{"it is replaced", func(t *testing.T, r *keys.Ring) { t.Helper(); stage(t, r, keyC) }, "A active, C staged", true},
		{"it is invalidated", func(t *testing.T, r *keys.Ring) {
			t.Helper()
			if err := r.Invalidated(keyB.Fingerprint()); err != nil {
				t.Error(err)
			}
		}, "A active, B invalidated", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRing(t, keyA)
			stage(t, r, keyB)
			err := r.Promote(t.Context(), func(_ context.Context, key keys.ImportKey) error {
				if key != keyB {
					t.Error("another key is verified")
				}
				tt.during(t, r)
				return nil
			})
			if (err != nil) != tt.fails || states(r) != tt.want {
				t.Errorf("%s, error %v; want %s, an error: %t", states(r), err, tt.want, tt.fails)
			}
		})
	}
}

// TestOnTransition shows that transitions are told in order, one at a time, also when they come about while one is being told.
func TestOnTransition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []string
		var r *keys.Ring
		inside := false
		observe := func(tr keys.Transition) {
			if inside {
				t.Error("told of a transition while telling of another")
			}
			inside = true
			defer func() { inside = false }()
			told = append(told, letterOf(tr.Fingerprint)+": "+strings.TrimPrefix(tr.String(), "data import key "+tr.Fingerprint+": ")+" at "+tr.At.Format(time.TimeOnly))
			if tr.To == keys.KeyStaged && letterOf(tr.Fingerprint) == "B" {
				stage(t, r, keyC)
			}
		}
		second := 0
		r = newRing(t, keyA, keys.OnTransition(observe), keys.OnTransition(func(keys.Transition) { second++ }))
		time.Sleep(time.Second)
		stage(t, r, keyB)
		time.Sleep(time.Second)
		promote(t, r)
		time.Sleep(time.Second)
		r.Accepted(keyC)
		want := []string{
			"A: absent -> active at 00:00:00",
			"B: absent -> staged at 00:00:01", "B: staged -> absent at 00:00:01", "C: absent -> staged at 00:00:01",
			"C: staged -> active at 00:00:02", "A: active -> retiring at 00:00:02",
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("transitions (-want +got):\n%s", diff)
		}
		if second != len(want) {
			t.Errorf("the second observer heard of %d transitions, want %d", second, len(want))
		}
		since := time.Date(2000, 1, 1, 0, 0, 2, 0, time.UTC)
		snapshot := keys.RingSnapshot{Keys: []keys.RingKey{
			{Fingerprint: keyC.Fingerprint(), State: keys.KeyActive, Since: since, AcceptedAt: since.Add(time.Second)},
			{Fingerprint: keyA.Fingerprint(), State: keys.KeyRetiring, Since: since},
		}}
		if diff := cmp.Diff(snapshot, r.Snapshot()); diff != "" {
			t.Errorf("snapshot (-want +got):\n%s", diff)
		}
	})
}

// TestObserverPanics shows that whoever survives the panic of an observer hears of what follows.
func TestObserverPanics(t *testing.T) {
	t.Parallel()
	var told []string
	r := newRing(t, keyA, keys.OnTransition(func(tr keys.Transition) {
		told = append(told, letterOf(tr.Fingerprint)+" "+tr.To.String())
		if tr.To == keys.KeyActive && len(told) > 1 {
			panic("of the observer")
		}
	}))
	stage(t, r, keyB)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not come through")
			}
		}()
		promote(t, r)
	}()
	stage(t, r, keyC)
	if got, want := strings.Join(told, ", "), "A active, B staged, B active, A retiring, C staged"; got != want {
		t.Errorf("told of %s, want %s", got, want)
	}
}

func TestRestoreRing(t *testing.T) {
	t.Parallel()
	full := newRing(t, keyD)
	stage(t, full, keyE)
	promote(t, full)
	if err := full.Invalidated(keyD.Fingerprint()); err != nil {
		t.Fatal(err)
	}
	stage(t, full, keyA)
	promote(t, full)
	stage(t, full, keyB)
	snapshot := full.Snapshot() // A active, B staged, E retiring, D invalidated
	entry := func(key keys.ImportKey, state keys.KeyState) keys.RingKey {
		return keys.RingKey{Fingerprint: key.Fingerprint(), State: state}
	}
	of := func(list ...keys.RingKey) keys.RingSnapshot { return keys.RingSnapshot{Keys: list} }
	malformed := &keys.InvalidError{Field: "ring snapshot", Reason: keys.ReasonSnapshot}
	tests := []struct {
		name      string
		snapshot  keys.RingSnapshot
		available []keys.ImportKey
		want      string // states
		told      string // transitions
		err       string // in the error
	}{
		{"all of them", snapshot, []keys.ImportKey{keyE, keyD, keyB, keyA}, "A active, B staged, E retiring, D invalidated", "", ""},
		{"the spares are gone", snapshot, []keys.ImportKey{keyA}, "A active, D invalidated", "B absent, E absent", ""},
		{"a new one instead of the staged", snapshot, []keys.ImportKey{keyA, keyC}, "A active, C staged, D invalidated", "B absent, E absent, C staged", ""},
		{"two to stage", snapshot, []keys.ImportKey{keyA, keyB, keyC}, "", "", "more than one key"},
		{"two new ones", of(entry(keyA, keys.KeyActive)), []keys.ImportKey{keyA, keyB, keyC}, "", "", "more than one key"},
		{"one given twice", of(entry(keyA, keys.KeyActive)), []keys.ImportKey{keyA, keyB, keyB, keyA}, "A active, B staged", "B staged", ""},
		{"the active one is gone", snapshot, []keys.ImportKey{keyB, keyE}, "", "", "the active key " + keyA.Fingerprint()},
		{"no key", snapshot, []keys.ImportKey{keyA, {}}, "", "", "must not be empty"},
		{"nothing saved", keys.RingSnapshot{}, []keys.ImportKey{keyA}, "", "", malformed.Error()},
		{"two active ones", of(entry(keyA, keys.KeyActive), entry(keyB, keys.KeyActive)), []keys.ImportKey{keyA, keyB}, "", "", malformed.Error()},
		{"two staged ones", of(entry(keyA, keys.KeyActive), entry(keyB, keys.KeyStaged), entry(keyC, keys.KeyStaged)), []keys.ImportKey{keyA}, "", "", malformed.Error()},
		{"one key twice", of(entry(keyA, keys.KeyActive), entry(keyA, keys.KeyStaged)), []keys.ImportKey{keyA}, "", "", malformed.Error()},
		{"a key without a name", of(entry(keyA, keys.KeyActive), keys.RingKey{State: keys.KeyRetiring}), []keys.ImportKey{keyA}, "", "", malformed.Error()},
		{"an absent key", of(entry(keyA, keys.KeyActive), entry(keyB, keys.KeyAbsent)), []keys.ImportKey{keyA}, "", "", malformed.Error()},
		{"a state that is none", of(entry(keyA, keys.KeyActive), entry(keyB, keys.KeyInvalidated+1)), []keys.ImportKey{keyA}, "", "", malformed.Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var told []string
			r, err := keys.RestoreRing(tt.snapshot, tt.available, keys.OnTransition(func(tr keys.Transition) {
				told = append(told, letterOf(tr.Fingerprint)+" "+tr.To.String())
			}))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || len(told) > 0 {
					t.Errorf("error %v after %q, want %s", err, told, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := states(r); got != tt.want || strings.Join(told, ", ") != tt.told {
				t.Errorf("%s, told of %q; want %s and %s", got, told, tt.want, tt.told)
			}
		})
	}
	_, err := keys.RestoreRing(snapshot, nil)
	if !errors.Is(err, keys.ErrMissing) {
		t.Errorf("error %v, want ErrMissing", err)
	}
}

func TestRingSnapshotJSON(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, keyA)
		stage(t, r, keyB)
		r.Accepted(keyA)
		text, err := json.Marshal(r.Snapshot())
		want := `{"keys":[{"fingerprint":"` + keyA.Fingerprint() + `","state":"active","since":"2000-01-01T00:00:00Z","accepted_at":"2000-01-01T00:00:00Z"},` +
			`{"fingerprint":"` + keyB.Fingerprint() + `","state":"staged","since":"2000-01-01T00:00:00Z"}]}`
		if err != nil || string(text) != want {
			t.Errorf("JSON %s, %v, want %s", text, err, want)
		}
	})
	var s keys.RingSnapshot
	if err := json.Unmarshal([]byte(`{"keys":[{"state":"lost"}]}`), &s); err == nil || !strings.Contains(err.Error(), `"retiring"`) {
		t.Errorf("error %v, want one that lists the states", err)
	}
	if text, err := json.Marshal(keys.KeyInvalidated + 1); err == nil {
		t.Errorf("a state that is none became %s", text)
	}
	if got := (keys.KeyInvalidated + 1).String(); got != "invalid state" {
		t.Errorf("a state that is none is called %q", got)
	}
}

func TestRingHidesKeys(t *testing.T) {
	t.Parallel()
	r := newRing(t, keyA)
	stage(t, r, keyB)
	promote(t, r)
	stage(t, r, keyC)
	if err := r.Invalidated(keyA.Fingerprint()); err != nil {
		t.Fatal(err)
	}
	want := "keys.Ring{active: " + keyB.Fingerprint() + ", staged: " + keyC.Fingerprint() + "}"
	for _, verb := range verbs {
		got := fmt.Sprintf("%"+verb, r)
		checkHidden(t, "%"+verb, got)
		if got != want && verb != "T" && verb != "p" && verb != "w" {
			t.Errorf("%%%s = %s, want %s", verb, got, want)
		}
		checkHidden(t, "%"+verb+" of a struct", fmt.Sprintf("%"+verb, struct{ ring *keys.Ring }{r}))
		checkHidden(t, "%"+verb+" of a snapshot", fmt.Sprintf("%"+verb, r.Snapshot()))
	}
	var log strings.Builder
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("a ring", "ring", r, "snapshot", r.Snapshot(), "credentials", keys.Credentials{ImportKey: r})
	checkHidden(t, "slog", log.String())
}

// TestRingConcurrently lets everybody use one ring at once.
func TestRingConcurrently(t *testing.T) {
	t.Parallel()
	var told []keys.Transition // unguarded on purpose: the race detector looks too
	r := newRing(t, keyA, keys.OnTransition(func(tr keys.Transition) { told = append(told, tr) }))
	all := []keys.ImportKey{keyA, keyB, keyC, keyD, keyE}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 0))
			for range 500 {
				key := all[random.IntN(len(all))]
				switch random.IntN(12) {
				case 0, 6, 7:
					_ = r.Stage(key)
				case 1, 8, 9:
					_ = r.Promote(t.Context(), func(context.Context, keys.ImportKey) error { return nil })
				case 2:
					r.Accepted(key)
				case 3:
					r.Refused(key, keys.CauseUnclear)
				case 4:
					r.Refused(key, keys.Cause(random.IntN(4)))
				default:
					_, _ = fmt.Fprint(&strings.Builder{}, r, active(t, r))
				}
			}
		})
	}
	wg.Wait()
	now := map[string]keys.KeyState{}
	for i, tr := range told {
		if now[tr.Fingerprint] != tr.From || tr.From == tr.To {
			t.Fatalf("transition %d is %v, but the key was %v", i, tr, now[tr.Fingerprint])
		}
		now[tr.Fingerprint] = tr.To
	}
	for _, k := range r.Snapshot().Keys {
		if now[k.Fingerprint] != k.State {
			t.Errorf("a key is %v, but its last transition led to %v", k.State, now[k.Fingerprint])
		}
	}
	if len(told) < 20 {
		t.Errorf("only %d transitions", len(told))
	}
}
