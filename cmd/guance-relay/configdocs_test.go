package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/guance-relay/guance-relay/cmd/guance-relay/internal/relayfile"
)

// configPages document the configuration file.
var configPages = []string{"docs/configuration.md", "docs/configuration.zh-CN.md"}

// Each YAML of the pages is a file of testdata/config, all of which load.
func TestConfigurationsOfTheDocs(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	files, err := filepath.Glob("testdata/config/*.yaml")
	if err != nil || len(files) != 4 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, page := range configPages {
		var blocks []string
		for _, m := range block.FindAllStringSubmatch(text(t, page), -1) {
			blocks = append(blocks, m[1])
		}
		if len(blocks) != len(files) {
			t.Errorf("%s has %d configurations, want %d", page, len(blocks), len(files))
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil || !slices.Contains(blocks, string(content)) {
				t.Errorf("%s has not the content of %s (%v)", page, file, err)
			}
		}
	}
}

// Both pages have every field, and no other.
func TestConfigurationFieldsOfTheDocs(t *testing.T) {
	var want []string
	var collect func(t reflect.Type, section string)
	collect = func(t reflect.Type, section string) {
		for t.Kind() == reflect.Map || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		for _, f := range reflect.VisibleFields(t) {
			name := f.Tag.Get("yaml")
			switch {
			case section != "":
				want = append(want, section+" "+name)
			case name == "fallback":
				want = append(want, "fallback ")
			default:
				collect(f.Type, name)
			}
		}
	}
	collect(reflect.TypeFor[relayfile.File](), "")
	row := regexp.MustCompile("(?m)^\\| `([a-z]+)`[^|]*\\| (?:`([a-z_]+)` )?\\| [^|]+ \\|$")
	for _, page := range configPages {
		_, table, _ := strings.Cut(text(t, page), "relay.schema.json")
		var got []string
		for _, m := range row.FindAllStringSubmatch(table, -1) {
			got = append(got, m[1]+" "+m[2])
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s has the fields\n%q, want\n%q", page, got, want)
		}
	}
}
