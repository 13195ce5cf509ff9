package cohort_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

func enter(i int, at time.Time) cohort.Event {
	return cohort.Event{ID: identity.ExternalID(user(i)), At: at, Direction: cohort.Enter, Token: i}
}

func leave(i int, at time.Time) cohort.Event {
	e := enter(i, at)
	e.Direction = cohort.Leave
	return e
}

func springSale() cohort.Cohort {
	return cohort.Cohort{ID: campaign, Name: "Spring sale", CreatedAt: time.Date(2025, 3, 2, 8, 15, 0, 0, time.UTC)}
}

// pass lets time go by in a bubble.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	if err := wait(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

// openStream opens a stream without a ledger that the test closes.
func openStream(t *testing.T, im *cohort.Importer, opts ...cohort.StreamOption) *cohort.Stream {
	t.Helper()
	s, err := im.Stream(t.Context(), springSale(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sendAll gives a stream events that it has to take.
func sendAll(t *testing.T, s *cohort.Stream, events ...cohort.Event) {
	t.Helper()
	for _, e := range events {
		if err := s.Send(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// closeStream closes a stream that has nothing left.
func closeStream(t *testing.T, s *cohort.Stream) {
	t.Helper()
	if left, err := s.Close(t.Context()); len(left) > 0 || err != nil {
		t.Errorf("Close = %d events, %v", len(left), err)
	}
}

func TestStreamRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		s := openStream(t, newStage(t).importer(t), cohort.WithSkew(time.Minute))
		for _, tt := range []struct {
			name  string
			event cohort.Event
			want  identity.Reason
		}{
			{"no direction", cohort.Event{ID: identity.ExternalID("u-1"), At: now}, cohort.ReasonNoDirection},
			{"another direction", cohort.Event{ID: identity.ExternalID("u-1"), At: now, Direction: 3}, cohort.ReasonNoDirection},
			{"no time", enter(1, time.Time{}), cohort.ReasonNoTime},
			{"a field that nobody filled", enter(1, time.UnixMilli(0)), cohort.ReasonNoTime},
			{"before 1970", enter(1, time.Unix(-1, 0)), cohort.ReasonNoTime},
			{"the future", enter(1, now.Add(time.Minute+1)), cohort.ReasonFuture},
			{"milliseconds taken for seconds", enter(1, time.Unix(now.UnixMilli(), 0)), cohort.ReasonFuture},
			{"no identifier", cohort.Event{At: now, Direction: cohort.Leave}, identity.ReasonNoIdentifier},
			{"an empty identifier", cohort.Event{ID: identity.ExternalID(""), At: now, Direction: cohort.Leave}, identity.ReasonEmpty},
			{"a control character", cohort.Event{ID: identity.DeviceID("d\r"), At: now, Direction: cohort.Leave}, identity.ReasonControlCharacter},
			{"too long", cohort.Event{ID: identity.ExternalID(strings.Repeat("x", 600_000)), At: now, Direction: cohort.Leave}, cohort.ReasonTooLong},
		} {
			err := s.Send(t.Context(), tt.event)
			rejected, ok := errors.AsType[*identity.RejectError](err)
			if !ok || rejected.Reason != tt.want {
				t.Errorf("%s: Send = %v, want the reason %q", tt.name, err, tt.want)
			}
		}
		sendAll(t, s, enter(1, now.Add(time.Minute))) // as far ahead as is allowed
		pass(t, time.Minute)
		sendAll(t, s, enter(2, now.Add(2*time.Minute)))
		closeStream(t, s)
		state := s.State()
		if state.Events != 13 || state.Refused != 11 || state.Applied != 2 {
			t.Errorf("state: %v", state)
		}
	})
}

// TestStreamOrder gives the same events in every order there is: the end is the same.
func TestStreamOrder(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 3, 2, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		events []cohort.Event
		want   []string
	}{
		{"the newest wins", []cohort.Event{enter(1, at), leave(1, at.Add(1)), enter(1, at.Add(2))}, []string{"u-1"}},
		{"leaving wins at one time", []cohort.Event{enter(1, at), leave(1, at), enter(1, at.Add(-1))}, nil},
		{"zones do not count", []cohort.Event{leave(1, at), enter(1, at.Add(1).In(time.FixedZone("east", 9*3600))), leave(1, at.In(time.FixedZone("west", -9*3600)))}, []string{"u-1"}},
		{"repeated", []cohort.Event{enter(1, at), enter(1, at), leave(1, at.Add(-1))}, []string{"u-1"}},
	} {
		for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
			for _, flush := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %v, flushed: %t", tt.name, order, flush), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						pass(t, time.Until(at))
						stage := newStage(t)
						stage.people(t, 1)
						s := openStream(t, stage.importer(t))
						late := 0
						for _, i := range order {
							if err := s.Send(t.Context(), tt.events[i]); errors.Is(err, cohort.ErrLate) {
								late++
							} else if err != nil {
								t.Fatal(err)
							}
							if flush {
								if err := s.Flush(t.Context()); err != nil {
									t.Fatal(err)
								}
							}
						}
						closeStream(t, s)
						if diff := cmp.Diff(tt.want, stage.members()); diff != "" {
							t.Errorf("members (-want +got):\n%s", diff)
						}
						if state := s.State(); state.Late != late || state.Events != 3 {
							t.Errorf("%d late events, and the state is %v", late, state)
						}
					})
				})
			}
		}
	}
}

