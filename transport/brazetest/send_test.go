package brazetest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/segment"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// outcome is what a send did: the external IDs it reached, or "?" for a user without one, with their properties, and who was missed.
func outcome(s brazetest.Send) string {
	var words []string
	for _, r := range s.Reached {
		word := r.ExternalID
		if word == "" {
			word = "?"
		}
		words = append(words, word+string(r.Properties))
	}
	for _, m := range s.Missed {
		words = append(words, fmt.Sprintf("missed %d: %s", m.Recipient, m.Reason))
	}
	return strings.Join(words, ", ")
}

// TestSends is who each send reaches. The profiles are those of TestLives, with u-18 gold, and u-17, u-18 and the alias-only profile having said yes,
// no and nothing to e-mail.
func TestSends(t *testing.T) {
	t.Parallel()
	const (
		campaign, canvas, messages = "/campaigns/trigger/send", "/canvas/trigger/send", "/messages/send"
		gold                       = `"audience":{"custom_attribute":{"custom_attribute_name":"tier","comparison":"equals","value":"gold"}}`
		both                       = `{"external_user_id":"u-17"},{"external_user_id":"u-18"}`
		email                      = `"messages":{"email":{"subject":"Sale"}}`
		everyone                   = `"external_user_ids":["u-17","u-18"],"user_aliases":[{"alias_label":"crm","alias_name":"c-90"}]`
	)
	tests := []struct{ name, path, body, want string }{
		{"everyone in the target", campaign, `{"campaign_id":"CAMPAIGN","broadcast":true}`, "u-17, ?"},
		{"everyone in the target and the audience", campaign, `{"campaign_id":"CAMPAIGN","broadcast":true,` + gold + `}`, ""},
		{"everyone", canvas, `{"canvas_id":"CANVAS","broadcast":true}`, "u-17, u-18, ?, ?"},
		{"everyone in the audience", canvas, `{"canvas_id":"CANVAS","broadcast":true,` + gold + `}`, "u-18"},
		{"recipients must be in the target too", campaign, `{"campaign_id":"CAMPAIGN","recipients":[` + both + `]}`, "u-17, missed 1: not in the target audience"},
		{"recipients must be in the audience too", canvas, `{"canvas_id":"CANVAS",` + gold + `,"recipients":[` + both + `]}`, "u-18, missed 0: not in the Connected Audience"},
		{"recipients of all kinds, in the order of profiles", canvas, `{"canvas_id":"CANVAS","recipients":[{"user_alias":{"alias_label":"crm","alias_name":"c-90"}},{"external_user_id":"u-18"},{"braze_id":"BRAZEID"}]}`, "u-17, u-18, ?"},
		{"unknown recipients", canvas, `{"canvas_id":"CANVAS","recipients":[{"external_user_id":"u-0"},{"user_alias":{"alias_label":"crm","alias_name":"c-0"}},{"email":"both@example.com","prioritization":["unidentified"]},{"external_user_id":"u-17"}]}`,
			"u-17, missed 0: no such profile, missed 1: no such profile, missed 2: no such profile"},
		{"the last of the same recipient wins", canvas, `{"canvas_id":"CANVAS","context":{"a":1,"b":1},"recipients":[{"external_user_id":"u-17","context":{"b":2}},{"external_user_id":"u-1","context":{"b":3}},{"external_user_id":"u-18"}]}`,
			`u-17{"a":1,"b":3}, u-18{"a":1,"b":1}, missed 0: named again later`},
		{"properties of a recipient alone", campaign, `{"campaign_id":"CAMPAIGN","recipients":[{"external_user_id":"u-17","trigger_properties":{"b":2}}]}`, `u-17{"b":2}`},
		{"properties of a broadcast", campaign, `{"campaign_id":"CAMPAIGN","broadcast":true,"trigger_properties":{"b":2}}`, `u-17{"b":2}, ?{"b":2}`},
		{"a recipient is made", canvas, `{"canvas_id":"CANVAS",` + gold + `,"recipients":[{"external_user_id":"u-19","send_to_existing_only":false,"attributes":{"tier":"gold"}}]}`, "u-19"},
		{"a recipient is made by e-mail", canvas, `{"canvas_id":"CANVAS","recipients":[{"email":"n@example.com","prioritization":["unidentified"],"send_to_existing_only":false,"attributes":{}}]}`, "?"},
		{"no recipient is made of an ambiguous e-mail address", canvas, `{"canvas_id":"CANVAS","recipients":[{"email":"both@example.com","prioritization":["identified"],"send_to_existing_only":false,"attributes":{}}]}`, "missed 0: no such profile"},
		{"no recipient is made of a Braze ID", canvas, `{"canvas_id":"CANVAS","recipients":[{"braze_id":"x","send_to_existing_only":false,"attributes":{}}]}`, "missed 0: no such profile"},
		{"a recipient who is there already", campaign, `{"campaign_id":"CAMPAIGN","recipients":[{"external_user_id":"u-18","send_to_existing_only":false,"attributes":{"tier":"iron"}}]}`, "missed 0: not in the target audience"},
		{"attributes before the audience", canvas, `{"canvas_id":"CANVAS",` + gold + `,"recipients":[{"external_user_id":"u-17","attributes":{"tier":"gold"}}]}`, "u-17"},
		{"archived campaign", campaign, `{"campaign_id":"STOPPED","broadcast":true}`, ""},
		{"paused Canvas", canvas, `{"canvas_id":"PAUSED","recipients":[` + both + `]}`, "missed 0: archived or paused, missed 1: archived or paused"},

		{"messages to a segment", messages, `{"broadcast":true,"segment_id":"SEGMENT",` + email + `}`, "u-17, ?"},
		{"messages to everyone", messages, `{"broadcast":true,"messages":{"webhook":{"url":"x"}}}`, "u-17, u-18, ?, ?"},
		{"messages to users and a segment", messages, `{"external_user_ids":["u-17","u-18"],"segment_id":"SEGMENT",` + email + `}`, "u-17, missed 1: not in the target audience"},
		{"messages of a campaign ignore its target", messages, `{"external_user_ids":["u-18"],"campaign_id":"CAMPAIGN","recipient_subscription_state":"all",` + email + `}`, "u-18"},
		{"who did not say no", messages, `{` + everyone + `,` + email + `}`, "u-17, ?, missed 1: not subscribed"},
		{"who said yes", messages, `{` + everyone + `,"recipient_subscription_state":"opted_in",` + email + `}`, "u-17, missed 1: not subscribed, missed 2: not subscribed"},
		{"who may be anybody", messages, `{` + everyone + `,"recipient_subscription_state":"all",` + email + `}`, "u-17, u-18, ?"},
		{"one of two channels", messages, `{` + everyone + `,"messages":{"email":{},"apple_push":{}}}`, "u-17, u-18, ?"},
		{"a channel without subscription", messages, `{` + everyone + `,"messages":{"email":{},"content_card":{}}}`, "u-17, u-18, ?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.play(t, step{"/users/track", `{"attributes":[{"external_id":"u-17","email_subscribe":"opted_in"},{"external_id":"u-18","tier":"gold","email_subscribe":"unsubscribed"}]}`}, step{tt.path, tt.body})
			sends := s.workspace.Sends()
			if len(sends) != 1 {
				t.Fatalf("%d sends, want 1", len(sends))
			}
			if diff := cmp.Diff(tt.want, outcome(sends[0])); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			log := s.Requests()
			if sends[0].Request != len(log) || sends[0].Operation != log[len(log)-1].Operation {
				t.Errorf("the send is that of request %d, a %q; want the last one", sends[0].Request, sends[0].Operation)
			}
		})
	}
}

