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

// unix is a time as Decode returns it.
func unix(sec, ms int64) time.Time { return time.UnixMilli(sec*1000 + ms).UTC() }

// Each row is one member in one of the forms it is known to take, and the event
// that comes of it.
func TestForms(t *testing.T) {
	type event = guance.Event
	for _, test := range []struct {
		member string
		want   event
		why    string
	}{
		{`"timestamp":1693034940`, event{Timestamp: unix(1693034940, 0)}, "sample: seconds"},
		{`"timestamp":"1693034940"`, event{Timestamp: unix(1693034940, 0)}, "OpenAPI: numbers as strings"},
		{`"date":1642563300000`, event{Date: unix(1642563300, 0)}, "OpenAPI: milliseconds"},
		{`"date":"1642563300123"`, event{Date: unix(1642563300, 123)}, "OpenAPI: both"},
		{`"date":1642563300.123`, event{Date: unix(1642563300, 123)}, "seconds with decimals"},
		{`"date":1.6425633e9`, event{Date: unix(1642563300, 0)}, "an exponent is a number too"},
		{`"date":10000000000`, event{Date: unix(1e10, 0)}, "the on-call script: up to 10^10 are seconds"},
		{`"date":10000000001`, event{Date: unix(1e7, 1)}, "the on-call script: above 10^10 are milliseconds"},
		{`"date":0`, event{}, "zero is absent"},
		{`"date":""`, event{}, "empty is absent"},
		{`"create_time":1642563307585,"time":1642563300000`, event{CreateTime: unix(1642563307, 585), StoredTime: unix(1642563300, 0)}, "OpenAPI"},
		{`"df_date_range":60`, event{DateRange: time.Minute}, "sample"},
		{`"df_date_range":"3600"`, event{DateRange: time.Hour}, "OpenAPI: a string"},
		{`"df_fault_duration":1.5`, event{FaultDuration: 1500 * time.Millisecond}, "decimals"},
		{`"alert_time_ranges":[[1642541760000,null]]`, event{AlertTimeRanges: []guance.TimeRange{{Start: unix(1642541760, 0)}}}, "OpenAPI: an open range"},

		{`"Result":100`, event{Result: "100"}, "sample"},
		{`"Result":"0.010000123409284342"`, event{Result: `"0.010000123409284342"`}, "OpenAPI: a string"},
		{`"Result":9007199254740993`, event{Result: "9007199254740993"}, "a float64 would round it"},
		{`"Result":[1,{"a":null}]`, event{Result: `[1,{"a":null}]`}, "any value"},
		{`"Result":true`, event{Result: "true"}, "any value"},
		{`"Result":null`, event{}, "null is absent"},

		{`"df_dimension_tags":"{\"host\":\"share\"}"`, event{DimensionTags: map[string]string{"host": "share"}, DimensionTagsText: `{"host":"share"}`}, "sample: a string"},
		{`"df_dimension_tags":{"host": "share"}`, event{DimensionTags: map[string]string{"host": "share"}, DimensionTagsText: `{"host": "share"}`}, "an object"},
		{`"df_dimension_tags":"{}"`, event{DimensionTagsText: "{}"}, "no tags"},
		{`"df_dimension_tags":""`, event{}, "no tags"},
		{`"df_dimension_tags":null`, event{}, "no tags"},
		{`"df_dimension_tags":"{\"n\":7,\"b\":false,\"o\":{\"x\":[1]},\"gone\":null,\"n\":8}"`, event{
			DimensionTags:     map[string]string{"n": "7", "b": "false", "o": `{"x":[1]}`},
			DimensionTagsText: `{"n":7,"b":false,"o":{"x":[1]},"gone":null,"n":8}`,
		}, "values that are no strings; the first of two"},

		{`"df_label":"[]"`, event{}, "sample"},
		{`"df_label":"[\"a\",\"b\"]"`, event{Label: []string{"a", "b"}}, "sample: a list in a string"},
		{`"df_label":["a",5,null]`, event{Label: []string{"a", "5"}}, "template variables: a list"},
		{`"df_alert_policy_ids":["p1"],"df_alert_policy_names":"[\"n\"]"`, event{AlertPolicyIDs: []string{"p1"}, AlertPolicyNames: []string{"n"}}, "event fields: lists"},
		{`"df_workspace_declaration":{"business":"pay"}`, event{WorkspaceDeclaration: map[string]string{"business": "pay"}}, "OpenAPI: an object"},
		{`"df_workspace_declaration":"{\"business\":[\"a\"]}"`, event{WorkspaceDeclaration: map[string]string{"business": `["a"]`}}, "a string; lists before 2024-05-29"},

		{`"df_meta":"{\"a\":1}"`, event{Meta: rawJSON(`{"a":1}`)}, "OpenAPI: an object in a string"},
		{`"df_meta":{"a":1}`, event{Meta: rawJSON(`{"a":1}`)}, "an object"},
		{`"df_meta":""`, event{}, "nothing"},
		{`"df_event_detail":"just text"`, event{EventDetail: rawJSON(`"just text"`)}, "event fields: not documented which"},
		{`"df_event_detail":"5"`, event{EventDetail: rawJSON(`"5"`)}, "only objects and lists are taken out of a string"},
		{`"df_at_accounts":[{"x":1}]`, event{AtAccounts: rawJSON(`[{"x":1}]`)}, "event fields: shape not documented"},
		{`"df_check_condition":{"operator":">=","operands":[90,"95"]}`, event{CheckCondition: &guance.Condition{Operator: ">=", Operands: []guance.Value{"90", `"95"`}}}, "template variables; monitor configurations have strings"},

		{`"df_monitor_checker_value":"100"`, event{CheckerValue: "100"}, "sample"},
		{`"df_monitor_checker_value":100`, event{CheckerValue: "100"}, "not cast"},
		{`"df_monitor_checker_value_dumps":"\"100\""`, event{CheckerValueDumps: `"100"`}, "event fields: JSON in a string"},
		{`"df_monitor_checker_value_dumps":"null"`, event{}, "null is absent"},
		{`"df_is_silent":"true"`, event{IsSilent: true}, "event fields: a string"},
		{`"df_is_silent":"false"`, event{}, "event fields: a string"},
		{`"df_is_silent":true`, event{IsSilent: true}, "a boolean"},

		{`"df_title":"a\u00e9\ud83d\ude00\n"`, event{Title: "aé😀\n"}, "escapes"},
		{`"df_title":"\ud800!"`, event{Title: "\ufffd!"}, "half a surrogate pair"},
		{`"df_title":null`, event{}, "null is absent"},
		{`"df_\u0074itle":"x"`, event{Title: "x"}, "an escaped name"},
		{`"host":"share","n":1e400`, event{Extra: map[string]json.RawMessage{"host": rawJSON(`"share"`), "n": rawJSON("1e400")}}, "what has no typed home is kept"},
		{`"x":null`, event{Extra: map[string]json.RawMessage{"x": rawJSON("null")}}, "what has no typed home is kept as it is"},
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

// A field of a wrong type is left empty, kept, and named.
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
			// The text of the tags counts for identity even if it is no object.
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(guance.Event{}, "DimensionTagsText")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(got.Invalid) != 1 || !strings.HasPrefix(got.Invalid[0], test.name+": got "+test.want) {
				t.Errorf("Invalid = %q, want one that says got %s", got.Invalid, test.want)
			}
		})
	}
}

