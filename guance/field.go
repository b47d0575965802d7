package guance

import (
	"encoding/json"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// A field is one documented field of an event.
type field struct {
	name string
	// decode stores a value that is not null. It returns false and changes nothing if the value does
	// not fit.
	decode func(e *Event, v jsontext.Value) bool
	// encode appends the value, or nothing if the event has none.
	encode func(e *Event, dst []byte) []byte
	// want names the accepted forms, for Invalid.
	want string
}

// fields lists the documented fields: the name on the wire, the form of the value, and the field of
// Event, whose json tag is the same name. It is sorted by name, the order in which encode writes
// them.
var fields = [...]field{
	value("Result", func(e *Event) *Value { return &e.Result }),
	text("__docid", func(e *Event) *string { return &e.DocID }),
	ranges("alert_time_ranges", func(e *Event) *[]TimeRange { return &e.AlertTimeRanges }),
	text("app_id", func(e *Event) *string { return &e.AppID }),
	text("app_name", func(e *Event) *string { return &e.AppName }),
	text("app_type", func(e *Event) *string { return &e.AppType }),
	unixTime("create_time", func(e *Event) *time.Time { return &e.CreateTime }),
	unixTime("date", func(e *Event) *time.Time { return &e.Date }),
	list("df_alert_policy_ids", func(e *Event) *[]string { return &e.AlertPolicyIDs }),
	list("df_alert_policy_names", func(e *Event) *[]string { return &e.AlertPolicyNames }),
	raw("df_alert_info", func(e *Event) *json.RawMessage { return &e.AlertInfo }),
	raw("df_at_accounts", func(e *Event) *json.RawMessage { return &e.AtAccounts }),
	raw("df_at_accounts_nodata", func(e *Event) *json.RawMessage { return &e.AtAccountsNodata }),
	raw("df_bot_obs_detail", func(e *Event) *json.RawMessage { return &e.BotObsDetail }),
	list("df_channels", func(e *Event) *[]string { return &e.Channels }),
	raw("df_charts", func(e *Event) *json.RawMessage { return &e.Charts }),
	condition("df_check_condition", func(e *Event) **Condition { return &e.CheckCondition }),
	unixTime("df_check_range_end", func(e *Event) *time.Time { return &e.CheckRangeEnd }),
	unixTime("df_check_range_start", func(e *Event) *time.Time { return &e.CheckRangeStart }),
	text("df_crontab_exec_mode", func(e *Event) *string { return &e.CrontabExecMode }),
	duration("df_date_range", func(e *Event) *time.Duration { return &e.DateRange }),
	dimensions("df_dimension_tags"),
	raw("df_event_detail", func(e *Event) *json.RawMessage { return &e.EventDetail }),
	textOrNumber("df_event_id", func(e *Event) *string { return &e.EventID }),
	text("df_event_link", func(e *Event) *string { return &e.EventLink }),
	text("df_event_reason", func(e *Event) *string { return &e.EventReason }),
	raw("df_event_report", func(e *Event) *json.RawMessage { return &e.EventReport }),
	text("df_event_url", func(e *Event) *string { return &e.EventURL }),
	text("df_exec_mode", func(e *Event) *string { return &e.ExecMode }),
	duration("df_fault_duration", func(e *Event) *time.Duration { return &e.FaultDuration }),
	text("df_fault_id", func(e *Event) *string { return &e.FaultID }),
	unixTime("df_fault_start_time", func(e *Event) *time.Time { return &e.FaultStartTime }),
	text("df_fault_status", func(e *Event) *Status { return &e.FaultStatus }),
	flag("df_is_silent", func(e *Event) *bool { return &e.IsSilent }),
	duration("df_issue_duration", func(e *Event) *time.Duration { return &e.IssueDuration }),
	unixTime("df_issue_start_time", func(e *Event) *time.Time { return &e.IssueStartTime }),
	list("df_label", func(e *Event) *[]string { return &e.Label }),
	text("df_language", func(e *Event) *string { return &e.Language }),
	raw("df_matched_alert_member_groups",
		func(e *Event) *json.RawMessage { return &e.MatchedAlertMemberGroups }),
	raw("df_matched_alert_members", func(e *Event) *json.RawMessage { return &e.MatchedAlertMembers }),
	raw("df_matched_alert_policy_rules",
		func(e *Event) *json.RawMessage { return &e.MatchedAlertPolicyRules }),
	raw("df_matched_alert_upgrade_members",
		func(e *Event) *json.RawMessage { return &e.MatchedAlertUpgradeMembers }),
	text("df_message", func(e *Event) *string { return &e.Message }),
	raw("df_message_at_accounts", func(e *Event) *json.RawMessage { return &e.MessageAtAccounts }),
	raw("df_meta", func(e *Event) *json.RawMessage { return &e.Meta }),
	text("df_monitor_checker", func(e *Event) *string { return &e.Checker }),
	text("df_monitor_checker_event_ref", func(e *Event) *string { return &e.EventRef }),
	text("df_monitor_checker_id", func(e *Event) *string { return &e.CheckerID }),
	text("df_monitor_checker_name", func(e *Event) *string { return &e.CheckerName }),
	text("df_monitor_checker_ref", func(e *Event) *string { return &e.CheckerRef }),
	text("df_monitor_checker_sub", func(e *Event) *string { return &e.CheckerSub }),
	textOrScalar("df_monitor_checker_value", func(e *Event) *string { return &e.CheckerValue }),
	quotedJSON("df_monitor_checker_value_dumps",
		func(e *Event) *Value { return &e.CheckerValueDumps }),
	textOrScalar("df_monitor_checker_value_with_unit",
		func(e *Event) *string { return &e.CheckerValueWithUnit }),
	text("df_monitor_id", func(e *Event) *string { return &e.MonitorID }),
	text("df_monitor_name", func(e *Event) *string { return &e.MonitorName }),
	text("df_monitor_ref_key", func(e *Event) *string { return &e.MonitorRefKey }),
	text("df_monitor_type", func(e *Event) *string { return &e.MonitorType }),
	raw("df_nodata_message_at_accounts",
		func(e *Event) *json.RawMessage { return &e.NodataMessageAtAccounts }),
	list("df_sent_target_types", func(e *Event) *[]string { return &e.SentTargetTypes }),
	text("df_site_name", func(e *Event) *string { return &e.SiteName }),
	text("df_source", func(e *Event) *string { return &e.Source }),
	text("df_status", func(e *Event) *Status { return &e.Status }),
	textOrNumber("df_sub_status", func(e *Event) *Status { return &e.SubStatus }),
	text("df_title", func(e *Event) *string { return &e.Title }),
	text("df_user_email", func(e *Event) *string { return &e.UserEmail }),
	text("df_user_id", func(e *Event) *string { return &e.UserID }),
	text("df_user_name", func(e *Event) *string { return &e.UserName }),
	pairs("df_workspace_declaration",
		func(e *Event) *map[string]string { return &e.WorkspaceDeclaration }),
	text("df_workspace_name", func(e *Event) *string { return &e.WorkspaceName }),
	text("df_workspace_uuid", func(e *Event) *string { return &e.WorkspaceUUID }),
	unixTime("time", func(e *Event) *time.Time { return &e.StoredTime }),
	unixTime("timestamp", func(e *Event) *time.Time { return &e.Timestamp }),
	text("workspace_name", func(e *Event) *string { return &e.LegacyWorkspaceName }),
	text("workspace_uuid", func(e *Event) *string { return &e.LegacyWorkspaceUUID }),
}

// fieldIndex has the index in fields for each name.
var fieldIndex = func() map[string]int {
	index := make(map[string]int, len(fields))
	for i, f := range fields {
		index[f.name] = i
	}
	return index
}()
