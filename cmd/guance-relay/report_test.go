package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// A server goes on when nobody reads its log. Each case takes the reader away after the line that
// says where the server listens.
func TestReport09And10ServerWithoutAReader(t *testing.T) {
	tests := []struct {
		name string
		fill bool // the pipe is full and nobody reads it; else its reader is gone
	}{
		{"the reader of stderr goes away", false},
		{"nobody reads stderr, and it is full", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // it mostly waits
			pd := pagerdutytest.NewServer()
			defer pd.Close()
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = write.Close() })
			p := startOn(t, exec.Command(os.Args[0]), read, write, "RELAY_DATA="+t.TempDir(),
				"PAGERDUTY_URL="+pd.URL, "PAGERDUTY_PER_MINUTE=6000",
				"LOG_LEVEL=debug")
			if test.fill {
				fill(t, read, write)
			} else if err := read.Close(); err != nil {
				t.Fatal(err)
			}

			ill := make(chan struct{})
			go func() { // a client without a token, which can cause any number of log lines
				defer close(ill)
				for range 300 {
					if resp, err := http.Get(p.url + "/guance?token=wrong;x"); err == nil {
						_ = resp.Body.Close()
					}
				}
			}()
			var problems []*guancetest.Problem
			for i := range 50 {
				problem := guancetest.NewProblem("disk", "n", fmt.Sprint(i))
				problems = append(problems, problem)
				p.post(t, string(problem.Fault(guance.LevelCritical).Raw))
			}
			for _, problem := range problems {
				if err := pd.WaitOpen(within(t, time.Minute),
					problem.Fault(guance.LevelCritical).ProblemKey()); err != nil {
					t.Fatalf("a webhook that was answered with 202 is not sent: %v", err)
				}
			}
			<-ill
			code, body := p.get(t, "/readyz")
			if code != http.StatusOK {
				t.Errorf("readyz: %d %s, want 200", code, body)
			}
			if !test.fill && !strings.Contains(body, "log cannot be written") {
				t.Errorf("readyz does not say that the log cannot be written: %s", body)
			}
			if err := p.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- p.Wait() }()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("SIGTERM: %v, want exit 0", err)
				}
			case <-time.After(stopTime):
				t.Errorf("SIGTERM does not end the server within %v", stopTime)
			}
		})
	}
}

// startOn starts a server whose stderr is a pipe, and reads it up to the line that says where it
// listens.
func startOn(t *testing.T, cmd *exec.Cmd, read, write *os.File, env ...string) *process {
	t.Helper()
	p := &process{Cmd: cmd, listening: make(chan struct{})}
	p.Env = append(serverEnv(), env...)
	p.Stderr = write
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() }) // it may be gone
	if err := read.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 1); p.url == ""; {
		if _, err := read.Read(b); err != nil {
			t.Fatalf("the server does not listen: %v: %s", err, p.output())
		}
		_, _ = p.Write(b) // it never fails
	}
	return p
}

// fill keeps a pipe full until the test ends.
func fill(t *testing.T, read, write *os.File) {
	t.Helper()
	filled := make(chan struct{})
	go func() {
		defer close(filled)
		_, _ = write.Write(make([]byte, 16<<20)) // never ends well: nobody reads
	}()
	t.Cleanup(func() {
		_ = read.Close() // ends the write
		<-filled
	})
}

// A stdout without a reader does not change the exit status.
func TestReport09OutputIsGone(t *testing.T) {
	for name, args := range map[string][]string{"help": {"-h"}, "demo": {"-demo"},
		"a bad configuration": {"-max-body", "x"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it mostly waits
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := read.Close(); err != nil {
				t.Fatal(err)
			}
			defer write.Close()
			cmd := exec.CommandContext(within(t, time.Minute), os.Args[0], args...)
			cmd.Env, cmd.Stdout, cmd.Stderr = []string{"SERVER_UNDER_TEST=1"}, write, write
			_ = cmd.Run() // its status is looked at below
			want := 0
			if name == "a bad configuration" {
				want = 2
			}
			if got := cmd.ProcessState.ExitCode(); got != want {
				t.Errorf("exit %d (%v), want %d", got, cmd.ProcessState, want)
			}
		})
	}
}

