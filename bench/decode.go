package main

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/guance-relay/guance-relay/guance"
)

// plainEvent is what a program that needs the fields of a webhook and nothing else would write: no
// Extra, no Raw, no second type for any field, no notice of duplicates, no rules.
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
	FaultDuration       int64             `json:"df_fault_duration"`
	FaultID             string            `json:"df_fault_id"`
	FaultStartTime      int64             `json:"df_fault_start_time"`
	FaultStatus         string            `json:"df_fault_status"`
	IssueDuration       int64             `json:"df_issue_duration"`
	IssueStartTime      int64             `json:"df_issue_start_time"`
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
	return e, json.Unmarshal([]byte(e.DimensionTagsText), &e.DimensionTags)
}

// decoding is what a webhook costs from its bytes to fields.
func decoding() []contest {
	body := webhook(guance.LevelCritical)
	return []contest{{
		name: "Decode",
		about: "A webhook of 2 KB. *json* is encoding/json into a struct of the same fields; " +
			"*guance-relay* is `guance.Decode`, which also keeps what has no field, takes either " +
			"type where Guance " +
			"has two, sees fields that come twice, checks the documented rules, and copies the " +
			"body.",
		base:  "json",
		units: []string{"p50-ns", "cpu-ns/event", "allocs/event", "B/event"},
		sides: []side{
			{"guance-relay", func(b *testing.B) error {
				return repeat(b, func(context.Context) error {
					_, err := guance.Decode(body, "application/json")
					return err
				})
			}},
			{"json", func(b *testing.B) error {
				return repeat(b, func(context.Context) error {
					_, err := decodePlain(body)
					return err
				})
			}},
		},
	}}
}
