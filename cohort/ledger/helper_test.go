package ledger_test

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// maker gives a function that opens one and the same ledger again and again, as several processes would.
type maker func(testing.TB) (again func() ledger.Ledger)

// ledgers are those that keep the contract.
func ledgers() map[string]maker {
	all := map[string]maker{
		"memory": func(testing.TB) func() ledger.Ledger {
			m := ledger.NewMemory()
			return func() ledger.Ledger { return m }
		},
		"dir": func(tb testing.TB) func() ledger.Ledger {
			tb.Helper()
			path := tb.TempDir()
			return func() ledger.Ledger {
				d, err := ledger.OpenDir(path)
				if err != nil {
					tb.Fatal(err)
				}
				return d
			}
		},
	}
	for name, on := range ledger.OnSimDisk() {
		all[name+" on a simulated disk"] = on
	}
	return all
}

var errSource = errors.New("the source broke")

func key(cohort string) ledger.Key {
	return ledger.Key{Endpoint: "https://rest.fra-01.braze.eu", Partner: "tinyclues", Workspace: "acme", CohortID: cohort}
}

func external(s string) identity.ID { return identity.ExternalID(s) }

// show returns a text by which two identifiers can be told apart in a failed test, however long they are.
func show(id identity.ID) string {
	s := id.Encode()
	if len(s) > 120 {
		return fmt.Sprintf("%s… %d bytes …%s", s[:40], len(s), s[len(s)-8:])
	}
	return s
}

// members reads a sequence of members, none of whom may appear twice.
func members(tb testing.TB, seq iter.Seq2[ledger.Member, error]) map[string]ledger.State {
	tb.Helper()
	got := map[string]ledger.State{}
	for m, err := range seq {
		if err != nil {
			tb.Fatal(err)
		}
		if _, twice := got[show(m.ID)]; twice {
			tb.Fatalf("%q was yielded twice", show(m.ID))
		}
		got[show(m.ID)] = m.State
	}
	return got
}

// states is what a test expects of members.
type states = map[string]ledger.State

// difference is a [ledger.Difference] that can be compared.
type difference struct {
	Members, Kept, Duplicate int
	Removals, Adds, Repeats  states
}

func (d difference) same(o difference) bool {
	return d.Members == o.Members && d.Kept == o.Kept && d.Duplicate == o.Duplicate &&
		maps.Equal(d.Removals, o.Removals) && maps.Equal(d.Adds, o.Adds) && maps.Equal(d.Repeats, o.Repeats)
}

func part(tb testing.TB, p ledger.Part) states {
	tb.Helper()
	got := members(tb, p.Members)
	if len(got) != p.Count {
		tb.Fatalf("a part of %d members yielded %d", p.Count, len(got))
	}
	return got
}

func read(tb testing.TB, d *ledger.Difference) difference {
	tb.Helper()
	return difference{d.Members, d.Kept, d.Duplicate, part(tb, d.Removals), part(tb, d.Adds), part(tb, d.Repeats)}
}

func compare(tb testing.TB, s ledger.Session, wanted ...ledger.Wanted) difference {
	tb.Helper()
	d, err := s.Compare(tb.Context(), source(wanted...))
	if err != nil {
		tb.Fatal(err)
	}
	return read(tb, d)
}

func source(wanted ...ledger.Wanted) iter.Seq2[ledger.Wanted, error] {
	return func(yield func(ledger.Wanted, error) bool) {
		for _, w := range wanted {
			if !yield(w, nil) {
				return
			}
		}
	}
}

// want returns wanted people of one identifier each.
func want(ids ...identity.ID) []ledger.Wanted {
	wanted := make([]ledger.Wanted, 0, len(ids))
	for _, id := range ids {
		wanted = append(wanted, ledger.Wanted{ID: id})
	}
	return wanted
}

