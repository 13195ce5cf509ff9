package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// dirSession is a session on an entry of a Dir.
type dirSession struct {
	disk    disk
	key     Key
	folder  string
	small   int64 // see Dir
	lock    io.Closer
	scratch *scratch
	base    *base
	head    journalHead

	kept int64 // how many bytes of the journal are stamps that every journal to come has too, as long as they count

	beginning chan struct{} // held by whoever sees to it that there is a journal
	lasting   bool          // that its name is durable
	failed    error         // why it is not

	mu      sync.Mutex
	journal *journal // nil until something is recorded
	closed  bool
	wrote   bool // the header says that this session recorded something
	header  Header
	last    Intent
	pending map[Intent]bool // begun in this session and not settled
}

// open reads what the entry has, and tidies up after a session that was interrupted.
func (s *dirSession) open(ctx context.Context) error {
	if err := s.disk.remove(s.scratch.name); err != nil {
		return err
	}
	names, err := s.disk.list(s.folder)
	if err != nil {
		return err
	}
	f, err := s.disk.open(s.file(journalName))
	if errors.Is(err, fs.ErrNotExist) {
		for _, name := range names {
			if strings.HasPrefix(name, basePrefix) {
				return missing(s.file(journalName), err)
			}
		}
		s.head = journalHead{Key: s.key, Seed: hashSeed(rand.Uint64())}
		return nil
	}
	if err != nil {
		return err
	}
	finished, err := s.adopt(ctx, f)
	if err != nil {
		_ = f.Close()
		return err
	}
	keep := s.baseName(s.head.Base.Number)
	for _, name := range names {
		if name != journalName && name != keep {
			if err := s.disk.remove(s.file(name)); err != nil {
				return err
			}
		}
	}
	// The journal of a session that was interrupted is not continued. Behind its last frame there may be others, of which a later one might pass for
	// valid; and what a failed sync left can be read from the system's memory, while no later sync would bring it to the disk.
	if !finished || s.large() {
		return s.rewrite(ctx)
	}
	return nil
}

// adopt takes over a journal that is there. It reports whether the last session finished with it.
func (s *dirSession) adopt(ctx context.Context, f file) (finished bool, err error) {
	j, head, err := readJournal(f, s.file(journalName))
	if err != nil {
		return false, err
	}
	if head.Key != s.key {
		return false, j.damaged("belongs to another cohort")
	}
	l, err := j.scan(ctx, head)
	if err != nil {
		return false, err
	}
	if finished, err = j.take(l.end); err != nil {
		return false, err
	}
	b, err := openBase(s.disk, s.file(s.baseName(head.Base.Number)), head.Base)
	if err != nil {
		return false, err
	}
	s.journal, s.head, s.base = j, head, b
	s.header, s.last, s.kept = l.header, l.last, l.kept
	return finished, nil
}

func (s *dirSession) file(name string) string { return filepath.Join(s.folder, name) }

func (s *dirSession) baseName(number uint64) string {
	return basePrefix + strconv.FormatUint(number, 10)
}

// large reports whether the journal has grown so much that it is time to write base and journal anew.
func (s *dirSession) large() bool {
	const share = 8
	return s.journal != nil && s.journal.size()-s.kept > max(s.small, s.head.Base.Length/share)
}

// Header returns what is recorded besides the members. See [Session].
func (s *dirSession) Header() Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.header
}

// SetHeader records another header. See [Session].
func (s *dirSession) SetHeader(ctx context.Context, h Header) error {
	if err := h.Validate(); err != nil {
		return err
	}
	j, end, err := s.record(ctx, func(j *journal) int64 {
		h.Generation = s.header.Generation
		s.header = h
		return j.append(headerFrame, s.encodeHeader)
	})
	if err == nil {
		err = j.sync(ctx, end)
	}
	if err != nil {
		return fmt.Errorf("ledger: set header: %w", err)
	}
	return nil
}

func (s *dirSession) encodeHeader(dst []byte) []byte { return appendHeader(dst, s.header) }

// Begin records an intent. See [Session].
func (s *dirSession) Begin(ctx context.Context, removals, adds []Member) (Intent, error) {
	return s.beginIntent(ctx, removals, adds, nil)
}

// BeginStamped records an intent and its stamps. See [Timekeeper].
func (s *dirSession) BeginStamped(ctx context.Context, removals, adds []Member, stamps []Stamp, watermark int64) (Intent, error) {
	return s.beginIntent(ctx, removals, adds, func(j *journal, intent Intent) int64 {
		return j.append(stampsFrame, func(dst []byte) []byte { return appendStamps(dst, intent, watermark, stamps) })
	})
}

