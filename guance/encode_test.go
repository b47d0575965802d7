package guance_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
)

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
			Status: guance.StatusError, Timestamp: unix(1693034940, 0), CreateTime: unix(20000000000, 7),
			DateRange:     90 * time.Second,
			DimensionTags: map[string]string{"b": "2", "a": "1"}, Result: "1.50", Label: []string{"x", "y"},
			IsSilent:          true,
			CheckCondition:    &guance.Condition{Operator: ">", Operands: []guance.Value{"1"}},
			CheckerValueDumps: `"z"`,
			AlertTimeRanges:   []guance.TimeRange{{Start: unix(1642541760, 500)}}, Meta: rawJSON(`{"m":1}`),
			Extra: map[string]json.RawMessage{"z": rawJSON("1"), "host": rawJSON(`"a"`),
				"df_status": rawJSON("5"), "df_title": rawJSON("6"), "none": nil},
		}
		const want = `{"Result":1.50,"alert_time_ranges":[[1642541760.5,null]],` +
			`"create_time":20000000000007,"df_check_condition":{"operator":">","operands":[1]},` +
			`"df_date_range":90,"df_dimension_tags":"{\"a\":\"1\",\"b\":\"2\"}","df_is_silent":"true",` +
			`"df_label":["x","y"],"df_meta":{"m":1},` +
			`"df_monitor_checker_value_dumps":"\"z\"","df_status":"error","timestamp":1693034940,` +
			`"df_title":6,"host":"a","z":1}`
		got, err := e.MarshalJSON()
		if err != nil || string(got) != want {
			t.Errorf("MarshalJSON() = %s, %v, want\n%s", got, err, want)
		}
	})
	t.Run("built incident", func(t *testing.T) {
		for kind, want := range map[guance.Kind]string{
			guance.KindIncident: `{"df_title":"t","level":"x","incident_uuid":"incident_1",` +
				`"incidentsStatus":"open","resourceIdentity":"ref","title":"t","statusTime":5}`,
			guance.KindIssue: `{"df_title":"t","level":"x","issue_uuid":"issue_1",` +
				`"incidentsStatus":"open","resourceIdentity":"ref","title":"t","statusTime":5}`,
		} {
			built := &guance.Event{
				Title: "t",
				Incident: &guance.Incident{
					Kind: kind, UUID: string(kind) + "_1", Status: "open", Resource: "ref", Severity: "x",
					Title: "t", Time: unix(5, 0),
				},
				Extra: map[string]json.RawMessage{"level": rawJSON(`"x"`)},
			}
			got, err := built.MarshalJSON()
			if err != nil || string(got) != want {
				t.Errorf("MarshalJSON() = %s, %v, want\n%s", got, err, want)
			}
			if diff := cmp.Diff(built.Incident, one(t, string(got), "").Incident); diff != "" {
				t.Errorf("read back (-want +got):\n%s", diff)
			}
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
