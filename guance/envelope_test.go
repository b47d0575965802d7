package guance_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
)

// What an aggregated notification looks like is documented nowhere. Each row is
// a body and the raw bytes of the events that come of it.
func TestWrappers(t *testing.T) {
	const a, b, c = `{"df_event_id":"event-a"}`, `{"df_status":"ok"}`, `{"df_monitor_checker_id":"rul_c"}`
	for _, test := range []struct {
		name, body string
		want       []string
	}{
		{"array", `[` + a + `, ` + b + `]`, []string{a, b}},
		{"arrays in arrays", `[[` + a + `],[[` + b + `]]]`, []string{a, b}},
		{"array with others", `[1,"x",` + a + `,null]`, []string{"1", "x", a, "null"}},
		{"one level", `{"event":` + a + `}`, []string{a}},
		{"one level, list", `{"n":2,"events":[` + a + `,` + b + `]}`, []string{a, b}},
		{"two levels", `{"data":{"event":` + a + `}}`, []string{a}},
		{"two levels, list", `{"code":200,"content":{"data":[` + a + `,` + b + `,` + c + `]}}`, []string{a, b, c}},
		{"two lists", `{"faults":[` + a + `],"recoveries":[` + b + `]}`, []string{a, b}},
		{"list in a list", `{"groups":[[` + a + `],[` + b + `]]}`, []string{a, b}},
		{"wrapper in an array", `[{"event":` + a + `},` + b + `]`, []string{a, b}},
		{"wrapper with a title", `{"df_title":"2 events","events":[` + a + `,` + b + `]}`, []string{a, b}},
		{"three levels are too far", `{"x":{"y":{"z":` + a + `}}}`, []string{`{"x":{"y":{"z":` + a + `}}}`}},
		{"an event that holds events", `{"df_status":"ok","df_event_id":"event-1","events":[` + a + `]}`, []string{`{"df_status":"ok","df_event_id":"event-1","events":[` + a + `]}`}},
		{"an event that holds a status", `{"df_status":"ok","was":{"df_status":"critical"}}`, []string{`{"df_status":"ok","was":{"df_status":"critical"}}`}},
		{"a status that sums up events", `{"df_status":"critical","df_title":"2 events","events":[` + a + `,` + b + `]}`, []string{a, b}},
		{"an event in a string", `{"body":"{\"df_event_id\":\"event-a\"}"}`, []string{a}},
		{"events in a string", `{"code":200,"content":{"data":" [{\"df_event_id\":\"event-a\"},{\"df_status\":\"ok\"}]"}}`, []string{a, b}},
		{"events in strings", `{"events":["{\"df_event_id\":\"event-a\"}","{\"df_status\":\"ok\"}","text"]}`, []string{a, b}},
		{"all of it in a string", `" [{\"df_event_id\":\"event-a\"},{\"df_status\":\"ok\"}] "`, []string{a, b}},
		{"elements in strings", `["{\"df_event_id\":\"event-a\"}",` + b + `]`, []string{a, b}},
		{"a documented field that holds one", `{"df_event_detail":` + a + `}`, []string{`{"df_event_detail":` + a + `}`}},
		{"a status of a wrong type", `{"x":{"df_status":["ok"]}}`, []string{`{"df_status":["ok"]}`}},
		{"a status of null", `{"x":{"df_status":null}}`, []string{`{"x":{"df_status":null}}`}},
		{"events and several Issues", `{"e":[` + a + `],"i":[{"uuid":"issue_1"},{"uuid":"issue_2"}]}`, []string{a, `{"uuid":"issue_1"}`, `{"uuid":"issue_2"}`}},
		{"several events and an Issue", `{"e":[` + a + `,` + b + `],"i":{"uuid":"issue_1"}}`, []string{a, b, `{"uuid":"issue_1"}`}},
		{"an event and its Issue are one", `{"e":` + a + `,"i":{"uuid":"issue_1"}}`, []string{`{"e":` + a + `,"i":{"uuid":"issue_1"}}`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			events, err := guance.Decode([]byte(test.body), "")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range events {
				got = append(got, string(e.Raw))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s holds (-want +got):\n%s", test.body, diff)
			}
		})
	}
}

