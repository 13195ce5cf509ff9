// Package segment says who gets the message.
//
// After a cohort was imported, a marketer builds a [Segment] on it in the dashboard and makes it the target of a campaign or Canvas. A [Filter] is
// one condition of a segment, or several joined by [And] or [Or]:
//
//	segment.And(
//		segment.Cohort("Tinyclues").Includes("Spring sale"),
//		segment.EmailSubscription().IsNot(segment.Unsubscribed),
//	)
//
// Each kind of filter has a builder with the comparisons that it has in Braze, so one that Braze does not have does not compile. Filters are values,
// may be shared, and never change. Nothing here does network I/O; everything but decoding into a variable is safe for concurrent use.
//
// # The dashboard and the REST API
//
// There are two ways to use a filter, and they do not take the same ones.
//
// A [Segment] has all filters, in groups, with a choice of apps and with groups that exclude. Its text is what to click in the dashboard, in the
// dashboard's own words where Braze's pages show them, and in those of the REST API where they do not. Braze documents no call that creates a
// segment.
//
// A [ConnectedAudience] is what a send of the REST API takes as its audience. Its JSON goes both ways. It nests freely, but has no cohorts, no
// membership of segments, no exclusion and no choice of apps: these are an [*UncarriableError] that says which way works. To message a cohort by the
// API, build a segment with the cohort filter in the dashboard. Then name the segment's id in a call of /messages/send, or make the segment the
// target of an API-triggered campaign or Canvas and trigger that with broadcast.
//
// # Who matches
//
// Both tell of a [Profile] whether it matches, explain why, and count over many profiles where they are lost: see [Segment.Explain] and
// [Segment.Funnel]. The rules are those that Braze documents of the dashboard's filters, and the plainest reading of what it leaves open; of the REST
// API's filters it documents none.
//
//   - Names and values are compared byte for byte, so case and spaces count. Names of partners alone are compared without case, as the partner's
//     name in a URL is often in lower case.
//   - A regular expression is found anywhere in the value, whatever the case of letters. Braze's are in the style of PCRE and this package's are
//     Go's, see [StringFilter.MatchesRegex].
//   - An attribute that is absent, null, an empty string or an empty array is blank. Blank values match "is blank", and "exactly 0" and "less than"
//     of numbers, and "is none of", "does not equal", "is not" and "includes none of". They do not match "does not match regex".
//   - A value of another data type than the filter's matches no comparison, not even a negative one. It is not blank. So it is with an object, and
//     an array of anything but strings.
//   - Days are units of 24 hours from the time of the match. "Less than 7 days ago" reaches from then until now, both included; "greater than 7 days
//     ago" is what lies before. The future is the mirror image. "Before" and "after" leave out the time itself.
//   - All apps takes in those who never had a session, and no apps takes in nobody else, as the names suggest.
//
// Where the dashboard and the REST API may differ, and where nothing is documented, a field of [Semantics] makes the choice.
//
// # Personal data
//
// Errors, explanations and funnels name filters, and no value of a profile. A Profile and a [Value] do not show what they hold when they are printed
// or logged. The text of a filter does show the values that it compares with.
package segment
