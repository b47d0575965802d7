package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// clean makes foreign text harmless to read: each run of spaces becomes one, and what is not
// printable, is invisible or changes the direction of text becomes U+FFFD.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if harmless(r) {
			return r
		}
		return unicode.ReplacementChar
	}, strings.Join(strings.Fields(text), " "))
}

// cleanLines is clean for text of several lines.
func cleanLines(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || harmless(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// harmless reports whether a character shows itself and nothing else. Hangul fillers and the empty
// Braille pattern are invisible letters.
func harmless(r rune) bool {
	switch r {
	case 0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800:
		return false
	}
	return unicode.IsPrint(r)
}

// encode returns a value as JSON, in which every character that is not harmless is escaped. So the
// text of strangers does nothing to a terminal either, and a reader gets it unchanged.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b) // escapes <, > and &
	if err := e.Encode(v); err != nil {
		return fmt.Appendf(nil, `{"status":"error","message":%q}`+"\n", err.Error())
	}
	in := b.Bytes()
	out := make([]byte, 0, len(in))
	for len(in) > 0 {
		r, n := utf8.DecodeRune(in)
		switch {
		case r < utf8.RuneSelf || harmless(r):
			out = append(out, in[:n]...)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		in = in[n:]
	}
	return out
}

// asJSON returns a body as it is if it is JSON, and otherwise as a JSON string.
func asJSON(body []byte) json.RawMessage {
	if json.Valid(body) {
		return body
	}
	quoted, _ := json.Marshal(string(body)) // a string has no error
	return quoted
}

// head returns the first n characters of a text.
func head(text string, n int) string {
	r := []rune(text)
	return string(r[:min(len(r), n)])
}
