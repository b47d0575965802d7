package relay

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/internal/schedule"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// observed keeps what observes the gauges, and what it observed.
type observed struct {
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

func (m *observed) Int64ObservableGauge(name string,
	_ ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	g := named{int: new(int)}
	m.names[g] = name
	return g, nil
}

func (m *observed) Float64ObservableGauge(name string,
	_ ...metric.Float64ObservableGaugeOption) (metric.Float64ObservableGauge, error) {
	g := namedFloat{int: new(int)}
	m.names[g] = name
	return g, nil
}

func (m *observed) RegisterCallback(f metric.Callback, _ ...metric.Observable) (metric.Registration,
	error) {
	m.look = f
	return noop.Registration{}, nil
}

func (m *observed) ObserveInt64(o metric.Int64Observable, n int64, opts ...metric.ObserveOption) {
	set := metric.NewObserveConfig(opts).Attributes()
	m.values[m.names[o]+"{"+set.Encoded(attribute.DefaultEncoder())+"}"] += float64(n)
}

func (m *observed) ObserveFloat64(o metric.Float64Observable, f float64,
	opts ...metric.ObserveOption) {
	set := metric.NewObserveConfig(opts).Attributes()
	m.values[m.names[o]+"{"+set.Encoded(attribute.DefaultEncoder())+"}"] += f
}

// counter keeps what was counted, by its attributes.
type counter struct {
	noop.Int64Counter
	values map[string]int64
}

func (c counter) Add(_ context.Context, n int64, opts ...metric.AddOption) {
	set := metric.NewAddConfig(opts).Attributes()
	c.values[set.Encoded(attribute.DefaultEncoder())] += n
}

// meters gives everybody the one meter.
type meters struct {
	noop.MeterProvider
	meter metric.Meter
}

func (p meters) Meter(string, ...metric.MeterOption) metric.Meter { return p.meter }

// The metrics know what is stuck, and an age is never negative, whatever was done to the clock
// between two looks at it.
func TestGauges(t *testing.T) {
	m := &observed{names: make(map[metric.Observable]string), values: make(map[string]float64)}
	tel, err := newTelemetry(nil, meters{meter: m})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	lanes := []LaneStats{
		{Name: "well", ByLevel: [guance.LevelFatal + 1]int{guance.LevelWarning: 3, guance.LevelFatal: 1},
			State: Held, Until: at.Add(time.Minute), BudgetLeft: 2.5, LastDelivered: at.Add(-time.Second)},
		{Name: "stuck", OldestByLevel: LevelTimes{guance.LevelError: at.Add(-90 * time.Second)},
			Stuck: &Stuck{Count: 7}, State: Probing, Until: at.Add(time.Second), Unconfirmed: 2},
		{Name: "of the future", OldestByLevel: LevelTimes{guance.LevelError: at.Add(time.Hour)},
			State: Standby},
	}
	tel.began = time.Now().Add(-time.Hour)
	tel.addHandler([]string{"", "shop"})
	tel.heardFrom("shop", true)
	holdings := func(context.Context) (map[string]store.Holdings, error) {
		return map[string]store.Holdings{"stuck": {Dead: 4}}, nil
	}
	_, err = tel.observe(func() ([]LaneStats, time.Time) { return lanes, at }, holdings)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.look(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"relay.stuck{lane=stuck}": 7, "relay.stuck{lane=well}": 0,
		"relay.backlog{lane=well,level=warning}": 3, "relay.backlog{lane=well,level=fatal}": 1,
		"relay.backlog{lane=well,level=critical}":           0,
		"relay.backlog.age{lane=stuck,level=error}":         90,
		"relay.backlog.age{lane=stuck,level=critical}":      0,
		"relay.backlog.age{lane=of the future,level=error}": 0,
		"relay.unconfirmed{lane=stuck}":                     2, "relay.unconfirmed{lane=well}": 0,
		"relay.lane.state{lane=well,state=held}": 1, "relay.lane.state{lane=well,state=idle}": 0,
		"relay.lane.owned{lane=well}": 1, "relay.lane.owned{lane=of the future}": 0,
		"relay.pause.remaining{lane=well}": 60, "relay.pause.remaining{lane=stuck}": 0,
		"relay.budget.left{lane=well}": 2.5, "relay.delivery.last.age{lane=well}": 1,
		"relay.dead.letters{lane=stuck}": 4, "relay.dead.letters{lane=well}": 0,
	} {
		if got, ok := m.values[name]; !ok || got != want {
			t.Errorf("%s is %v (observed: %v), want %v; all: %v", name, got, ok, want, m.values)
		}
	}
}

// Until a source has sent a webhook, and a lane has delivered, the age is that of the process.
func TestAgesBeginWithTheProcess(t *testing.T) {
	m := &observed{names: make(map[metric.Observable]string), values: make(map[string]float64)}
	tel, err := newTelemetry(nil, meters{meter: m})
	if err != nil {
		t.Fatal(err)
	}
	tel.began = time.Now().Add(-time.Hour)
	tel.addHandler([]string{"", "shop"})
	tel.heardFrom("shop", true)
	none := func(context.Context) (map[string]store.Holdings, error) {
		return nil, store.ErrUnavailable
	}
	_, err = tel.observe(func() ([]LaneStats, time.Time) {
		return []LaneStats{{Name: "a", State: Idle}}, time.Now()
	}, none)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.look(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"relay.webhook.last.age{source=default}": 3600, "relay.webhook.last.age{source=shop}": 0,
		"relay.delivery.last.age{lane=a}": 3600,
	} {
		if got, ok := m.values[name]; !ok || got < want || got > want+60 {
			t.Errorf("%s is %v (observed: %v), want %v", name, got, ok, want)
		}
	}
	if got, ok := m.values["relay.dead.letters{lane=a}"]; ok {
		t.Errorf("a store that cannot be reached holds %v dead letters", got)
	}
}

// mute is a meter that takes no callback.
type mute struct{ noop.Meter }

func (mute) RegisterCallback(metric.Callback, ...metric.Observable) (metric.Registration, error) {
	return nil, errors.New("no callbacks")
}

// A relay whose gauges would show nothing does not run.
func TestRunReturnsAnErrorOfTheMeter(t *testing.T) {
	r, err := New(memstore.New(), &Options{MeterProvider: meters{meter: mute{}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err = r.Run(ctx)
	if err == nil || err.Error() != "relay: Options.MeterProvider: no callbacks" {
		t.Errorf("Run: %v, want the error of the meter", err)
	}
}

// Each attempt is counted under what came of it.
func TestAttemptsAreCountedByClass(t *testing.T) {
	tel, err := newTelemetry(nil, noop.NewMeterProvider())
	if err != nil {
		t.Fatal(err)
	}
	attempts := counter{values: make(map[string]int64)}
	tel.attempts = attempts
	for class, v := range map[string]schedule.Result{
		"delivered": {Outcome: store.Delivered}, "ignored": {Outcome: store.Ignored},
		"dead": {Outcome: store.Dead}, "throttled": {Throttled: true},
		"handed back": {HandedBack: true}, "failed": {},
	} {
		tel.recordAttempt(context.Background(), "lane", &sinkResult{Result: v}, time.Second)
		if n := attempts.values["class="+class+",lane=lane"]; n != 1 {
			t.Errorf("class %q was counted %d times, want once: %v", class, n, attempts.values)
		}
	}
}

// catalogue keeps the instruments that are made, with their units and descriptions.
type catalogue struct {
	noop.Meter
	made map[string]string
}

func (c catalogue) note(kind, name, unit, description string) {
	c.made[name] = kind + " in " + unit
	if description == "" {
		c.made[name] += ", without a description"
	}
}

func (c catalogue) Int64Counter(name string,
	opts ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	config := metric.NewInt64CounterConfig(opts...)
	c.note("counter", name, config.Unit(), config.Description())
	return noop.Int64Counter{}, nil
}

func (c catalogue) Float64Histogram(name string,
	opts ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	config := metric.NewFloat64HistogramConfig(opts...)
	c.note("histogram", name, config.Unit(), config.Description())
	c.made[name] += fmt.Sprint(", buckets ", config.ExplicitBucketBoundaries())
	return noop.Float64Histogram{}, nil
}

func (c catalogue) Int64ObservableGauge(name string,
	opts ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	config := metric.NewInt64ObservableGaugeConfig(opts...)
	c.note("gauge", name, config.Unit(), config.Description())
	return noop.Int64ObservableGauge{}, nil
}

func (c catalogue) Float64ObservableGauge(name string,
	opts ...metric.Float64ObservableGaugeOption) (metric.Float64ObservableGauge, error) {
	config := metric.NewFloat64ObservableGaugeConfig(opts...)
	c.note("gauge", name, config.Unit(), config.Description())
	return noop.Float64ObservableGauge{}, nil
}

// Dashboards know the instruments by these names and buckets. Exporters make their units part of
// the names.
func TestInstruments(t *testing.T) {
	c := catalogue{made: make(map[string]string)}
	if _, err := newTelemetry(nil, meters{meter: c}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"relay.entries.settled": "counter in {entry}", "relay.attempts": "counter in {attempt}",
		"relay.webhooks": "counter in {request}", "relay.events": "counter in {event}",
		"relay.tenures": "counter in {tenure}", "relay.clock.steps": "counter in {step}",
		"relay.attempt.duration": "histogram in s, buckets " +
			"[0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30]",
		"relay.entry.age": "histogram in s, buckets [0.01 0.1 1 5 15 60 300 900 3600 14400 86400]",
		"relay.backlog":   "gauge in {entry}", "relay.stuck": "gauge in {entry}",
		"relay.backlog.age": "gauge in s", "relay.unconfirmed": "gauge in {problem}",
		"relay.lane.state": "gauge in {state}", "relay.lane.owned": "gauge in {lane}",
		"relay.pause.remaining": "gauge in s", "relay.budget.left": "gauge in {request}",
		"relay.delivery.last.age": "gauge in s", "relay.webhook.last.age": "gauge in s",
		"relay.dead.letters": "gauge in {entry}",
	}
	if diff := cmp.Diff(want, c.made); diff != "" {
		t.Error(diff)
	}
}

// histogram keeps what was recorded, by its attributes.
type histogram struct {
	noop.Float64Histogram
	values map[string]float64
}

func (h histogram) Record(_ context.Context, v float64, opts ...metric.RecordOption) {
	set := metric.NewRecordConfig(opts).Attributes()
	h.values[set.Encoded(attribute.DefaultEncoder())] = v
}

// The age of a delivered event has lane and level as labels: an alarm watches the critical ones.
func TestAgesAreToldByLevel(t *testing.T) {
	tel, err := newTelemetry(nil, noop.NewMeterProvider())
	if err != nil {
		t.Fatal(err)
	}
	ages := histogram{values: make(map[string]float64)}
	tel.waited = ages
	tel.recordDelivery(context.Background(), "lane", guance.LevelCritical, 90*time.Second)
	tel.recordDelivery(context.Background(), "lane", guance.LevelWarning, -time.Second)
	want := map[string]float64{"lane=lane,level=critical": 90, "lane=lane,level=warning": 0}
	if diff := cmp.Diff(want, ages.values); diff != "" {
		t.Error(diff)
	}
}
