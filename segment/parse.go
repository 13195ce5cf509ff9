package segment

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// parser reads one Connected Audience. The syntax of the whole is checked before it starts, so it sees well-formed JSON.
type parser struct {
	data    []byte
	decoder *json.Decoder
}

// parse reads a tree. The error is a *SyntaxError.
func parse(data []byte) (*node, *SyntaxError) {
	if len(data) > MaxAudienceBytes {
		return nil, &SyntaxError{Problem: "is larger than 4 MB", Next: "no request may be; use fewer filters"}
	}
	if !utf8.Valid(data) {
		return nil, &SyntaxError{Problem: "is not valid UTF-8", Next: "convert it to UTF-8"}
	}
	if !json.Valid(data) {
		return nil, &SyntaxError{Problem: "is not valid JSON" + offset(data), Next: "give one JSON object and nothing after it"}
	}
	p := &parser{data: data, decoder: json.NewDecoder(bytes.NewReader(data))}
	p.decoder.UseNumber()
	return p.audience("", 0)
}

// offset says where the JSON breaks off, if that is known.
func offset(data []byte) string {
	var whole json.RawMessage
	if broken, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(data, &whole)); ok {
		return fmt.Sprintf(" at byte %d", broken.Offset)
	}
	return ""
}

// audience reads a filter, or filters that are joined.
func (p *parser) audience(path string, depth int) (*node, *SyntaxError) {
	if err := p.object(path); err != nil {
		return nil, err
	}
	if !p.decoder.More() {
		return nil, &SyntaxError{path, "is an empty object", "give it one filter, AND or OR"}
	}
	key, at, err := p.key(path, nil)
	if err != nil {
		return nil, err
	}
	var n *node
	switch key {
	case "AND":
		n, err = p.joined(kindAnd, path, depth+1)
	case "OR":
		n, err = p.joined(kindOr, path, depth+1)
	case keyCustomAttribute:
		n, err = p.attribute(at)
	case keyPush:
		n, err = p.subscription(at, PushSubscription())
	case keyEmail:
		n, err = p.subscription(at, EmailSubscription())
	case keyLastUsed:
		n, err = p.lastUsed(at)
	default:
		return nil, &SyntaxError{at, "is an unknown key", "use AND, OR, custom_attribute, push_subscription_status, email_subscription_status or last_used_app"}
	}
	if err != nil {
		return nil, err
	}
	if p.decoder.More() {
		_, at, err := p.key(path, []string{key})
		if err != nil {
			return nil, err
		}
		return nil, &SyntaxError{at, "is a second key of one object", "give each object one filter, and join objects with AND or OR"}
	}
	return n, p.end(path)
}

// joined reads the filters that AND or OR joins.
func (p *parser) joined(k kind, path string, depth int) (*node, *SyntaxError) {
	at := joinPath(path, k.String())
	if depth > MaxDepth {
		return nil, &SyntaxError{at, fmt.Sprintf("lies more than %d levels deep", MaxDepth), "flatten the audience"}
	}
	token, err := p.token(at)
	if err != nil {
		return nil, err
	}
	if token != json.Delim('[') {
		return nil, &SyntaxError{at, "is not an array", "give it an array of filters"}
	}
	var filters []Filter
	for p.decoder.More() {
		n, err := p.audience(at+"["+strconv.Itoa(len(filters))+"]", depth)
		if err != nil {
			return nil, err
		}
		filters = append(filters, Filter{n})
	}
	if len(filters) == 0 {
		return nil, &SyntaxError{at, "joins no filters", "give it at least one"}
	}
	return join(k, filters).n, p.end(path)
}

