package guance_test

import "encoding/json"

// plainEvent is what a program would write that needs only the fields of the sample: without Extra,
// Raw, other types, duplicates and rules.
type plainEvent struct {
	Result              json.RawMessage   `json:"Result"`
	Timestamp           int64             `json:"timestamp"`
	Date                int64             `json:"date"`
	AtAccounts          json.RawMessage   `json:"df_at_accounts"`
	AtAccountsNodata    json.RawMessage   `json:"df_at_accounts_nodata"`
	Channels            []string          `json:"df_channels"`
	CheckRangeEnd       int64             `json:"df_check_range_end"`
	CheckRangeStart     int64             `json:"df_check_range_start"`
	DateRange           int64             `json:"df_date_range"`
	DimensionTagsText   string            `json:"df_dimension_tags"`
	DimensionTags       map[string]string `json:"-"`
	EventID             string            `json:"df_event_id"`
	EventLink           string            `json:"df_event_link"`
	EventReason         string            `json:"df_event_reason"`
	ExecMode            string            `json:"df_exec_mode"`
	IssueDuration       int64             `json:"df_issue_duration"`
	IssueStartTime      int64             `json:"df_issue_start_time"`
	LabelText           string            `json:"df_label"`
	Label               []string          `json:"-"`
	Language            string            `json:"df_language"`
	Message             string            `json:"df_message"`
	Checker             string            `json:"df_monitor_checker"`
	EventRef            string            `json:"df_monitor_checker_event_ref"`
	CheckerID           string            `json:"df_monitor_checker_id"`
	CheckerName         string            `json:"df_monitor_checker_name"`
	CheckerRef          string            `json:"df_monitor_checker_ref"`
	CheckerSub          string            `json:"df_monitor_checker_sub"`
	CheckerValue        string            `json:"df_monitor_checker_value"`
	MonitorID           string            `json:"df_monitor_id"`
	MonitorName         string            `json:"df_monitor_name"`
	MonitorType         string            `json:"df_monitor_type"`
	SiteName            string            `json:"df_site_name"`
	Source              string            `json:"df_source"`
	Status              string            `json:"df_status"`
	SubStatus           string            `json:"df_sub_status"`
	Title               string            `json:"df_title"`
	WorkspaceName       string            `json:"df_workspace_name"`
	WorkspaceUUID       string            `json:"df_workspace_uuid"`
	LegacyWorkspaceName string            `json:"workspace_name"`
	LegacyWorkspaceUUID string            `json:"workspace_uuid"`
}

func decodePlain(body []byte) (*plainEvent, error) {
	e := new(plainEvent)
	if err := json.Unmarshal(body, e); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(e.DimensionTagsText), &e.DimensionTags); err != nil {
		return nil, err
	}
	return e, json.Unmarshal([]byte(e.LabelText), &e.Label)
}
