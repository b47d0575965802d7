package main

import (
	"fmt"
	stdlog "log"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
)

// metrics collects the metrics of the relay, the PagerDuty client and the Go runtime. A nil
// *metrics collects nothing.
type metrics struct {
	provider metric.MeterProvider
	registry *prometheus.Registry
}

// metrics returns nil without an operator's address, as nobody could read the metrics.
func (c *config) metrics(log *logWriter) (*metrics, error) {
	if c.operator == "" {
		return nil, nil
	}
	return newMetrics(log)
}

func newMetrics(log *logWriter) (*metrics, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "relay_log_lines_dropped_total",
			Help: "Log lines that were lost: writing failed, or they came faster than that.",
		}, func() float64 { return float64(log.dropped()) }),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	reader, err := exporter.New(
		exporter.WithRegisterer(registry),
		exporter.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes),
		exporter.WithoutScopeInfo(),  // the names begin with relay_ or pagerduty_
		exporter.WithoutTargetInfo(), // Prometheus knows the process
	)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return &metrics{sdk.NewMeterProvider(sdk.WithReader(reader)), registry}, nil
}

// meters returns the provider for measurements; nil if there is none.
func (m *metrics) meters() metric.MeterProvider {
	if m == nil {
		return nil
	}
	return m.provider
}

// handler writes all metrics in the text format of Prometheus.
func (m *metrics) handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:      stdlog.New(errorLog{log}, "metrics: ", 0),
		ErrorHandling: promhttp.HTTPErrorOnError,
		Registry:      m.registry, // for its own error counter
	})
}
