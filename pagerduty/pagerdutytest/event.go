package pagerdutytest

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"unicode/utf8"
)

// event is the decoded body of a request. It does not use the client's types, so that a wrong name
// in the client is not hidden by the same name here. It is a map, since encoding/json matches the
// names of a struct in any case, and PagerDuty does not.
type event map[string]any

// decode returns nil for a body that is not one JSON object in valid UTF-8, or has anything after
// it. encoding/json by itself replaces invalid UTF-8 without an error.
func decode(raw []byte) event {
	if !utf8.Valid(raw) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // a number too large for a float64 must not fail the whole event
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

// floats converts numbers to float64, as encoding/json does, if they fit. It changes v.
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

// clone returns a deep copy of a decoded value.
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

// text returns the field if it is a string, else "".
func (e event) text(name string) string {
	s, _ := e[name].(string)
	return s
}

// object returns the field if it is an object, else nil.
func (e event) object(name string) event {
	o, _ := e[name].(map[string]any)
	return o
}

// objects returns the elements of a field that is an array, with nil for those that are not
// objects.
func (e event) objects(name string) []event {
	list, _ := e[name].([]any)
	items := make([]event, len(list))
	for i, item := range list {
		items[i], _ = item.(map[string]any)
	}
	return items
}

// blank reports whether the field is not a string, or has only white space.
func (e event) blank(name string) bool { return strings.TrimSpace(e.text(name)) == "" }

// given reports whether the field is present and not null.
func (e event) given(name string) bool { return e[name] != nil }
