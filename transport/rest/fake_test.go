package rest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/segment"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
	"github.com/cohortkit/cohortkit/transport/rest"
)

// world is a fake with one customer, whose Canvas, campaign and segment are about gold members.
type world struct {
	*brazetest.Server
	workspace                  *brazetest.Workspace
	client                     *rest.Client
	segment, campaign, journey string
}

func newWorld(tb testing.TB) world {
	tb.Helper()
	w := world{Server: brazetest.NewServer(tb)}
	w.workspace = w.AddWorkspace("acme", brazetest.OnInstance("EU-01"))
	for _, p := range []brazetest.Profile{
		{ExternalID: "u-17", Attributes: map[string]segment.Value{"tier": segment.StringValue("gold")}, EmailSubscription: segment.OptedIn, Apps: []string{"Shop"}},
		{ExternalID: "u-18", Aliases: []brazetest.Alias{{Label: "crm", Name: "c-90"}}, Email: "a@b.example", Phone: "+33123456789"},
		{ExternalID: "u-19", Attributes: map[string]segment.Value{"tier": segment.StringValue("gold")}, Aliases: []brazetest.Alias{{Label: "crm", Name: "c-91"}}},
		{DeviceIDs: []string{"phone-of-u-17"}},
	} {
		if _, err := w.workspace.AddProfile(p); err != nil {
			tb.Fatal(err)
		}
	}
	gold, err := segment.New(segment.StringAttribute("tier").Equals("gold"))
	if err != nil {
		tb.Fatal(err)
	}
	w.segment = w.workspace.AddSegment("Gold", gold, brazetest.Described("Our best"), brazetest.Tagged("vip"))
	w.campaign = w.workspace.AddCampaign("Sale", brazetest.TargetSegment(w.segment))
	w.journey = w.workspace.AddCanvas("Journey", brazetest.TargetSegment(w.segment))
	w.client = w.with(tb, w.workspace.GenerateRESTKey(), w.Client().Transport)
	return w
}

