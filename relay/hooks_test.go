package relay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// ignoring is a recorder that is an Ignorer.
type ignoring struct {
	recorder
	ignores func(*guance.Event) string
}

func (c *ignoring) Ignores(e *guance.Event) string { return c.ignores(e) }

// logged returns a relay and what it logs.
func logged(t *testing.T, opts relay.Options) (*relay.Relay, *lockedBuffer) {
	t.Helper()
	log := &lockedBuffer{}
	opts.Logger = slog.New(slog.NewTextHandler(log, nil))
	r, err := relay.New(memstore.New(), &opts)
	if err != nil {
		t.Fatal(err)
	}
	return r, log
}

// with returns the lines of a log that hold all of the parts.
func (b *lockedBuffer) with(parts ...string) (found []string) {
lines:
	for line := range strings.Lines(b.String()) {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue lines
			}
		}
		found = append(found, line)
	}
	return found
}

// If a hook panics, its lane takes the event, other lanes are not affected, and one line a minute
// is logged.
func TestReport34PanicInAHookCostsNoLaneItsEvent(t *testing.T) {
	bug := func(*guance.Event) bool { panic("a bug in Match") }
	for name, tc := range map[string]struct {
		sink relay.Sink
		opts *relay.SinkOptions
		says string
	}{
		"Match": {&recorder{}, &relay.SinkOptions{Match: bug}, "Match panicked"},
		"Ignores": {&ignoring{ignores: func(*guance.Event) string {
			panic("a bug in Ignores")
		}}, nil, "Ignores panicked"},
		"Match of a nil field": {&recorder{}, &relay.SinkOptions{Match: func(e *guance.Event) bool {
			return e.Incident.UUID != ""
		}}, "Match panicked"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, log := logged(t, relay.Options{})
				before, after := &recorder{}, &recorder{}
				r.Handle("before", before, nil)
				r.Handle("bad", tc.sink, tc.opts)
				r.Handle("after", after, nil)
				defer running(t, r)()
				for i := range 70 { // for 70 s
					receipt := accept(t, r, event(t, fmt.Sprint(i), "p", "critical"))[0]
					if fmt.Sprint(receipt.Lanes) != "map[after:accepted bad:accepted before:accepted]" {
						t.Fatalf("the receipt says %v, want each lane to have the event", receipt.Lanes)
					}
					time.Sleep(time.Second)
				}
				time.Sleep(time.Minute)
				bad, ok := relay.SinkAs[interface{ taken() []string }](tc.sink)
				for lane, taken := range map[string][]string{"before": before.taken(), "after": after.taken(),
					"bad": bad.taken()} {
					if !ok || len(taken) == 0 || taken[0] != "p critical" {
						t.Errorf("lane %s took %v, want the event", lane, taken)
					}
				}
				lines := log.with("level=ERROR", tc.says, "lane=bad", "hooks_test.go")
				if len(lines) != 2 || !strings.Contains(lines[1], "panics=60") {
					t.Errorf("the log has %d lines of 70 panics in 70 s, want two with lane, stack and count:\n%s",
						len(lines), lines)
				}
			})
		})
	}
}

// A panic while the sink delivers is a failure of that attempt.
func TestReport34PanicWhileDelivering(t *testing.T) {
	for name, answer := range map[string]func(context.Context, *relay.Delivery) error{
		"in Deliver": func(context.Context, *relay.Delivery) error { panic("a bug in Map") },
		"in its error": func(context.Context, *relay.Delivery) error {
			var err *nilError
			return err
		},
		"in its error's way": func(context.Context, *relay.Delivery) error {
			return fmt.Errorf("sent: %w", evasive{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, log := logged(t, relay.Options{})
				good := &recorder{}
				r.Handle("bad", relay.SinkFunc(answer), nil)
				r.Handle("good", good, nil)
				defer running(t, r)()
				accept(t, r, event(t, "1", "p", "critical"))
				time.Sleep(time.Minute)
				expect(t, good, "p critical")
				if s := r.Stats().Lanes[0]; s.Failed == 0 || s.Backlog != 1 {
					t.Errorf("the lane's figures are %+v, want failures and the event kept", s)
				}
				if lines := log.with("level=ERROR", "the sink panicked", "lane=bad",
					"stack="); len(lines) != 1 {
					t.Errorf("the log has %q, want one line with lane and stack", lines)
				}
			})
		})
	}
}

type nilError struct{ reason string }

func (e *nilError) Error() string { return e.reason }

