package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// sorted returns the sorted file of a list, which is kept for the next run.
func (j job) sorted(number int) string {
	return filepath.Join(j.Dir, fmt.Sprintf("sorted-%d.txt", number%2))
}

// sortFormer sorts the list that the first run leads from. It finds out whether there is a sort that can be used.
func sortFormer(ctx context.Context, j job) (result, error) {
	for _, name := range [...]string{"sort", "comm"} {
		if _, err := exec.LookPath(name); err != nil {
			return result{}, &missingError{"there is no " + name + " on the PATH"}
		}
	}
	if err := j.sort(ctx, 0); err != nil {
		return result{}, &missingError{err.Error()} // one that is not GNU's knows other options
	}
	return result{}, nil
}

func (j job) sort(ctx context.Context, number int) error {
	cmd := exec.CommandContext(ctx, "sort", "--parallel=2", "-S", "256M", "-T", j.Dir, "-o", j.sorted(number), j.list(number))
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	return runCommand(cmd)
}

// sortAndCompare sorts the new list and compares it with the sorted former one.
func sortAndCompare(ctx context.Context, j job) (r result, err error) {
	difference := filepath.Join(j.Dir, "sort-difference.txt")
	start := time.Now()
	if err := j.sort(ctx, j.Run+1); err != nil {
		return r, err
	}
	f, err := os.Create(filepath.Clean(difference))
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, "comm", "-3", j.sorted(j.Run), j.sorted(j.Run+1))
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdout = f
	err = runCommand(cmd)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return r, err
	}
	r.Seconds = since(start)
	r.Adds, r.Removals, err = count(difference, "\t") // comm puts a tab before what only the second file has
	return r, err
}
