// Package cohort carries cohorts of users into Braze, or into any endpoint that speaks Braze's partner cohort import.
//
// # The job
//
// A customer generates a data import key on the partner's page of their dashboard and hands it over with their REST endpoint. From
// these an [Importer] is made. It checks the credentials, names cohorts, and applies changes to their membership:
//
//	importer, err := cohort.NewImporter(client, "acme", keys.Credentials{Partner: "tinyclues", PartnerKey: pk, ImportKey: ik})
//	err = importer.Check(ctx)
//	err = importer.SetName(ctx, cohort.Cohort{ID: "camp-481", Name: "Spring sale", CreatedAt: created})
//	report, err := importer.Apply(ctx, "camp-481", cohort.AddAll(rules.IDs(people)))
//
// In the dashboard the marketer then finds "Spring sale" in the drop-down of the filter "Tinyclues Cohorts" and builds a segment with it.
//
// # What is sent
//
// A [Change] puts one identifier into a cohort or takes it out. Changes travel in requests of at most [MaxIdentifiers]
// identifiers. Within a request removals stand before additions. The last change of a member wins: no request names a member twice, and
// a change of a member waits until an earlier change of the same member is acknowledged. Changes of different members that are
// under way together may be applied in any order. That matters when one person has two identifiers, say an alias and an external ID: to
// replace one by the other, apply the removal first, and the addition after Apply has returned.
//
// Repeating a change is harmless to the membership but costs the customer data points again, as every change sent does.
//
// # What is known afterwards
//
// Accepted is not matched. Braze adds and removes only users that exist, matches device IDs only while a user is anonymous, and skips
// everyone else in silence; no answer says how many. The [Report] therefore speaks of changes accepted, refused, unknown and unsent,
// and of rows, never of members. Its sums hold however a run ends. Braze offers no way to list, read, empty or delete a cohort.
//
// # Bad input
//
// A row that cannot be sent is rejected: it is counted, told to the [OnReject] callback with its number and reason, and the run goes
// on, unless [Strict] is set. Everything else that is wrong with the input ends in an error before any request.
//
// # Memory and concurrency
//
// Apply ranges over its source once, in the calling goroutine, and holds no more than the requests in flight, however long
// the source is. An Importer is immutable and safe for concurrent use; two runs on one cohort at a time are not, because their order
// would be left to chance.
package cohort
