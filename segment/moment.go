package segment

import (
	"strings"
	"time"
)

// instant is a point in time as a profile is compared with it: smaller and quicker than a time.Time.
type instant struct {
	seconds int64 // since 1970
	nanos   int32
}

func instantOf(t time.Time) instant { return instant{t.Unix(), int32(t.Nanosecond())} }

func (i instant) before(j instant) bool {
	return i.seconds < j.seconds || i.seconds == j.seconds && i.nanos < j.nanos
}

// daysLater returns the instant so many times 24 hours later.
func (i instant) daysLater(days int) instant {
	return instant{i.seconds + int64(days)*day, i.nanos}
}

// day is what no offset reaches, in seconds.
const day = 24 * 60 * 60

// writable returns the time in a form that ISO-8601 can write, which has offsets of whole minutes and less than a day, and years of four digits; the
// zero time if there is none.
func writable(t time.Time) time.Time {
	if _, offset := t.Zone(); offset%60 != 0 || offset <= -day || offset >= day {
		t = t.UTC()
	}
	if t.Year() < 0 || t.Year() > 9999 {
		return time.Time{}
	}
	return t.Round(0)
}

// parseTime reads a point in time as ISO-8601 writes it: date, time, a fraction or none, and an offset as Z, +hh:mm or +hhmm. A text without an
// offset is no point in time. Package time alone would take more than that, such as a comma before the fraction, and an offset of 24 hours or 60
// minutes.
func parseTime(s string) (time.Time, bool) {
	const seconds = "dddd-dd-ddTdd:dd:dd"
	if len(s) <= len(seconds) || !shaped(s[:len(seconds)], seconds) {
		return time.Time{}, false
	}
	rest := s[len(seconds):]
	if rest[0] == '.' {
		rest = strings.TrimLeft(rest[1:], "0123456789") // package time refuses a fraction without a digit
	}
	layout := "2006-01-02T15:04:05Z07:00"
	switch {
	case rest == "Z", shaped(rest, "+dd:dd"), shaped(rest, "-dd:dd"):
	case shaped(rest, "+dddd"), shaped(rest, "-dddd"):
		layout = "2006-01-02T15:04:05Z0700"
	default:
		return time.Time{}, false
	}
	t, err := time.Parse(layout, s)
	if _, offset := t.Zone(); offset <= -day || offset >= day || rest != "Z" && rest[len(rest)-2] >= '6' {
		return time.Time{}, false
	}
	return t, err == nil
}

// shaped reports whether the text has the shape: d is a digit, everything else is itself.
func shaped(s, shape string) bool {
	if len(s) != len(shape) {
		return false
	}
	for i := range len(s) {
		if shape[i] == 'd' {
			if s[i] < '0' || s[i] > '9' {
				return false
			}
		} else if s[i] != shape[i] {
			return false
		}
	}
	return true
}