// TestSendIsWhatWasAsked looks at what a send keeps of its request.
func TestSendIsWhatWasAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.play(t, step{"/campaigns/trigger/send", `{"campaign_id":"CAMPAIGN","broadcast":true,"send_id":"spring-1","trigger_properties":{"a":1},"audience":{"push_subscription_status":{"comparison":"is","value":"opted_in"}}}`})
		s.play(t, step{"/messages/send", `{"segment_id":"SEGMENT","external_user_ids":["u-17"],"messages":{"email":{}}}`})
		sends := s.workspace.Sends()
		first, second := sends[0], sends[1]
		if !first.Broadcast || first.Number != 1 || first.SendID != "spring-1" || first.CampaignID != s.words[3] || !first.At.Equal(time.Now()) {
			t.Errorf("the first send is %+v", first)
		}
		if b, err := first.Audience.MarshalJSON(); err != nil || string(b) != `{"push_subscription_status":{"comparison":"is","value":"opted_in"}}` {
			t.Errorf("audience %s, error %v", b, err)
		}
		if second.Broadcast || second.Number != 2 || second.SegmentID != s.words[1] || second.CampaignID != "" || second.DispatchID == first.DispatchID {
			t.Errorf("the second send is %+v", second)
		}
		second.Reached[0].ExternalID = "changed"
		if err := first.Audience.UnmarshalJSON([]byte(`{"push_subscription_status":{"comparison":"is","value":"subscribed"}}`)); err != nil {
			t.Fatal(err)
		}
		again := s.workspace.Sends()
		if kept, _ := again[0].Audience.MarshalJSON(); again[1].Reached[0].ExternalID != "u-17" || !strings.Contains(string(kept), "opted_in") {
			t.Error("Sends returns what the fake keeps")
		}
	})
}

