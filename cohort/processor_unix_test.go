//go:build unix

package cohort_test

import (
	"syscall"
	"time"
)

// processorTime is what the process has used up to now, all threads together.
func processorTime() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
