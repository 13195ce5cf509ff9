package main

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"time"
)

// mapMost is how many members the map is tried with: each takes about 100 bytes.
const mapMost = 20_000_000

// compareMap is the difference with a Go map: whoever of the former list the new one does not name has to go.
func compareMap(_ context.Context, j job) (r result, err error) {
	if j.Size > mapMost {
		return r, &missingError{"more than 20 million members take more than 2 GB"}
	}
	start := time.Now()
	f, err := os.Create(filepath.Join(j.Dir, "map-difference.txt"))
	if err != nil {
		return r, err
	}
	defer func() { _ = f.Close() }() // flushed below
	w := bufio.NewWriterSize(f, bufferSize)
	former := map[string]struct{}{}
	for id, err := range lines(j.from()) {
		if err != nil {
			return r, err
		}
		former[id] = struct{}{}
	}
	for id, err := range lines(j.to()) {
		if err != nil {
			return r, err
		}
		if _, ok := former[id]; ok {
			delete(former, id)
			continue
		}
		r.Adds++
		_, _ = w.WriteString("add " + id + "\n") // Flush has the error
	}
	for id := range former {
		r.Removals++
		_, _ = w.WriteString("remove " + id + "\n")
	}
	err = w.Flush()
	r.Seconds = since(start)
	return r, err
}
