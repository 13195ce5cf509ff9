package brazetest_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/segment"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// scene is a world in which all REST calls have something to work on.
type scene struct {
	world
	rest  keys.RESTKey
	words []string // for fill
}

func newScene(tb testing.TB, opts ...brazetest.Option) scene {
	tb.Helper()
	w := newWorld(tb, opts...)
	ids := w.add(tb,
		brazetest.Profile{ExternalID: "u-17", DeprecatedExternalIDs: []string{"u-1"}, Aliases: []brazetest.Alias{{Label: "crm", Name: "c-17"}}, Email: "both@example.com"},
		brazetest.Profile{ExternalID: "u-18", Email: "both@example.com", Phone: "+3318"},
		brazetest.Profile{DeviceIDs: []string{"d-1"}},
		brazetest.Profile{Aliases: []brazetest.Alias{{Label: "crm", Name: "c-90"}}, Email: "alone@example.com"},
	)
	w.name(tb, "Spring sale")
	w.users(tb, `[{"user_ids":["u-17"],"device_ids":["d-1"]}]`)
	spring := w.workspace.AddSegment("Spring", springSegment(tb), brazetest.Described("who gets the sale"), brazetest.Tagged("sales"))
	return scene{world: w, rest: w.workspace.GenerateRESTKey(), words: []string{
		"SEGMENT", spring,
		"CAMPAIGN", w.workspace.AddCampaign("Spring mail", brazetest.TargetSegment(spring)),
		"SCHEDULED", w.workspace.AddCampaign("Weekly mail", brazetest.Scheduled()),
		"STOPPED", w.workspace.AddCampaign("Old mail", brazetest.Archived()),
		"CANVAS", w.workspace.AddCanvas("Welcome"),
		"PAUSED", w.workspace.AddCanvas("Pause", brazetest.Paused()),
		"ARCHIVED", w.workspace.AddCanvas("Attic", brazetest.Archived()),
		"BRAZEID", ids[0],
		"FIFTYONE", idList(51),
		"ALIASES51", aliasList(51),
	}}
}

func (s scene) send(tb testing.TB, path, body string) reply {
	tb.Helper()
	return s.call(tb, s.rest, fill(path, s.words...), fill(body, s.words...))
}

func objects(n int, object string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(object+",", n), ",") + "]"
}

