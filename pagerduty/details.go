package pagerduty

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"

	"github.com/go-json-experiment/json/jsontext"
)

// The bounds of a details tree. Both exist so that a value that contains
// itself ends somewhere.
const (
	// JSON parsers commonly stop at a hundred levels.
	maxDepth = 64
	// No tree with more nodes fits the limit: each takes two bytes at least,
	// a digit and its comma.
	maxNodes = maxBody / 2
)

// details returns m as a tree that the encoder certainly writes and
// PagerDuty certainly reads, sharing whatever needs no change.
func (r *repairer) details(m map[string]any) map[string]any {
	if len(m) == 0 {
		return nil
	}
	s := sanitizer{nodes: maxNodes}
	out, _ := s.object(m, 0)
	for _, change := range s.changes {
		r.note("payload.custom_details", "%s", change)
	}
	return out
}

// sanitizer walks one details tree.
type sanitizer struct {
	nodes   int
	changes []string
}

// note keeps each kind of change once: a tree may have the same trouble in
// ten thousand places.
func (s *sanitizer) note(change string) {
	for _, c := range s.changes {
		if c == change {
			return
		}
	}
	s.changes = append(s.changes, change)
}

// value returns v fit for sending, and whether that differs from v.
func (s *sanitizer) value(given any, depth int) (any, bool) {
	if s.nodes--; s.nodes < 0 {
		s.note("too many values; the rest left out")
		return nil, given != nil
	}
	if depth > maxDepth {
		s.note("nested too deep; the inner levels left out")
		return "(nested too deep to send)", true
	}
	switch v := given.(type) {
	case nil, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		return given, false
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			s.note("a number JSON cannot write sent as text")
			return fmt.Sprint(v), true
		}
		return given, false
	case string:
		if cleaned, changed := s.text(v); changed {
			return cleaned, true
		}
		return given, false // and not v, which would be boxed anew
	case json.Number:
		return s.number(v)
	case map[string]any:
		if v == nil {
			return nil, true
		}
		return s.object(v, depth)
	case []any:
		if v == nil {
			return nil, true
		}
		return s.array(v, depth)
	}
	return s.foreign(given, depth)
}

// number checks what the caller may have made of any string.
func (s *sanitizer) number(n json.Number) (any, bool) {
	var f float64
	if json.Unmarshal([]byte(n), &f) == nil {
		return jsontext.Value(n), true // which go-json-experiment writes as it is; json.Number is a string to it
	}
	s.note("a number JSON cannot write sent as text")
	return clean(string(n), false), true
}

func (s *sanitizer) text(given string) (string, bool) {
	cleaned := clean(given, false)
	if cleaned == given {
		return given, false
	}
	s.note("invalid UTF-8 or control characters replaced")
	return cleaned, true
}

func (s *sanitizer) object(m map[string]any, depth int) (map[string]any, bool) {
	out, changed := m, false
	for key, v := range m {
		name, renamed := s.text(key)
		value, replaced := s.value(v, depth+1)
		if !renamed && !replaced {
			continue
		}
		if !changed {
			out, changed = maps.Clone(m), true
		}
		if renamed {
			delete(out, key)
			for _, taken := out[name]; taken; _, taken = out[name] {
				name += "_"
			}
		}
		out[name] = value
	}
	return out, changed
}

func (s *sanitizer) array(list []any, depth int) ([]any, bool) {
	out, changed := list, false
	for i, v := range list {
		value, replaced := s.value(v, depth+1)
		if !replaced {
			continue
		}
		if !changed {
			out, changed = append([]any(nil), list...), true
		}
		out[i] = value
	}
	return out, changed
}

// foreign sends any other type the way encoding/json writes it, and as a line
// that says why not if it cannot: one odd value must not cost the page.
func (s *sanitizer) foreign(v any, depth int) (any, bool) {
	text, err := marshal(v)
	if err != nil {
		s.note("a value JSON cannot write replaced")
		return fmt.Sprintf("(a %T, which JSON cannot write)", v), true
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // an identifier of 19 digits must not lose its last ones
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		s.note("a value JSON cannot write replaced")
		return fmt.Sprintf("(a %T, which JSON cannot write)", v), true
	}
	s.nodes++ // counted once, not as itself and as its tree
	tree, _ = s.value(tree, depth)
	return tree, true
}

// marshal calls the value's own MarshalJSON or MarshalText, if it has one,
// and that code may panic; at this place a panic is one more way of not being
// writable.
func marshal(v any) (text []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			text, err = nil, errors.New("pagerduty: marshaling panicked")
		}
	}()
	return json.Marshal(v)
}
