package keys

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"unicode"

	"github.com/cohortkit/cohortkit/internal/text"
)

// Credentials are what a cohort request needs to be let in: the name of the partner, its key, and the customer's key.
// Plain keys will do:
//
//	keys.Credentials{Partner: "tinyclues", PartnerKey: partnerKey, ImportKey: importKey}
//
// It shows nothing but the partner when it is printed, logged or encoded as JSON.
type Credentials struct {
	// Partner is the name under which the endpoint knows the partner: the segment in /partners/{partner}/cohorts.
	// Which characters it may have is undocumented.
	Partner string

	// PartnerKey gives the key of the partner by the name of the instance: a [PartnerKey] for a partner with one key
	// for every instance it serves, or [PartnerKeys].
	PartnerKey PartnerKeySource

	// ImportKey gives the customer's data import key before each request: an [ImportKey] when it never changes, a
	// [*Ring] to replace it while imports run, or one of [Env], [File] and [Func].
	ImportKey Source
}

// Validate reports what can be known to be wrong before the first request to the instance of this name. The error
// is an [*InvalidError], or an [*UnknownInstanceError] when [PartnerKeys] lacks the instance, or else what a
// [PartnerKeySource] of the caller's own returned; what was not given at all matches [ErrMissing]. A [Source] other than
// a plain key is not asked, since that may read a file or wait.
func (c Credentials) Validate(instance string) error {
	if reason := checkPartner(c.Partner); reason != "" {
		return &InvalidError{Field: fieldPartner, Reason: reason}
	}
	if c.PartnerKey == nil {
		return &InvalidError{Field: fieldPartnerKey, Reason: ReasonEmpty}
	}
	key, err := c.PartnerKey.PartnerKeyFor(instance)
	if err != nil {
		return err
	}
	// A source of the caller's own may forget to look.
	if err := key.Validate(); err != nil {
		return err
	}
	switch source := c.ImportKey.(type) {
	case nil:
		return &InvalidError{Field: fieldImportKey, Reason: ReasonEmpty}
	case ImportKey:
		return source.Validate()
	default:
		return nil
	}
}

// checkPartner refuses what would change the path it is put into, even when it is escaped there.
func checkPartner(partner string) Reason {
	switch text.Check(partner) {
	case text.None:
	case text.Empty:
		return ReasonEmpty
	case text.InvalidUTF8:
		return ReasonEncoding
	default:
		return ReasonControl
	}
	if partner == "." || partner == ".." || strings.Contains(partner, "/") {
		return ReasonPath
	}
	if strings.TrimFunc(partner, isBlank) != partner {
		return ReasonBlank
	}
	return ""
}

func isBlank(r rune) bool { return unicode.IsSpace(r) }

// String returns the partner and a fixed text for the keys.
func (c Credentials) String() string {
	return fmt.Sprintf("keys.Credentials{Partner: %q, PartnerKey: %s, ImportKey: %s}", c.Partner, shown(c.PartnerKey), shown(c.ImportKey))
}

// GoString returns the text of String.
func (c Credentials) GoString() string { return c.String() }

// Format prints the text of String under every verb and flag: a [Source] of the caller's own may hold what it must not
// show.
func (c Credentials) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, c.String()) }

// LogValue returns a group that holds the partner.
func (c Credentials) LogValue() slog.Value { return slog.GroupValue(slog.String("partner", c.Partner)) }

// MarshalJSON returns an object that holds the partner.
func (c Credentials) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Partner string `json:"partner"`
	}{c.Partner})
}

func shown(part any) string {
	if part == nil {
		return absent
	}
	return redacted
}
