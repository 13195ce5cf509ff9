package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// Ledger is a [ledger.Ledger] in a PostgreSQL database. Make one with [New]. It is safe for concurrent use, and so are several on one database, in
// one process or on many machines: each entry has one session at a time. Closing the pool is up to the caller, after the sessions.
type Ledger struct {
	pool  *pgxpool.Pool
	lease time.Duration
}

var _ ledger.Ledger = (*Ledger)(nil)

// New returns the ledger in the tables that [Migrate] made in the database of the pool. It asks the database nothing, and fails with
// an [*ledger.InvalidError] for a bad option.
func New(pool *pgxpool.Pool, opts ...Option) (*Ledger, error) {
	l := &Ledger{pool: pool, lease: defaultLease}
	if pool == nil {
		return nil, &ledger.InvalidError{Field: "pool", Problem: "is nil", Next: "make one with pgxpool.New"}
	}
	for _, o := range opts {
		if o == nil {
			return nil, &ledger.InvalidError{Field: "option", Problem: "is nil", Next: "leave it out"}
		}
		if err := o.apply(l); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Open takes the lease on an entry. See [ledger.Ledger]. The session's methods are those of a [ledger.Session], a [ledger.Timekeeper] and
// a [ledger.Purger].
func (l *Ledger) Open(ctx context.Context, key ledger.Key) (ledger.Session, error) {
	if err := key.Validate(); err != nil {
		return nil, err
	}
	taken, err := l.take(ctx, key)
	if err != nil {
		return nil, err
	}
	s := newSession(l, taken)
	_ = s.sweep(ctx) // what stays, the next one drops
	return s, nil
}

// entriesPage is how many entries are read at once; a header has some 2 KB.
const entriesPage = 256

// Entries yields the entries in the order in which they were opened first. See [ledger.Ledger].
func (l *Ledger) Entries(ctx context.Context) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		last := int64(0)
		for {
			page, err := l.entries(ctx, &last)
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			if err != nil {
				yield(ledger.Entry{}, failure("entries", err))
				return
			}
			if len(page) < entriesPage {
				return
			}
		}
	}
}

// entries reads the page of entries behind the last one.
func (l *Ledger) entries(ctx context.Context, last *int64) ([]ledger.Entry, error) {
	rows, err := l.pool.Query(ctx, `SELECT e.entry, e.endpoint, e.partner, e.workspace, e.cohort_id, `+headerColumns+`
		FROM cohortkit_entry AS e LEFT JOIN cohortkit_header AS h USING (entry)
		WHERE e.generation > 0 AND e.entry > $1 ORDER BY e.entry LIMIT $2`, *last, entriesPage)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e ledger.Entry, err error) {
		e.Header, err = scanHeader(row, last, &e.Key.Endpoint, &e.Key.Partner, &e.Key.Workspace, &e.Key.CohortID)
		return e, err
	})
}

// digest stands for something longer where PostgreSQL needs a key of bounded length. It is cut from a SHA-256, so nobody finds two identifiers
// of one digest.
type digest = [16]byte

func digestOf(storage []byte) digest {
	sum := sha256.Sum256(storage)
	return digest(sum[:])
}

// digestOfKey tells keys apart by all four fields.
func digestOfKey(k ledger.Key) digest {
	var b []byte
	for _, field := range [...]string{k.Endpoint, k.Partner, k.Workspace, k.CohortID} {
		b = binary.AppendUvarint(b, uint64(len(field)))
		b = append(b, field...)
	}
	return digestOf(b)
}

// member returns the member of a row.
func member(storage []byte, state int16) (ledger.Member, error) {
	id, err := identity.ParseID(string(storage))
	if err != nil || state < int16(ledger.Out) || state > int16(ledger.Unknown) {
		return ledger.Member{}, &ledger.DamagedError{File: "cohortkit_member", Problem: "is a table with a row that is no member"}
	}
	return ledger.Member{ID: id, State: ledger.State(state)}, nil
}
