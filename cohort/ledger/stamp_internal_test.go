package ledger

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/cohortkit/cohortkit/identity"
)

// stampFacts is what is known of the stamps of an entry: those that a Begin which went well promised, and all that were tried.
type stampFacts struct {
	clock     int64
	watermark int64 // the highest that was tried
	tried     map[Stamp]*stampFact
	promised  map[[16]byte][]Stamp // in the order of their times
}

type stampFact struct{ refused, accepted bool }

// stampMemory is how far behind the newest the watermark is.
const stampMemory = 40

func newStampFacts() *stampFacts {
	return &stampFacts{tried: map[Stamp]*stampFact{}, promised: map[[16]byte][]Stamp{}}
}

// draw makes a stamp for each change.
func (f *stampFacts) draw(removals, adds []identity.ID) []Stamp {
	var stamps []Stamp
	f.clock++
	for i, id := range append(append([]identity.ID(nil), removals...), adds...) {
		sum := sha256.Sum256([]byte(id.Encode()))
		s := Stamp{Member: [16]byte(sum[:]), At: f.clock, Leave: i < len(removals)}
		f.tried[s] = &stampFact{}
		stamps = append(stamps, s)
	}
	f.watermark = max(f.watermark, f.clock-stampMemory)
	return stamps
}

// beginStamped calls BeginStamped, or Begin where a session knows no stamps.
func beginStamped(ctx context.Context, s Session, i sent) (Intent, error) {
	if k, ok := s.(Timekeeper); ok && len(i.stamps) > 0 {
		return k.BeginStamped(ctx, i.removals, i.adds, i.stamps, max(0, i.stamps[0].At-stampMemory))
	}
	return s.Begin(ctx, i.removals, i.adds)
}

func (f *stampFacts) begun(stamps []Stamp) {
	for _, s := range stamps {
		f.promised[s.Member] = append(f.promised[s.Member], s)
	}
}

func (f *stampFacts) settling(stamps []Stamp, o Outcome) {
	for _, s := range stamps {
		f.tried[s].refused = f.tried[s].refused || o == Refused
		f.tried[s].accepted = f.tried[s].accepted || o == Accepted
	}
}

// check holds a session to the facts: an event that may have been applied is known as long as its time counts, and nothing is made up.
func (f *stampFacts) check(ctx context.Context, s Session) error {
	k, ok := s.(Timekeeper)
	if !ok {
		return nil
	}
	watermark, stamps, err := k.Stamps(ctx)
	if err != nil {
		return err
	}
	if watermark > f.watermark {
		return fmt.Errorf("the watermark is %d, and at most %d was recorded", watermark, f.watermark)
	}
	got := map[[16]byte]Stamp{}
	for _, s := range stamps {
		plain := s
		plain.Sure = false
		fact, tried := f.tried[plain]
		switch _, twice := got[s.Member]; {
		case twice:
			return fmt.Errorf("a member has two stamps")
		case !tried:
			return fmt.Errorf("nobody recorded a stamp of %d", s.At)
		case s.Sure && !fact.accepted:
			return fmt.Errorf("the stamp of %d is sure, and was never accepted", s.At)
		case s.At <= watermark:
			return fmt.Errorf("a stamp of %d lies below the watermark %d", s.At, watermark)
		}
		got[s.Member] = s
	}
	for member, list := range f.promised {
		for _, p := range list {
			if !f.tried[p].refused && p.At > watermark && got[member].At < p.At {
				return fmt.Errorf("the newest stamp of a member is %d, and %d was begun and not refused", got[member].At, p.At)
			}
		}
	}
	return nil
}
