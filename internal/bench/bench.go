package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/cohortkit/cohortkit/cohort"
)

// bench is one run of the program.
type bench struct {
	settings
	out        io.Writer
	folder     string // where everything is, until the end
	contenders []contender
}

func newBench(s settings, out io.Writer) (*bench, error) {
	folder, err := os.MkdirTemp(s.dir, "cohortkit-bench")
	if err != nil {
		return nil, err
	}
	// A database server that runs as somebody else has to pass through.
	if err := os.Chmod(folder, 0o711); err != nil { //nolint:gosec // the files in it are readable by us alone
		return nil, err
	}
	b := &bench{settings: s, out: out, folder: folder}
	for _, c := range contenders() {
		if c.short == ours || len(s.only) == 0 || slices.Contains(s.only, c.short) {
			b.contenders = append(b.contenders, c)
		}
	}
	return b, nil
}

// clean removes what was written on the way.
func (b *bench) clean() error { return os.RemoveAll(b.folder) }

// run measures every size, prints its table, and draws the plot.
func (b *bench) run(ctx context.Context) error {
	var all []table
	for _, size := range b.sizes {
		t, err := b.measure(ctx, size)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(b.out, t.String()+"\n"); err != nil {
			return err
		}
		all = append(all, t)
	}
	if b.svg == "" {
		return nil
	}
	return os.WriteFile(b.svg, []byte(plot(all)), filePerm)
}

// measure has the contenders run in turns with a cohort of this size.
func (b *bench) measure(ctx context.Context, size int) (t table, err error) {
	j := job{
		Dir: filepath.Join(b.folder, fmt.Sprint(size)), Kind: b.kind, Size: size,
		Churn: min(size, max(1, int(math.Round(float64(size)*b.churn)))),
	}
	if err := os.Mkdir(j.Dir, 0o711); err != nil { //nolint:gosec // as the folder above it
		return t, err
	}
	defer func() {
		if removeErr := os.RemoveAll(j.Dir); err == nil {
			err = removeErr
		}
	}()
	t = table{job: j, runs: b.runs}
	for _, c := range b.contenders {
		t.rows = append(t.rows, row{contender: c})
	}
	if _, err := b.task(ctx, j, "lists"); err != nil {
		return t, err
	}
	defer func() {
		if stopErr := j.Server.stop(); err == nil {
			err = stopErr
		}
	}()
	for i := range t.rows {
		if err := b.prepare(ctx, &j, &t.rows[i]); err != nil {
			return t, err
		}
	}
	if t.ledgerBefore, err = folderSize(j.ledgerDir()); err != nil {
		return t, err
	}
	for j.Run = range b.runs {
		for i := range t.rows {
			if err := b.turn(ctx, j, &t, &t.rows[i]); err != nil {
				return t, err
			}
		}
	}
	j.Profile = ""
	return t, b.others(ctx, j, &t)
}

// prepare makes what a contender keeps between two runs, for the first one.
func (b *bench) prepare(ctx context.Context, j *job, r *row) error {
	if r.short == "postgres" {
		server, err := startServer(ctx, j.Dir)
		if missing, ok := errors.AsType[*missingError](err); ok {
			r.notRun = missing.reason
			return nil
		}
		if err != nil {
			return err
		}
		j.Server = server
	}
	if !r.prepares() {
		return nil
	}
	made, err := b.task(ctx, *j, "prepare "+r.short)
	r.notRun = made.NotRun
	return err
}

// turn is one run of one contender.
func (b *bench) turn(ctx context.Context, j job, t *table, r *row) error {
	if r.notRun != "" {
		return nil
	}
	if r.short != ours {
		return b.add(ctx, j, r)
	}
	if j.Run == b.runs-1 {
		j.Profile = b.profile
	}
	watch := watchFolder(j.ledgerDir())
	err := b.add(ctx, j, r)
	t.ledgerMost = max(t.ledgerMost, watch.stop())
	if err != nil {
		return err
	}
	t.ledgerAfter, err = folderSize(j.ledgerDir())
	return err
}

// add runs a contender and holds what it found against what there was to be found.
func (b *bench) add(ctx context.Context, j job, r *row) error {
	found, err := b.task(ctx, j, r.short)
	if err != nil {
		return err
	}
	if r.notRun = found.NotRun; r.notRun != "" {
		return nil
	}
	r.results = append(r.results, found)
	if r.compares() && (found.Removals != j.Churn || found.Adds != j.Churn) {
		return fmt.Errorf("%s finds %d removals and %d adds among %d members: there are %d of each", r.name, found.Removals, found.Adds, j.Size, j.Churn)
	}
	if r.short == ours && found.Requests != 2*requests(j.Churn) {
		return fmt.Errorf("%s sends %d requests for %d removals and as many adds: %d are enough", r.name, found.Requests, j.Churn, 2*requests(j.Churn))
	}
	return nil
}

// requests returns how many requests as many changes take at least.
func requests(changes int) int { return (changes + cohort.MaxIdentifiers - 1) / cohort.MaxIdentifiers }

// others measures what else a ledger does: the sync of an audience that has not changed, the rewriting of its files, and the first sync of all.
func (b *bench) others(ctx context.Context, j job, t *table) error {
	for _, extra := range []struct {
		task, name string
		requests   int
	}{
		{ours, "unchanged audience", 0}, // the last run again, which leads to the list that is there now
		{"rewrite", "files written anew", 0},
		{"first", "first sync of everybody", requests(j.Size) + 1}, // one for its name
	} {
		watch := watchFolder(j.ledgerDir())
		found, err := b.task(ctx, j, extra.task)
		most := watch.stop()
		if err != nil {
			return err
		}
		if found.Requests != extra.requests {
			return fmt.Errorf("%s: %d requests, not %d", extra.name, found.Requests, extra.requests)
		}
		if extra.task == "rewrite" {
			t.rewriteMost = most
		}
		t.extras = append(t.extras, row{contender: contender{name: extra.name}, results: []result{found}})
	}
	return nil
}

func (b *bench) task(ctx context.Context, j job, name string) (result, error) {
	j.Task = name
	return runTask(ctx, j)
}
