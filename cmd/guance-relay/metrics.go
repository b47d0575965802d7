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

// metrics are what the relay, the PagerDuty client and the Go runtime measure, in a registry of their own. A nil *metrics measures nothing.
type metrics struct {
	provider metric.MeterProvider
	registry *prometheus.Registry
}

func newMetrics(log *logWriter) (*metrics, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "relay_log_lines_dropped_total",
		Help: "Lines of the log that could not be written, or came faster than they could.",
	}, func() float64 { return float64(log.dropped()) }))
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	reader, err := exporter.New(exporter.WithRegisterer(registry), exporter.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes),
		exporter.WithoutScopeInfo(), exporter.WithoutTargetInfo()) // the names say where a metric comes from, and Prometheus which process
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return &metrics{sdk.NewMeterProvider(sdk.WithReader(reader)), registry}, nil
}

// meters is the provider that measurements go to; nil if nothing is measured.
func (m *metrics) meters() metric.MeterProvider {
	if m == nil {
		return nil
	}
	return m.provider
}

// handler answers with all metrics in the text format of Prometheus.
func (m *metrics) handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:      stdlog.New(errorLog{log}, "metrics: ", 0),
		ErrorHandling: promhttp.HTTPErrorOnError,
		Registry:      m.registry, // it counts its own errors there
	})
}
