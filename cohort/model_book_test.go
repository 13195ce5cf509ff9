package cohort_test

import (
	"maps"
	"slices"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// What a run promises, and what the model therefore expects of the profiles in the fake's cohort.
//
// The caller names each wanted person by all identifiers that the workspace knows of the person at that moment. When Sync says nil, then
//
//	in:  the profile of every wanted person, whom neither the rules nor the do-not-send list keep out, is in the cohort;
//	out: no other profile is.
//
// The library sees identifiers, and sees them only while it runs. So "in" says nothing of a member that needed no change in this run if
//
//	unmatched: the addition of its identifier, when it took effect, put in nobody or somebody else: the profile came later, or again after it
//	           was deleted, or the identifier was another one's then. Reassert is what helps.
//	untold:    the addition did put the profile in, and the removal of another identifier of the profile took it out, in a run whose source has
//	           identifiers alone, so that it could not say that both are one person.
//	halved:    the same in a run that was not to fill the cohort, such as Erase, and was told of one of the two identifiers.
//
// Untold is no excuse if the removal had been held back by the guard when the addition was sent: the library knew that it would still come.
//
// And "out" says nothing of a profile of which
//
//	moved:     no identifier that matches it now was added and not removed since. Its membership came along from an identifier that it lost, from a
//	           device that counts no more since it is identified, or from a profile that was merged into it. It is counted apart where the caller
//	           names the profile all the same, in a row of somebody on the do-not-send list: when the removal of the former identifier is long past,
//	           nothing tells that there is anybody to remove. For Erase it is no excuse.
//	mistaken:  the caller named an identifier as that of a wanted person who has no profile any more, and another profile has it by now, such as an
//	           alias that changed hands. What is named is what is sent.
//
// Whether something was added or removed is told by the fake, by what took effect and not by what was answered, so that a ledger that forgets or
// invents is no excuse. Each excuse that was needed is counted.
//
// However a run ends, the ledger must be sound: who is recorded as in was put in by that identifier and is still there but for these excuses,
// and every addition that took effect, and was not taken back, is recorded. That makes sure that nobody is lost, or kept, in silence.

// loss is why a profile that an addition had put in is out.
type loss string

const (
	noLoss loss = ""
	owed   loss = "owed" // the library could have known: no excuse
	untold loss = "untold"
	halved loss = "halved"
)

// excuses reports whether the loss is none that a run promises to mend.
func (l loss) excuses() bool { return l == untold || l == halved }

// standing is an addition that took effect and was not taken back.
type standing struct {
	run    int    // in which it last took effect
	on     string // the Braze ID of the profile that it put in, or "" for nobody
	loss   loss
	beside map[identity.ID]bool // members that the same run should have removed, and held
}

// book is what the model knows of one cohort.
type book struct {
	id       string
	name     string
	created  int64 // when it got its first name, in milliseconds
	wanted   map[*person]bool
	standing map[identity.ID]*standing
	held     int // removals that the last sync held
	done     bool
}

func newBook(id, name string) *book {
	return &book{id: id, name: name, wanted: map[*person]bool{}, standing: map[identity.ID]*standing{}}
}

// row is a row of a source that names somebody who can be sent.
type row struct {
	profile string // the Braze ID, or ""
	chosen  identity.ID
	others  []identity.ID // of which the library is told
}

// view is a source as the model sees it.
type view struct {
	people     bool // and not identifiers alone
	rows       []row
	byID       map[identity.ID]*row
	byProfile  map[string]*row
	told       map[string]bool // profiles of whom the source names identifiers only to keep them out
	out        []row           // the rows that do
	audience   bool            // it is an audience, and not only what a call has to remove
	read       int
	rejected   int
	suppressed int
	duplicate  int
	held       map[identity.ID]bool // removals that the guard holds
}

func newView() *view {
	return &view{byID: map[identity.ID]*row{}, byProfile: map[string]*row{}, told: map[string]bool{}}
}

func (v *view) add(r row) {
	if v.byID[r.chosen] != nil {
		v.duplicate++
		return
	}
	v.byID[r.chosen] = &r
	if r.profile != "" {
		v.byProfile[r.profile] = &r
	}
	v.rows = append(v.rows, r)
}

// apply enters what took effect of a request that changed users.
func (b *book) apply(w *world, v *view, run int, changes []brazetest.Change) {
	for _, c := range changes {
		for _, i := range c.Identifiers {
			id := idOf(i)
			if c.Remove {
				b.remove(v, id, w.owner(id))
			} else {
				b.add(v, run, id, w.owner(id))
			}
		}
	}
}

func idOf(i brazetest.Identifier) identity.ID {
	switch i.Kind {
	case brazetest.AliasKind:
		return identity.Alias{Label: i.Label, Name: i.Value}.ID()
	case brazetest.DeviceIDKind:
		return identity.DeviceID(i.Value)
	default:
		return identity.ExternalID(i.Value)
	}
}

func (b *book) add(v *view, run int, id identity.ID, owner string) {
	if owner != "" {
		for _, s := range b.standing {
			if s.on == owner {
				s.loss = noLoss
			}
		}
	}
	s := b.standing[id]
	if s == nil {
		s = &standing{beside: map[identity.ID]bool{}}
		b.standing[id] = s
	}
	s.run, s.on, s.loss = run, owner, noLoss
	maps.DeleteFunc(s.beside, func(other identity.ID, _ bool) bool { return v.byID[other] != nil })
	maps.Copy(s.beside, v.held)
}

func (b *book) remove(v *view, id identity.ID, owner string) {
	delete(b.standing, id)
	for other, s := range b.standing {
		if s.on == owner && owner != "" {
			r := v.byProfile[owner]
			switch {
			case s.beside[id]:
				s.loss = owed
			case (r == nil || r.chosen != other) && !v.audience:
				s.loss = halved
			case v.people || r == nil || r.chosen != other:
				s.loss = owed
			default:
				s.loss = untold
			}
		}
		delete(s.beside, id)
	}
}

// difference is what a run has to change, worked out from the ledger and the source.
type difference struct {
	adds, repeats, kept, removals []identity.ID
	also                          []identity.ID // removed although the ledger does not name them
	twins                         int           // of the repeats, those that would be kept but for a removal
}

func differenceOf(members map[identity.ID]ledger.State, v *view) difference {
	var d difference
	for id := range members {
		if v.byID[id] == nil {
			d.removals = append(d.removals, id)
		}
	}
	for _, r := range v.out {
		known := slices.ContainsFunc(r.others, func(id identity.ID) bool { return slices.Contains(d.removals, id) })
		if known && members[r.chosen] == ledger.Out && !slices.Contains(d.also, r.chosen) {
			d.also = append(d.also, r.chosen)
		}
	}
	for _, r := range v.rows {
		twin := slices.ContainsFunc(r.others, func(id identity.ID) bool { return slices.Contains(d.removals, id) })
		switch state := members[r.chosen]; {
		case state == ledger.Out:
			d.adds = append(d.adds, r.chosen)
		case state == ledger.Unknown || twin:
			d.repeats = append(d.repeats, r.chosen)
			if state == ledger.In {
				d.twins++
			}
		default:
			d.kept = append(d.kept, r.chosen)
		}
	}
	return d
}