// TestStreamPace shows when changes leave.
func TestStreamPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stage := newStage(t)
		start := time.Now()
		s := openStream(t, stage.importer(t), cohort.WithDelay(10*time.Second))
		posts := func(want int) {
			t.Helper()
			synctest.Wait()
			if got := stage.posts(); got != want {
				t.Errorf("%d requests after %v, want %d", got, time.Since(start), want)
			}
		}
		posts(0)
		sendAll(t, s, enter(1, start))
		posts(1) // the name
		pass(t, 9*time.Second)
		sendAll(t, s, enter(2, start), leave(1, start.Add(1)))
		posts(1)
		pass(t, time.Second)
		posts(2)
		for i := range 2500 {
			sendAll(t, s, enter(i+3, start))
		}
		posts(4)
		flushed := time.Now()
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(flushed); waited >= 10*time.Second {
			t.Errorf("a Flush took %v", waited)
		}
		posts(5)
		pass(t, time.Minute)
		sendAll(t, s, enter(1, start.Add(2))) // after a rest
		pass(t, 9*time.Second)
		posts(5)
		pass(t, time.Second)
		posts(6)
		closeStream(t, s)
		posts(6)
		if got, want := s.State().String(), "2504 events (2503 applied, 1 superseded); 2503 changes: 2503 accepted; 6 requests"; got != want {
			t.Errorf("state: %s, want %s", got, want)
		}
	})
}

// TestStreamDelay shows that a change which had to stay behind is not delayed twice.
func TestStreamDelay(t *testing.T) {
	t.Parallel()
	const delay = 10 * time.Second
	t.Run("there are more bytes than a request has", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			im := stubbed(t, func(*http.Request) (*http.Response, error) { return answer(http.StatusCreated, success), nil }, cohort.WithLimiter(unlimited{}))
			s := openStream(t, im, cohort.WithDelay(delay))
			for i := range 20 {
				e := enter(i, time.Now())
				e.ID = identity.ExternalID(strings.Repeat("x", 400_000) + user(i))
				sendAll(t, s, e)
			}
			pass(t, delay)
			synctest.Wait()
			if state := s.State(); state.Applied != 20 || state.Requests < 4 {
				t.Errorf("after the delay: %v", state)
			}
			closeStream(t, s)
		})
	})
	t.Run("the request before has to wait", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			stage := newStage(t)
			stage.server.Inject(brazetest.Users(), brazetest.Delay(20*time.Second)).Times(1)
			s := openStream(t, stage.importer(t), cohort.WithDelay(delay))
			at := time.Now()
			sendAll(t, s, enter(1, at)) // under way from 10 s to 30 s
			pass(t, 11*time.Second)
			sendAll(t, s, leave(1, at.Add(1))) // to leave at 21 s
			pass(t, 12*time.Second)
			sendAll(t, s, leave(2, at.Add(-1)), enter(2, at)) // to leave at 33 s at the latest
			pass(t, 7*time.Second+time.Millisecond)
			synctest.Wait()
			if state := s.State(); state.Requests != 3 {
				t.Errorf("once the request before has left: %v", state)
			}
			pass(t, 3*time.Second)
			synctest.Wait()
			if state := s.State(); state.Applied != 3 || state.Superseded != 1 || state.Requests != 4 {
				t.Errorf("after the delay: %v", state)
			}
			closeStream(t, s)
		})
	})
}

// TestStreamFollowsWhatIsUnderWay has an event arrive while an earlier one of its member is under way, and leave when that is settled and its batch is of
// use again: there is nothing to wait for.
func TestStreamFollowsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stage := newStage(t)
		s := openStream(t, newImporter(t, stage.client(t), stage.credentials(), cohort.WithInFlight(2)), cohort.WithDelay(0))
		at := time.Now()
		send := func(e cohort.Event, takes time.Duration) {
			stage.server.Inject(brazetest.Users(), brazetest.Delay(takes)).Times(1)
			sendAll(t, s, e)
			synctest.Wait()
		}
		send(enter(1, at), 25*time.Second) // is not settled, so that what comes after it is kept
		send(enter(2, at), 10*time.Second)
		send(enter(3, at), 0) // waits for a place
		send(leave(2, at.Add(1)), 0)
		pass(t, 15*time.Second)
		if state := s.State(); state.Applied != 3 || state.Pending != 1 || state.Requests != 4 { // with that of the name, and without the first
			t.Errorf("state: %v", state)
		}
		closeStream(t, s)
	})
}

// TestStreamTriesAgain shows that what was tried has had its delay: it is tried again after the pause, together with what overtook it.
func TestStreamTriesAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stage := newStage(t)
		stage.server.Inject(brazetest.Users(), brazetest.Unauthorized(brazetest.WrongImportKey)).Times(2)
		start := time.Now()
		s := openStream(t, newImporter(t, stage.client(t), stage.credentials(), cohort.WithInFlight(1)), cohort.WithDelay(time.Hour))
		for i := range 1200 {
			sendAll(t, s, enter(i, start))
		}
		synctest.Wait() // a thousand were refused
		sendAll(t, s, leave(1, start.Add(1)))
		pass(t, 4*time.Second)
		synctest.Wait()
		want := cohort.Tally{Accepted: 1200, Refused: 2000}
		if state := s.State(); state.Applied != 1200 || state.Failures != 2 || state.Changes != want {
			t.Errorf("after the pauses: %v", state)
		}
		closeStream(t, s)
	})
}

