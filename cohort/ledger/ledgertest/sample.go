package ledgertest

import (
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// sourceError is what a source fails with. It is compared as a value.
type sourceError struct{}

func (sourceError) Error() string { return "the source broke" }

// isSource reports whether it is the error of a source, as it is or wrapped.
func isSource(err error) bool { return errors.Is(err, sourceError{}) }

func key(cohort string) ledger.Key {
	return ledger.Key{Endpoint: "https://rest.fra-01.braze.eu", Partner: "tinyclues", Workspace: "acme", CohortID: cohort}
}

func external(s string) identity.ID { return identity.ExternalID(s) }

func batch(state ledger.State, ids ...identity.ID) []ledger.Member {
	list := make([]ledger.Member, 0, len(ids))
	for _, id := range ids {
		list = append(list, ledger.Member{ID: id, State: state})
	}
	return list
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
