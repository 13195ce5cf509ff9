package cohort

import (
	"strings"
	"time"

	"github.com/cohortkit/cohortkit/internal/text"
)

// CheckCohortID is the cohort ID that [Importer.Check] sends an empty list of changes to. It is reserved: it is never
// given a name and never has members, so it never shows in a dashboard.
const CheckCohortID = "cohortkit-check"

// Cohort is a named set of users of one workspace.
type Cohort struct {
	// ID is the partner's own name for the cohort, unique within the workspace and never changed. Its limits are undocumented.
	ID string
	// Name is what the drop-down of the dashboard's cohort filter shows. Sending another name renames the cohort. Whether two cohorts may
	// have one name is undocumented; nobody could tell them apart.
	Name string
	// CreatedAt is when the cohort was created at the partner. It travels in UTC, with milliseconds where
	// it has any. A [Syncer] sends the first one for good, and takes the time of the first run where it is the zero time.
	CreatedAt time.Time
}

// validate checks what travels when a cohort is named.
func (c Cohort) validate() error {
	if err := c.validateNamed(); err != nil {
		return err
	}
	if c.CreatedAt.IsZero() {
		return &InvalidError{Field: "cohort created-at", Problem: "is the zero time", Next: "give the time at which the partner created the cohort"}
	}
	return nil
}

// validateNamed checks a cohort whose created-at may be left out.
func (c Cohort) validateNamed() error {
	if err := validateID(c.ID); err != nil {
		return err
	}
	if fault := text.Check(c.Name); fault != text.None {
		return &InvalidError{Field: "cohort name", Problem: fault.String(), Next: nextFor(fault, "give the cohort the name that marketers will look for in the filter's drop-down")}
	}
	if strings.TrimSpace(c.Name) == "" {
		return &InvalidError{Field: "cohort name", Problem: "is blank", Next: "give the cohort the name that marketers will look for in the filter's drop-down"}
	}
	if c.CreatedAt.IsZero() {
		return nil
	}
	if year := c.CreatedAt.UTC().Year(); year < 1 || year > 9999 {
		return &InvalidError{Field: "cohort created-at", Problem: "has a year that ISO 8601 cannot write in four digits", Next: "check the unit of the timestamp that it was made from"}
	}
	return nil
}

// validateID checks what travels as cohort_id.
func validateID(id string) error {
	if fault := text.Check(id); fault != text.None {
		return &InvalidError{Field: "cohort id", Problem: fault.String(), Next: nextFor(fault, "use the partner's own stable name for the audience")}
	}
	if id == CheckCohortID {
		return &InvalidError{Field: "cohort id", Problem: "is reserved for Check", Next: "use another id"}
	}
	return nil
}

func nextFor(fault text.Fault, ifEmpty string) string {
	if fault == text.Empty {
		return ifEmpty
	}
	return fault.Next()
}
