package brazetest

import (
	"maps"
	"slices"
	"time"

	"github.com/cohortkit/cohortkit/segment"
)

// traits are what a profile has beside its identifiers. A profile without any has nil, which is most of them in a test with
// many.
type traits struct {
	email, phone          string
	attributes            map[string]segment.Value
	pushState, emailState segment.Subscription
	apps                  []string
	lastUsed              time.Time
	updated               int64 // in Unix nanoseconds
}

func traitsOf(p Profile) *traits {
	t := traits{
		email: p.Email, phone: p.Phone,
		attributes: maps.Clone(p.Attributes),
		pushState:  p.PushSubscription, emailState: p.EmailSubscription,
		apps: slices.Clone(p.Apps), lastUsed: p.LastUsedApp,
	}
	if t.email == "" && t.phone == "" && len(t.attributes) == 0 && t.pushState == 0 && t.emailState == 0 && len(t.apps) == 0 && t.lastUsed.IsZero() {
		return nil
	}
	slices.Sort(t.apps)
	t.apps = slices.Compact(t.apps)
	return &t
}

func (t *traits) show(p *Profile) {
	if t == nil {
		return
	}
	p.Email, p.Phone = t.email, t.phone
	p.Attributes = maps.Clone(t.attributes)
	p.PushSubscription, p.EmailSubscription = t.pushState, t.emailState
	p.Apps, p.LastUsedApp = slices.Clone(t.apps), t.lastUsed
}

// touch notes that the profile was changed now. It matters only to those that an e-mail address or a phone number finds.
func (p *profile) touch() {
	if p.traits != nil {
		p.traits.updated = time.Now().UnixNano()
	}
}

// change returns the traits to be changed.
func (p *profile) change() *traits {
	if p.traits == nil {
		p.traits = &traits{}
	}
	p.touch()
	return p.traits
}

// fill takes over from a profile that is merged into this one what this one lacks.
func (p *profile) fill(from *profile) {
	p.created = min(p.created, from.created)
	if from.traits == nil {
		p.touch()
		return
	}
	t, other := p.change(), from.traits
	if t.email == "" {
		t.email = other.email
	}
	if t.phone == "" {
		t.phone = other.phone
	}
	if t.pushState == 0 {
		t.pushState = other.pushState
	}
	if t.emailState == 0 {
		t.emailState = other.emailState
	}
	for name, value := range other.attributes {
		if _, have := t.attributes[name]; !have {
			t.set(name, value)
		}
	}
	t.apps = append(t.apps, other.apps...)
	slices.Sort(t.apps)
	t.apps = slices.Compact(t.apps)
	if other.lastUsed.After(t.lastUsed) {
		t.lastUsed = other.lastUsed
	}
}

func (t *traits) set(name string, value segment.Value) {
	if t.attributes == nil {
		t.attributes = make(map[string]segment.Value)
	}
	t.attributes[name] = value
}
