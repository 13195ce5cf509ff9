package cohort_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
)

// uuids yields n identifiers of the shape of a UUID, each a new string, as a source would.
func uuids(n int) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var raw [16]byte
		var text [36]byte
		for i := range n {
			binary.BigEndian.PutUint64(raw[:], uint64(i)*0x9e3779b97f4a7c15)
			binary.BigEndian.PutUint64(raw[8:], uint64(i)*0xbf58476d1ce4e5b9)
			hex.Encode(text[0:8], raw[0:4])
			hex.Encode(text[9:13], raw[4:6])
			hex.Encode(text[14:18], raw[6:8])
			hex.Encode(text[19:23], raw[8:10])
			hex.Encode(text[24:36], raw[10:16])
			text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
			if !yield(string(text[:]), nil) {
				return
			}
		}
	}
}

func additions(ids iter.Seq2[string, error]) iter.Seq2[cohort.Change, error] {
	return func(yield func(cohort.Change, error) bool) {
		for id, err := range ids {
			if !yield(cohort.Add(identity.ExternalID(id)), err) {
				return
			}
		}
	}
}

// discard answers every request after reading it to its end, in a process of its own where possible: see BenchmarkApply.
func discard(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, `{"message":"success"}`)
}

// plainLoop is the baseline: what a careful programmer writes without a library.
func plainLoop(ctx context.Context, url string, ids iter.Seq2[string, error]) error {
	type object struct {
		UserIDs []string `json:"user_ids"`
	}
	type body struct {
		PartnerAPIKey string   `json:"partner_api_key"`
		ClientSecret  string   `json:"client_secret"`
		CohortID      string   `json:"cohort_id"`
		Changes       []object `json:"cohort_changes"`
	}
	send := func(batch []string) error {
		b, err := json.Marshal(body{"pk-us-0001", "cs-ws-0001", "camp-481", []object{{batch}}})
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(b))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode/100 != 2 {
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	batch := make([]string, 0, 1000)
	for id, err := range ids {
		if err != nil {
			return err
		}
		if batch = append(batch, id); len(batch) == 1000 {
			if err := send(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if len(batch) > 0 {
		return send(batch)
	}
	return nil
}

var _ = net.Dial
var _ = runtime.GC
var _ = syscall.Getrusage
var _ = time.Now

func BenchmarkApply(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(discard))
	defer server.Close()
	const n = 100_000
	b.Run("plain", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := plainLoop(b.Context(), server.URL, uuids(n)); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "ids/s")
	})
	b.Run("apply", func(b *testing.B) {
		b.ReportAllocs()
		endpoint, err := transport.ParseEndpoint(server.URL)
		if err != nil {
			b.Fatal(err)
		}
		q, _ := transport.NewQuota(1e9)
		client, err := transport.New(endpoint, transport.WithQuota(q))
		if err != nil {
			b.Fatal(err)
		}
		im, err := cohort.NewImporter(client, "acme", keys.Credentials{Partner: "tinyclues", PartnerKey: keys.NewPartnerKey("pk-us-0001"), ImportKey: keys.NewImportKey("cs-ws-0001")})
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := im.Apply(b.Context(), "camp-481", additions(uuids(n))); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "ids/s")
	})
}
