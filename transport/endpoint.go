package transport

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/cohortkit/cohortkit/internal/text"
)

// Endpoint is where a workspace's REST calls go. Make one with [ParseEndpoint]; the zero value is not valid. It is
// comparable, and safe to print: it never holds user information or a query.
type Endpoint struct {
	instance string
	base     string // scheme://host[:port][/path], no trailing slash
}

// Instance names the endpoint: a Braze instance such as "EU-01", or the host (with its port, if any) of an endpoint that is
// not Braze's. Partner keys are chosen by this name.
func (e Endpoint) Instance() string { return e.instance }

// URL returns the base of every call, without a trailing slash: "https://rest.fra-01.braze.eu".
func (e Endpoint) URL() string { return e.base }

// String returns the instance and the URL.
func (e Endpoint) String() string {
	if e == (Endpoint{}) {
		return "no endpoint"
	}
	return e.instance + " (" + e.base + ")"
}

// EndpointOption changes what [ParseEndpoint] accepts.
type EndpointOption interface{ applyEndpoint(*endpointConfig) }

type endpointConfig struct{ plainHosts []string }

type plainHost string

func (h plainHost) applyEndpoint(c *endpointConfig) { c.plainHosts = append(c.plainHosts, string(h)) }

// AllowPlainHTTP lets [ParseEndpoint] accept http instead of https for exactly this host, named without its port. Over plain http the keys and
// the identifiers of every user travel readable; loopback addresses need no permission.
func AllowPlainHTTP(host string) EndpointOption { return plainHost(strings.ToLower(host)) }

// ParseEndpoint understands what a customer hands over as the REST endpoint:
//
//   - an instance name, in any case: "EU-01", "us-10";
//   - the REST endpoint: "https://rest.fra-01.braze.eu";
//   - a dashboard address, of any page: "https://dashboard-01.braze.eu/integrations/…";
//   - the bare host of either;
//   - any other https URL or host, for endpoints that speak Braze's partner cohort import. A path is kept as a prefix.
//
// An SDK host, an unknown host under Braze's domains and a host that nearly is one of them are refused, as is http to anything
// but loopback unless [AllowPlainHTTP] names the host. The error is an [*EndpointError] that says which address to use.
func ParseEndpoint(s string, opts ...EndpointOption) (Endpoint, error) {
	var cfg endpointConfig
	for _, o := range opts {
		if o == nil {
			return Endpoint{}, &EndpointError{Problem: "an option is nil", Next: "leave it out"}
		}
		o.applyEndpoint(&cfg)
	}
	trimmed := strings.TrimSpace(s)
	if fault := text.Check(trimmed); fault != text.None {
		return Endpoint{}, &EndpointError{Problem: "the endpoint " + fault.String(), Next: "use the REST endpoint shown on the partner page, or an instance name such as EU-01"}
	}
	name := strings.TrimRight(trimmed, "/.")
	if in, ok := instanceByName(name); ok {
		return in.endpoint(), nil
	}
	if looksLikeInstance(name) {
		return Endpoint{}, unknownInstance(name)
	}
	u, err := parseURL(trimmed)
	if err != nil {
		return Endpoint{}, err
	}
	return cfg.resolve(u)
}

// parseURL returns s as an http or https URL with a host that is lower case and clean. No error repeats s, which may hold a password.
func parseURL(s string) (*url.URL, error) {
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, &EndpointError{Problem: "the endpoint is not a URL", Next: "use the form https://host"}
	}
	if u.User != nil {
		return nil, &EndpointError{Problem: "the endpoint carries a user name or password", Next: "remove everything before the @; keys are given to the importer instead"}
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return nil, &EndpointError{Problem: "the endpoint's scheme is neither https nor http", Next: "use https"}
	}
	host, port := strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), u.Port()
	if host == "" {
		return nil, &EndpointError{Problem: "the endpoint names no host", Next: "use the form https://host"}
	}
	if !isHost(host) || strings.ContainsRune(u.Host, '\u212a') { // the Kelvin sign, whose lower case is a k
		return nil, &EndpointError{Problem: "the endpoint's host is no host name", Next: "use letters, digits, dots and hyphens; an internationalised name in its xn-- form"}
	}
	// The default port is left out, so that one host has one name.
	if port == "443" && u.Scheme == "https" || port == "80" && u.Scheme == "http" {
		port = ""
	}
	if number, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || number == 0) {
		return nil, &EndpointError{Host: host, Problem: "the port is out of range", Next: "use 1 to 65535, or no port for 443"}
	}
	u.Host = host
	if strings.Contains(host, ":") {
		u.Host = "[" + host + "]"
	}
	if port != "" {
		u.Host += ":" + port
	}
	return u, nil
}

