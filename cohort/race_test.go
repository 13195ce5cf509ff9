//go:build race

package cohort_test

// The race detector makes the same work four to ten times as dear. With it the tests that go on for as long as one likes, or try one thing after the
// other, do less: see norace_test.go.
const (
	defaultHistories = 60
	defaultCrashes   = 6
	defaultEvery     = 8
	defaultSlower    = 40
	faultDirections  = 1 // of the two in which a fault may come, by chance
	defaultSome      = 2 // every so manieth fault of a sync, and way to show a secret
	defaultTrips     = 2 // of the four that requests take, by chance
	estimateRuns     = 600
	faultTimes       = 1 // of the three numbers of times that it may come, by chance
	wrongKeyRequests = 1000
	estimateShares   = 1
	defaultStreams   = 100
)
