package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The demonstration of the README.
func TestDemo(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"guance-relay", "-demo"}, &stdout, &stderr, nil); code != 0 {
		t.Fatalf("exit %d: %s", code, &stderr)
	}
	for _, want := range []string{"curl ", "/console/\n", "incident opened: critical",
		"incident resolved after", "The incident was opened and resolved."} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the demonstration does not say %q:\n%s", want, &stdout)
		}
	}
}

// A storm of a tenth of the events of -storm, with five times its budget: new critical problems get
// their incidents, repeats are superseded, and the predictions are compared with what happened.
func TestDemoStorm(t *testing.T) {
	t.Parallel() // it mostly waits
	var stdout, stderr bytes.Buffer
	out, log := newLogWriter(&stdout), newLogWriter(&stderr)
	args := []string{"guance-relay", "-demo", "-storm", "-pagerduty-per-minute", "600"}
	c, err := parse(t.Context(), args, func(string) string { return "" }, &stdout, &stderr)
	if err != nil || c.storm != stormEvents {
		t.Fatalf("-storm is a storm of %d events, %v", c.storm, err)
	}
	c.storm = 200
	err = demonstrate(within(t, stopTime), c, out, log)
	out.close()
	log.close()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("the storm ends with %v, and says %q; want neither\n%s", err, &stderr, &stdout)
	}
	said := stdout.String()
	news := regexp.MustCompile(`critical problem .* opened after .*; \d+ requests`).
		FindAllString(said, -1)
	superseded := regexp.MustCompile(`200 reported, 0 waiting, \d+ sent, (\d+) superseded`).
		FindStringSubmatch(said)
	compared := regexp.MustCompile(`for (\d+) events: median error [\d.]+ %`).FindStringSubmatch(said)
	if len(news) != stormNew || superseded == nil || compared == nil {
		t.Fatalf("the storm has no result:\n%s", said)
	}
	if count(t, superseded[1]) == 0 || count(t, compared[1]) == 0 {
		t.Errorf("nothing was superseded, or no prediction was compared:\n%s", said)
	}
}

func count(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// With -keep the console stays until Ctrl-C, which is status 0 also in the middle of a storm.
func TestDemoKeep(t *testing.T) {
	for name, flags := range map[string][]string{
		"after the fault": {"-demo", "-keep"}, "in a storm": {"-demo", "-keep", "-storm"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it mostly waits
			keepDemo(t, flags, map[string]string{"after the fault": "stays at",
				"in a storm": "s: "}[name])
		})
	}
}

// keepDemo starts a demonstration, looks at its console after it has said something, and ends it.
func keepDemo(t *testing.T, flags []string, after string) {
	t.Helper()
	cmd := exec.CommandContext(within(t, stopTime), os.Args[0], flags...)
	cmd.Env = append(os.Environ(), "SERVER_UNDER_TEST=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address, said := "", false
	for lines := bufio.NewScanner(stdout); !said && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "Console, ") {
			address = lines.Text()[strings.Index(lines.Text(), "http"):]
		}
		said = strings.Contains(lines.Text(), after)
	}
	if !said || address == "" {
		t.Fatalf("%v: the console is at %q, and %q was said: %v\n%s", flags, address, after, said,
			&stderr)
	}
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !bytes.Contains(page, []byte("pagerduty")) {
		t.Errorf("the console: %s, %v\n%s", resp.Status, err, page)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, stdout); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v ends with %v and says %q, want exit 0 and nothing", flags, err, &stderr)
	}
}

// A flag of the demonstration that would do nothing is an error.
func TestDemoFlags(t *testing.T) {
	for _, args := range []string{"-keep", "-storm", "-nodes 1", "-nodes 3", "-keep check -config x",
		"-demo -storm -nodes 2", "-demo -keep -nodes 3", "-demo -nodes 0",
		"-demo -pagerduty-per-minute 0"} {
		var stdout, stderr bytes.Buffer
		given := append([]string{"guance-relay"}, strings.Fields(args)...)
		code := run(t.Context(), given, &stdout, &stderr, nil)
		name, _, _ := strings.Cut(strings.TrimPrefix(args, "-demo "), " ")
		if code != 2 || strings.Count(stderr.String(), "\n") != 1 ||
			!strings.Contains(stderr.String(), name) {
			t.Errorf("%s: exit %d, %q; want 2 and one line about %s", args, code, &stderr, name)
		}
	}
}
