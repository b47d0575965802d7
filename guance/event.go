package guance

import (
	"encoding/json"
	"strings"
	"time"
)

// An Event is one thing that Guance said. The zero value of a field means that
// the body did not have it: absent, null and empty are one.
//
// All times are in UTC. On the wire they are Unix seconds; milliseconds, which
// stored copies have, are recognised by their size.
type Event struct {
	// Raw is the event as received. For a body that is one JSON object it is
	// that body, for an element of an array or wrapper the element's own bytes,
	// for a text event the text. Only the encoding is repaired: a byte order
	// mark is dropped, invalid UTF-8 replaced by U+FFFD. Nil for an event built
	// from fields. Set it to nil after changing a field, or MarshalJSON returns
	// the event as it was.
	Raw []byte
	// Text is true for the form that old installations send as text/plain:
	// Title and Message are the text's two parts, and Raw is not JSON.
	Text bool
	// Extra holds, as raw JSON, the top-level fields without a typed home: the
	// dimension tags once more, the user-defined fields of external events,
	// fields that newer installations add. A documented field of a wrong type
	// is here too, and named in Invalid.
	Extra map[string]json.RawMessage
	// Invalid says, one sentence per field, what was not as documented. It is
	// capped; an event with a long list is best looked at in Raw.
	Invalid []string
	// Incident is set for Issue and Incident bodies, and nil otherwise.
	Incident *Incident

	// When and what. In nearly every body.

	Timestamp time.Time // timestamp: when the event was produced, in seconds (integration guide)
	Date      time.Time // date: legacy twin of timestamp; milliseconds in OpenAPI answers
	Status    Status    // df_status: the level, or that it is over
	SubStatus Status    // df_sub_status: detail of the status, such as manual_ok (older event fields)
	EventID   string    // df_event_id: "event-" and 32 hex digits; new for every check result, not for every delivery
	Title     string    // df_title: the rendered title; can hold unrendered variables
	Message   string    // df_message: the rendered text, Markdown, of any length; can be empty
	Source    string    // df_source: monitor, smartMonitor, slo, security, custom, ...; the lists contradict each other
	EventLink string    // df_event_link: console page; see Link
	EventURL  string    // df_event_url: older name of df_event_link (older English event fields)
	SiteName  string    // df_site_name: such as 中国区1（杭州） (template variables)
	Language  string    // df_language: zh or en, the workspace's (observed)

	WorkspaceUUID       string // df_workspace_uuid; see Workspace
	WorkspaceName       string // df_workspace_name
	LegacyWorkspaceUUID string // workspace_uuid: legacy twin
	LegacyWorkspaceName string // workspace_name: legacy twin

	DateRange       time.Duration // df_date_range: length of the checked range, in seconds (event fields)
	CheckRangeStart time.Time     // df_check_range_start, in seconds
	CheckRangeEnd   time.Time     // df_check_range_end, in seconds

	// What was checked, and by which monitor.

	// DimensionTags (df_dimension_tags) names the checked object, such as
	// host=web001. A tag that is not a string is kept as its JSON text.
	DimensionTags map[string]string
	// DimensionTagsText is df_dimension_tags exactly as sent, of which the
	// vendor's identity hash is taken: the decoded text of a JSON string, or
	// the bytes of an object.
	DimensionTagsText string

	MonitorID   string // df_monitor_id: the alert policy, not the monitor; several joined with ";"; see MonitorIDs
	MonitorName string // df_monitor_name: name of the alert policy, or several likewise
	CheckerID   string // df_monitor_checker_id: "rul_" and 32 hex digits, the monitor (integration guide)
	CheckerName string // df_monitor_checker_name: the monitor's name; may hold an unrendered {{host}} (observed)
	MonitorType string // df_monitor_type: custom, slo, bot_obs; default in 2022 (event fields, OpenAPI)
	Checker     string // df_monitor_checker: custom_metric, custom_log, custom_apm, custom_slo, ...
	CheckerSub  string // df_monitor_checker_sub: the phase, check or nodata (event fields)

	Result               Value           // Result: the value found, in its original type; expect it to be absent on no-data events
	CheckerValue         string          // df_monitor_checker_value: the value found, cast to text (template variables)
	CheckerValueDumps    Value           // df_monitor_checker_value_dumps: the value found, out of its JSON text (event fields)
	CheckerValueWithUnit string          // df_monitor_checker_value_with_unit: the value found, in its best unit
	CheckerRef           string          // df_monitor_checker_ref: 32 hex digits, the same for events of one query
	EventRef             string          // df_monitor_checker_event_ref: 32 hex digits, the same for one monitor and object; see ProblemKey
	MonitorRefKey        string          // df_monitor_ref_key: links a self-built inspection (event fields)
	CheckCondition       *Condition      // df_check_condition: the condition that was met (template variables)
	EventReason          string          // df_event_reason: why the event was produced, in the workspace's language (observed)
	EventDetail          json.RawMessage // df_event_detail: detection detail; shape not documented
	EventReport          json.RawMessage // df_event_report: report of intelligent monitoring; shape not documented
	BotObsDetail         json.RawMessage // df_bot_obs_detail: inspection detail; seen in OpenAPI answers only
	Meta                 json.RawMessage // df_meta: snapshot of the detection's configuration (OpenAPI); out of its JSON text
	Label                []string        // df_label: the monitor's labels (template variables)
	ExecMode             string          // df_exec_mode: crontab or async, how the check ran; older name
	CrontabExecMode      string          // df_crontab_exec_mode: crontab or manual; newer name
	UserID               string          // df_user_id: who recovered it by hand (event fields)
	UserName             string          // df_user_name
	UserEmail            string          // df_user_email
	AppID                string          // app_id: RUM application (template variables)
	AppName              string          // app_name
	AppType              string          // app_type

	// The fault round that the event belongs to. Since 2024.

	FaultID        string        // df_fault_id: the EventID of the round's first event (event fields)
	FaultStatus    Status        // df_fault_status: ok or fault, derived from the two statuses
	FaultStartTime time.Time     // df_fault_start_time, in seconds; see FaultStarted
	FaultDuration  time.Duration // df_fault_duration, in seconds; see FaultLasted
	IssueStartTime time.Time     // df_issue_start_time: older name of df_fault_start_time, no relation to Issues
	IssueDuration  time.Duration // df_issue_duration: older name of df_fault_duration

	// Alerting and people (event fields of 2025). Raw where no shape is
	// documented; JSON inside a JSON string is taken out of it.

	AlertPolicyIDs             []string          // df_alert_policy_ids: matched alert policies
	AlertPolicyNames           []string          // df_alert_policy_names
	MatchedAlertPolicyRules    json.RawMessage   // df_matched_alert_policy_rules: names of policy and rules
	Channels                   []string          // df_channels: Issue channels, "chan_..." (observed)
	AtAccounts                 json.RawMessage   // df_at_accounts: people mentioned
	AtAccountsNodata           json.RawMessage   // df_at_accounts_nodata: people mentioned when data is missing
	MessageAtAccounts          json.RawMessage   // df_message_at_accounts: the same with details, since 2024-09-04
	NodataMessageAtAccounts    json.RawMessage   // df_nodata_message_at_accounts
	WorkspaceDeclaration       map[string]string // df_workspace_declaration: the workspace's attribute claims, such as business=payments (webhook page)
	MatchedAlertMembers        json.RawMessage   // df_matched_alert_members: member-based policies
	MatchedAlertUpgradeMembers json.RawMessage   // df_matched_alert_upgrade_members: escalation targets
	MatchedAlertMemberGroups   json.RawMessage   // df_matched_alert_member_groups
	Charts                     json.RawMessage   // df_charts: charts attached to the notification
	AlertInfo                  json.RawMessage   // df_alert_info: notification record
	IsSilent                   bool              // df_is_silent: muted; sent as the string "true" or "false"
	SentTargetTypes            []string          // df_sent_target_types: kinds of targets notified

	// Of stored copies, as the OpenAPI returns them; never seen on the wire.

	DocID           string      // __docid
	CreateTime      time.Time   // create_time, in milliseconds
	StoredTime      time.Time   // time: the event's time in milliseconds
	AlertTimeRanges []TimeRange // alert_time_ranges, in milliseconds
}

