package relay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
)

var quiet = &relay.Options{Logger: slog.New(slog.DiscardHandler)}

// A service accepts events through a Handler and delivers them in Run; a program of its own may do one of the two.
func Example() {
	r, err := relay.New(memstore.New(), quiet) // boltstore.Open for a durable store
	if err != nil {
		panic(err)
	}
	delivered := make(chan string)
	r.Handle("console", relay.SinkFunc(func(_ context.Context, d *relay.Delivery) error {
		delivered <- fmt.Sprintf("%v: %s", d.Event.State(), d.Event.Level())
		return nil
	}), nil)

	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()

	if _, err := r.Accept(ctx, guancetest.NewProblem("disk", "host", "web001").Fault(guance.LevelCritical)); err != nil {
		panic(err)
	}
	fmt.Println(<-delivered)
	stop()
	fmt.Println("stopped:", <-done)
	// Output:
	// problem: critical
	// stopped: <nil>
}

func ExampleNew() {
	r, err := relay.New(memstore.New(), &relay.Options{Logger: slog.Default(), DrainTimeout: 10 * time.Second})
	fmt.Println(r != nil, err)
	_, err = relay.New(nil, nil)
	fmt.Println(err)
	// Output:
	// true <nil>
	// relay: New needs a Store: boltstore.Open for a durable one
}

// Two services with a routing key each are two lanes: budget, order and trouble of one do not touch the other.
func ExampleRelay_Handle() {
	r, err := relay.New(memstore.New(), quiet)
	if err != nil {
		panic(err)
	}
	forTeam := func(team string) *relay.SinkOptions {
		return &relay.SinkOptions{Match: func(e *guance.Event) bool { return e.DimensionTags["team"] == team }}
	}
	pager := relay.SinkFunc(func(context.Context, *relay.Delivery) error { return nil }) // pagerdutysink.New(client, nil)
	r.Handle("payments", pager, forTeam("payments"))
	r.Handle("search", pager, forTeam("search"))

	receipts, err := r.Accept(context.Background(), guancetest.NewProblem("latency", "team", "search").Fault(guance.LevelError))
	if err != nil {
		panic(err)
	}
	fmt.Println(receipts[0].Lanes)
	// Output: map[search:accepted]
}

// counted is a decorator: what it holds does the work.
type counted struct {
	sink relay.Sink
	sent int
}

func (c *counted) Deliver(ctx context.Context, d *relay.Delivery) error {
	c.sent++ // a lane delivers concurrently: a real one takes a lock
	return c.sink.Deliver(ctx, d)
}

// Unwrap lets the lane find what the sink within can do beside Deliver.
func (c *counted) Unwrap() relay.Sink { return c.sink }

// A decorator passes deliveries on and has a method Unwrap.
func ExampleSinkAs() {
	decorated := &counted{sink: audit{}}
	s, ok := relay.SinkAs[relay.EveryEvent](decorated)
	fmt.Println(ok && s.EveryEvent())
	fmt.Println(relay.CheckSink(decorated))
	fmt.Println(relay.CheckSink(forgetful{audit{}}))
	// Output:
	// true
	// <nil>
	// relay: relay_test.forgetful holds a relay_test.audit and hides its EveryEvent from the lane: give relay_test.forgetful a method Unwrap() relay.Sink that returns the sink within, or methods of these names, or decorate with SinkOptions.Middleware
}

// forgetful is a decorator without Unwrap: the lane does not see what the sink within can do.
type forgetful struct{ sink relay.Sink }

func (f forgetful) Deliver(ctx context.Context, d *relay.Delivery) error {
	return f.sink.Deliver(ctx, d)
}

