package cohort_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
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

var streams = flag.Int("streams", defaultStreams, "run TestStreamHistories with this many random histories")

// leastEvents is how many different events a history has.
const leastEvents = 20

// streamModel is a topic, a consumer that reads it into a stream and now and then dies, and an endpoint in trouble. What is true of it at the end: each
// member is in the cohort if the newest of all their events that were not returned as late says so.
type streamModel struct {
	t     *testing.T
	r     *rand.Rand
	stage *stage
	state *mortal // nil without a ledger
	open  func(context.Context, ...cohort.StreamOption) (*cohort.Stream, error)
	opts  []cohort.StreamOption

	memory, backlog int
	horizon         time.Duration
	forgets         bool // times may be forgotten, so that somebody unknown may be late
	suppressed      string

	topic     []streamMessage
	position  int // of the next message to be sent
	committed int
	told      map[streamMessage]*verdict // what the stream said of each event
	ever      map[string]cohort.Event    // the newest that was ever sent, to justify a late one

	stream *cohort.Stream
	life   *life

	counts  map[string]int
	trace   []string
	failure string
}

type streamMessage struct {
	user  string
	at    time.Time
	enter bool
}

// life is one life of the consumer.
type life struct {
	mu       sync.Mutex
	dead     bool
	sent     []int // offsets that were sent and not yet acknowledged
	fail     string
	acks     int
	failures []string
}

func (m *streamModel) notef(format string, args ...any) {
	m.trace = append(m.trace, fmt.Sprintf(format, args...))
}

func (m *streamModel) failf(format string, args ...any) {
	if m.failure == "" {
		m.failure = fmt.Sprintf(format, args...)
		m.notef("%s", m.failure)
	}
}

// newer is the order of events, written down once more.
func newer(a, b cohort.Event) bool {
	if !a.At.Equal(b.At) {
		return a.At.After(b.At)
	}
	return a.Direction == cohort.Leave && b.Direction == cohort.Enter
}

func newStreamModel(t *testing.T, seed uint64, folder string) *streamModel {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	m := &streamModel{t: t, r: r, stage: newStage(t), told: map[streamMessage]*verdict{}, ever: map[string]cohort.Event{}, counts: map[string]int{}}
	members := 3 + r.IntN(6)
	m.stage.people(t, members)
	m.memory, m.backlog, m.horizon = 1000, 1+r.IntN(40), time.Hour
	delay := time.Duration(r.IntN(3)) * time.Second
	m.opts = []cohort.StreamOption{cohort.WithDelay(delay), cohort.WithBacklog(m.backlog)}
	if r.IntN(4) == 0 {
		m.forgets = true
		m.memory = r.IntN(members)
		if r.IntN(2) == 0 {
			m.horizon = time.Duration(r.IntN(10)) * time.Second
		}
	}
	m.opts = append(m.opts, cohort.WithMemory(m.memory), cohort.WithHorizon(m.horizon))
	client := m.stage.client(t, transport.WithRetryPolicy(transport.RetryPolicy{MaxAttempts: 1 + r.IntN(2), AttemptTimeout: 10 * time.Second}))
	importer := newImporter(t, client, m.stage.credentials(), cohort.WithInFlight(1+r.IntN(4)))
	c := cohort.Cohort{ID: campaign, Name: "Spring sale", CreatedAt: time.Now()}
	m.open = func(ctx context.Context, opts ...cohort.StreamOption) (*cohort.Stream, error) {
		return importer.Stream(ctx, c, opts...)
	}
	if r.IntN(3) > 0 {
		m.state = &mortal{Ledger: ledger.NewMemory()}
		if folder != "" {
			state, err := ledger.OpenDir(folder)
			if err != nil {
				t.Fatal(err)
			}
			m.state = &mortal{Ledger: state}
			m.counts["histories with a ledger in files"]++
		}
		var opts []cohort.SyncerOption
		if r.IntN(4) == 0 {
			m.suppressed = user(1)
			opts = append(opts, cohort.WithSuppression(func(id identity.ID) bool { return id.Value() == m.suppressed }))
		}
		syncer, err := cohort.NewSyncer(importer, m.state, opts...)
		if err != nil {
			t.Fatal(err)
		}
		m.open = func(ctx context.Context, opts ...cohort.StreamOption) (*cohort.Stream, error) {
			return syncer.Stream(ctx, c, opts...)
		}
	}
	for range leastEvents + r.IntN(20) {
		m.topic = append(m.topic, m.message(members))
	}
	m.notef("seed %d: %d members, backlog %d, memory %d, delay %v, ledger: %t", seed, members, m.backlog, m.memory, delay, m.state != nil)
	return m
}

