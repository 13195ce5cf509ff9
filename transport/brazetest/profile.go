package brazetest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cohortkit/cohortkit/segment"
)

// Alias is a user alias: a name under a label. The pair is unique in a workspace. Both are compared byte for byte.
type Alias struct{ Label, Name string }

// Profile is a user of a workspace, as far as cohort import and what follows it know one. A profile with an external ID is
// identified; one with neither external ID nor device, but with an alias, an e-mail address or a phone number, is alias-only,
// email-only or phone-only; the others are anonymous.
//
// Unlike the request log a Profile shows its identifiers when it is printed: it is meant for comparing in tests.
type Profile struct {
	// BrazeID is given by the fake, is the same for the whole life of the profile, and has 24 hexadecimal digits.
	// [Workspace.AddProfile] ignores it.
	BrazeID string
	// ExternalID is the customer's own ID of the user, or empty.
	ExternalID string
	// DeprecatedExternalIDs are earlier external IDs that still resolve to the profile. In byte order where the fake
	// returns them.
	DeprecatedExternalIDs []string
	// Aliases has at most one alias of each label. In the order of labels where the fake returns them.
	Aliases []Alias
	// DeviceIDs are the devices of the user. Several profiles may share one. In byte order where the fake returns them.
	DeviceIDs []string

	// Email and Phone may be shared by several profiles, and are no identifiers of cohort import.
	Email, Phone string
	// Attributes are the custom attributes, by name.
	Attributes map[string]segment.Value
	// PushSubscription and EmailSubscription are what the user said, as far as known.
	PushSubscription, EmailSubscription segment.Subscription
	// Apps are the names of the apps in which the user had a session, and LastUsedApp is when the last one was. In byte
	// order where the fake returns them.
	Apps        []string
	LastUsedApp time.Time
}

// Identified reports whether the profile has an external ID.
func (p Profile) Identified() bool { return p.ExternalID != "" }

// The kinds of errors of a profile's life, for errors.Is.
var (
	// ErrInvalidProfile says that a profile breaks a rule on its own: no identifier of any kind, an empty or badly encoded
	// one, two aliases of one label, deprecated external IDs without a primary one.
	ErrInvalidProfile = errors.New("invalid profile")
	// ErrTaken says that an external ID or an alias belongs to a profile already.
	ErrTaken = errors.New("identifier already in use")
	// ErrNoProfile says that the identifier or Braze ID given names no profile.
	ErrNoProfile = errors.New("no such profile")
	// ErrIdentified says that the profile has an external ID already, or that the external ID is still the primary one.
	ErrIdentified = errors.New("profile is identified")
)

// profile is a profile inside a workspace. Its index never changes and is never used again, so that cohorts can be bit sets.
// There may be millions of them, most without traits, so it is kept small.
type profile struct {
	index      int32
	heir       int32 // who has its memberships: its own index while it lives, that of another after a merge, or nobody
	external   string
	deprecated []string
	aliases    []Alias
	devices    []string

	created int64 // in Unix nanoseconds
	traits  *traits
}

const nobody = -1

// gone reports whether the profile was deleted or merged.
func (p *profile) gone() bool { return p.heir != p.index }

// people are the profiles of a workspace and the ways to find them. The workspace's lock guards it.
type people struct {
	all       []*profile
	externals index // primary and deprecated external IDs
	aliases   map[Alias]int32
	devices   map[string]holders
}

// holders are the profiles that carry a device, which is nearly always one.
type holders struct {
	first int32
	more  []int32
}

func (p *people) init() {
	p.externals = newIndex()
	p.aliases = make(map[Alias]int32)
	p.devices = make(map[string]holders)
}

func (h holders) all(yield func(int32) bool) {
	if !yield(h.first) {
		return
	}
	for _, i := range h.more {
		if !yield(i) {
			return
		}
	}
}

func (p *people) hold(device string, index int32) {
	h, shared := p.devices[device]
	if !shared {
		p.devices[device] = holders{first: index}
		return
	}
	h.more = append(slices.Clip(h.more), index)
	p.devices[device] = h
}

func (p *people) release(device string, index int32) {
	rest := slices.DeleteFunc(slices.Collect(p.devices[device].all), func(i int32) bool { return i == index })
	if len(rest) == 0 {
		delete(p.devices, device)
		return
	}
	p.devices[device] = holders{first: rest[0], more: rest[1:]}
}

