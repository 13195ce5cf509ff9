package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// copyFormer loads the list that the first run leads from.
func copyFormer(ctx context.Context, j job) (result, error) {
	return result{}, j.Server.query(ctx, "CREATE TABLE former (id text NOT NULL)", copyStatement("former", j.list(0)), "VACUUM ANALYZE former")
}

func copyStatement(table, file string) string {
	return `\copy ` + table + ` FROM '` + strings.ReplaceAll(file, "'", "''") + `'`
}

// copyAndExcept loads the new list and has the server find the difference, which it keeps in two tables.
func copyAndExcept(ctx context.Context, j job) (r result, err error) {
	memory := watchMemory(j.Server.PID)
	start := time.Now()
	err = j.Server.query(ctx,
		"CREATE TABLE wanted (id text NOT NULL)", copyStatement("wanted", j.to()),
		"CREATE TABLE removals AS SELECT id FROM former EXCEPT SELECT id FROM wanted",
		"CREATE TABLE adds AS SELECT id FROM wanted EXCEPT SELECT id FROM former")
	r.Seconds = since(start)
	r.Elsewhere, r.Peak = true, memory.stop()
	if err != nil {
		return r, err
	}
	counts, err := j.Server.ask(ctx, "SELECT count(*) FROM removals", "SELECT count(*) FROM adds")
	if err != nil {
		return r, err
	}
	if len(counts) != 2 {
		return r, fmt.Errorf("the server counts %q", counts)
	}
	if r.Removals, err = strconv.Atoi(counts[0]); err != nil {
		return r, err
	}
	if r.Adds, err = strconv.Atoi(counts[1]); err != nil {
		return r, err
	}
	return r, j.Server.query(ctx, "DROP TABLE former, removals, adds", "ALTER TABLE wanted RENAME TO former", "VACUUM ANALYZE former", "CHECKPOINT")
}

// memoryWatch looks at the memory of a process and its children now and then.
type memoryWatch struct {
	done chan struct{}
	most chan int64
}

func watchMemory(pid int) memoryWatch {
	w := memoryWatch{make(chan struct{}), make(chan int64)}
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		var most int64
		for {
			most = max(most, memoryOf(pid))
			select {
			case <-tick.C:
			case <-w.done:
				w.most <- most
				return
			}
		}
	}()
	return w
}

// stop returns the most that was seen, or 0 if nothing could be.
func (w memoryWatch) stop() int64 {
	close(w.done)
	return <-w.most
}

// memoryOf returns the resident bytes of a process and its children, where Linux tells. Pages that they share are counted once.
func memoryOf(pid int) int64 {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0
	}
	var sum int64
	for _, folder := range folders {
		if filepath.Base(folder) == strconv.Itoa(pid) || field(filepath.Join(folder, "status"), "PPid:") == int64(pid) {
			sum += field(filepath.Join(folder, "smaps_rollup"), "Pss:") << 10
		}
	}
	return sum
}

// field returns a number of a file of /proc by its label.
func field(name, label string) int64 {
	text, err := os.ReadFile(filepath.Clean(name))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, label); ok {
			number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
			n, _ := strconv.ParseInt(number, 10, 64)
			return n
		}
	}
	return 0
}
