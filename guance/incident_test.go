package guance_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
)

// No Issue or Incident body is documented. The first rows have the forms of the API; the others are
// made with the names that the vendor's on-call script looks for.
func TestIncidents(t *testing.T) {
	for _, test := range []struct {
		name, body string
		want       guance.Incident
		key        string
	}{
		{"API issue", string(sample(t, "openapi-issue-get.json")), guance.Incident{
			Kind: guance.KindIssue, UUID: "issue_xxxx32", Status: "open", Severity: "system_level_3",
			Title: "上传", Time: unix(1716888575, 0),
		}, "issue_xxxx32"},
		{"API reply", string(sample(t, "openapi-issue-reply-list.json")), guance.Incident{
			Kind: guance.KindIssue, UUID: "issue_db6629a4e2cd4f92a95dae0d6d5b44ec",
			Time: unix(1690278285, 0),
		}, "issue_db6629a4e2cd4f92a95dae0d6d5b44ec"},
		{"flat", `{"incident_uuid":"incident_1","incidentsStatus":"Working","level":"system_level_0",` +
			`"resourceIdentity":"ref","title":"t","statusTime":1700000000}`, guance.Incident{
			Kind: guance.KindIncident, UUID: "incident_1", Status: "working", Severity: "system_level_0",
			Resource: "ref", Title: "t", Time: unix(1700000000, 0),
		}, "ref"},
		{"ref under a monitor's name",
			`{"incidentId":"7","df_monitor_checker_event_ref":"ref","status":"resolved"}`, guance.Incident{
				Kind: guance.KindIncident, UUID: "7", Status: "resolved", Resource: "ref",
			}, "ref"},
		{"status beside the object",
			`{"type":"update","incidentsStatus":"closed","incident":{"uuid":"incident_1","name":"n"},` +
				`"creator":{"name":"a person"}}`, guance.Incident{
				Kind: guance.KindIncident, UUID: "incident_1", Status: "closed", Title: "n",
			}, "incident_1"},
		{"deep", `{"a":{"b":{"c":[{"d":{"incidentUuid":"incident_1","event_ref":"ref",` +
			`"status":"open"}}]}}}`, guance.Incident{
			Kind: guance.KindIncident, UUID: "incident_1", Status: "open", Resource: "ref",
		}, "ref"},
		{"with its event", `{"incident":{"uuid":"incident_1","incidentsStatus":"working"},` +
			`"event":{"df_event_id":"event-1","df_status":"critical",` +
			`"df_monitor_checker_event_ref":"ref"}}`, guance.Incident{
			Kind: guance.KindIncident, UUID: "incident_1", Status: "working", Resource: "ref",
		}, "ref"},
		{"names in order of preference",
			`{"status":"open","eventRef":"second","incidentsStatus":"working","resourceIdentity":"first",` +
				`"incident_id":"incident_1","issueUUID":"issue_1"}`, guance.Incident{
				Kind: guance.KindIncident, UUID: "incident_1", Status: "working", Resource: "first",
			}, "first"},
		{"with the id of an event",
			`{"incident_uuid":"incident_1","incidentsStatus":"closed","df_event_id":"event-1",` +
				`"df_monitor_checker_event_ref":"ref"}`, guance.Incident{
				Kind: guance.KindIncident, UUID: "incident_1", Status: "closed", Resource: "ref",
			}, "ref"},
		{"id is a number", `{"incident_id":5,"incidentsStatus":"open"}`, guance.Incident{
			Kind: guance.KindIncident, UUID: "5", Status: "open",
		}, "5"},
		{"everyday words of others",
			`{"issue":{"uuid":"issue_1","status":"working"},"channel":{"status":"closed",` +
				`"level":"system_level_0","title":"a channel","name":"a name","updateAt":5}}`, guance.Incident{
				Kind: guance.KindIssue, UUID: "issue_1", Status: "working",
			}, "issue_1"},
		{"its history", `{"history":[{"incidentsStatus":"open"},{"incidentsStatus":"working"}],` +
			`"incident":{"uuid":"incident_1","incidentsStatus":"closed"}}`, guance.Incident{
			Kind: guance.KindIncident, UUID: "incident_1", Status: "closed",
		}, "incident_1"},
		{"a name farther out", `{"name":"a person","issue":{"uuid":"issue_1"}}`, guance.Incident{
			Kind: guance.KindIssue, UUID: "issue_1",
		}, "issue_1"},
		{"everyday words around it, the nearest",
			`{"status":"open","level":"system_level_1","title":"far","updateAt":7,` +
				`"issue":{"status":"resolved","issue":{"uuid":"issue_1"}}}`, guance.Incident{
				Kind: guance.KindIssue, UUID: "issue_1", Status: "resolved", Severity: "system_level_1",
				Title: "far", Time: unix(7, 0),
			}, "issue_1"},
		{"a status in words and as a number",
			`{"issue_uuid":"issue_1","status":"working","statusType":10}`, guance.Incident{
				Kind: guance.KindIssue, UUID: "issue_1", Status: "working",
			}, "issue_1"},
		{"a number without a meaning", `{"issue_uuid":"issue_1","statusType":11}`, guance.Incident{
			Kind: guance.KindIssue, UUID: "issue_1",
		}, "issue_1"},
		{"a status that is another's", `{"issue_uuid":"issue_1","status":"active","statusType":"20"}`,
			guance.Incident{
				Kind: guance.KindIssue, UUID: "issue_1", Status: "resolved",
			}, "issue_1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := one(t, test.body, "")
			if diff := cmp.Diff(&test.want, e.Incident); diff != "" {
				t.Errorf("Incident (-want +got):\n%s", diff)
			}
			if string(e.Raw) != test.body || e.Title != test.want.Title || e.Kind() != test.want.Kind ||
				!e.Time().Equal(test.want.Time) {
				t.Errorf("Raw = %s, Title = %q, Kind = %s, Time = %v", e.Raw, e.Title, e.Kind(), e.Time())
			}
			if got := e.ProblemKey(); got != test.key {
				t.Errorf("ProblemKey() = %s, want %s", got, test.key)
			}
		})
	}
}

