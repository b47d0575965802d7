package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// ingestDir names the directory of the store of a receiver, and ingestKind what the receiver does.
const (
	ingestDir  = "BENCH_DIR"
	ingestKind = "BENCH_RECEIVER"
)

func init() { roles["receiver"] = receive }

// ingest is what it costs to answer a webhook with 202.
func ingest(s size) (all []contest) {
	for _, conns := range []int{1, 16, 64, 256} {
		c := contest{
			name: fmt.Sprintf("Ingest/conns=%d", conns),
			about: fmt.Sprintf("Webhooks of 2 KB over %d kept connections, of 3,000 problems. "+
				"*bare* reads the body and answers 202; *decode* decodes it as well; *memory*, "+
				"*boltstore* and *tmpfs* "+
				"are `relay.Handler` over the memory store, over the durable one, and over the "+
				"durable one where a sync costs nothing; *seasoned* is *boltstore* on a file "+
				"that was larger before, so that it does not grow; *lane* delivers as "+
				"well, to a sink that takes 120 a minute.", conns),
			base:  "bare",
			units: ingestUnits,
		}
		for _, kind := range []string{"bare", "decode", "memory", "tmpfs", "boltstore", "seasoned",
			"lane"} {
			c.sides = append(c.sides,
				side{kind, func(b *testing.B) error { return post(b, kind, conns, s, false) }})
		}
		all = append(all, c)
	}
	c := contest{
		name: "Ingest/client=nethttp/conns=64",
		about: "The same with net/http's client at the other end, which takes as much of the two " +
			"cores as the handler does.",
		base:  "bare",
		units: ingestUnits,
	}
	for _, kind := range []string{"bare", "boltstore", "seasoned"} {
		c.sides = append(c.sides,
			side{kind, func(b *testing.B) error { return post(b, kind, 64, s, true) }})
	}
	c.goals = []goal{
		{side: "boltstore", unit: "events/s", of: "bare", min: 0.5,
			text: "durable accepts a second over 64 connections, of a bare handler's"},
		{side: "seasoned", unit: "events/s", of: "bare", min: 0.5,
			text: "the same on a file that does not grow"},
		{side: "boltstore", unit: "p99-ns", of: "bare", max: 3, text: "99th percentile of a " +
			"durable accept over 64 connections, of a bare handler's; two syncs more are allowed"},
	}
	whole := contest{
		name: "Ingest/server/conns=64",
		about: "The whole of `cmd/guance-relay` with its defaults, and PagerDuty takes 120 a " +
			"minute: the events of a problem take each other's place, and all outcomes are " +
			"recorded. Connections as in the contest of 64.",
		base:  "bare",
		units: []string{"events/s", "p50-ns", "p99-ns", "cpu-ns/event", "rss-B"},
		sides: []side{{"bare", func(b *testing.B) error { return post(b, "bare", 64, s, false) }},
			{"server", func(b *testing.B) error { return postServer(b, 64, s.burst) }}},
	}
	return append(all, c, whole)
}

var ingestUnits = []string{"events/s", "p50-ns", "p99-ns", "cpu-ns/event", "allocs/event", "rss-B"}

// post has connections post to a receiver.
func post(b *testing.B, kind string, conns int, s size, client bool) error {
	dir, err := storeDir(b, kind == "tmpfs")
	if err != nil {
		return err
	}
	if kind == "seasoned" {
		var filled, drained time.Duration
		if _, err := (filling{events: s.backlog / 10, problems: 3000}).turnOver(dir, &filled,
			&drained); err != nil {
			return err
		}
	}
	p, err := actor(b, "receiver", ingestKind+"="+kind, ingestDir+"="+dir)
	if err != nil {
		return err
	}
	return p.drive(b, conns, s.burst, client)
}

// postServer has connections post to the server.
func postServer(b *testing.B, conns, burst int) error {
	dir, err := storeDir(b, false)
	if err != nil {
		return err
	}
	w, err := newWatch(b)
	if err != nil {
		return err
	}
	p, err := startServerOn(b, dir, filepath.Join(dir, "data"), w.url, full.budget)
	if err != nil {
		return err
	}
	return p.drive(b, conns, burst, false)
}

