package guance_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// The OpenAPI of 2023 had numbers for the priority and the status of an Issue.
func TestReport21IssueLevelsAreNumbers(t *testing.T) {
	for _, test := range []struct {
		level string // as JSON
		want  guance.Level
	}{
		{`0`, guance.LevelCritical}, {`1`, guance.LevelError}, {`2`, guance.LevelWarning},
		{`3`, guance.LevelNone}, {`4`, guance.LevelNone},
		{`"0"`, guance.LevelCritical}, {`" 1 "`, guance.LevelError},
		{`"system_level_0"`, guance.LevelCritical}, {`"critical"`, guance.LevelCritical},
		{`-1`, guance.LevelNone}, {`0.5`, guance.LevelNone}, {`1e3`, guance.LevelNone},
		{`99999999999999999999`, guance.LevelNone}, {`null`, guance.LevelNone},
		{`true`, guance.LevelNone}, {`[0]`, guance.LevelNone}, {`""`, guance.LevelNone},
	} {
		for _, body := range []string{
			`{"uuid":"issue_1","level":%s,"status":0,"statusType":10}`,
			`{"event_type":"issue.add","issue":{"uuid":"issue_1","level":%s,"statusType":10},` +
				`"channel":{"level":1}}`,
			`{"incident_uuid":"incident_1","level":%s,"incidentsStatus":"open"}`,
		} {
			body = fmt.Sprintf(body, test.level)
			if e := one(t, body, ""); e.State() != guance.StateProblem || e.Level() != test.want {
				t.Errorf("%s is %s, %s; want problem, %s", body, e.State(), e.Level(), test.want)
			}
		}
	}
	for number, want := range map[string]guance.State{
		"10": guance.StateProblem, "15": guance.StateNeither, "20": guance.StateRecovered,
		"25": guance.StateRecovered, "30": guance.StateNeither,
		"0": guance.StateNeither, "11": guance.StateNeither,
	} {
		for _, value := range []string{number, `"` + number + `"`} {
			if e := one(t, `{"uuid":"issue_1","level":0,"status":0,"statusType":`+value+`}`,
				""); e.State() != want {
				t.Errorf("statusType %s is %s, want %s", value, e.State(), want)
			}
		}
	}
}

// The time of an external event comes from its sender's clock, and clocks differ: the order of
// arrival decides.
func TestReport22ExternalEventsHaveNoOrderTime(t *testing.T) {
	at := time.Unix(1693034940, 0)
	for name, ordered := range map[string]bool{
		"synthetic-external.json": false, "synthetic-custom.json": false,
		"synthetic-custom-recovery.json": false, "synthetic-zabbix.json": false,
		"webhook-monitor-critical.json": true, "synthetic-recovery.json": true,
		"synthetic-slo.json": true, "synthetic-security.json": true,
		"synthetic-issue-resolved.json": true, "synthetic-issue-2023.json": true,
	} {
		e := one(t, string(sample(t, name)), "")
		if e.Time().IsZero() {
			t.Fatalf("%s: it has no time, and shows nothing", name)
		}
		if got := e.OrderTime(); ordered && !got.Equal(e.Time()) || !ordered && !got.IsZero() {
			t.Errorf("%s: OrderTime() = %v, want one: %v", name, got, ordered)
		}
	}
	for _, e := range []*guance.Event{
		{Timestamp: at, Status: "critical", CheckerID: "rul_1", Checker: "OuterEventChecker"},
		{Timestamp: at, Status: "critical", CheckerID: "rul_1", MonitorType: "outer_event"},
		{Date: at, Status: "ok", CheckerID: "rul_1", Checker: "custom_outer_event"},
		{Date: at, Status: "ok", Source: "user"},
	} {
		if got := e.OrderTime(); !got.IsZero() {
			t.Errorf("%+v: OrderTime() = %v, want none", e, got)
		}
	}
}

// An id of any form is kept, and is not in Invalid.
func TestEventIDForms(t *testing.T) {
	for value, want := range map[string]string{
		`"event-f20a"`:                           "event-f20a",
		`"0f5b8c0e-6f1d-4a53-9d2e-8d3f6c1b7a90"`: "0f5b8c0e-6f1d-4a53-9d2e-8d3f6c1b7a90",
		`"4711"`:                                 "4711", `4711`: "4711",
		`123456789012345678901234567890`: "123456789012345678901234567890", `null`: "", `""`: "",
	} {
		e := one(t, `{"df_status":"error","df_event_id":`+value+`}`, "")
		if e.EventID != want || len(e.Invalid) > 0 || len(e.Extra) > 0 {
			t.Errorf("df_event_id %s: got %q, Invalid %q, Extra %v", value, e.EventID, e.Invalid, e.Extra)
		}
	}
	for _, value := range []string{`true`, `[1]`, `{}`} {
		if e := one(t, `{"df_status":"error","df_event_id":`+value+`}`, ""); e.EventID != "" ||
			len(e.Invalid) != 1 {
			t.Errorf("df_event_id %s: got %q, Invalid %q", value, e.EventID, e.Invalid)
		}
	}
}

// The severity of another system in the sub-status changes neither state nor level.
func TestSubStatusIsASeverity(t *testing.T) {
	for _, value := range []string{`0`, `"0"`, `3`, `"5"`, `5`} {
		for status, want := range map[string]guance.State{"error": guance.StateProblem,
			"ok": guance.StateRecovered} {
			e := one(t, `{"df_source":"custom","df_event_id":7,"df_status":"`+status+
				`","df_sub_status":`+value+`}`, "")
			if e.State() != want || e.Level() != e.Status.Level() || len(e.Invalid) > 0 {
				t.Errorf("%s with the severity %s: %s, %s, Invalid %q", status, value, e.State(), e.Level(),
					e.Invalid)
			}
		}
	}
}

// An Issue that names its event only by a docid is a problem of its own: the docid is neither the
// event's id nor its reference.
func TestIssueOfADocID(t *testing.T) {
	e := one(t, string(sample(t, "synthetic-issue-2023.json")), "")
	if e.Incident == nil || e.Incident.Resource != "" || e.ProblemKey() != e.Incident.UUID {
		t.Errorf("Incident = %+v, ProblemKey() = %s; want its own id", e.Incident, e.ProblemKey())
	}
}

func TestLinkOfOlderName(t *testing.T) {
	e := one(t, string(sample(t, "synthetic-func-null-result.json")), "")
	if e.EventLink != "" || e.Link() == "" || e.Link() != e.EventURL || !e.Result.Absent() {
		t.Errorf("Link() = %q, df_event_url = %q, Result = %q", e.Link(), e.EventURL, e.Result)
	}
}
