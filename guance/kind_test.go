package guance_test

import (
	"testing"

	"github.com/guance-relay/guance-relay/guance"
)

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
		{`{"df_status":"critical","df_monitor_checker_sub":"nodata"}`, guance.KindNoData,
			"threshold monitor page: missing data under any level"},
		{`{"df_status":"ok","df_sub_status":"nodata_ok"}`, guance.KindNoData, "older event fields"},
		{`{"df_status":"ok","df_sub_status":"manual_ok"}`, guance.KindRecovery, "older event fields"},
		{`{"df_status":"critical","df_source":"slo"}`, guance.KindSLO, "newest event fields"},
		{`{"df_status":"critical","df_monitor_type":"slo"}`, guance.KindSLO, "event fields"},
		{`{"df_status":"ok","df_monitor_checker":"custom_slo"}`, guance.KindSLO, "monitor templates"},
		{`{"df_status":"critical","df_source":"smartMonitor"}`, guance.KindIntelligent,
			"newest event fields"},
		{`{"df_status":"critical","df_event_report":"x"}`, guance.KindIntelligent, "event fields"},
		{`{"df_status":"critical","df_monitor_type":"bot_obs"}`, guance.KindIntelligent, "event fields"},
		{`{"df_status":"high","df_source":"security"}`, guance.KindSecurity, "newest event fields"},
		{`{"df_status":"security_high"}`, guance.KindSecurity,
			"alert policies of the Terraform provider"},
		{`{"df_status":"warning","df_monitor_checker":"OuterEventChecker"}`, guance.KindExternal,
			"OpenAPI: checker types"},
		{`{"df_status":"warning","df_monitor_checker_id":"rul_1","ticket":"42"}`, guance.KindExternal,
			"OpenAPI: user-defined strings"},
		{`{"df_status":"warning","df_monitor_checker_id":"rul_1","host":"a",` +
			`"df_dimension_tags":"{\"host\":\"a\"}"}`, guance.KindFault, "template variables: tags are " +
			"spread"},
		{`{"df_status":"warning","df_monitor_checker_id":"rul_1","df_new":"x","_x":"y","n":1,"...":"z"}`,
			guance.KindFault, "none is a user-defined string"},
		{`{"df_status":"warning","df_source":"custom"}`, guance.KindCustom, "older event fields"},
		{`{"df_status":"warning","df_source":"user"}`, guance.KindCustom, "newest event fields"},
		{`{"df_status":"info","df_source":"change"}`, guance.KindChange, "newest event fields"},
		{`{"df_status":"info","df_source":"audit"}`, guance.KindAudit, "event fields"},
		{`{"uuid":"issue_1"}`, guance.KindIssue, "OpenAPI: issue"},
		{`{"incident_uuid":"incident_1"}`, guance.KindIncident, "the vendor's on-call script"},
		{`"title"`, guance.KindText, "older notification target page"},
		{`{"df_title":"x"}`, guance.KindTest, "integration guide: hand test"},
		{`{"df_status":"P1","df_event_id":"event-1","df_title":"x"}`, guance.KindUnknown,
			"no such status"},
		{`{"title":"x"}`, guance.KindUnknown, "nothing documented in it"},
		{`7`, guance.KindUnknown, "no object"},
	} {
		if got := one(t, test.body, "").Kind(); got != test.kind {
			t.Errorf("Kind of %s = %s, want %s (%s)", test.body, got, test.kind, test.why)
		}
	}
}
