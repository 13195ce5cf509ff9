package transport_test

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/transport"
)

// places is the table of Braze's instances as its documentation has it, apart from the one under test.
var places = []struct{ name, dashboard, rest string }{
	{"US-01", "dashboard-01.braze.com", "rest.iad-01.braze.com"},
	{"US-02", "dashboard-02.braze.com", "rest.iad-02.braze.com"},
	{"US-03", "dashboard-03.braze.com", "rest.iad-03.braze.com"},
	{"US-04", "dashboard-04.braze.com", "rest.iad-04.braze.com"},
	{"US-05", "dashboard-05.braze.com", "rest.iad-05.braze.com"},
	{"US-06", "dashboard-06.braze.com", "rest.iad-06.braze.com"},
	{"US-07", "dashboard-07.braze.com", "rest.iad-07.braze.com"},
	{"US-08", "dashboard-08.braze.com", "rest.iad-08.braze.com"},
	{"US-10", "dashboard.us-10.braze.com", "rest.us-10.braze.com"},
	{"EU-01", "dashboard-01.braze.eu", "rest.fra-01.braze.eu"},
	{"EU-02", "dashboard-02.braze.eu", "rest.fra-02.braze.eu"},
	{"AU-01", "dashboard.au-01.braze.com", "rest.au-01.braze.com"},
	{"ID-01", "dashboard.id-01.braze.com", "rest.id-01.braze.com"},
	{"JP-01", "dashboard.jp-01.braze.com", "rest.jp-01.braze.com"},
	{"KR-01", "dashboard.kr-01.braze.com", "rest.kr-01.braze.com"},
}

func TestInstances(t *testing.T) {
	t.Parallel()
	var want []string
	for _, p := range places {
		want = append(want, p.name)
	}
	got := transport.Instances()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("Instances (-want +got):\n%s", diff)
	}
	got[0] = "changed"
	if transport.Instances()[0] != "US-01" {
		t.Error("Instances hands out its own memory")
	}
}

func TestParseEndpointOfEveryInstance(t *testing.T) {
	t.Parallel()
	forms := []struct {
		name string
		of   func(name, dashboard, rest string) string
	}{
		{"name", func(n, _, _ string) string { return n }},
		{"name in lower case", func(n, _, _ string) string { return strings.ToLower(n) }},
		{"name in mixed case", func(n, _, _ string) string { return n[:1] + strings.ToLower(n[1:]) }},
		{"name with spaces", func(n, _, _ string) string { return " \t" + n + "\n" }},
		{"name with a slash", func(n, _, _ string) string { return n + "/" }},
		{"name with a dot", func(n, _, _ string) string { return n + "." }},
		{"REST endpoint", func(_, _, r string) string { return "https://" + r }},
		{"REST endpoint with a slash", func(_, _, r string) string { return "https://" + r + "/" }},
		{"REST endpoint with slashes", func(_, _, r string) string { return "https://" + r + "//" }},
		{"REST endpoint with a dot", func(_, _, r string) string { return "https://" + r + "." }},
		{"REST endpoint with a dot and a slash", func(_, _, r string) string { return "https://" + r + "./" }},
		{"REST endpoint with the default port", func(_, _, r string) string { return "https://" + r + ":443" }},
		{"REST endpoint with a dot and a port", func(_, _, r string) string { return "https://" + r + ".:443" }},
		{"REST endpoint with an empty port", func(_, _, r string) string { return "https://" + r + ":" }},
		{"REST endpoint in upper case", func(_, _, r string) string { return "HTTPS://" + strings.ToUpper(r) }},
		{"bare REST host", func(_, _, r string) string { return r }},
		{"bare REST host with spaces", func(_, _, r string) string { return "  " + r + " " }},
		{"bare REST host in upper case", func(_, _, r string) string { return strings.ToUpper(r) }},
		{"bare REST host with a slash", func(_, _, r string) string { return r + "/" }},
		{"dashboard address", func(_, d, _ string) string { return "https://" + d }},
		{"dashboard page", func(_, d, _ string) string { return "https://" + d + "/integrations/partners/5f1e" }},
		{"dashboard page with a query", func(_, d, _ string) string { return "https://" + d + "/users?locale=en#top" }},
		{"bare dashboard host", func(_, d, _ string) string { return d }},
		{"bare dashboard host with a path", func(_, d, _ string) string { return d + "/auth" }},
	}
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) {
			t.Parallel()
			for _, p := range places {
				in := form.of(p.name, p.dashboard, p.rest)
				e, err := transport.ParseEndpoint(in)
				if err != nil {
					t.Errorf("ParseEndpoint(%q): %v", in, err)
					continue
				}
				want := []string{p.name, "https://" + p.rest, p.name + " (https://" + p.rest + ")"}
				if diff := cmp.Diff(want, []string{e.Instance(), e.URL(), e.String()}); diff != "" {
					t.Errorf("ParseEndpoint(%q) (-want +got):\n%s", in, diff)
				}
			}
		})
	}
}

