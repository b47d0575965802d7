package guance

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// A time in digits is the same whether it is read as a whole number or as a float.
func TestWholeNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`0{0,2}[0-9]{1,20}`).Draw(t, "digits")
		n, ok := wholeNumber([]byte(text))
		f, _ := Value(text).Float64()
		if ok && f < 1<<53 && float64(n) != f {
			t.Errorf("%s is %d, and %f as a float", text, n, f)
		}
		ms, ok := parseMillis([]byte(text))
		if want := f <= maxMillis; ok != want {
			t.Errorf("%s is taken for a time: %t, want %t", text, ok, want)
		}
		switch {
		case !ok:
		case f > maxSeconds && float64(ms) != f, f <= maxSeconds && ms != int64(math.Round(f*1000)):
			t.Errorf("%s is %d ms", text, ms)
		}
	})
}