func TestRawIsTheWholeBody(t *testing.T) {
	for _, body := range []string{" {\"df_status\": \"ok\"}\r\n", " null ", "\t{\"a\" : 1}"} {
		if got := one(t, body, "").Raw; string(got) != body {
			t.Errorf("Raw = %q, want the body %q", got, body)
		}
	}
}

func TestStoredCopies(t *testing.T) {
	get := one(t, string(sample(t, "openapi-event-get.json")), "")
	if value, ok := get.Result.Float64(); !ok || value != 0.010000123409284342 || get.DateRange != time.Hour ||
		!get.Time().Equal(time.UnixMilli(1642563300000)) || get.DocID != "E_c7jodqs24loo3v53qc4g" {
		t.Errorf("got result %s, range %v, time %v, document %s", get.Result, get.DateRange, get.Time(), get.DocID)
	}
	// The reference of a query is the MD5 of its text, which df_meta holds.
	var meta struct {
		CheckTargets []struct{ DQL string } `json:"check_targets"`
	}
	if err := json.Unmarshal(get.Meta, &meta); err != nil || len(meta.CheckTargets) != 1 || md5Hex(meta.CheckTargets[0].DQL) != get.CheckerRef {
		t.Errorf("Meta = %s, %v, want the query whose MD5 is %s", get.Meta, err, get.CheckerRef)
	}
	list, err := guance.Decode(sample(t, "openapi-unrecovered-list.json"), "application/json")
	if err != nil || len(list) != 2 {
		t.Fatalf("the list of unrecovered events has %d, %v, want 2", len(list), err)
	}
	for i, want := range []string{"320fed7a6dd82a0bcb2a539248e6bedc", "899faaa6f042871f32fc58fe53b16e46"} {
		open := []guance.TimeRange{{Start: time.UnixMilli(1642541760000).UTC()}}
		if diff := cmp.Diff(open, list[i].AlertTimeRanges); list[i].ProblemKey() != want || diff != "" {
			t.Errorf("event %d has key %s, want %s; ranges (-want +got):\n%s", i, list[i].ProblemKey(), want, diff)
		}
	}
}