// message makes one up: mostly later than those before, sometimes earlier, at the same time, or the same again.
func (m *streamModel) message(members int) streamMessage {
	if n := len(m.topic); n > 0 && m.r.IntN(8) == 0 {
		m.counts["topic: the same again"]++
		return m.topic[m.r.IntN(n)]
	}
	at := time.Now().Add(-time.Minute + time.Duration(len(m.topic))*time.Second)
	switch m.r.IntN(5) {
	case 0:
		at = at.Add(-time.Duration(m.r.IntN(15)) * time.Second)
		m.counts["topic: out of order"]++
	case 1:
		if n := len(m.topic); n > 0 {
			at = m.topic[n-1].at
			m.counts["topic: the same time"]++
		}
	}
	return streamMessage{user(1 + m.r.IntN(members)), at, m.r.IntN(2) == 0}
}

func (s streamMessage) event(offset int) cohort.Event {
	e := cohort.Event{ID: identity.ExternalID(s.user), At: s.at, Direction: cohort.Leave, Token: offset}
	if s.enter {
		e.Direction = cohort.Enter
	}
	return e
}

// start begins a life of the consumer, which goes on where the last one committed.
func (m *streamModel) start() {
	m.position = m.committed
	l := &life{}
	m.life = l
	if m.state == nil {
		clear(m.told) // it knows what was sent since, and nothing else
		clear(m.ever)
	} else {
		m.state.revive()
	}
	opts := append(slices.Clone(m.opts), cohort.OnAcknowledge(func(events []cohort.Event) { m.acknowledge(l, events) }),
		cohort.OnFailure(func(err error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.failures = append(l.failures, err.Error())
		}))
	var err error
	if m.stream, err = m.open(m.t.Context(), opts...); err != nil {
		m.failf("open: %v", err)
	}
}

// acknowledge commits, as the consumer of ExampleSyncer_Stream does, unless the process is dead.
func (m *streamModel) acknowledge(l *life, events []cohort.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return
	}
	for _, e := range events {
		offset, _ := e.Token.(int)
		if len(l.sent) == 0 || l.sent[0] != offset {
			l.fail = fmt.Sprintf("offset %d was acknowledged out of turn: %v", offset, l.sent)
			return
		}
		l.sent = l.sent[1:]
		m.committed = offset + 1
		l.acks++
	}
}

// give hands an event to the stream, alone or in a slice.
func (m *streamModel) give(ctx context.Context, e cohort.Event) error {
	if m.position%2 == 0 {
		return m.stream.Send(ctx, e)
	}
	var said error
	_, err := m.stream.SendAll(ctx, []cohort.Event{e}, func(_ cohort.Event, err error) { said = err })
	if err != nil {
		return err
	}
	return said
}

// send gives the stream the next message.
func (m *streamModel) send(ctx context.Context) {
	if m.position == len(m.topic) {
		return
	}
	offset := m.position
	message := m.topic[offset]
	e := message.event(offset)
	l := m.life
	l.mu.Lock()
	l.sent = append(l.sent, offset) // it may be acknowledged before Send returns
	l.mu.Unlock()
	err := m.give(ctx, e)
	m.notef("send %d: %s %v at %v: %v", offset, message.user, e.Direction, e.At.Format("05"), err)
	var tooLate *cohort.LateError
	switch {
	case err == nil:
		m.position++
		m.counts["sent"]++
		if e.Direction == cohort.Enter && message.user == m.suppressed {
			m.counts["suppressed"]++
			return
		}
		m.verdictOn(message).taken = true
		if ever, ok := m.ever[message.user]; !ok || newer(e, ever) {
			m.ever[message.user] = e
		}
	case errors.As(err, &tooLate):
		m.position++
		m.counts["late"]++
		m.verdictOn(message).late = true
		if tooLate.Forgotten {
			m.counts["late: below the watermark"]++
			if !m.forgets || e.At.After(tooLate.Known) || !m.mayForget(tooLate.Known) {
				m.failf("offset %d is late for no reason: %v", offset, err)
			}
			return
		}
		if ever, ok := m.ever[message.user]; !ok || !newer(ever, e) || !ever.At.Equal(tooLate.Known) && ever.At.Before(tooLate.Known) {
			m.failf("offset %d is late, but no newer one was sent: %v", offset, err)
		}
	default:
		l.mu.Lock()
		l.sent = l.sent[:len(l.sent)-1]
		l.mu.Unlock()
		m.counts["send: "+kindOf(err)]++
	}
}

