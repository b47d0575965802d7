package pagerduty_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// label is the fake's text for the routing key.
var label = pagerdutytest.KeyLabel(secret)

func TestFact29WhatStandsBesideThePayload(t *testing.T) {
	ev := trigger("a")
	ev.Client, ev.ClientURL = "Guance", "https://console.guance.com"
	ev.Links = []pagerduty.Link{{Href: "https://example.com", Text: "t"}}
	ev.Images = []pagerduty.Image{{Src: "https://example.com/a.png"}}
	s := send(t, pagerduty.Options{}, ev)
	for _, name := range []string{"client", "client_url", "links", "images"} {
		if s.body[name] == nil {
			t.Errorf("%s is not at the top level: %v", name, s.body)
		}
		if s.payload()[name] != nil {
			t.Errorf("%s is inside the payload, where PagerDuty ignores it", name)
		}
	}
}

func TestFact30DetailsKeepTheirTypes(t *testing.T) {
	type own struct {
		Name string `json:"name"`
		ID   int64  `json:"id"`
	}
	s := send(t, pagerduty.Options{}, withDetails(map[string]any{
		"object": map[string]any{"a": map[string]any{"b": []any{1, "two", nil, true}}},
		"array":  []string{"x", "y"},
		"number": 1.5, "int": 7, "uint8": uint8(200), "float32": float32(0.1), "bool": false, "null": nil,
		"json.Number": json.Number("3"), "struct": own{"n", 1}, "duration": time.Second,
	}))
	want := map[string]any{
		"object": map[string]any{"a": map[string]any{"b": []any{1.0, "two", nil, true}}},
		"array":  []any{"x", "y"},
		"number": 1.5, "int": 7.0, "uint8": 200.0, "float32": 0.1, "bool": false, "null": nil,
		"json.Number": 3.0, "struct": map[string]any{"name": "n", "id": 1.0}, "duration": 1e9,
	}
	if diff := cmp.Diff(want, s.details()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(s.result.Repairs) != 0 {
		t.Errorf("Repairs = %v", s.result.Repairs)
	}
}

// A float64 cannot hold an identifier of 19 digits.
func TestDetailsKeepLongNumbers(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	ev := withDetails(map[string]any{"id": int64(9007199254740993),
		"in": struct{ ID uint64 }{18446744073709551615}})
	if _, err := newClient(t, &pagerduty.Options{Transport: fake}).Send(t.Context(), ev); err != nil {
		t.Fatal(err)
	}
	for _, digits := range []string{"9007199254740993", "18446744073709551615"} {
		if body := string(fake.Requests()[0].Body); !strings.Contains(body, digits) {
			t.Errorf("%s is not in %s", digits, body)
		}
	}
}

func TestFact34MinimalEvents(t *testing.T) {
	tests := []struct {
		ev   *pagerduty.Event
		want map[string]any
	}{
		{trigger("k"), map[string]any{
			"routing_key": label, "event_action": "trigger", "dedup_key": "k",
			"payload": map[string]any{"summary": "disk full on db-1", "source": "db-1",
				"severity": "critical"},
		}},
		{resolve("k"), map[string]any{"routing_key": label, "event_action": "resolve", "dedup_key": "k"}},
		{
			&pagerduty.Event{Action: pagerduty.ActionAcknowledge, DedupKey: "k"},
			map[string]any{"routing_key": label, "event_action": "acknowledge", "dedup_key": "k"},
		},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, send(t, pagerduty.Options{}, test.ev).body); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", test.ev.Action, diff)
		}
	}
}

// Rules of an orchestration match on content, so a resolve may have the payload of its trigger.
func TestFullPayloadOnResolve(t *testing.T) {
	ev := trigger("k")
	ev.Action = pagerduty.ActionResolve
	s := send(t, pagerduty.Options{}, ev)
	if s.body["event_action"] != "resolve" || s.payload()["summary"] != ev.Summary {
		t.Errorf("body = %v", s.body)
	}
}

func TestFact35AcknowledgeAndResolveNeedADedupKey(t *testing.T) {
	for _, action := range []pagerduty.Action{pagerduty.ActionAcknowledge, pagerduty.ActionResolve} {
		for _, key := range []string{"", "  "} {
			fake := pagerdutytest.NewTransport()
			e := failed(t, newClient(t, &pagerduty.Options{Transport: fake}),
				&pagerduty.Event{Action: action, DedupKey: key, Summary: "s"})
			if !e.Permanent() || e.Answered() || !strings.Contains(e.Error(), "dedup_key") ||
				len(fake.Requests()) != 0 {
				t.Errorf("%s with key %q: %v", action, key, e)
			}
		}
	}
}

