package gate_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// modulePath is the import path of the library.
const modulePath = "github.com/cohortkit/cohortkit"

// A file is one Go source file of the root module.
type file struct {
	path    string   // slash-separated, relative to the root
	dir     string   // path's folder; "." is the root
	test    bool     // ends in _test.go
	outside bool     // its package clause ends in _test: an external test package
	imports []string // import paths as written
	syntax  *ast.File
	fset    *token.FileSet
}

// own returns the folder, relative to the root, of an import path of this module.
func own(importPath string) (dir string, ok bool) {
	if importPath == modulePath {
		return ".", true
	}
	return strings.CutPrefix(importPath, modulePath+"/")
}

// standard reports whether the path belongs to the standard library: its first element has no dot. "C", for cgo, does not.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".") && importPath != "C"
}

// parse turns the text of one file into a file.
func parse(name string, text []byte) (file, error) {
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
	if err != nil {
		return file{}, err
	}
	f := file{
		path:    name,
		dir:     path.Dir(name),
		test:    strings.HasSuffix(name, "_test.go"),
		outside: strings.HasSuffix(syntax.Name.Name, "_test"),
		syntax:  syntax,
		fset:    fset,
	}
	for _, spec := range syntax.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return file{}, err
		}
		f.imports = append(f.imports, p)
	}
	return f, nil
}

// root returns the folder of the root module: the first one, going up from this package, that has a go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above this package")
		}
		dir = up
	}
}

// tree returns the Go files of the root module, and the go.mod and go.work files anywhere in it, as paths relative to the root.
// Reading the files here, and not only through the go command, is what makes the test cache notice that they changed.
func tree(t *testing.T) (files []file, modules []string) {
	t.Helper()
	top := root(t)
	nested := map[string]bool{}
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		name := d.Name()
		if d.IsDir() {
			switch {
			case rel == ".":
				return nil
			case name[0] == '.' || name[0] == '_' || name == "testdata" || name == "node_modules":
				return filepath.SkipDir
			}
			nested[rel] = nested[path.Dir(rel)]
			if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
				nested[rel] = true
			} else if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		}
		if name == "go.mod" || name == "go.work" {
			modules = append(modules, rel)
		}
		if !strings.HasSuffix(name, ".go") || nested[path.Dir(rel)] {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		f, err := parse(rel, text)
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(files, func(f file) bool { return f.path == "internal/gate/doc.go" }) {
		t.Fatal("the walk missed this very package, so what it found proves nothing")
	}
	return files, modules
}

// goCommand runs the go command in the root of the module and returns what it printed.
func goCommand(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root(t)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return out
}

// A listed is a package as go list tells it.
type listed struct {
	ImportPath string
	ForTest    string
	Deps       []string // everything it needs, however far down
	Module     *struct {
		Path string
		Main bool
	}
}

// list returns what go list says of the patterns in args.
func list(t *testing.T, args ...string) []listed {
	t.Helper()
	out := goCommand(t, append([]string{"list", "-json=ImportPath,ForTest,Deps,Module"}, args...)...)
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// sources parses the made-up files that show a rule at work: name and text in turn.
func sources(t *testing.T, namesAndTexts ...string) []file {
	t.Helper()
	var files []file
	for pair := range slices.Chunk(namesAndTexts, 2) {
		f, err := parse(pair[0], []byte(pair[1]))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}
