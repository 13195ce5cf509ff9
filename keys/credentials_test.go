package keys_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/keys"
)

func TestPartnerKeys(t *testing.T) {
	t.Parallel()
	us, eu := keys.NewPartnerKey("3141-5926-5358"), keys.NewPartnerKey("1618-0339-8874")
	all := keys.PartnerKeys{"US-01": us, "US-02": us, "EU-01": eu, "AU-01": {}, "ID-01": keys.NewPartnerKey(secretText + "\n")}
	known := []string{"AU-01", "EU-01", "ID-01", "US-01", "US-02"}
	tests := []struct {
		name     string
		source   keys.PartnerKeySource
		instance string
		want     keys.PartnerKey
		known    []string    // of the UnknownInstanceError
		reason   keys.Reason // of the InvalidError
	}{
		{name: "one key for all instances", source: us, instance: "EU-01", want: us},
		{name: "one key for an endpoint without a name", source: us, want: us},
		{name: "no key", source: keys.PartnerKey{}, instance: "EU-01", reason: keys.ReasonEmpty},
		{name: "the key of the instance", source: all, instance: "EU-01", want: eu},
		{name: "a key of several instances", source: all, instance: "US-02", want: us},
		{name: "an instance without a key never gets that of another region", source: all, instance: "US-03", known: known},
		{name: "the name is exact", source: all, instance: "eu-01", known: known},
		{name: "no name", source: all, known: known},
		{name: "no keys at all", source: keys.PartnerKeys(nil), instance: "EU-01", known: []string{}},
		{name: "an absent key", source: all, instance: "AU-01", reason: keys.ReasonEmpty},
		{name: "an invalid key", source: all, instance: "ID-01", reason: keys.ReasonControl},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.source.PartnerKeyFor(tt.instance)
			if got != tt.want {
				t.Error("PartnerKeyFor gave another key")
			}
			checkHidden(t, "error", fmt.Sprint(err))
			unknown, isUnknown := errors.AsType[*keys.UnknownInstanceError](err)
			invalid, isInvalid := errors.AsType[*keys.InvalidError](err)
			switch {
			case tt.known != nil:
				if !isUnknown || !errors.Is(err, keys.ErrMissing) {
					t.Fatalf("error = %v, want an UnknownInstanceError that matches ErrMissing", err)
				}
				if diff := cmp.Diff(append([]string{tt.instance}, tt.known...), append([]string{unknown.Instance}, unknown.Known...)); diff != "" {
					t.Errorf("UnknownInstanceError (-want +got):\n%s", diff)
				}
			case tt.reason != "":
				if !isInvalid || invalid.Reason != tt.reason {
					t.Fatalf("error = %v, want an InvalidError: %s", err, tt.reason)
				}
				if _, byInstance := tt.source.(keys.PartnerKeys); byInstance && invalid.Instance != tt.instance {
					t.Errorf("the error is about instance %q, want %q", invalid.Instance, tt.instance)
				}
			case err != nil:
				t.Errorf("PartnerKeyFor: %v", err)
			}
		})
	}
}

// forgetful is a source that answers with no key and no error.
type forgetful struct{}

func (forgetful) PartnerKeyFor(string) (keys.PartnerKey, error) { return keys.PartnerKey{}, nil }

// unasked is a source that fails the test when it is asked.
type unasked struct{ t *testing.T }

func (u unasked) ImportKey(context.Context) (keys.ImportKey, error) {
	u.t.Error("Validate asked the source")
	return keys.ImportKey{}, nil
}

