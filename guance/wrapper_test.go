package guance_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
)

// The form of an aggregated notification is not documented. Each row is a body and the raw bytes of
// its events.
func TestWrappers(t *testing.T) {
	const a, b = `{"df_event_id":"event-a"}`, `{"df_status":"ok"}`
	const c = `{"df_monitor_checker_id":"rul_c"}`
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
		{"two levels, list", `{"code":200,"content":{"data":[` + a + `,` + b + `,` + c + `]}}`,
			[]string{a, b, c}},
		{"two lists", `{"faults":[` + a + `],"recoveries":[` + b + `]}`, []string{a, b}},
		{"list in a list", `{"groups":[[` + a + `],[` + b + `]]}`, []string{a, b}},
		{"wrapper in an array", `[{"event":` + a + `},` + b + `]`, []string{a, b}},
		{"wrapper with a title", `{"df_title":"2 events","events":[` + a + `,` + b + `]}`,
			[]string{a, b}},
		{"three levels are too far", `{"x":{"y":{"z":` + a + `}}}`,
			[]string{`{"x":{"y":{"z":` + a + `}}}`}},
		{"an event that holds events", `{"df_status":"ok","df_event_id":"event-1","events":[` + a + `]}`,
			[]string{`{"df_status":"ok","df_event_id":"event-1","events":[` + a + `]}`}},
		{"an event that holds a status", `{"df_status":"ok","was":{"df_status":"critical"}}`,
			[]string{`{"df_status":"ok","was":{"df_status":"critical"}}`}},
		{"a status that sums up events",
			`{"df_status":"critical","df_title":"2 events","events":[` + a + `,` + b + `]}`, []string{a, b}},
		{"an event in a string", `{"body":"{\"df_event_id\":\"event-a\"}"}`, []string{a}},
		{"events in a string",
			`{"code":200,"content":{"data":" [{\"df_event_id\":\"event-a\"},{\"df_status\":\"ok\"}]"}}`,
			[]string{a, b}},
		{"events in strings",
			`{"events":["{\"df_event_id\":\"event-a\"}","{\"df_status\":\"ok\"}","text"]}`, []string{a, b}},
		{"all of it in a string", `" [{\"df_event_id\":\"event-a\"},{\"df_status\":\"ok\"}] "`,
			[]string{a, b}},
		{"elements in strings", `["{\"df_event_id\":\"event-a\"}",` + b + `]`, []string{a, b}},
		{"a documented field that holds one", `{"df_event_detail":` + a + `}`,
			[]string{`{"df_event_detail":` + a + `}`}},
		{"a status of a wrong type", `{"x":{"df_status":["ok"]}}`, []string{`{"df_status":["ok"]}`}},
		{"a status of null", `{"x":{"df_status":null}}`, []string{`{"x":{"df_status":null}}`}},
		{"events and several Issues", `{"e":[` + a + `],"i":[{"uuid":"issue_1"},{"uuid":"issue_2"}]}`,
			[]string{a, `{"uuid":"issue_1"}`, `{"uuid":"issue_2"}`}},
		{"several events and an Issue", `{"e":[` + a + `,` + b + `],"i":{"uuid":"issue_1"}}`,
			[]string{a, b, `{"uuid":"issue_1"}`}},
		{"an event and its Issue are one", `{"e":` + a + `,"i":{"uuid":"issue_1"}}`,
			[]string{`{"e":` + a + `,"i":{"uuid":"issue_1"}}`}},
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
	if value, ok := get.Result.Float64(); !ok || value != 0.010000123409284342 ||
		get.DateRange != time.Hour ||
		!get.Time().Equal(time.UnixMilli(1642563300000)) || get.DocID != "E_c7jodqs24loo3v53qc4g" {
		t.Errorf("got result %s, range %v, time %v, document %s", get.Result, get.DateRange, get.Time(),
			get.DocID)
	}
	// The reference of a query is the MD5 of its text, which df_meta has.
	var meta struct {
		CheckTargets []struct{ DQL string } `json:"check_targets"`
	}
	if err := json.Unmarshal(get.Meta, &meta); err != nil || len(meta.CheckTargets) != 1 ||
		md5Hex(meta.CheckTargets[0].DQL) != get.CheckerRef {
		t.Errorf("Meta = %s, %v, want the query whose MD5 is %s", get.Meta, err, get.CheckerRef)
	}
	list, err := guance.Decode(sample(t, "openapi-unrecovered-list.json"), "application/json")
	if err != nil || len(list) != 2 {
		t.Fatalf("the list of unrecovered events has %d, %v, want 2", len(list), err)
	}
	for i, want := range []string{"320fed7a6dd82a0bcb2a539248e6bedc",
		"899faaa6f042871f32fc58fe53b16e46"} {
		open := []guance.TimeRange{{Start: time.UnixMilli(1642541760000).UTC()}}
		if diff := cmp.Diff(open, list[i].AlertTimeRanges); list[i].ProblemKey() != want || diff != "" {
			t.Errorf("event %d has key %s, want %s; ranges (-want +got):\n%s", i, list[i].ProblemKey(),
				want, diff)
		}
	}
}
