package brazetest

import (
	"encoding/json"
	"maps"
)

// recipient is a user that a send names.
type recipient struct {
	user       user
	create     bool
	attributes *object // nil for none
	properties map[string]json.RawMessage
}

// recipients reads the recipients of a trigger; properties are the names of the field with a recipient's own properties.
func (c *call) recipients(properties ...string) []recipient {
	items := c.body.objects("recipients")
	if len(items) > MaxUsers {
		c.problemf(tooManyIDs)
		return nil
	}
	list := make([]recipient, 0, len(items))
	for _, item := range items {
		r := recipient{
			user:       item.user("external_user_id", "user_alias", "email", "braze_id"),
			properties: item.properties(properties...),
			create:     item.has("send_to_existing_only") && !item.yes("send_to_existing_only"),
		}
		if item.has("attributes") {
			attributes := item.object("attributes")
			r.attributes = &attributes
		}
		switch {
		case item.has("send_to_existing_only") && item.has("user_alias"):
			c.problemf("'%ssend_to_existing_only' cannot be used with user aliases", item.path)
		case r.create && r.attributes == nil:
			c.problemf("'%sattributes' is required when send_to_existing_only is false", item.path)
		}
		list = append(list, r)
	}
	return list
}

// properties reads the first of these objects that is there.
func (o object) properties(names ...string) map[string]json.RawMessage {
	for _, name := range names {
		if o.has(name) {
			return o.object(name).fields
		}
	}
	return nil
}

// find returns the profile of the recipient, made if the call asks for that, with its attributes set.
func (r *recipient) find(w *Workspace) *profile {
	p := w.lookUp(r.user)
	made := Profile{ExternalID: r.user.externalID, Email: r.user.email}
	if p == nil && r.create && made.check() == nil && len(w.reachedBy(r.user.email, "")) == 0 {
		p, _ = w.addProfile(made) // its identifier is not in use
	}
	if p != nil && r.attributes != nil {
		w.setAttributes(p, *r.attributes)
	}
	return p
}

// joined are the properties of the send with those of the recipient over them, or nil.
func (r *recipient) joined(all map[string]json.RawMessage) json.RawMessage {
	if len(all)+len(r.properties) == 0 {
		return nil
	}
	merged := maps.Clone(all)
	if merged == nil {
		merged = make(map[string]json.RawMessage)
	}
	maps.Copy(merged, r.properties)
	return json.RawMessage(encode(merged))
}
