package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// storing is what it costs to keep an event.
func storing(s size) (all []contest) {
	for _, producers := range []int{16, 64, 256} {
		c := contest{
			name: fmt.Sprintf("Store/producers=%d", producers),
			about: fmt.Sprintf("%d callers put events of 2 KB, each the next when the last is on "+
				"the disk. *floor* is a file that only grows: one write and one sync for "+
				"whatever has queued up, with a checksum, an index in memory and nothing "+
				"else. "+
				"*plain* is a bbolt bucket with the same grouping. *boltstore* has lanes, tells "+
				"duplicates, and finds what is pending.", producers),
			base:  "floor",
			units: []string{"puts/s", "p50-ns", "p99-ns", "cpu-ns/put", "file-B/put"},
			goals: []goal{{side: "boltstore", unit: "puts/s", of: "floor", min: 0.45,
				text: fmt.Sprintf("durable puts from %d callers, of an append-only file",
					producers)}},
		}
		for _, name := range []string{"floor", "plain", "boltstore"} {
			c.sides = append(c.sides,
				side{name, func(b *testing.B) error {
					return putAll(b, name, producers,
						4*s.burst)
				}})
		}
		all = append(all, c)
	}
	return all
}

// A keeping is a store under test.
type keeping struct {
	put func(*store.Event) error
	end func() error
}

func newKeeping(name, dir string) (*keeping, error) {
	open := newFloor
	switch name {
	case "boltstore":
		s, err := openFor(dir, 0)
		if err != nil {
			return nil, err
		}
		return keepIn(s, s.Close), nil
	case "pgstore":
		return newNode()
	case "plain":
		open = newPlain
	}
	g, err := open(dir)
	if err != nil {
		return nil, err
	}
	return &keeping{func(e *store.Event) error { return g.put(e.Body) }, g.end}, nil
}

func keepIn(s store.Store, end func() error) *keeping {
	return &keeping{func(e *store.Event) error {
		return s.Append(context.Background(), &store.Batch{
			Nonce:  e.ID, // as a relay on several nodes has one for each
			Events: []*store.Event{e}, Served: []string{backlogLane},
		})
	}, end}
}

// putAll has each producer put so many events, again and again. All make a whole entry, so that
// only what becomes of it differs.
func putAll(b *testing.B, name string, producers, each int) error {
	dir, err := storeDir(b, false)
	if err != nil {
		return err
	}
	k, err := newKeeping(name, dir)
	if err != nil {
		return err
	}
	m, err := newMint(guance.LevelCritical)
	if err != nil {
		return err
	}
	took := make([][]time.Duration, producers)
	next := 0
	burst := func() error {
		errs := make([]error, producers)
		var wg sync.WaitGroup
		for p := range producers {
			first := next + p*each
			wg.Go(func() {
				for i := range each {
					e := m.same(uint64(first+i), uint64((first+i)%3000))
					start := time.Now()
					if errs[p] = k.put(e); errs[p] != nil {
						return
					}
					took[p] = append(took[p], time.Since(start))
				}
			})
		}
		wg.Wait()
		next += producers * each
		return errors.Join(errs...)
	}
	if err := burst(); err != nil { // the file is there
		return errors.Join(err, k.end())
	}
	clear(took)
	before, cpu := next, ownCPU()
	for b.Loop() {
		if err := burst(); err != nil {
			return errors.Join(err, k.end())
		}
	}
	elapsed := b.Elapsed()
	cpu = ownCPU() - cpu
	var all []time.Duration
	for _, list := range took {
		all = append(all, list...)
	}
	puts := float64(next - before)
	b.ReportMetric(puts/elapsed.Seconds(), "puts/s")
	b.ReportMetric(float64(percentile(all, 50)), "p50-ns")
	b.ReportMetric(float64(percentile(all, 99)), "p99-ns")
	b.ReportMetric(float64(cpu)/puts, "cpu-ns/put")
	if err := k.end(); err != nil {
		return err
	}
	size, err := sizeOf(dir)
	b.ReportMetric(float64(size)/float64(next), "file-B/put")
	return err
}

// sizeOf returns what the files of a directory take.
func sizeOf(dir string) (bytes int64, err error) {
	files, err := os.ReadDir(dir)
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			bytes += info.Size()
		}
	}
	return bytes, err
}

// datasync has the disk keep what was written to a file, and not when.
func datasync(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
