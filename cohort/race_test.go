//go:build race

package cohort_test

// The race detector makes the same work four to ten times as dear. With it the tests that go on for as long as one likes do less, and not less than a
// tenth of what .ci/run has them do without it in the same way: see norace_test.go.
const (
	defaultHistories = 100
	defaultCrashes   = 10
	defaultEvery     = 4
)
