package cohort_test

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// person is somebody whom the caller knows. What the caller knows of a person is what the workspace does, once there is a profile.
type person struct {
	number int
	braze  string            // the Braze ID of the profile, or "" while there is none
	known  brazetest.Profile // of a person without a profile: what the profile had, or will have
}

// world is the workspace and its people. Profiles share no device: whoever is sent by a shared one brings in all anonymous profiles that have it, and
// no sender can help that.
type world struct {
	workspace *brazetest.Workspace
	reading   reading
	people    []*person
	made      int               // people
	texts     int               // identifiers
	free      []brazetest.Alias // that were somebody's
	merged    func(from, into *person)
	about     []int // the numbers of the people whom the last change was about

	owners map[identity.ID]string // by what matches, the Braze ID; nil after a change
}

func aliasLabels() []string { return []string{"crm", "loyalty", "app"} }

// text makes up an identifier that was never used. The digits in the middle keep the order of identifiers from being that of their making.
func (w *world) text(r *rand.Rand, kind string) string {
	w.texts++
	return fmt.Sprintf("%s-%03d-%04d", kind, r.IntN(1000), w.texts)
}

func (w *world) alias(r *rand.Rand, label string) brazetest.Alias {
	return brazetest.Alias{Label: label, Name: w.text(r, "alias")}
}

// owner returns the Braze ID of the profile that a change with this identifier reaches, or "". It is the table of section 1.4 of the contract once more.
func (w *world) owner(id identity.ID) string {
	if w.owners == nil {
		w.owners = map[identity.ID]string{}
		for _, p := range w.workspace.Profiles() {
			for _, id := range identifiersOf(p) {
				if w.reading.matches(id, p) {
					w.owners[id] = p.BrazeID
				}
			}
		}
	}
	return w.owners[id]
}

// matches reports whether a profile is matched by an identifier that it has.
func (r reading) matches(id identity.ID, p brazetest.Profile) bool {
	switch id.Kind() {
	case identity.ExternalIDKind:
		return id.Value() == p.ExternalID || !r.ignoreFormer
	case identity.AliasKind:
		return p.Identified() || !r.aliasIdentifiedOnly
	default:
		return !p.Identified()
	}
}

// identifiersOf returns all identifiers of a profile, former external IDs too.
func identifiersOf(p brazetest.Profile) []identity.ID {
	var ids []identity.ID
	if p.ExternalID != "" {
		ids = append(ids, identity.ExternalID(p.ExternalID))
	}
	for _, former := range p.DeprecatedExternalIDs {
		ids = append(ids, identity.ExternalID(former))
	}
	for _, a := range p.Aliases {
		ids = append(ids, identity.Alias(a).ID())
	}
	for _, d := range p.DeviceIDs {
		ids = append(ids, identity.DeviceID(d))
	}
	return ids
}

// profile returns what the caller can find out about a person.
func (w *world) profile(p *person) brazetest.Profile {
	if p.braze == "" {
		return p.known
	}
	profile, _ := w.workspace.Profile(p.braze)
	return profile
}

// personOf turns a profile into the Person of a source.
func personOf(p brazetest.Profile) identity.Person {
	out := identity.Person{ExternalID: p.ExternalID, FormerExternalIDs: p.DeprecatedExternalIDs, DeviceIDs: p.DeviceIDs}
	for _, a := range p.Aliases {
		out.Aliases = append(out.Aliases, identity.Alias(a))
	}
	return out
}

// add makes a person, with a profile or before there is one.
func (w *world) add(r *rand.Rand, signedUp bool) {
	w.made++
	p := &person{number: w.made}
	kind := r.IntN(3)
	if kind == 0 || r.IntN(4) == 0 {
		p.known.ExternalID = w.text(r, "external")
	}
	for i, label := range aliasLabels() {
		if kind == 1 && i == 0 || r.IntN(4) == 0 {
			p.known.Aliases = append(p.known.Aliases, w.alias(r, label))
		}
	}
	for i := range 2 {
		if kind == 2 && i == 0 || r.IntN(4) == 0 {
			p.known.DeviceIDs = append(p.known.DeviceIDs, w.text(r, "device"))
		}
	}
	w.people = append(w.people, p)
	w.about = append(w.about, p.number)
	if signedUp {
		w.signUp(p)
	}
}

// signUp makes the profile of a person who has none.
func (w *world) signUp(p *person) bool {
	known := p.known
	known.DeprecatedExternalIDs = nil // a new profile was never renamed
	braze, err := w.workspace.AddProfile(known)
	if err != nil { // somebody else has one of the identifiers by now
		return false
	}
	p.braze, p.known = braze, brazetest.Profile{}
	return true
}

