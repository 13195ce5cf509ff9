package cohort

import "context"

// Drain takes all members out of a cohort and, once all removals are accepted, retires it: no run fills it again, and to drain it again sends nothing.
// There is no guard. Its name stays in the dashboard's filter: Braze offers no way to delete a cohort.
//
// A cohort of which the ledger has no record is [ErrUnrecorded]: nobody knows whom to take out. Other errors are those of [Syncer.Sync].
func (s *Syncer) Drain(ctx context.Context, cohortID string, opts ...RunOption) (Report, error) {
	report := Report{CohortID: cohortID, Partner: s.partner}
	if err := validateID(cohortID); err != nil {
		return report, err
	}
	config, err := newRunConfig(opts)
	if err != nil {
		return report, err
	}
	return s.perform(ctx, "drain", cohortID, config, (*task).drain)
}

func (t *task) drain() error {
	switch {
	case !t.recorded():
		return ErrUnrecorded
	case t.header.Retired:
		return nil
	}
	everybody, err := t.everybody()
	if err != nil {
		return err
	}
	if t.removals = everybody.Count; t.removals > 0 {
		if err := t.takeOut(t.sender(t.removals), t.removals, everybody.Members, membersOf(nil)); err != nil {
			return err
		}
	}
	h := t.header
	h.Retired = true
	return t.setHeader(h)
}
