// Package transport talks to a Braze-style endpoint: it knows where an endpoint is, how fast it may be called, what may
// be repeated after a failure, and what each answer means. It knows nothing of cohorts.
//
// # Endpoints
//
// [ParseEndpoint] takes what customers hand over: an instance name ("EU-01"), the REST endpoint of the partner page, a
// dashboard address, or a bare host. Braze's own hosts are checked against the table of instances, so that an SDK host or
// a typing error is refused with the right address in the error. Any other https host is taken as it is.
//
// # One call
//
// A [Client] belongs to one endpoint. [Client.Do] performs one [Request] with as many attempts as its [RetryPolicy]
// allows and returns an [Answer], or an error that says what became of the request:
//
//   - [OutcomeAccepted]: a 2xx with a JSON object that lists no errors, or a 204. Which 2xx the cohort endpoints answer with is undocumented, so
//     every one will do. Accepted is not matched: Braze skips unknown users in silence. Calls whose answers promise more judge it themselves,
//     by [Request].Accept.
//   - [OutcomeRefused]: every attempt was answered, and surely nothing was applied.
//   - [OutcomeUnknown]: some attempt may have been applied: its answer was lost, was a 5xx, or could not be read.
//     errors.Is(err, [ErrOutcomeUnknown]) holds.
//   - [OutcomeUnsent]: no attempt reached the endpoint.
//
// Errors that came with an answer are an [*APIError], others a [*NoAnswerError]. Neither holds the request, the response,
// a key or an identifier, under any formatting verb. What the server wrote is available through Detail alone, with the
// secrets of the request removed.
//
// # What is repeated
//
// The [Repeat] class of a request decides. Cohort calls and reads ([RepeatSafe]) are repeated after connection faults, 408,
// 423, 429 and every 5xx but 501. Everything else ([RepeatUnsent], the zero value) is repeated only where nothing can have
// happened: after a 429, or when no connection came about. A server's Retry-After is obeyed up to
// [RetryPolicy].MaxServerDelay; beyond it the call ends and the error carries the wait. Redirects are refused: following one would
// carry keys and personal data to a host nobody named.
//
// # Pace
//
// Every attempt asks the request's [Limiter] first. [Quota] is the limiter for cohort calls: 250,000 requests an hour, paced
// so that no clock hour and no sliding hour ever sees more, and fair between workspaces through [Quota.Share]. Clients that the endpoint counts
// together get one Quota by [WithQuota]; machines that it counts together take a part each, see [NewQuota].
//
// # Plugging in
//
// The plug is an *http.Client by its Transport: proxies, mutual TLS, tracing and the in-memory fake of package brazetest
// all go through [WithHTTPClient]; [NewPool] makes one to share or to change. Nothing is read from the environment; a proxy is used only if that
// Transport has one. The package is silent unless given a logger ([WithLogger]) or an observer ([WithObserver]).
package transport
