package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/rest"
)

// What package cohort asks for its estimate of matches.
var _ interface {
	LookUp(context.Context, []identity.ID) ([]identity.Profile, error)
} = (*rest.Client)(nil)

// person is a user of a directory.
type person struct {
	profile identity.Profile
	brazeID string
}

// directory answers /users/export/ids from its people, as the contract has it. A former external ID leads to its user, whose export does not show it.
type directory struct {
	people []person

	mu       sync.Mutex
	requests []exportRequest
	atOnce   int
	most     int
}

type exportRequest struct {
	ExternalIDs []string      `json:"external_ids"`
	Aliases     []exportAlias `json:"user_aliases"`
	DeviceID    string        `json:"device_id"`
	Fields      []string      `json:"fields_to_export"`
}

type exportAlias struct {
	Name  string `json:"alias_name"`
	Label string `json:"alias_label"`
}

func (d *directory) RoundTrip(r *http.Request) (*http.Response, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if err := r.Body.Close(); err != nil {
		return nil, err
	}
	var req exportRequest
	if err := json.Unmarshal(text, &req); err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.requests = append(d.requests, req)
	d.atOnce++
	d.most = max(d.most, d.atOnce)
	d.mu.Unlock()
	select {
	case <-time.After(200 * time.Millisecond):
	case <-r.Context().Done():
	}
	d.mu.Lock()
	d.atOnce--
	d.mu.Unlock()
	if len(req.ExternalIDs)+len(req.Aliases) > 50 || req.DeviceID != "" && len(req.ExternalIDs)+len(req.Aliases) > 0 {
		return answer(http.StatusBadRequest, `{"message":"The max number of ids per request was exceeded"}`)(r)
	}
	return answer(http.StatusCreated, d.answer(req))(r)
}

func (d *directory) answer(req exportRequest) string {
	users, unknown := []map[string]any{}, []string{}
	for _, id := range req.ExternalIDs {
		if !slices.ContainsFunc(d.people, func(p person) bool { return p.named(id) }) {
			unknown = append(unknown, id)
		}
	}
	for _, p := range d.people {
		byAlias := func(a exportAlias) bool {
			return slices.Contains(p.profile.Aliases, identity.Alias{Label: a.Label, Name: a.Name})
		}
		if !slices.ContainsFunc(req.ExternalIDs, p.named) && !slices.ContainsFunc(req.Aliases, byAlias) && !slices.Contains(p.profile.DeviceIDs, req.DeviceID) {
			continue
		}
		u := map[string]any{}
		if p.brazeID != "" {
			u["braze_id"] = p.brazeID
		}
		if p.profile.ExternalID != "" {
			u["external_id"] = p.profile.ExternalID
		}
		aliases := []exportAlias{}
		for _, a := range p.profile.Aliases {
			aliases = append(aliases, exportAlias{Name: a.Name, Label: a.Label})
		}
		u["user_aliases"] = aliases
		users = append(users, u)
	}
	text, err := json.Marshal(map[string]any{"message": "success", "users": users, "invalid_user_ids": unknown})
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (p person) named(id string) bool {
	return id != "" && (p.profile.ExternalID == id || slices.Contains(p.profile.DeprecatedExternalIDs, id))
}

func TestLookUp(t *testing.T) {
	t.Parallel()
	ext := identity.ExternalID
	people := []person{
		{identity.Profile{ExternalID: "u-1", Aliases: []identity.Alias{{Label: "crm", Name: "c-1"}}}, "b1"},
		{identity.Profile{ExternalID: "u-2", DeprecatedExternalIDs: []string{"old-2", "older-2"}}, "b2"},
		{identity.Profile{Aliases: []identity.Alias{{Label: "crm", Name: "c-3"}}}, "b3"},
		{identity.Profile{DeviceIDs: []string{"d-4", "d-5"}}, "b4"},
		{identity.Profile{ExternalID: "u-6"}, ""},
	}
	u1 := identity.Profile{ExternalID: "u-1", Aliases: []identity.Alias{{Label: "crm", Name: "c-1"}}}
	tests := []struct {
		name     string
		ids      []identity.ID
		want     []identity.Profile
		requests int
	}{
		{"nobody", nil, nil, 0},
		{"unknown", []identity.ID{ext("u-9"), identity.Alias{Label: "crm", Name: "c-9"}.ID(), identity.DeviceID("d-9")}, nil, 2},
		{"one", []identity.ID{ext("u-1")}, []identity.Profile{u1}, 1},
		{"one twice", []identity.ID{ext("u-1"), ext("u-1")}, []identity.Profile{u1}, 1},
		{"one by two names", []identity.ID{ext("u-1"), identity.Alias{Label: "crm", Name: "c-1"}.ID()}, []identity.Profile{u1}, 1},
		{"alias-only", []identity.ID{identity.Alias{Label: "crm", Name: "c-3"}.ID()}, []identity.Profile{{Aliases: []identity.Alias{{Label: "crm", Name: "c-3"}}}}, 1},
		{"one of two devices", []identity.ID{identity.DeviceID("d-4")}, []identity.Profile{{DeviceIDs: []string{"d-4"}}}, 1},
		{"one by two devices", []identity.ID{identity.DeviceID("d-4"), identity.DeviceID("d-5")}, []identity.Profile{{DeviceIDs: []string{"d-4", "d-5"}}}, 2},
		{"renamed, asked alone", []identity.ID{ext("old-2")}, []identity.Profile{{ExternalID: "u-2", DeprecatedExternalIDs: []string{"old-2"}}}, 1},
		{"renamed, among others", []identity.ID{ext("u-1"), ext("old-2"), ext("u-9")}, []identity.Profile{u1, {ExternalID: "u-2", DeprecatedExternalIDs: []string{"old-2"}}}, 2},
		{"renamed twice", []identity.ID{ext("old-2"), ext("older-2")}, []identity.Profile{{ExternalID: "u-2", DeprecatedExternalIDs: []string{"old-2", "older-2"}}}, 3},
		{"by the old and the new name", []identity.ID{ext("old-2"), ext("u-2")}, []identity.Profile{{ExternalID: "u-2", DeprecatedExternalIDs: []string{"old-2"}}}, 2},
		{"without a Braze ID", []identity.ID{ext("u-6"), identity.DeviceID("d-9"), ext("u-6")}, []identity.Profile{{ExternalID: "u-6"}}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := &directory{people: people}
				got, err := newClient(t, d).LookUp(t.Context(), tt.ids)
				if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
					t.Errorf("profiles (-want +got):\n%s%v", diff, err)
				}
				if len(d.requests) != tt.requests {
					t.Errorf("%d requests, want %d", len(d.requests), tt.requests)
				}
				for _, r := range d.requests {
					if diff := cmp.Diff([]string{"external_id", "user_aliases", "braze_id", "devices"}, r.Fields); diff != "" {
						t.Errorf("fields (-want +got):\n%s", diff)
					}
				}
			})
		})
	}
}