// attribute reads what is in a custom_attribute.
func (p *parser) attribute(path string) (*node, *SyntaxError) {
	fields, err := p.fields(path, keyName, keyComparison, keyValue)
	if err != nil {
		return nil, err
	}
	name, value := fields[0], fields[2]
	if name.kind != stringKind {
		return nil, name.want(joinPath(path, keyName), "string", "name the attribute")
	}
	op, spelled, err := comparisonOf(path, fields[1])
	if err != nil {
		return nil, err
	}
	at := joinPath(path, keyValue)
	if spelled == spellingOlder && value.kind != booleanKind {
		return nil, value.want(at, "boolean", "only the inequality of booleans is spelled does_not_equal; use not_equal")
	}
	switch op {
	case exists, doesNotExist:
		if value.present {
			return nil, &SyntaxError{at, "stands where no value belongs", "leave it out"}
		}
		return attributeNode(kindAttribute, op, name.text), nil
	case equals, notEqual:
		return p.equality(at, op, spelled, name.text, value)
	case matchesRegex, doesNotMatchRegex:
		if value.kind != stringKind {
			return nil, value.want(at, "string", "give it a regular expression")
		}
		return StringAttribute(name.text).regex(op, value.text).n, nil
	case includes, doesNotInclude:
		if value.kind != stringKind {
			return nil, value.want(at, "string", "give it one element")
		}
		return ArrayAttribute(name.text).filter(op, []string{value.text}).n, nil
	case before, after:
		n := attributeNode(kindTime, op, name.text)
		return n, value.readTime(at, n)
	case lessThanDaysAgo, greaterThanDaysAgo, lessThanDaysAhead, greaterThanDaysAhead:
		n := attributeNode(kindTime, op, name.text)
		return n, value.readDays(at, n)
	case is, isNot:
		return nil, &SyntaxError{joinPath(path, keyComparison), "is not one of custom attributes", "use equals or not_equal"}
	default:
		return p.number(at, op, name.text, value)
	}
}

// equality reads a comparison that strings, numbers and booleans have.
func (p *parser) equality(path string, op comparison, spelled spelling, name string, value scalar) (*node, *SyntaxError) {
	switch value.kind {
	case stringKind:
		return StringAttribute(name).filter(op, []string{value.text}).n, nil
	case numberKind:
		return p.number(path, op, name, value)
	case booleanKind:
		n := BooleanAttribute(name).filter(op, value.truth).n
		n.spelling = spelled
		return n, nil
	default:
		return nil, value.want(path, "string, number or boolean", "give it one")
	}
}

func (p *parser) number(path string, op comparison, name string, value scalar) (*node, *SyntaxError) {
	if value.kind != numberKind {
		return nil, value.want(path, "number", "compare strings and booleans with equals or not_equal")
	}
	n := NumberAttribute(name).filter(op, value.number).n
	n.literal = value.text
	return n, nil
}

// subscription reads what is in one of the two subscription filters.
func (p *parser) subscription(path string, f SubscriptionFilter) (*node, *SyntaxError) {
	fields, err := p.fields(path, keyComparison, keyValue)
	if err != nil {
		return nil, err
	}
	op, _, err := comparisonOf(path, fields[0], is, isNot)
	if err != nil {
		return nil, err
	}
	at := joinPath(path, keyValue)
	if fields[1].kind != stringKind {
		return nil, fields[1].want(at, "string", nextState)
	}
	var state Subscription
	if err := state.UnmarshalText([]byte(fields[1].text)); err != nil || state == NotKnown {
		return nil, &SyntaxError{at, "is no state of a subscription", nextState}
	}
	return f.filter(op, state).n, nil
}

// lastUsed reads what is in a last_used_app.
func (p *parser) lastUsed(path string) (*node, *SyntaxError) {
	fields, err := p.fields(path, keyComparison, keyValue)
	if err != nil {
		return nil, err
	}
	op, _, err := comparisonOf(path, fields[0], before, after)
	if err != nil {
		return nil, err
	}
	n := &node{kind: kindLastUsed, comparison: op}
	return n, fields[1].readTime(joinPath(path, keyValue), n)
}

// comparisonOf reads a comparison, one of those allowed or, if none is named, any.
func comparisonOf(path string, s scalar, allowed ...comparison) (op comparison, spelled spelling, err *SyntaxError) {
	path = joinPath(path, keyComparison)
	next := "use one that the filter has"
	if len(allowed) > 0 {
		next = "use " + wireNames[allowed[0]] + " or " + wireNames[allowed[1]]
	}
	if s.kind != stringKind {
		return 0, 0, s.want(path, "string", next)
	}
	if s.text == olderNotEqual && len(allowed) == 0 {
		return notEqual, spellingOlder, nil
	}
	i := slices.Index(wireNames[:], s.text)
	if i < 0 || len(allowed) > 0 && !slices.Contains(allowed, comparison(i)) {
		return 0, 0, &SyntaxError{path, "is an unknown comparison", next}
	}
	return comparison(i), spellingNewer, nil
}

// scalar is a value that is neither an array nor an object.
type scalar struct {
	present bool
	kind    valueKind // null for what is absent too
	text    string    // of a string, or a number as it was written
	number  float64
	truth   bool
}

// want returns an error for a value that is absent or of the wrong type.
func (s scalar) want(path, kind, next string) *SyntaxError {
	if !s.present {
		return &SyntaxError{path, "is missing", next}
	}
	return &SyntaxError{path, "is not a " + kind, next}
}