func TestParseEndpointRefusesNearlyEveryInstance(t *testing.T) {
	t.Parallel()
	forms := []struct {
		name string
		of   func(name, dashboard, rest string) string
	}{
		{"SDK host", func(_, _, r string) string { return "https://sdk" + strings.TrimPrefix(r, "rest") }},
		{"bare SDK host", func(_, _, r string) string { return "sdk" + strings.TrimPrefix(r, "rest") + "/" }},
		{"plain http", func(_, _, r string) string { return "http://" + r }},
		{"plain http to the dashboard", func(_, d, _ string) string { return "http://" + d + "/auth" }},
		{"another port", func(_, _, r string) string { return "https://" + r + ":8443" }},
		{"port of http", func(_, _, r string) string { return "https://" + r + ":80" }},
		{"path", func(_, _, r string) string { return "https://" + r + "/partners" }},
		{"query", func(_, _, r string) string { return "https://" + r + "/?key=1" }},
		{"fragment", func(_, _, r string) string { return r + "#a" }},
		{"name as a host", func(n, _, _ string) string { return "https://" + n }},
		{"other top-level domain of Braze", func(_, _, r string) string {
			if host, ok := strings.CutSuffix(r, ".eu"); ok {
				return host + ".com"
			}
			return strings.TrimSuffix(r, ".com") + ".eu"
		}},
		{"foreign top-level domain", func(_, _, r string) string { return r[:strings.LastIndexByte(r, '.')] + ".de" }},
		{"longer top-level domain", func(_, _, r string) string { return r[:strings.LastIndexByte(r, '.')] + ".co.uk" }},
		{"our domain as a beginning", func(_, _, r string) string { return r + ".example.net" }},
		{"letter changed", func(_, _, r string) string { return strings.Replace(r, "braze", "brase", 1) }},
		{"letters swapped", func(_, _, r string) string { return strings.Replace(r, "braze", "barze", 1) }},
		{"letter missing in the dashboard's host", func(_, d, _ string) string { return strings.Replace(d, "braze", "braz", 1) }},
	}
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) {
			t.Parallel()
			for _, p := range places {
				in := form.of(p.name, p.dashboard, p.rest)
				e, err := transport.ParseEndpoint(in)
				refused, ok := errors.AsType[*transport.EndpointError](err)
				if !ok {
					t.Errorf("ParseEndpoint(%q) = %v, %v; want an EndpointError", in, e, err)
					continue
				}
				if !strings.Contains(refused.Next, "https://"+p.rest) {
					t.Errorf("ParseEndpoint(%q) suggests %q, not %s", in, refused.Next, p.rest)
				}
			}
		})
	}
}

func TestParseEndpointRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   string
		want string // part of the error
	}{
		{"nothing", "", "must not be empty"},
		{"spaces", "  \t", "must not be empty"},
		{"control character", "rest.fra-01\x00.braze.eu", "control character"},
		{"not UTF-8", "rest\xff.example.com", "not valid UTF-8"},
		{"instance that does not exist", "US-09", `no instance is called "US-09"; use one of US-01, `},
		{"its name with a slash", "us-09/", "no instance is called"},
		{"its name as a host", "https://us-09", "no instance is called"},
		{"instance with one digit", "EU-1", "no instance is called"},
		{"REST host of an instance that does not exist", "https://rest.iad-09.braze.com", "use one of the REST endpoints"},
		{"Braze's own domain", "https://www.braze.com", "no REST endpoint of Braze"},
		{"Braze's bare domain", "braze.eu", "no REST endpoint of Braze"},
		{"REST host by the instance's number", "https://rest.us-01.braze.com", "did you mean US-01, https://rest.iad-01.braze.com?"},
		{"dashboard by the instance's name", "https://dashboard.eu-02.braze.com/x", "did you mean EU-02, https://rest.fra-02.braze.eu?"},
		{"dashboard with the wrong separator", "https://dashboard.01.braze.eu", "did you mean EU-01, https://rest.fra-01.braze.eu?"},
		{"REST host without its hyphen", "https://rest.fra02.braze.eu", "did you mean EU-02"},
		{"dashboard of US-10 in the old form", "dashboard-10.braze.com", "did you mean US-10, https://rest.us-10.braze.com?"},
		{"region of another domain", "https://rest.au-01.braze.eu", "did you mean AU-01"},
		{"user name", "https://someone@rest.fra-01.braze.eu", "user name or password"},
		{"user name without a scheme", "someone:hunter2@rest.fra-01.braze.eu", "user name or password"},
		{"password", "https://someone:hunter2@example.com", "user name or password"},
		{"password that is not escaped", "https://someone:hunter2%zz@example.com", "not a URL"},
		{"password after a wrong scheme", "ftp://someone:hunter2@example.com", "user name or password"},
		{"password as a port", "https://someone:hunter2", "not a URL"},
		{"other scheme", "ftp://example.com", "neither https nor http"},
		{"no host", "https://", "names no host"},
		{"no host but a port", "https://:443", "names no host"},
		{"no host but a path", "https:///partners", "names no host"},
		{"query", "https://example.com?a=b", "query or a fragment"},
		{"empty query", "https://example.com?", "query or a fragment"},
		{"fragment", "https://example.com#a", "query or a fragment"},
		{"port too high", "https://example.com:65536", "out of range"},
		{"port zero", "https://example.com:0", "out of range"},
		{"full-width letters", "https://ｒest.fra-01.braze.eu", "no host name"},
		{"letters outside of ASCII", "https://brazé.example", "no host name"},
		{"escaped host", "https://%e2%84%aar-01.example", "no host name"},
		{"empty label", "https://example..com", "no host name"},
		{"two dots at the end", "https://rest.fra-01.braze.eu..", "no host name"},
		{"scoped address", "https://[fe80::1%25en0]", "no host name"},
		{"plain http", "http://example.com", "AllowPlainHTTP"},
		{"plain http to a private address", "http://10.0.0.1", "AllowPlainHTTP"},
		{"plain http to a name under localhost", "http://api.localhost", "AllowPlainHTTP"},
		{"plain http to a name that begins like loopback", "http://127.0.0.1.example.com", "AllowPlainHTTP"},
		{"plain http to all addresses", "http://0.0.0.0", "AllowPlainHTTP"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, err := transport.ParseEndpoint(tt.in)
			if _, ok := errors.AsType[*transport.EndpointError](err); !ok {
				t.Fatalf("ParseEndpoint = %v, %v; want an EndpointError", e, err)
			}
			if e != (transport.Endpoint{}) {
				t.Errorf("refused, but returned %v", e)
			}
			for _, text := range []string{err.Error(), fmt.Sprintf("%+v %#v", err, err)} {
				if strings.Contains(text, "hunter2") {
					t.Errorf("the error repeats a password: %s", text)
				}
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not say %q", err, tt.want)
			}
		})
	}
}

