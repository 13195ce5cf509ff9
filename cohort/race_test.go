//go:build race

package cohort_test

// The race detector makes the same work four to ten times as dear. With it the tests that go on for as long as one likes, or try one thing after the
// other, do less, and no less than a tenth of what they do without it: see norace_test.go.
const (
	defaultHistories = 100
	defaultCrashes   = 6
	defaultEvery     = 8
	defaultSlower    = 40
	faultDirections  = 1 // of the two in which a fault may come, by chance
	faultTimes       = 1 // of the three numbers of times that it may come, by chance
	wrongKeyRequests = 1000
	estimateShares   = 1
	defaultStreams   = 100
)
