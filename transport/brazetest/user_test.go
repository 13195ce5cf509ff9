package brazetest_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/segment"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// step is a call of a life story: a path and a body, or a users request to the cohort, whose path is "add" or "remove".
type step struct{ path, body string }

// play sends the steps, all of which are accepted.
func (s scene) play(t *testing.T, steps ...step) {
	t.Helper()
	for i, st := range steps {
		var got reply
		switch st.path {
		case "add":
			got = s.users(t, "["+st.body+"]")
		case "remove":
			got = s.users(t, "["+strings.TrimSuffix(st.body, "}")+`,"should_remove":true}]`)
		default:
			got = s.send(t, st.path, st.body)
		}
		if got.status < 200 || got.status > 299 {
			t.Fatalf("step %d: status %d: %s (error %v)", i+1, got.status, got.body, got.err)
		}
	}
}

// people shows each profile in a line: its identifiers, its tier, and a star when it is in the cohort.
func (s scene) people() []string {
	in := make(map[string]bool)
	c, _ := s.workspace.Cohort(s.partner, "camp-481")
	for _, m := range c.Members {
		in[m.BrazeID] = true
	}
	var lines []string
	for _, p := range s.workspace.Profiles() {
		words := []string{p.ExternalID}
		for _, id := range p.DeprecatedExternalIDs {
			words = append(words, "once "+id)
		}
		for _, a := range p.Aliases {
			words = append(words, a.Label+":"+a.Name)
		}
		words = append(words, p.DeviceIDs...)
		for _, text := range []string{p.Email, p.Phone} {
			if text != "" {
				words = append(words, text)
			}
		}
		if tier, ok := p.Attributes["tier"]; ok {
			b, _ := json.Marshal(tier)
			words = append(words, "tier="+string(b))
		}
		if in[p.BrazeID] {
			words = append(words, "*")
		}
		lines = append(lines, strings.TrimSpace(strings.Join(words, " ")))
	}
	return lines
}