// AddProfile adds a user and returns the Braze ID of the profile. The errors match [ErrInvalidProfile] or [ErrTaken];
// nothing was added then.
func (w *Workspace) AddProfile(p Profile) (brazeID string, err error) {
	if err := p.check(); err != nil {
		return "", fmt.Errorf("brazetest: add profile: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.addProfile(p)
	if err != nil {
		return "", fmt.Errorf("brazetest: add profile: %w", err)
	}
	return w.brazeID(n.index), nil
}

// addProfile adds a profile that was checked.
func (w *Workspace) addProfile(p Profile) (*profile, error) {
	for _, id := range append([]string{p.ExternalID}, p.DeprecatedExternalIDs...) {
		if _, taken := w.people.externals.get(id); taken && id != "" {
			return nil, fmt.Errorf("the external ID: %w: give every profile its own", ErrTaken)
		}
	}
	for _, a := range p.Aliases {
		if _, taken := w.people.aliases[a]; taken {
			return nil, fmt.Errorf("the alias: %w: a pair of label and name is unique in a workspace", ErrTaken)
		}
	}
	n := &profile{
		index:      int32(len(w.people.all)),
		heir:       int32(len(w.people.all)),
		external:   p.ExternalID,
		deprecated: slices.Clone(p.DeprecatedExternalIDs),
		aliases:    slices.Clone(p.Aliases),
		devices:    slices.Clone(p.DeviceIDs),
		created:    time.Now().UnixNano(),
		traits:     traitsOf(p),
	}
	n.touch()
	w.people.all = append(w.people.all, n)
	if n.external != "" {
		w.people.externals.put(n.external, n.index)
	}
	for _, id := range n.deprecated {
		w.people.externals.put(id, n.index)
	}
	for _, a := range n.aliases {
		w.people.aliases[a] = n.index
	}
	for _, d := range n.devices {
		w.people.hold(d, n.index)
	}
	w.version++
	return n, nil
}

func (p Profile) check() error {
	if p.ExternalID == "" && len(p.Aliases) == 0 && len(p.DeviceIDs) == 0 && p.Email == "" && p.Phone == "" {
		return fmt.Errorf("%w: it has no identifier: give it an external ID, an alias, a device, an e-mail address or a phone number", ErrInvalidProfile)
	}
	if p.ExternalID == "" && len(p.DeprecatedExternalIDs) > 0 {
		return fmt.Errorf("%w: deprecated external IDs without a primary one: give it an ExternalID", ErrInvalidProfile)
	}
	texts := slices.Concat(p.DeprecatedExternalIDs, p.DeviceIDs)
	if p.ExternalID != "" {
		texts = append(texts, p.ExternalID)
	}
	labels := make(map[string]bool, len(p.Aliases))
	for _, a := range p.Aliases {
		if labels[a.Label] {
			return fmt.Errorf("%w: two aliases of one label: keep one", ErrInvalidProfile)
		}
		labels[a.Label] = true
		texts = append(texts, a.Label, a.Name)
	}
	for _, text := range texts {
		if text == "" || !utf8.ValidString(text) {
			return fmt.Errorf("%w: an identifier is empty or not UTF-8: correct it", ErrInvalidProfile)
		}
	}
	if repeats(p.DeviceIDs) || repeats(append([]string{p.ExternalID}, p.DeprecatedExternalIDs...)) {
		return fmt.Errorf("%w: an identifier is listed twice: list it once", ErrInvalidProfile)
	}
	return nil
}

func repeats(texts []string) bool {
	for i, t := range texts {
		if slices.Contains(texts[:i], t) {
			return true
		}
	}
	return false
}

// Profiles returns all profiles in the order in which they were added.
func (w *Workspace) Profiles() []Profile {
	w.mu.RLock()
	defer w.mu.RUnlock()
	var list []Profile
	for _, p := range w.people.all {
		if !p.gone() {
			list = append(list, w.show(p))
		}
	}
	return list
}

// Profile returns the profile with this Braze ID.
func (w *Workspace) Profile(brazeID string) (Profile, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	p, err := w.find(brazeID)
	if err != nil {
		return Profile{}, false
	}
	return w.show(p), true
}

// ProfileByExternalID returns the profile with this external ID, primary or deprecated.
func (w *Workspace) ProfileByExternalID(id string) (Profile, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	index, ok := w.people.externals.get(id)
	if !ok {
		return Profile{}, false
	}
	return w.show(w.people.all[index]), true
}

// ProfileByAlias returns the profile with this alias.
func (w *Workspace) ProfileByAlias(a Alias) (Profile, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	index, ok := w.people.aliases[a]
	if !ok {
		return Profile{}, false
	}
	return w.show(w.people.all[index]), true
}

// show copies a profile.
func (w *Workspace) show(p *profile) Profile {
	shown := Profile{
		BrazeID:               w.brazeID(p.index),
		ExternalID:            p.external,
		DeprecatedExternalIDs: slices.Clone(p.deprecated),
		Aliases:               slices.Clone(p.aliases),
		DeviceIDs:             slices.Clone(p.devices),
	}
	slices.Sort(shown.DeprecatedExternalIDs)
	slices.Sort(shown.DeviceIDs)
	slices.SortFunc(shown.Aliases, func(a, b Alias) int { return strings.Compare(a.Label, b.Label) })
	p.traits.show(&shown)
	return shown
}

// brazeID derives the ID from the numbers of the workspace and the profile, so that none has to be stored: 16 digits
// that look random, then the profile's number.
func (w *Workspace) brazeID(index int32) string {
	h := fnv.New64a()
	id := make([]byte, 0, 12)
	id = append(id, byte(w.number>>24), byte(w.number>>16), byte(w.number>>8), byte(w.number))
	id = append(id, byte(index>>24), byte(index>>16), byte(index>>8), byte(index))
	_, _ = h.Write(id) // a hash never fails
	return hex.EncodeToString(append(h.Sum(id[:0]), byte(index>>24), byte(index>>16), byte(index>>8), byte(index)))
}

// find returns the living profile of a Braze ID. The workspace's lock is held.
func (w *Workspace) find(brazeID string) (*profile, error) {
	if len(brazeID) == 24 {
		index, err := strconv.ParseUint(brazeID[16:], 16, 32)
		if err == nil && index < uint64(len(w.people.all)) && w.brazeID(int32(index)) == brazeID {
			if p := w.people.all[index]; !p.gone() {
				return p, nil
			}
		}
	}
	return nil, fmt.Errorf("%w with this Braze ID: use that of a profile that was neither deleted nor merged", ErrNoProfile)
}
