package pagerdutytest

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"unicode/utf8"
)

// event is the body of a request, decoded without the client's types: a wrong
// name in the client must not be cancelled by the same name here. It is a map
// and not a struct because encoding/json lets a struct's names come in any
// case, and PagerDuty does not.
type event map[string]any

// decode returns nil for whatever is not one JSON object in valid UTF-8, with
// nothing after it. encoding/json by itself mends broken UTF-8 in silence.
func decode(raw []byte) event {
	if !utf8.Valid(raw) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // else a number beyond float64 would make the whole event unreadable
	var e event
	if d.Decode(&e) != nil {
		return nil
	}
	if _, err := d.Token(); err != io.EOF {
		return nil
	}
	for name, value := range e {
		e[name] = floats(value)
	}
	return e
}

// floats turns numbers into what encoding/json makes of them, as far as they
// fit. It changes v.
func floats(v any) any {
	switch v := v.(type) {
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return f
		}
	case map[string]any:
		for name, value := range v {
			v[name] = floats(value)
		}
	case []any:
		for i, value := range v {
			v[i] = floats(value)
		}
	}
	return v
}

// clone copies a decoded value in depth.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return cloneObject(v)
	case []any:
		c := make([]any, len(v))
		for i, value := range v {
			c[i] = clone(value)
		}
		return c
	}
	return v
}

func cloneObject(o map[string]any) map[string]any {
	if o == nil {
		return nil
	}
	c := make(map[string]any, len(o))
	for name, value := range o {
		c[name] = clone(value)
	}
	return c
}

// text is a field's value if that is a string, else "".
func (e event) text(name string) string {
	s, _ := e[name].(string)
	return s
}

// object is a field's value if that is an object, else nil.
func (e event) object(name string) event {
	o, _ := e[name].(map[string]any)
	return o
}

// objects are the elements of a field that is an array, nil for those that are
// no objects.
func (e event) objects(name string) []event {
	list, _ := e[name].([]any)
	items := make([]event, len(list))
	for i, item := range list {
		items[i], _ = item.(map[string]any)
	}
	return items
}

// blank reports whether a field is missing, null, no string, or has nothing
// in it but white space.
func (e event) blank(name string) bool { return strings.TrimSpace(e.text(name)) == "" }

// given reports whether a field is there and not null.
func (e event) given(name string) bool { return e[name] != nil }