// TestStreamFlushesWhatIsOvertaken has an event overtaken that a Flush waits for, by one so far behind it that both would not be in one request.
func TestStreamFlushesWhatIsOvertaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stage := newStage(t)
		stage.server.Inject(brazetest.Naming(), brazetest.Delay(5*time.Second)).Times(1)
		s := openStream(t, stage.importer(t), cohort.WithDelay(time.Hour))
		start := time.Now()
		for i := range 1500 {
			sendAll(t, s, enter(i, start))
		}
		var group sync.WaitGroup
		group.Go(func() {
			if err := s.Flush(t.Context()); err != nil || time.Since(start) > time.Minute {
				t.Errorf("Flush = %v after %v", err, time.Since(start))
			}
		})
		synctest.Wait()
		for i := range 600 {
			sendAll(t, s, enter(1500+i, start))
		}
		sendAll(t, s, leave(1400, start.Add(1)))
		group.Wait()
		closeStream(t, s)
		if state := s.State(); state.Superseded != 1 || state.Changes.Accepted != 2100 {
			t.Errorf("state: %v", state)
		}
	})
}

// TestStreamBacklog shows that Send waits when too much is unacknowledged, for the endpoint as for the function of OnAcknowledge.
func TestStreamBacklog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stage := newStage(t)
		gate := make(chan struct{})
		s := openStream(t, stage.importer(t), cohort.WithBacklog(3), cohort.WithDelay(time.Hour), cohort.OnAcknowledge(func([]cohort.Event) { <-gate }))
		start := time.Now()
		sendAll(t, s, enter(1, start), enter(2, start))
		synctest.Wait()
		sendAll(t, s, enter(2, start)) // whatever becomes of it, there is no room for more
		synctest.Wait()
		if state := s.State(); state.Applied != 2 || state.Repeated != 1 {
			t.Errorf("once it is full: %v", state)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Send(ctx, enter(4, start)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Send = %v, want no time", err)
		}
		if state := s.State(); state.Applied != 2 || state.Unacknowledged != 3 || state.Events != 3 {
			t.Errorf("state: %+v", state)
		}
		close(gate)
		sendAll(t, s, enter(4, start))
		closeStream(t, s)
		if waited := time.Since(start); waited > 2*time.Minute {
			t.Errorf("a full backlog waited for the delay: %v", waited)
		}
	})
}

// TestStreamOverlap shows that several requests are under way at once, and never two with one member.
func TestStreamOverlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &overlaps{}
		im := stubbed(t, func(r *http.Request) (*http.Response, error) {
			w, err := decode(r)
			if err != nil {
				return nil, err
			}
			var ids []string
			for id := range w.externalIDs() {
				ids = append(ids, id)
			}
			o.begin(ids)
			defer o.end(ids)
			if err := wait(r.Context(), time.Second); err != nil {
				return nil, err
			}
			return answer(http.StatusCreated, success), nil
		}, cohort.WithLimiter(unlimited{}))
		s := openStream(t, im, cohort.WithDelay(0))
		at := time.Now()
		sendAll(t, s, enter(0, at.Add(-1)))
		if err := s.Flush(t.Context()); err != nil { // the cohort has its name now
			t.Fatal(err)
		}
		for i := range 200 {
			sendAll(t, s, enter(i%20, at.Add(time.Duration(i))))
			synctest.Wait()
			if i > 100 { // some are settled, of whom newer ones wait
				pass(t, 100*time.Millisecond)
			}
		}
		closeStream(t, s)
		if len(o.found) > 0 {
			t.Errorf("%d changes of members of whom one was under way", len(o.found))
		}
		if o.most < 4 {
			t.Errorf("%d requests at once, want several", o.most)
		}
	})
}

