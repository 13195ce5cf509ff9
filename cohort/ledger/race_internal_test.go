//go:build race

package ledger

// The race detector makes the same work ten times as dear. With it the tests that try one thing after the other try every fortieth of them, and it has
// little to find there: most of them run in one goroutine.
const (
	defaultEvery     = 40
	DefaultHistories = 12
)
