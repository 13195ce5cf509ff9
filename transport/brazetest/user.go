package brazetest

import (
	"slices"
	"strings"
)

// user is a user as a REST call names one: by one identifier.
type user struct {
	externalID, brazeID string
	alias               Alias
	email, phone        string
	order               []string // the prioritization of e-mail and phone
}

// alias reads a user alias object.
func (o object) alias() Alias {
	return Alias{Label: o.need("alias_label"), Name: o.need("alias_name")}
}

// user reads which user an object names, by exactly one of these fields.
func (o object) user(fields ...string) user {
	var u user
	var given []string
	for _, name := range fields {
		if o.has(name) {
			given = append(given, name)
		}
	}
	if len(given) != 1 {
		o.call.problemf("'%s' must have exactly one of %s", strings.TrimSuffix(o.path, "."), strings.Join(fields, ", "))
		return u
	}
	switch name := given[0]; name {
	case "user_alias":
		u.alias = o.object(name).alias()
	case "braze_id":
		u.brazeID = o.need(name)
	case "email":
		u.email, u.order = o.need(name), o.prioritization()
	case "phone":
		u.phone, u.order = o.need(name), o.prioritization()
	default:
		u.externalID = o.need(name)
	}
	return u
}

// users reads an optional array of users that are all named in the same way, which the name of the array tells.
func (c *call) users(list string) []user {
	var users []user
	switch list {
	case "external_ids", "external_user_ids":
		for _, id := range c.body.texts(list) {
			users = append(users, user{externalID: id})
		}
	case "braze_ids":
		for _, id := range c.body.texts(list) {
			users = append(users, user{brazeID: id})
		}
	case "user_aliases":
		for _, item := range c.body.objects(list) {
			users = append(users, user{alias: item.alias()})
		}
	case "email_addresses":
		for _, item := range c.body.objects(list) {
			users = append(users, item.user("email"))
		}
	case "phone_numbers":
		for _, item := range c.body.objects(list) {
			users = append(users, item.user("phone"))
		}
	}
	return users
}

// The values of a prioritization.
const (
	identified           = "identified"
	unidentified         = "unidentified"
	mostRecentlyUpdated  = "most_recently_updated"
	leastRecentlyUpdated = "least_recently_updated"
)

func (o object) prioritization() []string {
	order := o.texts("prioritization")
	if len(order) == 0 {
		o.call.problemf("'%sprioritization' is required", o.path)
	}
	for _, value := range order {
		if !slices.Contains([]string{identified, unidentified, mostRecentlyUpdated, leastRecentlyUpdated}, value) {
			o.call.problemf("'%sprioritization' has an unknown value", o.path)
		}
	}
	if slices.Contains(order, identified) && slices.Contains(order, unidentified) {
		o.call.problemf("'%sprioritization' must not have both identified and unidentified", o.path)
	}
	return order
}

// lookUp returns the one profile that a call means, or nil when there is none or several. The workspace's lock is held.
func (w *Workspace) lookUp(u user) *profile {
	switch {
	case u.externalID != "":
		if index, ok := w.people.externals.get(u.externalID); ok {
			return w.people.all[index]
		}
	case u.brazeID != "":
		if p, err := w.find(u.brazeID); err == nil {
			return p
		}
	case u.alias != Alias{}:
		if index, ok := w.people.aliases[u.alias]; ok {
			return w.people.all[index]
		}
	default:
		if found := prioritize(w.reachedBy(u.email, u.phone), u.order); len(found) == 1 {
			return found[0]
		}
	}
	return nil
}

// reachedBy returns the profiles with this e-mail address or phone number; the other one is empty.
func (w *Workspace) reachedBy(email, phone string) []*profile {
	if email == "" && phone == "" {
		return nil
	}
	var found []*profile
	for _, p := range w.people.all {
		if !p.gone() && p.traits != nil && (email != "" && p.traits.email == email || phone != "" && p.traits.phone == phone) {
			found = append(found, p)
		}
	}
	return found
}

// prioritize leaves those that each value in turn prefers of profiles that have traits.
func prioritize(list []*profile, order []string) []*profile {
	for _, value := range order {
		if len(list) == 0 {
			return nil
		}
		latest, earliest := list[0].traits.updated, list[0].traits.updated
		for _, p := range list {
			latest, earliest = max(latest, p.traits.updated), min(earliest, p.traits.updated)
		}
		list = slices.DeleteFunc(list, func(p *profile) bool {
			switch value {
			case identified:
				return p.external == ""
			case unidentified:
				return p.external != ""
			case mostRecentlyUpdated:
				return p.traits.updated != latest
			default:
				return p.traits.updated != earliest
			}
		})
	}
	return list
}
