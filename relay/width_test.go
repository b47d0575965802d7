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

// maxWidth is the longest line of Go code and comments, in columns. A tab counts four.
const maxWidth = 100

// wide are the directories that still have longer lines. Their subdirectories are not in it.
var wide = map[string]bool{
	"cmd/guance-relay": true,
	"examples":         true, "examples/embed": true, "examples/routers": true,
	"guance": true, "guance/guancetest": true,
	"internal/mutate": true, "internal/ratewindow": true, "internal/secretfile": true,
	"internal/torn": true,
	"pagerduty":     true, "pagerduty/pagerdutytest": true,
	"relay": true, "relay/internal/schedule": true, "relay/internal/webhook": true,
	"relay/pagerdutysink": true,
}

func TestLineWidth(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		dir, err := filepath.Rel("..", filepath.Dir(path))
		if err != nil || wide[filepath.ToSlash(dir)] {
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
		width := utf8.RuneCountInString(lines.Text()) + 3*strings.Count(lines.Text(), "\t")
		if width > maxWidth {
			t.Errorf("%s:%d has %d columns, more than %d", path, n, width, maxWidth)
		}
	}
	return lines.Err()
}
