package relay

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

const scope = "github.com/guance-relay/guance-relay/relay"

// telemetry holds the instruments. Their labels have few values: lane, source, outcome, level and
// class.
type telemetry struct {
	tracer   trace.Tracer
	meter    metric.Meter
	outcomes metric.Int64Counter
	attempts metric.Int64Counter
	took     metric.Float64Histogram
	waited   metric.Float64Histogram
	backlog  metric.Int64ObservableGauge
	oldest   metric.Float64ObservableGauge
	stuck    metric.Int64ObservableGauge
	unrouted metric.Int64Counter
	refused  metric.Int64Counter
}

// attemptBuckets are in seconds. OpenTelemetry's default ones are for milliseconds.
var attemptBuckets = metric.WithExplicitBucketBoundaries(
	.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30)

func newTelemetry(tracers trace.TracerProvider, meters metric.MeterProvider) (*telemetry, error) {
	if tracers == nil {
		tracers = otel.GetTracerProvider()
	}
	if meters == nil {
		meters = otel.GetMeterProvider()
	}
	t := &telemetry{tracer: tracers.Tracer(scope), meter: meters.Meter(scope)}
	var errs [9]error
	t.outcomes, errs[0] = t.meter.Int64Counter("relay.entries.settled", metric.WithUnit("{entry}"),
		metric.WithDescription("Entries that ended, by lane and outcome."))
	t.attempts, errs[1] = t.meter.Int64Counter("relay.attempts", metric.WithUnit("{attempt}"),
		metric.WithDescription("Attempts to deliver an entry, by lane and class of answer."))
	t.took, errs[2] = t.meter.Float64Histogram("relay.attempt.duration", metric.WithUnit("s"),
		metric.WithDescription("How long a sink took for one attempt, by lane."), attemptBuckets)
	t.waited, errs[3] = t.meter.Float64Histogram("relay.entry.age", metric.WithUnit("s"),
		metric.WithDescription("Time from acceptance to delivery, by lane and level."),
		metric.WithExplicitBucketBoundaries(.01, .1, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400))
	t.backlog, errs[4] = t.meter.Int64ObservableGauge("relay.backlog", metric.WithUnit("{entry}"),
		metric.WithDescription("Pending entries, by lane and level."))
	t.oldest, errs[5] = t.meter.Float64ObservableGauge("relay.backlog.age", metric.WithUnit("s"),
		metric.WithDescription("Age of the oldest pending entry, by lane; 0 if there is none."))
	t.unrouted, errs[7] = t.meter.Int64Counter("relay.unrouted", metric.WithUnit("{event}"),
		metric.WithDescription("Events that no lane takes, and that were not kept."))
	t.refused, errs[8] = t.meter.Int64Counter("relay.refused", metric.WithUnit("{event}"),
		metric.WithDescription("Events of workspaces that their source may not speak for, by source."))
	t.stuck, errs[6] = t.meter.Int64ObservableGauge("relay.stuck", metric.WithUnit("{entry}"),
		metric.WithDescription("Entries that do not get through, by lane. The log says why."))
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("relay: Options.MeterProvider: %w", err)
		}
	}
	return t, nil
}

func byLane(name string, more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributes(append(more, attribute.String("lane", name))...)
}

// observe reads the gauges from stats until end is called. stats returns figures and the wall time
// of the same moment, so that a step of the wall clock changes no age.
func (t *telemetry) observe(stats func() ([]LaneStats, time.Time)) (end func() error, err error) {
	r, err := t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		lanes, now := stats()
		for _, s := range lanes {
			for level, n := range s.ByLevel {
				o.ObserveInt64(t.backlog, int64(n),
					byLane(s.Name, attribute.String("level", guance.Level(level).String())))
			}
			age := 0.0
			if !s.Oldest.IsZero() {
				age = max(now.Sub(s.Oldest), 0).Seconds()
			}
			o.ObserveFloat64(t.oldest, age, byLane(s.Name))
			stuck := 0
			if s.Stuck != nil {
				stuck = s.Stuck.Count
			}
			o.ObserveInt64(t.stuck, int64(stuck), byLane(s.Name))
		}
		return nil
	}, t.backlog, t.oldest, t.stuck)
	if err != nil {
		return nil, fmt.Errorf("relay: Options.MeterProvider: %w", err)
	}
	return r.Unregister, nil
}

func (t *telemetry) recordAttempt(
	ctx context.Context, lane string, r *sinkResult, took time.Duration,
) {
	class := "failed"
	switch {
	case r.Outcome != 0:
		class = r.Outcome.String()
	case r.HandedBack:
		class = "handed back"
	case r.Throttled:
		class = "throttled"
	}
	t.attempts.Add(ctx, 1, byLane(lane, attribute.String("class", class)))
	t.took.Record(ctx, took.Seconds(), byLane(lane))
}

// recordDelivery records how long after it was kept an entry was delivered.
func (t *telemetry) recordDelivery(
	ctx context.Context, lane string, l guance.Level, age time.Duration,
) {
	t.waited.Record(ctx, max(age, 0).Seconds(), byLane(lane, attribute.String("level", l.String())))
}

func (t *telemetry) count(lane string, o store.Outcome, n int) {
	labels := byLane(lane, attribute.String("outcome", o.String()))
	t.outcomes.Add(context.Background(), int64(n), labels)
}

// traceparent returns the trace of a webhook in its W3C form, for [store.Entry].Trace.
func traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier.Get("traceparent")
}

// deliver begins the span of one attempt, in the trace of the webhook.
func (t *telemetry) deliver(ctx context.Context, e *store.Entry) (context.Context, func(error)) {
	if e.Trace != "" {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": e.Trace})
	}
	ctx, span := t.tracer.Start(ctx, "relay.deliver", trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.String("relay.lane", e.Lane),
			attribute.Int64("relay.seq", int64(e.Seq)), attribute.String("relay.level", e.Level.String())))
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}