// mayForget reports whether a watermark can be so high: it lies beyond the horizon, or so many members are newer that more had to be kept than may be.
func (m *streamModel) mayForget(watermark time.Time) bool {
	newest, above := time.Time{}, 0
	for _, e := range m.ever {
		if e.At.After(newest) {
			newest = e.At
		}
		if !e.At.Before(watermark) { // one of them may be who was forgotten
			above++
		}
	}
	return watermark.Before(newest.Add(-m.horizon)) || above > m.memory-m.memory/8
}

// verdict is what a stream said of an event over all deliveries.
type verdict struct{ taken, late bool }

func (m *streamModel) verdictOn(message streamMessage) *verdict {
	v, ok := m.told[message]
	if !ok {
		v = &verdict{}
		m.told[message] = v
	}
	return v
}

// promised returns who is promised to be in or out: each member of whose events the newest that the stream took was never returned as late. Where it
// was, after a crash, it may have been applied and may not.
func (m *streamModel) promised() map[string]bool {
	newest := map[string]streamMessage{}
	for message, v := range m.told {
		if before, ok := newest[message.user]; v.taken && (!ok || newer(message.event(0), before.event(0))) {
			newest[message.user] = message
		}
	}
	promised := map[string]bool{}
	for user, message := range newest {
		// What was forgotten is late when it is delivered again, and nobody knows whether it had been applied.
		if m.told[message].late {
			if !m.forgets {
				m.failf("the newest event of %s was late although nothing is forgotten", user)
			}
			m.counts["excused"]++
			continue
		}
		promised[user] = message.enter
	}
	return promised
}

func kindOf(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no time"
	case errors.Is(err, cohort.ErrStreamClosed):
		return "closed"
	case errors.Is(err, errKilled):
		return "killed"
	default:
		return "failed"
	}
}

// check holds the state to its sums and bounds.
func (m *streamModel) check() {
	s := m.stream.State()
	if sum := s.Pending + s.Applied + s.Superseded + s.Repeated + s.Suppressed + s.Late + s.Refused; sum != s.Events || s.Pending < 0 {
		m.failf("the state does not add up: %+v", s)
	}
	if s.Unacknowledged > m.backlog || s.Members > m.memory+m.backlog {
		m.failf("more is held than allowed: %+v", s)
	}
	m.life.mu.Lock()
	defer m.life.mu.Unlock()
	for _, f := range m.life.failures {
		m.notef("failure: %s", f)
	}
	m.life.failures = nil
	if m.life.fail != "" {
		m.failf("%s", m.life.fail)
	}
}

// end ends a life: the stream is closed in time, without any time, or the process is killed.
func (m *streamModel) end(ctx context.Context, how string) {
	left, err := m.stream.Close(ctx)
	m.notef("%s: %d left, %v", how, len(left), err)
	m.counts[how]++
	m.check()
	if s := m.stream.State(); s.Pending != len(left) {
		m.failf("%d events are pending and %d were returned", s.Pending, len(left))
	}
	if len(left) > 0 {
		m.counts["closed with events left"]++
		if err == nil {
			m.failf("events were left without an error")
		}
	}
	// Those that are left were sent and not acknowledged, and come in the order in which they were sent.
	sent := slices.Clone(m.life.sent)
	for _, e := range left {
		offset, _ := e.Token.(int)
		i := slices.Index(sent, offset)
		if i < 0 {
			m.failf("offset %d is left out of turn", offset)
			break
		}
		sent = sent[i+1:]
	}
	if len(left) == 0 && len(sent) > 0 && !m.life.dead {
		m.failf("nothing is left, and %d events were not acknowledged", len(sent))
	}
	s := m.stream.State()
	for name, n := range map[string]int{
		"applied": s.Applied, "superseded": s.Superseded, "repeated": s.Repeated, "failures": s.Failures, "unknown changes": s.Changes.Unknown,
		"refused changes": s.Changes.Refused,
	} {
		m.counts[name] += n
	}
	if !s.Watermark.IsZero() {
		m.counts["watermarks"]++
	}
	synctest.Wait() // what was cut off ends at the endpoint before another life begins
}

