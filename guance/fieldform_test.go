package guance_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/guance-relay/guance-relay/guance"
)

func rawJSON(s string) json.RawMessage { return json.RawMessage(s) }

// unix returns a time as Decode does.
func unix(sec, ms int64) time.Time { return time.UnixMilli(sec*1000 + ms).UTC() }

// Each row is one member in one of its known forms, and the resulting event.
func TestForms(t *testing.T) {
	type event = guance.Event
	for _, test := range []struct {
		member string
		want   event
		why    string
	}{
		{`"timestamp":1693034940`, event{Timestamp: unix(1693034940, 0)}, "sample: seconds"},
		{`"timestamp":"1693034940"`, event{Timestamp: unix(1693034940, 0)},
			"OpenAPI: numbers as strings"},
		{`"date":1642563300000`, event{Date: unix(1642563300, 0)}, "OpenAPI: milliseconds"},
		{`"date":"1642563300123"`, event{Date: unix(1642563300, 123)}, "OpenAPI: both"},
		{`"date":1642563300.123`, event{Date: unix(1642563300, 123)}, "seconds with decimals"},
		{`"date":1.6425633e9`, event{Date: unix(1642563300, 0)}, "an exponent is a number too"},
		{`"date":10000000000`, event{Date: unix(1e10, 0)}, "the on-call script: up to 10^10 are seconds"},
		{`"date":10000000001`, event{Date: unix(1e7, 1)},
			"the on-call script: above 10^10 are milliseconds"},
		{`"date":0`, event{}, "zero is absent"},
		{`"date":""`, event{}, "empty is absent"},
		{`"create_time":1642563307585,"time":1642563300000`,
			event{CreateTime: unix(1642563307, 585), StoredTime: unix(1642563300, 0)}, "OpenAPI"},
		{`"df_date_range":60`, event{DateRange: time.Minute}, "sample"},
		{`"df_date_range":"3600"`, event{DateRange: time.Hour}, "OpenAPI: a string"},
		{`"df_fault_duration":1.5`, event{FaultDuration: 1500 * time.Millisecond}, "decimals"},
		{`"alert_time_ranges":[[1642541760000,null]]`,
			event{AlertTimeRanges: []guance.TimeRange{{Start: unix(1642541760,
				0)}}}, "OpenAPI: an open range"},

		{`"Result":100`, event{Result: "100"}, "sample"},
		{`"Result":"0.010000123409284342"`, event{Result: `"0.010000123409284342"`}, "OpenAPI: a string"},
		{`"Result":9007199254740993`, event{Result: "9007199254740993"}, "a float64 would round it"},
		{`"Result":[1,{"a":null}]`, event{Result: `[1,{"a":null}]`}, "any value"},
		{`"Result":true`, event{Result: "true"}, "any value"},
		{`"Result":null`, event{}, "null is absent"},

		{`"df_dimension_tags":"{\"host\":\"share\"}"`,
			event{DimensionTags: map[string]string{"host": "share"},
				DimensionTagsText: `{"host":"share"}`}, "sample: a string"},
		{`"df_dimension_tags":{"host": "share"}`,
			event{DimensionTags: map[string]string{"host": "share"},
				DimensionTagsText: `{"host": "share"}`}, "an object"},
		{`"df_dimension_tags":"{}"`, event{DimensionTagsText: "{}"}, "no tags"},
		{`"df_dimension_tags":""`, event{}, "no tags"},
		{`"df_dimension_tags":null`, event{}, "no tags"},
		{`"df_dimension_tags":"{\"n\":7,\"b\":false,\"o\":{\"x\":[1]},\"gone\":null,\"n\":8}"`, event{
			DimensionTags:     map[string]string{"n": "7", "b": "false", "o": `{"x":[1]}`},
			DimensionTagsText: `{"n":7,"b":false,"o":{"x":[1]},"gone":null,"n":8}`,
		}, "values that are no strings; the first of two"},

		{`"df_label":"[]"`, event{}, "sample"},
		{`"df_label":""`, event{}, "an empty text is no list"},
		{`"df_label":"[\"a\",\"b\"]"`, event{Label: []string{"a", "b"}}, "sample: a list in a string"},
		{`"df_label":["a",5,null]`, event{Label: []string{"a", "5"}}, "template variables: a list"},
		{`"df_alert_policy_ids":["p1"],"df_alert_policy_names":"[\"n\"]"`,
			event{AlertPolicyIDs: []string{"p1"}, AlertPolicyNames: []string{"n"}}, "event fields: lists"},
		{`"df_workspace_declaration":{"business":"pay"}`,
			event{WorkspaceDeclaration: map[string]string{"business": "pay"}}, "OpenAPI: an object"},
		{`"df_workspace_declaration":"{\"business\":[\"a\"]}"`,
			event{WorkspaceDeclaration: map[string]string{"business": `["a"]`}}, "a string; lists before " +
				"2024-05-29"},

		{`"df_meta":"{\"a\":1}"`, event{Meta: rawJSON(`{"a":1}`)}, "OpenAPI: an object in a string"},
		{`"df_meta":{"a":1}`, event{Meta: rawJSON(`{"a":1}`)}, "an object"},
		{`"df_meta":""`, event{}, "nothing"},
		{`"df_event_detail":"just text"`, event{EventDetail: rawJSON(`"just text"`)},
			"event fields: not documented which"},
		{`"df_event_detail":"5"`, event{EventDetail: rawJSON(`"5"`)},
			"only objects and lists are taken out of a string"},
		{`"df_at_accounts":[{"x":1}]`, event{AtAccounts: rawJSON(`[{"x":1}]`)},
			"event fields: shape not documented"},
		{`"df_check_condition":{"operator":">=","operands":[90,"95"]}`,
			event{CheckCondition: &guance.Condition{Operator: ">=",
				Operands: []guance.Value{"90", `"95"`}}},
			"template variables; monitor configurations have strings"},
		{`"df_check_condition":{"level":"high","operator":">","operands":[1],"values":[2],"unit":"ms"}`,
			event{CheckCondition: &guance.Condition{Operator: ">", Operands: []guance.Value{"1"}}},
			"other members of a condition are passed over"},
		{`"df_check_condition":"{\"operands\":[2]}"`,
			event{CheckCondition: &guance.Condition{Operands: []guance.Value{"2"}}},
			"a condition in a string, without an operator"},
		{`"df_check_condition":""`, event{}, "an empty text is no condition"},
		{`"df_check_condition":{"operator":"nodata","operands":[]}`,
			event{CheckCondition: &guance.Condition{Operator: "nodata"}}, "no operands"},

		{`"df_monitor_checker_value":"100"`, event{CheckerValue: "100"}, "sample"},
		{`"df_monitor_checker_value":100`, event{CheckerValue: "100"}, "not cast"},
		{`"df_monitor_checker_value_dumps":"\"100\""`, event{CheckerValueDumps: `"100"`},
			"event fields: JSON in a string"},
		{`"df_monitor_checker_value_dumps":"null"`, event{}, "null is absent"},
		{`"df_is_silent":"true"`, event{IsSilent: true}, "event fields: a string"},
		{`"df_is_silent":"false"`, event{}, "event fields: a string"},
		{`"df_is_silent":true`, event{IsSilent: true}, "a boolean"},

		{`"df_title":"a\u00e9\ud83d\ude00\n"`, event{Title: "aé😀\n"}, "escapes"},
		{`"df_title":"\ud800!"`, event{Title: "\ufffd!"}, "half a surrogate pair"},
		{`"df_title":null`, event{}, "null is absent"},
		{`"df_\u0074itle":"x"`, event{Title: "x"}, "an escaped name"},
		{`"host":"share","n":1e400`,
			event{Extra: map[string]json.RawMessage{"host": rawJSON(`"share"`),
				"n": rawJSON("1e400")}}, "what has no typed home is kept"},
		{`"x":null`, event{Extra: map[string]json.RawMessage{"x": rawJSON("null")}},
			"what has no typed home is kept as it is"},
	} {
		t.Run(test.member, func(t *testing.T) {
			body := `{"df_status":"info",` + test.member + "}"
			got := one(t, body, "")
			test.want.Raw, test.want.Status = []byte(body), guance.StatusInfo
			if diff := cmp.Diff(&test.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.why, diff)
			}
		})
	}
}