// TestSegments is who is in a segment while cohorts and profiles change.
func TestSegments(t *testing.T) {
	t.Parallel()
	spring := segment.Cohort("Tinyclues").Includes("Spring sale")
	gold := segment.StringAttribute("tier").Equals("gold")
	day := time.Date(2025, 3, 2, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name   string
		filter segment.Filter
		opts   []segment.Option
		want   []string // external IDs, or those of devices or aliases
	}{
		{"in the cohort", spring, nil, []string{"u-17", "d-1"}},
		{"not in the cohort", segment.Cohort("Tinyclues").DoesNotInclude("Spring sale"), nil, []string{"u-18", "crm:c-90"}},
		{"in a cohort of that name at another partner", segment.Cohort("Splio").Includes("Spring sale"), nil, nil},
		{"in the cohort or gold", segment.Or(spring, gold), nil, []string{"u-17", "u-18", "d-1"}},
		{"gold, but not in the cohort", gold, []segment.Option{segment.Exclude(spring)}, []string{"u-18"}},
		{"opted in to e-mail", segment.EmailSubscription().Is(segment.OptedIn), nil, []string{"u-17"}},
		{"unsubscribed from push", segment.PushSubscription().Is(segment.Unsubscribed), nil, []string{"u-18"}},
		{"used an app lately", segment.LastUsedApp().After(day), nil, []string{"u-18"}},
		{"in the cohort, on an app", spring, []segment.Option{segment.OnApps("Shop")}, []string{"d-1"}},
		{"member of a segment", segment.InSegment("Spring"), nil, []string{"u-17", "d-1"}},
		{"no member of a segment", segment.NotInSegment("Spring"), nil, []string{"u-18", "crm:c-90"}},
		{"member and gold", segment.And(segment.InSegment("Spring"), gold), nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.add(t,
				brazetest.Profile{ExternalID: "u-17", EmailSubscription: segment.OptedIn, LastUsedApp: day.AddDate(0, 0, -1)},
				brazetest.Profile{ExternalID: "u-18", PushSubscription: segment.Unsubscribed, LastUsedApp: day.AddDate(0, 0, 1), Attributes: map[string]segment.Value{"tier": segment.StringValue("gold")}},
				brazetest.Profile{DeviceIDs: []string{"d-1"}, Apps: []string{"Shop"}},
				brazetest.Profile{Aliases: []brazetest.Alias{{Label: "crm", Name: "c-90"}}},
			)
			w.name(t, "Spring sale")
			w.users(t, `[{"user_ids":["u-17"],"device_ids":["d-1"]}]`)
			w.workspace.AddSegment("Spring", springSegment(t))
			s, err := segment.New(tt.filter, tt.opts...)
			if err != nil {
				t.Fatal(err)
			}
			id := w.workspace.AddSegment("tried", s)
			var got []string
			for _, p := range w.workspace.SegmentMembers(id) {
				switch {
				case p.ExternalID != "":
					got = append(got, p.ExternalID)
				case p.DeviceIDs != nil:
					got = append(got, p.DeviceIDs[0])
				default:
					got = append(got, p.Aliases[0].Label+":"+p.Aliases[0].Name)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
			var seen []string // the same by each profile's view
			for _, p := range w.workspace.Profiles() {
				view, ok := w.workspace.View(p.BrazeID)
				in, err := s.Match(&view, time.Now())
				if !ok || err != nil {
					t.Fatalf("view %v, match %v", ok, err)
				}
				if in {
					seen = append(seen, p.BrazeID)
				}
			}
			if len(seen) != len(got) {
				t.Errorf("%d views match, want %d", len(seen), len(got))
			}
		})
	}
}

// TestViewIsACopyInOrder looks at a profile in many cohorts and changes what it sees.
func TestViewIsACopyInOrder(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	id := s.add(t, brazetest.Profile{
		ExternalID: "u-70", DeprecatedExternalIDs: []string{"u-7"}, DeviceIDs: []string{"d-70"}, Aliases: []brazetest.Alias{{Label: "crm", Name: "c-70"}},
		Apps: []string{"Shop"}, Attributes: map[string]segment.Value{"tier": segment.StringValue("gold")},
	})[0]
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	for i, name := range slices.Backward(names) {
		cohort := fmt.Sprintf(`"cohort-%d"`, (i*5)%8)
		for path, body := range map[string]string{"": s.naming(name), "/users": s.changes(`[{"user_ids":["u-70"]}]`)} {
			body = strings.Replace(body, `"camp-481"`, cohort, 1)
			if got := do(t, s.Client(), "POST", endpoint+"/partners/tinyclues/cohorts"+path, "application/json", body); got.status != 201 {
				t.Fatalf("status %d: %s", got.status, got.body)
			}
		}
	}
	before := s.workspace.Profiles()
	view, _ := s.workspace.View(id)
	var got []string
	for _, c := range view.Cohorts {
		got = append(got, c.Name)
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("cohorts of the view (-want +got):\n%s", diff)
	}
	view.Cohorts[0].Name, view.DeprecatedExternalIDs[0], view.DeviceIDs[0], view.Aliases[0].Name, view.Apps[0] = "x", "x", "x", "x", "x"
	view.Attributes["tier"] = segment.StringValue("x")
	if diff := cmp.Diff(before, s.workspace.Profiles()); diff != "" || s.workspace.DropDown(s.partner)[1] != "a" {
		t.Errorf("View returns what the fake keeps (-want +got):\n%s", diff)
	}
}

// TestSegmentFollowsTheCohort asks a segment again after each change of its cohort.
func TestSegmentFollowsTheCohort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, brazetest.PropagationDelay(time.Minute))
		ids := w.add(t, brazetest.Profile{ExternalID: "u-17"}, brazetest.Profile{ExternalID: "u-18"})
		spring := w.workspace.AddSegment("Spring", springSegment(t))
		var got []int
		look := func() { got = append(got, len(w.workspace.SegmentMembers(spring))) }
		w.users(t, `[{"user_ids":["u-17","u-18"]}]`)
		time.Sleep(time.Minute)
		look() // the cohort has no name yet
		if view, _ := w.workspace.View(ids[0]); len(view.Cohorts) > 0 {
			t.Error("a profile is seen in a cohort without a name")
		}
		w.name(t, "Spring sale")
		look()
		w.users(t, `[{"user_ids":["u-17"],"should_remove":true}]`)
		look() // not visible yet
		time.Sleep(time.Minute)
		look()
		w.name(t, "Summer sale") // the filter goes by the name last sent
		look()
		w.name(t, "Spring sale")
		if err := w.workspace.Delete(ids[1]); err != nil {
			t.Fatal(err)
		}
		look()
		if diff := cmp.Diff([]int{0, 2, 2, 1, 0, 0}, got); diff != "" {
			t.Errorf("members over time (-want +got):\n%s", diff)
		}
		if _, ok := w.workspace.View(ids[1]); ok || w.workspace.SegmentMembers("x") != nil {
			t.Error("a deleted profile has a view, or a segment that is not there has members")
		}
	})
}

