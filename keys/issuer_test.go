package keys_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/keys"
)

func TestIssuerLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		issuer := keys.NewIssuer()
		if list := issuer.List(); len(list) != 0 {
			t.Fatalf("a new issuer lists %d keys", len(list))
		}
		start := time.Now().UTC()
		generate := func() keys.ImportKey {
			t.Helper()
			key, err := issuer.Generate()
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			return key
		}
		first, second := generate(), generate()
		seeded := keys.NewImportKey(secretText)
		adopted, err := issuer.Adopt(seeded)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := issuer.Invalidate(first.Fingerprint()); err != nil {
			t.Fatal(err)
		}

		want := []keys.IssuedKey{
			{Fingerprint: first.Fingerprint(), CreatedAt: start, InvalidatedAt: start.Add(3 * time.Minute)},
			{Fingerprint: second.Fingerprint(), CreatedAt: start.Add(time.Minute)},
			{Fingerprint: seeded.Fingerprint(), CreatedAt: start.Add(2 * time.Minute)},
		}
		if diff := cmp.Diff(want, issuer.List()); diff != "" {
			t.Errorf("List (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want[2], adopted); diff != "" {
			t.Errorf("Adopt (-want +got):\n%s", diff)
		}

		tests := []struct {
			name string
			text string
			want keys.IssuedKey
			err  error
		}{
			{"invalidated", first.Reveal(), want[0], keys.ErrInvalidatedKey},
			{"valid", second.Reveal(), want[1], nil},
			{"adopted", secretText, want[2], nil},
			{"start of a key", second.Reveal()[:10], keys.IssuedKey{}, keys.ErrUnknownKey},
			{"more than a key", second.Reveal() + "\n", keys.IssuedKey{}, keys.ErrUnknownKey},
			{"capitals", strings.ToUpper(secretText), keys.IssuedKey{}, keys.ErrUnknownKey},
			{"fingerprint", second.Fingerprint(), keys.IssuedKey{}, keys.ErrUnknownKey},
			{"nothing", "", keys.IssuedKey{}, keys.ErrUnknownKey},
		}
		for _, tt := range tests {
			got, err := issuer.Authenticate(tt.text)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, diff)
			}
			if !errors.Is(err, tt.err) {
				t.Errorf("%s: error = %v, want %v", tt.name, err, tt.err)
			}
			checkHidden(t, tt.name, fmt.Sprint(err))
			if got.Valid() != got.InvalidatedAt.Equal(time.Time{}) {
				t.Errorf("%s: Valid = %t", tt.name, got.Valid())
			}
		}
	})
}

func TestIssuerErrors(t *testing.T) {
	t.Parallel()
	seeded := keys.NewImportKey(secretText)
	tests := []struct {
		name string
		run  func(*keys.Issuer) error
		want error
	}{
		{"adopt twice", func(i *keys.Issuer) error {
			_, err := i.Adopt(seeded)
			return err
		}, keys.ErrIssuedKey},
		{"adopt an invalidated key", func(i *keys.Issuer) error {
			if err := i.Invalidate(seeded.Fingerprint()); err != nil {
				return err
			}
			_, err := i.Adopt(seeded)
			return err
		}, keys.ErrIssuedKey},
		{"adopt no key", func(i *keys.Issuer) error {
			_, err := i.Adopt(keys.ImportKey{})
			return err
		}, keys.ErrMissing},
		{"invalidate an unknown key", func(i *keys.Issuer) error { return i.Invalidate("00000000") }, keys.ErrUnknownKey},
		{"invalidate nothing", func(i *keys.Issuer) error { return i.Invalidate("") }, keys.ErrUnknownKey},
		{"invalidate by the key itself", func(i *keys.Issuer) error { return i.Invalidate(secretText) }, keys.ErrUnknownKey},
		{"invalidate twice", func(i *keys.Issuer) error {
			return errors.Join(i.Invalidate(seeded.Fingerprint()), i.Invalidate(seeded.Fingerprint()))
		}, keys.ErrInvalidatedKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var issuer keys.Issuer // the zero value is ready
			if _, err := issuer.Adopt(seeded); err != nil {
				t.Fatal(err)
			}
			err := tt.run(&issuer)
			if !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
			if err == nil || !strings.HasPrefix(err.Error(), "keys: ") || strings.Count(err.Error(), "keys: ") != 1 {
				t.Errorf("error = %v, want it to name the package once", err)
			}
			checkHidden(t, "error", fmt.Sprint(err))
			if n := len(issuer.List()); n != 1 {
				t.Errorf("%d keys in the list, want 1", n)
			}
		})
	}
}

