package secretfile

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// wide returns text in UTF-16, little or big endian.
func wide(text string, big bool) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		if big {
			b = append(b, byte(unit>>8), byte(unit))
		} else {
			b = append(b, byte(unit), byte(unit>>8))
		}
	}
	return string(b)
}

func TestReport14FilesOfSecrets(t *testing.T) {
	const bom = "\ufeff"
	two := []string{"first", "second"}
	tests := map[string]struct {
		text string
		want []string
		says string // of the error
	}{
		"plain":                    {"first\nsecond\n", two, ""},
		"no end of line":           {"first\nsecond", two, ""},
		"Windows":                  {"first\r\n\r\nsecond\r\n", two, ""},
		"old Mac":                  {"first\rsecond\r", two, ""},
		"white space":              {"\n \tfirst \n\n  second\t", two, ""},
		"comments":                 {"# who: ops\nfirst\n  # indented\nsecond\n#", two, ""},
		"a hash inside":            {"fir#st", []string{"fir#st"}, ""},
		"not ASCII":                {"密钥", []string{"密钥"}, ""},
		"byte order mark":          {bom + "first\nsecond", two, ""},
		"byte order mark, comment": {bom + "# comment\nfirst\nsecond", two, ""},
		"UTF-16, little endian":    {wide(bom+"first\r\nsecond\r\n", false), two, ""},
		"UTF-16, big endian":       {wide(bom+"# x\nfirst\nsecond", true), two, ""},
		"UTF-16 without a mark": {wide("first\nsecond", false), nil,
			"UTF-16 without a byte order mark"},
		"UTF-16 without a mark, big": {wide("first\nsecond", true), nil,
			"UTF-16 without a byte order mark"},
		"UTF-16, half a character": {wide(bom+"first", false) + "x", nil, "UTF-8"},
		"UTF-32":                   {"\xff\xfe\x00\x00f\x00\x00\x00", nil, "zero bytes"},
		"Latin-1":                  {"pass\xe9", nil, "UTF-8"},
		"a comment behind":         {"first\r\nsecond # of the bridge", nil, "line 2"},
		"a mark in the middle":     {"first\n" + bom + "second", nil, "line 2"},
		"an escape":                {"fir\x1bst", nil, "line 1"},
		"empty":                    {"", nil, "no secret"},
		"a mark alone":             {bom, nil, "no secret"},
		"blank":                    {" \r\n\t\n", nil, "no secret"},
		"comments alone":           {"# first\n# second", nil, "no secret"},
		"too large": {"first\n" + strings.Repeat("#", 1000), nil,
			"more than 1000 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := Lines(path, 1000)
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
			if test.says == "" && err != nil || test.says != "" &&
				(err == nil || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("error %v, want one with %q", err, test.says)
			}
			if err != nil && (!strings.Contains(err.Error(), path) ||
				strings.Contains(err.Error(), "first")) {
				t.Errorf("error %q: want the path, and nothing of what the file holds", err)
			}
		})
	}
}

func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "none"), os.DevNull} {
		if got, err := Lines(path, 1000); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %q, %v; want an error that names it", path, got, err)
		}
	}
}
