package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"testing"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
)

// routed is what it costs to choose the lanes of an event.
func routed(s size) (all []contest) {
	for _, callers := range []int{16, 64} {
		c := contest{
			name: fmt.Sprintf("Route/callers=%d", callers),
			about: fmt.Sprintf("%d callers of Accept, each with its next event when the last is on "+
				"the disk. *one* has one lane, which takes every event. *hundred* has a hundred "+
				"lanes, each of which takes the events of one service by its tag, and has problems "+
				"of its own.", callers),
			base:  "one",
			units: []string{"events/s", "ns/event", "cpu-ns/event"},
			goals: []goal{{side: "hundred", unit: "ns/event", of: "one", max: 1.5,
				text: fmt.Sprintf("the time of an event with a hundred lanes, of that with one, from %d "+
					"callers", callers)}},
		}
		for _, name := range []string{"one", "hundred"} {
			lanes := map[string]int{"one": 1, "hundred": 100}[name]
			c.sides = append(c.sides, side{name, func(b *testing.B) error {
				return routeAll(b, lanes, callers, 4*s.burst)
			}})
		}
		all = append(all, c)
	}
	return all
}

// routeAll has each caller accept so many events, again and again.
func routeAll(b *testing.B, lanes, callers, each int) error {
	dir, err := storeDir(b, false)
	if err != nil {
		return err
	}
	db, err := openFor(dir, 0)
	if err != nil {
		return err
	}
	r, err := relay.New(db, &relay.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	for i := range lanes {
		opts := &relay.SinkOptions{}
		if lanes > 1 {
			opts.Match = relay.MatchTag("service", fmt.Sprint("service-", i))
		}
		r.Handle(fmt.Sprint("lane-", i), relay.SinkFunc(nil), opts)
	}
	m, err := newMint(guance.LevelCritical)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	next := 0
	burst := func() error {
		errs := make([]error, callers)
		var wg sync.WaitGroup
		for p := range callers {
			first := next + p*each
			wg.Go(func() {
				for i := first; i < first+each && errs[p] == nil; i++ {
					_, errs[p] = r.Accept(context.Background(), m.ofService(uint64(i), i%3000, i%100))
				}
			})
		}
		wg.Wait()
		next += callers * each
		return errors.Join(errs...)
	}
	for next < 10_000 && err == nil { // the lanes have problems
		err = burst()
	}
	before, cpu := next, ownCPU()
	for b.Loop() {
		if err != nil {
			break
		}
		err = burst()
	}
	elapsed := b.Elapsed()
	events := float64(next - before)
	b.ReportMetric(events/elapsed.Seconds(), "events/s")
	b.ReportMetric(float64(elapsed.Nanoseconds())/events, "ns/event")
	b.ReportMetric(float64(ownCPU()-cpu)/events, "cpu-ns/event")
	return errors.Join(err, db.Close())
}

// ofService returns an event of a problem of a service.
func (m *mint) ofService(event uint64, problem, service int) *guance.Event {
	e := m.event
	e.EventID = fmt.Sprintf("event-%012d", event)
	e.EventRef = fmt.Sprintf("0f8e5a1c9d3b4e7f8a6c2d1b-%012d", problem)
	e.DimensionTags = maps.Clone(e.DimensionTags)
	e.DimensionTags["service"] = fmt.Sprint("service-", service)
	return &e
}
