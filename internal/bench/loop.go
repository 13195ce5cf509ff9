package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
)

// sendEverybody is what one writes without a library or a ledger: gather 1,000 identifiers, marshal them, post them, read the answer to its
// end, and go on with the next. Everybody is sent again at every export. Who left cannot be known, and stays in the cohort.
func sendEverybody(ctx context.Context, j job) (result, error) {
	var e endpoint
	loop := plainLoop{client: &http.Client{Transport: &e}, batch: make([]string, 0, cohort.MaxIdentifiers)}
	start := time.Now()
	for id, err := range lines(j.to()) {
		if err == nil {
			err = loop.add(ctx, id)
		}
		if err != nil {
			return result{}, err
		}
	}
	if err := loop.send(ctx); err != nil {
		return result{}, err
	}
	return result{Seconds: since(start), Requests: int(e.requests.Load()), Changes: loop.sent, Sends: true}, nil
}

type plainLoop struct {
	client *http.Client
	batch  []string
	sent   int
}

func (l *plainLoop) add(ctx context.Context, id string) error {
	if l.batch = append(l.batch, id); len(l.batch) < cohort.MaxIdentifiers {
		return nil
	}
	return l.send(ctx)
}

func (l *plainLoop) send(ctx context.Context) error {
	if len(l.batch) == 0 {
		return nil
	}
	type object struct {
		UserIDs []string `json:"user_ids"`
	}
	type body struct {
		PartnerAPIKey string   `json:"partner_api_key"`
		ClientSecret  string   `json:"client_secret"`
		CohortID      string   `json:"cohort_id"`
		Changes       []object `json:"cohort_changes"`
	}
	text, err := json.Marshal(body{"pk-us-0001", "cs-ws-0001", cohortID, []object{{l.batch}}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpointURL+"/partners/tinyclues/cohorts/users", bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	l.sent += len(l.batch)
	l.batch = l.batch[:0]
	return nil
}
