package storemetrics

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// A meter keeps what observes its gauges, and what it observed.
type meter struct {
	noop.Meter
	noop.Observer
	names  map[metric.Observable]string
	values map[string]int64
	look   metric.Callback
}

type gauge struct {
	noop.Int64ObservableGauge
	*int // so that no two are equal
}

// A provider gives everybody the one meter.
type provider struct {
	noop.MeterProvider
	meter *meter
}

func (p provider) Meter(string, ...metric.MeterOption) metric.Meter { return p.meter }

func (m *meter) Int64ObservableGauge(name string,
	opts ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	g := gauge{int: new(int)}
	config := metric.NewInt64ObservableGaugeConfig(opts...)
	m.names[g] = name + " " + config.Unit()
	return g, nil
}

func (m *meter) RegisterCallback(f metric.Callback,
	_ ...metric.Observable) (metric.Registration, error) {
	m.look = f
	return noop.Registration{}, nil
}

func (m *meter) ObserveInt64(o metric.Int64Observable, n int64, _ ...metric.ObserveOption) {
	m.values[m.names[o]] = n
}

// The gauges show what the store says. What it does not know, and all while it cannot say anything,
// has no value.
func TestGauges(t *testing.T) {
	all := map[string]int64{
		"relay.store.entries {entry}": 1, "relay.store.entries.limit {entry}": 2,
		"relay.store.pending By": 3, "relay.store.pending.limit By": 4,
		"relay.store.file.size By": 5, "relay.store.disk.free By": 6,
	}
	without := func(names ...string) map[string]int64 {
		some := make(map[string]int64)
		for name, n := range all {
			some[name] = n
		}
		for _, name := range names {
			delete(some, name)
		}
		return some
	}
	for name, test := range map[string]struct {
		usage Usage
		err   error
		want  map[string]int64
	}{
		"a file": {Usage{1, 2, 3, 4, 5, 6}, nil, all},
		"a file on an unknown disk": {Usage{1, 2, 3, 4, 5, -1}, nil,
			without("relay.store.disk.free By")},
		"no file": {Usage{1, 2, 3, 4, 0, 0}, nil,
			without("relay.store.file.size By", "relay.store.disk.free By")},
		"away": {Usage{1, 2, 3, 4, 5, 6}, errors.New("away"), map[string]int64{}},
	} {
		m := &meter{names: make(map[metric.Observable]string), values: make(map[string]int64)}
		got, err := New(provider{meter: m}, func(context.Context) (Usage, error) {
			return test.usage, test.err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.look(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, m.values); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if err := got.Close(); err != nil {
			t.Error(err)
		}
	}
}
