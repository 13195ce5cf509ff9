//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
)

// peak returns the most memory, in bytes, that a process had resident, or one of those that it waited for.
func peak(state *os.ProcessState) int64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	most := int64(usage.Maxrss) //nolint:unconvert // it has 32 bits on some systems
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return most // in bytes there, in kilobytes elsewhere
	}
	return most << 10
}
