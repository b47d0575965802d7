package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// clean reports a planted secret in a text, in the forms that a URL and base64 give it.
func clean(t *testing.T, what, text string) {
	t.Helper()
	for _, secret := range []string{planted, "aHVudGVyM", "h1bnRlcj", "odW50ZXIy"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s has a secret:\n%s", what, text)
			return
		}
	}
}

// secretPlaces are the places of the environment that hold a secret while the server runs.
func secretPlaces(t *testing.T, c *collector) []string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tokens"), planted+"-filed\n")
	endpoint := strings.Replace(c.URL, "http://", "http://user:"+planted+"-userinfo@", 1)
	return []string{
		"PAGERDUTY_ROUTING_KEY=" + planted + "abcdefghijklmnopqrstuvwxy",
		"RELAY_TOKENS=" + planted + "-token", "RELAY_TOKENS_FILE=" + filepath.Join(dir, "tokens"),
		"RELAY_BASIC=bridge:" + planted + "-basic",
		"HTTP_PROXY=http://user:" + planted + "-proxy@192.0.2.1:3128",
		"HTTPS_PROXY=http://user:" + planted + "-proxy@192.0.2.1:3128",
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + endpoint + "/" + planted + "-path",
		"OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20" + planted + "-header",
		"OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_METRIC_EXPORT_INTERVAL=50", "LOG_LEVEL=debug",
	}
}

// A secret in each place of the environment is in no log, metric, trace, page, statistic and answer
// of a server that runs, also while its exporter fails.
func TestSecretsOfTheEnvironment(t *testing.T) {
	c := newCollector(t, http.StatusBadRequest)
	env := append(secretPlaces(t, c), "RELAY_METRICS=127.0.0.1:0")
	p, pd := withOperator(t, env...)
	poison(pd, sampleProblem)
	send := func(prepare func(*http.Request)) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/guance",
			strings.NewReader(string(sample)))
		if err != nil {
			t.Fatal(err)
		}
		prepare(req)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	for what, test := range map[string]struct {
		prepare func(*http.Request)
		want    int
	}{
		"a token": {func(r *http.Request) { r.Header.Set("X-Relay-Token", planted+"-token") }, 202},
		"a token in the URL": {func(r *http.Request) {
			r.URL.RawQuery = url.Values{"token": {planted + "-filed"}}.Encode()
		}, 202},
		"a user":        {func(r *http.Request) { r.SetBasicAuth("bridge", planted+"-basic") }, 202},
		"a wrong token": {func(r *http.Request) { r.Header.Set("X-Relay-Token", planted) }, 401},
	} {
		if got := send(test.prepare); got != test.want {
			t.Errorf("%s: %d, want %d", what, got, test.want)
		}
	}
	p.dead(t, 1)
	p.waitLog(t, "OpenTelemetry: metrics or traces", 1)
	for _, path := range []string{"/metrics", "/console/", "/console/lane?lane=pagerduty",
		"/console/open?lane=pagerduty",
		"/console/dead?lane=pagerduty", "/console/problem?key=" + sampleProblem, "/console/api/lanes",
		"/console/api/waiting?lane=pagerduty", "/console/api/dead?lane=pagerduty&body=1",
		"/console/api/problem?key=" + sampleProblem, "/nothing"} {
		code, answer := p.ask(t, "GET", path)
		if code != http.StatusOK && path != "/nothing" {
			t.Errorf("%s: %d %s", path, code, answer)
		}
		clean(t, path, answer)
	}
	resp, err := http.Get("http://" + p.listens(t, "listening for the metrics") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	_, ready := p.get(t, "/readyz")
	clean(t, "/readyz", ready)
	clean(t, "the log", p.output())
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		c.mu.Lock()
		traced, sent := len(c.spans) > 0 && len(c.metrics) > 0, c.raw.String()
		headers := strings.Join(c.headers, "\n")
		c.mu.Unlock()
		if traced {
			clean(t, "what is exported", sent)
			if !strings.Contains(headers, "Bearer "+planted+"-header") {
				t.Errorf("the collector has not got its own secret: %q", headers)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was exported")
		}
	}
}

