package brazetest_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// BenchmarkUsers sends adds of 1,000 known UUID external IDs a request, 8 in flight, through the doors.
func BenchmarkUsers(b *testing.B) {
	const people, perRequest, inFlight = 1_000_000, brazetest.MaxIdentifiers, 8
	s := brazetest.NewServer(b)
	p := s.AddPartner("tinyclues", "Tinyclues")
	w := s.AddWorkspace("acme")
	w.Enable(p)
	head := fmt.Sprintf(`{"partner_api_key":%q,"client_secret":%q,"cohort_id":"camp-481","cohort_changes":[{"user_ids":[`,
		p.Key("EU-01").Reveal(), w.GenerateKey(p).Reveal())
	var bodies [][]byte
	for from := 0; from < people; from += perRequest {
		body := bytes.NewBufferString(head)
		for i := from; i < from+perRequest; i++ {
			id := uuid(i)
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
						resp, err := door.client.Post(door.url+"/partners/tinyclues/cohorts/users", "application/json", bytes.NewReader(bodies[i%int64(len(bodies))]))
						if err != nil {
							b.Error(err)
							return
						}
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
						if resp.StatusCode != http.StatusCreated {
							b.Errorf("status %d", resp.StatusCode)
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
}

// uuid spreads the numbers over the whole space, so that neighbours in a body are no neighbours in memory.
func uuid(n int) string {
	a := uint64(n+1) * 0x9e3779b97f4a7c15
	c := (a ^ a>>29) * 0xbf58476d1ce4e5b9
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, c>>48, c&(1<<48-1))
}
