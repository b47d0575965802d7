package relay

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// gauges are read when somebody looks. Times are ages in seconds and not dates: a step of the wall
// clock changes none.
type gauges struct {
	backlog, stuck, unconfirmed, state, owned, dead metric.Int64ObservableGauge
	oldest, paused, budget, delivered, webhook      metric.Float64ObservableGauge
	all                                             []metric.Observable
}

// laneStates are the values of LaneStats.State.
var laneStates = []LaneState{
	Idle, Sending, Budgeted, Paused, BackingOff, Repeating, Probing, Reading, Standby, Held, NoSink,
	Stopped,
}

// open makes the instruments.
func (g *gauges) open(meter metric.Meter) (err error) {
	number := func(name, unit, description string) metric.Int64ObservableGauge {
		i, e := meter.Int64ObservableGauge(name, metric.WithUnit(unit),
			metric.WithDescription(description))
		err, g.all = errors.Join(err, e), append(g.all, i)
		return i
	}
	measure := func(name, unit, description string) metric.Float64ObservableGauge {
		i, e := meter.Float64ObservableGauge(name, metric.WithUnit(unit),
			metric.WithDescription(description))
		err, g.all = errors.Join(err, e), append(g.all, i)
		return i
	}
	g.backlog = number("relay.backlog", "{entry}", "Pending entries, by lane and level.")
	g.oldest = measure("relay.backlog.age", "s", "Age of the oldest pending entry, by lane and the "+
		"highest level of its problem; 0 if there is none.")
	g.stuck = number("relay.stuck", "{entry}",
		"Entries that do not get through, by lane. The log says why.")
	g.unconfirmed = number("relay.unconfirmed", "{problem}",
		"Problems with pending entries for which the answer of a request was lost, by lane.")
	g.state = number("relay.lane.state", "{state}",
		"1 for the state of the lane, and 0 for the others.")
	g.owned = number("relay.lane.owned", "{lane}",
		"1 if this process owns the lane, and 0 if another one does or none.")
	g.paused = measure("relay.pause.remaining", "s",
		"Time until the pause of the lane ends, by the target's or an operator's word; 0 without one.")
	g.budget = measure("relay.budget.left", "{request}",
		"Requests that the lane could begin at once. Lanes of one account share them.")
	g.delivered = measure("relay.delivery.last.age", "s",
		"Time since the target last took an event; since the start of the process if it took none.")
	g.webhook = measure("relay.webhook.last.age", "s", "Time since the last webhook that was "+
		"answered 202, by source; since the start of the process if there was none.")
	g.dead = number("relay.dead.letters", "{entry}", "Dead letters that the store holds, by lane.")
	return err
}

// holdingsTimeout bounds how long a look at the metrics waits for the store.
const holdingsTimeout = 2 * time.Second

// observe reads the gauges until end is called. stats returns figures and the wall time of the same
// moment, so that a step of the wall clock changes no age.
func (t *telemetry) observe(
	stats func() ([]LaneStats, time.Time),
	holdings func(context.Context) (map[string]store.Holdings, error),
) (end func() error, err error) {
	r, err := t.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		lanes, now := stats()
		for i := range lanes {
			t.observeLane(o, &lanes[i], now)
		}
		t.heard.Range(func(source, at any) bool {
			last := time.Duration(at.(*atomic.Int64).Load())
			o.ObserveFloat64(t.gauges.webhook, (time.Since(t.began) - last).Seconds(),
				metric.WithAttributes(attribute.String("source", source.(string))))
			return true
		})
		ctx, cancel := context.WithTimeout(ctx, holdingsTimeout)
		defer cancel()
		held, err := holdings(ctx)
		if err != nil {
			return nil // the series ends until the store can be reached; the lanes say why
		}
		for _, s := range lanes {
			o.ObserveInt64(t.gauges.dead, int64(held[s.Name].Dead), byLane(s.Name))
		}
		return nil
	}, t.gauges.all...)
	if err != nil {
		return nil, fmt.Errorf("relay: Options.MeterProvider: %w", err)
	}
	return r.Unregister, nil
}

func (t *telemetry) observeLane(o metric.Observer, s *LaneStats, now time.Time) {
	g, lane := &t.gauges, byLane(s.Name)
	age := func(since time.Time) float64 {
		if since.IsZero() {
			return 0
		}
		return max(now.Sub(since), 0).Seconds()
	}
	for level, n := range s.ByLevel {
		labels := byLane(s.Name, attribute.String("level", guance.Level(level).String()))
		o.ObserveInt64(g.backlog, int64(n), labels)
		o.ObserveFloat64(g.oldest, age(s.OldestByLevel[level]), labels)
	}
	stuck := 0
	if s.Stuck != nil {
		stuck = s.Stuck.Count
	}
	o.ObserveInt64(g.stuck, int64(stuck), lane)
	o.ObserveInt64(g.unconfirmed, int64(s.Unconfirmed), lane)
	for _, state := range laneStates {
		o.ObserveInt64(g.state, flag(s.State == state),
			byLane(s.Name, attribute.String("state", string(state))))
	}
	o.ObserveInt64(g.owned, flag(s.State != Standby && s.State != Stopped), lane)
	paused := 0.0
	if s.State == Paused || s.State == Held {
		paused = max(s.Until.Sub(now), 0).Seconds()
	}
	o.ObserveFloat64(g.paused, paused, lane)
	o.ObserveFloat64(g.budget, s.BudgetLeft, lane)
	last := time.Since(t.began).Seconds()
	if !s.LastDelivered.IsZero() {
		last = age(s.LastDelivered)
	}
	o.ObserveFloat64(g.delivered, last, lane)
}

func flag(set bool) int64 {
	if set {
		return 1
	}
	return 0
}

// heardFrom notes that a webhook of a source was answered 202, or that there is such a source.
func (t *telemetry) heardFrom(source string, now bool) {
	at, _ := t.heard.LoadOrStore(shownSource(source), new(atomic.Int64))
	if now {
		at.(*atomic.Int64).Store(int64(time.Since(t.began)))
	}
}
