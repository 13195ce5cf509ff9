package transport

import (
	"strings"

	"github.com/cohortkit/cohortkit/keys"
)

// causeOf reads from the text of a 401 whose fault it is. The tokens are those of the cohort endpoints' documented errors; whether
// the wire carries those texts word for word is not said, so what none of them names is unclear. "Not enabled" is looked for first:
// that text names the client secret too.
func causeOf(text string) keys.Cause {
	text = strings.ToLower(text)
	switch {
	case strings.Contains(text, "not enabled"):
		return keys.CauseNotEnabled
	case strings.Contains(text, "partner api key"):
		return keys.CausePartnerKey
	case strings.Contains(text, "client secret"):
		return keys.CauseImportKey
	default:
		return keys.CauseUnclear
	}
}
