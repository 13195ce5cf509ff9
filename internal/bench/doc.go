// Bench compares what it costs to bring a cohort in step with the people who are wanted in it: with [cohort.Syncer] on a ledger, and in the ways one would
// otherwise choose.
//
//	go run ./internal/bench -sizes=1000000,10000000
//
// A cohort of N members has to become another list of N, of which a hundredth is new. The wanted list is a text file in no order. The contenders:
//
//   - cohort.Syncer: reads the list, compares it with the ledger, and sends the difference to an endpoint in the same process that accepts at once.
//     What it sends is durable before it leaves. Nothing is paced.
//   - GNU sort and comm: sort the list, compare it with the sorted former one, which is kept, and write the difference. Nothing is sent.
//   - a Go map: read the former list into a map, then the new one, and write the difference. Nothing is sent.
//   - PostgreSQL: COPY the list into a table and ask for EXCEPT both ways. Nothing is sent.
//   - the plain loop: no ledger, no difference; marshal and send everybody, to the same endpoint. It cannot remove anybody.
//
// Each run is a process of its own, so that its peak of resident memory and its processor time are its own, and the contenders take turns. A run leads
// from one list to another and the next one back, as one export follows another: what a contender keeps in between is what the run before has left.
// All must find the same numbers of removals and additions.
//
// Only ratios within one output mean anything. The last column is not measured: it is how long the endpoint's quota of
// [transport.CohortRequestsPerHour] makes such a sync last at least.
//
// With -users it measures something else: a filter of ten conditions against so many users, with package segment and with the same conditions written out in
// Go. It fails if they do not match the same users, or if matching allocates.
//
//	go run ./internal/bench -users=1000000
package main
