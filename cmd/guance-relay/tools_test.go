package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// A chat is a target of webhooks that keeps what it gets.
type chat struct {
	*httptest.Server
	mu      sync.Mutex
	posts   []string // guarded by mu
	headers []string // guarded by mu
}

func newChat(t *testing.T) *chat {
	c := &chat{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		var body bytes.Buffer
		_, _ = body.ReadFrom(req.Body) // a body that is cut is seen below
		c.mu.Lock()
		defer c.mu.Unlock()
		c.posts = append(c.posts, body.String())
		c.headers = append(c.headers, req.Header.Get("Authorization"))
	}))
	t.Cleanup(c.Close)
	return c
}

// secretsFile is a configuration with a secret in each place where one can be.
const secretsFile = `
sources:
  default:
    tokens: [env:TOKEN, file:tokens]
    basic: [env:BASIC]
lanes:
  pager:
    type: pagerduty
    key: env:KEY
    base_url: PAGERDUTY
  filed:
    type: pagerduty
    key: file:key
    base_url: PAGERDUTY
  chat:
    type: webhook
    format: template
    url: env:URL
    allowed_networks: [127.0.0.0/8]
    secrets: [env:SIGN]
    headers: {Authorization: env:AUTH}
    template: '{"title": {{json .Data.Title}}, "token": {{json (secret "env:TEMPLATE")}}}'
  bot:
    type: webhook
    format: dingtalk
    url: env:BOT
    signing_key: env:BOT_KEY
    allowed_networks: [127.0.0.0/8]
routes:
  - lanes: [pager, filed, chat, bot]
`

// planted is part of each secret, and of nothing else.
const planted = "hunter2"

// plantSecrets writes secretsFile and its files of secrets. It returns the file and an environment.
func plantSecrets(t *testing.T, pd *pagerdutytest.Server, c *chat) (file string, env []string) {
	t.Helper()
	dir := t.TempDir()
	file = filepath.Join(dir, "relay.yaml")
	write(t, file, strings.ReplaceAll(secretsFile, "PAGERDUTY", pd.URL))
	write(t, filepath.Join(dir, "tokens"), planted+"-filed-token\n")
	write(t, filepath.Join(dir, "key"), planted+"cbcdefghijklmnopqrstuvwxy\n")
	userinfo := strings.Replace(c.URL, "http://", "http://user:"+planted+"-password@", 1)
	return file, []string{
		"RELAY_CONFIG=" + file, "TOKEN=" + planted + "-token", "BASIC=bridge:" + planted + "-basic",
		"KEY=" + planted + "abcdefghijklmnopqrstuvwxy", "URL=" + c.URL + "/" + planted + "-path",
		"SIGN=whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==", "AUTH=Bearer " + planted + "-auth",
		"TEMPLATE=" + planted + "-template",
		"BOT=" + userinfo + "/" + planted + "?access_token=" + planted,
		"BOT_KEY=SEC" + planted, "RELAY_TOKENS=", "PAGERDUTY_ROUTING_KEY=", "LOG_LEVEL=debug",
	}
}

