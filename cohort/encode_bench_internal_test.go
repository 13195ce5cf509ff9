package cohort

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/cohortkit/cohortkit/identity"
)

// BenchmarkEncode encodes a full request, and the same one with encoding/json, in turns. x-json is how many times as fast the encoder is.
func BenchmarkEncode(b *testing.B) {
	uuid := func(i int) string {
		return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", uint32(i)*2654435761, i&0xffff, i>>4&0xffff, i*7&0xffff, i*1000003)
	}
	var uuids, mixed []Change
	wantUUIDs := wireBody{"pk-us-0001", "cs-ws-0001", "camp-481", []wireObject{{}}}
	wantMixed := wireBody{"pk-us-0001", "cs-ws-0001", "camp-481", []wireObject{{ShouldRemove: true}, {}}}
	for i := range MaxIdentifiers {
		uuids = append(uuids, Add(identity.ExternalID(uuid(i))))
		wantUUIDs.Changes[0].UserIDs = append(wantUUIDs.Changes[0].UserIDs, uuid(i))

		object, change := &wantMixed.Changes[1], Add
		if i%4 == 0 {
			object, change = &wantMixed.Changes[0], Remove
		}
		switch i % 3 {
		case 0:
			object.UserIDs = append(object.UserIDs, fmt.Sprintf(`user "%d" \ é`, i))
			mixed = append(mixed, change(identity.ExternalID(fmt.Sprintf(`user "%d" \ é`, i))))
		case 1:
			object.Aliases = append(object.Aliases, wireAlias{fmt.Sprint("c-", i), "crm"})
			mixed = append(mixed, change(identity.Alias{Label: "crm", Name: fmt.Sprint("c-", i)}.ID()))
		default:
			object.DeviceIDs = append(object.DeviceIDs, uuid(i))
			mixed = append(mixed, change(identity.DeviceID(uuid(i))))
		}
	}
	for _, bench := range []struct {
		name    string
		changes []Change
		same    wireBody
	}{{"uuids", uuids, wantUUIDs}, {"mixed_kinds_and_escapes", mixed, wantMixed}} {
		b.Run(bench.name, func(b *testing.B) {
			s := exampleSecrets()
			buf := appendChanges(nil, s, "camp-481", bench.changes)
			allocs := testing.AllocsPerRun(100, func() { buf = appendChanges(buf[:0], s, "camp-481", bench.changes) })
			// In turns of a hundred, so that neither works in a cache that the other has just filled.
			const turn = 100
			var ours, baseline time.Duration
			for b.Loop() {
				start := time.Now()
				for range turn {
					buf = appendChanges(buf[:0], s, "camp-481", bench.changes)
				}
				middle := time.Now()
				for range turn {
					if _, err := json.Marshal(bench.same); err != nil {
						b.Fatal(err)
					}
				}
				baseline += time.Since(middle)
				ours += middle.Sub(start)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(b.N)*turn*MaxIdentifiers/ours.Seconds()/1e6, "Mids/s")
			b.ReportMetric(baseline.Seconds()/ours.Seconds(), "x-json")
			b.ReportMetric(allocs, "allocs/request")
		})
	}
}
