package ledger

import (
	"cmp"
	"context"
	"encoding/binary"
	"maps"
	"slices"
)

// Timekeeper is a [Session] that also remembers when the events behind its changes happened, so that their order outlasts the process. A stream of
// events needs it: the newest event of a member may have been applied before a crash, and an older one must not win after it.
type Timekeeper interface {
	// BeginStamped is Begin for changes that are due to events: the stamps, one for each member, become durable together with the intent. Stamps of
	// earlier intents up to the watermark, in nanoseconds since 1970, are of no use any more and may be forgotten.
	BeginStamped(ctx context.Context, removals, adds []Member, stamps []Stamp, watermark int64) (Intent, error)
	// Stamps returns the highest watermark and, for each member, the newest stamp above it, except those of refused intents. It is in no
	// particular order. Begin and Settle must not be called meanwhile.
	Stamps(ctx context.Context) (watermark int64, stamps []Stamp, err error)
	// Tidy rewrites the storage if what was recorded has made it much larger than it need be. A session that lasts for days calls it now and then,
	// while no intent is open.
	Tidy(ctx context.Context) error
}

// Stamp is the event time of a member's change. It outlasts the membership, for somebody who has left must not come back by an older event, and
// therefore holds no identifier.
type Stamp struct {
	// Member stands for the identifier: a hash of it and of what else tells the cohort from others.
	Member [16]byte
	// At is when the event happened, in nanoseconds since 1970.
	At int64
	// Leave says that the event took the member out. Of two events of one time the one that does counts as the newer.
	Leave bool
	// Sure says that the endpoint acknowledged the change. BeginStamped does not look at it.
	Sure bool
}

// Compare returns a negative number if the stamp is of an older event than the other, 0 if both say the same, and a positive number if it is newer.
func (s Stamp) Compare(other Stamp) int {
	if c := cmp.Compare(s.At, other.At); c != 0 || s.Leave == other.Leave {
		return c
	}
	if s.Leave {
		return 1
	}
	return -1
}

// stampSet is the newest stamp of each member.
type stampSet map[[16]byte]Stamp

// add takes a stamp in. Of one event that was sent twice it is enough that one was acknowledged.
func (set stampSet) add(s Stamp) {
	before, ok := set[s.Member]
	switch c := s.Compare(before); {
	case !ok || c > 0:
		set[s.Member] = s
	case c == 0:
		before.Sure = before.Sure || s.Sure
		set[s.Member] = before
	}
}

// above returns the stamps above the watermark, in an order that depends on them alone.
func (set stampSet) above(watermark int64) []Stamp {
	stamps := make([]Stamp, 0, len(set))
	for _, s := range set {
		if s.At > watermark {
			stamps = append(stamps, s)
		}
	}
	slices.SortFunc(stamps, func(a, b Stamp) int { return slices.Compare(a.Member[:], b.Member[:]) })
	return stamps
}

// forget removes the stamps up to the watermark.
func (set stampSet) forget(watermark int64) {
	maps.DeleteFunc(set, func(_ [16]byte, s Stamp) bool { return s.At <= watermark })
}

// A frame of stamps has the number of its intent, or 0 for those of earlier journals, the watermark (8 bytes), and for each stamp the member (16),
// the time (8) and what else it says (1).
const (
	stampSize      = 16 + 8 + 1
	stampLeave     = 1
	stampSure      = 2
	stampsPerFrame = 1 << 16
)

func appendStamps(dst []byte, number Intent, watermark int64, stamps []Stamp) []byte {
	dst = binary.AppendUvarint(dst, uint64(number))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(watermark))
	for _, s := range stamps {
		dst = append(dst, s.Member[:]...)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(s.At))
		var says byte
		if s.Leave {
			says |= stampLeave
		}
		if s.Sure {
			says |= stampSure
		}
		dst = append(dst, says)
	}
	return dst
}

// readStamps calls f with each stamp of a payload, and returns false for one that appendStamps did not write.
func readStamps(payload []byte, f func(Stamp)) (number Intent, watermark int64, ok bool) {
	first, n := binary.Uvarint(payload)
	if n <= 0 || len(payload) < n+8 || (len(payload)-n-8)%stampSize != 0 {
		return 0, 0, false
	}
	watermark = int64(binary.LittleEndian.Uint64(payload[n:]))
	if f == nil {
		return Intent(first), watermark, true
	}
	for b := payload[n+8:]; len(b) > 0; b = b[stampSize:] {
		f(Stamp{
			Member: [16]byte(b), At: int64(binary.LittleEndian.Uint64(b[16:])),
			Leave: b[24]&stampLeave != 0, Sure: b[24]&stampSure != 0,
		})
	}
	return Intent(first), watermark, true
}

// stamps returns the newest stamps that a journal holds, except those of refused intents and of the ones left out.
func (j *journal) stamps(ctx context.Context, l *logged, without map[Intent]bool) (stampSet, error) {
	set := stampSet{}
	_, err := j.frames(ctx, func(f frame) error {
		if f.kind != stampsFrame {
			return nil
		}
		number, _, _ := readStamps(f.payload, nil)
		outcome := l.outcome(number)
		if outcome == Refused || without[number] {
			return nil
		}
		readStamps(f.payload, func(s Stamp) {
			if number != 0 {
				s.Sure = outcome == Accepted
			}
			if s.At > l.watermark {
				set.add(s)
			}
		})
		return nil
	})
	return set, err
}

// keptStamps returns the frames with what a journal's stamps come to, for the journal that replaces it.
func (j *journal) keptStamps(ctx context.Context, l *logged, without map[Intent]bool) ([]frame, error) {
	set, err := j.stamps(ctx, l, without)
	if err != nil || len(set) == 0 && l.watermark == 0 {
		return nil, err
	}
	var frames []frame
	for chunk := range slices.Chunk(set.above(l.watermark), stampsPerFrame) {
		frames = append(frames, frame{stampsFrame, appendStamps(nil, 0, l.watermark, chunk)})
	}
	if frames == nil {
		frames = append(frames, frame{stampsFrame, appendStamps(nil, 0, l.watermark, nil)})
	}
	return frames, nil
}
