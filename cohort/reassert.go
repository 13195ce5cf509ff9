package cohort

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// Reassertion says whose additions [Syncer.Reassert] sends again. Make one with [LastSentBefore] or [Share]; the zero value is not valid. Members
// are chosen by slices, 256 to a cohort, of which the ledger knows when they were last sent.
type Reassertion struct {
	before time.Time
	share  float64
}

// LastSentBefore chooses members whose additions were last sent before this time, in whole seconds, or at a time that nobody knows. To choose everybody, give the
// time of the call.
func LastSentBefore(t time.Time) Reassertion { return Reassertion{before: t} }

// Share chooses a share of the members, above 0 and up to 1: those that were not sent for longest, in steps of 1/256, rounded up. With Share(1.0/30)
// every day, everybody is sent once a month.
func Share(share float64) Reassertion { return Reassertion{share: share} }

func (w Reassertion) validate() error {
	if w == (Reassertion{}) {
		return &InvalidError{Field: "reassertion", Problem: "chooses nobody", Next: "make it with LastSentBefore and a time, or with Share"}
	}
	if w.before.IsZero() && !(w.share > 0 && w.share <= 1) { // which also finds what is no number
		return &InvalidError{Field: "Share", Problem: fmt.Sprintf("is out of range: %v", w.share), Next: "use more than 0, up to 1"}
	}
	return nil
}

// slices returns which slices are chosen.
func (w Reassertion) slices(sent ledger.Epochs) (chosen [ledger.Slices]bool) {
	if !w.before.IsZero() {
		for i, at := range sent {
			chosen[i] = time.Unix(at, 0).Before(w.before)
		}
		return chosen
	}
	order := make([]int, ledger.Slices)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sent[a], sent[b]) })
	for _, i := range order[:min(ledger.Slices, int(math.Ceil(w.share*ledger.Slices)))] {
		chosen[i] = true
	}
	return chosen
}

// Reassert sends additions of members again. Whoever is unknown to the endpoint when first sent is skipped in silence, and would stay out for
// ever once they sign up: nothing tells that they were not matched. So everybody is sent again from time to time, at a data point each; see [Syncer.PlanReassert].
//
// Besides the members chosen it sends those in doubt, who stay in doubt for the ledger: a removal that was held back may yet take them out, and then
// the next [Syncer.Sync] has to repeat them. People on the do-not-send list are left to that Sync. Nobody is removed: if a removal
// may have been lost, run Sync or Erase first, because Reassert puts in everybody whom the ledger does not know to be out.
//
// The rows of its report are the members in the ledger. Errors are those of Sync, and [ErrUnrecorded] for a cohort of which the ledger has no record.
func (s *Syncer) Reassert(ctx context.Context, cohortID string, which Reassertion, opts ...RunOption) (Report, error) {
	config, err := validReassert(cohortID, which, opts)
	if err != nil {
		return Report{CohortID: cohortID, Partner: s.partner}, err
	}
	return s.perform(ctx, "reassert", cohortID, config, func(t *task) error { return t.reassert(which) })
}

func validReassert(cohortID string, which Reassertion, opts []RunOption) (runConfig, error) {
	if err := validateID(cohortID); err != nil {
		return runConfig{}, err
	}
	if err := which.validate(); err != nil {
		return runConfig{}, err
	}
	return newRunConfig(opts)
}

// reasserted is whose additions are sent again.
type reasserted struct {
	everybody ledger.Part
	slices    [ledger.Slices]bool
	sure      int // members chosen who are in
	doubted   int // members in doubt
}

// chooses reports whether a member who is in is in a chosen slice.
func (a *reasserted) chooses(m ledger.Member) bool {
	return m.State == ledger.In && a.slices[ledger.SliceOf(m.ID)]
}

// again finds whose additions are to be sent again.
func (t *task) again(which Reassertion) (*reasserted, error) {
	switch {
	case t.header.Retired:
		return nil, ErrRetired
	case !t.recorded():
		return nil, ErrUnrecorded
	}
	everybody, err := t.everybody()
	if err != nil {
		return nil, err
	}
	a := &reasserted{everybody: everybody, slices: which.slices(t.header.Sent)}
	rows := &t.report.Rows
	for m, err := range everybody.Members {
		if err != nil {
			rows.Unprocessed = rows.Read - rows.Suppressed - rows.Kept
			return nil, fmt.Errorf("read the ledger: %w", err)
		}
		switch {
		case t.syncer.suppressedMember(m):
			rows.Suppressed++
		case m.State != ledger.In:
			a.doubted++
		case a.chooses(m):
			a.sure++
		default:
			rows.Kept++
		}
		rows.Read++
	}
	rows.Added = a.sure + a.doubted
	return a, nil
}

func (t *task) reassert(which Reassertion) error {
	a, err := t.again(which)
	if err != nil {
		return err
	}
	if t.adds = a.sure + a.doubted; t.adds > 0 {
		if err := t.sendAgain(t.sender(t.adds), a); err != nil {
			return err
		}
	}
	h := t.header
	for i, ok := range a.slices {
		if ok {
			h.Sent[i] = t.start.Unix()
		}
	}
	return t.setHeader(h)
}

// sendAgain sends those who are in, and then those in doubt, who stay so.
func (t *task) sendAgain(r *run, a *reasserted) error {
	sure := only(a.sure, a.everybody.Members, func(m ledger.Member) bool { return a.chooses(m) && !t.syncer.suppressedMember(m) })
	if err := r.phase(reassertions(sure)); err != nil {
		return err
	}
	r.journal.accepted = ledger.Lost
	doubted := only(a.doubted, a.everybody.Members, func(m ledger.Member) bool { return m.State != ledger.In && !t.syncer.suppressedMember(m) })
	return r.phase(reassertions(doubted))
}

// reassertions turns members into additions that are to leave them as they are if refused.
func reassertions(members iter.Seq2[ledger.Member, error]) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		for m, err := range members {
			if !yield(Change{id: m.ID, direction: addition, former: m.State}, err) {
				return
			}
		}
	}
}