type evasive struct{}

func (evasive) Error() string   { return "evasive" }
func (evasive) Permanent() bool { panic("a bug in Permanent") }

// A TokenSource that panics has no tokens; the others are good still.
func TestReport34PanicInTokenSource(t *testing.T) {
	r, log := logged(t, relay.Options{})
	r.Handle("lane", &recorder{}, nil)
	h, err := relay.NewHandler(r, &relay.HandlerOptions{Tokens: []string{"fixed"},
		TokenSource: func() []string {
			panic("no file")
		}})
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]int{"fixed": http.StatusAccepted,
		"other": http.StatusUnauthorized, "": http.StatusUnauthorized} {
		req := httptest.NewRequest(http.MethodPost, "/",
			strings.NewReader(`{"df_status":"critical","df_title":"t"}`))
		req.Header.Set("X-Relay-Token", token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != want {
			t.Errorf("token %q is answered %d, want %d", token, w.Code, want)
		}
	}
	if lines := log.with("level=ERROR", "TokenSource panicked", "stack="); len(lines) != 1 {
		t.Errorf("the log has %q, want one line", lines)
	}
}

// counting has a MeterProvider of one counter that counts.
type counting struct {
	noop.MeterProvider
	meter countingMeter
}

type countingMeter struct {
	noop.Meter
	name  string
	count *count
}

type count struct {
	noop.Int64Counter
	fate string
	n    int64
}

// countOf counts what a counter counts with the label fate; if that is "", without one.
func countOf(name, fate string) (metric.MeterProvider, *count) {
	c := &count{fate: fate}
	return counting{meter: countingMeter{name: name, count: c}}, c
}

func (c counting) Meter(string, ...metric.MeterOption) metric.Meter { return c.meter }

func (m countingMeter) Int64Counter(name string,
	_ ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	if name == m.name {
		return m.count, nil
	}
	return noop.Int64Counter{}, nil
}

func (c *count) Add(_ context.Context, n int64, opts ...metric.AddOption) {
	labels := metric.NewAddConfig(opts).Attributes()
	if fate, _ := labels.Value("fate"); fate.AsString() == c.fate {
		c.n += n
	}
}

func TestReport36EventThatNoLaneTakesShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		meters, unrouted := countOf("relay.events", "unrouted")
		r, log := logged(t, relay.Options{MeterProvider: meters})
		mine := func(e *guance.Event) bool { return e.ProblemKey() == "mine" }
		r.Handle("mine", &recorder{}, &relay.SinkOptions{Match: mine})
		r.Handle("ignores", &ignoring{ignores: func(*guance.Event) string {
			return "never"
		}}, &relay.SinkOptions{Match: mine})
		accept(t, r, event(t, "1", "mine", "critical"))
		if lines := log.with("no lane takes"); len(lines) != 0 || unrouted.n != 0 {
			t.Errorf("an event that a lane takes is logged: %q, counted %d", lines, unrouted.n)
		}
		for i := range 70 {
			got := accept(t, r, event(t, fmt.Sprint("m", i), "mine", "critical"),
				event(t, fmt.Sprint("o", i), "other", "critical"))
			if len(got[0].Lanes) != 2 || len(got[1].Lanes) != 0 || got[1].Lanes == nil {
				t.Fatalf("the receipts say %+v", got)
			}
			time.Sleep(time.Second)
		}
		lines := log.with("level=WARN", "no lane takes the event", "problem=other",
			"event_level=critical")
		if len(lines) != 2 || !strings.Contains(lines[0], "unrouted=1") ||
			!strings.Contains(lines[1], "unrouted=60") {
			t.Errorf("the log has %q of 70 events in 70 s, want one line, and one a minute later", lines)
		}
		if unrouted.n != 70 {
			t.Errorf("the metric says %d, want 70", unrouted.n)
		}
	})
}

