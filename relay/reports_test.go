package relay_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every test of a report from the field is in the table of docs/guarantees.md, and every one that
// is in the table exists.
func TestReportsAreInTheGuarantees(t *testing.T) {
	doc, err := os.ReadFile("../docs/guarantees.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, name := range regexp.MustCompile("`[a-z-]+\\.TestReport\\d+\\w*`").FindAllString(string(doc),
		-1) {
		listed[strings.Trim(name, "`")] = true
	}
	found := make(map[string]bool)
	test := regexp.MustCompile(`(?m)^func (TestReport\d+\w*)\(`)
	err = filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range test.FindAllSubmatch(source, -1) {
			found[filepath.Base(filepath.Dir(path))+"."+string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("no test of a report was found")
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if !listed[name] {
			t.Errorf("docs/guarantees.md does not list %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		if !found[name] {
			t.Errorf("docs/guarantees.md lists %s, which does not exist", name)
		}
	}
}
