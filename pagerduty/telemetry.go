package pagerduty

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

const (
	scope  = "github.com/guance-relay/guance-relay/pagerduty"
	module = "github.com/guance-relay/guance-relay"
)

// telemetry has the instruments. Their labels have few values: the class of an attempt and the
// action, and never a key.
type telemetry struct {
	tracer    trace.Tracer
	attempts  metric.Int64Counter
	duration  metric.Float64Histogram
	throttled metric.Int64Counter
	repaired  metric.Int64Counter
}

func newTelemetry(tracers trace.TracerProvider, meters metric.MeterProvider) (*telemetry, error) {
	if tracers == nil {
		tracers = otel.GetTracerProvider()
	}
	if meters == nil {
		meters = otel.GetMeterProvider()
	}
	meter := meters.Meter(scope)
	t := &telemetry{tracer: tracers.Tracer(scope)}
	var err error
	counter := func(name, unit, description string) (c metric.Int64Counter) {
		if err == nil {
			c, err = meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
		}
		return c
	}
	t.attempts = counter("pagerduty.attempts", "{request}", "Requests to the Events API, by class "+
		"of outcome.")
	t.throttled = counter("pagerduty.throttled", "{request}", "Requests answered with 429.")
	t.repaired = counter("pagerduty.repaired", "{event}", "Events changed to fit the limits of the "+
		"Events API.")
	if err == nil {
		t.duration, err = meter.Float64Histogram("pagerduty.attempt.duration", metric.WithUnit("s"),
			metric.WithDescription("Time from the start of a request to the end of its answer."),
			// In seconds; OpenTelemetry's defaults are for milliseconds.
			metric.WithExplicitBucketBoundaries(.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30))
	}
	if err != nil {
		return nil, fmt.Errorf("pagerduty: Options.MeterProvider: %w", err)
	}
	for class := range byClass {
		t.attempts.Add(context.Background(), 0, byClass[class].add...)
	}
	t.throttled.Add(context.Background(), 0)
	t.repaired.Add(context.Background(), 0)
	return t, nil
}

// byClass has the label of each class, made once so that an attempt allocates none.
var byClass = func() map[Class]labels {
	all := make(map[Class]labels)
	for _, class := range []Class{
		classSuccess, ClassPermanent, ClassTransient, ClassThrottled, ClassAmbiguous, ClassConfig,
	} {
		set := metric.WithAttributeSet(attribute.NewSet(attribute.String("class", string(class))))
		all[class] = labels{add: []metric.AddOption{set}, record: []metric.RecordOption{set}}
	}
	return all
}()

type labels struct {
	add    []metric.AddOption
	record []metric.RecordOption
}

func (t *telemetry) attempt(ctx context.Context, class Class, took time.Duration) {
	l := byClass[class]
	t.attempts.Add(ctx, 1, l.add...)
	t.duration.Record(ctx, took.Seconds(), l.record...)
	if class == ClassThrottled {
		t.throttled.Add(ctx, 1)
	}
}

// spanOptions is made once, so that a span allocates none.
var spanOptions = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient)}

// span starts the span of one call.
func (t *telemetry) span(ctx context.Context, c *call) (context.Context, trace.Span) {
	ctx, span := t.tracer.Start(ctx, "pagerduty.send", spanOptions...)
	if span.IsRecording() {
		span.SetAttributes(
			attribute.String("pagerduty.action", c.action),
			attribute.String("server.address", c.url.Host),
			attribute.Int("pagerduty.repairs", len(c.repairs)),
		)
	}
	return ctx, span
}

func endSpan(span trace.Span, attempts int, failed *Error) {
	if span.IsRecording() {
		span.SetAttributes(attribute.Int("pagerduty.attempts", attempts))
		if failed != nil {
			span.SetAttributes(attribute.String("error.type", string(failed.Class)))
			span.SetStatus(codes.Error, failed.Error())
		}
	}
	span.End()
}

// userAgent has the version of the module that is built into the program.
var userAgent = sync.OnceValue(func() string {
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path == module && m.Version != "" {
				version = strings.Trim(m.Version, "()")
			}
		}
	}
	return "guance-relay-pagerduty/" + version
})