// A Condition (df_check_condition) is what a check result met (template
// variables). Operands are numbers in events and strings in configurations.
type Condition struct {
	Operator string
	Operands []Value
}

// A TimeRange is an interval; End is zero while it is open.
type TimeRange struct {
	Start, End time.Time
}

// Time returns when the event happened: the timestamp, else its legacy twin,
// else what a stored copy or an Incident says; the zero time if none does.
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

// Workspace returns the id and name of the workspace, each from its legacy twin
// if the body has only that.
func (e *Event) Workspace() (uuid, name string) {
	return first(e.WorkspaceUUID, e.LegacyWorkspaceUUID), first(e.WorkspaceName, e.LegacyWorkspaceName)
}

// Link returns the address of the event's console page. It holds a time window
// and the workspace, and needs a login.
func (e *Event) Link() string { return first(e.EventLink, e.EventURL) }

// MonitorIDs returns the ids of the alert policies: a monitor with several
// sends them joined with ";" (release notes, 2024-01-31).
func (e *Event) MonitorIDs() []string {
	if e.MonitorID == "" {
		return nil
	}
	return strings.Split(e.MonitorID, ";")
}

// FaultStarted returns when the current fault round began, under its newer or
// older field name.
func (e *Event) FaultStarted() time.Time {
	if !e.FaultStartTime.IsZero() {
		return e.FaultStartTime
	}
	return e.IssueStartTime
}

// FaultLasted returns how long the current fault round has lasted, under its
// newer or older field name.
func (e *Event) FaultLasted() time.Duration {
	if e.FaultDuration != 0 {
		return e.FaultDuration
	}
	return e.IssueDuration
}

// first returns the first of its arguments that is not empty.
func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