// TestStreamTrouble shows what becomes of events that the endpoint does not accept.
func TestStreamTrouble(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault brazetest.Fault
		times int // 0 for always
		time  time.Duration
		left  int
		want  error
	}{
		{"it passes", brazetest.Status(http.StatusServiceUnavailable), 3, time.Hour, 0, nil},
		{"it does not pass", brazetest.Status(http.StatusServiceUnavailable), 0, time.Minute, 3, context.DeadlineExceeded},
		{"a bad key", brazetest.Unauthorized(brazetest.WrongImportKey), 0, time.Hour, 3, transport.ErrUnauthorized},
		{"applied and lost", brazetest.AppliedThenLost(), 1, time.Hour, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				stage := newStage(t)
				stage.people(t, 3)
				if in := stage.server.Inject(brazetest.Users(), tt.fault); tt.times == 0 {
					in.Always()
				} else {
					in.Times(tt.times)
				}
				client := stage.client(t, transport.WithRetryPolicy(transport.NoRepeat()))
				var failures []error
				var acknowledged []cohort.Event
				s := openStream(t, newImporter(t, client, stage.credentials()),
					cohort.OnFailure(func(err error) { failures = append(failures, err) }),
					cohort.OnAcknowledge(func(events []cohort.Event) { acknowledged = append(acknowledged, events...) }))
				at := time.Now()
				sendAll(t, s, enter(1, at), enter(2, at), leave(2, at.Add(1)))
				if err := s.Flush(t.Context()); err == nil {
					t.Error("Flush hears of no failure")
				}
				ctx, cancel := context.WithTimeout(t.Context(), tt.time)
				defer cancel()
				left, err := s.Close(ctx)
				if len(left) != tt.left || !errors.Is(err, tt.want) || tt.want == nil && err != nil {
					t.Errorf("Close = %d events, %v; want %d, %v", len(left), err, tt.left, tt.want)
				}
				for i, e := range left {
					if e.Token != []any{1, 2, 2}[i] {
						t.Errorf("event %d of those left has the token %v", i, e.Token)
					}
				}
				if len(acknowledged)+len(left) != 3 || len(failures) == 0 || s.State().Failures != len(failures) {
					t.Errorf("%d acknowledged, failures %v, state %v", len(acknowledged), failures, s.State())
				}
				if err := s.Send(t.Context(), enter(1, at)); !errors.Is(err, cohort.ErrStreamClosed) {
					t.Errorf("Send after Close = %v", err)
				}
				if err := s.Flush(t.Context()); len(left) > 0 && err == nil {
					t.Error("Flush after Close is content although events were left")
				}
				if left, err := s.Close(t.Context()); left != nil || err != nil {
					t.Errorf("a second Close = %v, %v", left, err)
				}
			})
		})
	}
}

// TestStreamSendsTheNewestAlone has a request fail of which one event was overtaken by another, a thousand events later: it is not sent again.
func TestStreamSendsTheNewestAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stage := newStage(t)
		stage.people(t, 1)
		stage.server.Inject(brazetest.Users(), brazetest.Status(http.StatusBadRequest)).Times(1)
		s := openStream(t, newImporter(t, stage.client(t), stage.credentials(), cohort.WithInFlight(1)))
		at := time.Now()
		sendAll(t, s, enter(1, at))
		for i := range 1200 {
			sendAll(t, s, enter(i+2, at))
		}
		sendAll(t, s, leave(1, at.Add(1)))
		synctest.Wait() // the first attempt has failed
		closeStream(t, s)
		want := cohort.Tally{Accepted: 1201, Refused: 1000}
		if state := s.State(); state.Failures != 1 || state.Changes != want || state.Superseded != 1 || len(stage.members()) > 0 {
			t.Errorf("%v, want the changes %v", state, want)
		}
	})
}

// TestStreamPauses shows when a stream tries again: after longer and longer pauses, and what was to be sent without delay then needs none.
func TestStreamPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stage := newStage(t)
		start := time.Now()
		var failures []string
		s := openStream(t, stage.importer(t), cohort.WithDelay(time.Hour), cohort.OnFailure(func(error) { failures = append(failures, time.Since(start).String()) }))
		for i := range 2 { // a Flush that is over does not make anybody hurry later
			sendAll(t, s, enter(i+2, start))
			if err := s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		trouble := stage.server.Inject(brazetest.Users(), brazetest.Unauthorized(brazetest.WrongImportKey)).Always()
		sendAll(t, s, enter(1, start))
		if err := s.Flush(t.Context()); !errors.Is(err, transport.ErrUnauthorized) {
			t.Errorf("Flush = %v", err)
		}
		pass(t, 4*time.Minute)
		trouble.Remove()
		pass(t, time.Minute)
		if diff := cmp.Diff([]string{"0s", "1s", "3s", "7s", "15s", "31s", "1m3s", "2m3s", "3m3s"}, failures); diff != "" {
			t.Errorf("failures (-want +got):\n%s", diff)
		}
		if state := s.State(); state.Applied != 3 {
			t.Errorf("afterwards: %v", state)
		}
		closeStream(t, s)
	})
}

// TestStreamRepeats gives an event again while it is pending, and once it was accepted: it is sent once.
func TestStreamRepeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openStream(t, newStage(t).importer(t))
		at := time.Now()
		sendAll(t, s, enter(1, at), enter(1, at))
		if state := s.State(); state.Pending != 1 || state.Repeated != 1 || state.Members != 0 {
			t.Errorf("while it is pending: %v", state)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		sendAll(t, s, enter(1, at))
		closeStream(t, s)
		if state := s.State(); state.Applied != 1 || state.Repeated != 2 || state.Changes.Total() != 1 || state.Members != 1 {
			t.Errorf("state: %v", state)
		}
	})
}

// TestStreamSuppression puts a member on the do-not-send list: they leave, and do not come back.
func TestStreamSuppression(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stage := newStage(t)
		stage.people(t, 2)
		listed := map[identity.ID]bool{}
		s, err := newSyncer(t, stage.importer(t), newLedger(t), cohort.WithSuppression(func(id identity.ID) bool { return listed[id] })).Stream(t.Context(), sale())
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		sendAll(t, s, enter(1, at), enter(2, at))
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		listed[identity.ExternalID(user(1))] = true
		sendAll(t, s, enter(1, at.Add(2)), leave(1, at.Add(1))) // the former says nothing of the latter
		closeStream(t, s)
		if diff := cmp.Diff([]string{"u-2"}, stage.members()); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
		if state := s.State(); state.Applied != 3 || state.Suppressed != 1 {
			t.Errorf("state: %v", state)
		}
	})
}