// beginIntent records an intent, and whatever else belongs to it.
func (s *dirSession) beginIntent(ctx context.Context, removals, adds []Member, also func(*journal, Intent) int64) (Intent, error) {
	if sizeOf(removals)+sizeOf(adds) > maxIntent {
		return 0, &InvalidError{Field: "members", Problem: "have identifiers of more than 512 MB together", Next: "begin them in several intents"}
	}
	var intent Intent
	j, end, err := s.record(ctx, func(j *journal) int64 {
		s.last++
		intent = s.last
		s.pending[intent] = true
		end := j.append(intentFrame, func(dst []byte) []byte { return appendIntent(dst, intent, removals, adds) })
		if also != nil {
			end = also(j, intent)
		}
		return end
	})
	if err != nil {
		return 0, fmt.Errorf("ledger: begin: %w", err)
	}
	if err := j.sync(ctx, end); err != nil {
		_ = s.Settle(intent, Refused) // nothing leaves, so nothing can come of it
		return 0, fmt.Errorf("ledger: begin: %w", err)
	}
	return intent, nil
}

// Settle records an outcome. See [Session].
func (s *dirSession) Settle(intent Intent, outcome Outcome) error {
	j, _, err := s.record(context.Background(), func(j *journal) int64 {
		delete(s.pending, intent)
		return j.append(settleFrame, func(dst []byte) []byte { return appendSettle(dst, intent, outcome) })
	})
	if err == nil {
		err = j.handOver()
	}
	if err != nil {
		return fmt.Errorf("ledger: settle: %w", err)
	}
	return nil
}

// record has f append to the journal, which comes into being with the first record. It returns the end of what f appended.
func (s *dirSession) record(ctx context.Context, f func(*journal) int64) (*journal, int64, error) {
	if err := s.begin(ctx); err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.journal
	if s.closed {
		return nil, 0, ErrClosed
	}
	if err := j.broken(); err != nil {
		return nil, 0, err
	}
	if !s.wrote {
		s.wrote = true
		s.header.Generation++
		j.append(headerFrame, s.encodeHeader)
	}
	return j, f(j), nil
}

// begin makes the folder and the journal of an entry that has none. The name of a journal that is there may not be durable: the session that gave
// it may have got no further.
func (s *dirSession) begin(ctx context.Context) error {
	select {
	case s.beginning <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.beginning }()
	if s.lasting || s.failed != nil {
		return s.failed
	}
	s.mu.Lock()
	there, closed := s.journal != nil, s.closed
	s.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case there:
		s.failed = s.disk.syncDir(s.folder)
	default:
		s.failed = s.create()
	}
	s.lasting = s.failed == nil
	return s.failed
}

func (s *dirSession) create() error {
	if err := s.disk.makeDir(s.folder); err != nil {
		return err
	}
	if err := s.disk.syncDir(filepath.Dir(s.folder)); err != nil {
		return err
	}
	header := Header{Generation: 1}
	j, err := s.replace(s.head, header, nil)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journal, s.header, s.wrote = j, header, true
	return nil
}

// replace writes a new journal with these frames behind the header in place of the one that is there, if any, and opens it.
func (s *dirSession) replace(head journalHead, header Header, frames []frame) (*journal, error) {
	name := s.file(journalName)
	content, err := encodeJournal(head, func(j *journal) {
		j.append(headerFrame, func(dst []byte) []byte { return appendHeader(dst, header) })
		for _, f := range frames {
			j.append(f.kind, func(dst []byte) []byte { return append(dst, f.payload...) })
		}
	})
	if err != nil {
		return nil, err
	}
	if err := publish(s.disk, name, content); err != nil {
		return nil, err
	}
	f, err := s.disk.open(name)
	if err != nil {
		return nil, err
	}
	j, _, err := readJournal(f, name)
	if err == nil {
		_, err = j.take(int64(len(content)))
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return j, nil
}

// comparison returns what the entry has, ready to be held against something. It takes the scratch over.
func (s *dirSession) comparison(ctx context.Context) (*comparison, error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	if err := s.scratch.empty(); err != nil {
		return nil, err
	}
	c := &comparison{seed: s.head.Seed, base: s.base, scratch: s.scratch}
	if s.journal == nil {
		return c, nil
	}
	l, err := s.readLogged(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.journal.scatter(ctx, l, c.seed, c.scratch, 0, partitions); err != nil {
		return nil, err
	}
	return c, c.scratch.shed(loggedStream)
}

// readLogged returns what the journal says, all that was recorded until now included.
func (s *dirSession) readLogged(ctx context.Context) (*logged, error) {
	if err := s.journal.flush(ctx); err != nil {
		return nil, err
	}
	return s.journal.scan(ctx, s.head)
}

// usable returns why the session cannot be used, if it cannot.
func (s *dirSession) usable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.journal != nil:
		return s.journal.broken()
	default:
		return nil
	}
}

