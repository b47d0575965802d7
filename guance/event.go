package guance

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"
)

// An Event is one event that Guance sent. A zero field was absent, null or empty in the body.
//
// A json tag is the name of the field on the wire. [Decode] accepts more forms of a value than the
// Go type suggests. A validate tag is a documented rule for one field, in the language of
// github.com/go-playground/validator/v10. A value that breaks its rule is kept, and named in
// Invalid.
//
// All times are in UTC. On the wire they are Unix seconds, or milliseconds in stored copies; their
// size tells which. Durations are seconds on the wire.
//
// Each comment ends with its source, by the short names of the package comment.
type Event struct {
	// Raw is the event as received. For a body that is one JSON object it is the body; for an element
	// of an array or wrapper, the bytes of the element; for JSON inside a JSON string, that JSON; for
	// a text event, the text. A byte order mark is removed, and invalid UTF-8 is replaced by U+FFFD.
	// It is nil for an event built from fields. Set it to nil after you change a field; otherwise
	// MarshalJSON returns the old event.
	Raw []byte `json:"-"`
	// Text is true for a text/plain body of an old installation. Title and Message are its two parts,
	// and Raw is not JSON. (older notification target page)
	Text bool `json:"-"`
	// Extra has the top-level fields that have no typed field, as raw JSON: the dimension tags once
	// more, the user's own fields of external events, and fields of newer installations. It also has
	// documented fields of a wrong type, which Invalid names.
	Extra map[string]json.RawMessage `json:"-"`
	// Invalid lists what is not as documented, one text for each field. It has names of fields and
	// rules and never a value, so it can be logged. For an event of [KindUnknown] it is never empty.
	// It has at most 32 texts; if it is long, look at Raw.
	Invalid []string `json:"-"`
	// Incident is not nil for Issue and Incident bodies.
	Incident *Incident `json:"-"`

	// In nearly every body

	// Timestamp is when the event was produced. Always present. (integration guide, sample)
	Timestamp time.Time `json:"timestamp"`
	// Date is the older name of Timestamp. Present on the wire, in seconds; in stored copies in
	// milliseconds. (integration guide, sample, OpenAPI)
	Date time.Time `json:"date"`
	// Status is the level of the problem, or that it is over. Always present. (level page, event
	// fields)
	Status Status `json:"df_status" validate:"required,oneofci=fatal critical error warning nodata info ok nodata_ok nodata_as_ok manual_ok high medium low security_critical security_high security_medium security_low security_info"`
	// SubStatus is the detail of Status: how the problem recovered, such as manual_ok, and otherwise
	// the level again. Present in 2023. DataKit's Zabbix exporter puts Zabbix's severity here, 0 to 5,
	// as text or as a number. That is neither a state nor a level. (older event fields, sample,
	// DataKit)
	SubStatus Status `json:"df_sub_status" validate:"omitempty,oneofci=fatal critical error warning nodata info ok nodata_ok nodata_as_ok manual_ok high medium low security_critical security_high security_medium security_low security_info 0 1 2 3 4 5"`
	// EventID names this event. Each check result has a new one. The same event can be sent twice,
	// when two alert policies match. Always present. Guance's own are "event-" and 32 hex digits;
	// DataKit's change events have a UUID with hyphens, and its Zabbix exporter a number, as text or
	// as a JSON number. (integration guide, sample, DataKit)
	EventID string `json:"df_event_id"`
	// Title is the rendered title. Always present. The user's template can make it empty or leave
	// variables in it. (integration guide, sample)
	Title string `json:"df_title"`
	// Message is the rendered text: Markdown of many lines and any length. Can be absent or empty.
	// (integration guide, sample)
	Message string `json:"df_message"`
	// Source is what produced the event: monitor, smartMonitor, slo, change, security, audit, user; in
	// older lists also system and custom. Use it for display only, because the lists contradict each
	// other. Present in 2023. (event fields, newest event fields, sample)
	Source string `json:"df_source"`
	// EventLink is the event's console page, with a time window and the workspace. Optional; see Link.
	// (integration guide, sample)
	EventLink string `json:"df_event_link" validate:"omitempty,startswith=http"`
	// EventURL is the older name of EventLink. (older event fields, older template variables)
	EventURL string `json:"df_event_url" validate:"omitempty,startswith=http"`
	// SiteName is the Guance site, such as 中国区1（杭州）. Seen on the wire. (template variables, sample)
	SiteName string `json:"df_site_name"`
	// Language is the workspace's language, zh or en. Seen on the wire, in no list of fields. (sample)
	Language string `json:"df_language"`
	// WorkspaceUUID is the workspace's id, "wksp_" and 32 hex digits. Present; see Workspace.
	// (integration guide, sample)
	WorkspaceUUID string `json:"df_workspace_uuid"`
	// WorkspaceName is the workspace's name. Present; see Workspace. (integration guide, sample)
	WorkspaceName string `json:"df_workspace_name"`
	// LegacyWorkspaceUUID is the older name of WorkspaceUUID. Present. (sample)
	LegacyWorkspaceUUID string `json:"workspace_uuid"`
	// LegacyWorkspaceName is the older name of WorkspaceName. Present. (sample)
	LegacyWorkspaceName string `json:"workspace_name"`
	// DateRange is the length of the checked range. Present in events of monitors; in stored copies a
	// string. (event fields, sample, OpenAPI)
	DateRange time.Duration `json:"df_date_range"`
	// CheckRangeStart is the start of the checked range. Present in events of monitors. (event fields,
	// sample)
	CheckRangeStart time.Time `json:"df_check_range_start"`
	// CheckRangeEnd is the end of the checked range. Present in events of monitors. (event fields,
	// sample)
	CheckRangeEnd time.Time `json:"df_check_range_end"`

	// In events of monitors

	// DimensionTags names the checked object by the fields that the monitor groups by, such as
	// host=web001. Sent as a JSON object inside a string. The value of a tag that is not a string is
	// its JSON text. Said to be required; empty for a monitor that does not group. (integration guide,
	// sample)
	DimensionTags map[string]string `json:"df_dimension_tags"`
	// DimensionTagsText is df_dimension_tags exactly as sent: the decoded text of a JSON string, or
	// the bytes of any other value. The vendor's identity hash is made from it.
	DimensionTagsText string `json:"-"`
	// MonitorID is the id of the alert policy, not of the monitor; several are joined with ";" since
	// 2024-01-31. Present; see MonitorIDs. (template variables, release notes, sample)
	MonitorID string `json:"df_monitor_id"`
	// MonitorName is the name of the alert policy; several are joined as in MonitorID. Present.
	// (template variables, release notes, sample)
	MonitorName string `json:"df_monitor_name"`
	// CheckerID is the id of the monitor, "rul_" and 32 hex digits. Present. (integration guide,
	// sample)
	CheckerID string `json:"df_monitor_checker_id" validate:"omitempty,startswith=rul_"`
	// CheckerName is the name of the monitor. It can hold an unrendered {{host}}. Present. (sample)
	CheckerName string `json:"df_monitor_checker_name"`
	// MonitorType is custom, slo or bot_obs (an inspection); default in 2022. Present. (event fields,
	// OpenAPI, sample)
	MonitorType string `json:"df_monitor_type"`
	// Checker is the check function: custom_metric, custom_log, custom_apm, custom_slo and more.
	// Present. (event fields, sample)
	Checker string `json:"df_monitor_checker"`
	// CheckerSub is the phase of the check in which the event arose. Missing data may have any level,
	// but always has the phase nodata. Present. (event fields, sample)
	CheckerSub string `json:"df_monitor_checker_sub" validate:"omitempty,oneof=check nodata"`
	// CheckerValue is the value found, always cast to text. (template variables, sample)
	CheckerValue string `json:"df_monitor_checker_value"`
	// CheckerValueDumps is the value found, in its original type. Sent as JSON inside a string. Since
	// 2025. (event fields)
	CheckerValueDumps Value `json:"df_monitor_checker_value_dumps"`
	// CheckerValueWithUnit is the value found in its best unit. Since 2025. (event fields)
	CheckerValueWithUnit string `json:"df_monitor_checker_value_with_unit"`
	// Result is the value found in its original type, in the unit of the query. A string in stored
	// copies. It is not documented whether events about missing data have it. (template variables,
	// sample, OpenAPI)
	Result Value `json:"Result"`
	// CheckerRef is the same for all events of one query: the MD5 of the query's text, in 32 hex
	// digits. (event fields, sample)
	CheckerRef string `json:"df_monitor_checker_ref" validate:"omitempty,len=32,hexadecimal"`
	// EventRef is the same for all events of one monitor and object: 32 hex digits. Present; see
	// ProblemKey. (event fields, sample)
	EventRef string `json:"df_monitor_checker_event_ref" validate:"omitempty,len=32,hexadecimal"`
	// MonitorRefKey links a self-built inspection. Only in its events. (event fields)
	MonitorRefKey string `json:"df_monitor_ref_key"`
	// CheckCondition is the condition that was met. (template variables)
	CheckCondition *Condition `json:"df_check_condition"`
	// EventReason says why the event was produced, in the workspace's language. Seen on the wire, in
	// no list of fields. (sample)
	EventReason string `json:"df_event_reason"`
	// EventDetail is detection detail. Its form is not documented. (event fields)
	EventDetail json.RawMessage `json:"df_event_detail"`
	// EventReport is the report of intelligent monitoring. Its form is not documented. (event fields)
	EventReport json.RawMessage `json:"df_event_report"`
	// BotObsDetail is the detail of an inspection, in any form. Seen in stored copies only. (public
	// code that polls the OpenAPI)
	BotObsDetail json.RawMessage `json:"df_bot_obs_detail"`
	// Meta is a copy of the detection's configuration: check_targets, checker_opt, dimension_tags,
	// monitor_opt, and extra_data with the fields of an external event. Sent as JSON inside a string.
	// Always in stored copies. Not in the sample, but the release notes of 2025-02-19 mention it to
	// users of webhooks. (OpenAPI, release notes)
	Meta json.RawMessage `json:"df_meta"`
	// Label holds the monitor's labels. Sent as a JSON list inside a string, or as a list. Present.
	// (sample, template variables)
	Label []string `json:"df_label"`
	// ExecMode is how the check ran, crontab or async. Older name, seen in 2023. (older event fields,
	// sample)
	ExecMode string `json:"df_exec_mode" validate:"omitempty,oneof=crontab async"`
	// CrontabExecMode is how the check ran, crontab or manual. Newer name, since 2024. (template
	// variables, event fields)
	CrontabExecMode string `json:"df_crontab_exec_mode" validate:"omitempty,oneof=crontab manual"`
	// UserID is the id of the person who recovered the problem by hand; in audit and user events of
	// the person who acted. Only there. (template variables, event fields)
	UserID string `json:"df_user_id"`
	// UserName is that person's name. (template variables, event fields)
	UserName string `json:"df_user_name"`
	// UserEmail is that person's address. (template variables, event fields)
	UserEmail string `json:"df_user_email"`
	// AppID is the id of a RUM application. In events of RUM monitors. (template variables)
	AppID string `json:"app_id"`
	// AppName is that application's name. (template variables)
	AppName string `json:"app_name"`
	// AppType is that application's type. (template variables)
	AppType string `json:"app_type"`

	// The fault that the event belongs to: since 2024, the last two before

	// FaultID names the fault: the EventID of its first event. (event fields, template variables)
	FaultID string `json:"df_fault_id" validate:"omitempty,startswith=event-"`
	// FaultStatus is ok or fault, derived from Status and SubStatus. (event fields, template
	// variables)
	FaultStatus Status `json:"df_fault_status" validate:"omitempty,oneofci=ok fault"`
	// FaultStartTime is when the fault began; see FaultStarted. (template variables)
	FaultStartTime time.Time `json:"df_fault_start_time"`
	// FaultDuration is how long the fault has lasted; see FaultLasted. (event fields, template
	// variables)
	FaultDuration time.Duration `json:"df_fault_duration"`
	// IssueStartTime is the older name of FaultStartTime; it has nothing to do with Issues. Seen in
	// 2023. (event fields, sample)
	IssueStartTime time.Time `json:"df_issue_start_time"`
	// IssueDuration is the older name of FaultDuration. Seen in 2023. (event fields, sample)
	IssueDuration time.Duration `json:"df_issue_duration"`

	// Alerting and people: since 2025 unless said otherwise
	//
	// Fields without a documented form are raw; JSON inside a JSON string is taken out of it. It is
	// not documented when they are present.

	// AlertPolicyIDs are the ids of the alert policies that matched. (event fields)
	AlertPolicyIDs []string `json:"df_alert_policy_ids"`
	// AlertPolicyNames are their names. (event fields)
	AlertPolicyNames []string `json:"df_alert_policy_names"`
	// MatchedAlertPolicyRules lists the names of policies and rules that matched. (event fields)
	MatchedAlertPolicyRules json.RawMessage `json:"df_matched_alert_policy_rules"`
	// Channels are the ids of the event's Issue channels, "chan_" and 32 hex digits. Seen in 2023.
	// (event fields, sample)
	Channels []string `json:"df_channels"`
	// AtAccounts lists the people mentioned. An empty list in 2023. (event fields, sample)
	AtAccounts json.RawMessage `json:"df_at_accounts"`
	// AtAccountsNodata lists the people mentioned when data is missing. An empty list in 2023. (event
	// fields, sample)
	AtAccountsNodata json.RawMessage `json:"df_at_accounts_nodata"`
	// MessageAtAccounts is AtAccounts with the attributes of the accounts. Since 2024-09-04. (event
	// fields, release notes)
	MessageAtAccounts json.RawMessage `json:"df_message_at_accounts"`
	// NodataMessageAtAccounts is AtAccountsNodata with the attributes of the accounts. (event fields,
	// release notes)
	NodataMessageAtAccounts json.RawMessage `json:"df_nodata_message_at_accounts"`
	// WorkspaceDeclaration has the workspace's attribute claims, such as business=payments. Said to be
	// in every event. Texts since 2024-05-29; another value is its JSON text. (webhook page, release
	// notes)
	WorkspaceDeclaration map[string]string `json:"df_workspace_declaration"`
	// MatchedAlertMembers lists the members that a member-based policy matched. (event fields)
	MatchedAlertMembers json.RawMessage `json:"df_matched_alert_members"`
	// MatchedAlertUpgradeMembers lists the members of an escalation. (event fields)
	MatchedAlertUpgradeMembers json.RawMessage `json:"df_matched_alert_upgrade_members"`
	// MatchedAlertMemberGroups lists the groups of members that matched. (event fields)
	MatchedAlertMemberGroups json.RawMessage `json:"df_matched_alert_member_groups"`
	// Charts are those attached to the notification. (event fields)
	Charts json.RawMessage `json:"df_charts"`
	// AlertInfo is the record of notifications. It changed on 2025-03-12. (event fields, release
	// notes)
	AlertInfo json.RawMessage `json:"df_alert_info"`
	// IsSilent is true for a muted event. Sent as the string "true" or "false". (event fields)
	IsSilent bool `json:"df_is_silent"`
	// SentTargetTypes are the kinds of targets that were notified. (event fields)
	SentTargetTypes []string `json:"df_sent_target_types"`

	// In stored copies, as the OpenAPI returns them; never seen on the wire

	// DocID names the stored copy. (OpenAPI)
	DocID string `json:"__docid"`
	// CreateTime is when the copy was stored, in milliseconds. (OpenAPI)
	CreateTime time.Time `json:"create_time"`
	// StoredTime is the time of the event, in milliseconds. (OpenAPI)
	StoredTime time.Time `json:"time"`
	// AlertTimeRanges are the times of the problem, in milliseconds. In lists of events that have not
	// recovered. (OpenAPI)
	AlertTimeRanges []TimeRange `json:"alert_time_ranges"`
}