// TestCalls is the contract of the REST calls: every request it allows and every error it lists. A body is a POST, none is a GET.
func TestCalls(t *testing.T) {
	t.Parallel()
	const (
		campaign, canvas, messages = "/campaigns/trigger/send", "/canvas/trigger/send", "/messages/send"
		export, track              = "/users/export/ids", "/users/track"
		gold                       = `{"custom_attribute":{"custom_attribute_name":"tier","comparison":"equals","value":"gold"}}`
		email                      = `"messages":{"email":{"subject":"Sale"}}`
	)
	to := func(recipient string) string { return `{"campaign_id":"CAMPAIGN","recipients":[` + recipient + `]}` }
	tests := []struct {
		name   string
		opts   []brazetest.Option
		path   string
		body   string
		status int
		token  string // in the body
	}{
		{name: "segments", path: "/segments/list", status: 200, token: `"name":"Spring"`},
		{name: "first page, oldest first", path: "/segments/list?page=0&sort_direction=asc", status: 200, token: `"tags":["sales"]`},
		{name: "page after the last", path: "/segments/list?page=1&sort_direction=desc", status: 200, token: `"segments":[]`},
		{name: "page is huge", path: "/segments/list?page=9223372036854775807", status: 200, token: `"segments":[]`},
		{name: "page is negative", path: "/segments/list?page=-1", status: 400, token: "page"},
		{name: "page is null", path: "/segments/list?page=null", status: 400, token: "page"},
		{name: "page is a fraction", path: "/segments/list?page=1.5", status: 400, token: "page"},
		{name: "page is no number", path: "/segments/list?page=two", status: 400, token: "page"},
		{name: "direction is unknown", path: "/segments/list?sort_direction=up", status: 400, token: "sort_direction"},
		{name: "query is broken", path: "/segments/list?page=%zz", status: 400, token: "query"},
		{name: "segment", path: "/segments/details?segment_id=SEGMENT", status: 200, token: `"text_description":"who gets the sale"`},
		{name: "its filters", path: "/segments/details?segment_id=SEGMENT", status: 200, token: `Tinyclues Cohorts`},
		{name: "segment is unknown", path: "/segments/details?segment_id=spring", status: 400, token: "segment_id"},
		{name: "segment is missing", path: "/segments/details", status: 400, token: "segment_id"},

		{name: "campaign to its target", path: campaign, body: `{"campaign_id":"CAMPAIGN","broadcast":true}`, status: 201, token: "dispatch_id"},
		{name: "campaign to an audience", path: campaign, body: `{"campaign_id":"CAMPAIGN","broadcast":true,"audience":` + gold + `}`, status: 201},
		{name: "campaign to recipients", path: campaign, body: to(`{"external_user_id":"u-17"},{"user_alias":{"alias_label":"crm","alias_name":"c-90"}},{"braze_id":"BRAZEID"}`), status: 201},
		{name: "campaign, tracked", path: campaign, body: `{"campaign_id":"CAMPAIGN","broadcast":true,"send_id":"spring-1"}`, status: 201, token: `"send_id":"spring-1"`},
		{name: "send_id of 64 characters", path: campaign, body: `{"campaign_id":"CAMPAIGN","broadcast":true,"send_id":"` + strings.Repeat("s", 64) + `"}`, status: 201},
		{name: "send_id is long", path: campaign, body: `{"campaign_id":"CAMPAIGN","broadcast":true,"send_id":"` + strings.Repeat("s", 65) + `"}`, status: 400, token: "send_id"},
		{name: "send_id is not ASCII", path: campaign, body: `{"campaign_id":"CAMPAIGN","broadcast":true,"send_id":"frühling"}`, status: 400, token: "send_id"},
		{name: "campaign is missing", path: campaign, body: `{"broadcast":true}`, status: 400, token: "campaign_id"},
		{name: "campaign is unknown", path: campaign, body: `{"campaign_id":"spring","broadcast":true}`, status: 400, token: `"message":"Invalid Campaign ID"`},
		{name: "campaign is a Canvas", path: campaign, body: `{"campaign_id":"CANVAS","broadcast":true}`, status: 400, token: "Invalid Campaign ID"},
		{name: "campaign is not triggered by API", path: campaign, body: `{"campaign_id":"SCHEDULED","broadcast":true}`, status: 400, token: "Invalid Campaign ID"},
		{name: "campaign is archived", path: campaign, body: `{"campaign_id":"STOPPED","broadcast":true}`, status: 201},
		{name: "no recipients and no broadcast", path: campaign, body: `{"campaign_id":"CAMPAIGN"}`, status: 400, token: `"message":"No Recipients"`},
		{name: "recipients are empty", path: campaign, body: `{"campaign_id":"CAMPAIGN","recipients":[]}`, status: 400, token: "No Recipients"},
		{name: "audience and no broadcast", path: campaign, body: `{"campaign_id":"CAMPAIGN","audience":` + gold + `}`, status: 400, token: "No Recipients"},
		{name: "recipients in an audience", path: campaign, body: `{"campaign_id":"CAMPAIGN","audience":` + gold + `,"recipients":[{"external_user_id":"u-17"}]}`, status: 201},
		{name: "broadcast with recipients", path: campaign, body: `{"campaign_id":"CAMPAIGN","broadcast":true,"recipients":[{"external_user_id":"u-17"}]}`, status: 400, token: "broadcast"},
		{name: "broadcast with attachments", path: campaign, body: `{"campaign_id":"CAMPAIGN","broadcast":true,"attachments":[]}`, status: 400, token: "attachments"},
		{name: "broadcast is a string", path: campaign, body: `{"campaign_id":"CAMPAIGN","broadcast":"true"}`, status: 400, token: "broadcast"},
		{name: "50 recipients", path: campaign, body: `{"campaign_id":"CAMPAIGN","recipients":` + objects(50, `{"external_user_id":"u-17"}`) + `}`, status: 201},
		{name: "51 recipients", path: campaign, body: `{"campaign_id":"CAMPAIGN","recipients":` + objects(51, `{"external_user_id":"u-17"}`) + `}`, status: 400, token: "max number of ids"},
		{name: "recipients are strings", path: campaign, body: `{"campaign_id":"CAMPAIGN","recipients":["u-17"]}`, status: 400, token: "recipients"},
		{name: "a recipient is null", path: campaign, body: to(`null`), status: 400, token: "recipients"},
		{name: "recipient without identifier", path: campaign, body: to(`{"trigger_properties":{}}`), status: 400, token: "recipients[0]"},
		{name: "recipient with two", path: campaign, body: to(`{"external_user_id":"u-17","user_alias":{"alias_label":"crm","alias_name":"c-17"}}`), status: 400, token: "exactly one"},
		{name: "recipient with empty external ID", path: campaign, body: to(`{"external_user_id":""}`), status: 400, token: "external_user_id"},
		{name: "recipient by half an alias", path: campaign, body: to(`{"user_alias":{"alias_name":"c-17"}}`), status: 400, token: "user_alias.alias_label"},
		{name: "recipient by e-mail", path: campaign, body: to(`{"email":"both@example.com","prioritization":["identified","most_recently_updated"]}`), status: 201},
		{name: "recipient by e-mail without prioritization", path: campaign, body: to(`{"email":"both@example.com"}`), status: 400, token: "prioritization"},
		{name: "prioritization is unknown", path: campaign, body: to(`{"email":"both@example.com","prioritization":["newest"]}`), status: 400, token: "prioritization"},
		{name: "prioritization contradicts itself", path: campaign, body: to(`{"email":"both@example.com","prioritization":["identified","unidentified"]}`), status: 400, token: "prioritization"},
		{name: "recipient to be made", path: campaign, body: to(`{"external_user_id":"u-19","send_to_existing_only":false,"attributes":{"tier":"gold"}}`), status: 201},
		{name: "recipient to be made without attributes", path: campaign, body: to(`{"external_user_id":"u-19","send_to_existing_only":false}`), status: 400, token: "attributes"},
		{name: "alias to be made", path: campaign, body: to(`{"user_alias":{"alias_label":"crm","alias_name":"c-1"},"send_to_existing_only":false,"attributes":{}}`), status: 400, token: "send_to_existing_only"},
		{name: "properties are a string", path: campaign, body: `{"campaign_id":"CAMPAIGN","broadcast":true,"trigger_properties":"x"}`, status: 400, token: "trigger_properties"},
		{name: "audience has a cohort", path: campaign, body: `{"campaign_id":"CAMPAIGN","broadcast":true,"audience":{"cohort":{"name":"Spring sale"}}}`, status: 400, token: "audience"},
		{name: "audience is a list", path: campaign, body: `{"campaign_id":"CAMPAIGN","broadcast":true,"audience":[` + gold + `]}`, status: 400, token: "audience"},
		{name: "audience cannot be evaluated", path: campaign, body: `{"campaign_id":"CAMPAIGN","broadcast":true,"audience":{"custom_attribute":{"custom_attribute_name":"tier","comparison":"matches_regex","value":"(?<!x)gold"}}}`, status: 400, token: "audience"},
		{name: "segment_id of a campaign is ignored", path: campaign, body: `{"campaign_id":"CAMPAIGN","broadcast":true,"segment_id":"x"}`, status: 201},

		{name: "Canvas", path: canvas, body: `{"canvas_id":"CANVAS","broadcast":true,"context":{"a":1}}`, status: 201, token: "dispatch_id"},
		{name: "Canvas with the older name of context", path: canvas, body: `{"canvas_id":"CANVAS","broadcast":true,"canvas_entry_properties":{"a":1}}`, status: 201},
		{name: "Canvas is paused", path: canvas, body: `{"canvas_id":"PAUSED","broadcast":true}`, status: 201, token: `"notice":"The Canvas is paused`},
		{name: "Canvas is archived", path: canvas, body: `{"canvas_id":"ARCHIVED","recipients":[{"external_user_id":"u-17"}]}`, status: 201, token: `"notice":"The Canvas is archived`},
		{name: "Canvas is unknown", path: canvas, body: `{"canvas_id":"CAMPAIGN","broadcast":true}`, status: 400, token: "Invalid Campaign ID"},
		{name: "Canvas is missing", path: canvas, body: `{"campaign_id":"CAMPAIGN","broadcast":true}`, status: 400, token: "canvas_id"},
		{name: "context of 50 KB", path: canvas, body: `{"canvas_id":"CANVAS","broadcast":true,"context":{"a":"` + strings.Repeat("a", 49_992) + `"}}`, status: 201},
		{name: "context is larger", path: canvas, body: `{"canvas_id":"CANVAS","broadcast":true,"context":{"a":"` + strings.Repeat("a", 49_993) + `"}}`, status: 400, token: "50 KB"},

		{name: "messages to a segment", path: messages, body: `{"broadcast":true,"segment_id":"SEGMENT",` + email + `}`, status: 201, token: "dispatch_id"},
		{name: "messages to users", path: messages, body: `{"external_user_ids":["u-17"],"user_aliases":[{"alias_name":"c-90","alias_label":"crm"}],` + email + `}`, status: 201},
		{name: "messages to users in a segment", path: messages, body: `{"external_user_ids":["u-17","u-18"],"segment_id":"SEGMENT",` + email + `}`, status: 201},
		{name: "messages to whoever it is", path: messages, body: `{"external_user_ids":["u-17"],"recipient_subscription_state":"all",` + email + `}`, status: 201},
		{name: "messages of a campaign", path: messages, body: `{"external_user_ids":["u-17"],"campaign_id":"CAMPAIGN",` + email + `}`, status: 201},
		{name: "messages of an unknown campaign", path: messages, body: `{"external_user_ids":["u-17"],"campaign_id":"x",` + email + `}`, status: 400, token: "Invalid Campaign ID"},
		{name: "messages to nobody", path: messages, body: `{` + email + `}`, status: 400, token: "No Recipients"},
		{name: "messages to a segment, no broadcast", path: messages, body: `{"segment_id":"SEGMENT",` + email + `}`, status: 400, token: "No Recipients"},
		{name: "messages to an unknown segment", path: messages, body: `{"broadcast":true,"segment_id":"spring",` + email + `}`, status: 400, token: "segment_id"},
		{name: "no messages", path: messages, body: `{"external_user_ids":["u-17"]}`, status: 400, token: `"message":"No message to send"`},
		{name: "messages are empty", path: messages, body: `{"external_user_ids":["u-17"],"messages":{}}`, status: 400, token: "No message to send"},
		{name: "subscription state is unknown", path: messages, body: `{"external_user_ids":["u-17"],"recipient_subscription_state":"some",` + email + `}`, status: 400, token: "recipient_subscription_state"},
		{name: "messages to 51", path: messages, body: `{"external_user_ids":FIFTYONE,` + email + `}`, status: 400, token: "max number of external_ids and aliases"},
		{name: "broadcast to users", path: messages, body: `{"broadcast":true,"external_user_ids":["u-17"],` + email + `}`, status: 400, token: "broadcast"},

		{name: "export", path: export, body: `{"external_ids":["u-17","u-0"],"user_aliases":[{"alias_label":"crm","alias_name":"c-90"},{"alias_label":"crm","alias_name":"c-0"}],"fields_to_export":["external_id"]}`, status: 201, token: `"users":[{"external_id":"u-17"},{}],"invalid_user_ids":["u-0","crm:c-0"]`},
		{name: "export by a deprecated ID", path: export, body: `{"external_ids":["u-1"],"fields_to_export":["external_id","user_aliases"]}`, status: 201, token: `[{"external_id":"u-17","user_aliases":[{"alias_name":"c-17","alias_label":"crm"}]}]`},
		{name: "export by device", path: export, body: `{"device_id":"d-1","fields_to_export":["devices"]}`, status: 201, token: `[{"devices":[{"device_id":"d-1"}]}]`},
		{name: "export by Braze ID", path: export, body: `{"braze_id":"BRAZEID","fields_to_export":["braze_id"]}`, status: 201, token: `[{"braze_id":"BRAZEID"}]`},
		{name: "export by an unknown Braze ID", path: export, body: `{"braze_id":"x","fields_to_export":["braze_id"]}`, status: 201, token: `"users":[],"invalid_user_ids":["x"]`},
		{name: "export by e-mail", path: export, body: `{"email_address":"both@example.com","fields_to_export":["external_id"]}`, status: 201, token: `[{"external_id":"u-17"},{"external_id":"u-18"}]`},
		{name: "export by phone", path: export, body: `{"phone":"+3318","fields_to_export":["phone"]}`, status: 201, token: `[{"phone":"+3318"}]`},
		{name: "export of one user twice", path: export, body: `{"external_ids":["u-17","u-1"],"fields_to_export":["external_id"]}`, status: 201, token: `"users":[{"external_id":"u-17"}]`},
		{name: "export by device and e-mail", path: export, body: `{"device_id":"d-1","email_address":"a","fields_to_export":["devices"]}`, status: 400, token: "only one"},
		{name: "export of nobody", path: export, body: `{"fields_to_export":["devices"]}`, status: 400, token: "external_ids"},
		{name: "export without fields", path: export, body: `{"external_ids":["u-17"]}`, status: 400, token: "fields_to_export"},
		{name: "export without fields, as of old", opts: []brazetest.Option{brazetest.EarlyOnboarding()}, path: export, body: `{"external_ids":["u-17"]}`, status: 201, token: `"braze_id":"BRAZEID"`},
		{name: "export of 51", path: export, body: `{"external_ids":FIFTYONE,"fields_to_export":["external_id"]}`, status: 400, token: "max number of external_ids and aliases"},
		{name: "export by an empty ID", path: export, body: `{"external_ids":[""],"fields_to_export":["external_id"]}`, status: 201, token: `"invalid_user_ids":[""]`},
		{name: "export by a number", path: export, body: `{"external_ids":[17],"fields_to_export":["external_id"]}`, status: 400, token: "external_ids"},
		{name: "export by null", path: export, body: `{"external_ids":[null],"fields_to_export":["external_id"]}`, status: 400, token: "external_ids"},

		{name: "alias", path: "/users/alias/new", body: `{"user_aliases":[{"external_id":"u-18","alias_label":"crm","alias_name":"c-18"}]}`, status: 201, token: `{"aliases_processed":1,"message":"success"}`},
		{name: "alias in use", path: "/users/alias/new", body: `{"user_aliases":[{"external_id":"u-18","alias_label":"crm","alias_name":"c-17"}]}`, status: 201, token: `"aliases_processed":1`},
		{name: "aliases are missing", path: "/users/alias/new", body: `{}`, status: 400, token: "'user_aliases' must be an array of objects"},
		{name: "aliases are empty", path: "/users/alias/new", body: `{"user_aliases":[]}`, status: 400, token: "user_aliases"},
		{name: "alias without name", path: "/users/alias/new", body: `{"user_aliases":[{"alias_label":"crm"}]}`, status: 400, token: "alias_name"},
		{name: "alias with empty label", path: "/users/alias/new", body: `{"user_aliases":[{"alias_label":"","alias_name":"c-1"}]}`, status: 400, token: "alias_label"},
		{name: "51 aliases", path: "/users/alias/new", body: `{"user_aliases":ALIASES51}`, status: 400, token: "max number"},
		{name: "alias renamed", path: "/users/alias/update", body: `{"alias_updates":[{"alias_label":"crm","old_alias_name":"c-17","new_alias_name":"c-170"}]}`, status: 201, token: "success"},
		{name: "unknown alias renamed", path: "/users/alias/update", body: `{"alias_updates":[{"alias_label":"crm","old_alias_name":"c-1","new_alias_name":"c-170"}]}`, status: 201, token: "success"},
		{name: "alias renamed to nothing", path: "/users/alias/update", body: `{"alias_updates":[{"alias_label":"crm","old_alias_name":"c-17"}]}`, status: 400, token: "new_alias_name"},
		{name: "identify", path: "/users/identify", body: `{"aliases_to_identify":[{"external_id":"u-90","user_alias":{"alias_label":"crm","alias_name":"c-90"}}]}`, status: 201, token: `"aliases_processed":1`},
		{name: "identify by e-mail", path: "/users/identify", body: `{"emails_to_identify":[{"external_id":"u-90","email":"alone@example.com","prioritization":["unidentified"]}]}`, status: 201, token: "success"},
		{name: "identify by phone without prioritization", path: "/users/identify", body: `{"phone_numbers_to_identify":[{"external_id":"u-90","phone":"+3318"}]}`, status: 400, token: "prioritization"},
		{name: "identify nobody", path: "/users/identify", body: `{}`, status: 400, token: "aliases_to_identify"},
		{name: "identify an empty batch", path: "/users/identify", body: `{"aliases_to_identify":[],"emails_to_identify":[]}`, status: 400, token: "must not be empty"},
		{name: "identify as nobody", path: "/users/identify", body: `{"aliases_to_identify":[{"user_alias":{"alias_label":"crm","alias_name":"c-90"}}]}`, status: 400, token: "external_id"},
		{name: "identify with the old merge_behavior", path: "/users/identify", body: `{"aliases_to_identify":[{"external_id":"u-90","user_alias":{"alias_label":"crm","alias_name":"c-90"}}],"merge_behavior":"none"}`, status: 201, token: "success"},
		{name: "identify 51", path: "/users/identify", body: `{"aliases_to_identify":` + objects(51, `{"external_id":"u-90","user_alias":{"alias_label":"crm","alias_name":"c-90"}}`) + `}`, status: 400, token: "max number"},
		{name: "merge", path: "/users/merge", body: `{"merge_updates":[{"identifier_to_merge":{"user_alias":{"alias_label":"crm","alias_name":"c-90"}},"identifier_to_keep":{"external_id":"u-17"}}]}`, status: 202, token: `{"message":"success"}`},
		{name: "merge nobody", path: "/users/merge", body: `{"merge_updates":[{"identifier_to_merge":{"external_id":"u-0"},"identifier_to_keep":{"external_id":"u-17"}}]}`, status: 202, token: `{"message":"success"}`},
		{name: "merge is an object", path: "/users/merge", body: `{"merge_updates":{}}`, status: 400, token: "'merge_updates' must be an array of objects"},
		{name: "merge with a third key", path: "/users/merge", body: `{"merge_updates":[{"identifier_to_merge":{"external_id":"u-17"},"identifier_to_keep":{"external_id":"u-18"},"why":"x"}]}`, status: 400, token: "merge_updates[0]"},
		{name: "merge by a number", path: "/users/merge", body: `{"merge_updates":[{"identifier_to_merge":{"external_id":17},"identifier_to_keep":{"external_id":"u-18"}}]}`, status: 400, token: "external_id"},
		{name: "merge 51", path: "/users/merge", body: `{"merge_updates":` + objects(51, `{"identifier_to_merge":{"external_id":"u-17"},"identifier_to_keep":{"external_id":"u-18"}}`) + `}`, status: 400, token: "max number"},
		{name: "delete", path: "/users/delete", body: `{"external_ids":["u-17","u-0"]}`, status: 201, token: `"deleted":1`},
		{name: "delete by alias", path: "/users/delete", body: `{"user_aliases":[{"alias_label":"crm","alias_name":"c-90"}]}`, status: 201, token: `"deleted":1`},
		{name: "delete by Braze ID", path: "/users/delete", body: `{"braze_ids":["BRAZEID"]}`, status: 201, token: `"deleted":1`},
		{name: "delete by e-mail", path: "/users/delete", body: `{"email_addresses":[{"email":"alone@example.com","prioritization":["unidentified"]}]}`, status: 201, token: `"deleted":1`},
		{name: "delete by phone", path: "/users/delete", body: `{"phone_numbers":[{"phone":"+3318","prioritization":["identified"]}]}`, status: 201, token: `"deleted":1`},
		{name: "delete by two kinds", path: "/users/delete", body: `{"external_ids":["u-17"],"braze_ids":[]}`, status: 400, token: "exactly one"},
		{name: "delete an empty batch", path: "/users/delete", body: `{"external_ids":[]}`, status: 400, token: "'external_ids' must not be empty"},
		{name: "delete by an e-mail address that is a string", path: "/users/delete", body: `{"email_addresses":["alone@example.com"]}`, status: 400, token: "email_addresses"},
		{name: "delete nothing", path: "/users/delete", body: `{}`, status: 400, token: "exactly one"},
		{name: "delete 51", path: "/users/delete", body: `{"external_ids":FIFTYONE}`, status: 400, token: "max number"},
		{name: "rename", path: "/users/external_ids/rename", body: `{"external_id_renames":[{"current_external_id":"u-18","new_external_id":"u-180"},{"current_external_id":"u-1","new_external_id":"u-2"}]}`, status: 201, token: `"external_ids":["u-180"],"rename_errors":[[1,`},
		{name: "rename to a deprecated ID", path: "/users/external_ids/rename", body: `{"external_id_renames":[{"current_external_id":"u-18","new_external_id":"u-1"}]}`, status: 201, token: `"rename_errors":[[0,`},
		{name: "rename to itself", path: "/users/external_ids/rename", body: `{"external_id_renames":[{"current_external_id":"u-18","new_external_id":"u-18"}]}`, status: 201, token: `"rename_errors":[[0,`},
		{name: "rename nothing", path: "/users/external_ids/rename", body: `{"external_id_renames":[]}`, status: 400, token: "external_id_renames"},
		{name: "rename to nothing", path: "/users/external_ids/rename", body: `{"external_id_renames":[{"current_external_id":"u-18"}]}`, status: 400, token: "new_external_id"},
		{name: "remove", path: "/users/external_ids/remove", body: `{"external_ids":["u-1","u-17","u-0"]}`, status: 201, token: `"removed_ids":["u-1"],"removal_errors":[[1,`},
		{name: "remove nothing", path: "/users/external_ids/remove", body: `{"external_ids":[]}`, status: 400, token: "external_ids"},
		{name: "remove 51", path: "/users/external_ids/remove", body: `{"external_ids":FIFTYONE}`, status: 400, token: "max number"},

		{name: "track", path: track, body: `{"attributes":[{"external_id":"u-17","tier":"gold"}],"events":[{"external_id":"u-20","name":"seen"}],"purchases":[]}`, status: 201, token: `{"attributes_processed":1,"events_processed":1,"message":"success"}`},
		{name: "track 75", path: track, body: `{"attributes":` + objects(70, `{"external_id":"u-17"}`) + `,"events":` + objects(5, `{"external_id":"u-17"}`) + `}`, status: 201, token: `"attributes_processed":70`},
		{name: "track 76", path: track, body: `{"attributes":` + objects(70, `{"external_id":"u-17"}`) + `,"events":` + objects(6, `{"external_id":"u-17"}`) + `}`, status: 400, token: "Max Input Length Exceeded"},
		{name: "track nothing", path: track, body: `{}`, status: 400, token: "attributes"},
		{name: "two identifiers", path: track, body: `{"attributes":[{"external_id":"u-17","braze_id":"BRAZEID"},{"external_id":"u-18"}]}`, status: 201, token: `"attributes_processed":1,"errors":[{"type":"an object must have one of`},
		{name: "no identifier", path: track, body: `{"events":[{"name":"seen"}]}`, status: 201, token: `"errors":[{"type":"an object must have an identifier","input_array":"events","index":0}],"events_processed":0`},
		{name: "identifier is a number", path: track, body: `{"attributes":[{"external_id":17}]}`, status: 201, token: `must be a string","input_array":"attributes"`},
		{name: "external ID of 987 bytes", path: track, body: `{"attributes":[{"external_id":"` + strings.Repeat("u", 987) + `"}]}`, status: 201, token: `{"attributes_processed":1,"message"`},
		{name: "external ID of 988 bytes", path: track, body: `{"attributes":[{"external_id":"` + strings.Repeat("u", 988) + `"}]}`, status: 201, token: "EXTERNAL_USER_ID_TOO_LARGE"},
		{name: "external ID is blocked", opts: []brazetest.Option{brazetest.BlockExternalIDs("guest")}, path: track, body: `{"attributes":[{"external_id":"guest"}]}`, status: 201, token: "BLACKLISTED_EXTERNAL_USER_ID"},
		{name: "e-mail subscription is unknown", path: track, body: `{"attributes":[{"external_id":"u-17","email_subscribe":"yes"}]}`, status: 201, token: "BAD_EMAIL_SUBSCRIPTION_STATE"},
		{name: "push subscription is unknown", path: track, body: `{"attributes":[{"external_id":"u-17","push_subscribe":"yes"}]}`, status: 201, token: "BAD_PUSH_SUBSCRIPTION_STATE"},
		{name: "device ID is short", path: track, body: `{"attributes":[{"external_id":"u-17","push_tokens":[{"app_id":"a","token":"t","device_id":"1234567"}]}]}`, status: 201, token: "BAD_DEVICE_ID"},
		{name: "device ID is long", path: track, body: `{"attributes":[{"external_id":"u-17","push_tokens":[{"device_id":"` + strings.Repeat("d", 256) + `"}]}]}`, status: 201, token: "BAD_DEVICE_ID"},

		{name: "body is empty", path: track, body: ` `, status: 400, token: "JSON"},
		{name: "body is a list", path: track, body: `[]`, status: 400, token: "object"},
		{name: "body is null", path: track, body: `null`, status: 400, token: "object"},
		{name: "body is not UTF-8", path: track, body: "{\"attributes\":[{\"external_id\":\"u\xff\"}]}", status: 400, token: "UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, tt.opts...)
			before := s.workspace.Profiles()
			got := s.send(t, tt.path, tt.body)
			if token := fill(tt.token, s.words...); got.err != nil || got.status != tt.status || !strings.Contains(got.body, token) {
				t.Fatalf("got %d %s (error %v), want %d with %q", got.status, got.body, got.err, tt.status, token)
			}
			for _, h := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} {
				if _, err := strconv.Atoi(got.header.Get(h)); err != nil {
					t.Errorf("header %s is %q, want a number", h, got.header.Get(h))
				}
			}
			log := s.Requests()
			if last := log[len(log)-1]; last.Applied != (got.status < 300) || last.Workspace != "acme" || last.KeyFingerprint != s.rest.Fingerprint() || last.Operation.String() == "other path" {
				t.Errorf("the log has %+v", last)
			}
			if got.status < 300 {
				return
			}
			if len(s.workspace.Sends()) > 0 {
				t.Error("a refused request sent something")
			}
			if diff := cmp.Diff(before, s.workspace.Profiles()); diff != "" {
				t.Errorf("a refused request changed profiles (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCallsAreLetIn is who may call what: the header, the permissions, the instance, the paths and their methods.
func TestCallsAreLetIn(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	narrow, deleted := s.workspace.GenerateRESTKey("users.export.ids"), s.workspace.GenerateRESTKey()
	s.workspace.DeleteRESTKey(deleted)
	elsewhere := s.AddWorkspace("acme US", brazetest.OnInstance("US-01")).GenerateRESTKey()
	good := "Bearer " + s.rest.Reveal()
	const list, jsonType = "/segments/list", "application/json"
	tests := []struct {
		name          string
		url           string
		method        string // GET if empty
		authorization string
		contentType   string
		body          string
		status        int
		token         string
	}{
		{name: "key", url: endpoint + list, authorization: good, status: 200},
		{name: "scheme in lower case", url: endpoint + list, authorization: "bearer " + s.rest.Reveal(), status: 200},
		{name: "no key", url: endpoint + list, status: 401, token: "Invalid API key"},
		{name: "no scheme", url: endpoint + list, authorization: s.rest.Reveal(), status: 401},
		{name: "other scheme", url: endpoint + list, authorization: "Basic " + s.rest.Reveal(), status: 401},
		{name: "empty key", url: endpoint + list, authorization: "Bearer ", status: 401},
		{name: "unknown key", url: endpoint + list, authorization: "Bearer x", status: 401},
		{name: "deleted key", url: endpoint + list, authorization: "Bearer " + deleted.Reveal(), status: 401},
		{name: "import key", url: endpoint + list, authorization: "Bearer " + s.key.Reveal(), status: 401},
		{name: "key in the query", url: endpoint + list + "?api_key=" + s.rest.Reveal(), status: 401},
		{name: "key of another cluster", url: endpoint + list, authorization: "Bearer " + elsewhere.Reveal(), status: 401},
		{name: "on its own cluster", url: "https://rest.iad-01.braze.com" + list, authorization: "Bearer " + elsewhere.Reveal(), status: 200},
		{name: "on a host of nobody", url: "https://braze.example" + list, authorization: "Bearer " + elsewhere.Reveal(), status: 200},
		{name: "SDK host", url: "https://sdk.fra-01.braze.eu" + list, authorization: good, status: 404},
		{name: "no permission", url: endpoint + list, authorization: "Bearer " + narrow.Reveal(), status: 403, token: `"message":"Access Denied"`},
		{name: "permission before fields", url: endpoint + "/users/track", method: "POST", contentType: jsonType, body: `{}`, authorization: "Bearer " + narrow.Reveal(), status: 403},
		{name: "its one permission", url: endpoint + "/users/export/ids", method: "POST", contentType: jsonType, body: `{"external_ids":["u-17"],"fields_to_export":["email"]}`, authorization: "Bearer " + narrow.Reveal(), status: 201},
		{name: "trailing slash", url: endpoint + list + "/", authorization: good, status: 404},
		{name: "unknown path", url: endpoint + "/segments/lists", authorization: good, status: 404},
		{name: "POST for GET", url: endpoint + list, method: "POST", contentType: jsonType, body: `{}`, authorization: good, status: 405, token: "GET"},
		{name: "GET for POST", url: endpoint + "/users/track", authorization: good, status: 405, token: "POST"},
		{name: "no content type", url: endpoint + "/users/track", method: "POST", body: `{}`, authorization: good, status: 415},
		{name: "other content type", url: endpoint + "/users/track", method: "POST", contentType: "text/plain", body: `{}`, authorization: good, status: 415},
		{name: "over 4 MB", url: endpoint + "/users/track", method: "POST", contentType: jsonType, body: `{}` + strings.Repeat(" ", brazetest.MaxBodyBytes), authorization: good, status: 413, token: "4 MB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{}
			if tt.authorization != "" {
				header.Set("Authorization", tt.authorization)
			}
			if tt.contentType != "" {
				header.Set("Content-Type", tt.contentType)
			}
			method := tt.method
			if method == "" {
				method = http.MethodGet
			}
			got := s.request(t, method, tt.url, tt.body, header)
			if got.status != tt.status || !strings.Contains(got.body, tt.token) {
				t.Errorf("got %d %s (error %v), want %d with %q", got.status, got.body, got.err, tt.status, tt.token)
			}
			for _, secret := range []string{s.rest.Reveal(), s.key.Reveal(), elsewhere.Reveal(), narrow.Reveal()} {
				if strings.Contains(got.body, secret) {
					t.Error("the answer repeats a key")
				}
			}
		})
	}
}

func TestDenyUnknownPaths(t *testing.T) {
	t.Parallel()
	s := newScene(t, brazetest.DenyUnknownPaths())
	if got := s.send(t, "/segments/list/", ""); got.status != 403 || got.message(t) != "Access Denied" {
		t.Errorf("with a key: %d %s, want 403 Access Denied", got.status, got.body)
	}
	elsewhere := s.AddWorkspace("acme US", brazetest.OnInstance("US-01")).GenerateRESTKey()
	for name, key := range map[string]keys.RESTKey{"an unknown key": keys.NewRESTKey("x"), "the key of another cluster": elsewhere} {
		if got := s.call(t, key, "/segments/list/", ""); got.status != 404 {
			t.Errorf("with %s: %d, want 404", name, got.status)
		}
	}
}

// TestMistakesInWhatFollows is TestSetupMistakes for what follows an import.
func TestMistakesInWhatFollows(t *testing.T) {
	t.Parallel()
	noLookbehind := segment.StringAttribute("tier").MatchesRegex("(?<!x)gold")
	of := func(f segment.Filter) *segment.Segment {
		s, err := segment.New(f)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	tests := []struct {
		name, token string
		mistake     func(*brazetest.Workspace)
	}{
		{"permission", "segments.list", func(w *brazetest.Workspace) { w.GenerateRESTKey("segment.list") }},
		{"permission that is empty", "permission", func(w *brazetest.Workspace) { w.GenerateRESTKey("") }},
		{"key of nobody", "no such key", func(w *brazetest.Workspace) { w.DeleteRESTKey(keys.NewRESTKey("x")) }},
		{"segment without name", "name is empty", func(w *brazetest.Workspace) { w.AddSegment("", springSegment(t)) }},
		{"no segment", "no segment", func(w *brazetest.Workspace) { w.AddSegment("Spring", nil) }},
		{"segment twice", "taken", func(w *brazetest.Workspace) {
			w.AddSegment("Spring", springSegment(t))
			w.AddSegment("Spring", springSegment(t))
		}},
		{"member of no segment", "add that first", func(w *brazetest.Workspace) { w.AddSegment("Spring", of(segment.InSegment("Summer"))) }},
		{"nested twice", "nest one level", func(w *brazetest.Workspace) {
			w.AddSegment("one", springSegment(t))
			w.AddSegment("two", of(segment.InSegment("one")))
			w.AddSegment("three", of(segment.NotInSegment("two")))
		}},
		{"cannot be evaluated", "regular expression", func(w *brazetest.Workspace) { w.AddSegment("Spring", of(noLookbehind)) }},
		{"archive no segment", "AddSegment", func(w *brazetest.Workspace) { w.ArchiveSegment("x") }},
		{"target no segment", "AddSegment", func(w *brazetest.Workspace) { w.AddCampaign("Spring", brazetest.TargetSegment("x")) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var tb recordingTB
			defer tb.finish()
			caught(func() { tt.mistake(brazetest.NewServer(&tb).AddWorkspace("acme")) })
			if len(tb.fatals) != 1 || !strings.Contains(tb.fatals[0], tt.token) {
				t.Errorf("fatals %q, want one with %q", tb.fatals, tt.token)
			}
		})
	}
}

func TestRESTKeyOfAnotherWorkspace(t *testing.T) {
	t.Parallel()
	var tb recordingTB
	defer tb.finish()
	s := brazetest.NewServer(&tb)
	key := s.AddWorkspace("acme").GenerateRESTKey()
	caught(func() { s.AddWorkspace("other").DeleteRESTKey(key) })
	if len(tb.fatals) != 1 {
		t.Errorf("fatals %q, want one", tb.fatals)
	}
}

// TestCallLimits uses up each rate limit of the REST calls.
func TestCallLimits(t *testing.T) {
	t.Parallel()
	const (
		alias    = `{"user_aliases":[{"alias_label":"crm","alias_name":"c-1"}]}`
		merge    = `{"merge_updates":[{"identifier_to_merge":{"external_id":"u-0"},"identifier_to_keep":{"external_id":"u-1"}}]}`
		narrow   = `{"external_ids":["u-17"],"fields_to_export":["external_id"]}`
		wide     = `{"external_ids":["u-17"],"fields_to_export":["canvases_received"]}`
		spring   = `{"campaign_id":"CAMPAIGN","broadcast":true}`
		welcome  = `{"canvas_id":"CANVAS","broadcast":true}`
		single   = `{"campaign_id":"CAMPAIGN","recipients":[{"external_user_id":"u-17"}]}`
		gold     = `{"campaign_id":"CAMPAIGN","broadcast":true,"audience":{"custom_attribute":{"custom_attribute_name":"tier","comparison":"equals","value":"gold"}}}`
		campaign = "/campaigns/trigger/send"

		toAll     = `{"broadcast":true,"messages":{"email":{}}}`
		toSegment = `{"broadcast":true,"segment_id":"SEGMENT","messages":{"email":{}}}`
	)
	tests := []struct {
		name   string
		opt    brazetest.Option
		calls  [][2]string // that use the limit up, then one that is over it
		free   [2]string   // that draws on another limit
		window time.Duration
	}{
		{"shared", brazetest.RateLimitOf(brazetest.ListSegments, 2), [][2]string{{"/segments/list", ""}, {campaign, single}, {"/segments/list?page=1", ""}}, [2]string{"/users/export/ids", narrow}, time.Hour},
		{"identity", brazetest.RateLimitOf(brazetest.MergeUsers, 2), [][2]string{{"/users/alias/new", alias}, {"/users/merge", merge}, {"/users/alias/new", alias}}, [2]string{"/segments/list", ""}, time.Minute},
		{"rename", brazetest.RateLimitOf(brazetest.RenameExternalIDs, 1), [][2]string{{"/users/external_ids/rename", `{"external_id_renames":[{"current_external_id":"a","new_external_id":"b"}]}`}, {"/users/external_ids/rename", `{"external_id_renames":[{"current_external_id":"a","new_external_id":"b"}]}`}}, [2]string{"/users/external_ids/remove", `{"external_ids":["u-1"]}`}, time.Minute},
		{"track", brazetest.RateLimitOf(brazetest.TrackUsers, 1), [][2]string{{"/users/track", `{"events":[{"external_id":"u-17"}]}`}, {"/users/track", `{"events":[{"external_id":"u-17"}]}`}}, [2]string{"/segments/list", ""}, 3 * time.Second},
		{"export of few fields", brazetest.RateLimitOf(brazetest.ExportUsers, 1), [][2]string{{"/users/export/ids", narrow}, {"/users/export/ids", narrow}}, [2]string{"/users/export/ids", wide}, time.Second},
		{"export", brazetest.RateLimitOf(brazetest.ExportUsers, 1), [][2]string{{"/users/export/ids", wide}, {"/users/export/ids", wide}}, [2]string{"/users/export/ids", narrow}, time.Minute},
		{"broadcasts in all", brazetest.BroadcastLimit(2, 9), [][2]string{{campaign, spring}, {"/canvas/trigger/send", welcome}, {campaign, gold}}, [2]string{campaign, single}, time.Minute},
		{"broadcasts to a target", brazetest.BroadcastLimit(9, 1), [][2]string{{campaign, spring}, {campaign, spring}}, [2]string{"/canvas/trigger/send", welcome}, time.Minute},
		{"broadcasts to a segment", brazetest.BroadcastLimit(9, 1), [][2]string{{"/messages/send", toSegment}, {"/messages/send", toSegment}}, [2]string{"/messages/send", toAll}, time.Minute},
		{"broadcasts to an audience", brazetest.BroadcastLimit(9, 1), [][2]string{{campaign, gold}, {campaign, strings.ReplaceAll(gold, ":", ": ")}}, [2]string{campaign, spring}, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, tt.opt)
				var got reply
				for i, c := range tt.calls {
					got = s.send(t, c[0], c[1])
					if over := i == len(tt.calls)-1; over != (got.status == http.StatusTooManyRequests) {
						t.Fatalf("call %d: status %d: %s", i+1, got.status, got.body)
					}
				}
				if l := left(t, got); l[1] != 0 || l[2] != int(tt.window.Seconds()) {
					t.Errorf("limit %d, remaining %d, reset in %d seconds; want nothing left for %v", l[0], l[1], l[2], tt.window)
				}
				if got := s.send(t, tt.free[0], tt.free[1]); got.status > 299 {
					t.Errorf("a call under another limit: status %d: %s", got.status, got.body)
				}
				time.Sleep(tt.window)
				last := tt.calls[len(tt.calls)-1]
				if got := s.send(t, last[0], last[1]); got.status > 299 {
					t.Errorf("in the next window: status %d", got.status)
				}
			})
		})
	}
}

