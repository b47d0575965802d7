package main

import (
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// families are the metrics of the relay and of the PagerDuty client, with the labels of a sample.
// No label names a problem.
var families = map[string]string{
	"relay_webhooks_total":                 "code reason",
	"relay_events_total":                   "fate kind source",
	"relay_webhook_last_age_seconds":       "source",
	"relay_entries_settled_total":          "lane outcome",
	"relay_attempts_total":                 "class lane",
	"relay_attempt_duration_seconds":       "lane",
	"relay_entry_age_seconds":              "lane level",
	"relay_backlog":                        "lane level",
	"relay_backlog_age_seconds":            "lane level",
	"relay_stuck":                          "lane",
	"relay_unconfirmed":                    "lane",
	"relay_dead_letters":                   "lane",
	"relay_lane_state":                     "lane state",
	"relay_pause_remaining_seconds":        "lane",
	"relay_budget_left":                    "lane",
	"relay_delivery_last_age_seconds":      "lane",
	"relay_lane_owned":                     "lane",
	"relay_tenures_total":                  "lane",
	"relay_store_entries":                  "",
	"relay_store_entries_limit":            "",
	"relay_store_pending_bytes":            "",
	"relay_store_pending_limit_bytes":      "",
	"relay_store_file_size_bytes":          "",
	"relay_store_disk_free_bytes":          "",
	"relay_store_commit_duration_seconds":  "",
	"relay_config_last_reload_successful":  "",
	"relay_config_last_reload_age_seconds": "",
	"relay_config_reloads_total":           "result",
	"relay_secret_files_unusable":          "",
	"relay_log_lines_dropped_total":        "",
	"relay_clock_steps_total":              "",
	"relay_build_info":                     "go_version version",
	"pagerduty_attempts_total":             "class",
	"pagerduty_attempt_duration_seconds":   "class",
	"pagerduty_throttled_total":            "",
	"pagerduty_repaired_total":             "",
}

// The metrics have the documented names and labels, count what happened, and hold no secret and no
// problem key.
func TestMetrics(t *testing.T) {
	p, pd := withOperator(t)
	poison(pd, "a-poisonous-problem")
	p.post(t, fault("a-poisonous-problem"))
	p.dead(t, 1)
	pd.Script(pagerdutytest.Fault{Status: http.StatusTooManyRequests, RetryAfter: "1"})
	// a summary that is too long
	long := strings.Repeat("磁盘", 1000)
	p.post(t, strings.ReplaceAll(fault("a-problem"), "磁盘使用率过高", long))
	p.post(t, strings.ReplaceAll(fault("a-note"), `status": "critical"`, `status": "info"`))
	p.settled(t, 1, 1, 1)
	want := []string{
		`relay_entries_settled_total{lane="pagerduty",outcome="dead"} 1`,
		`relay_entries_settled_total{lane="pagerduty",outcome="delivered"} 1`,
		`relay_entries_settled_total{lane="pagerduty",outcome="ignored"} 1`,
		`relay_attempts_total{class="dead",lane="pagerduty"} 1`,
		`relay_attempts_total{class="delivered",lane="pagerduty"} 1`,
		`relay_attempts_total{class="throttled",lane="pagerduty"} 1`,
		`relay_attempt_duration_seconds_count{lane="pagerduty"} 3`,
		`relay_attempt_duration_seconds_bucket{lane="pagerduty",le="30"} 3`,
		`relay_entry_age_seconds_count{lane="pagerduty",level="critical"} 1`,
		`relay_entry_age_seconds_bucket{lane="pagerduty",level="critical",le="86400"} 1`,
		`relay_backlog{lane="pagerduty",level="critical"} 0`,
		`relay_backlog_age_seconds{lane="pagerduty",level="critical"} 0`,
		`relay_dead_letters{lane="pagerduty"} 1`,
		`relay_lane_owned{lane="pagerduty"} 1`,
		`relay_webhooks_total{code="202",reason=""} 3`,
		`relay_events_total{fate="accepted",kind="fault",source="default"} 2`,
		`relay_events_total{fate="accepted",kind="info",source="default"} 1`,
		`relay_store_entries_limit 1e+06`,
		`pagerduty_attempts_total{class="success"} 1`,
		`pagerduty_attempts_total{class="permanent"} 1`,
		`pagerduty_attempts_total{class="throttled"} 1`,
		`pagerduty_throttled_total 1`,
		`pagerduty_repaired_total `,
		`pagerduty_attempt_duration_seconds_bucket{class="success",le="0.005"} `,
		`go_goroutines `,
		`process_open_fds `,
	}
	var text string
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		code, got := p.ask(t, "GET", "/metrics")
		if code != http.StatusOK {
			t.Fatalf("%d %s", code, got)
		}
		missing := slices.DeleteFunc(slices.Clone(want),
			func(line string) bool { return strings.Contains("\n"+got, "\n"+line) })
		if text = got; len(missing) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the metrics have no\n%s\nand are\n%s", strings.Join(missing, "\n"), got)
		}
	}

	for _, h := range zeroHistograms {
		if !strings.Contains(text, "\n# HELP "+h.name+" "+h.help+"\n") {
			t.Errorf("%s has another help than the library's", h.name)
		}
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	parsed, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for name := range families {
		if parsed[name] == nil {
			t.Errorf("there is no family %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(parsed)) {
		labels, known := families[name]
		if !known {
			if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") &&
				!strings.HasPrefix(name, "promhttp_") {
				t.Errorf("there is a family %s", name)
			}
			continue
		}
		for _, sample := range parsed[name].GetMetric() {
			var has []string
			for _, l := range sample.GetLabel() {
				has = append(has, l.GetName())
			}
			if h := sample.GetHistogram(); h != nil && len(h.GetBucket()) != bucketsOf(name) {
				t.Errorf("%s has %d buckets, want %d", name, len(h.GetBucket()), bucketsOf(name))
			}
			if slices.Sort(has); strings.Join(has, " ") != labels {
				t.Errorf("%s has the labels %q, want %q", name, has, labels)
			}
		}
	}
	for _, private := range []string{routingKey32, token, "a-poisonous-problem", "a-problem", "a-note",
		"event-of"} {
		if strings.Contains(text, private) {
			t.Errorf("%q is in the metrics", private)
		}
	}
}

// bucketsOf returns how many buckets a histogram has that is made at zero, with that of infinity.
func bucketsOf(name string) int {
	for _, h := range zeroHistograms {
		if h.name == name {
			return len(h.buckets) + 1
		}
	}
	return 0
}

// Every series is there before anything has happened: rate and increase of Prometheus do not see
// the first event of a series that begins with it.
func TestMetricsBeginAtZero(t *testing.T) {
	p, _ := withOperator(t)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if code, _ := p.get(t, "/readyz"); code == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the server is not ready")
		}
	}
	_, text := p.ask(t, "GET", "/metrics")
	for name, want := range map[string]int{
		"relay_webhooks_total": 8 + 5, "relay_events_total": len(guance.Kinds()) * 4,
		"relay_entries_settled_total": 4, "relay_attempts_total": 6, "relay_clock_steps_total": 1,
		"relay_attempt_duration_seconds_count": 1, "relay_entry_age_seconds_count": 7,
		"relay_backlog": 7, "relay_backlog_age_seconds": 7, "relay_stuck": 1, "relay_unconfirmed": 1,
		"relay_dead_letters": 1, "relay_store_entries": 1, "relay_config_reloads_total": 2,
		"relay_log_lines_dropped_total": 1, "relay_secret_files_unusable": 1,
		"pagerduty_attempts_total": 6, "pagerduty_attempt_duration_seconds_count": 6,
		"pagerduty_throttled_total": 1, "pagerduty_repaired_total": 1,
	} {
		series := regexp.MustCompile("(?m)^"+name+`(\{.*\})? (.*)$`).FindAllStringSubmatch(text, -1)
		if len(series) != want {
			t.Errorf("%s has %d series, want %d", name, len(series), want)
		}
		for _, s := range series {
			if s[2] != "0" {
				t.Errorf("%s is not zero", s[0])
			}
		}
	}
}

// The address of the metrics has the metrics and nothing else, and need not be loopback.
func TestMetricsAddress(t *testing.T) {
	p, _ := withOperator(t, "RELAY_METRICS=0.0.0.0:0")
	_, port, err := net.SplitHostPort(p.listens(t, "listening for the metrics"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/metrics": 200, "/": 404, "/stats": 404, "/console/": 404,
		"/dead": 404, "/replay": 404, "/reload": 404, "/guance": 404, "/debug/pprof/": 404} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			req, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:"+port+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			code := want
			if method == http.MethodPost && path == "/metrics" {
				code = http.StatusNotFound
			}
			if resp.StatusCode != code {
				t.Errorf("%s %s: %d, want %d", method, path, resp.StatusCode, code)
			}
		}
	}
}