// A Condition (df_check_condition) is the condition that a check result met (template variables).
// Operands are numbers in events and strings in configurations.
type Condition struct {
	Operator string
	Operands []Value
}

// A TimeRange is an interval; End is zero while it is open.
type TimeRange struct {
	Start, End time.Time
}

// Time returns when the event happened: the first of Timestamp, Date, StoredTime and the time of
// the Incident that is not zero, or the zero time.
func (e *Event) Time() time.Time {
	for _, t := range []time.Time{e.Timestamp, e.Date, e.StoredTime} {
		if !t.IsZero() {
			return t
		}
	}
	if e.Incident != nil {
		return e.Incident.Time
	}
	return time.Time{}
}

// OrderTime returns the time by which to order events of one problem: Time, or the zero time if
// only the order of arrival counts. It is zero for external and custom events, because their times
// come from the clocks of their senders (OpenAPI, checker/receive: date). The clocks of two senders
// may be a minute apart.
func (e *Event) OrderTime() time.Time {
	if e.fromOtherSystem() {
		return time.Time{}
	}
	return e.Time()
}

// Workspace returns the id and name of the workspace, by the newer or older names of the fields.
func (e *Event) Workspace() (uuid, name string) {
	return cmp.Or(e.WorkspaceUUID, e.LegacyWorkspaceUUID),
		cmp.Or(e.WorkspaceName, e.LegacyWorkspaceName)
}

// Link returns the address of the event's console page. It has a time window and the workspace, and
// needs a login.
func (e *Event) Link() string { return cmp.Or(e.EventLink, e.EventURL) }

// MonitorIDs returns the ids of the alert policies, which are joined with ";" in the event (release
// notes, 2024-01-31).
func (e *Event) MonitorIDs() []string {
	if e.MonitorID == "" {
		return nil
	}
	return strings.Split(e.MonitorID, ";")
}

// FaultStarted returns when the current fault began, by the newer or older name of the field.
func (e *Event) FaultStarted() time.Time {
	if !e.FaultStartTime.IsZero() {
		return e.FaultStartTime
	}
	return e.IssueStartTime
}

// FaultLasted returns how long the current fault has lasted, by the newer or older name of the
// field.
func (e *Event) FaultLasted() time.Duration {
	if e.FaultDuration != 0 {
		return e.FaultDuration
	}
	return e.IssueDuration
}