// TestRefusedCallsDrawOnNothing sends one call that is a 400, and looks at what remains.
func TestRefusedCallsDrawOnNothing(t *testing.T) {
	t.Parallel()
	for want, opts := range map[int][]brazetest.Option{249_999: nil, 249_998: {brazetest.CountRefused()}} {
		s := newScene(t, opts...)
		s.send(t, "/segments/list?page=x", "")
		if got := left(t, s.send(t, "/segments/list", "")); got[1] != want {
			t.Errorf("remaining %d, want %d", got[1], want)
		}
	}
}

// TestRefusalsTellWhatIsLeft is refused in each way that comes before the fields: whoever has a good key learns what is left.
func TestRefusalsTellWhatIsLeft(t *testing.T) {
	t.Parallel()
	const list, huge = "/segments/list", brazetest.MaxBodyBytes + 1
	tests := []struct {
		name, method, path, contentType string
		body                            int  // bytes
		narrow, elsewhere               bool // which key
		status, want                    int
	}{
		{name: "no permission", method: "GET", path: list, narrow: true, status: 403, want: 9},
		{name: "another method", method: "PUT", path: list, status: 405, want: 9},
		{name: "content type", method: "POST", path: "/messages/send", contentType: "text/plain", status: 415, want: 9},
		{name: "too long", method: "POST", path: "/messages/send", contentType: "application/json", body: huge, status: 413, want: 9},
		{name: "unknown path", method: "GET", path: "/segments", status: 404, want: 9},
		{name: "key of another cluster", method: "GET", path: list, elsewhere: true, status: 401, want: 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, brazetest.RateLimitOf(brazetest.ListSegments, 10), brazetest.RateLimit(77))
				if got := left(t, s.send(t, list, "")); got[1] != 9 {
					t.Fatalf("%d remain, want 9", got[1])
				}
				key := s.rest
				if tt.narrow {
					key = s.workspace.GenerateRESTKey("users.track")
				}
				if tt.elsewhere {
					key = s.AddWorkspace("acme US", brazetest.OnInstance("US-01")).GenerateRESTKey()
				}
				got := s.request(t, tt.method, endpoint+tt.path, strings.Repeat(" ", tt.body), http.Header{
					"Authorization": {"Bearer " + key.Reveal()}, "Content-Type": {tt.contentType},
				})
				if l := left(t, got); got.status != tt.status || l[0] != 10 || l[1] != tt.want {
					t.Errorf("status %d, limit %d, remaining %d; want %d, 10 and %d", got.status, l[0], l[1], tt.status, tt.want)
				}
			})
		})
	}
}

