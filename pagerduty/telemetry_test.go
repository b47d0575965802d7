package pagerduty_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	nometrics "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	notraces "go.opentelemetry.io/otel/trace/noop"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// recorder is a minimal OpenTelemetry SDK: the real one is not a dependency of this module.
type recorder struct {
	mu          sync.Mutex
	spans       []*span
	points      []point
	zeros       []point // what a counter began with
	instruments []string
}

type point struct {
	name, unit string
	value      float64
	labels     string
}

type span struct {
	trace.Span
	recorder *recorder
	name     string
	kind     trace.SpanKind
	labels   []string
	events   []string
	status   codes.Code
	message  string
	ended    bool
}

func (r *recorder) tracers() trace.TracerProvider { return &tracers{recorder: r} }
func (r *recorder) meters() metric.MeterProvider  { return &meters{recorder: r} }

type tracers struct {
	notraces.TracerProvider
	recorder *recorder
}

func (p *tracers) Tracer(string, ...trace.TracerOption) trace.Tracer {
	return &tracer{recorder: p.recorder}
}

type tracer struct {
	notraces.Tracer
	recorder *recorder
}

func (t *tracer) Start(ctx context.Context, name string,
	options ...trace.SpanStartOption) (context.Context, trace.Span) {
	s := &span{Span: notraces.Span{}, recorder: t.recorder, name: name}
	config := trace.NewSpanStartConfig(options...)
	s.kind = config.SpanKind()
	t.recorder.mu.Lock()
	defer t.recorder.mu.Unlock()
	t.recorder.spans = append(t.recorder.spans, s)
	return trace.ContextWithSpan(ctx, s), s
}

func (s *span) IsRecording() bool { return true }

func (s *span) SetAttributes(labels ...attribute.KeyValue) {
	for _, l := range labels {
		s.labels = append(s.labels, string(l.Key)+"="+l.Value.String())
	}
}

func (s *span) AddEvent(name string, options ...trace.EventOption) {
	config := trace.NewEventConfig(options...)
	s.events = append(s.events, name+" "+labelsOf(attribute.NewSet(config.Attributes()...)))
}

func (s *span) SetStatus(code codes.Code, message string) { s.status, s.message = code, message }
func (s *span) End(...trace.SpanEndOption)                { s.ended = true }

type meters struct {
	nometrics.MeterProvider
	recorder *recorder
	refused  string // the instrument that cannot be made
}

func (p *meters) Meter(scope string, _ ...metric.MeterOption) metric.Meter {
	p.recorder.instruments = append(p.recorder.instruments, "of "+scope)
	return &meter{recorder: p.recorder, refused: p.refused}
}

type meter struct {
	nometrics.Meter
	recorder *recorder
	refused  string
}

func (m *meter) err(name string) error {
	if name == m.refused {
		return errors.New("no " + name)
	}
	return nil
}

func (m *meter) Int64Counter(name string,
	options ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	config := metric.NewInt64CounterConfig(options...)
	m.recorder.instruments = append(m.recorder.instruments, name+": "+config.Description())
	return &counter{recorder: m.recorder, name: name, unit: config.Unit()}, m.err(name)
}

func (m *meter) Float64Histogram(name string,
	options ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	config := metric.NewFloat64HistogramConfig(options...)
	m.recorder.instruments = append(m.recorder.instruments,
		fmt.Sprint(name, ": ", config.Description(), " ", config.ExplicitBucketBoundaries()))
	return &histogram{recorder: m.recorder, name: name, unit: config.Unit()}, m.err(name)
}

type counter struct {
	nometrics.Int64Counter
	recorder   *recorder
	name, unit string
}

func (c *counter) Add(_ context.Context, n int64, options ...metric.AddOption) {
	p := point{c.name, c.unit, float64(n), labelsOf(metric.NewAddConfig(options).Attributes())}
	if n == 0 {
		c.recorder.zeros = append(c.recorder.zeros, p) // by NewClient
		return
	}
	c.recorder.add(p)
}

type histogram struct {
	nometrics.Float64Histogram
	recorder   *recorder
	name, unit string
}

func (h *histogram) Record(_ context.Context, v float64, options ...metric.RecordOption) {
	h.recorder.add(point{h.name, h.unit, v, labelsOf(metric.NewRecordConfig(options).Attributes())})
}

func (r *recorder) add(p point) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.points = append(r.points, p)
}

func labelsOf(set attribute.Set) string {
	var labels []string
	for _, l := range set.ToSlice() {
		labels = append(labels, string(l.Key)+"="+l.Value.String())
	}
	return strings.Join(labels, " ")
}

// sendObserved sends one event that needs three attempts and a repair.
func sendObserved(t *testing.T, opts pagerduty.Options) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Script(
			pagerdutytest.Fault{Status: 503, Delay: 2 * time.Second},
			pagerdutytest.Fault{Status: http.StatusTooManyRequests},
		)
		opts.Transport, opts.ThrottleRetries = fake, 1
		ev := trigger("disk-1")
		ev.Source = ""
		if _, err := newClient(t, &opts).Send(t.Context(), ev); err != nil {
			t.Error(err)
		}
	})
}

