package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v3"
)

var readmes = map[string]string{
	"README.md":       "none",
	"README.zh-CN.md": "无",
} // and how each says that there is no default

// secretsOnly are what the environment alone has: process lists show flags.
var secretsOnly = []string{"PAGERDUTY_ROUTING_KEY", "PAGERDUTY_ROUTING_KEY_FILE", "RELAY_BASIC"}

// Both READMEs have every variable, flag and default that the server has, and no other.
func TestReadmesHaveEverySetting(t *testing.T) {
	defaults := make(map[string]string) // by "VARIABLE -flag"
	for _, f := range (&config{getenv: os.Getenv}).flags() {
		named, ok := f.(interface {
			cli.Flag
			cli.DocGenerationFlag
		})
		if !ok {
			t.Fatalf("%v does not document itself", f)
		}
		if env := named.GetEnvVars(); len(env) == 1 {
			defaults[env[0]+" -"+f.Names()[0]] = fmt.Sprint(f.Get())
		} else if f.Names()[0] != "demo" {
			t.Errorf("-%s has the variables %q, want one", f.Names()[0], env)
		}
	}
	for _, env := range secretsOnly {
		defaults[env+" "] = ""
	}
	code := regexp.MustCompile("`([^`]+)`")
	for name, none := range readmes {
		told := make(map[string]string)
		for _, row := range rows(t, name) {
			var flags []string
			if !strings.HasPrefix(row[1], "–") {
				flags = code.FindAllString(row[1], -1)
			}
			values := strings.Split(row[2], ", ")
			for i, env := range code.FindAllString(row[0]+row[3], -1) { // a meaning may name a variable too
				if env = strings.Trim(env, "`"); env != strings.ToUpper(env) || !strings.Contains(env, "_") {
					continue
				}
				flag, value := "", ""
				if i < len(flags) {
					flag, value = strings.Trim(flags[i], "`"), strings.Trim(values[i], "`")
				}
				told[env+" "+flag] = strings.TrimPrefix(value, none)
			}
		}
		for setting, value := range defaults {
			if got, ok := told[setting]; !ok || got != value {
				t.Errorf("%s says of %s: default %q (is there: %v), want %q", name, setting, got, ok, value)
			}
		}
		for setting := range told {
			if _, ok := defaults[setting]; !ok {
				t.Errorf("%s has %s, which the server has not", name, setting)
			}
		}
	}
}

// rows are the cells of the table of settings.
func rows(t *testing.T, readme string) (found [][]string) {
	t.Helper()
	for line := range strings.Lines(text(t, readme)) {
		if strings.HasPrefix(line, "| `RELAY_") || strings.HasPrefix(line, "| `PAGERDUTY_") ||
			strings.HasPrefix(line, "| `LOG_") {
			cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			if len(cells) != 4 {
				t.Fatalf("%s: %q has %d cells", readme, line, len(cells))
			}
			found = append(found, cells)
		}
	}
	if len(found) < 10 {
		t.Fatalf("%s: the table of settings has %d rows", readme, len(found))
	}
	return found
}

func text(t *testing.T, readme string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + readme)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Both READMEs give the same commands, and each of them works as it stands, at the root of the repository. Those for an operator need a
// server, and have a test of their own.
func TestReadmesCommands(t *testing.T) {
	for _, command := range commands(t) {
		if command == "go test work" || strings.HasPrefix(command, "curl ") {
			continue // this test is a part of it; TestReadmesOperatorCommands
		}
		words := strings.Fields(command)
		cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
		cmd.Dir = "../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
}

// commands are those that the READMEs show.
func commands(t *testing.T) (shown []string) {
	t.Helper()
	for name := range readmes {
		var here []string
		for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text(t, name), -1) {
			here = append(here, strings.Split(strings.TrimSpace(block[1]), "\n")...)
		}
		if shown != nil && !slices.Equal(shown, here) {
			t.Errorf("one README has the commands %q, the other %q", shown, here)
		}
		shown = here
	}
	if len(shown) < 2 {
		t.Fatalf("the READMEs have the commands %q", shown)
	}
	return shown
}
