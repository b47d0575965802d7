package pagerdutysink

import (
	"testing"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty"
)

func decode(t *testing.T, body string) *guance.Event {
	t.Helper()
	events, err := guance.Decode([]byte(body), "")
	if err != nil || len(events) != 1 {
		t.Fatalf("Decode: %d events, %v", len(events), err)
	}
	return events[0]
}

// The rows are the mapping of the package comment; the statuses those of Guance's event level description.
func TestMapping(t *testing.T) {
	everything := &Options{Info: true, NoData: pagerduty.SeverityError, Unknown: pagerduty.SeverityError}
	tests := map[string]struct {
		opts     *Options
		body     string
		action   pagerduty.Action // empty: ignored
		severity pagerduty.Severity
	}{
		"fatal":                  {nil, `{"df_status":"fatal"}`, "trigger", "critical"},
		"critical":               {nil, `{"df_status":"critical"}`, "trigger", "critical"},
		"error":                  {nil, `{"df_status":"error"}`, "trigger", "error"},
		"security high":          {nil, `{"df_status":"high"}`, "trigger", "error"},
		"warning":                {nil, `{"df_status":"warning"}`, "trigger", "warning"},
		"security medium":        {nil, `{"df_status":"security_medium"}`, "trigger", "warning"},
		"no data":                {nil, `{"df_status":"nodata"}`, "trigger", "warning"},
		"no data, configured":    {everything, `{"df_status":"nodata"}`, "trigger", "error"},
		"info":                   {nil, `{"df_status":"info"}`, "", ""},
		"security low":           {nil, `{"df_status":"low"}`, "", ""},
		"info, configured":       {everything, `{"df_status":"info"}`, "trigger", "info"},
		"ok":                     {nil, `{"df_status":"ok"}`, "resolve", "info"},
		"data is back":           {nil, `{"df_status":"nodata_ok"}`, "resolve", "info"},
		"missing data is ok":     {nil, `{"df_status":"nodata_as_ok"}`, "resolve", "info"},
		"a level alone":          {nil, `{"incident_uuid":"incident_1","level":"critical","incidentsStatus":"pending"}`, "", ""},
		"unknown level":          {nil, `{"df_status":"sev1","df_fault_status":"fault"}`, "trigger", "info"},
		"unknown, configured":    {everything, `{"df_status":"sev1","df_fault_status":"fault"}`, "trigger", "error"},
		"recovered by hand":      {nil, `{"df_status":"critical","df_sub_status":"manual_ok"}`, "resolve", "info"},
		"connectivity test":      {nil, `{"df_title":"测试Webhook对接"}`, "", ""},
		"unknown, like an alert": {nil, `{"df_title":"a","df_message":"b"}`, "trigger", "info"},
		"unknown":                {nil, `{"hello":"world"}`, "", ""},
		"the Map hook has a say": {&Options{Map: func(*guance.Event, *pagerduty.Event) bool { return false }}, `{"df_status":"fatal"}`, "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := New(&pagerduty.Client{}, test.opts)
			e := decode(t, test.body)
			got, reason := s.event(e)
			if test.action == "" {
				if got != nil || reason == "" || s.Ignores(e) != reason {
					t.Errorf("got %+v (%q), want it ignored with a reason", got, reason)
				}
				return
			}
			if reason != "" || got.Action != test.action || got.Severity != test.severity {
				t.Fatalf("got %+v (%q), want %s %s", got, reason, test.action, test.severity)
			}
			if got.Summary == "" || got.Source == "" || got.DedupKey != e.ProblemKey() {
				t.Errorf("summary %q, source %q or dedup_key %q is not filled", got.Summary, got.Source, got.DedupKey)
			}
		})
	}
}

func TestSource(t *testing.T) {
	for body, want := range map[string]string{
		`{"df_dimension_tags":"{\"host\":\"web1\",\"a\":\"b\"}"}`:    "web1",
		`{"df_dimension_tags":"{\"zone\":\"z\",\"app\":\"shop\"}"}`:  "app=shop,zone=z",
		`{"df_dimension_tags":"{}","df_monitor_checker_name":"CPU"}`: "CPU",
		`{"df_workspace_name":"observer"}`:                           "observer",
		`{"df_dimension_tags":null,"df_monitor_checker_name":"  "}`:  "Guance",
	} {
		if got := source(decode(t, body)); got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
}
