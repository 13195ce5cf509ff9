package gate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The folders that a rule of its own names.
const (
	fake     = "transport/brazetest"
	contract = "cohort/ledger/ledgertest"
	examples = "examples"
	bench    = "internal/bench"
)

// floors says on which floor a package stands. Every package of the module has one: see floorOf.
var floors = map[string]int{
	"identity":       1,
	"keys":           1,
	"cohort/ledger":  2,
	"segment":        2,
	"transport":      2,
	"cohort":         3,
	"transport/rest": 3,
	fake:             3,
	contract:         3,
	bench:            4,
}

// offline are the packages that do no network I/O, so that they can be used, and trusted, where there is no network.
var offline = []string{"identity", "keys", "cohort/ledger", contract, "segment"}

// fakeMayImport is what the fake shares with the library it tests. Whatever else it shared, a test against the fake would
// compare with itself.
var fakeMayImport = []string{"keys", "segment"}

// floorOf returns the floor of a package, 0 when it has none.
func floorOf(dir string) int {
	if n, ok := floors[dir]; ok {
		return n
	}
	switch {
	case within(dir, examples):
		return 4
	case within(dir, "internal"):
		return 1
	}
	return 0
}

// within reports whether dir is the folder or lies in it.
func within(dir, folder string) bool {
	return dir == folder || strings.HasPrefix(dir, folder+"/")
}

// internal reports whether the folder is one of the shared rooms of floor 1.
func internal(dir string) bool {
	return within(dir, "internal") && !within(dir, bench)
}

// example returns the example that a folder belongs to: "examples/quickstart" for "examples/quickstart/store".
func example(dir string) string {
	parts := strings.SplitN(dir, "/", 3)
	if len(parts) < 2 || parts[0] != examples {
		return ""
	}
	return parts[0] + "/" + parts[1]
}

// floorFaults returns a line for each import that does not go down.
//
// Only an external test package is free to import upwards, as an example that shows two packages together must:
// nothing can import it in turn, so it cannot bend the house.
func floorFaults(files []file) []string {
	var faults []string
	for _, f := range files {
		if floorOf(f.dir) == 0 {
			faults = append(faults, fmt.Sprintf("%s: package %s has no floor; give it one in design and in this table", f.path, f.dir))
			continue
		}
		for _, p := range f.imports {
			dir, ours := own(p)
			if !ours || f.outside && f.test && floorOf(dir) < 4 {
				continue
			}
			if reason := floorFault(f.dir, dir); reason != "" {
				faults = append(faults, fmt.Sprintf("%s imports %s: %s", f.path, dir, reason))
			}
		}
	}
	return faults
}

// floorFault says why the package from may not import the package to; it is empty when it may.
func floorFault(from, to string) string {
	switch {
	case to == fake && !within(from, examples):
		return "the fake is for external test packages and examples"
	case to == contract:
		return "the contract of a ledger is for external test packages"
	case within(from, fake) && !internal(to) && !slices.Contains(fakeMayImport, to):
		return "the fake shares only " + strings.Join(fakeMayImport, " and ") + " with the library"
	case example(from) != "" && example(from) == example(to):
		return ""
	case internal(to) && (floorOf(from) > 1 || from != to):
		return ""
	case floorOf(to) >= floorOf(from):
		return fmt.Sprintf("an import only goes down, and this one goes from floor %d to %d", floorOf(from), floorOf(to))
	}
	return ""
}

// onlineFaults returns a line for each package of the offline list that can reach package net.
func onlineFaults(packages []listed) []string {
	var faults []string
	for _, p := range packages {
		dir, ours := own(p.ImportPath)
		if ours && slices.Contains(offline, dir) && slices.Contains(p.Deps, "net") {
			faults = append(faults, dir+" does no network I/O, but what it imports reaches package net")
		}
	}
	return faults
}

// onlineImports is onlineFaults for the files of every platform, one import deep.
func onlineImports(files []file) []string {
	var faults []string
	for _, f := range files {
		if f.test || !slices.Contains(offline, f.dir) {
			continue
		}
		for _, p := range f.imports {
			if p == "net" || within(p, "net/http") || p == "net/rpc" || p == "net/smtp" || p == "crypto/tls" {
				faults = append(faults, fmt.Sprintf("%s does no network I/O, but imports %s", f.path, p))
			}
		}
	}
	return faults
}

// testingFaults returns a line for each package that needs package testing, whose flags would then appear in every program that imports the
// library. The contract of a ledger is nothing but a test, and only tests import it.
func testingFaults(packages []listed) []string {
	var faults []string
	for _, p := range packages {
		dir, ours := own(p.ImportPath)
		if ours && dir != contract && !within(dir, examples) && !within(dir, bench) && slices.Contains(p.Deps, "testing") {
			faults = append(faults, dir+" links package testing into the programs of its users")
		}
	}
	return faults
}

func TestFloors(t *testing.T) {
	t.Parallel()
	files, _ := tree(t)
	packages := list(t, "./...")
	for _, fault := range slices.Concat(floorFaults(files), onlineImports(files), onlineFaults(packages), testingFaults(packages)) {
		t.Error(fault)
	}
}

