package main

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

// endpoint stands in for a Braze-style endpoint: it accepts everything at once, in the process of whoever sends.
type endpoint struct {
	requests atomic.Int64
}

// endpointURL is where the endpoint would be. No request gets there.
const endpointURL = "https://rest.braze.example"

// RoundTrip accepts a request.
func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	e.requests.Add(1)
	if r.Body != nil {
		_, err := io.Copy(io.Discard, r.Body)
		if closeErr := r.Body.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return nil, err
		}
	}
	const answer = `{"message":"success"}`
	return &http.Response{
		Status: "201 Created", StatusCode: http.StatusCreated, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(answer)), ContentLength: int64(len(answer)),
		Request: r,
	}, nil
}
