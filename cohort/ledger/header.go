package ledger

import (
	"hash/crc32"
	"time"
	"unicode/utf8"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/internal/text"
)

// Entry is a cohort that a ledger knows.
type Entry struct {
	Key    Key
	Header Header
}

// Header is what is recorded of a cohort besides its members.
type Header struct {
	// Name is the name last sent, and CreatedAt the time sent with the first one: a rename keeps it. Naming says whether
	// the endpoint acknowledged them.
	Name      string
	CreatedAt time.Time
	Naming    Naming
	// NamedAt is when the endpoint acknowledged Name last, or the zero time if it did not, or an older version of this package recorded it. FormerName
	// is the name before, if there was one: as long as Naming is NamingUnknown, the endpoint may still show it.
	NamedAt    time.Time
	FormerName string
	// Retired says that the cohort was drained and is not to be filled again.
	Retired bool
	// Rules is the fingerprint of the rules that chose the identifiers, or "" if nobody said.
	Rules string
	// Sent is, for each slice of the members, when the addition of all of them was last sent.
	Sent Epochs
	// Generation counts the sessions that recorded something. Of two copies of an entry it tells which one is older.
	Generation uint64
}

// Validate returns nil or an [*InvalidError] for what cannot be stored. The texts must be UTF-8, and the years from 0 to 9999.
func (h *Header) Validate() error {
	for _, f := range [...]struct{ name, value string }{{"header name", h.Name}, {"header former name", h.FormerName}, {"header rules", h.Rules}} {
		if !utf8.ValidString(f.value) {
			return &InvalidError{Field: f.name, Problem: text.InvalidUTF8.String(), Next: text.InvalidUTF8.Next()}
		}
	}
	for _, f := range [...]struct {
		name string
		at   time.Time
	}{{"header created-at", h.CreatedAt}, {"header named-at", h.NamedAt}} {
		if year := f.at.Year(); year < 0 || year > 9999 {
			return &InvalidError{Field: f.name, Problem: "has a year of more than four digits", Next: "check the unit of the timestamp that it was made from"}
		}
	}
	return nil
}

// Naming is what is known of the call that names a cohort.
type Naming uint8

// The states of naming.
const (
	Unnamed       Naming = iota // no name was sent
	NamingUnknown               // a name was about to be sent, and nobody knows whether it arrived
	Named                       // the endpoint acknowledged the name
)

// Slices is how many slices the members of a cohort are cut into, for sending them again bit by bit.
const Slices = 256

// SliceOf returns the slice of an identifier, from 0 to [Slices]-1. It depends on the identifier alone and will not change.
func SliceOf(id identity.ID) int {
	var space [64]byte
	return int(crc32.Checksum(id.AppendEncode(space[:0]), crc32.MakeTable(crc32.Castagnoli)) >> 24)
}

// Epochs holds a time for each slice, in whole seconds since 1970. The zero value of a slice means that nobody knows, which
// counts as long ago.
type Epochs [Slices]int64