func open(tb testing.TB, l ledger.Ledger, k ledger.Key) ledger.Session {
	tb.Helper()
	s, err := l.Open(tb.Context(), k)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

func shut(tb testing.TB, s ledger.Session) {
	tb.Helper()
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
}

func begin(tb testing.TB, s ledger.Session, removals, adds []ledger.Member) ledger.Intent {
	tb.Helper()
	intent, err := s.Begin(tb.Context(), removals, adds)
	if err != nil {
		tb.Fatal(err)
	}
	return intent
}

func settle(tb testing.TB, s ledger.Session, intent ledger.Intent, o ledger.Outcome) {
	tb.Helper()
	if err := s.Settle(intent, o); err != nil {
		tb.Fatal(err)
	}
}

func setHeader(tb testing.TB, s ledger.Session, h ledger.Header) {
	tb.Helper()
	if err := s.SetHeader(tb.Context(), h); err != nil {
		tb.Fatal(err)
	}
}

// fill brings members into a state, from out.
func fill(tb testing.TB, s ledger.Session, state ledger.State, ids ...identity.ID) {
	tb.Helper()
	if state == ledger.Out || len(ids) == 0 {
		return
	}
	outcome := ledger.Accepted
	if state == ledger.Unknown {
		outcome = ledger.Lost
	}
	settle(tb, s, begin(tb, s, nil, batch(ledger.Out, ids...)), outcome)
}

func batch(state ledger.State, ids ...identity.ID) []ledger.Member {
	list := make([]ledger.Member, 0, len(ids))
	for _, id := range ids {
		list = append(list, ledger.Member{ID: id, State: state})
	}
	return list
}

// names are the names of workspaces and cohorts that a store may mix up.
func names() []string {
	var planes strings.Builder
	for plane := range rune(17) {
		planes.WriteRune(plane<<16 + 0xE1)
	}
	long := strings.Repeat("a", 999)
	list := []string{
		"acme", "Acme", "ACME", "acme ", " acme", "acme.", ".acme", "..", ".", "../acme", "../../acme", "acme/..", "/acme", "/", "\\", "..\\acme", "C:\\acme",
		"acme:stream", "nul", "NUL", "CON", "aux.txt", "journal", "locks", "base-1", "scratch", "%2e%2e", "%", "-acme", "--", "*", "?", "\"", "<acme>", "|", "~",
		"$HOME", "0", "00", "a/b", "a%2Fb", "a%2fb",
		"caf\u00e9", "cafe\u0301", "\u212b", "\u00c5", "A\u030a", "\ufb01", "fi", "stra\u00dfe", "strasse", "\u0130", "i\u0307", "\u2060", "\u200b", "\u00a0", "\u3000",
		long + "a", long + "b", strings.Repeat("\u00e9", 500), strings.Repeat("\U0001f600", 250), planes.String(), "\U0010fffd", "\ufffd",
	}
	for plane := range rune(17) {
		list = append(list, string(plane<<16+0xF1))
	}
	return list
}

const uuid = "5b2c9f0e-1a2b-4c3d-8e4f-0123456789ab"

// identifiers are of every kind and shape, and all different.
func identifiers() []identity.ID {
	values := []string{
		uuid, strings.ToUpper(uuid), "5B2c9f0e-1a2b-4c3d-8e4f-0123456789ab", "5b2c9f0e-1a2b-4c3d-8e4f-0123456789aB",
		"5b2c9f0-e1a2b-4c3d-8e4f-0123456789ab", "5b2c9f0e-1a2b-4c3d-8e4f0-123456789ab", "5b2c9f0e1a2b4c3d8e4f0123456789ab", "5b2c9f0e1-1a2b4c3d-8e4f-0123456789ab",
		uuid[:35], uuid + "0", uuid + " ", " " + uuid, "{" + uuid + "}", "urn:uuid:" + uuid, "5b2c9f0e-1a2b-4c3d-8e4f-0123456789ag", "5b2c9f0e_1a2b_4c3d_8e4f_0123456789ab",
		"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "12345678-1234-1234-1234-123456789012",
		"------------------------------------", "00000000000000000000000000000000", "+0000000-0000-0000-0000-000000000000", "0x000000-0000-0000-0000-000000000000",
		"a", "0", "00", "1", "01", "-1", "18446744073709551615", "18446744073709551616", " ", "  ", "\u00a0", "\u200b", "\ufeff", "\u3000", ":", "e:", "d:x", "a:1:b:c",
		"caf\u00e9", "cafe\u0301", "u-17", "U-17", "u-17 ", "\U0010fffd", "\ufffd", strings.Repeat("x", 127), strings.Repeat("x", 128), strings.Repeat("x", 255),
		strings.Repeat("x", 256), strings.Repeat("x", 65535), strings.Repeat("x", 65536), strings.Repeat("y", 500_000), strings.Repeat("y", 499_999) + "z",
		// A rule of validation may change, and what was stored before it has to stay readable.
		"line\nbreak", "nul\x00byte", "\x00", "\xff\xfe", "caf\xe9",
	}
	var ids []identity.ID
	for _, v := range values {
		ids = append(ids, identity.ExternalID(v), identity.DeviceID(v))
	}
	for _, a := range []identity.Alias{
		{Label: "crm", Name: uuid}, {Label: uuid, Name: "crm"}, {Label: uuid, Name: uuid}, {Label: "crm", Name: strings.ToUpper(uuid)}, {Label: "CRM", Name: uuid},
		{Label: "a", Name: "b:c"}, {Label: "a:b", Name: "c"}, {Label: "3:crm", Name: "c"}, {Label: "3", Name: "crm:c"}, {Label: "3:crm:c", Name: "1"}, {Label: ":", Name: ":"},
		{Label: "::", Name: ":"}, {Label: ":", Name: "::"}, {Label: "1", Name: "2"}, {Label: "12", Name: "1"}, {Label: "1", Name: "12"}, {Label: "ab", Name: "c"},
		{Label: "caf\u00e9", Name: "x"}, {Label: "cafe\u0301", Name: "x"}, {Label: strings.Repeat("l", 70_000), Name: "n"}, {Label: "l", Name: strings.Repeat("n", 70_000)},
	} {
		ids = append(ids, a.ID())
	}
	return ids
}

// header is one with every field filled.
func header() ledger.Header {
	h := ledger.Header{
		Name: "Spring sale \u2013 \U0001f338", CreatedAt: time.Date(2026, 3, 2, 8, 15, 30, 123_456_789, time.UTC),
		Naming: ledger.NamingUnknown, NamedAt: time.Date(2026, 3, 2, 8, 15, 31, 0, time.UTC), FormerName: "Winter sale \u2013 \u2744", Retired: true, Rules: "external_id>alias(crm)>device_id",
	}
	for i := range h.Sent {
		h.Sent[i] = int64(i)*86_400 + 1_700_000_000
	}
	return h
}
