package pagerdutytest

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// The two paths of the Events API v2.
const (
	alertPath  = "/v2/enqueue"
	changePath = "/v2/change/enqueue"
)

// Fake is the state behind a [Server] and a [Transport]. All methods are safe
// for concurrent use. Make one with [New], [NewServer] or [NewTransport].
type Fake struct {
	// mu guards what follows; changed is signalled whenever any of it moves.
	mu        sync.Mutex
	changed   *sync.Cond
	version   int // counts the signals
	limit     int
	accepted  map[keyID]bool // nil: every well-formed key
	keys      map[keyID]*ledger
	unread    []time.Time // arrivals of requests whose key nobody read
	incidents []*Incident
	changes   []ChangeEvent
	requests  []Request
	faults    faultPlan
	observers []func(Step)
	pending   []Step // not yet given to the observers
	telling   bool   // somebody is giving them
	made      int    // incidents and dedup keys made so far
	resets    int    // calls of Reset
}

// ledger is what the fake knows of one routing key. Keys know nothing of each
// other's alerts.
type ledger struct {
	open     map[string]*Incident // by dedup key; not resolved
	arrivals []time.Time          // of every request, in order
	taken    []time.Time          // of those within the rate, newest window only
}

// New returns a Fake that takes every well-formed routing key and 120
// requests per key in any 60 seconds.
func New() *Fake {
	f := &Fake{limit: defaultLimit, keys: make(map[keyID]*ledger)}
	f.changed = sync.NewCond(&f.mu)
	return f
}

// AcceptKeys restricts the routing keys that name a live integration; any
// other well-formed key is answered with "Invalid routing key". Without
// arguments every well-formed key is taken again.
func (f *Fake) AcceptKeys(keys ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accepted = nil
	for _, key := range keys {
		if f.accepted == nil {
			f.accepted = make(map[keyID]bool)
		}
		f.accepted[identify(key)] = true
	}
}

// Reset forgets every request, incident and change event and every fault, and
// keeps the accepted keys, the rate limit and the observers.
func (f *Fake) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = make(map[keyID]*ledger)
	f.incidents, f.changes, f.requests, f.unread = nil, nil, nil, nil
	f.faults = faultPlan{}
	f.resets++
	f.signal()
}

// signal is called with mu held after any change a waiter may be waiting for.
func (f *Fake) signal() {
	f.version++
	f.changed.Broadcast()
}

func (f *Fake) ledger(key string) *ledger {
	id := identify(key)
	l := f.keys[id]
	if l == nil {
		l = &ledger{open: make(map[string]*Incident)}
		f.keys[id] = l
	}
	return l
}

// maxRead bounds what is read of one request. It is well above what PagerDuty
// takes, so that an oversize event is still seen to be whose it is.
const maxRead = 2 << 20

// exchange is one request on its way through the fake, and then its answer.
type exchange struct {
	request Request
	raw     []byte
	event   event // nil if the body is no JSON object

	fault  Fault
	answer answer
}

// serve takes one request. What the fault then does to the connection is for
// the caller, which knows what kind of connection it has. The error is that of
// reading the body: then there is nobody to answer.
func (f *Fake) serve(ctx context.Context, r *http.Request, body io.Reader) (*exchange, error) {
	x := &exchange{request: Request{Method: r.Method, Host: r.Host, Path: r.URL.Path, Header: r.Header.Clone()}}
	if x.request.Host == "" {
		x.request.Host = r.URL.Host // as a client leaves it
	}
	if f.leaveUnread(x) {
		return x, pause(ctx, x.fault.Delay)
	}
	raw, err := io.ReadAll(io.LimitReader(body, maxRead))
	x.raw, x.event = raw, decode(raw)
	x.request.fill(x.event, raw)
	if err != nil {
		f.record(x)
		return nil, err
	}
	f.treat(x)
	f.tell()
	return x, pause(ctx, x.fault.Delay)
}

// treat decides what becomes of a request that was read, in one step that no
// other request comes between.
func (f *Fake) treat(x *exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now() // under the lock, so that the log is in order of time
	x.request.Time = now
	f.arrive(x.event, now)
	x.fault = f.faults.next(now, x.request)
	if x.fault.ingests() {
		x.answer = f.process(x, now)
	}
	x.answer = x.fault.apply(x.answer)
	if x.fault.IngestAfter > 0 {
		f.processLater(x)
	}
	x.request.Fault = x.fault
	if x.fault.answers() {
		x.request.Status, x.request.Answer = x.answer.status, x.answer.body
	}
	f.requests = append(f.requests, x.request)
	f.signal()
}

// processLater has the request that is about to be logged processed after its fault's time. It is called with mu held.
func (f *Fake) processLater(x *exchange) {
	late := &exchange{request: x.request, event: x.event} // x goes on to be answered
	logged, resets := len(f.requests), f.resets
	time.AfterFunc(x.fault.IngestAfter, func() {
		f.mu.Lock()
		forgotten := f.resets != resets
		if !forgotten {
			f.process(late, time.Now())
			f.requests[logged].Dropped = late.request.Dropped
			f.signal()
		}
		f.mu.Unlock()
		if !forgotten {
			f.tell()
		}
	})
}

// leaveUnread reports whether a request meets a fault by which nobody reads
// its body. That must be known before the body is read.
func (f *Fake) leaveUnread(x *exchange) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	fault, unread := f.faults.unread(now)
	if !unread {
		return false
	}
	x.fault, x.request.Fault, x.request.Time = fault, fault, now
	x.request.hideSecrets("")
	f.unread = append(f.unread, now)
	f.requests = append(f.requests, x.request)
	f.signal()
	return true
}

// record logs a request that broke off.
func (f *Fake) record(x *exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x.request.Time = time.Now()
	f.arrive(x.event, x.request.Time)
	f.requests = append(f.requests, x.request)
	f.signal()
}

// pause returns after d, or with the cause of ctx if that ends before.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