// TestLives plays lives of users over the wire, in a workspace that begins with u-17 (once u-1, crm:c-17, in the cohort), u-18, the anonymous
// holder of d-1 (in the cohort) and the alias-only crm:c-90.
func TestLives(t *testing.T) {
	t.Parallel()
	const (
		first, second = "u-17 once u-1 crm:c-17 both@example.com *", "u-18 both@example.com +3318"
		device, alone = "d-1 *", "crm:c-90 alone@example.com"
		identify      = "/users/identify"
		merge         = "/users/merge"
		track         = "/users/track"
		c90           = `"user_alias":{"alias_label":"crm","alias_name":"c-90"}`
	)
	tests := []struct {
		name  string
		steps []step
		want  []string
	}{
		{"alias for a known user", []step{{"/users/alias/new", `{"user_aliases":[{"external_id":"u-18","alias_label":"crm","alias_name":"c-18"}]}`}},
			[]string{first, "u-18 crm:c-18 both@example.com +3318", device, alone}},
		{"alias for an unknown user", []step{{"/users/alias/new", `{"user_aliases":[{"external_id":"u-0","alias_label":"crm","alias_name":"c-0"}]}`}},
			[]string{first, second, device, alone}},
		{"alias without a user", []step{{"/users/alias/new", `{"user_aliases":[{"alias_label":"crm","alias_name":"c-0"}]}`}},
			[]string{first, second, device, alone, "crm:c-0"}},
		{"alias in use", []step{{"/users/alias/new", `{"user_aliases":[{"external_id":"u-18","alias_label":"crm","alias_name":"c-17"},{"alias_label":"crm","alias_name":"c-17"}]}`}},
			[]string{first, second, device, alone}},
		{"second alias of a label", []step{{"/users/alias/new", `{"user_aliases":[{"external_id":"u-17","alias_label":"crm","alias_name":"c-18"}]}`}},
			[]string{first, second, device, alone}},
		{"alias renamed", []step{{"/users/alias/update", `{"alias_updates":[{"alias_label":"crm","old_alias_name":"c-90","new_alias_name":"c-91"}]}`}},
			[]string{first, second, device, "crm:c-91 alone@example.com"}},
		{"alias renamed to one in use", []step{{"/users/alias/update", `{"alias_updates":[{"alias_label":"crm","old_alias_name":"c-90","new_alias_name":"c-17"}]}`}},
			[]string{first, second, device, alone}},

		{"alias-only profile identified as somebody new", []step{{"add", `{"aliases":[{"alias_label":"crm","alias_name":"c-90"}]}`}, {identify, `{"aliases_to_identify":[{"external_id":"u-90",` + c90 + `}]}`}},
			[]string{first, second, device, "u-90 crm:c-90 alone@example.com *"}},
		{"alias-only profile identified as a known user", []step{{"add", `{"aliases":[{"alias_label":"crm","alias_name":"c-90"}]}`}, {identify, `{"aliases_to_identify":[{"external_id":"u-18",` + c90 + `}]}`}},
			[]string{first, "u-18 crm:c-90 both@example.com +3318 *", device}},
		{"known user has an alias of the label", []step{{identify, `{"aliases_to_identify":[{"external_id":"u-17",` + c90 + `}]}`}},
			[]string{first, second, device, alone}},
		{"case of the alias name", []step{{identify, `{"aliases_to_identify":[{"external_id":"u-90","user_alias":{"alias_label":"crm","alias_name":"C-90"}}]}`}},
			[]string{first, second, device, alone}},
		{"an identified user is identified", []step{{identify, `{"aliases_to_identify":[{"external_id":"u-18","user_alias":{"alias_label":"crm","alias_name":"c-17"}}]}`}},
			[]string{first, second, device, alone}},
		{"identified by e-mail", []step{{identify, `{"emails_to_identify":[{"external_id":"u-90","email":"alone@example.com","prioritization":["unidentified"]}]}`}},
			[]string{first, second, device, "u-90 crm:c-90 alone@example.com"}},
		{"e-mail of several", []step{{identify, `{"emails_to_identify":[{"external_id":"u-90","email":"both@example.com","prioritization":["identified"]}]}`}},
			[]string{first, second, device, alone}},
		{"old merge_behavior changes nothing", []step{{track, `{"attributes":[{` + c90 + `,"tier":"gold"}]}`}, {identify, `{"aliases_to_identify":[{"external_id":"u-18",` + c90 + `}],"merge_behavior":"none"}`}},
			[]string{first, `u-18 crm:c-90 both@example.com +3318 tier="gold"`, device}},
		{"an attribute of the known user wins", []step{{track, `{"attributes":[{` + c90 + `,"tier":"gold"},{"external_id":"u-18","tier":"iron"}]}`}, {identify, `{"aliases_to_identify":[{"external_id":"u-18",` + c90 + `}]}`}},
			[]string{first, `u-18 crm:c-90 both@example.com +3318 tier="iron"`, device}},

		{"merged", []step{{merge, `{"merge_updates":[{"identifier_to_merge":{"external_id":"u-17"},"identifier_to_keep":{"external_id":"u-18"}}]}`}},
			[]string{"u-18 crm:c-17 both@example.com +3318 *", device, alone}},
		{"merged by phone and e-mail", []step{{merge, `{"merge_updates":[{"identifier_to_merge":{"email":"alone@example.com","prioritization":["unidentified"]},"identifier_to_keep":{"phone":"+3318","prioritization":["identified"]}}]}`}},
			[]string{first, "u-18 crm:c-90 both@example.com +3318", device}},
		{"merged into the anonymous holder of an alias", []step{{merge, `{"merge_updates":[{"identifier_to_merge":{"external_id":"u-17"},"identifier_to_keep":{` + c90 + `}}]}`}},
			[]string{second, device, "u-17 once u-1 crm:c-90 alone@example.com *"}},
		{"merged, then removed by an alias that moved", []step{{merge, `{"merge_updates":[{"identifier_to_merge":{"external_id":"u-17"},"identifier_to_keep":{"external_id":"u-18"}}]}`}, {"remove", `{"aliases":[{"alias_label":"crm","alias_name":"c-17"}]}`}},
			[]string{"u-18 crm:c-17 both@example.com +3318", device, alone}},
		{"merged, then removed by the ID that is gone", []step{{merge, `{"merge_updates":[{"identifier_to_merge":{"external_id":"u-17"},"identifier_to_keep":{"external_id":"u-18"}}]}`}, {"remove", `{"user_ids":["u-17","u-1"]}`}},
			[]string{"u-18 crm:c-17 both@example.com +3318 *", device, alone}},
		{"renamed alias, added by the old name", []step{{"/users/alias/update", `{"alias_updates":[{"alias_label":"crm","old_alias_name":"c-90","new_alias_name":"c-91"}]}`}, {"add", `{"aliases":[{"alias_label":"crm","alias_name":"c-90"}]}`}},
			[]string{first, second, device, "crm:c-91 alone@example.com"}},
		{"deleted, made again", []step{{"/users/delete", `{"external_ids":["u-17"]}`}, {track, `{"attributes":[{"external_id":"u-17"}]}`}},
			[]string{second, device, alone, "u-17"}},
		{"merged with itself or nobody", []step{{merge, `{"merge_updates":[{"identifier_to_merge":{"external_id":"u-1"},"identifier_to_keep":{"external_id":"u-17"}},{"identifier_to_merge":{"external_id":"u-17"},"identifier_to_keep":{"external_id":"u-0"}}]}`}},
			[]string{first, second, device, alone}},
		{"renamed", []step{{"/users/external_ids/rename", `{"external_id_renames":[{"current_external_id":"u-18","new_external_id":"u-180"}]}`}, {"add", `{"user_ids":["u-18"]}`}},
			[]string{first, "u-180 once u-18 both@example.com +3318 *", device, alone}},
		{"renamed, the old ID removed", []step{{"/users/external_ids/rename", `{"external_id_renames":[{"current_external_id":"u-18","new_external_id":"u-180"}]}`}, {"/users/external_ids/remove", `{"external_ids":["u-18"]}`}, {"add", `{"user_ids":["u-18"]}`}},
			[]string{first, "u-180 both@example.com +3318", device, alone}},
		{"deleted by a deprecated ID", []step{{"/users/delete", `{"external_ids":["u-1"]}`}},
			[]string{second, device, alone}},
		{"deleted by alias", []step{{"/users/delete", `{"user_aliases":[{"alias_label":"crm","alias_name":"c-90"}]}`}},
			[]string{first, second, device}},

		{"deleted, and its phone number tracked", []step{{"/users/delete", `{"external_ids":["u-18"]}`}, {track, `{"attributes":[{"phone":"+3318","tier":"gold"}]}`}},
			[]string{first, device, alone, `+3318 tier="gold"`}},
		{"tracked by external ID", []step{{track, `{"attributes":[{"external_id":"u-20","tier":"gold","email":"x@example.com"}]}`}},
			[]string{first, second, device, alone, `u-20 x@example.com tier="gold"`}},
		{"tracked by external ID, existing only", []step{{track, `{"attributes":[{"external_id":"u-20","_update_existing_only":true,"tier":"gold"}]}`}},
			[]string{first, second, device, alone}},
		{"tracked by alias", []step{{track, `{"attributes":[{"user_alias":{"alias_label":"crm","alias_name":"c-20"},"tier":"gold"}]}`}},
			[]string{first, second, device, alone}},
		{"tracked by alias, made", []step{{track, `{"attributes":[{"user_alias":{"alias_label":"crm","alias_name":"c-20"},"_update_existing_only":false,"tier":"gold"}]}`}},
			[]string{first, second, device, alone, `crm:c-20 tier="gold"`}},
		{"tracked by Braze ID", []step{{track, `{"attributes":[{"braze_id":"BRAZEID","tier":"gold"},{"braze_id":"x","tier":"gold"}]}`}},
			[]string{`u-17 once u-1 crm:c-17 both@example.com tier="gold" *`, second, device, alone}},
		{"tracked by e-mail", []step{{track, `{"attributes":[{"email":"new@example.com","phone":"+331","tier":"gold"}]}`}},
			[]string{first, second, device, alone, `new@example.com +331 tier="gold"`}},
		{"tracked by phone", []step{{track, `{"attributes":[{"phone":"+3318","tier":"gold"}]}`}},
			[]string{first, `u-18 both@example.com +3318 tier="gold"`, device, alone}},
		{"a nested object for what is none", []step{{track, `{"attributes":[{"external_id":"u-18","tier":{"add":"x"}}]}`}},
			[]string{first, second, device, alone}},
		{"an e-mail address that is a number", []step{{track, `{"attributes":[{"external_id":"u-18","email":7}]}`}},
			[]string{first, second, device, alone}},
		{"existing only or not is unreadable", []step{{track, `{"attributes":[{"external_id":"u-20","_update_existing_only":"true","tier":"gold"}]}`}},
			[]string{first, second, device, alone}},
		{"an event makes a user", []step{{track, `{"events":[{"external_id":"u-20","name":"seen","tier":"gold"}]}`}},
			[]string{first, second, device, alone, "u-20"}},
		{"a token brings a device", []step{{track, `{"attributes":[{"external_id":"u-18","push_tokens":[{"app_id":"a","token":"t","device_id":"12345678"}]}]}`}},
			[]string{first, "u-18 12345678 both@example.com +3318", device, alone}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.play(t, tt.steps...)
			if diff := cmp.Diff(tt.want, s.people()); diff != "" {
				t.Errorf("profiles (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAnonymousUserSignsUp follows a visitor of the app who is in a cohort by device: identified, the device matches no more, neither to
// add nor to remove, and the external ID does.
func TestAnonymousUserSignsUp(t *testing.T) {
	t.Parallel()
	const device = `{"device_ids":["tablet"]}`
	s := newScene(t)
	visitor := s.add(t, brazetest.Profile{DeviceIDs: []string{"tablet"}})[0]
	look := func() string { return s.people()[4] }
	var got []string
	s.play(t, step{"add", device})
	got = append(got, look())
	// The SDK identifies the visitor: changeUser is no REST call.
	if _, err := s.workspace.Identify(visitor, "u-21"); err != nil {
		t.Fatal(err)
	}
	got = append(got, look())
	s.play(t, step{"remove", device})
	got = append(got, look())
	s.play(t, step{"remove", `{"user_ids":["u-21"]}`})
	got = append(got, look())
	s.play(t, step{"add", device})
	got = append(got, look())
	s.play(t, step{"/users/alias/new", `{"user_aliases":[{"external_id":"u-21","alias_label":"crm","alias_name":"c-21"}]}`},
		step{"add", `{"aliases":[{"alias_label":"crm","alias_name":"c-21"}]}`})
	got = append(got, look())
	want := []string{"tablet *", "u-21 tablet *", "u-21 tablet *", "u-21 tablet", "u-21 tablet", "u-21 crm:c-21 tablet *"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the visitor over time (-want +got):\n%s", diff)
	}
	c, _ := s.workspace.Cohort(s.partner, "camp-481")
	if n := c.SkippedByReason[brazetest.SkippedIdentifiedDevice]; n != 2 {
		t.Errorf("the device was skipped %d times, want twice", n)
	}
}

// TestAnonymousUserWithAliasSignsUp is the same over the wire alone: the app gave the visitor an alias, by which the server identifies.
func TestAnonymousUserWithAliasSignsUp(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	visitor := s.add(t, brazetest.Profile{DeviceIDs: []string{"tablet"}})[0]
	if err := s.workspace.AddAlias(visitor, brazetest.Alias{Label: "cart", Name: "9"}); err != nil {
		t.Fatal(err)
	}
	s.play(t, step{"add", `{"device_ids":["tablet"]}`},
		step{"/users/identify", `{"aliases_to_identify":[{"external_id":"u-18","user_alias":{"alias_label":"cart","alias_name":"9"}}]}`})
	if diff := cmp.Diff("u-18 cart:9 tablet both@example.com +3318 *", s.people()[1]); diff != "" {
		t.Errorf("the known user (-want +got):\n%s", diff)
	}
}

// TestAttributes sets custom attributes in every way, one after the other.
func TestAttributes(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	tests := []struct{ name, set, want string }{
		{"string", `"tier":"gold"`, `"gold"`},
		{"number", `"tier":7`, `7`},
		{"raised", `"tier":{"inc":-2}`, `5`},
		{"added to what is no array", `"tier":{"add":["a"]}`, `5`},
		{"boolean", `"tier":true`, `true`},
		{"time", `"tier":"2025-03-02T08:15:00+00:00"`, `"2025-03-02T08:15:00+00:00"`},
		{"array", `"tier":["a","b","a"]`, `["a","b"]`},
		{"added", `"tier":{"add":["b","c"]}`, `["a","b","c"]`},
		{"removed", `"tier":{"remove":["a","x"]}`, `["b","c"]`},
		{"raised though it is no number", `"tier":{"inc":1}`, `["b","c"]`},
		{"nested object", `"tier":{"level":1}`, `["b","c"]`},
		{"array of numbers", `"tier":[1]`, `["b","c"]`},
		{"name with blanks around it", `" tier ":"trimmed"`, `"trimmed"`},
		{"null", `"tier":null`, `null`},
		{"raised from nothing", `"tier":{"inc":3}`, `3`},
	}
	for _, tt := range tests { // each goes on from the one before
		s.play(t, step{"/users/track", `{"attributes":[{"external_id":"u-17",` + tt.set + `,"first_name":"Ada","email_subscribe":"opted_in","push_subscribe":"unsubscribed"}]}`})
		p, _ := s.workspace.ProfileByExternalID("u-17")
		if got, _ := json.Marshal(p.Attributes["tier"]); string(got) != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	s.send(t, "/users/export/ids", `{"external_ids":["u-17"],"fields_to_export":["custom_attributes","email_subscribe","push_subscribe","first_name"]}`).wants(t, 201,
		`{"message":"success","users":[{"custom_attributes":{"tier":3},"email_subscribe":"opted_in","push_subscribe":"unsubscribed"}]}`)
}

// TestExportKnowsNoCohorts exports a member of a cohort with all that is known of it.
func TestExportKnowsNoCohorts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, brazetest.EarlyOnboarding())
		id := s.add(t, brazetest.Profile{
			ExternalID: "u-30", DeviceIDs: []string{"d-30"}, Aliases: []brazetest.Alias{{Label: "crm", Name: "c-30"}},
			Email: "x@example.com", Phone: "+3330", Apps: []string{"Shop", "Shop", "Club"}, LastUsedApp: time.Date(2025, 3, 2, 8, 15, 0, 0, time.UTC),
		})[0]
		s.play(t, step{"add", `{"user_ids":["u-30"]}`})
		got := s.send(t, "/users/export/ids", `{"external_ids":["u-30"]}`)
		var said struct {
			Users []struct {
				Bucket int `json:"random_bucket"`
			}
		}
		if err := json.Unmarshal([]byte(got.body), &said); err != nil || len(said.Users) != 1 || said.Users[0].Bucket < 0 || said.Users[0].Bucket > 9999 {
			t.Fatalf("random bucket in %s, error %v", got.body, err)
		}
		bucket, _ := json.Marshal(said.Users[0].Bucket)
		got.wants(t, 201, `{"message":"success","users":[{"created_at":"2000-01-01 00:00:00.000 UTC","external_id":"u-30","braze_id":"`+id+`","random_bucket":`+string(bucket)+`,
			"user_aliases":[{"alias_name":"c-30","alias_label":"crm"}],"devices":[{"device_id":"d-30"}],"email":"x@example.com","phone":"+3330",
			"apps":[{"name":"Club","last_used":"2025-03-02T08:15:00Z"},{"name":"Shop","last_used":"2025-03-02T08:15:00Z"}]}]}`)
	})
}

// TestMergeFillsWhatIsMissing merges all that a profile has into one that has some of it, and none of it into one that has all.
func TestMergeFillsWhatIsMissing(t *testing.T) {
	t.Parallel()
	const keep50 = `{"merge_updates":[{"identifier_to_merge":{"external_id":"u-51"},"identifier_to_keep":{"external_id":"u-50"}}]}`
	day := time.Date(2025, 3, 2, 0, 0, 0, 0, time.UTC)
	full := brazetest.Profile{
		ExternalID: "u-51", DeviceIDs: []string{"d-51"}, Email: "f@example.com", Phone: "+3351", Apps: []string{"Shop"}, LastUsedApp: day,
		PushSubscription: segment.OptedIn, EmailSubscription: segment.Unsubscribed,
	}
	other := brazetest.Profile{ExternalID: "u-50", Email: "o@example.com", Apps: []string{"Club"}, LastUsedApp: day.AddDate(0, 0, -1), EmailSubscription: segment.Subscribed}
	tests := []struct {
		name         string
		kept, merged brazetest.Profile
		want         brazetest.Profile
	}{
		{"into nothing", brazetest.Profile{}, full, full},
		{"into some", other, full, brazetest.Profile{
			DeviceIDs: []string{"d-51"}, Email: "o@example.com", Phone: "+3351", Apps: []string{"Club", "Shop"}, LastUsedApp: day,
			PushSubscription: segment.OptedIn, EmailSubscription: segment.Subscribed,
		}},
		{"nothing into all", full, brazetest.Profile{}, full},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			tt.kept.ExternalID, tt.merged.ExternalID = "u-50", "u-51"
			s.add(t, tt.kept, tt.merged)
			s.play(t, step{"/users/merge", keep50})
			got, _ := s.workspace.ProfileByExternalID("u-50")
			tt.want.BrazeID, tt.want.ExternalID = got.BrazeID, "u-50"
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("the kept profile (-want +got):\n%s", diff)
			}
			if _, there := s.workspace.ProfileByExternalID("u-51"); there {
				t.Error("the merged profile is still there")
			}
		})
	}
}