// TestArchivedSegment archives what is sent to it.
func TestArchivedSegment(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	spring := s.words[1]
	s.words = append(s.words, "LATE", "")
	s.workspace.ArchiveSegment(spring)
	s.words[len(s.words)-1] = s.workspace.AddCanvas("Late", brazetest.TargetSegment(spring))
	s.play(t, step{"/campaigns/trigger/send", `{"campaign_id":"CAMPAIGN","broadcast":true}`}, step{"/canvas/trigger/send", `{"canvas_id":"LATE","broadcast":true}`})
	for _, send := range s.workspace.Sends() {
		if len(send.Reached) > 0 {
			t.Errorf("send %d reached %d users of an archived segment", send.Number, len(send.Reached))
		}
	}
	if got := s.send(t, "/segments/list", ""); strings.Contains(got.body, "Spring") {
		t.Errorf("an archived segment is listed: %s", got.body)
	}
}

// TestAudienceSemantics reads an audience in two ways.
func TestAudienceSemantics(t *testing.T) {
	t.Parallel()
	const body = `{"canvas_id":"CANVAS","broadcast":true,"audience":{"custom_attribute":{"custom_attribute_name":"tier","comparison":"not_equal","value":"gold"}}}`
	for want, opts := range map[int][]brazetest.Option{4: nil, 0: {brazetest.AudienceSemantics(segment.Semantics{Missing: segment.MissingDoesNotMatch})}} {
		s := newScene(t, opts...)
		s.play(t, step{"/canvas/trigger/send", body})
		if got := len(s.workspace.Sends()[0].Reached); got != want {
			t.Errorf("reached %d, want %d", got, want)
		}
	}
}

