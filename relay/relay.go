package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
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
	// Route returns the names of the lanes that want an event of a source, for a program that routes
	// by a table. The source without a name is "". Route is called once an event, concurrently. The
	// lanes whose Match takes the event want it too; a lane without Match wants what Route names. A
	// name of no lane is an error in the log. If Route panics, the event goes to every lane without
	// Match. Default: none; a lane without Match wants every event.
	Route func(source string, e *guance.Event) []string
	// Received is called with the receipt of each event of Accept, AcceptFrom and a Handler, once the
	// event was kept or was not. It is called concurrently, before the sender has an answer, so it
	// must be quick. A panic is logged. Default: none.
	Received func(source string, e *guance.Event, r Receipt)
	// Node is the name of this process among those that use one store, shown to people. It needs to
	// be set only where several processes run on one host. Default: the name of the host.
	Node string
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
	route     func(source string, e *guance.Event) []string
	onReceipt func(source string, e *guance.Event, r Receipt)
	cluster   store.Cluster // the store, if several nodes use it; otherwise nil
	node      string
	owners    atomic.Pointer[map[string]store.Owner] // of the lanes, a few seconds ago

	lanes   atomic.Pointer[laneSet]
	named   atomic.Pointer[laneSet] // the set whose lanes have taken over their former names
	naming  turn                    // taken while lanes take over names
	started atomic.Bool
	closing atomic.Bool
	failed  chan error  // the first failure of the store that a caller met
	unknown chan string // lanes without a sink that an event came to

	change  turn // taken while the lanes change
	running *run // guarded by change; nil: not running

	unavailable               sampledLog // the store cannot be reached
	unrouted, refused         sampledLog // events that no lane takes, or their source may not send
	routePanics, unknownLanes sampledLog // mistakes of Options.Route
	receiptPanics             sampledLog // of Options.Received
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
		failed: make(chan error, 1), unknown: make(chan string, 1), route: opts.Route,
		onReceipt: opts.Received, receiptPanics: newSampledLog(),
		naming: newTurn(), change: newTurn(), node: opts.Node, unavailable: newSampledLog(),
		unrouted: newSampledLog(), refused: newSampledLog(),
		routePanics: newSampledLog(), unknownLanes: newSampledLog(),
	}
	if r.log == nil {
		r.log = slog.Default()
	}
	orDefault(&r.drain, 5*time.Second)
	r.cluster, _ = db.(store.Cluster)
	if r.node == "" {
		r.node, _ = os.Hostname()
	}
	r.lanes.Store(&laneSet{byName: make(map[string]*lane)})
	var err error
	r.telemetry, err = newTelemetry(opts.TracerProvider, opts.MeterProvider)
	return r, err
}

// Handle adds a lane that delivers events to s. The store keeps the name: for a lane that is
// renamed, see SinkOptions.Formerly. Handle logs a decorator that [CheckSink] finds.
//
// Handle panics after Run was called, when [Relay.SetLane] adds lanes; if the name is empty, taken,
// longer than 64 bytes or holds a slash; if s is nil or a nil pointer; if an option is negative; if
// Middleware returns nil; if another lane is the fallback already; and if a fallback has a Match.
func (r *Relay) Handle(name string, s Sink, opts *SinkOptions) {
	if r.started.Load() {
		panic("relay: Handle after Run")
	}
	c, err := r.newConfig(name, s, opts)
	if err == nil {
		err = r.reconfigure(context.Background(), c, func(list []*laneConfig) ([]*laneConfig, error) {
			return append(list, c), nil
		})
	}
	if err != nil {
		panic(err.Error())
	}
}

