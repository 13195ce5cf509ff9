package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/rest"
)

// forbidden is what no error, log or observation may hold: the key and its beginning, and everything that names a user.
// None of it reads like the address of a pointer, which some verbs print.
var forbidden = []string{restKey, restKey[:9], "u-17", "c-90", "crm", "phone-of-u-17", "a@b.example", "+3312345", "braze-5f0e", "Sale", "discount", "gold"}

// prints returns v in every way that somebody may print or log it.
func prints(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s", "%x", "%d", "%10s", "%T"} {
		fmt.Fprintf(&b, verb+"\n", v)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("said", slog.Any("it", v))
	}
	return b.String()
}

func mustHide(t *testing.T, what, text string) {
	t.Helper()
	for _, f := range forbidden {
		if strings.Contains(text, f) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", f)) {
			t.Errorf("%s shows %q: %s", what, f, text)
			return
		}
	}
}

// tree lists an error and everything that it wraps.
func tree(err error) []error {
	all := []error{err}
	switch e := err.(type) { //nolint:errorlint // this walks the chain itself
	case interface{ Unwrap() error }:
		if e.Unwrap() != nil {
			all = append(all, tree(e.Unwrap())...)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			all = append(all, tree(inner)...)
		}
	}
	return all
}

// mustKeepSecrets prints an error in every way.
func mustKeepSecrets(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, e := range tree(err) {
		text, encodeErr := json.Marshal(e)
		if encodeErr != nil {
			t.Errorf("json.Marshal of %T: %v", e, encodeErr)
		}
		mustHide(t, fmt.Sprintf("%T", e), prints(t, e)+string(text))
	}
	mustHide(t, "joined", prints(t, errors.Join(err, io.EOF))+prints(t, struct{ err error }{err}))
	if !strings.HasPrefix(err.Error(), "rest: ") {
		t.Errorf("the error does not begin with its operation: %v", err)
	}
}

// everyCall is every method of a Client, with identifiers of every kind.
func everyCall(t *testing.T) map[string]func(context.Context, *rest.Client) error {
	t.Helper()
	calls := map[string]func(context.Context, *rest.Client) error{
		"Segments": func(ctx context.Context, c *rest.Client) error {
			for _, err := range c.Segments(ctx) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"FindSegment":    func(ctx context.Context, c *rest.Client) error { _, err := c.FindSegment(ctx, "Readers"); return err },
		"SegmentDetails": func(ctx context.Context, c *rest.Client) error { _, err := c.SegmentDetails(ctx, "seg-1"); return err },
		"LookUp": func(ctx context.Context, c *rest.Client) error {
			_, err := c.LookUp(ctx, []identity.ID{u17, crm90, phone})
			return err
		},
	}
	for name, query := range map[string]rest.UserQuery{
		"IDs": rest.ByID(u17, crm90), "device": rest.ByID(phone), "e-mail": rest.ByEmail("a@b.example"), "phone": rest.ByPhone("+33123456789"), "Braze ID": rest.ByBrazeID("braze-5f0e"),
	} {
		calls["ExportUsers by "+name] = func(ctx context.Context, c *rest.Client) error {
			_, err := c.ExportUsers(ctx, query, rest.FieldExternalID)
			return err
		}
	}
	sends := everySend(t)
	sends["campaign with everything"] = campaign(rest.ToRecipients(
		rest.Recipient{Email: "a@b.example", Prioritization: []rest.Prioritization{rest.Identified}, Properties: map[string]any{"discount": "gold"}},
		rest.Recipient{BrazeID: "braze-5f0e", Attributes: map[string]any{"discount": "gold"}}), rest.WithProperties(map[string]any{"discount": "gold"}))
	for name, send := range sends {
		calls[name] = func(ctx context.Context, c *rest.Client) error { _, err := send(ctx, c); return err }
	}
	return calls
}

// TestErrorsKeepSecrets has endpoints and proxies that repeat all they know.
func TestErrorsKeepSecrets(t *testing.T) {
	t.Parallel()
	echo := strings.Join(forbidden, ", ")
	tests := []struct {
		name string
		step step
	}{
		{"200 HTML", answer(200, "<html>"+echo)},
		{"200 of other fields", answer(200, `{"message":"`+echo+`","dispatch_id":"`+echo+`"}`)},
		{"200 of other types", answer(200, `{"message":["`+echo+`"],"segments":"`+echo+`","users":"`+echo+`","name":{"`+echo+`":1}}`)},
		{"200 with a number", answer(200, `{"dispatch_id":1775000017,"segments":[{"id":1775000017}],"users":[{"external_id":1775000017}],"name":1775000017}`)},
		{"200 with errors", answer(200, `{"message":"no success","segments":[],"users":[],"name":"a","errors":["`+echo+`"]}`)},
		{"200 cut off", broken(200, echo)},
		{"302", answer(302, echo, "Location", "https://elsewhere.example/"+restKey)},
		{"400", answer(400, `{"message":"`+echo+`"}`)},
		{"401", answer(401, `{"message":"`+echo+`"}`)},
		{"403", answer(403, echo)},
		{"413", answer(413, echo)},
		{"429", answer(429, echo, "Retry-After", "86400")},
		{"503", answer(503, echo, "Retry-After", "86400")},
		{"fault", failWith(errors.New(echo))},
		{"never connected", refused},
		{"no answer", hang},
	}
	for _, tt := range tests {
		for name, call := range everyCall(t) {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var logs bytes.Buffer
					tc := newTransport(t, following(tt.step), transport.WithRetryPolicy(transport.RetryPolicy{MaxAttempts: 2}),
						transport.WithLogger(slog.New(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))))
					c, err := rest.New(tc, keys.NewRESTKey(restKey))
					if err != nil {
						t.Fatal(err)
					}
					mustKeepSecrets(t, call(t.Context(), c))
					mustHide(t, "log", logs.String())
					if !strings.Contains(logs.String(), `"msg":"call gave up"`) {
						t.Errorf("the log lacks the end of the call: %s", logs.String())
					}
				})
			})
		}
	}
}