// TestFaultsOnCalls spoils a send in each way that matters: what the client sees, and how often something was sent.
func TestFaultsOnCalls(t *testing.T) {
	t.Parallel()
	const body = `{"campaign_id":"CAMPAIGN","broadcast":true}`
	tests := []struct {
		name   string
		target brazetest.Target
		fault  brazetest.Fault
		status int // 0 for none
		token  string
		sends  int
	}{
		{"unavailable", brazetest.ToSends(), brazetest.Status(503), 503, "Service Unavailable", 0},
		{"applied then lost", brazetest.To(brazetest.TriggerCampaign), brazetest.AppliedThenLost(), 0, "", 1},
		{"lost", brazetest.ToSends(), brazetest.DropConnection(), 0, "", 0},
		{"rate limited", brazetest.ToSends(), brazetest.RateLimited("7"), 429, "rate limit", 0},
		{"truncated", brazetest.ToSends(), brazetest.TruncateBody(4), 201, `{"di`, 1},
		{"malformed, not applied", brazetest.ToSends(), brazetest.MalformedBody().NotApplied(), 201, `{"message":"succ`, 0},
		{"slow, not applied", brazetest.ToSends(), brazetest.SlowBody(time.Second).NotApplied(), 201, `{"message":"success"}`, 0},
		{"success with errors", brazetest.ToSends(), brazetest.SuccessWithErrors("odd"), 201, `"errors":["odd"],"message":"success"}`, 1},
		{"success with errors keeps what the send answers", brazetest.ToSends(), brazetest.SuccessWithErrors("odd"), 201, `{"dispatch_id":"`, 1},
		{"success with errors, not applied", brazetest.ToSends(), brazetest.SuccessWithErrors("odd").NotApplied(), 201, `{"errors":["odd"],"message":"success"}`, 0},
		{"echo", brazetest.ToSends(), brazetest.BadRequestEchoing(), 400, "campaign_id", 0},
		{"of the workspace", brazetest.ToSends().Where(func(r brazetest.Request) bool { return r.Operation == brazetest.TriggerCampaign }), brazetest.HTML(502), 502, "Proxy", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.Inject(tt.target.Workspace(s.workspace), tt.fault)
				s.play(t, step{"/users/track", `{"events":[{"external_id":"u-17"}]}`}, step{"/segments/list", ""}) // none of its business
				got := s.send(t, "/campaigns/trigger/send", body)
				if got.status != tt.status || !strings.Contains(got.body, tt.token) || (tt.status == 0) != (got.body == "" && got.err != nil) {
					t.Errorf("got %d %s (error %v), want %d with %q", got.status, got.body, got.err, tt.status, tt.token)
				}
				if n := len(s.workspace.Sends()); n != tt.sends {
					t.Errorf("%d sends, want %d", n, tt.sends)
				}
				log := s.Requests()
				if last := log[len(log)-1]; last.Applied != (tt.sends > 0) || last.Fault == "" {
					t.Errorf("the log has applied %v, fault %q", last.Applied, last.Fault)
				}
			})
		})
	}
}

