package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
)

// fault is what kept an attempt from being answered.
type fault struct {
	text  string // our own words
	next  string // the next step
	cause error  // the underlying error, if its text can be shown
	// raw is the underlying error, for errors.Is and Detail alone; behind a pointer, so that no formatting of a struct around it shows it.
	raw *error
	// reached is false when surely no byte of the request arrived: no connection came about.
	reached bool
	// final is true when repeating cannot help.
	final bool
}

// errNothing stands for what a RoundTripper owes when it returns neither an answer nor an error.
var errNothing = errors.New("transport: the RoundTripper returned neither an answer nor an error")

// faultOf explains the error of a RoundTripper that was given ctx. What it cannot place counts as reached: better a repeat too many than a change lost.
func faultOf(ctx context.Context, err error) fault {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // its text repeats the URL
	}
	kind := err
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		kind = ctx.Err() // net/http returns the cause, which may be any error of the caller
	}
	f := fault{cause: showable(err), raw: &err, reached: true}
	switch {
	case isPlainHTTP(err):
		f.text, f.next = "no TLS spoken", "check the port, and whether the address should begin with http"
		f.reached, f.final = false, true
	case isTLS(err):
		f.text, f.next = "no trusted TLS connection", "check the certificate, a proxy that intercepts TLS, and the clock of this machine"
		f.reached, f.final = false, true
	case isDial(err):
		f.text, f.next = "no connection", "check the address, the DNS and the way through the firewall"
		f.reached = false
	case errors.Is(kind, context.Canceled):
		f.text, f.next = "no answer before the call was cancelled", "run again; what is unknown is sent again"
	case isTimeout(kind):
		f.text, f.next = "no answer in time", "run again later, or allow more time with RetryPolicy.AttemptTimeout"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), isOp(err):
		f.text, f.next = "the connection broke without an answer", "run again later"
	default:
		f.text, f.next = "no answer", "look at Detail, and check the network between here and the endpoint"
	}
	return f
}

// isPlainHTTP reports whether http came where TLS was expected. http.Client names that ErrSchemeMismatch; a Transport does not.
func isPlainHTTP(err error) bool {
	record, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok && record.Conn != nil && string(record.RecordHeader[:]) == "HTTP/" || errors.Is(err, http.ErrSchemeMismatch)
}

func isOp(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}

func isDial(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "dial" || op.Op == "proxyconnect") {
		return true
	}
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

func isTLS(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	// The error names the connection only if it is about the very first record; a later one broke a connection in use.
	if record, ok := errors.AsType[tls.RecordHeaderError](err); ok && record.Conn != nil {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok
}

// harmless lists the errors of the standard library whose fixed texts repeat nothing.
var harmless = [...]error{io.EOF, io.ErrUnexpectedEOF, context.Canceled, http.ErrSchemeMismatch}

// showable returns err if nothing in its chain can carry bytes that the server sent or a URL. Errors of net/http and its
// relatives quote malformed answers, and a malformed answer may repeat a key or an identifier; they are kept from the chain and shown by
// Detail alone, scrubbed. The same holds for texts made by errors.New and fmt.Errorf, whose author cannot be told. A RoundTripper's own
// error types pass: they are the caller's.
func showable(err error) error {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if slices.Contains(harmless[:], e) {
			continue
		}
		t := reflect.TypeOf(e)
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch pkg := t.PkgPath(); {
		case pkg == "errors", pkg == "fmt", strings.HasPrefix(pkg, "net/"), strings.HasPrefix(pkg, "vendor/"):
			return nil
		}
	}
	return err
}
