package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/identity"
)

// damaged are the ledgers whose files are damaged. Each is built once.
var damaged = []*victim{
	{name: "toy", open: newToy(flawless), large: 200},
	{name: "dir", open: openSmall, large: 200},
}

// victim is a ledger whose files are going to be damaged.
type victim struct {
	name  string
	open  func(disk) (Ledger, error)
	large int // the members of a ledger that has a base file

	once sync.Once
	disk *simDisk
	// What the ledger says undamaged, and the largest of its files last.
	want  sight
	files []string
	err   error
}

// sight is all that can be seen of a ledger.
type sight struct {
	Entries map[string]Header
	Members map[string]State // by entry and storage form
	Parts   map[string]State
	Counts  [4]int
}

// same reports whether two ledgers look the same, which two times that are equal may not.
func (g *sight) same(o *sight) bool {
	return maps.Equal(g.Entries, o.Entries) && maps.Equal(g.Members, o.Members) && maps.Equal(g.Parts, o.Parts) && g.Counts == o.Counts
}

func damageKeys() []Key { return []Key{storageKey("a"), storageKey("b")} }

// build makes a ledger of some members: an entry with settled and with open intents after a file that was written anew, and one that is small.
func build(ctx context.Context, open func(disk) (Ledger, error), size int) (*simDisk, error) {
	d := newSimDisk()
	l, err := open(d)
	if err != nil {
		return nil, err
	}
	twice := func(k Key, work func(Session, int) error) error {
		for turn := range 2 {
			s, err := l.Open(ctx, k)
			if err != nil {
				return err
			}
			err = work(s, turn)
			if err := errors.Join(err, s.Close()); err != nil {
				return err
			}
		}
		return nil
	}
	change := func(s Session, removals, adds []Member, o Outcome) error {
		n, err := s.Begin(ctx, removals, adds)
		if err != nil {
			return err
		}
		return s.Settle(n, o)
	}
	are := func(state State, ids []identity.ID) []Member {
		var list []Member
		for _, id := range ids {
			list = append(list, Member{id, state})
		}
		return list
	}
	large := people(1000, 1000+size)
	err = twice(damageKeys()[0], func(s Session, turn int) error {
		if turn == 0 {
			return errors.Join(
				s.SetHeader(ctx, Header{Name: "Spring sale", CreatedAt: time.Unix(1_772_000_000, 0).UTC(), Naming: Named, Rules: "external_id", Sent: Epochs{9: 9}}),
				change(s, nil, are(Out, large), Accepted),
				purge(ctx, s),
			)
		}
		_, err := s.Begin(ctx, are(In, large[:2]), are(Out, people(20, 23)))
		return errors.Join(
			err, change(s, are(In, large[2:4]), are(Out, people(0, 6)), Accepted), change(s, are(In, large[4:6]), are(Out, people(6, 8)), Lost),
			change(s, are(In, large[6:8]), are(Out, people(8, 10)), Refused),
		)
	})
	return d, errors.Join(err, twice(damageKeys()[1], func(s Session, turn int) error {
		if turn == 0 {
			return change(s, nil, are(Out, people(30, 35)), Accepted)
		}
		_, err := s.Begin(ctx, are(In, people(30, 31)), nil)
		return err
	}))
}

// purge has the ledger write its files anew, if it has a way to.
func purge(ctx context.Context, s Session) error {
	if p, ok := s.(Purger); ok {
		return p.Purge(ctx)
	}
	return nil
}

// look sees a ledger. Whatever is found out on the way is an error, none of which is another than the one of damage.
func look(ctx context.Context, open func(disk) (Ledger, error), d disk) (sight, error) {
	got := sight{Entries: map[string]Header{}, Members: map[string]State{}, Parts: map[string]State{}}
	l, err := open(d)
	if err != nil {
		return got, err
	}
	for e, err := range l.Entries(ctx) {
		if err != nil {
			return got, err
		}
		got.Entries[e.Key.String()] = e.Header
	}
	for _, k := range damageKeys() {
		if err := got.entry(ctx, l, k); err != nil {
			return got, err
		}
	}
	return got, nil
}

