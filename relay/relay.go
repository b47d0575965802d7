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

// Options are the settings of a [Relay]. A nil *Options and a zero field mean the defaults.
type Options struct {
	// Logger takes state changes and give-ups; nil means slog.Default().
	Logger *slog.Logger
	// DrainTimeout is how long attempts in flight may go on after Run's context ended; zero means 5 s.
	DrainTimeout time.Duration
	// TracerProvider and MeterProvider take spans and metrics; nil means OpenTelemetry's global ones, which do nothing unless the
	// program sets them.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	// Now is the wall clock, for the times that people read; nil means time.Now. Nothing waits, expires or is ordered by it: for that there
	// is [Store.Clock]. It may be called concurrently.
	Now func() time.Time
}

// A Relay takes events and brings them to sinks. Its methods may be called concurrently, but for Handle, which comes first.
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
	failed   chan error // of the store, found by a call from outside; the first one counts
	unrouted sampledLog // of events that no lane takes
	strays   atomic.Pointer[map[string]store.Holdings]
}

// New returns a relay over store. It starts nothing and touches nothing; the caller closes the store after Run returned.
func New(db store.Store, opts *Options) (*Relay, error) {
	if isNil(db) { // as after an error of Open that was overlooked
		return nil, errors.New("relay: New needs a Store: boltstore.Open for a durable one")
	}
	if opts == nil {
		opts = &Options{}
	}
	r := &Relay{store: db, clock: newClock(db, opts.Now), log: opts.Logger, drain: opts.DrainTimeout, failed: make(chan error, 1)}
	if r.log == nil {
		r.log = slog.Default()
	}
	r.unrouted = newSampledLog()
	orDefault(&r.drain, 5*time.Second)
	var err error
	r.telemetry, err = newTelemetry(opts.TracerProvider, opts.MeterProvider)
	return r, err
}

// Handle adds a lane that brings events to s. The name is on disk: a lane that is renamed leaves its backlog behind, see [Stats].
// Handle panics if the name is empty, taken, longer than 64 bytes or holds a slash, if s is nil or a nil pointer, if Middleware returns
// nil, and after Run was called, as these are mistakes of the program. It logs a decorator that [CheckSink] finds.
func (r *Relay) Handle(name string, s Sink, opts *SinkOptions) {
	switch {
	case name == "" || len(name) > 64 || strings.Contains(name, "/"):
		panic(fmt.Sprintf("relay: invalid lane name %q", name))
	case isNil(s):
		panic("relay: nil sink for lane " + name)
	case r.started.Load():
		panic("relay: Handle after Run")
	}
	if r.lane(name) != nil {
		panic("relay: two lanes named " + name)
	}
	r.lanes = append(r.lanes, newLane(name, s, opts, r))
}

// A Receipt says what became of one event that was accepted.
type Receipt struct {
	EventID string `json:"event_id,omitempty"`
	Problem string `json:"problem"`
	// Lanes maps each lane that wants the event to accepted, duplicate or ignored.
	Lanes map[string]string `json:"lanes"`
}

// Accept keeps events for every lane that wants them: all or none, durable when it returns nil. An error wraps one of the
// store's sentinels or the context's error; nothing was kept then, unless it is [ErrFailed].
func (r *Relay) Accept(ctx context.Context, events ...*guance.Event) ([]Receipt, error) {
	if r.closing.Load() {
		return nil, fmt.Errorf("relay: accepting: %w", store.ErrClosed)
	}
	now, parent := r.clock.wall(), traceparent(ctx)
	receipts := make([]Receipt, len(events))
	var entries []*store.Entry
	var owner []int    // whose receipt an entry belongs to
	var unrouted []int // the events that no lane takes
	for i, ev := range events {
		if ev == nil {
			return nil, fmt.Errorf("relay: event %d of %d is nil; nothing was kept", i+1, len(events))
		}
		before := len(entries)
		receipts[i] = Receipt{EventID: ev.EventID, Problem: problemKey(ev), Lanes: make(map[string]string, len(r.lanes))}
		body, err := ev.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("relay: encoding event %d of %d, nothing was kept: %w", i+1, len(events), err)
		}
		for _, l := range r.lanes {
			if !l.matches(ev) {
				continue
			}
			e := &store.Entry{
				Lane: l.name, ID: EventID(ev), Problem: receipts[i].Problem, State: ev.State(), Level: ev.Level(),
				Time: eventTime(ev), Accepted: now, Trace: parent, Body: body,
			}
			e.Ignored = l.ignores(ev)
			entries, owner = append(entries, e), append(owner, i)
		}
		if len(entries) == before {
			unrouted = append(unrouted, i)
		}
	}
	if len(entries) == 0 {
		r.logUnrouted(events, unrouted)
		return receipts, nil
	}
	if err := r.store.Append(ctx, entries); err != nil {
		return nil, r.found(fmt.Errorf("relay: keeping %d events: %w", len(events), err))
	}
	r.logUnrouted(events, unrouted)
	for i, e := range entries {
		receipts[owner[i]].Lanes[e.Lane] = r.fate(e)
	}
	return receipts, nil
}

