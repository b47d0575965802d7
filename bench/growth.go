package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/store"
)

// growth is whether an event costs the same when there is more of everything.
func growth(s size) (all []contest) {
	type step struct {
		n int
		w work
	}
	growing := func(name, about string, goals func(side, of string) []goal, steps ...step) {
		sideOf := func(st step) string { return fmt.Sprint(name, "=", st.n) }
		c := contest{
			name: "Growth/" + name, about: about, base: sideOf(steps[0]),
			units: []string{"time-ns/event", "cpu-ns/event", "allocs/event", "alloc-B/event",
				"heap-B"},
		}
		for _, st := range steps {
			c.sides = append(c.sides, side{sideOf(st),
				func(b *testing.B) error { return st.w.measure(b, s) }})
		}
		c.goals = goals(sideOf(steps[len(steps)-1]), c.base)
		all = append(all, c)
	}
	flat := func(time, cpu, allocs float64, what string) func(side, of string) []goal {
		return func(side, of string) []goal {
			return []goal{
				{side: side, of: of, unit: "time-ns/event", max: time, text: "time per event, " +
					what},
				{side: side, of: of, unit: "cpu-ns/event", max: cpu,
					text: "processor time per event, " + what},
				{side: side, of: of, unit: "allocs/event", max: allocs,
					text: "allocations per event, " + what},
			}
		}
	}
	// The memory of a process that holds a large backlog is another contest; this is what is alive
	// of it.
	flatHeap := func(time, cpu, allocs float64, what string, n int) func(side, of string) []goal {
		return func(side, of string) []goal {
			return append(flat(time, cpu, allocs, what)(side, of), goal{
				side: side, unit: "heap-B", max: 130 * float64(n),
				text: fmt.Sprintf("alive of %s pending problems, 130 bytes each",
					digits(float64(n))),
			})
		}
	}
	growing("lanes", "64 callers have new problems accepted, each by one of so many lanes, and "+
		"delivered to a sink that takes all; boltstore. A commit opens the buckets of each lane "+
		"that it has something of, and of a hundred lanes it has something of each.",
		flat(2, 2, 2.5, "a hundred lanes of one"),
		step{1, work{lanes: 1}}, step{10, work{lanes: 10}}, step{100, work{lanes: 100}})
	n := s.backlog
	growing("problems", "64 callers have repeats accepted of so many problems, all of them "+
		"pending in one lane, and each repeat takes the place of the one before; boltstore. "+
		"Where problems are many, the record of each stands in a page of the file of its "+
		"own, which is written for each repeat.",
		flatHeap(2, 2, 1.5, fmt.Sprintf("%s pending problems of ten", digits(float64(n))), n),
		step{10, work{lanes: 1, repeats: 10}}, step{n / 1000, work{lanes: 1, repeats: n / 1000}},
		step{n / 10, work{lanes: 1, repeats: n / 10}}, step{n, work{lanes: 1, repeats: n}})
	growing("backlog", "64 callers have new problems accepted while so many others are pending "+
		"in the lane, and as many are delivered; boltstore.",
		flatHeap(2, 2, 1.5, fmt.Sprintf("%s pending of none", digits(float64(n))), n),
		step{0, work{lanes: 1}}, step{n / 100, work{lanes: 1, backlog: n / 100}},
		step{n, work{lanes: 1, backlog: n}})
	return all
}

// work is what a relay does over and over: it takes new problems and delivers as many, or, if there
// are repeats, it takes an event more of each of so many problems and delivers nothing.
type work struct{ lanes, repeats, backlog int }

const growthCallers = 64

func (w work) measure(b *testing.B, s size) error {
	before := alive()
	dir, err := w.store(b)
	if err != nil {
		return err
	}
	db, err := openFor(dir, s.backlog)
	if err != nil {
		return err
	}
	defer db.Close()
	g, err := w.start(db)
	if err != nil {
		return err
	}
	if err := g.turn(s.burst); err != nil { // the backlog is read, and the file has its size
		return errors.Join(err, g.end())
	}
	g.cost = cost{}
	for b.Loop() {
		if err := g.turn(s.burst); err != nil {
			return errors.Join(err, g.end())
		}
	}
	held := alive() - before
	events := float64(g.cost.events)
	b.ReportMetric(float64(g.cost.time)/events, "time-ns/event")
	b.ReportMetric(float64(g.cost.cpu)/events, "cpu-ns/event")
	b.ReportMetric(float64(g.cost.allocs)/events, "allocs/event")
	b.ReportMetric(float64(g.cost.bytes)/events, "alloc-B/event")
	b.ReportMetric(float64(max(held, 0)), "heap-B")
	return g.end()
}

