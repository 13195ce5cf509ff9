package segment_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/cohortkit/cohortkit/segment"
)

// documented are the examples of Braze's documentation: one for every filter and comparison, and one that joins several.
var documented = [...]string{
	`{"custom_attribute":{"custom_attribute_name":"tier","comparison":"equals","value":"gold"}}`,
	`{"custom_attribute":{"custom_attribute_name":"tier","comparison":"not_equal","value":"bronze"}}`,
	`{"custom_attribute":{"custom_attribute_name":"postcode","comparison":"matches_regex","value":"^75"}}`,
	`{"custom_attribute":{"custom_attribute_name":"postcode","comparison":"does_not_match_regex","value":"^13"}}`,
	`{"custom_attribute":{"custom_attribute_name":"tier","comparison":"exists"}}`,
	`{"custom_attribute":{"custom_attribute_name":"tier","comparison":"does_not_exist"}}`,
	`{"custom_attribute":{"custom_attribute_name":"liked_brands","comparison":"includes_value","value":"acme"}}`,
	`{"custom_attribute":{"custom_attribute_name":"liked_brands","comparison":"does_not_include_value","value":"acme"}}`,
	`{"custom_attribute":{"custom_attribute_name":"points","comparison":"equals","value":100}}`,
	`{"custom_attribute":{"custom_attribute_name":"points","comparison":"not_equal","value":0}}`,
	`{"custom_attribute":{"custom_attribute_name":"points","comparison":"greater_than","value":250}}`,
	`{"custom_attribute":{"custom_attribute_name":"points","comparison":"greater_than_or_equal_to","value":250.5}}`,
	`{"custom_attribute":{"custom_attribute_name":"points","comparison":"less_than","value":10}}`,
	`{"custom_attribute":{"custom_attribute_name":"points","comparison":"less_than_or_equal_to","value":10}}`,
	`{"custom_attribute":{"custom_attribute_name":"is_member","comparison":"equals","value":true}}`,
	`{"custom_attribute":{"custom_attribute_name":"is_member","comparison":"not_equal","value":true}}`,
	`{"custom_attribute":{"custom_attribute_name":"is_member","comparison":"does_not_equal","value":true}}`,
	`{"custom_attribute":{"custom_attribute_name":"last_order_at","comparison":"less_than_x_days_ago","value":7}}`,
	`{"custom_attribute":{"custom_attribute_name":"last_order_at","comparison":"greater_than_x_days_ago","value":90}}`,
	`{"custom_attribute":{"custom_attribute_name":"renewal_at","comparison":"less_than_x_days_in_the_future","value":14}}`,
	`{"custom_attribute":{"custom_attribute_name":"renewal_at","comparison":"greater_than_x_days_in_the_future","value":60}}`,
	`{"custom_attribute":{"custom_attribute_name":"renewal_at","comparison":"after","value":"2025-06-01T00:00:00Z"}}`,
	`{"custom_attribute":{"custom_attribute_name":"renewal_at","comparison":"before","value":"2025-12-31T23:59:59Z"}}`,
	`{"push_subscription_status":{"comparison":"is","value":"opted_in"}}`,
	`{"email_subscription_status":{"comparison":"is_not","value":"unsubscribed"}}`,
	`{"last_used_app":{"comparison":"after","value":"2025-01-15T09:30:00+00:00"}}`,
	`{"AND":[{"custom_attribute":{"custom_attribute_name":"tier","comparison":"equals","value":"gold"}},
        {"OR":[{"push_subscription_status":{"comparison":"is","value":"opted_in"}},
               {"email_subscription_status":{"comparison":"is","value":"opted_in"}}]}]}`,
}

func TestDocumentedRoundTrip(t *testing.T) {
	t.Parallel()
	for _, text := range documented {
		var want bytes.Buffer
		if err := json.Compact(&want, []byte(text)); err != nil {
			t.Fatal(err)
		}
		audience, err := segment.ParseConnectedAudience([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := json.Marshal(audience)
		if err != nil || string(got) != want.String() {
			t.Errorf("encoded = %s (%v), want %s", got, err, want.String())
		}
	}
}
