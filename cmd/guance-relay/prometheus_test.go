package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay/pgstore/pgtest"
)

const (
	rulesFile     = "deploy/prometheus/rules.yaml"
	dashboardFile = "deploy/grafana/dashboard.json"
)

// prometheusTool returns the path of promtool or prometheus, which CI requires.
func prometheusTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("RELAY_TEST_PROMETHEUS") == "required":
		t.Fatalf("%s is not installed; on Debian: apt-get install prometheus", name)
	default:
		t.Skipf("NOT RUN: %s is not installed; on Debian: apt-get install prometheus", name)
	}
	return path
}

// promtool runs promtool on an input and returns what it says.
func promtool(t *testing.T, input string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(within(t, time.Minute), prometheusTool(t, "promtool"), args...)
	cmd.Stdin, cmd.Dir = strings.NewReader(input), filepath.Join(root, filepath.Dir(rulesFile))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %q: %v\n%s", args, err, out)
	}
}

// The names and the help of the metrics are as Prometheus wants them.
func TestPromtoolMetrics(t *testing.T) {
	p, _ := withOperator(t)
	p.post(t, string(sample))
	p.settled(t, 1, 0, 0)
	_, text := p.ask(t, "GET", "/metrics")
	promtool(t, text, "check", "metrics")
}

// The alerts fire when they should, and only then.
func TestPromtoolRules(t *testing.T) {
	promtool(t, "", "check", "rules", "rules.yaml")
	promtool(t, "", "test", "rules", "rules_test.yaml")
}

// An alertRule is a rule of the file of alerts.
type alertRule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func alertRules(t *testing.T) (rules []alertRule) {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []alertRule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal([]byte(text(t, rulesFile)), &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		rules = append(rules, g.Rules...)
	}
	if len(rules) < 15 {
		t.Fatalf("%d alerts", len(rules))
	}
	return rules
}

// Each alert has a place in both operators' pages that says what to do, and a unit test.
func TestAlertsHaveRunbooks(t *testing.T) {
	const page = "https://github.com/guance-relay/guance-relay/blob/main/docs/operations.md#"
	tests := text(t, "deploy/prometheus/rules_test.yaml")
	var names []string
	for _, r := range alertRules(t) {
		names = append(names, r.Alert)
		if want := page + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("the runbook of %s is %q, want %q", r.Alert, r.Annotations["runbook_url"], want)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" ||
			r.Labels["severity"] == "" {
			t.Errorf("%s has no summary, description or severity", r.Alert)
		}
		if !strings.Contains(tests, "alertname=\""+r.Alert+"\", alertstate=\"firing\"") {
			t.Errorf("%s has no unit test", r.Alert)
		}
	}
	heading := regexp.MustCompile(`(?m)^### (Relay\w+)$`)
	for _, page := range pages[1] {
		var found []string
		for _, m := range heading.FindAllStringSubmatch(text(t, page), -1) {
			found = append(found, m[1])
		}
		if !slices.Equal(found, names) {
			t.Errorf("%s has the runbooks %q, want %q", page, found, names)
		}
	}
}

// dashboardQueries are the queries of the dashboard, with a range that fits the test.
func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(text(t, dashboardFile)), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			queries = append(queries, strings.ReplaceAll(target.Expr, "$__rate_interval", "1m"))
		}
	}
	if len(queries) < 30 {
		t.Fatalf("%d queries", len(queries))
	}
	return queries
}

// metricName matches the names of our metrics, and those of the process.
var metricName = regexp.MustCompile(`\b(relay|pagerduty|process|go)_[a-z_]+`)

// Every metric that an alert or the dashboard names exists, and each metric of the relay is on the
// dashboard and in both operators' pages.
func TestMetricsExist(t *testing.T) {
	p, _ := withOperator(t)
	_, answer := p.ask(t, "GET", "/metrics")
	exists := make(map[string]bool)
	for _, name := range metricName.FindAllString(answer, -1) {
		exists[name] = true
	}
	queries := strings.Join(dashboardQueries(t), "\n")
	shown := make(map[string]bool)
	for _, name := range metricName.FindAllString(queries, -1) {
		shown[strings.TrimSuffix(name, "_bucket")] = true
	}
	for _, r := range alertRules(t) {
		queries += "\n" + r.Expr
	}
	for _, name := range metricName.FindAllString(queries, -1) {
		if !exists[name] {
			t.Errorf("there is no metric %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(families)) {
		if !shown[name] {
			t.Errorf("%s is not on the dashboard", name)
		}
		for _, page := range pages[1] {
			if !strings.Contains(text(t, page), "`"+name+"`") {
				t.Errorf("%s is not in %s", name, page)
			}
		}
	}
}

// Every query of the dashboard has a series on a Prometheus that has watched a server with a storm,
// and every alert can be evaluated.
func TestDashboardOnPrometheus(t *testing.T) {
	prometheus := prometheusTool(t, "prometheus")
	p, _ := withOperator(t, "RELAY_METRICS=127.0.0.1:0")
	target := p.listens(t, "listening for the metrics")
	dir := t.TempDir()
	address, err := pgtest.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "prometheus.yml"), fmt.Sprintf("global: {scrape_interval: 1s}\n"+
		"scrape_configs: [{job_name: guance-relay, static_configs: [{targets: ['%s']}]}]\n"+
		"rule_files: ['%s']\n", target, absolute(t, rulesFile)))
	cmd := exec.CommandContext(t.Context(), prometheus, "--config.file="+dir+"/prometheus.yml",
		"--storage.tsdb.path="+dir+"/data", "--web.listen-address="+address)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	for i := range 20 {
		problem := guancetest.NewProblem(fmt.Sprint("storm", i))
		for _, e := range []*guance.Event{problem.Fault(guance.LevelCritical), problem.Recover()} {
			body, err := e.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			p.post(t, string(body))
		}
	}
	missing := dashboardQueries(t)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		missing = slices.DeleteFunc(missing, func(query string) bool {
			return hasSeries(address, query)
		})
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("these queries have no series:\n%s\nPrometheus says:\n%s",
				strings.Join(missing, "\n"), log.String())
		}
	}
}

// hasSeries reports whether Prometheus answers a query with a series.
func hasSeries(address, query string) bool {
	resp, err := http.Get("http://" + address + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return false // it is not up yet
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return false
	}
	var answer struct {
		Status string
		Data   struct{ Result []json.RawMessage }
	}
	return json.Unmarshal(body, &answer) == nil && answer.Status == "success" &&
		len(answer.Data.Result) > 0
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return path
}
