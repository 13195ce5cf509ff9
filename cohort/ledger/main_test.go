package ledger_test

import (
	"flag"
	"os"
	"runtime/debug"
	"testing"
)

// TestMain has garbage collected more seldom. The tests make thousands of small ledgers, each with large tables that live for a moment, and half of their
// time would go into collecting them. Benchmarks measure what a user has.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.bench"); f == nil || f.Value.String() == "" {
		debug.SetGCPercent(1000)
	}
	os.Exit(m.Run())
}
