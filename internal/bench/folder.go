package main

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"
)

// folderSize returns how many bytes the files of a folder hold. Those that come and go meanwhile do not matter.
func folderSize(folder string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				sum += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return sum, err
}

// folderWatch looks at the size of a folder every few milliseconds.
type folderWatch struct {
	done chan struct{}
	most chan int64
}

func watchFolder(folder string) folderWatch {
	w := folderWatch{make(chan struct{}), make(chan int64)}
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		var most int64
		for {
			if size, err := folderSize(folder); err == nil {
				most = max(most, size)
			}
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

// stop returns the largest size that was seen.
func (w folderWatch) stop() int64 {
	close(w.done)
	return <-w.most
}
