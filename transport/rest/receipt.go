package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/cohortkit/cohortkit/transport"
)

// Receipt is what Braze says to a send that it accepted. Accepted is not delivered, nor is it matched: users who do not exist, whom the dashboard's
// target audience does not let in, or who have unsubscribed get nothing, and no answer says how many.
//
// A Receipt prints and logs what is safe to log. Notice and MinorErrors are texts of the server's, which may repeat identifiers; encoding the Receipt
// as JSON shows them. No field holds the key.
type Receipt struct {
	// DispatchID names the send in Braze's message logs. It is empty only where one of the next three fields is set.
	DispatchID string
	// SendID is the send ID that the send was counted under, where the endpoint repeats it.
	SendID string
	// Notice is set when nothing is sent although the call succeeded: the Canvas is archived or paused.
	Notice string
	// Queued is true when the endpoint only put the call into a queue, as it did during maintenance.
	Queued bool
	// MinorErrors tells which parts of the send were left out, one text each. The other parts are on their way, which is why this is no error: a program
	// that sends again upon an error would reach everybody else twice.
	MinorErrors []string
	// Attempts counts the tries, the successful one included.
	Attempts int
}

// String tells what became of the send, without the texts of the server's.
func (r Receipt) String() string {
	var parts []string
	if r.DispatchID != "" {
		parts = append(parts, "dispatch "+r.DispatchID)
	}
	if r.SendID != "" {
		parts = append(parts, "send "+r.SendID)
	}
	if r.Queued {
		parts = append(parts, "queued")
	}
	if r.Notice != "" {
		parts = append(parts, "nothing sent, see Notice")
	}
	if n := len(r.MinorErrors); n == 1 {
		parts = append(parts, "1 minor error")
	} else if n > 1 {
		parts = append(parts, fmt.Sprintf("%d minor errors", n))
	}
	if len(parts) == 0 {
		return "no receipt"
	}
	return strings.Join(parts, ", ")
}

// Format prints String under every verb.
func (r Receipt) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue shows String.
func (r Receipt) LogValue() slog.Value { return slog.StringValue(r.String()) }

type sendAnswer struct {
	Message    string `json:"message"`
	DispatchID string `json:"dispatch_id"`
	SendID     string `json:"send_id"`
	Notice     string `json:"notice"`

	Errors json.RawMessage `json:"errors"`
}

// minorErrors lists the errors: texts, or JSON where an error is something else.
func (a *sendAnswer) minorErrors() []string {
	var entries []json.RawMessage
	if json.Unmarshal(a.Errors, &entries) != nil {
		entries = []json.RawMessage{a.Errors} // not in a list
	}
	all := make([]string, len(entries))
	for i, entry := range entries {
		if json.Unmarshal(entry, &all[i]) != nil {
			all[i] = string(entry)
		}
	}
	return all
}

func (a *sendAnswer) queued() bool { return a.Message == "queued" }

func (a *sendAnswer) check() error {
	switch {
	case a.queued():
		return nil
	case a.Message != "success":
		return &AnswerError{Field: "message", Problem: "is not success"}
	case a.DispatchID == "" && a.SendID == "" && a.Notice == "":
		return &AnswerError{Field: "dispatch_id", Problem: "is missing"}
	default:
		return nil
	}
}

// sendBody is the body of a send on the wire.
type sendBody interface {
	// isBroadcast reports whether the endpoint counts the send as a broadcast.
	isBroadcast() bool
}

// send performs a send. Only what surely did not happen is repeated.
func (c *Client) send(ctx context.Context, req transport.Request, body sendBody) (Receipt, error) {
	var err error
	if req.Body, err = encode(body); err != nil {
		return Receipt{}, err
	}
	req.Bearer, req.Repeat, req.Limiter = c.key, transport.RepeatUnsent, c.limits.Shared
	if body.isBroadcast() {
		req.Limiter = c.limits.Broadcast
	}
	var got sendAnswer
	req.Accept = func(a transport.Answer) error { return decode(a.Body, &got) }
	ans, err := c.transport.Do(ctx, req)
	if err != nil {
		return Receipt{}, err
	}
	receipt := Receipt{
		DispatchID: req.Scrub(got.DispatchID), SendID: req.Scrub(got.SendID), Notice: req.Scrub(got.Notice), Queued: got.queued(), Attempts: ans.Attempts,
	}
	if ans.ListsErrors {
		for _, entry := range got.minorErrors() {
			receipt.MinorErrors = append(receipt.MinorErrors, req.Scrub(entry))
		}
	}
	return receipt, nil
}
