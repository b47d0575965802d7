package guance

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// text is a JSON string.
func text[T ~string](name string, at func(*Event) *T) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		if v.Kind() != '"' {
			return false
		}
		*at(e) = T(unquote(v))
		return true
	}, encode: func(e *Event, dst []byte) []byte {
		return appendText(dst, string(*at(e)))
	}, want: "a string"}
}

// textOrScalar is text that may also be a number or boolean: Guance says that it casts these fields
// to text, and stored copies show that it sometimes does not.
func textOrScalar(name string, at func(*Event) *string) field {
	f := text(name, at)
	decodeText := f.decode
	f.want = "a string, number or boolean"
	f.decode = func(e *Event, v jsontext.Value) bool {
		switch v.Kind() {
		case '0', 't', 'f':
			*at(e) = string(v)
			return true
		}
		return decodeText(e, v)
	}
	return f
}

// textOrNumber is text that may also be a number, for ids and severities of other systems.
func textOrNumber[T ~string](name string, at func(*Event) *T) field {
	f := text(name, at)
	decodeText := f.decode
	f.want = "a string or number"
	f.decode = func(e *Event, v jsontext.Value) bool {
		if v.Kind() == '0' {
			*at(e) = T(v)
			return true
		}
		return decodeText(e, v)
	}
	return f
}

// value is any JSON value, kept as it is.
func value(name string, at func(*Event) *Value) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		*at(e) = Value(v)
		return true
	}, encode: func(e *Event, dst []byte) []byte {
		return append(dst, *at(e)...)
	}, want: "any value"}
}

// quotedJSON is a JSON value inside a JSON string.
func quotedJSON(name string, at func(*Event) *Value) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		inner, ok := unquoteJSON(v)
		if ok && inner.Kind() != 'n' {
			*at(e) = Value(inner)
		}
		return ok
	}, encode: func(e *Event, dst []byte) []byte {
		return appendText(dst, string(*at(e)))
	}, want: "JSON in a string"}
}

// raw is JSON whose form is not documented. An object or array inside a JSON string is taken out of
// it.
func raw(name string, at func(*Event) *json.RawMessage) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		if v.Kind() == '"' {
			switch inner, ok := unquoteJSON(v); {
			case ok && len(inner) == 0:
				return true
			case ok && composite(inner):
				*at(e) = json.RawMessage(inner)
				return true
			}
		}
		*at(e) = json.RawMessage(v)
		return true
	}, encode: func(e *Event, dst []byte) []byte {
		return append(dst, *at(e)...)
	}, want: "any value"}
}

// flag is a boolean, usually inside a string: "true" (event fields).
func flag(name string, at func(*Event) *bool) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		b, err := strconv.ParseBool(Value(v).String())
		if err != nil && Value(v).String() != "" {
			return false
		}
		*at(e) = b
		return true
	}, encode: func(e *Event, dst []byte) []byte {
		if !*at(e) {
			return dst
		}
		return append(dst, `"true"`...)
	}, want: "a boolean"}
}

// list is an array of texts, or a JSON string with one: df_label is "[]" in the sample and a list
// in the template variables.
func list(name string, at func(*Event) *[]string) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		array, ok := unquoteJSON(v)
		if !ok || len(array) > 0 && array.Kind() != '[' || !withinMaxMembers(array) {
			return false
		}
		all := emptySlice[string](array)
		for element := range elements(array).all {
			if element.Kind() != 'n' {
				all = append(all, Value(element).String())
			}
		}
		if len(all) > 0 {
			*at(e) = all
		}
		return true
	}, encode: func(e *Event, dst []byte) []byte {
		for i, s := range *at(e) {
			dst = quote(append(dst, "[,"[min(i, 1)]), s)
		}
		if len(*at(e)) > 0 {
			dst = append(dst, ']')
		}
		return dst
	}, want: "a list" + ofMaxMembers}
}

// pairs is an object of texts, or a JSON string with one.
func pairs(name string, at func(*Event) *map[string]string) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		object, ok := unquoteJSON(v)
		if !ok || len(object) > 0 && object.Kind() != '{' || !withinMaxMembers(object) {
			return false
		}
		*at(e) = texts(object)
		return true
	}, encode: func(e *Event, dst []byte) []byte {
		return appendPairs(dst, *at(e))
	}, want: "an object" + ofMaxMembers}
}

// dimensions is pairs whose text is kept too, because the problem key is made from it. The text of
// a value that is not an object is kept as well: otherwise two hosts could become one problem.
func dimensions(name string) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		switch v.Kind() {
		case '{':
			if e.DimensionTagsText = string(v); !withinMaxMembers(v) {
				return false
			}
			e.DimensionTags = texts(v)
			return true
		case '"':
			object, ok := unquoteJSON(v)
			if e.DimensionTagsText = unquote(v); !ok || !withinMaxMembers(object) {
				return false
			}
			if object.Kind() == '{' {
				e.DimensionTags = texts(object)
			}
			return len(object) == 0 || object.Kind() == '{'
		}
		e.DimensionTagsText = string(v)
		return false
	}, encode: func(e *Event, dst []byte) []byte {
		if _, odd := e.Extra[name]; odd && len(e.DimensionTags) == 0 {
			return dst // Extra has the value as it was sent
		}
		return appendText(dst, e.tagsText())
	}, want: "an object" + ofMaxMembers}
}

// condition is {"operator": text, "operands": [numbers or strings]}.
func condition(name string, at func(*Event) **Condition) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		object, ok := unquoteJSON(v)
		if !ok || len(object) > 0 && object.Kind() != '{' {
			return false
		}
		var c Condition
		for name, member := range members(object).all {
			switch {
			case name == "operator" && member.Kind() == '"':
				c.Operator = unquote(member)
			case name == "operands" && member.Kind() == '[' && withinMaxMembers(member):
				c.Operands = emptySlice[Value](member)
				for operand := range elements(member).all {
					c.Operands = append(c.Operands, Value(operand))
				}
			case name == "operator", name == "operands":
				return false
			}
		}
		if len(object) > 0 {
			*at(e) = &c
		}
		return true
	}, encode: func(e *Event, dst []byte) []byte {
		c := *at(e)
		if c == nil {
			return dst
		}
		dst = quote(append(dst, `{"operator":`...), c.Operator)
		dst = append(dst, `,"operands":[`...)
		for i, operand := range c.Operands {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, operand...)
		}
		return append(dst, "]}"...)
	}, want: "an object with operator and operands"}
}

func appendText(dst []byte, s string) []byte {
	if s == "" {
		return dst
	}
	return quote(dst, s)
}

func appendPairs(dst []byte, m map[string]string) []byte {
	if len(m) == 0 {
		return dst
	}
	encoded, _ := json.Marshal(m) // which cannot fail for strings
	return append(dst, bytes.TrimSpace(encoded)...)
}