// TestKeyDeletedMeanwhile deletes the key of a call that waits.
func TestKeyDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.Inject(brazetest.To(brazetest.ListSegments), brazetest.Delay(time.Second))
		answer := make(chan reply, 1)
		go func() { answer <- s.send(t, "/segments/list", "") }()
		synctest.Wait()
		s.workspace.DeleteRESTKey(s.rest)
		if got := <-answer; got.status != 401 {
			t.Errorf("status %d, want 401", got.status)
		}
	})
}

// TestCallsAtOnce sends while cohorts, profiles and segments change. The race detector looks on.
func TestCallsAtOnce(t *testing.T) {
	t.Parallel()
	const rounds = 20
	s := newScene(t)
	calls := []func(i int) reply{
		func(int) reply {
			return s.send(t, "/canvas/trigger/send", `{"canvas_id":"CANVAS","recipients":[{"external_user_id":"u-17"}]}`)
		},
		func(int) reply {
			return s.users(t, `[{"user_ids":["u-17","u-18"]},{"device_ids":["d-1"],"should_remove":true}]`)
		},
		func(i int) reply {
			return s.send(t, "/users/track", fmt.Sprintf(`{"attributes":[{"external_id":"u-17","seen":%d},{"external_id":"v-%d"}]}`, i, i))
		},
		func(i int) reply {
			return s.send(t, "/users/identify", fmt.Sprintf(`{"aliases_to_identify":[{"external_id":"v-%d","user_alias":{"alias_label":"crm","alias_name":"c-90"}}]}`, i))
		},
		func(int) reply { return s.send(t, "/segments/list", "") },
		func(int) reply { return reply{status: 200 + len(s.workspace.SegmentMembers(s.words[1]))} },
		func(int) reply { return reply{status: 200 + min(len(s.workspace.Sends()), 99)} },
	}
	var group sync.WaitGroup
	for _, c := range calls {
		group.Go(func() {
			for i := range rounds {
				if got := c(i); got.status < 200 || got.status > 299 {
					t.Errorf("status %d: %s (error %v)", got.status, got.body, got.err)
				}
			}
		})
	}
	group.Wait()
	sends := s.workspace.Sends()
	if len(sends) != rounds {
		t.Fatalf("%d sends, want %d", len(sends), rounds)
	}
	for i, send := range sends {
		if send.Number != i+1 || outcome(send) != "u-17" {
			t.Errorf("send %d has number %d and reached %s", i+1, send.Number, outcome(send))
		}
	}
}

