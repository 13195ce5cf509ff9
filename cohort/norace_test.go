//go:build !race

package cohort_test

// How much is tried unless a flag says otherwise; with the race detector it is less.
const (
	defaultHistories = 1000
	defaultCrashes   = 20
	defaultEvery     = 1
	defaultSlower    = 10
	faultDirections  = 2
	defaultStreams   = 1000
)
