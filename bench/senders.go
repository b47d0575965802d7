package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"testing"
	"time"

	gopagerduty "github.com/PagerDuty/go-pagerduty"

	"github.com/guance-relay/guance-relay/pagerduty"
)

// A sender sends the same two events as every other sender.
type sender struct {
	name string
	// client returns what sends the events to a base URL; a transport that is nil means that of its
	// own.
	client func(url string, transport http.RoundTripper) (map[pagerduty.Action]send, error)
}

type send func(context.Context) error

var senders = []sender{{"guance-relay", ours}, {"go-pagerduty", goPagerDuty}}

// What is sent is one alert of a monitor, as the relay makes it.
const (
	dedupKey = "c8e1b9f0a4d34b5e9a0f6d1c2b3a4958"
	summary  = "磁盘使用率过高: db-1 的 /var 已用 93%"
	source   = "db-1.example.com"
	view     = "https://console.guance.com/keyevents/monitorChart?workspaceUUID=wksp_1&id=event-1"
)

func details() map[string]any {
	return map[string]any{
		"result":      93.25,
		"date":        1_790_000_000,
		"description": "磁盘使用率连续 5 分钟超过 90%。\n请检查日志轮转 & 归档任务，必要时扩容 <disk>。",
		"checker":     "disk usage",
		"event_id":    "event-1a2b3c4d5e6f",
		"workspace":   "production",
		"tags": map[string]any{"host": "db-1", "device": "/dev/sdb1",
			"region": "cn-hangzhou"},
		"fault_start": 1_789_999_700,
		"repeated":    false,
	}
}

func ours(url string, transport http.RoundTripper) (map[pagerduty.Action]send, error) {
	key, err := pagerduty.ParseRoutingKey(routingKey)
	if err != nil {
		return nil, err
	}
	client, err := pagerduty.NewClient(key, &pagerduty.Options{
		BaseURL:   url,
		Transport: transport,
		PerMinute: 1_000_000_000, // the limiter is at work, and never says wait
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	confirmed := func(ctx context.Context, ev *pagerduty.Event) error {
		result, err := client.Send(ctx, ev)
		if err == nil && !result.Confirmed {
			err = fmt.Errorf("not confirmed: %+v", result)
		}
		return err
	}
	return map[pagerduty.Action]send{
		pagerduty.ActionTrigger: func(ctx context.Context) error {
			return confirmed(ctx, &pagerduty.Event{
				Action: pagerduty.ActionTrigger, DedupKey: dedupKey,
				Summary: summary, Source: source, Severity: pagerduty.SeverityCritical,
				Component: "disk", Group: "db", Class: "usage",
				Details: details(), Client: "Guance", ClientURL: view,
				Links: []pagerduty.Link{{Href: view, Text: "event"}},
			})
		},
		pagerduty.ActionResolve: func(ctx context.Context) error {
			return confirmed(ctx, &pagerduty.Event{Action: pagerduty.ActionResolve,
				DedupKey: dedupKey})
		},
	}, nil
}

func goPagerDuty(url string, transport http.RoundTripper) (map[pagerduty.Action]send, error) {
	client := gopagerduty.NewClient("", gopagerduty.WithV2EventsAPIEndpoint(url))
	if transport != nil {
		client.HTTPClient = &http.Client{Transport: transport}
	}
	confirmed := func(ctx context.Context, ev *gopagerduty.V2Event) error {
		response, err := client.ManageEventWithContext(ctx, ev)
		if err == nil && response.Status != "success" {
			err = fmt.Errorf("not confirmed: %+v", response)
		}
		return err
	}
	return map[pagerduty.Action]send{
		pagerduty.ActionTrigger: func(ctx context.Context) error {
			return confirmed(ctx, &gopagerduty.V2Event{
				RoutingKey: routingKey, Action: "trigger", DedupKey: dedupKey,
				Payload: &gopagerduty.V2Payload{
					Summary: summary, Source: source, Severity: "critical", Component: "disk",
					Group: "db", Class: "usage",
					Details: details(),
				},
				Client: "Guance", ClientURL: view,
				Links: []any{map[string]string{"href": view, "text": "event"}},
			})
		},
		pagerduty.ActionResolve: func(ctx context.Context) error {
			return confirmed(ctx, &gopagerduty.V2Event{RoutingKey: routingKey, Action: "resolve",
				DedupKey: dedupKey})
		},
	}, nil
}

// sending is one event sent and answered on a kept connection.
func sending() (all []contest) {
	for _, action := range []pagerduty.Action{pagerduty.ActionTrigger, pagerduty.ActionResolve} {
		c := contest{
			name: "Send/action=" + string(action),
			about: "One event made, checked, encoded, sent over a kept connection to a fake " +
				"PagerDuty in another process, and its answer read, one after the other. " +
				"*go-pagerduty* is v1.8.0, " +
				"whose client neither repairs, retries nor limits, and waits for ever.",
			base:  "go-pagerduty",
			units: []string{"p50-ns", "cpu-ns/event", "allocs/event", "B/event"},
		}
		for _, s := range senders {
			c.sides = append(c.sides, side{s.name, func(b *testing.B) error {
				t, err := newTarget(b, "forgetful")
				if err != nil {
					return err
				}
				sends, err := s.client(t.url, nil)
				if err != nil {
					return err
				}
				return repeat(b, sends[action])
			}})
		}
		all = append(all, c)
	}
	return all
}

// repeat does something until the time is up, one after the other, and reports what it costs this
// process, which does nothing else.
func repeat(b *testing.B, do send) error {
	ctx := context.Background()
	for range 100 { // connections and pools are there
		if err := do(ctx); err != nil {
			return err
		}
	}
	took := make([]time.Duration, 0, 1<<20) // so that it does not grow among the figures
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := ownCPU()
	for b.Loop() {
		start := time.Now()
		if err := do(ctx); err != nil {
			return err
		}
		took = append(took, time.Since(start))
	}
	cpu = ownCPU() - cpu
	runtime.ReadMemStats(&after)
	events := float64(len(took))
	b.ReportMetric(float64(cpu)/events, "cpu-ns/event")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/events, "allocs/event")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/events, "B/event")
	b.ReportMetric(float64(percentile(took, 50)), "p50-ns")
	return nil
}
