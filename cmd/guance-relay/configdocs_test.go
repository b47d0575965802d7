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

// guides are the pages about the configuration file, in English and in Chinese.
var guides = [][2]string{
	{configPages[0], configPages[1]},
	{"docs/cookbook.md", "docs/cookbook.zh-CN.md"},
	{"docs/migration.md", "docs/migration.zh-CN.md"},
}

// Both languages of a page have the same commands, and each of them works.
func TestConfigurationCommandsOfTheDocs(t *testing.T) {
	for _, page := range guides {
		t.Run(page[0], func(t *testing.T) {
			list := commands(t, page[0])
			if chinese := commands(t, page[1]); !slices.Equal(list, chinese) {
				t.Errorf("the commands are %q, and in Chinese %q", list, chinese)
			}
			runGuide(t, list)
		})
	}
}

// runGuide runs commands in their order. Targets cannot be reached in a test, so check and send-test
// end with status 1, and not with 2.
func runGuide(t *testing.T, list []string) {
	t.Helper()
	// The targets are on the internet: a proxy that is not there stands for it.
	env := []string{"HTTPS_PROXY=http://127.0.0.1:1"}
	var server *process
	for _, command := range list {
		rest, ours := strings.CutPrefix(command, "go run ./cmd/guance-relay ")
		words := strings.Fields(rest)
		for i, word := range words {
			if strings.HasPrefix(word, "cmd/") || strings.HasPrefix(word, "docs/") {
				words[i] = filepath.Join(root, word)
			}
		}
		switch {
		case strings.HasPrefix(command, "export "):
			env = append(env, strings.TrimPrefix(command, "export "))
		case command == "curl -X POST 127.0.0.1:9090/reload" && server != nil:
			if code, answer := server.ask(t, "POST", "/reload"); code != 200 {
				t.Errorf("%s: %d %s", command, code, answer)
			}
		case ours && words[0] == "-config":
			server = start(t, append(env, "RELAY_CONFIG="+words[1], "RELAY_DATA="+t.TempDir(),
				"RELAY_OPERATOR=127.0.0.1:0")...)
		case ours:
			want := 0
			if words[0] == "check" || words[0] == "send-test" {
				want = 1
			}
			status, out, errs := tool(t, append(env, "CHAT_URL=https://chat.invalid/"), words...)
			if status != want {
				t.Errorf("%s: status %d, want %d\n%s%s", command, status, want, out, errs)
			}
		default:
			t.Errorf("%s is not tested", command)
		}
	}
}
