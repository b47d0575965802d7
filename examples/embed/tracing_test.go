package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
)

// service is a service with the relay inside and spans of its own.
type service struct {
	store *boltstore.Store
	relay *relay.Relay
	spans *tracetest.SpanRecorder
	mux   *http.ServeMux
	stop  func() error
}

// start starts a service with the store in dir. A webhook to /traced/guance is inside a span.
func start(t *testing.T, dir string, sink relay.Sink) *service {
	t.Helper()
	svc := &service{spans: tracetest.NewSpanRecorder(), mux: http.NewServeMux()}
	tracers := sdk.NewTracerProvider(sdk.WithSpanProcessor(svc.spans))
	var err error
	if svc.store, err = boltstore.Open(dir, nil); err != nil {
		t.Fatal(err)
	}
	if svc.relay, err = relay.New(svc.store, &relay.Options{Logger: slog.New(slog.DiscardHandler),
		TracerProvider: tracers}); err != nil {
		t.Fatal(err)
	}
	svc.relay.Handle("pagerduty", sink, nil)
	webhook, err := relay.NewHandler(svc.relay, &relay.HandlerOptions{NoAuth: true})
	if err != nil {
		t.Fatal(err)
	}
	svc.mux.Handle("/guance", webhook)
	// as a tracing middleware would
	svc.mux.HandleFunc("/traced/guance", func(w http.ResponseWriter, req *http.Request) {
		ctx, span := tracers.Tracer("service").Start(req.Context(), "webhook")
		defer span.End()
		webhook.ServeHTTP(w, req.WithContext(ctx))
	})
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- svc.relay.Run(ctx) }()
	svc.stop = func() error {
		cancel()
		return errors.Join(<-ran, svc.store.Close(), tracers.Shutdown(context.Background()))
	}
	return svc
}

func (svc *service) post(t *testing.T, path string, e *guance.Event) {
	t.Helper()
	w := httptest.NewRecorder()
	if svc.mux.ServeHTTP(w, httptest.NewRequest("POST", path,
		strings.NewReader(string(e.Raw)))); w.Code != http.StatusAccepted {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
}

// ended returns the finished spans of a name.
func (svc *service) ended(name string) (spans []sdk.ReadOnlySpan) {
	for _, s := range svc.spans.Ended() {
		if s.Name() == name {
			spans = append(spans, s)
		}
	}
	return spans
}

// A delivery belongs to the trace of the webhook that brought its event, also after failed attempts
// and a restart.
func TestTraceOutlivesRestart(t *testing.T) { synctest.Test(t, testTraceOutlivesRestart) }

func testTraceOutlivesRestart(t *testing.T) {
	dir := t.TempDir()
	tried := make(chan trace.SpanContext, 100)
	down := start(t, dir, relay.SinkFunc(func(ctx context.Context, _ *relay.Delivery) error {
		tried <- trace.SpanContextFromContext(ctx)
		return errors.New("the target is down")
	}))
	traced := guancetest.NewProblem("disk", "host", "traced")
	plain := guancetest.NewProblem("disk", "host", "plain")
	down.post(t, "/traced/guance", traced.Fault(guance.LevelCritical))
	first := within(t, tried)
	if err := down.stop(); err != nil {
		t.Fatal(err)
	}
	webhooks := down.ended("webhook")
	if len(webhooks) != 1 {
		t.Fatalf("%d webhooks, want 1", len(webhooks))
	}
	webhook := webhooks[0].SpanContext()
	failed := down.ended("relay.deliver")
	if len(failed) == 0 || failed[0].Status().Code != codes.Error ||
		failed[0].SpanContext().SpanID() != first.SpanID() {
		t.Fatalf("the failed attempt has the spans %v, and the sink saw %v", failed, first)
	}

	taken := make(chan trace.SpanContext, 100)
	up := start(t, dir, relay.SinkFunc(func(ctx context.Context, _ *relay.Delivery) error {
		taken <- trace.SpanContextFromContext(ctx)
		return nil
	}))
	again := within(t, taken)
	up.post(t, "/guance", plain.Fault(guance.LevelCritical)) // of no trace
	untraced := within(t, taken)
	if err := up.stop(); err != nil {
		t.Fatal(err)
	}
	delivered := up.ended("relay.deliver")
	if len(delivered) != 2 {
		t.Fatalf("after the restart there are %d deliveries, want 2", len(delivered))
	}
	for _, s := range append(failed, delivered[0]) {
		if s.SpanContext().TraceID() != webhook.TraceID() || s.Parent().SpanID() != webhook.SpanID() ||
			!s.Parent().IsRemote() {
			t.Errorf("%s is %v below %v, want it below the webhook, %v", s.Name(), s.SpanContext(),
				s.Parent(), webhook)
		}
	}
	if s := delivered[0]; s.Status().Code == codes.Error ||
		s.SpanContext().SpanID() != again.SpanID() || s.SpanKind() != trace.SpanKindConsumer {
		t.Errorf("the delivery is %v, %v, and the sink saw %v", s.SpanContext(), s.Status(), again)
	}
	if s := delivered[1]; s.SpanContext().TraceID() == webhook.TraceID() || s.Parent().IsValid() ||
		s.SpanContext().TraceID() != untraced.TraceID() {
		t.Errorf("what was not traced is delivered in %v below %v", s.SpanContext(), s.Parent())
	}
}

// within returns the span of the next attempt.
func within(t *testing.T, tried <-chan trace.SpanContext) trace.SpanContext {
	t.Helper()
	select {
	case span := <-tried:
		return span
	case <-time.After(time.Minute):
		t.Fatal("nothing is tried")
		return trace.SpanContext{}
	}
}
