package pagerduty

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Fact 24, second part: an event that cannot be made small enough is an error.
func TestFact24WhatCannotShrinkIsAnError(t *testing.T) {
	ev := Event{Action: ActionTrigger, DedupKey: strings.Repeat("k", 200),
		Summary: strings.Repeat("s", 1000), Source: "s", Severity: SeverityInfo}
	for name, m := range map[string]message{
		"alert event": &alertMessage{ev: ev},
		"change event": &changeMessage{ev: ChangeEvent{Summary: ev.Summary,
			Details: map[string]any{"a": "b"}}},
	} {
		body, _, err := m.encode(900)
		e, ok := errors.AsType[*Error](err)
		if !ok || !e.Permanent() || body != nil {
			t.Fatalf("%s: encode(900) = %d bytes, %v; want a permanent *Error", name, len(body), err)
		}
		var size, over int
		if _, err := fmt.Sscanf(e.Message, "event has %d bytes after all cuts, %d over the limit", &size,
			&over); err != nil || over <= 0 || size-over != 900 {
			t.Errorf("%s: %q, %v; want how much it is over 900", name, e.Message, err)
		}
	}
}

// Each step is tried before the next one, and the limit is kept at every size.
func TestEncodeHoldsEveryLimit(t *testing.T) {
	m := &alertMessage{ev: Event{
		Action: ActionTrigger, DedupKey: "k", Summary: "s", Source: strings.Repeat("源", 400),
		Severity:  SeverityInfo,
		Client:    strings.Repeat("c", 3000),
		ClientURL: "https://example.com/" + strings.Repeat("u", 3000),
		Details: map[string]any{"a": strings.Repeat("a", 5000), "b": strings.Repeat("b", 3000),
			"c": map[string]any{"d": strings.Repeat("\"", 500)}, "n": 1},
		Links: []Link{{Href: "https://example.com/" + strings.Repeat("l", 500)},
			{Href: "https://example.com/short"}},
		Images: []Image{{Src: "https://example.com/" + strings.Repeat("i", 500)}},
	}}
	whole, _, err := m.encode(maxBody)
	if err != nil {
		t.Fatal(err)
	}
	for limit := len(whole); limit > 0; limit -= 53 {
		body, cuts, err := m.encode(limit)
		if err != nil {
			if limit > 2700 {
				t.Errorf("limit %d: %v", limit, err)
			}
			continue
		}
		if len(body) > limit || (len(cuts) == 0) != (limit == len(whole)) {
			t.Errorf("limit %d: %d bytes, cuts %v", limit, len(body), cuts)
		}
	}
}
