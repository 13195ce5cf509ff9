package cohort_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// suspects returns the suspects of a check in short: "likely the data import key".
func suspects(err error) []string {
	var list []string
	if failed, ok := errors.AsType[*cohort.CheckError](err); ok {
		for _, s := range failed.Suspects {
			list = append(list, s.Certainty.String()+" "+string(s.Culprit))
		}
	}
	return list
}

// checkExplained holds the error of a Check to what it should say, and to what no error may show.
func checkExplained(t *testing.T, err, kind error, want []string, text string) {
	t.Helper()
	failed, ok := errors.AsType[*cohort.CheckError](err)
	if !ok || kind != nil && !errors.Is(err, kind) {
		t.Fatalf("error %v, want a CheckError that matches %v", err, kind)
	}
	if diff := cmp.Diff(want, suspects(err)); diff != "" {
		t.Errorf("suspects (-want +got):\n%s\nof %v", diff, err)
	}
	if !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "cohort: ") {
		t.Errorf("the error does not say %q: %v", text, err)
	}
	if got, want := errors.Is(err, cohort.ErrInconclusive), errors.Is(err, transport.ErrBadRequest); got != want {
		t.Errorf("inconclusive: %t, want %t: %v", got, want, err)
	}
	if !slices.IsSortedFunc(failed.Suspects, func(a, b cohort.Suspect) int { return int(b.Certainty) - int(a.Certainty) }) {
		t.Errorf("a likelier suspect stands behind: %v", err)
	}
	for _, s := range failed.Suspects {
		if s.Reason == "" || s.Next == "" || strings.HasSuffix(s.Next, ".") || !strings.Contains(err.Error(), s.String()) {
			t.Errorf("a suspect without a reason, without a next step, or not in the error: %+v", s)
		}
	}
	var e exposure
	e.showError(err)
	checkHidden(t, "what is printed", e.shown.String(), secretKeys)
}

