package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"runtime"
	"slices"
	"time"

	"github.com/cohortkit/cohortkit/segment"
)

// matchTable measures one filter of ten conditions over as many users, with segment and with the same conditions written out in Go, in turns. They must
// find the same users, and matching must not allocate.
func matchTable(out io.Writer, users, runs int) error {
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	profiles, records := crowd(at)
	audience, err := segment.NewConnectedAudience(tenConditions(at))
	if err != nil {
		return err
	}
	match := func(i int) bool {
		is, _ := audience.Match(&profiles[i], at)
		return is
	}
	parisian := regexp.MustCompile("(?i)^75")
	byHand := func(i int) bool { return meetsConditions(records[i], at, parisian) }

	var ours, theirs []result
	for range runs {
		a, b := measureMatch(users, len(profiles), match), measureMatch(users, len(records), byHand)
		if a.matched != b.matched || a.matched == 0 {
			return fmt.Errorf("segment matches %d of %d users, and the conditions in Go %d", a.matched, users, b.matched)
		}
		// Package regexp keeps what it works with in a pool, which the garbage collector empties, and the race detector more often.
		if perUser := float64(a.mallocs) / float64(users); perUser > 0.1 {
			return fmt.Errorf("segment allocates %.3f times for a user", perUser)
		}
		ours, theirs = append(ours, result{Seconds: a.seconds}), append(theirs, result{Seconds: b.seconds})
	}
	_, _ = fmt.Fprintf(out, "a filter of ten conditions over %s users, %s, without an allocation\n\n", grouped(users), plural(runs, "run"))
	for _, r := range []row{{contender{name: "segment.Match"}, ours, ""}, {contender{name: "conditions in Go"}, theirs, ""}} {
		_, _ = fmt.Fprintf(out, "%-24s%13.3f s%13.1f M users/s%10.2f\n",
			r.name, r.seconds(), float64(users)/r.seconds()/1e6, r.seconds()/row{results: ours}.seconds())
	}
	return nil
}

// matchRun is what a run of matching took.
type matchRun struct {
	seconds float64
	mallocs uint64
	matched int
}

// measureMatch asks about so many users, who are different ones as far as there are any.
func measureMatch(users, different int, match func(int) bool) (r matchRun) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	for i := range users {
		if match(i % different) {
			r.matched++
		}
	}
	r.seconds = since(start)
	runtime.ReadMemStats(&after)
	r.mallocs = after.Mallocs - before.Mallocs
	return r
}

// tenConditions is a filter of ten conditions, of every kind that there is.
func tenConditions(at time.Time) segment.Filter {
	return segment.And(
		segment.Or(
			segment.StringAttribute("tier").Equals("gold"),
			segment.StringAttribute("tier").Equals("silver"),
			segment.StringAttribute("postcode").MatchesRegex("^75"),
		),
		segment.NumberAttribute("points").GreaterThanOrEqualTo(250),
		segment.ArrayAttribute("liked_brands").Includes("acme"),
		segment.BooleanAttribute("is_member").Is(true),
		segment.TimeAttribute("last_order_at").LessThanDaysAgo(30),
		segment.TimeAttribute("renewal_at").After(at),
		segment.EmailSubscription().IsNot(segment.Unsubscribed),
		segment.LastUsedApp().After(at.AddDate(0, 0, -90)),
	)
}

// record is a user as a program holds one that does not use segment.
type record struct {
	attributes   map[string]any
	unsubscribed bool
	lastUsed     time.Time
}

// meetsConditions is what tenConditions says, written out.
func meetsConditions(r record, at time.Time, parisian *regexp.Regexp) bool {
	tier, _ := r.attributes["tier"].(string)
	postcode, _ := r.attributes["postcode"].(string)
	points, _ := r.attributes["points"].(float64)
	brands, _ := r.attributes["liked_brands"].([]string)
	member, _ := r.attributes["is_member"].(bool)
	ordered, _ := r.attributes["last_order_at"].(time.Time)
	renewal, _ := r.attributes["renewal_at"].(time.Time)
	return (tier == "gold" || tier == "silver" || parisian.MatchString(postcode)) &&
		points >= 250 &&
		slices.Contains(brands, "acme") &&
		member &&
		!ordered.After(at) && ordered.After(at.AddDate(0, 0, -30)) &&
		renewal.After(at) &&
		!r.unsubscribed &&
		r.lastUsed.After(at.AddDate(0, 0, -90))
}

// crowd returns different users in both forms. Each condition holds for most of them, so that most conditions have to be looked at.
func crowd(at time.Time) ([]segment.Profile, []record) {
	const different = 4096
	r := rand.New(rand.NewPCG(1, 2))
	day := func(n int) time.Time { return at.AddDate(0, 0, n) }
	most := func() bool { return r.IntN(6) > 0 }
	profiles, records := make([]segment.Profile, different), make([]record, different)
	for i := range different {
		tier, postcode := []string{"gold", "silver", "bronze"}[r.IntN(3)], []string{"75011", "13001", "69003"}[r.IntN(3)]
		points, member, unsubscribed := float64(r.IntN(1500)), most(), !most()
		brands, ordered, renewal, used := []string{"umbrella", "initech"}, day(-40), day(-1), day(-100)
		if most() {
			brands = append(brands, "acme")
		}
		if most() {
			ordered = day(-1 - r.IntN(28))
		}
		if most() {
			renewal = day(1 + r.IntN(300))
		}
		if most() {
			used = day(-r.IntN(90))
		}
		profiles[i] = segment.Profile{
			Attributes: map[string]segment.Value{
				"tier": segment.StringValue(tier), "postcode": segment.StringValue(postcode), "points": segment.NumberValue(points),
				"liked_brands": segment.ArrayValue(brands...), "is_member": segment.BooleanValue(member),
				"last_order_at": segment.TimeValue(ordered), "renewal_at": segment.TimeValue(renewal),
			},
			Email: segment.Subscribed, LastUsedApp: used,
		}
		if unsubscribed {
			profiles[i].Email = segment.Unsubscribed
		}
		records[i] = record{
			attributes: map[string]any{
				"tier": tier, "postcode": postcode, "points": points, "liked_brands": brands, "is_member": member,
				"last_order_at": ordered, "renewal_at": renewal,
			},
			unsubscribed: unsubscribed, lastUsed: used,
		}
	}
	return profiles, records
}
