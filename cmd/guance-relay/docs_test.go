package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay/pgstore/pgtest"
)

// root is the directory where the commands of the documents work.
const root = "../.."

// pages are the documents with commands, in English and in Chinese.
var pages = [][2]string{
	{"README.md", "README.zh-CN.md"},
	{"docs/operations.md", "docs/operations.zh-CN.md"},
	{"docs/getting-started.md", "docs/getting-started.zh-CN.md"},
	{"docs/configuration.md", "docs/configuration.zh-CN.md"},
	{"docs/cookbook.md", "docs/cookbook.zh-CN.md"},
	{"docs/migration.md", "docs/migration.zh-CN.md"},
}

// environmentOnly are the settings without a flag: process lists show flags.
var environmentOnly = []string{
	"PAGERDUTY_ROUTING_KEY", "PAGERDUTY_ROUTING_KEY_FILE", "RELAY_BASIC", "RELAY_STORE",
}

// demoFlags are the flags of the demonstration, which reads no environment.
var demoFlags = []string{"demo", "keep", "storm", "nodes"}

// Both operators' pages have every variable, flag and default of the server, and no other.
func TestDocsHaveEverySetting(t *testing.T) {
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
		} else if name := f.Names()[0]; !slices.Contains(demoFlags, name) {
			t.Errorf("-%s has the variables %q, want one", f.Names()[0], env)
		}
	}
	for _, env := range environmentOnly {
		defaults[env+" "] = ""
	}
	for page, none := range map[string]string{pages[1][0]: "none", pages[1][1]: "无"} {
		documented := documentedSettings(t, page, none)
		for setting, value := range defaults {
			if got, ok := documented[setting]; !ok || got != value {
				t.Errorf("%s: %s has the default %q (documented: %v), want %q",
					page, setting, got, ok, value)
			}
		}
		for setting := range documented {
			if _, ok := defaults[setting]; !ok {
				t.Errorf("%s has %s, which the server has not", page, setting)
			}
		}
	}
}

// documentedSettings reads the table of settings: defaults by "VARIABLE -flag".
func documentedSettings(t *testing.T, page, none string) map[string]string {
	t.Helper()
	code := regexp.MustCompile("`([^`]+)`")
	documented := make(map[string]string)
	for line := range strings.Lines(text(t, page)) {
		if !regexp.MustCompile("^\\| `(RELAY|PAGERDUTY|LOG)_").MatchString(line) {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) != 4 {
			t.Fatalf("%s: %q has %d cells, want 4", page, line, len(cells))
		}
		var flags []string
		if !strings.HasPrefix(cells[1], "–") {
			flags = code.FindAllString(cells[1], -1)
		}
		values := strings.Split(cells[2], ", ")
		// The meaning may name a variable too.
		for i, env := range code.FindAllString(cells[0]+cells[3], -1) {
			env = strings.Trim(env, "`")
			if env != strings.ToUpper(env) || !strings.Contains(env, "_") {
				continue
			}
			flag, value := "", ""
			if i < len(flags) {
				flag, value = strings.Trim(flags[i], "`"), strings.Trim(values[i], "`")
			}
			documented[env+" "+flag] = strings.TrimPrefix(value, none)
		}
	}
	return documented
}

// The English and the Chinese page give the same commands, and each of them works, in their order.
func TestDocsCommands(t *testing.T) {
	for _, page := range pages {
		t.Run(page[0], func(t *testing.T) {
			list := commands(t, page[0])
			if chinese := commands(t, page[1]); !slices.Equal(list, chinese) {
				t.Errorf("%s has the commands %q, %s %q", page[0], list, page[1], chinese)
			}
			var s shell
			for _, command := range list {
				s.run(t, command)
			}
		})
	}
}

// A shell runs the commands of a page. The servers and subcommands are those of the test binary,
// with the page's environment, but ports of their own.
type shell struct {
	env    []string
	server *process // the last one started
	dir    string   // of backups
}

