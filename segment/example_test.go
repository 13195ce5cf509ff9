package segment_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cohortkit/cohortkit/segment"
)

// The text of a segment is what the marketer is told to click.
func Example() {
	s, err := segment.New(
		segment.And(
			segment.Cohort("Tinyclues").Includes("Spring sale"),
			segment.Or(
				segment.EmailSubscription().Is(segment.OptedIn),
				segment.EmailSubscription().Is(segment.Subscribed),
			),
		),
		segment.Exclude(segment.TimeAttribute("last_order_at").LessThanDaysAgo(7)),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s)

	now := time.Date(2025, 6, 15, 12, 0, 0, 0, time.UTC)
	in, err := s.Match(&segment.Profile{
		Cohorts: []segment.CohortName{{Partner: "Tinyclues", Name: "Spring sale"}},
		Email:   segment.Subscribed,
	}, now)
	fmt.Println(in, err)
	// Output:
	// Apps: all apps
	// Filter group 1
	//     Tinyclues Cohorts includes "Spring sale"
	// AND
	// Filter group 2
	//     Email Subscription Status is opted in
	//     OR Email Subscription Status is subscribed
	// AND NOT
	// Exclusion group 1
	//     Custom Attributes: "last_order_at" less than 7 days ago
	// true <nil>
}

func ExampleNewConnectedAudience() {
	audience, err := segment.NewConnectedAudience(segment.And(
		segment.StringAttribute("tier").Equals("gold", "silver"),
		segment.NumberAttribute("points").GreaterThan(250),
		segment.EmailSubscription().IsNot(segment.Unsubscribed),
	))
	if err != nil {
		fmt.Println(err)
		return
	}
	body, err := json.MarshalIndent(map[string]any{"broadcast": true, "audience": audience}, "", "  ")
	fmt.Println(string(body), err)
	// Output:
	// {
	//   "audience": {
	//     "AND": [
	//       {
	//         "OR": [
	//           {
	//             "custom_attribute": {
	//               "custom_attribute_name": "tier",
	//               "comparison": "equals",
	//               "value": "gold"
	//             }
	//           },
	//           {
	//             "custom_attribute": {
	//               "custom_attribute_name": "tier",
	//               "comparison": "equals",
	//               "value": "silver"
	//             }
	//           }
	//         ]
	//       },
	//       {
	//         "custom_attribute": {
	//           "custom_attribute_name": "points",
	//           "comparison": "greater_than",
	//           "value": 250
	//         }
	//       },
	//       {
	//         "email_subscription_status": {
	//           "comparison": "is_not",
	//           "value": "unsubscribed"
	//         }
	//       }
	//     ]
	//   },
	//   "broadcast": true
	// } <nil>
}

func ExampleParseConnectedAudience() {
	audience, err := segment.ParseConnectedAudience([]byte(`{"OR":[
		{"custom_attribute":{"custom_attribute_name":"is_member","comparison":"does_not_equal","value":true}},
		{"last_used_app":{"comparison":"after","value":"2025-01-15T09:30:00+0000"}}]}`))
	fmt.Println(audience, err)

	_, err = segment.ParseConnectedAudience([]byte(`{"OR":[{"last_used_app":{"comparison":"since","value":"2025-01-15T09:30:00Z"}}]}`))
	fmt.Println(err)
	// Output:
	// Custom Attributes: "is_member" is not true OR Last Used App after 2025-01-15T09:30:00Z <nil>
	// segment: parse Connected Audience: OR[0].last_used_app.comparison is an unknown comparison: use before or after
}

// A Connected Audience cannot ask for a cohort. The error says which way works.
func ExampleUncarriableError() {
	s, err := segment.New(segment.And(
		segment.StringAttribute("tier").Equals("gold"),
		segment.Cohort("Tinyclues").Includes("Spring sale"),
	))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = s.ConnectedAudience()
	if e, ok := errors.AsType[*segment.UncarriableError](err); ok {
		fmt.Println(e.Path)
		fmt.Println(e.Filter)
		fmt.Println(e.Next)
	}
	// Output:
	// AND[1]
	// "Tinyclues Cohorts"
	// build a segment with it in the dashboard, then name the segment's id in a call of /messages/send, or make it the target of an API-triggered campaign or Canvas and trigger that with broadcast
}

