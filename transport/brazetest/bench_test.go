package brazetest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// BenchmarkUsers sends adds of 1,000 known UUID external IDs a request, 8 in flight, through the doors. The plain loop,
// with which the in-memory door is to be compared, is what a caller would write first, against a server that reads the
// body and no more.
func BenchmarkUsers(b *testing.B) {
	const people, perRequest, inFlight = 1_000_000, brazetest.MaxIdentifiers, 8
	s := brazetest.NewServer(b)
	p := s.AddPartner("tinyclues", "Tinyclues")
	w := s.AddWorkspace("acme")
	w.Enable(p)
	head := fmt.Sprintf(`{"partner_api_key":%q,"client_secret":%q,"cohort_id":"camp-481","cohort_changes":[{"user_ids":[`,
		p.Key("EU-01").Reveal(), w.GenerateKey(p).Reveal())
	var bodies [][]byte
	var all []string
	for from := 0; from < people; from += perRequest {
		body := bytes.NewBufferString(head)
		for i := from; i < from+perRequest; i++ {
			id := uuid(i)
			all = append(all, id)
			if _, err := w.AddProfile(brazetest.Profile{ExternalID: id}); err != nil {
				b.Fatal(err)
			}
			if i > from {
				body.WriteByte(',')
			}
			fmt.Fprintf(body, "%q", id)
		}
		body.WriteString("]}]}")
		bodies = append(bodies, body.Bytes())
	}
	for _, door := range []struct {
		name   string
		client *http.Client
		url    string
	}{
		{"memory", s.Client(), "https://rest.fra-01.braze.eu"},
		{"loopback", &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight}}, s.URL()},
	} {
		b.Run(door.name, func(b *testing.B) {
			b.ReportAllocs()
			var next atomic.Int64
			var workers sync.WaitGroup
			b.ResetTimer()
			for range inFlight {
				workers.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if err := post(b.Context(), door.client, door.url+"/partners/tinyclues/cohorts/users", bodies[i%int64(len(bodies))]); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			workers.Wait()
			b.ReportMetric(float64(b.N)*perRequest/b.Elapsed().Seconds(), "ids/s")
			s.ForgetRequests()
		})
	}
	b.Run("plain loop", func(b *testing.B) { plainLoop(b, all) })
}

func plainLoop(b *testing.B, ids []string) {
	b.Helper()
	discard := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"message":"success"}`)
	}))
	defer discard.Close()
	type change struct {
		UserIDs []string `json:"user_ids"`
	}
	type request struct {
		PartnerKey string   `json:"partner_api_key"`
		Secret     string   `json:"client_secret"`
		CohortID   string   `json:"cohort_id"`
		Changes    []change `json:"cohort_changes"`
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		from := i * brazetest.MaxIdentifiers % len(ids)
		body, err := json.Marshal(request{"pk-us-0001", "cs-ws-0001", "camp-481", []change{{ids[from : from+brazetest.MaxIdentifiers]}}})
		if err != nil {
			b.Fatal(err)
		}
		if err := post(b.Context(), http.DefaultClient, discard.URL, body); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*brazetest.MaxIdentifiers/b.Elapsed().Seconds(), "ids/s")
}

// post sends a body and reads the answer to its end.
func post(ctx context.Context, client *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// uuid spreads the numbers over the whole space, so that neighbours in a body are no neighbours in memory.
func uuid(n int) string {
	a := uint64(n+1) * 0x9e3779b97f4a7c15
	c := (a ^ a>>29) * 0xbf58476d1ce4e5b9
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, c>>48, c&(1<<48-1))
}
