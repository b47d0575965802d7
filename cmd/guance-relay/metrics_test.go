package main

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// families are the metrics of the relay and of the PagerDuty client, with the labels of a sample.
// No label names a problem.
var families = map[string]string{
	"relay_entries_settled_total":        "lane outcome",
	"relay_attempts_total":               "class lane",
	"relay_attempt_duration_seconds":     "lane",
	"relay_entry_age_seconds":            "lane level",
	"relay_backlog":                      "lane level",
	"relay_backlog_age_seconds":          "lane",
	"relay_stuck":                        "lane",
	"relay_log_lines_dropped_total":      "",
	"pagerduty_attempts_total":           "class",
	"pagerduty_attempt_duration_seconds": "class",
	"pagerduty_throttled_total":          "",
	"pagerduty_repaired_total":           "",
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
		`relay_backlog_age_seconds{lane="pagerduty"} 0`,
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
