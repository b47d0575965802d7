package relay_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The promise is one text: a reader of the README and a reader of the package have the same word.
func TestPromiseIsOneText(t *testing.T) {
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	lines := func(text string) []string {
		text = strings.NewReplacer("*", "", "// ", "", "//", "", "\n", " ").Replace(text)
		text = regexp.MustCompile(` +`).ReplaceAllString(text, " ")
		return regexp.MustCompile(`\b[1-9]\. [A-Z]`).Split(text, -1)
	}
	between := func(text, from, to string) string {
		_, text, ok := strings.Cut(text, from)
		text, _, end := strings.Cut(text, to)
		if !ok || !end {
			t.Fatalf("no text between %q and %q", from, to)
		}
		return text
	}
	doc := lines(between(read("doc.go"), "# The promise", "At-least-once"))
	readme := lines(between(read("../README.md"), "## The promise", "At-least-once"))
	if len(doc) != 10 || len(readme) != 10 {
		t.Fatalf("%d and %d parts, want a heading and nine promises", len(doc), len(readme))
	}
	for i := range doc {
		if strings.TrimSpace(doc[i]) != strings.TrimSpace(readme[i]) {
			t.Errorf("promise %d reads\n%s\nin the package and\n%s\nin the README", i, doc[i], readme[i])
		}
	}
	chinese := between(read("../README.zh-CN.md"), "## 承诺", "## ")
	if n := len(regexp.MustCompile(`(?m)^[1-9]\. \*\*`).FindAllString(chinese, -1)); n != 9 {
		t.Errorf("the Chinese README has %d promises, want nine", n)
	}
}