// TestCheckExplains goes through what can be wrong between a partner and an endpoint, as far as the fake can show it.
func TestCheckExplains(t *testing.T) {
	t.Parallel()
	inject := func(f brazetest.Fault) func(*stage) {
		return func(s *stage) { s.server.Inject(brazetest.Users(), f).Always() }
	}
	withPartnerKey := func(c *keys.Credentials) { c.PartnerKey = keys.NewPartnerKey(secretImport) }
	date := func(d time.Duration) string {
		return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(d).Format(http.TimeFormat)
	}
	tests := []struct {
		name        string
		options     []brazetest.Option
		prepare     func(*stage)
		endpoint    string // EU-01 unless given
		host        string // that the requests come to, if it is another
		credentials func(*keys.Credentials)
		kind        error
		want        []string
		text        string
	}{
		{name: "wrong import key", prepare: func(s *stage) { s.workspace.InvalidateKey(s.partner, s.importKey) },
			kind: transport.ErrUnauthorized, want: []string{"likely the data import key", "possibly the instance"}, text: "generate a new one there"},
		{name: "import key of another region", endpoint: "US-10",
			kind: transport.ErrUnauthorized, want: []string{"likely the data import key", "possibly the instance"}, text: "compare https://rest.us-10.braze.com with"},
		{name: "wrong partner key, or that of another region", credentials: withPartnerKey,
			kind: transport.ErrUnauthorized, want: []string{"likely the partner API key", "possibly the instance"}, text: "a key of another region is refused"},
		{name: "not enabled", prepare: func(s *stage) { s.workspace.Disable(s.partner) },
			kind: transport.ErrUnauthorized, want: []string{"likely a partner that is not enabled", "possibly the data import key"}, text: "ask Braze to enable the partner"},
		{name: "unknown partner", credentials: func(c *keys.Credentials) { c.Partner = "nobody" }, kind: transport.ErrUnauthorized,
			want: []string{"possibly the instance", "possibly the data import key", "possibly the partner API key", "possibly the partner's name"}, text: "undocumented"},
		{name: "no cause told", prepare: inject(brazetest.Unauthorized(brazetest.GenericRefusal)), kind: transport.ErrUnauthorized,
			want: []string{"possibly the instance", "possibly the data import key", "possibly the partner API key", "possibly the partner's name"}, text: "the answer names no cause"},
		{name: "an SDK host behind a name of one's own", endpoint: "https://braze.example.com", host: "sdk.fra-01.braze.eu",
			kind: transport.ErrNotFound, want: []string{"likely the endpoint's address", "possibly the partner's name"}, text: "a host for the SDKs"},
		{name: "403", prepare: inject(brazetest.Status(http.StatusForbidden)),
			kind: transport.ErrForbidden, want: []string{"possibly a firewall", "possibly a partner that is not enabled"}, text: "no 403 is documented"},
		{name: "403 as a page", prepare: inject(brazetest.HTML(http.StatusForbidden)),
			kind: transport.ErrForbidden, want: []string{"likely a proxy", "possibly a firewall", "possibly a partner that is not enabled"}, text: "a page and not JSON"},
		{name: "a portal in between", prepare: inject(brazetest.HTML(http.StatusOK)),
			kind: transport.ErrBadAnswer, want: []string{"likely a proxy"}, text: "open the endpoint from this machine by hand"},
		{name: "a proxy wants a login", prepare: inject(brazetest.HTML(http.StatusProxyAuthRequired)),
			want: []string{"certainly a proxy"}, text: "give user and password of the proxy"},
		{name: "a gateway", prepare: inject(brazetest.HTML(http.StatusBadGateway)),
			kind: transport.ErrUnavailable, want: []string{"likely trouble at the endpoint", "possibly a proxy"}, text: "the keys may be good"},
		{name: "redirected", prepare: inject(brazetest.Redirect("https://login.example.com")),
			kind: transport.ErrRedirect, want: []string{"likely the endpoint's address", "possibly a proxy"}, text: "does not redirect"},
		{name: "a success with errors", prepare: inject(brazetest.SuccessWithErrors(secretImport)),
			kind: transport.ErrBadAnswer, want: []string{"likely trouble at the endpoint"}, text: "look at Detail"},
		{name: "down", prepare: inject(brazetest.Status(http.StatusServiceUnavailable)),
			kind: transport.ErrUnavailable, want: []string{"likely trouble at the endpoint"}, text: "check again later"},
		{name: "rate limited", prepare: inject(brazetest.RateLimited("99999")),
			kind: transport.ErrRateLimited, want: []string{"certainly the rate limit"}, text: "asked to wait"},
		{name: "locked", prepare: inject(brazetest.Locked()),
			kind: transport.ErrLocked, want: []string{"likely trouble at the endpoint"}, text: "undocumented"},
		{name: "another content type on arrival", prepare: inject(brazetest.Status(http.StatusUnsupportedMediaType)),
			want: []string{"possibly a proxy"}, text: "changes requests on the way"},
		{name: "418", prepare: inject(brazetest.Status(http.StatusTeapot)), text: "418"},
		{name: "an empty list is refused", options: []brazetest.Option{brazetest.RefuseEmptyChanges()},
			kind: cohort.ErrInconclusive, text: "a real export will tell"},
		{name: "400 as a page", prepare: inject(brazetest.HTML(http.StatusBadRequest)),
			kind: cohort.ErrInconclusive, want: []string{"likely a proxy"}, text: "a page and not JSON"},
		{name: "the clock is behind", prepare: inject(brazetest.Unauthorized(brazetest.WrongImportKey).Header("Date", date(2*time.Hour))), kind: transport.ErrUnauthorized,
			want: []string{"likely the data import key", "possibly the instance", "possibly the clock of this machine"}, text: "it is 2h0m0s behind the date of the answer"},
		{name: "the clock is ahead", prepare: inject(brazetest.Unauthorized(brazetest.WrongImportKey).Header("Date", date(-6*time.Minute))), kind: transport.ErrUnauthorized,
			want: []string{"likely the data import key", "possibly the instance", "possibly the clock of this machine"}, text: "it is 6m0s ahead of the date of the answer"},
		{name: "the clock is nearly right", prepare: inject(brazetest.Unauthorized(brazetest.WrongImportKey).Header("Date", date(4*time.Minute))),
			kind: transport.ErrUnauthorized, want: []string{"likely the data import key", "possibly the instance"}},
		{name: "dropped connections", prepare: inject(brazetest.DropConnection()),
			kind: transport.ErrNoAnswer, want: []string{"possibly trouble at the endpoint", "possibly a firewall"}, text: "may have been applied"},
		{name: "no answer in time", prepare: inject(brazetest.Delay(time.Hour)),
			kind: transport.ErrNoAnswer, want: []string{"possibly trouble at the endpoint", "possibly a firewall"}, text: "no answer in time"},
		{name: "no key", credentials: func(c *keys.Credentials) { c.ImportKey = keys.Env("COHORTKIT_TEST_ABSENT") },
			kind: keys.ErrMissing, text: "set the variable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSecretStage(t, tt.options...)
				if tt.prepare != nil {
					tt.prepare(s)
				}
				credentials := secretCredentials()
				if tt.credentials != nil {
					tt.credentials(&credentials)
				}
				if tt.endpoint == "" {
					tt.endpoint = "EU-01"
				}
				door := s.server.Client().Transport
				client := newClient(t, tt.endpoint, transport.WithRetryPolicy(transport.RetryPolicy{MaxAttempts: 2}),
					transport.WithHTTPClient(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
						if tt.host != "" {
							r = r.Clone(r.Context())
							r.URL.Host, r.Host = tt.host, ""
						}
						return door.RoundTrip(r)
					})}))
				im := newImporter(t, client, credentials)
				checkExplained(t, im.Check(t.Context()), tt.kind, tt.want, tt.text)
				if tt.name != "no key" {
					checkExplained(t, im.CheckKey(t.Context(), keys.NewImportKey(secretImport)), tt.kind, tt.want, tt.text)
				}
			})
		})
	}
}

