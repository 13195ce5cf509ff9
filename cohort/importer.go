package cohort

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/internal/text"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
)

// The operations, as errors, logs and observers name them.
const (
	opCheck = "cohort.check"
	opName  = "cohort.name"
	opUsers = "cohort.users"
)

// Importer changes the cohorts of one workspace. It is safe for concurrent use, and costs no goroutine and some three hundred bytes while it is idle, so
// that a process may have thousands. Nothing is remembered between calls but how many requests at once a cohort bears that was locked within the last
// hour. It holds the credentials but shows them under no formatting verb.
type Importer struct {
	client      *transport.Client
	workspace   string
	credentials keys.Credentials
	partnerKey  keys.PartnerKey
	listener    keys.Listener // the source of the import key, if it listens
	path        string
	limiter     transport.Limiter
	inFlight    int
	observers   observers
	buffers     *buffers
	members     sync.Pool // the memory of runs that came to their end
	windows     windows
}

// NewImporter returns an Importer for the workspace whose data import key is in the credentials.
//
// The workspace is the customer's stable name as the caller knows it, never a key: it names the customer in metrics and decides whose turn it is
// in the Client's quota. NewImporter fails, before anything is sent, with an [*InvalidError], or with the errors of
// [keys.Credentials.Validate]: a missing key, or an instance without a partner key. The partner key is asked for once, here; the import key before
// every request.
func NewImporter(client *transport.Client, workspace string, credentials keys.Credentials, opts ...Option) (*Importer, error) {
	if client == nil {
		return nil, &InvalidError{Field: "client", Problem: "is nil", Next: "make one with transport.New"}
	}
	if fault := text.Check(workspace); fault != text.None {
		return nil, &InvalidError{Field: "workspace", Problem: fault.String(), Next: nextFor(fault, "give the customer's stable name")}
	}
	instance := client.Endpoint().Instance()
	if err := credentials.Validate(instance); err != nil {
		return nil, fmt.Errorf("cohort: new importer: %w", err)
	}
	partnerKey, err := credentials.PartnerKey.PartnerKeyFor(instance)
	if err != nil {
		return nil, fmt.Errorf("cohort: new importer: %w", err)
	}
	cfg := config{limiter: client.Quota().Share(workspace), inFlight: defaultInFlight}
	for _, o := range opts {
		if o == nil {
			return nil, &InvalidError{Field: "option", Problem: "is nil", Next: "leave it out"}
		}
		if err := o.apply(&cfg); err != nil {
			return nil, err
		}
	}
	im := &Importer{
		client:      client,
		workspace:   workspace,
		credentials: credentials,
		partnerKey:  partnerKey,
		path:        "/partners/" + url.PathEscape(credentials.Partner) + "/cohorts",
		limiter:     cfg.limiter,
		inFlight:    cfg.inFlight,
		observers:   cfg.observers,
		buffers:     newBuffers(),
	}
	im.members.New = func() any { return newMembers() }
	im.listener, _ = credentials.ImportKey.(keys.Listener)
	return im, nil
}

// String names the workspace, the partner and the endpoint.
func (im *Importer) String() string {
	return fmt.Sprintf("cohort.Importer of workspace %q for partner %q at %s", im.workspace, im.credentials.Partner, im.client.Endpoint())
}

// Format prints String under every verb.
func (im *Importer) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(im.String())) }

// key tells a cohort from all others.
func (im *Importer) key(cohortID string) ledger.Key {
	return ledger.Key{Endpoint: im.client.Endpoint().URL(), Partner: im.credentials.Partner, Workspace: im.workspace, CohortID: cohortID}
}

// SetName gives a cohort its name, or another one. Name a cohort before its first members are sent, and again only when its name changes. It
// fails with an [*InvalidError] before anything is sent, or with the errors of [transport.Client.Do]; a name sent twice is harmless.
func (im *Importer) SetName(ctx context.Context, c Cohort) error {
	if err := c.validate(); err != nil {
		return err
	}
	if _, err := im.name(ctx, c); err != nil {
		return fmt.Errorf("cohort: set name: %w", err)
	}
	return nil
}

// name sends the name of a cohort.
func (im *Importer) name(ctx context.Context, c Cohort) (end, error) {
	return im.post(ctx, message{
		operation: opName, path: im.path, limiter: im.limiter,
		encode: func(dst []byte, s secrets) []byte { return appendName(dst, s, c) },
	})
}