// step does something at random.
func (m *streamModel) step() {
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Duration(1+m.r.IntN(60))*time.Second)
	defer cancel()
	switch n := m.r.IntN(100); {
	case n < 60:
		for range 1 + m.r.IntN(3) {
			m.send(ctx)
		}
	case n < 72:
		list := streamTroubles()
		f := list[m.r.IntN(len(list))]
		m.notef("fault: %v", f)
		m.counts["fault: "+f.String()]++
		m.stage.server.Inject(brazetest.Users(), f).Times(1 + m.r.IntN(2)).Optional()
	case n < 80:
		err := m.stream.Flush(ctx)
		m.notef("flush: %v", err)
		if err == nil {
			m.counts["flushed"]++
			if s := m.stream.State(); s.Unacknowledged != 0 {
				m.failf("flushed, and yet: %+v", s)
			}
		} else {
			m.counts["flush: failed"]++
		}
	case n < 90:
		d := time.Duration(m.r.IntN(20)) * time.Second
		m.notef("wait %v", d)
		_ = wait(m.t.Context(), d)
	case n < 93: // partitions are given out anew: what was not committed comes again
		m.life.mu.Lock()
		m.position = m.committed
		m.life.mu.Unlock()
		m.counts["rewound"]++
		m.notef("rewind to %d", m.position)
	case n < 95:
		m.end(ctx, "closed")
		m.start()
	case n < 97:
		cancel()
		m.end(ctx, "closed without time")
		m.start()
	default:
		m.life.mu.Lock()
		m.life.dead = true
		m.life.mu.Unlock()
		if m.state != nil {
			m.state.kill()
		}
		cancel()
		m.end(ctx, "killed")
		m.start()
	}
	m.check()
}

