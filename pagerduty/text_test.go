package pagerduty

import (
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// Fact 17: cutting by characters (the table is from Alertmanager's helper).
func TestFact17CutByCharacters(t *testing.T) {
	tests := []struct {
		in    string
		limit int
		want  string
	}{
		{"", 5, ""},
		{"abcde", 2, "ab"},
		{"abcde", 4, "abc…"},
		{"abcde", 5, "abcde"},
		{"abcdefgh", 5, "abcd…"},
		{"a⌘cde", 5, "a⌘cde"},
		{"a⌘cdef", 5, "a⌘cd…"},
		{"世界cdef", 3, "世界c"},
		{"abc", 0, ""},
	}
	for _, test := range tests {
		if got := shorten(test.in, test.limit, units); got != test.want {
			t.Errorf("shorten(%q, %d) = %q, want %q", test.in, test.limit, got, test.want)
		}
	}
}

// Fact 18: cutting by bytes (the table is from Alertmanager's helper).
func TestFact18CutByBytes(t *testing.T) {
	tests := []struct {
		in    string
		limit int
		want  string
	}{
		{"", 5, ""},
		{"abcde", 5, "abcde"},
		{"abcde", 1, "."},
		{"abcde", 2, ".."},
		{"abcde", 3, "…"},
		{"abcde", 4, "a…"},
		{"a⌘cde", 5, "a…"},
		{"世界cdef", 3, "…"},
		{"abcde", -1, ""},
	}
	for _, test := range tests {
		if got := shortenBytes(test.in, test.limit); got != test.want {
			t.Errorf("shortenBytes(%q, %d) = %q, want %q", test.in, test.limit, got, test.want)
		}
	}
}

// Fact 19: texts for which cutting by bytes panics in Alertmanager and Grafana.
func TestFact19CutByBytesOfLongWideText(t *testing.T) {
	for _, letter := range []string{"世", "ж", "🙂", "é"} {
		for _, size := range []struct{ letters, limit int }{{40, 100}, {300, 600}, {2000, 4096}} {
			in := strings.Repeat(letter, size.letters)
			got := shortenBytes(in, size.limit)
			if len(got) > size.limit || !utf8.ValidString(got) {
				t.Errorf("%d × %s to %d bytes: %d bytes, valid %t", size.letters, letter, size.limit, len(got),
					utf8.ValidString(got))
			}
			if len(in) > size.limit && len(got) < size.limit-2*len(letter)-len(ellipsis) {
				t.Errorf("%d × %s to %d bytes: only %d bytes left", size.letters, letter, size.limit, len(got))
			}
		}
	}
}

// Fact 22: graphemes are kept or cut as a whole.
func TestFact22CutKeepsGraphemesWhole(t *testing.T) {
	tests := []struct {
		name  string
		in    string
		limit int
		want  string
	}{
		{"surrogate pair", "abc🙂🙂", 6, "abc🙂…"},
		{"surrogate pair that does not fit", "abcd🙂🙂", 6, "abcd…"},
		{"combining mark", "abcde\u0301fgh", 6, "abcd…"},
		{"joined emoji", "abcd👩\u200d🚒 went", 9, "abcd…"},
		{"joined emoji that fits", "abcd👩\u200d🚒 went there", 11, "abcd👩\u200d🚒 …"},
		{"skin tone", "abcd👍🏽 yes it is", 8, "abcd…"},
		{"variation selector", "abcd❤\ufe0f yes", 6, "abcd…"},
		{"flags", "ab🇨🇳🇩🇪 and more", 9, "ab🇨🇳…"},
		{"line break of two", "abcd\r\nef", 6, "abcd…"},
		{"one grapheme larger than all", "e\u0301\u0301\u0301\u0301\u0301\u0301", 5,
			"e\u0301\u0301\u0301…"},
	}
	for _, test := range tests {
		if got := shorten(test.in, test.limit, units); got != test.want {
			t.Errorf("%s: shorten(%+q, %d) = %+q, want %+q", test.name, test.in, test.limit, got, test.want)
		}
	}
}

func TestCutProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		limit := rapid.IntRange(0, 40).Draw(t, "limit")
		got := shorten(s, limit, units)
		if n := len(utf16.Encode([]rune(got))); n > limit && got != s || n > limit {
			t.Fatalf("%+q: %d units, limit %d", got, n, limit)
		}
		if utf8.RuneCountInString(got) > limit {
			t.Fatalf("%+q: more than %d runes", got, limit)
		}
		if !utf8.ValidString(got) {
			t.Fatalf("%+q is not UTF-8", got)
		}
		if !strings.HasPrefix(s, strings.TrimSuffix(got, ellipsis)) {
			t.Fatalf("%+q does not begin %+q", got, s)
		}
		if b := shortenBytes(s, limit); len(b) > limit {
			t.Fatalf("%+q: %d bytes, limit %d", b, len(b), limit)
		}
		if e := shorten(s, limit, encoded); measure(e, encoded) > limit {
			t.Fatalf("%+q: %d encoded bytes, limit %d", e, measure(e, encoded), limit)
		}
	})
}

