package brazetest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/cohortkit/cohortkit/segment"
)

// Lengths in bytes that /users/track enforces.
const (
	maxExternalID = 987
	minDeviceID   = 8
	maxDeviceID   = 255
)

// trackError is a minor error of /users/track: the object at this index is left out.
type trackError struct {
	Type  string `json:"type"`
	Array string `json:"input_array"`
	Index int    `json:"index"`
}

// trackUsers is /users/track. Of events and purchases it keeps nothing, but makes the profile they are about.
func (c *call) trackUsers() func() any {
	arrays := [...]string{"attributes", "events", "purchases"}
	var items [len(arrays)][]object
	total := 0
	for i, name := range arrays {
		items[i] = c.body.objects(name)
		total += len(items[i])
	}
	switch {
	case total > MaxTracked:
		c.problems = []string{"Max Input Length Exceeded"}
	case total == 0 && len(c.problems) == 0:
		c.problemf("one of 'attributes', 'events' and 'purchases' is required")
	}
	return c.locked(func(w *Workspace) any {
		said := map[string]any{"message": success}
		var errs []trackError
		for i, name := range arrays {
			processed := 0
			for index, item := range items[i] {
				item.call = &call{server: c.server} // what is wrong from here on is a minor error
				p, problem := w.track(item)
				if problem != "" {
					errs = append(errs, trackError{problem, name, index})
					continue
				}
				processed++
				if p != nil && name == "attributes" {
					w.setAttributes(p, item)
				}
			}
			if len(items[i]) > 0 {
				said[name+"_processed"] = processed
			}
		}
		if errs != nil {
			said["errors"] = errs
		}
		return said
	})
}

// track finds or makes the profile that an object of /users/track is about, nil for none, or says what is wrong with the object.
func (w *Workspace) track(o object) (p *profile, problem string) {
	u, problem := o.tracked()
	if problem == "" {
		problem = w.trackable(u, o)
	}
	if problem != "" {
		return nil, problem
	}
	if p = w.lookUp(u); p == nil && w.makes(u, o) {
		made := Profile{ExternalID: u.externalID, Email: u.email, Phone: u.phone}
		if u.alias != (Alias{}) {
			made.Aliases = []Alias{u.alias}
		}
		p, _ = w.addProfile(made) // nobody has its identifier
	}
	return p, ""
}

// makes reports whether a user that is not there is made: by default one with an external ID is, and one with an alias is not.
func (w *Workspace) makes(u user, o object) bool {
	existing := u.alias != Alias{}
	if o.has("_update_existing_only") {
		existing = o.yes("_update_existing_only")
	}
	return !existing && u.brazeID == "" && len(w.reachedBy(u.email, u.phone)) == 0
}

// tracked reads which user an object is about: one primary identifier, or else an e-mail address before a phone number.
func (o object) tracked() (user, string) {
	var given []string
	for _, name := range []string{"external_id", "user_alias", "braze_id"} {
		if o.has(name) {
			given = append(given, name)
		}
	}
	var u user
	switch {
	case len(given) > 1:
		return u, "an object must have one of external_id, user_alias and braze_id"
	case len(given) == 1:
		u = o.user(given[0])
	case o.text("email") != "":
		u.email, u.order = o.text("email"), []string{mostRecentlyUpdated}
	case o.text("phone") != "":
		u.phone, u.order = o.text("phone"), []string{mostRecentlyUpdated}
	default:
		return u, "an object must have an identifier"
	}
	o.yes("_update_existing_only") // one that cannot be read must not make a user
	if len(o.call.problems) > 0 {
		return u, o.call.problems[0]
	}
	return u, ""
}

