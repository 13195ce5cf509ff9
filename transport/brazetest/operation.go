package brazetest

import (
	"net/http"
	"net/url"
	"strings"
)

// Operation is what a request is for, by its path.
type Operation uint8

// The operations.
const (
	OtherPath         Operation = iota // a path that the fake does not serve
	NameCohort                         // POST /partners/{partner}/cohorts
	ChangeUsers                        // POST /partners/{partner}/cohorts/users
	ListSegments                       // GET /segments/list
	ShowSegment                        // GET /segments/details
	TriggerCampaign                    // POST /campaigns/trigger/send
	TriggerCanvas                      // POST /canvas/trigger/send
	SendMessages                       // POST /messages/send
	ExportUsers                        // POST /users/export/ids
	TrackUsers                         // POST /users/track
	AddAliases                         // POST /users/alias/new
	RenameAliases                      // POST /users/alias/update
	IdentifyUsers                      // POST /users/identify
	MergeUsers                         // POST /users/merge
	DeleteUsers                        // POST /users/delete
	RenameExternalIDs                  // POST /users/external_ids/rename
	RemoveExternalIDs                  // POST /users/external_ids/remove
)

// endpoint is how the fake serves an operation. What it does not say of the two cohort operations is in exchange.go.
type endpoint struct {
	name   string
	method string
	path   string
	bucket bucket // the rate limit it draws on, unless the call says otherwise
	status int    // of an accepted call

	// prepare reads a call, notes what is wrong with it, and returns what it does once it is let in, which returns what the answer says.
	prepare func(*call) func() any
}

// endpoints is the router, by operation.
var endpoints = [...]endpoint{
	OtherPath:   {name: "other path", bucket: sharedBucket},
	NameCohort:  {name: "name a cohort", method: http.MethodPost, bucket: cohortBucket},
	ChangeUsers: {name: "change users", method: http.MethodPost, bucket: cohortBucket},

	ListSegments:    {"list segments", http.MethodGet, "/segments/list", sharedBucket, http.StatusOK, (*call).listSegments},
	ShowSegment:     {"show a segment", http.MethodGet, "/segments/details", sharedBucket, http.StatusOK, (*call).showSegment},
	TriggerCampaign: {"trigger a campaign", http.MethodPost, "/campaigns/trigger/send", sharedBucket, http.StatusCreated, (*call).triggerCampaign},
	TriggerCanvas:   {"trigger a Canvas", http.MethodPost, "/canvas/trigger/send", sharedBucket, http.StatusCreated, (*call).triggerCanvas},
	SendMessages:    {"send messages", http.MethodPost, "/messages/send", sharedBucket, http.StatusCreated, (*call).sendMessages},

	ExportUsers:       {"export users", http.MethodPost, "/users/export/ids", exportBucket, http.StatusCreated, (*call).exportUsers},
	TrackUsers:        {"track users", http.MethodPost, "/users/track", trackBucket, http.StatusCreated, (*call).trackUsers},
	AddAliases:        {"add aliases", http.MethodPost, "/users/alias/new", identityBucket, http.StatusCreated, (*call).addAliases},
	RenameAliases:     {"rename aliases", http.MethodPost, "/users/alias/update", identityBucket, http.StatusCreated, (*call).renameAliases},
	IdentifyUsers:     {"identify users", http.MethodPost, "/users/identify", identityBucket, http.StatusCreated, (*call).identifyUsers},
	MergeUsers:        {"merge users", http.MethodPost, "/users/merge", identityBucket, http.StatusAccepted, (*call).mergeUsers},
	DeleteUsers:       {"delete users", http.MethodPost, "/users/delete", identityBucket, http.StatusCreated, (*call).deleteUsers},
	RenameExternalIDs: {"rename external IDs", http.MethodPost, "/users/external_ids/rename", renameBucket, http.StatusCreated, (*call).renameExternalIDs},
	RemoveExternalIDs: {"remove external IDs", http.MethodPost, "/users/external_ids/remove", removeBucket, http.StatusCreated, (*call).removeExternalIDs},
}

// isCall reports whether the operation is a REST call, with a REST key of its own in the header.
func (o Operation) isCall() bool { return o >= ListSegments }

// permission is what a REST key needs for the endpoint: its path with dots.
func (e *endpoint) permission() string {
	return strings.ReplaceAll(strings.TrimPrefix(e.path, "/"), "/", ".")
}

// String describes the operation in a few words, such as "name a cohort", "trigger a campaign" or "other path".
func (o Operation) String() string {
	if int(o) >= len(endpoints) {
		return endpoints[OtherPath].name
	}
	return endpoints[o].name
}

// route tells from the path what a request is for, and the partner's slug where the path has one.
func route(u *url.URL) (Operation, string) {
	path := u.EscapedPath()
	parts := strings.Split(path, "/")
	if len(parts) < 4 || parts[0] != "" || parts[1] != "partners" || parts[3] != "cohorts" {
		for op := ListSegments; int(op) < len(endpoints); op++ {
			if endpoints[op].path == path {
				return op, ""
			}
		}
		return OtherPath, ""
	}
	slug, err := url.PathUnescape(parts[2])
	switch {
	case err != nil || slug == "":
		return OtherPath, ""
	case len(parts) == 4:
		return NameCohort, slug
	case len(parts) == 5 && parts[4] == "users":
		return ChangeUsers, slug
	default:
		return OtherPath, ""
	}
}
