package main

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	metricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// A collector takes what OTLP sends.
type collector struct {
	*httptest.Server
	status int

	mu      sync.Mutex
	spans   map[string][]string // guarded by mu: names by trace
	metrics []string            // guarded by mu
	raw     bytes.Buffer        // guarded by mu: all bodies
	headers []string            // guarded by mu: Authorization
}

func newCollector(t *testing.T, status int) *collector {
	c := &collector{status: status, spans: make(map[string][]string)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // the server has ended
		}
		c.take(t, req, body)
		w.Header().Set("Content-Type", "application/x-protobuf")
		w.WriteHeader(c.status)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) take(t *testing.T, req *http.Request, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(body)
	c.headers = append(c.headers, req.Header.Get("Authorization"))
	if strings.HasSuffix(req.URL.Path, "/v1/metrics") {
		var all metricpb.ExportMetricsServiceRequest
		if err := proto.Unmarshal(body, &all); err != nil {
			t.Error(err)
		}
		for _, r := range all.ResourceMetrics {
			for _, s := range r.ScopeMetrics {
				for _, m := range s.Metrics {
					c.metrics = append(c.metrics, m.Name)
				}
			}
		}
		return
	}
	var all tracepb.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &all); err != nil {
		t.Error(err)
	}
	for _, r := range all.ResourceSpans {
		for _, s := range r.ScopeSpans {
			for _, span := range s.Spans {
				id := hex.EncodeToString(span.TraceId)
				c.spans[id] = append(c.spans[id], span.Name)
			}
		}
	}
}

// wait waits until a trace has a span.
func (c *collector) wait(t *testing.T, trace, span string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		c.mu.Lock()
		names := slices.Clone(c.spans[trace])
		c.mu.Unlock()
		if slices.Contains(names, span) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the trace has the spans %q, want %s", names, span)
		}
	}
}

// otlp is the environment that exports to a collector.
func (c *collector) otlp() []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL, "OTEL_BSP_SCHEDULE_DELAY=50",
		"OTEL_METRIC_EXPORT_INTERVAL=50"}
}

// The deliveries of an event are in the trace of its webhook, also after a restart. Metrics go the
// same way.
func TestTraceThroughTheStore(t *testing.T) {
	const trace = "0af7651916cd43dd8448eb211c80319c"
	c := newCollector(t, http.StatusOK)
	pd := pagerdutytest.NewServer()
	t.Cleanup(pd.Close)
	env := append(c.otlp(), "RELAY_DATA="+t.TempDir())
	p := start(t, append(env, "PAGERDUTY_URL=http://127.0.0.1:1")...)
	req, err := http.NewRequestWithContext(t.Context(), "POST", p.url+"/guance",
		bytes.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Relay-Token", token)
	req.Header.Set("Traceparent", "00-"+trace+"-b7ad6b7169203331-01")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	c.wait(t, trace, "relay.webhook")
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	if !slices.Contains(c.metrics, "relay.webhooks") ||
		!slices.Contains(c.metrics, "relay.store.entries") {
		t.Errorf("the metrics are %q", c.metrics)
	}
	clear(c.spans)
	c.mu.Unlock()
	start(t, append(env, "PAGERDUTY_URL="+pd.URL)...)
	c.wait(t, trace, "relay.deliver")
	c.wait(t, trace, "pagerduty.send")
}

// Without a variable nothing is exported.
func TestExports(t *testing.T) {
	for name, test := range map[string]struct {
		env             map[string]string
		traces, metrics bool
	}{
		"nothing":     {nil, false, false},
		"an endpoint": {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, true, true},
		"of traces":   {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, true, false},
		"of metrics":  {map[string]string{"OTEL_METRICS_EXPORTER": "console"}, false, true},
		"disabled": {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c",
			"OTEL_SDK_DISABLED": "true"}, false, false},
	} {
		c := &config{getenv: func(name string) string { return test.env[name] }}
		if traces, metrics := c.exports("TRACES"), c.exports("METRICS"); traces != test.traces ||
			metrics != test.metrics {
			t.Errorf("%s: traces %v and metrics %v", name, traces, metrics)
		}
	}
}