// store returns the directory of a store that has the backlog, or the problems that will be
// repeated.
func (w work) store(b *testing.B) (string, error) {
	if n := max(w.backlog, w.repeats); n > 0 {
		return filled(n)
	}
	return storeDir(b, false)
}

// alive is what the heap holds.
func alive() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// cost is what work took.
type cost struct {
	events        int
	time, cpu     time.Duration
	allocs, bytes uint64
}

// A grown relay works.
type grown struct {
	work
	relay *relay.Relay
	mint  *mint
	next  uint64        // event
	gate  chan struct{} // each lets one delivery through
	taken atomic.Int64  // deliveries
	had   uint64        // entries there were, and accepted since
	stop  context.CancelFunc
	done  chan error
	cost  cost
}

func (w work) start(db store.Store) (g *grown, err error) {
	g = &grown{work: w, gate: make(chan struct{}, 1<<20), done: make(chan error, 1),
		next: uint64(time.Now().UnixMicro()) % everyProblem}
	if g.mint, err = newMint(guance.LevelCritical); err != nil {
		return nil, err
	}
	held, err := db.Holdings(context.Background())
	if err != nil {
		return nil, err
	}
	g.had = uint64(held[backlogLane].Pending)
	if g.relay,
		err = relay.New(db, &relay.Options{Logger: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, err
	}
	sink := relay.SinkFunc(func(ctx context.Context, _ *relay.Delivery) error {
		select {
		case <-g.gate:
			g.taken.Add(1)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	opts := relay.SinkOptions{PerMinute: unbound, AttemptTimeout: time.Hour}
	if w.repeats > 0 {
		opts.PerMinute = 1 // the least there is
	}
	for i := range w.lanes {
		own := opts
		if w.lanes > 1 {
			own.Match = func(e *guance.Event) bool {
				return int(hash(e.EventRef)%uint32(w.lanes)) == i
			}
		}
		name := backlogLane
		if i > 0 {
			name = fmt.Sprint("lane-", i)
		}
		g.relay.Handle(name, sink, &own)
	}
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	go func() { g.done <- g.relay.Run(ctx) }()
	return g, nil
}

func hash(s string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s))
	return h.Sum32()
}

func (g *grown) end() error {
	g.stop()
	close(g.gate) // what is in flight ends
	return <-g.done
}

// turn has each caller bring n events, and waits until the work is done.
func (g *grown) turn(n int) error {
	batches := make([][]*guance.Event, growthCallers)
	for i := range batches {
		for range n {
			g.next++
			problem := g.next
			if g.repeats > 0 {
				problem %= uint64(g.repeats)
			}
			e, err := g.mint.decoded(g.next, problem)
			if err != nil {
				return err
			}
			batches[i] = append(batches[i], e)
		}
	}
	events := n * growthCallers
	want := g.taken.Load()
	if g.repeats == 0 {
		want += int64(events)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, start := ownCPU(), time.Now()
	errs := make([]error, len(batches))
	var wg sync.WaitGroup
	for i, batch := range batches {
		wg.Go(func() {
			for _, e := range batch {
				if _, err := g.relay.Accept(context.Background(), e); err != nil {
					errs[i] = err
					return
				}
				if g.repeats == 0 {
					g.gate <- struct{}{}
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	g.had += uint64(events)
	for !g.settled(want) {
		select {
		case err := <-g.done:
			g.done <- err
			return fmt.Errorf("the relay stopped: %w", err)
		case <-time.After(500 * time.Microsecond):
		}
	}
	g.cost.time += time.Since(start)
	g.cost.cpu += ownCPU() - cpu
	runtime.ReadMemStats(&after)
	g.cost.events += events
	g.cost.allocs += after.Mallocs - before.Mallocs
	g.cost.bytes += after.TotalAlloc - before.TotalAlloc
	return nil
}

// settled reports whether so much was delivered, and the lanes know of everything that was
// accepted.
func (g *grown) settled(delivered int64) bool {
	if g.taken.Load() < delivered {
		return false
	}
	var known, ended uint64
	for _, l := range g.relay.Stats().Lanes {
		known += uint64(l.Backlog) + l.Delivered + l.Superseded
		ended += l.Delivered
	}
	return known >= g.had && ended >= uint64(delivered)
}
