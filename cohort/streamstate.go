package cohort

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// StreamState is what has become of the events of a [Stream] so far. It holds counts and never an identifier. The sums hold at every moment:
//
//	Events == Pending + Applied + Superseded + Repeated + Suppressed + Late + Refused
//
// After Close, Pending is how many events Close returned.
type StreamState struct {
	Events     int // given to Send, except those that it could not take because the stream or the context had ended
	Pending    int // taken and not yet settled
	Applied    int // accepted by the endpoint
	Superseded int // settled by a newer event of the member, which was accepted in their place
	Repeated   int // settled by the same event, which had come before
	Suppressed int // of somebody on the do-not-send list
	Late       int // returned as late
	Refused    int // returned as what can be no event

	// Unacknowledged is how many events the function of OnAcknowledge has not yet got. It counts events that are settled, too: others
	// that arrived before them are not.
	Unacknowledged int
	// Members is of how many members the time of the newest event is kept although it is settled. Of whoever is forgotten events up to Watermark
	// are late; it is the zero time as long as nobody was.
	Members   int
	Watermark time.Time
	// Changes is what became of the changes that were put into requests. A change that is sent again counts again.
	Changes Tally
	// Requests counts the requests made, repeats and that of the name included. It is what the rate limit counts.
	Requests int
	// Failures counts the attempts that failed, after which events were kept to be sent again.
	Failures int
	// Named is what a stream of a Syncer did about the name of its cohort, and Warnings lists what is legal but likely wrong: [WarnName] and
	// [WarnOverlong].
	Named    Naming
	Warnings []Warning
}

// State returns what has become of the events so far.
func (s *Stream) State() StreamState {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state
	state.Warnings = slices.Clone(state.Warnings)
	if s.overlong > 0 {
		state.Warnings = append(state.Warnings, Warning{WarnOverlong, s.overlong})
	}
	state.Applied, state.Superseded, state.Repeated = s.counts[applied], s.counts[superseded], s.counts[repeated]
	state.Suppressed, state.Late = s.counts[suppressed], s.counts[late]
	taken := int(s.backlog.tail - 1)
	state.Events = taken + state.Refused
	state.Pending = taken
	for _, n := range s.counts {
		state.Pending -= n
	}
	state.Unacknowledged = int(s.backlog.tail - s.acked)
	state.Members = s.times.members.size - s.times.pending
	if s.times.watermark > 0 {
		state.Watermark = time.Unix(0, s.times.watermark).UTC()
	}
	return state
}

// String returns the state in one line, without the counts that are 0.
func (s StreamState) String() string {
	var b strings.Builder
	b.WriteString(plural(s.Events, "event"))
	if rest := listCounts([]count{
		{s.Applied, "applied"}, {s.Superseded, "superseded"}, {s.Repeated, "repeated"}, {s.Suppressed, "suppressed"},
		{s.Late, "late"}, {s.Refused, "refused"}, {s.Pending, "pending"},
	}); rest != "" {
		b.WriteString(" (" + rest + ")")
	}
	if n := s.Changes.Total(); n > 0 {
		fmt.Fprintf(&b, "; %s: %v", plural(n, "change"), s.Changes)
	}
	b.WriteString("; " + plural(s.Requests, "request"))
	if s.Failures > 0 {
		b.WriteString("; " + plural(s.Failures, "failure"))
	}
	for _, w := range s.Warnings {
		b.WriteString("; " + w.String())
	}
	return b.String()
}
