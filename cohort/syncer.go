package cohort

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"slices"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/internal/text"
)

// Syncer keeps the cohorts of one workspace in step with whoever is wanted in them. It is an [Importer] with a memory: a ledger of what the endpoint
// acknowledged, from which each run finds the smallest difference that has to be sent.
//
// A cohort with a ledger is written only through its Syncer. Each run holds the lease on its cohort, so a second run on the same cohort
// fails with a [*ledger.HeldError] as long as the first one lasts, also in another process. A Syncer is safe for concurrent use, and shows neither
// keys nor members under any formatting verb.
type Syncer struct {
	importer   *Importer
	state      ledger.Ledger
	partner    string // what the dashboard calls it
	share      float64
	count      int
	parallel   int
	suppressed func(identity.ID) bool
}

// NewSyncer returns a Syncer that sends through this Importer and remembers in this ledger. One ledger serves any number of Importers; but before a cohort
// gets a name, all entries are asked whether another one has it, so with hundreds of customers give each a ledger, such as a folder, of its own. It fails
// with an [*InvalidError], or a [*ledger.InvalidError] if the Importer's endpoint, partner or workspace cannot be the key of an entry.
func NewSyncer(importer *Importer, state ledger.Ledger, opts ...SyncerOption) (*Syncer, error) {
	if importer == nil {
		return nil, &InvalidError{Field: "importer", Problem: "is nil", Next: "make one with NewImporter"}
	}
	if state == nil {
		return nil, &InvalidError{Field: "ledger", Problem: "is nil", Next: "open one with package ledger"}
	}
	s := &Syncer{
		importer: importer, state: state, partner: importer.credentials.Partner,
		share: defaultGuardShare, count: defaultGuardCount, parallel: defaultParallel,
	}
	for _, o := range opts {
		if o == nil {
			return nil, &InvalidError{Field: "option", Problem: "is nil", Next: "leave it out"}
		}
		if err := o.applySyncer(s); err != nil {
			return nil, err
		}
	}
	if err := s.key(CheckCohortID).Validate(); err != nil {
		return nil, fmt.Errorf("cohort: new syncer: %w", err)
	}
	return s, nil
}

// key names the entry of a cohort.
func (s *Syncer) key(cohortID string) ledger.Key {
	return s.importer.key(cohortID)
}

// keeps reports whether an entry is of a cohort of this Syncer.
func (s *Syncer) keeps(key ledger.Key) bool { return key == s.key(key.CohortID) }

// suppresses reports whether somebody is on the do-not-send list, by whichever identifier.
func (s *Syncer) suppresses(w ledger.Wanted) bool {
	if s.suppressed == nil {
		return false
	}
	return s.suppressed(w.ID) || slices.ContainsFunc(w.Others, s.suppressed)
}

// String names the workspace, the partner and the endpoint.
func (s *Syncer) String() string {
	return fmt.Sprintf("cohort.Syncer of workspace %q for partner %q at %s", s.importer.workspace, s.importer.credentials.Partner, s.importer.client.Endpoint())
}

// Format prints String under every verb.
func (s *Syncer) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// LogValue shows String.
func (s *Syncer) LogValue() slog.Value { return slog.StringValue(s.String()) }

// SyncerOption changes how a [Syncer] works. The order of options does not matter, but of a setting that is given twice
// the last one counts.
type SyncerOption interface{ applySyncer(*Syncer) error }

type syncerOptionFunc func(*Syncer) error

func (f syncerOptionFunc) applySyncer(s *Syncer) error { return f(s) }

const (
	defaultGuardShare = 0.25
	defaultGuardCount = 50
	defaultParallel   = 4
	maxParallel       = 64
)

// WithRemovalGuard sets when [Syncer.Sync] holds its removals back: when more than this share of the members, from 0 to 1, and more than this
// count would be removed in one run. A source that lost half of its rows by mistake then harms nobody. A share of 1 switches the guard off. Default 0.25
// and 50.
func WithRemovalGuard(share float64, count int) SyncerOption {
	return syncerOptionFunc(func(s *Syncer) error {
		if !(share >= 0 && share <= 1) { // which also finds what is no number
			return &InvalidError{Field: "WithRemovalGuard", Problem: fmt.Sprintf("has a share out of range: %v", share), Next: "use 0 to 1; 1 switches the guard off"}
		}
		if count < 0 {
			return &InvalidError{Field: "WithRemovalGuard", Problem: fmt.Sprintf("has a negative count: %d", count), Next: "use 0 or more"}
		}
		s.share, s.count = share, count
		return nil
	})
}

