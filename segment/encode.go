package segment

import "strconv"

// The keys of a Connected Audience.
const (
	keyCustomAttribute = "custom_attribute"
	keyPush            = "push_subscription_status"
	keyEmail           = "email_subscription_status"
	keyLastUsed        = "last_used_app"
	keyName            = "custom_attribute_name"
	keyComparison      = "comparison"
	keyValue           = "value"
)

// appendJSON appends the filter as a Connected Audience has it. It must be one that can be carried: see carried.
func (n *node) appendJSON(b []byte) []byte {
	switch n.kind {
	case kindAnd, kindOr:
		b = append(b, `{"`+n.kind.String()+`":[`...)
		for i, child := range n.children {
			if i > 0 {
				b = append(b, ',')
			}
			b = child.appendJSON(b)
		}
		return append(b, "]}"...)
	case kindPush:
		return n.appendLeaf(b, keyPush, n.state.wire())
	case kindEmail:
		return n.appendLeaf(b, keyEmail, n.state.wire())
	case kindLastUsed:
		return n.appendLeaf(b, keyLastUsed, n.literal)
	}
	b = append(b, `{"`+keyCustomAttribute+`":{"`+keyName+`":`...)
	b = appendText(b, n.name)
	b = append(b, `,"`+keyComparison+`":"`+n.wireComparison()+`"`...)
	if n.kind != kindAttribute {
		b = append(b, `,"`+keyValue+`":`...)
		switch {
		case n.kind == kindString || n.kind == kindArray:
			b = appendText(b, n.values[0])
		case n.kind == kindBoolean:
			b = strconv.AppendBool(b, n.truth)
		case n.comparison == before || n.comparison == after:
			b = append(b, `"`+n.literal+`"`...)
		default:
			b = append(b, n.literal...)
		}
	}
	return append(b, "}}"...)
}

func (n *node) appendLeaf(b []byte, key, value string) []byte {
	return append(b, `{"`+key+`":{"`+keyComparison+`":"`+wireNames[n.comparison]+`","`+keyValue+`":"`+value+`"}}`...)
}

func (n *node) wireComparison() string {
	if n.kind == kindBoolean && n.comparison == notEqual && n.spelling == spellingOlder {
		return olderNotEqual
	}
	return wireNames[n.comparison]
}

// appendText appends a JSON string. The texts of a filter hold no control characters and are valid UTF-8, so nothing but these two has to be escaped.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// carried returns the tree as a Connected Audience carries it: an operator of several values becomes several filters, and the open spelling is
// settled. Parts that need no change are shared.
func (n *node) carried(older spelling) *node {
	switch {
	case n.composite():
		twin := *n
		twin.children = make([]*node, len(n.children))
		twin.levels = 0
		for i, child := range n.children {
			twin.children[i] = child.carried(older)
			twin.levels = max(twin.levels, twin.children[i].levels)
		}
		twin.levels++
		twin.arrange()
		return &twin
	case len(n.values) > 1:
		joined := &node{kind: kindOr, levels: 1}
		if n.comparison == notEqual || n.comparison == doesNotInclude {
			joined.kind = kindAnd
		}
		for _, v := range n.values {
			single := *n
			single.values = []string{v}
			joined.children = append(joined.children, &single)
		}
		joined.arrange()
		return joined
	case n.kind == kindBoolean && n.comparison == notEqual && n.spelling == spellingOpen:
		twin := *n
		twin.spelling = older
		return &twin
	default:
		return n
	}
}

// uncarriable returns an error for the first filter of the tree that a Connected Audience has no room for.
func (n *node) uncarriable() *UncarriableError {
	path, bad := n.find(func(n *node) bool { return n.kind == kindCohort || n.kind == kindMembership })
	if bad == nil {
		return nil
	}
	return &UncarriableError{Path: path, Filter: bad.label(), Next: wayAround}
}

// wayAround is the way to message whom a Connected Audience cannot describe.
const wayAround = "build a segment with it in the dashboard, then name the segment's id in a call of /messages/send, " +
	"or make it the target of an API-triggered campaign or Canvas and trigger that with broadcast"
