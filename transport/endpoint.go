package transport

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
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
		o.applyEndpoint(&cfg)
	}
	trimmed := strings.TrimSpace(s)
	if fault := text.Check(trimmed); fault != text.None {
		return Endpoint{}, &EndpointError{Problem: "the endpoint " + fault.String(), Next: "use the REST endpoint shown on the partner page, or an instance name such as EU-01"}
	}
	if in, ok := instanceByName(trimmed); ok {
		return Endpoint{instance: in.name, base: "https://" + in.rest}, nil
	}
	if looksLikeInstance(trimmed) {
		return Endpoint{}, &EndpointError{
			Problem: fmt.Sprintf("no instance is called %q", trimmed),
			Next:    "use one of " + strings.Join(Instances(), ", ") + ", or the full REST endpoint of a newer instance's documentation",
		}
	}
	u, err := parseURL(trimmed)
	if err != nil {
		return Endpoint{}, err
	}
	return cfg.resolve(u)
}

func parseURL(s string) (*url.URL, error) {
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		// The parser's own text repeats the input, which may hold a password.
		return nil, &EndpointError{Problem: "the endpoint is not a URL", Next: "use the form https://host"}
	}
	u.Host = strings.ToLower(strings.TrimSuffix(u.Host, "."))
	switch {
	case u.User != nil:
		return nil, &EndpointError{Problem: "the endpoint carries a user name or password", Next: "remove everything before the @; keys are given to the importer instead"}
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, &EndpointError{Problem: "the endpoint carries a query or a fragment", Next: "remove everything from the ? or # on"}
	case u.Hostname() == "":
		return nil, &EndpointError{Problem: "the endpoint names no host", Next: "use the form https://host"}
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, &EndpointError{Problem: fmt.Sprintf("the endpoint's scheme is %q", u.Scheme), Next: "use https"}
	}
	return u, nil
}

func (cfg *endpointConfig) resolve(u *url.URL) (Endpoint, error) {
	host := u.Hostname()
	if in, dashboard, ok := instanceByHost(host); ok {
		if u.Scheme != "https" {
			return Endpoint{}, &EndpointError{Host: host, Problem: "plain http would show keys and users on the wire", Next: "use https://" + in.rest}
		}
		if port := u.Port(); port != "" && port != "443" {
			return Endpoint{}, &EndpointError{Host: host, Problem: "Braze serves no other port than 443", Next: "use https://" + in.rest}
		}
		// A dashboard address is what people have in their browser; its path says nothing about the REST host.
		if path := strings.Trim(u.Path, "/"); path != "" && !dashboard {
			return Endpoint{}, &EndpointError{Host: host, Problem: "a REST endpoint has no path", Next: "use https://" + in.rest}
		}
		return Endpoint{instance: in.name, base: "https://" + in.rest}, nil
	}
	if underBraze(host) {
		next := "use one of the REST endpoints of Braze's instance list, as shown on the partner page of the dashboard"
		if in, ok := nearInstance(host); ok {
			next = "did you mean " + in.name + ", https://" + in.rest + "?"
		}
		problem := "this is no REST endpoint of Braze"
		if strings.HasPrefix(host, "sdk.") {
			problem = "this is the endpoint of the SDKs, which refuses REST calls"
		}
		return Endpoint{}, &EndpointError{Host: host, Problem: problem, Next: next}
	}
	if u.Scheme == "http" && !isLoopback(host) && !cfg.allowsPlain(host) {
		return Endpoint{}, &EndpointError{Host: host, Problem: "plain http would show keys and users on the wire", Next: "use https, or allow this one host by name with AllowPlainHTTP"}
	}
	base := url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/"), RawPath: strings.TrimRight(u.RawPath, "/")}
	return Endpoint{instance: u.Host, base: base.String()}, nil
}

func (cfg *endpointConfig) allowsPlain(host string) bool {
	return slices.Contains(cfg.plainHosts, host)
}

// looksLikeInstance tells an instance name that is not in the table ("US-09", "EU-3") from a host name.
func looksLikeInstance(s string) bool {
	region, number, found := strings.Cut(s, "-")
	if !found || len(region) != 2 || number == "" || len(number) > 3 {
		return false
	}
	return strings.Trim(number, "0123456789") == "" && strings.Trim(strings.ToLower(region), "abcdefghijklmnopqrstuvwxyz") == ""
}

// underBraze reports whether the host belongs to Braze, or is so near to it that it can only be a typing error.
func underBraze(host string) bool {
	for _, domain := range [...]string{"braze.com", "braze.eu"} {
		if host == domain || strings.HasSuffix(host, "."+domain) {
			return true
		}
	}
	return false
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