// TestCheckExplainsSilence is about what net/http says when there is no answer at all.
func TestCheckExplainsSilence(t *testing.T) {
	t.Parallel()
	dial := func(op string, err error) error { return &net.OpError{Op: op, Net: "tcp", Err: err} }
	notFound := dial("dial", &net.DNSError{Err: "no such host", Name: "rest.fra-01.braze.eu", IsNotFound: true})
	certificate := func(err error) error { return &tls.CertificateVerificationError{Err: err} }
	valid := func(from, until time.Duration) *x509.Certificate {
		now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		return &x509.Certificate{NotBefore: now.Add(from), NotAfter: now.Add(until), DNSNames: []string{"proxy.example.com"}}
	}
	expired := func(c *x509.Certificate) error {
		return certificate(x509.CertificateInvalidError{Cert: c, Reason: x509.Expired})
	}
	const own = "https://braze.example.com"
	tests := []struct {
		name     string
		endpoint string
		err      error
		want     []string
		text     string
	}{
		{"an unknown name", own, notFound, []string{"likely the endpoint's address", "possibly a firewall", "possibly the DNS"}, "cannot find"},
		{"a name of Braze that is not known here", "EU-01", notFound, []string{"possibly the endpoint's address", "possibly a firewall", "possibly the DNS"}, "look the name up"},
		{"no answer of the DNS", "EU-01", dial("dial", &net.DNSError{Err: "i/o timeout", IsTimeout: true}), []string{"certainly the DNS"}, "resolver"},
		{"refused", own, dial("dial", os.NewSyscallError("connect", syscall.ECONNREFUSED)), []string{"likely the endpoint's address", "likely a firewall"}, "nobody there takes the connection"},
		{"refused by an instance", "EU-01", dial("dial", os.NewSyscallError("connect", syscall.ECONNREFUSED)), []string{"likely a firewall", "possibly the endpoint's address"}, "only through a proxy"},
		{"no connection in time", "EU-01", dial("dial", context.DeadlineExceeded), []string{"likely a firewall", "possibly the endpoint's address"}, "nobody there answers"},
		{"a proxy that is not there", "EU-01", dial("proxyconnect", dial("dial", os.NewSyscallError("connect", syscall.ECONNREFUSED))), []string{"certainly a proxy"}, "the address of the proxy"},
		{"reset", "EU-01", dial("read", errors.New("connection reset")), []string{"possibly trouble at the endpoint", "possibly a firewall"}, "cut it"},
		{"not valid yet", "EU-01", expired(valid(36*time.Hour, 90*24*time.Hour)),
			[]string{"likely the clock of this machine", "possibly a proxy", "possibly a certificate"}, "becomes valid in 36h0m0s"},
		{"expired", "EU-01", expired(valid(-90*24*time.Hour, -time.Hour)),
			[]string{"likely the clock of this machine", "possibly a proxy", "possibly a certificate"}, "expired 1h0m0s ago"},
		{"invalid otherwise", "EU-01", certificate(x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}), []string{"likely a proxy"}, "never switch the verification off"},
		{"expired, of which nothing is known", "EU-01", certificate(x509.CertificateInvalidError{Reason: x509.Expired}), []string{"likely a proxy"}, ""},
		{"for another name", "EU-01", certificate(x509.HostnameError{Certificate: valid(0, 0), Host: "rest.fra-01.braze.eu"}),
			[]string{"likely a proxy", "possibly the endpoint's address"}, "for another name"},
		{"no authorities", "EU-01", certificate(x509.SystemRootsError{}), []string{"certainly a certificate"}, "ca-certificates"},
		{"not verified otherwise", "EU-01", certificate(x509.UnhandledCriticalExtension{}), []string{"likely a proxy"}, ""},
		{"no connection, for a reason that nobody may see", "EU-01", dial("dial", errors.New(secretImport)),
			[]string{"likely a firewall", "possibly the endpoint's address"}, "nobody there takes the connection"},
		{"whatever", "EU-01", errors.New(secretImport), []string{"possibly trouble at the endpoint", "possibly a firewall"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				failing := roundTripper(func(*http.Request) (*http.Response, error) { return nil, tt.err })
				client := newClient(t, tt.endpoint, transport.WithHTTPClient(&http.Client{Transport: failing}), transport.WithRetryPolicy(transport.RetryPolicy{MaxAttempts: 2}))
				checkExplained(t, newImporter(t, client, secretCredentials()).Check(t.Context()), transport.ErrNoAnswer, tt.want, tt.text)
			})
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		im := stubbed(t, func(*http.Request) (*http.Response, error) {
			cancel()
			return nil, ctx.Err()
		})
		checkExplained(t, im.Check(ctx), context.Canceled, nil, "cancelled")
		checkExplained(t, im.Check(ctx), context.Canceled, nil, "nothing was sent")
		ctx, because := context.WithCancelCause(t.Context())
		because(&transport.APIError{Class: transport.ClassUnauthorized, Status: http.StatusUnauthorized})
		checkExplained(t, im.Check(ctx), context.Canceled, nil, "nothing was sent") // whatever became of another call
	})
}