// What breaks a rule is kept, and named by the rule: never by the value, which
// may be anything.
func TestRules(t *testing.T) {
	for _, test := range []struct {
		name, good, bad, rule string
	}{
		{"df_sub_status", "Manual_OK", "secret", "oneofci=" + statusNames},
		{"df_fault_status", "OK", "secret", "oneofci=ok fault"},
		{"df_event_id", "event-f20a", "secret", "startswith=event-"},
		{"df_fault_id", "event-f20a", "secret", "startswith=event-"},
		{"df_event_link", "https://console.guance.com/keyevents/monitor?w=1", "secret", "startswith=http"},
		{"df_event_url", "http://10.0.0.1/x", "javascript:secret()", "startswith=http"},
		{"df_monitor_checker_event_ref", "13713ac25e993a37d2ca5899e2a7bba6", "secret", "len=32"},
		{"df_monitor_checker_ref", "aad7deb63b2e58b301f823517fea944d", "secret-is-not-a-hexadecimal-text", "hexadecimal"},
		{"df_monitor_checker_id", "rul_xxxx32", "secret", "startswith=rul_"},
		{"df_monitor_checker_sub", "nodata", "secret", "oneof=check nodata"},
		{"df_exec_mode", "async", "secret", "oneof=crontab async"},
		{"df_crontab_exec_mode", "manual", "secret", "oneof=crontab manual"},
	} {
		t.Run(test.name, func(t *testing.T) {
			with := func(value string) *guance.Event {
				return one(t, `{"df_status":"info","`+test.name+`":"`+value+`"}`, "")
			}
			good := with(test.good)
			if len(good.Invalid) != 0 {
				t.Errorf("Invalid = %q for %q, want none", good.Invalid, test.good)
			}
			if empty := with(""); len(empty.Invalid) != 0 {
				t.Errorf("Invalid = %q for an empty text, want none", empty.Invalid)
			}
			bad := with(test.bad)
			want := []string{test.name + ": not as documented: want " + test.rule}
			if diff := cmp.Diff(want, bad.Invalid); diff != "" {
				t.Errorf("Invalid (-want +got):\n%s", diff)
			}
			if len(bad.Extra) != 0 {
				t.Errorf("Extra = %v, want the text in its typed home alone", bad.Extra)
			}
		})
	}
}

// statusNames are the documented statuses.
const statusNames = "fatal critical error warning nodata info ok nodata_ok nodata_as_ok manual_ok" +
	" high medium low security_critical security_high security_medium security_low security_info"