// WithSuppression sets the do-not-send list. A wanted person of whom any identifier is on it is not sent, and is removed if a member. It is
// asked for every wanted row, with all identifiers of the person, and for planned removals: those of identifiers on the list are exempt from the
// removal guard. What else an audience says of people on the list is in memory during the run. It is called from the goroutine that made the call, may
// be asked for one identifier several times in a run, and should then say the same. A [Stream] asks it for each Enter as it is given, from whichever
// goroutine gives it.
func WithSuppression(suppressed func(identity.ID) bool) SyncerOption {
	return syncerOptionFunc(func(s *Syncer) error {
		if suppressed == nil {
			return &InvalidError{Field: "WithSuppression", Problem: "has no function", Next: "leave the option out if nobody is to be left out"}
		}
		s.suppressed = suppressed
		return nil
	})
}

// WithPartnerName sets what the dashboard calls the partner, such as "Tinyclues", for [Report.Filter]. Default: the partner's name in the path.
func WithPartnerName(name string) SyncerOption {
	return syncerOptionFunc(func(s *Syncer) error {
		if fault := text.Check(name); fault != text.None {
			return &InvalidError{Field: "WithPartnerName", Problem: fault.String(), Next: nextFor(fault, "give the name as the dashboard shows it")}
		}
		s.partner = name
		return nil
	})
}

// WithParallel sets how many cohorts [Syncer.SyncAll] works on at a time, 1 to 64. All draw on the same quota. Default 4.
func WithParallel(n int) SyncerOption {
	return syncerOptionFunc(func(s *Syncer) error {
		if n < 1 || n > maxParallel {
			return &InvalidError{Field: "WithParallel", Problem: fmt.Sprintf("is out of range: %d", n), Next: "use 1 to 64"}
		}
		s.parallel = n
		return nil
	})
}

// Apply is [Importer.Apply] for a cohort with a ledger, such as for single events between two runs of [Syncer.Sync]: what it sends is recorded
// before it leaves. Additions of people on the do-not-send list count as suppressed. There is no removal guard. It names no cohort: the next Sync
// does. A drained cohort is [ErrRetired].
//
// Two identifiers of one person are the caller's care here: apply the removal first, and the addition after Apply has returned.
func (s *Syncer) Apply(ctx context.Context, cohortID string, changes iter.Seq2[Change, error], opts ...RunOption) (Report, error) {
	report := Report{CohortID: cohortID, Partner: s.partner}
	if err := validateID(cohortID); err != nil {
		return report, err
	}
	if changes == nil {
		return report, &InvalidError{Field: "changes", Problem: "are nil", Next: "give a sequence; an empty one is fine"}
	}
	config, err := newRunConfig(opts)
	if err != nil {
		return report, err
	}
	config.suppressed = s.suppressed
	operation := fmt.Sprintf("cohort: apply to %q", cohortID)
	session, err := s.state.Open(ctx, s.key(cohortID))
	if err != nil {
		return report, fmt.Errorf("%s: %w", operation, err)
	}
	defer session.Close() //nolint:errcheck // closed with care below; this is for a source that panics
	header := session.Header()
	if header.Retired {
		return report, closed(operation, ErrRetired, session.Close())
	}
	report, err = s.importer.apply(ctx, cohortID, ofUnknownState(changes), config, newJournal(session))
	report.Name, report.Partner = header.Name, s.partner
	return report, closed(operation, err, session.Close())
}

// ofUnknownState notes that nobody has asked the ledger what it knows of the members.
func ofUnknownState(changes iter.Seq2[Change, error]) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		for c, err := range changes {
			c.former = ledger.Unknown
			if !yield(c, err) {
				return
			}
		}
	}
}