// encoded must agree with the encoder.
func TestEncodedRulerAgreesWithTheEncoder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		if got, want := measure(s, encoded), encodedSize(s)-len(`""`); got != want {
			t.Fatalf("%+q: %d, the encoder writes %d", s, got, want)
		}
	})
	all := "\x00\x01\b\f\n\r\t\"\\<>&/\x7f\u0080\u2028\u2029\ufffd\U0010ffff"
	if got, want := measure(all, encoded), encodedSize(all)-len(`""`); got != want {
		t.Errorf("%+q: %d, the encoder writes %d", all, got, want)
	}
}

func TestClean(t *testing.T) {
	tests := []struct {
		in         string
		line, text string
	}{
		{"plain", "plain", "plain"},
		{"a\tb\nc\rd", "a b c d", "a\tb\nc\rd"},
		{"a\x00b\x1bc\x7fd\u0085e", "abcde", "abcde"},
		{"broken \xff\xfe here", "broken \ufffd\ufffd here", "broken \ufffd\ufffd here"},
		{"世界\n", "世界 ", "世界\n"},
		{"世界\x00", "世界", "世界"},
		{"a\u0080b\u009f\u00a0c", "ab\u00a0c", "ab\u00a0c"},
	}
	for _, test := range tests {
		if got := clean(test.in, true); got != test.line {
			t.Errorf("clean(%+q, line) = %+q, want %+q", test.in, got, test.line)
		}
		if got := clean(test.in, false); got != test.text {
			t.Errorf("clean(%+q) = %+q, want %+q", test.in, got, test.text)
		}
	}
}

// Which runes continue a grapheme, at the bounds of each range.
func TestJoins(t *testing.T) {
	for _, test := range []struct {
		prev, r rune
		want    bool
	}{
		{'a', 'b', false}, {'\r', '\n', true}, {'a', '\n', false}, {'\r', 'a', false},
		{'a', 0x2ff, false}, {'a', 0x300, true}, {'a', 0x36f, true}, {'a', 0x370, false},
		{'a', '\u200c', false}, {'a', '\u200d', true}, {'\u200d', 'x', false}, {'\u200d', 0x1F692, true},
		{'a', 0x115f, false}, {'a', 0x1160, true}, {'a', 0x11ff, true}, {'a', 0x1200, false},
		{'a', 0x1f3fa, false}, {'a', 0x1f3fb, true}, {'a', 0x1f3ff, true}, {'a', 0x1f400, false},
		{'a', 0x0903, true}, {'a', 0x20dd, true}, // Mc and Me
	} {
		if got := joins(test.prev, test.r); got != test.want {
			t.Errorf("joins(%U, %U) = %v", test.prev, test.r, got)
		}
	}
	for r, want := range map[rune]bool{0x1F1E5: false, 0x1F1E6: true, 0x1F1FF: true, 0x1F200: false} {
		if regional(r) != want {
			t.Errorf("regional(%U) = %v", r, !want)
		}
	}
	for r, want := range map[rune]int{'a': 1, 0xFFFF: 1, 0x10000: 2} {
		if got := units(r); got != want {
			t.Errorf("units(%U) = %d, want %d", r, got, want)
		}
	}
}

// An ellipsis marks a cut where there is room for four characters; a grapheme that is longer than
// readable text is split.
func TestCutAtTheBounds(t *testing.T) {
	long := "a" + strings.Repeat("\u0301", 100)
	for _, test := range []struct {
		in    string
		limit int
		by    runeSize
		want  string
	}{
		{"abcdef", 3, units, "abc"}, {"abcdef", 4, units, "abc…"}, {"abcdef", 6, units, "abcdef"},
		{"abcdefghijkl", 9, encoded, "abcdefghi"}, {"abcdefghijkl", 10, encoded, "abcdefg…"},
		{"x" + long, 41, units, "x" + long[:1+2*38] + "…"},
		{"x" + long, 34, units, "x…"}, {"x" + long, 35, units, "x" + long[:1+2*32] + "…"},
	} {
		if got := shorten(test.in, test.limit, test.by); got != test.want {
			t.Errorf("shorten(%+q, %d) = %+q, want %+q", test.in, test.limit, got, test.want)
		}
	}
	for r, want := range map[rune]int{'"': 2, '\\': 2, '\n': 2, '\r': 2, '\t': 2, '\b': 2, '\f': 2,
		0: 6, 0x1f: 6, ' ': 1, '~': 1, 0x7f: 1, 0x80: 2, '中': 3, 0x1F600: 4} {
		if got := encoded(r); got != want {
			t.Errorf("encoded(%U) = %d, want %d", r, got, want)
		}
	}
}
