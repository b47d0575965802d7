package pagerduty

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// tree is custom_details as the gardener leaves it. It writes itself, as its
// few types need no reflection, in the order of its names: the same details
// must be the same bytes.
type tree map[string]any

// MarshalJSONTo implements json.MarshalerTo of go-json-experiment.
func (t tree) MarshalJSONTo(enc *jsontext.Encoder) error { return writeObject(enc, t) }

func writeValue(enc *jsontext.Encoder, v any) error {
	switch v := v.(type) {
	case nil:
		return enc.WriteToken(jsontext.Null)
	case bool:
		return enc.WriteToken(jsontext.Bool(v))
	case string:
		return enc.WriteToken(jsontext.String(v))
	case float64:
		return enc.WriteToken(jsontext.Float(v))
	case json.Number:
		return enc.WriteValue(jsontext.Value(v))
	case map[string]any:
		return writeObject(enc, v)
	case []any:
		return writeArray(enc, v)
	}
	if n, ok := signed(v); ok {
		return enc.WriteToken(jsontext.Int(n))
	}
	if n, ok := unsigned(v); ok {
		return enc.WriteToken(jsontext.Uint(n))
	}
	return fmt.Errorf("a %T in details", v) // the gardener leaves none
}

func writeObject(enc *jsontext.Encoder, m map[string]any) error {
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	names := make([]string, 0, 16) // most objects are small, and this stays on the stack
	names = slices.AppendSeq(names, maps.Keys(m))
	slices.Sort(names)
	for _, name := range names {
		if err := enc.WriteToken(jsontext.String(name)); err != nil {
			return err
		}
		if err := writeValue(enc, m[name]); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndObject)
}

func writeArray(enc *jsontext.Encoder, list []any) error {
	if err := enc.WriteToken(jsontext.BeginArray); err != nil {
		return err
	}
	for _, v := range list {
		if err := writeValue(enc, v); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndArray)
}

func signed(v any) (int64, bool) {
	switch n := v.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	case int32:
		return int64(n), true
	case int16:
		return int64(n), true
	case int8:
		return int64(n), true
	}
	return 0, false
}

func unsigned(v any) (uint64, bool) {
	switch n := v.(type) {
	case uint:
		return uint64(n), true
	case uint64:
		return n, true
	case uint32:
		return uint64(n), true
	case uint16:
		return uint64(n), true
	case uint8:
		return uint64(n), true
	}
	return 0, false
}
