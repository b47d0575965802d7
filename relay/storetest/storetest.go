// Package storetest holds a [relay.Store] to its contract.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Place {
//			dir := t.TempDir()
//			return storetest.Place{
//				Open:  func() (relay.Store, error) { return mystore.Open(dir) },
//				Close: func(s relay.Store) error { return s.(*mystore.Store).Close() },
//			}
//		})
//	}
//
// Each check is named after the duty in the contract that it stands for. A check assumes what the contract says and no more: sequence
// numbers may have gaps, Read may return fewer entries than there are, another process may be at work. Where the contract sets no time, a
// check waits for ten seconds; where something must not happen, for a tenth of one.
//
// The package does not import testing, so that it can be used by programs too. Its own tests run it against stores that have one bug each.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/relay"
)

// A Place is where one store keeps what it keeps. Each check has a new one, and one store open on it at a time. All functions but Open
// may be nil.
type Place struct {
	// Open opens the store: an empty one at first, and after a Close or a failure one with what was kept.
	Open func() (relay.Store, error)
	// Close closes a store that Open returned, a failed one too. Without it the checks of what holds after a close and after opening
	// again are left out.
	Close func(relay.Store) error
	// MaxEntries is the number of unsettled entries, from 500 to 10,000, above which the store is full. At zero the checks
	// of a full store are left out.
	MaxEntries int
	// Fail has the store's next write fail as if the disk refused it, with err as the cause; landed says that the write is on the
	// disk all the same. Without it the checks of a failed store are left out.
	Fail func(s relay.Store, err error, landed bool)
}

// TestingT is what Run needs of *testing.T.
type TestingT[T any] interface {
	Context() context.Context
	Error(args ...any)
	Helper()
	Log(args ...any)
	Run(name string, f func(T)) bool
}

// Run runs all checks, each as a subtest with a place of its own. Places are all of one kind: the first says which checks apply.
func Run[T TestingT[T]](t T, place func(T) Place) {
	t.Helper()
	sample := place(t)
	for _, c := range checks {
		if missing := c.missing(sample); missing != "" {
			t.Log("left out:", c.name, "as Place has no", missing)
			continue
		}
		t.Run(c.name, func(t T) {
			t.Helper()
			if err := c.run(t.Context(), place(t)); err != nil {
				t.Error(err)
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
)

func (c *check) missing(p Place) string {
	switch {
	case c.needs&closing != 0 && p.Close == nil:
		return "Close"
	case c.needs&bounded != 0 && p.MaxEntries == 0:
		return "MaxEntries"
	case c.needs&failable != 0 && p.Fail == nil:
		return "Fail"
	}
	return ""
}

// run runs the check and returns what it found wrong.
func (c *check) run(ctx context.Context, place Place) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	r := &run{ctx: ctx, place: place}
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
	ctx   context.Context
	place Place
	store relay.Store // the one that is open

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

func (r *run) open() relay.Store {
	s, err := r.place.Open()
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
	if err := r.place.Close(r.store); err != nil {
		r.errorf("Close: %v", err)
	}
}

// cleanup closes what is open, so that the place can be deleted.
func (r *run) cleanup() {
	if r.place.Close != nil && r.store != nil {
		_ = r.place.Close(r.store) // a check that closed it has had its error
	}
}
