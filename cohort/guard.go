package cohort

import "github.com/cohortkit/cohortkit/cohort/ledger"

// isEmpty reports whether nobody was wanted.
func isEmpty(d *ledger.Difference) bool { return d.Kept+d.Duplicate+d.Adds.Count+d.Repeats.Count == 0 }

// emptyUnapproved reports whether a difference that nobody is wanted in was not approved.
func (t *task) emptyUnapproved(d *ledger.Difference) bool {
	return isEmpty(d) && t.config.approval < d.Removals.Count
}

// guarded returns how many removals the guard holds: none, or all but those of people on the do-not-send list.
func (t *task) guarded(d *ledger.Difference) (int, error) {
	s := t.syncer
	trips := func(n int) bool {
		return float64(n) > s.share*float64(d.Members) && n > s.count && n > t.config.approval
	}
	n := d.Removals.Count
	if !trips(n) {
		return 0, nil
	}
	if s.suppressed != nil {
		for m, err := range d.Removals.Members {
			if err != nil {
				return 0, readError(err)
			}
			if t.suppressed(m) {
				n--
			}
		}
	}
	if !trips(n) {
		return 0, nil
	}
	return n, nil
}
