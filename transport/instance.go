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

// nearInstance finds the instance that an unknown host of Braze most likely meant. What tells instances apart in every kind of
// host (dashboard, REST, SDK) is a region and a two-digit number.
func nearInstance(host string) (instance, bool) {
	number := ""
	for i := 0; i+2 <= len(host); i++ {
		if isDigit(host[i]) && isDigit(host[i+1]) {
			number = host[i : i+2]
		}
	}
	region := "US"
	if strings.HasSuffix(host, ".eu") {
		region = "EU"
	}
	for _, r := range [...]struct{ code, name string }{
		{"iad-", "US"}, {"us-", "US"}, {"fra-", "EU"}, {"eu-", "EU"}, {"au-", "AU"}, {"id-", "ID"}, {"jp-", "JP"}, {"kr-", "KR"},
	} {
		if strings.Contains(host, "."+r.code) || strings.HasPrefix(host, r.code) {
			region = r.name
		}
	}
	return instanceByName(region + "-" + number)
}

// misspelled finds the instance of which a foreign host misspells the domain: it differs from one of the instance's hosts in what follows
// "braze." alone, or in one or two letters.
func misspelled(host string) (instance, bool) {
	for _, in := range instances {
		for _, known := range [...]string{in.rest, in.dashboard, "sdk" + strings.TrimPrefix(in.rest, "rest")} {
			if strings.HasPrefix(host, known[:strings.LastIndexByte(known, '.')+1]) {
				return nearInstance(host)
			}
		}
	}
	nearest, least := instance{}, 3
	for _, in := range instances {
		for _, known := range [...]string{in.rest, in.dashboard} {
			if d := distance(host, known); d < least {
				nearest, least = in, d
			}
		}
	}
	return nearest, least < 3
}

// distance counts the letters to insert, leave out or change to make b of a; for lengths more than two apart it says three.
func distance(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3
	}
	row := make([]int, len(b)+1) // distances from the part of a read so far to every beginning of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}

func (in instance) endpoint() Endpoint {
	return Endpoint{instance: in.name, base: "https://" + in.rest}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
