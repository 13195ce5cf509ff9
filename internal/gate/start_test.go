package gate_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// startFaults returns a line for each thing that would run when a program that imports the library starts.
//
// Examples and tests are programs: they may start as they like.
func startFaults(files []file) []string {
	typeNames := map[string]map[string]bool{}
	for _, f := range files {
		if typeNames[f.dir] == nil {
			typeNames[f.dir] = map[string]bool{}
		}
		for _, decl := range f.syntax.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				if spec, ok := spec.(*ast.TypeSpec); ok {
					typeNames[f.dir][spec.Name.Name] = true
				}
			}
		}
	}
	var faults []string
	for _, f := range files {
		if f.test || within(f.dir, examples) {
			continue
		}
		for _, decl := range f.syntax.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil && decl.Name.Name == "init" {
					faults = append(faults, fmt.Sprintf("%s: line %d: func init", f.path, f.line(decl)))
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok {
						faults = append(faults, f.initialWork(v.Values, typeNames[f.dir])...)
					}
				}
			}
		}
	}
	return faults
}

func (f file) line(n ast.Node) int { return f.fset.Position(n.Pos()).Line }

// initialWork returns a line for each call and channel operation in the initial values of package-level variables. The body of
// a function that is only stored does not run, and the compiler lays out errors.New and conversions as data.
func (f file) initialWork(values []ast.Expr, typeNames map[string]bool) []string {
	var faults []string
	for _, value := range values {
		ast.Inspect(value, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				return false
			case *ast.CallExpr:
				if !isData(n.Fun, typeNames) {
					faults = append(faults, fmt.Sprintf("%s: line %d: a package-level variable calls %s", f.path, f.line(n), types.ExprString(n.Fun)))
				}
			case *ast.UnaryExpr:
				if n.Op == token.ARROW {
					faults = append(faults, fmt.Sprintf("%s: line %d: a package-level variable receives from a channel", f.path, f.line(n)))
				}
			}
			return true
		})
	}
	return faults
}

// isData reports whether a call of fun needs no code at start: errors.New, a builtin without effect, or a conversion.
// Whether a name of another package is a type cannot be told from one package's source, so the few in use are listed.
func isData(fun ast.Expr, typeNames map[string]bool) bool {
	switch fun := fun.(type) {
	case *ast.ParenExpr:
		return isData(fun.X, typeNames)
	case *ast.StarExpr, *ast.ArrayType, *ast.FuncType, *ast.InterfaceType:
		return true
	case *ast.Ident:
		if typeNames[fun.Name] {
			return true
		}
		switch obj := types.Universe.Lookup(fun.Name).(type) {
		case *types.TypeName:
			return true
		case *types.Builtin:
			return slices.Contains([]string{"len", "cap", "new", "min", "max"}, obj.Name())
		}
	case *ast.SelectorExpr:
		return slices.Contains([]string{"errors.New", "time.Duration"}, types.ExprString(fun))
	}
	return false
}