// pick returns a random person who fits, or nil.
func (w *world) pick(r *rand.Rand, fits func(*person, brazetest.Profile) bool) *person {
	var list []*person
	for _, p := range w.people {
		if fits(p, w.profile(p)) {
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		return nil
	}
	p := list[r.IntN(len(list))]
	w.about = append(w.about, p.number)
	return p
}

func (w *world) hasProfile(p *person, _ brazetest.Profile) bool { return p.braze != "" }

func (w *world) anonymous(p *person, known brazetest.Profile) bool {
	return p.braze != "" && !known.Identified()
}

func (w *world) identified(p *person, known brazetest.Profile) bool {
	return p.braze != "" && known.Identified()
}

// forget takes a person off the list who is another one by now.
func (w *world) forget(p *person) {
	w.people = slices.DeleteFunc(w.people, func(o *person) bool { return o == p })
}

// worldChange is something that happens to people, and not through the library. It returns false if there is nobody to whom it can happen.
type worldChange struct {
	name   string
	weight int
	change func(*world, *rand.Rand) bool
}

func worldChanges() []worldChange {
	return []worldChange{
		{"a person signs up", 2, func(w *world, r *rand.Rand) bool {
			w.add(r, true)
			return true
		}},
		{"the caller hears of a person before Braze does", 2, func(w *world, r *rand.Rand) bool {
			w.add(r, false)
			return true
		}},
		{"a known person gets a profile late", 3, func(w *world, r *rand.Rand) bool {
			p := w.pick(r, func(p *person, _ brazetest.Profile) bool { return p.braze == "" })
			return p != nil && w.signUp(p)
		}},
		{"a profile is identified", 4, func(w *world, r *rand.Rand) bool {
			p := w.pick(r, w.anonymous)
			if p == nil {
				return false
			}
			_, err := w.workspace.Identify(p.braze, w.text(r, "external"))
			return err == nil
		}},
		{"a profile is identified as a known one", 3, func(w *world, r *rand.Rand) bool {
			from, into := w.pick(r, w.anonymous), w.pick(r, w.identified)
			if from == nil || into == nil {
				return false
			}
			profile := w.profile(into)
			texts := append([]string{profile.ExternalID}, profile.DeprecatedExternalIDs...)
			if _, err := w.workspace.Identify(from.braze, texts[r.IntN(len(texts))]); err != nil {
				return false
			}
			w.merged(from, into)
			w.forget(from)
			return true
		}},
		{"two profiles are merged", 4, func(w *world, r *rand.Rand) bool {
			keep, from := w.pick(r, w.hasProfile), w.pick(r, w.hasProfile)
			if keep == nil || keep == from || w.workspace.Merge(keep.braze, from.braze) != nil {
				return false
			}
			w.merged(from, keep)
			w.forget(from)
			return true
		}},
		{"an external ID is renamed", 5, func(w *world, r *rand.Rand) bool {
			p := w.pick(r, w.identified)
			return p != nil && w.workspace.Rename(w.profile(p).ExternalID, w.text(r, "external")) == nil
		}},
		{"a former external ID ends", 1, func(w *world, r *rand.Rand) bool {
			p := w.pick(r, func(_ *person, known brazetest.Profile) bool { return len(known.DeprecatedExternalIDs) > 0 })
			return p != nil && w.workspace.RemoveDeprecated(w.profile(p).DeprecatedExternalIDs[0]) == nil
		}},
		{"an alias is renamed", 2, func(w *world, r *rand.Rand) bool {
			p := w.pick(r, func(p *person, known brazetest.Profile) bool { return p.braze != "" && len(known.Aliases) > 0 })
			if p == nil {
				return false
			}
			a := w.profile(p).Aliases[0]
			if w.workspace.RenameAlias(a, w.text(r, "alias")) != nil {
				return false
			}
			w.free = append(w.free, a)
			return true
		}},
		{"an alias gets another label", 4, func(w *world, r *rand.Rand) bool {
			p := w.pick(r, func(p *person, known brazetest.Profile) bool { return p.braze != "" && len(known.Aliases) > 0 })
			if p == nil {
				return false
			}
			labels := aliasLabels()
			a := brazetest.Alias{Label: labels[r.IntN(len(labels))], Name: w.profile(p).Aliases[0].Name}
			return w.workspace.AddAlias(p.braze, a) == nil
		}},
		{"a profile gets an alias", 2, func(w *world, r *rand.Rand) bool {
			p := w.pick(r, w.hasProfile)
			if p == nil {
				return false
			}
			labels := aliasLabels()
			return w.workspace.AddAlias(p.braze, w.alias(r, labels[r.IntN(len(labels))])) == nil
		}},
		{"an alias changes hands", 2, func(w *world, r *rand.Rand) bool {
			p := w.pick(r, w.hasProfile)
			if p == nil || len(w.free) == 0 {
				return false
			}
			i := r.IntN(len(w.free))
			if w.workspace.AddAlias(p.braze, w.free[i]) != nil {
				return false
			}
			w.free = slices.Delete(w.free, i, i+1)
			return true
		}},
		{"a person uses another device", 3, func(w *world, r *rand.Rand) bool {
			p := w.pick(r, w.hasProfile)
			return p != nil && w.workspace.AddDevice(p.braze, w.text(r, "device")) == nil
		}},
		{"a profile is deleted", 2, func(w *world, r *rand.Rand) bool {
			p := w.pick(r, w.hasProfile)
			if p == nil {
				return false
			}
			known := w.profile(p)
			if w.workspace.Delete(p.braze) != nil {
				return false
			}
			known.BrazeID = ""
			p.braze, p.known = "", known
			return true
		}},
	}
}

// happen lets something happen and returns its name.
func (w *world) happen(r *rand.Rand) string {
	changes := worldChanges()
	total := 0
	for _, c := range changes {
		total += c.weight
	}
	for range 8 {
		w.about = nil
		n := r.IntN(total)
		for _, c := range changes {
			if n -= c.weight; n >= 0 {
				continue
			}
			if c.change(w, r) {
				w.owners = nil
				return c.name
			}
			break
		}
	}
	return ""
}
