package ledgertest

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"

	"github.com/cohortkit/cohortkit/cohort/ledger"
)

// lazy is a store of a ledger that makes outcomes durable with the call that follows, as Settle allows. Until a call has failed its
// sessions do not know that their lease is lost.
func lazy(testing.TB) Store {
	b := newBent()
	b.opened = func(s *bentSession) { new(laziness).of(s) }
	return b.store()
}

// laziness holds the outcomes of a session back.
type laziness struct {
	mu    sync.Mutex
	later []func() error
	over  bool // the session has ended or failed
}

// catchUp makes the outcomes durable.
func (l *laziness) catchUp() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	for _, settle := range l.later {
		err = errors.Join(err, settle())
	}
	l.later = nil
	return err
}

// known remembers that a call failed.
func (l *laziness) known(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = l.over || err != nil
	return err
}

func (l *laziness) of(s *bentSession) {
	setHeader, begin, stamped, settle, end := s.setHeader, s.begin, s.beginStamped, s.settle, s.close
	compare, members, stamps := s.compare, s.members, s.stamps
	s.settle = func(n ledger.Intent, o ledger.Outcome) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.over {
			return settle(n, o)
		}
		l.later = append(l.later, func() error { return settle(n, o) })
		return nil
	}
	s.setHeader = func(ctx context.Context, h ledger.Header) error { return l.known(setHeader(ctx, h)) }
	s.begin = func(ctx context.Context, removals, adds []ledger.Member) (ledger.Intent, error) {
		err := l.catchUp()
		n, beginErr := begin(ctx, removals, adds)
		return n, l.known(errors.Join(err, beginErr))
	}
	s.beginStamped = func(ctx context.Context, removals, adds []ledger.Member, list []ledger.Stamp, watermark int64) (ledger.Intent, error) {
		err := l.catchUp()
		n, beginErr := stamped(ctx, removals, adds, list, watermark)
		return n, l.known(errors.Join(err, beginErr))
	}
	s.compare = func(ctx context.Context, wanted iter.Seq2[ledger.Wanted, error]) (*ledger.Difference, error) {
		if err := l.catchUp(); err != nil {
			return nil, err
		}
		return compare(ctx, wanted)
	}
	s.members = func(ctx context.Context) iter.Seq2[ledger.Member, error] {
		return func(yield func(ledger.Member, error) bool) {
			if err := l.catchUp(); err != nil {
				yield(ledger.Member{}, err)
				return
			}
			members(ctx)(yield)
		}
	}
	s.stamps = func(ctx context.Context) (int64, []ledger.Stamp, error) {
		if err := l.catchUp(); err != nil {
			return 0, nil, err
		}
		return stamps(ctx)
	}
	s.close = func() error {
		err := l.catchUp()
		_ = l.known(ledger.ErrClosed)
		return errors.Join(err, end())
	}
}