// libraryPackages returns the import paths that a user's program can import, in order, without the fake.
func libraryPackages(files []file) []string {
	var paths []string
	for _, f := range files {
		if !f.test && !within(f.dir, "internal") && !within(f.dir, examples) && !within(f.dir, fake) && f.dir != contract && f.syntax.Name.Name != "main" {
			paths = append(paths, modulePath+"/"+f.dir)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// initLines returns the lines of a GODEBUG=inittrace=1 trace that tell of work in our own packages. A package that allocates
// nothing only copied an address, as a table that names a sentinel error must; calls are startFaults' concern.
func initLines(trace string) []string {
	var ours []string
	for line := range strings.Lines(trace) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "init "+modulePath) && !strings.HasSuffix(line, ", 0 bytes, 0 allocs") {
			ours = append(ours, line)
		}
	}
	return ours
}

func TestStart(t *testing.T) {
	t.Parallel()
	files, _ := tree(t)
	for _, fault := range startFaults(files) {
		t.Errorf("%s: do it in the constructor, or where it is first needed", fault)
	}
}

// TestStartOfProgram builds a program that imports every package of the library and does nothing, and has the runtime say
// what ran before main and how many goroutines there are.
func TestStartOfProgram(t *testing.T) {
	t.Parallel()
	files, _ := tree(t)
	var source strings.Builder
	source.WriteString("package main\n\nimport (\n\t\"fmt\"\n\t\"runtime\"\n")
	for _, p := range libraryPackages(files) {
		fmt.Fprintf(&source, "\t_ %q\n", p)
	}
	source.WriteString(")\n\nfunc main() { fmt.Print(runtime.NumGoroutine()) }\n")

	dir := t.TempDir()
	main, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program.exe")
	if err := os.WriteFile(main, []byte(source.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	goCommand(t, "build", "-o", program, main)

	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("run the program: %v\n%s", err, &stderr)
	}
	if got := stdout.String(); got != "1" {
		t.Errorf("goroutines at the start of main = %s, want 1: a package started its own", got)
	}
	if !strings.Contains(stderr.String(), "init runtime @") {
		t.Fatalf("the runtime printed no trace of what ran before main:\n%s", &stderr)
	}
	for _, line := range initLines(stderr.String()) {
		t.Errorf("work before main: %s: a map or a call in a package-level variable; use a switch, an array or the constructor", line)
	}
}

func TestStartFaults(t *testing.T) {
	t.Parallel()
	got := startFaults(sources(t,
		"keys/data.go", `package keys

import ("errors"; "time")

type code int
type reader interface{ Read() }
type source struct{}

var (
	ErrA      = errors.New("keys: a")
	first     = code(3)
	wait      = 3 * time.Duration(len("abc"))
	table     = [...]string{"a", "b"}
	raw       = []byte("x")
	_ reader  = (*source)(nil)
	hook      = func() string { return f() }
)
`,
		"keys/work.go", `package keys

import ("regexp"; "fmt")

var (
	pattern = regexp.MustCompile("a")
	errB    = fmt.Errorf("keys: b")
	nested  = []string{"a", f()}
	now     = func() int { return 1 }()
	got     = <-feed
	shelf   = make(map[string]int)
)

func init() {}

func f() string { return "" }
`,
		"keys/other.go", `package keys

var later = code(4)

type T struct{}

func (T) init() {}
`,
		"keys/a_test.go", `package keys; func init() {}`,
		"examples/quickstart/main.go", `package main; var x = f(); func init() {}; func f() int { return 1 }`,
	))
	want := []string{
		"keys/work.go: line 6: a package-level variable calls regexp.MustCompile",
		"keys/work.go: line 7: a package-level variable calls fmt.Errorf",
		"keys/work.go: line 8: a package-level variable calls f",
		"keys/work.go: line 9: a package-level variable calls (func() int literal)",
		"keys/work.go: line 10: a package-level variable receives from a channel",
		"keys/work.go: line 11: a package-level variable calls make",
		"keys/work.go: line 14: func init",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("startFaults (-want +got):\n%s", diff)
	}
}

func TestLibraryPackages(t *testing.T) {
	t.Parallel()
	got := libraryPackages(sources(t,
		"transport/a.go", `package transport`,
		"transport/b.go", `package transport`,
		"cohort/ledger/a.go", `package ledger`,
		"cohort/ledger/ledgertest/a.go", `package ledgertest`,
		"transport/brazetest/a.go", `package brazetest`,
		"internal/text/a.go", `package text`,
		"examples/quickstart/main.go", `package main`,
		"segment/a_test.go", `package segment_test`,
	))
	want := []string{modulePath + "/cohort/ledger", modulePath + "/transport"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("libraryPackages (-want +got):\n%s", diff)
	}
}

func TestInitLines(t *testing.T) {
	t.Parallel()
	got := initLines("init runtime @0.01 ms, 0.1 ms clock, 0 bytes, 0 allocs\n" +
		"init " + modulePath + "/transport @0.1 ms, 0.003 ms clock, 0 bytes, 0 allocs\n" +
		"init " + modulePath + "/cohort @0.2 ms, 0.08 ms clock, 256 bytes, 2 allocs\n")
	want := []string{"init " + modulePath + "/cohort @0.2 ms, 0.08 ms clock, 256 bytes, 2 allocs"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("initLines (-want +got):\n%s", diff)
	}
}
