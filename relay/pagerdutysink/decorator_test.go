package pagerdutysink_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/pagerdutysink"
)

// plain is a decorator without Unwrap. It hides the other methods of its sink.
type plain struct{ s relay.Sink }

func (p plain) Deliver(ctx context.Context, d *relay.Delivery) error { return p.s.Deliver(ctx, d) }

// open is the same with Unwrap.
type open struct{ plain }

func (o open) Unwrap() relay.Sink { return o.s }

// decorated are the ways to decorate a sink without hiding methods.
var decorated = map[string]func(r *relay.Relay, lane string, s relay.Sink){
	"Unwrap": func(r *relay.Relay, lane string, s relay.Sink) {
		r.Handle(lane, open{plain{s}}, nil)
	},
	"Unwrap, twice": func(r *relay.Relay, lane string, s relay.Sink) {
		r.Handle(lane, open{plain{open{plain{s}}}}, nil)
	},
	"SinkOptions": func(r *relay.Relay, lane string, s relay.Sink) {
		r.Handle(lane, s, &relay.SinkOptions{Middleware: middleware})
	},
	"both": func(r *relay.Relay, lane string, s relay.Sink) {
		r.Handle(lane, open{plain{s}}, &relay.SinkOptions{Middleware: middleware})
	},
	"none": func(r *relay.Relay, lane string, s relay.Sink) { r.Handle(lane, s, nil) },
}

func middleware(next relay.Sink) relay.Sink { return plain{next} }

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// lines returns the lines of the log that hold a text.
func (b *logBuffer) lines(text string) (found []string) {
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// several runs a relay with lanes of one routing key, in a bubble.
func several(t *testing.T, fake *pagerdutytest.Transport, opts *pagerdutysink.Options,
	handle func(*relay.Relay, string, relay.Sink), lanes ...string) (*relay.Relay, *logBuffer) {
	t.Helper()
	k, err := pagerduty.ParseRoutingKey(key)
	if err != nil {
		t.Fatal(err)
	}
	client, err := pagerduty.NewClient(k, &pagerduty.Options{Transport: fake})
	if err != nil {
		t.Fatal(err)
	}
	log := &logBuffer{}
	r, err := relay.New(memstore.New(), &relay.Options{Logger: slog.New(slog.NewTextHandler(log,
		nil))})
	if err != nil {
		t.Fatal(err)
	}
	for _, lane := range lanes {
		handle(r, lane, pagerdutysink.New(client, opts))
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r, log
}

var noWarnings = &pagerdutysink.Options{Map: func(e *guance.Event, _ *pagerduty.Event) bool {
	return e.Level() != guance.LevelWarning
}}

func TestReport31WhatADecoratedSinkIgnoresSupersedesNothing(t *testing.T) {
	for name, handle := range decorated {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := pagerdutytest.NewTransport()
				r, log := several(t, fake, noWarnings, handle, "pager")
				p := guancetest.NewProblem("disk", "host", "web001")
				critical := p.Fault(guance.LevelCritical)
				say(t, r, critical, p.Fault(guance.LevelWarning))
				if open := fake.Open(); len(open) != 1 || open[0].Severity != "critical" {
					t.Errorf("open are %+v, want the critical one alone", open)
				}
				if warned := log.lines("level=WARN"); len(warned) != 0 {
					t.Errorf("a decorator that hides nothing is complained of: %s", warned)
				}
			})
		})
	}
}

func TestReport31DecoratorThatHidesItsSinkIsLogged(t *testing.T) {
	function := func(s relay.Sink) relay.Sink { return relay.SinkFunc(s.Deliver) }
	for name, tc := range map[string]struct {
		decorate func(relay.Sink) relay.Sink
		says     string
	}{
		"a struct": {func(s relay.Sink) relay.Sink {
			return plain{s}
		}, "pagerdutysink_test.plain holds a *pagerdutysink.Sink and hides its Ignores, Account"},
		"a pointer": {func(s relay.Sink) relay.Sink {
			return &plain{s}
		}, "*pagerdutysink_test.plain holds a *pagerdutysink.Sink and hides"},
		"a function": {function, "the sink ignored an event in Deliver"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				handle := func(r *relay.Relay, lane string, s relay.Sink) {
					r.Handle(lane, tc.decorate(s), nil)
				}
				r, log := several(t, pagerdutytest.NewTransport(), noWarnings, handle, "pager")
				for i := range 5 {
					say(t, r, guancetest.NewProblem("disk", "host", fmt.Sprint(i)).Fault(guance.LevelWarning))
				}
				if warned := log.lines(tc.says); len(warned) != 1 ||
					!strings.Contains(warned[0], "level=WARN") ||
					!strings.Contains(warned[0], "lane=pager") || !strings.Contains(warned[0], "Unwrap") ||
					!strings.Contains(warned[0], "Middleware") {
					t.Errorf("the log has %q, want one warning with %q and what to do:\n%s", warned, tc.says, log)
				}
			})
		})
	}
}

func TestReport32DecoratedLanesShareTheirKeysBudget(t *testing.T) {
	for name, handle := range decorated {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := pagerdutytest.NewTransport()
				r, _ := several(t, fake, nil, handle, "a", "b", "c")
				for i := range 200 {
					if _, err := r.Accept(t.Context(), guancetest.NewProblem("disk", "host",
						fmt.Sprint(i)).Fault(guance.LevelError)); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(4 * time.Minute)
				if n := fake.MaxPerWindow(); n > 120 || n < 100 {
					t.Errorf("%d requests in a minute, want 120 at most and nearly that", n)
				}
			})
		})
	}
}

// The line of a delivered event has what the vendor's script logs.
func TestDeliveredEventIsOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		handle := func(r *relay.Relay, lane string, s relay.Sink) { r.Handle(lane, s, nil) }
		r, log := several(t, fake, &pagerdutysink.Options{Changes: true}, handle, "pager")
		p := guancetest.NewProblem("disk", "host", "web001")
		fault := p.Fault(guance.LevelError)
		fake.Outage(5*time.Second, pagerdutytest.Fault{Status: 502})
		say(t, r, fault)
		time.Sleep(time.Minute)
		say(t, r, p.Recover())
		lines := log.lines("relay: event delivered")
		want := []string{"event_action=trigger severity=error", "event_action=resolve severity=info"}
		if len(lines) != len(want) {
			t.Fatalf("the log has %q, want a line for the fault and one for its recovery", lines)
		}
		for i, line := range lines {
			for _, part := range []string{
				want[i], "level=INFO", "lane=pager", "seq=" + fmt.Sprint(i+1), "problem=" + fault.ProblemKey(),
				"dedup_key=" + fault.ProblemKey(),
				"status=success", `message="Event processed"`, "attempt=", "age=",
			} {
				if !strings.Contains(line, part) {
					t.Errorf("line %d lacks %s: %s", i+1, part, line)
				}
			}
			if strings.Contains(strings.ToLower(line), strings.ToLower(key)) {
				t.Errorf("line %d holds the routing key", i+1)
			}
		}
		if strings.Contains(lines[0], "age=0s") || strings.Contains(lines[0], "attempt=0") {
			t.Errorf("the fault waited for the outage to end: %s", lines[0])
		}
	})
}

func TestReport41NewWithoutAClientPanics(t *testing.T) {
	defer func() {
		if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "pagerduty.NewClient") {
			t.Errorf("recovered %v, want a panic that says what is missing", p)
		}
	}()
	pagerdutysink.New(nil, nil)
}
