package rest

import (
	"fmt"
	"io"
	"slices"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/segment"
)

// TriggerTarget is whom a triggered campaign or Canvas goes to: [ToRecipients], [ToAudience] or [ToEveryone]. There is no other, since triggers take
// no segment: to reach a segment, choose it as the target audience in the dashboard and send [ToEveryone].
//
// Whatever the target, a user gets the message only if the campaign's or Canvas's target audience in the dashboard lets them in as well.
type TriggerTarget interface {
	// aim writes the target into the body.
	aim(*triggerBody) error
}

// MessageTarget is whom messages go to: [ToSegment], [ToUsers], [ToUsersInSegment] or [ToAudience]. Messages to everybody in a workspace have no
// target of their own: build a segment of all users, so that its name says so.
type MessageTarget interface {
	// address writes the target into the body.
	address(*messageBody) error
}

// ToRecipients targets up to [MaxRecipients] users by name. Braze counts a recipient who is given twice once, with the properties given last.
func ToRecipients(recipients ...Recipient) TriggerTarget {
	return recipientsTarget{redacted{"recipients"}, slices.Clone(recipients)}
}

type recipientsTarget struct {
	redacted
	recipients []Recipient
}

func (t recipientsTarget) aim(b *triggerBody) error {
	if err := checkCount("recipients", len(t.recipients)); err != nil {
		return err
	}
	for i, r := range t.recipients {
		field := fmt.Sprintf("recipients[%d]", i)
		body, err := r.body(field)
		if err != nil {
			return err
		}
		if b.CanvasID == "" {
			body.Properties = r.Properties
		} else if err := checkContext(field+".Properties", r.Properties); err != nil {
			return err
		} else {
			body.Context = r.Properties
		}
		b.Recipients = append(b.Recipients, body)
	}
	return nil
}

func checkCount(field string, n int) error {
	switch {
	case n == 0:
		return &InvalidError{Field: field, Problem: "must not be empty", Next: "name at least one user"}
	case n > MaxRecipients:
		return &InvalidError{Field: field, Problem: fmt.Sprintf("are %d, more than the documented %d", n, MaxRecipients), Next: "name fewer at a time"}
	}
	return nil
}

// ToEveryone targets everyone whom the campaign's or Canvas's own target audience in the dashboard lets in. If that is all users, all users get the
// message. Braze calls it a broadcast.
func ToEveryone() TriggerTarget { return everyone{} }

type everyone struct{}

func (everyone) aim(b *triggerBody) error {
	b.Broadcast = true
	return nil
}

// ToAudience targets the users who pass the filters of the Connected Audience when the message is sent. Braze counts it as a broadcast. The target
// belongs to triggers and messages alike.
func ToAudience(audience *segment.ConnectedAudience) AudienceTarget { return AudienceTarget{audience} }

// AudienceTarget is the target of [ToAudience]. Its zero value is invalid.
type AudienceTarget struct{ audience *segment.ConnectedAudience }

func (t AudienceTarget) check() error {
	if t.audience != nil {
		if _, err := t.audience.MarshalJSON(); err == nil {
			return nil
		}
	}
	return &InvalidError{Field: "audience", Problem: "is nil or empty", Next: "make one with segment.NewConnectedAudience"}
}

func (t AudienceTarget) aim(b *triggerBody) error {
	b.Broadcast, b.Audience = true, t.audience
	return t.check()
}

func (t AudienceTarget) address(b *messageBody) error {
	b.Broadcast, b.Audience = true, t.audience
	return t.check()
}

// ToSegment targets the users in the segment with this ID when the message is sent; see [Client.FindSegment]. That it takes the field broadcast, as
// the triggers without recipients do, is not documented; it is set.
func ToSegment(id string) MessageTarget { return segmentTarget{id} }

type segmentTarget struct{ id string }

func (t segmentTarget) address(b *messageBody) error {
	b.Broadcast, b.SegmentID = true, t.id
	return checkText("segment ID", t.id, "find it with FindSegment")
}

// ToUsers targets up to [MaxRecipients] users by external ID or alias.
func ToUsers(ids ...identity.ID) MessageTarget {
	return usersTarget{redacted{"users"}, slices.Clone(ids)}
}

type usersTarget struct {
	redacted
	ids []identity.ID
}

func (t usersTarget) address(b *messageBody) error {
	if err := checkCount("users", len(t.ids)); err != nil {
		return err
	}
	for i, id := range t.ids {
		field := fmt.Sprintf("users[%d]", i)
		if err := checkID(field, id); err != nil {
			return err
		}
		switch alias, isAlias := id.Alias(); {
		case isAlias:
			b.Aliases = append(b.Aliases, aliasBody{Name: alias.Name, Label: alias.Label})
		case id.Kind() == identity.ExternalIDKind:
			b.ExternalIDs = append(b.ExternalIDs, id.Value())
		default:
			return &InvalidError{Field: field, Problem: "is a device ID", Next: "look the user up and give the external ID or an alias"}
		}
	}
	return nil
}

// ToUsersInSegment targets those of up to [MaxRecipients] users who are in the segment with this ID.
func ToUsersInSegment(segmentID string, ids ...identity.ID) MessageTarget {
	return intersection{usersTarget{redacted{"users"}, slices.Clone(ids)}, segmentID}
}

type intersection struct {
	usersTarget
	segmentID string
}

func (t intersection) address(b *messageBody) error {
	b.SegmentID = t.segmentID
	if err := checkText("segment ID", t.segmentID, "find it with FindSegment"); err != nil {
		return err
	}
	return t.usersTarget.address(b)
}

// redacted prints the kind of a target under every verb, since the rest of it is personal data.
type redacted struct{ kind string }

// Format prints the kind.
func (r redacted) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "rest: "+r.kind+"(redacted)") }
