//go:build race

package transport

// longDay is how many hours of the documented rate TestQuotaOfADay steps through. It is six million requests in one goroutine, of which the race detector
// makes ten times the work and finds nothing in: a quarter of them is enough for it.
const longDay = 6