// Run delivers until ctx ends, and then waits for attempts in flight for at most the drain time. It
// returns nil after a clean stop. An error means that the store has failed or was closed, or that a
// lane cannot take over another one, and that the process should be restarted. Run may be called
// once.
func (r *Relay) Run(ctx context.Context) error {
	if r.started.Swap(true) {
		return errors.New("relay: Run was called twice")
	}
	err := r.untilAvailable(ctx, func() error { return r.findLanes(ctx) })
	if err != nil {
		r.closing.Store(true)
		if ctx.Err() != nil { // stopped before it began
			return nil
		}
		return err
	}
	var unobserve func() error
	unobserve, err = r.telemetry.observe(r.laneStats, r.store.Holdings)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(ctx, func() { r.closing.Store(true) })()
	run := &run{ctx: ctx, stop: stop, tenures: make(map[*account]*tenure)}
	run.wg.Go(func() { r.clock.watch(ctx, r.log, r.telemetry.steps) })
	run.wg.Go(func() { r.adoptUnknown(ctx) })
	if r.cluster != nil {
		run.wg.Go(func() { r.watchOwners(ctx) })
	}
	_ = r.change.take(context.Background())
	// A lane may have been added since findLanes.
	if err := r.takeOverNames(ctx, r.lanes.Load()); err != nil {
		run.fail(err)
		stop()
	}
	r.running = run
	for _, a := range r.lanes.Load().accounts {
		r.begin(run, a)
	}
	r.change.giveBack()
	select {
	case <-ctx.Done():
	case err := <-r.failed:
		r.log.Error("relay: the store has failed; nothing more is accepted", "error", err.Error())
		run.fail(err)
		stop()
	}
	r.closing.Store(true)
	_ = r.change.take(context.Background()) // no lane changes from now on
	r.change.giveBack()
	run.wg.Wait()
	return errors.Join(append(run.errs, unobserve())...)
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

// findLanes has lanes take over their former names, and adds the lanes of the store that have no
// sink here.
func (r *Relay) findLanes(ctx context.Context) error {
	lanes := r.lanes.Load()
	if err := r.takeOverNames(ctx, lanes); err != nil {
		return err
	}
	renamed, err := r.store.Renamed(ctx)
	if err != nil {
		return fmt.Errorf("relay: reading the names of lanes: %w", err)
	}
	for name, present := range renamed {
		if lanes.lane(name) != nil && lanes.lane(present) != nil {
			return oneLane(name, present)
		}
	}
	held, err := r.store.Holdings(ctx)
	if err != nil {
		return fmt.Errorf("relay: reading the backlog: %w", err)
	}
	for name, present := range renamed {
		if lanes.lane(name) != nil { // it is called by its earlier name here
			delete(held, present)
		}
	}
	var unserved []string
	for name, h := range held {
		if lanes.lane(name) == nil {
			unserved = append(unserved, name)
			r.log.Warn("relay: a lane is gone from the configuration; its entries are kept",
				"lane", name, "pending", h.Pending, "dead", h.Dead)
		}
	}
	slices.Sort(unserved)
	return r.adopt(ctx, unserved)
}

// strange notes that an event came to a lane that this relay does not have.
func (r *Relay) strange(lane string) {
	select {
	case r.unknown <- lane:
	default: // the next event says it again
	}
}

// adoptUnknown adds the lanes without a sink that events came to, until ctx ends.
func (r *Relay) adoptUnknown(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case name := <-r.unknown:
			if err := r.adopt(ctx, []string{name}); err != nil && ctx.Err() == nil {
				r.log.Error("relay: a lane without a sink cannot be added; its entries are kept",
					"lane", name, "error", err.Error())
			}
		}
	}
}

// Check returns why the relay is not ready: the store takes no entries, a lane does not run, or
// there is no lane. It returns nil if the relay is ready.
func (r *Relay) Check(ctx context.Context) error {
	if r.closing.Load() {
		return errors.New("relay: closing")
	}
	err := r.store.Check(ctx)
	lanes := r.lanes.Load()
	if len(lanes.served) == 0 {
		err = errors.Join(err, errNoLanes)
	}
	for _, l := range lanes.all {
		if l.stats.Load().State == Stopped {
			err = errors.Join(err, fmt.Errorf("relay: lane %q does not run", l.name))
		}
	}
	return err
}
