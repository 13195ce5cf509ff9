package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMain lets the test binary be what the tasks run in.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == taskArg {
		main()
		os.Exit(0)
	}
	// A process under the race detector waits for a second before it exits, unless it is told not to. The tests start dozens.
	if _, set := os.LookupEnv("GORACE"); !set {
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0") // read by the processes that are started from here on
	}
	os.Exit(m.Run())
}

// TestStart runs everything with a small cohort. The benchmark itself fails if the contenders do not find the same.
func TestStart(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"uuid", "text"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			svg := filepath.Join(t.TempDir(), "cost.svg")
			var out strings.Builder
			args := []string{"-sizes=2000,500", "-runs=2", "-churn=0.02", "-only=sort,map,loop", "-kind=" + kind, "-dir=" + dir, "-svg=" + svg}
			if err := start(t.Context(), args, &out, io.Discard); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{
				"500 members (" + kind + "), of whom 10 leave", "2,000 members (" + kind + "), of whom 40 leave", "cohort.Syncer", "GNU sort + comm", "Go map",
				"plain loop", "unchanged audience", "files written anew", "first sync of everybody", "bytes a member",
			} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the output lacks %q:\n%s", want, out.String())
				}
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Errorf("%v are left, %v", left, err)
			}
			checkXML(t, svg)
		})
	}
}

func checkXML(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(string(text)))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v in:\n%s", err, text)
		}
	}
}

