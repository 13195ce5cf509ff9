// Package rest makes the typed REST calls that follow an import.
//
// An import puts users into a cohort and says nothing to them. For that, a marketer builds a segment in the dashboard with the filter
// "Tinyclues Cohorts includes Spring sale", and a campaign or Canvas goes to that segment. This package finds the segment, sends, and looks users up:
//
//	client, err := rest.New(transportClient, restKey)
//	readers, err := client.FindSegment(ctx, "Spring sale readers")
//	receipt, err := client.SendMessages(ctx, rest.ToSegment(readers.ID), rest.Messages{"email": email})
//
// A [Client] belongs to one workspace, whose REST API key it holds. The key travels in a header, and has nothing to do with the keys of an import.
// Its permissions are chosen when it is created; every method names the one it needs.
//
// # Ways to reach a cohort
//
// No send takes a cohort, and a Connected Audience has no filter for one. There are two ways, and both begin with a segment that has the cohort's
// filter:
//
//   - [Client.SendMessages] [ToSegment]: the messages are written in the program.
//   - [Client.TriggerCampaign] or [Client.TriggerCanvas] [ToEveryone]: the messages are written in an API-triggered campaign or Canvas whose target
//     audience in the dashboard is the segment. Everyone means everyone in that target audience, and all users where that is all users.
//
// [ToRecipients] and [ToUsers] name up to 50 users. [ToAudience] filters by what a Connected Audience knows: custom attributes, subscriptions and the
// last use of an app.
//
// # What became of a send
//
// Sends are repeated only where nothing can have happened: after a 429, or when no connection came about. A send whose answer was lost, was a 5xx or
// cannot be read ends with an error that matches [transport.ErrOutcomeUnknown]: messages may be on their way. Look into the dashboard before sending
// again; Braze documents no key by which a repeated send could be told from a second one.
//
// A [Receipt] means that Braze accepted the send. It does not tell who gets a message. Two things are to be seen in it that are no errors: a Canvas
// that is archived or paused accepts and sends nothing (Notice), and a send may have been accepted but for some of its parts (MinorErrors).
//
// # What became of a read
//
// Reads are repeated after connection faults, 408, 423, 429 and every 5xx but 501. A read that lists errors, or lacks what callers could not do
// without, is no answer and matches [transport.ErrBadAnswer]. Fields that are not known are passed over.
//
// Braze's data is consistent within milliseconds as a rule, but it recommends 5 minutes between calls that depend on each other: a user
// created now may not be found now.
//
// # Pace
//
// Every attempt waits for the limiter of its kind; see [Limits]. They are those of the customer's workspace: no call draws on the quota of cohort
// calls. Whoever has the same workspace in several Clients gives them the same Limits.
//
// # Personal data
//
// Errors and logs hold neither keys nor identifiers. [User], [Export], [Recipient] and [Receipt] print and log as fixed words and counts; their
// fields, and what encoding/json makes of them, are personal data. So is what [transport.APIError.Detail] returns.
package rest
