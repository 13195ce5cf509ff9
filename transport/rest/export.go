package rest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport"
)

const opExport = "users.export.ids"

// UserQuery says which users to export: [ByID], [ByEmail], [ByPhone] or [ByBrazeID]. It does not show what it holds.
type UserQuery struct {
	by    string // what the caller gave, in words
	ids   []identity.ID
	value string
}

// ByID asks for users by up to [MaxRecipients] external IDs and aliases, or for those of one device ID, which the endpoint takes one at a time. For
// more of them, see [Client.LookUp].
func ByID(ids ...identity.ID) UserQuery { return UserQuery{by: "IDs", ids: slices.Clone(ids)} }

// ByEmail asks for all users who have the e-mail address.
func ByEmail(address string) UserQuery { return UserQuery{by: "e-mail address", value: address} }

// ByPhone asks for all users who have the phone number, which is in the form of E.164: "+33123456789".
func ByPhone(number string) UserQuery { return UserQuery{by: "phone number", value: number} }

// ByBrazeID asks for the user whom Braze names so.
func ByBrazeID(id string) UserQuery { return UserQuery{by: "Braze ID", value: id} }

// String returns a fixed text.
func (q UserQuery) String() string { return "user query(redacted)" }

// Format prints the text of String under every verb.
func (q UserQuery) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, q.String()) }

// exportBody is an export on the wire.
type exportBody struct {
	ExternalIDs []string    `json:"external_ids,omitempty"`
	Aliases     []aliasBody `json:"user_aliases,omitempty"`
	DeviceID    string      `json:"device_id,omitempty"`
	BrazeID     string      `json:"braze_id,omitempty"`
	Email       string      `json:"email_address,omitempty"`
	Phone       string      `json:"phone,omitempty"`
	Fields      []Field     `json:"fields_to_export"`
}

func (q UserQuery) body() (exportBody, error) {
	var b exportBody
	switch q.by {
	case "IDs":
		return idsBody(q.ids)
	case "e-mail address":
		b.Email = q.value
	case "phone number":
		b.Phone = q.value
	case "Braze ID":
		b.BrazeID = q.value
	default:
		return b, &InvalidError{Field: "query", Problem: "asks for nobody", Next: "use ByID, ByEmail, ByPhone or ByBrazeID"}
	}
	return b, checkText(q.by, q.value, "give what the user is to be found by")
}

func idsBody(ids []identity.ID) (exportBody, error) {
	var b exportBody
	if err := checkCount("IDs", len(ids)); err != nil {
		return b, err
	}
	for i, id := range ids {
		if err := checkID(fmt.Sprintf("IDs[%d]", i), id); err != nil {
			return b, err
		}
		switch alias, isAlias := id.Alias(); {
		case isAlias:
			b.Aliases = append(b.Aliases, aliasBody{Name: alias.Name, Label: alias.Label})
		case id.Kind() == identity.ExternalIDKind:
			b.ExternalIDs = append(b.ExternalIDs, id.Value())
		case len(ids) > 1:
			return b, &InvalidError{Field: fmt.Sprintf("IDs[%d]", i), Problem: "is a device ID beside others", Next: "ask for each device by itself, or use LookUp"}
		default:
			b.DeviceID = id.Value()
		}
	}
	return b, nil
}

// Export is what [Client.ExportUsers] found.
type Export struct {
	// Users are the users found, in the order of the endpoint.
	Users []User
	// Unknown are the identifiers that no user has, as far as the endpoint names them and in its own spelling. They are personal data.
	Unknown []string
}

// String counts the users.
func (e Export) String() string {
	return fmt.Sprintf("%d users, %d unknown", len(e.Users), len(e.Unknown))
}

// Format prints String under every verb.
func (e Export) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.String()) }

// LogValue shows String.
func (e Export) LogValue() slog.Value { return slog.StringValue(e.String()) }

type exportAnswer struct {
	Users   []User   `json:"users"`
	Unknown []string `json:"invalid_user_ids"`
}

func (a *exportAnswer) check() error {
	if a.Users == nil && a.Unknown == nil {
		return &AnswerError{Field: "users", Problem: "is missing"}
	}
	return nil
}

// ExportUsers returns those of the users asked for who exist, with the given fields of their profiles, of which there must be one at
// least. [FieldCampaignsReceived] and [FieldCanvasesReceived] have a much lower limit than all others; see [Limits].
//
// It makes one request. The key needs the permission users.export.ids. Errors are an [*InvalidError], and those of [transport.Client.Do].
func (c *Client) ExportUsers(ctx context.Context, users UserQuery, fields ...Field) (Export, error) {
	body, err := users.body()
	if err != nil {
		return Export{}, err
	}
	if len(fields) == 0 {
		return Export{}, &InvalidError{Field: "fields", Problem: "must not be empty", Next: "name the fields to export, such as rest.FieldExternalID"}
	}
	for i, f := range fields {
		if err := checkText(fmt.Sprintf("fields[%d]", i), string(f), "leave it out"); err != nil {
			return Export{}, err
		}
	}
	body.Fields = fields
	got, err := c.export(ctx, body)
	if err != nil {
		return Export{}, fmt.Errorf("rest: export users: %w", err)
	}
	return got, nil
}

func (c *Client) export(ctx context.Context, body exportBody) (Export, error) {
	text, err := encode(body)
	if err != nil {
		return Export{}, err
	}
	limiter := c.limits.Export
	if slices.Contains(body.Fields, FieldCampaignsReceived) || slices.Contains(body.Fields, FieldCanvasesReceived) {
		limiter = c.limits.ExportReceived
	}
	var got exportAnswer
	if err := c.read(ctx, transport.Request{Operation: opExport, Path: "/users/export/ids", Body: text, Limiter: limiter}, &got); err != nil {
		return Export{}, err
	}
	return Export(got), nil
}
