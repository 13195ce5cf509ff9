package gate_test

import (
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// libraryModules are the modules that may end up in a program that imports the library.
var libraryModules = []string{
	"github.com/hashicorp/go-retryablehttp",
	"github.com/hashicorp/go-cleanhttp", // comes with go-retryablehttp
	"golang.org/x/sync",
}

// testModules are the ones that our tests may need besides.
var testModules = []string{"github.com/google/go-cmp"}

// allowed reports whether a path is one of the modules or a package in one.
func allowed(importPath string, modules []string) bool {
	return slices.ContainsFunc(modules, func(m string) bool {
		return importPath == m || strings.HasPrefix(importPath, m+"/")
	})
}

// foreignImports returns a line for each import of code that is neither ours, nor standard, nor allowed.
func foreignImports(files []file) []string {
	var faults []string
	for _, f := range files {
		for _, p := range f.imports {
			if _, ours := own(p); ours || standard(p) || allowed(p, libraryModules) || f.test && allowed(p, testModules) {
				continue
			}
			faults = append(faults, fmt.Sprintf("%s imports %s", f.path, p))
		}
	}
	return faults
}

// foreignModules returns a line for each module among the packages that is neither ours nor allowed.
func foreignModules(packages []listed, modules []string) []string {
	var faults []string
	for _, p := range packages {
		if p.Module != nil && !p.Module.Main && !slices.Contains(modules, p.Module.Path) {
			faults = append(faults, fmt.Sprintf("%s comes from module %s", p.ImportPath, p.Module.Path))
		}
	}
	return faults
}

// A modFile is a go.mod as go mod edit -json tells it.
type modFile struct {
	Module  struct{ Path string }
	Require []struct{ Path string }
	Replace []struct {
		Old, New struct{ Path string }
	}
	Tool []struct{ Path string }
}

// rootModFaults returns what the root's go.mod may not say. What it replaces or runs as a tool is of no use to an importer.
func rootModFaults(m modFile) []string {
	var faults []string
	for _, r := range m.Require {
		if !slices.Contains(libraryModules, r.Path) && !slices.Contains(testModules, r.Path) {
			faults = append(faults, "go.mod requires "+r.Path)
		}
	}
	for _, r := range m.Replace {
		faults = append(faults, "go.mod replaces "+r.Old.Path)
	}
	for _, r := range m.Tool {
		faults = append(faults, "go.mod has a tool line, which belongs in .ci/tools/go.mod: "+r.Path)
	}
	return faults
}

// nestedModFaults returns what is wrong with a nested module, given the path of its go.mod.
// Without the replace line, an example would be built against a published version and not against the tree it lies in.
func nestedModFaults(name string, m modFile) []string {
	if !strings.HasPrefix(name, "examples/") {
		return []string{name + ": a nested module belongs under examples/"}
	}
	up := strings.Repeat("../", strings.Count(name, "/"))
	for _, r := range m.Replace {
		if r.Old.Path == modulePath && path.Clean(r.New.Path) == path.Clean(up) {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s: add: replace %s => %s", name, modulePath, path.Clean(up))}
}

func readMod(t *testing.T, name string) modFile {
	t.Helper()
	var m modFile
	out := goCommand(t, "mod", "edit", "-json", filepath.FromSlash(name))
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestModules(t *testing.T) {
	t.Parallel()
	files, modules := tree(t)

	faults := foreignImports(files)
	faults = append(faults, foreignModules(list(t, "-deps", "./..."), libraryModules)...)
	faults = append(faults, foreignModules(list(t, "-deps", "-test", "./..."), slices.Concat(libraryModules, testModules))...)
	for _, name := range modules {
		switch {
		case path.Base(name) == "go.work":
			faults = append(faults, name+": the tree has no workspace file; nested modules use replace")
		case name == "go.mod":
			faults = append(faults, rootModFaults(readMod(t, name))...)
		default:
			faults = append(faults, nestedModFaults(name, readMod(t, name))...)
		}
	}
	for _, fault := range faults {
		t.Error(fault)
	}
}

func TestForeignImports(t *testing.T) {
	t.Parallel()
	got := foreignImports(sources(t,
		"transport/a.go", `package transport; import (_ "net/http"; _ "github.com/hashicorp/go-retryablehttp"; _ "golang.org/x/sync/errgroup")`,
		"transport/b.go", `package transport; import (_ "golang.org/x/time/rate"; _ "github.com/hashicorp/go-retryablehttp-fork")`,
		"transport/c_windows.go", `package transport; import _ "golang.org/x/sys/windows"`,
		"transport/cgo.go", `package transport; import "C"`,
		"transport/a_test.go", `package transport_test; import (_ "github.com/google/go-cmp/cmp"; _ "github.com/stretchr/testify/assert")`,
		"cohort/a.go", `package cohort; import (_ "github.com/google/go-cmp/cmp"; _ "github.com/cohortkit/cohortkit/transport")`,
	))
	want := []string{
		"transport/b.go imports golang.org/x/time/rate",
		"transport/b.go imports github.com/hashicorp/go-retryablehttp-fork",
		"transport/c_windows.go imports golang.org/x/sys/windows",
		"transport/cgo.go imports C",
		"transport/a_test.go imports github.com/stretchr/testify/assert",
		"cohort/a.go imports github.com/google/go-cmp/cmp",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("foreignImports (-want +got):\n%s", diff)
	}
}

func TestForeignModules(t *testing.T) {
	t.Parallel()
	var packages []listed
	err := json.Unmarshal([]byte(`[
		{"ImportPath": "net/http"},
		{"ImportPath": "github.com/cohortkit/cohortkit/cohort", "Module": {"Path": "github.com/cohortkit/cohortkit", "Main": true}},
		{"ImportPath": "golang.org/x/sync/errgroup", "Module": {"Path": "golang.org/x/sync"}},
		{"ImportPath": "github.com/google/go-cmp/cmp", "Module": {"Path": "github.com/google/go-cmp"}},
		{"ImportPath": "github.com/hashicorp/go-hclog", "Module": {"Path": "github.com/hashicorp/go-hclog"}}
	]`), &packages)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"github.com/google/go-cmp/cmp comes from module github.com/google/go-cmp",
		"github.com/hashicorp/go-hclog comes from module github.com/hashicorp/go-hclog",
	}
	if diff := cmp.Diff(want, foreignModules(packages, libraryModules)); diff != "" {
		t.Errorf("foreignModules of the library (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[1:], foreignModules(packages, slices.Concat(libraryModules, testModules))); diff != "" {
		t.Errorf("foreignModules of the tests (-want +got):\n%s", diff)
	}
}

func TestModFaults(t *testing.T) {
	t.Parallel()
	const (
		replaceRoot = `{"Replace": [{"Old": {"Path": "github.com/cohortkit/cohortkit"}, "New": {"Path": "../../"}}]}`
		addReplace  = "examples/sql/go.mod: add: replace github.com/cohortkit/cohortkit => ../.."
	)
	tests := []struct {
		name, file, json string
		want             []string
	}{
		{"allowed", "go.mod", `{"Require": [{"Path": "golang.org/x/sync"}, {"Path": "github.com/google/go-cmp"}]}`, nil},
		{"foreign requirement", "go.mod", `{"Require": [{"Path": "golang.org/x/time"}]}`, []string{"go.mod requires golang.org/x/time"}},
		{"replace in the root", "go.mod", `{"Replace": [{"Old": {"Path": "golang.org/x/sync"}}]}`, []string{"go.mod replaces golang.org/x/sync"}},
		{"tool in the root", "go.mod", `{"Tool": [{"Path": "example.com/tool"}]}`,
			[]string{"go.mod has a tool line, which belongs in .ci/tools/go.mod: example.com/tool"}},
		{"example", "examples/sql/go.mod", replaceRoot, nil},
		{"example without replace", "examples/sql/go.mod", `{}`, []string{addReplace}},
		{"example replaced by another folder", "examples/sql/go.mod",
			`{"Replace": [{"Old": {"Path": "github.com/cohortkit/cohortkit"}, "New": {"Path": "../../../fork"}}]}`, []string{addReplace}},
		{"module elsewhere", "cohort/go.mod", replaceRoot, []string{"cohort/go.mod: a nested module belongs under examples/"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var m modFile
			if err := json.Unmarshal([]byte(tt.json), &m); err != nil {
				t.Fatal(err)
			}
			got := rootModFaults(m)
			if tt.file != "go.mod" {
				got = nestedModFaults(tt.file, m)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}
