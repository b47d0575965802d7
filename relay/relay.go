package relay

import (
	"context"
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
	// Route returns the names of the lanes that want an event, for a program that routes by a table.
	// It is called once an event, concurrently. The lanes whose Match takes the event want it too; a
	// lane without Match wants what Route names. A name of no lane is an error in the log. If Route
	// panics, the event goes to every lane without Match. Default: none; a lane without Match wants
	// every event.
	Route func(*guance.Event) []string
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
	fallback *lane      // one of lanes; nil: there is none
	served   []string   // the names of lanes
	route    func(*guance.Event) []string
	unrouted sampledLog // events that no lane takes
	refused  sampledLog // events that their source may not send
	// Mistakes of Options.Route.
	routePanics, unknownLanes sampledLog
	orphans                   atomic.Pointer[map[string]store.Holdings]
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
		failed: make(chan error, 1), route: opts.Route,
		unrouted: newSampledLog(), refused: newSampledLog(),
		routePanics: newSampledLog(), unknownLanes: newSampledLog(),
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
// slash; if s is nil or a nil pointer; if an option is negative; if Middleware returns nil; if
// another lane is the fallback already; and if a fallback has a Match.
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
	l := newLane(name, s, opts, r)
	if l.opts.Fallback {
		switch {
		case r.fallback != nil:
			panic(fmt.Sprintf("relay: lanes %q and %q are both the fallback", r.fallback.name, name))
		case l.opts.Match != nil:
			panic("relay: the fallback takes what no other lane took; remove Match of lane " + name)
		}
		r.fallback = l
	}
	r.lanes, r.served = append(r.lanes, l), append(r.served, name)
}

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
