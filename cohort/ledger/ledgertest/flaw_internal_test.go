package ledgertest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// flaw is a mistake in a backend.
type flaw struct {
	name    string
	promise string // the one that reports it
	bend    func(*bent)
}

type (
	session = *bentSession
	members = []ledger.Member
	wanteds = iter.Seq2[ledger.Wanted, error]
)

// each has every session bent.
func each(bend func(session)) func(*bent) { return func(b *bent) { b.opened = bend } }

// changed passes the members of each intent through f.
func changed(f func(ledger.Member) (ledger.Member, bool)) func(*bent) {
	return each(func(s session) {
		begin := s.begin
		all := func(list members) (kept members) {
			for _, m := range list {
				if m, ok := f(m); ok {
					kept = append(kept, m)
				}
			}
			return kept
		}
		s.begin = func(ctx context.Context, removals, adds []ledger.Member) (ledger.Intent, error) {
			return begin(ctx, all(removals), all(adds))
		}
	})
}

// settled has f in the place of Settle, told who is in the intent and how to do it right.
func settled(f func(s session, removals, adds members, o ledger.Outcome, settle func(ledger.Outcome) error) error) func(*bent) {
	return each(func(s session) {
		type intent struct{ removals, adds members }
		var mu sync.Mutex
		intents := map[ledger.Intent]intent{}
		begin, settle := s.begin, s.settle
		s.begin = func(ctx context.Context, removals, adds []ledger.Member) (ledger.Intent, error) {
			n, err := begin(ctx, removals, adds)
			mu.Lock()
			defer mu.Unlock()
			intents[n] = intent{removals, adds}
			return n, err
		}
		s.settle = func(n ledger.Intent, o ledger.Outcome) error {
			mu.Lock()
			i := intents[n]
			mu.Unlock()
			return f(s, i.removals, i.adds, o, func(o ledger.Outcome) error { return settle(n, o) })
		}
	})
}

// also records members in one go.
func also(s session, removals, adds members) error {
	n, err := s.inner.Begin(context.Background(), removals, adds)
	if err != nil {
		return err
	}
	return s.inner.Settle(n, ledger.Accepted)
}

// wanting passes what is wanted through f.
func wanting(f func(wanteds) wanteds) func(*bent) {
	return each(func(s session) {
		compare := s.compare
		s.compare = func(ctx context.Context, wanted wanteds) (*ledger.Difference, error) { return compare(ctx, f(wanted)) }
	})
}

// comparing passes a difference through f.
func comparing(f func(s session, d *ledger.Difference)) func(*bent) {
	return each(func(s session) {
		compare := s.compare
		s.compare = func(ctx context.Context, wanted wanteds) (*ledger.Difference, error) {
			d, err := compare(ctx, wanted)
			if err == nil {
				f(s, d)
			}
			return d, err
		}
	})
}

// collected returns the members of a sequence up to an error.
func collected(seq iter.Seq2[ledger.Member, error]) members {
	var list members
	for m, err := range seq {
		if err != nil {
			break
		}
		list = append(list, m)
	}
	return list
}

// renamed opens another entry than the one asked for.
func renamed(f func(ledger.Key) ledger.Key) func(*bent) {
	return func(b *bent) {
		b.open = func(ctx context.Context, k ledger.Key) (ledger.Session, error) {
			if err := k.Validate(); err != nil {
				return nil, err
			}
			return b.openWell(ctx, f(k))
		}
	}
}

// stored passes each header through f.
func stored(f func(*ledger.Header)) func(*bent) {
	return each(func(s session) {
		set := s.setHeader
		s.setHeader = func(ctx context.Context, h ledger.Header) error {
			f(&h)
			return set(ctx, h)
		}
	})
}