// No Issue or Incident body is documented: the first rows are the API's shapes,
// the others synthetic, after the names that the vendor's on-call script tries.
func TestIncidents(t *testing.T) {
	for _, test := range []struct {
		name, body string
		want       guance.Incident
		key        string
	}{
		{"API issue", string(sample(t, "openapi-issue-get.json")), guance.Incident{
			Kind: guance.KindIssue, UUID: "issue_xxxx32", Severity: "system_level_3", Title: "上传", Time: unix(1716888575, 0),
		}, "issue_xxxx32"},
		{"API reply", string(sample(t, "openapi-issue-reply-list.json")), guance.Incident{
			Kind: guance.KindIssue, UUID: "issue_db6629a4e2cd4f92a95dae0d6d5b44ec", Time: unix(1690278285, 0),
		}, "issue_db6629a4e2cd4f92a95dae0d6d5b44ec"},
		{"flat", `{"incident_uuid":"incident_1","incidentsStatus":"Working","level":"system_level_0","resourceIdentity":"ref","title":"t","statusTime":1700000000}`, guance.Incident{
			Kind: guance.KindIncident, UUID: "incident_1", Status: "working", Severity: "system_level_0", Resource: "ref", Title: "t", Time: unix(1700000000, 0),
		}, "ref"},
		{"ref under a monitor's name", `{"incidentId":"7","df_monitor_checker_event_ref":"ref","status":"resolved"}`, guance.Incident{
			Kind: guance.KindIncident, UUID: "7", Status: "resolved", Resource: "ref",
		}, "ref"},
		{"status beside the object", `{"type":"update","incidentsStatus":"closed","incident":{"uuid":"incident_1","name":"n"},"creator":{"name":"a person"}}`, guance.Incident{
			Kind: guance.KindIncident, UUID: "incident_1", Status: "closed", Title: "n",
		}, "incident_1"},
		{"deep", `{"a":{"b":{"c":[{"d":{"incidentUuid":"incident_1","event_ref":"ref","status":"open"}}]}}}`, guance.Incident{
			Kind: guance.KindIncident, UUID: "incident_1", Status: "open", Resource: "ref",
		}, "ref"},
		{"with its event", `{"incident":{"uuid":"incident_1","incidentsStatus":"working"},"event":{"df_event_id":"event-1","df_status":"critical","df_monitor_checker_event_ref":"ref"}}`, guance.Incident{
			Kind: guance.KindIncident, UUID: "incident_1", Status: "working", Resource: "ref",
		}, "ref"},
		{"names in order of preference", `{"status":"open","eventRef":"second","incidentsStatus":"working","resourceIdentity":"first","incident_id":"incident_1","issueUUID":"issue_1"}`, guance.Incident{
			Kind: guance.KindIncident, UUID: "incident_1", Status: "working", Resource: "first",
		}, "first"},
		{"with the id of an event", `{"incident_uuid":"incident_1","incidentsStatus":"closed","df_event_id":"event-1","df_monitor_checker_event_ref":"ref"}`, guance.Incident{
			Kind: guance.KindIncident, UUID: "incident_1", Status: "closed", Resource: "ref",
		}, "ref"},
		{"id is a number", `{"incident_id":5,"incidentsStatus":"open"}`, guance.Incident{
			Kind: guance.KindIncident, UUID: "5", Status: "open",
		}, "5"},
		{"everyday words of others", `{"issue":{"uuid":"issue_1","status":"working"},"channel":{"status":"closed","level":"system_level_0","title":"a channel","name":"a name","updateAt":5}}`, guance.Incident{
			Kind: guance.KindIssue, UUID: "issue_1", Status: "working",
		}, "issue_1"},
		{"everyday words around it, the nearest", `{"status":"open","level":"system_level_1","title":"far","updateAt":7,"issue":{"status":"resolved","issue":{"uuid":"issue_1"}}}`, guance.Incident{
			Kind: guance.KindIssue, UUID: "issue_1", Status: "resolved", Severity: "system_level_1", Title: "far", Time: unix(7, 0),
		}, "issue_1"},
		{"a status that is another's", `{"issue_uuid":"issue_1","status":"active","statusType":10}`, guance.Incident{
			Kind: guance.KindIssue, UUID: "issue_1",
		}, "issue_1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := one(t, test.body, "")
			if diff := cmp.Diff(&test.want, e.Incident); diff != "" {
				t.Errorf("Incident (-want +got):\n%s", diff)
			}
			if string(e.Raw) != test.body || e.Title != test.want.Title || e.Kind() != test.want.Kind || !e.Time().Equal(test.want.Time) {
				t.Errorf("Raw = %s, Title = %q, Kind = %s, Time = %v", e.Raw, e.Title, e.Kind(), e.Time())
			}
			if got := e.ProblemKey(); got != test.key {
				t.Errorf("ProblemKey() = %s, want %s", got, test.key)
			}
		})
	}
}

func TestNoIncident(t *testing.T) {
	for _, body := range []string{
		`{"issue_id":"42","status":"open"}`, `{"uuid":"wksp_1"}`, `{"incident_uuid":""}`, `{"incident_id":null}`, `{"incident_id":["incident_1"]}`,
		`{"df_event_id":"event-1","df_status":"critical","incident_uuid":"incident_1"}`, `["incident_uuid","incident_1"]`,
	} {
		events, err := guance.Decode([]byte(body), "")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Incident != nil {
				t.Errorf("%s has the Incident %+v, want none", body, e.Incident)
			}
		}
	}
}

func TestTwins(t *testing.T) {
	e := one(t, `{"df_status":"ok","workspace_uuid":"old","df_workspace_name":"new","workspace_name":"old","df_event_url":"http://u",
		"df_issue_start_time":100,"df_issue_duration":60,"df_monitor_id":"a;b","date":5}`, "")
	uuid, name := e.Workspace()
	got := fmt.Sprint(uuid, " ", name, " ", e.Link(), " ", e.FaultStarted().Unix(), " ", e.FaultLasted(), " ", e.MonitorIDs(), " ", e.Time().Unix())
	if want := "old new http://u 100 1m0s [a b] 5"; got != want {
		t.Errorf("from older names got %s, want %s", got, want)
	}
	e = one(t, `{"df_status":"ok","df_event_link":"http://l","df_event_url":"http://u","df_fault_start_time":200,"df_issue_start_time":100,
		"df_fault_duration":120,"df_issue_duration":60,"timestamp":6,"date":5}`, "")
	got = fmt.Sprint(e.Link(), " ", e.FaultStarted().Unix(), " ", e.FaultLasted(), " ", e.MonitorIDs(), " ", e.Time().Unix())
	if want := "http://l 200 2m0s [] 6"; got != want {
		t.Errorf("from newer names got %s, want %s", got, want)
	}
	if !(&guance.Event{}).Time().IsZero() {
		t.Error("an event without a time has one")
	}
}

