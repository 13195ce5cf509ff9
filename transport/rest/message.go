package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/cohortkit/cohortkit/segment"
	"github.com/cohortkit/cohortkit/transport"
)

const opMessages = "messages.send"

// Messages are what is sent, a JSON object for each channel by the name that Braze gives it, such as "email" or "apple_push". Their fields are those
// of Braze's messaging objects; they are sent as they are.
type Messages map[string]json.RawMessage

func (m Messages) check() error {
	if len(m) == 0 {
		return &InvalidError{Field: "messages", Problem: "must not be empty", Next: "give the message of at least one channel"}
	}
	for channel, object := range m {
		if err := checkText("name of a channel", channel, "use the name of Braze's messaging object"); err != nil {
			return err
		}
		if trimmed := bytes.TrimSpace(object); len(trimmed) == 0 || trimmed[0] != '{' || !json.Valid(trimmed) {
			return &InvalidError{Field: fmt.Sprintf("message for channel %q", channel), Problem: "is not a JSON object", Next: "encode the messaging object of the channel"}
		}
	}
	return nil
}

// SubscriptionState says which users may get a message, by their state in its channel.
type SubscriptionState string

// The states.
const (
	StateOptedIn    SubscriptionState = "opted_in"   // only those who said yes
	StateSubscribed SubscriptionState = "subscribed" // those too who said nothing; the default
	StateAll        SubscriptionState = "all"        // those too who said no
)

// MessageOption is an option of [Client.SendMessages]. The order of options does not matter, and each is given at most once.
type MessageOption interface{ applyMessage(*messageBody) error }

type messageOptionFunc func(*messageBody) error

func (f messageOptionFunc) applyMessage(b *messageBody) error { return f(b) }

// WithRecipientState sets which subscription state a user must have. Default [StateSubscribed].
func WithRecipientState(s SubscriptionState) MessageOption {
	return messageOptionFunc(func(b *messageBody) error {
		switch s {
		case StateOptedIn, StateSubscribed, StateAll:
		default:
			return &InvalidError{Field: "WithRecipientState", Problem: "has a value that is not known", Next: "use StateOptedIn, StateSubscribed or StateAll"}
		}
		if b.RecipientState != "" {
			return twice("WithRecipientState")
		}
		b.RecipientState = s
		return nil
	})
}

// WithCampaign counts the messages for the campaign with this ID.
func WithCampaign(id string) MessageOption {
	return messageOptionFunc(func(b *messageBody) error {
		if b.CampaignID != "" {
			return twice("WithCampaign")
		}
		b.CampaignID = id
		return checkText("campaign ID", id, "leave the option out")
	})
}

// OverrideFrequencyCapping sends to users, too, who have got as many messages as the workspace's frequency capping allows.
func OverrideFrequencyCapping() MessageOption {
	return messageOptionFunc(func(b *messageBody) error {
		if b.OverrideCapping {
			return twice("OverrideFrequencyCapping")
		}
		b.OverrideCapping = true
		return nil
	})
}

// SendIDOption is the option of [WithSendID].
type SendIDOption interface {
	CampaignOption
	MessageOption
}

// WithSendID counts the messages under a send ID, which was created before. It has up to 64 characters of ASCII.
func WithSendID(id string) SendIDOption { return sendIDOption(id) }

type sendIDOption string

func (o sendIDOption) applyCampaign(b *triggerBody) error { return o.set(&b.SendID) }
func (o sendIDOption) applyMessage(b *messageBody) error  { return o.set(&b.SendID) }

func (o sendIDOption) set(to *string) error {
	const longest = 64
	if *to != "" {
		return twice("WithSendID")
	}
	if err := checkText("send ID", string(o), "leave the option out"); err != nil {
		return err
	}
	for i := range len(o) {
		if o[i] > '~' {
			return &InvalidError{Field: "send ID", Problem: "has characters that are not ASCII", Next: "give the send ID that was created"}
		}
	}
	if len(o) > longest {
		return &InvalidError{Field: "send ID", Problem: fmt.Sprintf("has %d characters, more than the documented %d", len(o), longest), Next: "give the send ID that was created"}
	}
	*to = string(o)
	return nil
}

// messageBody is a send of messages on the wire.
type messageBody struct {
	Broadcast       bool                       `json:"broadcast,omitempty"`
	ExternalIDs     []string                   `json:"external_user_ids,omitempty"`
	Aliases         []aliasBody                `json:"user_aliases,omitempty"`
	SegmentID       string                     `json:"segment_id,omitempty"`
	Audience        *segment.ConnectedAudience `json:"audience,omitempty"`
	CampaignID      string                     `json:"campaign_id,omitempty"`
	SendID          string                     `json:"send_id,omitempty"`
	OverrideCapping bool                       `json:"override_frequency_capping,omitempty"`
	RecipientState  SubscriptionState          `json:"recipient_subscription_state,omitempty"`
	Messages        Messages                   `json:"messages"`
}

func (b *messageBody) isBroadcast() bool { return b.Broadcast }

// SendMessages sends messages that are written here and not in the dashboard. It is the only send that takes a segment by its ID. The key needs the
// permission messages.send. What an error means is the same as for [Client.TriggerCampaign].
func (c *Client) SendMessages(ctx context.Context, to MessageTarget, messages Messages, opts ...MessageOption) (Receipt, error) {
	body := messageBody{Messages: messages}
	if to == nil {
		return Receipt{}, &InvalidError{Field: "target", Problem: "is nil", Next: "use ToSegment, ToUsers, ToUsersInSegment or ToAudience"}
	}
	if err := to.address(&body); err != nil {
		return Receipt{}, err
	}
	if err := messages.check(); err != nil {
		return Receipt{}, err
	}
	for _, o := range opts {
		if o == nil {
			return Receipt{}, &InvalidError{Field: "option", Problem: "is nil", Next: "leave it out"}
		}
		if err := o.applyMessage(&body); err != nil {
			return Receipt{}, err
		}
	}
	receipt, err := c.send(ctx, transport.Request{Operation: opMessages, Path: "/messages/send"}, &body)
	if err != nil {
		return Receipt{}, fmt.Errorf("rest: send messages: %w", err)
	}
	return receipt, nil
}
