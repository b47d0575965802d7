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

// The bounds of the details. They stop the walk through a value that contains itself.
const (
	// Many JSON parsers allow a hundred levels.
	maxDepth = 64
	// A tree with more values does not fit the size limit: each takes at least a digit and a comma.
	maxNodes = maxBody / 2
)

// details returns m as a tree that can be encoded and that PagerDuty can read. It shares with m
// whatever needs no change.
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

// sanitizer walks through the details of one event.
type sanitizer struct {
	nodes   int
	changes []string
}

// note records each kind of change once: the same problem may be in ten thousand places.
func (s *sanitizer) note(change string) {
	for _, c := range s.changes {
		if c == change {
			return
		}
	}
	s.changes = append(s.changes, change)
}

// value returns a value that can be sent, and whether it differs from the given one.
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
		return given, false // not v, which would allocate
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
	return s.other(given, depth)
}

// number checks a json.Number: the caller can make one of any string.
func (s *sanitizer) number(n json.Number) (any, bool) {
	var f float64
	if json.Unmarshal([]byte(n), &f) == nil {
		return jsontext.Value(n), true // go-json-experiment writes a json.Number as a string
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

// other sends a value of any other type as encoding/json writes it. A value that encoding/json
// cannot write becomes a text that says so: it must not lose the event.
func (s *sanitizer) other(v any, depth int) (any, bool) {
	text, err := marshal(v)
	if err != nil {
		s.note("a value JSON cannot write replaced")
		return fmt.Sprintf("(a %T, which JSON cannot write)", v), true
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // keeps the last digits of a long identifier
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		s.note("a value JSON cannot write replaced")
		return fmt.Sprintf("(a %T, which JSON cannot write)", v), true
	}
	s.nodes++ // the value was counted already
	tree, _ = s.value(tree, depth)
	return tree, true
}

// marshal recovers from a panic in the value's own MarshalJSON or MarshalText. Such a value counts
// as one that JSON cannot write.
func marshal(v any) (text []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			text, err = nil, errors.New("pagerduty: MarshalJSON or MarshalText panicked")
		}
	}()
	return json.Marshal(v)
}
