package gate_test

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// habitFaults returns a line for each test that sleeps in real time or that may pass without having run.
//
// A file that imports testing/synctest may sleep: in a bubble that takes no time. Whether each sleep is inside the bubble
// is not for a reader of the source to tell.
func habitFaults(files []file) []string {
	var faults []string
	for _, f := range files {
		if !f.test {
			continue
		}
		bubble := slices.Contains(f.imports, "testing/synctest")
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			on, ok := sel.X.(*ast.Ident)
			switch {
			case !ok:
			case on.Name == "time" && sel.Sel.Name == "Sleep" && !bubble:
				faults = append(faults, fmt.Sprintf("%s: line %d: sleeps outside testing/synctest", f.path, f.line(n)))
			case strings.HasPrefix(sel.Sel.Name, "Skip") && slices.Contains([]string{"t", "b", "f", "tb"}, on.Name):
				faults = append(faults, fmt.Sprintf("%s: line %d: %s.%s: a skipped test proves nothing", f.path, f.line(n), on.Name, sel.Sel.Name))
			}
			return true
		})
	}
	return faults
}

func TestHabits(t *testing.T) {
	t.Parallel()
	files, _ := tree(t)
	for _, fault := range habitFaults(files) {
		t.Error(fault)
	}
}

func TestHabitFaults(t *testing.T) {
	t.Parallel()
	got := habitFaults(sources(t,
		"cohort/a_test.go", `package cohort_test
import ("testing"; "time")
func TestA(t *testing.T) {
	time.Sleep(time.Second)
	t.Skipf("later")
}
`,
		"cohort/b_test.go", `package cohort_test
import ("testing"; "testing/synctest"; "time")
func TestB(t *testing.T) { synctest.Test(t, func(*testing.T) { time.Sleep(time.Hour) }) }
`,
		"cohort/c.go", `package cohort
func c(t rows) { t.Skip() }
`,
	))
	want := []string{
		"cohort/a_test.go: line 4: sleeps outside testing/synctest",
		"cohort/a_test.go: line 5: t.Skipf: a skipped test proves nothing",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("habitFaults (-want +got):\n%s", diff)
	}
}
