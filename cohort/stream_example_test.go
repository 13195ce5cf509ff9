package cohort_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// message is one of a queue whose consumer commits an offset, as in Kafka.
type message struct {
	offset int64
	user   string
	member bool
	at     time.Time
}

// queue stands in for the client of a queue.
type queue struct {
	messages  []message
	committed int64
}

func (q *queue) commit(offset int64) { q.committed = offset }

// event is what a message means to a cohort.
func (m message) event() cohort.Event {
	e := cohort.Event{ID: identity.ExternalID(m.user), At: m.at, Direction: cohort.Leave, Token: m.offset}
	if m.member {
		e.Direction = cohort.Enter
	}
	return e
}

// A consumer of a queue with offsets commits what is acknowledged and nothing else. Whatever order the messages come in, each member ends as the
// newest one says.
func ExampleSyncer_Stream() {
	braze, err := brazetest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer braze.Close()
	tinyclues, acme := braze.AddPartner("tinyclues", "Tinyclues"), braze.AddWorkspace("acme")
	acme.Enable(tinyclues)
	for _, user := range []string{"u-17", "u-18", "u-19"} {
		if _, err := acme.AddProfile(brazetest.Profile{ExternalID: user}); err != nil {
			fmt.Println(err)
			return
		}
	}
	syncer, err := syncerOf(braze, keys.Credentials{Partner: "tinyclues", PartnerKey: tinyclues.Key("EU-01"), ImportKey: acme.GenerateKey(tinyclues)})
	if err != nil {
		fmt.Println(err)
		return
	}
	noon := time.Date(2025, 3, 2, 12, 0, 0, 0, time.UTC)
	topic := &queue{messages: []message{
		{1, "u-17", true, noon},
		{2, "u-18", true, noon},
		{3, "u-17", false, noon.Add(time.Minute)},
		{4, "u-18", false, noon.Add(-time.Minute)}, // overtaken by the one before
		{5, "u-19", true, noon},
	}}

	consume := func(ctx context.Context) error {
		stream, err := syncer.Stream(ctx, cohort.Cohort{ID: "camp-481", Name: "Spring sale"},
			cohort.OnAcknowledge(func(events []cohort.Event) {
				offset, _ := events[len(events)-1].Token.(int64)
				topic.commit(offset + 1)
			}))
		if err != nil {
			return err
		}
		for _, m := range topic.messages {
			switch err := stream.Send(ctx, m.event()); {
			case errors.Is(err, cohort.ErrLate):
				fmt.Println("offset", m.offset, err)
			case err != nil:
				_, closeErr := stream.Close(ctx)
				return errors.Join(err, closeErr)
			}
		}
		// What is left was not committed: the next consumer gets it again.
		_, err = stream.Close(ctx)
		fmt.Println(stream.State())
		return err
	}
	err = consume(context.Background())
	fmt.Println("committed up to", topic.committed, err)
	sale, _ := acme.Cohort(tinyclues, "camp-481")
	fmt.Println("members:", sale.ExternalIDs())
	// Output:
	// offset 4 cohort: stream: the event is late: one of the same member is known that happened 1m0s after it
	// 5 events (3 applied, 1 superseded, 1 late); 3 changes: 3 accepted; 2 requests
	// committed up to 6 <nil>
	// members: [u-18 u-19]
}

// A consumer of a queue that deletes single messages, as in SQS, deletes what is acknowledged. What the endpoint does not accept is not deleted, so
// the queue delivers it again.
func ExampleOnAcknowledge() {
	importer, braze := newExample()
	defer braze.Close()
	ctx := context.Background()

	stream, err := importer.Stream(ctx, cohort.Cohort{ID: "camp-481", Name: "Spring sale", CreatedAt: time.Date(2025, 3, 2, 8, 15, 0, 0, time.UTC)},
		cohort.OnAcknowledge(func(events []cohort.Event) {
			for _, e := range events {
				fmt.Println("delete", e.Token)
			}
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	noon := time.Date(2025, 3, 2, 12, 0, 0, 0, time.UTC)
	for _, e := range []cohort.Event{
		{ID: identity.ExternalID("u-17"), At: noon, Direction: cohort.Enter, Token: "receipt-1"},
		{ID: identity.ExternalID("u-17"), At: noon, Token: "receipt-2"}, // a flag is missing in the message
		{ID: identity.ExternalID("u-18"), At: noon, Direction: cohort.Enter, Token: "receipt-3"},
	} {
		if err := stream.Send(ctx, e); err != nil {
			fmt.Println("keep", e.Token, err)
		}
	}
	if err := stream.Flush(ctx); err != nil {
		fmt.Println(err)
	}
	left, err := stream.Close(ctx)
	fmt.Println(len(left), err)
	// Output:
	// keep receipt-2 cohort: stream: direction rejected: no_direction: say Enter or Leave, and look for the reason why it is missing
	// delete receipt-1
	// delete receipt-3
	// 0 <nil>
}

// A webhook answers when the events of its request are settled. Flush sends them at once; requests that come at the same time share it.
func ExampleStream_Flush() {
	importer, braze := newExample()
	defer braze.Close()
	ctx := context.Background()
	stream, err := importer.Stream(ctx, cohort.Cohort{ID: "camp-481", Name: "Spring sale", CreatedAt: time.Date(2025, 3, 2, 8, 15, 0, 0, time.UTC)})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := func(w http.ResponseWriter, r *http.Request) {
		for user := range strings.SplitSeq(r.URL.Query().Get("entered"), ",") {
			err := stream.Send(r.Context(), cohort.Event{ID: identity.ExternalID(user), At: time.Now(), Direction: cohort.Enter})
			_, rejected := errors.AsType[*identity.RejectError](err)
			switch {
			case rejected:
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			case err != nil && !errors.Is(err, cohort.ErrLate): // it was not taken
				http.Error(w, "try again", http.StatusServiceUnavailable)
				return
			}
		}
		if err := stream.Flush(r.Context()); err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable) // the sender does
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}

	answer := httptest.NewRecorder()
	handler(answer, httptest.NewRequestWithContext(ctx, http.MethodPost, "/?entered=u-17,u-18", nil))
	fmt.Println(answer.Code)
	braze.Inject(brazetest.Users(), brazetest.Unauthorized(brazetest.WrongImportKey)).Always()
	answer = httptest.NewRecorder()
	handler(answer, httptest.NewRequestWithContext(ctx, http.MethodPost, "/?entered=u-19", nil))
	fmt.Println(answer.Code)

	left, err := stream.Close(ctx)
	fmt.Println(len(left), "left:", errors.Is(err, transport.ErrUnauthorized))
	// Output:
	// 204
	// 503
	// 1 left: true
}
