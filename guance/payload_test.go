package guance_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
)

// Every payload of testdata, with the kind, state, level and key of its events. Many are about the
// problem of the one real body, disk usage of the host "share", and must have its key.
func TestPayloads(t *testing.T) {
	const (
		share  = "13713ac25e993a37d2ca5899e2a7bba6" // phase check, as in the real body
		quiet  = "626c79a3ef7e61e29943d44001947903" // phase nodata, by the vendor's formula
		web002 = "f4ea715f8a58d7e26c3107761f75f0e2" // another host, by the vendor's formula
		issue  = "issue_0aae4c8f3cc35693d0cbbe631f2e8b52"
	)
	payloads := map[string]struct {
		events []string
		why    string
	}{
		"webhook-monitor-critical.json": {[]string{"fault problem critical " + share},
			"the real body"},
		"webhook-doc-example-warning.json": {[]string{"fault problem warning " +
			md5Hex(`{"host":"web001"}~rul_xxxxxxxxxx~check`)}, "webhook page: the example, abridged"},
		"func-webhook-connectivity-test.json": {[]string{"test neither none " +
			"content-d42df8f328abbd33dc476ad3fd86f237"}, "integration guide: hand test"},
		"openapi-event-get.json": {[]string{"fault problem critical " +
			"899faaa6f042871f32fc58fe53b16e46"}, "OpenAPI: a stored copy"},
		"openapi-unrecovered-list.json": {[]string{"fault problem critical " +
			"320fed7a6dd82a0bcb2a539248e6bedc", "fault problem critical 899faaa6f042871f32fc58fe53b16e46"},
			"OpenAPI: a list of stored copies"},
		"openapi-issue-get.json": {[]string{"issue problem none issue_xxxx32"},
			"OpenAPI: statusType 10 is open"},
		"openapi-issue-reply-list.json": {[]string{"issue neither none " +
			"issue_db6629a4e2cd4f92a95dae0d6d5b44ec"}, "OpenAPI: a reply says nothing of the state"},
		"openapi-custom-event-create-request.json": {[]string{"unknown neither none " +
			"content-bc28c6daaa551c9f6cef27ed16ae1e14"}, "a request to Guance, none of its webhooks"},
		"external-event-push-request.json": {[]string{"unknown neither none " +
			"content-64f10e54002044b1261e42493c9917cd"}, "a request to Guance, none of its webhooks"},
		"webhook-legacy-text-body.json": {[]string{"unknown neither none " +
			"content-2ef50de98e8fc1ec1327605401f839c4"}, "holds a text body; see TestLegacyTextSample"},

		"synthetic-fatal.json": {[]string{"fault problem fatal " + share},
			"level page, newest: the highest level"},
		"synthetic-recovery.json": {[]string{"recovery recovered none " + share},
			"level page; monitor configurations: own title and message"},
		"synthetic-recovery-manual.json": {[]string{"recovery recovered none " + share},
			"older event fields: manual_ok; template variables: df_user_*"},
		"synthetic-recovery-status-alone.json": {[]string{"recovery recovered none " + share},
			"event fields: manual_ok as a status"},
		"synthetic-nodata.json": {[]string{"nodata problem nodata " + quiet},
			"level page"},
		"synthetic-nodata-null-result.json": {[]string{"nodata problem nodata " + quiet},
			"not documented: no value may be null, empty or absent"},
		"synthetic-nodata-as-critical.json": {[]string{"nodata problem critical " + quiet},
			"threshold monitor page: missing data under another level"},
		"synthetic-nodata-recovery.json": {[]string{"nodata recovered none " + quiet},
			"older event fields: data came back"},
		"synthetic-nodata-as-recovered.json": {[]string{"nodata recovered none " + quiet},
			"older event fields: missing data counts as recovered; see SiblingKey"},
		"synthetic-info.json": {[]string{"info neither info " + share},
			"level page: the check met no rule, which is no recovery"},
		"synthetic-slo.json": {[]string{"slo problem critical " +
			"130e15c892db950970096b2fc23cd626"}, "newest event fields: a source of its own"},
		"synthetic-slo-recovery.json": {[]string{"slo recovered none " +
			"130e15c892db950970096b2fc23cd626"}, "event fields: under monitor, told by the type"},
		"synthetic-intelligent.json": {[]string{"intelligent problem critical " + share},
			"newest event fields: smartMonitor; event fields: the report"},
		"synthetic-inspection.json": {[]string{"intelligent problem warning " + share},
			"event fields: bot_obs"},
		"synthetic-security.json": {[]string{"security problem error " +
			"problem-472756331d5eab37bacb93af7b1eb33d"}, "level page, security"},
		"synthetic-security-prefixed.json": {[]string{"security problem warning " +
			"problem-472756331d5eab37bacb93af7b1eb33d"}, "alert policies of the Terraform provider"},
		"synthetic-security-recovery.json": {[]string{"security recovered none " +
			"problem-472756331d5eab37bacb93af7b1eb33d"}, "not documented: if it recovers, it meets its " +
			"problem"},
		"synthetic-external.json": {[]string{"external problem warning " +
			md5Hex(`{"heros":"caiwenji"}~rul_7cfcbd1c1575dd7eae454f18b9267188~check`)}, "OpenAPI: " +
			"user-defined texts at top level, extra_data in df_meta"},
		"synthetic-custom.json": {[]string{"custom problem error " +
			"problem-7aef33c43b45a3ced3f6a1e50b5b31bd"}, "newest event fields: created through the OpenAPI"},
		"synthetic-custom-recovery.json": {[]string{"custom recovered none " +
			"problem-7aef33c43b45a3ced3f6a1e50b5b31bd"}, "the same, without a reference to meet by"},
		"synthetic-change.json": {[]string{"change neither info " +
			"event-9cf45c66fcb67ddc44b04dafa0a20653"}, "newest event fields: a Kubernetes change"},
		"synthetic-audit.json": {[]string{"audit neither info " +
			"event-a1213419a0c503fc2767891f21463751"}, "event fields: df_user_* and free fields"},
		"synthetic-issue-created.json": {[]string{"issue problem critical " + issue},
			"OpenAPI: the object, in a wrapper"},
		"synthetic-issue-working.json": {[]string{"issue neither critical " + issue},
			"release notes, 2025-02-19: working"},
		"synthetic-issue-resolved.json": {[]string{"issue recovered none " + issue},
			"Issue page: resolved; not the channel's open"},
		"synthetic-issue-reply.json": {[]string{"issue neither none " + issue},
			"release notes, 2024-05-29: replies"},
		"synthetic-incident-open.json": {[]string{"incident problem critical " + share},
			"Incident pages; on-call script: names"},
		"synthetic-incident-working.json": {[]string{"incident neither critical " + share},
			"Incident pages; on-call script: a uuid with the prefix"},
		"synthetic-incident-closed.json": {[]string{"incident recovered none " + share},
			"Incident pages; its last event speaks of the past"},
		"synthetic-aggregated-array.json": {[]string{"fault problem error " + share,
			"fault problem critical " + web002, "recovery recovered none " + share},
			"not documented: an array"},
		"synthetic-aggregated-object.json": {[]string{"fault problem error " + share,
			"fault problem critical " + web002, "recovery recovered none " + share},
			"not documented: a wrapper"},
		"synthetic-aggregated-with-status.json": {[]string{"fault problem error " + share,
			"fault problem critical " + web002}, "not documented: a wrapper with a status"},
		"synthetic-aggregated-in-string.json": {[]string{"fault problem error " + share,
			"fault problem critical " + web002},
			"not documented: a list in a string, as Guance sends lists"},
		"synthetic-test-message.json": {[]string{"test neither none " +
			"content-6279f30de55be5e76394cef3743be227"}, "newest webhook page: the console's button"},
		"synthetic-scheduled-report.json": {[]string{"unknown neither none " +
			"content-16c3f5115057d969a437e0f1af7be22b"}, "release notes, 2025-03-12"},
		"synthetic-datakit-change.json": {[]string{"change neither info " +
			"0f5b8c0e-6f1d-4a53-9d2e-8d3f6c1b7a90"}, "DataKit: an id that is a UUID"},
		"synthetic-zabbix.json": {[]string{"custom problem error " +
			"problem-1856803d8f28bcc8e799ddc041a38192"}, "DataKit, Zabbix exporter: an id and a severity " +
			"that are numbers"},
		"synthetic-zabbix-recovery.json": {[]string{"custom recovered none " +
			"problem-1856803d8f28bcc8e799ddc041a38192"}, "the same, as JSON numbers"},
		"synthetic-issue-2023.json": {[]string{"issue problem critical " + issue},
			"OpenAPI of 2023: level 0; a docid joins nothing"},
		"synthetic-issue-2023-resolved.json": {[]string{"issue recovered none " + issue},
			"OpenAPI of 2023: statusType 20"},
		"synthetic-func-null-result.json": {[]string{"fault problem critical " + share},
			"DataFlux Func writes NaN as null; template variables of 2023: df_event_url"},
		"synthetic-every-field-2025.json": {[]string{"fault problem error " + share},
			"event fields, template variables: all of them"},
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) != len(payloads) {
		t.Errorf("testdata has %d payloads, %v, want %d", len(files), err, len(payloads))
	}
	for name, payload := range payloads {
		t.Run(name, func(t *testing.T) {
			events, err := guance.Decode(sample(t, name), "application/json")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range events {
				got = append(got, fmt.Sprintf("%s %s %s %s", e.Kind(), e.State(), e.Level(), e.ProblemKey()))
				if len(e.Invalid) > 0 && e.Kind() != guance.KindUnknown && e.Kind() != guance.KindTest {
					t.Errorf("Invalid = %q, want none", e.Invalid)
				}
			}
			if diff := cmp.Diff(payload.events, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", payload.why, diff)
			}
		})
	}
}

