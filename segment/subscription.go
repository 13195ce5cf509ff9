package segment

import (
	"errors"
	"time"
)

// Subscription is what a user has said to a channel. The states exclude each other. The zero value is [NotKnown].
type Subscription uint8

// The states of a subscription.
const (
	NotKnown     Subscription = iota // the profile does not say; no filter takes it
	OptedIn                          // an explicit yes
	Subscribed                       // neither a yes nor a no
	Unsubscribed                     // an explicit no
)

// String returns the state in words.
func (s Subscription) String() string {
	switch s {
	case OptedIn:
		return "opted in"
	case Subscribed:
		return "subscribed"
	case Unsubscribed:
		return "unsubscribed"
	default:
		return "not known"
	}
}

// wire returns the state as the REST API has it, or "".
func (s Subscription) wire() string {
	switch s {
	case OptedIn:
		return "opted_in"
	case Subscribed:
		return "subscribed"
	case Unsubscribed:
		return "unsubscribed"
	default:
		return ""
	}
}

// MarshalText returns the state as the REST API has it: "opted_in", "subscribed", "unsubscribed", or "" for [NotKnown].
func (s Subscription) MarshalText() ([]byte, error) {
	if s > Unsubscribed {
		return nil, errors.New("segment: encode subscription: an unknown state: " + nextState)
	}
	return []byte(s.wire()), nil
}

// UnmarshalText reads what MarshalText writes.
func (s *Subscription) UnmarshalText(text []byte) error {
	for state := NotKnown; state <= Unsubscribed; state++ {
		if string(text) == state.wire() {
			*s = state
			return nil
		}
	}
	return errors.New("segment: parse subscription: an unknown state: " + nextState)
}

// nextState is what to do about an unknown state.
const nextState = "use opted_in, subscribed or unsubscribed"

// SubscriptionFilter makes filters on a subscription. It comes from [PushSubscription] or [EmailSubscription].
type SubscriptionFilter struct{ kind kind }

// PushSubscription filters by the state of the push subscription. It says nothing of whether a device can be reached.
func PushSubscription() SubscriptionFilter { return SubscriptionFilter{kindPush} }

// EmailSubscription filters by the state of the e-mail subscription. It says nothing of whether there is a valid address.
func EmailSubscription() SubscriptionFilter { return SubscriptionFilter{kindEmail} }

// Is matches whoever is in this state. Whether [Subscribed] takes in those who opted in is for [Semantics] to say.
func (f SubscriptionFilter) Is(s Subscription) Filter { return f.filter(is, s) }

// IsNot matches whoever is in another state.
func (f SubscriptionFilter) IsNot(s Subscription) Filter { return f.filter(isNot, s) }

func (f SubscriptionFilter) filter(op comparison, s Subscription) Filter {
	n := &node{kind: f.kind, comparison: op, state: s}
	if f.kind == kindNone {
		n.blame("is made from the zero SubscriptionFilter", "use PushSubscription or EmailSubscription")
	}
	if s.wire() == "" {
		n.blame("compares with an unknown state", "use OptedIn, Subscribed or Unsubscribed")
	}
	return Filter{n}
}

// UsageFilter makes filters on when an app was last used. It comes from [LastUsedApp].
type UsageFilter struct{}

// LastUsedApp filters by when the user last used an app, whichever it was.
func LastUsedApp() UsageFilter { return UsageFilter{} }

// Before matches whoever last used an app earlier. See [Semantics] for who never did.
func (UsageFilter) Before(t time.Time) Filter { return usage(before, t) }

// After matches whoever used an app later.
func (UsageFilter) After(t time.Time) Filter { return usage(after, t) }

func usage(op comparison, t time.Time) Filter {
	n := &node{kind: kindLastUsed, comparison: op}
	n.setTime(t)
	return Filter{n}
}
