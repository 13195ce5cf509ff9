package postgres

import (
	"context"
	"errors"
	"iter"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// A page ends after so many rows or so many bytes, whichever comes first.
const (
	pageRows  = 1 << 12
	pageBytes = 1 << 20
)

// pages yields members, read page by page with a query that selects digest, id and state in the order of the digests: those above $1, at most $2 of
// them. While the caller looks at a page no connection is held, so it can take as long as it likes, and record meanwhile.
func (s *session) pages(ctx context.Context, operation, query string, args ...any) iter.Seq2[ledger.Member, error] {
	return func(yield func(ledger.Member, error) bool) {
		var last digest
		var members []ledger.Member
		for {
			var more bool
			var err error
			members, more, err = s.page(ctx, members[:0], &last, query, args...)
			for _, m := range members {
				if !yield(m, nil) {
					return
				}
			}
			if err != nil {
				yield(ledger.Member{}, failure(operation, err))
				return
			}
			if !more {
				return
			}
		}
	}
}

// page reads the page behind the last digest, and says whether there may be more.
func (s *session) page(ctx context.Context, members []ledger.Member, last *digest, query string, args ...any) ([]ledger.Member, bool, error) {
	rows, err := s.ledger.pool.Query(ctx, query, append([]any{*last, pageRows}, args...)...)
	if err != nil {
		return nil, false, s.swept(err)
	}
	defer rows.Close()
	var storage []byte
	var state int16
	size := 0
	for size < pageBytes && rows.Next() {
		if err := rows.Scan(last, &storage, &state); err != nil {
			return nil, false, err
		}
		m, err := member(storage, state)
		if err != nil {
			return nil, false, err
		}
		members = append(members, m)
		size += len(storage)
	}
	rows.Close()
	return members, len(members) == pageRows || size >= pageBytes, s.swept(rows.Err())
}

// swept tells what it means that a table is gone: only a session that has taken over drops the tables of an open one.
func (s *session) swept(err error) error {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || answer.Code != undefinedTable {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	s.failed = ledger.ErrLeaseLost
	return s.failed
}
