package cohort

import (
	"context"
	"fmt"
)

// Rebuild fills a new cohort, as [Syncer.Sync] does, and drains the old one, as [Syncer.Drain] does, but only if the new one was filled without any
// error. It is the clean way to begin again under another id, for example when other rules would change everybody's identifier. A segment that
// includes either name reaches the same people before, meanwhile and after.
//
// The reports are that of the new cohort and, if it got that far, that of the old one. Run again after a failure, Rebuild continues where it
// ended. The ids must differ, or the error is an [*InvalidError]; an old cohort of which the ledger has no record is [ErrUnrecorded], before anything is
// sent.
func (s *Syncer) Rebuild(ctx context.Context, oldID string, c Cohort, audience Audience, opts ...RunOption) ([]Report, error) {
	config, err := s.validSync(c, audience, opts)
	if err == nil {
		err = validateID(oldID)
	}
	if err == nil && oldID == c.ID {
		err = &InvalidError{Field: "cohort id", Problem: "is that of the cohort to be drained", Next: "give the new cohort another id"}
	}
	if err != nil {
		return nil, err
	}
	var reports []Report
	filled := false
	drained, err := s.perform(ctx, "rebuild", oldID, config, func(t *task) error { // with the lease on both
		if !t.recorded() {
			return ErrUnrecorded
		}
		report, err := s.sync(ctx, c, audience, config)
		reports = append(reports, report)
		if err != nil {
			return fmt.Errorf("it stays as it is, because the new cohort was not filled: %w", err)
		}
		filled = true
		return t.drain()
	})
	if filled {
		reports = append(reports, drained)
	}
	return reports, err
}
