package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// taskArg is the first argument of a process that does one task. The job comes on its standard input.
const taskArg = "-task"

// job is what a task works on.
type job struct {
	Task    string
	Dir     string // the folder of this size
	Kind    kind
	Size    int // members
	Churn   int // how many leave, and how many enter
	Run     int // counted from 0; odd ones lead back
	Profile string
	Server  *server // of PostgreSQL
}

// result is what a task has to say.
type result struct {
	Seconds  float64
	Removals int // found
	Adds     int // found
	Requests int
	Changes  int  // sent
	Sends    bool // whether it sends at all
	// NotRun says why the task could not run, if it could not.
	NotRun string
	// CPU is the processor time in seconds, and Peak the peak of resident memory in bytes. 0 says that nobody knows.
	CPU  float64
	Peak int64
	// Elsewhere says that the work was done by processes that the task did not start, so that CPU and Peak have to come from them.
	Elsewhere bool
}

// taskFunc does a task in a process of its own.
type taskFunc func(ctx context.Context, j job) (result, error)

func taskOf(name string) taskFunc {
	switch name {
	case "lists":
		return makeLists
	case "prepare ours":
		return importMembers
	case "ours":
		return syncMembers
	case "first":
		return syncFirst
	case "rewrite":
		return rewriteLedger
	case "prepare sort":
		return sortFormer
	case "sort":
		return sortAndCompare
	case "map":
		return compareMap
	case "prepare postgres":
		return copyFormer
	case "postgres":
		return copyAndExcept
	case "loop":
		return sendEverybody
	default:
		return nil
	}
}

// serveTask does the task that the input names.
func serveTask(ctx context.Context, in io.Reader, out io.Writer) error {
	var j job
	if err := json.NewDecoder(in).Decode(&j); err != nil {
		return err
	}
	do := taskOf(j.Task)
	if do == nil {
		return fmt.Errorf("there is no task %q", j.Task)
	}
	r, err := do(ctx, j)
	if missing, ok := errors.AsType[*missingError](err); ok {
		r, err = result{NotRun: missing.reason}, nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", j.Task, err)
	}
	return json.NewEncoder(out).Encode(r)
}

// runTask has a process of its own do a task.
func runTask(ctx context.Context, j job) (result, error) {
	var r result
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	input, err := json.Marshal(j)
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, self, taskArg)
	cmd.Stdin = bytes.NewReader(input)
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("%s: %w", j.Task, err)
	}
	if err := json.Unmarshal(output, &r); err != nil {
		return r, fmt.Errorf("%s: read its result: %w", j.Task, err)
	}
	if !r.Elsewhere {
		r.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
		r.Peak = peak(cmd.ProcessState)
	}
	return r, nil
}

// missingError means that a contender cannot run here.
type missingError struct{ reason string }

// Error returns the reason.
func (e *missingError) Error() string { return e.reason }

// runCommand runs a command of the system. The error has what it wrote to its standard error.
func runCommand(cmd *exec.Cmd) error {
	var text strings.Builder
	cmd.Stderr = &text
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd.Args[0], err, lastLine(text.String()))
	}
	return nil
}

// lastLine returns the last line of a text, which is where programs say what went wrong.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// since returns the seconds since then.
func since(start time.Time) float64 { return time.Since(start).Seconds() }
