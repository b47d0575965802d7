package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	routingKey32 = "0123456789abcdef0123456789ABCDEF"
	token        = "correct-horse-battery"
)

// TestMain makes the test binary the server, so that tests can kill it.
func TestMain(m *testing.M) {
	if os.Getenv("SERVER_UNDER_TEST") != "" {
		main()
	}
	os.Exit(m.Run())
}

// process is a server in its own process.
type process struct {
	*exec.Cmd
	url string

	mu        sync.Mutex
	log       strings.Builder // guarded by mu
	listening chan struct{}   // closed when the log says so
}

func start(t *testing.T, env ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0]), listening: make(chan struct{})}
	p.Env = append(serverEnv(), env...)
	p.Stderr = p // and Wait waits until all of it has come
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	select {
	case <-p.listening:
	case <-time.After(time.Minute):
		t.Fatalf("the server does not listen: %s", p.output())
	}
	return p
}

// serverEnv returns a configuration that works; variables appended to it take precedence.
func serverEnv() []string {
	return []string{"SERVER_UNDER_TEST=1", "RELAY_LISTEN=127.0.0.1:0", "RELAY_TOKENS=other, " + token,
		"LOG_LEVEL=debug", "PAGERDUTY_ROUTING_KEY=" + routingKey32}
}

// stopTime is how long a stop may take: ten seconds, and more on a busy machine.
const stopTime = 30 * time.Second

