package postgres

import (
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// headerColumns are the columns of an entry's header, as scanHeader reads them. An entry may have none yet.
const headerColumns = `coalesce(h.name, ''), coalesce(h.former_name, ''), coalesce(h.naming, 0),
	h.created_at, h.created_at_ns, h.named_at, h.named_at_ns, coalesce(h.retired, false), coalesce(h.rules, ''), h.sent, e.generation`

// setHeader is the statement that records a header.
const setHeader = fence + `
INSERT INTO cohortkit_header (entry, name, former_name, naming, created_at, created_at_ns, named_at, named_at_ns, retired, rules, sent)
SELECT entry, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15 FROM fence
ON CONFLICT (entry) DO UPDATE SET name = excluded.name, former_name = excluded.former_name, naming = excluded.naming,
	created_at = excluded.created_at, created_at_ns = excluded.created_at_ns, named_at = excluded.named_at, named_at_ns = excluded.named_at_ns,
	retired = excluded.retired, rules = excluded.rules, sent = excluded.sent`

// headerArgs are the parameters of setHeader from the sixth on.
func headerArgs(h *ledger.Header) []any {
	created, createdNS := instant(h.CreatedAt)
	named, namedNS := instant(h.NamedAt)
	return []any{h.Name, h.FormerName, int16(h.Naming), created, createdNS, named, namedNS, h.Retired, h.Rules, h.Sent[:]}
}

// scanHeader reads a row that begins with what before points to and ends with headerColumns.
func scanHeader(row pgx.Row, before ...any) (ledger.Header, error) {
	var h ledger.Header
	var naming int16
	var generation int64
	var created, named *int64
	var createdNS, namedNS *int32
	var sent []int64
	err := row.Scan(append(before, &h.Name, &h.FormerName, &naming, &created, &createdNS, &named, &namedNS, &h.Retired, &h.Rules, &sent, &generation)...)
	if err != nil {
		return ledger.Header{}, err
	}
	h.Naming, h.Generation = ledger.Naming(naming), uint64(generation)
	h.CreatedAt, h.NamedAt = timeOf(created, createdNS), timeOf(named, namedNS)
	copy(h.Sent[:], sent)
	return h, nil
}

// instant returns a time as it is stored.
func instant(t time.Time) (seconds *int64, nanoseconds *int32) {
	if t.IsZero() {
		return nil, nil
	}
	s, ns := t.Unix(), int32(t.Nanosecond())
	return &s, &ns
}

func timeOf(seconds *int64, nanoseconds *int32) time.Time {
	if seconds == nil || nanoseconds == nil {
		return time.Time{}
	}
	return time.Unix(*seconds, int64(*nanoseconds)).UTC()
}

// validate returns nil or an [*ledger.InvalidError] for a header that cannot be stored.
func validate(h *ledger.Header) error {
	if err := h.Validate(); err != nil {
		return err
	}
	for _, f := range [...]struct{ name, value string }{{"header name", h.Name}, {"header former name", h.FormerName}, {"header rules", h.Rules}} {
		if strings.ContainsRune(f.value, 0) {
			return &ledger.InvalidError{Field: f.name, Problem: "holds a zero byte, which PostgreSQL cannot store", Next: "strip it where the value is read"}
		}
	}
	return nil
}