// TestDefaultCallLimits reads the documented limits off the headers.
func TestDefaultCallLimits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, path, body string
		opts             []brazetest.Option
		want             int
	}{
		{"shared", "/segments/list", "", nil, 250_000},
		{"identity", "/users/alias/new", `{"user_aliases":[{"alias_label":"l","alias_name":"n"}]}`, nil, 20_000},
		{"remove", "/users/external_ids/remove", `{"external_ids":["u-1"]}`, nil, 1_000},
		{"track", "/users/track", `{"events":[{"external_id":"u-17"}]}`, nil, 3_000},
		{"export", "/users/export/ids", `{"external_ids":["u-17"],"fields_to_export":["campaigns_received"]}`, nil, 250},
		{"export of few fields", "/users/export/ids", `{"external_ids":["u-17"],"fields_to_export":["external_id"]}`, nil, 40},
		{"export of an early customer", "/users/export/ids", `{"external_ids":["u-17"]}`, []brazetest.Option{brazetest.EarlyOnboarding()}, 2_500},
		{"export of an early customer, as set", "/users/export/ids", `{"external_ids":["u-17"]}`, []brazetest.Option{brazetest.RateLimitOf(brazetest.ExportUsers, 7), brazetest.EarlyOnboarding()}, 7},
		{"recipients in an audience", "/campaigns/trigger/send", `{"campaign_id":"CAMPAIGN","recipients":[{"external_user_id":"u-17"}],"audience":{"push_subscription_status":{"comparison":"is","value":"opted_in"}}}`, nil, 10},
		{"broadcast, the tighter of two", "/campaigns/trigger/send", `{"campaign_id":"CAMPAIGN","broadcast":true}`, nil, 10},
		{"no broadcast", "/campaigns/trigger/send", `{"campaign_id":"CAMPAIGN","recipients":[{"external_user_id":"u-17"}]}`, nil, 250_000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, tt.opts...)
			if got := left(t, s.send(t, tt.path, tt.body)); got[0] != tt.want || got[1] != tt.want-1 {
				t.Errorf("limit %d, remaining %d, want %d and one less", got[0], got[1], tt.want)
			}
		})
	}
}

// TestSegmentPages lists 201 segments.
func TestSegmentPages(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	spring := springSegment(t)
	for i := range 200 {
		s.workspace.AddSegment(fmt.Sprintf("number %d", i), spring)
	}
	attic := s.workspace.AddSegment("attic", spring)
	s.workspace.ArchiveSegment(attic)
	pages := func(order string) (sizes []int, first string) {
		for page := range 4 {
			got := s.send(t, fmt.Sprintf("/segments/list?page=%d&sort_direction=%s", page, order), "")
			sizes = append(sizes, strings.Count(got.body, `"id"`))
			if page == 0 {
				_, first, _ = strings.Cut(got.body, `"name":"`)
				first, _, _ = strings.Cut(first, `"`)
			}
		}
		return sizes, first
	}
	for order, want := range map[string]string{"asc": "Spring", "desc": "number 199"} {
		sizes, first := pages(order)
		if diff := cmp.Diff([]int{100, 100, 1, 0}, sizes); diff != "" || first != want {
			t.Errorf("%s: first is %q, want %q; sizes of pages (-want +got):\n%s", order, first, want, diff)
		}
	}
}
