package brazetest

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/cohortkit/cohortkit/segment"
)

// Send is an accepted request to send: who it would have reached. It shows identifiers when it is printed.
type Send struct {
	// Number counts the sends of the workspace, from 1. Request is the number of the request in the request log.
	Number, Request int
	At              time.Time
	// Operation is [TriggerCampaign], [TriggerCanvas] or [SendMessages].
	Operation Operation
	// CampaignID is the ID of the campaign or Canvas, and SegmentID the segment_id of [SendMessages]. Either may be empty
	// there.
	CampaignID, SegmentID string
	// DispatchID is the one of the answer, and SendID that of the request.
	DispatchID, SendID string
	// Broadcast is set when the request named no recipients.
	Broadcast bool
	// Audience is the Connected Audience of the request, or nil.
	Audience *segment.ConnectedAudience
	// Reached are the users that it would have reached, in the order in which the profiles were added to the workspace.
	Reached []Reached
	// Missed are the recipients that the request named and that would not have been reached, in its order.
	Missed []Miss
}

// ExternalIDs returns the external IDs of those it reached that have one, in the order of Reached.
func (s Send) ExternalIDs() []string {
	var ids []string
	for _, r := range s.Reached {
		if r.ExternalID != "" {
			ids = append(ids, r.ExternalID)
		}
	}
	return ids
}

// Reached is a user whom a send reached, with the identifiers that the profile had then.
type Reached struct {
	BrazeID, ExternalID string
	// Properties are the trigger properties or the context for this user: those of the request, with those of the
	// recipient over them, as a JSON object. nil when there are none.
	Properties json.RawMessage
}

// Miss is a recipient that an accepted request named and that it did not reach.
type Miss struct {
	// Recipient is the place in the request, from 0. [SendMessages] counts external_user_ids first, then user_aliases.
	Recipient int
	Reason    MissReason
}

// MissReason says why a recipient was not reached.
type MissReason uint8

// The reasons.
const (
	// MissedUnknown means that no profile has the identifier, or that the prioritization of an e-mail address did not end with one.
	MissedUnknown MissReason = iota + 1
	// MissedRepeated means that a later recipient is the same user.
	MissedRepeated
	// MissedStopped means that the campaign or Canvas is archived or paused.
	MissedStopped
	// MissedTarget means that the user is not in the target audience of the campaign or Canvas, or not in the segment of the request.
	MissedTarget
	// MissedAudience means that the user is not in the Connected Audience of the request.
	MissedAudience
	// MissedSubscription means that the user's subscription is none of those that recipient_subscription_state asks for.
	MissedSubscription
)

// String describes the reason in a few words.
func (r MissReason) String() string {
	switch r {
	case MissedUnknown:
		return "no such profile"
	case MissedRepeated:
		return "named again later"
	case MissedStopped:
		return "archived or paused"
	case MissedTarget:
		return "not in the target audience"
	case MissedAudience:
		return "not in the Connected Audience"
	case MissedSubscription:
		return "not subscribed"
	default:
		return "unknown reason"
	}
}

// Sends returns the sends of the workspace, oldest first.
func (w *Workspace) Sends() []Send {
	w.mu.RLock()
	defer w.mu.RUnlock()
	sends := slices.Clone(w.sends)
	for i := range sends {
		sends[i].Reached = slices.Clone(sends[i].Reached)
		for j := range sends[i].Reached {
			sends[i].Reached[j].Properties = slices.Clone(sends[i].Reached[j].Properties)
		}
		sends[i].Missed = slices.Clone(sends[i].Missed)
		if sends[i].Audience != nil {
			audience := *sends[i].Audience
			sends[i].Audience = &audience
		}
	}
	return sends
}

// dispatch is a send that is being read, and what it says beside what is kept of it.
type dispatch struct {
	Send
	campaign   *campaign       // nil for none
	targets    []*savedSegment // all of which a user must be in
	recipients []recipient     // of a send that is no broadcast
	properties map[string]json.RawMessage
	subscribed func(*traits) bool // nil for whoever it is
}

