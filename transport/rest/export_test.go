package rest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/segment"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/rest"
)

func TestExportOnTheWire(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		query rest.UserQuery
		want  string
	}{
		{"external IDs and aliases", rest.ByID(u17, crm90, identity.ExternalID("u-18")),
			`{"external_ids":["u-17","u-18"],"user_aliases":[{"alias_name":"c-90","alias_label":"crm"}],"fields_to_export":["external_id","email"]}`},
		{"device", rest.ByID(phone), `{"device_id":"phone-of-u-17","fields_to_export":["external_id","email"]}`},
		{"e-mail", rest.ByEmail("a@b.example"), `{"email_address":"a@b.example","fields_to_export":["external_id","email"]}`},
		{"phone", rest.ByPhone("+33123456789"), `{"phone":"+33123456789","fields_to_export":["external_id","email"]}`},
		{"Braze ID", rest.ByBrazeID("5f0e"), `{"braze_id":"5f0e","fields_to_export":["external_id","email"]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rt := following(answer(201, `{"message":"success","users":[]}`))
			got, err := newClient(t, rt).ExportUsers(t.Context(), tt.query, rest.FieldExternalID, rest.FieldEmail)
			if err != nil || len(got.Users) != 0 || len(got.Unknown) != 0 {
				t.Errorf("ExportUsers = %v, %v", got, err)
			}
			r := rt.seen()[0]
			if r.Method != http.MethodPost || r.URL != "https://rest.fra-01.braze.eu/users/export/ids" || r.Bearer != "Bearer "+restKey {
				t.Errorf("request %s %s %s", r.Method, r.URL, r.Bearer)
			}
			if diff := cmp.Diff(values(t, tt.want), values(t, r.Body)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExportedUsers(t *testing.T) {
	t.Parallel()
	const (
		full = `{"external_id":"u-17","braze_id":"5f0e","user_aliases":[{"alias_name":"c-90","alias_label":"crm"}],"random_bucket":17,
			"devices":[{"model":"a","device_id":"phone-of-u-17","ad_tracking_enabled":true},{"idfv":"tablet"},{"device_id":"tablet","idfv":"tablet"},{}],
			"push_subscribe":"opted_in","email_subscribe":"unsubscribed","custom_attributes":{"tier":"gold","points":12.5,"member":true,"brands":["acme"],"cart":{"a":1},"none":null},
			"apps":[{"name":"Shop","sessions":3,"last_used":"2025-03-02T08:15:00.000Z"},{"name":"Club","sessions":1,"last_used":"2025-02-01 07:00:00.123 UTC"},{"name":"New","sessions":0},{"name":"Kiosk"}]}`
		odd = `{"braze_id":"5f0f","push_subscribe":7,"email_subscribe":"subscribed","custom_attributes":["a"],"apps":{"a":1},"novelty":{"b":2}}`
	)
	c := newClient(t, following(answer(200, `{"message":"success","users":[`+full+`,`+odd+`,{}],"invalid_user_ids":["u-99"]}`)))
	got, err := c.ExportUsers(t.Context(), rest.ByID(u17), rest.FieldExternalID)
	if err != nil {
		t.Fatal(err)
	}
	var cart segment.Value
	if err := json.Unmarshal([]byte(`{"a":1}`), &cart); err != nil {
		t.Fatal(err)
	}
	want := []segment.Profile{
		{
			Profile: identity.Profile{ExternalID: "u-17", Aliases: []identity.Alias{{Label: "crm", Name: "c-90"}}, DeviceIDs: []string{"phone-of-u-17", "tablet"}},
			Attributes: map[string]segment.Value{
				"tier": segment.StringValue("gold"), "points": segment.NumberValue(12.5), "member": segment.BooleanValue(true), "brands": segment.ArrayValue("acme"),
				"cart": cart, "none": {},
			},
			Push: segment.OptedIn, Email: segment.Unsubscribed, Apps: []string{"Shop", "Club", "Kiosk"}, LastUsedApp: time.Date(2025, 3, 2, 8, 15, 0, 0, time.UTC),
		},
		{Email: segment.Subscribed},
		{},
	}
	profiles := make([]segment.Profile, len(got.Users))
	for i, u := range got.Users {
		profiles[i] = u.Profile
	}
	if diff := cmp.Diff(want, profiles, cmp.AllowUnexported(segment.Value{})); diff != "" {
		t.Errorf("profiles (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"u-99"}, got.Unknown); diff != "" {
		t.Errorf("unknown (-want +got):\n%s", diff)
	}
	if got.Users[0].BrazeID != "5f0e" || got.Users[1].BrazeID != "5f0f" || string(got.Users[1].Fields["novelty"]) != `{"b":2}` {
		t.Error("the Braze IDs or the fields are others")
	}
	if gold, err := audience(t).Match(&got.Users[0].Profile, time.Now()); err != nil || !gold {
		t.Errorf("Match = %t, %v", gold, err)
	}
	// A user goes through JSON unharmed.
	text, err := json.Marshal(got.Users[0])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(values(t, full), values(t, string(text))); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

// TestUserUnreadable has users whose identifiers would be quoted by encoding/json.
func TestUserUnreadable(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"external_id":481}`, `{"braze_id":481e999}`, `{"user_aliases":[481]}`, `{"devices":[{"device_id":481}]}`, `[481]`, `481`} {
		var u rest.User
		if err := json.Unmarshal([]byte(text), &u); err == nil || strings.Contains(err.Error(), "481") || !strings.HasPrefix(err.Error(), "rest: parse user: ") {
			t.Errorf("%s: error %v", text, err)
		}
	}
}

