package guance_test

import (
	"fmt"
	"testing"

	"github.com/guance-relay/guance-relay/guance"
)

// Every row is a statement of the documents, or a doubtful combination decided
// on what they say, named in the last column.
func TestState(t *testing.T) {
	const (
		problem   = guance.StateProblem
		recovered = guance.StateRecovered
		neither   = guance.StateNeither
	)
	for _, test := range []struct {
		status, sub, fault guance.Status
		state              guance.State
		level              guance.Level
		source             string
	}{
		{"fatal", "", "", problem, guance.LevelFatal, "level page, newest"},
		{"critical", "", "", problem, guance.LevelCritical, "level page"},
		{"error", "", "", problem, guance.LevelError, "level page"},
		{"warning", "", "", problem, guance.LevelWarning, "level page"},
		{"nodata", "", "", problem, guance.LevelNoData, "level page"},
		{"info", "", "", neither, guance.LevelInfo, "level page: the check met no rule"},
		{"ok", "", "", recovered, guance.LevelNone, "level page"},
		{"nodata_ok", "", "", recovered, guance.LevelNone, "event fields, as a status"},
		{"nodata_as_ok", "", "", recovered, guance.LevelNone, "event fields, as a status"},
		{"manual_ok", "", "", recovered, guance.LevelNone, "event fields, as a status"},
		{"high", "", "", problem, guance.LevelError, "level page, security"},
		{"medium", "", "", problem, guance.LevelWarning, "level page, security"},
		{"low", "", "", problem, guance.LevelInfo, "level page, security"},
		{"security_critical", "", "", problem, guance.LevelCritical, "alert policies of the Terraform provider"},
		{"security_high", "", "", problem, guance.LevelError, "alert policies of the Terraform provider"},
		{"security_medium", "", "", problem, guance.LevelWarning, "alert policies of the Terraform provider"},
		{"security_low", "", "", problem, guance.LevelInfo, "alert policies of the Terraform provider"},
		{"security_info", "", "", neither, guance.LevelInfo, "alert policies of the Terraform provider"},

		{"critical", "critical", "fault", problem, guance.LevelCritical, "sample, with the fault status of 2024"},
		{"ok", "ok", "ok", recovered, guance.LevelNone, "older event fields: sub-status ok"},
		{"ok", "nodata_ok", "ok", recovered, guance.LevelNone, "older event fields: data came back"},
		{"ok", "nodata_as_ok", "ok", recovered, guance.LevelNone, "older event fields: missing data counts as recovered"},
		{"ok", "manual_ok", "ok", recovered, guance.LevelNone, "older event fields: by hand"},

		{" Critical\n", "", "", problem, guance.LevelCritical, "case and space do not count"},
		{"OK", "", "", recovered, guance.LevelNone, "case does not count"},

		{"critical", "", "ok", problem, guance.LevelCritical, "doubtful: the fault status is derived, the status wins"},
		{"ok", "", "fault", recovered, guance.LevelNone, "doubtful: the fault status is derived, the status wins"},
		{"info", "", "ok", neither, guance.LevelInfo, "doubtful: info is no recovery, whatever the fault status"},
		{"info", "", "fault", neither, guance.LevelInfo, "doubtful: the status wins"},
		{"critical", "ok", "", recovered, guance.LevelNone, "doubtful: a recovery in either status is one"},
		{"nodata", "nodata_as_ok", "", recovered, guance.LevelNone, "doubtful: a recovery in either status is one"},
		{"ok", "critical", "", recovered, guance.LevelNone, "doubtful: a recovery in either status is one"},
		{"info", "ok", "", recovered, guance.LevelNone, "doubtful: a recovery in either status is one"},
		{"", "critical", "", problem, guance.LevelCritical, "abridged: the sub-status otherwise equals the level"},
		{"P1", "error", "", problem, guance.LevelError, "unknown: the sub-status otherwise equals the level"},
		{"", "", "ok", recovered, guance.LevelNone, "abridged: fault status ok without a fault level"},
		{"P1", "", "ok", recovered, guance.LevelNone, "unknown: fault status ok without a fault level"},
		{"P1", "", "Fault ", problem, guance.LevelNone, "unknown: nothing but the fault status speaks"},
		{"P1", "", "", neither, guance.LevelNone, "unknown: nothing speaks"},
		{"", "", "", neither, guance.LevelNone, "nothing speaks"},
		{"fault", "", "", neither, guance.LevelNone, "fault is a value of the fault status only"},
	} {
		name := fmt.Sprintf("%q+%q+%q", test.status, test.sub, test.fault)
		t.Run(name, func(t *testing.T) {
			e := &guance.Event{Status: test.status, SubStatus: test.sub, FaultStatus: test.fault}
			if got := e.State(); got != test.state {
				t.Errorf("State() = %s, want %s (%s)", got, test.state, test.source)
			}
			if got := e.Level(); got != test.level {
				t.Errorf("Level() = %s, want %s (%s)", got, test.level, test.source)
			}
		})
	}
}

