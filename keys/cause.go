package keys

// Cause is why an endpoint refused a request as unauthorized, as far as the text of its answer hints. The texts are
// hints and no contract, so a cause steers what is tried next and what an error suggests, never what is recorded as
// fact. The zero value is [CauseUnclear].
type Cause uint8

// The causes of status 401: of the cohort endpoints, and, at the end, of all others.
const (
	CauseUnclear    Cause = iota // the text names none of the others
	CauseImportKey               // the data import key is wrong or was invalidated
	CausePartnerKey              // the partner API key is wrong, or belongs to other instances
	CauseNotEnabled              // the import key is known, but its customer has not enabled this partner
	CauseRESTKey                 // the REST API key, the only one that the request had, is wrong, revoked, or of another instance
)

// String returns a few words for the cause: "unclear", "data import key", "partner API key", "partner not enabled" or "REST API key".
func (c Cause) String() string {
	switch c {
	case CauseImportKey:
		return fieldImportKey
	case CausePartnerKey:
		return fieldPartnerKey
	case CauseNotEnabled:
		return "partner not enabled"
	case CauseRESTKey:
		return fieldRESTKey
	default:
		return "unclear"
	}
}

// Next returns what to do about the cause, as part of a sentence without its full stop.
func (c Cause) Next() string {
	switch c {
	case CauseImportKey:
		return "compare the key with those on the partner's page of the dashboard; if it was invalidated, generate a new one there and hand it over"
	case CausePartnerKey:
		return "use the partner API key that Braze gave for this instance; a key of another region is refused"
	case CauseRESTKey:
		return "check the instance first, since a key is refused on any other one, then compare the key with those under Settings > APIs and Identifiers > API Keys"
	case CauseNotEnabled:
		return "ask Braze to enable the partner for the customer that owns this data import key"
	default:
		return "check the instance first, since a key is refused on any other one, then the data import key, then the partner API key"
	}
}

// SuspectsImportKey reports whether the import key may be at fault, so that another one is worth a try: true for
// [CauseImportKey] and [CauseUnclear]. No other import key cures the remaining causes.
func (c Cause) SuspectsImportKey() bool { return c == CauseImportKey || c == CauseUnclear }
