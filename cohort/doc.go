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
// A check that fails is a [CheckError]: it lists what may be to blame, the likeliest first, and what to do about each.
//
// In the dashboard the marketer then finds "Spring sale" in the drop-down of the filter "Tinyclues Cohorts" and builds a segment with it.
//
// # Keeping a cohort in step
//
// Braze cannot list, read or empty a cohort. Who is in it is known only by whoever sent the changes, and every change sent costs the customer a data
// point. A [Syncer] therefore keeps a ledger of what the endpoint acknowledged, and makes the cohort equal whoever is wanted today with the smallest
// difference:
//
//	state, err := ledger.OpenDir("state")
//	syncer, err := cohort.NewSyncer(importer, state)
//	report, err := syncer.Sync(ctx, cohort.Cohort{ID: "camp-481", Name: "Spring sale"}, cohort.People(rules, people))
//
// [Syncer.Sync] names the cohort when that is due. [Syncer.Plan] tells beforehand what it would cost. [Syncer.SyncAll] does several cohorts at a time,
// [Syncer.Apply] records single changes, [Syncer.Drain] ends a cohort, [Syncer.Rebuild] replaces one by another, [Syncer.Erase] forgets people,
// [Syncer.Troubleshoot] finds a cohort by the name of its export. A run that is killed, cancelled or refused in the middle leaves nothing to repair: the
// next one continues.
//
// Two identifiers can belong to one user: an alias and an external ID, a former external ID and the present one. The endpoint does not tell, but
// a removal by the one takes out whoever was added by the other. So removals go first, and additions when all of them are acknowledged; and where
// both identifiers are members and one of them goes, the addition of the other is repeated. For that the Syncer must know which identifiers are
// one person's: [People] says so, [Identifiers] cannot.
//
// A source that breaks must not empty a cohort. More removals than the guard allows ([WithRemovalGuard]) are held back, an empty source sends
// nothing, and a source that fails sends nothing either. Each of these errors says what to do; [ApproveRemovals] is for whoever has looked.
//
// What Braze cannot tell, nobody can find out later:
//   - Whether a change matched anybody. Users who sign up after they were sent stay out until they are sent again: [Syncer.Reassert] does so bit by bit.
//     [Syncer.EstimateMatches] estimates, by a sample that it looks up, how many members would match now.
//   - Who is in a cohort whose ledger was lost. Import a list of members that is known to be complete with [ledger.Import], or fill a cohort with a new id
//     and point the segments there. An empty ledger takes everybody for out: whoever is in and not wanted any more would stay in for ever.
//   - What others did to the cohort. One that has a ledger is written only through its Syncer.
//
// # Events as they happen
//
// Where people enter and leave one by one, as messages of a queue or calls of a webhook say, a [Stream] carries them. The newest event of each member
// wins, whatever order they come in, also after a restart. It gathers changes into requests, and tells in the order of arrival which events are
// settled, so that a queue's offset can be committed:
//
//	stream, err := syncer.Stream(ctx, sale, cohort.OnAcknowledge(func(events []cohort.Event) { commit(events[len(events)-1].Token) }))
//	err = stream.Send(ctx, cohort.Event{ID: identity.ExternalID("u-17"), At: entered, Direction: cohort.Enter, Token: offset})
//	left, err := stream.Close(ctx)
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
// # Many customers
//
// A process needs a [transport.Client] for each instance and an Importer for each customer; thousands may share one pool of connections, and one that is
// idle costs a few hundred bytes. Customers take turns in the Client's quota, request by request, however many cohorts and requests each has under way, so
// that ten members need not wait for somebody's ten million. A 429 pauses all who share the quota; a 423 narrows what is in flight to that cohort, and is
// remembered for an hour. The example ManyCustomers shows a partner's process.
//
// # Memory and concurrency
//
// Apply ranges over its source once, in the calling goroutine, and holds no more than the requests in flight, however long
// the source is. An Importer is safe for concurrent use; two runs on one cohort at a time are not, because their order
// would be left to chance. A Syncer sees to that itself: a run has the lease on its cohort. What a Syncer holds in memory is up to its ledger,
// beside the requests in flight and the identifiers given to Erase. A [Stream] says itself what it holds.
package cohort
