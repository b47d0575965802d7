package pagerdutysink

import (
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

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

// The rows are the mapping of the package comment; the statuses those of Guance's event level
// description.
func TestMapping(t *testing.T) {
	everything := &Options{Severities: map[guance.Level]pagerduty.Severity{
		guance.LevelInfo: "info", guance.LevelNoData: "major", guance.LevelNone: "error",
	}}
	levels := &Options{MinLevel: guance.LevelError, Severities: map[guance.Level]pagerduty.Severity{
		guance.LevelError: pagerduty.SeverityCritical, guance.LevelFatal: Ignored,
	}}
	muted, keepOpen := &Options{IgnoreMuted: true, Severities: map[guance.Level]pagerduty.Severity{
		guance.LevelInfo: pagerduty.SeverityInfo,
	}}, &Options{KeepOpen: true, IgnoreMuted: true}
	tests := map[string]struct {
		opts     *Options
		body     string
		action   pagerduty.Action // empty: ignored
		severity pagerduty.Severity
	}{
		"fatal":               {nil, `{"df_status":"fatal"}`, "trigger", "critical"},
		"critical":            {nil, `{"df_status":"critical"}`, "trigger", "critical"},
		"error":               {nil, `{"df_status":"error"}`, "trigger", "error"},
		"security high":       {nil, `{"df_status":"high"}`, "trigger", "error"},
		"warning":             {nil, `{"df_status":"warning"}`, "trigger", "warning"},
		"security medium":     {nil, `{"df_status":"security_medium"}`, "trigger", "warning"},
		"no data":             {nil, `{"df_status":"nodata"}`, "trigger", "warning"},
		"no data, configured": {everything, `{"df_status":"nodata"}`, "trigger", "error"},
		"info":                {nil, `{"df_status":"info"}`, "", ""},
		"security low":        {nil, `{"df_status":"low"}`, "", ""},
		"info, configured":    {everything, `{"df_status":"info"}`, "trigger", "info"},
		"ok":                  {nil, `{"df_status":"ok"}`, "resolve", "info"},
		"data is back":        {nil, `{"df_status":"nodata_ok"}`, "resolve", "info"},
		"missing data is ok":  {nil, `{"df_status":"nodata_as_ok"}`, "resolve", "info"},
		"an Issue worked on":  {nil, `{"incident_uuid":"incident_1","level":"critical","incidentsStatus":"working"}`, "acknowledge", "info"},
		"a level alone":       {nil, `{"incident_uuid":"incident_1","level":"critical","incidentsStatus":"pending"}`, "", ""},
		"unknown level": {nil, `{"df_status":"sev1","df_fault_status":"fault"}`,
			"trigger", "info"},
		"unknown, configured": {everything, `{"df_status":"sev1","df_fault_status":"fault"}`,
			"trigger", "error"},
		"recovered by hand": {nil, `{"df_status":"critical","df_sub_status":"manual_ok"}`,
			"resolve", "info"},
		"connectivity test":      {nil, `{"df_title":"测试Webhook对接"}`, "", ""},
		"unknown, like an alert": {nil, `{"df_title":"a","df_message":"b"}`, "trigger", "info"},
		"a message alone":        {nil, `{"df_message":"b"}`, "", ""},
		"unknown":                {nil, `{"hello":"world"}`, "", ""},
		"table, a severity":      {levels, `{"df_status":"error"}`, "trigger", "critical"},
		"table, nothing":         {levels, `{"df_status":"fatal"}`, "", ""},
		"table, recovered":       {levels, `{"df_status":"ok"}`, "resolve", "info"},
		"table, not in it":       {levels, `{"df_status":"critical"}`, "trigger", "critical"},
		"below the minimum":      {levels, `{"df_status":"warning"}`, "", ""},
		"no data, below":         {levels, `{"df_status":"nodata"}`, "", ""},
		"info, below":            {levels, `{"df_status":"info"}`, "", ""},
		"recovered, no level":    {levels, `{"df_status":"warning","df_sub_status":"manual_ok"}`, "resolve", "info"},
		"an Issue, below":        {levels, `{"incident_uuid":"incident_1","level":"warning","incidentsStatus":"open"}`, "", ""},
		"acknowledged, below":    {levels, `{"incident_uuid":"incident_1","level":"warning","incidentsStatus":"working"}`, "acknowledge", "info"},
		"text, minimum":          {levels, `{"df_title":"a","df_message":"b"}`, "trigger", "info"},
		"level unknown, minimum": {levels, `{"df_status":"sev1","df_fault_status":"fault"}`, "trigger", "info"},
		"muted":                  {nil, `{"df_status":"critical","df_is_silent":"true"}`, "trigger", "critical"},
		"muted, ignored":         {muted, `{"df_status":"critical","df_is_silent":"true"}`, "", ""},
		"muted info, ignored":    {muted, `{"df_status":"info","df_is_silent":"true"}`, "", ""},
		"not muted":              {muted, `{"df_status":"critical","df_is_silent":"false"}`, "trigger", "critical"},
		"muted recovery":         {muted, `{"df_status":"ok","df_is_silent":"true"}`, "resolve", "info"},
		"muted acknowledgement":  {muted, `{"incident_uuid":"incident_1","incidentsStatus":"working","df_is_silent":"true"}`, "acknowledge", "info"},
		"kept open":              {keepOpen, `{"df_status":"ok"}`, "", ""},
		"kept open, by hand":     {keepOpen, `{"df_status":"critical","df_sub_status":"manual_ok"}`, "", ""},
		"kept open, an Issue":    {keepOpen, `{"incident_uuid":"incident_1","incidentsStatus":"closed"}`, "", ""},
		"kept open, a problem":   {keepOpen, `{"df_status":"critical"}`, "trigger", "critical"},
		"kept open, in work":     {keepOpen, `{"incident_uuid":"incident_1","incidentsStatus":"working"}`, "acknowledge", "info"},
		"the Map hook has a say": {&Options{Map: func(*guance.Event,
			*pagerduty.Event) bool {
			return false
		}}, `{"df_status":"fatal"}`, "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := New(&pagerduty.Client{}, test.opts)
			e := decode(t, test.body)
			got, reason := s.event(e, e.ProblemKey())
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
				t.Errorf("summary %q, source %q or dedup_key %q is not filled", got.Summary, got.Source,
					got.DedupKey)
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

// The alert has these details and no others.
func TestEveryField(t *testing.T) {
	at := time.Unix(1_790_000_000, 0)
	e := &guance.Event{
		Status: "critical", SubStatus: "error", EventID: "event-1", Title: " disk full ", Message: "text",
		Source:    "monitor",
		EventLink: "https://console.guance.com/e", SiteName: "site", WorkspaceName: "observer", Date: at,
		Result:      guance.Value("93.5"),
		CheckerName: "disk", CheckerID: "rul_1", Checker: "custom_metric", CheckerValue: "93",
		MonitorName: "policy", EventReason: "over 90",
		FaultID: "event-0", UserName: "li", FaultDuration: 90 * time.Second,
		DimensionTags: map[string]string{"host": "db-1", "service": "shop"}, Label: []string{"a"},
	}
	got, reason := New(&pagerduty.Client{}, nil).event(e, e.ProblemKey())
	if reason != "" {
		t.Fatal(reason)
	}
	want := &pagerduty.Event{
		Action: pagerduty.ActionTrigger, DedupKey: e.ProblemKey(), Summary: "disk full", Source: "db-1",
		Severity:  pagerduty.SeverityCritical,
		Timestamp: e.Time(), Component: "shop", Group: "policy", Class: "custom_metric",
		Client: "Guance observer", ClientURL: e.EventLink,
		Links: []pagerduty.Link{{Href: e.EventLink, Text: "Open in Guance"}},
		Details: map[string]any{
			"result": e.Result, "description": "text", "date": at.Unix(), "status": "critical",
			"sub_status": "error", "event_id": "event-1",
			"monitor": "disk", "monitor_id": "rul_1", "alert_policy": "policy", "value": "93",
			"reason": "over 90", "workspace": "observer",
			"site": "site", "fault_id": "event-0", "recovered_by": "li", "tags": e.DimensionTags,
			"labels": e.Label, "lasted": "1m30s",
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// Absent fields are left out, except those that PagerDuty or the vendor's script always has.
func TestFewFields(t *testing.T) {
	at := time.Unix(1_790_000_000, 0)
	got, reason := New(&pagerduty.Client{}, nil).event(&guance.Event{Status: "critical",
		Timestamp: at}, "problem")
	if reason != "" {
		t.Fatal(reason)
	}
	if keys := slices.Sorted(maps.Keys(got.Details)); !slices.Equal(keys,
		[]string{"date", "description", "result", "status"}) {
		t.Errorf("the details are %v", got.Details)
	}
	if got.Details["date"] != at.Unix() || !got.Timestamp.Equal(at) {
		t.Errorf("date %v, timestamp %v, want %v", got.Details["date"], got.Timestamp, at)
	}
	if got.Client != "Guance" || got.Links != nil || got.ClientURL != "" ||
		got.Summary != "Guance alert" {
		t.Errorf("got %+v", got)
	}
	tags, labels := map[string]string{"host": "db-1"}, []string{"a"}
	got, _ = New(&pagerduty.Client{}, nil).event(&guance.Event{Status: "critical", DimensionTags: tags,
		Label: labels}, "problem")
	if !reflect.DeepEqual(got.Details["tags"], tags) ||
		!reflect.DeepEqual(got.Details["labels"], labels) {
		t.Errorf("one tag and one label are %v and %v", got.Details["tags"], got.Details["labels"])
	}
	got, _ = New(&pagerduty.Client{}, nil).event(&guance.Event{Status: "critical"}, "problem")
	if got == nil || got.Details["date"] != nil {
		t.Errorf("an event without a time has %+v", got)
	}
}

// The first that is not blank is the summary, and the class.
func TestSummaryAndClass(t *testing.T) {
	for body, want := range map[string][2]string{
		`{"df_title":"title","df_message":"message","df_monitor_checker_name":"CPU"}`: {"title", ""},
		`{"df_title":" ","df_message":" message ","df_monitor_checker_name":"CPU"}`:   {"message", ""},
		`{"df_message":"\n","df_monitor_checker_name":" CPU ","df_source":"monitor"}`: {"CPU", "monitor"},
		`{"df_status":"nodata","df_monitor_checker":"custom_metric"}`: {"Guance alert",
			"no data"},
		`{"df_status":"ok","df_monitor_checker_sub":"nodata"}`: {"Guance alert",
			"no data"},
		`{"df_monitor_checker":"custom_metric","df_source":"monitor"}`: {"Guance alert",
			"custom_metric"},
	} {
		if e := decode(t, body); summary(e) != want[0] || class(e) != want[1] {
			t.Errorf("%s: summary %q and class %q, want %q", body, summary(e), class(e), want)
		}
	}
}