func TestExportFails(t *testing.T) {
	t.Parallel()
	ids := make([]identity.ID, 51)
	for i := range ids {
		ids[i] = identity.ExternalID(fmt.Sprint("u-", i))
	}
	for _, tt := range []struct {
		name   string
		query  rest.UserQuery
		fields []rest.Field
		want   string // the field of an InvalidError
	}{
		{"no query", rest.UserQuery{}, []rest.Field{rest.FieldEmail}, "query"},
		{"no IDs", rest.ByID(), []rest.Field{rest.FieldEmail}, "IDs"},
		{"51 IDs", rest.ByID(ids...), []rest.Field{rest.FieldEmail}, "IDs"},
		{"an empty ID", rest.ByID(u17, identity.ExternalID("")), []rest.Field{rest.FieldEmail}, "IDs[1]"},
		{"zero ID", rest.ByID(identity.ID{}), []rest.Field{rest.FieldEmail}, "IDs[0]"},
		{"two devices", rest.ByID(phone, identity.DeviceID("tablet")), []rest.Field{rest.FieldEmail}, "IDs[0]"},
		{"a device beside others", rest.ByID(u17, phone), []rest.Field{rest.FieldEmail}, "IDs[1]"},
		{"no e-mail", rest.ByEmail(""), []rest.Field{rest.FieldEmail}, "e-mail address"},
		{"no phone", rest.ByPhone("\n"), []rest.Field{rest.FieldEmail}, "phone number"},
		{"no Braze ID", rest.ByBrazeID(""), []rest.Field{rest.FieldEmail}, "Braze ID"},
		{"no fields", rest.ByID(u17), nil, "fields"},
		{"an empty field", rest.ByID(u17), []rest.Field{rest.FieldEmail, ""}, "fields[1]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rt := following(answer(200, `{"users":[]}`))
			_, err := newClient(t, rt).ExportUsers(t.Context(), tt.query, tt.fields...)
			if invalid, ok := errors.AsType[*rest.InvalidError](err); !ok || invalid.Field != tt.want || len(rt.seen()) != 0 {
				t.Errorf("error %v after %d requests, want one of %s", err, len(rt.seen()), tt.want)
			}
			mustKeepSecrets(t, err)
		})
	}
	for _, tt := range []struct {
		name     string
		step     step
		attempts int
		want     error
	}{
		{"without users", answer(200, `{"message":"success"}`), 1, transport.ErrBadAnswer},
		{"users of another type", answer(200, `{"users":[7]}`), 1, transport.ErrBadAnswer},
		{"an external ID of another type", answer(200, `{"users":[{"external_id":7}]}`), 1, transport.ErrBadAnswer},
		{"with errors", answer(200, `{"users":[],"errors":["half of it is missing"]}`), 1, transport.ErrBadAnswer},
		{"400", answer(400, ""), 1, transport.ErrBadRequest},
		{"503 for ever", answer(503, ""), 8, transport.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rt := following(tt.step)
				_, err := newClient(t, rt).ExportUsers(t.Context(), rest.ByID(u17), rest.FieldExternalID)
				if !errors.Is(err, tt.want) || len(rt.seen()) != tt.attempts {
					t.Errorf("error %v after %d attempts, want %v after %d", err, len(rt.seen()), tt.want, tt.attempts)
				}
			})
		})
	}
}
