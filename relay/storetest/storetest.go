// Package storetest tests a [store.Store] against its contract.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Harness {
//			dir := t.TempDir()
//			return storetest.Harness{
//				Open:  func() (store.Store, error) { return mystore.Open(dir) },
//				Close: func(s store.Store) error { return s.(*mystore.Store).Close() },
//			}
//		})
//	}
//
// Each check has the name of the duty that it tests. A check assumes what the contract says and no
// more: sequence numbers may have gaps, Read may return fewer entries than there are, and another
// process may use the store. Where the contract sets no time, a check waits for up to 30 seconds.
// Where something must not happen, it waits for a tenth of a second. [Harness.Bubble] makes all of
// these waits free.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A Harness opens the store under test. Each check has a harness of its own, and has one store open
// at a time. All functions but Open may be nil.
type Harness struct {
	// Open opens the store. It is empty at the first call. After a Close or a failure it has what
	// was kept.
	Open func() (store.Store, error)
	// Close closes a store that Open returned, also one that has failed. Without it the checks
	// that close the store and open it again are left out.
	Close func(store.Store) error
	// MaxEntries is the number of pending entries, from 500 to 10,000, at which the store is full.
	// Zero: the checks of a full store are left out.
	MaxEntries int
	// MaxLaneEntries is the number of pending entries, from 500 to 10,000, at which one lane is full
	// and the store is not. Zero: the check of a full lane is left out. A harness has one of both
	// bounds: a store is run with two harnesses.
	MaxLaneEntries int
	// Fail has the store's next write fail as if the disk refused it, with the cause err. If landed
	// is true, the write is on the disk nevertheless. Without it the checks of a failed store are
	// left out.
	Fail func(s store.Store, err error, landed bool)
	// Another opens one more store on the same place, while others are open on it: all of them are a
	// [store.Cluster]. Without it the checks of several stores are left out.
	Another func() (store.Store, error)
	// Bubble runs each check in a testing/synctest bubble, with Open called in it. It is for a
	// store that uses no network and leaves no goroutine behind after Close.
	Bubble bool
}

// Run runs all checks, each as a subtest with a harness of its own. It logs the checks that it
// leaves out.
func Run(t *testing.T, harness func(*testing.T) Harness) {
	t.Helper()
	sample := harness(t)
	for _, c := range checks {
		if missing := c.missing(sample); missing != "" {
			t.Log("left out:", c.name, "as the harness has no", missing)
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			h := harness(t)
			test := func(t *testing.T) {
				if err := c.run(t.Context(), h); err != nil {
					t.Error(err)
				}
			}
			if h.Bubble {
				synctest.Test(t, test)
			} else {
				test(t)
			}
		})
	}
}

// A check is one duty of a store.
type check struct {
	name  string
	needs need
	fn    func(*run)
}

type need int

const (
	nothing  need = 0
	closing  need = 1
	bounded  need = 2
	failable need = 4

	laneBounded need = 8
)

func (c *check) missing(h Harness) string {
	switch {
	case c.needs&closing != 0 && h.Close == nil:
		return "Close"
	case c.needs&bounded != 0 && h.MaxEntries == 0:
		return "MaxEntries"
	case c.needs&laneBounded != 0 && h.MaxLaneEntries == 0:
		return "MaxLaneEntries"
	case c.needs&failable != 0 && h.Fail == nil:
		return "Fail"
	}
	return ""
}

// run runs the check and returns what it found wrong.
func (c *check) run(ctx context.Context, harness Harness) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	r := &run{ctx: ctx, harness: harness}
	ended := make(chan struct{})
	go func() { // a check that cannot go on ends its goroutine
		defer close(ended)
		defer func() {
			if p := recover(); p != nil {
				r.errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		defer r.cleanup()
		r.store = r.open()
		c.fn(r)
	}()
	<-ended
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.found...)
}

const (
	patience = 30 * time.Second       // for what must happen
	moment   = 100 * time.Millisecond // for what must not
)

// A run is one run of a check.
type run struct {
	ctx     context.Context
	harness Harness
	store   store.Store // the one that is open
	routed  int         // events that had an ID of their own

	mu    sync.Mutex
	found []error // guarded by mu
}

// errorf reports what is wrong.
func (r *run) errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.found) < 10 {
		r.found = append(r.found, fmt.Errorf(format, args...))
	}
}

// fatalf reports what is wrong and ends the check.
func (r *run) fatalf(format string, args ...any) {
	r.errorf(format, args...)
	runtime.Goexit()
}

func (r *run) open() store.Store {
	s, err := r.harness.Open()
	if err != nil {
		r.fatalf("Open: %v", err)
	}
	return s
}

// reopen closes the store and opens it again.
func (r *run) reopen() {
	r.close()
	r.store = r.open()
}

func (r *run) close() {
	if err := r.harness.Close(r.store); err != nil {
		r.errorf("Close: %v", err)
	}
}

// cleanup closes the store that is open.
func (r *run) cleanup() {
	if r.harness.Close != nil && r.store != nil {
		_ = r.harness.Close(r.store) // a check that closed it has had its error
	}
}
