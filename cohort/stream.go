package cohort

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// Stream carries events into one cohort as they happen: somebody entered, somebody left. It is for queues and webhooks, where a [Syncer.Sync] is for
// lists. Make one with [Syncer.Stream] or [Importer.Stream], give it events with Send or SendAll, and end it with Close, or its goroutines stay. It is
// safe for concurrent use.
//
// # Order
//
// The newest event of each member wins, by the times of the events and not by that of their arrival. Of two events of the same time the one with
// [Leave] wins, because who is left out by mistake is the smaller harm. So the same events have the same end in every order, however often they come.
// What repeats an event that was accepted is not sent again.
//
// An event that is older than what is known of its member is not applied, and never without a word: Send returns a [*LateError]. The time of a member's
// newest event is kept as long as it lies within [WithHorizon] of the newest event of all, for up to [WithMemory] members. Where times are forgotten, a
// watermark rises to the newest of them; an event at or below it, of a member of whom nothing is known, is late too, because it may be older than what
// was forgotten. The clock does not count, so a backlog of days is read like one of minutes; but an event from the future would make every true one
// late, and is refused beyond [WithSkew].
//
// Order is kept for each identifier, not for each person. Where one person has two, say an alias and an external ID, give events of one of them alone.
//
// # Acknowledgement
//
// An event is settled when the endpoint has accepted it, or a newer one of its member in its place; when it repeats one that came before; when it was
// returned as late; or when it would put in somebody who is on the do-not-send list as the event is given, and then its time is not kept. The function
// of [OnAcknowledge] gets the settled events in the order in which they arrived, none before all that arrived before it are settled: the offset of the
// last one can be committed to a queue. Whoever needs to know at once calls Flush.
//
// What the endpoint refused, or what may have got lost, is kept and sent again: after a second, then after twice as long each time up to a minute, and
// at once by Flush. The function of [OnFailure] hears why. A key that the customer invalidated therefore stops a stream but loses nothing, and Close
// returns what it could not deliver. A refusal is taken to be about the whole request, as every documented one is: identifiers are checked before, and
// a request is not divided to find one that the endpoint dislikes. If the ledger cannot record, the stream ends.
//
// # Pace
//
// Changes leave when there are 1,000 of them, when the first has waited for [WithDelay], or at a Flush. Of several events of a member until then the
// newest is sent alone. Several requests are under way at a time ([WithInFlight]), but never two with the same member. When as many events are
// unacknowledged as [WithBacklog] allows, what is there is sent and Send waits.
//
// # With a ledger and without
//
// A stream of a [Syncer] holds the lease on its cohort as long as it is open. It records each change before it leaves, together with the time of its
// event; that of a request which was surely refused does not count. After a crash the next stream therefore knows every event that may have been
// applied: an older one is late, and the event itself, which the queue delivers again, is sent once more unless its acceptance was recorded. An event
// that was not acknowledged is late only by a newer one of its member, or if times as new as its own had to be forgotten. With the times the ledger
// keeps hashes of identifiers, also of those who left, until they are forgotten; [Syncer.Erase] leaves them.
//
// A stream of an [Importer] knows the events since it was opened and nothing else. Open one at a time for a cohort: two know nothing of each other.
//
// The removal guard holds nothing here: each removal is an event, and not a row that may be missing from a list.
type Stream struct {
	importer   *Importer
	syncer     *Syncer // nil without a ledger
	cohort     Cohort
	config     streamConfig
	keys       memberKeys
	suppressed func(identity.ID) bool

	ctx    context.Context //nolint:containedctx // of the requests, which outlive the call that gave the events
	cancel context.CancelFunc
	worked chan struct{} // closed when the courier is done
	told   chan struct{} // closed when the herald is done
	ended  chan struct{} // closed when the first Close has given up the lease
	work   chan struct{} // wakes the courier
	news   chan struct{} // wakes the herald

	session ledger.Session    // nil without a ledger
	keeper  ledger.Timekeeper // the session

	// of the courier
	named    bool
	untidied int       // changes since the ledger was tidied
	since    time.Time // no change that waits came before

	ahead atomic.Int64 // before this second an event is surely not too far ahead

	mu      sync.Mutex
	times   times
	backlog backlog
	ready   []Event       // settled, and not yet told
	acked   uint64        // the position of the first event that is not acknowledged
	moved   chan struct{} // closed when something changes that callers wait for; nil if nobody waits
	hurry   bool          // no delay between two attempts
	closing bool
	over    bool // the courier is done
	broken  error
	failure error // the last one
	state   StreamState
	counts  [fates]int

	overlong int // events that can hardly match
}

