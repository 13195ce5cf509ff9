//go:build !race

package ledger

// How much is tried unless a flag says otherwise; with the race detector it is less. .ci/run tries everything.
const (
	defaultEvery     = 4
	DefaultHistories = 100
)