// A secret in a place where it makes the start fail is not in the line that says so.
func TestSecretsInErrorsOfTheStart(t *testing.T) {
	pd := pagerdutytest.NewServer()
	t.Cleanup(pd.Close)
	const badProxy = "HTTPS_PROXY=http://user:" + planted + "@[::1:x"
	for what, test := range map[string]struct {
		env  []string
		args []string
	}{
		"a DSN":                {env: []string{"RELAY_STORE=postgres://a:" + planted + "@127.0.0.1:1/a"}},
		"a DSN that is none":   {env: []string{"RELAY_STORE=postgres://relay:" + planted + "@:x:/%zz"}},
		"a DSN of words":       {env: []string{"RELAY_STORE=host=127.0.0.1 password=" + planted}},
		"a DSN of a kind":      {env: []string{"RELAY_STORE=mysql://a:" + planted + "@127.0.0.1/a"}},
		"a key":                {env: []string{"PAGERDUTY_ROUTING_KEY=" + planted}},
		"a REST key":           {env: []string{"PAGERDUTY_ROUTING_KEY=u+" + planted + "abcdefghijk"}},
		"a user of a URL":      {env: []string{"PAGERDUTY_URL=https://a:" + planted + "@a.invalid"}},
		"a query of a URL":     {env: []string{"PAGERDUTY_URL=https://events.invalid/?key=" + planted}},
		"a proxy":              {env: []string{"HTTPS_PROXY=ftp://a:" + planted + "@127.0.0.1", "PAGERDUTY_URL="}},
		"a proxy that is none": {env: []string{badProxy, "PAGERDUTY_URL="}},
		"a password":           {env: []string{"RELAY_BASIC=" + planted}},
		"tokens in two words":  {args: []string{"-tokens", "a,", planted}},
		"a flag":               {args: []string{"-token=" + planted}},
		"a flag of a file":     {args: []string{"-config", "relay.yaml", "-tokens", planted}},
		"a headers variable": {env: []string{"OTEL_EXPORTER_OTLP_HEADERS=a=" + planted,
			"OTEL_TRACES_EXPORTER=unknown"}},
	} {
		t.Run(what, func(t *testing.T) {
			env := append([]string{"RELAY_DATA=" + t.TempDir(), "PAGERDUTY_URL=" + pd.URL}, test.env...)
			status, out, errs := tool(t, env, test.args...)
			if status != 2 || strings.Count(errs, "\n") < 1 {
				t.Errorf("status %d, %s%s, want 2 and a line", status, out, errs)
			}
			clean(t, "the output", out+errs)
		})
	}
}

// A file that has a secret in the place of a reference is refused without it, by every subcommand.
func TestSecretsInBrokenFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "relay.yaml")
	const hook = "lanes: {a: {type: webhook, url: env:URL, "
	for what, text := range map[string]string{
		"a key":      "lanes: {a: {type: pagerduty, key: " + planted + "}}\n",
		"a URL":      "lanes: {a: {type: webhook, url: 'https://x.example/" + planted + "'}}\n",
		"a header":   hook + "headers: {Authorization: " + planted + "}}}\n",
		"a template": hook + "format: template, template: '{{" + planted + "}}'}}\n",
		"a token":    "lanes: {a: {type: log}}\nsources: {default: {tokens: [" + planted + "]}}\n",
	} {
		if !strings.Contains(text, "sources:") {
			text += "sources: {default: {no_auth: true}}\n"
		}
		write(t, file, text)
		for _, args := range [][]string{{"check"}, {"explain", "sample.json"}, {"routes", "test", file},
			{"send-test", "-lane", "a"}, {}} {
			args = append(args, "-config", file)
			if args[0] == "routes" || args[0] == "explain" {
				args = append([]string{"-config", file}, args[:len(args)-2]...)
			}
			status, out, errs := tool(t, []string{"URL=https://x.example/" + planted}, args...)
			if status != 2 {
				t.Errorf("%s, %q: status %d, %s%s", what, args, status, out, errs)
			}
			clean(t, what, out+errs)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "relay-data")); err == nil {
		t.Error("a broken file made a store")
	}
}
