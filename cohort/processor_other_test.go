//go:build !unix

package cohort_test

import "time"

// processorTime is not measured here; the ratios of processor time are then not numbers.
func processorTime() time.Duration { return 0 }
