package segment

// Semantics are the points in which the dashboard and the REST API may differ, or of which nothing is documented. The zero value reads both by what
// is documented of the dashboard. What is settled needs no field: see the package's documentation.
type Semantics struct {
	// Missing is whether "does not equal" and "includes none of" match a profile without the attribute.
	Missing Missing
	// MissingNumber is how a number is compared that the profile does not have.
	MissingNumber MissingNumber
	// Empty is whether an empty string or an empty array counts as no value.
	Empty Empty
	// Subscribed is whether "is subscribed" matches those who opted in.
	Subscribed SubscribedState
	// UnknownSubscription is whether "is not" matches a profile whose subscription is not known.
	UnknownSubscription UnknownSubscription
	// NeverUsed is whether "Last Used App before" matches a profile that never used one.
	NeverUsed NeverUsed
}

// known reports whether all choices are among the constants.
func (s Semantics) known() bool {
	return s.Missing <= MissingDoesNotMatch && s.MissingNumber <= MissingNumberDoesNotMatch && s.Empty <= EmptyIsValue &&
		s.Subscribed <= SubscribedIncludesOptedIn && s.UnknownSubscription <= UnknownSubscriptionDoesNotMatch && s.NeverUsed <= NeverUsedIsBefore
}

// Missing is a choice of [Semantics].
type Missing uint8

// Whether negative filters match a profile without the attribute.
const (
	MissingMatches      Missing = iota // who has no value has another one, as the dashboard's "is none of" suggests
	MissingDoesNotMatch                // who has no value is not compared
)

// MissingNumber is a choice of [Semantics].
type MissingNumber uint8

// How a number is compared that the profile does not have.
const (
	// MissingNumberIsLow matches "exactly 0" and "less than", with whatever number, and nothing else: so it is documented of the dashboard.
	// "Does not equal 0" is the opposite of "exactly 0", so it does not match; with other numbers it follows [Missing].
	MissingNumberIsLow MissingNumber = iota
	// MissingNumberIsZero compares as if the number were 0.
	MissingNumberIsZero
	// MissingNumberDoesNotMatch matches nothing, but "does not equal" as [Missing] says.
	MissingNumberDoesNotMatch
)

// Empty is a choice of [Semantics].
type Empty uint8

// Whether an empty string or an empty array is a value.
const (
	EmptyIsBlank Empty = iota // it counts as no value, as is documented of the dashboard
	EmptyIsValue              // it exists, and is compared
)

// SubscribedState is a choice of [Semantics].
type SubscribedState uint8

// Whether "subscribed" takes in those who opted in.
const (
	SubscribedAlone           SubscribedState = iota // the states exclude each other, as they do on the profile
	SubscribedIncludesOptedIn                        // who opted in is subscribed too, as for the recipients of a message
)

// UnknownSubscription is a choice of [Semantics].
type UnknownSubscription uint8

// Whether "is not" matches a profile whose subscription is not known.
const (
	UnknownSubscriptionMatches      UnknownSubscription = iota // what is not known is none of the three states
	UnknownSubscriptionDoesNotMatch                            // what is not known is not compared
)

// NeverUsed is a choice of [Semantics].
type NeverUsed uint8

// Whether "before" matches a profile that never used an app.
const (
	NeverUsedDoesNotMatch NeverUsed = iota // there is no time to compare with
	NeverUsedIsBefore                      // never is before any time
)