// trackable checks what has an error code of its own.
func (w *Workspace) trackable(u user, o object) string {
	switch {
	case len(u.externalID) > maxExternalID:
		return "EXTERNAL_USER_ID_TOO_LARGE"
	case slices.Contains(w.server.cfg.blocked, u.externalID) && u.externalID != "":
		return "BLACKLISTED_EXTERNAL_USER_ID"
	case o.has("email_subscribe") && stateOf(o.text("email_subscribe")) == segment.NotKnown:
		return "BAD_EMAIL_SUBSCRIPTION_STATE"
	case o.has("push_subscribe") && stateOf(o.text("push_subscribe")) == segment.NotKnown:
		return "BAD_PUSH_SUBSCRIPTION_STATE"
	}
	for _, token := range o.objects("push_tokens") {
		if n := len(token.text("device_id")); token.has("device_id") && (n < minDeviceID || n > maxDeviceID) {
			return "BAD_DEVICE_ID"
		}
	}
	return ""
}

// The states of a subscription on the wire.
const (
	optedIn      = "opted_in"
	subscribed   = "subscribed"
	unsubscribed = "unsubscribed"
)

func stateOf(text string) segment.Subscription {
	switch text {
	case optedIn:
		return segment.OptedIn
	case subscribed:
		return segment.Subscribed
	case unsubscribed:
		return segment.Unsubscribed
	default:
		return segment.NotKnown
	}
}

func stateText(s segment.Subscription) string {
	for _, text := range []string{optedIn, subscribed, unsubscribed} {
		if stateOf(text) == s {
			return text
		}
	}
	return ""
}

// standard reports whether a field of an attributes object is no custom attribute.
func standard(name string) bool {
	switch name {
	case "external_id", "user_alias", "braze_id", "_update_existing_only", "push_tokens", "email", "phone", "email_subscribe", "push_subscribe",
		"first_name", "last_name", "dob", "home_city", "country", "language", "time_zone", "gender":
		return true
	}
	return false
}

// setAttributes sets what an attributes object says. What the fake does not know of is left out.
func (w *Workspace) setAttributes(p *profile, o object) {
	o.call = &call{server: w.server} // what cannot be read is left out
	t := p.change()
	o.into("email", "a string", &t.email)
	o.into("phone", "a string", &t.phone)
	if state := stateOf(o.text("email_subscribe")); state != segment.NotKnown {
		t.emailState = state
	}
	if state := stateOf(o.text("push_subscribe")); state != segment.NotKnown {
		t.pushState = state
	}
	for _, token := range o.objects("push_tokens") {
		if id := token.text("device_id"); id != "" {
			w.addDevice(p, id)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.fields)) {
		if stripped := strings.TrimSpace(name); stripped != "" && !standard(stripped) {
			t.setCustom(stripped, o.fields[name])
		}
	}
}

// setCustom sets a custom attribute; null takes it away. An object changes what is there: it adds to an array, removes from it, or raises a number.
func (t *traits) setCustom(name string, raw json.RawMessage) {
	var list []string
	var value segment.Value
	switch {
	case raw[0] == '{':
		t.changeCustom(name, raw)
	case string(raw) == "null":
		delete(t.attributes, name)
	case raw[0] == '[':
		if json.Unmarshal(raw, &list) == nil {
			t.setArray(name, list)
		}
	case json.Unmarshal(raw, &value) == nil:
		t.set(name, value)
	}
}

func (t *traits) changeCustom(name string, raw json.RawMessage) {
	var change struct {
		Add    []string `json:"add"`
		Remove []string `json:"remove"`
		Raise  float64  `json:"inc"`
	}
	if json.Unmarshal(raw, &change) != nil {
		return
	}
	current := []byte(encode(t.attributes[name])) // null for none
	var list []string
	var number float64
	switch {
	case change.Raise != 0 && json.Unmarshal(current, &number) == nil:
		t.set(name, segment.NumberValue(number+change.Raise))
	case len(change.Add)+len(change.Remove) > 0 && json.Unmarshal(current, &list) == nil:
		list = slices.DeleteFunc(list, func(e string) bool { return slices.Contains(change.Remove, e) })
		t.setArray(name, append(list, change.Add...))
	}
}

// setArray sets an array attribute, whose values are unique.
func (t *traits) setArray(name string, list []string) {
	var unique []string
	for _, e := range list {
		if !slices.Contains(unique, e) {
			unique = append(unique, e)
		}
	}
	t.set(name, segment.ArrayValue(unique...))
}
