package cohort

import (
	"cmp"
	"context"
	"fmt"
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
// Members in doubt are left to the next [Syncer.Sync], which alone knows whether they are wanted, and so are people on the do-not-send list. Nobody is
// removed.
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

// again returns whose additions are to be sent again, and counts the members as rows.
func (t *task) again(which Reassertion) (chosen ledger.Part, slices [ledger.Slices]bool, err error) {
	switch {
	case t.header.Retired:
		return ledger.Part{}, slices, ErrRetired
	case !t.recorded():
		return ledger.Part{}, slices, ErrUnrecorded
	}
	everybody, err := t.everybody()
	if err != nil {
		return ledger.Part{}, slices, err
	}
	slices = which.slices(t.header.Sent)
	isChosen := func(m ledger.Member) bool {
		return m.State == ledger.In && slices[ledger.SliceOf(m.ID)] && !t.suppressed(m)
	}
	rows := &t.report.Rows
	for m, err := range everybody.Members {
		if err != nil {
			rows.Unprocessed = rows.Read - rows.Suppressed - rows.Kept
			return ledger.Part{}, slices, readError(err)
		}
		switch rows.Read++; {
		case t.suppressed(m):
			rows.Suppressed++
		case isChosen(m):
			chosen.Count++
		default:
			rows.Kept++
		}
	}
	rows.Added = chosen.Count
	chosen.Members = only(chosen.Count, everybody.Members, isChosen)
	return chosen, slices, nil
}

func (t *task) reassert(which Reassertion) error {
	chosen, slices, err := t.again(which)
	if err != nil {
		return err
	}
	if t.adds = chosen.Count; t.adds > 0 {
		if err := t.sender(t.adds).phase(changesOf(chosen.Members, addition)); err != nil {
			return err
		}
	}
	h := t.header
	for i, ok := range slices {
		if ok {
			h.Sent[i] = t.start.Unix()
		}
	}
	return t.setHeader(h)
}