// The states are those of the Incident pages and of the release notes of
// 2025-02-19; that working does not speak of the problem is this package's.
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
			e := &guance.Event{Incident: &guance.Incident{Kind: guance.KindIssue, Status: test.status, Severity: test.severity}}
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

// The numbers are on other people's disks.
func TestNumbersNeverChange(t *testing.T) {
	for n, name := range []string{"none", "info", "nodata", "warning", "error", "critical", "fatal"} {
		if got := guance.Level(n).String(); got != name {
			t.Errorf("Level(%d) = %s, want %s", n, got, name)
		}
	}
	for n, name := range []string{"neither", "problem", "recovered"} {
		if got := guance.State(n).String(); got != name {
			t.Errorf("State(%d) = %s, want %s", n, got, name)
		}
	}
	for got, want := range map[fmt.Stringer]string{
		guance.Level(7): "Level(7)", guance.Level(-1): "Level(-1)", guance.State(3): "State(3)",
	} {
		if got.String() != want {
			t.Errorf("String() = %s, want %s", got, want)
		}
	}
}

func TestKind(t *testing.T) {
	for _, test := range []struct {
		body string
		kind guance.Kind
		why  string
	}{
		{`{"df_status":"critical","df_monitor_checker_id":"rul_1"}`, guance.KindFault, "sample"},
		{`{"df_status":"ok","df_monitor_checker_id":"rul_1"}`, guance.KindRecovery, "level page"},
		{`{"df_status":"info"}`, guance.KindInfo, "level page"},
		{`{"df_status":"nodata"}`, guance.KindNoData, "level page"},
		{`{"df_status":"critical","df_monitor_checker_sub":"nodata"}`, guance.KindNoData, "threshold monitor page: missing data under any level"},
		{`{"df_status":"ok","df_sub_status":"nodata_ok"}`, guance.KindNoData, "older event fields"},
		{`{"df_status":"ok","df_sub_status":"manual_ok"}`, guance.KindRecovery, "older event fields"},
		{`{"df_status":"critical","df_source":"slo"}`, guance.KindSLO, "newest event fields"},
		{`{"df_status":"critical","df_monitor_type":"slo"}`, guance.KindSLO, "event fields"},
		{`{"df_status":"ok","df_monitor_checker":"custom_slo"}`, guance.KindSLO, "monitor templates"},
		{`{"df_status":"critical","df_source":"smartMonitor"}`, guance.KindIntelligent, "newest event fields"},
		{`{"df_status":"critical","df_event_report":"x"}`, guance.KindIntelligent, "event fields"},
		{`{"df_status":"critical","df_monitor_type":"bot_obs"}`, guance.KindIntelligent, "event fields"},
		{`{"df_status":"high","df_source":"security"}`, guance.KindSecurity, "newest event fields"},
		{`{"df_status":"security_high"}`, guance.KindSecurity, "alert policies of the Terraform provider"},
		{`{"df_status":"warning","df_monitor_checker":"OuterEventChecker"}`, guance.KindExternal, "OpenAPI: checker types"},
		{`{"df_status":"warning","df_monitor_checker_id":"rul_1","ticket":"42"}`, guance.KindExternal, "OpenAPI: user-defined strings"},
		{`{"df_status":"warning","df_monitor_checker_id":"rul_1","host":"a","df_dimension_tags":"{\"host\":\"a\"}"}`, guance.KindFault, "template variables: tags are spread"},
		{`{"df_status":"warning","df_monitor_checker_id":"rul_1","df_new":"x","_x":"y","n":1,"...":"z"}`, guance.KindFault, "none is a user-defined string"},
		{`{"df_status":"warning","df_source":"custom"}`, guance.KindCustom, "older event fields"},
		{`{"df_status":"warning","df_source":"user"}`, guance.KindCustom, "newest event fields"},
		{`{"df_status":"info","df_source":"change"}`, guance.KindChange, "newest event fields"},
		{`{"df_status":"info","df_source":"audit"}`, guance.KindAudit, "event fields"},
		{`{"uuid":"issue_1"}`, guance.KindIssue, "OpenAPI: issue"},
		{`{"incident_uuid":"incident_1"}`, guance.KindIncident, "the vendor's on-call script"},
		{`"title"`, guance.KindText, "older notification target page"},
		{`{"df_title":"x"}`, guance.KindTest, "integration guide: hand test"},
		{`{"df_status":"P1","df_event_id":"event-1","df_title":"x"}`, guance.KindUnknown, "no such status"},
		{`{"title":"x"}`, guance.KindUnknown, "nothing documented in it"},
		{`7`, guance.KindUnknown, "no object"},
	} {
		if got := one(t, test.body, "").Kind(); got != test.kind {
			t.Errorf("Kind of %s = %s, want %s (%s)", test.body, got, test.kind, test.why)
		}
	}
}