// TestMergeKeepsTheEarlierDate merges a profile into a younger one.
func TestMergeKeepsTheEarlierDate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		time.Sleep(time.Hour)
		s.play(t, step{"/users/track", `{"events":[{"external_id":"u-60"}]}`},
			step{"/users/merge", `{"merge_updates":[{"identifier_to_merge":{"external_id":"u-18"},"identifier_to_keep":{"external_id":"u-60"}}]}`})
		s.send(t, "/users/export/ids", `{"external_ids":["u-60"],"fields_to_export":["created_at"]}`).wants(t, 201,
			`{"message":"success","users":[{"created_at":"2000-01-01 00:00:00.000 UTC"}]}`)
	})
}

// TestPrioritization finds one of three profiles with one e-mail address, or none.
func TestPrioritization(t *testing.T) {
	t.Parallel()
	tests := []struct{ order, want string }{
		{`["identified"]`, ""},
		{`["unidentified"]`, "crm:c-40"},
		{`["most_recently_updated"]`, "u-40"},
		{`["least_recently_updated"]`, "u-41"},
		{`["identified","least_recently_updated"]`, "u-41"},
		{`["unidentified","most_recently_updated"]`, "crm:c-40"},
	}
	for _, tt := range tests {
		t.Run(tt.order, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				for _, p := range []brazetest.Profile{{ExternalID: "u-40"}, {ExternalID: "u-41"}, {Aliases: []brazetest.Alias{{Label: "crm", Name: "c-40"}}}} {
					p.Email = "three@example.com"
					s.add(t, p)
					time.Sleep(time.Second)
				}
				s.play(t, step{"/users/track", `{"attributes":[{"external_id":"u-40","tier":"gold"}]}`},
					step{"/users/track", `{"attributes":[{"email":"three@example.com","tier":"iron"}]}`}, // the most recently updated one
					step{"/users/delete", `{"email_addresses":[{"email":"three@example.com","prioritization":` + tt.order + `}]}`})
				left := strings.Join(s.people(), "\n")
				for _, name := range []string{"u-40", "u-41", "crm:c-40"} {
					if gone := !strings.Contains(left, name); gone != (name == tt.want) {
						t.Errorf("%s gone: %v, want %q gone", name, gone, tt.want)
					}
				}
			})
		})
	}
}