// A field of a wrong type never makes a body an error, hides other fields, or changes state and
// key. Only the status decides the state, and only the reference names the problem.
func TestOddTypes(t *testing.T) {
	odd := []string{
		`null`, `true`, `0`, `-1`, `1e400`, `123456789012345678901234567890`, `""`, `" "`, `"x"`,
		`"\ud800"`, `[]`, `{}`, `[[]]`, `[null,5,{}]`, `{"a":{"b":[1]}}`,
		`"null"`, `"5"`, `"\"x\""`, `"[{}]"`, `"{\"df_status\":\"ok\"}"`, `{"df_status":"ok",` +
			`"df_event_id":"event-1"}`, `[{"df_status":"ok"}]`,
		`{"uuid":"incident_1","incidentsStatus":"closed"}`,
	}
	for _, name := range []string{"webhook-monitor-critical.json", "synthetic-every-field-2025.json",
		"synthetic-recovery.json", "synthetic-nodata.json"} {
		body := sample(t, name)
		want := one(t, string(body), "")
		var members map[string]json.RawMessage
		if err := json.Unmarshal(body, &members); err != nil {
			t.Fatal(err)
		}
		members["never_seen"] = nil
		for field := range members {
			for _, value := range odd {
				changed := maps.Clone(members)
				delete(changed, "never_seen")
				changed[field] = json.RawMessage(value)
				text, err := json.Marshal(changed)
				if err != nil {
					t.Fatal(err)
				}
				got := one(t, string(text), "")
				if field != "df_status" && field != "df_sub_status" &&
					(got.State() != want.State() || got.Level() != want.Level()) {
					t.Errorf("%s with %s = %s is %s, %s; want %s, %s", name, field, value, got.State(),
						got.Level(), want.State(), want.Level())
				}
				if field != "df_monitor_checker_event_ref" && got.ProblemKey() != want.ProblemKey() {
					t.Errorf("%s with %s = %s has the key %s, want %s", name, field, value, got.ProblemKey(),
						want.ProblemKey())
				}
				if kept, err := got.MarshalJSON(); err != nil || !bytes.Equal(kept, text) {
					t.Errorf("%s with %s = %s came back as %s, %v", name, field, value, kept, err)
				}
			}
		}
	}
}