func (g *sight) entry(ctx context.Context, l Ledger, k Key) (err error) {
	s, err := l.Open(ctx, k)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for m, err := range s.Members(ctx) {
		if err != nil {
			return err
		}
		g.Members[k.CohortID+" "+m.ID.Encode()] = m.State
	}
	wanted := slices.Concat(people(0, 40), people(1004, 1040))
	d, err := s.Compare(ctx, wantedIDs(wanted, func(i int) []identity.ID { return people(1000+i, 1001+i) }))
	if err != nil {
		return err
	}
	for i, n := range []int{d.Members, d.Kept, d.Removals.Count, d.Adds.Count + d.Repeats.Count} {
		g.Counts[i] += n
	}
	for i, p := range []Part{d.Removals, d.Adds, d.Repeats} {
		for m, err := range p.Members {
			if err != nil {
				return err
			}
			g.Parts[fmt.Sprint(k.CohortID, i, m.ID.Encode())] = m.State
		}
	}
	return nil
}

// prepare builds the ledger on the first call.
func (v *victim) prepare(ctx context.Context) error {
	v.once.Do(func() {
		if v.disk, v.err = build(ctx, v.open, v.large); v.err != nil {
			return
		}
		// Looking may leave files behind, and is done on a copy as later.
		if v.want, v.err = look(ctx, v.open, v.disk.survivor(optimist{})); v.err != nil {
			return
		}
		files := v.disk.files()
		v.files = slices.SortedFunc(maps.Keys(files), func(a, b string) int { return len(files[a]) - len(files[b]) })
		v.files = slices.DeleteFunc(v.files, func(name string) bool { return len(files[name]) == 0 })
		if len(v.files) < 2 || len(v.want.Members) < v.large || len(v.want.Parts) < v.large || len(v.want.Entries) != 2 {
			v.err = fmt.Errorf("not much of a ledger: files %v, %d members", v.files, len(v.want.Members))
		}
	})
	return v.err
}

// harm is done to the bytes of a file.
type harm uint8

const (
	harmFlip harm = iota // some bits of a byte
	harmCut              // the file ends there
	harmGrow             // something follows the file
	harms
)

// do damages one file of a copy of the disk, and reports whether that changed anything.
func (h harm) do(d *simDisk, name string, at int, mask byte) bool {
	changed := false
	d.walk(func(other string, n *simNode) {
		if other != name {
			return
		}
		switch {
		case h == harmFlip && at < len(n.cache):
			n.cache[at] ^= mask
			changed = mask != 0
		case h == harmCut && at < len(n.cache):
			n.cache = n.cache[:at]
			changed = true
		case h == harmGrow:
			for i := range at%300 + 1 {
				n.cache = append(n.cache, mask*byte(i))
			}
			changed = true
		}
		n.disk = slices.Clone(n.cache)
	})
	return changed
}

// suffer damages a file, and holds the ledger to an error of damage that names the file, or to what it said before.
// It reports whether there was an error.
func (v *victim) suffer(ctx context.Context, name string, h harm, at int, mask byte) (found bool, err error) {
	d := v.disk.survivor(optimist{})
	if !h.do(d, name, at, mask) {
		return false, nil
	}
	// Twice: what is damaged stays so, and is not mended into something wrong.
	for turn := range 2 {
		got, err := look(ctx, v.open, d)
		var damage *DamagedError
		switch {
		case err == nil && turn == 1 && found:
			return found, errors.New("the damage was found once, and not again")
		case err == nil && v.want.same(&got): // most of the time would be spent on the comparison, so cmp is asked only where it has something to say
		case err == nil:
			if diff := cmp.Diff(v.want, got); diff != "" {
				return found, fmt.Errorf("turn %d: it was not found (-want +got):\n%s", turn, diff)
			}
		case !errors.As(err, &damage):
			return found, fmt.Errorf("turn %d: %w, which is no DamagedError", turn, err)
		case damage.File != name || damage.Problem == "":
			return found, fmt.Errorf("turn %d: %w, which names another file or no problem", turn, err)
		default:
			found = true
		}
		if d.handles != 0 {
			return found, fmt.Errorf("turn %d: %d files and locks are open", turn, d.handles)
		}
	}
	return found, nil
}

