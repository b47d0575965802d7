package guance

import (
	"bytes"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// The JSON parser is the one that is to become encoding/json/jsontext in the standard library. It
// has three advantages over encoding/json: in one pass it can decode, find duplicate names and cut
// out raw values; it shows duplicate names; and it says where a body breaks off.

// reader parses one JSON text.
type reader struct {
	jsontext.Decoder
	text []byte
	src  bytes.Buffer // the parser reads a bytes.Buffer without a copy
}

// readers keeps parsers for reuse, so that a body, and each JSON text inside it, allocates none.
var readers = sync.Pool{New: func() any { return new(reader) }}

// read returns a reader of text. The caller must release it.
//
// Duplicate names are accepted here and found one level up. Invalid UTF-8 is accepted because of
// lone surrogates in escapes: the unquoted text has U+FFFD for them.
func read(text []byte) *reader {
	r := readers.Get().(*reader)
	r.text = text
	r.src = *bytes.NewBuffer(text)
	r.Reset(&r.src, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return r
}

// release returns r to the pool, without its text.
func (r *reader) release() {
	r.text = nil
	r.src = bytes.Buffer{}
	r.Reset(&r.src)
	readers.Put(r)
}

// next returns the next value, as a part of r.text. Its capacity ends with it, so appending to it
// does not change what follows.
func (r *reader) next() (jsontext.Value, error) {
	v, err := r.ReadValue()
	if err != nil {
		return nil, err
	}
	end := int(r.InputOffset())
	return r.text[end-len(v) : end : end], nil
}

// members is an object that is valid JSON. Like elements and leaves it is a type with a method,
// since ranging over a method does not allocate.
type members jsontext.Value

// all yields the names, unquoted, and the values. A value that is not an object has none.
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

// elements is an array that is valid JSON.
type elements jsontext.Value

// all yields the elements. A value that is not an array has none.
func (array elements) all(yield func(jsontext.Value) bool) {
	if jsontext.Value(array).Kind() != '[' {
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

// emptySlice returns an empty slice with capacity for the elements of an array, or nil if it has
// none. Growing a slice by appending would allocate several times as much.
func emptySlice[T any](array jsontext.Value) []T {
	n := 0
	for range elements(array).all {
		n++
	}
	if n == 0 {
		return nil
	}
	return make([]T, 0, n)
}

// ofMaxMembers describes withinMaxMembers for Invalid.
const ofMaxMembers = ", 2000 at most"

// withinMaxMembers reports whether an array or object has at most MaxMembers.
func withinMaxMembers(v jsontext.Value) bool {
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

// leaves is any valid JSON.
type leaves []byte

// A leaf is one member of an object.
type leaf struct {
	parents []int // where the objects around it begin, outermost first; valid until the next leaf
	name    string
	value   jsontext.Value
}

// all yields all members of objects, at any depth, whose value is neither an object nor an array.
// It yields them in order, in one pass.
func (text leaves) all(yield func(leaf) bool) {
	r := read(text)
	defer r.release()
	var parents []int
	for {
		token, err := r.ReadToken()
		if err != nil {
			return
		}
		switch token.Kind() {
		case '{':
			parents = append(parents, int(r.InputOffset()))
		case '}':
			parents = parents[:len(parents)-1]
		}
		// In an object, a token after which the number of parts is odd is a name.
		if kind, parts := r.StackIndex(r.StackDepth()); kind != '{' || parts%2 == 0 {
			continue
		}
		name := token.String()
		if kind := r.PeekKind(); kind == '{' || kind == '[' {
			continue
		}
		v, err := r.next()
		if err != nil || !yield(leaf{parents, name, v}) {
			return
		}
	}
}

// texts returns the members of an object as texts, or nil if it has none. Null is absent, the first
// of duplicate names counts, and a value that is not a string is its JSON text.
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

// space is JSON's white space.
const space = " \t\r\n"

// unquoteJSON returns the JSON inside a JSON string, or v itself if it is not a string. For an
// empty string the result is empty. It reports false for a string that does not hold JSON, or nests
// too deep.
func unquoteJSON(v jsontext.Value) (jsontext.Value, bool) {
	if v.Kind() != '"' {
		return v, true
	}
	inner := jsontext.Value(bytes.Trim(appendUnquoted(nil, v), space))
	if len(inner) == 0 {
		return nil, true
	}
	if checkDepth(inner) != nil ||
		!inner.IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
		return nil, false
	}
	return inner, true
}

// composite reports whether v is an object or an array.
func composite(v jsontext.Value) bool {
	kind := v.Kind()
	return kind == '{' || kind == '['
}

// unquote returns the text of a valid JSON string.
func unquote(v jsontext.Value) string {
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1 : len(v)-1])
	}
	var buf [512]byte
	return string(appendUnquoted(buf[:0], v))
}

// appendUnquoted appends the text of a valid JSON string.
func appendUnquoted(dst []byte, v jsontext.Value) []byte {
	// The only error is a lone surrogate, for which U+FFFD is appended.
	dst, _ = jsontext.AppendUnquote(dst, v)
	return dst
}

// quote appends s as a JSON string.
func quote(dst []byte, s string) []byte {
	// The only error is invalid UTF-8, for which U+FFFD is appended.
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

// checkDepth returns a *LimitError if text nests deeper than MaxDepth. It also works for a text
// that is not JSON, so it can run before the parser.
func checkDepth(text []byte) error {
	if bytes.Count(text, []byte("{"))+bytes.Count(text, []byte("[")) <= MaxDepth {
		return nil // a fast check, true for most events
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
			i += quotedLength(text[i:]) - 1
		}
	}
	return nil
}

// quotedLength returns the length of the JSON string at the beginning of text, or the length of
// text if the string does not end.
func quotedLength(text []byte) int {
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
