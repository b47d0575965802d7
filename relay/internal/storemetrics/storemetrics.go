// Package storemetrics measures a store: what it holds, how much it may hold, and how long its
// commits take. The instruments of all stores have the same names.
package storemetrics

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

const scope = "github.com/guance-relay/guance-relay/relay/store"

// A Usage is what a store holds.
type Usage struct {
	Entries, MaxEntries int64 // pending
	Bytes, MaxBytes     int64 // of pending entries
	File                int64 // bytes of the file; 0: there is none
	Free                int64 // bytes that the disk of the file has left; negative: not known
}

// Metrics are the instruments of one store.
type Metrics struct {
	commit metric.Float64Histogram
	reader metric.Registration
}

// usageTimeout bounds how long a look at the metrics waits for the store.
const usageTimeout = 2 * time.Second

// New makes the instruments. A nil provider means OpenTelemetry's global one. While usage fails,
// the gauges have no values.
func New(p metric.MeterProvider, usage func(context.Context) (Usage, error)) (*Metrics, error) {
	if p == nil {
		p = otel.GetMeterProvider()
	}
	meter := p.Meter(scope)
	var err error
	var all []metric.Observable
	gauge := func(name, unit, description string) metric.Int64ObservableGauge {
		g, e := meter.Int64ObservableGauge(name, metric.WithUnit(unit),
			metric.WithDescription(description))
		err, all = errors.Join(err, e), append(all, g)
		return g
	}
	entries := gauge("relay.store.entries", "{entry}", "Pending entries of all lanes.")
	maxEntries := gauge("relay.store.entries.limit", "{entry}",
		"Pending entries that the store takes.")
	bytes := gauge("relay.store.pending", "By", "Bytes of the pending entries of all lanes.")
	maxBytes := gauge("relay.store.pending.limit", "By",
		"Bytes of pending entries that the store takes.")
	file := gauge("relay.store.file.size", "By", "Size of the file. It does not shrink.")
	free := gauge("relay.store.disk.free", "By", "Bytes that the disk of the file has left.")
	m := &Metrics{}
	var e error
	m.commit, e = meter.Float64Histogram("relay.store.commit.duration", metric.WithUnit("s"),
		metric.WithDescription("Time of one commit of the store, until it is durable."),
		metric.WithExplicitBucketBoundaries(.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1,
			2.5, 5, 10))
	if err = errors.Join(err, e); err == nil {
		m.reader, err = meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
			ctx, cancel := context.WithTimeout(ctx, usageTimeout)
			defer cancel()
			u, err := usage(ctx)
			if err != nil {
				return nil
			}
			o.ObserveInt64(entries, u.Entries)
			o.ObserveInt64(maxEntries, u.MaxEntries)
			o.ObserveInt64(bytes, u.Bytes)
			o.ObserveInt64(maxBytes, u.MaxBytes)
			if u.File > 0 {
				o.ObserveInt64(file, u.File)
			}
			if u.File > 0 && u.Free >= 0 {
				o.ObserveInt64(free, u.Free)
			}
			return nil
		}, all...)
	}
	if err != nil {
		return nil, fmt.Errorf("Options.MeterProvider: %w", err)
	}
	return m, nil
}

// Commit records how long a commit took.
func (m *Metrics) Commit(took time.Duration) {
	m.commit.Record(context.Background(), took.Seconds())
}

// Close ends the gauges. It may be called on nil.
func (m *Metrics) Close() error {
	if m == nil {
		return nil
	}
	return m.reader.Unregister()
}
