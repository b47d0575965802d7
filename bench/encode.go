package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/guance-relay/guance-relay/pagerduty"
)

// pagerDutyEvent is what a program would write that needs these fields and no others.
type pagerDutyEvent struct {
	RoutingKey string            `json:"routing_key"`
	Action     string            `json:"event_action"`
	DedupKey   string            `json:"dedup_key"`
	Payload    *pagerDutyPayload `json:"payload,omitempty"`
	Client     string            `json:"client,omitempty"`
	ClientURL  string            `json:"client_url,omitempty"`
	Links      []pagerDutyLink   `json:"links,omitempty"`
}

type pagerDutyPayload struct {
	Summary   string         `json:"summary"`
	Source    string         `json:"source"`
	Severity  string         `json:"severity"`
	Component string         `json:"component,omitempty"`
	Group     string         `json:"group,omitempty"`
	Class     string         `json:"class,omitempty"`
	Details   map[string]any `json:"custom_details,omitempty"`
}

type pagerDutyLink struct {
	Href string `json:"href"`
	Text string `json:"text,omitempty"`
}

func plainTrigger() *pagerDutyEvent {
	return &pagerDutyEvent{
		RoutingKey: routingKey, Action: "trigger", DedupKey: dedupKey,
		Payload: &pagerDutyPayload{
			Summary: summary, Source: source, Severity: "critical", Component: "disk", Group: "db",
			Class:   "usage",
			Details: details(),
		},
		Client: "Guance", ClientURL: view,
		Links: []pagerDutyLink{{Href: view, Text: "event"}},
	}
}

func plainResolve() *pagerDutyEvent {
	return &pagerDutyEvent{RoutingKey: routingKey, Action: "resolve", DedupKey: dedupKey}
}

// plain is the least that sends an event with the standard library: encoding/json and a request,
// with no check of anything but the status.
func plain(url string, transport http.RoundTripper) (map[pagerduty.Action]send, error) {
	confirmed := func(ctx context.Context, ev *pagerDutyEvent) error {
		body, err := json.Marshal(ev)
		if err != nil {
			return err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v2/enqueue",
			bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		response, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		var said struct {
			Status string `json:"status"`
		}
		if err := json.Unmarshal(text, &said); err != nil || said.Status != "success" {
			return fmt.Errorf("not confirmed: %s: %s", response.Status, text)
		}
		return nil
	}
	return map[pagerduty.Action]send{
		pagerduty.ActionTrigger: func(ctx context.Context) error {
			return confirmed(ctx,
				plainTrigger())
		},
		pagerduty.ActionResolve: func(ctx context.Context) error {
			return confirmed(ctx,
				plainResolve())
		},
	}, nil
}

// taker is a PagerDuty in this process that reads every request and takes it.
type taker struct{}

func (taker) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	const body = `{"status":"success","message":"Event processed","dedup_key":"` + dedupKey + `"}`
	return &http.Response{
		Status: "202 Accepted", StatusCode: http.StatusAccepted, Proto: "HTTP/1.1", ProtoMajor: 1,
		ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}, r.Body.Close()
}

// encoding is what an event costs up to the network.
func encoding() []contest {
	c := contest{
		name: "Encode",
		about: "The trigger of *Send* without a network: PagerDuty is a function that reads the " +
			"body and takes it. *json* is encoding/json of an equal struct, a request of " +
			"net/http and its answer " +
			"read, with no check of anything; *guance-relay* and *go-pagerduty* are all that " +
			"their clients do: ours also repairs, validates, limits and bounds the attempt. " +
			"*marshal* is " +
			"encoding/json.Marshal of the struct alone.",
		base:  "json",
		units: []string{"p50-ns", "cpu-ns/event", "allocs/event", "B/event"},
	}
	for _, s := range append(senders, sender{"json", plain}) {
		c.sides = append(c.sides, side{s.name, func(b *testing.B) error {
			sends, err := s.client("http://127.0.0.1", taker{})
			if err != nil {
				return err
			}
			return repeat(b, sends[pagerduty.ActionTrigger])
		}})
	}
	c.sides = append(c.sides, side{"marshal", func(b *testing.B) error {
		return repeat(b, func(context.Context) error {
			_, err := json.Marshal(plainTrigger())
			return err
		})
	}})
	return []contest{c}
}
