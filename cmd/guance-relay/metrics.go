package main

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel/attribute"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
)

// metrics collects the metrics of the relay, the store, the PagerDuty client, the server and the Go
// runtime. All but those of the runtime go to OTLP too.
type metrics struct {
	provider *sdk.MeterProvider
	registry *prometheus.Registry
	files    atomic.Pointer[secretFiles] // nil before the server is open
	reloads  metric.Int64Counter
	failed   atomic.Bool  // the last reload
	loaded   atomic.Int64 // when the file was last read, since began
	began    time.Time
}

// newMetrics returns metrics for Prometheus and for further readers.
func newMetrics(log *logWriter, about *resource.Resource, further ...sdk.Reader) (*metrics, error) {
	m := &metrics{registry: prometheus.NewRegistry(), began: time.Now()}
	m.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	reader, err := exporter.New(
		exporter.WithRegisterer(m.registry),
		exporter.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes),
		exporter.WithoutScopeInfo(),  // the names begin with relay_ or pagerduty_
		exporter.WithoutTargetInfo(), // Prometheus knows the process
	)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	opts := []sdk.Option{sdk.WithReader(reader)}
	if about != nil {
		opts = append(opts, sdk.WithResource(about))
	}
	for _, r := range further {
		opts = append(opts, sdk.WithReader(r))
	}
	m.provider = sdk.NewMeterProvider(opts...)
	return m, m.ofServer(log)
}

// ofServer makes the instruments of the server itself.
func (m *metrics) ofServer(log *logWriter) error {
	meter := m.provider.Meter("github.com/guance-relay/guance-relay/cmd/guance-relay")
	var errs []error
	gauge := func(name, unit, help string, value func() int64, labels ...attribute.KeyValue) {
		_, err := meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(help),
			metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
				o.Observe(value(), metric.WithAttributes(labels...))
				return nil
			}))
		errs = append(errs, err)
	}
	gauge("relay.build.info", "{info}", "1; the labels say which version runs.",
		func() int64 { return 1 }, attribute.String("version", version()),
		attribute.String("go_version", runtime.Version()))
	gauge("relay.secret.files.unusable", "{file}",
		"Files of secrets that cannot be used; the last good secrets are in force.",
		func() int64 {
			files := m.files.Load()
			if files == nil {
				return 0
			}
			return int64(files.unusable())
		})
	gauge("relay.config.last.reload.successful", "{reload}",
		"1 if the configuration in force is that of the file, 0 after a reload that failed.",
		func() int64 {
			if m.failed.Load() {
				return 0
			}
			return 1
		})
	_, err := meter.Float64ObservableGauge("relay.config.last.reload.age", metric.WithUnit("s"),
		metric.WithDescription("Time since the last reload, good or not; since the start if there "+
			"was none."),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			o.Observe((time.Since(m.began) - time.Duration(m.loaded.Load())).Seconds())
			return nil
		}))
	errs = append(errs, err)
	_, err = meter.Int64ObservableCounter("relay.log.lines.dropped", metric.WithUnit("{line}"),
		metric.WithDescription("Log lines that were lost: writing failed, or they came faster than "+
			"that."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(log.dropped()))
			return nil
		}))
	errs = append(errs, err)
	m.reloads, err = meter.Int64Counter("relay.config.reloads", metric.WithUnit("{reload}"),
		metric.WithDescription("Reloads of the configuration file, by result."))
	if err := errors.Join(append(errs, err)...); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	for _, result := range []string{"ok", "failed"} {
		m.reloads.Add(context.Background(), 0, metric.WithAttributes(attribute.String("result", result)))
	}
	return nil
}

// reloaded counts a reload.
func (m *metrics) reloaded(ok bool) {
	result := "ok"
	if !ok {
		result = "failed"
	}
	m.failed.Store(!ok)
	m.loaded.Store(int64(time.Since(m.began)))
	m.reloads.Add(context.Background(), 1, metric.WithAttributes(attribute.String("result", result)))
}

// handler writes all metrics in the text format of Prometheus.
func (m *metrics) handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(zeroed{m.registry}, promhttp.HandlerOpts{
		ErrorLog:      stdlog.New(errorLog{log}, "metrics: ", 0),
		ErrorHandling: promhttp.HTTPErrorOnError,
		Registry:      m.registry, // for its own error counter
	})
}
