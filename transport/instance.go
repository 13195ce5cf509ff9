package transport

import "strings"

// instance is one of Braze's clusters: its dashboard and its REST host.
type instance struct {
	name      string
	dashboard string
	rest      string
}

// instances lists Braze's clusters as its data-centre page names them. There is no US-09. The list grows, which is why any
// other https host is accepted outside Braze's own domains.
var instances = [...]instance{
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

// Instances returns the names of the Braze instances known to [ParseEndpoint], in the order of Braze's own page.
func Instances() []string {
	names := make([]string, len(instances))
	for i, in := range instances {
		names[i] = in.name
	}
	return names
}

func instanceByName(name string) (instance, bool) {
	for _, in := range instances {
		if strings.EqualFold(in.name, name) {
			return in, true
		}
	}
	return instance{}, false
}

func instanceByHost(host string) (in instance, dashboard, ok bool) {
	for _, in := range instances {
		switch host {
		case in.rest:
			return in, false, true
		case in.dashboard:
			return in, true, true
		}
	}
	return instance{}, false, false
}

// nearInstance finds the instance that a mistyped Braze host most likely meant. What tells instances apart in every kind of
// host (dashboard, REST, SDK) is a region and a two-digit number.
func nearInstance(host string) (instance, bool) {
	number := ""
	for i := 0; i+2 <= len(host); i++ {
		if isDigit(host[i]) && isDigit(host[i+1]) {
			number = host[i : i+2]
		}
	}
	region := "US"
	for _, r := range [...]struct{ code, name string }{{"fra-", "EU"}, {"eu-", "EU"}, {"au-", "AU"}, {"id-", "ID"}, {"jp-", "JP"}, {"kr-", "KR"}} {
		if strings.Contains(host, "."+r.code) || strings.HasPrefix(host, r.code) {
			region = r.name
		}
	}
	if strings.HasSuffix(host, ".eu") && !strings.Contains(host, ".iad-") {
		region = "EU"
	}
	return instanceByName(region + "-" + number)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
