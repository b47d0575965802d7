package relay

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// gauges keeps what observes the gauges, and what it observed.
type gauges struct {
	noop.Meter
	noop.Observer
	names  map[metric.Observable]string
	values map[string]float64
	look   metric.Callback
}

type named struct {
	noop.Int64ObservableGauge
	*int // so that no two are equal
}

type namedFloat struct {
	noop.Float64ObservableGauge
	*int
}

func (m *gauges) Int64ObservableGauge(name string, _ ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	g := named{int: new(int)}
	m.names[g] = name
	return g, nil
}

func (m *gauges) Float64ObservableGauge(name string, _ ...metric.Float64ObservableGaugeOption) (metric.Float64ObservableGauge, error) {
	g := namedFloat{int: new(int)}
	m.names[g] = name
	return g, nil
}

func (m *gauges) RegisterCallback(f metric.Callback, _ ...metric.Observable) (metric.Registration, error) {
	m.look = f
	return noop.Registration{}, nil
}

func (m *gauges) ObserveInt64(o metric.Int64Observable, n int64, _ ...metric.ObserveOption) {
	m.values[m.names[o]] += float64(n)
}

func (m *gauges) ObserveFloat64(o metric.Float64Observable, f float64, _ ...metric.ObserveOption) {
	m.values[m.names[o]] += f
}

type meters struct {
	noop.MeterProvider
	*gauges
}

func (p meters) Meter(string, ...metric.MeterOption) metric.Meter {
	return p.gauges
}

// The metrics know what is stuck, and an age is never negative, whatever was done to the clock between two looks at it.
func TestGauges(t *testing.T) {
	m := &gauges{names: make(map[metric.Observable]string), values: make(map[string]float64)}
	tel, err := newTelemetry(nil, meters{gauges: m})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	lanes := []LaneStats{
		{Name: "well"},
		{Name: "stuck", Oldest: at.Add(-90 * time.Second), Stuck: &Stuck{Count: 7}},
		{Name: "of the future", Oldest: at.Add(time.Hour)},
	}
	if _, err := tel.observe(func() ([]LaneStats, time.Time) { return lanes, at }); err != nil {
		t.Fatal(err)
	}
	if err := m.look(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	if m.values["relay.stuck"] != 7 || m.values["relay.backlog.age"] != 90 {
		t.Errorf("the gauges say %v, want 7 stuck entries and an age of 90 s", m.values)
	}
}
