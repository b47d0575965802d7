package guance

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// A field is one documented name and what its value looks like on the wire.
type field struct {
	name string
	// decode stores a value that is not null; false leaves the event as it was.
	decode func(e *Event, v jsontext.Value) bool
	// encode appends the value, or nothing if the event has none.
	encode func(e *Event, dst []byte) []byte
	// want names the accepted forms, for Invalid.
	want string
}

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

// scalar is text that may come as a bare number or boolean: Guance documents
// that it casts these fields, and stored copies show how casts get lost.
func scalar(name string, at func(*Event) *string) field {
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

// code is text that may come as a bare number, for what other systems number: their ids and severities.
func code[T ~string](name string, at func(*Event) *T) field {
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

// dumped is a JSON value inside a JSON string.
func dumped(name string, at func(*Event) *Value) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		inner, ok := undump(v)
		if ok && inner.Kind() != 'n' {
			*at(e) = Value(inner)
		}
		return ok
	}, encode: func(e *Event, dst []byte) []byte {
		return appendText(dst, string(*at(e)))
	}, want: "JSON in a string"}
}

// raw is JSON of no documented shape. An object or array may come inside a
// JSON string, and is taken out of it.
func raw(name string, at func(*Event) *json.RawMessage) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		if v.Kind() == '"' {
			switch inner, ok := undump(v); {
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

// instant is a time in seconds, or in milliseconds above tenDigits.
func instant(name string, at func(*Event) *time.Time) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		t, ok := parseInstant(v)
		if ok {
			*at(e) = t
		}
		return ok
	}, encode: func(e *Event, dst []byte) []byte {
		return appendInstant(dst, *at(e))
	}, want: "a time in seconds or milliseconds"}
}

// span is a duration, in the units of instant.
func span(name string, at func(*Event) *time.Duration) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		ms, ok := parseMillis(v)
		if !ok || ms > math.MaxInt64/int64(time.Millisecond) {
			return false
		}
		*at(e) = time.Duration(ms) * time.Millisecond
		return true
	}, encode: func(e *Event, dst []byte) []byte {
		d := *at(e)
		if d == 0 {
			return dst
		}
		return strconv.AppendFloat(dst, float64(d.Milliseconds())/1000, 'f', -1, 64)
	}, want: "a duration in seconds"}
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

// list is an array of texts, or one inside a JSON string: df_label is "[]" in
// the sample and a list in the template variables.
func list(name string, at func(*Event) *[]string) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		array, ok := undump(v)
		if !ok || len(array) > 0 && array.Kind() != '[' || !few(array) {
			return false
		}
		all := room[string](array)
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
	}, want: "a list" + ofFew}
}

// pairs is an object of texts, or one inside a JSON string.
func pairs(name string, at func(*Event) *map[string]string) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		object, ok := undump(v)
		if !ok || len(object) > 0 && object.Kind() != '{' || !few(object) {
			return false
		}
		*at(e) = texts(object)
		return true
	}, encode: func(e *Event, dst []byte) []byte {
		return appendPairs(dst, *at(e))
	}, want: "an object" + ofFew}
}

// dimensions is pairs whose text is kept too, because identity rests on it. What
// is no object still counts for that: two hosts must not become one problem
// because their tags are odd.
func dimensions(name string) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		switch v.Kind() {
		case '{':
			if e.DimensionTagsText = string(v); !few(v) {
				return false
			}
			e.DimensionTags = texts(v)
			return true
		case '"':
			object, ok := undump(v)
			if e.DimensionTagsText = unquote(v); !ok || !few(object) {
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
			return dst // Extra has it as it was sent
		}
		return appendText(dst, e.tagsText())
	}, want: "an object" + ofFew}
}

// condition is {"operator": text, "operands": [numbers or strings]}.
func condition(name string, at func(*Event) **Condition) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		object, ok := undump(v)
		if !ok || len(object) > 0 && object.Kind() != '{' {
			return false
		}
		var c Condition
		for name, member := range members(object).all {
			switch {
			case name == "operator" && member.Kind() == '"':
				c.Operator = unquote(member)
			case name == "operands" && member.Kind() == '[' && few(member):
				c.Operands = room[Value](member)
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

// ranges is [[start, end], ...]; an open end is null (OpenAPI).
func ranges(name string, at func(*Event) *[]TimeRange) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		if v.Kind() != '[' || !few(v) {
			return false
		}
		all := room[TimeRange](v)
		for element := range elements(v).all {
			r, ok := parseRange(element)
			if !ok {
				return false
			}
			all = append(all, r)
		}
		*at(e) = all
		return true
	}, encode: func(e *Event, dst []byte) []byte {
		for i, r := range *at(e) {
			dst = append(dst, "[,"[min(i, 1)], '[')
			dst = append(orNull(dst, appendInstant(dst, r.Start)), ',')
			dst = append(orNull(dst, appendInstant(dst, r.End)), ']')
		}
		if len(*at(e)) > 0 {
			dst = append(dst, ']')
		}
		return dst
	}, want: "a list of pairs of times" + ofFew}
}

// tenDigits is the largest number of seconds; what is above is milliseconds.
// The vendor's own on-call script draws the line here. Seconds reach the year
// 2286, milliseconds begin in April 1970.
const tenDigits = 1e10

// lastMillis is the end of the year 9999, the last that RFC 3339 can write.
const lastMillis = 253402300799999

// parseMillis reads a number, or a string of one, as seconds or milliseconds.
func parseMillis(v jsontext.Value) (int64, bool) {
	if v.Kind() == '"' && len(v) == len(`""`) {
		return 0, true
	}
	if n, ok := wholeNumber(v); ok && n <= lastMillis {
		if n > tenDigits {
			return n, true
		}
		return n * 1000, true
	}
	n, ok := Value(v).Float64()
	switch {
	case !ok || n < 0 || n > lastMillis:
		return 0, false
	case n > tenDigits:
		return int64(n), true
	}
	return int64(math.Round(n * 1000)), true
}

// wholeNumber reads a number that is all digits, and few enough for an int64: how times usually look.
func wholeNumber(v jsontext.Value) (n int64, ok bool) {
	if len(v) > 18 {
		return 0, false
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(v) > 0
}

func parseInstant(v jsontext.Value) (time.Time, bool) {
	ms, ok := parseMillis(v)
	if ms == 0 {
		return time.Time{}, ok
	}
	return time.UnixMilli(ms).UTC(), ok
}

// parseRange reads [start, end], of which each may be null.
func parseRange(v jsontext.Value) (r TimeRange, ok bool) {
	n := 0
	for bound := range elements(v).all {
		t, ok := time.Time{}, true
		if bound.Kind() != 'n' {
			t, ok = parseInstant(bound)
		}
		if n++; !ok || n > 2 {
			return r, false
		}
		r.Start, r.End = r.End, t
	}
	return r, n == 2
}

// appendInstant writes seconds, with decimals where needed, as long as they
// are read back as seconds.
func appendInstant(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return dst
	}
	if t.Unix() >= tenDigits {
		return strconv.AppendInt(dst, t.UnixMilli(), 10)
	}
	return strconv.AppendFloat(dst, float64(t.UnixMilli())/1000, 'f', -1, 64)
}

// orNull returns after, or before with a null if nothing was appended.
func orNull(before, after []byte) []byte {
	if len(after) == len(before) {
		return append(before, "null"...)
	}
	return after
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
	encoded, err := json.Marshal(m)
	if err != nil {
		return dst // unreachable: maps of strings encode
	}
	return append(dst, bytes.TrimSpace(encoded)...)
}