// tool runs the program with these arguments and returns its status, stdout and stderr.
func tool(t *testing.T, env []string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(within(t, time.Minute), os.Args[0], args...)
	cmd.Env = append(serverEnv(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // the status says it
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// A secret in each place is in no output: of the server, its operator's address, and the
// subcommands.
func TestSecretsOfTheFile(t *testing.T) {
	pd := pagerdutytest.NewServer()
	t.Cleanup(pd.Close)
	c := newChat(t)
	file, env := plantSecrets(t, pd, c)
	clean := func(what, text string) {
		t.Helper()
		if strings.Contains(text, planted) || strings.Contains(text, "aHVudGVyMm") {
			t.Errorf("%s has a secret:\n%s", what, text)
		}
	}
	for _, args := range [][]string{{"check"}, {"explain", "sample.json"},
		{"send-test", "-lane", "pager"}, {"send-test", "-lane", "chat"}, {"send-test", "-lane", "bot"},
		{"send-test", "-lane", "none"}} {
		status, out, errs := tool(t, env, args...)
		if (status == 0) == (args[len(args)-1] == "none" || args[len(args)-1] == "bot") {
			t.Errorf("%q: status %d\n%s%s", args, status, out, errs)
		}
		clean(args[0], out+errs)
	}
	p := start(t, append(env, "RELAY_DATA="+t.TempDir(), "RELAY_OPERATOR=127.0.0.1:0")...)
	resp, err := http.Post(p.url+"/guance?token="+planted+"-filed-token", "application/json",
		bytes.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatal(resp.Status)
	}
	p.waitLog(t, "event delivered", 3) // the robot's answer is not that of DingTalk
	bad := strings.ReplaceAll(secretsFile, "PAGERDUTY", pd.URL)
	write(t, file, strings.Replace(bad, "env:KEY", planted+"abcdefghijklmnopqrstuvwxy", 1))
	_, answer := p.ask(t, "POST", "/reload")
	clean("/reload", answer)
	if !strings.Contains(answer, "lanes.pager.key: is not a reference to a secret") {
		t.Error(answer)
	}
	for _, path := range []string{"/metrics", "/console/api/lanes", "/console/api/dead?body=1&lane=bot",
		"/console/api/problem?key=" + sampleProblem} {
		_, answer := p.ask(t, "GET", path)
		clean(path, answer)
	}
	_, ready := p.get(t, "/readyz")
	clean("/readyz", ready)
	clean("the log", p.output())
	c.mu.Lock()
	defer c.mu.Unlock()
	if posts := strings.Join(c.posts, "\n"); !strings.Contains(posts, planted+"-template") ||
		!strings.Contains(strings.Join(c.headers, "\n"), "Bearer "+planted+"-auth") {
		t.Errorf("the target has not got its own secrets: %s %q", posts, c.headers)
	}
}

// Check tries each target, opens no incident and posts no message. Its status says what it found.
func TestCheck(t *testing.T) {
	pd := pagerdutytest.NewServer()
	t.Cleanup(pd.Close)
	c := newChat(t)
	file, env := plantSecrets(t, pd, c)
	status, out, errs := tool(t, env, "check")
	for _, want := range []string{"1. every event -> pager, filed, chat, bot",
		"pager (pagerduty, " + pd.URL + "): 202 Event processed",
		"chat (webhook, " + c.URL + "): answers HEAD with 405; no message was posted"} {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("status %d, %s%s, want 0 and %q", status, out, errs, want)
		}
	}
	if len(pd.Incidents()) > 0 || pd.Notifications() > 0 || len(c.posts) > 0 {
		t.Errorf("%v, %q", pd.Incidents(), c.posts)
	}
	c.Close()
	status, out, errs = tool(t, env, "check", "-config", file)
	if status != 1 || !strings.Contains(out, "chat (webhook, "+c.URL+"): FAILED: ") ||
		!strings.Contains(errs, "2 of 4 targets failed") || strings.Count(errs, "\n") != 1 {
		t.Errorf("status %d, %s%s, want 1", status, out, errs)
	}
	write(t, file, secretsFile+"  - lanes: []\n")
	for _, args := range [][]string{{"check"}, {"explain", "sample.json"}, {"send-test"}, nil} {
		status, out, errs = tool(t, env, args...)
		if status != 2 || out != "" || strings.Count(errs, "\n") != 1 ||
			!strings.Contains(errs, "relay.yaml:31:") && !strings.Contains(errs, "base_url") {
			t.Errorf("%q: status %d, %s%s, want 2 and one line", args, status, out, errs)
		}
	}
}

// Send-test opens and resolves an incident that says what it is.
func TestSendTest(t *testing.T) {
	pd := pagerdutytest.NewServer()
	t.Cleanup(pd.Close)
	_, env := plantSecrets(t, pd, newChat(t))
	status, out, errs := tool(t, env, "send-test", "-lane", "pager")
	incidents := pd.Incidents()
	if status != 0 || len(incidents) != 1 || len(pd.Open()) != 0 ||
		!strings.Contains(incidents[0].Summary, "TEST of guance-relay") {
		t.Errorf("status %d, %s%s, incidents %+v", status, out, errs, incidents)
	}
	if status, _, errs := tool(t, env, "send-test", "-lane", "none"); status != 2 ||
		!strings.Contains(errs, "bot, chat, filed, pager") {
		t.Errorf("status %d, %s", status, errs)
	}
}

// Routes test compares, and its status says whether all cases passed.
func TestRoutesTest(t *testing.T) {
	dir := t.TempDir()
	config, cases := filepath.Join(dir, "relay.yaml"), filepath.Join(dir, "cases.yaml")
	write(t, config, "sources: {default: {no_auth: true}}\nlanes: {a: {type: log}, b: {type: log}}\n"+
		"routes: [{when: level >= error, lanes: [a]}]\nfallback: b\n")
	one := "cases:\n- name: critical\n  event: {df_status: critical}\n  lanes: [a]\n"
	for text, want := range map[string]struct {
		status int
		says   string
	}{
		one: {0, "1 cases, 0 failed"},
		one + "- event: {df_status: warning}\n  lanes: [a]\n": {1,
			"cases.yaml:5: case 2: goes to b, want a"},
		one + "- event: {df_status: warning}\n  lanes: [c]\n": {2, `cases[1].lanes[0]: there is no lane "c"`},
		one + "- event: {df_status: warning}\n":               {2, "cases[1].lanes: is missing"},
		one + "- lanes: [a]\n":                                {2, "cases[1]: the case needs"},
		one + "- file: none.json\n  lanes: [a]\n":             {2, "cases[1].file"},
		"cases: []\n":            {2, "there is no case"},
		one + "  source: none\n": {2, `cases[0].source: there is no source "none"; name one of default`},
	} {
		write(t, cases, text)
		status, out, errs := tool(t, nil, "routes", "test", "-config", config, cases)
		if status != want.status || !strings.Contains(out+errs, want.says) {
			t.Errorf("%s: status %d, %s%s, want %d and %q", text, status, out, errs, want.status, want.says)
		}
	}
}

// What is wrong with the command line is one line and status 2.
func TestToolUsage(t *testing.T) {
	for _, args := range [][]string{{"check"}, {"explain", "sample.json"}, {"routes"},
		{"routes", "test", "-config", "x"}, {"send-test", "-config", "none.yaml"}, {"frob"},
		{"check", "-config", "none.yaml"}, {"explain", "-config", "x"}, {"check", "-config", "x", "y"},
		{"-config", "none.yaml"}, {"check", "-lane", "x"}} {
		status, out, errs := tool(t, nil, args...)
		if status != 2 || out != "" || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: status %d, %q, %q, want 2 and one line", args, status, out, errs)
		}
	}
}

// A flag that the file makes meaningless is an error; addresses and the directory may be flags.
func TestFlagsBesideAFile(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "relay.yaml")
	write(t, config, "sources: {default: {no_auth: true}}\nlanes: {a: {type: log}}\n"+
		"store: {directory: data}\nlisteners: {webhook: '192.0.2.1:1'}\n")
	status, _, errs := tool(t, nil, "-config", config, "-tokens", planted)
	if status != 2 || !strings.Contains(errs, "-tokens has no effect with -config") ||
		strings.Contains(errs, planted) {
		t.Errorf("status %d, %s", status, errs)
	}
	p := start(t, "RELAY_CONFIG="+config, "LOG_LEVEL=info") // its listener is a variable
	p.post(t, string(sample))
	p.waitLog(t, "event delivered", 1)
	if _, err := os.Stat(filepath.Join(dir, "data", "relay.db")); err != nil {
		t.Error(err)
	}
	if !strings.Contains(p.output(), "title=") {
		t.Errorf("the lane of type log does not say the title:\n%s", p.output())
	}
}