func TestFloorFaults(t *testing.T) {
	t.Parallel()
	const (
		up      = "an import only goes down, and this one goes from floor %d to %d"
		forTest = "the fake is for external test packages and examples"
		shares  = "the fake shares only keys and segment with the library"
	)
	goes := func(from, to int) string { return fmt.Sprintf(up, from, to) }
	tests := []struct {
		name, from, to string
		want           string
	}{
		{"down one floor", "cohort", "transport", ""},
		{"down two floors", "cohort", "identity", ""},
		{"ledger under cohort", "cohort", "cohort/ledger", ""},
		{"cohort over ledger", "cohort/ledger", "cohort", goes(2, 3)},
		{"identity to internal", "identity", "internal/text", ""},
		{"internal to internal", "internal/lines", "internal/text", ""},
		{"internal to identity", "internal/text", "identity", goes(1, 1)},
		{"internal to bench", "internal/text", "internal/bench", goes(1, 4)},
		{"identity to keys", "identity", "keys", goes(1, 1)},
		{"segment to transport", "segment", "transport", goes(2, 2)},
		{"rest to transport", "transport/rest", "transport", ""},
		{"cohort to rest", "cohort", "transport/rest", goes(3, 3)},
		{"transport to fake", "transport", "transport/brazetest", forTest},
		{"bench to fake", "internal/bench", "transport/brazetest", forTest},
		{"example to fake", "examples/quickstart", "transport/brazetest", ""},
		{"example to itself", "examples/quickstart", "examples/quickstart/store", ""},
		{"example to another", "examples/quickstart", "examples/other/store", goes(4, 4)},
		{"ledger to its contract", "cohort/ledger", "cohort/ledger/ledgertest", "the contract of a ledger is for external test packages"},
		{"example to the contract", "examples/quickstart", "cohort/ledger/ledgertest", "the contract of a ledger is for external test packages"},
		{"contract to ledger", "cohort/ledger/ledgertest", "cohort/ledger", ""},
		{"contract to cohort", "cohort/ledger/ledgertest", "cohort", goes(3, 3)},
		{"fake to keys", "transport/brazetest", "keys", ""},
		{"fake to segment", "transport/brazetest", "segment", ""},
		{"fake to internal", "transport/brazetest", "internal/text", ""},
		{"fake to identity", "transport/brazetest", "identity", shares},
		{"fake to transport", "transport/brazetest", "transport", shares},
		{"fake to cohort", "transport/brazetest", "cohort", shares},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := floorFault(tt.from, tt.to); got != tt.want {
				t.Errorf("floorFault = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestFloorFaultsOfFiles(t *testing.T) {
	t.Parallel()
	got := floorFaults(sources(t,
		"transport/a.go", `package transport; import _ "github.com/cohortkit/cohortkit/keys"`,
		"transport/a_test.go", `package transport; import _ "github.com/cohortkit/cohortkit/transport/brazetest"`,
		"transport/b_test.go", `package transport_test; import _ "github.com/cohortkit/cohortkit/transport/brazetest"`,
		"keys/example_test.go", `package keys_test; import _ "github.com/cohortkit/cohortkit/cohort"`,
		"cohort/ledger/a_test.go", `package ledger_test; import _ "github.com/cohortkit/cohortkit/cohort/ledger/ledgertest"`,
		"cohort/ledger/b_test.go", `package ledger; import _ "github.com/cohortkit/cohortkit/cohort/ledger/ledgertest"`,
		"keys/bench_test.go", `package keys_test; import _ "github.com/cohortkit/cohortkit/internal/bench"`,
		"keys/a_test.go", `package keys; import _ "github.com/cohortkit/cohortkit/cohort"`,
		"helpers/a.go", `package helpers`,
	))
	want := []string{
		"transport/a_test.go imports transport/brazetest: the fake is for external test packages and examples",
		"cohort/ledger/b_test.go imports cohort/ledger/ledgertest: the contract of a ledger is for external test packages",
		"keys/bench_test.go imports internal/bench: an import only goes down, and this one goes from floor 1 to 4",
		"keys/a_test.go imports cohort: an import only goes down, and this one goes from floor 1 to 3",
		"helpers/a.go: package helpers has no floor; give it one in design and in this table",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("floorFaults (-want +got):\n%s", diff)
	}
}

func TestOnlineFaults(t *testing.T) {
	t.Parallel()
	got := onlineFaults([]listed{
		{ImportPath: modulePath + "/identity", Deps: []string{"net/netip", "net/url", "strings"}},
		{ImportPath: modulePath + "/keys", Deps: []string{"log/syslog", "net"}},
		{ImportPath: modulePath + "/transport", Deps: []string{"net", "net/http"}},
	})
	want := []string{"keys does no network I/O, but what it imports reaches package net"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("onlineFaults (-want +got):\n%s", diff)
	}

	got = onlineImports(sources(t,
		"segment/a.go", `package segment; import _ "net/url"`,
		"segment/a_windows.go", `package segment; import _ "net/http/httptrace"`,
		"segment/a_test.go", `package segment_test; import _ "net/http"`,
		"transport/a.go", `package transport; import _ "net/http"`,
	))
	want = []string{"segment/a_windows.go does no network I/O, but imports net/http/httptrace"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("onlineImports (-want +got):\n%s", diff)
	}
}

func TestTestingFaults(t *testing.T) {
	t.Parallel()
	got := testingFaults([]listed{
		{ImportPath: modulePath + "/cohort", Deps: []string{"fmt"}},
		{ImportPath: modulePath + "/transport/brazetest", Deps: []string{"fmt", "testing"}},
		{ImportPath: modulePath + "/cohort/ledger/ledgertest", Deps: []string{"testing"}},
		{ImportPath: modulePath + "/examples/quickstart", Deps: []string{"testing"}},
	})
	want := []string{"transport/brazetest links package testing into the programs of its users"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("testingFaults (-want +got):\n%s", diff)
	}
}