func TestFact37ChangeEvents(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	client := newClient(t, &pagerduty.Options{Transport: fake})
	tests := []struct {
		ev   *pagerduty.ChangeEvent
		want map[string]any
	}{
		{&pagerduty.ChangeEvent{Summary: "deployed"},
			map[string]any{"routing_key": label, "payload": map[string]any{"summary": "deployed"}}},
		{
			&pagerduty.ChangeEvent{
				Summary: "deployed", Source: "ci", Timestamp: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
				Details: map[string]any{"build": 7}, Links: []pagerduty.Link{{Href: "https://example.com"}},
			},
			map[string]any{
				"routing_key": label,
				"payload": map[string]any{
					"summary": "deployed", "source": "ci", "timestamp": "2026-01-02T03:04:05.000Z",
					"custom_details": map[string]any{"build": 7.0},
				},
				"links": []any{map[string]any{"href": "https://example.com"}},
			},
		},
	}
	for _, test := range tests {
		result, err := client.SendChange(t.Context(), test.ev)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, arrived(t, fake, result).body); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if !result.Confirmed || result.DedupKey != "" {
			t.Errorf("result = %+v", result)
		}
	}
	for _, r := range fake.Requests() {
		if r.Path != "/v2/change/enqueue" {
			t.Errorf("sent to %s", r.Path)
		}
	}
	if len(fake.Changes()) != 2 || len(fake.Incidents()) != 0 {
		t.Errorf("%d changes, %d incidents", len(fake.Changes()), len(fake.Incidents()))
	}
}

func TestOversizeChangeEventIsCut(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	ev := &pagerduty.ChangeEvent{Summary: "deployed",
		Details: map[string]any{"diff": strings.Repeat("d", 600_000)}}
	result, err := newClient(t, &pagerduty.Options{Transport: fake}).SendChange(t.Context(), ev)
	if err != nil || len(result.Repairs) != 1 || fake.Requests()[0].Size > maxBody {
		t.Errorf("SendChange = %+v, %v", result, err)
	}
}

func TestChangeEventsNeedAServiceKey(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	client := newClient(t,
		&pagerduty.Options{Transport: fake}).WithKey(routingKey(t, "R028DIE06SNKNO6V5ACSLRV7Y0TUVG7T"))
	_, err := client.SendChange(t.Context(), &pagerduty.ChangeEvent{Summary: "deployed"})
	if e, ok := errors.AsType[*pagerduty.Error](err); !ok || !e.Permanent() || e.Hint == "" ||
		len(fake.Requests()) != 0 {
		t.Errorf("SendChange = %v after %d requests", err, len(fake.Requests()))
	}
}

func TestFact38NoKeyInTheHeader(t *testing.T) {
	server := pagerdutytest.NewServer()
	defer server.Close()
	client := newClient(t, &pagerduty.Options{BaseURL: server.URL})
	if _, err := client.Send(t.Context(), trigger("a")); err != nil {
		t.Fatal(err)
	}
	if _, err := client.SendChange(t.Context(), &pagerduty.ChangeEvent{Summary: "s"}); err != nil {
		t.Fatal(err)
	}
	for _, r := range server.Requests() {
		for _, name := range []string{"X-Routing-Key", "Authorization", "From"} {
			if r.Header.Values(name) != nil {
				t.Errorf("%s: header %s is sent", r.Path, name)
			}
		}
		if got := r.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("Content-Type %q", got)
		}
		if got := r.Header.Get("User-Agent"); !strings.HasPrefix(got, "guance-relay-pagerduty/") ||
			strings.HasSuffix(got, "/") {
			t.Errorf("User-Agent %q", got)
		}
	}
}

func TestFact39RegionDecidesTheHost(t *testing.T) {
	for region, host := range map[pagerduty.Region]string{
		"":                 "events.pagerduty.com",
		pagerduty.RegionUS: "events.pagerduty.com",
		pagerduty.RegionEU: "events.eu.pagerduty.com",
	} {
		var urls []string
		client := newClient(t,
			&pagerduty.Options{Region: region,
				Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
					urls = append(urls, r.Method+" "+r.URL.String())
					return &http.Response{StatusCode: 202, Header: http.Header{},
						Body: io.NopCloser(strings.NewReader(accepted))}, nil
				})})
		_, alertErr := client.Send(t.Context(), trigger("a"))
		_, changeErr := client.WithKey(routingKey(t, secret)).SendChange(t.Context(),
			&pagerduty.ChangeEvent{Summary: "s"})
		if err := errors.Join(alertErr, changeErr); err != nil {
			t.Fatal(err)
		}
		want := []string{"POST https://" + host + "/v2/enqueue",
			"POST https://" + host + "/v2/change/enqueue"}
		if !slices.Equal(urls, want) {
			t.Errorf("region %q: %v, want %v", region, urls, want)
		}
	}
}

// The same details must give the same bytes.
func TestDetailsAreWrittenInOrder(t *testing.T) {
	details := make(map[string]any)
	for i := range 30 {
		details[strconv.Itoa(i)] = map[string]any{"b": 1, "a": 2, "c": []any{i}}
	}
	fake := pagerdutytest.NewTransport()
	client := newClient(t, &pagerduty.Options{Transport: fake})
	for range 5 {
		if _, err := client.Send(t.Context(), withDetails(maps.Clone(details))); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range fake.Requests()[1:] {
		if diff := cmp.Diff(string(fake.Requests()[0].Body), string(r.Body)); diff != "" {
			t.Fatalf("(-first +later)\n%s", diff)
		}
	}
}
