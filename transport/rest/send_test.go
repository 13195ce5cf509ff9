package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/segment"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/rest"
)

const (
	accepted     = `{"dispatch_id":"d-1","message":"success"}`
	goldAudience = `{"custom_attribute":{"custom_attribute_name":"tier","comparison":"equals","value":"gold"}}`
)

var (
	u17   = identity.ExternalID("u-17")
	crm90 = identity.Alias{Label: "crm", Name: "c-90"}.ID()
	phone = identity.DeviceID("phone-of-u-17")
	mail  = rest.Messages{"email": json.RawMessage(`{"subject":"Sale"}`)}
)

// send is one way to send.
type send func(context.Context, *rest.Client) (rest.Receipt, error)

func campaign(to rest.TriggerTarget, opts ...rest.CampaignOption) send {
	return func(ctx context.Context, c *rest.Client) (rest.Receipt, error) {
		return c.TriggerCampaign(ctx, "camp-1", to, opts...)
	}
}

func canvas(to rest.TriggerTarget, opts ...rest.CanvasOption) send {
	return func(ctx context.Context, c *rest.Client) (rest.Receipt, error) {
		return c.TriggerCanvas(ctx, "canvas-1", to, opts...)
	}
}

func message(to rest.MessageTarget, m rest.Messages, opts ...rest.MessageOption) send {
	return func(ctx context.Context, c *rest.Client) (rest.Receipt, error) {
		return c.SendMessages(ctx, to, m, opts...)
	}
}