// Compare holds the members against the wanted. See [Session].
func (s *dirSession) Compare(ctx context.Context, wanted iter.Seq2[Wanted, error]) (*Difference, error) {
	c, err := s.comparison(ctx)
	if err != nil {
		return nil, fmt.Errorf("ledger: compare: %w", err)
	}
	anybody := s.head.Base.Members > 0 || s.scratch.has(loggedStream)
	sc := newScatterer(c, anybody)
	defer sc.end() //nolint:errcheck // finish has the error; this is for a source that fails or panics
	for w, err := range wanted {
		if err != nil {
			return nil, err
		}
		if !sc.add(w) {
			continue
		}
		if err := sc.next(ctx); err != nil {
			return nil, fmt.Errorf("ledger: compare: %w", err)
		}
	}
	// A source may simply end when the context does. What it did not yield is not unwanted.
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("ledger: compare: %w", err)
	}
	if err := sc.finish(); err != nil {
		return nil, fmt.Errorf("ledger: compare: %w", err)
	}
	if err := c.twins(ctx); err != nil {
		return nil, fmt.Errorf("ledger: compare: %w", err)
	}
	n, err := c.count(ctx)
	if err != nil {
		return nil, fmt.Errorf("ledger: compare: %w", err)
	}
	return &Difference{
		Members: n.members, Kept: n.kept, Duplicate: n.duplicate,
		Removals: Part{n.removals, c.part(ctx, removalStream)},
		Adds:     Part{n.adds, c.part(ctx, addStream)},
		Repeats:  Part{n.repeats, c.part(ctx, repeatStream)},
	}, nil
}

// Members yields the members. See [Session].
func (s *dirSession) Members(ctx context.Context) iter.Seq2[Member, error] {
	return func(yield func(Member, error) bool) {
		c, err := s.comparison(ctx)
		if err != nil {
			yield(Member{}, fmt.Errorf("ledger: members: %w", err))
			return
		}
		// Nobody is wanted, so everybody would have to be removed.
		for partition := range c.again {
			c.again[partition] = true
		}
		c.part(ctx, removalStream)(yield)
	}
}

// Purge writes base and journal anew, so that they name members alone. See [Purger].
func (s *dirSession) Purge(ctx context.Context) error {
	err := s.usable()
	if err == nil && s.journal != nil {
		err = s.rewrite(ctx)
	}
	if err != nil {
		return fmt.Errorf("ledger: purge: %w", err)
	}
	return nil
}

// Stamps returns what is known of the times of events. See [Timekeeper].
func (s *dirSession) Stamps(ctx context.Context) (int64, []Stamp, error) {
	err := s.usable()
	if err != nil || s.journal == nil {
		return 0, nil, err
	}
	l, err := s.readLogged(ctx)
	if err != nil {
		return 0, nil, fmt.Errorf("ledger: stamps: %w", err)
	}
	set, err := s.journal.stamps(ctx, l, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("ledger: stamps: %w", err)
	}
	return l.watermark, set.above(l.watermark), nil
}

// Tidy writes base and journal anew if the journal has grown. See [Timekeeper].
func (s *dirSession) Tidy(ctx context.Context) error {
	if err := s.usable(); err != nil {
		return fmt.Errorf("ledger: tidy: %w", err)
	}
	if !s.large() {
		return nil
	}
	return s.Purge(ctx)
}

// Close ends the lease. See [Session].
func (s *dirSession) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return nil
	}
	var err error
	if s.journal != nil {
		ctx := context.Background() // what was settled is worth a moment
		err = s.journal.finish(ctx)
		clear(s.pending)
		if err == nil && s.large() {
			err = s.rewrite(ctx)
		}
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.release()
	if err != nil {
		return fmt.Errorf("ledger: close: %w", err)
	}
	return nil
}

// release closes the files and then the lock. What their Close could report was found by the last sync.
func (s *dirSession) release() {
	_ = s.scratch.close()
	_ = s.base.close()
	if s.journal != nil {
		_ = s.journal.file.Close()
	}
	_ = s.lock.Close()
}
