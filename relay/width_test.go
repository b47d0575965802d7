package relay_test

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// maxWidth is the longest line of Go code and comments, in characters. A tab counts as one.
const maxWidth = 100

// Lines of data cannot be broken without harm: a raw string, a struct tag, JSON in an Output. The
// table of mutations holds such lines only.
func isData(path, line string) bool {
	return strings.ContainsAny(line, "`") || strings.Contains(line, `{"`) ||
		filepath.Base(path) == "table.go" && strings.Contains(path, "mutate")
}

func TestLineWidth(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		return checkWidth(t, path)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkWidth(t *testing.T, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		width := utf8.RuneCountInString(lines.Text())
		if width > maxWidth && !isData(path, lines.Text()) {
			t.Errorf("%s:%d has %d characters, more than %d", path, n, width, maxWidth)
		}
	}
	return lines.Err()
}
