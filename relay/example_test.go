package relay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
)

var quiet = &relay.Options{Logger: slog.New(slog.DiscardHandler)}

// A program accepts events, usually through a Handler, and delivers them in Run.
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

	event := guancetest.NewProblem("disk", "host", "web001").Fault(guance.LevelCritical)
	if _, err := r.Accept(ctx, event); err != nil {
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
	r, err := relay.New(memstore.New(), &relay.Options{DrainTimeout: 10 * time.Second})
	fmt.Println(r != nil, err)
	_, err = relay.New(nil, nil)
	fmt.Println(err)
	// Output:
	// true <nil>
	// relay: New needs a Store: boltstore.Open for a durable one
}

// Two teams with a routing key each are two lanes. Neither budget nor failures of one affect the
// other. An event goes to each lane whose Match reports true.
func ExampleRelay_Handle() {
	r, err := relay.New(memstore.New(), quiet)
	if err != nil {
		panic(err)
	}
	sinkOf := func(team string) relay.Sink { // pagerdutysink.New with the client of the team
		return relay.SinkFunc(func(context.Context, *relay.Delivery) error {
			fmt.Println("page", team)
			return nil
		})
	}
	matches := func(team string) *relay.SinkOptions {
		return &relay.SinkOptions{
			Match: func(e *guance.Event) bool { return e.DimensionTags["team"] == team },
		}
	}
	r.Handle("payments", sinkOf("payments"), matches("payments"))
	r.Handle("search", sinkOf("search"), matches("search"))

	event := guancetest.NewProblem("latency", "team", "search").Fault(guance.LevelError)
	receipts, err := r.Accept(context.Background(), event)
	if err != nil {
		panic(err)
	}
	fmt.Println(receipts[0].Lanes)
	// Output: map[search:accepted]
}

// Run returns once its context has ended and the attempts in flight have finished.
func ExampleRelay_Run() {
	db := memstore.New() // boltstore.Open for a durable store
	defer db.Close()     // after Run
	r, err := relay.New(db, quiet)
	if err != nil {
		panic(err)
	}
	r.Handle("log", relay.SinkFunc(func(context.Context, *relay.Delivery) error { return nil }), nil)
	ctx, stop := context.WithTimeout(context.Background(), time.Millisecond) // or signal.NotifyContext
	defer stop()
	fmt.Println(r.Run(ctx))
	// Output: <nil>
}

// counted is a decorator.
type counted struct {
	sink relay.Sink
	sent int
}

func (c *counted) Deliver(ctx context.Context, d *relay.Delivery) error {
	c.sent++ // a lane delivers concurrently: a real one takes a lock
	return c.sink.Deliver(ctx, d)
}

// Unwrap lets the lane find the other methods of the sink.
func (c *counted) Unwrap() relay.Sink { return c.sink }

// A decorator passes deliveries on and has a method Unwrap.
func ExampleSinkAs() {
	decorated := &counted{sink: audit{}}
	s, ok := relay.SinkAs[relay.EveryEvent](decorated)
	fmt.Println(ok && s.EveryEvent())
	fmt.Println(relay.CheckSink(decorated))
	err := relay.CheckSink(forgetful{audit{}})
	fmt.Println(strings.SplitAfter(err.Error(), "the lane")[0])
	// Output:
	// true
	// <nil>
	// relay: relay_test.forgetful holds a relay_test.audit and hides its EveryEvent from the lane
}

// forgetful is a decorator without Unwrap: the lane does not see the other methods of the sink.
type forgetful struct{ sink relay.Sink }

func (f forgetful) Deliver(ctx context.Context, d *relay.Delivery) error {
	return f.sink.Deliver(ctx, d)
}

// Middleware needs no type, and hides no methods.
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

// audit is a Sink. The error that Deliver returns says what the lane does.
type audit struct{}

func (audit) Deliver(ctx context.Context, d *relay.Delivery) error {
	switch status := post(ctx, d.Event); {
	case status == 429:
		return relay.RetryAfter(errors.New("busy"), 30*time.Second) // the lane pauses
	case status >= 500:
		return errors.New("not now") // tried again, with backoff
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
	event := guancetest.NewProblem("disk").Fault(guance.LevelError)
	fmt.Println(s.Deliver(context.Background(), &relay.Delivery{Event: event}))
	// Output: <nil>
}

// A target refuses an event. An operator reads why, repairs the target, and replays the event.
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

// Explain answers: what became of this alert?
func ExampleRelay_Explain() {
	r, err := relay.New(memstore.New(), quiet)
	if err != nil {
		panic(err)
	}
	delivered := make(chan bool, 1)
	r.Handle("pagerduty", relay.SinkFunc(func(context.Context, *relay.Delivery) error {
		delivered <- true
		return nil
	}), nil)
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
