package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/cohortkit/cohortkit/segment"
	"github.com/cohortkit/cohortkit/transport"
)

const (
	opCampaign = "campaigns.trigger.send"
	opCanvas   = "canvas.trigger.send"
)

// MaxContext is the documented length of the properties of a Canvas as JSON, 50 KB, read as the smaller of its two meanings.
const MaxContext = 50_000

// CampaignOption is an option of [Client.TriggerCampaign]. The order of options does not matter, and each is given at most once.
type CampaignOption interface{ applyCampaign(*triggerBody) error }

// CanvasOption is an option of [Client.TriggerCanvas]. The order of options does not matter, and each is given at most once.
type CanvasOption interface{ applyCanvas(*triggerBody) error }

// TriggerOption is an option of [Client.TriggerCampaign] and [Client.TriggerCanvas].
type TriggerOption interface {
	CampaignOption
	CanvasOption
}

// triggerBody is a trigger on the wire.
type triggerBody struct {
	CampaignID  string                     `json:"campaign_id,omitempty"`
	CanvasID    string                     `json:"canvas_id,omitempty"`
	SendID      string                     `json:"send_id,omitempty"`
	Properties  map[string]any             `json:"trigger_properties,omitempty"` // of a campaign
	Context     map[string]any             `json:"context,omitempty"`            // of a Canvas
	Broadcast   bool                       `json:"broadcast,omitempty"`
	Audience    *segment.ConnectedAudience `json:"audience,omitempty"`
	Recipients  []recipientBody            `json:"recipients,omitempty"`
	Attachments []attachmentBody           `json:"attachments,omitempty"`
}

func (b *triggerBody) isBroadcast() bool { return b.Broadcast }

// WithProperties gives keys to the templates of the message, the same for everyone: the trigger_properties of a campaign, the context of a Canvas,
// which has at most [MaxContext] bytes.
func WithProperties(properties map[string]any) TriggerOption { return propertiesOption(properties) }

type propertiesOption map[string]any

func (p propertiesOption) applyCampaign(b *triggerBody) error {
	return setOnce("WithProperties", &b.Properties, p)
}

func (p propertiesOption) applyCanvas(b *triggerBody) error {
	if err := setOnce("WithProperties", &b.Context, p); err != nil {
		return err
	}
	return checkContext("WithProperties", p)
}

func setOnce(option string, to *map[string]any, properties map[string]any) error {
	if *to != nil {
		return twice(option)
	}
	if properties == nil {
		return &InvalidError{Field: option, Problem: "has no properties", Next: "leave the option out"}
	}
	*to = properties
	return nil
}

func twice(option string) error {
	return &InvalidError{Field: option, Problem: "is given twice", Next: "leave one out"}
}

// checkContext refuses properties that are too long for a Canvas.
func checkContext(field string, properties map[string]any) error {
	text, err := json.Marshal(properties)
	if err == nil && len(text) > MaxContext { // what cannot be encoded is found when the whole is
		return &InvalidError{
			Field: field, Problem: fmt.Sprintf("are %d bytes of JSON, more than the documented 50 KB", len(text)),
			Next: "keep what is large out of the message",
		}
	}
	return nil
}

// Attachment is a file that the message of a campaign carries. Braze fetches it; it may have up to 2 MB.
type Attachment struct {
	Name string // the name of the file as the recipient sees it
	URL  string // where Braze fetches it
}

type attachmentBody struct {
	Name string `json:"file_name"`
	URL  string `json:"url"`
}

// WithAttachments attaches files. They cannot be attached to a broadcast: only [ToRecipients] takes them.
func WithAttachments(attachments ...Attachment) CampaignOption { return attachmentsOption(attachments) }

type attachmentsOption []Attachment

func (o attachmentsOption) applyCampaign(b *triggerBody) error {
	switch {
	case b.Attachments != nil:
		return twice("WithAttachments")
	case len(o) == 0:
		return &InvalidError{Field: "WithAttachments", Problem: "has no attachment", Next: "leave the option out"}
	}
	for i, a := range o {
		if err := checkText(fmt.Sprintf("attachments[%d].Name", i), a.Name, "give the name of the file"); err != nil {
			return err
		}
		if u, err := url.Parse(a.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return &InvalidError{Field: fmt.Sprintf("attachments[%d].URL", i), Problem: "is no http address", Next: "give the whole URL where Braze fetches the file"}
		}
		b.Attachments = append(b.Attachments, attachmentBody(a))
	}
	return nil
}

// TriggerCampaign sends an API-triggered campaign. The key needs the permission campaigns.trigger.send.
//
// A nil error means that Braze accepted the send, not that anybody gets it: see [Receipt]. A send is repeated only where nothing can have happened,
// after a 429 or when no connection came about. When its answer is lost, errors.Is(err, [transport.ErrOutcomeUnknown]) holds: the
// message may be on its way, so look into the dashboard before sending again. Other errors are an [*InvalidError], before anything is sent, and those
// of [transport.Client.Do].
func (c *Client) TriggerCampaign(ctx context.Context, campaignID string, to TriggerTarget, opts ...CampaignOption) (Receipt, error) {
	body := triggerBody{CampaignID: campaignID}
	if err := checkText("campaign ID", campaignID, "copy it from the campaign's step of the API trigger"); err != nil {
		return Receipt{}, err
	}
	for _, o := range opts {
		if o == nil {
			return Receipt{}, &InvalidError{Field: "option", Problem: "is nil", Next: "leave it out"}
		}
		if err := o.applyCampaign(&body); err != nil {
			return Receipt{}, err
		}
	}
	receipt, err := c.trigger(ctx, transport.Request{Operation: opCampaign, Path: "/campaigns/trigger/send"}, &body, to)
	if err != nil {
		return Receipt{}, fmt.Errorf("rest: trigger campaign: %w", err)
	}
	return receipt, nil
}

// TriggerCanvas sends users into an API-triggered Canvas. The key needs the permission canvas.trigger.send. What an error means is the same as for
// [Client.TriggerCampaign].
//
// A Canvas that is archived or paused accepts the call like any other and sends nothing: look at the [Receipt]'s Notice.
func (c *Client) TriggerCanvas(ctx context.Context, canvasID string, to TriggerTarget, opts ...CanvasOption) (Receipt, error) {
	body := triggerBody{CanvasID: canvasID}
	if err := checkText("Canvas ID", canvasID, "copy it from the Canvas's API trigger"); err != nil {
		return Receipt{}, err
	}
	for _, o := range opts {
		if o == nil {
			return Receipt{}, &InvalidError{Field: "option", Problem: "is nil", Next: "leave it out"}
		}
		if err := o.applyCanvas(&body); err != nil {
			return Receipt{}, err
		}
	}
	receipt, err := c.trigger(ctx, transport.Request{Operation: opCanvas, Path: "/canvas/trigger/send"}, &body, to)
	if err != nil {
		return Receipt{}, fmt.Errorf("rest: trigger Canvas: %w", err)
	}
	return receipt, nil
}

func (c *Client) trigger(ctx context.Context, req transport.Request, body *triggerBody, to TriggerTarget) (Receipt, error) {
	if to == nil {
		return Receipt{}, &InvalidError{Field: "target", Problem: "is nil", Next: "use ToRecipients, ToAudience or ToEveryone"}
	}
	if err := to.aim(body); err != nil {
		return Receipt{}, err
	}
	if body.Broadcast && body.Attachments != nil {
		return Receipt{}, &InvalidError{Field: "attachments", Problem: "cannot go to an audience or to everyone", Next: "send them ToRecipients, or leave them out"}
	}
	return c.send(ctx, req, body)
}