// The rules of the two statuses are the table of statuses once more, because a
// tag cannot refer to it.
func TestRuleOfStatuses(t *testing.T) {
	for name := range strings.FieldsSeq(statusNames) {
		if e := one(t, `{"df_status":"`+name+`"}`, ""); len(e.Invalid) != 0 || !e.Status.Known() {
			t.Errorf("status %s is known: %t, Invalid = %q", name, e.Status.Known(), e.Invalid)
		}
	}
	if e := one(t, `{"df_status":"P1"}`, ""); len(e.Invalid) != 1 || e.Status.Known() {
		t.Errorf("status P1 is known: %t, Invalid = %q", e.Status.Known(), e.Invalid)
	}
}

// What is not understood says why. A status that is not understood is the only
// rule to decide about the kind: a fault with an odd link is a fault.
func TestUnknownHasReasons(t *testing.T) {
	for _, test := range []struct {
		body, reason string
		kind         guance.Kind
	}{
		{`{}`, "df_status: absent, and required", guance.KindUnknown},
		{`{"foo":"bar"}`, "df_status: absent, and required", guance.KindUnknown},
		{`null`, "got null, want an object", guance.KindUnknown},
		{`[5]`, "got a number, want an object", guance.KindUnknown},
		{`{"df_status":"P1","df_event_id":"event-1"}`, "df_status: not as documented: want oneofci=" + statusNames, guance.KindUnknown},
		{`{"df_status":5,"df_title":"x"}`, "df_status: got a number, want a string; kept in Extra", guance.KindUnknown},
		{`{"df_title":"x"}`, "df_status: absent, and required", guance.KindTest},
		{`{"df_status":"critical","df_event_link":"secret"}`, "df_event_link: not as documented: want startswith=http", guance.KindFault},
	} {
		e := one(t, test.body, "")
		if diff := cmp.Diff([]string{test.reason}, e.Invalid); diff != "" || e.Kind() != test.kind {
			t.Errorf("%s is of kind %s, want %s; Invalid (-want +got):\n%s", test.body, e.Kind(), test.kind, diff)
		}
	}
}

// "A duplicate key cannot smuggle a second status past the first."
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
		if diff := cmp.Diff([]string{"df_status: repeated; the first one counts"}, e.Invalid); diff != "" {
			t.Errorf("Invalid of %s (-want +got):\n%s", body, diff)
		}
	}
	for body, want := range map[string]guance.State{
		`{"df_status":null,"df_status":"ok"}`:          guance.StateNeither, // null is a first one too
		`{"df_status":5,"df_status":"ok"}`:             guance.StateNeither,
		`{"df_status":"critical","DF_STATUS":"ok"}`:    guance.StateProblem, // names have a case
		`{"df_status":"critical","df_status\u0000":1}`: guance.StateProblem,
	} {
		if got := one(t, body, "").State(); got != want {
			t.Errorf("State of %s = %s, want %s", body, got, want)
		}
	}
	extra := one(t, `{"df_status":"ok","x":1,"x":2}`, "")
	if diff := cmp.Diff(map[string]json.RawMessage{"x": rawJSON("1")}, extra.Extra); diff != "" || len(extra.Invalid) != 1 {
		t.Errorf("Invalid = %q, Extra (-want +got):\n%s", extra.Invalid, diff)
	}
}

func TestValue(t *testing.T) {
	for _, test := range []struct {
		value   guance.Value
		text    string
		number  float64
		isFloat bool
		integer int64
		isInt   bool
	}{
		{"", "", 0, false, 0, false},
		{"100", "100", 100, true, 100, true},
		{"-0.5", "-0.5", -0.5, true, 0, false},
		{"9007199254740993", "9007199254740993", 9007199254740992, true, 9007199254740993, true},
		{`"0.01"`, "0.01", 0.01, true, 0, false},
		{`"7"`, "7", 7, true, 7, true},
		{"1e3", "1e3", 1000, true, 0, false},
		{"1e999", "1e999", 0, false, 0, false},
		{`"Inf"`, "Inf", 0, false, 0, false},
		{`"0x1p4"`, "0x1p4", 0, false, 0, false},
		{"true", "true", 0, false, 0, false},
		{`"a\nb"`, "a\nb", 0, false, 0, false},
		{`[1]`, "[1]", 0, false, 0, false},
	} {
		number, isFloat := test.value.Float64()
		integer, isInt := test.value.Int64()
		if isFloat != test.isFloat || isFloat && number != test.number || isInt != test.isInt || isInt && integer != test.integer {
			t.Errorf("%s is %v (%t) and %v (%t), want %v (%t) and %v (%t)", test.value, number, isFloat, integer, isInt,
				test.number, test.isFloat, test.integer, test.isInt)
		}
		if got := test.value.String(); got != test.text {
			t.Errorf("String() = %q, want %q", got, test.text)
		}
		if got := test.value.Absent(); got != (test.value == "") {
			t.Errorf("Absent() of %q = %t", string(test.value), got)
		}
		// An absent value is null, which is read as an absent value.
		var back guance.Value
		text, err := json.Marshal(test.value)
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil || back != test.value {
			t.Errorf("%q came back from JSON as %q, %v", string(test.value), string(back), err)
		}
	}
}