// TestSuccessWithErrorsAddsToThem spoils an answer that has minor errors of its own, and a refusal.
func TestSuccessWithErrorsAddsToThem(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Inject(brazetest.To(brazetest.TrackUsers), brazetest.SuccessWithErrors("odd")).Times(2)
	s.send(t, "/users/track", `{"attributes":[{"external_id":"u-17"},{"tier":"gold"}]}`).wants(t, 201,
		`{"message":"success","attributes_processed":1,"errors":[{"type":"an object must have an identifier","input_array":"attributes","index":1},"odd"]}`)
	s.send(t, "/users/track", `{}`).wants(t, 201, `{"message":"success","errors":["odd"]}`)
}

// TestEchoRepeatsKeyAndBody is what a client must keep out of its logs.
func TestEchoRepeatsKeyAndBody(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Inject(brazetest.To(brazetest.ExportUsers), brazetest.BadRequestEchoing())
	got := s.send(t, "/users/export/ids", `{"external_ids":["u-17"],"fields_to_export":["email"]}`)
	for _, text := range []string{s.rest.Reveal(), "u-17"} {
		if !strings.Contains(got.body, text) {
			t.Error("the answer does not repeat the key and the body")
		}
	}
}

// TestLogOfCallsHidesKeysAndIdentifiers prints the log after calls full of them.
func TestLogOfCallsHidesKeysAndIdentifiers(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.ForgetRequests()
	s.play(t, step{"/users/export/ids", `{"external_ids":["u-17"],"email_address":"both@example.com","fields_to_export":["email"]}`},
		step{"/users/identify", `{"aliases_to_identify":[{"external_id":"u-90","user_alias":{"alias_label":"crm","alias_name":"c-90"}}]}`})
	s.send(t, "/segments/list?note=u-17", "")
	log := fmt.Sprintf("%+v", s.Requests())
	if n := strings.Count(log, "KeyFingerprint:"+s.rest.Fingerprint()); n != 3 {
		t.Errorf("%d entries name the key by its fingerprint, want 3", n)
	}
	for _, hidden := range []string{s.rest.Reveal(), "u-17", "both@example.com", "u-90", "c-90"} {
		if strings.Contains(log, hidden) {
			t.Error("the log shows a key or an identifier")
		}
	}
	for _, operation := range []string{"export users", "identify users", "list segments"} {
		if !strings.Contains(log, operation) {
			t.Errorf("the log does not name the operation %q", operation)
		}
	}
}
