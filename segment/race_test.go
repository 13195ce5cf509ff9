//go:build race

package segment_test

// With the race detector the same work is several times as dear, so less is tried: see norace_test.go.
const defaultCases = 4_000
