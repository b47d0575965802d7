package guance_test

import (
	"encoding/json"
	"testing"

	"github.com/guance-relay/guance-relay/guance"
)

func TestValue(t *testing.T) {
	for _, test := range []struct {
		value   guance.Value
		text    string
		number  float64
		isFloat bool
		integer int64
		isInt   bool
	}{
		{"", "", 0, false, 0, false},
		{"100", "100", 100, true, 100, true},
		{"-0.5", "-0.5", -0.5, true, 0, false},
		{"9007199254740993", "9007199254740993", 9007199254740992, true, 9007199254740993, true},
		{`"0.01"`, "0.01", 0.01, true, 0, false},
		{`"7"`, "7", 7, true, 7, true},
		{"1e3", "1e3", 1000, true, 0, false},
		{"1e999", "1e999", 0, false, 0, false},
		{`"Inf"`, "Inf", 0, false, 0, false},
		{`"0x1p4"`, "0x1p4", 0, false, 0, false},
		{"true", "true", 0, false, 0, false},
		{`"a\nb"`, "a\nb", 0, false, 0, false},
		{`[1]`, "[1]", 0, false, 0, false},
	} {
		number, isFloat := test.value.Float64()
		integer, isInt := test.value.Int64()
		if isFloat != test.isFloat || isFloat && number != test.number || isInt != test.isInt || isInt &&
			integer != test.integer {
			t.Errorf("%s is %v (%t) and %v (%t), want %v (%t) and %v (%t)", test.value, number, isFloat,
				integer, isInt,
				test.number, test.isFloat, test.integer, test.isInt)
		}
		if got := test.value.String(); got != test.text {
			t.Errorf("String() = %q, want %q", got, test.text)
		}
		if got := test.value.Absent(); got != (test.value == "") {
			t.Errorf("Absent() of %q = %t", string(test.value), got)
		}
		// An absent value is written as null, and null is read as absent.
		var back guance.Value
		text, err := json.Marshal(test.value)
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil || back != test.value {
			t.Errorf("%q came back from JSON as %q, %v", string(test.value), string(back), err)
		}
	}
}
