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
// It sends a removal of each identifier to each cohort, also of those that the ledger does not name, at a data point each: somebody who was sent by a
// device, and has signed up since, is in the cohort without being in the ledger by the external ID, and is reached by that alone.
//
// The identifiers are held in memory, and are read to their end before anything is sent: an error of the source, and also a row that cannot be an
// identifier, is a [*RowError], because a list of people to be forgotten should be known to be whole.
//
// Of members of a [Stream] the ledger keeps a hash with the time of their newest event, which tells nothing to whoever does not know the identifier, and is
// dropped when later events have moved the horizon past it. It stays, because without it an older event would bring an erased person back.
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
	erased, err := distinct(ctx, ids)
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

// distinct reads identifiers to their end, and returns each once.
func distinct(ctx context.Context, ids iter.Seq2[identity.ID, error]) ([]identity.ID, error) {
	var list []identity.ID
	seen := map[identity.ID]bool{}
	row := 0
	for id, err := range ids {
		row++
		if err == nil {
			err = Remove(id).validate()
		}
		if err != nil {
			return nil, &RowError{Row: row, Err: err}
		}
		if !seen[id] {
			seen[id] = true
			list = append(list, id)
		}
	}
	return list, contextError(ctx)
}

func (t *task) erase(ids []identity.ID) error {
	states := make(map[identity.ID]ledger.State, len(ids))
	for _, id := range ids {
		states[id] = ledger.Out
	}
	everybody, err := t.everybody()
	if err != nil {
		return err
	}
	for m, err := range everybody.Members {
		if err != nil {
			return readError(err)
		}
		if _, ok := states[m.ID]; ok {
			states[m.ID] = m.State
		}
	}
	erased := make([]ledger.Member, len(ids))
	for i, id := range ids {
		erased[i] = ledger.Member{ID: id, State: states[id]}
	}
	if t.removals = len(erased); t.removals > 0 {
		if err := t.takeOut(t.sender(t.removals), t.removals, membersOf(erased), membersOf(nil)); err != nil {
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
