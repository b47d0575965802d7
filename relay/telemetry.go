package relay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
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

// telemetry holds the instruments. Their labels have few values: lane, source, kind, fate, outcome,
// level, state, class, code and reason. Counters are there at zero before anything happens: an
// alert on their increase would miss the first event otherwise.
type telemetry struct {
	tracer   trace.Tracer
	meter    metric.Meter
	webhooks metric.Int64Counter
	events   metric.Int64Counter
	outcomes metric.Int64Counter
	attempts metric.Int64Counter
	tenures  metric.Int64Counter
	steps    metric.Int64Counter
	took     metric.Float64Histogram
	waited   metric.Float64Histogram
	gauges   gauges

	eventLabels sync.Map // eventLabel → metric.AddOption, made once
	began       time.Time
	heard       sync.Map // source → *atomic.Int64, see heardFrom
}

// An eventLabel is the labels of an event that came in.
type eventLabel struct {
	source string
	kind   guance.Kind
	fate   string
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
	t := &telemetry{tracer: tracers.Tracer(scope), meter: meters.Meter(scope), began: time.Now()}
	var err error
	counter := func(name, unit, description string) metric.Int64Counter {
		c, e := t.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
		err = errors.Join(err, e)
		return c
	}
	t.webhooks = counter("relay.webhooks", "{request}",
		"Requests to the webhook, by the status code of the answer and the reason of a 503.")
	t.events = counter("relay.events", "{event}", "Events of webhooks, by source, kind and fate. The "+
		"source without a name is called default.")
	t.outcomes = counter("relay.entries.settled", "{entry}",
		"Entries that ended, by lane and outcome.")
	t.attempts = counter("relay.attempts", "{attempt}",
		"Attempts to deliver an entry, by lane and class of answer.")
	t.tenures = counter("relay.tenures", "{tenure}",
		"How often this process became the owner of the lane.")
	t.steps = counter("relay.clock.steps", "{step}",
		"Steps of the wall clock by more than two seconds.")
	histogram := func(
		name, description string, buckets metric.HistogramOption,
	) metric.Float64Histogram {
		h, e := t.meter.Float64Histogram(name, metric.WithUnit("s"),
			metric.WithDescription(description), buckets)
		err = errors.Join(err, e)
		return h
	}
	t.took = histogram("relay.attempt.duration", "How long a sink took for one attempt, by lane.",
		attemptBuckets)
	t.waited = histogram("relay.entry.age", "Time from acceptance to delivery, by lane and level.",
		metric.WithExplicitBucketBoundaries(.01, .1, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400))
	if err = errors.Join(err, t.gauges.open(t.meter)); err != nil {
		return nil, fmt.Errorf("relay: Options.MeterProvider: %w", err)
	}
	t.steps.Add(context.Background(), 0)
	return t, nil
}

func byLane(name string, more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributes(append(more, attribute.String("lane", name))...)
}

// addLane has the counters of a lane begin at zero.
func (t *telemetry) addLane(name string) {
	for o := store.Delivered; o <= store.Dead; o++ {
		t.count(name, o, 0)
	}
	for _, class := range []string{"delivered", "ignored", "dead", classThrottled, classHandedBack,
		classFailed} {
		t.attempts.Add(context.Background(), 0, byLane(name, attribute.String("class", class)))
	}
	t.tenures.Add(context.Background(), 0, byLane(name))
}

// addHandler has the counters of a handler with these sources begin at zero.
func (t *telemetry) addHandler(sources []string) {
	for _, code := range []int{202, 400, 401, 403, 405, 408, 413, 415} {
		t.answered(code, "", 0)
	}
	for _, reason := range []string{"full", "unavailable", "failed", "closing", "busy"} {
		t.answered(503, reason, 0)
	}
	for _, source := range sources {
		t.heardFrom(source, false)
		for _, kind := range guance.Kinds() {
			for _, fate := range []string{"", fateDuplicate, fateUnrouted, fateRefused} {
				t.arrived(source, kind, fate, 0)
			}
		}
	}
}

// answered counts answers to webhooks.
func (t *telemetry) answered(code int, reason string, n int64) {
	t.webhooks.Add(context.Background(), n, metric.WithAttributes(
		attribute.String("code", strconv.Itoa(code)), attribute.String("reason", reason)))
}

// arrived counts events that came in. fate is that of the receipt.
func (t *telemetry) arrived(source string, kind guance.Kind, fate string, n int64) {
	label := eventLabel{source, kind, fate}
	labels, known := t.eventLabels.Load(label)
	if !known {
		if fate == "" {
			fate = "accepted"
		}
		labels, _ = t.eventLabels.LoadOrStore(label, metric.WithAttributeSet(attribute.NewSet(
			attribute.String("source", shownSource(source)), attribute.String("kind", string(kind)),
			attribute.String("fate", fate))))
	}
	t.events.Add(context.Background(), n, labels.(metric.MeasurementOption))
}

// shownSource returns the source for a label: Prometheus takes an empty label for none.
func shownSource(source string) string {
	if source == "" {
		return "default"
	}
	return source
}

// The classes of attempts without an outcome.
const (
	classFailed     = "failed"
	classHandedBack = "handed back"
	classThrottled  = "throttled"
)

func (t *telemetry) recordAttempt(
	ctx context.Context, lane string, r *sinkResult, took time.Duration,
) {
	class := classFailed
	switch {
	case r.Outcome != 0:
		class = r.Outcome.String()
	case r.HandedBack:
		class = classHandedBack
	case r.Throttled:
		class = classThrottled
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
