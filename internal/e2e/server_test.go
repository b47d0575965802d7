package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

const (
	token      = "a-token-of-the-test"
	oncallKey  = "0123456789abcdef0123456789abcdef"
	paymentKey = "fedcba9876543210fedcba9876543210"
)

// program is the server, built once.
var program struct {
	once sync.Once
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if program.path != "" {
		_ = os.RemoveAll(filepath.Dir(program.path)) // in the directory for temporary files
	}
	os.Exit(code)
}

// build returns the path of the server.
func build(t *testing.T) string {
	t.Helper()
	program.once.Do(func() {
		dir, err := os.MkdirTemp("", "guance-relay-e2e-")
		if err != nil {
			program.err = err
			return
		}
		program.path = filepath.Join(dir, "guance-relay")
		cmd := exec.Command("go", "build", "-o", program.path, ".")
		cmd.Dir = filepath.Join("..", "..", "cmd", "guance-relay")
		cmd.Env = append(os.Environ(), "GOWORK=")
		if out, err := cmd.CombinedOutput(); err != nil {
			program.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if program.err != nil {
		t.Fatal(program.err)
	}
	return program.path
}

// A server is a running server with two lanes to a fake PagerDuty, oncall and payments, and one to
// the log, archive.
type server struct {
	*testing.T
	*pagerdutytest.Server
	webhook, console string
}

// startServer starts a server that ends with the test.
func startServer(t *testing.T, perMinute int) *server {
	t.Helper()
	s := &server{T: t, Server: pagerdutytest.NewServer()}
	t.Cleanup(s.Close)
	s.SetRateLimit(perMinute)
	dir := t.TempDir()
	file := filepath.Join(dir, "relay.yaml")
	lane := "{type: pagerduty, key: %q, base_url: %q, per_minute: %d}\n"
	config := "sources: {default: {tokens: [\"env:RELAY_TOKEN\"]}}\nlanes:\n" +
		"  oncall: " + fmt.Sprintf(lane, "env:ONCALL_KEY", s.URL, perMinute) +
		"  payments: " + fmt.Sprintf(lane, "env:PAYMENTS_KEY", s.URL, perMinute) +
		"  archive: {type: log}\n" +
		"routes:\n" +
		"  - {when: 'tags.service == \"payments\"', lanes: [payments]}\n" +
		"  - {when: 'tags.service == \"archive\"', lanes: [archive]}\n" +
		"fallback: oncall\n"
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(build(t), "-config", file)
	cmd.Env = append(os.Environ(), "RELAY_TOKEN="+token, "ONCALL_KEY="+oncallKey,
		"PAYMENTS_KEY="+paymentKey, "RELAY_LISTEN=127.0.0.1:0", "RELAY_OPERATOR=127.0.0.1:0",
		"RELAY_DATA="+dir)
	s.console = "http://" + start(t, cmd, cmd.StderrPipe, `msg="listening for the operator" address=`,
		func(line string) bool {
			_, rest, ok := strings.Cut(line, "msg=listening address=")
			address, _, _ := strings.Cut(rest, " ")
			s.webhook = "http://" + address + "/guance"
			return ok
		}) + "/console/"
	return s
}

// start starts a program and reads its output until a line for which last is true. It returns the
// word after a text. At the end of the test the program gets a signal and must end with status 0.
func start(t *testing.T, cmd *exec.Cmd, pipe func() (io.ReadCloser, error), before string,
	last func(line string) bool) (word string) {
	t.Helper()
	output, err := pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	done := make(chan struct{})
	lines := bufio.NewScanner(io.TeeReader(output, &said))
	for found := false; !found; {
		if !lines.Scan() {
			t.Fatalf("the server ends at its start: %v\n%s", cmd.Wait(), &said)
		}
		if _, rest, ok := strings.Cut(lines.Text(), before); ok {
			word, _, _ = strings.Cut(rest, " ")
		}
		found = last(lines.Text())
	}
	go func() {
		defer close(done)
		for lines.Scan() {
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // if it is gone, Wait says why
		timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		<-done
		timer.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ends with %v, want exit 0\n%s", err, &said)
		}
	})
	return word
}

// post sends an event, which the server must keep.
func (s *server) post(event *guance.Event) {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), http.MethodPost, s.webhook,
		bytes.NewReader(event.Raw))
	if err != nil {
		s.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Relay-Token", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusAccepted {
		s.Fatalf("the server answers %s %s, %v", resp.Status, answer, err)
	}
}

// fault returns an event of a new problem.
func fault(level guance.Level, monitor string, tags ...string) *guance.Event {
	p := guancetest.NewProblem(monitor, tags...)
	p.Now = time.Now()
	return p.Fault(level)
}

// dead waits until a lane has so many dead letters.
func (s *server) dead(t *testing.T, lane string, n int) {
	t.Helper()
	var answer struct{ Entries []any }
	for start := time.Now(); len(answer.Entries) != n; time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatalf("lane %s has %d dead letters, want %d", lane, len(answer.Entries), n)
		}
		resp, err := http.Get(s.console + "api/dead?lane=" + lane)
		if err != nil {
			t.Fatal(err)
		}
		err = json.NewDecoder(resp.Body).Decode(&answer)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// refuse makes PagerDuty refuse each event whose summary has a text.
func (s *server) refuse(text string) (stop func()) {
	return s.Poison(func(r pagerdutytest.Request) bool { return strings.Contains(r.Summary, text) },
		pagerdutytest.Fault{Status: http.StatusBadRequest, Body: `{"status": "invalid event",
			"message": "Event object is invalid", "errors": ["it is refused"]}`})
}