// TestStreamRecordsEachTime has an event of a member arrive while an older one waits to be sent. What is recorded of the older one says nothing of the
// newer, which is still to come when the stream ends.
func TestStreamRecordsEachTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stage := newStage(t)
		stage.people(t, 3)
		client := stage.client(t, transport.WithRetryPolicy(transport.NoRepeat()))
		syncer := newSyncer(t, newImporter(t, client, stage.credentials(), cohort.WithInFlight(1)), newLedger(t))
		open := func() *cohort.Stream {
			s, err := syncer.Stream(t.Context(), sale(), cohort.WithDelay(0))
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := open()
		at := time.Now()
		sendAll(t, s, enter(3, at))
		if err := s.Flush(t.Context()); err != nil { // the cohort has its name
			t.Fatal(err)
		}
		stage.server.Inject(brazetest.Users(), brazetest.Delay(2*time.Second)).Times(1)
		sendAll(t, s, enter(2, at))
		synctest.Wait()
		sendAll(t, s, leave(1, at))
		synctest.Wait() // it waits for the one place in flight
		sendAll(t, s, enter(1, at.Add(1)))
		pass(t, time.Second)
		stage.server.Inject(brazetest.Users(), brazetest.Delay(0)).Times(1) // of the older one
		refusal := stage.server.Inject(brazetest.Users(), brazetest.Unauthorized(brazetest.WrongImportKey)).Always()
		pass(t, 2*time.Second)
		if left, err := s.Close(t.Context()); len(left) != 1 || !errors.Is(err, transport.ErrUnauthorized) {
			t.Fatalf("Close = %d events, %v; want the newer one", len(left), err)
		}
		if state := s.State(); state.Applied != 3 {
			t.Fatalf("the older one was not applied: %v", state)
		}
		refusal.Remove()
		s = open()
		sendAll(t, s, enter(1, at.Add(1)))
		closeStream(t, s)
		if diff := cmp.Diff([]string{"u-1", "u-2", "u-3"}, stage.members()); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
	})
}

// TestStreamRecordsItsWatermark has a stream forget everybody. The next one, which may keep more, does not hear of them again.
func TestStreamRecordsItsWatermark(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		syncer := newSyncer(t, newStage(t).importer(t), newLedger(t))
		at := time.Now()
		s, err := syncer.Stream(t.Context(), sale(), cohort.WithMemory(0))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			sendAll(t, s, enter(i, at.Add(time.Duration(i))))
			if err := s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		closeStream(t, s)
		if s, err = syncer.Stream(t.Context(), sale()); err != nil {
			t.Fatal(err)
		}
		if state := s.State(); state.Members != 1 || !state.Watermark.Equal(at.Add(1)) {
			t.Errorf("%d members, watermark %v, want 1, %v", state.Members, state.Watermark, at.Add(1))
		}
		closeStream(t, s)
	})
}

// plainLedger is a ledger whose sessions keep no times.
type plainLedger struct{ ledger.Ledger }

func (l plainLedger) Open(ctx context.Context, key ledger.Key) (ledger.Session, error) {
	s, err := l.Ledger.Open(ctx, key)
	return struct{ ledger.Session }{s}, err
}

func TestStreamOpens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stage := newStage(t)
		stage.people(t, 2)
		state := ledger.NewMemory()
		syncer := func(l ledger.Ledger) *cohort.Syncer {
			s, err := cohort.NewSyncer(stage.importer(t), l)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		ctx := t.Context()
		var invalid *cohort.InvalidError
		for name, open := range map[string]func() (*cohort.Stream, error){
			"ledger":      func() (*cohort.Stream, error) { return syncer(plainLedger{state}).Stream(ctx, springSale()) },
			"cohort name": func() (*cohort.Stream, error) { return syncer(state).Stream(ctx, cohort.Cohort{ID: "a"}) },
			"cohort id":   func() (*cohort.Stream, error) { return stage.importer(t).Stream(ctx, cohort.Cohort{Name: "a"}) },
			"WithDelay": func() (*cohort.Stream, error) {
				return stage.importer(t).Stream(ctx, springSale(), cohort.WithDelay(-1))
			},
			"WithHorizon": func() (*cohort.Stream, error) {
				return stage.importer(t).Stream(ctx, springSale(), cohort.WithHorizon(-1))
			},
			"WithMemory": func() (*cohort.Stream, error) {
				return stage.importer(t).Stream(ctx, springSale(), cohort.WithMemory(-1))
			},
			"WithSkew": func() (*cohort.Stream, error) {
				return stage.importer(t).Stream(ctx, springSale(), cohort.WithSkew(25*time.Hour))
			},
			"WithBacklog": func() (*cohort.Stream, error) {
				return stage.importer(t).Stream(ctx, springSale(), cohort.WithBacklog(0))
			},
			"option": func() (*cohort.Stream, error) { return stage.importer(t).Stream(ctx, springSale(), nil) },
			"cohort created-at": func() (*cohort.Stream, error) {
				return stage.importer(t).Stream(ctx, cohort.Cohort{ID: campaign, Name: "Spring sale"})
			},
		} {
			if s, err := open(); s != nil || !errors.As(err, &invalid) || invalid.Field != name {
				t.Errorf("%s: %v, %v", name, s, err)
			}
		}

		// One writer, one name, and a cohort that was drained.
		s, err := syncer(state).Stream(ctx, cohort.Cohort{ID: campaign, Name: "Spring sale"})
		if err != nil {
			t.Fatal(err)
		}
		var held *ledger.HeldError
		if _, err := syncer(state).Sync(ctx, springSale(), cohort.Identifiers(numbered(3))); !errors.As(err, &held) {
			t.Errorf("Sync during a stream = %v", err)
		}
		sendAll(t, s, enter(1, time.Now()))
		closeStream(t, s)
		if named := s.State().Named; named != cohort.Created {
			t.Errorf("named: %v", named)
		}
		if s, err = syncer(state).Stream(ctx, cohort.Cohort{ID: campaign, Name: "Spring sale"}); err != nil {
			t.Fatal(err)
		}
		sendAll(t, s, enter(2, time.Now()))
		closeStream(t, s)
		if got := s.State(); got.Named != cohort.NotNamed || got.Requests != 1 {
			t.Errorf("the second stream: %+v", got)
		}
		if diff := cmp.Diff([]string{"u-1", "u-2"}, stage.members()); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
		if report, err := syncer(state).Drain(ctx, campaign); err != nil || report.Removals.Accepted != 2 {
			t.Errorf("Drain = %v, %v", report, err)
		}
		if _, err := syncer(state).Stream(ctx, springSale()); !errors.Is(err, cohort.ErrRetired) {
			t.Errorf("a stream into a drained cohort: %v", err)
		}
	})
}

