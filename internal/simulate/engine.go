package simulate

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/relaytest"
	"github.com/guance-relay/guance-relay/relay/store"
)

// An engine is the place of several nodes, and what it has lost in roll-backs. Nothing of that was
// promised, unless its commits waited for the standby.
type engine struct {
	*memstore.Cluster
	store *relaytest.StoreRecorder // records what happens in the engine, in its order

	// Guarded by the engine's own lock; read at the end:
	replicated   int       // how many changes its standby has
	replicatedAt time.Time // zero: it has all
	waits        bool      // commits wait for the standby
	windows      []window
	lost         map[string]bool // IDs of events that were accepted, and are gone
}

// A window is a time whose changes were lost.
type window struct{ from, to time.Time }

func newEngine(c *memstore.Cluster) *engine {
	e := &engine{
		Cluster: c, store: relaytest.RecordStore(c.Open("judge")), lost: make(map[string]bool),
	}
	c.Observe(e.took)
	return e
}

// took records a change.
func (e *engine) took(c memstore.Call) {
	switch c.Method {
	case "Append":
		e.store.Add(relaytest.Change{Batch: &store.Batch{Events: c.Events, Served: c.Served}})
	case "Mark":
		e.store.Add(relaytest.Change{Lane: c.Lane, Marks: c.Marks})
	case "Revive":
		e.store.Add(relaytest.Change{Lane: c.Lane, Revived: c.Seq})
	case "Drop":
		e.store.Add(relaytest.Change{Lane: c.Lane, Dropped: c.Seq})
	case "Replicate", "LoseStandby":
		e.replicated, e.replicatedAt, e.waits = e.store.Len(), time.Now(), c.Method == "LoseStandby"
	case "CatchUp":
		e.replicatedAt = time.Time{}
	case "Promote":
		if e.replicatedAt.IsZero() {
			return
		}
		lost := e.store.RollBack(e.replicated)
		if !e.waits {
			for _, a := range lost {
				e.lost[a.Event.ID] = true
			}
			e.windows = append(e.windows, window{e.replicatedAt, time.Now()})
		}
		e.replicatedAt = time.Time{}
	default:
		panic(fmt.Sprintf("the engine made a call of %s", c.Method))
	}
}

// promised returns the attempts that count. What was sent while the engine was losing its changes
// does not, as the nodes may know nothing of it, and what was sent of lost events does not.
func (w *world) promised(
	attempts []relaytest.Attempt, accepted []relaytest.Accepted,
) (kept []relaytest.Attempt) {
	if w.engine == nil {
		return attempts
	}
	has := make(map[string]bool)
	for _, a := range accepted {
		has[a.ID] = true
	}
	for _, a := range attempts {
		if !w.engine.losing(a.Start) && (has[a.ID] || !w.engine.lost[a.ID]) {
			kept = append(kept, a)
		}
	}
	return kept
}

// forget deletes the problems of which something was sent that does not count.
func (w *world) forget(ends map[string]guance.State, sent []relaytest.Attempt) {
	for _, a := range sent {
		if w.engine != nil && (w.engine.losing(a.Start) || w.engine.lost[a.ID]) {
			delete(ends, a.Problem)
		}
	}
}

// losing reports whether what happened at a time was lost.
func (e *engine) losing(at time.Time) bool {
	for _, w := range e.windows {
		if !at.Before(w.from) && !at.After(w.to) {
			return true
		}
	}
	return false
}

// A link is what one process has open of an engine.
type link struct {
	*memstore.Handle

	mu     sync.Mutex
	looks  int           // the process is paused when it has looked so often at a lease; 0: it is not
	lasts  time.Duration // for how long
	sends  int           // the same for requests that begin
	gap    time.Duration
	awake  int // if not 0, it is not paused
	pauses int // so far
}

// pause pauses the process.
func (l *link) pause(lasts time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pauseNow(lasts)
}

// pauseNow is called with mu held.
func (l *link) pauseNow(lasts time.Duration) {
	if l.awake > 0 {
		return
	}
	l.pauses++
	l.Pause()
	time.AfterFunc(lasts, l.Resume)
}

// paused returns how often the process was paused.
func (l *link) paused() int {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pauses
}

// pauseAt pauses the process right before the nth look at a lease from now on.
func (l *link) pauseAt(n int, lasts time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looks, l.lasts = n, lasts
}

// look is called before each look at a lease.
func (l *link) look() {
	l.mu.Lock()
	if l.looks > 0 {
		if l.looks--; l.looks == 0 {
			l.pauseNow(l.lasts)
		}
	}
	l.mu.Unlock()
	l.Wait()
}

// keepAwake waits until the process is not paused, and has nobody pause it until mayPause. What has
// a deadline in the process must not be paused: the relay's own timers go on.
func (l *link) keepAwake() {
	if l != nil {
		l.mu.Lock()
		l.awake++
		l.mu.Unlock()
		l.Wait()
	}
}

func (l *link) mayPause() {
	if l != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.awake--
	}
}

// pauseBeforeSend pauses the process between its last look at the lease and the nth request from
// now on.
func (l *link) pauseBeforeSend(n int, lasts time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sends, l.gap = n, lasts
}

// send is called right before each request. It waits for its own pause alone, as the others may be
// longer than promise 3 covers.
func (l *link) send() {
	if l == nil {
		return
	}
	var gap time.Duration
	l.mu.Lock()
	if l.sends > 0 {
		if l.sends--; l.sends == 0 && l.awake == 0 {
			gap = l.gap
			l.pauseNow(gap)
		}
	}
	l.mu.Unlock()
	time.Sleep(gap)
}

// open returns the handle of a process. Each call takes time.
func (e *engine) open(w *world, node int) *link {
	l := &link{Handle: e.Open(nodeName(node))}
	pass := func() { time.Sleep(time.Duration(w.random() * float64(w.plan.Disk/2))) }
	l.Intercept(func(_ memstore.Call, do func() error) error {
		pass()
		err := do()
		pass()
		return err
	})
	return l
}

func nodeName(node int) string { return fmt.Sprintf("node %d", node+1) }

// Acquire implements store.Store.
func (l *link) Acquire(ctx context.Context, g store.Group) (store.Lease, error) {
	acquired, err := l.Handle.Acquire(ctx, g)
	if err != nil {
		return nil, err
	}
	return &heldLease{acquired.(store.ClusterLease), l}, nil
}

// A heldLease is a lease of a process that may be paused, also right before it looks at the lease.
// Between its last look and a request a process is paused for less than a second: a longer pause
// there is the one that promise 3 leaves open.
type heldLease struct {
	store.ClusterLease
	link *link
}

func (l *heldLease) Until() time.Time {
	l.link.look()
	return l.ClusterLease.Until()
}
