package rest

import (
	"cmp"
	"errors"
	"time"

	"github.com/cohortkit/cohortkit/transport"
)

// The documented default limits, all per workspace. Braze may have granted a workspace others.
const (
	// RequestsPerHour is the limit that all calls share which have none of their own.
	RequestsPerHour = 250_000
	// BroadcastsPerMinute is the limit of sends that name no users, over all audiences.
	BroadcastsPerMinute = 250
	// ExportsPerSecond is the limit of exports of users that ask for neither the campaigns nor the Canvases received.
	ExportsPerSecond = 40
	// ExportsOfReceivedPerMinute is the limit of the other exports of users. For workspaces that began before 2024-08-22 it is 2,500 a minute.
	ExportsOfReceivedPerMinute = 250
)

// Limits are the limiters that calls ask before every attempt, one for each bucket in which Braze counts. Every nil field stands for its default: a
// [transport.Quota] of the documented number, which also listens to the endpoint's 429s and headers. None draws on the quota of cohort calls.
//
// A lower limit for broadcasts is left to the endpoint: 10 a minute for each unique audience, which is the same campaign or Canvas, the same segment,
// and the same Connected Audience. A program that sends the same to the same people so often is in a loop, and pacing would only hide it. The
// endpoint's 429 pauses all broadcasts, since it does not say which limit was reached; for the same reason the default for broadcasts does not look
// at headers.
type Limits struct {
	Shared         transport.Limiter // everything but the following; default [RequestsPerHour]
	Broadcast      transport.Limiter // sends that name no users; default [BroadcastsPerMinute]
	Export         transport.Limiter // exports of users, and look-ups; default [ExportsPerSecond]
	ExportReceived transport.Limiter // exports with [FieldCampaignsReceived] or [FieldCanvasesReceived]; default [ExportsOfReceivedPerMinute]
}

func (l Limits) withDefaults() (Limits, error) {
	shared, err1 := transport.NewQuotaPer(RequestsPerHour, time.Hour)
	broadcast, err2 := transport.NewQuotaPer(BroadcastsPerMinute, time.Minute)
	export, err3 := transport.NewQuotaPer(ExportsPerSecond, time.Second)
	received, err4 := transport.NewQuotaPer(ExportsOfReceivedPerMinute, time.Minute)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return Limits{}, err
	}
	return Limits{
		Shared:         cmp.Or[transport.Limiter](l.Shared, shared.Share("")),
		Broadcast:      cmp.Or[transport.Limiter](l.Broadcast, refusals{broadcast.Share("")}),
		Export:         cmp.Or[transport.Limiter](l.Export, export.Share("")),
		ExportReceived: cmp.Or[transport.Limiter](l.ExportReceived, received.Share("")),
	}, nil
}

// refusals is a Share that hears of 429s alone. Several limits count a broadcast, and the headers may be about the one that is nearly used up for one
// audience: whoever took that for the limit of all would send 10 broadcasts a minute.
type refusals struct{ *transport.Share }

// Feedback passes on everything but the headers.
func (r refusals) Feedback(f transport.Feedback) {
	f.RateLimit = transport.RateLimit{}
	r.Share.Feedback(f)
}
