package ledgertest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// maxLines is how many lines of either side of a difference are shown.
const maxLines = 12

// diff shows the lines of the one list that the other has not, or "" if they have the same lines in the same order.
func diff(want, got []string) string {
	if slices.Equal(want, got) {
		return ""
	}
	missing, extra := without(want, got), without(got, want)
	if len(missing)+len(extra) == 0 { // another order
		missing, extra = want, got
	}
	var b strings.Builder
	for _, side := range [...]struct {
		sign  string
		lines []string
	}{{"-", missing}, {"+", extra}} {
		for _, line := range side.lines[:min(len(side.lines), maxLines)] {
			fmt.Fprintf(&b, "\t%s %s\n", side.sign, line)
		}
		if more := len(side.lines) - maxLines; more > 0 {
			fmt.Fprintf(&b, "\t%s … and %d more\n", side.sign, more)
		}
	}
	return b.String()
}

// without returns the lines that the other list has less often.
func without(lines, other []string) []string {
	count := map[string]int{}
	for _, line := range other {
		count[line]++
	}
	var left []string
	for _, line := range lines {
		if count[line]--; count[line] < 0 {
			left = append(left, line)
		}
	}
	return left
}

// show returns a text by which two identifiers can be told apart, however long they are.
func show(id identity.ID) string {
	s := id.Encode()
	if len(s) > 120 {
		return fmt.Sprintf("%s… %d bytes …%s", s[:40], len(s), s[len(s)-8:])
	}
	return s
}

// states is what is known of members, by what show returns.
type states map[string]ledger.State

func (s states) lines(prefix string) []string {
	lines := make([]string, 0, len(s))
	for _, id := range slices.Sorted(maps.Keys(s)) {
		lines = append(lines, fmt.Sprintf("%s%q %v", prefix, id, s[id]))
	}
	return lines
}

// difference is a [ledger.Difference] that can be compared.
type difference struct {
	Members, Kept, Duplicate int
	Removals, Adds, Repeats  states
}

func (d difference) equal(o difference) bool {
	return d.Members == o.Members && d.Kept == o.Kept && d.Duplicate == o.Duplicate &&
		maps.Equal(d.Removals, o.Removals) && maps.Equal(d.Adds, o.Adds) && maps.Equal(d.Repeats, o.Repeats)
}

func (d difference) lines() []string {
	return slices.Concat(
		[]string{fmt.Sprint("Members: ", d.Members), fmt.Sprint("Kept: ", d.Kept), fmt.Sprint("Duplicate: ", d.Duplicate)},
		d.Removals.lines("Removals: "), d.Adds.lines("Adds: "), d.Repeats.lines("Repeats: "),
	)
}

// headerLines shows a header so that equal times look equal.
func headerLines(h *ledger.Header) []string {
	lines := []string{
		fmt.Sprintf("Name: %s", brief(h.Name)),
		"CreatedAt: " + moment(h.CreatedAt),
		fmt.Sprintf("Naming: %d", h.Naming),
		"NamedAt: " + moment(h.NamedAt),
		fmt.Sprintf("FormerName: %s", brief(h.FormerName)),
		fmt.Sprintf("Retired: %t", h.Retired),
		fmt.Sprintf("Rules: %q", h.Rules),
		fmt.Sprintf("Generation: %d", h.Generation),
	}
	for i, at := range h.Sent {
		if at != 0 {
			lines = append(lines, fmt.Sprintf("Sent[%d]: %d", i, at))
		}
	}
	return lines
}

func moment(at time.Time) string {
	if at.IsZero() {
		return "the zero time"
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// brief quotes a text, whose length stands for the middle of a long one.
func brief(s string) string {
	if len(s) > 120 {
		return fmt.Sprintf("%q… %d bytes …%q", s[:40], len(s), s[len(s)-8:])
	}
	return fmt.Sprintf("%q", s)
}

func keyLine(k ledger.Key) string {
	return strings.Join([]string{brief(k.Workspace), brief(k.CohortID), brief(k.Partner), brief(k.Endpoint)}, " ")
}

func entryLines(entries []ledger.Entry) []string {
	var lines []string
	for _, e := range entries {
		lines = append(lines, keyLine(e.Key)+": "+strings.Join(headerLines(&e.Header), ", "))
	}
	return lines
}

// sortStamps puts stamps in the order of their members.
func sortStamps(stamps []ledger.Stamp) {
	slices.SortFunc(stamps, func(a, b ledger.Stamp) int {
		return cmp.Or(slices.Compare(a.Member[:], b.Member[:]), cmp.Compare(a.At, b.At))
	})
}

func stampLines(watermark int64, stamps []ledger.Stamp) []string {
	lines := []string{fmt.Sprint("watermark ", watermark)}
	for _, s := range stamps {
		lines = append(lines, fmt.Sprintf("member %x at %d, leave %t, sure %t", s.Member, s.At, s.Leave, s.Sure))
	}
	return lines
}