// A field of a wrong type is left empty, kept in Extra, and named in Invalid.
func TestWrongTypes(t *testing.T) {
	for _, test := range []struct {
		name, value, want string
	}{
		{"df_title", `5`, "a number, want a string"},
		{"df_status", `["critical"]`, "an array, want a string"},
		{"df_event_id", `{}`, "an object, want a string"},
		{"df_message", `false`, "a boolean, want a string"},
		{"timestamp", `"yesterday"`, "a string, want a time"},
		{"timestamp", `-1`, "a number, want a time"},
		{"timestamp", `1e300`, "a number, want a time"},
		{"timestamp", `"0x10"`, "a string, want a time"},
		{"timestamp", `"NaN"`, "a string, want a time"},
		{"date", `[1]`, "an array, want a time"},
		{"df_fault_duration", `1e13`, "a number, want a duration"},
		{"df_dimension_tags", `[]`, "an array, want an object"},
		{"df_dimension_tags", `"host=a"`, "a string, want an object"},
		{"df_dimension_tags", `7`, "a number, want an object"},
		{"df_dimension_tags", `"[]"`, "a string, want an object"},
		{"df_label", `"a,b"`, "a string, want a list"},
		{"df_label", `{}`, "an object, want a list"},
		{"df_workspace_declaration", `"x"`, "a string, want an object"},
		{"df_monitor_checker_value", `[]`, "an array, want a string, number or boolean"},
		{"df_monitor_checker_value_dumps", `"{"`, "a string, want JSON in a string"},
		{"df_is_silent", `"maybe"`, "a string, want a boolean"},
		{"df_check_condition", `{"operator":5}`, "an object, want an object with operator"},
		{"df_check_condition", `{"operator":[1]}`, "an object, want an object with operator"},
		{"df_check_condition", `{"operands":">"}`, "an object, want an object with operator"},
		{"df_check_condition", `"{"`, "a string, want an object with operator"},
		{"df_check_condition", `"> 5"`, "a string, want an object with operator"},
		{"df_check_condition", `[]`, "an array, want an object with operator"},
		{"alert_time_ranges", `[[1]]`, "an array, want a list of pairs"},
		{"alert_time_ranges", `[["x",1]]`, "an array, want a list of pairs"},
		{"alert_time_ranges", `"x"`, "a string, want a list of pairs"},
	} {
		t.Run(test.name+test.value, func(t *testing.T) {
			body := `{"df_sub_status":"info","` + test.name + `":` + test.value + `}`
			if test.name != "df_status" {
				body = `{"df_status":"info",` + body[1:]
			}
			got := one(t, body, "")
			want := &guance.Event{
				Raw:       []byte(body),
				Status:    got.Status,
				SubStatus: guance.StatusInfo,
				Extra:     map[string]json.RawMessage{test.name: rawJSON(test.value)},
				Invalid:   got.Invalid,
			}
			// The text of the tags is kept for the problem key, even if it is not an object.
			if diff := cmp.Diff(want, got,
				cmpopts.IgnoreFields(guance.Event{}, "DimensionTagsText")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(got.Invalid) != 1 || !strings.HasPrefix(got.Invalid[0], test.name+": got "+test.want) {
				t.Errorf("Invalid = %q, want one that says got %s", got.Invalid, test.want)
			}
		})
	}
}

// The first of duplicate names counts.
func TestDuplicateNames(t *testing.T) {
	for _, body := range []string{
		`{"df_status":"critical","df_status":"ok"}`,
		`{"df_status":"critical","df_\u0073tatus":"ok"}`,
		`{"df_\u0073tatus":"critical","df_status":"ok"}`,
	} {
		e := one(t, body, "")
		if e.State() != guance.StateProblem || e.Level() != guance.LevelCritical {
			t.Errorf("%s is %s, %s; want the first status to count", body, e.State(), e.Level())
		}
		if diff := cmp.Diff([]string{"df_status: repeated; the first one counts"},
			e.Invalid); diff != "" {
			t.Errorf("Invalid of %s (-want +got):\n%s", body, diff)
		}
	}
	for body, want := range map[string]guance.State{
		`{"df_status":null,"df_status":"ok"}`:          guance.StateNeither, // null counts as the first
		`{"df_status":5,"df_status":"ok"}`:             guance.StateNeither,
		`{"df_status":"critical","DF_STATUS":"ok"}`:    guance.StateProblem, // names are case-sensitive
		`{"df_status":"critical","df_status\u0000":1}`: guance.StateProblem,
	} {
		if got := one(t, body, "").State(); got != want {
			t.Errorf("State of %s = %s, want %s", body, got, want)
		}
	}
	extra := one(t, `{"df_status":"ok","x":1,"x":2}`, "")
	if diff := cmp.Diff(map[string]json.RawMessage{"x": rawJSON("1")}, extra.Extra); diff != "" ||
		len(extra.Invalid) != 1 {
		t.Errorf("Invalid = %q, Extra (-want +got):\n%s", extra.Invalid, diff)
	}
}
