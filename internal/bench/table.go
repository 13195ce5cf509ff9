package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cohortkit/cohortkit/transport"
)

// table is what was measured with one size.
type table struct {
	job    job
	runs   int
	rows   []row // of the contenders
	extras []row // what else a ledger does

	// The bytes of the ledger's files: before the first run, after the last one, and the most that were seen in between and during a rewriting.
	ledgerBefore, ledgerAfter, ledgerMost, rewriteMost int64
}

// row is what was measured of a contender.
type row struct {
	contender
	results []result
	notRun  string
}

// median returns the median of a figure. Of an even number it is the upper one of the two in the middle.
func median[T int | int64 | float64](results []result, figure func(result) T) T {
	if len(results) == 0 {
		return 0
	}
	var all []T
	for _, r := range results {
		all = append(all, figure(r))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func (r row) seconds() float64 {
	return median(r.results, func(r result) float64 { return r.Seconds })
}

// String returns the table as it is printed.
func (t table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s members (%s), of whom %s leave and as many enter; %s of each contender\n\n",
		grouped(t.job.Size), t.job.Kind, grouped(t.job.Churn), plural(t.runs, "run"))
	writeCells(&b, "", "seconds", "ratio", "CPU s", "peak MB", "requests", "data points", "at the quota")
	base := t.rows[0].seconds()
	for _, r := range slices.Concat(t.rows, t.extras) {
		r.write(&b, base)
	}
	t.writeFiles(&b)
	return b.String()
}

func writeCells(b *strings.Builder, name string, cells ...string) {
	fmt.Fprintf(b, "%-24s", name)
	for _, cell := range cells {
		fmt.Fprintf(b, "%13s", cell)
	}
	b.WriteByte('\n')
}

// write writes the row, with the ratio of its seconds to those of ours.
func (r row) write(b *strings.Builder, base float64) {
	if r.notRun != "" {
		fmt.Fprintf(b, "%-24s not run: %s\n", r.name, r.notRun)
		return
	}
	cpu, peak, sent, changes, quota := "–", "–", "–", "–", "–"
	if n := median(r.results, func(r result) float64 { return r.CPU }); n > 0 {
		cpu = fmt.Sprintf("%.2f", n)
	}
	if n := median(r.results, func(r result) int64 { return r.Peak }); n > 0 {
		peak = fmt.Sprintf("%.0f", float64(n)/1e6)
	}
	if last := r.results[len(r.results)-1]; last.Sends {
		sent, changes = grouped(last.Requests), grouped(last.Changes)
		quota = fmt.Sprintf("%.1f s", atQuota(last.Requests).Seconds())
	}
	writeCells(b, r.name, fmt.Sprintf("%.3f", r.seconds()), fmt.Sprintf("%.1f", r.seconds()/base), cpu, peak, sent, changes, quota)
}

// atQuota returns how long the endpoint's quota makes as many requests last at least.
func atQuota(requests int) time.Duration {
	return time.Duration(requests) * time.Hour / transport.CohortRequestsPerHour
}

func (t table) writeFiles(b *strings.Builder) {
	members := float64(t.job.Size)
	fmt.Fprintf(b, "\nledger: %.2f bytes a member before, %.2f after %s; at most %.2f times its size while it works, and %.2f times as it is written anew\n",
		float64(t.ledgerBefore)/members, float64(t.ledgerAfter)/members, plural(t.runs, "sync"),
		float64(t.ledgerMost)/float64(t.ledgerBefore), float64(t.rewriteMost)/float64(t.ledgerBefore))
	fmt.Fprintf(b, "requests: %s removals and %s adds took %s, the same audience again took none\n",
		grouped(t.job.Churn), grouped(t.job.Churn), grouped(2*requests(t.job.Churn)))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// grouped returns a number with commas: "10,000,000".
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
