package brazetest

import (
	"fmt"
	"slices"
)

// The life of profiles, as the contract's section on identities tells it. What happens to cohort membership along the way is
// undocumented and follows the options of the server.

// Identify is what the SDK's changeUser does on an anonymous profile. With a new external ID the profile is promoted:
// it keeps its Braze ID, aliases, devices and cohorts. With the external ID of a known profile it is merged into that
// one and is gone: devices move over, and so do aliases whose label the known profile does not have. It returns the
// Braze ID of the profile that lives on.
//
// The error matches [ErrNoProfile], [ErrIdentified] when the profile has another external ID, or [ErrInvalidProfile].
func (w *Workspace) Identify(brazeID, externalID string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, err := w.find(brazeID)
	if err == nil {
		err = checkText(externalID)
	}
	if err != nil {
		return "", fmt.Errorf("brazetest: identify: %w", err)
	}
	if p.external == externalID {
		return brazeID, nil
	}
	if p.external != "" {
		return "", fmt.Errorf("brazetest: identify: %w: its external ID does not change this way: use Rename", ErrIdentified)
	}
	return w.brazeID(w.identify(p, externalID).index), nil
}

// identify identifies a profile that is not, and returns the one that lives on.
func (w *Workspace) identify(p *profile, externalID string) *profile {
	w.version++
	w.settleAll()
	if known, ok := w.people.externals.get(externalID); ok {
		into := w.people.all[known]
		if !w.server.cfg.dropOnIdentify {
			w.inherit(into, p)
		}
		w.absorb(into, p)
		return into
	}
	p.external = externalID
	p.touch()
	w.people.externals.put(externalID, p.index)
	if w.server.cfg.dropOnIdentify {
		w.leaveAll(p)
	}
	return p
}

// AddAlias gives the profile an alias. The error matches [ErrNoProfile], [ErrInvalidProfile] when the profile has an
// alias of this label, or [ErrTaken] when another profile has this alias.
func (w *Workspace) AddAlias(brazeID string, a Alias) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, err := w.find(brazeID)
	if err == nil {
		err = w.addAlias(p, a)
	}
	if err != nil {
		return fmt.Errorf("brazetest: add alias: %w", err)
	}
	return nil
}

func (w *Workspace) addAlias(p *profile, a Alias) error {
	if err := checkText(a.Label, a.Name); err != nil {
		return err
	}
	if _, taken := w.people.aliases[a]; taken {
		return fmt.Errorf("the alias: %w: a pair of label and name is unique in a workspace", ErrTaken)
	}
	if p.hasLabel(a.Label) {
		return fmt.Errorf("%w: it has an alias of this label: use RenameAlias", ErrInvalidProfile)
	}
	w.version++
	p.aliases = append(p.aliases, a)
	p.touch()
	w.people.aliases[a] = p.index
	return nil
}

func (p *profile) hasLabel(label string) bool {
	return slices.ContainsFunc(p.aliases, func(have Alias) bool { return have.Label == label })
}

// RenameAlias changes the name of an alias. The error matches [ErrNoProfile], [ErrInvalidProfile] or [ErrTaken].
func (w *Workspace) RenameAlias(a Alias, name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.renameAlias(a, name); err != nil {
		return fmt.Errorf("brazetest: rename alias: %w", err)
	}
	return nil
}

func (w *Workspace) renameAlias(a Alias, name string) error {
	if err := checkText(name); err != nil {
		return err
	}
	index, ok := w.people.aliases[a]
	if !ok {
		return fmt.Errorf("%w with this alias: add it first", ErrNoProfile)
	}
	renamed := Alias{Label: a.Label, Name: name}
	if _, taken := w.people.aliases[renamed]; taken {
		return fmt.Errorf("the new alias: %w: choose another name", ErrTaken)
	}
	w.version++
	p := w.people.all[index]
	p.aliases[slices.Index(p.aliases, a)] = renamed
	p.touch()
	delete(w.people.aliases, a)
	w.people.aliases[renamed] = index
	return nil
}

// AddDevice attaches a device to the profile. Other profiles may carry it too. The error matches [ErrNoProfile] or
// [ErrInvalidProfile].
func (w *Workspace) AddDevice(brazeID, deviceID string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, err := w.find(brazeID)
	if err == nil {
		err = checkText(deviceID)
	}
	if err != nil {
		return fmt.Errorf("brazetest: add device: %w", err)
	}
	w.addDevice(p, deviceID)
	return nil
}

func (w *Workspace) addDevice(p *profile, deviceID string) {
	if !slices.Contains(p.devices, deviceID) {
		w.version++
		p.devices = append(p.devices, deviceID)
		p.touch()
		w.people.hold(deviceID, p.index)
	}
}