// with returns a Client of this key and transport.
func (w world) with(tb testing.TB, key keys.RESTKey, rt http.RoundTripper) *rest.Client {
	tb.Helper()
	c, err := rest.New(newTransport(tb, rt), key)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// sends is one send of each path and kind of target, all of which the fake accepts.
func (w world) sends(tb testing.TB) map[string]send {
	tb.Helper()
	trigger := func(to rest.TriggerTarget) (campaign, canvas send) {
		return func(ctx context.Context, c *rest.Client) (rest.Receipt, error) {
				return c.TriggerCampaign(ctx, w.campaign, to)
			},
			func(ctx context.Context, c *rest.Client) (rest.Receipt, error) {
				return c.TriggerCanvas(ctx, w.journey, to)
			}
	}
	all := make(map[string]send)
	all["campaign to everyone"], all["Canvas to everyone"] = trigger(rest.ToEveryone())
	all["campaign to an audience"], all["Canvas to an audience"] = trigger(rest.ToAudience(audience(tb)))
	all["campaign to recipients"], all["Canvas to recipients"] = trigger(rest.ToRecipients(rest.Recipient{ID: u17}, rest.Recipient{ID: crm90}))
	all["messages to a segment"] = message(rest.ToSegment(w.segment), mail)
	all["messages to an audience"] = message(rest.ToAudience(audience(tb)), mail)
	all["messages to users"] = message(rest.ToUsers(u17, crm90), mail)
	all["messages to users in a segment"] = message(rest.ToUsersInSegment(w.segment, u17, crm90), mail)
	return all
}

// TestSendsReach has each send reach whom it names, by the fake's own reading of the request.
func TestSendsReach(t *testing.T) {
	t.Parallel()
	gold := []string{"u-17", "u-19"}
	want := map[string][]string{
		"campaign to everyone": gold, "Canvas to everyone": gold,
		"campaign to an audience": gold, "Canvas to an audience": gold,
		"campaign to recipients": {"u-17"}, "Canvas to recipients": {"u-17"},
		"messages to a segment": gold, "messages to an audience": gold,
		"messages to users": {"u-17", "u-18"}, "messages to users in a segment": {"u-17"},
	}
	for name, send := range newWorld(t).sends(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			receipt, err := send(t.Context(), w.client)
			if err != nil {
				t.Fatal(err)
			}
			sends := w.workspace.Sends()
			if len(sends) != 1 || sends[0].DispatchID != receipt.DispatchID || receipt.DispatchID == "" {
				t.Fatalf("%d sends, receipt %v", len(sends), receipt)
			}
			if diff := cmp.Diff(want[name], sends[0].ExternalIDs()); diff != "" {
				t.Errorf("reached (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNoSendIsRepeated has every send fail in every way. The fake knows how often it was really sent.
func TestNoSendIsRepeated(t *testing.T) {
	t.Parallel()
	const (
		ok      = transport.OutcomeAccepted
		unknown = transport.OutcomeUnknown
		refusal = transport.OutcomeRefused
	)
	tests := []struct {
		name     string
		fault    brazetest.Fault // the zero Fault injects none
		dials    int             // connections that do not come about before one does
		outcome  transport.Outcome
		requests int
		sends    int
	}{
		{"nothing fails", brazetest.Fault{}, 0, ok, 1, 1},
		{"applied, then lost", brazetest.AppliedThenLost(), 0, unknown, 1, 1},
		{"dropped before", brazetest.DropConnection(), 0, unknown, 1, 0},
		{"applied, then 500", brazetest.Status(500).Applied(), 0, unknown, 1, 1},
		{"applied, then 504", brazetest.Status(504).Applied(), 0, unknown, 1, 1},
		{"500", brazetest.Status(500), 0, unknown, 1, 0},
		{"502 of a proxy", brazetest.HTML(502), 0, unknown, 1, 0},
		{"503", brazetest.Status(503), 0, unknown, 1, 0},
		{"200 of a proxy", brazetest.HTML(200), 0, unknown, 1, 0},
		{"applied, then cut off", brazetest.TruncateBody(9), 0, unknown, 1, 1},
		{"applied, then malformed", brazetest.MalformedBody(), 0, unknown, 1, 1},
		{"applied, then another success", brazetest.StatusBody(201, `{"message":"success"}`).Applied(), 0, unknown, 1, 1},
		{"too late", brazetest.Delay(time.Minute), 0, unknown, 1, 0},
		{"applied, then too slow", brazetest.SlowBody(time.Minute), 0, unknown, 1, 1},
		{"429, then fine", brazetest.RateLimited("3"), 0, ok, 2, 1},
		{"never connected, then fine", brazetest.Fault{}, 2, ok, 1, 1},
		{"never connected, then applied and lost", brazetest.AppliedThenLost(), 2, unknown, 1, 1},
		{"queued", brazetest.Queued(), 0, ok, 1, 1},
		{"400", brazetest.Status(400), 0, refusal, 1, 0},
		{"redirected", brazetest.Redirect("https://elsewhere.example/"), 0, refusal, 1, 0},
	}
	names := newWorld(t).sends(t)
	for _, tt := range tests {
		for name := range names {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					if tt.fault.String() != (brazetest.Fault{}).String() {
						w.Inject(brazetest.ToSends(), tt.fault)
					}
					var dials atomic.Int32
					through := w.Client().Transport
					c := w.with(t, w.workspace.GenerateRESTKey(), roundTrip(func(r *http.Request) (*http.Response, error) {
						if int(dials.Add(1)) <= tt.dials {
							return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
						}
						return through.RoundTrip(r)
					}))
					receipt, err := w.sends(t)[name](t.Context(), c)
					if got := transport.OutcomeOf(err); got != tt.outcome || errors.Is(err, transport.ErrOutcomeUnknown) != (tt.outcome == unknown) {
						t.Errorf("outcome %s of %v, want %s", got, err, tt.outcome)
					}
					synctest.Wait()
					if requests, sends := len(w.Requests()), len(w.workspace.Sends()); requests != tt.requests || sends != tt.sends {
						t.Errorf("%d requests and %d sends, want %d and %d", requests, sends, tt.requests, tt.sends)
					}
					if (fmt.Sprint(receipt) == "no receipt") != (err != nil) {
						t.Errorf("receipt %v beside %v", receipt, err)
					}
					if err != nil {
						mustKeepSecrets(t, err)
					}
				})
			})
		}
	}
}

// TestCanvasesThatDoNotRun accept a trigger and send nothing, which only the receipt tells.
func TestCanvasesThatDoNotRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for word, id := range map[string]string{
			"archived": w.workspace.AddCanvas("Old journey", brazetest.Archived()),
			"paused":   w.workspace.AddCanvas("Later journey", brazetest.Paused()),
		} {
			receipt, err := w.client.TriggerCanvas(t.Context(), id, rest.ToEveryone())
			if err != nil || !strings.Contains(receipt.Notice, word) || !strings.HasSuffix(receipt.String(), ", nothing sent, see Notice") {
				t.Errorf("%s: receipt %v with notice %q, %v", word, receipt, receipt.Notice, err)
			}
		}
		for _, s := range w.workspace.Sends() {
			if len(s.Reached) != 0 {
				t.Errorf("reached %d", len(s.Reached))
			}
		}
		receipt, err := w.client.TriggerCanvas(t.Context(), w.journey, rest.ToEveryone())
		if err != nil || receipt.Notice != "" {
			t.Errorf("receipt %v, %v", receipt, err)
		}
	})
}

