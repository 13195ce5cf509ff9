package cohort_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// rowsOf makes a source of text: each line is a row, whose first two bytes say what it does and by which kind of identifier.
func rowsOf(text []byte) (changes []cohort.Change, errs []error) {
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		if len(line) < 2 {
			continue
		}
		value := string(line[2:])
		var id identity.ID
		switch line[1] % 4 {
		case 0:
			id = identity.ExternalID(value)
		case 1:
			id = identity.DeviceID(value)
		case 2:
			label, name, _ := strings.Cut(value, "=")
			id = identity.Alias{Label: label, Name: name}.ID()
		}
		var c cohort.Change
		var err error
		switch line[0] % 8 {
		case 0:
			err = &identity.RejectError{Field: "row", Reason: identity.ReasonUnreadable}
		case 1: // the zero change
		case 2, 3, 4:
			c = cohort.Remove(id)
		default:
			c = cohort.Add(id)
		}
		changes, errs = append(changes, c), append(errs, err)
	}
	return changes, errs
}

// FuzzApply imports rows of arbitrary text. What the fake decodes is what the source yielded, the last change of each member; every other row is
// counted, and nothing invalid leaves.
func FuzzApply(f *testing.F) {
	f.Add([]byte("a0u-17\nb0u-17\na0u-17"))
	f.Add([]byte("a\x00u-17\nb\x01u-17\ne\x02crm=c-90\nd\x02crm=c-90\nd\x02=\n"))
	f.Add([]byte("eDquo\"te\neDback\\slash\neD\xff\xfe\neD\u2028\nbD\x00\neD" + strings.Repeat("x", 1000)))
	f.Add([]byte("`0\naD"))
	f.Fuzz(func(t *testing.T, text []byte) {
		changes, errs := rowsOf(text)
		if len(changes) > 900 {
			return // one request, so that it can be compared with its answer
		}
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t, brazetest.KeepIdentifiers(), brazetest.RejectUnknownFields(), brazetest.RefuseEmptyLists())
			want := make(map[brazetest.Identifier]bool) // whether it is removed
			good := 0
			for i, c := range changes {
				id := c.ID()
				if errs[i] != nil || id.Validate() != nil || !c.IsAdd() && !c.IsRemove() {
					continue
				}
				good++
				key := brazetest.Identifier{Value: id.Value()}
				switch alias, isAlias := id.Alias(); {
				case isAlias:
					key.Kind, key.Label = brazetest.AliasKind, alias.Label
				case id.Kind() == identity.DeviceIDKind:
					key.Kind = brazetest.DeviceIDKind
				default:
					key.Kind = brazetest.ExternalIDKind
				}
				want[key] = c.IsRemove()
			}
			report, err := apply(t.Context(), t, s.importer(t), func(yield func(cohort.Change, error) bool) {
				for i, c := range changes {
					if !yield(c, errs[i]) {
						return
					}
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			got := make(map[brazetest.Identifier]bool)
			for _, r := range s.server.Requests() {
				checkRequest(t, s, r)
				for _, c := range s.server.Changes(r.Number) {
					for _, id := range c.Identifiers {
						got[id] = c.Remove
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("on the wire (-want +got):\n%s", diff)
			}
			if report.Rows.Rejected != len(changes)-good || report.Rows.Duplicate != good-len(want) || report.Adds.Accepted+report.Removals.Accepted != len(want) {
				t.Errorf("want %d rows rejected, %d replaced and %d sent: %v", len(changes)-good, good-len(want), len(want), report)
			}
		})
	})
}

// FuzzAnswer lets an endpoint answer anything. Apply ends, says what became of the change, and does not take for accepted what is not.
func FuzzAnswer(f *testing.F) {
	f.Add(201, []byte(success))
	f.Add(200, []byte(`{"message":"success","errors":["one"]}`))
	f.Add(200, []byte(`[]`))
	f.Add(204, []byte(``))
	f.Add(302, []byte(`<html>`))
	f.Add(401, []byte(`{"message":"client secret"}`))
	f.Add(413, []byte(`{`))
	f.Add(429, []byte("\xff"))
	f.Add(0, []byte(nil))
	f.Add(99999, []byte("{}"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status == http.StatusSwitchingProtocols {
			return // net/http makes another kind of response of it
		}
		synctest.Test(t, func(t *testing.T) {
			sent := 0
			im := stubbed(t, func(r *http.Request) (*http.Response, error) {
				sent++
				_, err := io.Copy(io.Discard, r.Body)
				return answer(status, string(body)), err
			})
			report, err := apply(t.Context(), t, im, list(add(1), remove(2)))
			if report.Requests != sent || sent == 0 {
				t.Errorf("%d requests reported, %d sent", report.Requests, sent)
			}
			for _, tally := range []cohort.Tally{report.Adds, report.Removals} {
				if tally.Accepted+tally.Refused+tally.Unknown != 1 {
					t.Errorf("want it accepted, refused or unknown: %v", report)
				}
				if good := status == http.StatusNoContent && len(body) == 0 || status >= 200 && status <= 299 && bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")); tally.Accepted == 1 && !good || (tally.Accepted == 1) != (err == nil) {
					t.Errorf("status %d was taken as %v, with error %v", status, report, err)
				}
			}
			if err != nil && (!utf8.ValidString(err.Error()) || errors.Unwrap(err) == nil) {
				t.Errorf("error %q", err)
			}
		})
	})
}
