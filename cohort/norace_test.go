//go:build !race

package cohort_test

// How much is tried unless a flag says otherwise; with the race detector it is less.
const (
	defaultHistories = 1000
	defaultCrashes   = 20
	defaultEvery     = 1
	defaultSlower    = 10
	faultDirections  = 2
	estimateShares   = 5
	wrongKeyRequests = 5000 // of a rotation to a wrong key; one to a good key is as long with the race detector too
	faultTimes       = 3
	defaultSome      = 1
	defaultTrips     = 4
	estimateRuns     = 1000
	defaultStreams   = 1000
)
