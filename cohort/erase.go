package cohort

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// Erase takes people out of every cohort of the Importer's endpoint, partner and workspace that the ledger knows, drained ones too, and then removes
// their traces from the ledger's storage. Give all identifiers of each person. There is no guard.
//
// The identifiers are held in memory, and are read to their end before anything is sent: an error of the source, and also a row that cannot be an
// identifier, is a [*RowError], because a list of people to be forgotten should be known to be whole.
//
// It returns a report for each cohort that it could open. A cohort that fails stops no other, but keeps its traces: the errors are joined, each names
// its cohort, and to call Erase again is the next step. The next [Syncer.Sync] adds whoever is in its source still: take them out there, or
// put them on the do-not-send list.
func (s *Syncer) Erase(ctx context.Context, ids iter.Seq2[identity.ID, error], opts ...RunOption) ([]Report, error) {
	if ids == nil {
		return nil, &InvalidError{Field: "identifiers", Problem: "are nil", Next: "give a sequence of the identifiers to be erased"}
	}
	config, err := newRunConfig(opts)
	if err != nil {
		return nil, err
	}
	erased, err := setOf(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("cohort: erase: %w", err)
	}
	var keys []ledger.Key
	var errs []error
	for e, err := range s.state.Entries(ctx) {
		if err != nil {
			errs = append(errs, fmt.Errorf("cohort: erase: list the ledger: %w", err))
			continue
		}
		if s.keeps(e.Key) {
			keys = append(keys, e.Key)
		}
	}
	var reports []Report
	for _, key := range keys {
		opened := false
		report, err := s.perform(ctx, "erase", key.CohortID, config, func(t *task) error {
			opened = true
			return t.erase(erased)
		})
		if opened {
			reports = append(reports, report)
		}
		errs = append(errs, err)
	}
	return reports, errors.Join(errs...)
}

// setOf reads identifiers to their end.
func setOf(ctx context.Context, ids iter.Seq2[identity.ID, error]) (map[identity.ID]bool, error) {
	set := map[identity.ID]bool{}
	row := 0
	for id, err := range ids {
		row++
		if err == nil {
			err = id.Validate()
		}
		if err != nil {
			return nil, &RowError{Row: row, Err: err}
		}
		set[id] = true
	}
	return set, contextError(ctx)
}

func (t *task) erase(erased map[identity.ID]bool) error {
	everybody, err := t.everybody()
	if err != nil {
		return err
	}
	var found []ledger.Member
	for m, err := range everybody.Members {
		if err != nil {
			return fmt.Errorf("read the ledger: %w", err)
		}
		if erased[m.ID] {
			found = append(found, m)
		}
	}
	if t.removals = len(found); t.removals > 0 {
		if err := t.sender(t.removals).phase(removalsOf(membersOf(found))); err != nil {
			return err
		}
	}
	purger, ok := t.session.(ledger.Purger)
	if !ok {
		return nil
	}
	if err := purger.Purge(t.ctx); err != nil {
		return fmt.Errorf("remove the traces from the ledger's storage: %w", err)
	}
	return nil
}

// membersOf turns a slice into a sequence.
func membersOf(members []ledger.Member) iter.Seq2[ledger.Member, error] {
	return func(yield func(ledger.Member, error) bool) {
		for _, m := range members {
			if !yield(m, nil) {
				return
			}
		}
	}
}
