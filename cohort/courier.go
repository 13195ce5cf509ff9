package cohort

import (
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/transport"
)

const (
	firstPause   = time.Second
	longestPause = time.Minute
	// tidyAfter is after how many changes a stream looks whether its ledger has grown too much.
	tidyAfter = 1 << 20
	// holdFor is for how many events the lock is held at once, so that Send hardly waits for it.
	holdFor = 64
)

// carryOn is the courier: the goroutine that carries changes until the stream is closed, through one run of Apply after the other. A run lasts
// until a request fails.
func (s *Stream) carryOn() {
	defer func() {
		s.mu.Lock()
		s.over = true
		s.stir()
		s.mu.Unlock()
		signal(s.news)
		close(s.worked)
	}()
	pause := firstPause
	for s.due() {
		carried, err := s.carry()
		if tidyErr := s.tidy(); err == nil {
			err = tidyErr
		}
		if carried {
			pause = firstPause
		}
		if err == nil || s.done() {
			continue
		}
		if !s.failed(err) || !s.pause(pause) {
			return
		}
		pause = min(2*pause, longestPause)
	}
}

// due waits until there is something to carry, and returns false when the stream is closed and there is nothing.
func (s *Stream) due() bool {
	for {
		waiting, _, last := s.outlook()
		if waiting || last {
			return waiting
		}
		<-s.work
	}
}

// done reports whether the stream is closed and nothing is pending, so that an error no longer matters.
func (s *Stream) done() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing && s.broken == nil && s.backlog.head == s.backlog.tail
}

// carry names the cohort if that is due and sends changes until the stream is closed or a request fails. It reports whether any were accepted.
func (s *Stream) carry() (carried bool, err error) {
	if err := s.name(); err != nil {
		return false, err
	}
	r := newRun(s.ctx, s.importer, s.cohort.ID)
	r.config.settled = func(changes []Change, outcome transport.Outcome, attempts int) {
		s.breakWith(r.journal.failure()) // before anybody hears of an acknowledgement
		s.settled(changes, outcome, attempts)
	}
	if s.session != nil {
		r.journal = newJournal(s.session)
		r.journal.keeper, r.journal.stamp = s.keeper, s.stamps
	}
	defer r.end()
	s.feed(r)
	sendErr := r.senders.Wait()
	err = r.verdict(contextError(s.ctx), sendErr)
	s.breakWith(r.journal.failure())
	carried = r.adds.Accepted+r.removals.Accepted > 0
	r.members.clear()
	s.importer.members.Put(r.members)
	return carried, err
}

// breakWith notes what the ledger failed with, if it did: the stream takes no more events.
func (s *Stream) breakWith(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = err
}

// feed gives a run the changes that are due, batch by batch, and returns when the run has failed, when the stream is closed and nothing is left, or when
// it is time to tidy the ledger. What is not due stays in the backlog, where a newer event of a member can take its place.
func (s *Stream) feed(r *run) {
	timer := time.NewTimer(s.config.delay)
	defer timer.Stop()
	for !s.tidyDue() {
		waiting, left, last := s.outlook()
		switch {
		case !waiting && last:
			return
		case !waiting:
			timer.Stop()
		case left <= 0:
			s.fill(r)
			if !r.dispatch() {
				return
			}
			continue
		default:
			timer.Reset(left)
		}
		select {
		case <-s.work:
		case <-timer.C:
		case <-r.begin.Done():
			return
		}
	}
}

// outlook reports whether changes wait, and for how long they may wait for others. Last says that no others will come.
func (s *Stream) outlook() (waiting bool, left time.Duration, last bool) {
	s.mu.Lock()
	b := &s.backlog
	waiting, last = b.waiting > 0, s.closing
	now := last || b.waiting >= MaxIdentifiers || b.next < b.due || b.tail-s.acked >= uint64(s.config.backlog)
	s.mu.Unlock()
	switch {
	case !waiting:
		s.since = time.Time{}
	case s.since.IsZero():
		s.since = time.Now()
	}
	if now {
		return waiting, 0, last
	}
	return waiting, s.config.delay - time.Since(s.since), last
}

// fill puts changes that wait into the open batch, one at least if there are any.
func (s *Stream) fill(r *run) {
	for more := true; more; {
		s.mu.Lock()
		more = s.backlog.take(r, holdFor)
		all := s.backlog.waiting == 0
		s.mu.Unlock()
		if all { // from here on, and not only once this request has left, for which it may have to wait
			s.since = time.Now()
		}
	}
	s.untidied += len(r.open.changes)
}

// settled hears what became of changes, from the goroutine of their request.
func (s *Stream) settled(changes []Change, outcome transport.Outcome, attempts int) {
	s.mu.Lock()
	s.state.Requests += attempts
	s.state.Changes.count(outcome, len(changes))
	s.mu.Unlock()
	if outcome != transport.OutcomeAccepted {
		return
	}
	for part := range slices.Chunk(changes, holdFor) {
		s.mu.Lock()
		s.foresee(part)
		for i := range part {
			s.accepted(s.backlog.find(part[i].serial))
		}
		s.counts[applied] += len(part)
		s.advance()
		s.mu.Unlock()
	}
}

