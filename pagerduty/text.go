package pagerduty

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const ellipsis = "…"

// A runeSize returns the size of one rune.
type runeSize func(r rune) int

// units counts UTF-16 code units. PagerDuty's limits are in "characters", which it does not define.
// A text has at least as many units as runes, so it fits under both meanings.
func units(r rune) int {
	if r > 0xFFFF {
		return 2
	}
	return 1
}

// encoded counts the bytes that the encoder writes for a rune of valid UTF-8, without escapes for
// HTML.
func encoded(r rune) int {
	switch {
	case r == '"' || r == '\\' || r == '\n' || r == '\r' || r == '\t' || r == '\b' || r == '\f':
		return 2
	case r < 0x20:
		return 6
	}
	return utf8.RuneLen(r)
}

func measure(s string, by runeSize) int {
	n := 0
	for _, r := range s {
		n += by(r)
	}
	return n
}

// shorten cuts s to a size of at most limit. An ellipsis marks the cut if limit is at least four
// characters.
func shorten(s string, limit int, by runeSize) string {
	if measure(s, by) <= limit {
		return s
	}
	room := by('…')
	if limit <= 3*room {
		return head(s, limit, by)
	}
	return head(s, limit-room, by) + ellipsis
}

// shortenBytes cuts s to at most limit bytes of UTF-8. An ellipsis marks the cut, or dots if limit
// has no room for it.
func shortenBytes(s string, limit int) string {
	switch {
	case len(s) <= limit:
		return s
	case limit < len(ellipsis):
		return strings.Repeat(".", max(limit, 0))
	}
	return head(s, limit-len(ellipsis), utf8.RuneLen) + ellipsis
}

// maxJoined limits how far head goes back for the start of a grapheme. Longer graphemes are not
// readable text.
const maxJoined = 32

// head returns the longest beginning of s with a size of at most room. It does not split runes. It
// does not split graphemes either, where they are cheap to find.
func head(s string, room int, by runeSize) string {
	end, joined := 0, 0
	var prev rune
	flags := 0 // number of regional indicators in a row
	for i, r := range s {
		switch {
		case i == 0:
		case joins(prev, r) || regional(prev) && regional(r) && flags%2 == 1:
			joined++
			if joined > maxJoined {
				end = i
			}
		default:
			end, joined = i, 0
		}
		if regional(r) {
			flags++
		} else {
			flags = 0
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		if room -= by(r); room < 0 {
			if end == 0 && joined > 0 {
				end = i // one grapheme is larger than room: split it
			}
			return s[:end]
		}
		prev = r
		if i+size == len(s) {
			return s
		}
	}
	return s
}

// joins reports whether r continues the grapheme of prev: combining marks, variation selectors,
// skin tones, joined emoji and Hangul.
func joins(prev, r rune) bool {
	const zeroWidthJoiner = '\u200d'
	switch {
	case r < 0x300:
		return prev == '\r' && r == '\n'
	case r == zeroWidthJoiner || prev == zeroWidthJoiner:
		return true
	case 0x1F3FB <= r && r <= 0x1F3FF: // skin tones
		return true
	case 0x1160 <= r && r <= 0x11FF: // Hangul vowels and finals
		return true
	}
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc)
}

func regional(r rune) bool { return 0x1F1E6 <= r && r <= 0x1F1FF }

// clean returns s as valid UTF-8 without control characters. line: tabs and line breaks become
// spaces.
func clean(s string, line bool) string {
	if isClean(s, line) {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			if line {
				return ' '
			}
			return r
		case unicode.IsControl(r):
			return -1
		}
		return r // strings.Map replaces an invalid byte by U+FFFD
	}, s)
}

// isClean is a fast check of bytes that clean would change nothing. Control characters are those of
// ASCII, and U+0080 to U+009F, which UTF-8 writes as C2 and a byte below A0.
func isClean(s string, line bool) bool {
	wide := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= utf8.RuneSelf:
			wide = true
			if c == 0xC2 && i+1 < len(s) && s[i+1] < 0xA0 {
				return false
			}
		case c < 0x20 || c == 0x7f:
			if line || c != '\n' && c != '\r' && c != '\t' {
				return false
			}
		}
	}
	return !wide || utf8.ValidString(s)
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }
