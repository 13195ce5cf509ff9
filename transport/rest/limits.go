package rest

import (
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
// and the same Connected Audience. A program that sends the same to the same people so often is in a loop, and pacing would only hide it. The endpoint's
// 429 pauses the sends, as any other does.
type Limits struct {
	Shared         transport.Limiter // everything but the following; default [RequestsPerHour]
	Broadcast      transport.Limiter // sends that name no users; default [BroadcastsPerMinute]
	Export         transport.Limiter // exports of users, and look-ups; default [ExportsPerSecond]
	ExportReceived transport.Limiter // exports with [CampaignsReceived] or [CanvasesReceived]; default [ExportsOfReceivedPerMinute]
}

func (l Limits) withDefaults() (Limits, error) {
	for _, d := range []struct {
		limiter  *transport.Limiter
		requests int
		per      time.Duration
	}{
		{&l.Shared, RequestsPerHour, time.Hour},
		{&l.Broadcast, BroadcastsPerMinute, time.Minute},
		{&l.Export, ExportsPerSecond, time.Second},
		{&l.ExportReceived, ExportsOfReceivedPerMinute, time.Minute},
	} {
		if *d.limiter != nil {
			continue
		}
		quota, err := transport.NewQuotaPer(d.requests, d.per)
		if err != nil {
			return Limits{}, err
		}
		*d.limiter = quota.Share("")
	}
	return l, nil
}