// finish delivers what is left and looks at what came of it.
func (m *streamModel) finish() {
	for lives := 1; ; lives++ {
		for m.position < len(m.topic) && m.failure == "" {
			ctx, cancel := context.WithTimeout(m.t.Context(), time.Hour)
			m.send(ctx)
			cancel()
		}
		ctx, cancel := context.WithTimeout(m.t.Context(), time.Hour)
		m.end(ctx, "closed at the end")
		cancel()
		if m.failure != "" {
			return
		}
		if m.committed == len(m.topic) {
			break
		}
		if lives == 20 {
			m.failf("committed %d of %d after %d lives without new troubles", m.committed, len(m.topic), lives)
			return
		}
		m.start()
	}
	promised := m.promised()
	want, got := []string{}, []string{}
	for user, in := range promised {
		if in {
			want = append(want, user)
		}
	}
	slices.Sort(want)
	for _, user := range m.stage.members() {
		if _, ok := promised[user]; ok {
			got = append(got, user)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		m.failf("members (-want +got):\n%s", diff)
	}
	m.counts["promised"] += len(promised)
}

func streamTroubles() []brazetest.Fault {
	return []brazetest.Fault{
		brazetest.AppliedThenLost(), brazetest.DropConnection(), brazetest.Status(http.StatusServiceUnavailable), brazetest.Status(http.StatusBadGateway).Applied(),
		brazetest.Locked(), brazetest.RateLimited("3"), brazetest.TruncateBody(5), brazetest.Delay(3 * time.Second), brazetest.Delay(8 * time.Second),
		brazetest.Unauthorized(brazetest.WrongImportKey), brazetest.Status(http.StatusBadRequest),
	}
}

func playStream(t *testing.T, seed uint64) (m *streamModel) {
	t.Helper()
	folder := ""
	if seed%dirShare == 0 {
		folder = t.TempDir()
	}
	synctest.Test(t, func(t *testing.T) {
		m = newStreamModel(t, seed, folder)
		m.start()
		for range 20 + m.r.IntN(20) {
			if m.failure == "" {
				m.step()
			}
		}
		if m.failure != "" {
			_, _ = m.stream.Close(t.Context())
			return
		}
		m.finish()
	})
	return m
}

// TestStreamHistories plays random histories of streams.
func TestStreamHistories(t *testing.T) {
	t.Parallel()
	first := *firstHistory
	if first == 0 {
		first = rand.Uint64() >> 24
	}
	t.Logf("%d histories from -seed=%d", *streams, first)
	var next atomic.Int64
	var mu sync.Mutex
	counts := map[string]int{}
	failed := ""
	t.Run("play", func(t *testing.T) {
		var group sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			group.Go(func() {
				for {
					n := next.Add(1) - 1
					mu.Lock()
					over := n >= int64(*streams) || failed != ""
					mu.Unlock()
					if over {
						return
					}
					m := playStream(t, first+uint64(n))
					mu.Lock()
					for event, n := range m.counts {
						counts[event] += n
					}
					counts["histories"]++
					counts["events"] += len(m.topic)
					if m.state != nil {
						counts["histories with a ledger"]++
					}
					if m.failure != "" {
						failed = strings.Join(m.trace, "\n")
					}
					mu.Unlock()
				}
			})
		}
		group.Wait()
	})
	if failed != "" {
		t.Fatal(failed)
	}
	for _, event := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%8d %s", counts[event], event)
	}
	for _, e := range seldomOfStreams() {
		if least := e.leastIn(*streams); counts[e.event] < least {
			t.Errorf("%q happened %d times, want %d", e.event, counts[e.event], least)
		}
	}
	if counts["excused"]*20 > counts["promised"] {
		t.Errorf("%d members were excused, which is more than 5 %% of the %d promised", counts["excused"], counts["promised"])
	}
}

// seldomOfStreams is how often something has to happen in a thousand histories. See rare.
func seldomOfStreams() []rare {
	list := []rare{
		{20_000, "events"}, {200, "histories with a ledger"}, {10, "histories with a ledger in files"}, {1600, "promised"},
		{4000, "applied"}, {2700, "superseded"}, {1000, "repeated"}, {200, "suppressed"}, {3000, "late"}, {240, "late: below the watermark"}, {180, "watermarks"},
		{1300, "failures"}, {2000, "unknown changes"}, {1700, "refused changes"}, {550, "flushed"}, {230, "flush: failed"}, {150, "send: no time"},
		{190, "closed"}, {190, "closed without time"}, {290, "killed"}, {440, "closed with events left"}, {290, "rewound"},
		{1700, "topic: out of order"}, {1600, "topic: the same time"}, {1200, "topic: the same again"},
	}
	for _, f := range streamTroubles() {
		list = append(list, rare{100, "fault: " + f.String()})
	}
	return list
}

var errKilled = errors.New("the process is dead")

// mortal is a ledger whose process can be killed: from then on nothing is recorded.
type mortal struct {
	ledger.Ledger
	dead atomic.Bool
}

func (l *mortal) kill()   { l.dead.Store(true) }
func (l *mortal) revive() { l.dead.Store(false) }

func (l *mortal) Open(ctx context.Context, key ledger.Key) (ledger.Session, error) {
	s, err := l.Ledger.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	keeper, _ := s.(ledger.Timekeeper)
	return &mortalSession{s, keeper, &l.dead}, nil
}

type mortalSession struct {
	ledger.Session
	ledger.Timekeeper
	dead *atomic.Bool
}

func (s *mortalSession) BeginStamped(ctx context.Context, removals, adds []ledger.Member, stamps []ledger.Stamp, watermark int64) (ledger.Intent, error) {
	if s.dead.Load() {
		return 0, errKilled
	}
	return s.Timekeeper.BeginStamped(ctx, removals, adds, stamps, watermark)
}

func (s *mortalSession) Settle(intent ledger.Intent, outcome ledger.Outcome) error {
	if s.dead.Load() {
		return errKilled
	}
	return s.Session.Settle(intent, outcome)
}
