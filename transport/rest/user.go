package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/segment"
)

// Field is a part of a user's profile that an export may carry, by the name it has on the wire. Others than these constants are passed on as they
// are.
type Field string

// The documented fields that a cohort, a segment or a message may depend on. There is none for the cohorts that a user is in.
const (
	FieldExternalID        Field = "external_id"
	FieldUserAliases       Field = "user_aliases"
	FieldBrazeID           Field = "braze_id"
	FieldDevices           Field = "devices"
	FieldEmail             Field = "email"
	FieldPushSubscribe     Field = "push_subscribe"
	FieldEmailSubscribe    Field = "email_subscribe"
	FieldCustomAttributes  Field = "custom_attributes"
	FieldApps              Field = "apps"
	FieldCreatedAt         Field = "created_at"
	FieldRandomBucket      Field = "random_bucket"
	FieldCampaignsReceived Field = "campaigns_received"
	FieldCanvasesReceived  Field = "canvases_received"
)

// User is a profile as [Client.ExportUsers] returns it, as far as the fields asked for go. What a profile does not have is left out of an export, as
// if it had not been asked for.
//
// Its segment.Profile can be given to the filters of package segment. Cohorts and Segments are always empty there: no export tells them.
//
// A User does not show its fields when it is printed or logged; encoding it as JSON does.
type User struct {
	segment.Profile
	// BrazeID is what Braze names the profile by, be it anonymous or not.
	BrazeID string
	// Fields are all exported fields as they came.
	Fields map[Field]json.RawMessage
}

// String returns a fixed text.
func (u User) String() string { return "user(redacted)" }

// GoString returns the text of String.
func (u User) GoString() string { return u.String() }

// Format prints the text of String under every verb.
func (u User) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.String()) }

// LogValue returns the text of String.
func (u User) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalJSON writes the fields as they came.
func (u User) MarshalJSON() ([]byte, error) { return json.Marshal(u.Fields) }

// UnmarshalJSON reads a user of an export. Identifiers must be what they promise to be; other fields that are not are left out of the Profile.
func (u *User) UnmarshalJSON(data []byte) error {
	*u = User{}
	// What encoding/json says may quote numbers of the text.
	unreadable := errors.New("rest: parse user: it is no object, or an identifier in it is not of the promised type: give it a user of an export")
	if json.Unmarshal(data, &u.Fields) != nil {
		return unreadable
	}
	var ids struct {
		ExternalID string      `json:"external_id"`
		Aliases    []aliasBody `json:"user_aliases"`
		BrazeID    string      `json:"braze_id"`
		Devices    []struct {
			DeviceID string `json:"device_id"`
			IDFV     string `json:"idfv"` // the device ID of iOS
		} `json:"devices"`
	}
	if json.Unmarshal(data, &ids) != nil {
		return unreadable
	}
	u.ExternalID, u.BrazeID = ids.ExternalID, ids.BrazeID
	for _, a := range ids.Aliases {
		u.Aliases = append(u.Aliases, identity.Alias{Label: a.Label, Name: a.Name})
	}
	for _, d := range ids.Devices {
		for _, id := range []string{d.DeviceID, d.IDFV} {
			if id != "" && !slices.Contains(u.DeviceIDs, id) {
				u.DeviceIDs = append(u.DeviceIDs, id)
			}
		}
	}
	u.Push, u.Email = u.subscription(FieldPushSubscribe), u.subscription(FieldEmailSubscribe)
	u.Attributes = u.attributes()
	u.apps()
	return nil
}

// subscription reads a state; one that nobody foresaw is not known.
func (u *User) subscription(field Field) (state segment.Subscription) {
	if json.Unmarshal(u.Fields[field], &state) != nil {
		return segment.NotKnown
	}
	return state
}

// attributes reads the custom attributes one by one, so that one of a kind that nobody foresaw costs no other.
func (u *User) attributes() map[string]segment.Value {
	var raw map[string]json.RawMessage
	if json.Unmarshal(u.Fields[FieldCustomAttributes], &raw) != nil || len(raw) == 0 {
		return nil
	}
	all := make(map[string]segment.Value, len(raw))
	for name, text := range raw {
		var v segment.Value
		if json.Unmarshal(text, &v) == nil {
			all[name] = v
		}
	}
	return all
}

// apps notes the apps in which the user had a session, and when the last was.
func (u *User) apps() {
	var all []struct {
		Name     string `json:"name"`
		Sessions *int   `json:"sessions"`
		LastUsed any    `json:"last_used"`
	}
	if json.Unmarshal(u.Fields[FieldApps], &all) != nil {
		return
	}
	for _, app := range all {
		if app.Sessions == nil || *app.Sessions > 0 {
			u.Apps = append(u.Apps, app.Name)
		}
		if at := timeOf(app.LastUsed); at.After(u.LastUsedApp) {
			u.LastUsedApp = at
		}
	}
}
