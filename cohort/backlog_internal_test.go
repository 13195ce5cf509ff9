package cohort

import "testing"

// TestBacklogFind looks for positions by their low bits where these begin anew.
func TestBacklogFind(t *testing.T) {
	t.Parallel()
	for _, head := range []uint64{1, 1<<32 - 200, 1 << 32, 5<<32 - 1} {
		b := newBacklog()
		b.head, b.next, b.tail = head, head, head
		for i := range uint64(400) {
			if position := b.push(&Event{Token: i}); position != head+i {
				t.Fatalf("event %d from %d on got the position %d", i, head, position)
			}
		}
		for i := range uint64(400) {
			if p := b.find(uint32(head + i)); p != head+i || b.at(p).event.Token != i {
				t.Errorf("position %d was found at %d", head+i, p)
			}
		}
	}
}