// TestSendsOnTheWire has every target and every option.
func TestSendsOnTheWire(t *testing.T) {
	t.Parallel()
	const (
		campaigns = "/campaigns/trigger/send"
		canvases  = "/canvas/trigger/send"
		messages  = "/messages/send"
	)
	properties := map[string]any{"discount": 20}
	tests := []struct {
		name string
		send send
		path string
		want string
	}{
		{"campaign to an audience", campaign(rest.ToAudience(audience(t))), campaigns, `{"campaign_id":"camp-1","broadcast":true,"audience":` + goldAudience + `}`},
		{"campaign to everyone", campaign(rest.ToEveryone(), rest.WithProperties(properties), rest.WithSendID("send-1")), campaigns,
			`{"campaign_id":"camp-1","broadcast":true,"trigger_properties":{"discount":20},"send_id":"send-1"}`},
		{"campaign to recipients", campaign(rest.ToRecipients(
			rest.Recipient{ID: u17, Properties: properties},
			rest.Recipient{ID: crm90, Attributes: map[string]any{"tier": "gold"}},
			rest.Recipient{Email: "a@b.example", Prioritization: []rest.Prioritization{rest.Identified, rest.MostRecentlyUpdated}},
			rest.Recipient{BrazeID: "5f0e"},
			rest.Recipient{ID: identity.ExternalID("u-new"), Create: true, Attributes: map[string]any{}},
		), rest.WithAttachments(rest.Attachment{Name: "terms.pdf", URL: "https://files.example/terms.pdf"})), campaigns,
			`{"campaign_id":"camp-1","recipients":[{"external_user_id":"u-17","trigger_properties":{"discount":20}},
			{"user_alias":{"alias_name":"c-90","alias_label":"crm"},"attributes":{"tier":"gold"}},
			{"email":"a@b.example","prioritization":["identified","most_recently_updated"]},{"braze_id":"5f0e"},
			{"external_user_id":"u-new","send_to_existing_only":false,"attributes":{}}],"attachments":[{"file_name":"terms.pdf","url":"https://files.example/terms.pdf"}]}`},
		{"Canvas to an audience", canvas(rest.ToAudience(audience(t)), rest.WithProperties(properties)), canvases,
			`{"canvas_id":"canvas-1","broadcast":true,"audience":` + goldAudience + `,"context":{"discount":20}}`},
		{"Canvas to everyone", canvas(rest.ToEveryone()), canvases, `{"canvas_id":"canvas-1","broadcast":true}`},
		{"Canvas to recipients", canvas(rest.ToRecipients(rest.Recipient{ID: u17, Properties: properties})), canvases,
			`{"canvas_id":"canvas-1","recipients":[{"external_user_id":"u-17","context":{"discount":20}}]}`},
		{"messages to a segment", message(rest.ToSegment("seg-1"), mail), messages, `{"broadcast":true,"segment_id":"seg-1","messages":{"email":{"subject":"Sale"}}}`},
		{"messages to an audience", message(rest.ToAudience(audience(t)), mail), messages, `{"broadcast":true,"audience":` + goldAudience + `,"messages":{"email":{"subject":"Sale"}}}`},
		{"messages to users", message(rest.ToUsers(u17, crm90), mail), messages,
			`{"external_user_ids":["u-17"],"user_aliases":[{"alias_name":"c-90","alias_label":"crm"}],"messages":{"email":{"subject":"Sale"}}}`},
		{"messages to users in a segment, with all options", message(rest.ToUsersInSegment("seg-1", u17), mail,
			rest.WithSendID("send-1"), rest.WithCampaign("camp-1"), rest.OverrideFrequencyCapping(), rest.WithRecipientState(rest.StateOptedIn)), messages,
			`{"external_user_ids":["u-17"],"segment_id":"seg-1","campaign_id":"camp-1","send_id":"send-1","override_frequency_capping":true,
			"recipient_subscription_state":"opted_in","messages":{"email":{"subject":"Sale"}}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rt := following(answer(201, accepted))
			receipt, err := tt.send(t.Context(), newClient(t, rt))
			if diff := cmp.Diff(rest.Receipt{DispatchID: "d-1", Attempts: 1}, receipt); diff != "" || err != nil {
				t.Errorf("receipt (-want +got):\n%s%v", diff, err)
			}
			got := rt.seen()[0]
			if got.Method != http.MethodPost || got.URL != "https://rest.fra-01.braze.eu"+tt.path || got.Bearer != "Bearer "+restKey {
				t.Errorf("request %s %s %s", got.Method, got.URL, got.Bearer)
			}
			if diff := cmp.Diff(values(t, tt.want), values(t, got.Body)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

// everySend is one send of each path and kind of target.
func everySend(t *testing.T) map[string]send {
	t.Helper()
	return map[string]send{
		"campaign to an audience":   campaign(rest.ToAudience(audience(t))),
		"campaign to everyone":      campaign(rest.ToEveryone()),
		"campaign to recipients":    campaign(rest.ToRecipients(rest.Recipient{ID: u17})),
		"Canvas to an audience":     canvas(rest.ToAudience(audience(t))),
		"Canvas to everyone":        canvas(rest.ToEveryone()),
		"Canvas to recipients":      canvas(rest.ToRecipients(rest.Recipient{ID: crm90})),
		"messages to a segment":     message(rest.ToSegment("seg-1"), mail),
		"messages to an audience":   message(rest.ToAudience(audience(t)), mail),
		"messages to users":         message(rest.ToUsers(u17), mail),
		"messages to users therein": message(rest.ToUsersInSegment("seg-1", u17), mail),
	}
}

// TestOutcomeOfSends has each send fail in each way. What may have happened is never sent again.
func TestOutcomeOfSends(t *testing.T) {
	t.Parallel()
	const (
		ok      = transport.OutcomeAccepted
		refusal = transport.OutcomeRefused
		unknown = transport.OutcomeUnknown
	)
	fine := answer(201, accepted)
	tests := []struct {
		name     string
		steps    []step
		outcome  transport.Outcome
		attempts int
		kind     error
	}{
		{"accepted", []step{fine}, ok, 1, nil},
		{"applied, then lost", []step{failWith(io.EOF), fine}, unknown, 1, transport.ErrOutcomeUnknown},
		{"applied, then cut off", []step{broken(201, accepted[:9]), fine}, unknown, 1, transport.ErrOutcomeUnknown},
		{"no answer in time", []step{hang, fine}, unknown, 1, transport.ErrOutcomeUnknown},
		{"408", []step{answer(408, ""), fine}, unknown, 1, transport.ErrOutcomeUnknown},
		{"500", []step{answer(500, ""), fine}, unknown, 1, transport.ErrOutcomeUnknown},
		{"502", []step{answer(502, ""), fine}, unknown, 1, transport.ErrOutcomeUnknown},
		{"503", []step{answer(503, "", "Retry-After", "1"), fine}, unknown, 1, transport.ErrOutcomeUnknown},
		{"504", []step{answer(504, ""), fine}, unknown, 1, transport.ErrOutcomeUnknown},
		{"a proxy's page", []step{answer(200, "<html>"), fine}, unknown, 1, transport.ErrBadAnswer},
		{"204", []step{answer(204, ""), fine}, unknown, 1, transport.ErrOutcomeUnknown},
		{"without dispatch_id", []step{answer(201, `{"message":"success"}`), fine}, unknown, 1, transport.ErrOutcomeUnknown},
		{"without message", []step{answer(201, `{"dispatch_id":"d-1"}`), fine}, unknown, 1, transport.ErrOutcomeUnknown},
		{"a message of failure", []step{answer(201, `{"dispatch_id":"d-1","message":"Invalid Campaign ID"}`), fine}, unknown, 1, transport.ErrOutcomeUnknown},
		{"a dispatch_id of another type", []step{answer(201, `{"dispatch_id":7,"message":"success"}`), fine}, unknown, 1, transport.ErrOutcomeUnknown},
		{"429, then fine", []step{answer(429, "", "Retry-After", "3"), fine}, ok, 2, nil},
		{"never connected, then fine", []step{refused, refused, fine}, ok, 3, nil},
		{"never connected, then lost", []step{refused, failWith(io.EOF), fine}, unknown, 2, transport.ErrOutcomeUnknown},
		{"429, then 503", []step{answer(429, ""), answer(503, ""), fine}, unknown, 2, transport.ErrOutcomeUnknown},
		{"400", []step{answer(400, `{"message":"No Recipients"}`), fine}, refusal, 1, transport.ErrBadRequest},
		{"401", []step{answer(401, ""), fine}, refusal, 1, transport.ErrUnauthorized},
		{"403", []step{answer(403, ""), fine}, refusal, 1, transport.ErrForbidden},
		{"423", []step{answer(423, ""), fine}, refusal, 1, transport.ErrLocked},
		{"302", []step{answer(302, "", "Location", "https://elsewhere.example"), fine}, refusal, 1, transport.ErrRedirect},
	}
	for _, tt := range tests {
		for name, send := range everySend(t) {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					rt := following(tt.steps...)
					receipt, err := send(t.Context(), newClient(t, rt))
					if got := transport.OutcomeOf(err); got != tt.outcome || !errors.Is(err, tt.kind) || errors.Is(err, transport.ErrOutcomeUnknown) != (tt.outcome == unknown) {
						t.Errorf("outcome %s of %v, want %s, %v", got, err, tt.outcome, tt.kind)
					}
					if n := len(rt.seen()); n != tt.attempts {
						t.Errorf("%d attempts, want %d", n, tt.attempts)
					}
					want := rest.Receipt{}
					if tt.outcome == ok {
						want = rest.Receipt{DispatchID: "d-1", Attempts: tt.attempts}
					}
					if diff := cmp.Diff(want, receipt); diff != "" {
						t.Errorf("receipt (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}

// TestForbiddenSends has what the endpoint would refuse, or worse, accept.
func TestForbiddenSends(t *testing.T) {
	t.Parallel()
	recipients := func(r ...rest.Recipient) send { return campaign(rest.ToRecipients(r...)) }
	emails := func(p ...rest.Prioritization) send {
		return recipients(rest.Recipient{Email: "a@b.example", Prioritization: p})
	}
	many := make([]rest.Recipient, 51)
	ids := make([]identity.ID, 51)
	for i := range many {
		ids[i] = identity.ExternalID(fmt.Sprint("u-", i))
		many[i] = rest.Recipient{ID: ids[i]}
	}
	attachment := rest.WithAttachments(rest.Attachment{Name: "a", URL: "https://files.example/a"})
	long := map[string]any{"a": strings.Repeat("b", rest.MaxContext-7)} // with quotes, braces and colon one too long
	properties := rest.WithProperties(map[string]any{})
	with := func(to rest.TriggerTarget, opts ...rest.CampaignOption) send { return campaign(to, opts...) }
	toOne := rest.ToRecipients(rest.Recipient{ID: u17})
	tests := []struct {
		name  string
		send  send
		field string
	}{
		{"no campaign", func(ctx context.Context, c *rest.Client) (rest.Receipt, error) {
			return c.TriggerCampaign(ctx, "", toOne)
		}, "campaign ID"},
		{"no Canvas", func(ctx context.Context, c *rest.Client) (rest.Receipt, error) {
			return c.TriggerCanvas(ctx, "", toOne)
		}, "Canvas ID"},
		{"a campaign with a line break", func(ctx context.Context, c *rest.Client) (rest.Receipt, error) {
			return c.TriggerCampaign(ctx, "a\n", toOne)
		}, "campaign ID"},
		{"campaign without a target", campaign(nil), "target"},
		{"Canvas without a target", canvas(nil), "target"},
		{"messages without a target", message(nil, mail), "target"},
		{"campaign with a nil option", campaign(toOne, nil), "option"},
		{"Canvas with a nil option", canvas(toOne, nil), "option"},
		{"messages with a nil option", message(rest.ToUsers(u17), mail, nil), "option"},
		{"nil audience", campaign(rest.ToAudience(nil)), "audience"},
		{"zero audience", canvas(rest.ToAudience(&segment.ConnectedAudience{})), "audience"},
		{"zero target", message(rest.AudienceTarget{}, mail), "audience"},

		{"no recipients", recipients(), "recipients"},
		{"51 recipients", recipients(many...), "recipients"},
		{"no identifier", recipients(rest.Recipient{ID: u17}, rest.Recipient{}), "recipients[1]"},
		{"two identifiers", recipients(rest.Recipient{ID: u17, BrazeID: "5f0e"}), "recipients[0]"},
		{"three identifiers", recipients(rest.Recipient{ID: u17, Email: "a@b.example", BrazeID: "5f0e"}), "recipients[0]"},
		{"empty external ID", recipients(rest.Recipient{ID: identity.ExternalID("")}), "recipients[0].ID"},
		{"empty alias label", recipients(rest.Recipient{ID: identity.Alias{Name: "c-90"}.ID()}), "recipients[0].ID"},
		{"a device", recipients(rest.Recipient{ID: phone}), "recipients[0].ID"},
		{"Braze ID with a line break", recipients(rest.Recipient{BrazeID: "5f0e\n"}), "recipients[0].BrazeID"},
		{"e-mail with a line break", recipients(rest.Recipient{Email: "a@b.example\n", Prioritization: []rest.Prioritization{rest.Identified}}), "recipients[0].Email"},
		{"e-mail without a prioritization", emails(), "recipients[0].Prioritization"},
		{"identified and unidentified", emails(rest.Identified, rest.Unidentified), "recipients[0].Prioritization"},
		{"one prioritization twice", emails(rest.MostRecentlyUpdated, rest.MostRecentlyUpdated), "recipients[0].Prioritization"},
		{"unknown prioritization", emails("the_nicest"), "recipients[0].Prioritization"},
		{"prioritization without e-mail", recipients(rest.Recipient{ID: u17, Prioritization: []rest.Prioritization{rest.Identified}}), "recipients[0].Prioritization"},
		{"alias to be created", recipients(rest.Recipient{ID: crm90, Create: true, Attributes: map[string]any{"a": 1}}), "recipients[0].Create"},
		{"to be created without attributes", recipients(rest.Recipient{ID: u17, Create: true}), "recipients[0].Create"},

		{"attachment to everyone", with(rest.ToEveryone(), attachment), "attachments"},
		{"attachment to an audience", with(rest.ToAudience(audience(t)), attachment), "attachments"},
		{"attachments twice", with(toOne, attachment, attachment), "WithAttachments"},
		{"no attachments", with(toOne, rest.WithAttachments()), "WithAttachments"},
		{"attachment without a name", with(toOne, rest.WithAttachments(rest.Attachment{URL: "https://files.example/a"})), "attachments[0].Name"},
		{"attachment without a URL", with(toOne, rest.WithAttachments(rest.Attachment{Name: "a"})), "attachments[0].URL"},
		{"attachment on this machine", with(toOne, rest.WithAttachments(rest.Attachment{Name: "a", URL: "file:///a"})), "attachments[0].URL"},
		{"properties twice", with(toOne, properties, properties), "WithProperties"},
		{"context twice", canvas(toOne, properties, properties), "WithProperties"},
		{"no properties", with(toOne, rest.WithProperties(nil)), "WithProperties"},
		{"properties that are no JSON", with(toOne, rest.WithProperties(map[string]any{"a": math.NaN()})), "request"},
		{"context that is no JSON", canvas(toOne, rest.WithProperties(map[string]any{"a": func() {}})), "request"},
		{"context of more than 50 KB", canvas(toOne, rest.WithProperties(long)), "WithProperties"},
		{"recipient's context of more than 50 KB", canvas(rest.ToRecipients(rest.Recipient{ID: u17, Properties: long})), "recipients[0].Properties"},
		{"more than 4 MB", with(toOne, rest.WithProperties(map[string]any{"a": strings.Repeat("b", 4_000_000)})), "request"},

		{"empty send ID", with(toOne, rest.WithSendID("")), "send ID"},
		{"send ID of 65 characters", with(toOne, rest.WithSendID(strings.Repeat("a", 65))), "send ID"},
		{"send ID beyond ASCII", message(rest.ToUsers(u17), mail, rest.WithSendID("é")), "send ID"},
		{"send ID with a delete", with(toOne, rest.WithSendID("a\x7f")), "send ID"},
		{"send ID twice", message(rest.ToUsers(u17), mail, rest.WithSendID("a"), rest.WithSendID("b")), "WithSendID"},

		{"no segment", message(rest.ToSegment(""), mail), "segment ID"},
		{"users in no segment", message(rest.ToUsersInSegment("", u17), mail), "segment ID"},
		{"no users in a segment", message(rest.ToUsersInSegment("seg-1"), mail), "users"},
		{"no users", message(rest.ToUsers(), mail), "users"},
		{"51 users", message(rest.ToUsers(ids...), mail), "users"},
		{"a device among users", message(rest.ToUsers(u17, phone), mail), "users[1]"},
		{"an empty user", message(rest.ToUsers(identity.ID{}), mail), "users[0]"},
		{"no messages", message(rest.ToUsers(u17), nil), "messages"},
		{"message without a channel", message(rest.ToUsers(u17), rest.Messages{"": json.RawMessage(`{}`)}), "name of a channel"},
		{"message that is no object", message(rest.ToUsers(u17), rest.Messages{"email": json.RawMessage(`"a"`)}), `message for channel "email"`},
		{"message that is cut off", message(rest.ToUsers(u17), rest.Messages{"email": json.RawMessage(`{"a":`)}), `message for channel "email"`},
		{"message that is nil", message(rest.ToUsers(u17), rest.Messages{"email": nil}), `message for channel "email"`},
		{"no campaign to count for", message(rest.ToUsers(u17), mail, rest.WithCampaign("")), "campaign ID"},
		{"two campaigns to count for", message(rest.ToUsers(u17), mail, rest.WithCampaign("a"), rest.WithCampaign("b")), "WithCampaign"},
		{"capping overridden twice", message(rest.ToUsers(u17), mail, rest.OverrideFrequencyCapping(), rest.OverrideFrequencyCapping()), "OverrideFrequencyCapping"},
		{"unknown state", message(rest.ToUsers(u17), mail, rest.WithRecipientState("")), "WithRecipientState"},
		{"two states", message(rest.ToUsers(u17), mail, rest.WithRecipientState(rest.StateAll), rest.WithRecipientState(rest.StateOptedIn)), "WithRecipientState"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rt := following(answer(201, accepted))
			_, err := tt.send(t.Context(), newClient(t, rt))
			invalid, ok := errors.AsType[*rest.InvalidError](err)
			if !ok || invalid.Field != tt.field || invalid.Problem == "" || invalid.Next == "" || transport.OutcomeOf(err) != transport.OutcomeUnsent {
				t.Errorf("error %v (%#v), want one of %s", err, invalid, tt.field)
			}
			if n := len(rt.seen()); n != 0 {
				t.Errorf("%d requests", n)
			}
			mustKeepSecrets(t, err)
		})
	}
}

// TestLargestSends are just within the limits.
func TestLargestSends(t *testing.T) {
	t.Parallel()
	many := make([]rest.Recipient, rest.MaxRecipients)
	for i := range many {
		many[i] = rest.Recipient{ID: identity.ExternalID(fmt.Sprint("u-", i))}
	}
	for name, send := range map[string]send{
		"50 recipients":          campaign(rest.ToRecipients(many...)),
		"context of 50 KB":       canvas(rest.ToEveryone(), rest.WithProperties(map[string]any{"a": strings.Repeat("b", rest.MaxContext-8)})),
		"send ID of 64 letters":  campaign(rest.ToEveryone(), rest.WithSendID(strings.Repeat("~", 64))),
		"campaign of over 50 KB": campaign(rest.ToEveryone(), rest.WithProperties(map[string]any{"a": strings.Repeat("b", rest.MaxContext)})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := send(t.Context(), newClient(t, following(answer(201, accepted)))); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTargetsAreCopies has a caller who uses a slice again.
func TestTargetsAreCopies(t *testing.T) {
	t.Parallel()
	recipients, ids := []rest.Recipient{{ID: u17}}, []identity.ID{u17}
	trigger, users, therein, query := rest.ToRecipients(recipients...), rest.ToUsers(ids...), rest.ToUsersInSegment("seg-1", ids...), rest.ByID(ids...)
	recipients[0], ids[0] = rest.Recipient{ID: crm90}, crm90
	rt := following(answer(201, accepted), answer(201, accepted), answer(201, accepted), answer(200, `{"users":[]}`))
	c := newClient(t, rt)
	_, err1 := c.TriggerCampaign(t.Context(), "camp-1", trigger)
	_, err2 := c.SendMessages(t.Context(), users, mail)
	_, err3 := c.SendMessages(t.Context(), therein, mail)
	_, err4 := c.ExportUsers(t.Context(), query, rest.FieldExternalID)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	for _, r := range rt.seen() {
		if !strings.Contains(r.Body, "u-17") || strings.Contains(r.Body, "c-90") {
			t.Errorf("sent %s", r.Body)
		}
	}
}

func TestReceipt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		step step
		want rest.Receipt
		text string
	}{
		{"dispatched", answer(201, accepted), rest.Receipt{DispatchID: "d-1", Attempts: 1}, "dispatch d-1"},
		{"200", answer(200, accepted), rest.Receipt{DispatchID: "d-1", Attempts: 1}, "dispatch d-1"},
		{"tracked", answer(201, `{"message":"success","send_id":"send-1"}`), rest.Receipt{SendID: "send-1", Attempts: 1}, "send send-1"},
		{"queued during maintenance", answer(202, `{"message":"queued"}`), rest.Receipt{Queued: true, Attempts: 1}, "queued"},
		{"paused", answer(201, `{"dispatch_id":"d-1","message":"success","notice":"The Canvas is paused"}`),
			rest.Receipt{DispatchID: "d-1", Notice: "The Canvas is paused", Attempts: 1}, "dispatch d-1, nothing sent, see Notice"},
		{"archived, without a dispatch", answer(201, `{"message":"success","notice":"The Canvas is archived"}`),
			rest.Receipt{Notice: "The Canvas is archived", Attempts: 1}, "nothing sent, see Notice"},
		{"minor errors", answer(201, `{"dispatch_id":"d-1","message":"success","errors":["u-17 is unknown",{"type":"alias"}]}`),
			rest.Receipt{DispatchID: "d-1", MinorErrors: []string{"u-17 is unknown", `{"type":"alias"}`}, Attempts: 1}, "dispatch d-1, 2 minor errors"},
		{"a minor error that is no list", answer(201, `{"dispatch_id":"d-1","message":"success","errors":"u-17 is unknown"}`),
			rest.Receipt{DispatchID: "d-1", MinorErrors: []string{"u-17 is unknown"}, Attempts: 1}, "dispatch d-1, 1 minor error"},
		{"no minor errors", answer(201, `{"dispatch_id":"d-1","message":"success","errors":[],"novelty":1}`), rest.Receipt{DispatchID: "d-1", Attempts: 1}, "dispatch d-1"},
		{"the key in every text", answer(201, `{"dispatch_id":"`+restKey+`","send_id":"`+restKey+`","message":"success","notice":"`+restKey+`","errors":["`+restKey+`",{"a":"`+restKey+`"}]}`),
			rest.Receipt{DispatchID: "[redacted]", SendID: "[redacted]", Notice: "[redacted]", MinorErrors: []string{"[redacted]", `{"a":"[redacted]"}`}, Attempts: 1},
			"dispatch [redacted], send [redacted], nothing sent, see Notice, 2 minor errors"},
	}
	for _, tt := range tests {
		for name, send := range everySend(t) {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				got, err := send(t.Context(), newClient(t, following(tt.step)))
				if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
					t.Errorf("receipt (-want +got):\n%s%v", diff, err)
				}
				if got := fmt.Sprintf("%v|%+v|%#v|%s", got, got, got, got); got != strings.Join([]string{tt.text, tt.text, tt.text, tt.text}, "|") {
					t.Errorf("printed %s, want %s", got, tt.text)
				}
			})
		}
	}
	if got := fmt.Sprint(rest.Receipt{}); got != "no receipt" {
		t.Errorf("zero Receipt: %s", got)
	}
}
