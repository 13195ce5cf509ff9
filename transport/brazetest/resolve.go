package brazetest

import "time"

// resolution is what the identifiers of a request mean for the profiles of a workspace at one moment.
type resolution struct {
	version uint64
	effects []effect
	skips   []skipped
	lookups lookups
}

// skipped refers to an entry of the body.
type skipped struct {
	entry  int
	reason SkipReason
	remove bool
}

// resolve looks up all identifiers, in the order in which the changes take effect. The workspace's lock is held for
// reading or writing.
func (w *Workspace) resolve(b *body) {
	r := &b.resolved
	r.version, r.effects, r.skips = w.version, r.effects[:0], r.skips[:0]
	switch w.server.cfg.order {
	case AddsFirst:
		w.resolveChanges(b, func(c change) bool { return !c.remove })
		w.resolveChanges(b, func(c change) bool { return c.remove })
	case RemovalsFirst:
		w.resolveChanges(b, func(c change) bool { return c.remove })
		w.resolveChanges(b, func(c change) bool { return !c.remove })
	default:
		w.resolveChanges(b, func(change) bool { return true })
	}
}

func (w *Workspace) resolveChanges(b *body, wanted func(change) bool) {
	r := &b.resolved
	for _, c := range b.changes {
		if !wanted(c) {
			continue
		}
		i := w.resolveExternalIDs(b, c)
		for ; i < c.end; i++ {
			var reason SkipReason
			if r.effects, reason = w.match(&b.entries[i], c.remove, r.effects); reason != 0 {
				r.skips = append(r.skips, skipped{entry: i, reason: reason, remove: c.remove})
			}
		}
	}
}

// resolveExternalIDs resolves the external IDs of a change, which come first in it, and returns where they end.
func (w *Workspace) resolveExternalIDs(b *body, c change) (end int) {
	r := &b.resolved
	strict := w.server.cfg.ignoreDeprecated
	for i := c.start; ; {
		n := 0
		for n < batch && i+n < c.end && b.entries[i+n].kind == ExternalIDKind {
			n++
		}
		if n == 0 {
			return i
		}
		w.people.externals.find(b.entries[i:i+n], &r.lookups)
		for _, profile := range r.lookups.found[:n] {
			switch {
			case profile < 0:
				r.skips = append(r.skips, skipped{entry: i, reason: SkippedUnknown, remove: c.remove})
			case strict && w.people.all[profile].external != string(b.entries[i].value):
				r.skips = append(r.skips, skipped{entry: i, reason: SkippedDeprecatedID, remove: c.remove})
			default:
				r.effects = append(r.effects, effect{profile: profile, remove: c.remove})
			}
			i++
		}
	}
}

// match appends the effects of an alias or a device: none and a reason, one, or several for a device of several
// anonymous profiles.
func (w *Workspace) match(e *entry, remove bool, effects []effect) ([]effect, SkipReason) {
	if e.kind == DeviceIDKind {
		return w.matchDevice(e, remove, effects)
	}
	index, ok := w.people.aliases[Alias{Label: string(e.label), Name: string(e.value)}]
	switch {
	case !ok:
		return effects, SkippedUnknown
	case w.server.cfg.aliasIdentifiedOnly && w.people.all[index].external == "":
		return effects, SkippedUnidentifiedAlias
	}
	return append(effects, effect{profile: index, remove: remove}), 0
}

// matchDevice matches the anonymous profiles with a device. A profile that was identified is not matched by device any
// more, neither for an add nor for a removal.
func (w *Workspace) matchDevice(e *entry, remove bool, effects []effect) ([]effect, SkipReason) {
	holders, ok := w.people.devices[string(e.value)]
	if !ok {
		return effects, SkippedUnknown
	}
	before, identified := len(effects), false
	for i := range holders.all {
		if w.people.all[i].external != "" {
			identified = true
			continue
		}
		effects = append(effects, effect{profile: i, remove: remove})
	}
	switch {
	case len(effects) == before:
		return effects, SkippedIdentifiedDevice
	case identified && w.server.cfg.ignoreShared:
		return effects[:before], SkippedSharedDevice
	}
	return effects, 0
}

// changeUsers applies a users request.
func (pg *page) changeUsers(b *body, number int) {
	if len(b.entries) == 0 {
		return
	}
	w := pg.workspace
	w.mu.RLock()
	w.resolve(b)
	w.mu.RUnlock()

	w.mu.Lock()
	defer w.mu.Unlock()
	if b.resolved.version != w.version { // a profile changed in between
		w.resolve(b)
	}
	c := pg.cohort(b.fields.cohortID)
	for _, s := range b.resolved.skips {
		c.skip(Skip{Identifier: b.entries[s.entry].identifier(), Reason: s.reason, Remove: s.remove, Request: number})
	}
	if d := w.server.cfg.propagation; d > 0 {
		c.pending = append(c.pending, pendingChange{visible: time.Now().Add(d), effects: append([]effect(nil), b.resolved.effects...)})
		return
	}
	for _, e := range b.resolved.effects {
		c.apply(e)
	}
}

// name applies a naming request.
func (pg *page) name(f *fields) {
	pg.workspace.mu.Lock()
	defer pg.workspace.mu.Unlock()
	c := pg.cohort(f.cohortID)
	c.name, c.createdAt = f.name, f.createdAt
}

// named reports whether the cohort was ever named.
func (pg *page) named(cohortID string) bool {
	pg.workspace.mu.RLock()
	defer pg.workspace.mu.RUnlock()
	c := pg.cohorts[cohortID]
	return c != nil && c.name != ""
}

func (pg *page) isEnabled() bool {
	pg.workspace.mu.RLock()
	defer pg.workspace.mu.RUnlock()
	return pg.enabled
}