// TestUsers matches a few users. The benchmark itself fails if the two ways do not agree.
func TestUsers(t *testing.T) { //nolint:paralleltest // what other tests allocate would be counted too
	var out strings.Builder
	if err := start(t.Context(), []string{"-users=20000", "-runs=2"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ten conditions over 20,000 users, 2 runs", "segment.Match", "conditions in Go"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		arg, want string
	}{
		{"-sizes=10,x", `size "x" is no number from 1 to 1000000000`},
		{"-users=-1", "-1 users is no number from 1 to 1000000000"},
		{"-sizes=0", `size "0" is no number from 1 to 1000000000`},
		{"-churn=0", "churn 0 is no share: use more than 0, and 1 at most"},
		{"-runs=0", "0 runs are none: use 1 or more"},
		{"-only=sort,awk", `there is no contender "awk"`},
		{"-kind=int", `invalid value "int" for flag -kind: use uuid or text`},
		{"now", `unknown argument "now"`},
	}
	for _, tt := range tests {
		t.Run(tt.arg, func(t *testing.T) {
			t.Parallel()
			err := start(t.Context(), []string{tt.arg}, io.Discard, io.Discard)
			if err == nil || err.Error() != tt.want {
				t.Errorf("start = %v, want %s", err, tt.want)
			}
		})
	}
}

// TestTasks runs what the table is made of, and shows that all contenders find one difference.
func TestTasks(t *testing.T) {
	t.Parallel()
	j := job{Dir: t.TempDir(), Size: 2000, Churn: 30}
	type found struct{ Removals, Adds, Requests, Changes int }
	do := func(name string, run int) found {
		t.Helper()
		j := j
		j.Task, j.Run = name, run
		r, err := runTask(t.Context(), j)
		if err != nil || r.NotRun != "" {
			t.Fatal(r.NotRun, err)
		}
		return found{r.Removals, r.Adds, r.Requests, r.Changes}
	}
	do("lists", 0)
	do("prepare ours", 0)
	steps := []struct {
		task string
		run  int
		want found
	}{
		{ours, 0, found{30, 30, 2, 60}},
		{ours, 0, found{}}, // again
		{"rewrite", 0, found{}},
		{ours, 1, found{30, 30, 2, 60}}, // and back
		{"map", 0, found{30, 30, 0, 0}},
		{"map", 1, found{30, 30, 0, 0}},
		{"loop", 0, found{0, 0, 2, 2000}},
		{"first", 0, found{0, 2000, 3, 2000}},
	}
	for _, s := range steps {
		if diff := cmp.Diff(s.want, do(s.task, s.run)); diff != "" {
			t.Errorf("%s, run %d (-want +got):\n%s", s.task, s.run, diff)
		}
	}
}

func TestUnknownTask(t *testing.T) {
	t.Parallel()
	if err := serveTask(t.Context(), strings.NewReader(`{"Task":"rest"}`), io.Discard); err == nil {
		t.Error("an unknown task is done")
	}
}

// TestNotRun shows how a contender that cannot run appears.
func TestNotRun(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	row{contender: contender{name: "GNU sort + comm"}, notRun: "there is no comm on the PATH"}.write(&b, 1)
	if got, want := b.String(), "GNU sort + comm          not run: there is no comm on the PATH\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()
	for _, kind := range []kind{uuidKind, textKind} {
		j := job{Kind: kind, Size: 1000, Churn: 10}
		var lists [2][]string
		for number := range lists {
			for line := range j.members(number) {
				lists[number] = append(lists[number], string(line))
			}
		}
		if slices.IsSorted(lists[1]) {
			t.Errorf("%v: the wanted list is sorted", kind)
		}
		for number := range lists {
			slices.Sort(lists[number])
			if n := len(slices.Compact(slices.Clone(lists[number]))); n != j.Size {
				t.Errorf("%v: list %d has %d different members, want %d", kind, number, n, j.Size)
			}
		}
		both := slices.Concat(lists[0], lists[1])
		slices.Sort(both)
		if got, want := len(slices.Compact(both)), j.Size+j.Churn; got != want {
			t.Errorf("%v: both lists together have %d different members, want %d", kind, got, want)
		}
	}
}

func TestAppendMember(t *testing.T) {
	t.Parallel()
	got := []string{string(uuidKind.appendMember(nil, 1)), string(textKind.appendMember(nil, 1))}
	want := []string{"910a2dec-8902-5cc1-bbac-b3cdd6f81c1d", "crm-10451216379200822465"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("appendMember (-want +got):\n%s", diff)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	self := func(r result) int { return r.Adds }
	tests := []struct {
		name string
		in   []result
		want int
	}{
		{"none", nil, 0},
		{"one", []result{{Adds: 4}}, 4},
		{"three", []result{{Adds: 9}, {Adds: 1}, {Adds: 5}}, 5},
		{"four", []result{{Adds: 9}, {Adds: 1}, {Adds: 5}, {Adds: 6}}, 6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := median(tt.in, self); got != tt.want {
				t.Errorf("median = %d, want %d", got, tt.want)
			}
		})
	}
}

// TestPlot looks for what a reader needs, with contenders of which one stops early and one never ran.
func TestPlot(t *testing.T) {
	t.Parallel()
	tableOf := func(size int, seconds ...float64) table {
		out := table{job: job{Size: size, Churn: size / 100}}
		for i, c := range contenders() {
			r := row{contender: c}
			if i < len(seconds) {
				r.results = []result{{Seconds: seconds[i], Requests: requests(size)}}
			}
			out.rows = append(out.rows, r)
		}
		return out
	}
	got := plot([]table{tableOf(10_000, 0.002, 0.01, 0.02), tableOf(1_000_000, 0.15, 1.2)})
	for _, want := range []string{
		"members</text>", ">10 k<", ">100 k<", ">1 M<", ">1 ms<", ">10 s<", "1 % of them new", ">cohort.Syncer 0.15 s<", ">GNU sort + comm 1.2 s<", ">Go map 20 ms<",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the plot lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "PostgreSQL") || strings.Contains(got, "NaN") || strings.Contains(got, "Inf") {
		t.Errorf("the plot has what was not measured:\n%s", got)
	}
}

func TestPlaceLabels(t *testing.T) {
	t.Parallel()
	lines := []line{{labelY: 100}, {labelY: 300}, {labelY: 101}, {labelY: 102}}
	placeLabels(lines)
	for i, a := range lines {
		for _, b := range lines[i+1:] {
			if distance := max(a.labelY, b.labelY) - min(a.labelY, b.labelY); distance < labelGap-0.5 {
				t.Errorf("labels at %.1f and %.1f overlap", a.labelY, b.labelY)
			}
		}
	}
	if lines[1].labelY != 300 {
		t.Errorf("a label that had room is at %.1f", lines[1].labelY)
	}
}

func TestGrouped(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 12_345_678: "12,345,678"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %s, want %s", n, got, want)
		}
	}
}