// Events that the store refused are not counted; they are sent again.
func TestUnroutedIsCountedOnce(t *testing.T) {
	meters, unrouted := countOf("relay.events", "unrouted")
	db := memstore.New()
	r, err := relay.New(db, &relay.Options{MeterProvider: meters,
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r.Handle("mine", &recorder{}, &relay.SinkOptions{Match: func(e *guance.Event) bool {
		return e.ProblemKey() == "mine"
	}})
	events := []*guance.Event{event(t, "1", "mine", "critical"), event(t, "2", "mine too", "critical")}
	accept(t, r, event(t, "0", "mine", "critical"))
	db.Limit(1)
	if _, err := r.Accept(t.Context(), events...); !errors.Is(err, store.ErrFull) || unrouted.n != 0 {
		t.Errorf("Accept: %v, counted %d; want the store full and nothing counted", err, unrouted.n)
	}
	db.Limit(0)
	accept(t, r, events...)
	if unrouted.n != 1 {
		t.Errorf("counted %d, want 1", unrouted.n)
	}
}

func TestReport36RelayWithoutLanesIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, log := logged(t, relay.Options{})
		defer running(t, r)()
		synctest.Wait()
		if err := r.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "no lane") {
			t.Errorf("Check: %v, want that there is no lane", err)
		}
		accept(t, r, event(t, "1", "p", "critical"))
		if lines := log.with("no lane takes the event", "lanes=0"); len(lines) != 1 {
			t.Errorf("the log has %q, want one line", lines)
		}
	})
}

// A sink that ignores an event only in Deliver is logged once, unless every event is sent.
func TestReport31IgnoredUnaskedIsLoggedOnce(t *testing.T) {
	for every, want := range map[bool]int{false: 1, true: 0} {
		synctest.Test(t, func(t *testing.T) {
			r, log := logged(t, relay.Options{})
			ignore := func(context.Context, *relay.Delivery) error { return relay.Ignore("not mine") }
			r.Handle("lane", relay.SinkFunc(ignore), &relay.SinkOptions{EveryEvent: every})
			defer running(t, r)()
			for i := range 3 {
				accept(t, r, event(t, fmt.Sprint(i), fmt.Sprint("p", i), "critical"))
			}
			time.Sleep(time.Minute)
			if lines := log.with("level=WARN", "lane=lane", "relay.Ignorer",
				`reason="not mine"`); len(lines) != want {
				t.Errorf("every %v: the log has %q, want %d lines", every, lines, want)
			}
		})
	}
}

// The line of a delivered event has the attributes of the relay and of the sink.
func TestDeliveredLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, log := logged(t, relay.Options{})
		attempt := 0
		sink := &recorder{answer: func(_ context.Context, d *relay.Delivery) error {
			if d.Problem == "other" {
				return nil
			}
			if d.Attempt < 2 {
				return errors.New("502")
			}
			attempt = d.Attempt
			d.LogAttrs(slog.String("ticket", "T-1"))
			return nil
		}}
		r.Handle("lane", sink, nil)
		defer running(t, r)()
		accept(t, r, event(t, "1", "p", "critical"))
		for range 60 { // failures beside what goes through count
			accept(t, r, event(t, "", "other", "critical"))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		lines := log.with("relay: event delivered", "problem=p ")
		if attempt < 2 {
			t.Errorf("the attempt that was taken has number %d, want one that shows", attempt)
		}
		if len(lines) != 1 {
			t.Fatalf("%d lines, want one: %q", len(lines), lines)
		}
		for _, part := range []string{
			"level=INFO", "lane=lane", "seq=1", "event=1/critical/", "problem=p", "state=problem",
			"level=critical", fmt.Sprintf("attempt=%d ", attempt),
			"ticket=T-1",
		} {
			if !strings.Contains(lines[0]+" ", part) {
				t.Errorf("the line lacks %s: %s", part, lines[0])
			}
		}
		_, age, _ := strings.Cut(lines[0], "age=")
		age, _, _ = strings.Cut(age, " ")
		if d, err := time.ParseDuration(age); err != nil || d < time.Second || d > time.Minute {
			t.Errorf("age is %q, want what lies between acceptance and delivery: %v", age, err)
		}
	})
}

// A sender cannot make a line of the log as long as its body.
func TestLongEventIDIsCutInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, log := logged(t, relay.Options{})
		r.Handle("lane", &recorder{}, &relay.SinkOptions{Match: func(e *guance.Event) bool {
			return e.ProblemKey() == "mine"
		}})
		defer running(t, r)()
		id := strings.Repeat("长", 100_000)
		accept(t, r, event(t, id, "mine", "critical"), event(t, id+"2", "other", "critical"))
		time.Sleep(time.Minute)
		for _, line := range []string{"event delivered", "no lane takes"} {
			if lines := log.with(line, "长长"); len(lines) != 1 || len(lines[0]) > 1000 {
				t.Errorf("%s: %d lines, want one of less than 1,000 bytes: %.1500q", line, len(lines), lines)
			}
		}
	})
}
