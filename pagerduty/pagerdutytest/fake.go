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
	closed    chan struct{}
	closeOnce sync.Once

	// mu guards what follows; changed is signalled whenever any of it moves.
	mu        sync.Mutex
	changed   *sync.Cond
	version   int // counts the signals
	limit     int
	accepted  map[string]bool // nil: every well-formed key
	keys      map[string]*ledger
	incidents []*Incident
	changes   []ChangeEvent
	requests  []Request
	faults    faultPlan
	observers []func(Change)
	pending   []Change // not yet given to the observers
	telling   bool     // somebody is giving them
	made      int      // incidents and dedup keys made so far
}

// ledger is what the fake knows of one routing key. Keys know nothing of each
// other's alerts.
type ledger struct {
	open     map[string]*Incident // by dedup key; not resolved
	arrivals []time.Time          // of every request
	taken    []time.Time          // of those within the rate, newest window only
}

// New returns a Fake that takes every well-formed routing key and 120
// requests per key in any 60 seconds.
func New() *Fake {
	f := &Fake{
		closed: make(chan struct{}),
		limit:  defaultLimit,
		keys:   make(map[string]*ledger),
	}
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
			f.accepted = make(map[string]bool)
		}
		f.accepted[key] = true
	}
}

// Reset forgets every request, incident and change event and every fault, and
// keeps the keys, the limit and the observers.
func (f *Fake) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = make(map[string]*ledger)
	f.incidents, f.changes, f.requests = nil, nil, nil
	f.faults = faultPlan{}
	f.signal()
}

// close ends every request that hangs.
func (f *Fake) close() { f.closeOnce.Do(func() { close(f.closed) }) }

// signal is called with mu held after any change a waiter may be waiting for.
func (f *Fake) signal() {
	f.version++
	f.changed.Broadcast()
}

func (f *Fake) ledger(key string) *ledger {
	l := f.keys[key]
	if l == nil {
		l = &ledger{open: make(map[string]*Incident)}
		f.keys[key] = l
	}
	return l
}

// maxRequest bounds what is read of one request. It is well above what
// PagerDuty takes, so that an oversize event is seen to be one.
const maxRequest = 8 << 20

// exchange is one request on its way through the fake, and then its answer.
type exchange struct {
	request Request
	raw     []byte
	event   *event // nil if the body is no JSON object

	fault  Fault
	answer answer
}

// answer is an HTTP answer.
type answer struct {
	status      int
	contentType string
	header      http.Header
	body        string
}

// serve takes one request. What the fault then does to the connection is for
// the caller, which knows what kind of connection it has.
func (f *Fake) serve(ctx context.Context, method, path string, header http.Header, body io.Reader) *exchange {
	now := time.Now()
	x := &exchange{request: Request{Time: now, Method: method, Path: path, Header: hideSecrets(header)}}

	// The first look at the script must come before the body is read: some
	// faults are that nobody reads it.
	if fault, ok := f.faultUnread(now); ok {
		x.fault = fault
		f.record(x)
		return x
	}
	raw, err := io.ReadAll(io.LimitReader(body, maxRequest))
	x.raw = raw
	if err != nil {
		x.fault = Fault{Connection: DropBeforeRead}
		f.record(x)
		return x
	}
	x.event = decode(raw)
	x.request.fill(x.event, raw)

	f.mu.Lock()
	x.fault = f.faults.next(now, x.request)
	if x.fault.ingests() {
		x.answer = f.process(x, now)
	} else {
		f.arrive(x, now)
	}
	if x.fault.Status != 0 {
		x.answer = x.fault.answer()
	} else {
		x.answer = x.fault.overlay(x.answer)
	}
	if x.fault.answers() {
		x.request.Status = x.answer.status
	}
	f.requests = append(f.requests, x.request)
	f.signal()
	f.mu.Unlock()
	f.tell()

	if x.fault.Delay > 0 {
		f.wait(ctx, x.fault.Delay)
	}
	return x
}

func (f *Fake) record(x *exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, x.request)
	f.signal()
}

// wait waits for d, the end of ctx or the end of the fake.
func (f *Fake) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-f.closed:
	}
}

// hang waits for the end of ctx or of the fake.
func (f *Fake) hang(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-f.closed:
	}
}