// foresee has the processor fetch what is noted of the members, as roster.foresee does.
func (s *Stream) foresee(changes []Change) {
	var fetched uint32
	for i := range changes {
		e := s.backlog.at(s.backlog.find(changes[i].serial))
		fetched |= s.times.members.at(e.member).last
	}
	runtime.KeepAlive(fetched)
}

// accepted settles an event, which is counted elsewhere, and those that it stands for.
func (s *Stream) accepted(position uint64) {
	e := s.backlog.at(position)
	if s.times.members.at(e.member).last == uint32(position) { // it is the newest of the member
		s.times.accept(e.member)
	}
	e.fate = applied
	for p := e.prior; p >= s.backlog.head && s.backlog.at(p).fate == pending; {
		s.settle(p, superseded)
		p = s.backlog.at(p).prior
	}
}

// stamps returns the stamps of changes that are about to leave, and the watermark.
func (s *Stream) stamps(changes []Change) ([]ledger.Stamp, int64) {
	stamps := make([]ledger.Stamp, len(changes))
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range changes {
		e := s.backlog.at(s.backlog.find(changes[i].serial))
		stamps[i] = ledger.Stamp{Member: s.times.members.at(e.member).key.bytes(), At: e.event.At.UnixNano(), Leave: e.event.Direction == Leave}
	}
	return stamps, s.times.watermark
}

// name gives the cohort its name, once.
func (s *Stream) name() error {
	if s.named {
		return nil
	}
	report := Report{CohortID: s.cohort.ID}
	var err, broken error
	if s.syncer == nil {
		var end end
		end, err = s.importer.name(s.ctx, s.cohort)
		report.Requests = end.attempts
	} else {
		t := &task{syncer: s.syncer, ctx: s.ctx, start: time.Now(), session: s.session, header: s.session.Header(), report: report}
		err = t.name(s.cohort, Audience{}, &ledger.Difference{})
		report, broken = t.report, t.broken
	}
	s.named = err == nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Requests += report.Requests
	s.state.Named = report.Named
	if broken != nil {
		s.broken = broken
	}
	if s.named { // or the next attempt warns again
		s.state.Warnings = report.Warnings
	}
	return err
}

// tidyDue reports whether so much was recorded, by however many runs, that it is time to tidy the ledger.
func (s *Stream) tidyDue() bool { return s.keeper != nil && s.untidied >= tidyAfter }

// tidy keeps the ledger of a stream that lasts for long from growing without need. No request is under way.
func (s *Stream) tidy() error {
	s.mu.Lock()
	sound := s.broken == nil
	s.mu.Unlock()
	if !sound || !s.tidyDue() {
		return nil
	}
	s.untidied = 0
	err := s.keeper.Tidy(s.ctx)
	if err != nil && s.ctx.Err() == nil {
		s.mu.Lock()
		s.broken = err
		s.mu.Unlock()
	}
	return err
}

// failed notes that an attempt failed, and tells so. What was not accepted is to be sent again. It returns false if that makes no sense.
func (s *Stream) failed(err error) bool {
	s.mu.Lock()
	s.backlog.rewind()
	s.hurry = false // whoever was in a hurry before hears of the failure
	s.state.Failures++
	s.failure = err
	broken, closing := s.broken != nil, s.closing
	s.stir()
	s.mu.Unlock()
	for _, f := range s.config.onFailure {
		f(s.wrap(err))
	}
	return !broken && s.ctx.Err() == nil && !(closing && refused(err))
}

// refused reports whether the endpoint would only say the same again.
func refused(err error) bool {
	for _, kind := range [...]error{transport.ErrBadRequest, transport.ErrUnauthorized, transport.ErrForbidden, transport.ErrNotFound, transport.ErrRedirect} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// pause waits before the next attempt, unless somebody is in a hurry. It returns false when the stream has no more time.
func (s *Stream) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		s.mu.Lock()
		hurry := s.hurry
		s.mu.Unlock()
		if hurry {
			return s.ctx.Err() == nil
		}
		select {
		case <-timer.C:
			return true
		case <-s.work:
		case <-s.ctx.Done():
			return false
		}
	}
}

// tell is the herald: the goroutine that tells which events are settled, in the order of their arrival.
func (s *Stream) tell() {
	defer close(s.told)
	var events []Event
	for {
		s.mu.Lock()
		s.acked += uint64(len(events))
		if len(events) > 0 {
			s.stir()
		}
		clear(events) // lets go of the identifiers
		events, s.ready = s.ready, events[:0]
		over := s.over
		s.mu.Unlock()
		switch {
		case len(events) > 0:
			for _, f := range s.config.onAcknowledge {
				f(events)
			}
		case over:
			return
		default:
			<-s.news
		}
	}
}
