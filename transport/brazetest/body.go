package brazetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"
)

// body is the body of a request: its bytes, and what they say. It is used again for later requests, because a body of
// 1,000 identifiers would otherwise cost some 100 KB of garbage.
type body struct {
	raw     *bytes.Buffer
	arena   []byte // the text of strings that had escapes
	entries []entry
	changes []change
	fields  fields

	resolved resolution
}

// fields are what a body states, apart from its changes.
type fields struct {
	object       bool // the body is a JSON object; all else is empty if it is not
	partnerKey   string
	secret       string
	cohortID     string
	name         string
	createdAt    time.Time
	problems     []string // what makes it a 400
	changesValid bool
}

// entry is one identifier. Its texts share memory with the body.
type entry struct {
	kind         Kind
	value, label []byte
}

func (e entry) identifier() Identifier {
	return Identifier{Kind: e.kind, Value: string(e.value), Label: string(e.label)}
}

// change is one change object: the entries from start up to end.
type change struct {
	remove     bool
	start, end int
}

// maxKept bounds what a body that is used again may hold on to.
const maxKept = 1 << 20

func (b *body) reset() {
	if b.raw.Cap() > maxKept {
		b.raw = new(bytes.Buffer)
	}
	b.raw.Reset()
	b.clear()
}

func (b *body) clear() {
	clear(b.entries)
	b.arena, b.entries, b.changes, b.fields = b.arena[:0], b.entries[:0], b.changes[:0], fields{}
}

// decode reads the body. The usual users request takes the fast way; all else, and whatever is wrong, goes through
// encoding/json, which so decides what is JSON and what a body means.
func (b *body) decode(op Operation, cfg *config) {
	b.clear()
	if op == ChangeUsers && b.scan(cfg) {
		b.fields.object = true
		b.fields.changesValid = true
		b.checkCount(cfg)
		return
	}
	b.clear()
	b.decodeAny(op, cfg)
}

func (b *body) problemf(format string, args ...any) {
	b.fields.problems = append(b.fields.problems, fmt.Sprintf(format, args...))
}

// decodeAny is the thorough way. Of a field that is there twice the last one counts, and the text of a lone surrogate
// is U+FFFD, both as encoding/json has it; bytes that are not UTF-8 are no JSON.
func (b *body) decodeAny(op Operation, cfg *config) {
	raw := b.raw.Bytes()
	var value any
	if !utf8.Valid(raw) || json.Unmarshal(raw, &value) != nil {
		b.problemf("the body must be valid JSON in UTF-8")
		return
	}
	object, ok := value.(map[string]any)
	if !ok {
		b.problemf("the body must be a JSON object")
		return
	}
	f := &b.fields
	f.object = true
	f.partnerKey, _ = object["partner_api_key"].(string)
	f.secret, _ = object["client_secret"].(string)
	if f.cohortID, _ = object["cohort_id"].(string); f.cohortID == "" {
		b.problemf("cohort_id must be a valid string")
	}
	known := []string{"partner_api_key", "client_secret", "cohort_id"}
	switch op {
	case NameCohort:
		known = append(known, "name", "created_at")
		if f.name, _ = object["name"].(string); f.name == "" {
			b.problemf("name must be a non-empty string")
		}
		text, _ := object["created_at"].(string)
		at, ok := parseISO8601(text)
		if f.createdAt = at; !ok {
			b.problemf("created_at must be a valid ISO 8601 time, such as 2025-03-02T08:15:00Z")
		}
	case ChangeUsers:
		known = append(known, "cohort_changes")
		b.decodeChanges(object["cohort_changes"], cfg)
	}
	if cfg.rejectUnknown {
		b.unknownFields("the body", object, known)
	}
}

func (b *body) unknownFields(where string, object map[string]any, known []string) {
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains(known, name) {
			b.problemf("%s has the unknown field %q", where, name)
		}
	}
}

// The shape that the 400 for cohort_changes asks for.
const changesShape = "cohort_changes must be an array of objects with user_ids, device_ids or aliases"

