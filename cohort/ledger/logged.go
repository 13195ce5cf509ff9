package ledger

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"time"
)

// appendIntent encodes an intent: its number, then runs of members of one kind, each with a byte for removal, state and class, how many
// bytes follow, and the records.
func appendIntent(dst []byte, number Intent, removals, adds []Member) []byte {
	dst = binary.AppendUvarint(dst, uint64(number))
	dst = appendRuns(dst, removals, removalBit)
	return appendRuns(dst, adds, 0)
}

// maxIntent is how many bytes the identifiers of an intent may have, so that its frame surely stays below maxFrame.
const maxIntent = 512 << 20

// sizeOf returns how many bytes the identifiers of members have.
func sizeOf(members []Member) int64 {
	var n int64
	for _, m := range members {
		alias, _ := m.ID.Alias()
		n += int64(len(m.ID.Value()) + len(alias.Label))
	}
	return n
}

// A run's byte is its class, its state from bit 4 on, and whether it removes.
const (
	classMask  = 15
	stateShift = 4
	removalBit = 1 << 7
)

func appendRuns(dst []byte, members []Member, removal byte) []byte {
	var run, record []byte
	tag := -1
	flush := func() {
		if tag >= 0 {
			dst = append(dst, byte(tag))
			dst = binary.AppendUvarint(dst, uint64(len(run)))
			dst = append(dst, run...)
			run = run[:0]
		}
	}
	for _, m := range members {
		c, r := pack(record[:0], m.ID)
		record = r
		if t := int(removal | byte(m.State)<<stateShift | byte(c)); t != tag {
			flush()
			tag = t
		}
		run = appendRecord(run, c, record)
	}
	flush()
	return dst
}

// change is a member as an intent names it.
type change struct {
	before  State
	removal bool
	class   class
	record  []byte
}

// readIntent calls f with each member of an intent's payload, and returns the number of the intent. It returns false for a payload
// that appendIntent did not write.
func readIntent(payload []byte, f func(change) error) (Intent, bool, error) {
	number, n := binary.Uvarint(payload)
	if n <= 0 {
		return 0, false, nil
	}
	for payload = payload[n:]; len(payload) > 0; {
		tag := payload[0]
		c := change{State(tag >> stateShift & 7), tag&removalBit != 0, class(tag & classMask), nil}
		length, n := binary.Uvarint(payload[1:])
		if c.class >= classes || c.before > Unknown || n <= 0 || length > uint64(len(payload)-1-n) {
			return 0, false, nil
		}
		run := payload[1+n : 1+n+int(length)]
		payload = payload[1+n+int(length):]
		for len(run) > 0 {
			var ok bool
			if c.record, run, ok = cutRecord(run, c.class); !ok {
				return 0, false, nil
			}
			if f == nil {
				continue
			}
			if err := f(c); err != nil {
				return 0, true, err
			}
		}
	}
	return Intent(number), true, nil
}

func appendSettle(dst []byte, number Intent, o Outcome) []byte {
	return append(binary.AppendUvarint(dst, uint64(number)), byte(o))
}

func readSettle(payload []byte) (Intent, Outcome, bool) {
	number, n := binary.Uvarint(payload)
	if n <= 0 || len(payload) != n+1 || Outcome(payload[n]) > Refused {
		return 0, 0, false
	}
	return Intent(number), Outcome(payload[n]), true
}

// headerText is a Header as JSON. Sent is left out where it says nothing, and has one element where all slices have the same.
type headerText struct {
	Name       string    `json:"name,omitempty"`
	CreatedAt  time.Time `json:"created_at,omitzero"`
	Naming     Naming    `json:"naming,omitempty"`
	NamedAt    time.Time `json:"named_at,omitzero"`
	FormerName string    `json:"former_name,omitempty"`
	Retired    bool      `json:"retired,omitempty"`
	Rules      string    `json:"rules,omitempty"`
	Sent       []int64   `json:"sent,omitempty"`
	Generation uint64    `json:"generation,omitempty"`
}

// appendHeader encodes a header that is valid.
func appendHeader(dst []byte, h Header) []byte {
	t := headerText{h.Name, h.CreatedAt, h.Naming, h.NamedAt, h.FormerName, h.Retired, h.Rules, nil, h.Generation}
	if h.Sent != (Epochs{}) {
		t.Sent = h.Sent[:]
		same := true
		for _, at := range t.Sent {
			same = same && at == t.Sent[0]
		}
		if same {
			t.Sent = t.Sent[:1]
		}
	}
	text, _ := json.Marshal(t) //nolint:errchkjson // plain fields, and a time whose year has four digits
	return append(dst, text...)
}

func readHeader(payload []byte) (Header, bool) {
	var t headerText
	if err := json.Unmarshal(payload, &t); err != nil {
		return Header{}, false
	}
	h := Header{t.Name, t.CreatedAt, t.Naming, t.NamedAt, t.FormerName, t.Retired, t.Rules, Epochs{}, t.Generation}
	switch len(t.Sent) {
	case 0:
	case 1:
		for i := range h.Sent {
			h.Sent[i] = t.Sent[0]
		}
	case Slices:
		h.Sent = Epochs(t.Sent)
	default:
		return Header{}, false
	}
	return h, true
}

// logged is what a journal says, in short.
type logged struct {
	end      int64 // of the valid frames
	header   Header
	last     Intent             // the highest number
	outcomes map[Intent]Outcome // of the intents that are settled

	watermark int64 // the highest
	kept      int64 // how many bytes the stamps of earlier journals take
}

// outcome returns what became of an intent.
func (l *logged) outcome(i Intent) Outcome { return l.outcomes[i] } // Lost while it is open

// scan reads a journal to its end.
func (j *journal) scan(ctx context.Context, head journalHead) (*logged, error) {
	l := &logged{last: head.Intent, outcomes: map[Intent]Outcome{}}
	end, err := j.frames(ctx, func(f frame) error {
		ok := false
		switch f.kind {
		case headerFrame:
			l.header, ok = readHeader(f.payload)
		case intentFrame:
			var number Intent
			number, ok, _ = readIntent(f.payload, nil)
			l.last = max(l.last, number)
		case settleFrame:
			var number Intent
			var o Outcome
			number, o, ok = readSettle(f.payload)
			l.outcomes[number] = o
		case stampsFrame:
			var number Intent
			var watermark int64
			number, watermark, ok = readStamps(f.payload, nil)
			l.watermark = max(l.watermark, watermark)
			if number == 0 {
				l.kept += f.size()
			}
		}
		if !ok {
			return j.damaged("has a frame of another version")
		}
		return nil
	})
	l.end = end
	return l, err
}

// scatter brings what the intents of a journal did into the logged stream of a scratch: for each member its state after the intent, the last
// one being the valid one. Only the partitions in the range count.
func (j *journal) scatter(ctx context.Context, l *logged, seed hashSeed, s *scratch, from, to int) error {
	_, err := j.frames(ctx, func(f frame) error {
		if f.kind != intentFrame {
			return nil
		}
		number, _ := binary.Uvarint(f.payload)
		outcome := l.outcome(Intent(number))
		_, _, err := readIntent(f.payload, func(c change) error {
			p := partitionOf(seed.hash(c.class, c.record))
			if p < from || p >= to {
				return nil
			}
			state := outcome.AfterAddition(c.before)
			if c.removal {
				state = outcome.AfterRemoval(c.before)
			}
			return s.append(s.open(loggedStream, c.class, p), state, c.class, c.record)
		})
		return err
	})
	return err
}