// triggerCampaign is /campaigns/trigger/send.
func (c *call) triggerCampaign() func() any {
	d := dispatch{campaign: c.campaign("campaign_id", TriggerCampaign)}
	d.SendID = c.sendID()
	d.properties = c.body.properties("trigger_properties")
	d.recipients = c.recipients("trigger_properties")
	return c.dispatch(&d)
}

// maxContext is how long the context of a Canvas may be: 50 KB by the page of the endpoint, of which the fake takes the smaller reading.
const maxContext = 50_000

// triggerCanvas is /canvas/trigger/send. canvas_entry_properties is the older name of context.
func (c *call) triggerCanvas() func() any {
	d := dispatch{campaign: c.campaign("canvas_id", TriggerCanvas)}
	for _, name := range []string{"context", "canvas_entry_properties"} {
		if len(c.body.fields[name]) > maxContext {
			c.problemf("'%s' is larger than 50 KB", name)
		}
	}
	d.properties = c.body.properties("context", "canvas_entry_properties")
	d.recipients = c.recipients("context", "canvas_entry_properties")
	return c.dispatch(&d)
}

// sendMessages is /messages/send.
func (c *call) sendMessages() func() any {
	var d dispatch
	if c.body.has("campaign_id") {
		d.campaign = c.campaign("campaign_id", TriggerCampaign)
	}
	for _, u := range append(c.users("external_user_ids"), c.users("user_aliases")...) {
		d.recipients = append(d.recipients, recipient{user: u})
	}
	if len(d.recipients) > MaxUsers {
		c.problemf(tooManyAliases)
	}
	if c.body.has("segment_id") {
		d.SegmentID = c.body.need("segment_id")
		c.workspace.mu.RLock()
		s := c.workspace.segmentWith(d.SegmentID)
		c.workspace.mu.RUnlock()
		if s == nil {
			c.problemf("'segment_id' must be the ID of a segment")
		}
		d.targets = append(d.targets, s)
	}
	messages := c.body.object("messages").fields
	if len(messages) == 0 {
		c.problemf("No message to send")
	}
	d.SendID = c.sendID()
	d.subscribed = c.subscribed(messages)
	return c.dispatch(&d)
}

// subscribed reads recipient_subscription_state, and returns which users one of the channels may send to. Channels other than push and
// e-mail have no subscription that the fake knows.
func (c *call) subscribed(messages map[string]json.RawMessage) func(*traits) bool {
	state := c.body.text("recipient_subscription_state")
	switch state {
	case "all":
		return nil
	case "", "subscribed", "opted_in":
	default:
		c.problemf("'recipient_subscription_state' must be opted_in, subscribed or all")
	}
	takes := func(s segment.Subscription) bool {
		return s == segment.OptedIn || state != "opted_in" && s != segment.Unsubscribed
	}
	push, email := false, false
	for channel := range messages {
		switch {
		case channel == "email":
			email = true
		case strings.HasSuffix(channel, "_push"):
			push = true
		default:
			return nil
		}
	}
	return func(t *traits) bool {
		if t == nil {
			t = &traits{}
		}
		return push && takes(t.pushState) || email && takes(t.emailState)
	}
}

// sendID reads the ID under which a send is tracked. It is not looked up.
func (c *call) sendID() string {
	id := c.body.text("send_id")
	if len(id) > 64 || strings.ContainsFunc(id, func(r rune) bool { return r > 127 }) {
		c.problemf("'send_id' must be ASCII and have no more than 64 characters")
	}
	return id
}

// dispatch reads what the three sends have in common.
func (c *call) dispatch(d *dispatch) func() any {
	d.Broadcast = c.body.yes("broadcast")
	if c.body.has("audience") {
		d.Audience = c.audience()
	}
	switch {
	case !d.Broadcast && len(d.recipients) == 0 && len(c.problems) == 0:
		c.problemf("No Recipients")
	case d.Broadcast && (len(d.recipients) > 0 || c.body.has("recipients") || c.body.has("external_user_ids") || c.body.has("user_aliases")):
		c.problemf("'broadcast' must not be true when recipients are given")
	case d.Broadcast && c.body.has("attachments"):
		c.problemf("'attachments' cannot be sent to a broadcast")
	}
	if d.campaign != nil {
		d.CampaignID = d.campaign.id
	}
	d.Operation, d.Request = c.operation, c.number
	if d.Broadcast || d.Audience != nil {
		key := d.CampaignID + " " + d.SegmentID + " "
		if d.Audience != nil {
			key += encode(d.Audience)
		}
		c.limits = []limitKey{{bucket: broadcastBucket, workspace: c.workspace}, {bucket: audienceBucket, workspace: c.workspace, audience: key}}
	}
	return c.locked(func(w *Workspace) any { return w.send(d) })
}