// fate is a receipt's word for what a lane made of an entry.
func (r *Relay) fate(e *store.Entry) string {
	switch {
	case e.Seq == 0:
		return "duplicate"
	case e.Ignored == "":
		return "accepted"
	}
	l := r.lane(e.Lane)
	l.ignored.Add(1)
	l.log.Debug("relay: event ignored", "seq", e.Seq, "event", e.ID, "reason", e.Ignored)
	r.telemetry.count(e.Lane, store.Ignored, 1)
	return "ignored"
}

// maxKey bounds what a sender can make a store index: 255 characters is what PagerDuty takes as a dedup_key, and bbolt fails a
// whole commit over a key of 32 KiB.
const maxKey = 255

// problemKey is the event's problem key, or a hash of it if it is too long to be an index.
func problemKey(ev *guance.Event) string {
	key := ev.ProblemKey()
	if len(key) <= maxKey {
		return key
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(key)))
}

// eventTime is when the event happened, or zero where that does not tell its order, and for a time that no store could write down.
func eventTime(ev *guance.Event) time.Time {
	t := ev.OrderTime()
	if y := t.UTC().Year(); y < 1970 || y > 9998 {
		return time.Time{}
	}
	return t.UTC()
}

// EventID is what an event is recognised by when its webhook is sent again, and "" for an event that has no id; [Entry].ID has it.
// df_event_id alone would not do: the statuses are part of it, so that a sender which keeps the id over a fault and its recovery does
// not lose the recovery. For an id that is a number of another system, the problem is part of it too.
func EventID(ev *guance.Event) string {
	if strings.Trim(ev.EventID, "0") == "" { // a sender that has none may write a zero
		return ""
	}
	id := ev.EventID + "/" + string(ev.Status) + "/" + string(ev.SubStatus)
	if len(ev.EventID) < uniqueID && !strings.HasPrefix(ev.EventID, "event-") {
		id += "/" + problemKey(ev)
	}
	return id
}

// uniqueID is the length from which an id is taken for the only one in the world, as that of a UUID is. A shorter one, unless Guance made it,
// is a number of another system, and two of those systems may count alike.
const uniqueID = 32

// Run delivers until ctx ends, and then lets attempts in flight finish for the drain time. It returns nil after a clean stop; an
// error means that the store has failed or was closed, and that the process should be restarted. It may be called once.
func (r *Relay) Run(ctx context.Context) error {
	if r.started.Swap(true) {
		return errors.New("relay: Run was called twice")
	}
	if err := r.reportStrays(ctx); err != nil {
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

// found ends Run if err says that the store has failed, and returns err: whoever runs the process must start it again, and lanes that have
// nothing to record would not notice for hours.
func (r *Relay) found(err error) error {
	if errors.Is(err, store.ErrFailed) {
		select {
		case r.failed <- err:
		default:
		}
	}
	return err
}

// reportStrays names the lanes that have a backlog and no sink: their entries are kept until the lane is back.
func (r *Relay) reportStrays(ctx context.Context) error {
	strays, err := r.store.Holdings(ctx)
	if err != nil {
		return fmt.Errorf("relay: reading the backlog: %w", err)
	}
	for _, l := range r.lanes {
		delete(strays, l.name)
	}
	r.strays.Store(&strays)
	for name, h := range strays {
		r.log.Warn("relay: a lane is gone from the configuration; its entries are kept", "lane", name, "pending", h.Pending, "dead", h.Dead)
	}
	return nil
}

// Check returns why the relay is not ready: a store that takes nothing, a lane that does not run, or no lane at all.
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
