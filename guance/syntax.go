package guance

import (
	"bytes"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// The JSON parser is the one that becomes encoding/json/jsontext in the
// standard library, by its own module path until then. Against encoding/json
// it earns its place three times over: it reads a token stream fast enough to
// decode, find duplicate names and cut out raw values in one pass; it shows
// duplicate names at all; and it says where a body breaks off.

// A reader parses one JSON text.
type reader struct {
	jsontext.Decoder
	text []byte
	src  bytes.Buffer // a bytes.Buffer is parsed in place, without a copy
}

// readers saves the parser's state from being allocated for each body and for
// each JSON text inside it.
var readers = sync.Pool{New: func() any { return new(reader) }}

// read returns a reader of text, to be released.
//
// Duplicate names are let through because they are counted one level up, and
// lone surrogates in escapes because the unquoted text has U+FFFD for them.
func read(text []byte) *reader {
	r := readers.Get().(*reader)
	r.text = text
	r.src = *bytes.NewBuffer(text)
	r.Reset(&r.src, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return r
}

// release gives r back, without a hold on its text.
func (r *reader) release() {
	r.text = nil
	r.src = bytes.Buffer{}
	r.Reset(&r.src)
	readers.Put(r)
}

// next returns the next value as a part of the text that r was made from, cut
// so that appending to it cannot write into what follows.
func (r *reader) next() (jsontext.Value, error) {
	v, err := r.ReadValue()
	if err != nil {
		return nil, err
	}
	end := int(r.InputOffset())
	return r.text[end-len(v) : end : end], nil
}

// members is an object that is known to be valid JSON. Like elements and
// leaves it is a type, and not a function that returns an iterator, because
// ranging over a method costs no allocation.
type members jsontext.Value

// all yields the names, unquoted, and the values. What is no object has none.
func (object members) all(yield func(string, jsontext.Value) bool) {
	if jsontext.Value(object).Kind() != '{' {
		return
	}
	r := read(object)
	defer r.release()
	if _, err := r.ReadToken(); err != nil {
		return
	}
	for r.PeekKind() == '"' {
		name, err := r.next()
		if err != nil {
			return
		}
		v, err := r.next()
		if err != nil || !yield(unquote(name), v) {
			return
		}
	}
}

// elements is an array that is known to be valid JSON.
type elements jsontext.Value

// all yields the elements. What is no array has none.
func (array elements) all(yield func(jsontext.Value) bool) {
	if jsontext.Value(array).Kind() != '[' || string(array) == "[]" {
		return
	}
	r := read(array)
	defer r.release()
	if _, err := r.ReadToken(); err != nil {
		return
	}
	for r.PeekKind() != ']' {
		v, err := r.next()
		if err != nil || !yield(v) {
			return
		}
	}
}

// room returns an empty slice for the elements of an array, nil if it has
// none. Growing by appending would allocate several times what is needed, of
// which a body of commas could make much.
func room[T any](array jsontext.Value) []T {
	n := 0
	for range elements(array).all {
		n++
	}
	if n == 0 {
		return nil
	}
	return make([]T, 0, n)
}

// ofFew says of a list or object what few demands, for Invalid.
const ofFew = ", 2000 at most"

// few reports whether an array or object has no more than MaxMembers. What is
// neither has none.
func few(v jsontext.Value) bool {
	n := 0
	for range elements(v).all {
		if n++; n > MaxMembers {
			return false
		}
	}
	for range members(v).all {
		if n++; n > MaxMembers {
			return false
		}
	}
	return true
}

// leaves is any text that is known to be valid JSON.
type leaves []byte

// A leaf is one member of an object.
type leaf struct {
	around []int // where the objects around it begin, outermost first; not to be kept
	name   string
	value  jsontext.Value
}

// all yields the scalar members of all objects in the text, at any depth and in
// their order, in one pass.
func (text leaves) all(yield func(leaf) bool) {
	r := read(text)
	defer r.release()
	var around []int
	for {
		token, err := r.ReadToken()
		if err != nil {
			return
		}
		switch token.Kind() {
		case '{':
			around = append(around, int(r.InputOffset()))
			continue
		case '}':
			around = around[:len(around)-1]
			continue
		}
		// A string is a name where its object has an odd number of parts.
		if kind, parts := r.StackIndex(r.StackDepth()); kind != '{' || parts%2 == 0 {
			continue
		}
		name := token.String()
		if kind := r.PeekKind(); kind == '{' || kind == '[' {
			continue
		}
		v, err := r.next()
		if err != nil || !yield(leaf{around, name, v}) {
			return
		}
	}
}

// texts returns the members of an object as texts, nil if it has none. Null is
// absent, the first of duplicate names counts, other JSON is kept as its text.
func texts(object jsontext.Value) map[string]string {
	var m map[string]string
	for name, v := range members(object).all {
		if _, seen := m[name]; seen || v.Kind() == 'n' {
			continue
		}
		if m == nil {
			m = make(map[string]string)
		}
		m[name] = Value(v).String()
	}
	return m
}

// space is what JSON takes for it.
const space = " \t\r\n"

// undump returns the JSON inside a JSON string, or v itself if it is not a
// string. An empty string holds an empty value. It reports false for a string
// that does not hold JSON, or nests too deep.
func undump(v jsontext.Value) (jsontext.Value, bool) {
	if v.Kind() != '"' {
		return v, true
	}
	inner := jsontext.Value(bytes.Trim(appendUnquoted(nil, v), space))
	if len(inner) == 0 {
		return nil, true
	}
	if string(inner) == "[]" || string(inner) == "{}" {
		return inner, true
	}
	if checkDepth(inner) != nil || !inner.IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
		return nil, false
	}
	return inner, true
}

// composite reports whether v is an object or an array.
func composite(v jsontext.Value) bool {
	kind := v.Kind()
	return kind == '{' || kind == '['
}

// unquote returns the text of a JSON string that is known to be valid.
func unquote(v jsontext.Value) string {
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1 : len(v)-1])
	}
	var room [512]byte
	return string(appendUnquoted(room[:0], v))
}

// appendUnquoted appends the text of a JSON string that is known to be valid.
func appendUnquoted(dst []byte, v jsontext.Value) []byte {
	// The error tells of lone surrogates only, for which U+FFFD was appended.
	dst, _ = jsontext.AppendUnquote(dst, v)
	return dst
}

// quote appends s as a JSON string.
func quote(dst []byte, s string) []byte {
	// The error tells of invalid UTF-8 only, for which U+FFFD was appended.
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

// checkDepth returns a *LimitError if text nests deeper than MaxDepth. It does
// not mind whether text is JSON, so that the bound holds before the parser is
// trusted with it.
func checkDepth(text []byte) error {
	if bytes.Count(text, []byte("{"))+bytes.Count(text, []byte("[")) <= MaxDepth {
		return nil // most events, at a fraction of the cost
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '[', '{':
			if depth++; depth > MaxDepth {
				return &LimitError{LimitDepth, MaxDepth}
			}
		case ']', '}':
			depth--
		case '"':
			i += stringLength(text[i:]) - 1
		}
	}
	return nil
}

// stringLength returns the length of the JSON string that text begins with,
// or of all of text if the string does not end.
func stringLength(text []byte) int {
	for i := 1; i < len(text); i++ {
		quote := bytes.IndexByte(text[i:], '"')
		if quote < 0 {
			break
		}
		i += quote
		escapes := i - len(bytes.TrimRight(text[:i], `\`))
		if escapes%2 == 0 {
			return i + 1
		}
	}
	return len(text)
}