// -demo starts the demonstration, whatever the environment holds.
func TestReport15DemonstrationFromAnyEnvironment(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, env := range map[string][]string{
		"nothing": nil,
		"a real configuration": {"PAGERDUTY_ROUTING_KEY=" + routingKey32, "RELAY_TOKENS=" + token,
			"PAGERDUTY_REGION=eu", "RELAY_DATA=" + blocked,
			"RELAY_LISTEN=192.0.2.1:80", "RELAY_OPERATOR=192.0.2.1:81", "RELAY_BASIC=x",
			"RELAY_ALLOW=192.0.2.0/24", "LOG_FORMAT=json"},
		"set and empty": {"PAGERDUTY_ROUTING_KEY=", "RELAY_TOKENS=", "RELAY_MAX_BODY=", "RELAY_NO_AUTH=",
			"LOG_LEVEL=", "RELAY_LISTEN="},
		"broken": {"PAGERDUTY_ROUTING_KEY=x", "RELAY_MAX_BODY=many", "RELAY_NO_AUTH=perhaps",
			"LOG_LEVEL=loud", "PAGERDUTY_URL=:", "PAGERDUTY_ROUTING_KEY_FILE=/none",
			"RELAY_TOKENS_FILE=/none"},
		"proxies": {"HTTP_PROXY=http://user:pa%ss@proxy.example:99999",
			"HTTPS_PROXY=http://127.0.0.1:1", "ALL_PROXY=x:y", "NO_PROXY="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it mostly waits
			cmd := exec.CommandContext(within(t, time.Minute), os.Args[0], "-demo")
			cmd.Env = append([]string{"SERVER_UNDER_TEST=1"}, env...)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "The incident was opened and resolved.") {
				t.Errorf("%v:\n%s", err, out)
			}
		})
	}
}

// Nothing but -demo starts the demonstration: a missing setting is status 2 and one line that names
// the setting and -demo.
func TestReport15MissingSecretsAreFatal(t *testing.T) {
	const key, access = "PAGERDUTY_ROUTING_KEY", "RELAY_TOKENS"
	for name, test := range map[string]struct {
		env  []string
		says []string
	}{
		"nothing": {nil, []string{key, access}},
		"address and data": {[]string{"RELAY_LISTEN=127.0.0.1:0", "RELAY_DATA=" + t.TempDir()},
			[]string{key, access}},
		"no key": {[]string{"RELAY_TOKENS=" + token}, []string{key}},
		"no key but a URL": {[]string{"RELAY_NO_AUTH=true", "PAGERDUTY_URL=http://127.0.0.1:1"},
			[]string{key}},
		"no access": {[]string{"PAGERDUTY_ROUTING_KEY=" + routingKey32}, []string{access}},
		"set and empty": {[]string{"PAGERDUTY_ROUTING_KEY=", "RELAY_TOKENS=", "RELAY_NO_AUTH=",
			"RELAY_BASIC=", "RELAY_ALLOW="}, []string{key, access}},
		"set and blank": {[]string{"PAGERDUTY_ROUTING_KEY=" + routingKey32, "RELAY_TOKENS= , "},
			[]string{access}},
		"asked for not": {[]string{"PAGERDUTY_ROUTING_KEY=" + routingKey32, "RELAY_NO_AUTH=false"},
			[]string{access}},
		"proxies are no way": {[]string{"PAGERDUTY_ROUTING_KEY=" + routingKey32,
			"RELAY_TRUSTED_PROXIES=10.0.0.1"}, []string{access}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it mostly waits
			cmd := exec.CommandContext(within(t, 20*time.Second), os.Args[0])
			cmd.Env = append([]string{"SERVER_UNDER_TEST=1"}, test.env...)
			cmd.Dir = t.TempDir()
			out, _ := cmd.CombinedOutput() // its status is looked at below
			said := string(out)
			if cmd.ProcessState.ExitCode() != 2 || strings.Count(said, "\n") != 1 ||
				!strings.Contains(said, "-demo") {
				t.Errorf("exit %d: %q; want 2 and one line that names -demo", cmd.ProcessState.ExitCode(), said)
			}
			for _, says := range []string{key, access} {
				want := len(test.says) == 2 || test.says[0] == says
				if got := strings.Contains(said, says); got != want {
					t.Errorf("it names %s: %v, want %v: %q", says, got, want, said)
				}
			}
		})
	}
}

