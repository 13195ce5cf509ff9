package cohort

// Culprit is what may be wrong when a check fails: one of the constants below.
type Culprit string

// The culprits.
const (
	CulpritImportKey   Culprit = "the data import key"
	CulpritPartnerKey  Culprit = "the partner API key"
	CulpritPartner     Culprit = "the partner's name"
	CulpritNotEnabled  Culprit = "a partner that is not enabled"
	CulpritInstance    Culprit = "the instance"
	CulpritAddress     Culprit = "the endpoint's address"
	CulpritDNS         Culprit = "the DNS"
	CulpritFirewall    Culprit = "a firewall"
	CulpritProxy       Culprit = "a proxy"
	CulpritCertificate Culprit = "a certificate"
	CulpritClock       Culprit = "the clock of this machine"
	CulpritRateLimit   Culprit = "the rate limit"
	CulpritEndpoint    Culprit = "trouble at the endpoint"
)

// Certainty is how sure it is that a [Suspect] is to blame.
type Certainty uint8

// The certainties.
const (
	// Possible is what would explain the failure, with nothing that points to it. So is everything that Braze does not document.
	Possible Certainty = iota + 1
	// Likely is what the answer or the failure points to, by a text that is a hint and no contract, or by experience.
	Likely
	// Certain is what this machine has seen for itself.
	Certain
)

// String returns "possibly", "likely" or "certainly".
func (c Certainty) String() string {
	switch c {
	case Possible:
		return "possibly"
	case Likely:
		return "likely"
	case Certain:
		return "certainly"
	default:
		return "invalid certainty"
	}
}

// Suspect is what may be to blame for a failed check, and what to do about it. It holds neither a key nor anything that the endpoint wrote.
type Suspect struct {
	Culprit   Culprit
	Certainty Certainty
	Reason    string // what points to the culprit, as part of a sentence
	Next      string // what to do, as a sentence without its full stop
}

// String puts it all in one phrase: "likely the partner API key (the answer names it): use the key ...".
func (s Suspect) String() string {
	return s.Certainty.String() + " " + string(s.Culprit) + " (" + s.Reason + "): " + s.Next
}