// TestValuesKeepSecrets prints everything that holds identifiers or the key.
func TestValuesKeepSecrets(t *testing.T) {
	t.Parallel()
	export := `{"users":[{"external_id":"u-17","braze_id":"braze-5f0e","user_aliases":[{"alias_name":"c-90","alias_label":"crm"}],"custom_attributes":{"discount":"gold"},
		"devices":[{"device_id":"phone-of-u-17"}],"email":"a@b.example"}],"invalid_user_ids":["u-17"]}`
	c := newClient(t, following(answer(200, export)))
	got, err := c.ExportUsers(t.Context(), rest.ByID(u17), rest.FieldExternalID)
	if err != nil || len(got.Users) != 1 || len(got.Unknown) != 1 {
		t.Fatalf("export %v, %v", got, err)
	}
	receipt, err := newClient(t, following(answer(201, `{"dispatch_id":"d-1","message":"success","notice":"u-17","errors":["u-17"]}`))).TriggerCanvas(t.Context(), "a", rest.ToEveryone())
	if err != nil {
		t.Fatal(err)
	}
	recipient := rest.Recipient{ID: u17, Email: "a@b.example", BrazeID: "braze-5f0e", Properties: map[string]any{"discount": "gold"}}
	for what, v := range map[string]any{
		"Client": c, "Export": got, "*Export": &got, "User": got.Users[0], "*User": &got.Users[0], "Users": got.Users, "Receipt": receipt, "*Receipt": &receipt,
		"Recipient": recipient, "*Recipient": &recipient, "Recipients": []rest.Recipient{recipient},
		"ToRecipients": rest.ToRecipients(recipient), "ToUsers": rest.ToUsers(u17, crm90), "ToUsersInSegment": rest.ToUsersInSegment("seg-1", u17),
		"ByID": rest.ByID(u17, crm90), "ByEmail": rest.ByEmail("a@b.example"), "ByPhone": rest.ByPhone("+33123456789"), "ByBrazeID": rest.ByBrazeID("braze-5f0e"),
	} {
		text := prints(t, v)
		if records, ok := v.([]rest.User); ok && len(records) > 0 {
			text = fmt.Sprintf("%v %+v %#v", v, v, v) // a list as JSON shows its fields, as documented
		}
		if _, ok := v.([]rest.Recipient); ok {
			text = fmt.Sprintf("%v %+v %#v", v, v, v)
		}
		mustHide(t, what, text)
	}
}