func TestMetrics(t *testing.T) {
	r := new(recorder)
	sendObserved(t, pagerduty.Options{MeterProvider: r.meters()})
	var got []string
	for _, p := range r.points {
		if p.name == "pagerduty.attempt.duration" && p.labels == "class=transient" && p.value != 2 {
			t.Errorf("an attempt of 2 s was measured as %v s", p.value)
		}
		got = append(got, fmt.Sprintf("%s {%s} [%s]", p.name, p.labels, p.unit))
	}
	slices.Sort(got)
	want := []string{
		"pagerduty.attempt.duration {class=success} [s]",
		"pagerduty.attempt.duration {class=throttled} [s]",
		"pagerduty.attempt.duration {class=transient} [s]",
		"pagerduty.attempts {class=success} [{request}]",
		"pagerduty.attempts {class=throttled} [{request}]",
		"pagerduty.attempts {class=transient} [{request}]",
		"pagerduty.repaired {} [{event}]",
		"pagerduty.throttled {} [{request}]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Dashboards depend on the names, and on the bounds of the histogram, in seconds.
func TestInstruments(t *testing.T) {
	r := new(recorder)
	newClient(t, &pagerduty.Options{MeterProvider: r.meters()})
	want := []string{
		"of github.com/guance-relay/guance-relay/pagerduty",
		"pagerduty.attempts: Requests to the Events API, by class of outcome.",
		"pagerduty.throttled: Requests answered with 429.",
		"pagerduty.repaired: Events changed to fit the limits of the Events API.",
		"pagerduty.attempt.duration: Time from the start of a request to the end of its answer. " +
			"[0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30]",
	}
	if diff := cmp.Diff(want, r.instruments); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var zeros []string
	for _, p := range r.zeros {
		zeros = append(zeros, strings.TrimSpace(p.name+" "+p.labels))
	}
	slices.Sort(zeros)
	if diff := cmp.Diff([]string{"pagerduty.attempts class=ambiguous",
		"pagerduty.attempts class=config", "pagerduty.attempts class=permanent",
		"pagerduty.attempts class=success", "pagerduty.attempts class=throttled",
		"pagerduty.attempts class=transient", "pagerduty.repaired", "pagerduty.throttled"},
		zeros); diff != "" {
		t.Errorf("at zero (-want +got)\n%s", diff)
	}
	for _, name := range []string{"pagerduty.attempts", "pagerduty.throttled", "pagerduty.repaired",
		"pagerduty.attempt.duration"} {
		_, err := pagerduty.NewClient(routingKey(t, secret),
			&pagerduty.Options{MeterProvider: &meters{recorder: r, refused: name}})
		if want := "pagerduty: Options.MeterProvider: no " + name; err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Each class of an attempt has its label.
func TestClassesInMetrics(t *testing.T) {
	for status, class := range map[int]string{202: "success", 400: "permanent", 503: "transient",
		429: "throttled", 200: "ambiguous", 404: "config"} {
		r := new(recorder)
		requests := 0
		body := ""
		switch status {
		case 202:
			body = accepted
		case 400:
			body = `{"status":"invalid event","message":"m","errors":["e"]}`
		}
		client := newClient(t, &pagerduty.Options{MeterProvider: r.meters(), Retries: -1,
			Transport: answering(status, body, &requests)})
		_, _ = client.Send(t.Context(), trigger("a")) // most fail
		for _, p := range r.points {
			if strings.HasPrefix(p.name, "pagerduty.attempt") && p.labels != "class="+class {
				t.Errorf("%d: %s has %q, want class %s", status, p.name, p.labels, class)
			}
		}
		if len(r.points) < 2 {
			t.Errorf("%d: only %v", status, r.points)
		}
	}
}

func TestSpans(t *testing.T) {
	r := new(recorder)
	sendObserved(t, pagerduty.Options{TracerProvider: r.tracers()})
	if len(r.spans) != 1 || !r.spans[0].ended || r.spans[0].status != codes.Unset ||
		r.spans[0].name != "pagerduty.send" || r.spans[0].kind != trace.SpanKindClient {
		t.Fatalf("spans = %+v", r.spans)
	}
	s := r.spans[0]
	if want := []string{"pagerduty.action=trigger", "server.address=events.pagerduty.com",
		"pagerduty.repairs=1", "pagerduty.attempts=3"}; !slices.Equal(s.labels, want) {
		t.Errorf("labels = %v, want %v", s.labels, want)
	}
	if want := []string{
		"attempt class=transient http.response.status_code=503",
		"attempt class=throttled http.response.status_code=429",
		"attempt class=success http.response.status_code=202",
	}; !slices.Equal(s.events, want) {
		t.Errorf("events = %v, want %v", s.events, want)
	}

	r = new(recorder)
	requests := 0
	e := failed(t, newClient(t,
		&pagerduty.Options{TracerProvider: r.tracers(), Transport: answering(400, "", &requests)}),
		trigger("a"))
	if s := r.spans[0]; s.status != codes.Error || s.message != e.Error() ||
		!slices.Contains(s.labels, "error.type=config") {
		t.Errorf("span of a failure = %+v", s)
	}
}

func TestLogOfAttempts(t *testing.T) {
	var log bytes.Buffer
	sendObserved(t, pagerduty.Options{Logger: slog.New(slog.NewJSONHandler(&log,
		&slog.HandlerOptions{Level: slog.LevelDebug}))})
	var got []string
	for line := range strings.Lines(log.String()) {
		var entry struct {
			Level, Msg, Action, Class, Key string
			DedupKey                       string `json:"dedup_key"`
			Attempt, Status                int
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%+v", entry))
	}
	entry := "{Level:DEBUG Msg:pagerduty: attempt Action:trigger Class:%s Key:" +
		routingKey(t, secret).String() + " DedupKey:disk-1 Attempt:%d Status:%d}"
	want := []string{fmt.Sprintf(entry, "transient", 1, 503), fmt.Sprintf(entry, "throttled", 2, 429),
		fmt.Sprintf(entry, "success", 3, 202)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	log.Reset()
	sendObserved(t, pagerduty.Options{Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	if log.Len() != 0 {
		t.Errorf("logged above debug level: %s", &log)
	}
}
