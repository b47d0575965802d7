package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"testing"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// What is compared must first be the same: PagerDuty takes every sender's events, and they say the
// same.
func TestSendersSendTheSame(t *testing.T) {
	fake := pagerdutytest.NewServer()
	defer fake.Close()
	for _, action := range []pagerduty.Action{pagerduty.ActionTrigger, pagerduty.ActionResolve} {
		var first any
		for _, s := range append(senders, sender{"json", plain}) {
			sends, err := s.client(fake.URL, http.DefaultTransport)
			if err != nil {
				t.Fatal(err)
			}
			if err := sends[action](t.Context()); err != nil {
				t.Fatalf("%s: %s: %v", s.name, action, err)
			}
			requests := fake.Requests()
			body := requests[len(requests)-1].Body
			var event any
			if err := json.NewDecoder(bytes.NewReader(body)).Decode(&event); err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = event
			}
			if !reflect.DeepEqual(event, first) {
				t.Errorf("%s sends\n%v\nas %s, the first\n%v", s.name, event, action, first)
			}
		}
	}
	for _, in := range fake.Incidents() {
		if in.Status != pagerdutytest.Resolved {
			t.Errorf("an incident is %s at the end", in.Status)
		}
	}
}
