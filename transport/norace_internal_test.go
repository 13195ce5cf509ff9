//go:build !race

package transport

// How many hours of the documented rate TestQuotaOfADay steps through.
const (
	longDay  = 24
	shortDay = 6
)