// TestStreamLedgerFails fails the ledger at every call in turn. A stream whose ledger records no more ends and says why, without another request, and the
// next one brings everything in order.
func TestStreamLedgerFails(t *testing.T) {
	t.Parallel()
	met := map[string]bool{}
	for at, done := 1, false; !done; at++ {
		synctest.Test(t, func(t *testing.T) {
			stage := newStage(t)
			stage.people(t, 3)
			state := newLedger(t)
			broken := &flaky{Ledger: state, at: at}
			acknowledged := 0
			open := func(l ledger.Ledger) (*cohort.Stream, error) {
				return newSyncer(t, stage.importer(t), l).Stream(t.Context(), sale(), cohort.OnAcknowledge(func(events []cohort.Event) { acknowledged += len(events) }))
			}
			start := time.Now()
			events := []cohort.Event{enter(1, start), enter(2, start), leave(1, start.Add(1)), enter(3, start)}
			s, err := open(broken)
			if err == nil {
				for _, e := range events {
					if err = s.Send(t.Context(), e); err == nil {
						err = s.Flush(t.Context())
					}
				}
				posts, ends := stage.posts(), broken.what == "SetHeader" || broken.what == "BeginStamped" || broken.what == "Settle"
				if ends {
					if err := s.Send(t.Context(), enter(3, time.Now())); !errors.Is(err, errLedger) {
						t.Errorf("%s fails: Send = %v", broken.what, err)
					}
					pass(t, time.Hour)
				}
				left, closeErr := s.Close(t.Context())
				if ends && stage.posts() != posts {
					t.Errorf("%s fails: %d requests after that", broken.what, stage.posts()-posts)
				}
				if acknowledged+len(left) > len(events) || len(left) > 0 && closeErr == nil {
					t.Errorf("%s fails: %d acknowledged, %d left, Close = %v", broken.what, acknowledged, len(left), closeErr)
				}
				err = errors.Join(err, closeErr)
			}
			met[broken.what], done = true, broken.what == ""
			// The other entries are asked about the name alone, and again after a pause.
			if passes := done || broken.what == "Entries"; !passes && !errors.Is(err, errLedger) {
				t.Errorf("%s fails: %v", broken.what, err)
			}

			if s, err = open(state); err != nil {
				t.Fatal(err)
			}
			sendAll(t, s, events[acknowledged:]...)
			closeStream(t, s)
			if diff := cmp.Diff([]string{"u-2", "u-3"}, stage.members()); diff != "" {
				t.Errorf("%s fails: members (-want +got):\n%s", broken.what, diff)
			}
		})
	}
	for _, what := range []string{"Open", "Stamps", "Entries", "SetHeader", "BeginStamped", "Settle", "Close"} {
		if !met[what] {
			t.Errorf("%s never failed", what)
		}
	}
}

// slowLedger is a ledger whose sessions take a second to close.
type slowLedger struct {
	ledger.Ledger
	closed atomic.Int64
}

func (l *slowLedger) Open(ctx context.Context, key ledger.Key) (ledger.Session, error) {
	s, err := l.Ledger.Open(ctx, key)
	keeper, _ := s.(ledger.Timekeeper)
	return slowSession{s, keeper, l}, err
}

type slowSession struct {
	ledger.Session
	ledger.Timekeeper
	of *slowLedger
}

func (s slowSession) Close() error {
	err := wait(context.Background(), time.Second)
	s.of.closed.Add(1)
	return errors.Join(err, s.Session.Close())
}

