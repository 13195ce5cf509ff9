package brazetest

import "strings"

// The causes of a 400 that the errors page labels.
const (
	tooManyIDs     = "The max number of ids per request was exceeded"
	tooManyAliases = "The max number of external_ids and aliases per request was exceeded"
)

// batch reads the array of objects that a call is about: 1 to 50.
func (c *call) batch(name string) []object {
	if !c.body.has(name) {
		c.problemf("'%s' must be an array of objects", name)
		return nil
	}
	items := c.body.objects(name)
	c.limitBatch(name, len(items))
	if len(items) > MaxUsers {
		return nil
	}
	return items
}

// limitBatch notes that a batch is empty or too large.
func (c *call) limitBatch(name string, items int) {
	switch {
	case items > MaxUsers:
		c.problems = []string{tooManyIDs}
	case items == 0 && len(c.problems) == 0:
		c.problemf("'%s' must not be empty", name)
	}
}

// locked returns an effect that has the workspace to itself.
func (c *call) locked(effect func(*Workspace) any) func() any {
	return func() any {
		c.workspace.mu.Lock()
		defer c.workspace.mu.Unlock()
		return effect(c.workspace)
	}
}

// processed is the answer of the calls that count what they were asked.
type processed struct {
	Processed int    `json:"aliases_processed"`
	Message   string `json:"message"`
}

// addAliases is /users/alias/new. Whatever cannot be added is counted all the same.
func (c *call) addAliases() func() any {
	type addition struct {
		externalID string
		alias      Alias
	}
	var list []addition
	for _, item := range c.batch("user_aliases") {
		list = append(list, addition{item.text("external_id"), item.alias()})
	}
	return c.locked(func(w *Workspace) any {
		for _, a := range list {
			if a.externalID == "" {
				_, _ = w.addProfile(Profile{Aliases: []Alias{a.alias}}) // a pair in use changes nothing
			} else if p := w.lookUp(user{externalID: a.externalID}); p != nil {
				_ = w.addAlias(p, a.alias) // nor does this
			}
		}
		return processed{len(list), success}
	})
}

// renameAliases is /users/alias/update. An unknown alias, and a new name that is in use, change nothing.
func (c *call) renameAliases() func() any {
	type renaming struct {
		alias Alias
		name  string
	}
	var list []renaming
	for _, item := range c.batch("alias_updates") {
		alias := Alias{Label: item.need("alias_label"), Name: item.need("old_alias_name")}
		list = append(list, renaming{alias, item.need("new_alias_name")})
	}
	return c.locked(func(w *Workspace) any {
		for _, r := range list {
			_ = w.renameAlias(r.alias, r.name)
		}
		return accepted{success}
	})
}

// identifyUsers is /users/identify.
func (c *call) identifyUsers() func() any {
	type identification struct {
		user       user
		externalID string
	}
	var list []identification
	for _, kind := range [...]struct{ list, field string }{
		{"aliases_to_identify", "user_alias"},
		{"emails_to_identify", "email"},
		{"phone_numbers_to_identify", "phone"},
	} {
		for _, item := range c.body.objects(kind.list) {
			list = append(list, identification{item.user(kind.field), item.need("external_id")})
		}
	}
	c.limitBatch("aliases_to_identify', 'emails_to_identify' or 'phone_numbers_to_identify", len(list))
	return c.locked(func(w *Workspace) any {
		for _, i := range list {
			p := w.lookUp(i.user)
			if p == nil || p.external != "" {
				continue
			}
			known := w.lookUp(user{externalID: i.externalID})
			if known != nil && known.hasLabel(i.user.alias.Label) {
				continue // the profiles are not combined
			}
			w.identify(p, i.externalID)
		}
		return processed{len(list), success}
	})
}

// mergeUsers is /users/merge, done at once.
func (c *call) mergeUsers() func() any {
	type merging struct{ merge, keep user }
	fields := []string{"external_id", "user_alias", "email", "phone"}
	var list []merging
	for _, item := range c.batch("merge_updates") {
		if len(item.fields) != 2 || !item.has("identifier_to_merge") || !item.has("identifier_to_keep") {
			c.problemf("'%s' must have 'identifier_to_merge' and 'identifier_to_keep' and no more", strings.TrimSuffix(item.path, "."))
			continue
		}
		list = append(list, merging{item.object("identifier_to_merge").user(fields...), item.object("identifier_to_keep").user(fields...)})
	}
	return c.locked(func(w *Workspace) any {
		for _, m := range list {
			from, into := w.lookUp(m.merge), w.lookUp(m.keep)
			if from != nil && into != nil && from != into {
				w.merge(into, from)
			}
		}
		return accepted{success}
	})
}

// deleteUsers is /users/delete. It counts the profiles that it found.
func (c *call) deleteUsers() func() any {
	var given []string
	for _, name := range []string{"external_ids", "user_aliases", "braze_ids", "email_addresses", "phone_numbers"} {
		if c.body.has(name) {
			given = append(given, name)
		}
	}
	if len(given) != 1 {
		c.problemf("exactly one of 'external_ids', 'user_aliases', 'braze_ids', 'email_addresses' and 'phone_numbers' is required")
		return nil
	}
	list := c.users(given[0])
	c.limitBatch(given[0], len(list))
	return c.locked(func(w *Workspace) any {
		deleted := 0
		for _, u := range list {
			if p := w.lookUp(u); p != nil {
				w.delete(p)
				deleted++
			}
		}
		return struct {
			Deleted int    `json:"deleted"`
			Message string `json:"message"`
		}{deleted, success}
	})
}

// failure is an entry of the error lists of the two external ID calls: the index in the request, and what is wrong.
type failure [2]any

// renameExternalIDs is /users/external_ids/rename. The answer lists the new IDs.
func (c *call) renameExternalIDs() func() any {
	type renaming struct{ current, renamed string }
	var list []renaming
	for _, item := range c.batch("external_id_renames") {
		list = append(list, renaming{item.need("current_external_id"), item.need("new_external_id")})
	}
	return c.locked(func(w *Workspace) any {
		said := struct {
			Message     string    `json:"message"`
			ExternalIDs []string  `json:"external_ids"`
			Errors      []failure `json:"rename_errors"`
		}{success, []string{}, []failure{}}
		for i, r := range list {
			if err := w.rename(r.current, r.renamed); err != nil {
				said.Errors = append(said.Errors, failure{i, err.Error()})
				continue
			}
			said.ExternalIDs = append(said.ExternalIDs, r.renamed)
		}
		return said
	})
}

// removeExternalIDs is /users/external_ids/remove.
func (c *call) removeExternalIDs() func() any {
	list := c.body.texts("external_ids")
	c.limitBatch("external_ids", len(list))
	return c.locked(func(w *Workspace) any {
		said := struct {
			Message string    `json:"message"`
			Removed []string  `json:"removed_ids"`
			Errors  []failure `json:"removal_errors"`
		}{success, []string{}, []failure{}}
		for i, id := range list {
			if err := w.removeDeprecated(id); err != nil {
				said.Errors = append(said.Errors, failure{i, err.Error()})
				continue
			}
			said.Removed = append(said.Removed, id)
		}
		return said
	})
}