func TestNoIncident(t *testing.T) {
	for _, body := range []string{
		`{"issue_id":"42","status":"open"}`, `{"uuid":"wksp_1"}`, `{"incident_uuid":""}`,
		`{"incident_id":null}`, `{"incident_id":["incident_1"]}`,
		`{"df_event_id":"event-1","df_status":"critical","incident_uuid":"incident_1"}`,
		`{"df_monitor_checker_id":"rul_1","df_status":"critical","incident_uuid":"incident_1"}`,
		`["incident_uuid","incident_1"]`,
	} {
		events, err := guance.Decode([]byte(body), "")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Incident != nil {
				t.Errorf("%s has the Incident %+v, want none", body, e.Incident)
			}
		}
	}
}

// The states are those of the Incident pages and of the release notes of 2025-02-19. That working
// is neither is this package's choice.
func TestIncidentState(t *testing.T) {
	for _, test := range []struct {
		status, severity string
		state            guance.State
		level            guance.Level
		acknowledged     bool
	}{
		{"open", "system_level_0", guance.StateProblem, guance.LevelCritical, false},
		{"open", "system_level_1", guance.StateProblem, guance.LevelError, false},
		{"open", "system_level_2", guance.StateProblem, guance.LevelWarning, false},
		{"open", "system_level_3", guance.StateProblem, guance.LevelNone, false},
		{"open", "fatal", guance.StateProblem, guance.LevelFatal, false},
		{"working", "system_level_0", guance.StateNeither, guance.LevelCritical, true},
		{"pending", "", guance.StateNeither, guance.LevelNone, false},
		{"resolved", "system_level_0", guance.StateRecovered, guance.LevelNone, false},
		{"closed", "", guance.StateRecovered, guance.LevelNone, false},
		{"", "", guance.StateNeither, guance.LevelNone, false},
	} {
		t.Run(test.status+"+"+test.severity, func(t *testing.T) {
			e := &guance.Event{Incident: &guance.Incident{Kind: guance.KindIssue, Status: test.status,
				Severity: test.severity}}
			if e.State() != test.state || e.Level() != test.level || e.Acknowledged() != test.acknowledged {
				t.Errorf("got %s, %s, acknowledged %t, want %s, %s, %t",
					e.State(), e.Level(), e.Acknowledged(), test.state, test.level, test.acknowledged)
			}
		})
	}
	if (&guance.Event{Status: "working"}).Acknowledged() {
		t.Error("a monitor event is acknowledged; none ever is")
	}
}