// Middleware decorates without a type, and hides nothing.
func ExampleSinkOptions_middleware() {
	r, err := relay.New(memstore.New(), quiet)
	if err != nil {
		panic(err)
	}
	r.Handle("audit", audit{}, &relay.SinkOptions{Middleware: func(next relay.Sink) relay.Sink {
		return relay.SinkFunc(func(ctx context.Context, d *relay.Delivery) error {
			began := time.Now()
			err := next.Deliver(ctx, d)
			slog.Debug("delivered", "lane", d.Lane, "took", time.Since(began), "error", err)
			return err
		})
	}})
	fmt.Println(r.Stats().Lanes[0].Name)
	// Output: audit
}

// audit is a Sink for a target of one's own: one method. What it returns says what the lane does.
type audit struct{}

func (audit) Deliver(ctx context.Context, d *relay.Delivery) error {
	switch status := post(ctx, d.Event); {
	case status == 429:
		return relay.RetryAfter(errors.New("busy"), 30*time.Second) // pauses the lane, costs nothing
	case status >= 500:
		return errors.New("not now") // again, with backoff
	case status >= 400:
		return relay.Permanent(errors.New("refused")) // a dead letter
	}
	return nil // delivered
}

// EveryEvent makes audit a relay.EveryEvent: each event is sent, and none is superseded.
func (audit) EveryEvent() bool { return true }

func post(context.Context, *guance.Event) int { return 200 }

func ExampleSink() {
	var s relay.Sink = audit{}
	err := s.Deliver(context.Background(), &relay.Delivery{Event: guancetest.NewProblem("disk").Fault(guance.LevelError)})
	fmt.Println(err)
	// Output: <nil>
}

// A target refuses an event for good; an operator looks at it, mends the target and has the event sent again.
func ExampleRelay_DeadLetters() {
	store := memstore.New()
	answers := make(chan error)
	sink := relay.SinkFunc(func(context.Context, *relay.Delivery) error { return <-answers })
	run := func() (r *relay.Relay, stop func()) {
		r, err := relay.New(store, quiet)
		if err != nil {
			panic(err)
		}
		r.Handle("chat", sink, nil)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		return r, func() { cancel(); <-done }
	}
	ctx := context.Background()

	r, stop := run()
	if _, err := r.Accept(ctx, guancetest.NewProblem("disk").Fault(guance.LevelError)); err != nil {
		panic(err)
	}
	answers <- relay.Permanent(errors.New("the robot was deleted"))
	stop()
	dead, err := r.DeadLetters(ctx, "chat", 0, 10)
	if err != nil {
		panic(err)
	}
	fmt.Printf("entry %d: %v, %s\n", dead[0].Seq, dead[0].Outcome, dead[0].Reason)

	r, stop = run()
	if err := r.Replay(ctx, "chat", dead[0].Seq); err != nil { // or ReplayAll, or Drop
		panic(err)
	}
	answers <- nil
	stop()
	dead, err = r.DeadLetters(ctx, "chat", 0, 10)
	fmt.Println(len(dead), "dead letters,", err)
	// Output:
	// entry 1: dead, the robot was deleted
	// 0 dead letters, <nil>
}

// Explain answers the question of three o'clock in the morning: what became of this alert?
func ExampleRelay_Explain() {
	store := memstore.New()
	r, err := relay.New(store, quiet)
	if err != nil {
		panic(err)
	}
	delivered := make(chan bool, 1)
	r.Handle("pagerduty", relay.SinkFunc(func(context.Context, *relay.Delivery) error { delivered <- true; return nil }), nil)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	fault := guancetest.NewProblem("disk", "host", "web001").Fault(guance.LevelCritical)
	if _, err := r.Accept(ctx, fault); err != nil {
		panic(err)
	}
	<-delivered
	stop()
	<-done
	histories, err := r.Explain(context.Background(), fault.ProblemKey())
	if err != nil {
		panic(err)
	}
	for _, e := range histories[0].Entries {
		fmt.Printf("%s: entry %d said %s and was %s\n", histories[0].Lane, e.Seq, e.Says, e.Ended)
	}
	// Output: pagerduty: entry 1 said problem, critical and was delivered
}
