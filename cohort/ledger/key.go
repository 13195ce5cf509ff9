package ledger

import (
	"fmt"

	"github.com/cohortkit/cohortkit/internal/text"
)

// Key names an entry. Two keys are the same entry only if all four fields are equal, byte for byte.
type Key struct {
	Endpoint  string // the base URL of the REST endpoint
	Partner   string // the partner's name in the path
	Workspace string // the customer's stable name as the caller knows it, never a data import key
	CohortID  string // the partner's own name for the cohort
}

// Validate returns nil or an [*InvalidError]. No field may be empty, hold a control character or be anything but UTF-8.
func (k Key) Validate() error {
	for _, f := range [...]struct{ name, value string }{
		{"key endpoint", k.Endpoint}, {"key partner", k.Partner}, {"key workspace", k.Workspace}, {"key cohort id", k.CohortID},
	} {
		if fault := text.Check(f.value); fault != text.None {
			return &InvalidError{Field: f.name, Problem: fault.String(), Next: fault.Next()}
		}
	}
	return nil
}

// String names the cohort, the workspace, the partner and the endpoint.
func (k Key) String() string {
	return fmt.Sprintf("cohort %q of workspace %q for partner %q at %s", k.CohortID, k.Workspace, k.Partner, k.Endpoint)
}
