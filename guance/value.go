package guance

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A Value is one JSON value, as its exact text. A check result can be an integer that a float64
// would round, a float, or, in stored copies, a string. The zero Value means absent or null.
type Value string

// Absent reports whether the value is absent or null.
func (v Value) Absent() bool { return v == "" }

// Float64 returns a JSON number, or a string with one, rounded to the nearest float64. It reports
// false for anything else.
func (v Value) Float64() (float64, bool) {
	text := v.String()
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil && decimal(text)
}

// Int64 is like Float64 but exact: it also reports false for a number with a fraction or exponent,
// and for one that does not fit.
func (v Value) Int64() (int64, bool) {
	i, err := strconv.ParseInt(v.String(), 10, 64)
	return i, err == nil
}

// decimal excludes numbers that strconv accepts and Guance cannot mean: "Inf", "NaN" and
// hexadecimal ones.
func decimal(text string) bool {
	return strings.Trim(text, "0123456789+-.eE") == ""
}

// String returns the text of a JSON string, the JSON text of any other value, and "" for an absent
// one.
func (v Value) String() string {
	if len(v) > 0 && v[0] == '"' {
		return unquote(jsontext.Value(v))
	}
	return string(v)
}

// MarshalJSON returns the exact text, and null for an absent value.
func (v Value) MarshalJSON() ([]byte, error) {
	if v.Absent() {
		return []byte("null"), nil
	}
	return []byte(v), nil
}

// UnmarshalJSON keeps the exact text; null makes the value absent.
func (v *Value) UnmarshalJSON(text []byte) error {
	*v = ""
	if string(text) != "null" {
		*v = Value(text)
	}
	return nil
}