// A variable that is set and empty is one that is not set, whatever its type.
func TestSetAndEmptyIsNotSet(t *testing.T) {
	pd := pagerdutytest.NewServer()
	defer pd.Close()
	env := []string{"RELAY_DATA=" + t.TempDir(), "PAGERDUTY_URL=" + pd.URL}
	for _, name := range []string{"RELAY_OPERATOR", "RELAY_TOKENS_FILE", "RELAY_HEADER", "RELAY_BASIC",
		"RELAY_ALLOW", "RELAY_TRUSTED_PROXIES", "RELAY_NO_AUTH",
		"RELAY_MAX_BODY", "RELAY_MAX_CONNECTIONS", "PAGERDUTY_REGION", "PAGERDUTY_PER_MINUTE",
		"PAGERDUTY_ROUTING_KEY_FILE", "LOG_LEVEL", "LOG_FORMAT"} {
		env = append(env, name+"=")
	}
	p := start(t, env...)
	p.post(t, string(sample))
	if err := pd.WaitOpen(within(t, time.Minute), sampleProblem); err != nil {
		t.Error(err)
	}
}

// A data directory of mode 0777, as some provisioners create it, works, also after a restart, and
// the log warns of it.
func TestReport16VolumeOfMode0777(t *testing.T) {
	pd := pagerdutytest.NewServer()
	defer pd.Close()
	dir := filepath.Join(t.TempDir(), "volume")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	env := []string{"RELAY_DATA=" + dir, "PAGERDUTY_URL=" + pd.URL, "LOG_LEVEL=info"}
	p := start(t, env...)
	p.post(t, string(sample))
	if err := pd.WaitOpen(within(t, time.Minute), sampleProblem); err != nil {
		t.Error(err)
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait() // killed
	p = start(t, env...)
	p.post(t, string(recovery()))
	if err := pd.WaitResolved(within(t, time.Minute), sampleProblem); err != nil {
		t.Error(err)
	}
	if code, body := p.get(t, "/readyz"); code != http.StatusOK {
		t.Errorf("readyz: %d %s, want 200", code, body)
	}
	warned := false
	for line := range strings.Lines(p.output()) {
		warned = warned || strings.Contains(line, "level=WARN") && strings.Contains(line, dir)
	}
	if !warned {
		t.Errorf("the log does not warn of %s:\n%s", dir, p.output())
	}
}

// Secret files with comments, and as Windows writes them, are read.
func TestReport14ServerReadsFilesOfSecrets(t *testing.T) {
	pd := pagerdutytest.NewServer()
	defer pd.Close()
	pd.AcceptKeys(routingKey32)
	dir := t.TempDir()
	tokens, key := filepath.Join(dir, "tokens"), filepath.Join(dir, "key")
	write(t, tokens, "\ufeff# of the shop\r\n"+token+"\r\n")
	utf16 := strings.Join(strings.Split("# key\r\n"+routingKey32+"\r\n", ""), "\x00")
	write(t, key, "\xff\xfe"+utf16+"\x00")
	p := start(t, "RELAY_DATA="+t.TempDir(), "PAGERDUTY_URL="+pd.URL, "RELAY_TOKENS=",
		"PAGERDUTY_ROUTING_KEY=", "RELAY_TOKENS_FILE="+tokens, "PAGERDUTY_ROUTING_KEY_FILE="+key)
	p.post(t, string(sample))
	if err := pd.WaitOpen(within(t, time.Minute), sampleProblem); err != nil {
		t.Error(err)
	}
	if resp, err := http.Post(p.url+"/guance?token=%23+of+the+shop", "application/json",
		strings.NewReader("{}")); err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the comment as a token: %v, %v; want 401", resp, err)
	}

	// Both files become bad: the server goes on and reports them.
	write(t, tokens, "")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	p.hangUp(t)
	p.says(t, `level=ERROR msg="a secret file cannot be used; correct it, no restart is needed"`)
	p.post(t, string(recovery()))
	if err := pd.WaitResolved(within(t, time.Minute), sampleProblem); err != nil {
		t.Error(err)
	}
	if code, body := p.get(t, "/readyz"); code != http.StatusOK || !strings.Contains(body, tokens) ||
		!strings.Contains(body, key) {
		t.Errorf("readyz: %d %s, want 200 and both files", code, body)
	}

	// Both are corrected: the old token is refused.
	write(t, tokens, "new-"+token)
	write(t, key, routingKey32)
	p.hangUp(t)
	p.says(t, `msg="SIGHUP: the secret files were read again" files=2`)
	if code, body := p.get(t, "/readyz"); code != http.StatusOK || strings.Contains(body, "warning") {
		t.Errorf("readyz: %d %s, want 200 and no warning", code, body)
	}
	if resp, err := http.Post(p.url+"/guance?token="+token, "application/json",
		strings.NewReader("{}")); err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the token that was revoked: %v, %v; want 401", resp, err)
	}
}

