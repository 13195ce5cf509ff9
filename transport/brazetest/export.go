package brazetest

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/cohortkit/cohortkit/segment"
)

// exported is a user object as /users/export/ids answers it, as far as the fake knows a user. What is empty is left out.
// It says nothing of cohorts, as at Braze.
type exported struct {
	CreatedAt      string                   `json:"created_at,omitempty"`
	ExternalID     string                   `json:"external_id,omitempty"`
	Aliases        []wireAlias              `json:"user_aliases,omitempty"`
	BrazeID        string                   `json:"braze_id,omitempty"`
	RandomBucket   int                      `json:"random_bucket"`
	Email          string                   `json:"email,omitempty"`
	Phone          string                   `json:"phone,omitempty"`
	PushSubscribe  string                   `json:"push_subscribe,omitempty"`
	EmailSubscribe string                   `json:"email_subscribe,omitempty"`
	Attributes     map[string]segment.Value `json:"custom_attributes,omitempty"`
	Devices        []wireDevice             `json:"devices,omitempty"`
	Apps           []wireApp                `json:"apps,omitempty"`
}

type wireAlias struct {
	Name  string `json:"alias_name"`
	Label string `json:"alias_label"`
}

type wireDevice struct {
	ID string `json:"device_id"`
}

type wireApp struct {
	Name     string `json:"name"`
	LastUsed string `json:"last_used,omitempty"`
}

// wireTime is how an export writes created_at, which is not how the rest of the API writes times.
const wireTime = "2006-01-02 15:04:05.000 UTC"

// randomBuckets is how many random buckets there are.
const randomBuckets = 10_000

// exportUsers is /users/export/ids.
func (c *call) exportUsers() func() any {
	users := append(c.users("external_ids"), c.users("user_aliases")...)
	if len(users) > MaxUsers {
		c.problems = []string{tooManyAliases}
	}
	if id := c.body.text("braze_id"); id != "" {
		users = append(users, user{brazeID: id})
	}
	device, email, phone := c.body.text("device_id"), c.body.text("email_address"), c.body.text("phone")
	switch given := slices.DeleteFunc([]string{device, email, phone}, func(text string) bool { return text == "" }); {
	case len(given) > 1:
		c.problemf("only one of 'device_id', 'email_address' and 'phone' can be exported in one request")
	case len(given) == 0 && len(users) == 0:
		c.problemf("one of 'external_ids', 'user_aliases', 'device_id', 'braze_id', 'email_address' and 'phone' is required")
	}
	fields := c.body.texts("fields_to_export")
	switch {
	case len(fields) == 0 && !c.server.cfg.early:
		c.problemf("'fields_to_export' is required")
	case len(fields) > 0 && !slices.Contains(fields, "campaigns_received") && !slices.Contains(fields, "canvases_received"):
		c.limits[0].bucket = narrowExportBucket
	}
	return c.locked(func(w *Workspace) any {
		said := struct {
			Message string   `json:"message"`
			Users   []any    `json:"users"`
			Invalid []string `json:"invalid_user_ids,omitempty"`
		}{Message: success, Users: []any{}}
		var found []*profile
		for _, u := range users {
			if p := w.lookUp(u); p != nil {
				found = append(found, p)
			} else {
				said.Invalid = append(said.Invalid, u.text())
			}
		}
		if holders, ok := w.people.devices[device]; ok {
			for i := range holders.all {
				found = append(found, w.people.all[i])
			}
		}
		found = append(found, w.reachedBy(email, phone)...)
		for i, p := range found {
			if !slices.Contains(found[:i], p) {
				said.Users = append(said.Users, w.export(p, fields))
			}
		}
		return said
	})
}

// text is how the answer repeats the identifier of a user that is not there.
func (u user) text() string {
	if u.alias != (Alias{}) {
		return u.alias.Label + ":" + u.alias.Name
	}
	return cmp.Or(u.externalID, u.brazeID)
}

// export makes the user object of a profile, with these fields or with all.
func (w *Workspace) export(p *profile, fields []string) any {
	shown := w.show(p)
	number, _ := strconv.ParseUint(shown.BrazeID[:8], 16, 64) // it is hexadecimal
	all := exported{
		CreatedAt:      time.Unix(0, p.created).UTC().Format(wireTime),
		ExternalID:     shown.ExternalID,
		BrazeID:        shown.BrazeID,
		RandomBucket:   int(number % randomBuckets),
		Email:          shown.Email,
		Phone:          shown.Phone,
		PushSubscribe:  stateText(shown.PushSubscription),
		EmailSubscribe: stateText(shown.EmailSubscription),
		Attributes:     shown.Attributes,
	}
	for _, a := range shown.Aliases {
		all.Aliases = append(all.Aliases, wireAlias{a.Name, a.Label})
	}
	for _, id := range shown.DeviceIDs {
		all.Devices = append(all.Devices, wireDevice{id})
	}
	for _, name := range shown.Apps {
		app := wireApp{Name: name}
		if !shown.LastUsedApp.IsZero() {
			app.LastUsed = shown.LastUsedApp.UTC().Format(time.RFC3339)
		}
		all.Apps = append(all.Apps, app)
	}
	if len(fields) == 0 {
		return all
	}
	var known map[string]json.RawMessage
	if err := json.Unmarshal([]byte(encode(all)), &known); err != nil {
		panic(err) // it was just written
	}
	maps.DeleteFunc(known, func(field string, _ json.RawMessage) bool { return !slices.Contains(fields, field) })
	return known
}
