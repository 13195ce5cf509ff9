package brazetest

import (
	"net"
	"strings"
)

// The instances of Braze as its data-centre page lists them, and the REST host of each. There is no US-09.
var restHosts = [...]struct{ instance, host string }{
	{"US-01", "rest.iad-01.braze.com"},
	{"US-02", "rest.iad-02.braze.com"},
	{"US-03", "rest.iad-03.braze.com"},
	{"US-04", "rest.iad-04.braze.com"},
	{"US-05", "rest.iad-05.braze.com"},
	{"US-06", "rest.iad-06.braze.com"},
	{"US-07", "rest.iad-07.braze.com"},
	{"US-08", "rest.iad-08.braze.com"},
	{"US-10", "rest.us-10.braze.com"},
	{"EU-01", "rest.fra-01.braze.eu"},
	{"EU-02", "rest.fra-02.braze.eu"},
	{"AU-01", "rest.au-01.braze.com"},
	{"ID-01", "rest.id-01.braze.com"},
	{"JP-01", "rest.jp-01.braze.com"},
	{"KR-01", "rest.kr-01.braze.com"},
}

// DefaultInstance is where a workspace is unless [OnInstance] says otherwise.
const DefaultInstance = "EU-01"

func knownInstance(name string) bool {
	for _, r := range restHosts {
		if r.instance == name {
			return true
		}
	}
	return false
}

// instanceOf finds the instance that the Host of a request means: "" for a host that is none of Braze's, where every
// workspace is served, and false for the SDK host of an instance, which takes no REST calls.
func instanceOf(host string) (string, bool) {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, r := range restHosts {
		switch host {
		case r.host:
			return r.instance, true
		case "sdk" + strings.TrimPrefix(r.host, "rest"):
			return "", false
		}
	}
	return "", true
}
