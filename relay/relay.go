package relay

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// Options are the settings of a [Relay]. A nil *Options has all defaults, and so has a field that
// is nil or zero. A negative value is an error of [New].
type Options struct {
	// Logger is where the relay logs. Default: slog.Default().
	Logger *slog.Logger
	// DrainTimeout is how long attempts in flight may go on after Run's context ended. Default: 5 s.
	DrainTimeout time.Duration
	// TracerProvider and MeterProvider receive spans and metrics. Default: OpenTelemetry's global
	// ones, which do nothing unless the program sets them.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	// Now is the wall clock, for times that people read. It may be called concurrently. Nothing
	// waits, expires or is sorted by it, see [store.Store.Clock]. Default: time.Now.
	Now func() time.Time
}

// A Relay accepts events and delivers them to sinks. Its methods may be called concurrently, except
// Handle, which must come before Run.
type Relay struct {
	store     store.Store
	log       *slog.Logger
	drain     time.Duration
	clock     *clock
	telemetry *telemetry

	lanes    []*lane    // fixed once Run was called
	accounts []*account // likewise
	started  atomic.Bool
	closing  atomic.Bool
	failed   chan error // the first failure of the store that a caller met
	unrouted sampledLog // events that no lane takes
	orphans  atomic.Pointer[map[string]store.Holdings]
}

// New returns a relay over a store. It does not use the store before Run or Accept. The caller
// closes the store after Run has returned.
func New(db store.Store, opts *Options) (*Relay, error) {
	if isNil(db) { // Open failed, and its error was ignored
		return nil, errors.New("relay: New needs a Store: boltstore.Open for a durable one")
	}
	if opts == nil {
		opts = &Options{}
	}
	if opts.DrainTimeout < 0 {
		return nil, fmt.Errorf("relay: DrainTimeout is %v; it must not be negative", opts.DrainTimeout)
	}
	r := &Relay{
		store: db, clock: newClock(db, opts.Now), log: opts.Logger, drain: opts.DrainTimeout,
		failed: make(chan error, 1), unrouted: newSampledLog(),
	}
	if r.log == nil {
		r.log = slog.Default()
	}
	orDefault(&r.drain, 5*time.Second)
	var err error
	r.telemetry, err = newTelemetry(opts.TracerProvider, opts.MeterProvider)
	return r, err
}

// Handle adds a lane that delivers events to s. The store keeps the name: a lane that is renamed
// leaves its backlog behind, see [Stats]. Handle logs a decorator that [CheckSink] finds.
//
// Handle panics after Run was called; if the name is empty, taken, longer than 64 bytes or holds a
// slash; if s is nil or a nil pointer; if an option is negative; and if Middleware returns nil.
func (r *Relay) Handle(name string, s Sink, opts *SinkOptions) {
	switch {
	case name == "" || len(name) > 64 || strings.Contains(name, "/"):
		panic(fmt.Sprintf("relay: invalid lane name %q", name))
	case isNil(s):
		panic("relay: nil sink for lane " + name)
	case r.started.Load():
		panic("relay: Handle after Run")
	}
	if r.findLane(name) != nil {
		panic("relay: two lanes named " + name)
	}
	r.lanes = append(r.lanes, newLane(name, s, opts, r))
}

// A Receipt is what became of one event of [Relay.Accept].
type Receipt struct {
	EventID string `json:"event_id,omitempty"`
	Problem string `json:"problem"`
	// Lanes maps each lane that takes the event to "accepted", "duplicate" or "ignored".
	Lanes map[string]string `json:"lanes"`
}

// Accept keeps events for every lane that takes them, all or none. They are durable once it returns
// nil. An error wraps one of package store or of the context. Nothing was kept then, unless the
// error is [store.ErrFailed] or [store.ErrUnavailable].
func (r *Relay) Accept(ctx context.Context, events ...*guance.Event) ([]Receipt, error) {
	if r.closing.Load() {
		return nil, fmt.Errorf("relay: accepting: %w", store.ErrClosed)
	}
	now, parent := r.clock.wall(), traceparent(ctx)
	receipts := make([]Receipt, len(events))
	var entries []*store.Entry
	var receiptOf []int // the index of the receipt of each entry
	var unrouted []*guance.Event
	for i, ev := range events {
		if ev == nil {
			return nil, fmt.Errorf("relay: event %d of %d is nil; nothing was kept", i+1, len(events))
		}
		before := len(entries)
		lanes := make(map[string]string, len(r.lanes))
		receipts[i] = Receipt{EventID: ev.EventID, Problem: problemKey(ev), Lanes: lanes}
		body, err := ev.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("relay: encoding event %d, nothing was kept: %w", i+1, err)
		}
		for _, l := range r.lanes {
			if !l.matches(ev) {
				continue
			}
			e := &store.Entry{
				Lane: l.name, ID: EventID(ev), Problem: receipts[i].Problem, State: ev.State(),
				Level: ev.Level(), Time: eventTime(ev), Accepted: now, Trace: parent, Body: body,
				Ignored: l.ignores(ev),
			}
			entries, receiptOf = append(entries, e), append(receiptOf, i)
		}
		if len(entries) == before {
			unrouted = append(unrouted, ev)
		}
	}
	if len(entries) == 0 {
		r.logUnrouted(unrouted)
		return receipts, nil
	}
	if err := r.store.Append(ctx, entries); err != nil {
		return nil, r.stopIfFailed(fmt.Errorf("relay: keeping %d events: %w", len(events), err))
	}
	r.logUnrouted(unrouted)
	for i, e := range entries {
		receipts[receiptOf[i]].Lanes[e.Lane] = r.received(e)
	}
	return receipts, nil
}

