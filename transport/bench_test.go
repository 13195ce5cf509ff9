package transport_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/cohortkit/cohortkit/keys"
	"github.com/cohortkit/cohortkit/transport"
)

// BenchmarkDo measures what a call costs besides the network: one attempt, accepted, with a body of a thousand UUIDs.
func BenchmarkDo(b *testing.B) {
	body := bytes.Repeat([]byte(`"5b2c9f0e-77aa-4d0e-9a51-0c3f1f2b6d10",`), 1000)
	header := http.Header{"Content-Type": {"application/json"}}
	buf := make([]byte, 32<<10)
	c := newClient(b, roundTrip(func(r *http.Request) (*http.Response, error) {
		for n := 1; n > 0; {
			n, _ = r.Body.Read(buf)
		}
		_ = r.Body.Close()
		return &http.Response{StatusCode: http.StatusCreated, Header: header, Body: io.NopCloser(bytes.NewReader([]byte(success)))}, nil
	}))
	req := transport.Request{
		Operation: "cohort.users",
		Path:      "/partners/tinyclues/cohorts/users",
		Body:      body,
		Release:   func() {},
		Secrets:   []transport.Secret{keys.NewPartnerKey(partnerKey), keys.NewImportKey(importKey)},
		Repeat:    transport.RepeatSafe,
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := c.Do(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkShareWait measures a request that need not wait. It goes round many quotas, so that each is free again when its turn comes.
func BenchmarkShareWait(b *testing.B) {
	shares := make([]*transport.Share, 1<<14)
	for i := range shares {
		shares[i] = newQuota(b, 1_000_000_000).Share("workspace")
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := shares[i%len(shares)].Wait(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