// message is one body on its way, whichever key it will carry.
type message struct {
	operation string
	path      string
	limiter   transport.Limiter
	begin     context.Context   // see [transport.Request]
	earlier   transport.Outcome // what became of the same content in messages that were refused or lost before
	encode    func(dst []byte, s secrets) []byte
}

// end is how a message fared, over all attempts with every key.
type end struct {
	keys     int // that were tried
	attempts int
	outcome  transport.Outcome
	status   int        // of the last answer, 0 without one
	cause    keys.Cause // of a 401
}

// post sends a message with the key that the source has now. If that key is refused and the source has another, the message is sent once more
// with that one.
func (im *Importer) post(ctx context.Context, m message) (end, error) {
	waits := ctx
	if m.begin != nil {
		waits = m.begin // to look for a key is no attempt yet
	}
	key, err := im.importKey(waits)
	if err != nil {
		return end{outcome: m.earlier}, err
	}
	first, err := im.postWith(ctx, m, key)
	other, ok := im.another(waits, key, first)
	if !ok {
		return first, err
	}
	m.earlier = first.outcome
	second, otherErr := im.postWith(ctx, m, other)
	im.another(waits, other, second)
	switch {
	case second.attempts == 0:
		return first, fmt.Errorf("%w; and with the other key of the source: %w", err, otherErr)
	case second.status == http.StatusUnauthorized:
		otherErr = fmt.Errorf("both data import keys of the source are refused, so suspect the partner key or the instance: %w; and before: %w", otherErr, err)
	}
	second.keys += first.keys
	second.attempts += first.attempts
	return second, otherErr
}

// another lets the source of the key hear how the key fared, and returns the key that is worth another try, if there is one.
func (im *Importer) another(ctx context.Context, key keys.ImportKey, e end) (other keys.ImportKey, ok bool) {
	switch {
	case e.outcome == transport.OutcomeAccepted:
		if im.listener != nil {
			im.listener.Accepted(key)
		}
		return keys.ImportKey{}, false
	case e.status != http.StatusUnauthorized:
		return keys.ImportKey{}, false
	case im.listener != nil:
		other, ok = im.listener.Refused(key, e.cause)
		return other, ok && other.Validate() == nil && other != key
	case !e.cause.SuspectsImportKey():
		return keys.ImportKey{}, false
	}
	other, err := im.importKey(ctx)
	return other, err == nil && other != key
}

func (im *Importer) importKey(ctx context.Context) (keys.ImportKey, error) {
	key, err := im.credentials.ImportKey.ImportKey(ctx)
	if err != nil {
		return keys.ImportKey{}, err
	}
	// A source of the caller's own may forget to look.
	if err := key.Validate(); err != nil {
		return keys.ImportKey{}, err
	}
	return key, nil
}

func (im *Importer) postWith(ctx context.Context, m message, key keys.ImportKey) (end, error) {
	buf := im.buffers.take()
	buf.bytes = m.encode(buf.bytes[:0], secrets{im.partnerKey, key})
	answer, err := im.client.Do(ctx, transport.Request{
		Operation: m.operation,
		Path:      m.path,
		Body:      buf.bytes,
		Release:   buf.release,
		Secrets:   []transport.Secret{im.partnerKey, key},
		Limiter:   m.limiter,
		Repeat:    transport.RepeatSafe,
		Begin:     m.begin,
	})
	// Not errors.As, which would look into the cause of a cancelled context too, where the error of another request may be. A failure is no
	// better known than an earlier one with the same content: the outcomes of failures are in the order unsent, refused, unknown.
	switch failure := err.(type) { //nolint:errorlint // see above
	case nil:
		return end{1, answer.Attempts, transport.OutcomeAccepted, answer.Status, 0}, nil
	case *transport.APIError:
		failure.Outcome = max(failure.Outcome, m.earlier)
		return end{1, failure.Attempts, failure.Outcome, failure.Status, failure.Cause}, err
	case *transport.NoAnswerError:
		failure.Outcome = max(failure.Outcome, m.earlier)
		return end{1, failure.Attempts, failure.Outcome, 0, 0}, err
	default:
		return end{outcome: m.earlier}, err
	}
}
