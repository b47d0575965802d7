package main

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/guance-relay/guance-relay/guance"
)

// What is compared must do the same: of a webhook, each field that has a home in guance.Event has
// one in plainEvent too.
func TestPlainEventHasTheFields(t *testing.T) {
	body := webhook(guance.LevelCritical)
	var fields map[string]any
	if err := json.Unmarshal(body, &fields); err != nil {
		t.Fatal(err)
	}
	homes := func(v any) map[string]bool {
		names := make(map[string]bool)
		for f := range reflect.TypeOf(v).Fields() {
			names[f.Tag.Get("json")] = true
		}
		return names
	}
	ours, plain := homes(guance.Event{}), homes(plainEvent{})
	for name := range fields {
		if ours[name] && !plain[name] {
			t.Errorf("%s has no home in plainEvent", name)
		}
	}
	e, err := decodePlain(body)
	if err != nil {
		t.Fatal(err)
	}
	events, err := guance.Decode(body, "application/json")
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	if e.Title != events[0].Title || e.Timestamp != events[0].Timestamp.Unix() ||
		!reflect.DeepEqual(e.DimensionTags, events[0].DimensionTags) {
		t.Errorf("encoding/json reads %+v", e)
	}
}
