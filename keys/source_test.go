package keys_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/cohortkit/cohortkit/keys"
)

//nolint:paralleltest // the environment belongs to the whole program.
func TestEnv(t *testing.T) {
	const name = "COHORTKIT_TEST_IMPORT_KEY"
	source := keys.Env(name)
	tests := []struct {
		name  string
		value string
		want  keys.Reason // "" for a good key
	}{
		{name: "a key", value: secretText},
		{name: "another key, read at the next ask", value: "2718-2818-2845"},
		{name: "a line break is not trimmed", value: secretText + "\n", want: keys.ReasonControl},
		{name: "a blank is not trimmed", value: " " + secretText, want: keys.ReasonBlank},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(name, tt.value)
			got, err := source.ImportKey(t.Context())
			if tt.want == "" {
				if err != nil || got.Reveal() != tt.value {
					t.Errorf("ImportKey failed or gave another key: %v", err)
				}
				return
			}
			checkSourceError(t, err, name)
			if invalid, ok := errors.AsType[*keys.InvalidError](err); !ok || invalid.Reason != tt.want {
				t.Errorf("error = %v, want one that wraps an InvalidError: %s", err, tt.want)
			}
			if !got.IsZero() {
				t.Error("a key came with the error")
			}
		})
	}
	t.Run("empty", func(t *testing.T) {
		t.Setenv(name, "")
		_, err := source.ImportKey(t.Context())
		checkSourceError(t, err, name)
		if !errors.Is(err, keys.ErrMissing) {
			t.Errorf("error = %v, want ErrMissing", err)
		}
	})
	t.Run("unset", func(t *testing.T) {
		_, err := source.ImportKey(t.Context())
		checkSourceError(t, err, name)
		if !errors.Is(err, keys.ErrMissing) {
			t.Errorf("error = %v, want ErrMissing", err)
		}
		want := `keys: data import key from environment variable "` + name + `": missing: set the variable to the data import key of the workspace`
		if err.Error() != want {
			t.Errorf("error = %q, want %q", err, want)
		}
	})
}

// checkSourceError fails unless err is a SourceError that names the place, in full, and shows no key.
func checkSourceError(t *testing.T, err error, place string) {
	t.Helper()
	failed, ok := errors.AsType[*keys.SourceError](err)
	if !ok {
		t.Fatalf("error = %v, want a SourceError", err)
	}
	if !strings.Contains(failed.Place, place) || !strings.Contains(err.Error(), failed.Place) {
		t.Errorf("place %q, error %q, want both to name %s", failed.Place, err, place)
	}
	checkHidden(t, "error", err.Error())
}

func TestFunc(t *testing.T) {
	t.Parallel()
	type mark struct{}
	sealed := errors.New("the vault is sealed")
	tests := []struct {
		name string
		f    func(context.Context) (keys.ImportKey, error)
		want error // nil for a good key
	}{
		{"a key", func(context.Context) (keys.ImportKey, error) { return keys.NewImportKey(secretText), nil }, nil},
		{"the context is handed on", func(ctx context.Context) (keys.ImportKey, error) {
			text, _ := ctx.Value(mark{}).(string)
			return keys.NewImportKey(text), nil
		}, nil},
		{"an error", func(context.Context) (keys.ImportKey, error) { return keys.ImportKey{}, sealed }, sealed},
		{"an error beside a key", func(context.Context) (keys.ImportKey, error) { return keys.NewImportKey(secretText), sealed }, sealed},
		{"no key", func(context.Context) (keys.ImportKey, error) { return keys.ImportKey{}, nil }, keys.ErrMissing},
		{"nil", nil, keys.ErrMissing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := keys.Func(tt.f).ImportKey(context.WithValue(t.Context(), mark{}, secretText))
			if tt.want == nil {
				if err != nil || got.Reveal() != secretText {
					t.Errorf("ImportKey failed or gave another key: %v", err)
				}
				return
			}
			checkSourceError(t, err, "a function")
			if !errors.Is(err, tt.want) || !got.IsZero() {
				t.Errorf("error = %v, key %t; want %v and no key", err, !got.IsZero(), tt.want)
			}
		})
	}
}

func TestCause(t *testing.T) {
	t.Parallel()
	tests := []struct {
		cause    keys.Cause
		text     string
		suspects bool
		next     string // a word of the next step
	}{
		{keys.CauseUnclear, "unclear", true, "instance"},
		{keys.CauseImportKey, "data import key", true, "dashboard"},
		{keys.CausePartnerKey, "partner API key", false, "this instance"},
		{keys.CauseNotEnabled, "partner not enabled", false, "enable"},
		{keys.CauseRESTKey, "REST API key", false, "API Keys"},
		{keys.CauseRESTKey + 1, "unclear", false, "instance"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			if tt.cause.String() != tt.text || tt.cause.SuspectsImportKey() != tt.suspects || !strings.Contains(tt.cause.Next(), tt.next) {
				t.Errorf("%q, suspects %t, next %q; want %q, %t, next with %q",
					tt.cause, tt.cause.SuspectsImportKey(), tt.cause.Next(), tt.text, tt.suspects, tt.next)
			}
		})
	}
	var zero keys.Cause
	if zero != keys.CauseUnclear {
		t.Error("the zero value is not CauseUnclear")
	}
}
