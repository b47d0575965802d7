package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

func init() { roles["proxy"] = proxy }

// latency is how long it takes until an alert is at the target.
func latency(s size) []contest {
	idle := contest{
		name: "Latency/idle",
		about: "A new critical problem every few milliseconds, each when the one before is done. " +
			"*after* is from the 202, as the client has it, to the first byte at the target: " +
			"negative if the target was first. *post* is from the first byte of the webhook. " +
			"*proxy* is the least that there is: a handler that decodes, posts to the target and " +
			"then answers 202; it keeps nothing. *pgstore* is one node on a PostgreSQL of this " +
			"machine.",
		units: []string{"after-p50-ns", "after-p99-ns", "post-p50-ns", "post-p99-ns"},
	}
	for _, sys := range []string{"proxy", "memory", "boltstore", "pgstore", "server"} {
		idle.sides = append(idle.sides,
			side{sys, func(b *testing.B) error { return probeIdle(b, sys, s.probes) }})
	}
	for _, sys := range []string{"boltstore", "server"} {
		idle.goals = append(idle.goals,
			goal{side: sys, unit: "after-p50-ns", max: 1e6, text: sys +
				": from 202 to the first byte at the target, idle, median"},
			goal{side: sys, unit: "after-p99-ns", max: 5e6, text: sys +
				": the same, 99th percentile"})
	}
	backlogged := contest{
		name: "Latency/backlog",
		about: fmt.Sprintf("A new fatal problem at any moment, while so many events of a lower "+
			"level are pending and the target takes %d a minute, one every %v. *tokens* is the "+
			"time in those. Without a backlog "+
			"a token is there already.", s.budget, tokenEvery(s.budget).Round(time.Millisecond)),
		units: []string{"p50-ns", "max-ns", "p50-tokens", "max-tokens"},
	}
	for _, n := range []int{0, s.backlog / 100, s.backlog} {
		backlogged.sides = append(backlogged.sides,
			side{fmt.Sprint("pending=", n), func(b *testing.B) error {
				return probeBacklog(b, n,
					s)
			}})
	}
	backlogged.goals = []goal{{
		side: fmt.Sprint("pending=", s.backlog), unit: "max-tokens", max: 2.1,
		text: "a new fatal problem under a large backlog, in tokens: its own, and one for what " +
			"has waited longest",
	}}
	storm := contest{
		name: "Latency/storm",
		about: fmt.Sprintf("A new critical problem every 100 ms, while %d connections post "+
			"warnings of 3,000 problems as fast as they can and the target takes %d a minute, "+
			"one every %v. Times as above; *storm* is how much was posted beside.",
			stormConns, stormBudget, tokenEvery(stormBudget).Round(10*time.Microsecond)),
		units: []string{"after-p50-ns", "after-max-ns", "post-p50-ns", "post-max-ns", "p50-tokens",
			"storm-events/s"},
	}
	for _, sys := range []string{"memory", "boltstore", "server"} {
		storm.sides = append(storm.sides, side{sys,
			func(b *testing.B) error { return probeStorm(b, sys, s) }})
	}
	return []contest{idle, backlogged, storm}
}

const (
	stormBudget = 6000
	stormConns  = 64
)

// tokenEvery is how often a lane gets a token once it has spent those that it had saved.
func tokenEvery(perMinute int) time.Duration {
	return 61 * time.Second / time.Duration(perMinute-perMinute/12+1)
}

// A probe posts new problems, one after the other, and sees them arrive.
type probe struct {
	*load
	*watch
	mint *mint
	next uint64

	after, post []time.Duration // of those that arrived, from the 202 and from the first byte
}

func newProbe(b *testing.B, w *watch, url string, level guance.Level) (p *probe, err error) {
	// far from those of any backlog, and never the same
	p = &probe{watch: w, next: uint64(time.Now().UnixMicro()) % everyProblem}
	if p.mint, err = newMint(level); err != nil {
		return nil, err
	}
	if p.load, err = newLoad(p.mint.bytes, url+"/guance", 1, everyProblem, false); err != nil {
		return nil, err
	}
	b.Cleanup(p.load.close)
	return p, nil
}

func (p *probe) once() error {
	p.next++
	key := stamp(p.mint.key, p.next, p.next)
	arrival := p.expect(key)
	poster := p.posters[0]
	poster.request.number(p.next)
	start := time.Now()
	if err := poster.send(poster.request); err != nil {
		return err
	}
	answered := time.Now()
	select {
	case came := <-arrival:
		p.after, p.post = append(p.after, came.Sub(answered)), append(p.post, came.Sub(start))
		return nil
	case <-time.After(patience):
		return fmt.Errorf("problem %s did not arrive in %v", key, patience)
	}
}

func (p *probe) forget() { p.after, p.post = nil, nil }