// TestRecipientsAtTheFake has what only the endpoint can do: properties joined, a user created, an e-mail address resolved.
func TestRecipientsAtTheFake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	open := w.workspace.AddCampaign("Welcome")
	anonymous := w.workspace.Profiles()[3].BrazeID
	_, err := w.client.TriggerCampaign(t.Context(), open, rest.ToRecipients(
		rest.Recipient{ID: u17, Properties: map[string]any{"discount": 10}},
		rest.Recipient{Email: "a@b.example", Prioritization: []rest.Prioritization{rest.Identified, rest.MostRecentlyUpdated}},
		rest.Recipient{BrazeID: anonymous},
		rest.Recipient{ID: identity.ExternalID("u-new"), Create: true, Attributes: map[string]any{"tier": "new"}},
		rest.Recipient{ID: identity.ExternalID("u-99")},
		rest.Recipient{ID: u17, Properties: map[string]any{"discount": 30}}, // the last counts
	), rest.WithProperties(map[string]any{"discount": 20}), rest.WithSendID("send-1"))
	if err != nil {
		t.Fatal(err)
	}
	sent := w.workspace.Sends()[0]
	got := make(map[string]string)
	for _, r := range sent.Reached {
		name := r.ExternalID
		if r.BrazeID == anonymous {
			name = "anonymous"
		}
		got[name] = string(r.Properties)
	}
	want := map[string]string{"u-17": `{"discount":30}`, "u-18": `{"discount":20}`, "anonymous": `{"discount":20}`, "u-new": `{"discount":20}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reached (-want +got):\n%s", diff)
	}
	missed := []brazetest.Miss{{Recipient: 0, Reason: brazetest.MissedRepeated}, {Recipient: 4, Reason: brazetest.MissedUnknown}}
	if diff := cmp.Diff(missed, sent.Missed); diff != "" || sent.SendID != "send-1" {
		t.Errorf("send ID %q, missed (-want +got):\n%s", sent.SendID, diff)
	}
}

// TestPermissions has a key for each method that has all other permissions.
func TestPermissions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	permissions := []string{"segments.list", "segments.details", "campaigns.trigger.send", "canvas.trigger.send", "messages.send", "users.export.ids"}
	calls := map[string]func(context.Context, *rest.Client) error{
		"segments.list": func(ctx context.Context, c *rest.Client) error { _, err := c.FindSegment(ctx, "Gold"); return err },
		"segments.details": func(ctx context.Context, c *rest.Client) error {
			_, err := c.SegmentDetails(ctx, w.segment)
			return err
		},
		"campaigns.trigger.send": func(ctx context.Context, c *rest.Client) error {
			_, err := c.TriggerCampaign(ctx, w.campaign, rest.ToEveryone())
			return err
		},
		"canvas.trigger.send": func(ctx context.Context, c *rest.Client) error {
			_, err := c.TriggerCanvas(ctx, w.journey, rest.ToEveryone())
			return err
		},
		"messages.send": func(ctx context.Context, c *rest.Client) error {
			_, err := c.SendMessages(ctx, rest.ToUsers(u17), mail)
			return err
		},
		"users.export.ids": func(ctx context.Context, c *rest.Client) error {
			_, err := c.LookUp(ctx, []identity.ID{u17})
			return err
		},
	}
	deleted := w.workspace.GenerateRESTKey()
	w.workspace.DeleteRESTKey(deleted)
	for i, p := range permissions {
		others := append(append([]string{}, permissions[:i]...), permissions[i+1:]...)
		for name, tt := range map[string]struct {
			key  keys.RESTKey
			want error
		}{
			"alone": {w.workspace.GenerateRESTKey(p), nil}, "missing": {w.workspace.GenerateRESTKey(others...), transport.ErrForbidden}, "deleted": {deleted, transport.ErrUnauthorized},
		} {
			err := calls[p](t.Context(), w.with(t, tt.key, w.Client().Transport))
			if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), p) {
				t.Errorf("%s %s: error %v, want %v", p, name, err, tt.want)
			}
		}
	}
}

func TestSegmentsOfTheFake(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 99, 100, 101, 250} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			w := world{Server: brazetest.NewServer(t)}
			w.workspace = w.AddWorkspace("acme")
			c := w.with(t, w.workspace.GenerateRESTKey(), w.Client().Transport)
			all, err := segment.New(segment.StringAttribute("tier").Exists())
			if err != nil {
				t.Fatal(err)
			}
			var oldest, newest []string
			for i := range n {
				name := fmt.Sprint("Segment ", i)
				w.workspace.AddSegment(name, all)
				oldest, newest = append(oldest, name), append([]string{name}, newest...)
			}
			for _, tt := range []struct {
				name string
				opts []rest.ListOption
				want []string
			}{{"oldest first", nil, oldest}, {"newest first", []rest.ListOption{rest.NewestFirst()}, newest}} {
				var got []string
				for s, err := range c.Segments(t.Context(), tt.opts...) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, s.Name)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", tt.name, diff)
				}
			}
		})
	}
}

func TestDetailsOfTheFake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	found, err := w.client.FindSegment(t.Context(), "Gold")
	if err != nil || found.ID != w.segment || cmp.Diff([]string{"vip"}, found.Tags) != "" {
		t.Fatalf("FindSegment = %+v, %v", found, err)
	}
	details, err := w.client.SegmentDetails(t.Context(), found.ID)
	if err != nil || details.Description != "Our best" || !strings.Contains(details.Filters, "gold") || details.Name != "Gold" || details.CreatedAt.IsZero() {
		t.Errorf("SegmentDetails = %+v, %v", details, err)
	}
	if _, err := w.client.SegmentDetails(t.Context(), "nothing"); transport.OutcomeOf(err) != transport.OutcomeRefused {
		t.Errorf("details of nothing: %v", err)
	}
	w.workspace.ArchiveSegment(w.segment)
	if _, err := w.client.FindSegment(t.Context(), "Gold"); !errors.Is(err, rest.ErrSegmentNotFound) {
		t.Errorf("FindSegment of an archived one: %v", err)
	}
}

func TestExportOfTheFake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	anonymous := w.workspace.Profiles()[3].BrazeID
	for _, tt := range []struct {
		name    string
		query   rest.UserQuery
		want    []string // external IDs
		unknown int
	}{
		{"IDs", rest.ByID(u17, crm90, identity.ExternalID("u-99")), []string{"u-17", "u-18"}, 1},
		{"nobody", rest.ByID(identity.ExternalID("u-99"), identity.Alias{Label: "crm", Name: "c-99"}.ID()), nil, 2},
		{"device", rest.ByID(phone), []string{""}, 0},
		{"e-mail", rest.ByEmail("a@b.example"), []string{"u-18"}, 0},
		{"phone", rest.ByPhone("+33123456789"), []string{"u-18"}, 0},
		{"Braze ID", rest.ByBrazeID(anonymous), []string{""}, 0},
	} {
		got, err := w.client.ExportUsers(t.Context(), tt.query, rest.FieldExternalID, rest.FieldBrazeID, rest.FieldCustomAttributes, rest.FieldEmailSubscribe, rest.FieldApps)
		var ids []string
		for _, u := range got.Users {
			ids = append(ids, u.ExternalID)
			if u.ExternalID == "" && u.BrazeID != anonymous {
				t.Errorf("%s: the anonymous user has another Braze ID", tt.name)
			}
			if gold, err := audience(t).Match(&u.Profile, time.Now()); err != nil || gold != (u.ExternalID == "u-17") {
				t.Errorf("%s: Match = %t, %v", tt.name, gold, err)
			}
			if u.ExternalID == "u-17" && (u.Email != segment.OptedIn || cmp.Diff([]string{"Shop"}, u.Apps) != "") {
				t.Errorf("%s: another subscription or other apps", tt.name)
			}
		}
		if diff := cmp.Diff(tt.want, ids); diff != "" || err != nil || len(got.Unknown) != tt.unknown {
			t.Errorf("%s: %d unknown, %v, users (-want +got):\n%s", tt.name, len(got.Unknown), err, diff)
		}
	}
}

// TestLookUpAtTheFake looks many users up at the documented limit, without a single 429, and tells of each what the fake knows.
func TestLookUpAtTheFake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var ids []identity.ID
		for i := range 1000 {
			id := fmt.Sprint("x-", i)
			ids = append(ids, identity.ExternalID(id))
			if _, err := w.workspace.AddProfile(brazetest.Profile{ExternalID: id, DeviceIDs: []string{"d-" + id}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.workspace.Rename("x-7", "y-7"); err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			ids = append(ids, identity.DeviceID(fmt.Sprint("d-x-", i)))
		}
		got, err := w.client.LookUp(t.Context(), append(ids, u17, crm90, phone, identity.ExternalID("u-99")))
		if err != nil {
			t.Fatal(err)
		}
		known := make(map[string]identity.Profile)
		for _, p := range got {
			known[p.ExternalID] = p
		}
		if len(got) != 1003 || len(known) != 1003 {
			t.Errorf("%d profiles, %d different", len(got), len(known))
		}
		for name, want := range map[string]identity.Profile{
			"x-1":  {ExternalID: "x-1", DeviceIDs: []string{"d-x-1"}},
			"y-7":  {ExternalID: "y-7", DeprecatedExternalIDs: []string{"x-7"}, DeviceIDs: []string{"d-x-7"}},
			"u-17": {ExternalID: "u-17"},
			"u-18": {ExternalID: "u-18", Aliases: []identity.Alias{{Label: "crm", Name: "c-90"}}},
			"":     {DeviceIDs: []string{"phone-of-u-17"}},
		} {
			if diff := cmp.Diff(want, known[name]); diff != "" {
				t.Errorf("profile (-want +got):\n%s", diff)
			}
		}
		if refused := w.Counters().ByStatus[http.StatusTooManyRequests]; refused != 0 {
			t.Errorf("%d requests were refused by the rate limit", refused)
		}
	})
}

// TestBroadcastsAtTheFake keeps the limit of all audiences together by pace, and that of one audience by what the endpoint says.
func TestBroadcastsAtTheFake(t *testing.T) {
	t.Parallel()
	t.Run("many audiences", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			started := time.Now()
			for i := range 300 {
				a, err := segment.NewConnectedAudience(segment.NumberAttribute("points").Equals(float64(i)))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.client.TriggerCampaign(t.Context(), w.campaign, rest.ToAudience(a)); err != nil {
					t.Fatal(err)
				}
			}
			// The headers of each answer are about its own audience, which has 9 left.
			refused, took := w.Counters().ByStatus[http.StatusTooManyRequests], time.Since(started)
			if least := 299 * 240 * time.Millisecond; refused != 0 || took < least || took > least+time.Second {
				t.Errorf("%d requests were refused by the rate limit; took %s, want %s and little more", refused, took, least)
			}
		})
	})
	t.Run("one audience", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			started := time.Now()
			for range 25 {
				if _, err := w.client.TriggerCampaign(t.Context(), w.campaign, rest.ToAudience(audience(t))); err != nil {
					t.Fatal(err)
				}
			}
			if n, took := len(w.workspace.Sends()), time.Since(started); n != 25 || took < time.Minute {
				t.Errorf("%d sends in %s", n, took)
			}
		})
	})
}

// TestFromCohortToMessage goes the whole way: an import, the marketer's segment, and both ways to reach it.
func TestFromCohortToMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx := t.Context()
		tinyclues := w.AddPartner("tinyclues", "Tinyclues")
		w.workspace.Enable(tinyclues)
		tc := newTransport(t, w.Client().Transport)
		importer, err := cohort.NewImporter(tc, "acme", keys.Credentials{Partner: "tinyclues", PartnerKey: tinyclues.Key("EU-01"), ImportKey: w.workspace.GenerateKey(tinyclues)})
		if err != nil {
			t.Fatal(err)
		}
		sale := cohort.Cohort{ID: "camp-481", Name: "Spring sale", CreatedAt: time.Date(2025, 3, 2, 8, 15, 0, 0, time.UTC)}
		if err := importer.SetName(ctx, sale); err != nil {
			t.Fatal(err)
		}
		members := []identity.ID{u17, crm90, identity.ExternalID("u-99")}
		if _, err := importer.Apply(ctx, sale.ID, func(yield func(cohort.Change, error) bool) {
			for _, id := range members {
				if !yield(cohort.Add(id), nil) {
					return
				}
			}
		}); err != nil {
			t.Fatal(err)
		}
		readers, err := segment.New(segment.Cohort("Tinyclues").Includes("Spring sale"))
		if err != nil {
			t.Fatal(err)
		}
		campaign := w.workspace.AddCampaign("Spring", brazetest.TargetSegment(w.workspace.AddSegment("Spring sale readers", readers)))
		client, err := rest.New(tc, w.workspace.GenerateRESTKey())
		if err != nil {
			t.Fatal(err)
		}

		found, err := client.FindSegment(ctx, "Spring sale readers")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.SendMessages(ctx, rest.ToSegment(found.ID), mail); err != nil {
			t.Error(err)
		}
		if _, err := client.TriggerCampaign(ctx, campaign, rest.ToEveryone()); err != nil {
			t.Error(err)
		}
		for _, s := range w.workspace.Sends() {
			if diff := cmp.Diff([]string{"u-17", "u-18"}, s.ExternalIDs()); diff != "" {
				t.Errorf("%s reached (-want +got):\n%s", s.Operation, diff)
			}
		}
		if n := len(w.workspace.Sends()); n != 2 {
			t.Errorf("%d sends", n)
		}
		profiles, err := client.LookUp(ctx, members)
		if err != nil || len(profiles) != 2 {
			t.Errorf("%d of %d members exist, %v", len(profiles), len(members), err)
		}
	})
}