// The first lines of the log give version, data directory, target and what is in the store.
func TestFirstLinesOfTheLog(t *testing.T) {
	dir := t.TempDir()
	env := []string{"RELAY_DATA=" + dir, "PAGERDUTY_URL=http://127.0.0.1:1/secret-path",
		"LOG_LEVEL=info", "LOG_FORMAT=text"}
	p := start(t, env...)
	p.says(t, `msg="the store is empty"`)
	p.post(t, string(sample))
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait() // killed
	p = start(t, env...)
	for _, says := range []string{
		"msg=starting version=", " data=" + dir + " pagerduty=http://127.0.0.1:1 ",
		` account="127.0.0.1:1 `, " proxy=none\n",
		`msg="found in the store" lane=pagerduty pending=1 dead=0`,
	} {
		p.says(t, says)
	}
	if strings.Contains(p.output(), "secret-path") {
		t.Errorf("the path of the URL is in the log:\n%s", p.output())
	}
}

// The log names the proxy by its host.
func TestProxyIsNamed(t *testing.T) {
	p := start(t, "RELAY_DATA="+t.TempDir(), "HTTPS_PROXY=http://user:"+token+"@127.0.0.1:1",
		"PAGERDUTY_REGION=eu")
	p.says(t, "pagerduty=https://events.eu.pagerduty.com ")
	p.says(t, " proxy=127.0.0.1:1\n")
	if strings.Contains(p.output(), token) {
		t.Errorf("the proxy's password is in the log:\n%s", p.output())
	}
}

// hangUp sends SIGHUP.
func (p *process) hangUp(t *testing.T) {
	t.Helper()
	if err := p.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// says waits until the log holds text.
func (p *process) says(t *testing.T, text string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for ; !strings.Contains(p.output(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log does not say %s:\n%s", text, p.output())
		}
	}
}

func (p *process) get(t *testing.T, path string) (code int, body string) {
	t.Helper()
	resp, err := http.Get(p.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !json.Valid(text) {
		t.Fatalf("%s is answered with %q, %v; want JSON", path, text, err)
	}
	return resp.StatusCode, string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