// audience reads the Connected Audience of a send.
func (c *call) audience() *segment.ConnectedAudience {
	a, err := segment.ParseConnectedAudience(c.body.fields["audience"], segment.WithSemantics(c.server.cfg.semantics))
	if err == nil {
		_, err = a.Match(&segment.Profile{}, time.Now()) // the same for every profile
	}
	if err != nil {
		c.problemf("'audience' is not valid: %v", err)
		return nil
	}
	return a
}

// dispatched is the answer of a send.
type dispatched struct {
	DispatchID string `json:"dispatch_id"`
	Message    string `json:"message"`
	SendID     string `json:"send_id,omitempty"`
	Notice     string `json:"notice,omitempty"`
}

// send finds out who is reached, and records it. The workspace's lock is held.
func (w *Workspace) send(d *dispatch) dispatched {
	d.Number, d.At = len(w.sends)+1, time.Now()
	d.DispatchID = strings.ReplaceAll(w.opaqueID("dispatch", d.Number), "-", "")
	if d.campaign != nil && d.Operation != SendMessages {
		d.targets = d.campaign.targets
	}
	if d.Broadcast {
		l, properties := w.lens(), (&recipient{}).joined(d.properties)
		for _, p := range w.people.all {
			if l.look(p) && d.miss(l, p) == 0 {
				d.reach(w, p, properties)
			}
		}
	} else {
		w.sendToRecipients(d)
	}
	w.sends = append(w.sends, d.Send)
	return dispatched{DispatchID: d.DispatchID, Message: success, SendID: d.SendID, Notice: d.notice()}
}

func (w *Workspace) sendToRecipients(d *dispatch) {
	found := make([]*profile, len(d.recipients))
	for i := range d.recipients {
		found[i] = d.recipients[i].find(w)
	}
	l := w.lens()
	var reached []int
	for i, p := range found {
		var reason MissReason
		switch {
		case p == nil:
			reason = MissedUnknown
		case slices.Contains(found[i+1:], p):
			reason = MissedRepeated
		default:
			l.look(p)
			reason = d.miss(l, p)
		}
		if reason == 0 {
			reached = append(reached, i)
		} else {
			d.Missed = append(d.Missed, Miss{Recipient: i, Reason: reason})
		}
	}
	slices.SortFunc(reached, func(a, b int) int { return cmp.Compare(found[a].index, found[b].index) })
	for _, i := range reached {
		d.reach(w, found[i], d.recipients[i].joined(d.properties))
	}
}

// miss returns why the user that the lens looks at is not reached, or 0.
func (d *dispatch) miss(l *lens, p *profile) MissReason {
	if d.stopped() {
		return MissedStopped
	}
	for _, s := range d.targets {
		if !l.in(s) {
			return MissedTarget
		}
	}
	if d.Audience != nil {
		if is, _ := d.Audience.Match(&l.seen, l.at); !is {
			return MissedAudience
		}
	}
	if d.subscribed != nil && !d.subscribed(p.traits) {
		return MissedSubscription
	}
	return 0
}

func (d *dispatch) stopped() bool {
	return d.campaign != nil && d.Operation != SendMessages && (d.campaign.archived || d.campaign.paused)
}

// notice is what the answer says of a Canvas that does not run.
func (d *dispatch) notice() string {
	switch {
	case d.Operation != TriggerCanvas || !d.stopped():
		return ""
	case d.campaign.archived:
		return "The Canvas is archived: unarchive it for triggers to take effect"
	default:
		return "The Canvas is paused: resume it for triggers to take effect"
	}
}

func (d *dispatch) reach(w *Workspace, p *profile, properties json.RawMessage) {
	d.Reached = append(d.Reached, Reached{BrazeID: w.brazeID(p.index), ExternalID: p.external, Properties: properties})
}