// within returns the test's context with a timeout.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// Write takes the log of the server.
func (p *process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log.Write(text)
	if p.url == "" {
		_, rest, _ := strings.Cut(p.log.String(), "msg=listening address=")
		if address, _, whole := strings.Cut(rest, " "); whole {
			p.url = "http://" + address
			close(p.listening)
		}
	}
	return len(text), nil
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func (p *process) post(t *testing.T, body string) {
	t.Helper()
	resp, err := http.Post(p.url+"/guance?token="+token, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("got %s: %s", resp.Status, answer)
	}
}

// target is a PagerDuty that decodes requests by hand.
type target struct {
	*httptest.Server
	down   bool
	mu     sync.Mutex
	events []map[string]any
	came   chan struct{}
}

func newTarget(t *testing.T) *target {
	p := &target{came: make(chan struct{}, 1000)}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var ev map[string]any
		if err := json.NewDecoder(r.Body).Decode(&ev); err != nil || r.URL.Path != "/v2/enqueue" {
			http.Error(w, "Unrecognized object", http.StatusBadRequest)
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		p.events = append(p.events, ev)
		p.came <- struct{}{}
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, `{"status":"success","message":"Event processed","dedup_key":%q}`, ev["dedup_key"])
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *target) set(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *target) next(t *testing.T) map[string]any {
	t.Helper()
	select {
	case <-p.came:
	case <-time.After(2 * time.Minute): // the lane may have backed off
		t.Fatal("nothing arrives")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	ev := p.events[0]
	p.events = p.events[1:]
	return ev
}

func TestFaultAndRecovery(t *testing.T) {
	pd := newTarget(t)
	p := start(t, "RELAY_DATA="+t.TempDir(), "PAGERDUTY_URL="+pd.URL)
	fault := string(sample)
	p.post(t, fault)
	ev := pd.next(t)
	payload := ev["payload"].(map[string]any)
	details := payload["custom_details"].(map[string]any)
	for name, c := range map[string][2]any{
		"routing_key": {ev["routing_key"], routingKey32},
		"action":      {ev["event_action"], "trigger"},
		"dedup_key":   {ev["dedup_key"], "13713ac25e993a37d2ca5899e2a7bba6"},
		"severity":    {payload["severity"], "critical"},
		"summary":     {payload["summary"], "实例名称为 share 磁盘使用率过高"},
		"source":      {payload["source"], "share"},
		"result":      {details["result"], 100.0},
		"date":        {details["date"], 1693034940.0},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: got %v, want %v", name, c[0], c[1])
		}
	}
	if url, _ := ev["client_url"].(string); !strings.HasPrefix(url,
		"https://console.guance.com/keyevents/") {
		t.Errorf("client_url: got %q, want the event link", url)
	}
	text, _ := details["description"].(string)
	if !strings.Contains(text, "磁盘使用率为 100.00%") {
		t.Errorf("description: got %q, want the message", text)
	}
	p.post(t, fault) // a duplicate: nothing more is sent
	p.post(t, string(recovery()))
	if ev := pd.next(t); ev["event_action"] != "resolve" ||
		ev["dedup_key"] != "13713ac25e993a37d2ca5899e2a7bba6" {
		t.Errorf("got %v of %v, want the resolve of the incident", ev["event_action"], ev["dedup_key"])
	}

	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := p.Wait(); err != nil || time.Since(began) > stopTime {
		t.Errorf("SIGTERM: %v after %v, want exit 0 within %v", err, time.Since(began), stopTime)
	}
	for _, secret := range []string{routingKey32, token} {
		if strings.Contains(p.output(), secret) {
			t.Errorf("a secret is in the log:\n%s", p.output())
		}
	}
}

// The process is killed after the 202, while PagerDuty is down. The next process delivers.
func TestKilledWhileTargetIsDown(t *testing.T) {
	pd := newTarget(t)
	pd.set(true)
	env := []string{"RELAY_DATA=" + t.TempDir(), "PAGERDUTY_URL=" + pd.URL}
	p := start(t, env...)
	p.post(t, string(sample))
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait() // killed
	pd.set(false)
	start(t, env...)
	if ev := pd.next(t); ev["event_action"] != "trigger" {
		t.Errorf("got %v, want the trigger", ev["event_action"])
	}
}

func TestBadConfiguration(t *testing.T) {
	locked := t.TempDir()
	running := start(t, "RELAY_DATA="+locked, "PAGERDUTY_URL=http://127.0.0.1:1")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ env, says string }{
		"31 characters":   {"PAGERDUTY_ROUTING_KEY=" + routingKey32[1:], "32"},
		"REST token":      {"PAGERDUTY_ROUTING_KEY=u+abcdefghijklmno-_1", "REST"},
		"region":          {"PAGERDUTY_REGION=mars", "mars"},
		"directory":       {"RELAY_DATA=" + filepath.Join(file, "x"), "directory"},
		"locked":          {"RELAY_DATA=" + locked, "another process"},
		"address in use":  {"RELAY_LISTEN=" + running.address(), "address already in use"},
		"operator":        {"RELAY_OPERATOR=0.0.0.0:0", "proxy with authentication"},
		"any operator":    {"RELAY_OPERATOR=:0", "proxy with authentication"},
		"operator's port": {"RELAY_OPERATOR=127.0.0.1", "127.0.0.1:9090"},
		"operator in use": {"RELAY_OPERATOR=" + running.address(), "address already in use"},
		"no address":      {"RELAY_LISTEN=localhost", "listen: "},
		"plain http":      {"PAGERDUTY_URL=http://pagerduty.example", "https"},
		"no token":        {"RELAY_TOKENS=", "or start a demonstration with -demo"},
		"token file":      {"RELAY_TOKENS_FILE=" + filepath.Join(locked, "none"), "tokens-file"},
		"empty file":      {"RELAY_TOKENS_FILE=" + file, "holds no secret"},
		"header":          {"RELAY_HEADER=X Token", "X Token"},
		"basic":           {"RELAY_BASIC=user", "user:password"},
		"network":         {"RELAY_ALLOW=192.0.2.0/33", "192.0.2.0/33"},
		"every network":   {"RELAY_ALLOW=::/0", "every address"},
		"proxies":         {"RELAY_TRUSTED_PROXIES=lb.example", "lb.example"},
		"contradiction":   {"RELAY_NO_AUTH=true", "RELAY_NO_AUTH"},
		"no body":         {"RELAY_MAX_BODY=0", "max-body"},
		"large body":      {"RELAY_MAX_BODY=99999999", "RELAY_MAX_BODY"},
		"connections":     {"RELAY_MAX_CONNECTIONS=1", "max-connections"},
		"per minute":      {"PAGERDUTY_PER_MINUTE=0", "per-minute"},
		"not a number":    {"PAGERDUTY_PER_MINUTE=many", "PAGERDUTY_PER_MINUTE"},
		"level":           {"LOG_LEVEL=loud", "loud"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			// a configuration that works would run for ever
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = []string{"SERVER_UNDER_TEST=1", "RELAY_LISTEN=127.0.0.1:0", "RELAY_TOKENS=" + token,
				"PAGERDUTY_ROUTING_KEY=" + routingKey32, "RELAY_DATA=" + t.TempDir(), test.env}
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			_ = cmd.Run() // its status is looked at below
			if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(stderr.String(), test.says) ||
				strings.Count(stderr.String(), "\n") != 1 {
				t.Errorf("exit %d: %q; want 2 and one line with %q", cmd.ProcessState.ExitCode(),
					stderr.String(), test.says)
			}
			if _, value, _ := strings.Cut(test.env, "ROUTING_KEY="); value != "" &&
				strings.Contains(stderr.String(), value) {
				t.Errorf("the key is in the error: %q", stderr.String())
			}
		})
	}
}
