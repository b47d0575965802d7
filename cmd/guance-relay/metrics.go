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
	reloads  *prometheus.CounterVec // by result; nil: there is no configuration file
	good     prometheus.Gauge       // whether the last reload was
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
	return &metrics{provider: sdk.NewMeterProvider(sdk.WithReader(reader)), registry: registry}, nil
}

// countReloads adds the metrics of reloads, at zero.
func (m *metrics) countReloads() {
	if m == nil {
		return
	}
	m.reloads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "relay_config_reloads_total", Help: "Reloads of the configuration file, by result.",
	}, []string{"result"})
	m.good = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "relay_config_last_reload_successful",
		Help: "1 if the configuration in force is that of the file, 0 after a reload that failed.",
	})
	m.good.Set(1)
	m.reloads.WithLabelValues("ok")
	m.reloads.WithLabelValues("failed")
	m.registry.MustRegister(m.reloads, m.good)
}

// reloaded counts a reload.
func (m *metrics) reloaded(ok bool) {
	switch {
	case m == nil:
	case ok:
		m.reloads.WithLabelValues("ok").Inc()
		m.good.Set(1)
	default:
		m.reloads.WithLabelValues("failed").Inc()
		m.good.Set(0)
	}
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