// TestCheckExplainsSockets meets real sockets, so that what is told apart is what package net, net/http and crypto/tls do say.
func TestCheckExplainsSockets(t *testing.T) {
	t.Parallel()
	serve := func(t *testing.T, start func(*httptest.Server)) *httptest.Server {
		t.Helper()
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of handshakes that failed
		start(s)
		t.Cleanup(s.Close)
		return s
	}
	through := func(proxy string) *http.Transport {
		return &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return url.Parse(proxy) }}
	}
	closed := func(t *testing.T) string {
		t.Helper()
		s := serve(t, (*httptest.Server).Start)
		s.Close()
		return s.URL
	}
	tests := []struct {
		name string
		plug func(*testing.T) (endpoint string, transport *http.Transport)
		want []string
		text string
	}{
		{"an unknown authority", func(t *testing.T) (string, *http.Transport) {
			t.Helper()
			return serve(t, (*httptest.Server).StartTLS).URL, &http.Transport{}
		}, []string{"likely a proxy", "possibly a certificate"}, "RootCAs"},
		{"another name", func(t *testing.T) (string, *http.Transport) {
			t.Helper()
			s := serve(t, (*httptest.Server).StartTLS)
			roots := x509.NewCertPool()
			roots.AddCert(s.Certificate())
			return s.URL, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "rest.fra-01.braze.eu", MinVersion: tls.VersionTLS12}}
		}, []string{"likely the endpoint's address", "likely a proxy"}, "for another name"},
		{"no TLS", func(t *testing.T) (string, *http.Transport) {
			t.Helper()
			return strings.Replace(serve(t, (*httptest.Server).Start).URL, "http:", "https:", 1), &http.Transport{}
		}, []string{"likely the endpoint's address", "possibly a proxy"}, "speaks no TLS"},
		{"nobody there", func(t *testing.T) (string, *http.Transport) {
			t.Helper()
			return closed(t), &http.Transport{}
		}, []string{"likely the endpoint's address", "likely a firewall"}, "no connection"},
		{"no proxy there", func(t *testing.T) (string, *http.Transport) {
			t.Helper()
			return "EU-01", through(closed(t))
		}, []string{"certainly a proxy"}, "there is no connection to it"},
		{"a proxy that wants a login", func(t *testing.T) (string, *http.Transport) {
			t.Helper()
			return "EU-01", through(rawProxy(t, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"))
		}, []string{"likely a proxy"}, "it wants a login"},
		{"a proxy that refuses", func(t *testing.T) (string, *http.Transport) {
			t.Helper()
			return "EU-01", through(rawProxy(t, "HTTP/1.1 403 Forbidden\r\n\r\n"))
		}, []string{"likely a proxy"}, "403"},
		{"a proxy that hangs up", func(t *testing.T) (string, *http.Transport) {
			t.Helper()
			return "EU-01", through(rawProxy(t, ""))
		}, []string{"possibly trouble at the endpoint", "possibly a firewall"}, "the connection broke"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			endpoint, plug := tt.plug(t)
			defer plug.CloseIdleConnections()
			client := newClient(t, endpoint, transport.WithHTTPClient(&http.Client{Transport: plug}), transport.WithRetryPolicy(transport.NoRepeat()))
			checkExplained(t, newImporter(t, client, secretCredentials()).Check(t.Context()), transport.ErrNoAnswer, tt.want, tt.text)
		})
	}
}