// Stream opens a stream into a cohort that has no ledger. The cohort gets its name before its first change, each time that a stream is opened;
// CreatedAt is required. The context has its say only until Stream returns, its values go with the requests. It fails with an [*InvalidError].
//
// A cohort that has a ledger is written only through its [Syncer]. See [Syncer.Stream].
func (im *Importer) Stream(ctx context.Context, c Cohort, opts ...StreamOption) (*Stream, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	s, err := newStream(ctx, im, c, opts)
	if err != nil {
		return nil, err
	}
	s.start()
	return s, nil
}

// Stream opens a stream into a cohort, and holds the lease on it until the stream is closed. The cohort gets its name before its first change, if the
// ledger does not say that it has it; CreatedAt may be the zero time as in [Syncer.Sync]. The context has its say only until Stream returns, its values
// go with the requests.
//
// It fails with an [*InvalidError], also for a ledger whose sessions are no [ledger.Timekeeper]; with [ErrRetired] for a cohort that was drained;
// with a [*ledger.HeldError] while another run or stream has the cohort; or with another error of the ledger.
func (s *Syncer) Stream(ctx context.Context, c Cohort, opts ...StreamOption) (*Stream, error) {
	if err := c.validateNamed(); err != nil {
		return nil, err
	}
	st, err := newStream(ctx, s.importer, c, opts)
	if err != nil {
		return nil, err
	}
	st.syncer, st.suppressed = s, s.suppressed
	operation := fmt.Sprintf("cohort: stream into %q", c.ID)
	session, err := s.state.Open(ctx, s.key(c.ID))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	if err := st.adopt(ctx, session); err != nil {
		return nil, closed(operation, err, session.Close())
	}
	st.start()
	return st, nil
}

func newStream(ctx context.Context, im *Importer, c Cohort, opts []StreamOption) (*Stream, error) {
	config, err := newStreamConfig(opts)
	if err != nil {
		return nil, err
	}
	s := &Stream{
		importer: im, cohort: c, config: config, keys: newMemberKeys(),
		worked: make(chan struct{}), told: make(chan struct{}), ended: make(chan struct{}), work: make(chan struct{}, 1), news: make(chan struct{}, 1),
		times: newTimes(config.memory, int64(config.horizon)), backlog: newBacklog(),
	}
	s.acked = s.backlog.head
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return s, nil
}

// adopt takes over a session and what it knows of earlier events.
func (s *Stream) adopt(ctx context.Context, session ledger.Session) error {
	if session.Header().Retired {
		return ErrRetired
	}
	keeper, ok := session.(ledger.Timekeeper)
	if !ok {
		return &InvalidError{
			Field: "ledger", Problem: "keeps no times of events, so that an older event could win after a restart",
			Next: "use one whose sessions are a ledger.Timekeeper, such as ledger.Dir",
		}
	}
	watermark, stamps, err := keeper.Stamps(ctx)
	if err != nil {
		return readError(err)
	}
	s.session, s.keeper, s.keys = session, keeper, lastingMemberKeys(s.importer.key(s.cohort.ID))
	s.times.load(watermark, stamps)
	return nil
}

// start lets the goroutines go: the courier carries changes, the herald tells what is settled.
func (s *Stream) start() {
	go s.carryOn()
	if len(s.config.onAcknowledge) == 0 {
		close(s.told)
		return
	}
	go s.tell()
}

// Send gives the stream an event. It returns nil when the event was taken, which does not mean that it was sent: see [OnAcknowledge] and Flush. While
// too many events are unacknowledged it waits.
//
// It fails with
//   - an [*identity.RejectError] for what can be no event: one without a direction or a time, from the future, or of an identifier that cannot be sent.
//     It is the caller's again, and is never acknowledged;
//   - a [*LateError] for an event that is too old. That settles it, so it is acknowledged in its turn;
//   - the error of the context, [ErrStreamClosed], or the error of the ledger that ended the stream: the event was not taken.
//
// Events that are sent by several goroutines arrive in the order in which Send takes them.
func (s *Stream) Send(ctx context.Context, e Event) error {
	if err := s.validate(&e); err != nil {
		s.mu.Lock()
		s.state.Refused++
		s.mu.Unlock()
		return s.wrap(err)
	}
	key, out := s.keys.of(e.ID), s.suppresses(&e)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.room(ctx); err != nil {
		return err
	}
	if out {
		s.suppress(&e)
		return nil
	}
	if err := s.put(&e, key); err != nil {
		return s.wrap(err)
	}
	return nil
}

