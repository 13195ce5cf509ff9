//go:build !race

package transport

// longDay is how many hours of the documented rate TestQuotaOfADay steps through.
const longDay = 24
