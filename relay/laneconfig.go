package relay

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A laneConfig is a lane as the program describes it. It does not change, but for its figures:
// another one takes its place.
type laneConfig struct {
	name      string
	sink      Sink // its optional behaviour counts; nil: the lane sends nothing
	decorated Sink // the same, within SinkOptions.Middleware
	opts      SinkOptions
	account   string // see AccountNamer; empty: an account of its own
	log       *slog.Logger
	drain     time.Duration
	clock     *clock
	telemetry *telemetry
	*figures
}

// figures are what stays when a lane gets another sink.
type figures struct {
	calls  chan call // for the loop that runs
	stats  atomic.Pointer[LaneStats]
	atOnce [store.Dead + 1]atomic.Uint64 // entries that ended when they were accepted, by outcome
	hooks  struct{ match, ignores, full sampledLog }
	counts // owned by the loop that runs
	recent recent
	budget atomic.Pointer[budget] // of the account; nil before the lane first ran
	took   time.Duration          // how long attempts take; the same
}

// counts are the figures of a lane since it was added.
type counts struct {
	outcomes                    [store.Dead + 1]uint64
	attempts, failed, throttled uint64
	delivered                   time.Time // when the target last took an event
}

func newFigures(name string) *figures {
	f := &figures{calls: make(chan call)}
	f.hooks.match, f.hooks.ignores, f.hooks.full = newSampledLog(), newSampledLog(), newSampledLog()
	f.stats.Store(&LaneStats{Name: name, State: Stopped})
	return f
}

// newConfig describes a lane that delivers to s.
func (r *Relay) newConfig(name string, s Sink, opts *SinkOptions) (*laneConfig, error) {
	if isNil(s) {
		return nil, fmt.Errorf("relay: nil sink for lane %s", name)
	}
	c, err := r.newLaneWithoutSink(name, opts)
	if err != nil {
		return nil, err
	}
	c.sink = s
	if n, ok := SinkAs[AccountNamer](s); ok {
		c.account = n.Account()
	}
	if e, ok := SinkAs[EveryEvent](s); ok {
		c.opts.EveryEvent = c.opts.EveryEvent || e.EveryEvent()
	}
	return c, c.decorate()
}

// newLaneWithoutSink describes a lane that sends nothing. It supersedes, expires and drops.
func (r *Relay) newLaneWithoutSink(name string, opts *SinkOptions) (*laneConfig, error) {
	d, err := opts.withDefaults()
	switch {
	case err != nil:
	case !validLane(name):
		err = fmt.Errorf("relay: invalid lane name %q", name)
	case d.Formerly != "" && !validLane(d.Formerly):
		err = fmt.Errorf("relay: lane %s: invalid lane name %q in Formerly", name, d.Formerly)
	case d.Fallback && d.Match != nil:
		err = errors.New("relay: the fallback takes what no other lane took; remove Match of lane " +
			name)
	}
	if err != nil {
		return nil, err
	}
	r.telemetry.addLane(name)
	return &laneConfig{
		name: name, opts: d, log: r.log.With("lane", name), drain: r.drain, clock: r.clock,
		telemetry: r.telemetry, figures: newFigures(name),
	}, nil
}

func validLane(name string) bool {
	return name != "" && len(name) <= 64 && !strings.Contains(name, "/")
}

// withoutSink returns the same lane without its sink.
func (c *laneConfig) withoutSink() *laneConfig {
	d := *c
	d.sink, d.decorated, d.account = nil, nil, ""
	d.opts.Match, d.opts.Fallback, d.opts.Middleware = nil, false, nil
	return &d
}

// accountKey identifies the account. Names of lanes have no slash.
func (c *laneConfig) accountKey() string {
	if c.account == "" {
		return "lane/" + c.name
	}
	return "account/" + c.account
}
