package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// backlogDir names the directory of the store of a keeper.
const backlogDir = "BENCH_BACKLOG_DIR"

func init() { roles["keeper"] = keep }

// backlog is what it costs that a target took nothing for days.
func backlog(s size) []contest {
	open := contest{
		name: "Backlog/open",
		about: fmt.Sprintf("A process starts on a store with %s pending events of 2 KB, of as "+
			"many problems. *keeper* is the store alone: it opens, and everything is listed, "+
			"without bodies; *relay* is a relay as a "+
			"service embeds it, up to its first request at the target; *server* is "+
			"`cmd/guance-relay`, as far. *open* is until it takes requests. *rss* is the "+
			"most that is resident from then on, "+
			"*anon* the part of it that the kernel cannot take back, and *hwm* counts the file's "+
			"pages that were mapped while it opened, too.", digits(float64(s.backlog))),
		units: []string{"open-ns", "first-ns", "rss-B", "anon-B", "hwm-B"},
		sides: []side{
			{"keeper", func(b *testing.B) error { return reopen(b, s.backlog, startKeeper) }},
			{"relay", func(b *testing.B) error { return reopen(b, s.backlog, startRelayOn) }},
			{"server", func(b *testing.B) error {
				if _, err := build(serverDir, ""); err != nil { // which is not measured
					return err
				}
				return reopen(b, s.backlog, startServerOnBacklog)
			}},
		},
		goals: []goal{
			{side: "keeper", unit: "open-ns", max: 3e9, text: "a store with a large backlog is " +
				"open"},
			{side: "server", unit: "first-ns", max: 8e9, text: "the server's first request at " +
				"the target, from the start of its process"},
			{side: "keeper", unit: "rss-B", max: 200 << 20, text: "resident with a large " +
				"backlog, the store alone"},
			{side: "server", unit: "rss-B", max: 200 << 20, text: "resident with a large " +
				"backlog, the whole server"},
		},
	}
	drained := contest{
		name: "Backlog/drain",
		about: fmt.Sprintf("A store takes %s events of 2 KB one by one from 64 callers, four of "+
			"each problem, and all of them are settled, a thousand to a mark; three times. The "+
			"sizes are those of the file when it is full for the "+
			"first, second and third time; it never shrinks. *regrown* is the third of the "+
			"second: after the first, records of the problems and history stand between what "+
			"was free.", digits(float64(s.backlog))),
		units: []string{"fill-ns/event", "drain-ns/event", "full-B", "again-B", "thrice-B",
			"regrown"},
		sides: []side{{"boltstore", func(b *testing.B) error { return refill(b, s.backlog) }}},
		goals: []goal{{side: "boltstore", unit: "regrown", max: 1.01,
			text: "the file, filled after it drained twice, of the one that drained once; it " +
				"grows by steps of 16 MiB"}},
	}
	return []contest{open, drained}
}

// starter starts a process on a store, and returns what waits until it has done its work.
type starter func(b *testing.B, data string) (p *process, worked func() error, err error)

// reopen measures how a process comes up on a backlog.
func reopen(b *testing.B, n int, start starter) error {
	data, err := filled(n)
	if err != nil {
		return err
	}
	var opened, first time.Duration
	var rss, anon, hwm int64
	for b.Loop() {
		began := time.Now()
		p, worked, err := start(b, data)
		if err != nil {
			return err
		}
		opened = time.Since(began)
		most := p.watchMemory()
		if err := worked(); err != nil {
			return err
		}
		first = time.Since(began)
		rss, anon, hwm = most(), p.memory("RssAnon"), p.memory("VmHWM")
		p.end() // the store is locked
	}
	b.ReportMetric(float64(opened), "open-ns")
	b.ReportMetric(float64(first), "first-ns")
	b.ReportMetric(float64(rss), "rss-B")
	b.ReportMetric(float64(anon), "anon-B")
	b.ReportMetric(float64(hwm), "hwm-B")
	return nil
}

// watchMemory looks at what is resident every few milliseconds; most ends that and returns the
// largest.
func (p *process) watchMemory() (most func() int64) {
	var largest atomic.Int64
	look := func() { largest.Store(max(largest.Load(), p.memory("VmRSS"))) }
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			look()
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() int64 {
		close(stop)
		<-stopped
		look()
		return largest.Load()
	}
}

func startKeeper(b *testing.B, data string) (*process, func() error, error) {
	p, err := actor(b, "keeper", backlogDir+"="+data)
	return p, func() error {
		r, err := http.Get(p.url + "/list")
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if text, err := io.ReadAll(r.Body); err != nil || r.StatusCode != http.StatusOK {
			return fmt.Errorf("listing: %s: %w", text, err)
		}
		return nil
	}, err
}

// keep is the role of a store that nobody delivers from.
func keep() error {
	s, err := boltstore.Open(os.Getenv(backlogDir), nil)
	if err != nil {
		return err
	}
	defer s.Close()
	return serveAll(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		listed := func(store.Lane, []*store.Entry) error { return nil }
		if err := readAll(r.Context(), s, listed); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
}

func startRelayOn(b *testing.B, data string) (*process, func() error, error) {
	w, err := newWatch(b)
	if err != nil {
		return nil, nil, err
	}
	p, err := startRelay(b, data, w.url, full.budget)
	return p, func() error { return w.first(time.Minute) }, err
}

func startServerOnBacklog(b *testing.B, data string) (*process, func() error, error) {
	w, err := newWatch(b)
	if err != nil {
		return nil, nil, err
	}
	dir, err := storeDir(b, false)
	if err != nil {
		return nil, nil, err
	}
	p, err := startServerOn(b, dir, data, w.url, full.budget)
	return p, func() error { return w.first(time.Minute) }, err
}

// refill fills a store three times and drains it in between.
func refill(b *testing.B, n int) error {
	dir, err := storeDir(b, false)
	if err != nil {
		return err
	}
	var filled, drained time.Duration
	var sizes [3]int64
	for b.Loop() {
		data := filepath.Join(dir, fmt.Sprint(b.Elapsed()))
		filled, drained = 0, 0
		for turn := range sizes {
			f := filling{first: turn * n, events: n, problems: max(n/4, 1)}
			if sizes[turn], err = f.turnOver(data, &filled, &drained); err != nil {
				return err
			}
		}
		if err := os.RemoveAll(data); err != nil {
			return err
		}
	}
	events := float64(n * len(sizes))
	b.ReportMetric(float64(filled)/events, "fill-ns/event")
	b.ReportMetric(float64(drained)/events, "drain-ns/event")
	b.ReportMetric(float64(sizes[0]), "full-B")
	b.ReportMetric(float64(sizes[1]), "again-B")
	b.ReportMetric(float64(sizes[2]), "thrice-B")
	b.ReportMetric(float64(sizes[2])/float64(sizes[1]), "regrown")
	return nil
}

// turnOver fills a store and drains it, and returns how large its file was when it was full.
func (f filling) turnOver(dir string, filled, drained *time.Duration) (size int64, err error) {
	s, err := openFor(dir, f.events)
	if err != nil {
		return 0, err
	}
	defer func() {
		if closed := s.Close(); err == nil {
			err = closed
		}
	}()
	start := time.Now()
	if err := f.into(s); err != nil {
		return 0, err
	}
	*filled += time.Since(start)
	info, err := os.Stat(filepath.Join(dir, "relay.db"))
	if err != nil {
		return 0, err
	}
	start = time.Now()
	err = drain(s)
	*drained += time.Since(start)
	return info.Size(), err
}
