package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// consoleReaders is how many clients read the event stream of the console.
const consoleReaders = 100

// consoles is what it costs that somebody looks.
func consoles(s size) []contest {
	const text = "so many clients read the stream of events, of nobody"
	busy := contest{
		name: "Console/stream/busy",
		about: fmt.Sprintf("16 connections post webhooks as fast as they can to a relay that sends as "+
			"fast as it can. *readers* is the same while %d clients read the console's stream of "+
			"events: each gets the figures of all lanes once a second.", consoleReaders),
		base:  "nobody",
		units: []string{"events/s", "p50-ns", "p99-ns", "cpu-ns/event"},
		goals: []goal{{side: "readers", unit: "events/s", of: "nobody", min: 0.95,
			text: "webhooks a second while " + text}},
	}
	idle := contest{
		name: "Console/stream/idle",
		about: fmt.Sprintf("As *Latency/idle*, over the durable store. *readers* is the same while %d "+
			"clients read the console's stream of events.", consoleReaders),
		base:  "nobody",
		units: []string{"after-p50-ns", "after-p99-ns", "post-p50-ns", "post-p99-ns"},
		goals: []goal{{side: "readers", unit: "after-p50-ns", of: "nobody", max: 1.1,
			text: "from 202 to the first byte at the target, idle, median, while " + text}},
	}
	for _, readers := range []int{0, consoleReaders} {
		name := "nobody"
		if readers > 0 {
			name = "readers"
		}
		busy.sides = append(busy.sides,
			side{name, func(b *testing.B) error { return postWatched(b, readers, s) }})
		idle.sides = append(idle.sides,
			side{name, func(b *testing.B) error { return probeWatched(b, readers, s.probes) }})
	}
	pages := contest{
		name: "Console/waiting",
		about: fmt.Sprintf("The waiting room of a lane with %s pending events of 2 KB, of as many "+
			"problems, over the durable store. *first* is the first page, of 50 events; *search* looks "+
			"for a text that no event has, and so reads the first 10,000. *grown* is how much more is "+
			"resident afterwards.", digits(float64(s.backlog))),
		units: []string{"p50-ns", "max-ns", "cpu-ns/page", "grown-B"},
		goals: []goal{
			{side: "first", unit: "max-ns", max: 100e6, text: "the first page of the waiting room " +
				"with a large backlog, the slowest"},
			{side: "first", unit: "grown-B", max: 32 << 20, text: "what is resident because of it"},
			{side: "search", unit: "grown-B", max: 64 << 20, text: "the same of a search"},
		},
	}
	for _, page := range [][2]string{{"first", "limit=50"}, {"search", "text=there+is+none"}} {
		pages.sides = append(pages.sides,
			side{page[0], func(b *testing.B) error { return readWaiting(b, page[1], s) }})
	}
	return []contest{busy, idle, pages}
}

// read has clients read the stream of events of a relay until b ends. Each has had an event when it
// returns.
func (p *process) read(b *testing.B, clients int) error {
	ctx, stop := context.WithCancel(context.Background())
	b.Cleanup(stop)
	for range clients {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/console/api/events", nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		b.Cleanup(func() { _ = answer.Body.Close() })
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("the stream of events: %s", answer.Status)
		}
		if _, err := io.ReadFull(answer.Body, make([]byte, 200)); err != nil {
			return err
		}
		go func() { _, _ = io.Copy(io.Discard, answer.Body) }() // until b ends
	}
	return nil
}

// postWatched has connections post to a relay that sends while clients read its stream.
func postWatched(b *testing.B, readers int, s size) error {
	target := httptest.NewServer(http.HandlerFunc(tookEvent))
	b.Cleanup(target.Close)
	dir, err := storeDir(b, false)
	if err != nil {
		return err
	}
	p, err := startRelay(b, dir, target.URL, unbound)
	if err != nil {
		return err
	}
	if err := p.read(b, readers); err != nil {
		return err
	}
	return p.drive(b, 16, s.burst, false)
}

func tookEvent(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // the relay tries again
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"success","message":"Event processed","dedup_key":"k"}`)
}

// probeWatched is probeIdle while clients read the stream.
func probeWatched(b *testing.B, readers, probes int) error {
	w, err := newWatch(b)
	if err != nil {
		return err
	}
	system, err := startLatency(b, "boltstore", w.url, unbound)
	if err != nil {
		return err
	}
	if err := system.read(b, readers); err != nil {
		return err
	}
	p, err := newProbe(b, w, system.url, guance.LevelCritical)
	if err != nil {
		return err
	}
	return p.idle(b, probes)
}

// readWaiting asks for the waiting room of a lane with a large backlog.
func readWaiting(b *testing.B, query string, s size) error {
	data, err := filled(s.backlog)
	if err != nil {
		return err
	}
	w, err := newWatch(b)
	if err != nil {
		return err
	}
	p, err := startRelay(b, data, w.url, s.budget)
	if err != nil {
		return err
	}
	if err := w.first(time.Minute); err != nil { // the backlog is read
		return err
	}
	before, cpu := p.memory("VmRSS"), p.cpu()
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		answer, err := http.Get(p.url + "/console/api/waiting?" + query)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK {
			return fmt.Errorf("the waiting room: %s, %w", text, err)
		}
		took = append(took, time.Since(began))
	}
	cpu = p.cpu() - cpu
	b.ReportMetric(float64(percentile(took, 50)), "p50-ns")
	b.ReportMetric(float64(percentile(took, 100)), "max-ns")
	b.ReportMetric(float64(cpu)/float64(len(took)), "cpu-ns/page")
	b.ReportMetric(float64(max(p.memory("VmRSS")-before, 0)), "grown-B")
	return nil
}
