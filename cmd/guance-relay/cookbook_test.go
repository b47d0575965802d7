package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each recipe of the cookbook, below the lanes of the page that it names, is a valid file, and does
// what the cases after it say. Both languages have the same recipes. The files of docs/cookbook
// have the first one.
func TestCookbook(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	english := block.FindAllStringSubmatch(text(t, "docs/cookbook.md"), -1)
	chinese := block.FindAllStringSubmatch(text(t, "docs/cookbook.zh-CN.md"), -1)
	if len(english) < 3 || len(english)%2 != 1 || len(chinese) != len(english) {
		t.Fatalf("%d and %d blocks, want one of lanes, and two for each recipe", len(english),
			len(chinese))
	}
	lanes := english[0][1]
	env := exampleEnvironment(t)
	for i, b := range english {
		if b[1] != chinese[i][1] {
			t.Errorf("the Chinese page has another block than\n%s", b[1])
		}
		if i%2 == 0 {
			continue
		}
		dir := t.TempDir()
		config, cases := filepath.Join(dir, "relay.yaml"), filepath.Join(dir, "cases.yaml")
		file := named(lanes, b[1]) + "\n" + b[1]
		write(t, config, file)
		write(t, cases, english[i+1][1])
		status, out, errs := tool(t, env, "routes", "test", "-config", config, cases)
		if status != 0 || strings.HasPrefix(out, "0 cases") {
			t.Errorf("%s\nstatus %d\n%s%s", b[1], status, out, errs)
		}
		if i == 1 && (text(t, "docs/cookbook/relay.yaml") != file ||
			text(t, "docs/cookbook/cases.yaml") != english[2][1]) {
			t.Error("docs/cookbook has not the lanes and the first recipe of the page")
		}
	}
}

// named returns the sources, and those lanes that a recipe names.
func named(lanes, recipe string) string {
	lane := regexp.MustCompile("(?m)^  ([a-z]+):\n(    .*\n)+")
	sources, rest, _ := strings.Cut(lanes, "lanes:\n")
	return sources + "lanes:\n" + lane.ReplaceAllStringFunc(rest, func(text string) string {
		name := lane.FindStringSubmatch(text)[1]
		if regexp.MustCompile(`(lanes: \[|, |fallback: )` + name + `\b`).MatchString(recipe) {
			return text
		}
		return ""
	})
}

// exampleEnvironment returns the variables that the cookbook exports.
func exampleEnvironment(t *testing.T) (env []string) {
	t.Helper()
	for _, command := range commands(t, "docs/cookbook.md") {
		if variable, ok := strings.CutPrefix(command, "export "); ok {
			env = append(env, variable)
		}
	}
	return env
}