// rawProxy answers the first line and the header of every connection with this text, and closes it.
func rawProxy(t *testing.T, text string) (address string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.WriteString(conn, text)
			}
			_ = conn.Close()
		}
	})
	return "http://" + listener.Addr().String()
}

// TestCheckKey shows that another key is checked without the source's own being asked for or told of anything.
func TestCheckKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		source := &ring{now: s.importKey, next: s.importKey}
		credentials := s.credentials()
		credentials.ImportKey = source
		im := newImporter(t, s.client(t), credentials)
		good, wrong := s.workspace.GenerateKey(s.partner), keys.NewImportKey("cs-ws-0001")
		if err := im.CheckKey(t.Context(), good); err != nil {
			t.Error(err)
		}
		if err := im.CheckKey(t.Context(), wrong); !errors.Is(err, transport.ErrUnauthorized) {
			t.Errorf("error %v, want ErrUnauthorized", err)
		}
		checkExplained(t, im.CheckKey(t.Context(), keys.ImportKey{}), keys.ErrMissing, nil, "must not be empty")
		// The fake knows no fingerprint of a key that it did not issue.
		if diff := cmp.Diff([]string{good.Fingerprint(), ""}, s.fingerprints()); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
		if len(source.accepted)+len(source.refused) > 0 {
			t.Error("the source was told of keys that are not its own")
		}
	})
}