func TestMarshalJSON(t *testing.T) {
	t.Run("decoded", func(t *testing.T) {
		e := one(t, " {\"df_title\" : \"<a>\"} ", "")
		got, err := e.MarshalJSON()
		if err != nil || !bytes.Equal(got, e.Raw) || &got[0] != &e.Raw[0] {
			t.Errorf("MarshalJSON() = %s, %v, want Raw itself", got, err)
		}
		if got, err := json.Marshal(e); err != nil || string(got) != `{"df_title":"\u003ca\u003e"}` {
			t.Errorf("json.Marshal = %s, %v", got, err)
		}
	})
	t.Run("text", func(t *testing.T) {
		got, err := one(t, "a\n\nb", "text/plain").MarshalJSON()
		if want := `"a\n\nb"`; err != nil || string(got) != want {
			t.Errorf("MarshalJSON() = %s, %v, want %s", got, err, want)
		}
		got, err = (&guance.Event{Text: true, Title: "a", Message: "b"}).MarshalJSON()
		if want := `"a\n\nb"`; err != nil || string(got) != want {
			t.Errorf("MarshalJSON() of fields = %s, %v, want %s", got, err, want)
		}
	})
	t.Run("built", func(t *testing.T) {
		e := &guance.Event{
			Status: guance.StatusError, Timestamp: unix(1693034940, 0), CreateTime: unix(20000000000, 7), DateRange: 90 * time.Second,
			DimensionTags: map[string]string{"b": "2", "a": "1"}, Result: "1.50", Label: []string{"x", "y"}, IsSilent: true,
			CheckCondition: &guance.Condition{Operator: ">", Operands: []guance.Value{"1"}}, CheckerValueDumps: `"z"`,
			AlertTimeRanges: []guance.TimeRange{{Start: unix(1642541760, 500)}}, Meta: rawJSON(`{"m":1}`),
			Extra: map[string]json.RawMessage{"z": rawJSON("1"), "host": rawJSON(`"a"`), "df_status": rawJSON("5"), "df_title": rawJSON("6"), "none": nil},
		}
		const want = `{"Result":1.50,"alert_time_ranges":[[1642541760.5,null]],"create_time":20000000000007,"df_check_condition":{"operator":">","operands":[1]},` +
			`"df_date_range":90,"df_dimension_tags":"{\"a\":\"1\",\"b\":\"2\"}","df_is_silent":"true","df_label":["x","y"],"df_meta":{"m":1},` +
			`"df_monitor_checker_value_dumps":"\"z\"","df_status":"error","timestamp":1693034940,"df_title":6,"host":"a","z":1}`
		got, err := e.MarshalJSON()
		if err != nil || string(got) != want {
			t.Errorf("MarshalJSON() = %s, %v, want\n%s", got, err, want)
		}
	})
	t.Run("empty", func(t *testing.T) {
		if got, err := new(guance.Event).MarshalJSON(); err != nil || string(got) != "{}" {
			t.Errorf("MarshalJSON() = %s, %v, want {}", got, err)
		}
	})
}

func TestUnmarshalJSON(t *testing.T) {
	var kept []*guance.Event
	if err := json.Unmarshal([]byte(`[{"df_status":"ok"},"text",null]`), &kept); err != nil {
		t.Fatal(err)
	}
	if kept[0].State() != guance.StateRecovered || !kept[1].Text || kept[2] != nil {
		t.Errorf("got %+v, %+v, %+v", kept[0], kept[1], kept[2])
	}
	e := guance.Event{Title: "was"}
	for _, text := range []string{`[]`, `[{},{}]`, `{"e":[{"df_status":"ok"},{"df_status":"ok"}]}`} {
		err := json.Unmarshal([]byte(text), &e)
		if err == nil || !strings.Contains(err.Error(), "guance: ") || e.Title != "was" {
			t.Errorf("Unmarshal(%s) = %v, event %+v; want an error and no change", text, err, e)
		}
	}
	if err := e.UnmarshalJSON([]byte(`{`)); err == nil || e.Title != "was" {
		t.Errorf("UnmarshalJSON of half an object = %v, event %+v; want an error and no change", err, e)
	}
}
