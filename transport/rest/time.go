package rest

import "time"

// layouts are the ways in which answers write a time: ISO 8601 with the offsets that occur, and the one of user exports.
var layouts = [...]string{time.RFC3339Nano, "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05 UTC", "2006-01-02 15:04:05 Z0700"}

// timeOf reads a time that nothing depends on: what cannot be read is the zero time. Parse takes fractions of a second though the layouts have none.
func timeOf(v any) time.Time {
	s, _ := v.(string)
	for _, layout := range layouts {
		if at, err := time.Parse(layout, s); err == nil {
			return at.UTC()
		}
	}
	return time.Time{}
}
