package transport

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// NewPool returns a pool of connections as every Client has by default, for [WithHTTPClient]: to be shared by the Clients of several instances, or to be
// changed, such as given a proxy, before it is used. It uses no proxy, speaks HTTP/2 where the endpoint does, asks for TLS 1.2 or later, and keeps up to 64
// idle connections to a host and 256 in all for 90 seconds, enough for the documented rate at a round trip of almost a second. The plain
// [http.Transport] keeps two to a host, and makes a new connection for most requests over HTTP/1.1.
func NewPool() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		DialContext:           dial(dialer),
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ForceAttemptHTTP2:     true,
		DisableCompression:    true,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}