func TestParseEndpointElsewhere(t *testing.T) {
	t.Parallel()
	plain := transport.AllowPlainHTTP("Braze-Proxy.internal")
	tests := []struct {
		name string
		in   string
		opts []transport.EndpointOption
		want [2]string // instance, URL
	}{
		{"host", "https://cohorts.example.com", nil, [2]string{"cohorts.example.com", "https://cohorts.example.com"}},
		{"bare host", "cohorts.example.com", nil, [2]string{"cohorts.example.com", "https://cohorts.example.com"}},
		{"upper case and a dot", "https://Cohorts.Example.COM./", nil, [2]string{"cohorts.example.com", "https://cohorts.example.com"}},
		{"port and path", "https://example.com:8443/braze/v1/", nil, [2]string{"example.com:8443", "https://example.com:8443/braze/v1"}},
		{"default port", "https://example.com:443/a", nil, [2]string{"example.com", "https://example.com/a"}},
		{"escaped path", "https://example.com/a%2Fb/c%2F", nil, [2]string{"example.com", "https://example.com/a%2Fb/c%2F"}},
		{"internationalised name", "https://xn--braz-epa.example", nil, [2]string{"xn--braz-epa.example", "https://xn--braz-epa.example"}},
		{"address", "https://203.0.113.7:444", nil, [2]string{"203.0.113.7:444", "https://203.0.113.7:444"}},
		{"a name with braze in it", "https://braze.example.com", nil, [2]string{"braze.example.com", "https://braze.example.com"}},
		{"loopback", "http://127.0.0.1:8080", nil, [2]string{"127.0.0.1:8080", "http://127.0.0.1:8080"}},
		{"anywhere in loopback", "http://127.9.9.9", nil, [2]string{"127.9.9.9", "http://127.9.9.9"}},
		{"loopback of IPv6", "http://[::1]:8080/x", nil, [2]string{"[::1]:8080", "http://[::1]:8080/x"}},
		{"loopback of IPv6 on the default port", "http://[::1]:80", nil, [2]string{"[::1]", "http://[::1]"}},
		{"mapped loopback", "http://[::ffff:127.0.0.1]:1", nil, [2]string{"[::ffff:127.0.0.1]:1", "http://[::ffff:127.0.0.1]:1"}},
		{"localhost", "http://LocalHost:1234", nil, [2]string{"localhost:1234", "http://localhost:1234"}},
		{"allowed by name", "http://braze-proxy.internal:81/p", []transport.EndpointOption{plain}, [2]string{"braze-proxy.internal:81", "http://braze-proxy.internal:81/p"}},
		{"allowed and https", "https://braze-proxy.internal", []transport.EndpointOption{plain}, [2]string{"braze-proxy.internal", "https://braze-proxy.internal"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, err := transport.ParseEndpoint(tt.in, tt.opts...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, [2]string{e.Instance(), e.URL()}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAllowPlainHTTPIsForOneHost(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"http://other.internal", "http://a.proxy.internal", "http://proxy.internal.example.com", "http://rest.fra-01.braze.eu"} {
		if e, err := transport.ParseEndpoint(in, transport.AllowPlainHTTP("proxy.internal"), transport.AllowPlainHTTP("rest.fra-01.braze.eu")); err == nil {
			t.Errorf("ParseEndpoint(%q) = %v", in, e)
		}
	}
	if _, err := transport.ParseEndpoint("EU-01", nil); err == nil {
		t.Error("a nil option is accepted")
	}
}

func TestZeroEndpoint(t *testing.T) {
	t.Parallel()
	if got := (transport.Endpoint{}).String(); got != "no endpoint" {
		t.Errorf("String = %q", got)
	}
	if _, err := transport.New(transport.Endpoint{}); err == nil {
		t.Error("New accepts the zero Endpoint")
	}
}

func FuzzParseEndpoint(f *testing.F) {
	for _, p := range places {
		f.Add(p.name)
		f.Add("https://" + p.dashboard + "/a?b#c")
		f.Add(p.rest + ".")
	}
	for _, s := range []string{
		"", "https://a:b@c", "http://[::1]:80/%2f/", "http://localhost", "US-09", "https://x/../y//", "//x", "https://ｒest.iad-01.braze.com",
		"https://h:0", "https://h:443", "http://h:80", "https://1.2.3.4.", "a b", "https://h/a%2F%zz", "https://h/\"'<>", "https://[::ffff:1.2.3.4]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := transport.ParseEndpoint(s, transport.AllowPlainHTTP("plain.example"))
		if err != nil {
			if _, ok := errors.AsType[*transport.EndpointError](err); !ok || e != (transport.Endpoint{}) {
				t.Fatalf("error of type %T, endpoint %v", err, e)
			}
			return
		}
		again, err := transport.ParseEndpoint(e.URL(), transport.AllowPlainHTTP("plain.example"))
		if err != nil || again != e {
			t.Fatalf("%v parses again as %v, %v", e, again, err)
		}
		if _, err := transport.New(e); err != nil {
			t.Fatalf("New refuses %v: %v", e, err)
		}
		u, err := url.Parse(e.URL())
		if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(e.URL(), "/") {
			t.Fatalf("%v is not a clean base: %v", e, err)
		}
		if u.Scheme != "https" {
			addr, err := netip.ParseAddr(u.Hostname())
			loopback := err == nil && addr.Unmap().IsLoopback()
			if u.Scheme != "http" || !loopback && u.Hostname() != "localhost" && u.Hostname() != "plain.example" {
				t.Fatalf("plain http to %v", e)
			}
		}
		if host := u.Hostname(); strings.HasSuffix(host, ".braze.com") || strings.HasSuffix(host, ".braze.eu") {
			if !slices.Contains(transport.Instances(), e.Instance()) {
				t.Fatalf("%v is no instance", e)
			}
		}
	})
}