// TestStreamClosesOnce closes a stream from two goroutines at once: one gets what is left, and when either call returns the lease is free.
func TestStreamClosesOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stage := newStage(t)
		stage.server.Inject(brazetest.Users(), brazetest.Unauthorized(brazetest.WrongImportKey)).Always()
		state := &slowLedger{Ledger: newLedger(t)}
		s, err := newSyncer(t, stage.importer(t), state).Stream(t.Context(), sale())
		if err != nil {
			t.Fatal(err)
		}
		sendAll(t, s, enter(1, time.Now()))
		var group sync.WaitGroup
		var left [2]int
		for i := range left {
			group.Go(func() {
				events, err := s.Close(t.Context())
				left[i] = len(events)
				if state.closed.Load() != 1 || (err == nil) != (len(events) == 0) {
					t.Errorf("Close = %d events, %v; the session was closed %d times", len(events), err, state.closed.Load())
				}
			})
		}
		group.Wait()
		if left[0]+left[1] != 1 {
			t.Errorf("%v events were returned, want one", left)
		}
	})
}

// TestStreamSendAll gives a stream more events at once than it looks at in one go, some of them refused and some late.
func TestStreamSendAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stage := newStage(t)
		s := openStream(t, stage.importer(t), cohort.WithDelay(0))
		at := time.Now()
		var events []cohort.Event
		var want []string
		for i := range 500 {
			e := enter(i, at.Add(time.Duration(i)))
			switch i % 50 {
			case 7:
				e.Direction = 0
				want = append(want, fmt.Sprint(i, " refused"))
			case 9:
				e = enter(i-1, at) // one of its member came just before
				want = append(want, fmt.Sprint(i, " late"))
			}
			e.Token = i
			events = append(events, e)
		}
		var got []string
		n, err := s.SendAll(t.Context(), events, func(e cohort.Event, err error) {
			_, refused := errors.AsType[*identity.RejectError](err)
			switch {
			case refused:
				got = append(got, fmt.Sprint(e.Token, " refused"))
			case errors.Is(err, cohort.ErrLate):
				got = append(got, fmt.Sprint(e.Token, " late"))
			default:
				t.Errorf("event %v: %v", e.Token, err)
			}
		})
		if n != len(events) || err != nil {
			t.Errorf("SendAll = %d, %v, want %d", n, err, len(events))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("returned (-want +got):\n%s", diff)
		}
		var invalid *cohort.InvalidError
		if _, err := s.SendAll(t.Context(), events, nil); !errors.As(err, &invalid) || invalid.Field != "returned" {
			t.Errorf("without a function: %v", err)
		}
		closeStream(t, s)
		if state := s.State(); state.Events != 500 || state.Applied != 480 || state.Refused != 10 || state.Late != 10 {
			t.Errorf("state %v", state)
		}
		if n, err := s.SendAll(t.Context(), events, func(cohort.Event, error) {}); n != 0 || !errors.Is(err, cohort.ErrStreamClosed) {
			t.Errorf("once closed: %d, %v", n, err)
		}
	})
}

// TestStreamSendAllWaits shows how many events were taken when there was no room for more.
func TestStreamSendAllWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stage := newStage(t)
		stage.server.Inject(brazetest.Users(), brazetest.Delay(20*time.Second)).Always()
		s := openStream(t, stage.importer(t), cohort.WithDelay(0), cohort.WithBacklog(100))
		at := time.Now()
		var events []cohort.Event
		for i := range 300 {
			events = append(events, enter(i, at))
		}
		events[3].Direction = 0
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		returned := 0
		n, err := s.SendAll(ctx, events, func(cohort.Event, error) { returned++ })
		if n != 101 || returned != 1 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("SendAll = %d, %v, with %d returned, want 100 taken and 1 returned", n, err, returned)
		}
		if n, err := s.SendAll(t.Context(), events[n:], func(cohort.Event, error) { returned++ }); n != 199 || err != nil || returned != 1 {
			t.Errorf("afterwards SendAll = %d, %v, want all others", n, err)
		}
		closeStream(t, s)
	})
}

// TestStreamMemory shows what is kept, and what is late once it was forgotten.
func TestStreamMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openStream(t, newStage(t).importer(t), cohort.WithMemory(100), cohort.WithHorizon(time.Hour), cohort.WithDelay(0), cohort.WithBacklog(10))
		start := time.Now().Add(-2 * time.Hour)
		for i := range 1500 {
			sendAll(t, s, enter(i%300, start.Add(time.Duration(i)*time.Second/10)))
			if n := s.State().Members; n > 110 {
				t.Fatalf("%d members are kept after %d events", n, i)
			}
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		state := s.State()
		// Those who are kept are the newest, and the newest of the others makes the watermark.
		want := start.Add(time.Duration(1499-state.Members) * time.Second / 10).UTC()
		if state.Members < 88 || state.Members > 100 || !state.Watermark.Equal(want) {
			t.Errorf("%d members, watermark %v, want %v", state.Members, state.Watermark, want)
		}
		var late *cohort.LateError
		if err := s.Send(t.Context(), enter(10_000, state.Watermark)); !errors.As(err, &late) || !late.Forgotten || !late.Known.Equal(state.Watermark) {
			t.Errorf("at the watermark: %v", err)
		}
		sendAll(t, s, enter(10_000, state.Watermark.Add(1)), enter(10_001, time.Now()))
		closeStream(t, s)
		if state := s.State(); state.Members != 1 {
			t.Errorf("%d members within the horizon, want 1", state.Members)
		}
	})
}

