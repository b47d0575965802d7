package relaytest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/relay"
)

// Takes returns a sink that takes everything.
func Takes() relay.Sink {
	return relay.SinkFunc(func(context.Context, *relay.Delivery) error { return nil })
}

// Fails returns a sink that answers every delivery with err.
func Fails(err error) relay.Sink {
	return relay.SinkFunc(func(context.Context, *relay.Delivery) error { return err })
}

// Refuses returns a sink that refuses every delivery for good.
func Refuses(reason string) relay.Sink { return Fails(relay.Permanent(errors.New(reason))) }

// Throttles returns a sink that wants to be left alone for d, or for as long as the lane chooses if d is zero.
func Throttles(d time.Duration) relay.Sink {
	return Fails(relay.RetryAfter(errors.New("too many requests"), d))
}

// Ignores returns a sink to which no delivery asks for anything. It says so when it is called, not as a relay.Ignorer.
func Ignores(reason string) relay.Sink { return Fails(relay.Ignore(reason)) }

// Panics returns a sink that panics with v.
func Panics(v any) relay.Sink {
	return relay.SinkFunc(func(context.Context, *relay.Delivery) error { panic(v) })
}

// Hangs returns a sink that answers nothing until the delivery's context ends, and then the context's error.
func Hangs() relay.Sink {
	return relay.SinkFunc(func(ctx context.Context, _ *relay.Delivery) error {
		<-ctx.Done()
		return ctx.Err()
	})
}

// Slow returns a sink that waits for d and then answers as then does, or gives up when the context ends.
func Slow(d time.Duration, then relay.Sink) relay.Sink {
	return relay.SinkFunc(func(ctx context.Context, del *relay.Delivery) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return then.Deliver(ctx, del)
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// Times returns a sink that answers the first n deliveries as first does and all others as then does.
func Times(n int, first, then relay.Sink) relay.Sink {
	var mu sync.Mutex
	return relay.SinkFunc(func(ctx context.Context, d *relay.Delivery) error {
		mu.Lock()
		s := then
		if n > 0 {
			n, s = n-1, first
		}
		mu.Unlock()
		return s.Deliver(ctx, d)
	})
}

// ByProblem returns a sink that answers for each problem, by its key, as the table says, and as otherwise does for those that are
// not in it. The table must not be changed afterwards.
func ByProblem(table map[string]relay.Sink, otherwise relay.Sink) relay.Sink {
	return relay.SinkFunc(func(ctx context.Context, d *relay.Delivery) error {
		if s, ok := table[d.Problem]; ok {
			return s.Deliver(ctx, d)
		}
		return otherwise.Deliver(ctx, d)
	})
}

// EachProblem returns a sink that has a script of its own for each problem, made when the problem is first delivered.
func EachProblem(script func(problem string) relay.Sink) relay.Sink {
	var mu sync.Mutex
	scripts := make(map[string]relay.Sink)
	return relay.SinkFunc(func(ctx context.Context, d *relay.Delivery) error {
		mu.Lock()
		s, ok := scripts[d.Problem]
		if !ok {
			s = script(d.Problem)
			scripts[d.Problem] = s
		}
		mu.Unlock()
		return s.Deliver(ctx, d)
	})
}