func ExampleSegment_Explain() {
	s, err := segment.New(
		segment.And(
			segment.Cohort("Tinyclues").Includes("Spring sale"),
			segment.NumberAttribute("points").GreaterThan(250),
			segment.StringAttribute("tier").DoesNotEqual("bronze"),
		),
		segment.OnApps("Shop"),
		segment.Exclude(segment.EmailSubscription().Is(segment.Unsubscribed)),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	person := &segment.Profile{
		Cohorts:    []segment.CohortName{{Partner: "Tinyclues", Name: "Spring sale"}},
		Attributes: map[string]segment.Value{"points": segment.StringValue("300")}, // the type changed since
		Email:      segment.OptedIn,
		Apps:       []string{"Shop"},
	}
	explanation, err := s.Explain(person, time.Now())
	fmt.Println(explanation, err)
	// Output:
	// does not match
	//   yes  Apps: specific apps "Shop"
	//   no   AND
	//   yes    Tinyclues Cohorts includes "Spring sale"
	//   no     Custom Attributes: "points" greater than 250: the profile's value has another data type
	//   yes    Custom Attributes: "tier" is none of "bronze": the profile has no value, which counts
	//   no   Exclusion group 1
	//   no     Email Subscription Status is unsubscribed <nil>
}

// A funnel shows where a segment loses its people.
func ExampleSegment_Funnel() {
	s, err := segment.New(
		segment.And(
			segment.And(
				segment.Cohort("Tinyclues").Includes("Spring sale"),
				segment.StringAttribute("tier").Equals("gold", "silver"),
				segment.NumberAttribute("points").GreaterThan(250),
			),
			segment.Or(
				segment.EmailSubscription().Is(segment.OptedIn),
				segment.PushSubscription().Is(segment.OptedIn),
			),
		),
		segment.Exclude(segment.BooleanAttribute("employee").Is(true)),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	people := func(yield func(*segment.Profile, error) bool) {
		for i := range 1000 {
			person := &segment.Profile{
				Attributes: map[string]segment.Value{
					"tier":     segment.StringValue([]string{"gold", "silver", "bronze", "none"}[i%4]),
					"points":   segment.NumberValue(float64(i % 500)),
					"employee": segment.BooleanValue(i%7 == 0),
				},
				Email: segment.Subscription(1 + i%3),
				Push:  segment.Subscription(i % 4),
			}
			if i%5 > 0 {
				person.Cohorts = []segment.CohortName{{Partner: "Tinyclues", Name: "Spring sale"}}
			}
			if !yield(person, nil) {
				return
			}
		}
	}
	funnel, err := s.Funnel(people, time.Now())
	fmt.Println(funnel)
	fmt.Println(err)
	// Output:
	// 1000 100.0 %  profiles
	// Filter group 1
	//  800  80.0 %  Tinyclues Cohorts includes "Spring sale"
	//  400  40.0 %  AND Custom Attributes: "tier" is any of "gold", "silver"
	//  200  20.0 %  AND Custom Attributes: "points" greater than 250
	// AND Filter group 2
	//  334  33.4 %  Email Subscription Status is opted in
	//  501  50.1 %  OR Push Subscription Status is opted in
	//  134  13.4 %  before exclusion
	// AND NOT Exclusion group 1
	//   18   1.8 %  Custom Attributes: "employee" is true
	//  116  11.6 %  match
	// <nil>
}

func ExampleFilter_Validate() {
	f := segment.And(
		segment.Cohort("Tinyclues").Includes("Spring sale"),
		segment.Or(segment.StringAttribute("tier").Equals(), segment.TimeAttribute("renewal_at").LessThanDaysAhead(14)),
	)
	fmt.Println(f.Validate())
	// Output: segment: AND[1].OR[0]: custom attribute "tier" has no value: give it at least one
}