func TestCredentialsValidate(t *testing.T) {
	t.Parallel()
	partnerKey, importKey := keys.NewPartnerKey("3141-5926-5358"), keys.NewImportKey("2718-2818-2845")
	good := keys.Credentials{Partner: "tinyclues", PartnerKey: partnerKey, ImportKey: importKey}
	partner := func(name string) keys.Credentials {
		c := good
		c.Partner = name
		return c
	}
	tests := []struct {
		name        string
		credentials keys.Credentials
		field       string // of the InvalidError; "" when there is none
		reason      keys.Reason
		unknown     bool // an UnknownInstanceError
	}{
		{name: "plain keys", credentials: good},
		{name: "keys by instance", credentials: keys.Credentials{Partner: "tinyclues", PartnerKey: keys.PartnerKeys{"EU-01": partnerKey}, ImportKey: importKey}},
		{name: "a source is not asked", credentials: keys.Credentials{Partner: "tinyclues", PartnerKey: partnerKey, ImportKey: unasked{t}}},
		{name: "a partner in capitals", credentials: partner("TinyClues")},
		{name: "a partner with an inner blank", credentials: partner("tiny clues")},
		{name: "a partner to escape", credentials: partner("é?#%2F")},
		{name: "dots inside a partner", credentials: partner("a..b")},
		{name: "nothing at all", field: "partner", reason: keys.ReasonEmpty},
		{name: "no partner", credentials: partner(""), field: "partner", reason: keys.ReasonEmpty},
		{name: "a partner with a slash", credentials: partner("tinyclues/cohorts"), field: "partner", reason: keys.ReasonPath},
		{name: "a partner that is the same folder", credentials: partner("."), field: "partner", reason: keys.ReasonPath},
		{name: "a partner that is the folder above", credentials: partner(".."), field: "partner", reason: keys.ReasonPath},
		{name: "a partner with a line break", credentials: partner("tinyclues\n"), field: "partner", reason: keys.ReasonControl},
		{name: "a partner with a blank at the end", credentials: partner("tinyclues "), field: "partner", reason: keys.ReasonBlank},
		{name: "a partner in Latin-1", credentials: partner("\xe9"), field: "partner", reason: keys.ReasonEncoding},
		{name: "no partner key", credentials: keys.Credentials{Partner: "tinyclues", ImportKey: importKey}, field: "partner API key", reason: keys.ReasonEmpty},
		{name: "an empty partner key", credentials: keys.Credentials{Partner: "tinyclues", PartnerKey: keys.PartnerKey{}, ImportKey: importKey},
			field: "partner API key", reason: keys.ReasonEmpty},
		{name: "a source that forgets the partner key", credentials: keys.Credentials{Partner: "tinyclues", PartnerKey: forgetful{}, ImportKey: importKey},
			field: "partner API key", reason: keys.ReasonEmpty},
		{name: "no key for the region", credentials: keys.Credentials{Partner: "tinyclues", PartnerKey: keys.PartnerKeys{"US-01": partnerKey}, ImportKey: importKey},
			unknown: true},
		{name: "no import key", credentials: keys.Credentials{Partner: "tinyclues", PartnerKey: partnerKey}, field: "data import key", reason: keys.ReasonEmpty},
		{name: "an empty import key", credentials: keys.Credentials{Partner: "tinyclues", PartnerKey: partnerKey, ImportKey: keys.ImportKey{}},
			field: "data import key", reason: keys.ReasonEmpty},
		{name: "an invalid import key", credentials: keys.Credentials{Partner: "tinyclues", PartnerKey: partnerKey, ImportKey: keys.NewImportKey(secretText + "\n")},
			field: "data import key", reason: keys.ReasonControl},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.credentials.Validate("EU-01")
			if tt.field == "" && !tt.unknown {
				if err != nil {
					t.Errorf("Validate: %v", err)
				}
				return
			}
			if !strings.HasPrefix(fmt.Sprint(err), "keys: ") || strings.Count(err.Error(), "keys: ") != 1 {
				t.Errorf("error = %v, want it to name the package once", err)
			}
			checkHidden(t, "error", fmt.Sprint(err))
			if _, ok := errors.AsType[*keys.UnknownInstanceError](err); ok != tt.unknown {
				t.Errorf("error = %v, want an UnknownInstanceError: %t", err, tt.unknown)
			}
			if tt.unknown {
				return
			}
			invalid, ok := errors.AsType[*keys.InvalidError](err)
			if !ok {
				t.Fatalf("error = %v, want an InvalidError", err)
			}
			if invalid.Field != tt.field || invalid.Reason != tt.reason {
				t.Errorf("%q %q, want %q %q", invalid.Field, invalid.Reason, tt.field, tt.reason)
			}
		})
	}
}

// careless is a source that shows its key in every way it can.
type careless struct{ Secret string }

func (c careless) ImportKey(context.Context) (keys.ImportKey, error) {
	return keys.NewImportKey(c.Secret), nil
}

func (c careless) PartnerKeyFor(string) (keys.PartnerKey, error) {
	return keys.NewPartnerKey(c.Secret), nil
}

func TestCredentialsHideWhatSourcesShow(t *testing.T) {
	t.Parallel()
	credentials := keys.Credentials{Partner: "acme", PartnerKey: careless{secretText}, ImportKey: careless{secretText}}
	want := `keys.Credentials{Partner: "acme", PartnerKey: [redacted], ImportKey: [redacted]}`
	for _, verb := range verbs {
		if verb == "T" || verb == "p" || verb == "w" { // package fmt asks no method for these
			continue
		}
		if got := fmt.Sprintf("%"+verb, credentials); got != want {
			t.Errorf("%%%s = %s, want %s", verb, got, want)
		}
	}
	if got := credentials.GoString(); got != want {
		t.Errorf("GoString = %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(keys.Credentials{Partner: "acme"}), `keys.Credentials{Partner: "acme", PartnerKey: [no key], ImportKey: [no key]}`; got != want {
		t.Errorf("without keys: %s, want %s", got, want)
	}
	got, err := json.Marshal(credentials)
	if err != nil || string(got) != `{"partner":"acme"}` {
		t.Errorf("JSON = %s, %v", got, err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("start", "credentials", credentials)
	checkHidden(t, "slog", log.String())
	if !strings.Contains(log.String(), `"credentials":{"partner":"acme"}`) {
		t.Errorf("the log lacks the partner: %s", log.String())
	}
}