// drive has connections post to a process as fast as they can.
func (p *process) drive(b *testing.B, conns, burst int, client bool) error {
	l, err := newLoad(webhook(guance.LevelCritical), p.url+"/guance", conns, 3000, client)
	if err != nil {
		return err
	}
	defer l.close()
	if err := l.burst(burst); err != nil { // connections, pools and the file are there
		return err
	}
	l.latencies()
	mallocs, err := p.mallocs()
	if err != nil {
		return err
	}
	cpu, events := p.cpu(), 0
	for b.Loop() {
		if err := l.burst(burst); err != nil {
			return err
		}
		events += conns * burst
	}
	took := b.Elapsed()
	cpu = p.cpu() - cpu
	after, err := p.mallocs()
	if err != nil {
		return err
	}
	latencies := l.latencies()
	b.ReportMetric(float64(events)/took.Seconds(), "events/s")
	b.ReportMetric(float64(percentile(latencies, 50)), "p50-ns")
	b.ReportMetric(float64(percentile(latencies, 99)), "p99-ns")
	b.ReportMetric(float64(cpu)/float64(events), "cpu-ns/event")
	b.ReportMetric(float64(p.memory("VmRSS")), "rss-B")
	if p.role {
		b.ReportMetric(float64(after-mallocs)/float64(events), "allocs/event")
	}
	return nil
}

// storeDir returns a directory of b's, on a disk or in memory.
func storeDir(b testing.TB, memory bool) (string, error) {
	under := ""
	if memory {
		under = "/dev/shm"
	}
	dir, err := os.MkdirTemp(under, "bench")
	if err == nil {
		b.Cleanup(func() { _ = os.RemoveAll(dir) })
	}
	return dir, err
}

// mallocs asks a role how often it has allocated.
func (p *process) mallocs() (uint64, error) {
	if !p.role {
		return 0, nil
	}
	answer, err := http.Get(p.url + "/mallocs")
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(string(text), 10, 64)
}

// receive is the role of who answers webhooks.
func receive() error {
	kind := os.Getenv(ingestKind)
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	var handler http.Handler
	switch kind {
	case "bare":
		handler = http.HandlerFunc(bare)
	case "decode":
		handler = http.HandlerFunc(decode)
	default:
		var db store.Store = memstore.New()
		if kind != "memory" {
			s, err := boltstore.Open(filepath.Clean(os.Getenv(ingestDir)), nil)
			if err != nil {
				return err
			}
			defer s.Close()
			db = s
		}
		r, err := relay.New(db, &relay.Options{Logger: log})
		if err != nil {
			return err
		}
		r.Handle("pagerduty", relay.SinkFunc(func(context.Context,
			*relay.Delivery) error {
			return nil
		}), nil)
		if kind == "lane" {
			go func() {
				if err := r.Run(context.Background()); err != nil {
					fmt.Fprintln(os.Stderr, "bench:", err)
				}
			}()
		}
		if handler, err = relay.NewHandler(r, &relay.HandlerOptions{NoAuth: true}); err != nil {
			return err
		}
	}
	return serveRole(handler, nil)
}

// serveRole serves a handler at /guance, a page at /console/ and the number of allocations at
// /mallocs until input ends.
func serveRole(handler, page http.Handler) error {
	mux := http.NewServeMux()
	mux.Handle("/guance", handler)
	if page != nil {
		mux.Handle("/console/", http.StripPrefix("/console", page))
	}
	mux.HandleFunc("/mallocs", func(w http.ResponseWriter, _ *http.Request) {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		fmt.Fprint(w, stats.Mallocs)
	})
	return serveAll(mux)
}

// serveAll serves a handler until input ends.
func serveAll(handler http.Handler) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler}
	fmt.Println("http://" + listener.Addr().String())
	go func() {
		untilInputEnds()
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func bare(w http.ResponseWriter, r *http.Request) {
	if _, err := io.ReadAll(r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func decode(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		_, err = guance.Decode(body, r.Header.Get("Content-Type"))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}