func (cfg *endpointConfig) resolve(u *url.URL) (Endpoint, error) {
	host := u.Hostname()
	if in, dashboard, ok := instanceByHost(host); ok {
		if fault := faultOfBraze(u); fault != "" {
			return Endpoint{}, &EndpointError{Host: host, Problem: fault, Next: "use https://" + in.rest}
		}
		// A dashboard address is what people have in their browser; the page they were on says nothing about the REST host.
		if (strings.Trim(u.Path, "/") != "" || hasQuery(u)) && !dashboard {
			return Endpoint{}, &EndpointError{Host: host, Problem: "a REST endpoint has no path and no query", Next: "use https://" + in.rest}
		}
		return in.endpoint(), nil
	}
	if in, ok := instanceByName(host); ok {
		return Endpoint{}, &EndpointError{Host: host, Problem: "this is the name of an instance, no host", Next: "use https://" + in.rest}
	}
	if looksLikeInstance(host) {
		return Endpoint{}, unknownInstance(host)
	}
	if err := mistaken(host); err != nil {
		return Endpoint{}, err
	}
	if hasQuery(u) {
		return Endpoint{}, &EndpointError{Host: host, Problem: "the endpoint carries a query or a fragment", Next: "remove everything from the ? or # on"}
	}
	if u.Scheme == "http" && !isLoopback(host) && !slices.Contains(cfg.plainHosts, host) {
		return Endpoint{}, &EndpointError{Host: host, Problem: "plain http would show keys and users on the wire", Next: "use https, or allow this one host by name with AllowPlainHTTP"}
	}
	base := url.URL{Scheme: u.Scheme, Host: u.Host}
	if err := setPath(&base, strings.TrimRight(u.EscapedPath(), "/")); err != nil {
		return Endpoint{}, &EndpointError{Host: host, Problem: "the path is not escaped", Next: "escape it as a URL path"}
	}
	return Endpoint{instance: base.Host, base: base.String()}, nil
}

// faultOfBraze says why a host of Braze cannot be called the way u wants it, or nothing.
func faultOfBraze(u *url.URL) string {
	switch {
	case u.Scheme != "https":
		return "plain http would show keys and users on the wire"
	case u.Port() != "":
		return "Braze serves no other port than 443"
	default:
		return ""
	}
}

// mistaken refuses hosts that were surely meant to be one of Braze's.
func mistaken(host string) error {
	if !underBraze(host) {
		if in, ok := misspelled(host); ok {
			return &EndpointError{Host: host, Problem: "this nearly is a host of Braze", Next: "did you mean " + in.name + ", https://" + in.rest + "?"}
		}
		return nil
	}
	next := "use one of the REST endpoints of Braze's instance list, as shown on the partner page of the dashboard"
	if in, ok := nearInstance(host); ok {
		next = "did you mean " + in.name + ", https://" + in.rest + "?"
	}
	problem := "this is no REST endpoint of Braze"
	if strings.HasPrefix(host, "sdk.") {
		problem = "this is the endpoint of the SDKs, which refuses REST calls"
	}
	return &EndpointError{Host: host, Problem: problem, Next: next}
}

func unknownInstance(name string) error {
	return &EndpointError{
		Problem: fmt.Sprintf("no instance is called %q", name),
		Next:    "use one of " + strings.Join(Instances(), ", ") + ", or the full REST endpoint of a newer instance's documentation",
	}
}

func hasQuery(u *url.URL) bool { return u.RawQuery != "" || u.ForceQuery || u.Fragment != "" }

// isHost reports whether a host is an IP address or a name that means the same to everybody. Other characters are refused because net/http would
// map some of them to ASCII, and so a name that merely looks like another to the name itself.
func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return strings.Trim(host, "0123456789abcdef.:") == "" // no zone
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// looksLikeInstance tells an instance name that is not in the table ("US-09", "EU-3") from a host name.
func looksLikeInstance(s string) bool {
	region, number, found := strings.Cut(s, "-")
	if !found || len(region) != 2 || number == "" || len(number) > 3 {
		return false
	}
	return strings.Trim(number, "0123456789") == "" && strings.Trim(strings.ToLower(region), "abcdefghijklmnopqrstuvwxyz") == ""
}

// underBraze reports whether the host belongs to Braze.
func underBraze(host string) bool {
	for _, domain := range [...]string{"braze.com", "braze.eu"} {
		if host == domain || strings.HasSuffix(host, "."+domain) {
			return true
		}
	}
	return false
}

// isLoopback reports whether a host cannot be another machine. Names under .localhost are not counted: a resolver may send them elsewhere.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
