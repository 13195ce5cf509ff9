package segment

import (
	"time"

	"github.com/cohortkit/cohortkit/identity"
)

// A Profile is what filters look at. It is not changed by a match, and may be matched by several goroutines at once.
//
// Like the [identity.Profile] in it, a Profile shows neither identifiers nor attributes when it is printed or logged.
type Profile struct {
	identity.Profile

	// Cohorts are the cohorts that the user is in.
	Cohorts []CohortName
	// Segments are the names of the segments that the user is in, for [InSegment].
	Segments []string
	// Attributes are the custom attributes by name. One that is absent, or null, is blank.
	Attributes map[string]Value
	// Push and Email are the states of the subscriptions.
	Push, Email Subscription
	// Apps are the names of the apps in which the user had a session.
	Apps []string
	// LastUsedApp is when the user last used any app; zero is never.
	LastUsedApp time.Time
}
