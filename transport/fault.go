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
	"strings"
)

// fault is what kept an attempt from being answered.
type fault struct {
	text  string // our own words
	next  string // the next step
	cause error  // the underlying error, if its text can be shown
	raw   error  // the underlying error, for errors.Is and Detail alone
	// reached is false when surely no byte of the request arrived: no connection came about.
	reached bool
	// final is true when repeating cannot help.
	final bool
}

// errAnswerTooLong ends the reading of an answer that does not end by itself.
var errAnswerTooLong = errors.New("transport: the answer is longer than any answer of the endpoint")

// faultOf explains the error of a RoundTripper. What it cannot place counts as reached: better a repeat too many than a change lost.
func faultOf(err error) fault {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // its text repeats the URL
	}
	f := fault{cause: showable(err), raw: err, reached: true}
	switch {
	case isTLS(err):
		f.text, f.next = "no trusted TLS connection", "check the certificate, a proxy that intercepts TLS, and the clock of this machine"
		f.reached, f.final = false, true
	case errors.Is(err, http.ErrSchemeMismatch):
		f.text, f.next = "no TLS spoken", "check the port, and whether the address should begin with http"
		f.reached, f.final = false, true
	case isDial(err):
		f.text, f.next = "no connection", "check the address, the DNS and the way through the firewall"
		f.reached = false
	case errors.Is(err, errAnswerTooLong):
		f.text, f.next = "an endless answer", "check what answers at this address"
	case errors.Is(err, context.Canceled):
		f.text, f.next = "no answer before the call was cancelled", "run again; what is unknown is sent again"
	case isTimeout(err):
		f.text, f.next = "no answer in time", "run again later, or allow more time with RetryPolicy.AttemptTimeout"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), isOp(err):
		f.text, f.next = "the connection broke without an answer", "run again later"
	default:
		f.text, f.next = "no answer", "look at Detail, and check the network between here and the endpoint"
	}
	return f
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
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
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

// showable returns err if nothing in its chain can carry bytes that the server sent or a URL. Errors of net/http and its
// relatives quote malformed answers, and a malformed answer may repeat a key or an identifier; they are kept from the chain and shown by
// Detail alone, scrubbed. The same holds for texts made by errors.New and fmt.Errorf, whose author cannot be told. A RoundTripper's own
// error types pass: they are the caller's.
func showable(err error) error {
	for e := err; e != nil; e = errors.Unwrap(e) {
		switch e {
		case io.EOF, io.ErrUnexpectedEOF, context.Canceled, http.ErrSchemeMismatch:
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
