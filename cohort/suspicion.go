package cohort

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
)

// This file is the table of what can go wrong between an importer and an endpoint. What Braze documents about a 401 is the three texts that name a
// cause, and that a key is refused on another instance than its own; everything else is a suspicion and says so.

// unlikelySkew is how far apart two clocks may be before that is worth a word.
const unlikelySkew = 5 * time.Minute

// suspectsOfAnswer says what may be behind an answer that is no success.
func suspectsOfAnswer(endpoint transport.Endpoint, e *transport.APIError, triedKeys int) []Suspect {
	var list []Suspect
	page := isPage(e.Detail())
	switch e.Class {
	case transport.ClassUnauthorized:
		list = suspectsOf401(endpoint, e.Cause, triedKeys)
	case transport.ClassBadAnswer:
		if !page {
			list = append(list, Suspect{CulpritEndpoint, Likely, "a success whose content is not what Braze promises", "look at Detail of the wrapped error"})
		}
	case transport.ClassRedirect:
		list = append(list,
			Suspect{CulpritAddress, Likely, "a REST endpoint of Braze does not redirect", "compare it with the REST endpoint on the partner's page of the dashboard"},
			Suspect{CulpritProxy, Possible, "a network that wants a login redirects", "log in to the network, or take another way out of it"})
	case transport.ClassForbidden:
		list = append(list,
			Suspect{CulpritFirewall, Possible, "no 403 is documented for a cohort import",
				"ask who runs the network whether requests to " + endpoint.Instance() + " are let through"},
			Suspect{CulpritNotEnabled, Possible, "Braze answers 403 where a plan does not cover a call", "ask Braze whether the customer may use this partner"})
	case transport.ClassNotFound:
		list = append(list,
			Suspect{CulpritAddress, Likely, "nothing is served at this path, as on a host for the SDKs or one that is not Braze's",
				"compare it with the REST endpoint on the partner's page of the dashboard"},
			Suspect{CulpritPartner, Possible, "it is part of the path; how Braze answers to an unknown one is undocumented",
				"use the name that Braze gave to the partner, letter by letter"})
	case transport.ClassRateLimited:
		list = append(list, Suspect{CulpritRateLimit, Certain, "the answer says so; the keys may be good",
			"check again later; let all clients that share the limit share one Quota"})
	case transport.ClassUnavailable:
		list = append(list, Suspect{CulpritEndpoint, Likely, "the answer says so; the keys may be good", "check again later, and look at Braze's status page"})
	case transport.ClassLocked:
		list = append(list, Suspect{CulpritEndpoint, Likely, "what locks a cohort is undocumented; the keys may be good", "check again later"})
	case transport.ClassBadRequest:
	case transport.ClassTooLarge, transport.ClassMediaType:
		list = append(list, Suspect{CulpritProxy, Possible, "the request is small and of the right type when it leaves here",
			"look for what changes requests on the way"})
	default:
		if e.Status == http.StatusProxyAuthRequired {
			list = append(list, wantsLogin(Certain))
		}
	}
	if page && e.Status != http.StatusProxyAuthRequired {
		list = append([]Suspect{suspectPage(e.Class)}, list...)
	}
	if e.ClockSkew.Abs() > unlikelySkew {
		list = append(list, Suspect{CulpritClock, Possible, "it is " + apart(e.ClockSkew) + " the date of the answer; the keys do not depend on it, certificates do",
			"set the clock from a time server"})
	}
	return inOrder(list)
}

