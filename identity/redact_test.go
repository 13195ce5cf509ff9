package identity_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cohortkit/cohortkit/identity"
)

// The identifiers of these tests. No piece of them may be seen.
const (
	secretID    = "Zq7#Wv9!Kx3"
	secretLabel = "Yp5%Hm2&Tn8"
)

// pieces are all parts of six bytes of the two, in every spelling that a verb or an encoding could give them.
func pieces() []string {
	var all []string
	for _, secret := range []string{secretID, secretLabel} {
		for i := 0; i+6 <= len(secret); i++ {
			part := secret[i : i+6]
			decimal := fmt.Sprint([]byte(part))
			all = append(all, part, fmt.Sprintf("%x", part), fmt.Sprintf("%X", part), fmt.Sprintf("% x", part),
				decimal[1:len(decimal)-1])
		}
	}
	return all
}

func checkHidden(t *testing.T, how, got string) {
	t.Helper()
	for _, piece := range pieces() {
		if strings.Contains(got, piece) {
			t.Errorf("%s shows a part of an identifier: %s", how, got)
			return
		}
	}
}

func TestNothingShowsIdentifiers(t *testing.T) {
	t.Parallel()
	name := identity.Alias{Label: secretLabel, Name: secretID}
	person := identity.Person{ExternalID: secretID, Aliases: []identity.Alias{name}, DeviceIDs: []string{secretID}}
	profile := identity.Profile{ExternalID: secretID, DeprecatedExternalIDs: []string{secretID}, Aliases: []identity.Alias{name}, DeviceIDs: []string{secretID}}
	tests := []struct {
		name  string
		value any
		text  string
	}{
		{"external ID", identity.ExternalID(secretID), "external_id(redacted)"},
		{"device ID", identity.DeviceID(secretID), "device_id(redacted)"},
		{"alias ID", name.ID(), "alias(redacted)"},
		{"zero ID", identity.ID{}, "none"},
		{"alias", name, "alias(redacted)"},
		{"person", person, "person(redacted)"},
		{"profile", profile, "profile(redacted)"},
	}
	verbs := []string{"v", "+v", "#v", "s", "+s", "#s", "q", "+q", "#q", "x", "#x", "X", " x", "# X", "d", "+d", "o", "O", "b", "c", "U", "#U", "e", "f", "g", "t",
		"20v", "-20v", ".3v", "020d", "y"}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, verb := range verbs {
				if got := fmt.Sprintf("%"+verb, tt.value); got != tt.text {
					t.Errorf("%%%s = %q, want %q", verb, got, tt.text)
				}
			}
			checkHidden(t, "%T", fmt.Sprintf("%T", tt.value))
			nested := struct {
				Value   any
				Pointer *any
				List    []any
				Map     map[string]any
			}{tt.value, &tt.value, []any{tt.value}, map[string]any{"key": tt.value}}
			for _, verb := range verbs {
				checkHidden(t, "nested %"+verb, fmt.Sprintf("%"+verb, nested))
				checkHidden(t, "pointer %"+verb, fmt.Sprintf("%"+verb, &nested))
			}
			checkHidden(t, "error", fmt.Errorf("operation: %v", tt.value).Error())
			checkHidden(t, "joined error", errors.Join(fmt.Errorf("%s", tt.value)).Error())

			var log bytes.Buffer
			for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
				slog.New(handler).Info("row", "value", tt.value, slog.Group("group", "value", tt.value))
			}
			checkHidden(t, "slog", log.String())
			if got := strings.Count(log.String(), tt.text); got != 4 {
				t.Errorf("the log shows %q %d times, want 4: %s", tt.text, got, log.String())
			}
			if s, ok := tt.value.(fmt.GoStringer); !ok || s.GoString() != tt.text {
				t.Errorf("GoString is missing or shows something else than %q", tt.text)
			}
			if s, ok := tt.value.(fmt.Stringer); !ok || s.String() != tt.text {
				t.Errorf("String is missing or shows something else than %q", tt.text)
			}
		})
	}
}

func TestTypedContainersHideIdentifiers(t *testing.T) {
	t.Parallel()
	id := identity.ExternalID(secretID)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		checkHidden(t, verb, fmt.Sprintf(verb, []identity.ID{id}))
		checkHidden(t, verb, fmt.Sprintf(verb, [1]identity.ID{id}))
		checkHidden(t, verb, fmt.Sprintf(verb, map[identity.ID]identity.ID{id: id}))
		checkHidden(t, verb, fmt.Sprintf(verb, []*identity.Person{{ExternalID: secretID}}))
		checkHidden(t, verb, fmt.Sprintf(verb, []identity.Alias{{Label: secretLabel, Name: secretID}}))
	}
}

func TestJSONOfIDIsEmpty(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal([]identity.ID{identity.ExternalID(secretID), alias(secretLabel, secretID), {}})
	if err != nil {
		t.Fatal(err)
	}
	if want := `[{},{},{}]`; string(got) != want {
		t.Errorf("JSON = %s, want %s", got, want)
	}
}

func TestRejectErrorText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  *identity.RejectError
		want string
	}{
		{"a reason of the package", &identity.RejectError{Field: "row", Reason: identity.ReasonUnreadable},
			"row rejected: unreadable: look at this row in the source"},
		{"a reason of the caller", &identity.RejectError{Field: "country", Reason: "not_served"},
			"country rejected: not_served"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.err.Error(); got != tt.want {
				t.Errorf("Error = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestEveryReasonHasANextStep(t *testing.T) {
	t.Parallel()
	for _, reason := range []identity.Reason{
		identity.ReasonEmpty, identity.ReasonInvalidUTF8, identity.ReasonControlCharacter,
		identity.ReasonNoIdentifier, identity.ReasonOnlyDevices, identity.ReasonUnreadable,
	} {
		if reason.Next() == "" {
			t.Errorf("reason %s has no next step", reason)
		}
	}
	if next := identity.Reason("not_served").Next(); next != "" {
		t.Errorf("a reason of the caller has the next step %q", next)
	}
}
