package console

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestReason(t *testing.T) {
	for text, want := range map[string]string{
		"failed 60 times within 1h0m0s while the target took other events, last: a\nb": "1h0m0s " +
			"内失败 60 次，期间目标接收了其他事件；最后一次：a\nb",
		"dropped by $1":            "由 $1 丢弃",
		"the store cannot read it": "存储无法读取",
		"no such host":             "no such host",
		"":                         "",
	} {
		if got := chinese.reason(text); got != want {
			t.Errorf("%q in Chinese: %q, want %q", text, got, want)
		}
		if got := english.reason(text); got != text {
			t.Errorf("%q in English: %q", text, got)
		}
	}
}

// Every reason of the table is one that the relay still gives.
func TestReasonsAreTheRelays(t *testing.T) {
	var source strings.Builder
	for _, dir := range []string{"..", "../internal/schedule", "../pagerdutysink"} {
		files, err := fs.Glob(os.DirFS(dir), "*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			source.Write(text)
		}
	}
	store, err := os.ReadFile("../store/event.go")
	if err != nil {
		t.Fatal(err)
	}
	source.Write(store)
	// Texts may be broken into several strings.
	text := regexp.MustCompile(`" \+\s*"`).ReplaceAllString(source.String(), "")
	unquote := regexp.MustCompile(`\\(.)`)
	for _, s := range reasons {
		expression := strings.TrimSuffix(strings.TrimPrefix(s.english.String(), "(?s)^"), "$")
		for part := range strings.SplitSeq(expression, "(.*?)") {
			part = strings.TrimSpace(unquote.ReplaceAllString(part, "$1"))
			if part = strings.TrimPrefix(part, ","); !strings.Contains(text, part) {
				t.Errorf("the relay never says %q, which the table has", part)
			}
		}
	}
}