func (s scalar) readTime(path string, n *node) *SyntaxError {
	const next = "write it like 2025-06-01T00:00:00Z"
	if s.kind != stringKind {
		return s.want(path, "string", next)
	}
	t, ok := parseTime(s.text)
	if !ok {
		return &SyntaxError{path, "is not a time in ISO-8601 with an offset", next}
	}
	n.setTime(t)
	n.literal = s.text
	return nil
}

func (s scalar) readDays(path string, n *node) *SyntaxError {
	if s.kind != numberKind {
		return s.want(path, "number", "give it a number of days")
	}
	if s.number != math.Trunc(s.number) || math.Abs(s.number) > math.MaxInt32 {
		return &SyntaxError{path, "is not a whole number of days", "give it one from 0 to 3652425"}
	}
	n.setDays(int(s.number))
	n.literal = s.text
	return nil
}

// fields reads an object that has no keys but these, each at most once, in any order.
func (p *parser) fields(path string, keys ...string) ([]scalar, *SyntaxError) {
	if err := p.object(path); err != nil {
		return nil, err
	}
	values := make([]scalar, len(keys))
	var seen []string
	for p.decoder.More() {
		key, at, err := p.key(path, seen)
		if err != nil {
			return nil, err
		}
		seen = append(seen, key)
		i := slices.Index(keys, key)
		if i < 0 {
			return nil, &SyntaxError{at, "is an unknown key", fmt.Sprintf("use %q", keys)}
		}
		if values[i], err = p.scalar(at); err != nil {
			return nil, err
		}
	}
	return values, p.end(path)
}

func (p *parser) scalar(path string) (scalar, *SyntaxError) {
	token, err := p.token(path)
	if err != nil {
		return scalar{}, err
	}
	switch token := token.(type) {
	case string:
		return scalar{present: true, kind: stringKind, text: token}, nil
	case bool:
		return scalar{present: true, kind: booleanKind, truth: token}, nil
	case json.Number:
		x, err := token.Float64()
		if err != nil {
			return scalar{}, &SyntaxError{path, "is a number out of range", "give it one that 64 bits can hold"}
		}
		return scalar{present: true, kind: numberKind, text: token.String(), number: x}, nil
	case json.Delim:
		return scalar{}, &SyntaxError{path, "is an array or an object", "give it one value; join several filters with OR"}
	default:
		return scalar{present: true}, nil
	}
}

// object reads the beginning of an object.
func (p *parser) object(path string) *SyntaxError {
	token, err := p.token(path)
	if err == nil && token != json.Delim('{') {
		err = &SyntaxError{path, "is not an object", "give it a JSON object"}
	}
	return err
}

// end reads the end of an object or an array.
func (p *parser) end(path string) *SyntaxError {
	_, err := p.token(path)
	return err
}

// key reads a key that was not seen before, and returns its path too.
func (p *parser) key(path string, seen []string) (key, at string, err *SyntaxError) {
	token, err := p.token(path)
	if err != nil {
		return "", "", err
	}
	key, _ = token.(string)
	at = joinPath(path, clip(key))
	if slices.Contains(seen, key) {
		return "", "", &SyntaxError{at, "is there twice", "give each key once"}
	}
	return key, at, nil
}

// token reads the next token. Half a surrogate pair, which encoding/json would replace in silence, is an error.
func (p *parser) token(path string) (json.Token, *SyntaxError) {
	start := p.decoder.InputOffset()
	token, err := p.decoder.Token()
	if err != nil {
		return nil, &SyntaxError{path, "is not valid JSON", "give one JSON object and nothing after it"}
	}
	if _, ok := token.(string); ok && halfPair(p.data[start:p.decoder.InputOffset()]) {
		return nil, &SyntaxError{path, "holds half a surrogate pair", "convert it to UTF-8"}
	}
	return token, nil
}

// halfPair reports whether valid JSON escapes half a surrogate pair.
func halfPair(raw []byte) bool {
	high := false
	for i := 0; i < len(raw); i++ {
		unit := uint64(0)
		if raw[i] == '\\' {
			i++
			if raw[i] == 'u' {
				unit, _ = strconv.ParseUint(string(raw[i+1:i+5]), 16, 16)
				i += 4
			}
		}
		low := unit >= 0xdc00 && unit < 0xe000
		if low != high {
			return true
		}
		high = unit >= 0xd800 && unit < 0xdc00
	}
	return high
}