func suspectsOf401(endpoint transport.Endpoint, cause keys.Cause, triedKeys int) []Suspect {
	const named = "the answer names it"
	instance := Suspect{CulpritInstance, Possible, "a key is refused on any instance but its own, and this is " + endpoint.Instance(),
		"compare " + endpoint.URL() + " with the REST endpoint on the partner's page of the dashboard"}
	importKey := Suspect{CulpritImportKey, Likely, named, keys.CauseImportKey.Next()}
	partnerKey := Suspect{CulpritPartnerKey, Likely, named, keys.CausePartnerKey.Next()}
	switch cause {
	case keys.CausePartnerKey:
		return []Suspect{partnerKey, instance}
	case keys.CauseNotEnabled:
		importKey.Certainty, importKey.Reason, importKey.Next = Possible, "it may be that of another customer",
			"compare the key with those on the partner's page of the dashboard"
		return []Suspect{{CulpritNotEnabled, Likely, named, cause.Next()}, importKey}
	}
	if triedKeys > 1 {
		instance.Certainty, partnerKey.Certainty, partnerKey.Reason = Likely, Likely, "neither data import key is accepted"
		importKey.Certainty, importKey.Reason = Possible, "both would have to be wrong"
		return []Suspect{instance, partnerKey, importKey}
	}
	if cause == keys.CauseImportKey {
		return []Suspect{importKey, instance}
	}
	const silent = "the answer names no cause"
	importKey.Certainty, importKey.Reason = Possible, silent
	partnerKey.Certainty, partnerKey.Reason = Possible, silent
	return []Suspect{instance, importKey, partnerKey,
		{CulpritPartner, Possible, "how Braze answers to an unknown one is undocumented", "use the name that Braze gave to the partner, letter by letter"}}
}

// isPage tells the HTML of a proxy from the JSON of an endpoint.
func isPage(detail string) bool { return strings.HasPrefix(strings.TrimSpace(detail), "<") }

func suspectPage(c transport.Class) Suspect {
	s := Suspect{CulpritProxy, Likely, "the answer is a page and not JSON, so something on the way may have written it",
		"open the endpoint from this machine by hand; where a proxy stands, have it let requests to the endpoint through unchanged"}
	if c == transport.ClassUnavailable { // what stands before an endpoint answers so too when the endpoint is down
		s.Certainty = Possible
	}
	return s
}

func wantsLogin(c Certainty) Suspect {
	return Suspect{CulpritProxy, c, "it wants a login", "give user and password of the proxy to the Transport of the http.Client"}
}

// suspectsOfSilence says what may be behind no answer at all.
func suspectsOfSilence(endpoint transport.Endpoint, e *transport.NoAnswerError) []Suspect {
	if e.Attempts == 0 {
		return nil // of a limiter or a context, which speak for themselves
	}
	address := Suspect{CulpritAddress, Likely, "", "compare it with the REST endpoint on the partner's page of the dashboard"}
	if slices.Contains(transport.Instances(), endpoint.Instance()) {
		address.Certainty = Possible // it comes from the table
	}
	firewall := Suspect{CulpritFirewall, Likely, "",
		"ask who runs the network whether this machine may connect to " + endpoint.URL() + ", or only through a proxy"}
	if list := suspectsOfTLS(e, address); list != nil {
		return list
	}
	operation, _ := errors.AsType[*net.OpError](e)
	if operation != nil && operation.Op == "proxyconnect" {
		return []Suspect{{CulpritProxy, Certain, "there is no connection to it", "check the address of the proxy in the Transport of the http.Client"}}
	}
	switch status := statusOf(e.Detail()); {
	case status == http.StatusProxyAuthRequired:
		return []Suspect{wantsLogin(Likely)}
	case status != 0:
		return []Suspect{{CulpritProxy, Likely, "it does not connect to the endpoint, as " + strconv.Itoa(status) + " says",
			"ask who runs the proxy to let " + endpoint.URL() + " through"}}
	}
	if lookup, ok := errors.AsType[*net.DNSError](e); ok {
		address.Reason, firewall.Reason = "it has a name that this machine cannot find", "some networks know no names but their own"
		if !lookup.IsNotFound {
			return []Suspect{{CulpritDNS, Certain, "it did not say whether the name exists", "check the resolver of this machine, and again later"}}
		}
		firewall.Certainty = Possible
		return inOrder([]Suspect{address, firewall, {CulpritDNS, Possible, "it does not know the name", "look the name up from another network"}})
	}
	switch {
	case operation != nil && operation.Op == "dial" && operation.Timeout():
		address.Reason, firewall.Reason = "nobody there answers", "most say nothing to what they do not let through"
		return inOrder([]Suspect{firewall, address})
	case operation != nil && operation.Op == "dial", e.Outcome == transport.OutcomeUnsent:
		address.Reason, firewall.Reason = "nobody there takes the connection", "some refuse what they do not let through"
		return inOrder([]Suspect{address, firewall})
	case errors.Is(e, context.Canceled):
		return nil
	default:
		firewall.Certainty, firewall.Reason = Possible, "some let a connection come about and then cut it"
		return []Suspect{{CulpritEndpoint, Possible, "there was a connection, but no answer", "check again later, and look at Braze's status page"}, firewall}
	}
}