// flaws has one for each promise, and more for the likeliest mistakes.
func flaws() []flaw {
	return []flaw{
		// Ledger.
		{"hands the lease to two", "one writer", func(b *bent) {
			b.open = func(ctx context.Context, k ledger.Key) (ledger.Session, error) {
				s, err := b.openWell(ctx, k)
				if _, held := errors.AsType[*ledger.HeldError](err); held {
					return b.holder(k), nil
				}
				return s, err
			}
		}},
		{"fails with an error of its own when the entry is held", "one writer", func(b *bent) {
			b.open = func(ctx context.Context, k ledger.Key) (ledger.Session, error) {
				s, err := b.openWell(ctx, k)
				if _, held := errors.AsType[*ledger.HeldError](err); held {
					return nil, errors.New("could not obtain lock")
				}
				return s, err
			}
		}},
		{"looks whether the entry is held, and then takes it", "one writer of many who come at once", func(b *bent) {
			var refused atomic.Int32
			b.open = func(ctx context.Context, k ledger.Key) (ledger.Session, error) {
				s, err := b.openWell(ctx, k)
				if _, held := errors.AsType[*ledger.HeldError](err); held && refused.Add(1)%5 == 0 {
					return b.holder(k), nil
				}
				return s, err
			}
		}},
		{"does not close", "one writer", each(func(s session) { s.close = func() error { return nil } })},
		{"takes any key", "a bad key", func(b *bent) {
			b.open = func(ctx context.Context, k ledger.Key) (ledger.Session, error) {
				if k.Validate() != nil {
					k = key("a")
				}
				return b.openWell(ctx, k)
			}
		}},
		{"makes an entry when it is opened", "nothing recorded is no entry", each(func(s session) { _ = s.inner.SetHeader(context.Background(), ledger.Header{}) })},
		{"folds the case of keys", "keys", renamed(func(k ledger.Key) ledger.Key {
			k.Workspace, k.CohortID = strings.ToLower(k.Workspace), strings.ToLower(k.CohortID)
			return k
		})},
		{"pads keys", "keys", renamed(func(k ledger.Key) ledger.Key {
			k.CohortID = strings.TrimRight(k.CohortID, " ") + " "
			return k
		})},
		{"lists the entries in any order", "entries", func(b *bent) {
			var turn int
			b.entries = func(ctx context.Context) iter.Seq2[ledger.Entry, error] {
				return func(yield func(ledger.Entry, error) bool) {
					var all []ledger.Entry
					for e, err := range b.memory.Entries(ctx) {
						if err != nil {
							yield(e, err)
							return
						}
						all = append(all, e)
					}
					if turn++; turn%2 == 0 {
						slices.Reverse(all)
					}
					for _, e := range all {
						if !yield(e, nil) {
							return
						}
					}
				}
			}
		}},

		// Session.
		{"takes the generation from the caller", "generation", func(b *bent) {
			var generation uint64
			b.opened = func(s session) {
				set, header := s.setHeader, s.header
				s.setHeader = func(ctx context.Context, h ledger.Header) error {
					generation = h.Generation
					return set(ctx, h)
				}
				s.header = func() ledger.Header {
					h := header()
					h.Generation = max(h.Generation, generation)
					return h
				}
			}
		}},
		{"keeps times to the microsecond", "header", stored(func(h *ledger.Header) { h.CreatedAt = h.CreatedAt.Truncate(time.Microsecond) })},
		{"keeps times as a number since 1970, and so no zero time", "header", stored(func(h *ledger.Header) {
			if h.NamedAt.IsZero() {
				h.NamedAt = time.Unix(0, 0)
			}
		})},
		{"loses the header when the entry is opened again", "header", each(func(s session) {
			set, header, known := s.setHeader, s.header, false
			s.setHeader = func(ctx context.Context, h ledger.Header) error {
				known = true
				return set(ctx, h)
			}
			s.header = func() ledger.Header {
				if !known {
					return ledger.Header{Generation: header().Generation}
				}
				return header()
			}
		})},
		{"takes any header", "a bad header", each(func(s session) {
			set := s.setHeader
			s.setHeader = func(ctx context.Context, h ledger.Header) error {
				err := set(ctx, h)
				if _, invalid := errors.AsType[*ledger.InvalidError](err); invalid {
					err = nil
				}
				return err
			}
		})},
		{"forgets an intent that is not settled", "an intent is unknown until it is settled", each(func(s session) {
			open := map[ledger.Intent]bool{}
			begin, settle, end := s.begin, s.settle, s.close
			s.begin = func(ctx context.Context, removals, adds []ledger.Member) (ledger.Intent, error) {
				n, err := begin(ctx, removals, adds)
				open[n] = true
				return n, err
			}
			s.settle = func(n ledger.Intent, o ledger.Outcome) error { delete(open, n); return settle(n, o) }
			s.close = func() error {
				for n := range open {
					_ = s.inner.Settle(n, ledger.Refused)
				}
				return end()
			}
		})},
		{"takes Refused for out", "outcomes", settled(func(s session, removals, adds members, o ledger.Outcome, settle func(ledger.Outcome) error) error {
			if o != ledger.Refused {
				return settle(o)
			}
			return errors.Join(settle(ledger.Lost), also(s, slices.Concat(removals, adds), nil))
		})},
		{"takes Lost for Accepted", "outcomes", settled(func(_ session, _, _ members, o ledger.Outcome, settle func(ledger.Outcome) error) error {
			if o == ledger.Lost {
				o = ledger.Accepted
			}
			return settle(o)
		})},
		{"settles removals alone when there are both", "an intent of both kinds", settled(
			func(s session, removals, adds members, o ledger.Outcome, settle func(ledger.Outcome) error) error {
				if len(removals) == 0 || len(adds) == 0 || o != ledger.Accepted {
					return settle(o)
				}
				return errors.Join(settle(ledger.Lost), also(s, removals, nil))
			})},
		{"cannot begin with nobody", "an intent of nobody", each(func(s session) {
			begin := s.begin
			s.begin = func(ctx context.Context, removals, adds []ledger.Member) (ledger.Intent, error) {
				if len(removals)+len(adds) == 0 {
					return 0, errors.New("syntax error at or near )")
				}
				return begin(ctx, removals, adds)
			}
		})},
		{"settles the oldest intent, whatever the number", "intents settle in any order", each(func(s session) {
			var queue []ledger.Intent
			begin, settle := s.begin, s.settle
			s.begin = func(ctx context.Context, removals, adds []ledger.Member) (ledger.Intent, error) {
				n, err := begin(ctx, removals, adds)
				queue = append(queue, n)
				return n, err
			}
			s.settle = func(n ledger.Intent, o ledger.Outcome) error {
				if len(queue) > 0 { // an intent with stamps is not in it
					n, queue = queue[0], queue[1:]
				}
				return settle(n, o)
			}
		})},
		{"keeps the slices", "the slices are not kept", settled(func(s session, removals, adds members, o ledger.Outcome, settle func(ledger.Outcome) error) error {
			if o != ledger.Accepted {
				return settle(o)
			}
			return errors.Join(settle(o), also(s, removals, adds))
		})},
		{"repairs identifiers that are no UTF-8", "identifiers", changed(func(m ledger.Member) (ledger.Member, bool) {
			if m.ID.Kind() == identity.ExternalIDKind {
				m.ID = identity.ExternalID(strings.ToValidUTF8(m.ID.Value(), "\ufffd"))
			}
			return m, true
		})},
		{"drops identifiers that are too long for an index", "identifiers", changed(func(m ledger.Member) (ledger.Member, bool) { return m, len(m.ID.Value()) < 2700 })},
		{"yields a member for each record of them", "members", each(func(s session) {
			read := s.members
			s.members = func(ctx context.Context) iter.Seq2[ledger.Member, error] {
				return func(yield func(ledger.Member, error) bool) {
					for m, err := range read(ctx) {
						if !yield(m, err) || m.ID == external("u-2") && !yield(m, err) {
							return
						}
					}
				}
			}
		})},
		{"reads a part in pages of what is recorded now", "recording while a part is read", comparing(func(s session, d *ledger.Difference) {
			const size = 100
			removals := map[identity.ID]bool{}
			for _, m := range collected(d.Removals.Members) {
				removals[m.ID] = true
			}
			d.Removals.Members = func(yield func(ledger.Member, error) bool) {
				for at := 0; ; at += size {
					var now members
					for _, m := range collected(s.inner.Members(context.Background())) {
						if m.State == ledger.In && removals[m.ID] {
							now = append(now, m)
						}
					}
					if at >= len(now) {
						return
					}
					for _, m := range now[at:min(at+size, len(now))] {
						if !yield(m, nil) {
							return
						}
					}
				}
			}
		})},
		{"answers a closed session", "after Close", each(func(s session) {
			begin := s.begin
			s.begin = func(ctx context.Context, removals, adds []ledger.Member) (ledger.Intent, error) {
				n, err := begin(ctx, removals, adds)
				if errors.Is(err, ledger.ErrClosed) {
					err = nil
				}
				return n, err
			}
		})},
		{"does not know the header that it recorded for nobody", "a context that is done", each(func(s session) {
			header, setHeader := s.header, s.setHeader
			s.setHeader = func(ctx context.Context, h ledger.Header) error {
				if ctx.Err() == nil {
					return setHeader(ctx, h)
				}
				before := header()
				s.header = func() ledger.Header { return before }
				_ = setHeader(context.WithoutCancel(ctx), h)
				return ctx.Err()
			}
		})},
		{"takes a context that ends for the end of the list", "a context that is done", each(func(s session) {
			compare := s.compare
			s.compare = func(_ context.Context, wanted wanteds) (*ledger.Difference, error) {
				return compare(context.Background(), wanted)
			}
		})},

		// Compare.
		{"counts no duplicates", "duplicates", comparing(func(_ session, d *ledger.Difference) { d.Duplicate = 0 })},
		{"takes an empty list for nothing to do", "nobody wanted", comparing(func(_ session, d *ledger.Difference) {
			if d.Kept+d.Adds.Count+d.Repeats.Count == 0 {
				d.Removals = ledger.Part{Members: func(func(ledger.Member, error) bool) {}}
			}
		})},
		{"does not look at the others", "two identifiers of one person", wanting(func(wanted wanteds) wanteds {
			return func(yield func(ledger.Wanted, error) bool) {
				for w, err := range wanted {
					w.Others = nil
					if !yield(w, err) {
						return
					}
				}
			}
		})},
		{"takes an error of the source for its end", "a source that breaks", wanting(func(wanted wanteds) wanteds {
			return func(yield func(ledger.Wanted, error) bool) {
				for w, err := range wanted {
					if err != nil || !yield(w, nil) {
						return
					}
				}
			}
		})},
		{"ranges over the source to count it first", "a source is read once", wanting(func(wanted wanteds) wanteds {
			for _, err := range wanted {
				if err != nil {
					break
				}
			}
			return wanted
		})},
		{"keeps the others", "one buffer for all others", wanting(func(wanted wanteds) wanteds {
			return func(yield func(ledger.Wanted, error) bool) {
				var list []ledger.Wanted
				for w, err := range wanted {
					if err != nil {
						yield(w, err)
						return
					}
					list = append(list, w)
				}
				source(list...)(yield)
			}
		})},
		{"lets a part be read once", "parts", comparing(func(_ session, d *ledger.Difference) {
			adds, read := d.Adds.Members, false
			d.Adds.Members = func(yield func(ledger.Member, error) bool) {
				if !read {
					read = true
					adds(yield)
				}
			}
		})},
		{"remembers the first difference", "a second comparison", each(func(s session) {
			var first *ledger.Difference
			compare := s.compare
			s.compare = func(ctx context.Context, wanted wanteds) (*ledger.Difference, error) {
				if first != nil {
					return first, nil
				}
				d, err := compare(ctx, wanted)
				first = d
				return d, err
			}
		})},
		{"notes that it compared", "comparing records nothing", comparing(func(s session, _ *ledger.Difference) { _ = s.inner.SetHeader(context.Background(), s.inner.Header()) })},

		// What package ledger does with it.
		{"keeps the lease when a loop is left early", "Members", each(func(s session) {
			left := false
			read, end := s.members, s.close
			s.members = func(ctx context.Context) iter.Seq2[ledger.Member, error] {
				return func(yield func(ledger.Member, error) bool) {
					for m, err := range read(ctx) {
						if left = !yield(m, err); left {
							return
						}
					}
				}
			}
			s.close = func() error {
				if left {
					return nil
				}
				return end()
			}
		})},
		{"counts the unknown as kept", "Diff", comparing(func(_ session, d *ledger.Difference) {
			d.Kept += d.Repeats.Count
			d.Repeats = ledger.Part{Members: func(func(ledger.Member, error) bool) {}}
		})},
		{"takes a thousand members and no more", "Import", each(func(s session) {
			begin := s.begin
			s.begin = func(ctx context.Context, removals, adds []ledger.Member) (ledger.Intent, error) {
				return begin(ctx, removals, adds[:min(len(adds), 1000)])
			}
		})},
		{"keeps the lease when nothing more was recorded", "Import of what cannot be kept", each(func(s session) {
			recorded := false
			begin, end := s.begin, s.close
			s.begin = func(ctx context.Context, removals, adds []ledger.Member) (ledger.Intent, error) {
				recorded = true
				return begin(ctx, removals, adds)
			}
			s.close = func() error {
				if !recorded {
					return nil
				}
				return end()
			}
		})},

		// Purger and Timekeeper.
		{"purges the unknown", "purge", each(func(s session) {
			s.purge = func(ctx context.Context) error {
				var gone members
				for _, m := range collected(s.inner.Members(ctx)) {
					if m.State == ledger.Unknown {
						gone = append(gone, m)
					}
				}
				return also(s, gone, nil)
			}
		})},
		{"counts a purge as a generation", "purge", each(func(s session) {
			header, more := s.header, uint64(0)
			s.purge = func(context.Context) error { more++; return nil }
			s.header = func() ledger.Header {
				h := header()
				h.Generation += more
				return h
			}
		})},
		{"keeps the stamps of refused intents", "stamps", each(func(s session) {
			stamped := map[ledger.Intent][]ledger.Stamp{}
			begin, settle, read := s.beginStamped, s.settle, s.stamps
			var kept []ledger.Stamp
			s.beginStamped = func(ctx context.Context, removals, adds []ledger.Member, stamps []ledger.Stamp, watermark int64) (ledger.Intent, error) {
				n, err := begin(ctx, removals, adds, stamps, watermark)
				stamped[n] = stamps
				return n, err
			}
			s.settle = func(n ledger.Intent, o ledger.Outcome) error {
				if o == ledger.Refused {
					kept = append(kept, stamped[n]...)
				}
				return settle(n, o)
			}
			s.stamps = func(ctx context.Context) (int64, []ledger.Stamp, error) {
				mark, list, err := read(ctx)
				return mark, append(list, kept...), err
			}
		})},
		{"forgets the watermark with the last stamp", "stamps outlast what is written anew", each(func(s session) {
			read := s.stamps
			s.stamps = func(ctx context.Context) (int64, []ledger.Stamp, error) {
				mark, list, err := read(ctx)
				if len(list) == 0 {
					mark = 0
				}
				return mark, list, err
			}
		})},
		{"keeps the stamps' slice", "the stamps are not kept", each(func(s session) {
			var kept []ledger.Stamp
			begin := s.beginStamped
			s.beginStamped = func(ctx context.Context, removals, adds []ledger.Member, stamps []ledger.Stamp, watermark int64) (ledger.Intent, error) {
				kept = stamps
				return begin(ctx, removals, adds, stamps, watermark)
			}
			s.stamps = func(context.Context) (int64, []ledger.Stamp, error) { return 0, kept, nil }
		})},

		// Lost leases.
		{"does not fence", "writes", unfenced},
		{"says that a session without its lease is closed", "writes", each(func(s session) {
			set := s.setHeader
			s.setHeader = func(ctx context.Context, h ledger.Header) error {
				err := set(ctx, h)
				if errors.Is(err, ledger.ErrLeaseLost) {
					err = ledger.ErrClosed
				}
				return err
			}
		})},
		{"settles the intents of the next session", "Settle", unfenced},
		{"loses what was settled and closes as if all were well", "what was settled before", each(func(s session) {
			var later []func() error
			settle, end := s.settle, s.close
			s.settle = func(n ledger.Intent, o ledger.Outcome) error {
				later = append(later, func() error { return settle(n, o) })
				return nil
			}
			s.close = func() error {
				for _, f := range later {
					_ = f()
				}
				return end()
			}
		})},
		{"ends the lease of the next session", "Close", func(b *bent) {
			b.open = func(ctx context.Context, k ledger.Key) (ledger.Session, error) {
				s, err := b.openWell(ctx, k)
				if err == nil {
					b.holder(k).close = func() error { return b.holder(k).inner.Close() }
				}
				return s, err
			}
		}},
	}
}

// unfenced writes by the key of an entry, whoever has its lease.
func unfenced(b *bent) {
	b.open = func(ctx context.Context, k ledger.Key) (ledger.Session, error) {
		_, err := b.openWell(ctx, k)
		if err != nil {
			return nil, err
		}
		s := b.holder(k)
		s.setHeader = func(ctx context.Context, h ledger.Header) error { return b.holder(k).inner.SetHeader(ctx, h) }
		s.begin = func(ctx context.Context, removals, adds []ledger.Member) (ledger.Intent, error) {
			return b.holder(k).inner.Begin(ctx, removals, adds)
		}
		s.settle = func(n ledger.Intent, o ledger.Outcome) error { return b.holder(k).inner.Settle(n, o) }
		return s, nil
	}
}
