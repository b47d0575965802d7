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
	g := gardener{nodes: maxNodes}
	out, _ := g.object(m, 0)
	for _, change := range g.changes {
		r.note("payload.custom_details", "%s", change)
	}
	return out
}

// gardener walks one details tree.
type gardener struct {
	nodes   int
	changes []string
}

// note keeps each kind of change once: a tree may have the same trouble in
// ten thousand places.
func (g *gardener) note(change string) {
	for _, c := range g.changes {
		if c == change {
			return
		}
	}
	g.changes = append(g.changes, change)
}

// value returns v fit for sending, and whether that differs from v.
func (g *gardener) value(given any, depth int) (any, bool) {
	if g.nodes--; g.nodes < 0 {
		g.note("too many values; the rest left out")
		return nil, given != nil
	}
	if depth > maxDepth {
		g.note("nested too deep; the inner levels left out")
		return "(nested too deep to send)", true
	}
	switch v := given.(type) {
	case nil, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		return given, false
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			g.note("a number JSON cannot write sent as text")
			return fmt.Sprint(v), true
		}
		return given, false
	case string:
		if cleaned, changed := g.text(v); changed {
			return cleaned, true
		}
		return given, false // and not v, which would be boxed anew
	case json.Number:
		return g.number(v)
	case map[string]any:
		if v == nil {
			return nil, true
		}
		return g.object(v, depth)
	case []any:
		if v == nil {
			return nil, true
		}
		return g.array(v, depth)
	}
	return g.foreign(given, depth)
}

// number checks what the caller may have made of any string.
func (g *gardener) number(n json.Number) (any, bool) {
	var f float64
	if json.Unmarshal([]byte(n), &f) == nil {
		return jsontext.Value(n), true // which go-json-experiment writes as it is; json.Number is a string to it
	}
	g.note("a number JSON cannot write sent as text")
	return clean(string(n), false), true
}

func (g *gardener) text(s string) (string, bool) {
	cleaned := clean(s, false)
	if cleaned == s {
		return s, false
	}
	g.note("invalid UTF-8 or control characters replaced")
	return cleaned, true
}

func (g *gardener) object(m map[string]any, depth int) (map[string]any, bool) {
	out, changed := m, false
	for key, v := range m {
		name, renamed := g.text(key)
		value, replaced := g.value(v, depth+1)
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

func (g *gardener) array(list []any, depth int) ([]any, bool) {
	out, changed := list, false
	for i, v := range list {
		value, replaced := g.value(v, depth+1)
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
func (g *gardener) foreign(v any, depth int) (any, bool) {
	text, err := marshal(v)
	if err != nil {
		g.note("a value JSON cannot write replaced")
		return fmt.Sprintf("(a %T, which JSON cannot write)", v), true
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // an identifier of 19 digits must not lose its last ones
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		g.note("a value JSON cannot write replaced")
		return fmt.Sprintf("(a %T, which JSON cannot write)", v), true
	}
	g.nodes++ // counted once, not as itself and as its tree
	tree, _ = g.value(tree, depth)
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
