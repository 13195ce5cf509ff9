package keys_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cohortkit/cohortkit/keys"
)

func TestErrorTexts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"empty import key", &keys.InvalidError{Field: "data import key", Reason: keys.ReasonEmpty},
			"keys: data import key must not be empty: generate one on the partner's page of the dashboard, under Partner Integrations > Technology Partners"},
		{"empty partner key", &keys.InvalidError{Field: "partner API key", Reason: keys.ReasonEmpty},
			"keys: partner API key must not be empty: Braze gives it to the partner, one for each group of instances"},
		{"empty partner key of an instance", &keys.InvalidError{Field: "partner API key", Instance: "AU-01", Reason: keys.ReasonEmpty},
			`keys: partner API key for instance "AU-01" must not be empty: Braze gives it to the partner, one for each group of instances`},
		{"empty REST key", &keys.InvalidError{Field: "REST API key", Reason: keys.ReasonEmpty},
			"keys: REST API key must not be empty: create one under Settings > APIs and Identifiers > API Keys"},
		{"empty partner", &keys.InvalidError{Field: "partner", Reason: keys.ReasonEmpty},
			"keys: partner must not be empty: give the name by which the partner appears in the path of the cohort endpoints, such as tinyclues"},
		{"empty field of the caller", &keys.InvalidError{Field: "signature", Reason: keys.ReasonEmpty},
			"keys: signature must not be empty: give it a value"},
		{"encoding", &keys.InvalidError{Field: "partner", Reason: keys.ReasonEncoding},
			"keys: partner is not valid UTF-8: it was cut or read in another encoding; copy it again"},
		{"blank", &keys.InvalidError{Field: "partner", Reason: keys.ReasonBlank},
			"keys: partner starts or ends with a blank: strip the blanks where the value is read"},
		{"path", &keys.InvalidError{Field: "partner", Reason: keys.ReasonPath},
			`keys: partner cannot be one segment of a path: give the bare name without a slash; "." and ".." are no names`},
		{"reason of the caller", &keys.InvalidError{Field: "partner", Reason: "is not ours"}, "keys: partner is not ours"},
		{"source", &keys.SourceError{Place: "the vault", Err: errors.New("sealed")}, "keys: data import key from the vault: sealed"},
		{"source with a bad key", &keys.SourceError{Place: "the vault", Err: &keys.InvalidError{Field: "data import key", Reason: keys.ReasonBlank}},
			"keys: data import key from the vault: data import key starts or ends with a blank: strip the blanks where the value is read"},
		{"no instance known", &keys.UnknownInstanceError{Instance: "EU-01"},
			`keys: no partner API key for instance "EU-01" (no instance has one): ask Braze for the key of this instance and add it by this exact name`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.err.Error(); got != tt.want {
				t.Errorf("Error =\n%q, want\n%q", got, tt.want)
			}
			if errors.Is(tt.err, keys.ErrUnknownKey) {
				t.Errorf("%v matches a sentinel that has nothing to do with it", tt.err)
			}
		})
	}
}

// TestSentinelsDiffer holds that no sentinel stands for another and that each names a next step or what is missing.
func TestSentinelsDiffer(t *testing.T) {
	t.Parallel()
	all := []error{keys.ErrMissing, keys.ErrUnknownKey, keys.ErrInvalidatedKey, keys.ErrIssuedKey, keys.ErrNotEncoded, keys.ErrNotDecoded}
	for i, a := range all {
		for j, b := range all {
			if errors.Is(a, b) != (i == j) {
				t.Errorf("errors.Is(%v, %v) = %t", a, b, i != j)
			}
		}
		if !errors.Is(a, keys.ErrMissing) && !strings.Contains(a.Error(), ": ") {
			t.Errorf("%v has no next step", a)
		}
	}
}
