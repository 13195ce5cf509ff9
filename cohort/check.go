package cohort

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
)

// Check tells whether the endpoint accepts the credentials. It sends an empty list of changes to [CheckCohortID], which names no cohort and
// changes no member.
//
// It returns nil if the endpoint accepted it, and otherwise a [*CheckError], which says what may be wrong and what to do. A 400 matches
// [ErrInconclusive]: whether an empty list is valid is undocumented, and so is whether keys are looked at before it. Beyond that it matches
// what the error of [transport.Client.Do] matches, or that of the [keys.Source].
//
// A failure that may pass is repeated as the Client's [transport.RetryPolicy] says, which takes a minute or two: who cannot wait so long gives a
// context with a deadline, or a Client with [transport.NoRepeat].
func (im *Importer) Check(ctx context.Context) error {
	e, err := im.post(ctx, im.checkMessage())
	return im.explain(e, err)
}

// CheckKey is Check with this data import key in place of those of the credentials, whose source hears nothing of it. It is the [keys.VerifyFunc]
// of a [keys.Ring].
func (im *Importer) CheckKey(ctx context.Context, key keys.ImportKey) error {
	if err := key.Validate(); err != nil {
		return im.explain(end{}, err)
	}
	e, err := im.postWith(ctx, im.checkMessage(), key)
	return im.explain(e, err)
}

func (im *Importer) checkMessage() message {
	return message{
		operation: opCheck, path: im.path + "/users", limiter: im.limiter,
		encode: func(dst []byte, s secrets) []byte { return appendChanges(dst, s, CheckCohortID, nil) },
	}
}

// CheckError is why [Importer.Check] failed. It wraps the error of the transport or of the source of the key, if its text can be shown.
type CheckError struct {
	// Suspects are what may be to blame, the likeliest first. There is none where the error speaks for itself: for a key that could not be read, and
	// a check that was cancelled.
	Suspects []Suspect
	summary  string
	err      error
	status   int
}

// Error tells what happened, and the suspects with what to do about each. It repeats nothing of what the endpoint wrote.
func (e *CheckError) Error() string {
	var b strings.Builder
	if e.inconclusive() {
		b.WriteString(ErrInconclusive.Error() + ": this endpoint refuses an empty list of changes, so the keys may be good; a real export will tell")
	} else {
		b.WriteString("cohort: check")
	}
	b.WriteString(": " + e.summary)
	for i, s := range e.Suspects {
		mark := "; "
		if len(e.Suspects) > 1 {
			mark = fmt.Sprintf("; (%d) ", i+1)
		}
		b.WriteString(mark + s.String())
	}
	return b.String()
}

// Is matches [ErrInconclusive] for a 400.
func (e *CheckError) Is(target error) bool { return target == ErrInconclusive && e.inconclusive() }

// Unwrap returns the error of the transport, or of the source of the key.
func (e *CheckError) Unwrap() error { return e.err }

// Format prints Error under every verb, also for a copy of the error.
func (e CheckError) Format(f fmt.State, verb rune) {
	if text := e.Error(); verb == 'q' || verb == 'v' && f.Flag('#') {
		_, _ = io.WriteString(f, strconv.Quote(text))
	} else {
		_, _ = io.WriteString(f, text)
	}
}

func (e *CheckError) inconclusive() bool { return e.status == http.StatusBadRequest }

// explain makes a CheckError of how a check ended.
func (im *Importer) explain(e end, err error) error {
	if err == nil {
		return nil
	}
	failed := &CheckError{summary: err.Error(), err: err, status: e.status}
	// Whichever comes first in the chain: the cause of a cancelled context may be the failure of another call.
	first, ok := errors.AsType[interface {
		error
		Summary() string
	}](err)
	if !ok {
		return failed
	}
	failed.summary = first.Summary()
	switch first := first.(type) {
	case *transport.APIError:
		failed.Suspects = suspectsOfAnswer(im.client.Endpoint(), first, e.keys)
		if e.keys > 1 && first.Class == transport.ClassUnauthorized {
			failed.summary += ", with either data import key of the source"
		}
	case *transport.NoAnswerError:
		failed.Suspects = suspectsOfSilence(im.client.Endpoint(), first)
	}
	return failed
}