// TestDamage flips a bit of every byte of every file, and cuts every file at every length. With -every=N it is every Nth byte, from one by chance on.
func TestDamage(t *testing.T) {
	t.Parallel()
	for _, v := range damaged {
		small := &victim{name: v.name, open: v.open, large: 10}
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			if err := small.prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
			tried, found, stride := 0, 0, max(1, *every)
			files := small.disk.files()
			for _, name := range small.files {
				first := rand.IntN(min(stride, len(files[name])))
				t.Logf("%s: %d bytes, from %d on", name, len(files[name]), first)
				for at := first; at < len(files[name]); at += stride {
					for h := range harms {
						bad, err := small.suffer(t.Context(), name, h, at, 1<<(at/stride%8))
						if err != nil {
							t.Fatalf("%s, byte %d, harm %d: %v", name, at, h, err)
						}
						tried++
						if bad {
							found++
						}
					}
				}
			}
			t.Logf("%d of %d were found", found, tried)
			if tried < 1000/stride || found < tried/3 {
				t.Error("too little was tried, or found")
			}
		})
	}
}

// TestDamageIsFound shows that a ledger that trusts its files does not pass.
func TestDamageIsFound(t *testing.T) {
	t.Parallel()
	v := &victim{open: newToy(flawTrusts), large: 10}
	if err := v.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	name := v.files[len(v.files)-1]
	for at := range v.disk.files()[name] {
		if _, err := v.suffer(t.Context(), name, harmFlip, at, 1); err != nil {
			return
		}
	}
	t.Error("each flipped bit was found, or did no harm")
}

// FuzzDamage damages files of a larger ledger, which has files of every kind.
func FuzzDamage(f *testing.F) {
	for _, at := range []uint32{0, 1, 7, 8, 40, 500, 4095, 4096} {
		for h := range harms {
			for file := range byte(3) {
				f.Add(file, at, byte(h), byte(1<<(at%8)))
			}
		}
	}
	f.Fuzz(func(t *testing.T, file byte, at uint32, h, mask byte) {
		for _, v := range damaged {
			if err := v.prepare(context.WithoutCancel(t.Context())); err != nil {
				t.Fatal(err)
			}
			name := v.files[int(file)%len(v.files)]
			size := len(v.disk.files()[name])
			if _, err := v.suffer(t.Context(), name, harm(h)%harms, int(at)%size, mask); err != nil {
				t.Errorf("%s: %s, byte %d of %d, harm %d, mask %#x: %v", v.name, name, int(at)%size, size, harm(h)%harms, mask, err)
			}
		}
	})
}

// TestSomebody shows that the tests' own people can be told apart, also by whoever looks for a text inside another.
func TestSomebody(t *testing.T) {
	t.Parallel()
	ids := people(0, 2000)
	seen := map[identity.ID]bool{}
	var all strings.Builder
	for _, id := range ids {
		if seen[id] || id.Validate() != nil {
			t.Fatalf("%q is there twice, or cannot be sent", id.Encode())
		}
		seen[id] = true
		all.WriteString(id.Value() + "\n")
	}
	for _, id := range ids {
		if n := strings.Count(all.String(), id.Value()); n != 1 {
			t.Errorf("%q is part of %d texts, want 1", id.Encode(), n)
		}
	}
}
