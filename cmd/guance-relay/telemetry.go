package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// telemetry is what the server measures, and where that goes.
type telemetry struct {
	*metrics
	tracers *sdktrace.TracerProvider // nil: no traces
}

// telemetry opens the exporters that the standard OTEL_* variables name. They are read by the SDK,
// from the environment of the process. Traces and metrics are exported only if an exporter or an
// endpoint is set, as most servers have nobody who takes them.
func (c *config) telemetry(ctx context.Context, stderr *logWriter,
	log *slog.Logger) (*telemetry, error) {
	otel.SetErrorHandler(&exportErrors{log: log})
	t := &telemetry{}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "guance-relay"),
			attribute.String("service.version", version())),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	var readers []sdkmetric.Reader
	if c.exports("METRICS") {
		reader, err := autoexport.NewMetricReader(ctx)
		if err != nil {
			return nil, fmt.Errorf("the OTEL_* variables, for metrics: %w", err)
		}
		readers = append(readers, reader)
	}
	if t.metrics, err = newMetrics(stderr, about, readers...); err != nil {
		return nil, err
	}
	if c.exports("TRACES") {
		exporter, err := autoexport.NewSpanExporter(ctx)
		if err != nil {
			return nil, fmt.Errorf("the OTEL_* variables, for traces: %w", err)
		}
		t.tracers = sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter),
			sdktrace.WithResource(about))
		otel.SetTracerProvider(t.tracers) // the relay and the PagerDuty client use it
	}
	return t, nil
}

// exportErrors logs what goes wrong in an export, at most once a minute.
type exportErrors struct {
	log *slog.Logger

	mu     sync.Mutex
	logged time.Time // guarded by mu
	count  int       // guarded by mu: since the last line
}

// Handle implements otel.ErrorHandler.
func (e *exportErrors) Handle(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.count++
	if time.Since(e.logged) < time.Minute {
		return
	}
	e.log.Error("OpenTelemetry: metrics or traces are not exported", "error", withoutPaths(err),
		"errors", e.count)
	e.logged, e.count = time.Now(), 0
}

var urls = regexp.MustCompile(`(https?://)(?:[^/\s"@]*@)?([^/\s"?]+)[^\s":]*`)

// withoutPaths returns an error as one line in which URLs have scheme and host alone: collectors
// that are a service have the key in the path.
func withoutPaths(err error) string { return urls.ReplaceAllString(oneLine(err), "$1$2") }

// exports reports whether a signal is to be exported.
func (c *config) exports(signal string) bool {
	if strings.EqualFold(c.getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	for _, name := range []string{"OTEL_" + signal + "_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT",
		"OTEL_EXPORTER_OTLP_" + signal + "_ENDPOINT"} {
		if c.getenv(name) != "" {
			return true
		}
	}
	return false
}

// flushTelemetry bounds the export at the stop: what is left then is lost.
const flushTelemetry = time.Second

// close exports what is left.
func (t *telemetry) close(log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), flushTelemetry)
	defer cancel()
	err := t.provider.Shutdown(ctx)
	if t.tracers != nil {
		err = errors.Join(err, t.tracers.Shutdown(ctx))
	}
	if err != nil {
		log.Warn("the last metrics or traces were not exported", "error", withoutPaths(err))
	}
}

// traced begins a span for each webhook, in the trace of its traceparent header. The store keeps
// the trace, and the deliveries are part of it. The URL is no attribute: it may hold the secret.
func (t *telemetry) traced(h http.Handler) http.Handler {
	if t.tracers == nil {
		return h
	}
	tracer := t.tracers.Tracer("github.com/guance-relay/guance-relay/cmd/guance-relay")
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx := propagation.TraceContext{}.Extract(req.Context(), propagation.HeaderCarrier(req.Header))
		ctx, span := tracer.Start(ctx, "relay.webhook", trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		answer := &statusWriter{ResponseWriter: w}
		h.ServeHTTP(answer, req.WithContext(ctx))
		span.SetAttributes(attribute.Int("http.response.status_code", answer.code))
	})
}

// A statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
