package ledgertest

import (
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// bent is a ledger in memory of which anything can be bent. As it is made it keeps the contract, may lose its leases, and can purge.
type bent struct {
	memory *ledger.Memory

	open    func(context.Context, ledger.Key) (ledger.Session, error)
	entries func(context.Context) iter.Seq2[ledger.Entry, error]
	opened  func(*bentSession) // is called with each new session

	mu      sync.Mutex
	holders map[ledger.Key]*bentSession
}

func newBent() *bent {
	b := &bent{memory: ledger.NewMemory(), opened: func(*bentSession) {}, holders: map[ledger.Key]*bentSession{}}
	b.open, b.entries = b.openWell, b.memory.Entries
	return b
}

func (b *bent) Open(ctx context.Context, k ledger.Key) (ledger.Session, error) { return b.open(ctx, k) }
func (b *bent) Entries(ctx context.Context) iter.Seq2[ledger.Entry, error]     { return b.entries(ctx) }

func (b *bent) openWell(ctx context.Context, k ledger.Key) (ledger.Session, error) {
	s, err := b.take(ctx, k)
	if err != nil {
		return nil, err
	}
	b.opened(s)
	return s, nil
}

// take opens an entry and notes who has it, at once.
func (b *bent) take(ctx context.Context, k ledger.Key) (*bentSession, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	inner, err := b.memory.Open(ctx, k)
	if err != nil {
		return nil, err
	}
	kept, ok := inner.(keeping)
	if !ok {
		return nil, errors.New("a session in memory is no Timekeeper")
	}
	b.holders[k] = newBentSession(kept)
	return b.holders[k], nil
}

func (b *bent) holder(k ledger.Key) *bentSession {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.holders[k]
}

func (b *bent) store() Store {
	return Store{
		Open: func() (ledger.Ledger, error) { return b, nil },
		Expire: func(_ context.Context, k ledger.Key) error {
			s := b.holder(k)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.lost = true
			return s.inner.Close()
		},
	}
}

// keeping is a session in memory.
type keeping interface {
	ledger.Session
	ledger.Timekeeper
}

// bentSession is a session in memory whose methods are its fields.
type bentSession struct {
	inner keeping

	header       func() ledger.Header
	setHeader    func(context.Context, ledger.Header) error
	compare      func(context.Context, iter.Seq2[ledger.Wanted, error]) (*ledger.Difference, error)
	begin        func(ctx context.Context, removals, adds []ledger.Member) (ledger.Intent, error)
	settle       func(ledger.Intent, ledger.Outcome) error
	members      func(context.Context) iter.Seq2[ledger.Member, error]
	close        func() error
	purge        func(context.Context) error
	beginStamped func(ctx context.Context, removals, adds []ledger.Member, stamps []ledger.Stamp, watermark int64) (ledger.Intent, error)
	stamps       func(context.Context) (int64, []ledger.Stamp, error)
	tidy         func(context.Context) error

	mu   sync.Mutex
	lost bool
}

func newBentSession(inner keeping) *bentSession {
	s := &bentSession{inner: inner}
	s.header, s.compare, s.members = inner.Header, inner.Compare, inner.Members
	s.setHeader = func(ctx context.Context, h ledger.Header) error { return s.whyLost(inner.SetHeader(ctx, h)) }
	s.begin = func(ctx context.Context, removals, adds []ledger.Member) (ledger.Intent, error) {
		intent, err := inner.Begin(ctx, removals, adds)
		return intent, s.whyLost(err)
	}
	s.settle = func(intent ledger.Intent, o ledger.Outcome) error { return s.whyLost(inner.Settle(intent, o)) }
	s.close = inner.Close
	s.purge = func(ctx context.Context) error { return s.whyLost(inner.Tidy(ctx)) }
	s.beginStamped = func(ctx context.Context, removals, adds []ledger.Member, stamps []ledger.Stamp, watermark int64) (ledger.Intent, error) {
		intent, err := inner.BeginStamped(ctx, removals, adds, stamps, watermark)
		return intent, s.whyLost(err)
	}
	s.stamps = inner.Stamps
	s.tidy = func(ctx context.Context) error { return s.whyLost(inner.Tidy(ctx)) }
	return s
}

// whyLost returns what a session answers: an inner session ends with its lease.
func (s *bentSession) whyLost(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.lost {
		return ledger.ErrLeaseLost
	}
	return err
}

func (s *bentSession) Header() ledger.Header { return s.header() }
func (s *bentSession) SetHeader(ctx context.Context, h ledger.Header) error {
	return s.setHeader(ctx, h)
}
func (s *bentSession) Settle(intent ledger.Intent, o ledger.Outcome) error {
	return s.settle(intent, o)
}
func (s *bentSession) Members(ctx context.Context) iter.Seq2[ledger.Member, error] {
	return s.members(ctx)
}
func (s *bentSession) Close() error                    { return s.close() }
func (s *bentSession) Purge(ctx context.Context) error { return s.purge(ctx) }
func (s *bentSession) Tidy(ctx context.Context) error  { return s.tidy(ctx) }
func (s *bentSession) Stamps(ctx context.Context) (int64, []ledger.Stamp, error) {
	return s.stamps(ctx)
}

func (s *bentSession) Compare(ctx context.Context, wanted iter.Seq2[ledger.Wanted, error]) (*ledger.Difference, error) {
	return s.compare(ctx, wanted)
}

func (s *bentSession) Begin(ctx context.Context, removals, adds []ledger.Member) (ledger.Intent, error) {
	return s.begin(ctx, removals, adds)
}

func (s *bentSession) BeginStamped(ctx context.Context, removals, adds []ledger.Member, stamps []ledger.Stamp, watermark int64) (ledger.Intent, error) {
	return s.beginStamped(ctx, removals, adds, stamps, watermark)
}