// TestStreamWarns shows the warnings of a stream, however often what they are about is sent again.
func TestStreamWarns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stage := newStage(t)
		state := newLedger(t)
		other, err := newSyncer(t, stage.importer(t), state).Stream(t.Context(), cohort.Cohort{ID: "camp-500", Name: sale().Name})
		if err != nil {
			t.Fatal(err)
		}
		sendAll(t, other, enter(1, time.Now()))
		closeStream(t, other)
		s, err := newSyncer(t, stage.importer(t), state).Stream(t.Context(), sale())
		if err != nil {
			t.Fatal(err)
		}
		if got := s.State().Warnings; len(got) > 0 {
			t.Errorf("warnings before an event: %v", got)
		}
		long := func(i int) cohort.Event {
			e := enter(i, time.Now())
			e.ID = identity.ExternalID(strings.Repeat("x", identity.MaxExternalIDBytes) + user(i))
			return e
		}
		stage.server.Inject(brazetest.Users(), brazetest.Status(http.StatusServiceUnavailable)).Times(12)
		sendAll(t, s, enter(1, time.Now()), long(1), long(2), long(2))
		closeStream(t, s)
		want := []cohort.Warning{{Kind: cohort.WarnName, Count: 1}, {Kind: cohort.WarnOverlong, Count: 2}}
		if diff := cmp.Diff(want, s.State().Warnings); diff != "" || s.State().Failures == 0 {
			t.Errorf("%d failures, warnings (-want +got):\n%s", s.State().Failures, diff)
		}
	})
}

// TestStreamPrivate shows that no text of a stream has an identifier or a key.
func TestStreamPrivate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stage := newStage(t)
		s := openStream(t, stage.importer(t))
		at := time.Now()
		sendAll(t, s, enter(17, at))
		event := enter(17, at)
		texts := []any{s, event, &event, s.State(), []cohort.Event{event}}
		for _, e := range []cohort.Event{enter(17, at.Add(-1)), enter(17, at.Add(time.Hour)), {ID: identity.ExternalID("u-17"), At: at}} {
			err := s.Send(t.Context(), e)
			if err == nil {
				t.Errorf("an event was taken: %v", e)
			}
			texts = append(texts, err)
		}
		var b strings.Builder
		log := slog.New(slog.NewTextHandler(&b, nil))
		for _, v := range texts {
			log.Info("text", "value", v)
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				fmt.Fprintf(&b, verb, v)
			}
		}
		if strings.Contains(b.String(), "u-17") {
			t.Error("a text has the identifier")
		}
		closeStream(t, s)
	})
}

// TestStreamManySenders has many goroutines send at once.
func TestStreamManySenders(t *testing.T) {
	t.Parallel()
	stage := newStage(t)
	var mu sync.Mutex
	acknowledged := map[any]int{}
	s := openStream(t, stage.importer(t), cohort.WithDelay(0), cohort.WithBacklog(50), cohort.OnAcknowledge(func(events []cohort.Event) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			acknowledged[e.Token]++
		}
	}))
	at := time.Now()
	var group sync.WaitGroup
	const senders, each = 8, 50
	for sender := range senders {
		group.Go(func() {
			for i := range each {
				e := enter(sender*each+i, at)
				if err := s.Send(t.Context(), e); err != nil {
					t.Error(err)
				}
				if i%20 == 0 {
					if err := s.Flush(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	closeStream(t, s)
	if len(acknowledged) != senders*each {
		t.Errorf("%d events were acknowledged, want %d", len(acknowledged), senders*each)
	}
}

// TestStreamRestart shows what a stream knows of events that another one had before it.
func TestStreamRestart(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		fault  brazetest.Fault
		memory int
		older  bool // whether an older event is late afterwards
		again  int  // changes that the same event takes
	}{
		{"accepted", brazetest.Delay(0), 10, true, 0},
		{"lost", brazetest.AppliedThenLost(), 10, true, 1},
		{"lost, and there is no memory for it", brazetest.AppliedThenLost(), 0, true, 1},
		{"refused", brazetest.Status(http.StatusBadRequest), 10, false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				stage := newStage(t)
				stage.people(t, 1)
				client := stage.client(t, transport.WithRetryPolicy(transport.NoRepeat()))
				syncer := newSyncer(t, newImporter(t, client, stage.credentials()), newLedger(t))
				open := func() *cohort.Stream {
					s, err := syncer.Stream(t.Context(), sale(), cohort.WithMemory(tt.memory))
					if err != nil {
						t.Fatal(err)
					}
					return s
				}
				s := open()
				trouble := stage.server.Inject(brazetest.Users(), tt.fault).Always() // a Flush may be in time for two attempts
				at := time.Now()
				sendAll(t, s, leave(1, at))
				_ = s.Flush(t.Context())                                   // the fault has its way
				over, end := context.WithTimeout(t.Context(), time.Minute) // an attempt that is cut off may have been applied
				_, _ = s.Close(over)
				end()
				trouble.Remove()

				s = open()
				if err := s.Send(t.Context(), enter(1, at.Add(-1))); errors.Is(err, cohort.ErrLate) != tt.older {
					t.Errorf("an older event: %v", err)
				}
				sendAll(t, s, leave(1, at))
				closeStream(t, s)
				if n := s.State().Changes.Accepted; n != tt.again {
					t.Errorf("%d changes were sent, want %d", n, tt.again)
				}
				if got := stage.members(); len(got) > 0 {
					t.Error("who left is a member")
				}
			})
		})
	}
}