// statusOf finds the status behind the text that net/http makes an error of when a proxy does not connect: the reason phrase and nothing else. It
// returns 0 for any other text.
func statusOf(text string) int {
	for status := 400; status < 600; status++ {
		if text != "" && text == http.StatusText(status) {
			return status
		}
	}
	return 0
}

// suspectsOfTLS says what may keep a connection from being trusted; it returns nil if that is not what happened.
func suspectsOfTLS(e error, address Suspect) []Suspect {
	interception := Suspect{CulpritProxy, Likely, "one that looks into TLS shows a certificate of its own",
		"have it exempt the endpoint, or add its authority to the RootCAs of the Transport; never switch the verification off"}
	if record, ok := errors.AsType[tls.RecordHeaderError](e); ok && record.Conn != nil || errors.Is(e, http.ErrSchemeMismatch) {
		address.Certainty, address.Reason = Likely, "what answers there speaks no TLS"
		interception.Certainty, interception.Reason, interception.Next = Possible, "one in between may answer without TLS",
			"look for what answers in the endpoint's place"
		return []Suspect{address, interception}
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](e); ok {
		if invalid.Reason != x509.Expired || invalid.Cert == nil {
			return []Suspect{interception}
		}
		now := time.Now()
		clock := Suspect{CulpritClock, Likely, "by it the certificate expired " + now.Sub(invalid.Cert.NotAfter).Round(time.Second).String() + " ago",
			"set the clock from a time server"}
		if early := invalid.Cert.NotBefore.Sub(now); early > 0 {
			clock.Reason = "by it the certificate becomes valid in " + early.Round(time.Second).String()
		}
		interception.Certainty = Possible
		return []Suspect{clock, interception, {CulpritCertificate, Possible, "the endpoint's own may have expired",
			"check again later; if the clock is right, tell whoever runs the endpoint"}}
	}
	if _, ok := errors.AsType[x509.HostnameError](e); ok {
		address.Reason = "the certificate is for another name"
		return inOrder([]Suspect{address, interception})
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](e); ok {
		return []Suspect{interception, {CulpritCertificate, Possible, "this machine may lack the public authorities, as small containers do",
			"install the package ca-certificates"}}
	}
	if _, ok := errors.AsType[x509.SystemRootsError](e); ok {
		return []Suspect{{CulpritCertificate, Certain, "this machine has no list of authorities", "install the package ca-certificates"}}
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](e); ok {
		return []Suspect{interception}
	}
	return nil
}

// inOrder puts the likelier ones first.
func inOrder(list []Suspect) []Suspect {
	slices.SortStableFunc(list, func(a, b Suspect) int { return int(b.Certainty) - int(a.Certainty) })
	return list
}

// apart says how far the clock of this machine is from one that shows so much more: "2h0m0s behind".
func apart(skew time.Duration) string {
	word := "behind"
	if skew < 0 {
		word = "ahead of"
	}
	return fmt.Sprintf("%s %s", skew.Abs().Round(time.Second), word)
}