// startLatency starts a system that takes webhooks and sends to a watch.
func startLatency(b *testing.B, sys, target string, perMinute int) (*process, error) {
	if sys == "proxy" {
		return actor(b, "proxy", relayTarget+"="+target)
	}
	if sys == "pgstore" {
		dsn, err := emptyEngine()
		if err != nil {
			return nil, err
		}
		return startRelay(b, dsn, target, perMinute)
	}
	dir, err := storeDir(b, false)
	if err != nil {
		return nil, err
	}
	switch sys {
	case "server":
		return startServerOn(b, dir, dir+"/data", target, perMinute)
	case "memory":
		dir = ""
	}
	return startRelay(b, dir, target, perMinute)
}

func probeIdle(b *testing.B, sys string, probes int) error {
	w, err := newWatch(b)
	if err != nil {
		return err
	}
	system, err := startLatency(b, sys, w.url, unbound)
	if err != nil {
		return err
	}
	p, err := newProbe(b, w, system.url, guance.LevelCritical)
	if err != nil {
		return err
	}
	return p.idle(b, probes)
}

// idle probes while nothing else is done, and reports.
func (p *probe) idle(b *testing.B, probes int) error {
	several := func() error {
		for range probes {
			time.Sleep(3 * time.Millisecond) // the one before is settled
			if err := p.once(); err != nil {
				return err
			}
		}
		return nil
	}
	if err := several(); err != nil { // connections are there
		return err
	}
	p.forget()
	for b.Loop() {
		if err := several(); err != nil {
			return err
		}
	}
	b.ReportMetric(float64(percentile(p.after, 50)), "after-p50-ns")
	b.ReportMetric(float64(percentile(p.after, 99)), "after-p99-ns")
	b.ReportMetric(float64(percentile(p.post, 50)), "post-p50-ns")
	b.ReportMetric(float64(percentile(p.post, 99)), "post-p99-ns")
	return nil
}

func probeBacklog(b *testing.B, pending int, s size) error {
	data, err := filled(pending)
	if err != nil {
		return err
	}
	w, err := newWatch(b)
	if err != nil {
		return err
	}
	system, err := startRelay(b, data, w.url, s.budget)
	if err != nil {
		return err
	}
	p, err := newProbe(b, w, system.url, guance.LevelFatal)
	if err != nil {
		return err
	}
	if pending > 0 {
		if err := w.first(time.Minute); err != nil { // the backlog is read
			return err
		}
	}
	every := tokenEvery(s.budget)
	time.Sleep(2 * every) // a bucket begins empty
	for b.Loop() {
		for range s.probes {
			time.Sleep(every + rand.N(every)) // any moment, and no more than the target allows
			if err := p.once(); err != nil {
				return err
			}
		}
	}
	b.ReportMetric(float64(percentile(p.after, 50)), "p50-ns")
	b.ReportMetric(float64(percentile(p.after, 100)), "max-ns")
	b.ReportMetric(float64(percentile(p.after, 50))/float64(every), "p50-tokens")
	b.ReportMetric(float64(percentile(p.after, 100))/float64(every), "max-tokens")
	return nil
}

func probeStorm(b *testing.B, sys string, s size) error {
	w, err := newWatch(b)
	if err != nil {
		return err
	}
	system, err := startLatency(b, sys, w.url, stormBudget)
	if err != nil {
		return err
	}
	p, err := newProbe(b, w, system.url, guance.LevelCritical)
	if err != nil {
		return err
	}
	storm, err := newLoad(webhook(guance.LevelWarning), system.url+"/guance", stormConns, 3000,
		false)
	if err != nil {
		return err
	}
	defer storm.close()
	stop, stopped := make(chan struct{}), make(chan error, 1)
	posted, began := 0, time.Now()
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := storm.burst(s.burst); err != nil {
				stopped <- err
				return
			}
			posted += stormConns * s.burst
		}
	}()
	if err := w.first(patience); err != nil {
		return err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for b.Loop() {
		for range s.probes {
			<-tick.C
			if err := p.once(); err != nil {
				return err
			}
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		return err
	}
	b.ReportMetric(float64(percentile(p.after, 50)), "after-p50-ns")
	b.ReportMetric(float64(percentile(p.after, 100)), "after-max-ns")
	b.ReportMetric(float64(percentile(p.post, 50)), "post-p50-ns")
	b.ReportMetric(float64(percentile(p.post, 100)), "post-max-ns")
	b.ReportMetric(float64(percentile(p.after, 50))/float64(tokenEvery(stormBudget)), "p50-tokens")
	b.ReportMetric(float64(posted)/time.Since(began).Seconds(), "storm-events/s")
	return nil
}

// proxy is the role of a handler that sends before it answers.
func proxy() error {
	target := os.Getenv(relayTarget) + "/v2/enqueue"
	return serveAll(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, err := forward(r, target)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.WriteHeader(status)
	}))
}

func forward(r *http.Request, target string) (status int, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, err
	}
	events, err := guance.Decode(body, r.Header.Get("Content-Type"))
	if err != nil {
		return 0, err
	}
	e := events[0]
	text, err := json.Marshal(map[string]any{
		"routing_key": routingKey, "event_action": "trigger", "dedup_key": e.ProblemKey(),
		"payload": map[string]string{"summary": e.Title, "source": "guance",
			"severity": "critical"},
	})
	if err != nil {
		return 0, err
	}
	answer, err := http.Post(target, "application/json", bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}