// received returns the word in the receipt for an entry after Append, and counts one that is
// ignored.
func (r *Relay) received(e *store.Entry) string {
	switch {
	case e.Seq == 0:
		return "duplicate"
	case e.Ignored == "":
		return "accepted"
	}
	l := r.findLane(e.Lane)
	l.ignored.Add(1)
	l.log.Debug("relay: event ignored", "seq", e.Seq, "event", e.ID, "reason", e.Ignored)
	r.telemetry.count(e.Lane, store.Ignored, 1)
	return "ignored"
}

// maxKey is the longest problem key that is stored as it is. PagerDuty takes a dedup_key of at most
// 255 characters, and bbolt fails a whole commit because of a key of 32 KiB.
const maxKey = 255

// problemKey returns the event's problem key, or a hash of it if it is too long.
func problemKey(ev *guance.Event) string {
	key := ev.ProblemKey()
	if len(key) <= maxKey {
		return key
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(key)))
}

// eventTime returns when the event happened. Zero: that says nothing about the order, or it is not
// a time that every store can write.
func eventTime(ev *guance.Event) time.Time {
	t := ev.OrderTime()
	if y := t.UTC().Year(); y < 1970 || y > 9998 {
		return time.Time{}
	}
	return t.UTC()
}

// EventID returns the text that identifies an event when its webhook is sent again:
// [store.Entry].ID. It is empty for an event without df_event_id.
//
// The statuses are part of it, because some senders use one df_event_id for a fault and its
// recovery. The problem key is part of it if the df_event_id is short and not made by Guance.
func EventID(ev *guance.Event) string {
	if strings.Trim(ev.EventID, "0") == "" { // some senders write zero for none
		return ""
	}
	id := ev.EventID + "/" + string(ev.Status) + "/" + string(ev.SubStatus)
	if len(ev.EventID) < uniqueID && !strings.HasPrefix(ev.EventID, "event-") {
		id += "/" + problemKey(ev)
	}
	return id
}

// uniqueID is the length from which an id counts as globally unique, as a UUID is. A shorter one
// that Guance did not make is a number of another system, and two such systems may use the same
// numbers.
const uniqueID = 32

// Run delivers until ctx ends, and then waits for attempts in flight for at most the drain time. It
// returns nil after a clean stop. An error means that the store has failed or was closed, and that
// the process should be restarted. Run may be called once.
func (r *Relay) Run(ctx context.Context) error {
	if r.started.Swap(true) {
		return errors.New("relay: Run was called twice")
	}
	if err := r.findOrphans(ctx); err != nil {
		if ctx.Err() != nil { // stopped before it began
			r.closing.Store(true)
			return nil
		}
		return err
	}
	unobserve, err := r.telemetry.observe(r.laneStats)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(ctx, func() { r.closing.Store(true) })()
	errs := make([]error, len(r.accounts))
	var wg sync.WaitGroup
	wg.Go(func() { r.clock.watch(ctx, r.log) })
	for i, a := range r.accounts {
		wg.Go(func() { errs[i] = r.own(ctx, a, stop) })
	}
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-r.failed:
		r.log.Error("relay: the store has failed; nothing more is accepted", "error", failed.Error())
		stop()
	}
	r.closing.Store(true)
	wg.Wait()
	return errors.Join(append(errs, failed, unobserve())...)
}

// stopIfFailed ends Run if err wraps [store.ErrFailed], and returns err. Lanes that write nothing
// would not notice the failure for hours.
func (r *Relay) stopIfFailed(err error) error {
	if errors.Is(err, store.ErrFailed) {
		select {
		case r.failed <- err:
		default:
		}
	}
	return err
}

// findOrphans logs the lanes in the store that are not configured. Their entries are kept.
func (r *Relay) findOrphans(ctx context.Context) error {
	orphans, err := r.store.Holdings(ctx)
	if err != nil {
		return fmt.Errorf("relay: reading the backlog: %w", err)
	}
	for _, l := range r.lanes {
		delete(orphans, l.name)
	}
	r.orphans.Store(&orphans)
	for name, h := range orphans {
		r.log.Warn("relay: a lane is gone from the configuration; its entries are kept",
			"lane", name, "pending", h.Pending, "dead", h.Dead)
	}
	return nil
}

// Check returns why the relay is not ready: the store takes no entries, a lane does not run, or
// there is no lane. It returns nil if the relay is ready.
func (r *Relay) Check(ctx context.Context) error {
	if r.closing.Load() {
		return errors.New("relay: closing")
	}
	err := r.store.Check(ctx)
	if len(r.lanes) == 0 {
		err = errors.Join(err, errNoLanes)
	}
	for _, l := range r.lanes {
		if l.stats.Load().State == Stopped {
			err = errors.Join(err, fmt.Errorf("relay: lane %q does not run", l.name))
		}
	}
	return err
}
