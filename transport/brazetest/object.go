package brazetest

import (
	"encoding/json"
	"fmt"
)

// object is a JSON object of a call's body. Its methods read a field each, and note in the call what is wrong with it.
type object struct {
	call   *call
	path   string // "recipients[2]." before the names of its fields
	fields map[string]json.RawMessage
}

// has reports whether a field is there. null is as good as absent, as what a client leaves out of a typed body often comes as null.
func (o object) has(name string) bool {
	raw, ok := o.fields[name]
	return ok && string(raw) != "null"
}

// into decodes a field that is there, and says what it must be when it cannot.
func (o object) into(name, kind string, to any) bool {
	if !o.has(name) {
		return false
	}
	if json.Unmarshal(o.fields[name], to) != nil {
		o.call.problemf("'%s%s' must be %s", o.path, name, kind)
		return false
	}
	return true
}

// text reads an optional string, "" when it is absent.
func (o object) text(name string) string {
	var text string
	o.into(name, "a string", &text)
	return text
}

// need reads a string that must be there and not be empty.
func (o object) need(name string) string {
	text := o.text(name)
	if text == "" && (!o.has(name) || string(o.fields[name]) == `""`) {
		o.call.problemf("'%s%s' is required and must not be empty", o.path, name)
	}
	return text
}

// yes reads an optional boolean.
func (o object) yes(name string) bool {
	var yes bool
	o.into(name, "true or false", &yes)
	return yes
}

// texts reads an optional array of strings.
func (o object) texts(name string) []string {
	var list []*string // nil for null
	if !o.into(name, "an array of strings", &list) {
		return nil
	}
	texts := make([]string, 0, len(list))
	for _, text := range list {
		if text == nil {
			o.call.problemf("'%s%s' must be an array of strings", o.path, name)
			return nil
		}
		texts = append(texts, *text)
	}
	return texts
}

// object reads an optional object.
func (o object) object(name string) object {
	read := object{call: o.call, path: o.path + name + "."}
	o.into(name, "an object", &read.fields)
	return read
}

// objects reads an optional array of objects.
func (o object) objects(name string) []object {
	var list []map[string]json.RawMessage
	if !o.into(name, "an array of objects", &list) {
		return nil
	}
	objects := make([]object, len(list))
	for i, fields := range list {
		if fields == nil {
			o.call.problemf("'%s%s' must be an array of objects", o.path, name)
			return nil
		}
		objects[i] = object{call: o.call, path: fmt.Sprintf("%s%s[%d].", o.path, name, i), fields: fields}
	}
	return objects
}
