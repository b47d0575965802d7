package guance

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A glance may leave a text to the validator, and never takes one that the validator refuses.
func TestGlance(t *testing.T) {
	if len(rules) < 10 {
		t.Fatalf("only %d rules", len(rules))
	}
	for _, r := range rules {
		_, param, _ := strings.Cut(r.tag, "=")
		words := append(strings.Fields(param), strings.Repeat("0a9f", 8), strings.Repeat("0A9F", 8), strings.Repeat("0a9g", 8), "event-", "", " ", "http", "'")
		// Asked of the words themselves, because no number of random draws, and -short makes few, is certain to draw a good one.
		if !slices.ContainsFunc(words, r.obeys) {
			t.Errorf("%s takes none of %q at a glance: %s", r.name, words, r.tag)
			continue
		}
		rapid.Check(t, func(t *rapid.T) {
			text := rapid.SampledFrom(words).Draw(t, "word")
			if rapid.Bool().Draw(t, "changed") {
				text = text[:rapid.IntRange(0, len(text)).Draw(t, "cut")]
				text = rapid.StringMatching(`[a-f0-9é ]?`).Draw(t, "before") + text + rapid.StringMatching(`[a-f0-9é ]?`).Draw(t, "after")
			}
			if !r.obeys(text) {
				return
			}
			if err := validate.Var(text, r.tag); err != nil {
				t.Errorf("%s takes %q for good, and the validator says %v", r.name, text, err)
			}
		})
	}
}

// Times in digits are the same whether they are read as a whole number or as a float.
func TestWholeNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`0{0,2}[0-9]{1,20}`).Draw(t, "digits")
		n, ok := wholeNumber([]byte(text))
		f, _ := Value(text).Float64()
		if ok && f < 1<<53 && float64(n) != f {
			t.Errorf("%s is %d, and %f as a float", text, n, f)
		}
		ms, ok := parseMillis([]byte(text))
		if want := f <= lastMillis; ok != want {
			t.Errorf("%s is taken for a time: %t, want %t", text, ok, want)
		}
		switch {
		case !ok:
		case f > tenDigits && float64(ms) != f, f <= tenDigits && ms != int64(math.Round(f*1000)):
			t.Errorf("%s is %d ms", text, ms)
		}
	})
}
