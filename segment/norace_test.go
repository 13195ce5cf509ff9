//go:build !race

package segment_test

// How many cases TestNaive tries unless a flag says otherwise; with the race detector it is less.
const defaultCases = 10_000
