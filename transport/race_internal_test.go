//go:build race

package transport

// How many hours of the documented rate TestQuotaOfADay steps through. They are millions of requests in one goroutine, of which the race detector makes
// ten times the work and finds nothing in: a part of them is enough for it.
const (
	longDay  = 3
	shortDay = 2
)
