package ledger

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/cohortkit/cohortkit/identity"
)

// Memory is a [Ledger] that lasts as long as the process. It is meant for tests, and for programs that fill a new cohort at every
// start; a member costs about 100 bytes. The zero value is empty and ready to use.
type Memory struct {
	mu      sync.Mutex
	entries map[Key]*memoryEntry
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory { return &Memory{} }

// memoryEntry is an entry. While a session is open its members belong to the session; the header belongs to mu.
type memoryEntry struct {
	held    bool
	exists  bool // something was recorded
	header  Header
	members map[identity.ID]State

	watermark int64
	stamps    stampSet
}

// Open takes the lease on an entry. See [Ledger].
func (m *Memory) Open(ctx context.Context, key Key) (Session, error) {
	if err := key.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("ledger: open: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[key]
	if e == nil {
		e = &memoryEntry{members: map[identity.ID]State{}, stamps: stampSet{}}
		if m.entries == nil {
			m.entries = map[Key]*memoryEntry{}
		}
		m.entries[key] = e
	}
	if e.held {
		return nil, &HeldError{Key: key, Holder: "another session on this ledger"}
	}
	e.held = true
	return &memorySession{ledger: m, entry: e, intents: map[Intent]memoryIntent{}}, nil
}

// Entries yields the entries by workspace, cohort, partner and endpoint. See [Ledger].
func (m *Memory) Entries(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		m.mu.Lock()
		var entries []Entry
		for key, e := range m.entries {
			if e.exists {
				entries = append(entries, Entry{key, e.header})
			}
		}
		m.mu.Unlock()
		slices.SortFunc(entries, compareEntries)
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				yield(Entry{}, fmt.Errorf("ledger: entries: %w", err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

func compareEntries(a, b Entry) int {
	return cmp.Or(
		cmp.Compare(a.Key.Workspace, b.Key.Workspace), cmp.Compare(a.Key.CohortID, b.Key.CohortID),
		cmp.Compare(a.Key.Partner, b.Key.Partner), cmp.Compare(a.Key.Endpoint, b.Key.Endpoint),
	)
}

type memorySession struct {
	ledger *Memory

	mu      sync.Mutex
	entry   *memoryEntry // nil once closed
	wrote   bool
	last    Intent
	intents map[Intent]memoryIntent
}

type memoryIntent struct {
	removals, adds []Member
	stamps, former []Stamp // of the intent, and before it; a zero one of somebody who had none
}

// record runs f on the entry, and counts the session among those that recorded something.
func (s *memorySession) record(f func(*memoryEntry)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entry == nil {
		return ErrClosed
	}
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	f(s.entry)
	s.entry.exists = true
	if !s.wrote {
		s.wrote = true
		s.entry.header.Generation++
	}
	return nil
}

func (s *memorySession) Header() Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entry == nil {
		return Header{}
	}
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return s.entry.header
}

func (s *memorySession) SetHeader(_ context.Context, h Header) error {
	if err := h.Validate(); err != nil {
		return err
	}
	return s.record(func(e *memoryEntry) {
		h.Generation = e.header.Generation
		e.header = h
	})
}

func (s *memorySession) Begin(ctx context.Context, removals, adds []Member) (Intent, error) {
	return s.BeginStamped(ctx, removals, adds, nil, 0)
}

// BeginStamped records an intent and its stamps. See [Timekeeper].
func (s *memorySession) BeginStamped(_ context.Context, removals, adds []Member, stamps []Stamp, watermark int64) (Intent, error) {
	var intent Intent
	err := s.record(func(e *memoryEntry) {
		s.last++
		intent = s.last
		e.watermark = max(e.watermark, watermark)
		i := memoryIntent{removals: slices.Clone(removals), adds: slices.Clone(adds), stamps: slices.Clone(stamps)}
		for n := range i.stamps {
			i.stamps[n].Sure = false
			i.former = append(i.former, e.stamps[i.stamps[n].Member])
			e.stamps.add(i.stamps[n])
		}
		s.intents[intent] = i
		for _, m := range slices.Concat(removals, adds) {
			e.members[m.ID] = Unknown
		}
	})
	return intent, err
}

func (s *memorySession) Settle(intent Intent, outcome Outcome) error {
	return s.record(func(e *memoryEntry) {
		i := s.intents[intent]
		delete(s.intents, intent)
		set := func(members []Member, after func(State) State) {
			for _, m := range members {
				if state := after(m.State); state == Out {
					delete(e.members, m.ID)
				} else {
					e.members[m.ID] = state
				}
			}
		}
		set(i.removals, outcome.AfterRemoval)
		set(i.adds, outcome.AfterAddition)
		e.settleStamps(i, outcome)
	})
}

// settleStamps records what became of the events of an intent.
func (e *memoryEntry) settleStamps(i memoryIntent, outcome Outcome) {
	for n, stamp := range i.stamps {
		switch {
		case outcome == Accepted:
			stamp.Sure = true
			e.stamps.add(stamp)
		case outcome != Refused:
		case i.former[n] == Stamp{}:
			delete(e.stamps, stamp.Member)
		default:
			e.stamps[stamp.Member] = i.former[n]
		}
	}
}

// Stamps returns what is known of the times of events. See [Timekeeper].
func (s *memorySession) Stamps(context.Context) (int64, []Stamp, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entry == nil {
		return 0, nil, ErrClosed
	}
	return s.entry.watermark, s.entry.stamps.above(s.entry.watermark), nil
}

// Tidy forgets the stamps up to the watermark. See [Timekeeper].
func (s *memorySession) Tidy(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entry == nil {
		return ErrClosed
	}
	s.entry.stamps.forget(s.entry.watermark)
	return nil
}

func (s *memorySession) Members(ctx context.Context) iter.Seq2[Member, error] {
	return func(yield func(Member, error) bool) {
		members, err := s.snapshot()
		if err != nil {
			yield(Member{}, err)
			return
		}
		for _, m := range sortedMembers(members) {
			if err := ctx.Err(); err != nil {
				yield(Member{}, fmt.Errorf("ledger: members: %w", err))
				return
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

// snapshot returns a copy of the members.
func (s *memorySession) snapshot() (map[identity.ID]State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entry == nil {
		return nil, ErrClosed
	}
	return maps.Clone(s.entry.members), nil
}

func (s *memorySession) Compare(ctx context.Context, wanted iter.Seq2[Wanted, error]) (*Difference, error) {
	members, err := s.snapshot()
	if err != nil {
		return nil, err
	}
	d := &Difference{Members: len(members)}
	named := map[identity.ID]bool{} // and whether the addition is to be repeated whatever the state
	type twin struct{ other, id identity.ID }
	var twins []twin
	var adds, repeats []Member
	for w, err := range wanted {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		for _, other := range w.Others {
			if _, known := members[other]; known && other != w.ID {
				twins = append(twins, twin{other, w.ID})
			}
		}
		if _, known := named[w.ID]; known {
			d.Duplicate++
			continue
		}
		named[w.ID] = false
		if members[w.ID] == Out {
			adds = append(adds, Member{w.ID, Out})
		}
	}
	// A source may simply end when the context does. What it did not yield is not unwanted.
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("ledger: compare: %w", err)
	}
	for _, t := range twins {
		if _, wanted := named[t.other]; !wanted && members[t.id] == In {
			named[t.id] = true
		}
	}
	var removals []Member
	for _, m := range sortedMembers(members) {
		again, wanted := named[m.ID]
		switch {
		case !wanted:
			removals = append(removals, m)
		case again || m.State == Unknown:
			repeats = append(repeats, m)
		default:
			d.Kept++
		}
	}
	d.Removals, d.Adds, d.Repeats = partOf(removals), partOf(adds), partOf(repeats)
	return d, nil
}

func (s *memorySession) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entry != nil {
		s.entry.stamps.forget(s.entry.watermark)
		s.ledger.mu.Lock()
		defer s.ledger.mu.Unlock()
		s.entry.held = false
		s.entry = nil
	}
	return nil
}

// sortedMembers returns the members in the order of their storage forms, so that equal ledgers give equal sequences.
func sortedMembers(members map[identity.ID]State) []Member {
	type stored struct {
		form string
		Member
	}
	list := make([]stored, 0, len(members))
	for id, state := range members {
		list = append(list, stored{id.Encode(), Member{id, state}})
	}
	slices.SortFunc(list, func(a, b stored) int { return cmp.Compare(a.form, b.form) })
	sorted := make([]Member, len(list))
	for i := range list {
		sorted[i] = list[i].Member
	}
	return sorted
}

func partOf(members []Member) Part {
	return Part{len(members), func(yield func(Member, error) bool) {
		for _, m := range members {
			if !yield(m, nil) {
				return
			}
		}
	}}
}