// Merge merges one profile into another, both by Braze ID, as /users/merge does. The kept profile takes over devices,
// aliases whose label it does not have, and, if it has no external ID itself, the external IDs of the other; otherwise
// those no longer resolve. The merged profile is gone. The error matches [ErrNoProfile], or [ErrInvalidProfile] when
// both are the same profile.
func (w *Workspace) Merge(keep, merged string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	into, err := w.find(keep)
	if err != nil {
		return fmt.Errorf("brazetest: merge: keep: %w", err)
	}
	from, err := w.find(merged)
	if err != nil {
		return fmt.Errorf("brazetest: merge: merged: %w", err)
	}
	if into == from {
		return fmt.Errorf("brazetest: merge: %w: a profile cannot be merged into itself: name two", ErrInvalidProfile)
	}
	w.merge(into, from)
	return nil
}

func (w *Workspace) merge(into, from *profile) {
	w.version++
	w.settleAll()
	if !w.server.cfg.dropOnMerge {
		w.inherit(into, from)
	}
	w.absorb(into, from)
}

// Rename gives a profile a new primary external ID; the old one becomes deprecated and still resolves. The error
// matches [ErrNoProfile] when the old ID is not the primary one of a profile, [ErrTaken] when the new one is in use,
// primary or deprecated, or [ErrInvalidProfile].
func (w *Workspace) Rename(externalID, newID string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.rename(externalID, newID); err != nil {
		return fmt.Errorf("brazetest: rename: %w", err)
	}
	return nil
}

func (w *Workspace) rename(externalID, newID string) error {
	if err := checkText(newID); err != nil {
		return err
	}
	index, ok := w.people.externals.get(externalID)
	if !ok || w.people.all[index].external != externalID {
		return fmt.Errorf("%w with this primary external ID: name the current one", ErrNoProfile)
	}
	if _, taken := w.people.externals.get(newID); taken {
		return fmt.Errorf("the new external ID: %w: choose one that is neither primary nor deprecated", ErrTaken)
	}
	w.version++
	p := w.people.all[index]
	p.deprecated = append(p.deprecated, externalID)
	p.external = newID
	p.touch()
	w.people.externals.put(newID, index)
	return nil
}

// RemoveDeprecated ends the resolving of a deprecated external ID. The error matches [ErrNoProfile], or [ErrIdentified]
// when the ID is the primary one of its profile.
func (w *Workspace) RemoveDeprecated(externalID string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.removeDeprecated(externalID); err != nil {
		return fmt.Errorf("brazetest: remove deprecated: %w", err)
	}
	return nil
}

func (w *Workspace) removeDeprecated(externalID string) error {
	index, ok := w.people.externals.get(externalID)
	if !ok {
		return fmt.Errorf("%w with this external ID", ErrNoProfile)
	}
	p := w.people.all[index]
	if p.external == externalID {
		return fmt.Errorf("%w by this ID: rename it first", ErrIdentified)
	}
	w.version++
	w.people.externals.remove(externalID)
	p.deprecated = slices.DeleteFunc(p.deprecated, func(id string) bool { return id == externalID })
	return nil
}

// Delete deletes the profile with this Braze ID; it leaves all cohorts. The error matches [ErrNoProfile].
func (w *Workspace) Delete(brazeID string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, err := w.find(brazeID)
	if err != nil {
		return fmt.Errorf("brazetest: delete: %w", err)
	}
	w.delete(p)
	return nil
}

func (w *Workspace) delete(p *profile) {
	w.version++
	w.settleAll()
	w.leaveAll(p)
	w.forget(p)
}

// absorb moves what survives of a profile into another one, all but its memberships.
func (w *Workspace) absorb(into, from *profile) {
	external, deprecated, aliases, devices := from.external, from.deprecated, from.aliases, from.devices
	w.forget(from)
	if into.external == "" && external != "" {
		into.external, into.deprecated = external, deprecated
		w.people.externals.put(external, into.index)
		for _, id := range deprecated {
			w.people.externals.put(id, into.index)
		}
	}
	for _, a := range aliases {
		if !into.hasLabel(a.Label) {
			into.aliases = append(into.aliases, a)
			w.people.aliases[a] = into.index
		}
	}
	for _, d := range devices {
		if !slices.Contains(into.devices, d) {
			into.devices = append(into.devices, d)
			w.people.hold(d, into.index)
		}
	}
	into.fill(from)
	w.leaveAll(from)
}

// forget makes a profile unfindable.
func (w *Workspace) forget(p *profile) {
	if !p.gone() { // else it was inherited from
		p.heir = nobody
	}
	if p.external != "" {
		w.people.externals.remove(p.external)
	}
	for _, id := range p.deprecated {
		w.people.externals.remove(id)
	}
	for _, a := range p.aliases {
		delete(w.people.aliases, a)
	}
	for _, d := range p.devices {
		w.people.release(d, p.index)
	}
	p.external, p.deprecated, p.aliases, p.devices = "", nil, nil, nil
}

func checkText(texts ...string) error {
	for _, t := range texts {
		if err := (Profile{ExternalID: t, DeviceIDs: []string{"any"}}).check(); err != nil {
			return err
		}
		if t == "" {
			return fmt.Errorf("%w: an identifier is empty: give it a text", ErrInvalidProfile)
		}
	}
	return nil
}
