package segment_test

import (
	"testing"
	"time"

	"github.com/cohortkit/cohortkit/segment"
)

// noon is when the tests match.
func noon() time.Time { return time.Date(2025, 6, 15, 12, 0, 0, 0, time.UTC) }

// days returns noon, so many days later.
func days(n float64) time.Time { return noon().Add(time.Duration(n * 24 * float64(time.Hour))) }

// having returns a profile with one attribute, a.
func having(v segment.Value) segment.Profile {
	return segment.Profile{Attributes: map[string]segment.Value{"a": v}}
}

func text(s string) segment.Profile        { return having(segment.StringValue(s)) }
func number(x float64) segment.Profile     { return having(segment.NumberValue(x)) }
func boolean(b bool) segment.Profile       { return having(segment.BooleanValue(b)) }
func moment(t time.Time) segment.Profile   { return having(segment.TimeValue(t)) }
func array(list ...string) segment.Profile { return having(segment.ArrayValue(list...)) }
func null() segment.Profile                { return having(segment.Value{}) }
func nobody() segment.Profile              { return segment.Profile{} }

// nested has JSON that no filter looks into.
func nested(text string) segment.Profile {
	var v segment.Value
	if err := v.UnmarshalJSON([]byte(text)); err != nil {
		panic(err)
	}
	return having(v)
}

func newSegment(tb testing.TB, f segment.Filter, opts ...segment.Option) *segment.Segment {
	tb.Helper()
	s, err := segment.New(f, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func newAudience(tb testing.TB, f segment.Filter, opts ...segment.AudienceOption) *segment.ConnectedAudience {
	tb.Helper()
	a, err := segment.NewConnectedAudience(f, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}
