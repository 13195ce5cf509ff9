package rest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/rest"
)

func TestNewFails(t *testing.T) {
	t.Parallel()
	tc, key := newTransport(t, following(hang)), keys.NewRESTKey(restKey)
	for _, tt := range []struct {
		name   string
		client *transport.Client
		key    keys.RESTKey
		opts   []rest.Option
		want   string
	}{
		{"no client", nil, key, nil, "rest: client is nil: make one with transport.New"},
		{"no key", tc, keys.RESTKey{}, nil, "rest: new: keys: REST API key must not be empty: create one under Settings > APIs and Identifiers > API Keys"},
		{"a key with a line break", tc, keys.NewRESTKey(restKey + "\n"), nil,
			"rest: new: keys: REST API key holds a control character: the usual cause is the line break at the end of a file or of a copied line; strip it where the value is read"},
		{"nil option", tc, key, []rest.Option{nil}, "rest: option is nil: leave it out"},
		{"limits twice", tc, key, []rest.Option{rest.WithLimits(rest.Limits{}), rest.WithLimits(rest.Limits{})}, "rest: WithLimits is given twice: put all limiters into one Limits"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if c, err := rest.New(tt.client, tt.key, tt.opts...); err == nil || err.Error() != tt.want || c != nil {
				t.Errorf("New = %v, %v; want %s", c, err, tt.want)
			}
		})
	}
	c, err := rest.New(tc, key)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(c), "rest.Client at EU-01 (https://rest.fra-01.braze.eu)"; got != want {
		t.Errorf("printed %s, want %s", got, want)
	}
}

// counter is a limiter that counts and lets pass.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) Wait(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return nil
}

// TestLimits tells which calls ask which limiter, and that none touches the quota of cohort calls.
func TestLimits(t *testing.T) {
	t.Parallel()
	received := func(field rest.Field) func(context.Context, *rest.Client) error {
		return func(ctx context.Context, c *rest.Client) error {
			_, err := c.ExportUsers(ctx, rest.ByID(u17), rest.FieldExternalID, field)
			return err
		}
	}
	calls := everyCall(t)
	calls["ExportUsers of campaigns received"] = received(rest.FieldCampaignsReceived)
	calls["ExportUsers of Canvases received"] = received(rest.FieldCanvasesReceived)
	broadcast := map[string]bool{
		"campaign to an audience": true, "campaign to everyone": true, "Canvas to an audience": true, "Canvas to everyone": true,
		"messages to a segment": true, "messages to an audience": true,
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var shared, broadcasts, exports, ofReceived counter
			rt := following(answer(200, `{"message":"success","dispatch_id":"d-1","segments":[{"id":"a","name":"Readers"}],"name":"Readers","users":[]}`))
			tc := newTransport(t, rt)
			first, err := rest.New(tc, keys.NewRESTKey(restKey), rest.WithLimits(rest.Limits{Shared: &shared, Broadcast: &broadcasts, Export: &exports, ExportReceived: &ofReceived}))
			if err != nil {
				t.Fatal(err)
			}
			second, err := rest.New(tc, keys.NewRESTKey("another-key"), rest.WithLimits(first.Limits()))
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(call(t.Context(), first), call(t.Context(), second)); err != nil {
				t.Fatal(err)
			}
			asked := len(rt.seen())
			got, want := [4]int{shared.n, broadcasts.n, exports.n, ofReceived.n}, [4]int{asked}
			switch {
			case broadcast[name]:
				want = [4]int{1: asked}
			case name == "ExportUsers of campaigns received", name == "ExportUsers of Canvases received":
				want = [4]int{3: asked}
			case len(name) > 11 && name[:11] == "ExportUsers", name == "LookUp":
				want = [4]int{2: asked}
			}
			if got != want {
				t.Errorf("asked (shared, broadcast, export, export of received) %v, want %v", got, want)
			}
		})
	}
}

// TestPace has each documented default, by the time that calls take one after the other.
func TestPace(t *testing.T) {
	t.Parallel()
	calls := everyCall(t)
	calls["ExportUsers of campaigns received"] = func(ctx context.Context, c *rest.Client) error {
		_, err := c.ExportUsers(ctx, rest.ByID(u17), rest.FieldExternalID, rest.FieldCampaignsReceived)
		return err
	}
	for _, tt := range []struct {
		call  string
		calls int
		least time.Duration
	}{
		{"messages to users", 254, 250 * time.Hour / 250_000},
		{"campaign to an audience", 251, time.Minute},
		{"Canvas to everyone", 251, time.Minute},
		{"messages to a segment", 251, time.Minute},
		{"ExportUsers by IDs", 81, 2 * time.Second},
		{"ExportUsers of campaigns received", 251, time.Minute},
	} {
		t.Run(tt.call, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, following(answer(200, `{"message":"success","dispatch_id":"d-1","users":[]}`)))
				started := time.Now()
				for range tt.calls {
					if err := calls[tt.call](t.Context(), c); err != nil {
						t.Fatal(err)
					}
				}
				if took := time.Since(started); took < tt.least || took > tt.least+tt.least/100 {
					t.Errorf("%d calls took %s, want %s and little more", tt.calls, took, tt.least)
				}
			})
		})
	}
}

// TestBroadcastsPause has a unique audience that is sent to too often: the endpoint's 429 stops all broadcasts, and nothing else.
func TestBroadcastsPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rt := following(answer(429, "", "Retry-After", "40"), answer(201, accepted))
		c := newClient(t, rt)
		started := time.Now()
		for _, send := range []send{campaign(rest.ToEveryone()), canvas(rest.ToEveryone()), message(rest.ToUsers(u17), mail)} {
			if _, err := send(t.Context(), c); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(started); took < 40*time.Second || took > 41*time.Second || len(rt.seen()) != 4 {
			t.Errorf("%d attempts took %s", len(rt.seen()), took)
		}
	})
}
