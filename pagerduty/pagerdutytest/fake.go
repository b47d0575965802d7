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

// Fake is the state of a fake Events API, served by a [Server] or a [Transport]. All methods are
// safe for concurrent use. Make one with [New], [NewServer] or [NewTransport].
type Fake struct {
	// mu guards the fields below. changed is signalled when any of them changes.
	mu        sync.Mutex
	changed   *sync.Cond
	version   int // number of calls of signal
	limit     int
	accepted  map[keyID]bool // nil: every well-formed key
	keys      map[keyID]*keyState
	unread    []time.Time // arrivals of requests whose body was not read
	incidents []*Incident
	changes   []ChangeEvent
	requests  []Request
	faults    faultPlan
	observers []func(Step)
	pending   []Step // not yet passed to the observers
	notifying bool   // a goroutine is passing them
	made      int    // number of incidents and dedup keys made
	resets    int    // number of calls of Reset
}

// keyState is the state of one routing key. Keys do not share alerts.
type keyState struct {
	open     map[string]*Incident // incidents that are not resolved, by dedup key
	arrivals []time.Time          // of all requests, in order
	taken    []time.Time          // of accepted requests in the newest window
}

// New returns a Fake that accepts every well-formed routing key, and 120 requests per key in any 60
// seconds.
func New() *Fake {
	f := &Fake{limit: defaultLimit, keys: make(map[keyID]*keyState)}
	f.changed = sync.NewCond(&f.mu)
	return f
}

// AcceptKeys sets the routing keys that are accepted. Any other well-formed key gets "Invalid
// routing key". Without arguments every well-formed key is accepted again.
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

// Reset forgets all requests, incidents, change events and faults. It keeps the accepted keys, the
// rate limit and the observers.
func (f *Fake) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = make(map[keyID]*keyState)
	f.incidents, f.changes, f.requests, f.unread = nil, nil, nil, nil
	f.faults = faultPlan{}
	f.resets++
	f.signal()
}

// signal must be called with mu held, after every change.
func (f *Fake) signal() {
	f.version++
	f.changed.Broadcast()
}

func (f *Fake) keyState(key string) *keyState {
	id := identify(key)
	l := f.keys[id]
	if l == nil {
		l = &keyState{open: make(map[string]*Incident)}
		f.keys[id] = l
	}
	return l
}

// maxRead limits the bytes that are read of a request. It is larger than PagerDuty's limit, so that
// the routing key of an event that is too large is still found.
const maxRead = 2 << 20

// exchange is one request and its response.
type exchange struct {
	request Request
	raw     []byte
	event   event // nil if the body is no JSON object

	fault    Fault
	response response
}

// serve handles one request. The caller applies the fault to the connection. The error is that of
// reading the body; then there is no response.
func (f *Fake) serve(ctx context.Context, r *http.Request, body io.Reader) (*exchange, error) {
	x := &exchange{request: Request{Method: r.Method, Host: r.Host, Path: r.URL.Path,
		Header: r.Header.Clone()}}
	if x.request.Host == "" {
		x.request.Host = r.URL.Host // a client may leave Host empty
	}
	if f.handleUnread(x) {
		return x, sleep(ctx, x.fault.Delay)
	}
	raw, err := io.ReadAll(io.LimitReader(body, maxRead))
	x.raw, x.event = raw, decode(raw)
	x.request.fill(x.event, raw)
	if err != nil {
		f.record(x)
		return nil, err
	}
	f.handle(x)
	f.notify()
	return x, sleep(ctx, x.fault.Delay)
}

// handle decides the response to a request whose body was read. No other request is handled at the
// same time.
func (f *Fake) handle(x *exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now() // under the lock: the log is in order of time
	x.request.Time = now
	f.arrive(x.event, now)
	x.fault = f.faults.next(now, x.request)
	if x.fault.ingests() {
		x.response = f.process(x, now)
	}
	x.response = x.fault.apply(x.response)
	if x.fault.IngestAfter > 0 {
		f.processLater(x)
	}
	x.request.Fault = x.fault
	if x.fault.answers() {
		x.request.Status, x.request.Answer = x.response.status, x.response.body
	}
	f.requests = append(f.requests, x.request)
	f.signal()
}

// processLater processes the request, which is about to be logged, after its fault's IngestAfter.
// It must be called with mu held.
func (f *Fake) processLater(x *exchange) {
	late := &exchange{request: x.request, event: x.event} // a copy: x still gets its own response
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
			f.notify()
		}
	})
}

// handleUnread handles a request whose fault leaves the body unread, and reports whether it has
// such a fault. It must be called before the body is read.
func (f *Fake) handleUnread(x *exchange) bool {
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

// record logs a request whose body could not be read.
func (f *Fake) record(x *exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x.request.Time = time.Now()
	f.arrive(x.event, x.request.Time)
	f.requests = append(f.requests, x.request)
	f.signal()
}

// sleep waits for d. If ctx ends first, it returns the cause.
func sleep(ctx context.Context, d time.Duration) error {
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