func (s *shell) run(t *testing.T, command string) {
	t.Helper()
	kind, rest, _ := strings.Cut(command, " ")
	words := strings.Fields(rest)
	ours := strings.HasPrefix(command, "go run ./cmd/guance-relay")
	switch {
	case command == "make test": // this test is a part of it
	case strings.HasSuffix(command, "-nodes 3") && !pgtest.Installed() &&
		os.Getenv("RELAY_TEST_POSTGRES") != "required":
		t.Logf("NOT RUN, as PostgreSQL is not installed: %s", command)
	case ours && strings.HasSuffix(command, " -keep"): // until Ctrl-C
		keepDemo(t, words[2:], "reported")
	case kind == "export":
		s.env = append(s.env, rest)
	case ours && len(words) == 2:
		s.server = startAsShown(t, s.env)
	case kind == "curl":
		if s.server == nil {
			t.Fatalf("%s comes before the start of a server", command)
		}
		runCurl(t, s.server, rest)
	case ours && (words[2] == "backup" || slices.Contains(words, "restore")):
		s.runBackup(t, words[2:])
	case ours && words[2] != "-demo":
		s.runWithFile(t, words[2:])
	default:
		cmd := exec.CommandContext(t.Context(), kind, words...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
}

// runBackup runs backup of the page's server, or restore, with files in a directory of its own.
func (s *shell) runBackup(t *testing.T, words []string) {
	t.Helper()
	if s.dir == "" {
		s.dir = t.TempDir()
	}
	for i, word := range words {
		if word == "relay-backup.db" || word == "restored-data" {
			words[i] = filepath.Join(s.dir, word)
		}
	}
	env := []string{"RELAY_OPERATOR=" + strings.TrimPrefix(s.server.operator(t), "http://")}
	if status, out, errs := tool(t, env, words...); status != 0 {
		t.Errorf("%q: status %d\n%s%s", words, status, out, errs)
	}
}

// Each YAML of the operations pages is a part of a configuration, and the same in both.
func TestConfigurationsOfOperations(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	parts := block.FindAllString(text(t, pages[1][0]), -1)
	if chinese := block.FindAllString(text(t, pages[1][1]), -1); !slices.Equal(parts, chinese) ||
		len(parts) == 0 {
		t.Fatalf("the pages have %q and %q", parts, chinese)
	}
	for _, part := range parts {
		file := filepath.Join(t.TempDir(), "relay.yaml")
		part = strings.TrimSuffix(strings.TrimPrefix(part, "```yaml\n"), "```")
		write(t, file, "sources: {default: {tokens: [env:TOKEN]}}\nlanes: {oncall: {type: log}}\n"+part)
		status, out, errs := tool(t, []string{"RELAY_CONFIG=" + file, "TOKEN=" + token,
			"HEARTBEAT_URL=https://switch.invalid/ping"}, "check")
		if status != 0 {
			t.Errorf("%s: status %d\n%s%s", part, status, out, errs)
		}
	}
}

// runWithFile runs a subcommand, or starts a server, with a configuration file. Its targets are on
// the internet, and cannot be reached: check and send-test end with status 1, and not with 2.
func (s *shell) runWithFile(t *testing.T, words []string) {
	t.Helper()
	// A proxy that is not there stands for the internet.
	env := append(slices.Clone(s.env), "HTTPS_PROXY=http://127.0.0.1:1")
	for i, word := range words {
		if strings.HasPrefix(word, "cmd/") || strings.HasPrefix(word, "docs/") {
			words[i] = filepath.Join(root, word)
		}
	}
	if words[0] == "-config" {
		s.server = start(t, append(env, "RELAY_CONFIG="+words[1], "RELAY_DATA="+t.TempDir(),
			"RELAY_OPERATOR=127.0.0.1:0")...)
		return
	}
	want := 0
	if words[0] == "check" || words[0] == "send-test" {
		want = 1
	}
	status, out, errs := tool(t, append(env, "CHAT_URL=https://chat.invalid/"), words...)
	if status != want {
		t.Errorf("%q: status %d, want %d\n%s%s", words, status, want, out, errs)
	}
}

// commands returns the commands of a page, without their comments.
func commands(t *testing.T, page string) (list []string) {
	t.Helper()
	block := regexp.MustCompile("(?s)```sh\n(.*?)```")
	for _, m := range block.FindAllStringSubmatch(text(t, page), -1) {
		for line := range strings.Lines(m[1]) {
			command, _, _ := strings.Cut(line, " #")
			list = append(list, strings.TrimSpace(command))
		}
	}
	if len(list) < 4 {
		t.Fatalf("%s has the commands %q, want some more", page, list)
	}
	return list
}

// startAsShown starts a server and waits until it is ready. Its PagerDuty refuses the sample: the
// operator's calls find a dead letter.
func startAsShown(t *testing.T, env []string) *process {
	t.Helper()
	pd := pagerdutytest.NewServer()
	t.Cleanup(pd.Close)
	poison(pd, sampleProblem)
	env = append(slices.Clone(env), "RELAY_DATA="+t.TempDir(), "PAGERDUTY_URL="+pd.URL)
	for i, variable := range env {
		if strings.HasPrefix(variable, "RELAY_OPERATOR=") {
			env[i] = "RELAY_OPERATOR=127.0.0.1:0"
		}
	}
	p := start(t, env...)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		code, body := p.get(t, "/readyz") // 503 until the lane runs
		if code == http.StatusOK {
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server is not ready: %d %s", code, body)
		}
	}
}

// runCurl does what a curl command line says, as far as the documents need it.
func runCurl(t *testing.T, p *process, line string) {
	t.Helper()
	const webhookHost, operatorHost = "127.0.0.1:8080", "127.0.0.1:9090"
	var words []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(part)...)
		if strings.ContainsAny(part, "?&;") {
			t.Errorf("curl %s: a shell would interpret the URL", line)
		}
	}
	method, url, want := http.MethodGet, "", http.StatusOK
	var body []byte
	header := make(http.Header)
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		if path, ok := strings.CutPrefix(word, webhookHost); ok {
			url = p.url + path
			continue
		}
		if path, ok := strings.CutPrefix(word, operatorHost); ok {
			if strings.Contains(path, "seq=") {
				p.dead(t, 1) // the letter comes back after a replay
			}
			url = p.operator(t) + path
			continue
		}
		if len(words) == 0 {
			t.Fatalf("curl %s: unexpected %q", line, word)
		}
		switch value := words[0]; word {
		case "-X":
			method = value
		case "-H":
			name, content, _ := strings.Cut(value, ": ")
			header.Set(name, content)
		case "--data-binary":
			var err error
			body, err = os.ReadFile(filepath.Join(root, strings.TrimPrefix(value, "@")))
			if err != nil {
				t.Fatal(err)
			}
			method, want = http.MethodPost, http.StatusAccepted
		default:
			t.Fatalf("curl %s: unexpected %q", line, word)
		}
		words = words[1:]
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != want {
		t.Errorf("curl %s: %s %s, %v; want %d", line, resp.Status, answer, err, want)
	}
}

func text(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
