package guance_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

func TestTwins(t *testing.T) {
	e := one(t, `{"df_status":"ok","workspace_uuid":"old","df_workspace_name":"new",
		"workspace_name":"old","df_event_url":"http://u",
		"df_issue_start_time":100,"df_issue_duration":60,"df_monitor_id":"a;b","date":5}`, "")
	uuid, name := e.Workspace()
	got := fmt.Sprint(uuid, " ", name, " ", e.Link(), " ", e.FaultStarted().Unix(), " ",
		e.FaultLasted(), " ", e.MonitorIDs(), " ", e.Time().Unix())
	if want := "old new http://u 100 1m0s [a b] 5"; got != want {
		t.Errorf("from older names got %s, want %s", got, want)
	}
	e = one(t, `{"df_status":"ok","df_event_link":"http://l","df_event_url":"http://u",
		"df_fault_start_time":200,"df_issue_start_time":100,
		"df_fault_duration":120,"df_issue_duration":60,"timestamp":6,"date":5}`, "")
	got = fmt.Sprint(e.Link(), " ", e.FaultStarted().Unix(), " ", e.FaultLasted(), " ",
		e.MonitorIDs(), " ", e.Time().Unix())
	if want := "http://l 200 2m0s [] 6"; got != want {
		t.Errorf("from newer names got %s, want %s", got, want)
	}
	if !(&guance.Event{}).Time().IsZero() {
		t.Error("an event without a time has one")
	}
}

// A json tag is the name of the field on the wire. Each row of fields fills the field with that tag
// and no other, and writes it under the same name.
func TestTags(t *testing.T) {
	samples := map[reflect.Type]string{
		reflect.TypeFor[string]():             `"x"`,
		reflect.TypeFor[bool]():               `true`,
		reflect.TypeFor[guance.Status]():      `"ok"`,
		reflect.TypeFor[guance.Value]():       `"5"`,
		reflect.TypeFor[time.Time]():          `1693034940`,
		reflect.TypeFor[time.Duration]():      `60`,
		reflect.TypeFor[[]string]():           `["x"]`,
		reflect.TypeFor[map[string]string]():  `{"x":"y"}`,
		reflect.TypeFor[json.RawMessage]():    `{"x":[1]}`,
		reflect.TypeFor[*guance.Condition]():  `{"operator":">","operands":[1]}`,
		reflect.TypeFor[[]guance.TimeRange](): `[[1642541760,null]]`,
	}
	ours := map[string]bool{"Raw": true, "Text": true, "Extra": true, "Invalid": true,
		"Incident": true, "DimensionTagsText": true}
	event := reflect.TypeFor[guance.Event]()
	for i := range event.NumField() {
		f := event.Field(i)
		name := f.Tag.Get("json")
		if name == "-" != ours[f.Name] || name == "" {
			t.Errorf("%s has the tag %q", f.Name, name)
		}
		if name == "-" {
			continue
		}
		e := one(t, `{"`+name+`":`+samples[f.Type]+`}`, "")
		if len(e.Extra) != 0 {
			t.Errorf("%s is not at home: %s", name, e.Extra[name])
		}
		for j := range event.NumField() {
			if full := !reflect.ValueOf(*e).Field(j).IsZero(); full != (j == i) &&
				!ours[event.Field(j).Name] {
				t.Errorf("%s fills %s: %t", name, event.Field(j).Name, full)
			}
		}
		e.Raw = nil
		var back map[string]json.RawMessage
		text, err := e.MarshalJSON()
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil || len(back) != 1 || back[name] == nil {
			t.Errorf("%s is written as %s, %v", name, text, err)
		}
	}
}
