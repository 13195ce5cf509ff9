package cohort

import (
	"context"
	"fmt"
	"sync"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/transport"
)

// journal records in a ledger what is about to leave, and what became of it. The nil journal records nothing.
type journal struct {
	session ledger.Session
	keeper  ledger.Timekeeper // the session, where there are stamps
	// accepted is what an accepted request is settled as: Lost where a removal that was held back may undo it later. It changes only while
	// nothing is under way.
	accepted ledger.Outcome
	// stamp returns the stamps of changes that are due to events, and the watermark. Nil where there are none.
	stamp func([]Change) ([]ledger.Stamp, int64)

	mu  sync.Mutex
	err error // the first that the ledger answered
}

func newJournal(session ledger.Session) *journal {
	return &journal{session: session, accepted: ledger.Accepted}
}

// begin makes durable that these changes are about to leave. Nothing is recorded once the run, whose begin this is, has ended. The ledger gets
// the context of the caller alone: the end of this run must not spoil the session, which has yet to hear what became of other requests.
func (j *journal) begin(ctx, begin context.Context, changes []Change) (ledger.Intent, error) {
	if j == nil {
		return 0, nil
	}
	if err := begin.Err(); err != nil {
		return 0, err
	}
	var removals, adds []ledger.Member
	for i := range changes {
		c := &changes[i]
		list := &removals
		if c.direction == addition {
			list = &adds
		}
		if *list == nil {
			*list = make([]ledger.Member, 0, len(changes)-i)
		}
		*list = append(*list, ledger.Member{ID: c.ID(), State: c.former})
	}
	intent, err := j.intend(ctx, removals, adds, changes)
	return intent, j.note("record what is about to be sent", err)
}

func (j *journal) intend(ctx context.Context, removals, adds []ledger.Member, changes []Change) (ledger.Intent, error) {
	if j.stamp == nil {
		return j.session.Begin(ctx, removals, adds)
	}
	stamps, watermark := j.stamp(changes)
	return j.keeper.BeginStamped(ctx, removals, adds, stamps, watermark)
}

// settle records what became of an intent.
func (j *journal) settle(intent ledger.Intent, outcome transport.Outcome) error {
	if j == nil {
		return nil
	}
	settled := ledger.Lost
	switch outcome {
	case transport.OutcomeAccepted:
		settled = j.accepted
	case transport.OutcomeRefused, transport.OutcomeUnsent:
		settled = ledger.Refused
	case transport.OutcomeUnknown:
	}
	return j.note("record what was sent", j.session.Settle(intent, settled))
}

// note keeps the first error, since a run may end by another one.
func (j *journal) note(what string, err error) error {
	if err == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		j.err = fmt.Errorf("%s, which ends the run before anything more is sent: %w", what, err)
	}
	return j.err
}

// failure returns what the ledger failed with.
func (j *journal) failure() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}
