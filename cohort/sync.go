package cohort

import (
	"context"
	"iter"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// Sync makes a cohort have the wanted members and nobody else, as far as the endpoint matches them. It reads the whole audience first, compares it with
// the ledger, and sends the difference alone: an unchanged audience costs no request.
//
// It gives the cohort its name when that is new or another one; CreatedAt may be the zero time, and is that of the first run then. A rename keeps the
// first one. Removals go first, and only when all of them are accepted do the additions follow, because two identifiers may belong to one person;
// see [People]. What was left unknown by a run that failed is sent again by the next one.
//
// Errors:
//   - an [*InvalidError], a [*ledger.HeldError] while another run has the cohort, and [ErrRetired] for a drained one come before the source is read;
//   - a [*RowError] if the source fails, or in a [Strict] run at the first rejected row: nothing is sent;
//   - an [*EmptySourceError] if nobody is wanted: nothing is sent, unless [ApproveRemovals] approves it;
//   - a [*HeldRemovalsError] if more is to be removed than the guard allows: the additions were sent, and will be repeated after the removals;
//   - an error of the ledger, after which nothing more was sent;
//   - an error of the endpoint: the first request that is refused, or whose outcome stays unknown, ends the run. If any outcome is unknown, the error is
//     [transport.ErrOutcomeUnknown] too.
//
// However it ends, and also when the context does, the Report adds up, and the next run continues where this one ended.
func (s *Syncer) Sync(ctx context.Context, c Cohort, audience Audience, opts ...RunOption) (Report, error) {
	config, err := s.validSync(c, audience, opts)
	if err != nil {
		return Report{CohortID: c.ID, Name: c.Name, Partner: s.partner}, err
	}
	return s.sync(ctx, c, audience, config)
}

// validSync finds what is wrong with the arguments of a sync.
func (s *Syncer) validSync(c Cohort, audience Audience, opts []RunOption) (runConfig, error) {
	if err := c.validateNamed(); err != nil {
		return runConfig{}, err
	}
	if err := audience.validate(); err != nil {
		return runConfig{}, err
	}
	return newRunConfig(opts)
}

// sync runs Sync with what was found to be valid.
func (s *Syncer) sync(ctx context.Context, c Cohort, audience Audience, config runConfig) (Report, error) {
	return s.perform(ctx, "sync", c.ID, config, func(t *task) error { return t.sync(c, audience) })
}

func (t *task) sync(c Cohort, audience Audience) error {
	t.report.Name = c.Name
	if t.header.Retired {
		return ErrRetired
	}
	d, err := t.compare(audience)
	if err != nil {
		return err
	}
	t.adds, t.removals = t.report.Rows.Added, d.Removals.Count
	if err := t.findAlso(d); err != nil {
		return err
	}
	t.removals += len(t.also)
	if t.emptyUnapproved(d) {
		t.report.Removals.Held = t.removals
		return &EmptySourceError{CohortID: c.ID, Removals: d.Removals.Count}
	}
	held, err := t.guarded(d)
	if err != nil {
		return err
	}
	t.warnOfRules(d, audience)
	if held == 0 {
		return t.carryOut(c, audience, d)
	}
	t.report.Removals.Held, t.report.Adds.Held = held, d.Repeats.Count
	return both(t.carryOutHeld(c, audience, d, held), &HeldRemovalsError{CohortID: c.ID, Removals: held, Members: d.Members})
}

// carryOut sends the whole difference.
func (t *task) carryOut(c Cohort, audience Audience, d *ledger.Difference) error {
	if err := t.name(c, audience, d); err != nil {
		return err
	}
	if total := t.removals + t.adds; total > 0 {
		if err := t.sendAll(t.sender(total), d); err != nil {
			return err
		}
	}
	h := t.header
	h.Rules = audience.rules
	return t.setHeader(h)
}

// sendAll sends removals, and once they are accepted additions.
func (t *task) sendAll(r *run, d *ledger.Difference) error {
	if t.removals > 0 {
		if err := t.takeOut(r, t.removals, t.leaving(d), d.Repeats.Members); err != nil {
			return err
		}
	}
	return r.phase(additions(d))
}

// carryOutHeld sends what does not depend on the removals that are held: those of people on the do-not-send list, and the additions. The latter stay
// in doubt, although they were accepted: the held removals may take the same people out when they are sent, and then have to be followed by them.
func (t *task) carryOutHeld(c Cohort, audience Audience, d *ledger.Difference, held int) error {
	if err := t.name(c, audience, d); err != nil {
		return err
	}
	exempt := t.removals - held
	if exempt+d.Adds.Count == 0 {
		return nil
	}
	r := t.sender(exempt + d.Adds.Count)
	if exempt > 0 {
		// Those who are held may be taken out too, by the removal of another of their identifiers.
		held := only(d.Removals.Count, d.Removals.Members, func(m ledger.Member) bool { return !t.suppressed(m) })
		stay := chain(d.Repeats.Members, held)
		if err := t.takeOut(r, exempt, only(exempt, t.leaving(d), t.suppressed), stay); err != nil {
			return err
		}
	}
	r.journal.accepted = ledger.Lost
	return r.phase(changesOf(d.Adds.Members, addition))
}

// additions turns adds and repeats into additions. Who is repeated is in doubt, whatever the difference said before the removals left.
func additions(d *ledger.Difference) iter.Seq2[Change, error] {
	return changesOf(chain(d.Adds.Members, inDoubt(d.Repeats.Members)), addition)
}