// TestLookUpMany has more identifiers than fit into a request, and a clock.
func TestLookUpMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const named, devices = 1030, 40
		d := &directory{}
		var ids []identity.ID
		for i := range named {
			id := fmt.Sprint("u-", i)
			ids = append(ids, identity.ExternalID(id))
			d.people = append(d.people, person{identity.Profile{ExternalID: id}, "b" + id})
			if i < devices {
				ids = append(ids, identity.DeviceID(fmt.Sprint("d-", i)))
			}
		}
		started := time.Now()
		got, err := newClient(t, d).LookUp(t.Context(), ids)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range got {
			if p.ExternalID != fmt.Sprint("u-", i) {
				t.Fatalf("profile %d is of another user", i)
			}
		}
		const requests = 21 + devices
		if len(got) != named || len(d.requests) != requests || d.most < 2 || d.most > 8 {
			t.Errorf("%d profiles by %d requests, %d at once", len(got), len(d.requests), d.most)
		}
		// At 40 requests a second, and none of them waits for nothing.
		if took, least := time.Since(started), (requests-1)*25*time.Millisecond; took < least || took > least+time.Second {
			t.Errorf("took %s, want %s and little more", took, least)
		}
	})
}

func TestLookUpFails(t *testing.T) {
	t.Parallel()
	many := make([]identity.ID, 5000)
	for i := range many {
		many[i] = identity.ExternalID(fmt.Sprint("u-", i))
	}
	t.Run("an invalid identifier", func(t *testing.T) {
		t.Parallel()
		d := &directory{}
		_, err := newClient(t, d).LookUp(t.Context(), []identity.ID{u17, identity.DeviceID("")})
		if invalid, ok := errors.AsType[*rest.InvalidError](err); !ok || invalid.Field != "IDs[1]" || len(d.requests) != 0 {
			t.Errorf("error %v after %d requests", err, len(d.requests))
		}
		mustKeepSecrets(t, err)
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			rt := following(answer(200, `{"users":[]}`), answer(403, ""))
			got, err := newClient(t, rt).LookUp(t.Context(), many)
			if !errors.Is(err, transport.ErrForbidden) || got != nil {
				t.Errorf("LookUp = %d profiles, %v", len(got), err)
			}
			if n := len(rt.seen()); n > 16 {
				t.Errorf("%d requests after the refusal of the second", n)
			}
		})
	})
	t.Run("refused in the second look", func(t *testing.T) {
		t.Parallel()
		rt := following(answer(200, `{"users":[{"external_id":"u-new","braze_id":"b"}]}`), answer(403, ""))
		got, err := newClient(t, rt).LookUp(t.Context(), many[:2])
		if !errors.Is(err, transport.ErrForbidden) || got != nil || len(rt.seen()) != 2 {
			t.Errorf("LookUp = %d profiles, %v after %d requests", len(got), err, len(rt.seen()))
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			got, err := newClient(t, &directory{}).LookUp(ctx, many)
			if !errors.Is(err, context.DeadlineExceeded) || got != nil {
				t.Errorf("LookUp = %d profiles, %v", len(got), err)
			}
		})
	})
	t.Run("cancelled before", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		d := &directory{}
		_, err := newClient(t, d).LookUp(ctx, many)
		if !errors.Is(err, context.Canceled) || len(d.requests) != 0 {
			t.Errorf("error %v after %d requests", err, len(d.requests))
		}
	})
}