func (b *body) decodeChanges(value any, cfg *config) {
	list, ok := value.([]any)
	if !ok {
		b.problemf(changesShape)
		return
	}
	if len(list) == 0 && cfg.refuseEmptyChanges {
		b.problemf("cohort_changes must not be empty")
	}
	before := len(b.fields.problems)
	for i, item := range list {
		object, ok := item.(map[string]any)
		if !ok {
			b.problemf("%s: item %d is no object", changesShape, i)
			continue
		}
		b.decodeChange(i, object, cfg)
	}
	b.fields.changesValid = len(b.fields.problems) == before
	if b.fields.changesValid {
		b.checkCount(cfg)
	}
}

func (b *body) decodeChange(i int, object map[string]any, cfg *config) {
	c := change{start: len(b.entries)}
	if value, given := object["should_remove"]; given {
		remove, ok := value.(bool)
		if !ok {
			b.problemf("cohort_changes: should_remove of item %d must be true or false", i)
		}
		c.remove = remove
	}
	lists := 0
	for _, l := range [...]struct {
		name string
		kind Kind
	}{{"user_ids", ExternalIDKind}, {"aliases", AliasKind}, {"device_ids", DeviceIDKind}} {
		value, given := object[l.name]
		if !given {
			continue
		}
		lists++
		items, ok := value.([]any)
		switch {
		case !ok:
			b.problemf("cohort_changes: %s of item %d must be an array", l.name, i)
		case len(items) == 0 && cfg.refuseEmptyLists:
			b.problemf("cohort_changes: %s of item %d must not be empty", l.name, i)
		}
		for _, item := range items {
			e, ok := b.decodeEntry(l.kind, item, cfg)
			if !ok {
				b.problemf("cohort_changes: %s of item %d must hold %s", l.name, i, l.kind.shape())
				break
			}
			b.entries = append(b.entries, e)
		}
	}
	if lists == 0 && !cfg.acceptBare {
		b.problemf("%s: item %d has none of them", changesShape, i)
	}
	if cfg.rejectUnknown {
		b.unknownFields(fmt.Sprintf("item %d of cohort_changes", i), object, []string{"should_remove", "user_ids", "device_ids", "aliases"})
	}
	c.end = len(b.entries)
	b.changes = append(b.changes, c)
}

func (b *body) decodeEntry(kind Kind, item any, cfg *config) (entry, bool) {
	if kind != AliasKind {
		text, ok := item.(string)
		return entry{kind: kind, value: []byte(text)}, ok
	}
	object, _ := item.(map[string]any)
	name, _ := object["alias_name"].(string)
	label, _ := object["alias_label"].(string)
	if cfg.rejectUnknown {
		b.unknownFields("an alias of cohort_changes", object, []string{"alias_name", "alias_label"})
	}
	return entry{kind: kind, value: []byte(name), label: []byte(label)}, name != "" && label != ""
}

func (k Kind) shape() string {
	if k == AliasKind {
		return "objects with alias_name and alias_label, both non-empty strings"
	}
	return "strings"
}

// checkCount enforces the limit over all kinds and change objects.
func (b *body) checkCount(cfg *config) {
	n := len(b.entries)
	if n > MaxIdentifiers && cfg.countDistinct {
		distinct := make(map[Identifier]struct{}, n)
		for _, e := range b.entries {
			distinct[e.identifier()] = struct{}{}
		}
		n = len(distinct)
	}
	if n > MaxIdentifiers {
		b.problemf("cohort_changes must not hold more than 1,000 identifiers in all")
	}
}

func (b *body) counts() []ChangeCount {
	if !b.fields.changesValid {
		return nil
	}
	list := make([]ChangeCount, len(b.changes))
	for i, c := range b.changes {
		list[i].Remove = c.remove
		for _, e := range b.entries[c.start:c.end] {
			switch e.kind {
			case ExternalIDKind:
				list[i].ExternalIDs++
			case DeviceIDKind:
				list[i].DeviceIDs++
			case AliasKind:
				list[i].Aliases++
			}
		}
	}
	return list
}

func (b *body) copyChanges() []Change {
	if !b.fields.changesValid {
		return nil
	}
	list := make([]Change, len(b.changes))
	for i, c := range b.changes {
		list[i].Remove = c.remove
		for _, e := range b.entries[c.start:c.end] {
			list[i].Identifiers = append(list[i].Identifiers, e.identifier())
		}
	}
	return list
}

// parseISO8601 reads a date, a time of day and an offset: "Z", "+05:00", "+0500" or "+05". Seconds may have a fraction.
func parseISO8601(text string) (time.Time, bool) {
	for _, layout := range [...]string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
