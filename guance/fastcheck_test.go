package guance

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A fast check may be false for a valid text, and is never true for one that the validator refuses.
func TestFastCheck(t *testing.T) {
	if len(rules) < 10 {
		t.Fatalf("only %d rules", len(rules))
	}
	for _, r := range rules {
		_, param, _ := strings.Cut(r.tag, "=")
		words := append(strings.Fields(param), strings.Repeat("0a9f", 8), strings.Repeat("0A9F", 8),
			strings.Repeat("0a9g", 8), "event-", "", " ", "http", "'")
		// The draws are random, and few under -short.
		if !slices.ContainsFunc(words, r.fastCheck) {
			t.Errorf("%s: the fast check is never true: %s", r.name, r.tag)
		}
		rapid.Check(t, func(t *rapid.T) {
			text := rapid.SampledFrom(words).Draw(t, "word")
			if rapid.Bool().Draw(t, "changed") {
				text = text[:rapid.IntRange(0, len(text)).Draw(t, "cut")]
				text = rapid.StringMatching(`[a-f0-9é ]?`).Draw(t, "before") + text +
					rapid.StringMatching(`[a-f0-9é ]?`).Draw(t, "after")
			}
			if !r.fastCheck(text) {
				return
			}
			if err := validate.Var(text, r.tag); err != nil {
				t.Errorf("%s: the fast check is true for %q, and the validator says %v", r.name, text, err)
			}
		})
	}
}
