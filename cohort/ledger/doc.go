// Package ledger remembers what an endpoint has acknowledged: who is in which cohort, as far as anybody can know.
//
// Braze can neither list nor read a cohort, so what was sent is known only by whoever sent it. A [Ledger] keeps that knowledge, one
// entry for each cohort of each workspace. The Syncer of package cohort works on one; what this package offers besides is to look into it
// ([Members], [Ledger.Entries]), to compare it ([Diff]) and to move it ([Import]):
//
//	state, err := ledger.OpenDir("state")
//	for member, err := range ledger.Members(ctx, state, key) { … }
//
// # What is known of a member
//
// An identifier without a record is out. One that is recorded is [In], or [Unknown]: a change of it was about to leave and nobody
// knows whether it arrived. A difference therefore adds whoever is wanted and not surely in, and removes whoever is not wanted and
// not surely out. Repeating a change is harmless to the cohort.
//
// # Write-ahead
//
// Before changes leave, [Session.Begin] makes durable that they are about to: from then on their members count as unknown.
// [Session.Settle] says what became of them, and may lag behind. A crash between the two costs a repeat. A change that left without a
// record would cost a wrong cohort, for ever.
//
// # One person, two identifiers
//
// Two identifiers can belong to one user of the endpoint, which the endpoint does not tell: to remove the one then takes out whoever was
// added by the other. So removals go first, are acknowledged, and only then come the additions. Where the caller knows that two
// identifiers are one person's it says so ([Wanted.Others]), and the difference repeats the addition of whoever a removal may take out.
//
// # One writer
//
// A [Session] is a lease: as long as it is open nobody else opens the entry, in this process or another. Who tries gets
// a [*HeldError] that names the holder.
//
// # Memory and Dir
//
// [Memory] keeps everything in memory, for tests and for programs that rebuild their cohorts at every start. [Dir] keeps
// it in files and survives a killed process, a power failure, a full disk and a torn write; see [OpenDir].
//
// # Another backend
//
// Who keeps entries elsewhere, in a database for instance, implements [Ledger] and [Session], and [Timekeeper] for streams. Package ledgertest, beside this one,
// has the promises that are made here as a test for it.
//
// # Why partitions
//
// A list of the wanted comes in any order and may be longer than memory. Two structures compare it with the members in little memory:
// both cut into partitions by a hash and compared one partition after the other, or the list sorted in runs and merged with members that are
// kept sorted. Measured in one run, 2 million UUIDs against as many with one in a hundred new, the sorted runs took 3.2 times as long as
// the partitions of Dir, although the latter also check sums, know the unknown and are durable
// (BenchmarkStructures). Sorting compares each identifier some twenty times, scattering touches it once.
package ledger
