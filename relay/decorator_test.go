package relay_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
)

// whole is a sink with all optional behaviour.
type whole struct{ recorder }

func (*whole) Ignores(*guance.Event) string { return "" }
func (*whole) EveryEvent() bool             { return true }
func (*whole) Account() string              { return "an account" }

type (
	plain    struct{ s relay.Sink }
	concrete struct{ w *whole }
	byValue  struct{ w whole }
	two      struct{ first, second relay.Sink }
	opened   struct{ plain }
	itself   struct{ recorder }
	ring     struct {
		recorder
		left, right relay.Sink
	}
	own      struct{ opened }
	promoted struct{ *whole }
)

func (p plain) Deliver(ctx context.Context,
	d *relay.Delivery) error {
	return p.s.Deliver(ctx, d)
}
func (c concrete) Deliver(ctx context.Context,
	d *relay.Delivery) error {
	return c.w.Deliver(ctx, d)
}
func (b *byValue) Deliver(ctx context.Context,
	d *relay.Delivery) error {
	return b.w.Deliver(ctx, d)
}
func (b two) Deliver(ctx context.Context,
	d *relay.Delivery) error {
	return b.first.Deliver(ctx, d)
}
func (o opened) Unwrap() relay.Sink  { return o.s }
func (i *itself) Unwrap() relay.Sink { return i }
func (own) Account() string          { return "the decorator's" }

func TestCheckSink(t *testing.T) {
	loop := &ring{}
	loop.left, loop.right = loop, &ring{left: loop, right: loop}
	var none *plain
	for name, tc := range map[string]struct {
		sink   relay.Sink
		hidden string // empty: nothing
	}{
		"a sink":     {&whole{}, ""},
		"a function": {relay.SinkFunc((&whole{}).Deliver), ""},
		"a decorator": {plain{&whole{}},
			"relay_test.plain holds a *relay_test.whole and hides its Ignores, EveryEvent, Account"},
		"a pointer to one":           {&plain{&whole{}}, "*relay_test.plain holds"},
		"one of a certain sink":      {concrete{&whole{}}, "relay_test.concrete holds"},
		"one with the sink itself":   {&byValue{}, "*relay_test.byValue holds"},
		"one of one":                 {plain{plain{&whole{}}}, "holds a *relay_test.whole"},
		"of two sinks":               {two{&recorder{}, &whole{}}, "relay_test.two holds"},
		"of nothing optional":        {plain{&recorder{}}, ""},
		"of a function":              {plain{relay.SinkFunc(nil)}, ""},
		"of nil":                     {plain{}, ""},
		"of a nil pointer":           {plain{none}, ""},
		"with Unwrap":                {opened{plain{&whole{}}}, ""},
		"with Unwrap to one without": {opened{plain{plain{&whole{}}}}, "relay_test.plain holds"},
		"that has one of the methods": {own{opened{plain{plain{&whole{}}}}},
			"hides its Ignores, EveryEvent from"},
		"that embeds the sink": {promoted{&whole{}}, ""},
		"a ring":               {loop, ""},
	} {
		err := relay.CheckSink(tc.sink)
		switch {
		case tc.hidden == "" && err != nil:
			t.Errorf("%s: %v, want nothing hidden", name, err)
		case tc.hidden != "" && (err == nil || !strings.Contains(err.Error(), tc.hidden)):
			t.Errorf("%s: %v, want %q", name, err, tc.hidden)
		}
	}
}

func TestSinkAs(t *testing.T) {
	inner := &whole{}
	if m, ok := relay.SinkAs[relay.AccountNamer](own{opened{plain{inner}}}); !ok ||
		m.Account() != "the decorator's" {
		t.Errorf("found %v, %v; want what is outermost", m, ok)
	}
	if c, ok := relay.SinkAs[relay.Ignorer](own{opened{plain{inner}}}); !ok ||
		c != relay.Ignorer(inner) {
		t.Errorf("found %v, %v; want the sink within", c, ok)
	}
	for _, s := range []relay.Sink{nil, plain{inner}, opened{}} {
		if c, ok := relay.SinkAs[relay.Ignorer](s); ok || c != nil {
			t.Errorf("found %v in %#v, want nothing", c, s)
		}
	}
	defer func() {
		if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "*relay_test.itself") {
			t.Errorf("recovered %v, want a panic that names the type that unwraps to itself", p)
		}
	}()
	relay.SinkAs[relay.Ignorer](&itself{})
}

// Middleware decorates only Deliver. The other methods are those of the sink.
func TestMiddleware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, log := logged(t, relay.Options{})
		sink := &ignoring{ignores: func(e *guance.Event) string {
			if e.Status == "warning" {
				return "only a warning"
			}
			return ""
		}}
		passed := 0
		r.Handle("lane", sink, &relay.SinkOptions{Middleware: func(next relay.Sink) relay.Sink {
			return relay.SinkFunc(func(ctx context.Context, d *relay.Delivery) error {
				passed++
				return next.Deliver(ctx, d)
			})
		}})
		defer running(t, r)()
		got := accept(t, r, event(t, "1", "p", "critical"), event(t, "2", "p", "warning"))
		if got[1].Lanes["lane"] != "ignored" {
			t.Errorf("the receipt says %v, want the warning ignored", got[1].Lanes)
		}
		time.Sleep(time.Minute)
		expect(t, &sink.recorder, "p critical")
		if passed != 1 || len(log.with("level=WARN")) != 0 {
			t.Errorf("%d deliveries went through the middleware, want 1; the log:\n%s", passed, log)
		}
	})
}