// SendAll is [Stream.Send] for several events at once, such as a consumer gets from its queue, in less time for each. An event that Send would answer
// with an [*identity.RejectError] or a [*LateError] is handed to returned with that error, in its turn and in the calling goroutine. The function must
// not be nil.
//
// It returns how many of the events it dealt with: all of them, unless there is an error. That is the context's, [ErrStreamClosed], or the ledger's
// that ended the stream, and the events from that number on were not taken.
func (s *Stream) SendAll(ctx context.Context, events []Event, returned func(Event, error)) (int, error) {
	if returned == nil {
		return 0, &InvalidError{Field: "returned", Problem: "is nil", Next: "give a function that hears of events that are refused or late"}
	}
	dealtWith := 0
	for part := range slices.Chunk(events, holdFor) {
		var errs [holdFor]error
		n, err := s.putAll(ctx, part, errs[:len(part)])
		for i, err := range errs[:n] {
			if err != nil {
				returned(part[i], s.wrap(err))
			}
		}
		if dealtWith += n; err != nil {
			return dealtWith, err
		}
	}
	return dealtWith, nil
}

// putAll takes in events, at most holdFor, and notes what is to be said of each. It returns how many it dealt with.
func (s *Stream) putAll(ctx context.Context, events []Event, errs []error) (int, error) {
	var keys [holdFor]memberKey
	var out [holdFor]bool
	for i := range events {
		e := &events[i]
		if errs[i] = s.validate(e); errs[i] == nil {
			keys[i], out[i] = s.keys.of(e.ID), s.suppresses(e)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times.members.foresee(keys[:len(events)])
	for i := range events {
		if errs[i] != nil {
			s.state.Refused++
			continue
		}
		if err := s.room(ctx); err != nil {
			return i, err
		}
		if out[i] {
			s.suppress(&events[i])
			continue
		}
		errs[i] = s.put(&events[i], keys[i])
	}
	return len(events), nil
}

// suppresses reports whether an event is about somebody who must not enter.
func (s *Stream) suppresses(e *Event) bool {
	return s.suppressed != nil && e.Direction == Enter && s.suppressed(e.ID)
}

// room waits until there is room in the backlog. The caller holds the lock, which is released meanwhile.
func (s *Stream) room(ctx context.Context) error {
	for {
		room := s.config.backlog - int(s.backlog.tail-s.acked)
		switch {
		case s.broken != nil:
			return s.wrap(s.broken)
		case s.closing:
			return ErrStreamClosed
		case room > 0:
			if room == 1 { // what comes now fills it, so that nothing need wait for more
				s.rouse()
			}
			return nil
		}
		if err := s.await(ctx); err != nil {
			return s.wrap(err)
		}
	}
}

// validate reports what is wrong with an event. The clock is asked only where the last time that it was does not do.
func (s *Stream) validate(e *Event) error {
	limit := e.At
	if limit.Unix() >= s.ahead.Load() {
		limit = time.Now().Add(s.config.skew)
		s.ahead.Store(limit.Unix())
	}
	return validateEvent(e, limit)
}

// suppress takes in an event about somebody who must not enter. The caller holds the lock.
func (s *Stream) suppress(e *Event) {
	s.settle(s.backlog.push(e), suppressed)
	s.advance()
}

// put takes in an event. The caller holds the lock.
func (s *Stream) put(e *Event, key memberKey) error {
	position := s.backlog.push(e)
	at, leave := e.At.UnixNano(), e.Direction == Leave
	member, found := s.times.members.find(key)
	var prior uint64
	switch {
	case found:
		known := s.times.members.at(member)
		switch c := (ledger.Stamp{At: at, Leave: leave}).Compare(ledger.Stamp{At: known.at, Leave: known.leave}); {
		case c < 0:
			return s.turnAway(position, &LateError{At: e.At, Known: time.Unix(0, known.at)})
		case c == 0 && (known.sure || known.pending): // that which is pending came before, and is acknowledged before
			s.settle(position, repeated)
			s.advance()
			return nil
		case known.pending:
			prior = s.backlog.find(known.last)
		}
	case at <= s.times.watermark:
		return s.turnAway(position, &LateError{At: e.At, Known: time.Unix(0, s.times.watermark), Forgotten: true})
	default:
		member = s.times.members.add(key)
	}
	if e.ID.Overlong() {
		s.overlong++
	}
	s.times.hold(member, at, leave, position)
	s.backlog.at(position).member = member
	if n := s.backlog.expect(position, prior); n == 1 || n == MaxIdentifiers {
		s.rouse()
	}
	return nil
}

// turnAway settles an event as late.
func (s *Stream) turnAway(position uint64, err *LateError) error {
	s.settle(position, late)
	s.advance()
	return err
}

// settle notes the fate of an event. The caller holds the lock.
func (s *Stream) settle(position uint64, f fate) {
	s.backlog.at(position).fate = f
	s.counts[f]++
}

// advance passes on the events that are settled and before which nothing is pending. The caller holds the lock.
func (s *Stream) advance() {
	end := s.backlog.settledUntil()
	if end == s.backlog.head {
		return
	}
	if len(s.config.onAcknowledge) > 0 {
		for p := s.backlog.head; p < end; p++ {
			s.ready = append(s.ready, s.backlog.at(p).event)
		}
	}
	s.backlog.drop(end)
	if len(s.config.onAcknowledge) > 0 {
		signal(s.news)
		return
	}
	s.acked = s.backlog.head
	s.stir()
}

// await waits until something has changed. The caller holds the lock, which is released meanwhile.
func (s *Stream) await(ctx context.Context) error {
	if s.moved == nil {
		s.moved = make(chan struct{})
	}
	moved := s.moved
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-moved:
		return nil
	case <-ctx.Done():
		return contextError(ctx)
	}
}

// stir wakes whoever waits. The caller holds the lock.
func (s *Stream) stir() {
	if s.moved != nil {
		close(s.moved)
		s.moved = nil
	}
}

// rouse wakes the courier.
func (s *Stream) rouse() { signal(s.work) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Flush sends what was taken until now without further delay, and returns when all of it is acknowledged. If an attempt fails meanwhile it returns
// the error: the events are kept, and are sent again. It fails with the error of the context, [ErrStreamClosed], or the error of the ledger that
// ended the stream, too.
func (s *Stream) Flush(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	end, failures := s.backlog.tail, s.state.Failures
	s.backlog.due = end
	s.hurry = true
	s.rouse()
	for s.acked < end {
		var err error
		switch {
		case s.broken != nil:
			err = s.broken
		case s.state.Failures != failures:
			err = s.failure
		case s.over:
			return ErrStreamClosed
		default:
			err = s.await(ctx)
		}
		if err != nil {
			return fmt.Errorf("%w; what was not acknowledged is kept", s.wrap(err))
		}
	}
	return nil
}

// Close takes no more events, delivers those that it has, and ends the stream and its lease. It returns the events that could not be delivered, in the
// order in which they arrived: the stream has no more to do with them. While the endpoint is in trouble, Close tries again until the context ends; what
// the endpoint refuses, as it does with a bad key, it does not try again. The error says why events were left, or that the ledger
// could not be closed. If there are such events, later ones that were settled are not acknowledged either, so that a queue delivers them again.
//
// Closing again returns nothing.
func (s *Stream) Close(ctx context.Context) ([]Event, error) {
	s.mu.Lock()
	again := s.closing
	s.closing, s.hurry = true, true
	s.stir()
	s.mu.Unlock()
	s.rouse()
	stop := context.AfterFunc(ctx, s.cancel)
	defer stop()
	<-s.worked
	<-s.told
	if again {
		<-s.ended
		return nil, nil
	}
	defer close(s.ended)
	s.cancel()
	var left []Event
	s.mu.Lock()
	for p := s.backlog.head; p < s.backlog.tail; p++ {
		if e := s.backlog.at(p); e.fate == pending {
			left = append(left, e.event)
		}
	}
	err := s.broken
	if err == nil && len(left) > 0 {
		err = s.failure
	}
	s.mu.Unlock()
	if ctxErr := contextError(ctx); ctxErr != nil && len(left) > 0 && !errors.Is(err, ctxErr) {
		err = both(ctxErr, err)
	}
	operation := fmt.Sprintf("cohort: stream into %q", s.cohort.ID)
	if err != nil {
		err = fmt.Errorf("close, with %s left: %w", plural(len(left), "event"), err)
	}
	if s.session == nil {
		return left, closed(operation, err, nil)
	}
	return left, closed(operation, err, s.session.Close())
}

// String names the cohort and the importer.
func (s *Stream) String() string {
	return fmt.Sprintf("cohort.Stream into %q of workspace %q for partner %q at %s",
		s.cohort.ID, s.importer.workspace, s.importer.credentials.Partner, s.importer.client.Endpoint())
}

// Format prints String under every verb.
func (s *Stream) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// LogValue shows String.
func (s *Stream) LogValue() slog.Value { return slog.StringValue(s.String()) }

func (s *Stream) wrap(err error) error {
	if errors.Is(err, ErrStreamClosed) {
		return err
	}
	return fmt.Errorf("cohort: stream: %w", err)
}
