package guance_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
)

// statusNames are the documented statuses.
const statusNames = "fatal critical error warning nodata info ok nodata_ok nodata_as_ok manual_ok" +
	" high medium low security_critical security_high security_medium security_low security_info"

// A value that breaks a rule is kept. Invalid names the rule and never the value.
func TestRules(t *testing.T) {
	for _, test := range []struct {
		name, good, bad, rule string
	}{
		{"df_sub_status", "Manual_OK", "secret", "oneofci=" + statusNames + " 0 1 2 3 4 5"},
		{"df_fault_status", "OK", "secret", "oneofci=ok fault"},
		{"df_fault_id", "event-f20a", "secret", "startswith=event-"},
		{"df_event_link", "https://console.guance.com/keyevents/monitor?w=1", "secret",
			"startswith=http"},
		{"df_event_url", "http://10.0.0.1/x", "javascript:secret()", "startswith=http"},
		{"df_monitor_checker_event_ref", "13713ac25e993a37d2ca5899e2a7bba6", "secret", "len=32"},
		{"df_monitor_checker_ref", "aad7deb63b2e58b301f823517fea944d",
			"secret-is-not-a-hexadecimal-text", "hexadecimal"},
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

// The rules of the two statuses repeat the table of statuses, because a tag cannot refer to it.
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

// An event of an unknown kind has a reason. Only a broken rule of the status makes the kind
// unknown: a fault with an odd link is a fault.
func TestUnknownHasReasons(t *testing.T) {
	for _, test := range []struct {
		body, reason string
		kind         guance.Kind
	}{
		{`{}`, "df_status: absent, and required", guance.KindUnknown},
		{`{"foo":"bar"}`, "df_status: absent, and required", guance.KindUnknown},
		{`null`, "got null, want an object", guance.KindUnknown},
		{`[5]`, "got a number, want an object", guance.KindUnknown},
		{`{"df_status":"P1","df_event_id":"event-1"}`,
			"df_status: not as documented: want oneofci=" + statusNames, guance.KindUnknown},
		{`{"df_status":5,"df_title":"x"}`, "df_status: got a number, want a string; kept in Extra",
			guance.KindUnknown},
		{`{"df_title":"x"}`, "df_status: absent, and required", guance.KindTest},
		{`{"df_status":"critical","df_event_link":"secret"}`,
			"df_event_link: not as documented: want startswith=http", guance.KindFault},
	} {
		e := one(t, test.body, "")
		if diff := cmp.Diff([]string{test.reason}, e.Invalid); diff != "" || e.Kind() != test.kind {
			t.Errorf("%s is of kind %s, want %s; Invalid (-want +got):\n%s", test.body, e.Kind(), test.kind,
				diff)
		}
	}
}