func TestIssuerKeepsNoKey(t *testing.T) {
	t.Parallel()
	issuer := keys.NewIssuer()
	if _, err := issuer.Adopt(keys.NewImportKey(secretText)); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		checkHidden(t, verb, fmt.Sprintf(verb, issuer))
	}
}

func TestIssuerGenerates(t *testing.T) {
	t.Parallel()
	shape := regexp.MustCompile(`^[0-9a-f]{4}(-[0-9a-f]{4}){7}$`)
	issuer := keys.NewIssuer()
	seen := make(map[keys.ImportKey]bool)
	for range 200 {
		key, err := issuer.Generate()
		if err != nil {
			t.Fatal(err)
		}
		if err := key.Validate(); err != nil {
			t.Errorf("a generated key is invalid: %v", err)
		}
		if !shape.MatchString(key.Reveal()) {
			t.Error("a generated key is not made of eight groups of four hexadecimal digits")
		}
		if seen[key] {
			t.Error("a key was generated twice")
		}
		seen[key] = true
	}
	if got := len(issuer.List()); got != 200 {
		t.Errorf("%d keys in the list, want 200", got)
	}
}

// TestIssuerNoticesARepeatingSource plays the same random numbers again.
//
//nolint:paralleltest // the random source belongs to the whole program.
func TestIssuerNoticesARepeatingSource(t *testing.T) {
	const seed = 1
	issuer := keys.NewIssuer()
	tests := []struct {
		name     string
		generate int // keys in a row
		fails    bool
		listed   int
	}{
		{"four keys", 4, false, 4},
		{"four repeats are skipped", 4, false, 8},
		{"eight repeats are an error", 1, true, 8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, seed)
			for range tt.generate {
				key, err := issuer.Generate()
				if (err != nil) != tt.fails || key.IsZero() != tt.fails {
					t.Errorf("Generate: no key %t, error %v; want an error: %t", key.IsZero(), err, tt.fails)
				}
			}
			if got := len(issuer.List()); got != tt.listed {
				t.Errorf("%d keys in the list, want %d", got, tt.listed)
			}
		})
	}
}

func TestIssuerListIsACopy(t *testing.T) {
	t.Parallel()
	issuer := keys.NewIssuer()
	key := keys.NewImportKey(secretText)
	if _, err := issuer.Adopt(key); err != nil {
		t.Fatal(err)
	}
	issuer.List()[0].InvalidatedAt = time.Unix(1, 0)
	if _, err := issuer.Authenticate(secretText); err != nil {
		t.Errorf("a change of the list reached the issuer: %v", err)
	}
}

func TestIssuerConcurrently(t *testing.T) {
	t.Parallel()
	issuer := keys.NewIssuer()
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for n := range 25 {
				key, err := issuer.Generate()
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := issuer.Authenticate(key.Reveal()); err != nil {
					t.Errorf("a key just generated: %v", err)
				}
				_ = issuer.List()
				if n%2 == 0 {
					continue
				}
				if err := issuer.Invalidate(key.Fingerprint()); err != nil {
					t.Error(err)
				}
				if _, err := issuer.Authenticate(key.Reveal()); !errors.Is(err, keys.ErrInvalidatedKey) {
					t.Errorf("a key just invalidated: %v", err)
				}
			}
		})
	}
	workers.Wait()
	valid := 0
	for _, key := range issuer.List() {
		if key.Valid() {
			valid++
		}
	}
	if valid != 8*13 || len(issuer.List()) != 8*25 {
		t.Errorf("%d of %d keys valid, want %d of %d", valid, len(issuer.List()), 8*13, 8*25)
	}
}
